"""The embedding's norm below which genuine pairs are missed too often: a limit of quality."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from lineament.errors import OptionError
from lineament.quality import MISSED_LEVEL

_TINY: Final = 1e-9

MOST_SHARE = 0.02
"""Of genuine pairs that ``least_norm`` may call undecided: more would help nobody."""

LEAST_PAIRS = 30
"""Below the limit: from fewer, a share of misses cannot be told (the rule of 30)."""


def least_norm(
    norms_a: npt.ArrayLike,
    norms_b: npt.ArrayLike,
    scores: npt.ArrayLike,
    threshold: float,
    *,
    level: float = MISSED_LEVEL,
    most_share: float = MOST_SHARE,
    least_pairs: int = LEAST_PAIRS,
) -> float | None:
    """Find the norm below which genuine pairs are missed too often.

    The pairs are put in the order of the lesser of their two norms. The limit is where
    ``sum(missed - level)`` over the pairs below it is greatest. That is where the isotonic
    regression of the misses on the norm (a share that only falls as the norm grows) crosses
    ``level``: every pair below has an estimated FNMR above it.

    Args:
        norms_a, norms_b: (N,) of the two photos of N genuine pairs.
        scores: (N,) of these pairs; higher is more alike.
        threshold: below it a pair is missed.
        level: the FNMR, between 0 and 1.
        most_share: of the pairs that may lie below, above 0 up to 1.
        least_pairs: that must lie below.

    Returns:
        The limit, halfway between two norms; None when the pairs do not support one.

    Raises:
        OptionError: arrays of different or wrong shape, numbers that are not finite, or a share
            out of its range.
    """
    a, b, values = (np.asarray(v, dtype=np.float64) for v in (norms_a, norms_b, scores))
    if a.ndim != 1 or not a.shape == b.shape == values.shape:
        raise OptionError(
            f"expected three arrays of one shape (N,), got {a.shape}, {b.shape} and {values.shape}",
            option="least_norm",
        )
    if not (np.isfinite(a) & np.isfinite(b) & np.isfinite(values)).all():
        raise OptionError(
            "expected finite norms and scores, got others: leave them out", option="least_norm"
        )
    if not (0 < level < 1 and 0 < most_share <= 1):
        raise OptionError(
            "expected a level between 0 and 1 and a share above 0 up to 1, got "
            f"{level} and {most_share}",
            option="least_norm",
        )
    if len(a) == 0:
        return None
    norms, group = np.unique(np.minimum(a, b), return_inverse=True)  # pairs of equal norm together
    pairs = np.cumsum(np.bincount(group))
    missed = np.cumsum(np.bincount(group, weights=values < threshold))
    excess = missed - level * pairs
    excess[pairs > most_share * len(a)] = -np.inf
    excess[-1] = -np.inf  # a limit above all norms that were seen says nothing
    # Of equal ones the last, as far as float64 can tell: there the share is ``level`` exactly.
    best = int(np.flatnonzero(excess >= excess.max() - _TINY)[-1])
    if not excess[best] > 0 or pairs[best] < least_pairs:
        return None
    return float((norms[best] + norms[best + 1]) / 2)
