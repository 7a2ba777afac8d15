"""The stages of alignment: angle, matrices and distances recomputed."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from PIL import Image as PILImage

from lineament.errors import NoFaceError
from lineament.geometry import ARCFACE_TEMPLATE_XY
from lineament.pipeline import Recognizer
from lineament.types import Face, Image

pytest.importorskip("matplotlib", reason='pictures need the extra "plot"')

from lineament.explain import alignment_stages
from lineament.pictures.charts.files import to_bytes
from lineament.pictures.plots.alignment import alignment, window


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


def test_numbers(recognizer: Recognizer, astronaut: Image) -> None:
    numbers = alignment(alignment_stages(recognizer, astronaut)).numbers
    (face,) = recognizer.detect(astronaut).faces
    points = np.asarray(face.landmarks_xy, float)
    run = points[1] - points[0]
    assert numbers["eyes_angle_deg"] == pytest.approx(
        math.degrees(math.atan2(run[1], run[0])), abs=0.01
    )
    # Turn, scale and shift by linear least squares: x' = a x - b y + c, y' = b x + a y + d.
    rows, wanted = [], []
    for (x, y), (u, v) in zip(points, ARCFACE_TEMPLATE_XY, strict=True):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        wanted += [u, v]
    a, b, c, d = np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=None)[0]
    matrix = np.array([[a, -b, c], [b, a, d]])
    np.testing.assert_allclose(numbers["transforms"]["five-points"], matrix, atol=1e-3)
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    apart = np.linalg.norm(moved - ARCFACE_TEMPLATE_XY, axis=1)
    np.testing.assert_allclose(numbers["distance_to_template_px"], apart, atol=1e-2)
    assert 0.3 < numbers["hull_share"] < 0.8
    assert len(numbers["landmarks68_xy"]) == 68


def test_six_stages_none_of_them_blank(recognizer: Recognizer, astronaut: Image) -> None:
    plot = alignment(alignment_stages(recognizer, astronaut), title="Ꙁ <b> $1$")
    assert [len(axes.images) for axes in plot.figure.axes] == [1] * 6
    assert all(np.asarray(axes.images[0].get_array()).std() > 10 for axes in plot.figure.axes)
    texts = [text.get_text() for text in plot.figure.texts]
    assert [text[0] for text in texts if text[:1].isdigit() and text[1:3] == "  "] == list("123456")
    assert " ".join(texts).count("This is what") == 1
    with PILImage.open(io.BytesIO(to_bytes(plot.figure, "png"))) as picture:
        assert np.asarray(picture.convert("L")).std() > 30


def test_a_small_face_in_a_large_photo_is_shown_large() -> None:
    image = np.zeros((3000, 4000, 3), np.uint8)
    left, top, right, bottom = window(
        image, Face(np.array([3900, 100, 3990, 200], np.float32), 0.9)
    )
    assert 0 <= left < right == 4000
    assert 0 == top < bottom <= 3000
    assert right - left == bottom - top == 500
    whole = Face(np.array([50, 50, 150, 150], np.float32), 0.9)
    assert window(image[:200, :250], whole) == (0, 0, 250, 200)


def test_no_face(recognizer: Recognizer) -> None:
    with pytest.raises(NoFaceError, match="no face was found"):
        alignment_stages(recognizer, np.full((90, 90, 3), 120, np.uint8))
