"""The detectors behind one method, and their options."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from lineament import models
from lineament.detect import (
    DEFAULT_DETECTOR,
    DETECTORS,
    DetectOptions,
    check_detector,
    load_detector,
)
from lineament.errors import LicenseError, OptionError
from lineament.models import LicensePolicy
from lineament.models.runtime import Runtime
from lineament.types import Image

NO_DLIB = pytest.mark.skipif(find_spec("dlib") is None, reason="dlib is not installed")
NAMES = [
    pytest.param(name, marks=[NO_DLIB, pytest.mark.slow])
    if name.startswith("dlib")
    else pytest.param(name, marks=pytest.mark.slow)  # seconds a photo; test_haar.py has the rest
    if name.startswith("haar")
    else name
    for name in DETECTORS
]
BOX = np.array([179, 63, 268, 174])
POINTS = np.array([[204, 100], [247, 102.5], [224, 128], [201, 139], [245, 141.5]])


def sure(name: str) -> DetectOptions:
    """dlib's own line lets a patch of the suit pass, with a score of 0.55."""
    return DetectOptions(min_score=0.6 if name == "dlib-hog" else None)


def test_names() -> None:
    assert DEFAULT_DETECTOR in DETECTORS
    assert {"yunet", "mtcnn", "blazeface", "ultralight", "yunet+onet"} <= DETECTORS.keys()
    needed = {name for names in DETECTORS.values() for name in names}
    assert {models.get(name).task for name in needed} == {"detector"}
    assert needed == {entry.name for entry in models.entries("detector")}


@pytest.mark.parametrize("turning", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_each_finds_the_astronaut(astronaut: Image, name: str, turning: bool) -> None:
    (face,) = load_detector(name, turning=turning).detect(astronaut, sure(name))
    np.testing.assert_allclose(face.center_xy, (BOX[:2] + BOX[2:]) / 2, atol=8)
    np.testing.assert_allclose(face.size_wh, BOX[2:] - BOX[:2], rtol=0.25)
    assert (0.6 if name.startswith("haar") else 0.8) < face.score <= 1
    assert face.turned_deg == 0
    if name in ("blazeface", "ultralight", "haar", "dlib-hog"):
        assert face.landmarks_xy is None
    else:
        assert face.landmarks_xy is not None
        np.testing.assert_allclose(face.landmarks_xy, POINTS, atol=8 if name == "yunet" else 3)


@pytest.mark.parametrize("name", NAMES)
def test_engines_find_the_same(astronaut: Image, name: str) -> None:
    one, two = (
        load_detector(name, runtime=Runtime(engine)).detect(astronaut, sure(name))
        for engine in ("openvino", "onnxruntime")
    )
    assert len(one) == len(two) == 1
    np.testing.assert_allclose(one[0].box_xyxy, two[0].box_xyxy, atol=0.1)
    assert one[0].score == pytest.approx(two[0].score, abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3), (64, 64)])
def test_nobody_there(name: str, shape: tuple[int, int]) -> None:
    for value in (0, 255):
        image = np.full((*shape, 3), value, np.uint8)
        assert load_detector(name).detect(image, DetectOptions()) == []
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert load_detector(name).detect(noise, DetectOptions()) == []


@pytest.mark.parametrize("name", NAMES)
def test_options_hold_for_each(astronaut: Image, name: str) -> None:
    detector = load_detector(name)
    picture = np.concatenate([astronaut[:256, 80:336], astronaut[:256, 80:336]], axis=1)
    assert len(detector.detect(picture, DetectOptions())) == 2
    assert len(detector.detect(picture, DetectOptions(max_faces=1))) == 1
    assert detector.detect(picture, DetectOptions(min_face_px=230)) == []


@pytest.mark.parametrize("name", NAMES)
def test_photos_are_not_written_to(astronaut: Image, name: str) -> None:
    assert not astronaut.flags.writeable
    copy = astronaut.copy()
    load_detector(name).detect(copy, DetectOptions())
    np.testing.assert_array_equal(copy, astronaut)


def test_four_threads(astronaut: Image) -> None:
    detector = load_detector()
    pictures = [np.ascontiguousarray(astronaut[: 512 - 20 * i, 10 * i :]) for i in range(8)]
    alone = [[f.to_dict() for f in detector.detect(p, DetectOptions())] for p in pictures]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda p: detector.detect(p, DetectOptions()), pictures))
    assert [len(faces) for faces in found] == [1] * 8
    for a, b in zip(alone, found, strict=True):
        np.testing.assert_allclose(a[0]["box_xyxy"], b[0].box_xyxy, atol=0.02)


def test_unknown_and_refused() -> None:
    with pytest.raises(OptionError, match=r"expected one of yunet\+onet, .* got 'yunet\+mtcnn'"):
        load_detector("yunet+mtcnn")
    policy = LicensePolicy.parse("any;deny:mtcnn-o")
    check_detector("yunet", policy)
    for call in (lambda: load_detector(policy=policy), lambda: check_detector("mtcnn", policy)):
        with pytest.raises(LicenseError, match="mtcnn-o"):
            call()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"min_face_px": 3.9}, "min_face_px: expected .* got 3.9"),
        ({"min_face_px": float("nan")}, "min_face_px"),
        ({"min_face_px": float("inf")}, "min_face_px"),
        ({"min_score": 1.1}, "min_score: expected 0 to 1, got 1.1"),
        ({"min_score": -0.1}, "min_score"),
        ({"min_score": float("nan")}, "min_score"),
        ({"max_faces": 0}, "max_faces: expected 1 or more, got 0"),
    ],
)
def test_options_without_sense(values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        DetectOptions(**values)


def test_options_at_their_ends() -> None:
    assert DetectOptions(min_face_px=4, min_score=0, max_faces=1).min_score == 0
    assert DetectOptions(min_score=1).min_score == 1


@pytest.mark.parametrize(
    ("width", "height", "least"),
    [
        (640, 480, 10),
        (4000, 3000, 4000 / 150),
        (3000, 4000, 4000 / 150),
        (1920, 1080, 1920 / 150),
        (1080, 30_000, 7589.5 / 150),  # as 7590 x 4269, of the same area
        (30_000, 700, 6110.1 / 150),
    ],
)
def test_the_least_face_of_a_photo(width: int, height: int, least: float) -> None:
    image = np.broadcast_to(np.uint8(0), (height, width, 3))
    assert DetectOptions().least_face_px(image) == pytest.approx(least, rel=1e-4)
    assert DetectOptions(min_face_px=33).least_face_px(image) == 33
