"""Write face-api's SSD MobileNet v1 as ONNX, for ``--detector ssd-mobilenet:FILE``.

    python -m scripts.build.faceapi_ssd [PACKAGE] [--out FOLDER]

It is no part of lineament: 5.7 MB for a detector that finds less than those that are. ``PACKAGE``
is the folder that @vladmandic/face-api 1.7.15 was unpacked into; without it the pinned one is
fetched. Differences in form, not in result: NCHW, the scaling x / 127.5 - 1 in the graph, corners
as (left, top, right, bottom), and the weights one byte each, expanded in the graph.

Outputs: ``boxes`` (1, 5118, 4), shares of the 512x512 input; ``scores`` (1, 5118), 0 to 1. What is
written is compared with a second reading of the package, layer by layer in PyTorch.
"""

from __future__ import annotations

import sys

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch.nn import functional

from scripts.build.faceapi import Builder, Weights
from scripts.onnx_edit import save
from scripts.packages import FACE_API, build_options, fetch
from scripts.tflite_graph import run_onnx

FILES = (
    (
        "model/ssd_mobilenetv1_model.bin",
        "2835640602d53718aa6ae9a42896327eaa21beefed056c218d32ca7d79e1e2f8",
    ),
    (
        "model/ssd_mobilenetv1_model-weights_manifest.json",
        "888f744dffbc84f5f060d1f8427d9742341943a2dfaaf9205d10029b7e7a2955",
    ),
)
OPSET = 13
SIDE = 512
HALVING = (2, 4, 6, 12)
"""Layers of MobileNet with a stride of 2."""

EPSILON = 0.0010000000474974513
TOLERANCE = {"boxes": 5e-4, "scores": 1e-4}
"""Largest absolute differences that are accepted; the first is a quarter of a pixel."""


class Graph:
    """The layers of the network in ONNX."""

    def __init__(self, weights: Weights) -> None:
        """Begin without any node."""
        self.b = Builder(weights)
        self.low = self.b.constant("low", np.array(0, np.float32))
        self.high = self.b.constant("high", np.array(6, np.float32))

    def clipped(self, x: str) -> str:
        """ReLU6."""
        return self.b.node("Clip", [x, self.low, self.high], f"{x}/clip")

    def convolution(self, x: str, name: str, stride: int) -> str:
        """A convolution with the offset of its batch normalization."""
        side = self.b.weights.tensors[f"{name}/weights"][0].shape[0]
        before, after = _padding(side, stride)
        inputs = [
            x,
            self.b.weight(f"{name}/weights", (3, 2, 0, 1)),
            self.b.weight(f"{name}/convolution_bn_offset", (0,)),
        ]
        pads = [before, before, after, after]
        return self.clipped(self.b.node("Conv", inputs, name, strides=[stride] * 2, pads=pads))

    def depthwise(self, x: str, name: str, stride: int) -> str:
        """A convolution of each channel, and its batch normalization."""
        kernel = self.b.weight(f"{name}/depthwise_weights", (2, 3, 0, 1))
        channels = self.b.weights.tensors[f"{name}/depthwise_weights"][0].shape[2]
        before, after = _padding(3, stride)
        x = self.b.node(
            "Conv",
            [x, kernel],
            f"{name}/depth",
            strides=[stride] * 2,
            pads=[before, before, after, after],
            group=channels,
        )
        parts = ("gamma", "beta", "moving_mean", "moving_variance")
        inputs = [x, *(self.b.weight(f"{name}/BatchNorm/{part}", (0,)) for part in parts)]
        return self.clipped(self.b.node("BatchNormalization", inputs, name, epsilon=EPSILON))

    def predicted(self, x: str, name: str, columns: int) -> str:
        """A map of predictions as rows (1, N, columns)."""
        inputs = [
            x,
            self.b.weight(f"{name}/weights", (3, 2, 0, 1)),
            self.b.weight(f"{name}/biases", (0,)),
        ]
        x = self.b.node("Conv", inputs, name)
        x = self.b.node("Transpose", [x], f"{name}/last", perm=[0, 2, 3, 1])
        shape = self.b.constant(f"{name}/shape", np.array([1, -1, columns], np.int64))
        return self.b.node("Reshape", [x, shape], f"{name}/rows")


