"""Fit the fusions of ``lineament.decide.fusion`` on photos of known people.

All pairs are too many to make features of, and nearly all of them are easy. So every genuine pair
is taken, every impostor pair that some recognizer finds rather alike, and a random sample of the
others, each of which counts as often as the pairs that it stands for: rates stay right.

Everything is judged "out of fold", over people: people are dealt into folds, and a pair is scored
by a fusion that was fitted on pairs of other people only. A pair within a fold leaves out that
fold, one between two folds leaves out both; so all pairs count, and each strictly unseen.

Fusions are trained at ``PRIOR``, a hundredth of genuine pairs, and not at a half: that lays weight
on the impostor pairs that count at low false match rates. What that adds to the log odds is taken
off again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lineament.decide.calibration import RULE_OF_3, OperatingPoint, supported
from lineament.decide.fusion import (
    LogisticFusion,
    MeanFusion,
    Side,
    feature_names,
    features_of,
    load_booster,
    load_lightgbm,
    rises,
)
from lineament.errors import OptionError
from lineament.evaluate.pair_counts import all_pairs
from lineament.evaluate.scoring import cllr
from lineament.fit.calibrate.likelihood import Curve, fit_isotonic, fit_logistic
from lineament.types import BoolArray, Float64Array, IntArray

FOLDS = 5
PRIOR = 0.01
RIDGE = 1e-6
HARD_FMR = 3e-3
"""Impostor pairs that a recognizer ranks so high are all taken."""
SAMPLE = 400_000
FMRS = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
SHARES = ((1, 1, 1), (2, 1, 0), (3, 1, 0), (3, 1, 0.5), (4, 2, 1))
"""Of the members in ``MeanFusion``; the best on the fit's own pairs is taken."""
DEPTHS = (1, 2, 3)
ROUNDS = (50, 100, 150, 200, 250)

_BLOCK = 512
_BINS = 4096
_DIGITS = 6


@dataclass(frozen=True, eq=False, slots=True)
class PairSet:
    """M pairs that stand for all.

    Attributes:
        left, right: (M,) rows of the photos.
        person_left, person_right: (M,) whose they are, 0 .. P - 1.
        weight: (M,) how many pairs each stands for; 1 for all genuine and all hard ones.
        features: (M, K), see ``lineament.decide.fusion``.
        n_people: P.
    """

    left: IntArray
    right: IntArray
    person_left: IntArray
    person_right: IntArray
    weight: Float64Array
    features: Float64Array
    n_people: int

    @property
    def same(self) -> BoolArray:
        """(M,) which are genuine."""
        return np.asarray(self.person_left == self.person_right)

    @property
    def n_impostor(self) -> int:
        """How many impostor pairs they stand for."""
        return round(float(self.weight[~self.same].sum()))

    def only(self, which: BoolArray) -> PairSet:
        """Some of the pairs, (M,) bool."""
        return PairSet(
            self.left[which],
            self.right[which],
            self.person_left[which],
            self.person_right[which],
            self.weight[which],
            self.features[which],
            self.n_people,
        )


