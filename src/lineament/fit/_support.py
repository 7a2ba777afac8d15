"""What photos support: whether they are enough to fit on, and for which false match rates."""

from __future__ import annotations

import math

import numpy as np

from lineament.decide.calibration import (
    RULE_OF_30,
    supported,
)
from lineament.decide.thresholds import DEFAULT_FMR
from lineament.errors import DataError, OptionError
from lineament.evaluate.fairness import LEAST_PEOPLE
from lineament.fit.calibrate import FMRS
from lineament.types import IntArray

LEAST_SEVERAL = 5
"""People with two photos or more that are needed: one for each fold."""
LARGEST_RATE = FMRS[0]
"""Photos that do not even support this rate are too few to fit anything."""


def pairs_needed(fmr: float) -> int:
    """How many impostor pairs a false match rate takes: 30 of them must pass (rule of 30)."""
    return math.ceil(RULE_OF_30 / fmr * (1 - 1e-9))


def check_enough(sizes: IntArray, n_photos: int, n_used: int) -> None:
    """Raise DataError unless the photos are enough to fit anything on.

    Args:
        sizes: (P,) photos of each person that count.
        n_photos: how many there are.
        n_used: how many of them count.
    """
    n_people, several = int((sizes > 0).sum()), int((sizes > 1).sum())
    counted = (
        f"{n_used:,} of {n_photos:,} photos count, of {n_people:,} people, {several:,} "
        "of them with two different photos or more"
    )
    if n_people < LEAST_PEOPLE or several < LEAST_SEVERAL:
        raise DataError(
            f"expected at least {LEAST_PEOPLE} people, {LEAST_SEVERAL} of them with two different "
            f"photos that show a face, got too few: {counted} (photos without a face, "
            "duplicates and probable mislabels do not): add people and photos"
        )
    pairs = impostor_pairs(sizes)
    if pairs < pairs_needed(LARGEST_RATE):
        raise DataError(
            f"expected at least {pairs_needed(LARGEST_RATE):,} pairs of two people, since no "
            f"threshold is worth anything without, got {pairs:,}: {counted}; it takes about "
            f"{_photos_for(LARGEST_RATE, sizes)}"
        )


def rate_to_fit(fmr: float | None, sizes: IntArray, n_impostor: int, least: float) -> float:
    """The false match rate to fit a threshold for.

    Args:
        fmr: as requested; None: the default rate if the photos support it, else ``least``.
        sizes: (P,) photos of each person that count.
        n_impostor: pairs of two people among them.
        least: the least rate that those support.

    Raises:
        OptionError: they do not support ``fmr``.
    """
    wanted = DEFAULT_FMR if fmr is None else fmr
    if supported(wanted, n_impostor):
        return wanted
    if fmr is None:
        return least
    raise OptionError(
        f"no threshold for a false match rate of {wanted:g}: it needs "
        f"{pairs_needed(wanted):,} pairs of two people, so that {RULE_OF_30} false "
        "matches stand behind it (rule of 30); the "
        f"{int(sizes.sum()):,} photos that count have {n_impostor:,}, which support "
        f"{least:g} and more: ask for such a rate, or add photos up to about "
        f"{_photos_for(wanted, sizes)}"
    )


def _photos_for(fmr: float, sizes: IntArray) -> str:
    """Such as "790 photos (79 people with 10 each, as now)"."""
    each = float(sizes[sizes > 0].mean())
    # each^2 P (P - 1) / 2 pairs of two people
    count = math.ceil(0.5 + math.sqrt(0.25 + 2 * pairs_needed(fmr) / each**2))
    count = max(count, LEAST_PEOPLE)
    return (
        f"{math.ceil(count * each):,} photos: {count:,} people with {each:.3g} each, as many "
        "a person as now"
    )


def impostor_pairs(sizes: IntArray) -> int:
    """How many pairs of two people there are among photos of P people."""
    n = int(sizes.sum())
    return (n * n - int((sizes.astype(np.int64) ** 2).sum())) // 2


def rounded_up(rate: float) -> float:
    """A rate rounded up to two digits; itself when it has no more."""
    step = 10.0 ** (math.floor(math.log10(rate)) - 1)
    return float(f"{math.ceil(rate / step - 1e-9) * step:.2g}")
