"""When a face that is followed is embedded again, for the end of a film alone."""

from __future__ import annotations

from dataclasses import replace

from builders import make_face
from lineament.video._following import ENOUGH_GOOD, FEW_SPACING_S, Followed

NOW_S = 2.0


def kept(**changes: object) -> Followed:
    """A face of which the last view was kept long enough ago."""
    one = Followed(
        make_face(), 0.0, None, kept_s=NOW_S - 1.01 * FEW_SPACING_S, n_good=ENOUGH_GOOD - 1
    )
    return replace(one, **changes)  # type: ignore[arg-type]


def test_a_film_needs_more_views_until_there_are_enough_good_ones() -> None:
    assert kept().is_short_of_views(NOW_S)
    assert Followed(make_face(), 0.0, None).is_short_of_views(NOW_S)
    assert not kept(n_good=ENOUGH_GOOD).is_short_of_views(NOW_S)
    assert not kept(kept_s=NOW_S - FEW_SPACING_S / 2).is_short_of_views(NOW_S)
    assert not kept(seen=False).is_short_of_views(NOW_S)
    assert not kept(face=make_face(landmarks=False)).is_short_of_views(NOW_S)


def test_views_of_before_a_doubt_may_be_of_somebody_else() -> None:
    one = kept(n_good=ENOUGH_GOOD)
    one.doubt(NOW_S)
    assert one.is_short_of_views(NOW_S)
