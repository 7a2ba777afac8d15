"""How much more alike two strangers look in bad photos, and what their scores then mean.

Two clean photos of strangers are nearly orthogonal to a recognizer. What spoils both photos in the
same way (blur, large pixels, a mask on both faces) makes the faces alike instead, so that a
threshold for clean photos lets strangers pass. ``Conditions`` says by how much, from the two faces'
recognizability (``lineament.recognizability``):

    threshold   raised by ``threshold_rise``, so that the false match rate is what it was meant to
                be "for faces like these"
    LLR         that of a clean pair whose score is less by ``llr_rise``, times ``trust``, 0 to 1:
                a score says less about faces of which less is left

All three are tables over the recognizability of the worse and of the better face, with straight
lines between. Where the better face is clean no threshold changes: a bad photo and a clean one are
not alike. Everything stays monotonic in the score. A trust of 0 says that the score is no evidence,
so that the probability is the prior: what may be left of such faces differs too much from one way
of spoiling to another.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from lineament.decide._operating_points import freeze
from lineament.errors import DataError
from lineament.results import Outcome
from lineament.types import Float64Array

MOST_RISE = 2.0
"""No score passes a threshold that is raised so far: too little is left of both faces."""


class Condition(NamedTuple):
    """What holds for one pair of faces.

    Attributes:
        threshold_rise: cosine to add to thresholds for clean photos, 0 or more.
        llr_rise: cosine to take off a score before its likelihood ratio is read; below 0 where
            photos as bad as one of the two make both kinds of pairs less alike.
        trust: what that log-likelihood ratio is multiplied with, 0 to 1.
    """

    threshold_rise: float
    llr_rise: float
    trust: float


CLEAN = Condition(0.0, 0.0, 1.0)
"""Of two faces of which nothing is known, or nothing bad."""


@dataclass(frozen=True, eq=False, slots=True)
class Conditions(Outcome):
    """Tables over the recognizability of two faces.

    Attributes:
        knots: (K,) recognizability, ascending, 0 to 1; beyond the ends the outermost counts.
        threshold_rise: (K, K) in units of the cosine, 0 or more: rows by the worse face, columns by
            the better one; no greater to the right or below.
        llr_rise: (K, K) likewise, of either sign.
        trust: (K, K) 0 to 1.
        data: what they were fitted on, in words.
    """

    knots: Float64Array
    threshold_rise: Float64Array
    llr_rise: Float64Array
    trust: Float64Array
    data: str

    def __post_init__(self) -> None:
        """Make the arrays read-only; DataError says what is wrong."""
        for item in fields(self):
            if item.name != "data":
                freeze(self, item.name, np.float64)
        k = self.knots
        if k.ndim != 1 or len(k) < 2 or (np.diff(k) <= 0).any() or k[0] < 0 or k[-1] > 1:
            raise DataError("conditions: expected two knots or more that rise from 0 to 1")
        shape = len(k), len(k)
        if {self.threshold_rise.shape, self.llr_rise.shape, self.trust.shape} != {shape}:
            raise DataError(f"conditions: expected tables of shape {shape}")
        if not (self.trust.min() >= 0 and self.trust.max() <= 1):
            raise DataError("conditions: trust: expected numbers from 0 to 1")
        rise = self.threshold_rise
        if rise.min() < 0 or rise.max() > MOST_RISE:
            raise DataError(f"conditions: threshold_rise: expected cosines from 0 to {MOST_RISE:g}")
        if (np.diff(rise, axis=0) > 0).any() or (np.diff(rise, axis=1) > 0).any():
            raise DataError("conditions: threshold_rise: expected no more for better faces")
        if np.abs(self.llr_rise).max() > MOST_RISE:
            raise DataError(f"conditions: llr_rise: expected cosines up to {MOST_RISE:g}")

    def at(self, a: float | None, b: float | None) -> Condition:
        """What holds for two faces of that recognizability; None of either: it is not known."""
        if a is None or b is None:
            return CLEAN
        worse, better = min(a, b), max(a, b)
        row, column = _place(self.knots, worse), _place(self.knots, better)
        return Condition(
            *(
                float(row @ table @ column)
                for table in (self.threshold_rise, self.llr_rise, self.trust)
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            item.name: value.tolist() if isinstance(value, np.ndarray) else value
            for item in fields(self)
            for value in (getattr(self, item.name),)
        }


def _place(knots: Float64Array, value: float) -> Float64Array:
    """(K,) weights of the knots about a value: they sum to 1."""
    weights = np.zeros(len(knots))
    inside = min(max(value, float(knots[0])), float(knots[-1]))
    right = min(max(int(np.searchsorted(knots, inside)), 1), len(knots) - 1)
    share = (inside - knots[right - 1]) / (knots[right] - knots[right - 1])
    weights[right - 1], weights[right] = 1 - share, share
    return weights
