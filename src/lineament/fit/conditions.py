"""Fit ``lineament.decide.conditions.Conditions``: pairs with recognizability -> tables.

    histograms()   scores of pairs, counted by the knots next to both faces
    fit_llr()      counts -> by how much a score has to be corrected, and trusted
    raised()       thresholds from a user's own impostor pairs, where these suffice

The likelihood ratio of a cell is that of clean pairs after an affine change: LLR(s) = trust *
clean(s - rise), the pair (rise, trust) with the least logarithmic cost (Cllr; Brümmer & du Preez,
"Application-independent evaluation of speaker detection", 2006), genuine and impostor pairs having
equal weight. Two numbers a cell cannot follow noise, and the score stays monotonic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lineament.decide.calibration import supported
from lineament.decide.conditions import MOST_RISE, Conditions
from lineament.types import BoolArray, Float64Array, FloatArray, IntArray

BINS = 400
"""Of cosines from -1 to 1: 0.005 wide."""

RISES = np.round(np.arange(-0.5, 0.81, 0.02), 2)
TRUSTS = np.round(np.arange(0.02, 1.001, 0.02), 2)

LEAST_GENUINE = 30.0
"""Genuine pairs about a cell, with half of each neighbor's, below which it takes its neighbor's
values."""


def centers() -> Float64Array:
    """(BINS,) the cosines in the middle of the bins."""
    return (np.arange(BINS, dtype=np.float64) + 0.5) * (2 / BINS) - 1


def nearest(knots: Float64Array, values: npt.ArrayLike) -> IntArray:
    """The number of the knot that is nearest to each value."""
    middles = (knots[1:] + knots[:-1]) / 2
    return np.searchsorted(middles, np.asarray(values, np.float64)).astype(np.int64)


def histograms(
    knots: Float64Array,
    scores: npt.ArrayLike,
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    weight: npt.ArrayLike = 1.0,
) -> Float64Array:
    """Count pairs: (K, K, BINS), by the worse face, the better one, and the score.

    Args:
        knots: (K,) recognizability, ascending.
        scores: (M,) cosines.
        a, b: (M,) recognizability of both faces.
        weight: (M,) of each pair, or one number.
    """
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    k = len(knots)
    row, column = nearest(knots, np.minimum(x, y)), nearest(knots, np.maximum(x, y))
    place = np.clip((np.asarray(scores, np.float64) + 1) / 2 * BINS, 0, BINS - 1).astype(np.int64)
    flat = (row * k + column) * BINS + place
    weights = np.broadcast_to(np.asarray(weight, np.float64), flat.shape)
    counts = np.bincount(flat, weights=weights, minlength=k * k * BINS)
    return counts.astype(np.float64).reshape(k, k, BINS)


def fit_llr(
    genuine: Float64Array,
    impostor: Float64Array,
    n_genuine: Float64Array,
    clean: Callable[[Float64Array], Float64Array],
) -> tuple[Float64Array, Float64Array]:
    """Fit (rise, trust) of each cell: two tables (K, K), equal on both sides of the diagonal.

    A cell is fitted with its neighbors at half the weight; one with too few pairs takes what the
    next better face has.

    Args:
        genuine, impostor: (K, K, BINS) from ``histograms``; only cells with the worse face first
            are looked at.
        n_genuine: (K, K) how many genuine pairs stand behind each, unweighted.
        clean: cosines -> LLR of clean pairs.
    """
    k = len(n_genuine)
    at = centers()
    curves = np.stack([clean(at - rise) for rise in RISES])  # (R, BINS)
    llr = TRUSTS[None, :, None] * curves[:, None]  # (R, T, BINS)
    miss, false = np.logaddexp(0, -llr), np.logaddexp(0, llr)
    rise, trust = np.zeros((k, k)), np.ones((k, k))
    for column in range(k - 1, -1, -1):
        for row in range(column, -1, -1):
            g, i, n = (_about(table, row, column) for table in (genuine, impostor, n_genuine))
            if float(n) < LEAST_GENUINE or i.sum() <= 0:
                # From the next better cell: along the row's face, else the column's.
                source = (row + 1, column) if row < column else (row, min(column + 1, k - 1))
                source = (min(source), max(source))
                rise[row, column], trust[row, column] = rise[source], trust[source]
                continue
            cost = miss @ (g / g.sum()) + false @ (i / i.sum())
            best = np.unravel_index(int(np.argmin(cost)), cost.shape)
            rise[row, column], trust[row, column] = RISES[best[0]], TRUSTS[best[1]]
    return _mirrored(rise), _mirrored(trust)


def _about(table: Float64Array, row: int, column: int) -> Float64Array:
    """A cell and half of its neighbors that have the worse face first."""
    total = np.array(table[row, column], np.float64)
    for i, j in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
        if 0 <= i <= j < len(table):
            total = total + table[i, j] / 2
    return total


def _mirrored(table: Float64Array) -> Float64Array:
    """The half with the worse face first, on both sides of the diagonal."""
    upper = np.triu(table)
    return upper + np.triu(table, 1).T


class Raised(NamedTuple):
    """Conditions after a look at a user's own impostor pairs.

    Attributes:
        conditions: with the thresholds' rises that the pairs support.
        pairs: (K,) int64: impostor pairs whose better face is nearest to each knot; 0 at the last
            one, of clean faces, whose pairs are not counted.
        fitted: (K,) bool: the knots whose rise comes from those pairs.
    """

    conditions: Conditions
    pairs: IntArray
    fitted: BoolArray


def unchanged(conditions: Conditions) -> Raised:
    """What ``raised`` returns of no pairs."""
    k = len(conditions.knots)
    return Raised(conditions, np.zeros(k, np.int64), np.zeros(k, np.bool_))


def raised(
    conditions: Conditions,
    vectors: FloatArray,
    person: IntArray,
    recognizability: Float64Array,
    threshold: float,
    fmr: float,
) -> Raised:
    """Fit thresholds' rises to a user's own impostor pairs where these suffice.

    For each knot but the last, which stands for clean photos, the impostor pairs whose better face
    is nearest to it are looked at. Where the rule of 30 supports ``fmr`` among them, the rise is
    what their own threshold is above the one of all pairs; where not, it stays. It stays as well
    where no score passes: of all that leaves so little of a face a collection shows a few ways.

    Args:
        conditions: the package's own.
        vectors: (N, D) of length 1.
        person: (N,) who is who.
        recognizability: (N,) of the faces; NaN: not known, so the face is left out.
        threshold: the cosine for ``fmr`` among all impostor pairs.
        fmr: the false match rate, 0 to 1.
    """
    knots = conditions.knots
    last = len(knots) - 1
    bad = np.isfinite(recognizability)
    bad &= nearest(knots, np.where(bad, recognizability, knots[last])) < last
    rows, who, left = vectors[bad], person[bad], recognizability[bad]
    counts = np.zeros((len(knots), BINS), np.int64)
    for start in range(0, len(rows), 512):
        some = slice(start, start + 512)
        scores = rows[some] @ rows[start:].T
        other = who[some][:, None] != who[None, start:]
        other &= np.arange(scores.shape[1])[None] > np.arange(scores.shape[0])[:, None]
        better = np.maximum(left[some][:, None], left[None, start:])[other]
        place = np.clip((scores[other] + 1) / 2 * BINS, 0, BINS - 1).astype(np.int64)
        flat = nearest(knots, better) * BINS + place
        counts += np.bincount(flat, minlength=counts.size).reshape(counts.shape)
    values = np.diag(conditions.threshold_rise).copy()
    pairs = counts.sum(axis=1)
    fitted = np.array([supported(fmr, float(n)) for n in pairs]) & (values < MOST_RISE)
    for number in np.flatnonzero(fitted):
        values[number] = max(0.0, _threshold(counts[number], fmr) - threshold)
    values = np.maximum.accumulate(values[::-1])[::-1]
    better = np.maximum(*np.indices((len(knots), len(knots))))
    table = np.where(fitted[better], np.round(values, 4)[better], conditions.threshold_rise)
    for axis in (0, 1):  # no more for better faces
        table = np.flip(np.maximum.accumulate(np.flip(table, axis), axis), axis)
    return Raised(replace(conditions, threshold_rise=table), pairs, fitted)


def _threshold(counts: IntArray, fmr: float) -> float:
    """The least lower end of a bin from which on no more than ``fmr`` of the pairs lie; else 1."""
    passed = np.cumsum(counts[::-1])[::-1] <= fmr * counts.sum()
    return float(np.argmax(passed) * (2 / BINS) - 1) if passed.any() else 1.0
