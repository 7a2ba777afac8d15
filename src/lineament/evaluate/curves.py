"""The numbers behind the pictures, in NumPy alone: error curves, operating points, histograms.

Whatever a picture shows is computed here and can be had without drawing anything. Conventions are
those of ``metrics``: similarities, ``score >= threshold`` is a match, shares from 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lineament.errors import OptionError
from lineament.evaluate.metrics import interval_of_rate, threshold_at_fmr
from lineament.evaluate.pair_counts import PairCounts
from lineament.evaluate.result import Scores
from lineament.types import NO_FACE_SCORE, Float64Array, IntArray

Data = Scores | PairCounts
"""The scores of pairs, or the counts of all pairs."""

FMRS_MARKED = (1e-2, 1e-3, 1e-4, 1e-5)
"""Operating points that pictures mark, as far as there are impostor pairs enough to measure one."""

MOST_POINTS = 500
"""More than any screen tells apart on a curve."""

LEAST_ERRORS = 30
"""With 30 errors seen, the true rate is within 30 % of the measured one at 90 % confidence: the
rule of 30 of Doddington et al., "The NIST speaker recognition evaluation", Speech Communication
31, 2000. With fewer, a rate is uncertain."""

BINS = 80
"""Bars of a histogram, about: one is then some pixels wide."""


class DetPoints(NamedTuple):
    """A detection error trade-off: three float64 arrays of one length; see ``det_points``."""

    fmr: Float64Array
    fnmr: Float64Array
    thresholds: Float64Array


def det_points(scores: Data, *, most: int | None = MOST_POINTS) -> DetPoints:
    """Return FMR and FNMR, shares 0 to 1, as the threshold falls.

    The first threshold is infinity (FMR 0, FNMR 1); the last one accepts every genuine pair. Every
    point is exact: it is on the full curve. Of ``PairCounts``, thresholds below the tail of
    impostor scores are the starts of the histogram's bins.

    Args:
        scores: of pairs, or the counts of all pairs.
        most: at most so many points, at least 2, chosen so that no point that is left out lies
            farther from the curve drawn than some ``4 / most`` of an axis, linear or logarithmic.
            None: all points.

    Raises:
        OptionError: genuine or impostor pairs are missing, or a score is not finite.
    """
    if most is not None and most < 2:
        raise OptionError(f"expected at least 2 points, got {most}", option="most")
    n_genuine, n_impostor = sizes(scores)
    if n_genuine == 0 or n_impostor == 0:
        raise OptionError(
            "an error curve needs genuine and impostor pairs, got "
            f"{n_genuine} genuine and {n_impostor} impostor pairs"
        )
    genuine = np.sort(scores.genuine.astype(np.float64))
    if isinstance(scores, PairCounts):
        thresholds, false_matches = _counted(scores, genuine)
    else:
        impostor = np.sort(scores.impostor.astype(np.float64))
        if not (np.isfinite(genuine[[0, -1]]).all() and np.isfinite(impostor[[0, -1]]).all()):
            raise OptionError("expected finite numbers, got nan or infinity", option="scores")
        thresholds = _falling(genuine, impostor)
        false_matches = n_impostor - np.searchsorted(impostor, thresholds)
    points = DetPoints(
        np.append(0.0, false_matches / n_impostor),
        np.append(1.0, np.searchsorted(genuine, thresholds) / n_genuine),
        np.append(np.inf, thresholds),
    )
    return points if most is None else thinned(points, most)


def thinned(points: DetPoints, most: int) -> DetPoints:
    """Return at most ``most`` of the points, the ends among them, evenly along the curve.

    "Along" is measured on linear and on logarithmic axes at once, so that it keeps its shape on
    both.
    """
    if len(points.fmr) <= most:
        return points
    steps = np.zeros(len(points.fmr) - 1)
    for rate in points[:2]:
        logs = np.log10(np.maximum(rate, rate[rate > 0].min() / 2))
        steps += np.abs(np.diff(rate)) + np.abs(np.diff(logs)) / max(float(np.ptp(logs)), 1e-9)
    along = np.append(0.0, np.cumsum(steps))
    places = np.searchsorted(along, np.linspace(0, along[-1], most))
    places[-1] = len(along) - 1
    keep = np.unique(np.minimum(places, len(along) - 1))
    return DetPoints(*(values[keep] for values in points))


def eer_point(points: DetPoints) -> float:
    """Return the equal error rate of a full curve, as ``metrics.eer`` defines it."""
    gap = points.fmr - points.fnmr  # rises from -1
    right = int(np.argmax(gap >= 0))
    if gap[right] < 0:  # counts whose lowest bin is not reached
        return float(points.fmr[-1])
    share = -gap[right - 1] / (gap[right] - gap[right - 1])
    return float(points.fmr[right - 1] + share * (points.fmr[right] - points.fmr[right - 1]))


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What a threshold obtains; rates are shares 0 to 1.

    Attributes:
        wanted: the FMR that it was chosen for.
        threshold: the lowest that keeps it.
        fmr: obtained.
        fnmr: obtained.
    """

    wanted: float
    threshold: float
    fmr: float
    fnmr: float


