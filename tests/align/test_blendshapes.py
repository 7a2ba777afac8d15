"""52 numbers of a face: the network against the .tflite, eyes and mouth moved by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astronaut_face import BOX, FIVE

from lineament import models
from lineament.align import load_landmarker
from lineament.align.blendshapes import BLENDSHAPES, READ, blendshapes, eyes_and_mouth
from lineament.align.mesh import Mesh, MeshLandmarker
from lineament.align.mesh_points import MIRRORED
from lineament.errors import OptionError
from lineament.models.runtime import Model, Runtime, load_model
from lineament.types import Face, Image

GOLDEN = Path(__file__).parent.parent / "golden" / "facemesh.npz"  # scripts.build.facemesh --golden

UPPER = [246, 161, 160, 159, 158, 157, 173]
LOWER = [7, 163, 144, 145, 153, 154, 155]
"""The lids of the eye that the viewer sees at the left, from its outer to its inner corner."""
CHIN = [152, 148, 176, 149, 150, 377, 400, 378, 379]
LOWER_LIP = [17, 84, 314, 181, 405, 91, 321, 14, 87, 317, 178, 402, 88, 318, 15, 16, 86, 316, 85]


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(models.get("blendshapes"))


@pytest.fixture(scope="module")
def found(astronaut: Image) -> Mesh:
    landmarker = load_landmarker("mesh")
    assert isinstance(landmarker, MeshLandmarker)
    return landmarker.read(astronaut, [Face(BOX, 0.99, FIVE)])


def score(scores: np.ndarray, name: str) -> float:
    return float(scores[0, BLENDSHAPES.index(name)])


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_network_computes_what_the_tflite_computed(engine: str) -> None:
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime")
    golden = np.load(GOLDEN)
    run = load_model(models.get("blendshapes"), runtime=Runtime(engine=engine))
    (scores,) = run(golden["shapes"])
    assert scores.shape == (3, 52)
    np.testing.assert_allclose(scores, golden["scores"], atol=1e-4)


def test_names_and_points_are_the_networks() -> None:
    assert (len(BLENDSHAPES), len(set(BLENDSHAPES))) == (52, 52)
    numbers = [BLENDSHAPES.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight", "jawOpen")]
    assert numbers == [9, 10, 25]
    assert (len(READ), len(set(READ.tolist())), READ.max()) == (146, 146, 477)
    assert set(MIRRORED[READ].tolist()) == set(READ.tolist())  # it is fed both halves of a face


def test_the_astronaut_smiles_with_open_eyes(found: Mesh) -> None:
    scores = found.blendshapes
    assert scores is not None
    assert scores.shape == (1, 52)
    assert min(score(scores, "mouthSmileLeft"), score(scores, "mouthSmileRight")) > 0.5
    assert eyes_and_mouth(scores[0]) == ((False, False), False)
    said = found.to_dicts()[0]
    assert said["blendshapes"]["mouthSmileLeft"] == pytest.approx(
        score(scores, "mouthSmileLeft"), abs=1e-4
    )


def test_an_eye_that_is_shut(model: Model, found: Mesh) -> None:
    points = found.points_xyz.copy()
    points[:, UPPER] = points[:, LOWER]
    scores = blendshapes(model, points)
    assert score(scores, "eyeBlinkRight") > 0.6  # the person's own right
    assert score(scores, "eyeBlinkLeft") < 0.3
    assert eyes_and_mouth(scores[0]) == ((True, False), False)
    points[:, MIRRORED[UPPER]] = points[:, MIRRORED[LOWER]]
    assert eyes_and_mouth(blendshapes(model, points)[0])[0] == (True, True)


def test_a_mouth_that_is_opened(model: Model, found: Mesh) -> None:
    points = found.points_xyz.copy()
    points[:, CHIN + LOWER_LIP, 1] += 0.35 * (points[0, 152, 1] - points[0, 4, 1])
    scores = blendshapes(model, points)
    assert score(scores, "jawOpen") > 0.4
    assert eyes_and_mouth(scores[0])[1]


def test_place_size_and_roll_do_not_matter(model: Model, found: Mesh) -> None:
    expected = blendshapes(model, found.points_xyz)
    points = found.points_xyz.astype(np.float64)
    turn = np.radians(70)
    matrix = 3 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = np.concatenate([points[:, :, :2] @ matrix.T + [500, -90], 3 * points[:, :, 2:]], axis=2)
    np.testing.assert_allclose(blendshapes(model, moved), expected, atol=2e-3)


def test_none_and_several(model: Model, found: Mesh) -> None:
    assert blendshapes(model, np.zeros((0, 478, 3))).shape == (0, 52)
    one = found.points_xyz
    both = blendshapes(model, np.concatenate([one, one * np.float32(2)]))
    np.testing.assert_allclose(both[0], both[1], atol=1e-4)
    flat = blendshapes(model, one[:, :, :2])  # upright as it is: her head leans by 3 degrees
    np.testing.assert_allclose(flat, both[:1], atol=0.1)


def test_what_is_refused(model: Model) -> None:
    for wrong in (np.zeros((478, 3)), np.zeros((1, 468, 3)), np.full((1, 478, 3), np.nan)):
        with pytest.raises(OptionError, match=r"expected finite points of shape \(N, 478, 2\) or"):
            blendshapes(model, wrong)