def pair_set(
    sides: Sequence[Side],
    people: npt.ArrayLike,
    *,
    hard_fmr: float = HARD_FMR,
    sample: int = SAMPLE,
    seed: int = 0,
) -> PairSet:
    """Choose the pairs among N photos, and make their features.

    Args:
        sides: of each recognizer, (N, D) vectors and (N,) norms; a face was found in each.
        people: (N,) who is who.
        hard_fmr: impostor pairs whose cosine by any recognizer passes its threshold for this rate
            are all taken.
        sample: about so many of the others are.
        seed: of the sample.
    """
    person = np.unique(np.asarray(people), return_inverse=True)[1].reshape(-1).astype(np.int64)
    n = len(person)
    cuts = [all_pairs(side.vectors, person).threshold_at_fmr(hard_fmr) for side in sides]
    random = np.random.default_rng(seed)
    n_same = int((np.bincount(person) * (np.bincount(person) - 1) // 2).sum())
    share = min(1.0, sample / max(1, n * (n - 1) // 2 - n_same))
    taken: list[tuple[IntArray, IntArray, BoolArray]] = []
    n_easy = 0
    for start in range(0, n, _BLOCK):
        rows = slice(start, start + _BLOCK)
        same = person[rows, None] == person[None, start:]
        pair = np.arange(n - start)[None] > np.arange(len(same))[:, None]
        hard = np.zeros(same.shape, bool)
        for side, cut in zip(sides, cuts, strict=True):
            hard |= side.vectors[rows] @ side.vectors[start:].T >= cut
        easy = pair & ~same & ~hard
        n_easy += int(easy.sum())
        easy &= random.random(easy.shape, np.float32) < share
        for kind in (pair & (same | hard), easy):
            i, j = np.nonzero(kind)
            taken.append((start + i, start + j, np.full(len(i), kind is easy)))
    left, right, is_easy = (np.concatenate([part[k] for part in taken]) for k in range(3))
    weight = np.where(is_easy, n_easy / max(1, is_easy.sum()), 1.0)
    made = features_of(sides, left, right)
    return PairSet(left, right, person[left], person[right], weight, made, int(person.max()) + 1)


# --- the three fusions ----------------------------------------------------------------------------


def fit_mean(pairs: PairSet, shares: Sequence[float]) -> MeanFusion:
    """Scores in standard deviations of impostor pairs, averaged by shares of the recognizers.

    Args:
        pairs: to learn means and deviations from.
        shares: of the recognizers; within each, the metrics count alike, and norms nothing.
    """
    impostor = np.where(pairs.same, 0, pairs.weight)
    mean, sd = _moments(pairs.features, impostor)
    width = pairs.features.shape[1] // len(shares)
    scores = rises(feature_names(["one"]))
    if len(scores) != width:
        raise OptionError(
            f"expected one for {len(scores)} features, got one for {width}", option="shares"
        )
    weights = np.concatenate([np.where(scores, share, 0.0) for share in shares])
    return MeanFusion(mean, sd, weights / weights.sum(), 0.0)


def fit_logistic_fusion(
    pairs: PairSet, names: Sequence[str], *, prior: float = PRIOR, ridge: float = RIDGE
) -> LogisticFusion:
    """Logistic regression in which no score has a negative weight; norms may.

    The mean log loss plus ridge / 2 times the sum of squared weights, of features that are
    standardized at equal shares of genuine and impostor pairs, by projected Newton steps
    (Bertsekas, "Projected Newton methods for optimization problems with simple constraints", SIAM
    Journal on Control and Optimization 1982).
    """
    half = _class_weights(pairs, 0.5)
    mean, sd = _moments(pairs.features, half)
    x = np.column_stack([(pairs.features - mean) / sd, np.ones(len(half))])
    held = np.append(rises(names), False)
    penalty = np.append(np.full(len(names), ridge), 0.0)
    found = _projected_newton(x, pairs.same, _class_weights(pairs, prior), held, penalty)
    bias = float(found[-1]) - math.log(prior / (1 - prior))
    return LogisticFusion(mean, sd, found[:-1], bias)


def fit_boosted(
    pairs: PairSet, names: Sequence[str], *, depth: int, rounds: int, prior: float = PRIOR
) -> str:
    """LightGBM's text of trees that no score lowers when it grows (monotone constraints).

    Equal input gives equal trees.

    Raises:
        MissingExtraError: LightGBM is not installed.
    """
    lightgbm = load_lightgbm()
    log_odds = math.log(prior / (1 - prior))
    data = lightgbm.Dataset(
        pairs.features,
        pairs.same.astype(np.int32),
        # Scaled, because LightGBM's limits are in units of weight.
        weight=_class_weights(pairs, prior) * 1e4,
        init_score=np.full(len(pairs.left), log_odds),
        feature_name=[name.replace(".", "_") for name in names],
        params={"verbosity": -1, "max_bin": 511},
    )
    parameters = {
        "objective": "binary",
        "max_depth": depth,
        "num_leaves": 2**depth,
        "learning_rate": 0.1,
        "lambda_l2": 1.0,
        "min_data_in_leaf": 50,
        "min_sum_hessian_in_leaf": 0.05,
        "max_bin": 511,
        "monotone_constraints": [int(rise) for rise in rises(names)],
        "monotone_constraints_method": "advanced",
        "num_threads": 1,
        "force_row_wise": True,
        "deterministic": True,
        "seed": 0,
        "verbosity": -1,
    }
    made = lightgbm.train(parameters, data, num_boost_round=rounds)
    # Fitted on top of the prior's log odds, which are no part of the model: its sum is without.
    return str(made.model_to_string())


def staged(
    pairs: PairSet, test: PairSet, names: Sequence[str], *, depth: int, rounds: Sequence[int]
) -> Float64Array:
    """Scores of the test pairs after each of these numbers of trees: (M, R)."""
    booster = load_booster(fit_boosted(pairs, names, depth=depth, rounds=max(rounds)))
    parts = [
        booster.predict(test.features, raw_score=True, num_iteration=n, num_threads=1)
        for n in rounds
    ]
    return np.stack(parts, axis=1).astype(np.float64)


def _projected_newton(
    x: Float64Array, same: BoolArray, weight: Float64Array, held: BoolArray, penalty: Float64Array
) -> Float64Array:
    """Weights (K,) of least loss; those that are ``held`` are 0 or more."""
    w = np.zeros(x.shape[1])
    target = same.astype(np.float64)

    def loss(at: Float64Array) -> float:
        t = x @ at
        return float(weight @ (np.logaddexp(0, t) - target * t) + penalty @ at**2 / 2)

    now = loss(w)
    for _ in range(200):
        p = np.exp(-np.logaddexp(0, -(x @ w)))
        gradient = x.T @ (weight * (p - target)) + penalty * w
        free = ~(held & (w <= 0) & (gradient > 0))
        if np.abs(gradient[free]).max(initial=0) < 1e-10:
            break
        curve = weight * p * (1 - p)
        hessian = (x[:, free].T * curve) @ x[:, free]
        hessian[np.diag_indices(len(hessian))] += penalty[free] + 1e-12
        step = np.zeros_like(w)
        step[free] = np.linalg.solve(hessian, gradient[free])
        size = 1.0
        while size > 1e-12:
            new = np.where(held, np.maximum(w - size * step, 0), w - size * step)
            value = loss(new)
            if value < now:
                break
            size /= 2
        else:
            break
        done = now - value < 1e-13
        w, now = new, value
        if done:
            break
    return w


def _class_weights(pairs: PairSet, prior: float) -> Float64Array:
    """(M,) summing to 1, of which ``prior`` lies on genuine pairs."""
    same = pairs.same
    genuine, impostor = same * pairs.weight, ~same * pairs.weight
    if not (genuine.sum() > 0 and impostor.sum() > 0):
        raise OptionError("expected genuine and impostor pairs, got one kind only", option="fusion")
    total: Float64Array = prior * genuine / genuine.sum() + (1 - prior) * impostor / impostor.sum()
    return total


def _moments(features: Float64Array, weight: Float64Array) -> tuple[Float64Array, Float64Array]:
    share = weight / weight.sum()
    mean: Float64Array = share @ features
    sd: Float64Array = np.sqrt(share @ (features - mean) ** 2)
    return mean, np.where(sd > 0, sd, 1.0)


# --- out of fold ----------------------------------------------------------------------------------


def folds_of(pairs: PairSet, *, folds: int = FOLDS, seed: int = 0) -> IntArray:
    """(P,) which fold each person is in; those with most genuine pairs are spread evenly."""
    random = np.random.default_rng(seed)
    genuine = np.bincount(pairs.person_left[pairs.same], minlength=pairs.n_people)
    order = random.permutation(pairs.n_people)
    order = order[np.argsort(-genuine[order], kind="stable")]
    fold = np.empty(pairs.n_people, np.int64)
    fold[order] = np.arange(pairs.n_people) % folds
    return fold


def out_of_fold(
    pairs: PairSet,
    fold: IntArray,
    score: Callable[[PairSet, PairSet], Float64Array],
) -> Float64Array:
    """Score each pair by what was fitted without its two people's folds.

    Args:
        pairs: M of them.
        fold: (P,) from ``folds_of``.
        score: (pairs to fit on, pairs to score) -> (scored, ...).

    Returns:
        (M, ...) float64.
    """
    a, b = fold[pairs.person_left], fold[pairs.person_right]
    made: Float64Array | None = None
    for i in range(int(fold.max()) + 1):
        for j in range(i + 1):
            test = ((a == i) & (b == j)) | ((a == j) & (b == i))
            train = ~(np.isin(a, (i, j)) | np.isin(b, (i, j)))
            scores = score(pairs.only(train), pairs.only(test))
            if made is None:
                made = np.full((len(a), *scores.shape[1:]), np.nan)
            made[test] = scores
    assert made is not None
    assert not np.isnan(made).any()
    return made


class Figures(NamedTuple):
    """How good scores are.

    Attributes:
        tar: TAR by false match rate.
        loss: mean log loss, in nats, at ``PRIOR``; of scores that are log odds.
    """

    tar: dict[float, float]
    loss: float


def judge(pairs: PairSet, scores: Float64Array, fmrs: Sequence[float] = FMRS) -> Figures:
    """TAR and log loss of scores, higher more alike; pairs count as often as they stand for."""
    same = pairs.same
    order, passed = _passing(scores[~same], pairs.weight[~same])
    genuine = scores[same]
    tar = {fmr: float((genuine > _limit(order, passed, fmr * passed[-1])).mean()) for fmr in fmrs}
    odds = scores + math.log(PRIOR / (1 - PRIOR))
    loss = np.where(same, np.logaddexp(0, -odds), np.logaddexp(0, odds))
    return Figures(tar, float(_class_weights(pairs, PRIOR) @ loss))


def _passing(impostor: Float64Array, weight: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Scores, descending, and how many pairs reach each."""
    order = np.argsort(-impostor, kind="stable")
    return impostor[order], np.cumsum(weight[order])


def _limit(descending: Float64Array, passed: Float64Array, allowed: float) -> float:
    """The highest score that must stay out so that no more than ``allowed`` pairs pass."""
    place = int(np.searchsorted(passed, allowed * (1 + 1e-12), side="right"))
    return float(descending[min(place, len(descending) - 1)])


# --- what the scores mean -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class Meaning:
    """Thresholds and log-likelihood ratios of scores out of fold; see ``ensemble_file.Spec``."""

    method: str
    score: Float64Array
    llr: Float64Array
    llr_low: Float64Array
    llr_high: Float64Array
    points: tuple[OperatingPoint, ...]
    cllr: float


def meaning_of(
    pairs: PairSet,
    scores: Float64Array,
    fold: IntArray,
    *,
    fmrs: Sequence[float] = FMRS,
    n_bootstrap: int = 200,
    seed: int = 0,
) -> Meaning:
    """Fit them, with 95 % intervals from a bootstrap over people (see ``evaluate.calibrate``).

    Args:
        pairs: M of them.
        scores: (M,) out of fold.
        fold: (P,) the same folds: the method with the lower Cllr over them is taken.
        fmrs: rates wanted; those without 30 false matches behind them are left out.
        n_bootstrap: replicas.
        seed: of the bootstrap.
    """
    same = pairs.same
    least, most = float(scores.min()), float(scores.max())
    width = (most - least) / _BINS
    center = least + (np.arange(_BINS, dtype=np.float64) + 0.5) * width
    place = np.clip((scores - least) / width, 0, _BINS - 1).astype(np.int64)

    def curve(method: str, weight: Float64Array) -> Curve:
        genuine, impostor = (
            np.bincount(place[kind], weights=weight[kind], minlength=_BINS).astype(np.float64)
            for kind in (same, ~same)
        )
        return _curve(method, center, genuine, impostor, _unseen(pairs))

    a, b = fold[pairs.person_left], fold[pairs.person_right]
    costs = {}
    for method in ("logistic", "isotonic"):
        llr, tested = np.zeros(len(scores)), np.zeros(len(scores), bool)
        for k in range(int(fold.max()) + 1):
            test = (a == k) & (b == k)
            fitted = curve(method, np.where((a != k) & (b != k), pairs.weight, 0.0))
            llr[test], tested = fitted(scores[test]), tested | test
        genuine, impostor = tested & same, tested & ~same
        costs[method] = cllr(llr[genuine], llr[impostor], impostor_weights=pairs.weight[impostor])
    best = min(costs, key=lambda name: costs[name])
    chosen = curve(best, pairs.weight)
    keep = np.unique(np.linspace(0, len(chosen.alike) - 1, 100).round().astype(int))
    knots = chosen.alike[keep]

    n_impostor = float(pairs.weight[~same].sum())
    usable = [f for f in sorted(fmrs, reverse=True) if supported(f, n_impostor)]
    order = np.argsort(-scores[~same], kind="stable")
    descending = scores[~same][order]
    random = np.random.default_rng(seed)
    llrs = np.empty((n_bootstrap, len(knots)))
    limits = np.empty((n_bootstrap, len(usable)))
    for r in range(n_bootstrap):
        drawn = np.bincount(
            random.integers(0, pairs.n_people, pairs.n_people), minlength=pairs.n_people
        )
        # A genuine pair counts as often as its person was drawn, another as often as both were.
        times = np.where(
            same, drawn[pairs.person_left], drawn[pairs.person_left] * drawn[pairs.person_right]
        )
        weight = pairs.weight * times
        llrs[r] = curve(best, weight)(knots)
        passed = np.cumsum(weight[~same][order])
        limits[r] = [_limit(descending, passed, f * passed[-1]) for f in usable]
    low, high = np.quantile(llrs, [0.025, 0.975], axis=0)
    middle = np.asarray(np.round(np.maximum.accumulate(chosen.llr[keep]), 4), np.float64)
    passed = np.cumsum(pairs.weight[~same][order])
    points = []
    for k, fmr in enumerate(usable):
        value = _strict(_limit(descending, passed, fmr * n_impostor))
        ends = np.quantile(limits[:, k], [0.025, 0.975])
        matches = round(float(pairs.weight[~same][order][descending >= value].sum()))
        points.append(
            OperatingPoint(
                fmr, value, min(_strict(ends[0]), value), max(_strict(ends[1]), value), matches
            )
        )
    return Meaning(
        method=best,
        score=np.round(knots, _DIGITS),
        llr=middle,
        llr_low=np.minimum(np.round(np.maximum.accumulate(low), 4), middle),
        llr_high=np.maximum(np.round(np.maximum.accumulate(high), 4), middle),
        points=tuple(points),
        cllr=round(costs[best], _DIGITS),
    )


def _strict(limit: float) -> float:
    """A threshold just past a score that must stay out, with few digits."""
    return float((math.floor(limit * 10**_DIGITS) + 1) / 10**_DIGITS)


def _unseen(pairs: PairSet) -> tuple[float, float]:
    """The rule of three, in people and in pairs of people, as ``evaluate.calibrate`` has it."""
    with_pairs = len(np.unique(pairs.person_left[pairs.same]))
    strangers = pairs.n_people * (pairs.n_people - 1) / 2
    return min(0.5, RULE_OF_3 / with_pairs), min(0.5, RULE_OF_3 / strangers)


def _curve(
    method: str,
    center: Float64Array,
    genuine: Float64Array,
    impostor: Float64Array,
    unseen: tuple[float, float],
) -> Curve:
    if method == "isotonic":
        return fit_isotonic(center, genuine, impostor, unseen=unseen)
    soft = [1 / (RULE_OF_3 / share + 2) for share in unseen]  # Platt's targets
    a, b = fit_logistic(center, genuine, impostor, unseen=(soft[0], soft[1]))
    ends = np.array([math.log(unseen[0]), -math.log(unseen[1])])
    return Curve((ends - b) / a, ends)


def to_dict(meaning: Meaning) -> dict[str, Any]:
    """Plain values, ready for an ensemble's file."""
    return {
        "score": meaning.score.tolist(),
        "llr": meaning.llr.tolist(),
        "llr_low": meaning.llr_low.tolist(),
        "llr_high": meaning.llr_high.tolist(),
        "points": [asdict(point) for point in meaning.points],
        "cllr": meaning.cllr,
    }