def operating_points(scores: Data, fmrs: Iterable[float] = FMRS_MARKED) -> list[CurvePoint]:
    """Return what is obtained at wanted false match rates.

    Rates below one in the number of impostor pairs cannot be measured and are left out.
    """
    points: list[CurvePoint] = []
    n_genuine, n_impostor = sizes(scores)
    for wanted in fmrs:
        if n_genuine == 0 or n_impostor * wanted < 1 - 1e-9:
            continue
        if isinstance(scores, PairCounts):
            threshold = scores.threshold_at_fmr(wanted)
        else:
            threshold = threshold_at_fmr(scores.impostor, wanted)
        points.append(CurvePoint(wanted, threshold, *rates_at(scores, threshold)))
    return points


def rates_at(scores: Data, threshold: float) -> tuple[float, float]:
    """Return (FMR, FNMR) at a threshold; OptionError without pairs of either kind."""
    if isinstance(scores, PairCounts):
        return scores.fmr_at(threshold), scores.fnmr_at(threshold)
    if not (scores.genuine.size and scores.impostor.size):
        raise OptionError("rates need genuine and impostor pairs, got none of one kind")
    fmr = (scores.impostor.astype(np.float64) >= threshold).mean()
    return float(fmr), float((scores.genuine.astype(np.float64) < threshold).mean())


def sizes(scores: Data) -> tuple[int, int]:
    """Return how many (genuine, impostor) pairs there are."""
    if isinstance(scores, PairCounts):
        return scores.n_genuine, scores.n_impostor
    return len(scores.genuine), len(scores.impostor)


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many pairs score how much.

    Attributes:
        edges: (B + 1,) float64, rising.
        genuine: (B,) int64 pairs in each bin.
        impostor: (B,) int64.
        without_face: pairs without a face, which score -1 and are not in the bins.
    """

    edges: Float64Array
    genuine: IntArray
    impostor: IntArray
    without_face: int


def score_histogram(scores: Data, bins: int = BINS) -> Histogram:
    """Count the scores in some ``bins`` bins between the lowest and the highest.

    A bin holds its start and not its end, the last one both. Of ``PairCounts`` the edges are those
    of its own fine bins, and there may be fewer than ``bins`` bins.

    Raises:
        OptionError: no score at all.
    """
    if isinstance(scores, PairCounts):
        return _histogram_of_counts(scores, bins)
    kinds = [np.asarray(kind, np.float64) for kind in (scores.genuine, scores.impostor)]
    both = np.concatenate(kinds)
    # Similarities are cosines when the least of them is -1; it is then the mark of no face.
    without = int((both == NO_FACE_SCORE).sum()) if both.size and both.min() >= -1.000001 else 0
    if without:
        kinds = [kind[kind != NO_FACE_SCORE] for kind in kinds]
        both = np.concatenate(kinds)
    if not both.size:
        raise OptionError("a histogram needs scores, got none")
    low, high = float(both.min()), float(both.max())
    if high <= low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, bins + 1)
    genuine, impostor = (np.histogram(kind, edges)[0].astype(np.int64) for kind in kinds)
    return Histogram(edges, genuine, impostor, without)


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Pairs that were given about the same probability of showing one person; shares 0 to 1.

    Attributes:
        predicted: the mean probability that they were given.
        observed: the share of them that do show one person.
        count: how many.
        low, high: 95 % interval of ``observed``; None: Wilson's, from ``count``.
    """

    predicted: float
    observed: float
    count: int | None = None
    low: float | None = None
    high: float | None = None

    def interval(self) -> tuple[float, float] | None:
        """The interval of ``observed``; None when nothing is known of it."""
        if self.low is not None and self.high is not None:
            return self.low, self.high
        if not self.count:
            return None
        return interval_of_rate(round(self.observed * self.count), self.count)


