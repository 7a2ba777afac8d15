"""Files of weights become models that are known by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import published_weights
import pytest
import weights_files as made

from lineament import Recognizer, models
from lineament.embed import load_embedder
from lineament.errors import (
    LicenseError,
    OptionError,
    UnknownWeightsError,
    WeightsError,
    WeightsHashError,
)
from lineament.files import DATA
from lineament.models import LicensePolicy, added
from lineament.models.runtime import Runtime, unload_models
from lineament.models.verifying import verify_weights
from lineament.zoo.adding import add_model

FED: dict[str, Any] = {
    "color_order": "rgb",
    "mean": 127.5,
    "scale": 1 / 128,
    "alignment": "arcface-32",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "models"
    monkeypatch.setenv("LINEAMENT_MODELS", str(place))
    return place


def graph_file(path: Path, **more: Any) -> Path:
    path.write_bytes(made.frozen_graph(**more))
    return path


def onnx_file(path: Path, *, side: int = 112, dimension: int = 512, seed: int = 0) -> Path:
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    rng = np.random.default_rng(seed)
    kernel = rng.standard_normal((8, 3, 3, 3)).astype("f4")
    dense = rng.standard_normal((8, dimension)).astype("f4")
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["input.1", "k"], ["c"], strides=[4, 4]),
            helper.make_node("GlobalAveragePool", ["c"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("MatMul", ["f", "d"], ["683"]),
        ],
        "g",
        [helper.make_tensor_value_info("input.1", onnx.TensorProto.FLOAT, ["N", 3, side, side])],
        [helper.make_tensor_value_info("683", onnx.TensorProto.FLOAT, ["N", dimension])],
        [numpy_helper.from_array(kernel, "k"), numpy_helper.from_array(dense, "d")],
    )
    opset = [helper.make_opsetid("", 13)]
    path.write_bytes(
        helper.make_model(graph, ir_version=8, opset_imports=opset).SerializeToString()
    )
    return path


def test_a_frozen_graph(tmp_path: Path, folder: Path) -> None:
    path = graph_file(tmp_path / "mine.pb")
    with pytest.raises(OptionError, match="say its channels, mean, scale, alignment"):
        add_model(path)
    assert not folder.exists()
    with pytest.raises(OptionError, match="arcface-112 makes 112x112"):
        add_model(path, **{**FED, "alignment": "arcface-112"})
    done = add_model(path, license="MIT", **FED)
    assert (done.name, done.format, done.dimension, done.input_wh) == (
        "mine", "tensorflow", 16, (32, 32),
    )  # fmt: skip
    assert done.difference is not None
    assert done.difference <= 1e-4
    assert any("no threshold" in note for note in done.notes)
    card = models.get("mine")
    assert (card.license_weights, card.commercial_use, card.thresholds) == ("MIT", "unknown", ())
    assert card in models.entries("embedder")
    embedder = load_embedder(card, flip=False)
    crops = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), np.uint8)
    expected = made.frozen_answer((crops.astype("f4") - 127.5) / 128)
    vectors, norms = embedder.embed(crops)
    np.testing.assert_allclose(vectors * norms[:, None], expected, atol=1e-3)
    with pytest.raises(WeightsError, match="expected an ONNX file for the engine onnxruntime"):
        load_embedder(card, flip=False, runtime=Runtime(engine="onnxruntime"))


def test_names_are_taken_once(tmp_path: Path, folder: Path) -> None:
    path = onnx_file(tmp_path / "own.onnx", side=32, dimension=16)
    done = add_model(path, name="mine", **FED)
    assert done.difference is None
    assert done.sha256 == done.source_sha256
    with pytest.raises(OptionError, match="'mine' was added already"):
        add_model(path, name="mine", **FED)
    with pytest.raises(OptionError, match="one of the bundled networks"):
        add_model(path, name="sface", **FED)
    with pytest.raises(OptionError, match="a letter or a digit"):
        add_model(path, name="../x", **FED)
    other = onnx_file(tmp_path / "other.onnx", side=32, dimension=8)
    assert add_model(other, name="mine", overwrite=True, **FED).dimension == 8
    assert [card.dimension for card in added.cards()] == [8]
    with pytest.raises(OptionError, match="it takes crops of 32x32"):
        add_model(other, name="more", input_wh=(64, 64), **FED)
    with pytest.raises(OptionError, match="it is sface of the package"):
        add_model(DATA / "models" / "sface" / "model.onnx", **FED)
    gone = added.remove("mine")
    assert gone.path is not None
    assert not gone.path.exists()
    with pytest.raises(UnknownWeightsError):
        models.get("mine")
    with pytest.raises(UnknownWeightsError, match="added are: none"):
        added.remove("mine")
    assert json.loads((folder / "manifest.json").read_text())["weights"] == []


def test_known_files_are_named_with_their_licence(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "w600k_r50.onnx")
    with pytest.raises(OptionError, match="is fed as it was published; leave out color_order"):
        add_model(path, color_order="bgr")
    done = add_model(path)
    assert (done.name, done.commercial_use, done.alignment) == ("w600k-r50", "no", "arcface-112")
    assert "non-commercial research" in " ".join(done.notes)
    card = models.get("w600k-r50")
    assert (card.input.color_order, card.input.mean) == ("rgb", 127.5)
    with pytest.raises(LicenseError, match="forbids commercial use"):
        load_embedder(card, flip=False, policy=LicensePolicy.parse("commercial"))
    # Another network of that file name is not it.
    other = onnx_file(tmp_path / "glintr100.onnx", dimension=64)
    with pytest.raises(OptionError, match="stands nowhere in its file"):
        add_model(other)


def test_hashes_are_checked_again(tmp_path: Path) -> None:
    add_model(onnx_file(tmp_path / "own.onnx", side=32, dimension=16), **FED)
    (found,) = verify_weights("own")
    assert (found.state, bool(found)) == ("right", True)
    card = models.get("own")
    assert card.path is not None
    card.path.write_bytes(card.path.read_bytes()[:-1] + b"x")
    (found,) = verify_weights("own")
    assert (found.state, bool(found)) == ("wrong", False)
    assert found.reason is not None
    assert "is not the promised file" in found.reason
    unload_models()
    with pytest.raises(WeightsHashError):
        load_embedder(card, flip=False)
    with pytest.raises(UnknownWeightsError):
        verify_weights("nothing")
    states = {each.name: each.state for each in verify_weights()}
    assert states["sface"] == "right"
    assert states["sface-mobilefacenet"] == "joined"


@pytest.mark.slow
def test_what_is_missing_is_named(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    golden, made_up = published_weights.golden, published_weights.made_up
    path = tmp_path / "x.pt"
    torch.save({"a.weight": torch.ones(2, 2), "b.weight": torch.ones(3)}, path)
    with pytest.raises(WeightsError, match=r"2 tensors of another one \(a.weight, b.weight"):
        add_model(path)
    shapes, _ = golden("facenet-512-vggface2")
    state = {name: torch.from_numpy(made_up(name, shape)) for name, shape in shapes.items()}
    del state["last_bn.running_var"]
    torch.save(state, path)
    with pytest.raises(WeightsError, match=r"it lacks last_bn.running_var"):
        add_model(path, network="facenet-512-vggface2")
    assert not (tmp_path / "models").exists()


@pytest.mark.slow
def test_published_weights_of_pytorch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    golden, made_up = published_weights.golden, published_weights.made_up
    name = "facenet-512-vggface2"
    shapes, wanted = golden(name)
    state = {
        f"module.{key}": torch.from_numpy(made_up(key, shape)) for key, shape in shapes.items()
    }
    path = tmp_path / "20180402-114759-vggface2.pt"
    torch.save({"epoch": 3, "state_dict": state}, path)
    done = add_model(path, network=name)
    assert (done.name, done.format, done.dimension) == (name, "pytorch", 512)
    assert done.commercial_use == "no"
    for engine in ("openvino", "onnxruntime"):
        runtime = Runtime(engine=engine)  # type: ignore[arg-type]
        embedder = load_embedder(models.get(name), flip=False, runtime=runtime)
        vectors, _ = embedder.embed(published_weights.crops(name, 160, 160))
        expected = wanted / np.linalg.norm(wanted, axis=1, keepdims=True)
        np.testing.assert_allclose(vectors, expected, atol=1e-4)
    assert Recognizer(name).alignment_name == "crop-160-m0.18"


@pytest.mark.slow
def test_dlibs_recognizer(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    data, _ = made.dlib_recognizer()
    path = tmp_path / "mine.dat"
    path.write_bytes(data)
    done = add_model(path, name="own-dlib")
    assert (done.dimension, done.alignment, done.commercial_use) == (128, "dlib-150", "unknown")
    embedder = load_embedder(models.get("own-dlib"), flip=False)
    crops = np.ascontiguousarray(published_weights.crops("dlib", 150, 150))
    vectors, norms = embedder.embed(crops)
    theirs = pytest.importorskip("dlib").face_recognition_model_v1(str(path))
    expected = np.array([theirs.compute_face_descriptor(crop.copy()) for crop in crops])
    np.testing.assert_allclose(
        vectors * norms[:, None], expected, atol=1e-5 * np.abs(expected).max()
    )
