"""Chips as dlib cuts them, to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dlib_files import DLIBS_FIVE_XY
from PIL import Image as PILImage

from lineament.align.dlib_chips import FIVE_XY, SIXTY_EIGHT, SIXTY_EIGHT_XY, dlib_chip
from lineament.errors import OptionError
from lineament.files import DATA
from lineament.images import load_image
from lineament.types import Image

GOLDEN = Path(__file__).parent.parent / "golden" / "dlib.npz"


@pytest.mark.parametrize("name", DLIBS_FIVE_XY)
def test_the_chips_of_dlib(name: str) -> None:
    with np.load(GOLDEN) as golden:
        expected = golden["chip"][golden["photo"].tolist().index(name)]
    found = dlib_chip(load_image(DATA / "demo" / name), np.array(DLIBS_FIVE_XY[name]))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.2, 4.1, 9.0])
@pytest.mark.parametrize(("turn_deg", "shift"), [(0, 0), (33, 0), (-150, 150), (90, -190)])
def test_at_any_size_turn_and_place(
    astronaut: Image, scale: float, turn_deg: int, shift: int
) -> None:
    """Beyond the border, halved once or more often, enlarged."""
    dlib = pytest.importorskip("dlib")
    side = round(512 * scale)
    image = np.array(PILImage.fromarray(astronaut).resize((side, side)))
    turn = np.exp(1j * np.radians(turn_deg))
    five = np.array(DLIBS_FIVE_XY["astronaut.jpg"]) @ [1, 1j]
    five = ((five - five.mean()) * turn + five.mean() + shift) * scale
    points = np.stack([five.real, five.imag], axis=1).round().astype(int)
    shape = dlib.full_object_detection(
        dlib.rectangle(0, 0, 9, 9), [dlib.point(int(x), int(y)) for x, y in points]
    )
    expected = dlib.get_face_chip(image, shape, 150, 0.25)
    np.testing.assert_array_equal(dlib_chip(image, points), expected)


def test_by_68_points(astronaut: Image) -> None:
    dlib = pytest.importorskip("dlib")
    draw = np.random.default_rng(3)
    points = draw.integers(150, 300, (68, 2))
    points[SIXTY_EIGHT] = (SIXTY_EIGHT_XY * 90 + [180, 90] + draw.normal(0, 2, (33, 2))).astype(int)
    shape = dlib.full_object_detection(
        dlib.rectangle(0, 0, 9, 9), [dlib.point(int(x), int(y)) for x, y in points]
    )
    expected = dlib.get_face_chip(astronaut, shape, 150, 0.25)
    np.testing.assert_array_equal(dlib_chip(astronaut, points), expected)


def test_a_face_outside_of_the_photo_is_black(astronaut: Image) -> None:
    far = np.array(DLIBS_FIVE_XY["astronaut.jpg"]) + 5000
    assert not dlib_chip(astronaut, far).any()
    assert dlib_chip(astronaut, far - 5000).any()


def test_the_templates_are_of_one_face() -> None:
    """The five lie where the same points of the 68 do, to a hundredth of the square."""
    at = [SIXTY_EIGHT.tolist().index(i) for i in (45, 42, 36, 39, 33)]
    np.testing.assert_allclose(SIXTY_EIGHT_XY[at], FIVE_XY, atol=0.01)


def test_points_that_there_are_not(astronaut: Image) -> None:
    with pytest.raises(OptionError, match="points_xy: expected 5 or 68 points, got 4"):
        dlib_chip(astronaut, np.zeros((4, 2), int))
    with pytest.raises(OptionError, match="expected 5 points that differ"):
        dlib_chip(astronaut, np.full((5, 2), 7))
