"""Rebuild ``mtcnn-p.onnx``, ``mtcnn-r.onnx`` and ``mtcnn-o.onnx`` from facenet-pytorch 2.6.0.

    python -m scripts.build.mtcnn [PACKAGE] [--out FOLDER]

``PACKAGE`` is the wheel or the folder it was unpacked into; without it the pinned wheel is fetched
by ``pip download``. The files that come out are the same byte for byte on every machine, and each
is checked against a plain PyTorch computation with the original state dict before it is written.

The graphs (opset 17, float32) differ from the PyTorch modules in form, and in one rounding:

- the input is RGB 0 to 255, (N, 3, H, W): the scaling (x - 127.5) / 128 is folded into the first
  convolution, which has no padding, so that this is exact;
- R-Net and O-Net flatten their last feature map as (W, H, C), a legacy of the Caffe and MATLAB
  original: the rows of the dense layer are put in (C, H, W) order instead;
- a softmax over two classes is the sigmoid of the difference of their logits: the head has one
  output, the probability of a face;
- the hidden dense layer's weights, three quarters of the numbers, are stored as float16 and cast to
  float32, which moves outputs by less than 1e-4.

Outputs, in this order:

- P-Net, input (N, 3, H, W), at least 12x12: ``boxes`` (N, 4, h, w), ``probability`` (N, h, w),
  where cell (i, j) looks at the 12x12 window whose top left pixel is (2 j, 2 i);
- R-Net, input (N, 3, 24, 24): ``boxes`` (N, 4), ``probability`` (N,);
- O-Net, input (N, 3, 48, 48): ``boxes`` (N, 4), ``landmarks`` (N, 10) as x0..x4, y0..y4 in units of
  the window, ``probability`` (N,).

``boxes`` are offsets of left, top, right, bottom in units of the window. Source of the method:
Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks",
arXiv:1604.02878.
"""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional

from scripts.onnx_edit import save
from scripts.packages import Package, build_options, fetch

FACENET_PYTORCH = Package(
    "pypi",
    "facenet-pytorch",
    "2.6.0",
    "facenet_pytorch-2.6.0-py3-none-any.whl",
    "ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca",
)
SOURCES = {
    "p": (
        "facenet_pytorch/data/pnet.pt",
        "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f",
    ),
    "r": (
        "facenet_pytorch/data/rnet.pt",
        "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86",
    ),
    "o": (
        "facenet_pytorch/data/onet.pt",
        "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
    ),
}
"""Path in the package and SHA-256 of each network's state dict."""

OPSET = 17
MEAN, SCALE = 127.5, 128.0

TOLERANCE = {"p": 2e-5, "r": 1e-4, "o": 1e-4}
"""Largest absolute differences from PyTorch that are accepted, above those of rounding."""

State = dict[str, np.ndarray]


@dataclass(frozen=True)
class Net:
    """The shape of one of the three networks.

    Attributes:
        window: side of the square it looks at, in pixels.
        pools: for each convolution the kernel of the max pooling (stride 2, rounded up) behind it,
            or None.
        dense: the name of the hidden dense layer, and of its PReLU; None for the P-Net.
        heads: (output, parameter) pairs.
    """

    window: int
    pools: tuple[int | None, ...]
    dense: tuple[str, str] | None
    heads: tuple[tuple[str, str], ...]


NETS = {
    "p": Net(12, (2, None, None), None, (("boxes", "conv4_2"), ("probability", "conv4_1"))),
    "r": Net(
        24,
        (3, 3, None),
        ("dense4", "prelu4"),
        (("boxes", "dense5_2"), ("probability", "dense5_1")),
    ),
    "o": Net(
        48,
        (3, 3, 2, None),
        ("dense5", "prelu5"),
        (("boxes", "dense6_2"), ("landmarks", "dense6_3"), ("probability", "dense6_1")),
    ),
}


def read_state(folder: Path | zipfile.Path, name: str) -> State:
    """Return the parameters of one network, from a file that is the promised one."""
    path, expected = SOURCES[name]
    data = (folder / path).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != expected:
        sys.exit(f"{path}: expected SHA-256 {expected}, got {digest}")
    tensors = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return {key: value.numpy() for key, value in tensors.items()}


def channels_first(weight: np.ndarray, channels: int, side: int) -> np.ndarray:
    """Reorder a dense layer's columns from (W, H, C) to (C, H, W)."""
    wide = weight.reshape(-1, side, side, channels)
    return np.ascontiguousarray(wide.transpose(0, 3, 2, 1)).reshape(len(weight), -1)