def _padding(side: int, stride: int) -> tuple[int, int]:
    """TensorFlow's "same" for even sides: before and after."""
    total = max(side - stride, 0)
    return total // 2, total - total // 2


def build(weights: Weights) -> onnx.ModelProto:
    """Return the ONNX graph."""
    g = Graph(weights)
    b = g.b
    x = b.node("Div", ["image", b.constant("half", np.array(127.5, np.float32))], "shares")
    x = b.node("Sub", [x, b.constant("one", np.array(1, np.float32))], "scaled")
    x = g.convolution(x, "MobilenetV1/Conv2d_0_pointwise", 2)
    maps = []
    for i in range(1, 14):
        x = g.depthwise(x, f"MobilenetV1/Conv2d_{i}_depthwise", 2 if i in HALVING else 1)
        x = g.convolution(x, f"MobilenetV1/Conv2d_{i}_pointwise", 1)
        if i in (11, 13):
            maps.append(x)
    for i in range(8):
        x = g.convolution(x, f"Prediction/Conv2d_{i}_pointwise", 2 if i % 2 else 1)
        if i % 2:
            maps.append(x)
    names = [f"Prediction/BoxPredictor_{i}" for i in range(6)]
    rows = [
        g.predicted(each, f"{name}/BoxEncodingPredictor", 4)
        for each, name in zip(maps, names, strict=True)
    ]
    classes = [
        g.predicted(each, f"{name}/ClassPredictor", 3)
        for each, name in zip(maps, names, strict=True)
    ]
    _, center, size = anchors(weights)
    offsets = b.node("Concat", rows, "offsets", axis=1)

    def columns(x: str, first: int, last: int, name: str) -> str:
        ends = [
            b.constant(f"{name}/{part}", np.array([i], np.int64))
            for part, i in (("from", first), ("to", last), ("axis", 2))
        ]
        return b.node("Slice", [x, *ends], name)

    def scaled(x: str, factor: np.ndarray, name: str) -> str:
        return b.node("Mul", [x, b.constant(f"{name}/factor", factor.astype(np.float32))], name)

    # Everything is (down, across) up to here.
    moved = scaled(columns(offsets, 0, 2, "shift"), size / 10, "moved")
    middle = b.node("Add", [moved, b.constant("anchors", center.astype(np.float32))], "middle")
    grown = b.node("Exp", [scaled(columns(offsets, 2, 4, "growth"), np.array(0.2), "fifth")], "exp")
    half = scaled(grown, size / 2, "extent")
    corners = [b.node("Sub", [middle, half], "start"), b.node("Add", [middle, half], "end")]
    order = b.constant("order", np.array([1, 0, 3, 2], np.int64))
    b.node("Gather", [b.node("Concat", corners, "corners", axis=2), order], "boxes", axis=2)
    kinds = b.node("Sigmoid", [b.node("Concat", classes, "classes", axis=1)], "chances")
    b.node("Gather", [kinds, b.constant("face", np.array(1, np.int64))], "scores", axis=2)
    n = len(center)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    outputs = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, n, 4]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, n]),
    ]
    graph = helper.make_graph(b.nodes, "ssd-mobilenet", [image], outputs, b.constants)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", OPSET)])


