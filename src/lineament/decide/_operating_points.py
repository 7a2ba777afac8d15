"""Thresholds as they were fitted: for two photos, and for galleries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lineament.errors import DataError
from lineament.text import counted
from lineament.types import Float64Array, Threshold

RULE_OF_30 = 30
RULE_OF_3 = 3


def supported(rate: float, trials: float) -> bool:
    """Whether ``RULE_OF_30`` errors are expected at that rate, so that it can be measured.

    Doddington et al., "The NIST speaker recognition evaluation", Speech Communication 2000: with 30
    errors the true rate is within 30 % of the one observed, with 90 % confidence.
    """
    return rate * trials >= RULE_OF_30 * (1 - 1e-9)


class Probability(NamedTuple):
    """That two photos show one person; shares from 0 to 1.

    ``low`` and ``high`` are its interval: how far it moves when the people that the calibration was
    fitted on are drawn anew. They do not cover that your photos may differ from those.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold as it was fitted.

    Attributes:
        fmr: the false match rate it is meant for, 0 to 1.
        value: in the metric's unit.
        low, high: its 95 % interval, bootstrap over people; low <= value <= high.
        false_matches: how many impostor pairs of the data it lets in.
        false_non_matches: how many genuine pairs it keeps out; None: that was not counted.
    """

    fmr: float
    value: float
    low: float
    high: float
    false_matches: int
    false_non_matches: int | None = None

    def __post_init__(self) -> None:
        """DataError unless the numbers fit together."""
        if not 0 < self.fmr < 1 or not _ordered(self.low, self.value, self.high):
            raise DataError(f"expected 0 < fmr < 1 and low <= value <= high, got {self}")
        for name in ("false_matches", "false_non_matches"):
            count = getattr(self, name)
            if count is not None and count < 0:
                raise DataError(f"{name}: expected 0 or more, got {count}")


@dataclass(frozen=True, slots=True)
class FittedThreshold:
    """A threshold for a wanted false match rate, with its interval.

    Attributes:
        plain: for ``lineament.decide.comparison.compare``.
        low, high: 95 % interval of ``plain.value``, bootstrap over people.
        false_matches: how many impostor pairs of the data it lets in.
        interpolated: the rate lies between two that were fitted.
        fnmr: what it costs: the share of the data's genuine pairs that it keeps out; None: that
            was not counted.
    """

    plain: Threshold
    low: float
    high: float
    false_matches: int
    interpolated: bool
    fnmr: float | None = None

    def __str__(self) -> str:
        """In words, for people."""
        return (
            f"{self.plain.value:.3f} (95 % interval {self.low:.3f} to {self.high:.3f}; "
            f"{self.plain.origin}, {self.false_matches:,} false matches)"
        )


@dataclass(frozen=True, slots=True)
class IdentificationThreshold:
    """A threshold for searches in a gallery.

    Attributes:
        value: in the unit of ``metric``.
        low, high: 95 % interval, bootstrap over people; beyond the data also the extrapolated part.
        metric: name of the comparison.
        n_people: enrolled.
        references: photos a person; a person's score is the best of them.
        fpir: wanted: the share of searches for people not enrolled that find somebody.
        extrapolated: the gallery is larger than the data could show.
        data: what it was fitted on, in words.
    """

    value: float
    low: float
    high: float
    metric: str
    n_people: int
    references: float
    fpir: float
    extrapolated: bool
    data: str

    @property
    def plain(self) -> Threshold:
        """As ``lineament.decide.comparison.compare`` takes it."""
        return Threshold(self.value, self.metric, None, self.origin, None)

    @property
    def origin(self) -> str:
        """Where it comes from, in words."""
        beyond = ", extrapolated beyond the data" if self.extrapolated else ""
        people = counted(self.n_people, "person", "people")
        return (
            f"{self.fpir:.3g} false alarms a search among {people}, 95 % interval {self.low:.3f} "
            f"to {self.high:.3f}{beyond}, {self.data}"
        )

    def __str__(self) -> str:
        """In words, for people."""
        return f"{self.value:.3f} ({self.origin})"


@dataclass(frozen=True, eq=False, slots=True)
class Identification:
    """Thresholds by gallery size and wanted FPIR.

    Attributes:
        n_people: (G,) int64, ascending: sizes of galleries with one photo a person.
        fpir: (F,) ascending, 0 to 1.
        threshold: (G, F) in the metric's unit; stricter to the right size and the smaller rate.
        low, high: (G, F) 95 % interval, bootstrap over people.
        n_probe_people: whose photos were searched for, each person counting once.
        reference_exponent: g, 0 to 1: N people with k photos each raise as many false alarms
            as N k^g with one each. 1 would be if a person's photos resembled strangers
            independently, 0 if they were equal.
    """

    n_people: npt.NDArray[np.int64]
    fpir: Float64Array
    threshold: Float64Array
    low: Float64Array
    high: Float64Array
    n_probe_people: int
    reference_exponent: float

    def __post_init__(self) -> None:
        """Make the arrays read-only; DataError says what is wrong."""
        for name in ("fpir", "threshold", "low", "high"):
            freeze(self, name, np.float64)
        freeze(self, "n_people", np.int64)
        shape = len(self.n_people), len(self.fpir)
        if self.n_people.ndim != 1 or self.fpir.ndim != 1 or min(shape) < 1:
            raise DataError("identification: expected at least one size and one rate")
        if {a.shape for a in (self.threshold, self.low, self.high)} != {shape}:
            raise DataError(f"identification: expected tables of shape {shape}")
        if self.n_people[0] < 1 or (np.diff(self.n_people) <= 0).any():
            raise DataError("identification: expected sizes that rise from 1")
        if not (self.fpir > 0).all() or self.fpir[-1] >= 1 or (np.diff(self.fpir) <= 0).any():
            raise DataError("identification: expected rates that rise between 0 and 1")
        if not ((self.low <= self.threshold) & (self.threshold <= self.high)).all():
            raise DataError("identification: expected low <= threshold <= high")
        if self.n_probe_people < 1 or not 0 <= self.reference_exponent <= 1:
            raise DataError("identification: expected probe people, and an exponent from 0 to 1")


def _ordered(*values: float) -> bool:
    return all(math.isfinite(v) for v in values) and list(values) == sorted(values)


def freeze(owner: Any, name: str, kind: type) -> None:
    """Make an attribute a read-only array of finite numbers. DataError: it holds others."""
    try:
        array: npt.NDArray[Any] = np.array(getattr(owner, name), dtype=kind)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{name}: expected numbers, got: {error}") from error
    if array.size == 0 or not np.isfinite(array).all():
        raise DataError(f"{name}: expected finite numbers, got none or others")
    array.flags.writeable = False
    object.__setattr__(owner, name, array)
