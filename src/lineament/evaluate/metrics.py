"""Rates, curves and thresholds of verification, in NumPy alone.

Conventions, stated once:

- a score is a similarity: higher is more alike, and a pair is called the same when
  ``score >= threshold``;
- genuine pairs show one person, impostor pairs two (ISO/IEC 19795-1);
- FMR, the false match rate, is the share of impostor pairs called the same;
- FNMR, the false non-match rate, is the share of genuine pairs called different;
- TAR, the true accept rate, is 1 - FNMR. All are shares from 0 to 1, never per cent;
- a threshold is returned as a float that the scores' own precision (float32 or float64) can hold
  exactly, so that comparing scores with it gives the promised rate, whichever way NumPy casts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lineament.errors import OptionError
from lineament.types import BoolArray, Float64Array

Array = npt.NDArray[Any]
UNIT_NORM_TOLERANCE = 1e-3
"""float32 unit vectors are within 1e-6; this catches vectors that nobody has scaled."""


class Roc(NamedTuple):
    """A receiver operating characteristic; see ``roc``."""

    fmr: Float64Array
    tar: Float64Array
    thresholds: Float64Array


def roc(scores: npt.ArrayLike, same: npt.ArrayLike) -> Roc:
    """Return FMR and TAR at each threshold that makes a difference.

    Args:
        scores: (M,) similarities.
        same: (M,) bool, True for the genuine pairs.

    Returns:
        Three float64 arrays of one length, the number of distinct scores + 1. Thresholds fall; the
        first is infinity (nothing matches: FMR = TAR = 0), then every distinct score once, so that
        tied scores always move together; the last point is FMR = TAR = 1.

    Raises:
        OptionError: for other shapes, scores that are not finite, or pairs of one kind only.
    """
    values, truth = _labeled(scores, same)
    order = np.argsort(-values, kind="stable")
    values, truth = values[order], truth[order]
    last_of_tie = np.append(np.flatnonzero(values[1:] != values[:-1]), len(values) - 1)
    matches = np.cumsum(truth)[last_of_tie]
    false_matches = last_of_tie + 1 - matches
    return Roc(
        np.append(0.0, false_matches / false_matches[-1]),
        np.append(0.0, matches / matches[-1]),
        np.append(np.inf, values[last_of_tie].astype(np.float64)),
    )


def auc(scores: npt.ArrayLike, same: npt.ArrayLike) -> float:
    """Return the area under the ROC curve, 0 to 1, by the trapezoidal rule.

    It is the probability that a genuine pair scores higher than an impostor pair, ties counting
    one half (Hanley & McNeil 1982). Raises as ``roc`` does.
    """
    curve = roc(scores, same)
    return float(np.sum(np.diff(curve.fmr) * (curve.tar[1:] + curve.tar[:-1])) / 2)


def eer(scores: npt.ArrayLike, same: npt.ArrayLike) -> float:
    """Return the equal error rate, 0 to 1: where FMR = FNMR on the ROC curve.

    Between the two thresholds that enclose the crossing, the curve is taken as the straight line
    through their points, as ``auc`` takes it. Raises as ``roc`` does.
    """
    fmr, tar, _ = roc(scores, same)
    gap = fmr + tar - 1  # FMR - FNMR: rises from -1 to 1
    right = int(np.argmax(gap >= 0))  # at least 1, since the curve starts with -1
    share = -gap[right - 1] / (gap[right] - gap[right - 1])
    return float(fmr[right - 1] + share * (fmr[right] - fmr[right - 1]))


def threshold_at_fmr(impostor: npt.ArrayLike, fmr: float) -> float:
    """Return the lowest threshold at which the impostor scores' FMR is no more than ``fmr``.

    It is the first number of the scores' precision above the highest impostor score that may not
    match; hence never optimistic. A rate below one in the number of impostor pairs cannot be
    measured: the threshold then lies just above the highest impostor score (FMR 0).

    Args:
        impostor: (M,) similarities of impostor pairs.
        fmr: the rate wanted, 0 <= fmr < 1.

    Raises:
        OptionError: for no or not finite scores, or another rate.
    """
    values = _scores(impostor, "impostor scores")
    allowed = allowed_matches(fmr, len(values))
    place = len(values) - 1 - allowed  # in ascending order: the first that must not match
    return just_above(np.partition(values, place)[place])


def tar_at_fmr(
    genuine: npt.ArrayLike, impostor: npt.ArrayLike, fmrs: Iterable[float]
) -> Float64Array:
    """Return TAR, 0 to 1, at ``threshold_at_fmr`` of each wanted false match rate.

    Args:
        genuine: (G,) similarities of genuine pairs.
        impostor: (M,) similarities of impostor pairs.
        fmrs: the rates wanted, each 0 <= fmr < 1.

    Returns:
        (len(fmrs),) float64.

    Raises:
        OptionError: as ``threshold_at_fmr``.
    """
    values = _scores(genuine, "genuine scores")
    others = _scores(impostor, "impostor scores")
    kind = np.promote_types(values.dtype, others.dtype)
    values, others = values.astype(kind), others.astype(kind)
    return np.array([(values >= threshold_at_fmr(others, f)).mean() for f in fmrs], np.float64)


def accuracy(scores: npt.ArrayLike, same: npt.ArrayLike, threshold: float) -> float:
    """Return the share, 0 to 1, of pairs that ``score >= threshold`` calls rightly.

    ``scores``: (M,); ``same``: (M,) bool. Pairs of one kind only are fine here.

    Raises:
        OptionError: for other shapes, no pairs, or numbers that are not finite.
    """
    values, truth = _paired(scores, same)
    if math.isnan(threshold):
        raise OptionError("expected a number, got nan", option="threshold")
    return float(((values.astype(np.float64) >= threshold) == truth).mean())


def best_threshold(scores: npt.ArrayLike, same: npt.ArrayLike) -> float:
    """Return the threshold of the highest accuracy.

    Candidates are the midpoints between neighboring distinct scores, the lowest score (all pairs
    are the same) and the first number above the highest (none are). Of several candidates that are
    equally accurate the highest is taken: the fewest false matches.

    Raises:
        OptionError: as ``accuracy``.
    """
    values, truth = _paired(scores, same)
    order = np.argsort(values, kind="stable")
    values, truth = values[order], truth[order]
    # cut c: the c lowest pairs are called different, the others the same
    right = np.sum(truth) + np.append(0, np.cumsum(1 - 2 * truth.astype(np.int64)))
    distinct = np.append(np.flatnonzero(values[1:] != values[:-1]) + 1, len(values))
    cuts = np.append(0, distinct)
    best = int(cuts[len(cuts) - 1 - np.argmax(right[cuts][::-1])])
    if best == 0:
        return float(values[0])
    if best == len(values):
        return just_above(values[-1])
    below, above = values[best - 1], values[best]
    half = values.dtype.type(0.5)  # halves first: the sum of two large scores may overflow
    middle = below * half + above * half
    # Between two neighboring floats the middle is rounded to one of them.
    return float(middle if below < middle <= above else above)


@dataclass(frozen=True, eq=False)
class KFoldAccuracy:
    """Accuracy by LFW's protocol; all accuracies are shares from 0 to 1.

    Attributes:
        mean: of the folds' accuracies.
        standard_error: of that mean: the folds' standard deviation (with K - 1) over sqrt(K).
        accuracies: (K,) float64, one a fold.
        thresholds: (K,) float64: what each fold was judged with.
    """

    mean: float
    standard_error: float
    accuracies: Float64Array
    thresholds: Float64Array


def kfold_accuracy(scores: npt.ArrayLike, same: npt.ArrayLike) -> KFoldAccuracy:
    """Judge each fold with the ``best_threshold`` of the others together.

    Huang et al., "Labeled Faces in the Wild", University of Massachusetts technical report 07-49,
    2007, section III-A (View 2).

    Args:
        scores: (K, M) similarities, K >= 2 folds of M pairs.
        same: (K, M) bool.

    Raises:
        OptionError: for other shapes, or numbers that are not finite.
    """
    shape = np.shape(scores)
    if len(shape) != 2 or shape[0] < 2 or shape != np.shape(same):
        raise OptionError(
            "expected scores and same of one shape (K, M) with K >= 2 folds, "
            f"got {shape} and {np.shape(same)}"
        )
    values, truth = _paired(np.ravel(scores), np.ravel(same))
    values, truth = values.reshape(shape), truth.reshape(shape)
    rest = [np.arange(shape[0]) != k for k in range(shape[0])]
    thresholds = [best_threshold(values[r].ravel(), truth[r].ravel()) for r in rest]
    shares = np.array(
        [accuracy(v, t, at) for v, t, at in zip(values, truth, thresholds, strict=True)]
    )
    return KFoldAccuracy(
        mean=float(shares.mean()),
        standard_error=float(shares.std(ddof=1) / math.sqrt(len(shares))),
        accuracies=shares,
        thresholds=np.array(thresholds),
    )


def interval_of_rate(errors: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a rate of which ``errors`` of ``trials`` were seen.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927. It
    presumes independent trials; pairs that share photos are not, and the truth is then less
    certain than the interval says.

    Returns:
        (low, high), shares from 0 to 1.

    Raises:
        OptionError: unless 0 <= errors <= trials, trials >= 1 and 0 < confidence < 1.
    """
    if not (0 <= errors <= trials and trials >= 1):
        raise OptionError(
            f"expected 0 <= errors <= trials and trials >= 1, got {errors} errors in {trials}"
        )
    if not 0 < confidence < 1:
        raise OptionError(
            f"expected a share between 0 and 1, got {confidence}", option="confidence"
        )
    low, high = wilson_intervals(np.array([errors / trials]), np.array([float(trials)]), confidence)
    return float(low[0]), float(high[0])


