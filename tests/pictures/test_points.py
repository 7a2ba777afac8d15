"""Points of faces in a picture: where dots and lines are, and that they do not hide small faces."""

from __future__ import annotations

import numpy as np
import pytest

from lineament.errors import OptionError
from lineament.pictures.photos import annotate
from lineament.pictures.points import LEAST_APART_PX, OUTLINES, draw_points
from lineament.types import Face, Image

LINE, DOT = (250, 250, 248), (86, 180, 233)


def plain() -> Image:
    return np.full((400, 400, 3), 100, np.uint8)


def grid(across: int, left: float, top: float, side: float) -> np.ndarray:
    """Points (across ** 2, 2) in rows."""
    steps = np.linspace(0, side, across)
    return np.stack([np.tile(steps, across) + left, np.repeat(steps, across) + top], axis=1)


@pytest.mark.parametrize("count", sorted(OUTLINES))
def test_outlines_are_of_points_that_there_are(count: int) -> None:
    named = [point for outline in OUTLINES[count] for point in outline]
    assert min(named) >= 0
    assert max(named) < count
    for outline in OUTLINES[count]:
        inner = outline[:-1] if outline[0] == outline[-1] else outline
        assert len(set(inner)) == len(inner) >= 4


def test_dots_lie_on_the_points() -> None:
    picture = plain()
    points = grid(5, 60, 80, 240)  # 25 points: no outlines
    draw_points(picture, [points], 1.0, line=LINE, dot=DOT)
    changed = (picture != 100).any(axis=2)
    for x, y in points.round().astype(int):
        assert (picture[y, x] == DOT).all()
        changed[y - 4 : y + 5, x - 4 : x + 5] = False
    assert not changed.any()


def test_points_are_scaled_about_the_edges_of_pixels() -> None:
    picture = plain()
    draw_points(picture, [grid(2, 10, 10, 100)], 3.0, line=LINE, dot=DOT)
    assert (picture[31, 31] == DOT).all()  # (10 + 0.5) * 3 - 0.5
    assert (picture[331, 331] == DOT).all()


def test_crowded_points_become_fewer_dots() -> None:
    """23 x 23 points, 5.2 pixels apart, all are drawn; 2.6 pixels apart, every other one."""
    shares = []
    for side in (22 * 1.04 * LEAST_APART_PX, 22 * 0.52 * LEAST_APART_PX):
        picture = plain()
        draw_points(picture, [grid(23, 50, 50, side)], 1.0, line=LINE, dot=DOT)
        shares.append((picture[50 : 50 + int(side), 50 : 50 + int(side)] != 100).any(axis=2).mean())
    assert shares[1] < 1.2 * shares[0]


def test_small_faces_get_faint_lines_and_no_dots() -> None:
    rng = np.random.default_rng(1)
    shape = rng.uniform(0, 1, (68, 2))
    small, large = plain(), plain()
    draw_points(small, [shape * 60 + 50], 1.0, line=LINE, dot=DOT)
    draw_points(large, [shape * 300 + 50], 1.0, line=LINE, dot=DOT)
    assert small.max() < 100 + 0.6 * (LINE[0] - 100)
    assert large.max() >= 245
    assert (large == DOT).all(axis=2).any()
    assert not (small == DOT).all(axis=2).any()


def test_points_far_outside_and_none_at_all() -> None:
    picture = plain()
    far = np.full((478, 2), 1e7)
    draw_points(picture, [far, np.zeros((0, 2))], 1.0, line=LINE, dot=DOT)
    assert (picture == 100).all()


def test_annotate_draws_points_in_place_of_landmarks() -> None:
    five = np.array([[130.0, 150], [210, 150], [170, 190], [140, 230], [200, 230]])
    face = Face(np.array([100, 100, 240, 280]), 0.9, five)
    points = grid(4, 115, 120, 110)
    before = annotate(plain(), [face])
    picture = annotate(plain(), [face], points=[points])
    x, y = five[0].astype(int)
    assert (before[y, x] != 100).any()
    assert (picture[y, x] == 100).all()
    x, y = points[5].round().astype(int)
    assert (picture[y, x] != 100).any()
    with pytest.raises(OptionError, match="expected one for each of 1 faces, got 2"):
        annotate(plain(), [face], points=[points, points])
