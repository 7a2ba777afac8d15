"""Convolutional networks of TensorFlow Lite, operator by operator, as ONNX nodes (opset 17).

``Translator`` is what the build scripts of MediaPipe's networks have in common: everything becomes
NCHW, the batch size is free, and weights that are float16 stay so and are cast in the graph.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

OPSET = 17

EXACT = {"INFERENCE_PRECISION_HINT": "f32"}

OPERATORS = {code: name for name, code in vars(tflite.BuiltinOperator).items() if name.isupper()}


def table(operator: tflite.Operator, kind: type) -> Any:
    """Return an operator's options as the given table of the schema."""
    options = kind()
    options.Init(operator.BuiltinOptions().Bytes, operator.BuiltinOptions().Pos)
    return options


class Translator:
    """Walks the operators of a .tflite in their order and collects ONNX nodes.

    ``self.names`` maps the index of a tensor to the name of the ONNX value that holds it, and
    ``self.weights`` to the constant array, for tensors that are constants.
    """

    def __init__(self, data: bytes) -> None:
        """Parse the .tflite."""
        self.model = tflite.Model.GetRootAsModel(data, 0)
        self.graph = self.model.Subgraphs(0)
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.names: dict[int, str] = {}
        self.weights: dict[int, np.ndarray] = {}

    def node(self, kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        """Append a node and return the name of its output."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: np.ndarray) -> str:
        """Add a constant; float16 stays float16 and is cast in the graph."""
        value = np.ascontiguousarray(value)
        if value.dtype != np.float16:
            self.initializers.append(numpy_helper.from_array(value, name))
            return name
        self.initializers.append(numpy_helper.from_array(value, f"{name}.half"))
        return self.node("Cast", [f"{name}.half"], name, to=TensorProto.FLOAT)

    def array(self, index: int) -> np.ndarray:
        """Return the values of a constant tensor."""
        if index not in self.weights:
            tensor = self.graph.Tensors(index)
            kinds = {
                tflite.TensorType.FLOAT32: "<f4",
                tflite.TensorType.FLOAT16: "<f2",
                tflite.TensorType.INT32: "<i4",
            }
            raw = self.model.Buffers(tensor.Buffer()).DataAsNumpy()
            values = np.frombuffer(raw.tobytes(), dtype=kinds[tensor.Type()])
            shape = tensor.ShapeAsNumpy() if tensor.ShapeLength() else ()  # of a scalar
            self.weights[index] = values.reshape(shape)
        return self.weights[index]

    def side(self, index: int) -> int:
        """Return the height, which is the width, of a feature map (1, H, W, C)."""
        return int(self.graph.Tensors(index).ShapeAsNumpy()[1])

    def conv(self, operator: tflite.Operator, output: str, *, depthwise: bool) -> None:
        """CONV_2D or DEPTHWISE_CONV_2D with its bias."""
        kind = tflite.DepthwiseConv2DOptions if depthwise else tflite.Conv2DOptions
        options = table(operator, kind)
        image, weight, bias = (operator.Inputs(i) for i in range(3))
        kernel = self.array(weight)  # (O, kh, kw, I), depthwise (1, kh, kw, C)
        kernel = kernel.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
        stride, size, side = options.StrideH(), kernel.shape[2], self.side(image)
        before, after = 0, 0
        if options.Padding() == tflite.Padding.SAME:
            # TensorFlow's SAME pads just enough, the odd pixel at the right and the bottom.
            total = max((-(-side // stride) - 1) * stride + size - side, 0)
            before, after = total // 2, total - total // 2
        inputs = [
            self.names[image],
            self.constant(f"{output}.weight", kernel),
            self.constant(f"{output}.bias", self.array(bias)),
        ]
        self.node(
            "Conv",
            inputs,
            output,
            group=kernel.shape[0] if depthwise else 1,
            kernel_shape=[size, size],
            pads=[before, before, after, after],
            strides=[stride, stride],
        )

    def kind(self, operator: tflite.Operator) -> str:
        """Return the name of an operator."""
        return OPERATORS[self.model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()]

    def walk(self, outputs: list[int]) -> None:
        """Translate the operators that the given tensors depend on, in their order."""
        operators = [self.graph.Operators(i) for i in range(self.graph.OperatorsLength())]
        needed, kept = set(outputs), []
        for operator in reversed(operators):
            if operator.Outputs(0) in needed:
                needed.update(operator.InputsAsNumpy().tolist())
                kept.append(operator)
        for operator in reversed(kept):
            self.translate(operator)

    def translate(self, operator: tflite.Operator) -> None:
        """Append the ONNX nodes of one operator."""
        kind = self.kind(operator)
        first, target = operator.Inputs(0), operator.Outputs(0)
        output = f"t{target}"
        self.names[target] = output
        if kind == "DEQUANTIZE":
            self.weights[target] = self.array(first)  # float16, cast where it is used
        elif kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            self.conv(operator, output, depthwise=kind == "DEPTHWISE_CONV_2D")
        elif kind == "RELU":
            self.node("Relu", [self.names[first]], output)
        elif kind == "PRELU":
            slope = self.array(operator.Inputs(1)).transpose(2, 0, 1)  # (1, 1, C) -> (C, 1, 1)
            inputs = [self.names[first], self.constant(f"{output}.slope", slope)]
            self.node("PRelu", inputs, output)
        elif kind == "ADD":
            self.node("Add", [self.names[first], self.names[operator.Inputs(1)]], output)
        elif kind == "MAX_POOL_2D":
            options = table(operator, tflite.Pool2DOptions)
            size, stride = options.FilterHeight(), options.StrideH()
            if size != stride or self.side(first) % stride:
                raise NotImplementedError(f"pooling {size} by {stride} that needs padding")
            self.node(
                "MaxPool",
                [self.names[first]],
                output,
                kernel_shape=[size, size],
                strides=[stride, stride],
            )
        elif kind == "PAD":
            pads = self.array(operator.Inputs(1))[[0, 3, 1, 2]]  # (4, 2), NHWC -> NCHW
            amount = self.constant(f"{output}.pads", pads.T.reshape(-1).astype(np.int64))
            self.node("Pad", [self.names[first], amount], output)
        elif kind == "RESIZE_BILINEAR":
            options = table(operator, tflite.ResizeBilinearOptions)
            if options.AlignCorners() or not options.HalfPixelCenters():
                raise NotImplementedError("a resize that is not by half-pixel centers")
            factor = self.side(target) / self.side(first)
            scales = self.constant(f"{output}.scales", np.array([1, 1, factor, factor], "<f4"))
            self.node(
                "Resize",
                [self.names[first], "", scales],
                output,
                mode="linear",
                coordinate_transformation_mode="half_pixel",
            )
        elif kind == "RESHAPE":  # (1, 48, 48, C) -> (1, 2304, C): the maps behind both heads
            self.names[target] = self.names[first]
        else:
            raise NotImplementedError(f"operator {kind}")
        fused = {
            "CONV_2D": tflite.Conv2DOptions,
            "DEPTHWISE_CONV_2D": tflite.DepthwiseConv2DOptions,
            "ADD": tflite.AddOptions,
            "MAX_POOL_2D": tflite.Pool2DOptions,
        }
        if kind in fused and table(operator, fused[kind]).FusedActivationFunction():
            raise NotImplementedError(f"{kind} with a fused activation")


def run_tflite(data: bytes, batch: np.ndarray) -> list[np.ndarray]:
    """Run a .tflite itself in OpenVINO, in float32, one row of the batch after the other.

    Returns:
        Its outputs in their order, each with the rows of the batch.
    """
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "source.tflite"
        file.write_bytes(data)
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(file), "CPU", EXACT)
        results = [
            [np.copy(compiled_output) for compiled_output in compiled(one[None]).values()]
            for one in batch
        ]
    return [np.concatenate(rows) for rows in zip(*results, strict=True)]


def run_onnx(model: onnx.ModelProto, batch: np.ndarray) -> dict[str, list[np.ndarray]]:
    """Run an ONNX graph with one input in both engines: the outputs by the engine's name."""
    import onnxruntime
    import openvino

    data = model.SerializeToString()
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(io.BytesIO(data)), "CPU", EXACT)
    session = onnxruntime.InferenceSession(data)
    return {
        "openvino": list(compiled(batch).values()),
        "onnxruntime": session.run(None, {session.get_inputs()[0].name: batch}),
    }
