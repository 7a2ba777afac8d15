"""Landmarks from the O-Net, and its opinion on scores."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from builders import FakeDetector, make_face
from lineament import models
from lineament.detect import DetectOptions, load_detector
from lineament.detect.refine import (
    CROP_SHARE,
    TRUSTED,
    Refined,
    _shrunk,
    rolls_deg,
)
from lineament.detect.turning import CERTAIN_READING
from lineament.models.runtime import load_model
from lineament.types import FloatArray, Image

OPTIONS = DetectOptions()


def photo(width: int = 30, height: int = 20) -> Image:
    return np.zeros((height, width, 3), np.uint8)


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
    seen = Refined(FakeDetector(), model).see(photo(), OPTIONS)
    assert seen.faces == []
    assert seen.upright.shape == (0,)
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
    plain = Refined(FakeDetector(without), onet(0.9)).see(image, OPTIONS)
    assert plain.upright.tolist() == pytest.approx([0.9])
    seen = Refined(FakeDetector(with_points), onet(0.9)).see(image, OPTIONS)
    (face,), certainty = seen.faces, seen.upright
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


@pytest.mark.parametrize("angle", [-60, -30, 15, 45])
def test_tilted_faces_are_read_level(astronaut: Image, angle: int) -> None:
    """Turned by hand, the landmarks turn with the photo."""
    height, width = astronaut.shape[:2]
    middle = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(middle, -angle, 1)  # clockwise
    turned = np.asarray(cv2.warpAffine(astronaut, matrix, (width, height)), np.uint8)
    detector = load_detector("yunet+onet", turning=False)
    (upright,), (face,) = (detector.detect(image, OPTIONS)[:1] for image in (astronaut, turned))
    assert upright.landmarks_xy is not None
    assert face.landmarks_xy is not None
    moved = upright.landmarks_xy @ matrix[:, :2].T + matrix[:, 2]
    between_the_eyes = np.linalg.norm(np.subtract(*upright.landmarks_xy[:2]))
    apart = np.linalg.norm(face.landmarks_xy - moved, axis=1) / between_the_eyes
    assert apart.mean() < 0.1


def test_the_tilt_of_five_points() -> None:
    upright = np.array([[0, 0], [2, 0], [1, 1], [0, 2], [2, 2]], np.float32)
    clockwise = upright[:, ::-1] * [-1, 1]  # x, y -> -y, x: the top to the right
    both = np.stack([upright, clockwise, -upright]).astype(np.float32)
    assert np.abs(rolls_deg(both)).tolist() == pytest.approx([0, 90, 180])
    assert rolls_deg(both)[1] == pytest.approx(90)
