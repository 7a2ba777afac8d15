"""Folds of people for cross-validation, and a bootstrap over people for intervals.

In cross-validation a test pair has both of its people in one fold, a training pair neither.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lineament.decide.calibration import RULE_OF_3, Method, OperatingPoint
from lineament.evaluate.scoring import cllr
from lineament.fit.calibrate._pairs import BINS, Counts
from lineament.fit.calibrate.likelihood import Curve, fit_curve
from lineament.types import Float64Array, IntArray, StageProgress

DIGITS = 6
"""After the point: what scores are rounded to, thresholds to the strict side."""


def drawn_folds(sizes: IntArray, folds: int, random: np.random.Generator) -> IntArray:
    """(P,) which fold each person is in; those with several photos are spread evenly."""
    fold = np.empty(len(sizes), np.int64)
    order = random.permutation(len(sizes))
    order = order[np.argsort(-(sizes[order] > 1).astype(int), kind="stable")]
    fold[order] = np.arange(len(sizes)) % folds
    return fold


def unseen_shares(people_with_pairs: int, people: int) -> tuple[float, float]:
    """Shares that the rule of three allows for what was not seen: of genuine, impostor pairs.

    In units of people, and of pairs of people: several photos of one person are no new
    evidence of what strangers look like.
    """
    pairs = people * (people - 1) / 2
    return min(0.5, RULE_OF_3 / people_with_pairs), min(0.5, RULE_OF_3 / pairs)


def cross_validated(
    counts: Counts, fold: IntArray, folds: int, sizes: IntArray
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
        unseen = unseen_shares(int((sizes[fold != k] > 1).sum()), int((fold != k).sum()))
        train = (
            genuine[rest].sum(0).astype(np.float64),
            counts.impostor[np.ix_(rest, rest)].sum((0, 1)),
        )
        test_impostor.append(counts.impostor[k, k])
        for name in names:
            llrs[name].append(fit_curve(name, counts.alike, *train, unseen)(counts.alike))
    g, i = genuine.ravel().astype(np.float64), np.concatenate(test_impostor)
    tested = {name: (np.concatenate(parts), g, i) for name, parts in llrs.items()}
    costs = {
        name: cllr(llr, llr, genuine_weights=g, impostor_weights=i)
        for name, (llr, _, _) in tested.items()
    }
    return costs, tested


def threshold_at(descending: npt.NDArray[np.float32], fmr: float, total: int) -> float:
    """The lowest threshold on the alike axis with at most this share of the impostors."""
    allowed = math.floor(fmr * total * (1 + 1e-12))
    return float(np.nextafter(descending[allowed], np.float32(np.inf)))


def drawn_anew(
    counts: Counts,
    n_people: int,
    method: Method,
    unseen: tuple[float, float],
    curve: Curve,
    fmrs: list[float],
    replicas: int,
    random: np.random.Generator,
    progress: StageProgress,
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
        at_knots[r] = fit_curve(
            method, counts.alike, genuine.astype(np.float64), impostor.astype(np.float64), unseen
        )(curve.alike)
        passed = np.cumsum(top)
        for k, fmr in enumerate(fmrs):
            # The first that must stay out; if all may pass, the lowest that was kept.
            place = int(np.searchsorted(passed, fmr * impostor.sum(), side="right"))
            at_rates[r, k] = counts.top_score[min(place, len(passed) - 1)]
        progress("drawing people anew", r + 1, replicas)
    return at_knots, at_rates


def rounded(
    curve: Curve, band: Float64Array, sign: int
) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
    """Knots as they are kept: rounded, rising, the band about the curve."""
    score = np.round(sign * curve.alike, DIGITS)
    keep = np.append(True, np.diff(sign * score) > 0)
    if keep.sum() < 2:  # finer than the rounding: take what there is
        score, keep = sign * curve.alike, np.ones(len(score), bool)
    llr = np.round(np.maximum.accumulate(curve.llr), 4)
    low = np.minimum(np.round(np.maximum.accumulate(band[0]), 4), llr)
    high = np.maximum(np.round(np.maximum.accumulate(band[1]), 4), llr)
    return score[keep], llr[keep], low[keep], high[keep]


def operating_points(
    counts: Counts,
    fmrs: list[float],
    values: list[float],
    replicas: Float64Array,
    tail: float,
    sign: int,
) -> tuple[OperatingPoint, ...]:
    """Thresholds with their intervals; ``replicas`` (R, F), ``tail``: the share beyond each end."""
    points = []
    alike = counts.top_score.astype(np.float64)
    for k, (fmr, value) in enumerate(zip(fmrs, values, strict=True)):
        strict = _strict(value)
        low, high = np.quantile(replicas[:, k], [tail, 1 - tail])
        ends = sorted((sign * min(_strict(low), strict), sign * max(_strict(high), strict)))
        matches = int((alike >= strict).sum())
        misses = int((counts.genuine_score < strict).sum())
        points.append(OperatingPoint(fmr, sign * strict, ends[0], ends[1], matches, misses))
    return tuple(points)


def _strict(alike: float) -> float:
    """Rounded to the strict side."""
    return float(math.ceil(alike * 10**DIGITS) / 10**DIGITS)
