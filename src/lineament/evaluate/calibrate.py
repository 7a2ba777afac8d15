"""Fit a ``lineament.calibration.Calibration`` from embeddings and who is who.

All pairs of the photographs are compared, in blocks, and counted in a histogram; only the genuine
scores, the highest impostor scores and a random sample of the others are kept one by one. Then:

1. two ways from score to log-likelihood ratio (LLR) are fitted with equal weight on genuine and
   impostor pairs: ``fit_logistic`` (a line) and ``fit_isotonic`` (any rising curve), and the one
   with the lower Cllr in cross-validation is taken. Folds are of people: a test pair has both of
   its people in one fold, a training pair neither;
2. a bootstrap over people gives the intervals. Each replica draws the people anew, with
   replacement: a genuine pair counts as often as its person was drawn, an impostor pair as often as
   the product of its two people's numbers. Pairs of one person are far from independent, so a
   bootstrap over pairs would give intervals that are much too narrow (Poh & Bengio, "Estimating the
   confidence interval of expected performance curve in biometric authentication using joint
   bootstrap", ICASSP 2007);
3. thresholds come from the highest impostor scores, where ``RULE_OF_30`` false matches stand behind
   them;
4. thresholds for galleries come from the exact expectation over all random galleries of the data's
   people (``scoring.expected_fpir``). Photographs are the probes, each person counting as one, and
   each other person is enrolled with one photograph, chosen at random; ``_DRAWS`` such choices are
   averaged.

A score is turned so that more alike is higher ("alike"), whatever the metric.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import lineament
from lineament.calibration import (
    RULE_OF_3,
    Calibration,
    Identification,
    Method,
    OperatingPoint,
    supported,
)
from lineament.compare import DEFAULT_METRIC, get_metric, score_matrix
from lineament.errors import OptionError
from lineament.evaluate.metrics import Float64Array, IntArray
from lineament.evaluate.scoring import Reliability, cllr, expected_fpir, min_cllr, pav, reliability
from lineament.types import Contract

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, steps done, all steps)."""

FMRS = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6)
"""Rates for which thresholds are fitted, as far as the data support them."""

FPIRS = (0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.003, 0.002, 0.001)
"""The same for identification."""

GALLERIES = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)
"""Sizes of galleries, as far as the data have people."""

FOLDS = 5
BINS = 4096
"""Of the histograms that LLRs are fitted on: 4.9e-4 wide for cosines, where an LLR of SFace changes
by 0.013."""

N_BOOTSTRAP = 200
SAMPLE = 1 << 19
"""Impostor pairs below the highest ones that the bootstrap looks at; they stand for all."""

BLOCK = 512
MOST_KNOTS = 200
_LOGISTIC_KNOTS = 41
_DRAWS = 4
_GRID = 128
"""Thresholds between which FPIRs are interpolated: one for each 12 % of false matches."""

_DIGITS = 6
_LEAST_GALLERY_PEOPLE = 30


