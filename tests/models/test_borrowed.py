"""Int8 networks that compute their weights from a float network's file."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astronaut_face import BOX, FIVE
from onnx import TensorProto, helper, load_model_from_string, numpy_helper

from lineament import models
from lineament.align import align_faces
from lineament.embed.network import load_network
from lineament.errors import WeightsError, WeightsHashError
from lineament.files import DATA
from lineament.images import load_image
from lineament.models import Card, LicensePolicy
from lineament.models.borrowed import assembled
from lineament.models.runtime import Runtime, load_model
from lineament.types import Face, FloatArray

INT8 = ("sface-int8", "mobilefacenet-int8")


def file_of(card: Card) -> bytes:
    assert card.path is not None
    return card.path.read_bytes()


def parts(name: str) -> tuple[bytes, bytes]:
    card = models.get(name)
    assert card.weights_of is not None
    return file_of(card), file_of(models.get(card.weights_of))


def weights_of(data: bytes) -> dict[str, Any]:
    return {t.name: t for t in load_model_from_string(data).graph.initializer}


@pytest.mark.parametrize("name", INT8)
def test_the_whole_has_the_promised_hash(name: str) -> None:
    card = models.get(name)
    whole = models.read(card)
    assert hashlib.sha256(whole).hexdigest() == card.sha256
    assert len(whole) == card.bytes
    assert len(file_of(card)) < 300_000
    assert whole == assembled(*parts(name), name)


@pytest.mark.parametrize("name", INT8)
def test_the_weights_are_those_of_the_formula(name: str) -> None:
    """Recomputed here with the package onnx, in float64 up to the last step."""
    own, other = (weights_of(data) for data in parts(name))
    whole = weights_of(models.read(models.get(name)))
    borrowed = {key: tensor for key, tensor in own.items() if tensor.doc_string}
    assert len(borrowed) > 25
    for key, tensor in borrowed.items():
        said = json.loads(tensor.doc_string)
        source, factors = said["int8_of"], numpy_helper.to_array(tensor).astype(np.float64)
        if source in other:
            values = numpy_helper.to_array(other[source]).astype(np.float64)
        else:
            q, z, s = (
                numpy_helper.to_array(other[f"{source}/{part}"]).astype(np.float64)
                for part in "qzs"
            )
            values = (q - z) * s
        exact = values.reshape(len(factors), -1) * factors[:, None]
        made = numpy_helper.to_array(whole[key])
        assert made.dtype == np.int8
        assert list(made.shape) == said["shape"]
        off = np.abs(made.reshape(len(factors), -1) - np.clip(exact, -127, 127))
        assert off.max() < 0.5001
    rest = own.keys() - borrowed.keys()
    assert all(own[key] == whole[key] for key in rest)
    assert own.keys() == whole.keys()


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package's models, to be damaged."""
    from lineament.models import _storage

    for name in ("mobilefacenet", "mobilefacenet-int8"):
        shutil.copytree(models.get(name).folder, tmp_path / name)
    cards = {
        name: models.get(name).replace(folder=tmp_path / name)
        for name in ("mobilefacenet", "mobilefacenet-int8")
    }
    monkeypatch.setattr(_storage, "get", lambda name: cards.get(name) or models.get(name))
    assert models.is_present(cards["mobilefacenet-int8"])
    return tmp_path


def mine(folder: Path) -> Card:
    return models.get("mobilefacenet-int8").replace(folder=folder / "mobilefacenet-int8")


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("mobilefacenet-int8/int8.onnx", "mobilefacenet-int8"),
        ("mobilefacenet/model.onnx", "mobilefacenet"),
    ],
)
@pytest.mark.parametrize("where", [100, 0.5, -30])
def test_a_change_of_either_file_is_seen(copy: Path, file: str, named: str, where: float) -> None:
    data = bytearray((copy / file).read_bytes())
    data[int(where * len(data)) if isinstance(where, float) else int(where)] ^= 1
    (copy / file).write_bytes(data)
    with pytest.raises(WeightsHashError, match=f'(weights "{named}"|{named}): '):
        models.read(mine(copy))


@pytest.mark.parametrize("file", ["mobilefacenet-int8/int8.onnx", "mobilefacenet/model.onnx"])
def test_a_missing_file_is_said(copy: Path, file: str) -> None:
    (copy / file).unlink()
    assert not models.is_present(mine(copy))
    with pytest.raises(WeightsError, match="there is no file"):
        models.read(mine(copy))


def test_the_wrong_lender(copy: Path) -> None:
    with pytest.raises(WeightsError, match="complete file"):
        models.read(mine(copy).replace(weights_of="sface-int8"))
    own, _ = parts("mobilefacenet-int8")
    _, other = parts("sface-int8")
    with pytest.raises(WeightsError, match="without weights, and the one that has them"):
        assembled(own, other, "x")
    with pytest.raises(WeightsError, match="without weights"):
        assembled(b"not a network", other, "x")


