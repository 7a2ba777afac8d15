"""How honest probabilities are, and how often a gallery is mistaken: in NumPy alone.

Conventions, beside those of ``lineament.evaluate.metrics``:

- LLR is the natural logarithm of the likelihood ratio: how many times likelier a score is for a
  genuine pair than for an impostor pair. Posterior log-odds = prior log-odds + LLR;
- Cllr is in bits: 0 is perfect, 1 is what a system costs that always says LLR = 0;
- FPIR, the false positive identification rate, is the share of searches for people who are not
  enrolled that still return somebody (ISO/IEC 19795-1).
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from lineament.errors import OptionError
from lineament.evaluate.metrics import wilson_intervals
from lineament.types import Float64Array, IntArray

RELIABILITY_BINS = 15
"""As Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, use them."""

_LN2 = math.log(2)

# --- likelihood ratios ----------------------------------------------------------------------------


def cllr(
    genuine_llr: npt.ArrayLike,
    impostor_llr: npt.ArrayLike,
    *,
    genuine_weights: npt.ArrayLike | None = None,
    impostor_weights: npt.ArrayLike | None = None,
) -> float:
    """Return the cost of log-likelihood ratios, in bits.

    Bruemmer & du Preez, "Application-independent evaluation of speaker detection", Computer Speech
    and Language 2006, equation 27: half the mean of log2(1 + exp(-LLR)) over genuine pairs plus
    half the mean of log2(1 + exp(LLR)) over impostor pairs.

    Args:
        genuine_llr: (G,) natural logarithms; infinite ones are fine.
        impostor_llr: (M,) the same.
        genuine_weights: (G,) how often each counts; None: once.
        impostor_weights: (M,) the same.

    Raises:
        OptionError: for other shapes, no pairs of one kind, NaN, or negative weights.
    """
    first = _mean(np.logaddexp(0, -_numbers(genuine_llr, "genuine LLRs")), genuine_weights)
    second = _mean(np.logaddexp(0, _numbers(impostor_llr, "impostor LLRs")), impostor_weights)
    return (first + second) / (2 * _LN2)


class Blocks(NamedTuple):
    """What ``pav`` returns: B blocks, ascending, each with one share of genuine weight.

    Attributes:
        least, greatest: (B,) lowest and highest score in the block.
        center: (B,) the mean score, weighted.
        genuine, impostor: (B,) the weights in it.
    """

    least: Float64Array
    greatest: Float64Array
    center: Float64Array
    genuine: Float64Array
    impostor: Float64Array


def pav(
    scores: npt.ArrayLike, genuine_weights: npt.ArrayLike, impostor_weights: npt.ArrayLike
) -> Blocks:
    """Pool adjacent violators: the best rising share of genuine weight, as blocks.

    Ayer et al., "An empirical distribution function for sampling with incomplete information",
    1955; Zadrozny & Elkan, KDD 2002, for calibration. Equal scores always share a block.

    Args:
        scores: (M,) similarities, in any order.
        genuine_weights: (M,) >= 0.
        impostor_weights: (M,) >= 0. Entries whose two weights are zero play no part.

    Raises:
        OptionError: for other shapes, numbers that are not finite, negative or no weights.
    """
    values = _numbers(scores, "scores")
    genuine, impostor = (_weights(w, len(values)) for w in (genuine_weights, impostor_weights))
    if not np.isfinite(values).all():
        raise OptionError("expected finite numbers, got an infinite one", option="scores")
    there = genuine + impostor > 0
    if not there.any():
        raise OptionError("expected some above 0, got none", option="weights")
    points, place = np.unique(values[there], return_inverse=True)
    g, i = (np.bincount(place, weights=w[there]) for w in (genuine, impostor))
    # Neighbors that are genuine only, or impostor only, end in one block whatever else happens.
    kind = np.where(i == 0, 1, np.where(g == 0, -1, 0))
    new = np.ones(len(points), bool)
    new[1:] = (kind[1:] != kind[:-1]) | (kind[1:] == 0)
    starts = np.flatnonzero(new)
    ends = np.append(starts[1:], len(points)) - 1
    moments = np.add.reduceat(points * (g + i), starts)
    blocks: list[tuple[int, int, float, float, float]] = []
    for low, high, a, b, moment in zip(
        starts.tolist(),
        ends.tolist(),
        np.add.reduceat(g, starts).tolist(),
        np.add.reduceat(i, starts).tolist(),
        moments.tolist(),
        strict=True,
    ):
        # a / (a + b) must rise: with positive weights this compares the two shares.
        while blocks and blocks[-1][2] * b >= a * blocks[-1][3]:
            low, _, a_0, b_0, moment_0 = blocks.pop()
            a, b, moment = a + a_0, b + b_0, moment + moment_0
        blocks.append((low, high, a, b, moment))
    first, last = (np.array([block[k] for block in blocks]) for k in (0, 1))
    a_all, b_all, m_all = (np.array([block[k] for block in blocks]) for k in (2, 3, 4))
    return Blocks(points[first], points[last], m_all / (a_all + b_all), a_all, b_all)


def min_cllr(
    genuine: npt.ArrayLike,
    impostor: npt.ArrayLike,
    *,
    genuine_weights: npt.ArrayLike | None = None,
    impostor_weights: npt.ArrayLike | None = None,
) -> float:
    """Return the least Cllr, in bits, that any rising function of these scores can have.

    That function is found by ``pav`` with equal priors; what is above it in the actual Cllr is lost
    to calibration, the rest to discrimination (Bruemmer & du Preez 2006, section 7).

    Args:
        genuine: (G,) similarities.
        impostor: (M,) the same.
        genuine_weights: (G,) how often each counts; None: once.
        impostor_weights: (M,) the same.

    Raises:
        OptionError: as ``cllr`` and ``pav``.
    """
    g, i = _numbers(genuine, "genuine scores"), _numbers(impostor, "impostor scores")
    wg, wi = _shares(genuine_weights, len(g)), _shares(impostor_weights, len(i))
    blocks = pav(
        np.concatenate([g, i]),
        np.concatenate([wg, np.zeros(len(i))]),
        np.concatenate([np.zeros(len(g)), wi]),
    )
    with np.errstate(divide="ignore"):
        llr = np.log(blocks.genuine) - np.log(blocks.impostor)
    g_in, i_in = blocks.genuine > 0, blocks.impostor > 0
    return cllr(
        llr[g_in],
        llr[i_in],
        genuine_weights=blocks.genuine[g_in],
        impostor_weights=blocks.impostor[i_in],
    )


# --- reliability ----------------------------------------------------------------------------------


class Reliability(NamedTuple):
    """A reliability diagram: B bins that hold pairs, ascending; all values are shares.

    Attributes:
        probability: (B,) the mean of what was claimed.
        observed: (B,) the share of genuine pairs.
        low, high: (B,) the Wilson interval of ``observed``; it presumes independent pairs.
        pairs: (B,) int64: how many.
        weight: (B,) the share of all pairs, weighted; sums to 1.
        least, greatest: (B,) the lowest and highest claim in the bin.
    """

    probability: Float64Array
    observed: Float64Array
    low: Float64Array
    high: Float64Array
    pairs: IntArray
    weight: Float64Array
    least: Float64Array
    greatest: Float64Array

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean distance of claim and truth over the pairs."""
        return float(np.sum(self.weight * np.abs(self.probability - self.observed)))

    def to_rows(self) -> list[dict[str, float | int]]:
        """One plain dict a bin, ready for JSON."""
        return [
            {
                "probability": round(float(p), 6),
                "observed": round(float(o), 6),
                "low": round(float(low), 6),
                "high": round(float(high), 6),
                "n_pairs": int(n),
                "weight": round(float(w), 6),
            }
            for p, o, low, high, n, w, _, _ in zip(*self, strict=True)
        ]


