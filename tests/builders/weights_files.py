"""Files of weights as other frameworks write them, without those frameworks."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from dlib_files import real, whole

Array = npt.NDArray[Any]
FLOAT, INT32, BOOL = 1, 3, 10


# --- protocol buffers -----------------------------------------------------------------------------


def varint(value: int) -> bytes:
    value %= 1 << 64
    out = []
    while True:
        out.append(value % 128 + (128 if value > 127 else 0))
        value //= 128
        if not value:
            return bytes(out)


def put(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return varint(number * 8) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number * 8 + 2) + varint(len(data)) + data


# --- Caffe ----------------------------------------------------------------------------------------


def blob(values: Array, *, legacy: bool = False) -> bytes:
    data = put(5, np.asarray(values, "<f4").tobytes())
    if not legacy:
        return put(7, put(1, b"".join(map(varint, values.shape)))) + data
    four = (1,) * (4 - values.ndim) + values.shape
    return b"".join(put(at, side) for at, side in enumerate(four, start=1)) + data


def caffemodel(layers: Mapping[str, tuple[str, Sequence[Array]]], *, legacy: bool = False) -> bytes:
    """Layer -> kind and blobs; ``legacy``: in the messages of before 2014."""
    kinds = {"Convolution": 4, "InnerProduct": 14}
    parts = [put(1, "net")]
    for name, (kind, blobs) in layers.items():
        if legacy:
            inner = put(2, "data") + put(4, name) + put(5, kinds[kind])
            inner += b"".join(put(6, blob(each, legacy=True)) for each in blobs)
            parts.append(put(2, inner))
        else:
            inner = put(1, name) + put(2, kind) + put(3, "data")
            inner += b"".join(put(7, blob(each)) for each in blobs)
            parts.append(put(100, inner))
    return b"".join(parts)


# --- TensorFlow -----------------------------------------------------------------------------------


def attribute(key: str, value: bytes) -> bytes:
    return put(5, put(1, key) + put(2, value))


def node(name: str, op: str, *inputs: str, **attributes: bytes) -> bytes:
    parts = [put(1, name), put(2, op), *(put(3, each) for each in inputs)]
    parts += [attribute(key, value) for key, value in attributes.items()]
    return put(1, b"".join(parts))


def constant(name: str, values: Array, kind: int = FLOAT) -> bytes:
    dims = b"".join(put(2, put(1, side)) for side in values.shape)
    tensor = put(1, kind) + put(2, dims) + put(4, values.tobytes())
    return node(name, "Const", dtype=put(6, kind), value=put(8, tensor))


def sides(*values: int) -> bytes:
    return put(7, b"".join(put(2, put(1, side)) for side in values))


def frozen_graph(
    *, side: int = 32, dimension: int = 16, queue: bool = False, extra: bytes = b"", seed: int = 0
) -> bytes:
    """A small recognizer with a switch between training and use, as FaceNet's graphs have it.

    ``queue``: the photos come from a queue, and "input" is what it gives.
    """
    rng = np.random.default_rng(seed)
    t = put(6, FLOAT)
    steps = put(1, b"".join(put(3, step) for step in (1, 2, 2, 1)))
    if queue:
        head = node("batch_join", "QueueDequeueUpToV2") + node(
            "input", "Identity", "batch_join", T=t
        )
    else:
        head = node("input", "Placeholder", dtype=t, shape=sides(-1, side, side, 3))
    parts = [
        head,
        node("phase_train", "Placeholder", dtype=put(6, BOOL), shape=put(7, b"")),
        constant("w", rng.standard_normal((3, 3, 3, 8)).astype("<f4")),
        node(
            "conv", "Conv2D", "input", "w",
            T=t, strides=steps, padding=put(2, "SAME"), data_format=put(2, "NHWC"),
        ),
        node("relu", "Relu", "conv", T=t),
        constant("two", np.array(2.0, "<f4")),
        node("switch", "Switch", "relu", "phase_train", T=t),
        node("training", "Mul", "switch:1", "two", T=t),
        node("use", "Identity", "switch", "^two", T=t),
        node("merge", "Merge", "use", "training", T=t, N=put(3, 2)),
        constant("axes", np.array([1, 2], "<i4"), INT32),
        node("mean", "Mean", "merge", "axes", T=t, Tidx=put(6, INT32), keep_dims=put(5, 0)),
        constant("dense", rng.standard_normal((8, dimension)).astype("<f4")),
        node(
            "product", "MatMul", "mean", "dense",
            T=t, transpose_a=put(5, 0), transpose_b=put(5, 0),
        ),
        node("embeddings", "Identity", "product", T=t),
        node("logits", "Neg", "embeddings", T=t),
        extra,
        put(4, put(1, 27)),
    ]  # fmt: skip
    return b"".join(parts)


def frozen_answer(photos: Array, *, dimension: int = 16, seed: int = 0) -> Array:
    """What ``frozen_graph`` makes of photos, (N, H, W, 3)."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((3, 3, 3, 8)).astype("<f4")
    dense = rng.standard_normal((8, dimension)).astype("<f4")
    n, height, width, _ = photos.shape
    padded = np.pad(photos, ((0, 0), (0, 1), (0, 1), (0, 0)))
    rows = [
        [
            np.tensordot(padded[:, y : y + 3, x : x + 3], w, ((1, 2, 3), (0, 1, 2)))
            for x in range(0, width, 2)
        ]
        for y in range(0, height, 2)
    ]
    made: Array = np.maximum(np.array(rows), 0).reshape(-1, n, 8).mean(0) @ dense
    return made