def reliability_bins(curves: Mapping[str, Mapping[str, float]]) -> list[ReliabilityBin]:
    """Read a part's curves "reliability" and, where they are there, those that go with it.

    "reliability" maps the mean probability, as text, to the share observed; "reliability_count",
    "reliability_low" and "reliability_high" have the same keys.

    Raises:
        OptionError: a key that is no number.
    """
    further = [curves.get(f"reliability_{name}", {}) for name in ("count", "low", "high")]
    found: list[ReliabilityBin] = []
    for key, observed in curves.get("reliability", {}).items():
        count, low, high = (values.get(key) for values in further)
        number = None if count is None else int(count)
        try:
            predicted = float(key)
        except ValueError as error:
            raise OptionError(
                f"expected mean probabilities as keys, such as '0.95', got {key!r}",
                option="reliability",
            ) from error
        found.append(ReliabilityBin(predicted, float(observed), number, low, high))
    return sorted(found, key=lambda each: each.predicted)


def _falling(*scores: Float64Array) -> Float64Array:
    distinct: Float64Array = np.unique(np.concatenate(scores))
    return distinct[::-1]


def _counted(
    counts: PairCounts, genuine: Float64Array
) -> tuple[Float64Array, npt.NDArray[np.int64]]:
    """Falling thresholds, and how many impostor pairs reach each."""
    tail = counts.impostor_tail[::-1].astype(np.float64)  # rising
    if len(tail) == counts.n_impostor:
        thresholds = _falling(genuine, tail)
        return thresholds, len(tail) - np.searchsorted(tail, thresholds)
    # Of the scores that equal the lowest of the tail, some may not have been kept.
    above = _falling(genuine[genuine > tail[0]], tail[tail > tail[0]])
    bins = len(counts.impostor_histogram)
    starts = -1 + 2 * np.arange(bins, dtype=np.float64) / bins
    reached = np.cumsum(counts.impostor_histogram[::-1])[::-1]
    below = starts <= tail[0]
    return (
        np.append(above, starts[below][::-1]),
        np.append(len(tail) - np.searchsorted(tail, above), reached[below][::-1]),
    )


def _histogram_of_counts(counts: PairCounts, bins: int) -> Histogram:
    fine = len(counts.impostor_histogram)
    genuine = np.asarray(counts.genuine, np.float64)
    places = np.clip((genuine + 1) * (fine / 2), 0, fine - 1).astype(np.int64)
    mine, theirs = np.bincount(places, minlength=fine), counts.impostor_histogram.copy()
    missing = min(int((genuine == NO_FACE_SCORE).sum()), counts.n_without_face)
    mine[0] -= missing
    theirs[0] -= counts.n_without_face - missing
    used = np.flatnonzero(mine + theirs)
    if not used.size:
        raise OptionError("a histogram needs scores, got none")
    first, last = int(used[0]), int(used[-1]) + 1
    width = max(1, math.ceil((last - first) / bins))
    starts = np.arange(first, last, width)
    edges = -1 + 2 * np.append(starts, starts[-1] + width) / fine
    return Histogram(
        edges,
        np.add.reduceat(mine[:last], starts).astype(np.int64),
        np.add.reduceat(theirs[:last], starts).astype(np.int64),
        counts.n_without_face,
    )
