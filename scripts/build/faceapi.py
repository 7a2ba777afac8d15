"""Rebuild ``age-gender`` from @vladmandic/face-api 1.7.15, without TensorFlow.

    python -m scripts.build.faceapi [PACKAGE] [--out FOLDER] [--golden FILE]

``PACKAGE`` is the folder that the package was unpacked into; without it the pinned one is fetched
by ``npm pack``. The network is AgeGenderNet of face-api.js: Xception with two middle blocks, whose
weights lie one after the other in ``model/age_gender_model.bin``, in the order of the manifest
beside it: one byte each, which stands for ``byte * scale + min``, biases in float32. Differences in
form, not in result:

- the input is RGB 0 to 255, (N, 3, 112, 112): the mean color and x / 255 are part of the graph;
- everything is NCHW, and the batch size is free;
- the weights stay one byte each and are expanded in the graph, so the arithmetic is float32;
- a row of zeros is put around maps for TensorFlow's "same": below and to the right alone where the
  stride is 2.

Outputs: ``age`` (N,), years; ``male`` (N,), 0 to 1.

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

SOURCE = "model/age_gender_model.bin"
SOURCE_SHA256 = "49f92bbc0afef2342c4385e4a2b0acb6d7a727c6f0aa539499719a81acf9abaa"
MANIFEST = "model/age_gender_model-weights_manifest.json"
MANIFEST_SHA256 = "74b60bf3ebf981bf4e661e9cca3a185614e10b25d797118b62e2a68d3ff2569f"

OPSET = 13
SIDE = 112
MEAN_RGB = (122.782, 117.001, 104.298)

TOLERANCE = {"age": 1e-3, "male": 1e-4}
"""Largest absolute differences from PyTorch that are accepted: years, and a share."""


class Weights:
    """The package's tensors: bytes with scale and least value, or float32."""

    def __init__(self, package: Path, files: tuple[tuple[str, str], ...] | None = None) -> None:
        """Read and check the weights' file and its manifest: paths in the package, with hashes."""
        files = _FILES if files is None else files
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


_FILES = ((SOURCE, SOURCE_SHA256), (MANIFEST, MANIFEST_SHA256))


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

    def separable(self, x: str, name: str) -> str:
        """A depthwise convolution, then one over the channels, with its bias."""
        depth = self.weight(f"{name}/depthwise_filter", (2, 3, 0, 1))
        channels = self.weights.tensors[f"{name}/depthwise_filter"][0].shape[2]
        x = self.node("Conv", [x, depth], f"{name}/depth", group=channels, pads=[1] * 4)
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


def build(weights: Weights) -> onnx.ModelProto:
    """Return the ONNX graph."""
    b = Builder(weights)
    mean = b.constant("mean", np.array(MEAN_RGB, np.float32).reshape(1, 3, 1, 1))
    centered = b.node("Sub", ["image", mean], "centered")
    x = b.node("Div", [centered, b.constant("range", np.array(255, np.float32))], "scaled")
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
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in ("age", "male")
    ]
    graph = helper.make_graph(b.nodes, "age-gender", [image], outputs, b.constants)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", OPSET)])


def reference(weights: Weights, image: np.ndarray) -> dict[str, np.ndarray]:
    """The same network by PyTorch, from the package's tensors: age and male, (N,) float32."""

    def tensor(name: str, *axes: int) -> torch.Tensor:
        return torch.from_numpy(weights.plain(name).transpose(axes).copy())

    def same(x: torch.Tensor, size: int, stride: int, fill: float = 0.0) -> torch.Tensor:
        """Pad as TensorFlow's "same" does."""
        side = x.shape[2]
        total = max((-(-side // stride) - 1) * stride + size - side, 0)
        before, after = total // 2, total - total // 2
        return functional.pad(x, (before, after, before, after), value=fill)

    def conv(x: torch.Tensor, name: str, stride: int) -> torch.Tensor:
        kernel = tensor(f"{name}/filters", 3, 2, 0, 1)
        bias = tensor(f"{name}/bias", 0)
        return functional.conv2d(same(x, kernel.shape[2], stride), kernel, bias, stride)

    def separable(x: torch.Tensor, name: str) -> torch.Tensor:
        depth = tensor(f"{name}/depthwise_filter", 2, 3, 0, 1)
        x = functional.conv2d(same(x, 3, 1), depth, groups=len(depth))
        point = tensor(f"{name}/pointwise_filter", 3, 2, 0, 1)
        return functional.conv2d(x, point, tensor(f"{name}/bias", 0))

    def reduction(x: torch.Tensor, name: str, *, active: bool) -> torch.Tensor:
        out = separable(x.relu() if active else x, f"{name}/separable_conv0")
        out = separable(out.relu(), f"{name}/separable_conv1")
        out = functional.max_pool2d(same(out, 3, 2, -torch.inf), 3, 2)
        return out + conv(x, f"{name}/expansion_conv", 2)

    mean = torch.tensor(MEAN_RGB).reshape(1, 3, 1, 1)
    x = (torch.from_numpy(image) - mean) / 255
    x = conv(x, "entry_flow/conv_in", 2).relu()
    x = reduction(x, "entry_flow/reduction_block_0", active=False)
    x = reduction(x, "entry_flow/reduction_block_1", active=True)
    for block in range(2):
        out = x
        for number in range(3):
            out = separable(out.relu(), f"middle_flow/main_block_{block}/separable_conv{number}")
        x = out + x
    x = reduction(x, "exit_flow/reduction_block", active=True)
    x = separable(x, "exit_flow/separable_conv").relu()
    x = functional.avg_pool2d(x, 7, 2).flatten(1)
    age = x @ tensor("fc/age/weights", 0, 1) + tensor("fc/age/bias", 0)
    kinds = x @ tensor("fc/gender/weights", 0, 1) + tensor("fc/gender/bias", 0)
    return {"age": age[:, 0].numpy(), "male": kinds.softmax(1)[:, 0].numpy()}


def seeded_image(count: int = 4) -> np.ndarray:
    """Return random checks: (count, 3, 112, 112) float32, whole numbers 0 to 255."""
    coarse = np.random.default_rng(7).integers(0, 256, (count, 3, 14, 14))
    return coarse.repeat(8, axis=2).repeat(8, axis=3).astype(np.float32)


def main() -> None:
    options = build_options(__doc__)

    package = fetch(FACE_API) / "package" if options.package is None else options.package
    weights = Weights(package)
    model = build(weights)
    image = seeded_image()
    expected = reference(weights, image)
    for engine, found in run_onnx(model, image).items():
        for name, got in zip(("age", "male"), found, strict=True):
            worst = float(np.abs(got - expected[name]).max())
            print(f"age-gender, {engine}: {name}: max difference {worst:.1e}")
            if worst > TOLERANCE[name]:
                sys.exit(f"{engine}: {name} differs from PyTorch by {worst:.1e}")
    save(model, options.out / "age-gender" / "model.onnx", OPSET)
    if options.golden is not None:
        np.savez_compressed(
            options.golden, coarse=image[:, :, ::8, ::8].astype(np.uint8), **expected
        )


if __name__ == "__main__":
    main()