def anchors(weights: Weights) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The anchors (5118, 4), their centers and their sizes (5118, 2): (down, across)."""
    boxes = weights.plain("Output/extra_dim")[0].astype(np.float64)
    return boxes, (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]


def reference(weights: Weights, image: np.ndarray) -> dict[str, np.ndarray]:
    """The same network by PyTorch, box by box as the package's own code has it."""

    def tensor(name: str, *axes: int) -> torch.Tensor:
        return torch.from_numpy(weights.plain(name).transpose(axes).copy())

    def same(x: torch.Tensor, size: int, stride: int) -> torch.Tensor:
        total = max((-(-x.shape[2] // stride) - 1) * stride + size - x.shape[2], 0)
        return functional.pad(x, (total // 2, total - total // 2) * 2)

    def conv(x: torch.Tensor, name: str, stride: int) -> torch.Tensor:
        kernel = tensor(f"{name}/weights", 3, 2, 0, 1)
        x = functional.conv2d(same(x, kernel.shape[2], stride), kernel, stride=stride)
        return (x + tensor(f"{name}/convolution_bn_offset", 0)[:, None, None]).clamp(0, 6)

    def depth(x: torch.Tensor, name: str, stride: int) -> torch.Tensor:
        kernel = tensor(f"{name}/depthwise_weights", 2, 3, 0, 1)
        x = functional.conv2d(same(x, 3, stride), kernel, stride=stride, groups=len(kernel))
        mean, variance, scale, offset = (
            tensor(f"{name}/BatchNorm/{part}", 0)[:, None, None]
            for part in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return ((x - mean) / (variance + EPSILON).sqrt() * scale + offset).clamp(0, 6)

    x = conv(torch.from_numpy(image) / 127.5 - 1, "MobilenetV1/Conv2d_0_pointwise", 2)
    maps = []
    for i in range(1, 14):
        x = depth(x, f"MobilenetV1/Conv2d_{i}_depthwise", 2 if i in HALVING else 1)
        x = conv(x, f"MobilenetV1/Conv2d_{i}_pointwise", 1)
        maps += [x] if i in (11, 13) else []
    for i in range(8):
        x = conv(x, f"Prediction/Conv2d_{i}_pointwise", 2 if i % 2 else 1)
        maps += [x] if i % 2 else []
    offsets, classes = [], []
    for i, each in enumerate(maps):
        for part, columns, found in (
            ("BoxEncodingPredictor", 4, offsets),
            ("ClassPredictor", 3, classes),
        ):
            name = f"Prediction/BoxPredictor_{i}/{part}"
            out = functional.conv2d(
                each, tensor(f"{name}/weights", 3, 2, 0, 1), tensor(f"{name}/biases", 0)
            )
            found.append(out.permute(0, 2, 3, 1).reshape(-1, columns))
    boxes = []
    rows = torch.cat(offsets).double().numpy()
    for (top, left, bottom, right), (dy, dx, dh, dw) in zip(anchors(weights)[0], rows, strict=True):
        high, wide = bottom - top, right - left
        y, x_ = top + high / 2 + dy / 10 * high, left + wide / 2 + dx / 10 * wide
        half_y, half_x = np.exp(dh / 5) * high / 2, np.exp(dw / 5) * wide / 2
        boxes.append((x_ - half_x, y - half_y, x_ + half_x, y + half_y))
    scores = torch.cat(classes)[:, 1].sigmoid().numpy()
    return {"boxes": np.array([boxes], np.float32), "scores": scores[None]}


def main() -> None:
    options = build_options(__doc__)
    package = fetch(FACE_API) / "package" if options.package is None else options.package
    weights = Weights(package, FILES)
    model = build(weights)
    coarse = np.random.default_rng(7).integers(0, 256, (1, 3, 16, 16))
    image = coarse.repeat(32, axis=2).repeat(32, axis=3).astype(np.float32)
    expected = reference(weights, image)
    for engine, found in run_onnx(model, image).items():
        for name, got in zip(("boxes", "scores"), found, strict=True):
            worst = float(np.abs(got - expected[name]).max())
            print(f"ssd-mobilenet, {engine}: {name}: max difference {worst:.1e}")
            if worst > TOLERANCE[name]:
                sys.exit(f"{engine}: {name} differs from PyTorch by {worst:.1e}")
    target = options.out / "ssd-mobilenet.onnx"
    save(model, target, OPSET)
    target.with_suffix(".toml").write_text(
        'license_code = "MIT"\nlicense_weights = "MIT"\ncommercial_use = "yes"\n'
        'training_data = "WIDER FACE, according to face-api.js"\n',
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
