"""Faces at the border: what is looked at again, where it lies then, and what it gains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import lineament
from lineament import DetectOptions, load_detector, load_image
from lineament.detect.border import FOUND_SCORE, GRAY, MOST, WINDOW_PX, completed
from lineament.types import FloatArray, Image

DEMO = Path(lineament.__file__).parent / "data" / "demo"
SUPPRESSION = 0.45


def row(left: float, top: float, right: float, bottom: float, score: float = 0.7) -> FloatArray:
    points = [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]] * np.array(
        [right - left, bottom - top]
    ) + [left, top]
    return np.array([score, left, top, right, bottom, *points.ravel(), 0], np.float32)


class Network:
    """Finds what it is told to find, and keeps the windows that it was shown."""

    def __init__(self, *rows: FloatArray) -> None:
        self.rows, self.windows = rows, []

    def __call__(self, window: Image, least: float) -> FloatArray:
        assert window.shape == (WINDOW_PX, WINDOW_PX, 3)
        assert least == FOUND_SCORE
        self.windows.append(window)
        return np.stack([each[:15] for each in self.rows]) if self.rows else np.empty((0, 15))


IMAGE: Image = np.full((400, 600, 3), 240, np.uint8)


@pytest.mark.parametrize(
    "box",
    [(100, 100, 180, 200), (8, 100, 108, 200), (100, 40, 190, 180), (200, 280, 280, 380)],
)
def test_a_face_inside_of_the_photo_is_not_looked_at_again(box: tuple[float, ...]) -> None:
    network, rows = Network(), row(*box)[None]
    assert completed(IMAGE, rows, network, SUPPRESSION) is rows
    assert not network.windows
    assert completed(IMAGE, rows[:0], network, SUPPRESSION).shape == (0, 16)


@pytest.mark.parametrize(
    "faces",
    [row(-0.5, 50, 99.5, 200, 0.5), row(-0.5, 50, 44.5, 109)],
    ids=["uncertain", "small"],
)
def test_a_spot_at_the_border_is_left_alone(faces: FloatArray) -> None:
    network = Network()
    assert completed(IMAGE, faces[None], network, SUPPRESSION) is not None
    assert not network.windows


@pytest.mark.parametrize(
    ("box", "outside"),
    [
        ((-0.5, 120, 99.5, 220), np.s_[:, :70]),
        ((499.5, 120, 599.5, 220), np.s_[:, 186:]),
        ((200, -0.5, 300, 79.5), np.s_[:80, :]),
        ((200, 319.5, 300, 399.5), np.s_[176:, :]),
    ],
    ids=["left", "right", "top", "bottom"],
)
def test_the_window_is_gray_outside_of_the_photo(
    box: tuple[float, ...], outside: tuple[slice, slice]
) -> None:
    network = Network()
    rows = row(*box)[None]
    np.testing.assert_array_equal(completed(IMAGE, rows, network, SUPPRESSION), rows)
    (window,) = network.windows
    assert (window[outside] == GRAY).all()
    assert (window == 240).mean() == pytest.approx(1 - window[outside].size / window.size, abs=0.05)
    assert window.min() == GRAY  # nothing is black


def test_what_is_found_there_is_put_back_into_the_photo() -> None:
    seen = row(64, 50, 192, 215, 0.9)  # in the window, whose middle is the box's
    network = Network(row(0, 0, 20, 20, 0.95), seen)
    rows = np.stack([row(200, -0.5, 300, 79.5, 0.8), row(40, 120, 120, 220, 0.7)])
    first, second = completed(IMAGE, rows, network, SUPPRESSION)
    scale = WINDOW_PX / (2.4 * 100)
    middle = np.array([250, 39.5])
    expected = (seen[1:15].reshape(7, 2) - (WINDOW_PX - 1) / 2) / scale + middle
    np.testing.assert_allclose(first[1:15].reshape(7, 2), expected, atol=0.51)  # whole pixels
    assert first[0] == pytest.approx(0.8)  # no score is raised
    np.testing.assert_array_equal(second, rows[1])
    assert len(network.windows) == 1


def test_another_face_in_the_window_is_not_taken_for_it() -> None:
    network = Network(row(0, 0, 60, 60, 0.95))
    rows = row(200, -0.5, 300, 79.5, 0.8)[None]
    np.testing.assert_array_equal(completed(IMAGE, rows, network, SUPPRESSION), rows)


def test_two_parts_of_one_face_become_one_and_a_crowd_is_bounded() -> None:
    network = Network(row(64, 50, 192, 215, 0.9))
    parts = np.stack([row(200, -0.5, 300, 79.5, 0.8), row(202, -0.5, 302, 79.5, 0.7)])
    assert len(completed(IMAGE, parts, network, SUPPRESSION)) == 1
    wide: Image = np.full((200, 8000, 3), 240, np.uint8)
    network = Network()
    crowd = np.stack([row(120 * i, -0.5, 120 * i + 80, 99.5) for i in range(40)])
    assert len(completed(wide, crowd, network, SUPPRESSION)) == 40
    assert len(network.windows) == MOST


@pytest.mark.parametrize("name", ["obama.jpg", "obama2.jpg", "astronaut.jpg", "biden.jpg"])
@pytest.mark.parametrize("side", ["top", "bottom"])
def test_landmarks_of_a_cut_face_are_where_they_were(name: str, side: str) -> None:
    detector, options = load_detector("yunet", turning=False), DetectOptions()
    image = load_image(DEMO / name)
    whole = detector.detect(image, options)[0]
    _, top, _, bottom = whole.box_xyxy.tolist()
    share = 0.35 * (bottom - top)
    start, end = (round(top + share), None) if side == "top" else (0, round(bottom - share))
    face = detector.detect(np.ascontiguousarray(image[start:end]), options)[0]
    assert whole.landmarks_xy is not None
    assert face.landmarks_xy is not None
    apart = np.linalg.norm(face.landmarks_xy + np.array([0, start]) - whole.landmarks_xy, axis=1)
    assert apart.mean() < 0.08 * max(whole.size_wh)
    seen = face.box_xyxy + np.array([0, start, 0, start])
    assert np.abs(seen - whole.box_xyxy).max() < 0.2 * max(whole.size_wh)
