"""dlib's detectors behind the one method."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from lineament.detect import DetectOptions, load_detector, recognize_detector
from lineament.detect.by_dlib import LEAST_PX, doublings
from lineament.errors import MissingExtraError, WeightsError
from lineament.models import catalog
from lineament.types import Image


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_registered", {})


@pytest.mark.parametrize(
    ("width", "height", "least", "expected"),
    [
        (1000, 800, None, 1),
        (1000, 800, 80, 0),
        (1000, 800, 79, 1),
        (1000, 800, 20, 2),
        (1000, 800, 5, 2),
        (4000, 3000, 20, 0),
    ],
)
def test_photos_are_enlarged_as_far_as_asked_for(
    width: int, height: int, least: float | None, expected: int
) -> None:
    image = np.broadcast_to(np.uint8(0), (height, width, 3))
    assert doublings(image, DetectOptions(min_face_px=least)) == expected


def test_hog_is_dlibs(astronaut: Image) -> None:
    dlib = pytest.importorskip("dlib")
    boxes, scores, _ = dlib.get_frontal_face_detector().run(astronaut, 0, 0.0)
    face, other = load_detector("dlib-hog", turning=False).detect(
        astronaut, DetectOptions(min_face_px=LEAST_PX)
    )
    assert other.score == pytest.approx(1 / (1 + np.exp(-2 * scores[1])), abs=1e-5)
    left, top, right, bottom = (
        getattr(boxes[0], side)() for side in ("left", "top", "right", "bottom")
    )
    assert face.box_xyxy.tolist() == [left - 0.5, top - 0.5, right + 0.5, bottom + 0.5]
    assert face.score == pytest.approx(1 / (1 + np.exp(-2 * scores[0])), abs=1e-5)
    assert face.landmarks_xy is None
    none = load_detector("dlib-hog", turning=False).detect(
        astronaut, DetectOptions(min_face_px=LEAST_PX, min_score=face.score + 0.01)
    )
    assert none == []


def test_without_dlib_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(MissingExtraError) as caught:
        load_detector("dlib-hog")
    assert caught.value.hint == "run  pip install dlib-bin"


def test_files_that_are_none(tmp_path: Path) -> None:
    pytest.importorskip("dlib")
    path = tmp_path / "mmod.dat"
    path.write_bytes(b"\x01\x02\x01\x0bloss_mmod_2 and no more")
    assert recognize_detector(path) == "mmod"
    with pytest.raises(WeightsError, match="expected dlib's network of faces"):
        load_detector(f"mmod:{path}")
    path.write_bytes(b"anything")
    assert recognize_detector(path) is None


@pytest.mark.slow
def test_mmod_is_dlibs(astronaut: Image) -> None:
    dlib = pytest.importorskip("dlib")
    package = find_spec("face_recognition_models")
    if package is None or package.origin is None:
        pytest.skip("the package face_recognition_models, which has dlib's file, is not installed")
    path = Path(package.origin).parent / "models" / "mmod_human_face_detector.dat"
    assert recognize_detector(path) == "mmod"
    (own,) = dlib.cnn_face_detection_model_v1(str(path))(astronaut, 0)
    (face,) = load_detector(f"file:{path}", turning=False).detect(
        astronaut, DetectOptions(min_face_px=LEAST_PX)
    )
    assert face.box_xyxy[0] == own.rect.left() - 0.5
    assert face.box_xyxy[3] == own.rect.bottom() + 0.5
    assert face.score == pytest.approx(1 / (1 + np.exp(-2 * own.confidence)), abs=1e-5)