def wilson_intervals(
    rates: Float64Array, trials: Float64Array, confidence: float
) -> tuple[Float64Array, Float64Array]:
    """The same for many rates at once, whose numbers of trials weights may have made fractional.

    With n trials, a rate p and z the normal deviate of the confidence, the ends are
    (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n).

    Args:
        rates: (M,) shares from 0 to 1.
        trials: (M,) numbers above 0.
        confidence: 0 to 1, both excluded.

    Returns:
        (low, high), each (M,), shares from 0 to 1.
    """
    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    middle = (rates + z2 / (2 * trials)) / (1 + z2 / trials)
    half = np.sqrt(z2 * (rates * (1 - rates) / trials + z2 / (4 * trials**2))) / (1 + z2 / trials)
    # Exact at the ends, where rounding would leave 1e-18 or 0.999...
    return np.where(rates == 0, 0.0, middle - half), np.where(rates == 1, 1.0, middle + half)


def check_unit_rows(vectors: npt.NDArray[np.float32], rows: BoolArray) -> None:
    """Check that the chosen rows, (N,) bool, of ``vectors``, (N, D) float32, have length 1.

    Raises:
        OptionError: when one has not, or holds a number that is not finite.
    """
    # Rows that are not chosen may hold anything, and NumPy warns of an overflow.
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
        wrong = ~(np.abs(lengths - 1) <= UNIT_NORM_TOLERANCE) & rows  # nan is wrong too
    if wrong.any():
        row = int(np.argmax(wrong))
        raise OptionError(
            f"expected unit vectors, got length {lengths[row]:.4g} in row {row}; "
            "divide each row by its length, or say in `found` that it has no face",
            option="embeddings",
        )