@dataclass(frozen=True, eq=False)
class Fitted:
    """What ``fit`` found.

    Attributes:
        calibration: to be saved, and used.
        cllr_by_method: cross-validated Cllr, in bits, of each method.
        reliability: of the chosen one, cross-validated, at prior 0.5.
    """

    calibration: Calibration
    cllr_by_method: dict[Method, float]
    reliability: Reliability

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON: the report, not the calibration."""
        made = self.calibration
        return {
            "method": made.method,
            "cllr": made.cllr,
            "min_cllr": made.min_cllr,
            "ece": made.ece,
            "cllr_by_method": {k: round(v, _DIGITS) for k, v in self.cllr_by_method.items()},
            "reliability": self.reliability.to_rows(),
            "n_people": made.n_people,
            "n_photographs": made.n_photographs,
            "n_genuine_pairs": made.n_genuine_pairs,
            "n_impostor_pairs": made.n_impostor_pairs,
        }


# --- the two ways ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class Curve:
    """A rising, piecewise linear LLR over the alike axis, constant outside its knots."""

    alike: Float64Array
    llr: Float64Array

    def __call__(self, alike: npt.ArrayLike) -> Float64Array:
        """The LLR there."""
        return np.interp(np.asarray(alike, dtype=np.float64), self.alike, self.llr)


def fit_logistic(
    alike: npt.ArrayLike,
    genuine: npt.ArrayLike,
    impostor: npt.ArrayLike,
    *,
    unseen: tuple[float, float] = (0.0, 0.0),
) -> tuple[float, float]:
    """Return (a, b) of LLR = a * alike + b: Platt's sigmoid, by Newton's method.

    Platt, "Probabilistic outputs for support vector machines", 1999; genuine and impostor pairs
    have equal weight in all, so that the log-odds are the LLR.

    Args:
        alike: (M,) scores, higher is more alike.
        genuine: (M,) how many genuine pairs have each.
        impostor: (M,) how many impostor pairs.
        unseen: Platt's soft targets: the share of genuine pairs that is taken as impostor, and the
            reverse. With (0, 0) it is plain logistic regression, and data that a threshold
            separates completely have no answer.

    Raises:
        OptionError: one kind of pair is missing, or there is no answer.
    """
    x = np.asarray(alike, dtype=np.float64)
    g, i = _halves(genuine, impostor)
    if unseen == (0.0, 0.0) and (
        x[g > 0].min() >= x[i > 0].max() > x.min() or x[g > 0].max() <= x[i > 0].min() < x.max()
    ):
        raise OptionError(
            "logistic fit: a threshold separates all genuine from all impostor pairs, so that no "
            "slope is steep enough; expected overlapping scores, or unseen shares above 0"
        )
    middle = float((g + i) @ x)
    width = math.sqrt(float((g + i) @ (x - middle) ** 2))
    if width == 0:
        return 0.0, 0.0  # one score says nothing
    z = (x - middle) / width
    yes = g * (1 - unseen[0]) + i * unseen[1]
    no = g * unseen[0] + i * (1 - unseen[1])

    def loss(a: float, b: float) -> float:
        t = a * z + b
        return float(yes @ np.logaddexp(0, -t) + no @ np.logaddexp(0, t))

    a = b = 0.0
    at = loss(a, b)
    for _ in range(200):
        t = a * z + b
        p = np.exp(-np.logaddexp(0, -t))
        slope = (yes + no) * p - yes
        curve = (yes + no) * p * np.exp(-np.logaddexp(0, t))
        gradient = np.array([slope @ z, slope.sum()])
        hessian = np.array([[curve @ z**2, curve @ z], [curve @ z, curve.sum()]])
        if np.abs(gradient).max() < 1e-14:
            break
        try:
            step = np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            break
        size = 1.0
        while size > 1e-9 and loss(a - size * step[0], b - size * step[1]) > at:
            size /= 2  # Newton overshoots far from the answer
        a, b = a - size * float(step[0]), b - size * float(step[1])
        at = loss(a, b)
        if np.abs(step).max() * size < 1e-13 * max(1.0, abs(a), abs(b)):
            break
    return a / width, b - a * middle / width


def fit_isotonic(
    alike: npt.ArrayLike,
    genuine: npt.ArrayLike,
    impostor: npt.ArrayLike,
    *,
    unseen: tuple[float, float],
) -> Curve:
    """Return the LLR by pooling adjacent violators, with straight lines between blocks.

    Each block stands at its mean score: Oron & Flournoy, "Centered isotonic regression", 2017,
    which errs less than the steps of plain isotonic regression.

    Args:
        alike: (M,) scores, higher is more alike.
        genuine: (M,) how many genuine pairs have each.
        impostor: (M,) how many impostor pairs.
        unseen: shares of genuine and of impostor pairs that may lie where none was seen, above 0:
            the LLR is kept between log(unseen[0]) and -log(unseen[1]).

    Raises:
        OptionError: one kind of pair is missing.
    """
    blocks = pav(alike, *_halves(genuine, impostor))
    with np.errstate(divide="ignore"):
        llr = np.log(blocks.genuine) - np.log(blocks.impostor)
    llr = np.clip(llr, math.log(unseen[0]), -math.log(unseen[1]))
    if len(llr) == 1:
        centre = float(blocks.centre[0])
        return Curve(np.array([centre, np.nextafter(centre, np.inf)]), np.repeat(llr, 2))
    keep = np.append(True, np.diff(blocks.centre) > 0)
    return Curve(blocks.centre[keep], np.maximum.accumulate(llr[keep]))


def _halves(genuine: npt.ArrayLike, impostor: npt.ArrayLike) -> tuple[Float64Array, Float64Array]:
    g, i = (np.asarray(w, dtype=np.float64) for w in (genuine, impostor))
    if not (g.sum() > 0 and i.sum() > 0):
        raise OptionError("expected genuine and impostor pairs, got one kind only")
    return g / (2 * g.sum()), i / (2 * i.sum())


def _curve(
    method: Method,
    alike: Float64Array,
    genuine: Float64Array,
    impostor: Float64Array,
    unseen: tuple[float, float],
) -> Curve:
    if method == "isotonic":
        return fit_isotonic(alike, genuine, impostor, unseen=unseen)
    # Platt's targets (n + 1) / (n + 2), in units of what the rule of three gives per unit
    soft = tuple(1 / (RULE_OF_3 / share + 2) for share in unseen)
    a, b = fit_logistic(alike, genuine, impostor, unseen=(soft[0], soft[1]))
    least, most = math.log(unseen[0]), -math.log(unseen[1])
    if a <= 0:  # scores that say nothing, or the reverse of what they should
        return Curve(np.array([alike[0], alike[-1]]), np.zeros(2))
    lower, upper = max(alike[0], (least - b) / a), min(alike[-1], (most - b) / a)
    if not lower < upper:
        lower, upper = float(alike[0]), float(alike[-1])
    knots = np.linspace(lower, upper, _LOGISTIC_KNOTS)
    return Curve(knots, np.clip(a * knots + b, least, most))


# --- all pairs ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Data:
    """Photographs, sorted by person."""

    vectors: npt.NDArray[np.float32]
    person: IntArray  # (N,) 0 .. P - 1, never falling
    metric: str
    sign: int

    @property
    def sizes(self) -> IntArray:
        """(P,) photographs a person."""
        return np.bincount(self.person).astype(np.int64)

    def blocks(self) -> Iterator[tuple[int, npt.NDArray[np.float32], npt.NDArray[np.int8]]]:
        """(first row, alike (B, M) against the rows from there on, kind: 1 genuine, 0 impostor, -1
        not a pair).
        """
        n = len(self.vectors)
        for start in range(0, n, BLOCK):
            stop = min(start + BLOCK, n)
            alike = score_matrix(self.vectors[start:stop], self.vectors[start:], self.metric)
            alike = alike * np.float32(self.sign)
            kind = np.zeros(alike.shape, np.int8)
            edge = int(np.searchsorted(self.person, self.person[stop - 1], side="right")) - start
            rows, columns = np.arange(stop - start)[:, None], np.arange(edge)[None]
            same = self.person[start : start + edge][None] == self.person[start:stop][:, None]
            kind[:, :edge][same] = 1
            kind[:, :edge][columns <= rows] = -1
            yield start, alike, kind


@dataclass(frozen=True, eq=False)
class _Counts:
    """All pairs, boiled down.

    ``alike``: (B,) bin centres; ``genuine_score``, ``genuine_person``: (G,) one by one;
    ``impostor``: (K, K, B) by the folds of the two people; ``top_*``: the highest impostor pairs,
    descending; ``rest_*``: a sample of the others, each standing for ``rest_weight`` pairs.
    """

    alike: Float64Array
    genuine_score: npt.NDArray[np.float32]
    genuine_person: IntArray
    impostor: Float64Array
    n_impostor: int
    top_score: npt.NDArray[np.float32]
    top_pair: tuple[IntArray, IntArray]
    rest_bin: IntArray
    rest_pair: tuple[IntArray, IntArray]
    rest_weight: float

    def bin_of(self, alike: npt.ArrayLike) -> IntArray:
        width = self.alike[1] - self.alike[0]
        places = (np.asarray(alike, dtype=np.float64) - (self.alike[0] - width / 2)) / width
        numbers: IntArray = np.clip(places, 0, len(self.alike) - 1).astype(np.int64)
        return numbers


def _count(
    data: _Data,
    fold: IntArray,
    folds: int,
    largest_fmr: float,
    random: np.random.Generator,
    progress: Progress,
) -> _Counts:
    n = len(data.vectors)
    genuine, people = [], []
    least, most = math.inf, -math.inf
    for start, alike, kind in data.blocks():
        rows, columns = np.nonzero(kind == 1)
        genuine.append(alike[rows, columns])
        people.append(data.person[start + rows])
        pairs = alike[kind >= 0]
        if pairs.size:
            least, most = min(least, float(pairs.min())), max(most, float(pairs.max()))
        progress("looking at all pairs", min(start + BLOCK, n), n)
    width = (most - least) / BINS
    if width <= 0:
        width = max(abs(least), 1.0) * 1e-6
    edges = np.float32(least), np.float32(width)

    def bins(alike: npt.NDArray[np.float32]) -> IntArray:
        places: IntArray = np.clip((alike - edges[0]) / edges[1], 0, BINS - 1).astype(np.int64)
        return places

    flat = np.zeros(folds * folds * BINS, np.int64)
    for start, alike, kind in data.blocks():
        mine = fold[data.person[start : start + len(alike)]][:, None]
        theirs = fold[data.person[start:]][None]
        place = (mine * folds + theirs) * BINS + bins(alike)
        flat += np.bincount(place[kind == 0], minlength=len(flat))
        progress("counting", min(start + BLOCK, n), n)
    table = flat.reshape(folds, folds, BINS)
    total = table.sum((0, 1))
    n_impostor = int(total.sum())
    if n_impostor == 0:
        raise OptionError("calibration: expected photographs of at least two people, got one")
    # The highest bins that hold enough for the largest rate, with room for replicas that draw more
    # of them, are kept whole.
    wanted = min(n_impostor, math.ceil(1.3 * largest_fmr * n_impostor) + 1000)
    cut = BINS - 1 - int(np.argmax(np.cumsum(total[::-1]) >= wanted))
    others = int(total[:cut].sum())
    share = min(1.0, SAMPLE / others) if others else 1.0
    top: list[tuple[Any, Any, Any]] = []
    rest: list[tuple[Any, Any, Any]] = []
    for start, alike, kind in data.blocks():
        place = bins(alike)
        rows, columns = np.nonzero((kind == 0) & (place >= cut))
        top.append((alike[rows, columns], data.person[start + rows], data.person[start + columns]))
        below = np.flatnonzero(((kind == 0) & (place < cut)).ravel())
        if share < 1:
            # A pair is taken with probability `share`: as many as that gives, at random.
            below = below[random.random(len(below)) < share]
        rows, columns = np.divmod(below, alike.shape[1])
        rest.append((place[rows, columns], data.person[start + rows], data.person[start + columns]))
        progress("keeping the highest", min(start + BLOCK, n), n)
    score, a, b = (np.concatenate([part[k] for part in top]) for k in range(3))
    order = np.argsort(-score, kind="stable")
    rest_bin, c, d = (np.concatenate([part[k] for part in rest]) for k in range(3))
    return _Counts(
        alike=float(edges[0]) + (np.arange(BINS, dtype=np.float64) + 0.5) * float(edges[1]),
        genuine_score=np.concatenate(genuine),
        genuine_person=np.concatenate(people),
        impostor=table.astype(np.float64),
        n_impostor=n_impostor,
        top_score=score[order],
        top_pair=(a[order], b[order]),
        rest_bin=rest_bin,
        rest_pair=(c, d),
        rest_weight=others / len(rest_bin) if len(rest_bin) else 0.0,
    )


# --- the fit --------------------------------------------------------------------------------------


def fit(
    embeddings: npt.ArrayLike,
    people: npt.ArrayLike,
    *,
    contract: Contract,
    data: str,
    metric: str = DEFAULT_METRIC,
    found: npt.ArrayLike | None = None,
    fmrs: Iterable[float] = FMRS,
    fpirs: Iterable[float] = FPIRS,
    n_bootstrap: int = N_BOOTSTRAP,
    confidence: float = 0.95,
    seed: int = 0,
    progress: Progress | None = None,
) -> Fitted:
    """Fit a calibration on photographs of known people.

    Equal input gives an equal calibration. LFW View 1 (4,992 photographs, 12.5 million pairs)
    takes some ten seconds on one core.

    Args:
        embeddings: (N, D) as the metric takes them (``compare.score_matrix``); rows without a face
            may hold anything.
        people: (N,) who is who: integers, or strings.
        contract: how the embeddings were made.
        data: what they are of, in words, for example "LFW View 1".
        metric: name of the comparison.
        found: (N,) bool, False where no face was found; those photographs are left out. None: all.
        fmrs: rates to fit thresholds for; those without 30 false matches behind them are left out,
            and ``Calibration.threshold`` says so when it is asked for one.
        fpirs: the same for galleries.
        n_bootstrap: replicas for the intervals; at least 20.
        confidence: of the intervals, 0 to 1.
        seed: of all that is random here.
        progress: called now and then.

    Raises:
        OptionError: for other shapes, numbers that are not finite, values out of range, or too few
            people: four are needed, two of them with two photographs.
    """
    tell: Progress = progress if progress is not None else _silent
    photographs = _photographs(embeddings, people, found, metric)
    wanted = _rates(fmrs, "false match rates")
    wanted_fpirs = _rates(fpirs, "FPIRs")
    if n_bootstrap < 20:
        raise OptionError(f"n_bootstrap: expected at least 20 replicas, got {n_bootstrap}")
    if not 0 < confidence < 1:
        raise OptionError(f"confidence: expected a share between 0 and 1, got {confidence}")
    random = np.random.default_rng(seed)
    sizes = photographs.sizes
    several = np.flatnonzero(sizes > 1)
    folds = min(FOLDS, len(several), len(sizes) // 2)
    if folds < 2:
        raise OptionError(
            "calibration: expected at least four people, two of them with two photographs or more, "
            f"got {len(sizes)} people, {len(several)} of them with two photographs: add people"
        )
    fold = _folds(sizes, folds, random)
    counts = _count(photographs, fold, folds, max(wanted, default=0.0), random, tell)
    n_people = len(sizes)
    unseen = _unseen(len(several), n_people)

    by_method, tested = _cross_validated(counts, fold, folds, sizes)
    # A tie goes to the curve with fewer degrees of freedom.
    method: Method = "isotonic" if by_method["isotonic"] < by_method["logistic"] else "logistic"
    llr, genuine, impostor = tested[method]
    seen_bins = reliability(
        np.concatenate([_sigmoid(llr), _sigmoid(llr)]),
        np.repeat([True, False], len(llr)),
        weights=np.repeat([1 / genuine.sum(), 1 / impostor.sum()], len(llr)),
        counts=np.concatenate([genuine, impostor]),
    )
    order = counts.bin_of(counts.genuine_score)
    genuine_bins = np.bincount(order, minlength=BINS).astype(np.float64)
    impostor_bins = counts.impostor.sum((0, 1))
    curve = _thinned(_curve(method, counts.alike, genuine_bins, impostor_bins, unseen))
    usable = [f for f in wanted if supported(f, counts.n_impostor)]
    value = [_threshold(counts.top_score, f, counts.n_impostor) for f in usable]
    replicas_llr, replicas_at = _bootstrap(
        counts, n_people, method, unseen, curve, usable, n_bootstrap, random, tell
    )
    tail = (1 - confidence) / 2
    band = np.quantile(replicas_llr, [tail, 1 - tail], axis=0)
    score, llr_knots, low, high = _rounded(curve, band, photographs.sign)
    points = _points(counts, usable, value, replicas_at, tail, photographs.sign)
    table = _identification(photographs, wanted_fpirs, n_bootstrap, tail, random, tell)
    made = Calibration(
        contract=contract,
        metric=metric,
        method=method,
        score=score,
        llr=llr_knots,
        llr_low=low,
        llr_high=high,
        data=data,
        n_people=n_people,
        n_photographs=len(photographs.person),
        n_genuine_pairs=len(counts.genuine_score),
        n_impostor_pairs=counts.n_impostor,
        cllr=round(by_method[method], _DIGITS),
        min_cllr=round(
            min_cllr(
                counts.alike,
                counts.alike,
                genuine_weights=genuine_bins,
                impostor_weights=impostor_bins,
            ),
            _DIGITS,
        ),
        ece=round(seen_bins.ece, _DIGITS),
        points=points,
        identification=table,
        created_by=f"lineament {lineament.__version__}",
    )
    return Fitted(made, by_method, seen_bins)


def _silent(what: str, done: int, total: int) -> None:
    """Nobody wants to know."""


def _photographs(
    embeddings: npt.ArrayLike, people: npt.ArrayLike, found: npt.ArrayLike | None, metric: str
) -> _Data:
    chosen = get_metric(metric)
    vectors, names = np.asarray(embeddings, dtype=np.float32), np.asarray(people)
    if vectors.ndim != 2 or names.shape != vectors.shape[:1]:
        raise OptionError(
            f"expected embeddings (N, D) and people (N,), got {vectors.shape} and {names.shape}"
        )
    seen = np.ones(len(vectors), bool) if found is None else np.asarray(found)
    if seen.shape != names.shape or seen.dtype != np.bool_:
        raise OptionError(f"found: expected {names.shape} bool, got {seen.shape} {seen.dtype}")
    vectors, names = vectors[seen], names[seen]
    if not np.isfinite(vectors).all():
        raise OptionError("embeddings: expected finite numbers, got NaN or infinity")
    if len(vectors) == 0:
        raise OptionError("calibration: expected photographs with a face, got none")
    person = np.unique(names, return_inverse=True)[1].reshape(-1)
    order = np.argsort(person, kind="stable")
    sign = 1 if chosen.higher_is_more_alike else -1
    return _Data(vectors[order], person[order].astype(np.int64), metric, sign)


def _rates(rates: Iterable[float], what: str) -> list[float]:
    wanted = sorted(set(rates), reverse=True)
    for rate in wanted:
        if not 0 < rate < 1:
            raise OptionError(f"{what}: expected shares between 0 and 1, got {rate}")
    return wanted


def _folds(sizes: IntArray, folds: int, random: np.random.Generator) -> IntArray:
    """(P,) which fold each person is in; those with several photographs are spread evenly."""
    fold = np.empty(len(sizes), np.int64)
    order = random.permutation(len(sizes))
    order = order[np.argsort(-(sizes[order] > 1).astype(int), kind="stable")]
    fold[order] = np.arange(len(sizes)) % folds
    return fold


def _unseen(people_with_pairs: int, people: int) -> tuple[float, float]:
    """Shares that the rule of three allows for what was not seen: of genuine, impostor pairs.

    In units of people, and of pairs of people: several photographs of one person are no new
    evidence of what strangers look like.
    """
    pairs = people * (people - 1) / 2
    return min(0.5, RULE_OF_3 / people_with_pairs), min(0.5, RULE_OF_3 / pairs)


def _cross_validated(
    counts: _Counts, fold: IntArray, folds: int, sizes: IntArray
) -> tuple[dict[Method, float], dict[Method, tuple[Float64Array, Float64Array, Float64Array]]]:
    """Cllr by method; and, over all test folds, LLRs with the pairs that got them."""
    of_pair = fold[counts.genuine_person]
    bins = counts.bin_of(counts.genuine_score)
    genuine = np.bincount(of_pair * BINS + bins, minlength=folds * BINS).reshape(folds, BINS)
    names: tuple[Method, Method] = ("logistic", "isotonic")
    llrs: dict[Method, list[Float64Array]] = {name: [] for name in names}
    test_impostor = []
    for k in range(folds):
        rest = np.arange(folds) != k
        unseen = _unseen(int((sizes[fold != k] > 1).sum()), int((fold != k).sum()))
        train = (
            genuine[rest].sum(0).astype(np.float64),
            counts.impostor[np.ix_(rest, rest)].sum((0, 1)),
        )
        test_impostor.append(counts.impostor[k, k])
        for name in names:
            llrs[name].append(_curve(name, counts.alike, *train, unseen)(counts.alike))
    g, i = genuine.ravel().astype(np.float64), np.concatenate(test_impostor)
    tested = {name: (np.concatenate(parts), g, i) for name, parts in llrs.items()}
    costs = {
        name: cllr(llr, llr, genuine_weights=g, impostor_weights=i)
        for name, (llr, _, _) in tested.items()
    }
    return costs, tested


def _sigmoid(llr: Float64Array) -> Float64Array:
    return np.asarray(np.exp(-np.logaddexp(0, -llr)))


def _thinned(curve: Curve) -> Curve:
    """At most ``MOST_KNOTS`` knots, the ends among them."""
    if len(curve.alike) <= MOST_KNOTS:
        return curve
    keep = np.unique(np.linspace(0, len(curve.alike) - 1, MOST_KNOTS).round().astype(int))
    return Curve(curve.alike[keep], curve.llr[keep])


def _threshold(descending: npt.NDArray[np.float32], fmr: float, total: int) -> float:
    """The lowest threshold on the alike axis with at most this share of the impostors."""
    allowed = math.floor(fmr * total * (1 + 1e-12))
    return float(np.nextafter(descending[allowed], np.float32(np.inf)))


def _bootstrap(
    counts: _Counts,
    n_people: int,
    method: Method,
    unseen: tuple[float, float],
    curve: Curve,
    fmrs: list[float],
    replicas: int,
    random: np.random.Generator,
    progress: Progress,
) -> tuple[Float64Array, Float64Array]:
    """((R, K) LLRs at the curve's knots, (R, F) thresholds on the alike axis)."""
    genuine_bin = counts.bin_of(counts.genuine_score)
    top_bin = counts.bin_of(counts.top_score)
    at_knots = np.empty((replicas, len(curve.alike)))
    at_rates = np.empty((replicas, len(fmrs)))
    for r in range(replicas):
        while True:
            drawn = np.bincount(random.integers(0, n_people, n_people), minlength=n_people)
            times = drawn.astype(np.float64)
            genuine = np.bincount(genuine_bin, weights=times[counts.genuine_person], minlength=BINS)
            top = times[counts.top_pair[0]] * times[counts.top_pair[1]]
            rest = times[counts.rest_pair[0]] * times[counts.rest_pair[1]] * counts.rest_weight
            impostor = np.bincount(top_bin, weights=top, minlength=BINS)
            impostor += np.bincount(counts.rest_bin, weights=rest, minlength=BINS)
            if genuine.sum() > 0 and impostor.sum() > 0:
                break  # among a handful of people a replica may lack a kind
        at_knots[r] = _curve(
            method, counts.alike, genuine.astype(np.float64), impostor.astype(np.float64), unseen
        )(curve.alike)
        passed = np.cumsum(top)
        for k, fmr in enumerate(fmrs):
            # The first that must stay out; if all may pass, the lowest that was kept.
            place = int(np.searchsorted(passed, fmr * impostor.sum(), side="right"))
            at_rates[r, k] = counts.top_score[min(place, len(passed) - 1)]
        progress("drawing people anew", r + 1, replicas)
    return at_knots, at_rates


def _rounded(
    curve: Curve, band: Float64Array, sign: int
) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
    """Knots as they are kept: rounded, rising, the band about the curve."""
    score = np.round(sign * curve.alike, _DIGITS)
    keep = np.append(True, np.diff(sign * score) > 0)
    if keep.sum() < 2:  # finer than the rounding: take what there is
        score, keep = sign * curve.alike, np.ones(len(score), bool)
    llr = np.round(np.maximum.accumulate(curve.llr), 4)
    low = np.minimum(np.round(np.maximum.accumulate(band[0]), 4), llr)
    high = np.maximum(np.round(np.maximum.accumulate(band[1]), 4), llr)
    return score[keep], llr[keep], low[keep], high[keep]


def _points(
    counts: _Counts,
    fmrs: list[float],
    values: list[float],
    replicas: Float64Array,
    tail: float,
    sign: int,
) -> tuple[OperatingPoint, ...]:
    points = []
    alike = counts.top_score.astype(np.float64)
    for k, (fmr, value) in enumerate(zip(fmrs, values, strict=True)):
        strict = _strict(value)
        low, high = np.quantile(replicas[:, k], [tail, 1 - tail])
        ends = sorted((sign * min(_strict(low), strict), sign * max(_strict(high), strict)))
        matches = int((alike >= strict).sum())
        points.append(OperatingPoint(fmr, sign * strict, ends[0], ends[1], matches))
    return tuple(points)


def _strict(alike: float) -> float:
    """Rounded to the strict side."""
    return float(math.ceil(alike * 10**_DIGITS) / 10**_DIGITS)


# --- galleries ------------------------------------------------------------------------------------


def _identification(
    data: _Data,
    fpirs: list[float],
    replicas: int,
    tail: float,
    random: np.random.Generator,
    progress: Progress,
) -> Identification | None:
    """Thresholds by gallery size; None when there are too few people."""
    n_people = len(data.sizes)
    fpirs = sorted(f for f in fpirs if supported(f, n_people))
    if n_people <= _LEAST_GALLERY_PEOPLE or not fpirs:
        return None
    pool = n_people - 1
    galleries = sorted({size for size in GALLERIES if size < pool} | {pool})
    grid: Float64Array | None = None
    draws = []
    for draw in range(_DRAWS):
        scores = _scores_of_people(data, random)
        if grid is None:
            grid = _grid(scores, min(0.9, 1.5 * max(fpirs) / galleries[0]))
        draws.append(_passing_pairs(scores, grid))
        progress("galleries", draw + 1, _DRAWS)
    assert grid is not None
    whole = np.ones(n_people)
    values: Float64Array = np.mean(
        [_gallery_thresholds(draw, data, whole, grid, galleries, fpirs) for draw in draws], axis=0
    )
    drawn = np.empty((replicas, *values.shape))
    for r in range(replicas):
        times = np.bincount(random.integers(0, n_people, n_people), minlength=n_people)
        drawn[r] = _gallery_thresholds(
            draws[r % _DRAWS], data, times.astype(np.float64), grid, galleries, fpirs
        )
        progress("galleries of people drawn anew", r + 1, replicas)
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    values, low, high = (np.round(a, _DIGITS) for a in (values, low, high))
    low, high = np.minimum(low, values), np.maximum(high, values)
    if data.sign < 0:
        values, low, high = -values, -high, -low
    return Identification(
        n_people=np.array(galleries),
        fpir=np.array(fpirs),
        threshold=values,
        low=low,
        high=high,
        n_probe_people=n_people,
        reference_exponent=round(reference_exponent(data.vectors, data.person, data.metric), 3),
    )


def _grid(scores: npt.NDArray[np.float32], share: float) -> Float64Array:
    """(T,) ascending thresholds: ``share`` of the pairs pass the first, none the last.

    Between them the logarithm of the share falls evenly, so that FPIRs may be interpolated.
    """
    values = scores[scores > -np.inf]
    kept = max(2, math.ceil(share * len(values)))
    if kept < len(values):
        values = np.partition(values, len(values) - kept)[-kept:]
    values = np.sort(values)[::-1].astype(np.float64)
    places = np.unique(np.geomspace(1, len(values), _GRID).astype(int)) - 1
    above = float(np.nextafter(np.float32(values[0]), np.float32(np.inf)))
    return np.unique(np.append(values[places], above))


def _scores_of_people(data: _Data, random: np.random.Generator) -> npt.NDArray[np.float32]:
    """(N, P) alike of each photograph and one photograph of each person; -inf for the own one."""
    sizes = data.sizes
    enrolled = np.cumsum(sizes) - sizes + random.integers(0, sizes)
    scores = np.empty((len(data.person), len(sizes)), np.float32)
    for start in range(0, len(scores), BLOCK):
        rows = slice(start, start + BLOCK)
        scores[rows] = data.sign * score_matrix(
            data.vectors[rows], data.vectors[enrolled], data.metric
        )
    scores[np.arange(len(scores)), data.person] = -np.inf
    return scores


def _passing_pairs(
    scores: npt.NDArray[np.float32], grid: Float64Array
) -> tuple[IntArray, npt.NDArray[np.int32]]:
    """All pairs that pass the lowest threshold: (probe * T + the highest one passed, person)."""
    probe, person = np.nonzero(scores >= grid[0])
    place = np.searchsorted(grid, scores[probe, person].astype(np.float64), side="right") - 1
    return probe * len(grid) + place, person.astype(np.int32)


def _gallery_thresholds(
    pairs: tuple[IntArray, npt.NDArray[np.int32]],
    data: _Data,
    times: Float64Array,
    grid: Float64Array,
    galleries: list[int],
    fpirs: list[float],
) -> Float64Array:
    """(G, F) thresholds on the alike axis, people counting ``times``."""
    cell, person = pairs
    n, pool = len(data.person), len(times) - 1
    weights = times[data.person] / data.sizes[data.person]
    used = np.flatnonzero(weights > 0)
    table = np.bincount(cell, weights=times[person], minlength=n * len(grid))
    table = table.reshape(n, len(grid))[used]
    matching = np.cumsum(table[:, ::-1], axis=1)[:, ::-1].astype(np.int64)
    # A replica may hold a person or two more of the others than the data do.
    matching = np.minimum(matching, pool)
    values = np.empty((len(galleries), len(fpirs)))
    for row, size in enumerate(galleries):
        rates = expected_fpir(matching, pool, size, weights[used])  # falls along the grid
        logs = np.log(np.maximum(rates, 1e-12))
        values[row] = np.interp(np.log(fpirs), logs[::-1], grid[::-1])
    return np.maximum.accumulate(values, axis=0)


def reference_exponent(embeddings: npt.ArrayLike, people: npt.ArrayLike, metric: str) -> float:
    """Return g, 0 to 1: the best of k photographs raises false alarms k^g-fold.

    Measured on the people with two and with three photographs, against all photographs of others,
    where the best of all of a person's k photographs passes in one of a thousand comparisons: how
    many times as often does it pass as one of them alone? 1 without such people: the strict side.
    """
    unit = np.asarray(embeddings, dtype=np.float32)
    codes = np.unique(np.asarray(people), return_inverse=True)[1].reshape(-1)
    sign = 1 if get_metric(metric).higher_is_more_alike else -1
    sizes = np.bincount(codes)
    logs: list[tuple[float, float]] = []
    for k in (2, 3, 4, 5):
        enough = np.flatnonzero(sizes >= k)
        if len(enough) < _LEAST_GALLERY_PEOPLE:
            continue
        rows = np.stack([np.flatnonzero(codes == p)[:k] for p in enough])  # (E, k)
        best, single = [], []
        for start in range(0, len(unit), BLOCK):
            block = slice(start, start + BLOCK)
            scores = sign * score_matrix(unit[block], unit[rows.ravel()], metric)
            scores = scores.reshape(len(scores), len(enough), k)
            stranger = codes[block][:, None] != enough[None]
            best.append(scores.max(axis=2)[stranger])
            single.append(scores[stranger])  # (pairs, k)
        of_best = np.concatenate(best)
        at = np.quantile(of_best, 1 - 1e-3)
        one = float((np.concatenate(single) >= at).mean())
        if one > 0:
            logs.append((math.log(k), math.log(float((of_best >= at).mean()) / one)))
    if not logs:
        return 1.0
    x, y = np.array(logs).T
    return float(np.clip((x @ y) / (x @ x), 0, 1))
