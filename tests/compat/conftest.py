"""Photos and files for the compatible interfaces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dlib_files import DLIBS_FIVE_XY, predictor_of

import lineament.compat.face_recognition as face_recognition
from lineament.files import DATA

DEMO = DATA / "demo"
BOX = (254, 94, 433, 273)
"""Left, top, right, bottom of dlib's square of obama.jpg, as in tests/golden/dlib.npz."""


@pytest.fixture
def own_detector() -> Iterator[None]:
    """face_recognition without dlib and its files, whatever is installed."""
    face_recognition.configure(detector="lineament", exact=False, dlib_models=Path(__file__).parent)
    yield
    face_recognition.configure()


@pytest.fixture
def dlib_models(tmp_path: Path) -> Path:
    """A folder with a five-point predictor that knows one face: obama.jpg's."""
    points = DLIBS_FIVE_XY["obama.jpg"]
    (tmp_path / "shape_predictor_5_face_landmarks.dat").write_bytes(predictor_of(points, BOX))
    return tmp_path