def _scores(scores: npt.ArrayLike, what: str) -> Array:
    try:
        values: Array = np.asarray(scores)
        if values.dtype != np.float32:
            values = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"expected numbers in one row, got {scores!r:.80}", option=what
        ) from error
    if values.ndim != 1 or len(values) == 0:
        raise OptionError(f"expected shape (M,) with M >= 1, got {values.shape}", option=what)
    if not np.isfinite(values).all():
        raise OptionError(
            f"expected finite numbers, got {values[~np.isfinite(values)][0]}", option=what
        )
    return values


def _paired(scores: npt.ArrayLike, same: npt.ArrayLike) -> tuple[Array, BoolArray]:
    values = _scores(scores, "scores")
    truth = np.asarray(same)
    if truth.shape != values.shape:
        raise OptionError(
            f"expected shape {values.shape} as the scores, got {truth.shape}", option="same"
        )
    if truth.dtype != np.bool_:
        if not np.isin(truth, (0, 1)).all():
            raise OptionError(
                "expected True or False for each pair, got other values", option="same"
            )
        truth = truth.astype(np.bool_)
    return values, truth


def _labeled(scores: npt.ArrayLike, same: npt.ArrayLike) -> tuple[Array, BoolArray]:
    values, truth = _paired(scores, same)
    if truth.all() or not truth.any():
        kind = "genuine" if truth.all() else "impostor"
        raise OptionError(
            f"expected genuine and impostor pairs, got {len(truth)} {kind} pairs only: "
            "a curve needs both"
        )
    return values, truth


def allowed_matches(fmr: float, trials: int) -> int:
    """How many of the trials may match: the most with count / trials <= fmr."""
    if not 0 <= fmr < 1:
        raise OptionError(f"false match rate: expected 0 <= rate < 1, got {fmr}")
    count = int(fmr * trials)
    # The product may be rounded to either side of a whole number: 0.29 * 100 = 28.999...
    if (count + 1) / trials <= fmr:
        return count + 1
    return count - 1 if count / trials > fmr else count


def just_above(score: Any) -> float:
    """The next number of the same precision."""
    return float(np.nextafter(score, np.array(np.inf, score.dtype)))
