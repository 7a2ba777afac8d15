"""Photos of known people -> a calibration: the steps, in their order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import lineament
from lineament.decide.calibration import Calibration, Method, supported
from lineament.decide.metrics import DEFAULT_METRIC
from lineament.errors import OptionError
from lineament.evaluate.scoring import Reliability, min_cllr, reliability
from lineament.fit.calibrate._galleries import identification
from lineament.fit.calibrate._pairs import BINS, count_pairs, photos_of
from lineament.fit.calibrate.likelihood import fit_curve, thinned
from lineament.fit.calibrate.resampling import (
    DIGITS,
    cross_validated,
    drawn_anew,
    drawn_folds,
    operating_points,
    rounded,
    threshold_at,
    unseen_shares,
)
from lineament.results import Outcome
from lineament.types import Contract, Float64Array, StageProgress

FMRS = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6)
"""Rates for which thresholds are fitted, as far as the data support them."""

FPIRS = (0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.003, 0.002, 0.001)
"""The same for identification."""

FOLDS = 5
N_BOOTSTRAP = 200


@dataclass(frozen=True, eq=False)
class Fitted(Outcome):
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
            "cllr_by_method": {k: round(v, DIGITS) for k, v in self.cllr_by_method.items()},
            "reliability": self.reliability.to_rows(),
            "n_people": made.n_people,
            "n_photos": made.n_photos,
            "n_genuine_pairs": made.n_genuine_pairs,
            "n_impostor_pairs": made.n_impostor_pairs,
        }


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
    progress: StageProgress | None = None,
) -> Fitted:
    """Fit a calibration on photos of known people.

    Equal input gives an equal calibration. LFW View 1 (4,992 photos, 12.5 million pairs)
    takes some ten seconds on one core.

    Args:
        embeddings: (N, D) as the metric takes them (``compare.score_matrix``); rows without a face
            may hold anything.
        people: (N,) who is who: integers, or strings.
        contract: how the embeddings were made.
        data: what they are of, in words, for example "LFW View 1".
        metric: name of the comparison.
        found: (N,) bool, False where no face was found; those photos are left out. None: all.
        fmrs: rates to fit thresholds for; those without 30 false matches behind them are left out,
            and ``Calibration.threshold`` says so when it is asked for one.
        fpirs: the same for galleries.
        n_bootstrap: replicas for the intervals; at least 20.
        confidence: of the intervals, 0 to 1.
        seed: of all that is random here.
        progress: called now and then.

    Raises:
        OptionError: for other shapes, numbers that are not finite, values out of range, or too few
            people: four are needed, two of them with two photos.
    """
    tell: StageProgress = progress if progress is not None else _silent
    photos = photos_of(embeddings, people, found, metric)
    wanted = _rates(fmrs, "false match rates")
    wanted_fpirs = _rates(fpirs, "FPIRs")
    if n_bootstrap < 20:
        raise OptionError(f"expected at least 20 replicas, got {n_bootstrap}", option="n_bootstrap")
    if not 0 < confidence < 1:
        raise OptionError(
            f"expected a share between 0 and 1, got {confidence}", option="confidence"
        )
    random = np.random.default_rng(seed)
    sizes = photos.sizes
    several = np.flatnonzero(sizes > 1)
    folds = min(FOLDS, len(several), len(sizes) // 2)
    if folds < 2:
        raise OptionError(
            "expected at least four people, two of them with two photos or more, "
            f"got {len(sizes)} people, {len(several)} of them with two photos: add people",
            option="calibration",
        )
    fold = drawn_folds(sizes, folds, random)
    counts = count_pairs(photos, fold, folds, max(wanted, default=0.0), random, tell)
    n_people = len(sizes)
    unseen = unseen_shares(len(several), n_people)

    by_method, tested = cross_validated(counts, fold, folds, sizes)
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
    curve = thinned(fit_curve(method, counts.alike, genuine_bins, impostor_bins, unseen))
    usable = [f for f in wanted if supported(f, counts.n_impostor)]
    value = [threshold_at(counts.top_score, f, counts.n_impostor) for f in usable]
    replicas_llr, replicas_at = drawn_anew(
        counts, n_people, method, unseen, curve, usable, n_bootstrap, random, tell
    )
    tail = (1 - confidence) / 2
    band = np.quantile(replicas_llr, [tail, 1 - tail], axis=0)
    score, llr_knots, low, high = rounded(curve, band, photos.sign)
    points = operating_points(counts, usable, value, replicas_at, tail, photos.sign)
    table = identification(photos, wanted_fpirs, n_bootstrap, tail, random, tell)
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
        n_photos=len(photos.person),
        n_genuine_pairs=len(counts.genuine_score),
        n_impostor_pairs=counts.n_impostor,
        cllr=round(by_method[method], DIGITS),
        min_cllr=round(
            min_cllr(
                counts.alike,
                counts.alike,
                genuine_weights=genuine_bins,
                impostor_weights=impostor_bins,
            ),
            DIGITS,
        ),
        ece=round(seen_bins.ece, DIGITS),
        points=points,
        identification=table,
        created_by=f"lineament {lineament.__version__}",
    )
    return Fitted(made, by_method, seen_bins)


def _silent(what: str, done: int, total: int) -> None:
    """Nobody wants to know."""


def _rates(rates: Iterable[float], what: str) -> list[float]:
    wanted = sorted(set(rates), reverse=True)
    for rate in wanted:
        if not 0 < rate < 1:
            raise OptionError(f"expected shares between 0 and 1, got {rate}", option=what)
    return wanted


def _sigmoid(llr: Float64Array) -> Float64Array:
    return np.asarray(np.exp(-np.logaddexp(0, -llr)))