# --- Keras ----------------------------------------------------------------------------------------


def keras_h5(
    path: Path,
    layers: Mapping[str, Mapping[str, Array]],
    *,
    inside: str = "model_weights",
    config: Any = None,
) -> Path:
    """An .h5 file in the layout of Keras 2: layer -> value -> numbers."""
    import h5py

    with h5py.File(path, "w") as file:
        root = file.create_group(inside) if inside else file
        root.attrs["layer_names"] = [name.encode() for name in layers]
        for name, values in layers.items():
            group = root.create_group(name)
            names = [f"{name}/{value}:0" for value in values]
            group.attrs["weight_names"] = [each.encode() for each in names] or np.zeros(0, "S1")
            for each, array in zip(names, values.values(), strict=True):
                group.create_dataset(each, data=array)
        if config is not None:
            file.attrs["model_config"] = json.dumps(config)
    return path


def keras_archive(path: Path, layers: Sequence[tuple[str, str, str, Sequence[Array]]]) -> Path:
    """A .keras archive; layers: kind, name, folder, numbers in their order."""
    import h5py

    inner = io.BytesIO()
    with h5py.File(inner, "w") as file:
        for _, _, folder, arrays in layers:
            group = file.create_group(f"layers/{folder}/vars")
            for at, array in enumerate(arrays):
                group.create_dataset(str(at), data=array)
    described = [{"class_name": kind, "config": {"name": name}} for kind, name, _, _ in layers]
    config = {"class_name": "Functional", "config": {"name": "m", "layers": described}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.8.0"}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", inner.getvalue())
    return path


# --- dlib -----------------------------------------------------------------------------------------


def dlib_tensor(values: Array) -> bytes:
    row = np.asarray(values, "<f4").ravel()
    shape = (1 if len(row) else 0, len(row), 1, 1) if len(row) else (0, 0, 0, 0)
    return whole(2) + b"".join(map(whole, shape)) + row.tobytes()


