"""When a face that is followed is embedded again."""

from __future__ import annotations

import math

import pytest

from builders import make_face
from lineament.video._following import (
    CLOSELY_SPACING_S,
    ENOUGH_GOOD,
    FEW_SPACING_S,
    Followed,
)
from lineament.video.memory import Person


def settled(n_good: int) -> Followed:
    """Somebody known, of whom a best look was had, two tenths of a second ago."""
    face = make_face((40, 10, 70, 50), landmarks=True)
    return Followed(
        face, 0.0, None, person=Person(1), embedded_s=1.0, n_embedded=5, n_good=n_good, look=1.0
    )


def test_a_film_is_looked_at_closely_between_others_and_until_there_are_good_views() -> None:
    few, enough = settled(ENOUGH_GOOD - 1), settled(ENOUGH_GOOD)
    assert few.film_spacing_s(near=True) == CLOSELY_SPACING_S
    assert enough.film_spacing_s(near=True) == CLOSELY_SPACING_S
    assert few.film_spacing_s(near=False) == FEW_SPACING_S
    assert enough.film_spacing_s(near=False) == math.inf
    enough.doubt(1.0)  # what was seen before may be of somebody else
    assert enough.film_spacing_s(near=False) == FEW_SPACING_S


@pytest.mark.parametrize(
    ("spacing_s", "urgent"), [(math.inf, False), (FEW_SPACING_S, True), (0.3, False)]
)
def test_a_settled_face_is_embedded_for_the_film_alone(spacing_s: float, urgent: bool) -> None:
    assert (settled(0).urgency(1.2, is_open=False, spacing_s=spacing_s) > 0) == urgent
    assert settled(0).urgency(1.2, is_open=False) == 0  # as of a camera