def test_the_policy_looks_at_the_card_that_is_used() -> None:
    policy = LicensePolicy.parse("spdx:CC0-1.0;allow:mobilefacenet-int8")
    assert models.read(models.get("mobilefacenet-int8"), policy=policy)


@pytest.mark.parametrize(
    "change", [{"weights_of": "sface-int8"}, {"file": None, "url": "https://x.org/a"}]
)
def test_cards_that_make_no_sense(change: dict[str, Any]) -> None:
    from lineament.models.cards import CardForm

    card = models.get("sface-int8")
    values = {key: getattr(card, key) for key in CardForm.__struct_fields__} | change
    with pytest.raises(WeightsError, match="weights_of"):
        CardForm(**values)


def test_tensors_without_a_source_are_copied() -> None:
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(np.ones(2, np.float32), "w")],
    )
    data = helper.make_model(graph).SerializeToString()
    assert load_model_from_string(assembled(data, b"", "x")) == load_model_from_string(data)


# --- the networks ---------------------------------------------------------------------------------


def crops() -> Any:
    """The face of a demo photo, its mirror image, darker, and paler."""
    face = align_faces(load_image(DATA / "demo" / "astronaut.jpg"), [Face(BOX, 0.99, FIVE)])[0]
    return np.stack([face, face[:, ::-1], face // 2, 255 - (255 - face) // 2])


def unit(rows: FloatArray) -> FloatArray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("name", INT8)
def test_close_to_the_float_network_on_both_engines(name: str) -> None:
    lender = models.get(name).weights_of
    assert lender is not None
    exact, length = load_network(models.get(lender), flip=False).embed(crops())
    for engine in ("openvino", "onnxruntime"):
        runtime = Runtime(engine)  # type: ignore[arg-type]
        made, norms = load_network(models.get(name), flip=False, runtime=runtime).embed(crops())
        assert np.einsum("nd,nd->n", exact, made).min() > 0.97
        np.testing.assert_allclose(norms, length, rtol=0.06)


@pytest.mark.parametrize("name", INT8)
def test_the_engines_agree(name: str) -> None:
    card = models.get(name)
    batch = crops().astype(np.float32).transpose(0, 3, 1, 2)
    one, two = (
        unit(load_model(card, runtime=Runtime(engine))(batch)[0])  # type: ignore[arg-type]
        for engine in ("openvino", "onnxruntime")
    )
    assert np.einsum("nd,nd->n", one, two).min() > 0.99


@pytest.mark.parametrize("name", INT8)
def test_a_batch_gives_what_one_by_one_gives(name: str) -> None:
    network = load_network(models.get(name), flip=False)
    together, lengths = network.embed(crops())
    for i, crop in enumerate(crops()):
        (vector,), (length,) = network.embed(crop[None])
        assert vector @ together[i] > 0.9999
        assert length == pytest.approx(lengths[i], rel=1e-3)


def test_a_contract_of_its_own() -> None:
    for name in INT8:
        made = load_network(models.get(name), flip=False).contract
        exact = load_network(models.get(models.get(name).weights_of or ""), flip=False).contract
        assert made.weights_sha256 == models.get(name).sha256 != exact.weights_sha256


KERNELS = """
import sys
import openvino
compiled, compile_model = [], openvino.Core.compile_model
def spy(*args):
    compiled.append(compile_model(*args))
    return compiled[-1]
openvino.Core.compile_model = spy
sys.modules["onnx"] = None  # the package is not needed
from lineament import models
from lineament.models.runtime import Runtime, load_model
load_model(models.get(sys.argv[1]), runtime=Runtime("openvino", threads=1))
steps = [step.get_rt_info() for step in compiled[0].get_runtime_model().get_ops()]
types = [(str(step["layerType"].value), str(step["runtimePrecision"].value)) for step in steps]
layers = [precision for kind, precision in types if kind in ("Convolution", "FullyConnected")]
print(len(layers), sum(precision in ("i8", "u8") for precision in layers))
"""


@pytest.mark.parametrize(("name", "most"), [("sface-int8", 28), ("mobilefacenet-int8", 50)])
def test_the_layers_run_in_8_bits(name: str, most: int) -> None:
    """On a processor of the x86 family, with AVX2 or more; without the package onnx."""
    flags = Path("/proc/cpuinfo")
    if not flags.exists() or "avx2" not in flags.read_text():
        pytest.skip("int8 kernels of others are not looked at")
    done = subprocess.run(
        [sys.executable, "-c", KERNELS, name], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    layers, in_8_bits = map(int, done.stdout.split())
    assert layers == most
    assert in_8_bits >= most - 1
