"""Whose path is it? What speaks for each person, and when that is enough.

A path that begins is nobody's until it is settled: it is taken for somebody seen before when its
views are alike past the threshold for a false match rate of ``SURE_FMR``, and for somebody new when
they are like nobody. In between more views are waited for, up to ``PATIENCE``. A path in doubt,
since it may have been exchanged with another one, keeps its person unless the views speak against
that.

Thresholds of the cosine are named by false match rates, so that they hold for any recognizer with a
calibration.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from lineament.assignment import assign
from lineament.errors import OptionError
from lineament.pipeline import Recognizer

SURE_FMR, LIKELY_FMR, PERHAPS_FMR, UNLIKE_FMR = 1e-5, 1e-4, 1e-3, 1e-2
"""False match rates, of the comparison of a path with a person: from the first on it is the person
at once; from the second on when no more views are waited for; from the third on a person who is in
doubt is confirmed; below the last the views are like somebody else's."""

STEP = 0.05
"""What lies between two of these thresholds where the recognizer's data do not say."""

CLEAR = 0.5
"""The recognizability from which on a view can say that a face is of nobody seen before."""

PATIENCE_VIEWS, PATIENCE_S = 4, 0.7
"""So many clear views, or so long, are waited for."""

EXCHANGED = 0.12
"""How much more alike to another person than to its own a path in doubt must be, a cosine."""

FAR = 0.1
"""Views so far below the last threshold are somebody else's, one of them as surely as several."""


class Levels(NamedTuple):
    """Thresholds of the cosine, see ``SURE_FMR``."""

    sure: float
    likely: float
    perhaps: float
    unlike: float


def levels_of(recognizer: Recognizer) -> Levels:
    """The thresholds for a recognizer, by its calibration, else from its default threshold on."""
    calibration = recognizer.calibration
    found = []
    middle = recognizer.threshold().value
    for step, rate in enumerate((SURE_FMR, LIKELY_FMR, PERHAPS_FMR, UNLIKE_FMR)):
        try:
            if calibration is None:
                raise OptionError("no calibration")
            found.append(calibration.threshold(rate).plain.value)
        except OptionError:
            found.append(middle + STEP * (1 - step))
    return Levels(*sorted(found, reverse=True))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one path that is not settled, or in doubt.

    Attributes:
        own: number of the person whose it was; None: nobody's.
        alike: of every person the cosine to the pooled views.
        rise: of some people how much more it takes, since the views are bad.
        n_clear: views that are clear.
        age_s: since the path began, or is in doubt.
    """

    own: int | None
    alike: Mapping[int, float]
    rise: Mapping[int, float]
    n_clear: int
    age_s: float

    @property
    def is_over(self) -> bool:
        """Whether no more views are waited for."""
        return self.n_clear >= PATIENCE_VIEWS or (self.own is None and self.age_s >= PATIENCE_S)


Answer = int | Literal["new", "wait", "nobody"]
"""The number of a person, somebody new, not yet known, or: not the one whose it was."""


def answers(evidence: Sequence[Evidence], held: Collection[int], levels: Levels) -> list[Answer]:
    """Say of several paths whose they are, no two the same person's.

    Args:
        evidence: of the paths.
        held: numbers of people who are seen elsewhere for sure.
        levels: the thresholds.
    """
    people = sorted({number for one in evidence for number in one.alike} - set(held))
    gains = np.full((len(evidence), len(people)), -np.inf)
    for row, one in zip(gains, evidence, strict=True):
        for column, number in enumerate(people):
            if number in one.alike:
                row[column] = one.alike[number] - _needed(one, number, levels)
    columns = assign(gains).tolist()
    return [
        people[column] if column >= 0 else _otherwise(one, people, levels)
        for one, column in zip(evidence, columns, strict=True)
    ]


def _needed(one: Evidence, number: int, levels: Levels) -> float:
    """The cosine that it takes for a path to be a person's."""
    if number == one.own:
        return levels.perhaps
    level = levels.likely if one.is_over and one.own is None else levels.sure
    needed = level + one.rise.get(number, 0.0)
    if one.own is not None:
        needed = max(needed, one.alike.get(one.own, -1.0) + EXCHANGED)
    return needed


def _otherwise(one: Evidence, people: Sequence[int], levels: Levels) -> Answer:
    """What a path is that is nobody's of those who may be meant."""
    if one.own is not None:
        alike = one.alike.get(one.own, -1.0)
        enough = one.n_clear >= (1 if alike < levels.unlike - FAR else PATIENCE_VIEWS)
        return "nobody" if enough and alike < levels.unlike else "wait"
    most = max((one.alike[number] for number in people if number in one.alike), default=-1.0)
    enough = one.n_clear >= (1 if most < levels.unlike - FAR else 2)
    return "new" if one.is_over or (enough and most < levels.unlike) else "wait"
