"""How much of a face is in the photo: against areas counted apart, and on cut photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import lineament
from builders import make_face
from lineament import Recognizer
from lineament.geometry import ARCFACE_TEMPLATE_XY
from lineament.quality import DEFAULT_LIMITS
from lineament.types import Face, Image
from lineament.visible import CENTER_XY, RADII_XY, visible_share

DEMO = Path(lineament.__file__).parent / "data" / "demo"
SIDES = ("left", "top", "right", "bottom")


def segment(cut: float) -> float:
    """What is left of an ellipse cut at right angles to an axis, ``cut`` radii from the center."""
    outside = np.arccos(cut) - cut * np.sqrt(1 - cut * cut)
    return float(1 - outside / np.pi)


def cut_template(side: str, at: float) -> tuple[Face, tuple[int, int]]:
    """The template's face, 4 times as large, in a photo that ends ``at`` radii from its center.

    The box has the shape of a whole one, so that only the landmarks tell.
    """
    low, high = np.array([-100.0, -100.0]), np.array([212.0, 212.0])
    axis = SIDES.index(side) % 2
    center, radius = CENTER_XY[axis], RADII_XY[axis]
    if side in ("left", "top"):
        low[axis] = center - at * radius
    else:
        high[axis] = center + at * radius
    points = (ARCFACE_TEMPLATE_XY - low) * 4 - 0.5
    left, top = np.maximum(0, (np.array([8.0, 0.0]) - low) * 4 - 0.5)
    right, bottom = np.minimum((high - low) * 4, (np.array([104.0, 124.0]) - low) * 4) - 0.5
    width, height = right - left, bottom - top
    if axis == 0:
        top = bottom - min(height, width * 1.4)
    else:
        left += max(0, (width - height / 1.2) / 2)
        right = left + min(width, height / 1.2)
    size = np.rint((high - low) * 4).astype(int)
    return Face(np.array([left, top, right, bottom]), 0.9, points), (int(size[0]), int(size[1]))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("at", [0.0, 0.3, 0.6, 0.9])
def test_the_landmarks_tell_what_the_border_cuts(side: str, at: float) -> None:
    face, size_wh = cut_template(side, at)
    assert visible_share(face, size_wh) == pytest.approx(segment(at), abs=0.03)


def turned(face: Face, size_wh: tuple[int, int]) -> tuple[Face, tuple[int, int]]:
    """By 90 degrees, clockwise."""
    high = size_wh[1] - 1
    left, top, right, bottom = face.box_xyxy.tolist()
    assert face.landmarks_xy is not None
    points = np.stack([high - face.landmarks_xy[:, 1], face.landmarks_xy[:, 0]], axis=1)
    box = np.array([high - bottom, left, high - top, right])
    return Face(box, face.score, points, 90), size_wh[::-1]


@pytest.mark.parametrize("side", SIDES)
def test_a_face_that_lies_on_a_side_is_measured_as_if_it_stood(side: str) -> None:
    face, size_wh = cut_template(side, 0.4)
    expected = visible_share(face, size_wh)
    for _ in range(3):
        face, size_wh = turned(face, size_wh)
        assert visible_share(face, size_wh) == pytest.approx(expected, abs=1e-3)


def test_a_box_that_ends_inside_of_the_photo_is_whole() -> None:
    """Whatever the landmarks say: a profile's ellipse reaches past the nose."""
    face = make_face((2, 2, 42, 52))
    assert visible_share(face, (45, 55)) == 1
    assert visible_share(face, (4000, 3000)) == 1


