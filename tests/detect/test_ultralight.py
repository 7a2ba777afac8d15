"""UltraLight: its output's decoding and what it finds."""

from __future__ import annotations

import numpy as np
import pytest

from lineament import models
from lineament.detect.detector import DetectOptions
from lineament.detect.ultralight import UltraLight
from lineament.models.runtime import load_model
from lineament.types import FloatArray, Image


@pytest.fixture(scope="module")
def detector() -> UltraLight:
    return UltraLight(load_model(models.get("ultralight-320")))


def fake(scores: list[float], shares: list[list[float]]) -> tuple[UltraLight, list[FloatArray]]:
    shown: list[FloatArray] = []

    def run(batch: FloatArray, /) -> tuple[FloatArray, ...]:
        shown.append(batch)
        two = np.array([[[1 - s, s] for s in scores]], np.float32)
        return two, np.array([shares], np.float32)

    return UltraLight(run), shown


def test_finds_the_astronaut_stretched_or_not(detector: UltraLight, astronaut: Image) -> None:
    (face,) = detector.detect(astronaut, DetectOptions())
    assert face.landmarks_xy is None
    np.testing.assert_allclose(face.box_xyxy, [179, 62, 268, 173], atol=4)
    wide = np.repeat(astronaut, 2, axis=1)
    (stretched,) = detector.detect(wide, DetectOptions())
    np.testing.assert_allclose(stretched.box_xyxy, face.box_xyxy * [2, 1, 2, 1], atol=6)
    (mirrored,) = detector.detect(np.ascontiguousarray(astronaut[:, ::-1]), DetectOptions())
    expected = 511 - face.box_xyxy[[2, 1, 0, 3]]
    np.testing.assert_allclose(mirrored.box_xyxy[[0, 2]], expected[[0, 2]], atol=5)


def test_shares_become_pixels() -> None:
    net, shown = fake([0.9, 0.75, 0.6], [[0.1, 0.2, 0.3, 0.6], [0.5, 0, 1, 1], [0, 0, 1, 1]])
    one, two = net.detect(np.full((100, 200, 3), 7, np.uint8), DetectOptions())
    np.testing.assert_allclose(one.box_xyxy, [19.5, 19.5, 59.5, 59.5], atol=1e-4)
    np.testing.assert_allclose(two.box_xyxy, [99.5, -0.5, 199.5, 99.5], atol=1e-4)
    assert (one.score, two.score) == (pytest.approx(0.9), pytest.approx(0.75))
    assert shown[0].shape == (1, 3, 240, 320)
    assert np.unique(shown[0]).tolist() == [7]


def test_options() -> None:
    shares = [[0.0, 0, 0.2, 0.2], [0.4, 0.4, 0.8, 0.8], [0.4, 0.41, 0.8, 0.8], [0.9, 0.9, 0.9, 1]]
    net, _ = fake([0.8, 0.9, 1.1, 0.99], shares)
    image = np.zeros((100, 100, 3), np.uint8)
    faces = net.detect(image, DetectOptions())
    # the second overlaps the third, the fourth has no width, and no score is above 1
    assert [face.score for face in faces] == [1, pytest.approx(0.8)]
    assert len(net.detect(image, DetectOptions(max_faces=1))) == 1
    assert len(net.detect(image, DetectOptions(min_face_px=30))) == 1
    assert len(net.detect(image, DetectOptions(min_score=0.85))) == 1
    quiet, _ = fake([0.1], [[0, 0, 1, 1]])
    assert quiet.detect(image, DetectOptions()) == []
    assert len(quiet.detect(image, DetectOptions(min_score=0))) == 1


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 500), (2000, 2), (240, 320)])
def test_no_faces(detector: UltraLight, height: int, width: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert detector.detect(noise, DetectOptions()) == []