def reliability(
    probabilities: npt.ArrayLike,
    same: npt.ArrayLike,
    *,
    bins: int = RELIABILITY_BINS,
    equal: Literal["width", "mass"] = "width",
    weights: npt.ArrayLike | None = None,
    counts: npt.ArrayLike | None = None,
    confidence: float = 0.95,
) -> Reliability:
    """Return what was claimed beside what was true.

    Args:
        probabilities: (M,) claimed probabilities that a pair is genuine, 0 to 1.
        same: (M,) bool: whether it is.
        bins: how many.
        equal: bins of equal width over 0 to 1 (the definition of Guo et al. 2017), or of equal
            weight (Nixon et al., "Measuring Calibration in Deep Learning", 2019); equal claims then
            stay together, so that ties cannot be split by chance.
        weights: (M,) how much each counts, to judge by another prior than the data's; None: 1.
        counts: (M,) how many pairs each entry stands for; None: one.
        confidence: of the intervals, 0 to 1. With weights, the number of pairs behind them is
            Kish's effective one, (sum w)^2 / sum w^2.

    Raises:
        OptionError: for other shapes, no pairs, or values out of range.
    """
    claimed = _numbers(probabilities, "probabilities")
    truth = np.asarray(same)
    if not ((claimed >= 0) & (claimed <= 1)).all():
        raise OptionError("expected shares from 0 to 1, got others", option="probabilities")
    if truth.shape != claimed.shape or truth.dtype != np.bool_:
        raise OptionError(
            f"expected {claimed.shape} bool as the probabilities, got {truth.shape} {truth.dtype}",
            option="same",
        )
    if bins < 1 or equal not in ("width", "mass"):
        raise OptionError(
            f'expected at least 1 bin of equal "width" or "mass", got {bins} of {equal!r}'
        )
    if not 0 < confidence < 1:
        raise OptionError(
            f"expected a share between 0 and 1, got {confidence}", option="confidence"
        )
    number = np.ones(len(claimed)) if counts is None else _weights(counts, len(claimed))
    each = np.ones(len(claimed)) if weights is None else _weights(weights, len(claimed))
    mass = each * number
    if not mass.sum() > 0:
        raise OptionError("expected some above 0, got none", option="weights")
    if equal == "width":
        place = np.minimum((claimed * bins).astype(np.int64), bins - 1)
    else:
        points, tie = np.unique(claimed, return_inverse=True)
        of_tie = np.bincount(tie, weights=mass, minlength=len(points))
        middle = (np.cumsum(of_tie) - of_tie / 2) / mass.sum()
        place = np.minimum((middle * bins).astype(np.int64), bins - 1)[tie]

    def total(values: Float64Array) -> Float64Array:
        sums: Float64Array = np.bincount(place, values, bins).astype(np.float64)
        return sums

    weight = total(mass)
    used = weight > 0
    observed = (total(mass * truth)[used] / weight[used]).clip(0, 1)
    effective = weight[used] ** 2 / total(each**2 * number)[used]
    low, high = wilson_intervals(observed, effective, confidence)
    least, greatest = np.full(bins, np.inf), np.full(bins, -np.inf)
    np.minimum.at(least, place[mass > 0], claimed[mass > 0])
    np.maximum.at(greatest, place[mass > 0], claimed[mass > 0])
    return Reliability(
        probability=total(mass * claimed)[used] / weight[used],
        observed=observed,
        low=low,
        high=high,
        pairs=np.rint(total(number)[used]).astype(np.int64),
        weight=weight[used] / weight.sum(),
        least=least[used],
        greatest=greatest[used],
    )