@pytest.mark.parametrize(
    ("box", "size_wh", "expected"),
    [
        ((20, -0.5, 70, 29.5), (100, 90), 30 / (1.05 * 50)),  # from above: too wide
        ((20, 60, 70, 89.5), (100, 90), 29.5 / (1.05 * 50)),
        ((-0.5, 20, 19.5, 80), (100, 90), 20 * 1.55 / 60),  # from the left: too narrow
        ((80, 20, 99.5, 80), (100, 90), 19.5 * 1.55 / 60),
        ((80, 20, 130, 80), (100, 90), 19.5 * 1.55 / 60),  # what lies past the photo is not there
        ((20, -0.5, 70, 64.5), (100, 90), 1),  # at the border, and whole
        ((20, 20, 70, 50), (100, 90), 1),  # as wide, but nowhere near it
        ((120, 20, 170, 80), (100, 90), 0),
        ((-0.5, -0.5, 49.5, 64.5), (50, 65), 1),  # a photo of nothing else
    ],
)
def test_the_shape_of_the_box_tells_too(
    box: tuple[float, ...], size_wh: tuple[int, int], expected: float
) -> None:
    face = make_face(box, landmarks=False)
    assert visible_share(face, size_wh) == pytest.approx(expected, abs=1e-6)
    coinciding = Face(np.array(box), 0.9, np.ones((5, 2)))
    assert visible_share(coinciding, size_wh) == pytest.approx(expected, abs=1e-6)


# --- on photos ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer("fast")


def cut(image: Image, face: Face, side: str, share: float) -> Image:
    left, top, right, bottom = face.box_xyxy.tolist()
    x, y = round(share * (right - left)), round(share * (bottom - top))
    if side in ("left", "right"):
        return image[:, round(left) + x :] if side == "left" else image[:, : round(right) - x]
    return image[round(top) + y :] if side == "top" else image[: round(bottom) - y]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", ["obama.jpg", "obama2.jpg", "astronaut.jpg"])
def test_a_cut_face_makes_the_decision_open(name: str, side: str, recognizer: Recognizer) -> None:
    image = lineament.load_image(DEMO / name)
    whole = recognizer.finder.find(image)
    face = whole.faces[whole.require()]
    decision = recognizer.verify(image, np.ascontiguousarray(cut(image, face, side, 0.4)))
    assert decision.quality_a is not None
    assert decision.quality_b is not None
    assert decision.quality_a.visible_share == 1
    assert decision.quality_b.visible_share is not None
    assert decision.quality_b.visible_share < DEFAULT_LIMITS.least_visible_share  # type: ignore[operator]
    assert decision.verdict == "undecided"
    assert any("the photo's border cuts the face" in reason for reason in decision.reasons)


@pytest.mark.parametrize("gray", [0, 255])
@pytest.mark.parametrize("side", SIDES)
def test_a_bar_is_as_good_as_the_border(side: str, gray: int, recognizer: Recognizer) -> None:
    image = lineament.load_image(DEMO / "obama.jpg")
    whole = recognizer.finder.find(image)
    face = whole.faces[whole.require()]
    rest = cut(image, face, side, 0.4)
    barred = np.full_like(image, gray)
    down, across = image.shape[0] - rest.shape[0], image.shape[1] - rest.shape[1]
    top, left = down * (side == "top"), across * (side == "left")
    barred[top : top + rest.shape[0], left : left + rest.shape[1]] = rest
    decision = recognizer.verify(image, barred)
    assert decision.verdict == "undecided"
    assert any("the photo's border cuts the face" in reason for reason in decision.reasons)


@pytest.mark.parametrize("margin", [0.3, 0.1, 0.0])
@pytest.mark.parametrize("name", ["obama.jpg", "biden.jpg", "astronaut.jpg"])
def test_a_close_up_is_no_cut_face(name: str, margin: float, recognizer: Recognizer) -> None:
    image = lineament.load_image(DEMO / name)
    whole = recognizer.finder.find(image)
    close = whole.faces[whole.require()].crop(image, margin=margin)
    seen = recognizer.analyze(close, keep_crops=True)
    decision = recognizer.verify(seen, close)
    assert decision.quality_a is not None
    assert decision.quality_a.visible_share is not None
    limit = DEFAULT_LIMITS.least_visible_share
    assert limit is not None
    assert decision.quality_a.visible_share >= limit