def dlib_recognizer(seed: int = 0) -> tuple[bytes, dict[str, Array]]:
    """A file of dlib's recognizer with random weights, and these by layer."""
    rng = np.random.default_rng(seed)
    blocks = [(32, False)] * 3 + [(64, True)] + [(64, False)] * 3 + [(128, True)]
    blocks += [(128, False)] * 2 + [(256, True)] + [(256, False)] * 2 + [(256, True)]
    kept: dict[str, Array] = {"mean": np.array([122.78, 117.0, 104.3])}
    bodies: list[tuple[int, bytes]] = []  # version on the way down, what the layer writes

    def alias(*shape: int) -> bytes:
        return whole(1) + b"".join(map(whole, shape))

    def convolution(name: str, inputs: int, outputs: int, size: int, step: int, pad: int) -> None:
        weight = (rng.standard_normal((outputs, inputs, size, size)) * 0.05).astype("<f4")
        bias = (rng.standard_normal(outputs) * 0.05).astype("<f4")
        kept[f"{name}.weight"], kept[f"{name}.bias"] = weight, bias
        numbers = (outputs, size, size, step, step, pad, pad)
        body = whole(5) + b"con_4" + dlib_tensor(np.concatenate([weight.ravel(), bias]))
        body += b"".join(map(whole, numbers)) + alias(*weight.shape) + alias(1, outputs, 1, 1)
        bodies.append((2, body + real(1) * 4))

    def affine(name: str, channels: int) -> None:
        values = rng.uniform(0.5, 1.5, channels), rng.standard_normal(channels) * 0.05
        kept[f"{name}.weight"], kept[f"{name}.bias"] = (v.astype("<f4") for v in values)
        body = whole(7) + b"affine_" + dlib_tensor(np.concatenate(values))
        bodies.append((2, body + alias(1, channels, 1, 1) * 2 + whole(0)))

    def plain(kind: str, *numbers: int) -> None:
        head = whole(len(kind)) + kind.encode()
        bodies.append((2, head + b"".join(map(whole, numbers))))

    def wrapper() -> None:
        bodies.append((1, b""))

    convolution("conv0", 3, 32, 7, 2, 0)
    affine("affine0", 32)
    plain("relu_")
    plain("max_pool_2", 3, 3, 2, 2, 0, 0)
    before = 32
    for number, (channels, halves) in enumerate(blocks, start=1):
        wrapper()
        convolution(f"conv{number}a", before, channels, 3, 2 if halves else 1, 0 if halves else 1)
        affine(f"affine{number}a", channels)
        plain("relu_")
        convolution(f"conv{number}b", channels, channels, 3, 1, 1)
        affine(f"affine{number}b", channels)
        if halves:
            wrapper()
            wrapper()
            plain("avg_pool_2", 2, 2, 2, 2, 0, 0)
        plain("add_prev_")
        plain("relu_")
        before = channels
    plain("avg_pool_2", 0, 0, 1, 1, 0, 0)
    dense = (rng.standard_normal((256, 128)) * 0.1).astype("<f4")
    kept["dense.weight"] = dense
    body = whole(4) + b"fc_2" + whole(128) + whole(256) + dlib_tensor(dense)
    bodies.append((2, body + alias(256, 128, 1, 1) + alias(0, 0, 0, 0) + whole(1) + real(1) * 4))
    text = "loss_metric_2"
    parts = [whole(1), whole(len(text)), text.encode(), real(0.04), real(0.6)]
    parts += [whole(version) for version, _ in reversed(bodies[1:])] + [whole(3)]
    text = "input_rgb_image_sized"
    parts += [whole(len(text)), text.encode(), *(_exact(each) for each in kept["mean"])]
    parts += [whole(150), whole(150)]
    for at, (version, body) in enumerate(bodies):
        if version == 1:
            continue
        parts += [body, b"110", dlib_tensor(np.zeros(0)) * 3]
        parts += [whole(1)] if at == 0 else []
    return b"".join(parts), kept


def _exact(value: float) -> bytes:
    mantissa, power = np.frexp(value)
    return whole(int(mantissa * 2**53)) + whole(int(power) - 53)


# --- PyTorch --------------------------------------------------------------------------------------


def torch_archive(pickled: bytes, storages: Mapping[str, bytes] | None = None) -> bytes:
    """A zip archive as ``torch.save`` makes it, around any pickle."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
        for key, data in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", data)
    return made.getvalue()


def safetensors_file(tensors: Mapping[str, Array]) -> bytes:
    """The format's own words, by hand."""
    header, data = {}, b""
    for name, array in tensors.items():
        header[name] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + array.nbytes],
        }
        data += np.asarray(array, "<f4").tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data