def build(name: str, state: State) -> onnx.ModelProto:
    """Return the ONNX graph of one network."""
    net = NETS[name]
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(label: str, value: np.ndarray) -> str:
        kind = np.int64 if value.dtype.kind == "i" else np.float32
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=kind), label))
        return label

    def node(kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    x, side, channels = "image", net.window, 3
    for i, pool in enumerate(net.pools, start=1):
        weight = state[f"conv{i}.weight"].astype(np.float64)
        bias = state[f"conv{i}.bias"].astype(np.float64)
        if i == 1:
            bias = bias - weight.sum(axis=(1, 2, 3)) * MEAN / SCALE
            weight = weight / SCALE
        channels, kernel = weight.shape[0], weight.shape[2]
        parameters = [constant(f"conv{i}.weight", weight), constant(f"conv{i}.bias", bias)]
        x = node("Conv", [x, *parameters], f"conv{i}", kernel_shape=[kernel, kernel])
        slope = constant(f"prelu{i}.slope", state[f"prelu{i}.weight"].reshape(-1, 1, 1))
        x = node("PRelu", [x, slope], f"prelu{i}")
        side -= kernel - 1
        if pool is not None:
            x = node(
                "MaxPool",
                [x],
                f"pool{i}",
                kernel_shape=[pool, pool],
                strides=[2, 2],
                ceil_mode=1,
            )
            side = -(-(side - pool) // 2) + 1
    if net.dense is not None:
        dense, prelu = net.dense
        weight = channels_first(state[f"{dense}.weight"], channels, side)
        x = node("Flatten", [x], "flat", axis=1)
        constants.append(numpy_helper.from_array(weight.astype(np.float16), f"{dense}.half"))
        cast = node("Cast", [f"{dense}.half"], f"{dense}.weight", to=TensorProto.FLOAT)
        parameters = [cast, constant(f"{dense}.bias", state[f"{dense}.bias"])]
        x = node("Gemm", [x, *parameters], dense, transB=1)
        x = node("PRelu", [x, constant(f"{prelu}.slope", state[f"{prelu}.weight"])], prelu)

    outputs = []
    axis = constant("axis", np.array([1]))
    for output, layer in net.heads:
        weight = state[f"{layer}.weight"].astype(np.float64)
        bias = state[f"{layer}.bias"].astype(np.float64)
        shape: list[str | int] = ["N", len(weight)]
        if output == "probability":
            weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
            shape = ["N"]
        parameters = [constant(f"{layer}.weight", weight), constant(f"{layer}.bias", bias)]
        inputs = [x, *parameters]
        attributes = {"transB": 1} if net.dense is not None else {"kernel_shape": [1, 1]}
        kind = "Gemm" if net.dense is not None else "Conv"
        if output == "probability":
            logit = node(kind, inputs, "logit", **attributes)
            node("Squeeze", [node("Sigmoid", [logit], "sigmoid"), axis], output)
        else:
            node(kind, inputs, output, **attributes)
        if net.dense is None:
            shape += ["h", "w"]
        outputs.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, shape))

    size = ["H", "W"] if net.dense is None else [net.window, net.window]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, *size])
    graph = helper.make_graph(nodes, f"mtcnn-{name}", [image], outputs, constants)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", OPSET)])


def reference(name: str, state: State, image: np.ndarray) -> dict[str, np.ndarray]:
    """Run the network as facenet-pytorch defines it, with its own scaling, order and softmax."""
    net = NETS[name]
    weights = {key: torch.from_numpy(value) for key, value in state.items()}

    def both(layer: str) -> tuple[torch.Tensor, torch.Tensor]:
        return weights[f"{layer}.weight"], weights[f"{layer}.bias"]

    x = (torch.from_numpy(image) - MEAN) / SCALE
    for i, pool in enumerate(net.pools, start=1):
        x = functional.prelu(functional.conv2d(x, *both(f"conv{i}")), weights[f"prelu{i}.weight"])
        if pool is not None:
            x = functional.max_pool2d(x, pool, 2, ceil_mode=True)
    if net.dense is not None:
        dense, prelu = net.dense
        x = x.permute(0, 3, 2, 1).flatten(1)
        x = functional.prelu(functional.linear(x, *both(dense)), weights[f"{prelu}.weight"])
    head = functional.conv2d if net.dense is None else functional.linear
    results = {output: head(x, *both(layer)) for output, layer in net.heads}
    results["probability"] = torch.softmax(results["probability"], dim=1)[:, 1]
    return {output: results[output].numpy() for output, _ in net.heads}


def seeded_image(name: str, count: int = 2) -> np.ndarray:
    """Return a batch of smooth random pictures: (count, 3, H, W) float32, 0 to 255.

    The P-Net's are of an odd size, so that the rounding of its pooling matters.
    """
    height, width = (25, 34) if name == "p" else (NETS[name].window,) * 2
    noise = np.random.default_rng(7).uniform(0, 255, (count, 3, height, width))
    smooth = noise.copy()
    for axis in (2, 3):
        smooth = sum(np.roll(smooth, shift, axis) for shift in range(-2, 3)) / 5
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min()) * 255
    return smooth.astype(np.float32)


def difference(model: onnx.ModelProto, name: str, state: State) -> float:
    """Return the largest absolute difference between the ONNX file and PyTorch."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString())
    image = seeded_image(name)
    expected = reference(name, state, image)
    got = dict(zip(expected, session.run(list(expected), {"image": image}), strict=True))
    for output, value in expected.items():
        if got[output].shape != value.shape:
            sys.exit(f"{name}: {output}: expected {value.shape}, got {got[output].shape}")
    return max(float(np.abs(got[output] - value).max()) for output, value in expected.items())


def main() -> None:
    options = build_options(__doc__)

    package = fetch(FACENET_PYTORCH) if options.package is None else options.package
    folder = zipfile.Path(package) if package.is_file() else package
    golden: dict[str, np.ndarray] = {}
    for name in NETS:
        state = read_state(folder, name)
        model = build(name, state)
        worst = difference(model, name, state)
        if worst > TOLERANCE[name]:
            sys.exit(
                f"mtcnn-{name}: differs from PyTorch by {worst:.2e}, allowed {TOLERANCE[name]:.0e}"
            )
        print(f"max difference {worst:.1e}", end="  ")
        save(model, options.out / f"mtcnn-{name}" / "model.onnx", OPSET)
        image = seeded_image(name).round()
        golden[f"{name}_image"] = image.astype(np.uint8)
        for output, value in reference(name, state, image).items():
            golden[f"{name}_{output}"] = value
    if options.golden is not None:
        np.savez_compressed(options.golden, **golden)


if __name__ == "__main__":
    main()