def ece(
    probabilities: npt.ArrayLike,
    same: npt.ArrayLike,
    *,
    bins: int = RELIABILITY_BINS,
    equal: Literal["width", "mass"] = "width",
) -> float:
    """Return the expected calibration error, a share: see ``reliability``, whose Args these are."""
    return reliability(probabilities, same, bins=bins, equal=equal).ece


# --- identification -------------------------------------------------------------------------------


def chance_of_no_match(pool: int, gallery: int) -> Float64Array:
    """Return, for m = 0 to ``pool``, the chance that a random gallery holds none of m people.

    A gallery of ``gallery`` people is drawn from ``pool`` without replacement; m of the pool would
    match a probe. The chance that none of them is drawn is C(pool - m, gallery) / C(pool, gallery).

    Returns:
        (pool + 1,) float64, falling from 1.

    Raises:
        OptionError: unless 0 <= gallery <= pool.
    """
    if not 0 <= gallery <= pool:
        raise OptionError(f"expected a gallery of 0 to {pool} people, got {gallery}")
    log_factorial = np.append(0.0, np.cumsum(np.log(np.arange(1, pool + 1))))
    left = pool - np.arange(pool + 1)  # people who do not match
    chance = np.zeros(pool + 1)
    fits = left >= gallery
    chance[fits] = np.exp(
        log_factorial[left[fits]]
        + log_factorial[pool - gallery]
        - log_factorial[left[fits] - gallery]
        - log_factorial[pool]
    )
    chance[0] = 1.0
    return chance


