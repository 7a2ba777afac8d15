"""Landmarks from the O-Net, and photos that lie on a side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from builders import FakeDetector, make_face
from lineament import models
from lineament.detect import DetectOptions, load_detector
from lineament.detect.refine import (
    CERTAIN_READING,
    CERTAIN_SCORE,
    CROP_SHARE,
    TRUSTED,
    Refined,
    Turning,
    _points_back,
    _shrunk,
)
from lineament.models.runtime import load_model
from lineament.types import Face, FloatArray, Image

OPTIONS = DetectOptions()


# --- turning back ---------------------------------------------------------------------------------


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_points_go_back_to_where_the_pixels_came_from(turns: int) -> None:
    height, width = 5, 7
    numbers = np.arange(height * width).reshape(height, width)
    turned = np.rot90(numbers, turns)
    ys, xs = np.indices(turned.shape)
    points = np.stack([xs.ravel(), ys.ravel()], axis=1).astype(np.float32)
    back = _points_back(points, turns, width, height).astype(int)
    np.testing.assert_array_equal(numbers[back[:, 1], back[:, 0]], turned.ravel())


@pytest.mark.parametrize(
    ("name", "turns"),
    [
        *(("yunet+onet", turns) for turns in (1, 2, 3)),
        *(("blazeface+onet", turns) for turns in (1, 2, 3)),
        # MTCNN takes this face turned by 270 degrees for an upright one (with a score of 0.96).
        *(("mtcnn", turns) for turns in (1, 2)),
    ],
)
def test_a_turned_photo(astronaut: Image, name: str, turns: int) -> None:
    photo = astronaut[:400]  # no square, or width and height could be taken for one another
    detector = load_detector(name)
    (upright,) = detector.detect(photo, OPTIONS)
    assert upright.turned_deg == 0
    (face,) = detector.detect(np.ascontiguousarray(np.rot90(photo, turns)), OPTIONS)
    assert face.turned_deg == (360 - 90 * turns) % 360  # by how much it had to be turned
    assert face.score == pytest.approx(upright.score, abs=1e-4)
    assert face.landmarks_xy is not None
    assert upright.landmarks_xy is not None
    # The photo that was given is np.rot90(photo, turns): back to the upright one.
    points = _points_back(face.landmarks_xy, turns, photo.shape[1], photo.shape[0])
    np.testing.assert_allclose(points, upright.landmarks_xy, atol=1)
    corners = _points_back(face.box_xyxy.reshape(2, 2), turns, photo.shape[1], photo.shape[0])
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    np.testing.assert_allclose(box, upright.box_xyxy, atol=1)


def test_without_turning(astronaut: Image) -> None:
    on_its_side = np.ascontiguousarray(np.rot90(astronaut))
    faces = load_detector("mtcnn", turning=False).detect(on_its_side, OPTIONS)
    assert all(face.turned_deg == 0 for face in faces)
    assert len(load_detector("mtcnn").detect(on_its_side, OPTIONS)) == 1


class ByWidth:
    """Finds what it is told for each size of the photo: tells turned from upright ones."""

    def __init__(self, **scores: list[float]) -> None:
        self.scores = scores
        self.looks: list[tuple[int, int]] = []

    def detect(self, image: Image, options: DetectOptions, /) -> list[Face]:
        self.looks.append((image.shape[1], image.shape[0]))
        kind = "wide" if image.shape[1] > image.shape[0] else "high"
        kind = "marked" if image[0, 0, 0] == 255 and "marked" in self.scores else kind
        return [make_face((i, 1, i + 5, 9), s) for i, s in enumerate(self.scores.get(kind, []))]


def photo(width: int = 30, height: int = 20) -> Image:
    image = np.zeros((height, width, 3), np.uint8)
    image[-1, -1] = 255  # comes to the top left corner when turned by 180 degrees
    return image


def test_a_certain_face_needs_one_look() -> None:
    detector = ByWidth(wide=[0.3, CERTAIN_SCORE], high=[1.0])
    faces = Turning(detector).detect(photo(), OPTIONS)
    assert [face.score for face in faces] == [0.3, CERTAIN_SCORE]
    assert detector.looks == [(30, 20)]


def test_the_turn_with_the_most_certain_face_wins() -> None:
    detector = ByWidth(wide=[0.7], high=[0.6, 0.8])
    faces = Turning(detector).detect(photo(), OPTIONS)
    assert [(face.score, face.turned_deg) for face in faces] == [(0.6, 90), (0.8, 90)]
    assert detector.looks == [(30, 20), (20, 30), (20, 30), (30, 20)]
    # x, y -> width - 1 - y, x
    np.testing.assert_allclose(faces[1].box_xyxy, [29 - 9, 1, 29 - 1, 6])
    upside_down = Turning(ByWidth(wide=[0.7], marked=[0.75])).detect(photo(), OPTIONS)
    assert [face.turned_deg for face in upside_down] == [180]
    np.testing.assert_allclose(upside_down[0].box_xyxy, [29 - 5, 19 - 9, 29, 19 - 1])
    upright = Turning(ByWidth(wide=[0.7], high=[0.7])).detect(photo(), OPTIONS)
    assert [face.turned_deg for face in upright] == [0]  # of equals, as it was given


def test_nothing_in_any_turn() -> None:
    detector = ByWidth()
    assert Turning(detector).detect(photo(), OPTIONS) == []
    assert len(detector.looks) == 4


# --- refining -------------------------------------------------------------------------------------


def onet(probability: float, points: Any = 0.5) -> Any:
    """An O-Net that sees one thing; ``points`` are shares of its window."""
    asked: list[FloatArray] = []

    def run(batch: FloatArray, /) -> tuple[FloatArray, ...]:
        asked.append(batch)
        n = len(batch)
        shares = np.broadcast_to(np.asarray(points, np.float32), (n, 10)).copy()
        return (
            np.zeros((n, 4), np.float32),
            shares,
            np.full((n, 1), probability, np.float32),
        )

    run.asked = asked  # type: ignore[attr-defined]
    return run


def test_nothing_to_refine() -> None:
    model = onet(1.0)
    faces, certainty = Refined(FakeDetector(), model).read(photo(), OPTIONS)
    assert faces == []
    assert certainty.shape == (0,)
    assert model.asked == []


def test_landmarks_come_from_the_onet_where_it_is_sure(astronaut: Image) -> None:
    rough = load_detector("yunet", turning=False).detect(astronaut, OPTIONS)
    (face,) = load_detector("yunet+onet", turning=False).detect(astronaut, OPTIONS)
    np.testing.assert_array_equal(face.box_xyxy, rough[0].box_xyxy)
    assert face.score == pytest.approx(rough[0].score, abs=1e-3)  # the O-Net agrees
    assert face.landmarks_xy is not None
    assert rough[0].landmarks_xy is not None
    # What facenet-pytorch's cascade finds, which has the same O-Net (see test_mtcnn).
    reference = np.array(
        [[205.09, 101.09], [248.03, 103.45], [224.94, 129.21], [202.13, 139.82], [245.92, 142.45]]
    )
    ours = np.linalg.norm(face.landmarks_xy - (reference - 1), axis=1)
    assert ours.max() < 3
    assert ours.mean() < np.linalg.norm(rough[0].landmarks_xy - (reference - 1), axis=1).mean()


@pytest.mark.parametrize("landmarks", [True, False])
def test_the_detectors_landmarks_stay_where_the_onet_cannot_read(landmarks: bool) -> None:
    given = make_face(landmarks=landmarks)
    image = np.zeros((100, 100, 3), np.uint8)
    (sure,) = Refined(FakeDetector(given), onet(TRUSTED + 0.01)).detect(image, OPTIONS)
    (unsure,) = Refined(FakeDetector(given), onet(TRUSTED - 0.01)).detect(image, OPTIONS)
    assert sure.landmarks_xy is not None
    assert np.ptp(sure.landmarks_xy, axis=0).max() < 1e-3  # all in one place, as the fake says
    assert unsure.landmarks_xy is not None
    if landmarks:
        assert given.landmarks_xy is not None
        np.testing.assert_array_equal(unsure.landmarks_xy, given.landmarks_xy)
    else:  # better doubtful ones than none
        np.testing.assert_array_equal(unsure.landmarks_xy, sure.landmarks_xy)


def test_disagreement_lowers_the_certainty() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    with_points, without = make_face(), make_face(landmarks=False)
    _, plain = Refined(FakeDetector(without), onet(0.9)).read(image, OPTIONS)
    assert plain.tolist() == pytest.approx([0.9])
    (face,), certainty = Refined(FakeDetector(with_points), onet(0.9)).read(image, OPTIONS)
    assert face.landmarks_xy is not None
    assert with_points.landmarks_xy is not None
    # The mean distance in longer sides of the box (50 pixels); a quarter is full doubt.
    apart = np.mean(np.hypot(*(face.landmarks_xy - with_points.landmarks_xy).T)) / 50
    assert 0.05 < apart < 0.25
    assert certainty.tolist() == pytest.approx([0.9 * (1 - apart / 0.25)], rel=1e-4)
    assert certainty[0] < CERTAIN_READING


def test_boxes_shrink_about_their_centers() -> None:
    boxes = np.array([[0, 10, 20, 50]], np.float32)
    np.testing.assert_allclose(_shrunk(boxes, 0.5), [[5, 20, 15, 40]])
    np.testing.assert_allclose(_shrunk(boxes, 1), boxes)
    assert 0.8 <= CROP_SHARE <= 0.95


def test_many_faces_keep_their_order(astronaut: Image) -> None:
    picture = np.concatenate([astronaut[:256], astronaut[:256, ::-1]], axis=1)
    rough = load_detector("yunet", turning=False).detect(picture, OPTIONS)
    fine = Refined(load_detector("yunet", turning=False), load_model(models.get("mtcnn-o"))).detect(
        picture, OPTIONS
    )
    assert len(rough) == 2
    np.testing.assert_array_equal([f.box_xyxy for f in fine], [f.box_xyxy for f in rough])
    points = [face.landmarks_xy for face in (*fine, *rough)]
    apart = np.abs(np.array(points[:2]) - np.array(points[2:]))
    assert 0.5 < apart.max() < 10
