"""Readers of files of weights: each against numbers that were written by other means."""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import weights_files as made

from lineament.errors import WeightsError
from lineament.files import DATA
from lineament.weights import read_weights

RNG = np.random.default_rng(0)


def same(found: Any, expected: Any) -> None:
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype.kind == np.asarray(array).dtype.kind, name
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_safetensors(tmp_path: Path) -> None:
    tensors = {"a.weight": RNG.standard_normal((2, 3)).astype("f4"), "b": np.ones(4, "f4")}
    path = tmp_path / "x.safetensors"
    path.write_bytes(made.safetensors_file(tensors))
    found = read_weights(path)
    assert (found.format, found.graph, found.notes) == ("safetensors", None, ())
    assert found.shapes == {"a.weight": (2, 3), "b": (4,)}
    same(found.tensors, tensors)
    save = pytest.importorskip("safetensors.numpy").save_file
    kinds = {kind: np.ones(3, kind) for kind in ("f8", "f2", "i8", "i4", "u1", "?")}
    save(kinds, path)
    found = read_weights(path)
    assert {name: array.dtype for name, array in found.tensors.items()} == {
        kind: np.dtype(kind) for kind in kinds
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_pytorch(tmp_path: Path, zipped: bool) -> None:
    torch = pytest.importorskip("torch")
    shared = torch.randn(12)
    state = {
        "module.conv.weight": torch.randn(4, 3, 2, 2),
        "module.turned": torch.randn(5, 6).t(),
        "module.half": torch.randn(3).half(),
        "module.brain": torch.tensor([1.5, -2.25, 3e10]).bfloat16(),
        "module.count": torch.tensor(7),
        "module.part": shared[4:10].reshape(2, 3),
        "module.other": shared[::3],
        "module.parameter": torch.nn.Parameter(torch.randn(2, 2)),
        "module.none": torch.zeros(0, 3),
    }
    import argparse

    whole = {
        "epoch": 3,
        "args": argparse.Namespace(lr=0.1),
        "optimizer": {
            "state": {0: {"step": torch.tensor(1.0)}},
            "groups": [{"betas": (0.9, 0.99)}],
        },
        "state_dict": state,
    }
    path = tmp_path / "x.pth"
    torch.save(whole, path, _use_new_zipfile_serialization=zipped)
    found = read_weights(path)
    assert found.format == "pytorch"
    assert any('"state_dict"' in note for note in found.notes)
    assert any("argparse.Namespace" in note for note in found.notes)
    expected = {
        name.removeprefix("module."): value.detach().float().numpy()
        if value.is_floating_point()
        else value.numpy()
        for name, value in state.items()
    }
    same({k: v.astype("f4") if v.dtype == "f2" else v for k, v in found.tensors.items()}, expected)
    torch.save(torch.nn.Linear(2, 3).state_dict(), path, _use_new_zipfile_serialization=zipped)
    assert read_weights(path).shapes == {"weight": (3, 2), "bias": (3,)}


class _Runs:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


def test_a_pickle_runs_nothing(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    mark, path = tmp_path / "ran", tmp_path / "x.pth"
    for zipped in (True, False):
        evil = {"w": torch.ones(2), "x": _Runs(mark)}
        torch.save(evil, path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(WeightsError, match=r"names 'posix' 'system'.*nothing in it was"):
            read_weights(path)
    path.write_bytes(pickle.dumps(_Runs(mark)))
    with pytest.raises(WeightsError, match="a pickle, which may run anything"):
        read_weights(path)
    path.write_bytes(made.torch_archive(b"c__builtin__\neval\n(S'1'\ntR."))
    with pytest.raises(WeightsError, match="'__builtin__' 'eval'"):
        read_weights(path)
    assert not mark.exists()


def test_tensors_stay_within_their_numbers(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "x.pth"
    torch.save({"w": torch.zeros(1).expand(1 << 34)}, path)
    with pytest.raises(WeightsError, match="17,179,869,184 numbers where the file has room for 1"):
        read_weights(path)
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"net/{name}", b"")
    with pytest.raises(WeightsError, match="a program of TorchScript"):
        read_weights(path)
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(WeightsError, match=r"names 'torch.nn.modules.linear' 'Linear'"):
        read_weights(path)


def test_keras_h5(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    layers = {
        "conv_10": {"kernel": RNG.standard_normal((3, 3, 2, 4)).astype("f4"), "bias": np.ones(4)},
        "relu": {},
        "bn": {"gamma": np.ones(4, "f4"), "moving_mean": np.zeros(4, "f4")},
    }
    lambdas = {"class_name": "Lambda", "config": {"name": "l", "function": ["4wEAAAA=", None]}}
    config = {"class_name": "Model", "config": {"name": "m", "layers": [lambdas]}}
    found = read_weights(made.keras_h5(tmp_path / "x.h5", layers, config=config))
    assert found.format == "keras-h5"
    assert found.notes == ("One layer has code of its own (Lambda): it was neither read nor run.",)
    same(found.tensors, {f"{a}/{b}": array for a, v in layers.items() for b, array in v.items()})


@pytest.mark.slow
def test_keras_archives_and_links(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    kernel, bn = (
        RNG.standard_normal((3, 3, 1, 2)).astype("f4"),
        [np.full(2, i, "f4") for i in range(3)],
    )
    layers = [
        ("InputLayer", "in", "input_layer", []),
        ("Conv2D", "first", "conv2d", [kernel, np.zeros(2, "f4")]),
        ("Conv2D", "second", "conv2d_1", [kernel * 2]),
        ("BatchNormalization", "bn", "batch_normalization", bn),
    ]
    found = read_weights(made.keras_archive(tmp_path / "x.keras", layers))
    assert found.format == "keras"
    same(
        found.tensors,
        {
            "first/kernel": kernel,
            "first/bias": np.zeros(2, "f4"),
            "second/kernel": kernel * 2,
            "bn/beta": bn[0],
            "bn/moving_mean": bn[1],
            "bn/moving_variance": bn[2],
        },
    )
    plain = {"layer": {"kernel": kernel}}
    found = read_weights(made.keras_h5(tmp_path / "w.h5", plain, inside=""))
    assert found.shapes == {"layer/kernel": (3, 3, 1, 2)}
    secret = made.keras_h5(tmp_path / "secret.h5", plain, inside="")
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file["a"] = h5py.ExternalLink(str(secret), "/layer/layer/kernel:0")
    with pytest.raises(WeightsError, match="links to other places"):
        read_weights(tmp_path / "links.h5")
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        file.create_dataset("a", (4,), "f4", external=[("/etc/passwd", 0, 16)])
    with pytest.raises(WeightsError, match="numbers lie in other files"):
        read_weights(tmp_path / "outside.h5")
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset("a", (1 << 28,), "f4", chunks=True, compression="gzip")
    with pytest.raises(WeightsError, match="more than 20 times the file's size"):
        read_weights(tmp_path / "bomb.h5")
    (tmp_path / "cut.h5").write_bytes(secret.read_bytes()[:900])
    with pytest.raises(WeightsError, match="expected Keras HDF5"):
        read_weights(tmp_path / "cut.h5")


@pytest.mark.parametrize("legacy", [False, True], ids=["today", "2013"])
def test_caffe(tmp_path: Path, legacy: bool) -> None:
    conv, dense = RNG.standard_normal((4, 3, 2, 2)), RNG.standard_normal((5, 6))
    layers = {
        "conv1_1": ("Convolution", [conv.astype("f4"), np.ones(4, "f4")]),
        "fc8": ("InnerProduct", [dense.astype("f4"), np.zeros(5, "f4")]),
    }
    path = tmp_path / "x.caffemodel"
    path.write_bytes(made.caffemodel(layers, legacy=legacy))
    found = read_weights(path)
    assert found.format == "caffe"
    same(found.tensors, {f"{a}/{i}": b for a, (_, bs) in layers.items() for i, b in enumerate(bs)})
    path.write_bytes(
        made.put(100, made.put(1, "a") + made.put(7, made.put(7, made.put(1, 1 << 40))))
    )
    with pytest.raises(WeightsError, match="1,099,511,627,776 numbers where the file has room"):
        read_weights(path)


def test_dlib(tmp_path: Path) -> None:
    data, expected = made.dlib_recognizer()
    path = tmp_path / "x.dat"
    path.write_bytes(data)
    found = read_weights(path)
    assert found.format == "dlib"
    same(found.tensors, expected)
    path.write_bytes(data[:-5])
    with pytest.raises(WeightsError, match="cut short"):
        read_weights(path)


def test_onnx(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    values = {
        "raw": RNG.standard_normal((2, 3)).astype("f4"),
        "whole": np.array([-1, 2, 3], "i8"),
    }
    held = [numpy_helper.from_array(array, name) for name, array in values.items()]
    held.append(helper.make_tensor("listed", onnx.TensorProto.FLOAT, [2], [1.5, 2.5]))
    held.append(helper.make_tensor("half", onnx.TensorProto.FLOAT16, [2], [1.5, -2.5]))
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "raw"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", 1, ["N", 2])],
        [helper.make_tensor_value_info("y", 1, ["N", 3])],
        held,
    )
    path = tmp_path / "x.onnx"
    path.write_bytes(helper.make_model(graph, ir_version=8).SerializeToString())
    found = read_weights(path)
    assert found.format == "onnx"
    assert found.graph is not None
    assert [(port.name, port.shape) for port in found.graph.inputs] == [("x", (None, 2))]
    assert [(port.name, port.shape) for port in found.graph.outputs] == [("y", (None, 3))]
    assert found.graph.data == path.read_bytes()
    half = np.array([1.5, -2.5], "f2")
    same(found.tensors, {**values, "listed": np.array([1.5, 2.5], "f4"), "half": half})
    bundled = read_weights(DATA / "models" / "sface" / "model.onnx")
    assert len(bundled.tensors) > 100
    assert bundled.graph is not None
    assert bundled.graph.inputs[0].shape == (None, 3, 112, 112)


def test_tensorflow(tmp_path: Path) -> None:
    path = tmp_path / "facenet.pb"
    path.write_bytes(made.frozen_graph())
    found = read_weights(path)
    assert found.format == "tensorflow"
    assert any("phase_train is fixed to False" in note for note in found.notes)
    graph = found.graph
    assert graph is not None
    assert graph.inputs[0].shape == (1, 32, 32, 3)
    assert graph.outputs[0].shape == (None, 16)
    assert graph.example is not None
    given, answer = graph.example
    np.testing.assert_allclose(answer, made.frozen_answer(given), atol=1e-4)


@pytest.mark.slow
def test_tensorflow_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "x.pb"
    path.write_bytes(made.frozen_graph(queue=True))
    with pytest.raises(WeightsError, match="size of its photos open: give input_wh"):
        read_weights(path)
    found = read_weights(path, size_wh=(32, 32))
    assert any("cut at input" in note for note in found.notes)
    assert found.graph is not None
    assert found.graph.inputs[0].shape == (1, 32, 32, 3)
    found = read_weights(path, size_wh=(32, 32), output="logits:0")
    assert found.graph is not None
    assert found.graph.example is not None
    given, answer = found.graph.example
    np.testing.assert_allclose(answer, -made.frozen_answer(given), atol=1e-4)
    loop = made.node("loop", "Enter", "product") + made.node("end", "Neg", "loop")
    path.write_bytes(made.frozen_graph(extra=loop))
    with pytest.raises(WeightsError, match="a graph with Enter, which is not run"):
        read_weights(path, output="end")
    with pytest.raises(WeightsError, match="without a node 'nothing'"):
        read_weights(path, output="nothing")


@pytest.mark.slow
def test_openvino_and_tflite(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    (tmp_path / "x.pb").write_bytes(made.frozen_graph())
    source = read_weights(tmp_path / "x.pb")
    assert source.graph is not None
    from lineament.models.ir import unpack_ir

    xml, numbers = unpack_ir(source.graph.data, "x")
    (tmp_path / "x.xml").write_bytes(xml)
    with pytest.raises(WeightsError, match=r"x\.bin"):
        read_weights(tmp_path / "x.xml")
    (tmp_path / "x.bin").write_bytes(numbers)
    found = read_weights(tmp_path / "x.xml")
    assert found.format == "openvino"
    assert found.graph is not None
    assert found.graph.example is not None
    given, answer = found.graph.example
    np.testing.assert_allclose(answer, made.frozen_answer(given), atol=1e-4)
    (tmp_path / "x.bin").write_bytes(numbers[:40])
    with pytest.raises(WeightsError, match="numbers lie beyond its file"):
        read_weights(tmp_path / "x.xml")
    (tmp_path / "x.xml").write_bytes(xml.replace(b'type="ReLU"', b'type="Loop"'))
    (tmp_path / "x.bin").write_bytes(numbers)
    with pytest.raises(WeightsError, match="a layer Loop, which is not run"):
        read_weights(tmp_path / "x.xml")
    assert openvino
    (tmp_path / "x.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(200))
    with pytest.raises(WeightsError, match="expected TensorFlow Lite"):
        read_weights(tmp_path / "x.tflite")


def test_what_is_none_of_them(tmp_path: Path) -> None:
    path = tmp_path / "x"
    cases = {
        b"": "got something else: formats that are read: PyTorch",
        b"hello, world, this is a text": "got something else",
        b"\xff\xd8\xff\xe0" + bytes(100): "got something else",
        struct.pack("<Q", 50) + b'{"a":': "got something else",
        struct.pack("<Q", 5) + b'{"a":' + bytes(50): "header that is no JSON",
        b"PK\x03\x04" + bytes(50): "an archive of something else",
    }
    for data, words in cases.items():
        path.write_bytes(data)
        with pytest.raises(WeightsError, match=words):
            read_weights(path)
    with pytest.raises(WeightsError, match="no such file"):
        read_weights(tmp_path / "absent")
    with pytest.raises(WeightsError, match="a folder"):
        read_weights(tmp_path)