def expected_fpir(
    matching: npt.ArrayLike, pool: int, gallery: int, weights: npt.ArrayLike | None = None
) -> Float64Array:
    """Return the expected FPIR over all galleries of one size, exactly, at T thresholds.

    Unlike 1 - (1 - FMR)^N this keeps the probes apart: some look like many people, most like none,
    so that false positives come in clusters and are fewer than independence would have it.

    Args:
        matching: (Q, T) integers: how many people of the pool match probe q at threshold t.
        pool: how many people galleries are drawn from; the probe's own person is not among them.
        gallery: how many people are enrolled.
        weights: (Q,) how much each probe counts; None: all alike.

    Returns:
        (T,) float64, 0 to 1.

    Raises:
        OptionError: for other shapes, counts that are not 0 to ``pool``, or a gallery larger than
            the pool.
    """
    counts = np.asarray(matching)
    if counts.ndim != 2 or len(counts) == 0 or not np.issubdtype(counts.dtype, np.integer):
        raise OptionError(
            f"expected (Q, T) integers, got {counts.shape} {counts.dtype}", option="matching"
        )
    if counts.size and not (counts.min() >= 0 and counts.max() <= pool):
        raise OptionError(f"expected counts from 0 to {pool}, got others", option="matching")
    share = _shares(weights, len(counts))
    # One product for all thresholds: (Q,) @ (Q, T) -> (T,)
    rates: Float64Array = 1 - share @ chance_of_no_match(pool, gallery)[counts]
    return np.clip(rates, 0, 1)


def _numbers(values: npt.ArrayLike, what: str) -> Float64Array:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"expected numbers in one row, got {values!r:.80}", option=what
        ) from error
    if array.ndim != 1 or len(array) == 0:
        raise OptionError(f"expected shape (M,) with M >= 1, got {array.shape}", option=what)
    if np.isnan(array).any():
        raise OptionError("expected numbers, got NaN", option=what)
    return array


def _weights(values: npt.ArrayLike, count: int) -> Float64Array:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (count,) or not (np.isfinite(array) & (array >= 0)).all():
        raise OptionError(f"expected ({count},) finite numbers >= 0, got others", option="weights")
    return array


def _shares(values: npt.ArrayLike | None, count: int) -> Float64Array:
    weights = np.ones(count) if values is None else _weights(values, count)
    if not weights.sum() > 0:
        raise OptionError("expected some above 0, got none", option="weights")
    shares: Float64Array = weights / weights.sum()
    return shares


def _mean(costs: Float64Array, weights: npt.ArrayLike | None) -> float:
    share = _shares(weights, len(costs))
    return float(np.sum(costs[share > 0] * share[share > 0]))  # 0 times infinity is nothing here
