"""What the build scripts do to published ONNX graphs, each step with its reason.

The result of every step is a plain graph that OpenVINO and ONNX Runtime both read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def constants(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """Initializers by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def set_constants(graph: onnx.GraphProto, values: dict[str, np.ndarray]) -> None:
    """Replace all initializers, keeping only those that a node still reads."""
    used = {name for node in graph.node for name in node.input}
    del graph.initializer[:]
    graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(value), name)
        for name, value in values.items()
        if name in used
    )


def drop_weights_from_inputs(graph: onnx.GraphProto) -> None:
    """Keep as inputs only what a node reads and no weight provides.

    Old exporters list every weight as a graph input, which stops engines from folding them.
    """
    weights = {tensor.name for tensor in graph.initializer}
    read = {name for node in graph.node for name in node.input}
    kept = [value for value in graph.input if value.name in read - weights]
    del graph.input[:]
    graph.input.extend(kept)


def set_shape(value: onnx.ValueInfoProto, shape: list[int | str]) -> None:
    """State the shape of a graph input or output; a string is a dynamic axis."""
    del value.type.tensor_type.shape.dim[:]
    for size in shape:
        dim = value.type.tensor_type.shape.dim.add()
        if isinstance(size, str):
            dim.dim_param = size
        else:
            dim.dim_value = size


def _blocks(node: onnx.NodeProto, values: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """Weights (rows, blocks, block), scales and zero points (rows, blocks, 1) of a node."""
    quantized, scales, zeros = (values[name] for name in node.input)
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    block, axis = attributes["block_size"], attributes["axis"]
    if axis != quantized.ndim - 1 or quantized.shape[axis] % block:
        raise ValueError(f"{node.name}: expected whole blocks along the last axis")
    shape = (-1, quantized.shape[axis] // block)
    return quantized.reshape(*shape, block), scales.reshape(*shape, 1), zeros.reshape(*shape, 1)


def fold_dequantize(graph: onnx.GraphProto) -> None:
    """Turn DequantizeLinear (and the Reshape after it) into plain float32 weights.

    OpenVINO refuses the blocked form of operator set 21.
    """
    values = constants(graph)
    kept = []
    for node in graph.node:
        if node.op_type == "DequantizeLinear":
            weights, scales, zeros = _blocks(node, values)
            shape = values[node.input[0]].shape
            centered = weights.astype(np.float32) - zeros.astype(np.float32)
            values[node.output[0]] = (centered * scales).reshape(shape)
        elif node.op_type == "Reshape" and node.input[0] in values:
            values[node.output[0]] = values[node.input[0]].reshape(values[node.input[1]])
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
    set_constants(graph, values)


def spell_out_dequantize(graph: onnx.GraphProto) -> None:
    """Write DequantizeLinear with blocks as Cast, Sub, Mul and Reshape: small file, any engine.

    The arithmetic, (q - z) * s in float32, is that of the operator's definition, so the expanded
    weights are bit for bit those of the published file.
    """
    values = constants(graph)
    nodes = []
    for node in graph.node:
        if node.op_type != "DequantizeLinear":
            nodes.append(node)
            continue
        weights, scales, zeros = _blocks(node, values)
        name = node.output[0]
        values[f"{name}/q"], values[f"{name}/s"] = weights, scales
        values[f"{name}/shape"] = np.array(values[node.input[0]].shape, dtype=np.int64)
        nodes.append(helper.make_node("Cast", [f"{name}/q"], [f"{name}/f"], to=TensorProto.FLOAT))
        centered = f"{name}/f"
        if zeros.any():
            values[f"{name}/z"] = zeros
            nodes.append(
                helper.make_node("Cast", [f"{name}/z"], [f"{name}/zf"], to=TensorProto.FLOAT)
            )
            nodes.append(helper.make_node("Sub", [centered, f"{name}/zf"], [f"{name}/c"]))
            centered = f"{name}/c"
        nodes.append(helper.make_node("Mul", [centered, f"{name}/s"], [f"{name}/m"]))
        nodes.append(helper.make_node("Reshape", [f"{name}/m", f"{name}/shape"], [name]))
    del graph.node[:]
    graph.node.extend(nodes)
    set_constants(graph, values)


def halve(graph: onnx.GraphProto, least: int = 1024) -> None:
    """Store weights of ``least`` numbers or more as float16, cast to float32 in the graph.

    Half the bytes; for networks whose outputs hardly notice, which whoever calls it has to measure.
    """
    casts = []
    for tensor in graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype == np.float32 and value.size >= least:
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float16), f"{name}.half"))
            casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def split_halves(graph: onnx.GraphProto, least: int = 1024) -> None:
    """Store float16 weights as two arrays of bytes; what they are cast to stays the same.

    Their upper bytes (sign, exponent, two bits of the fraction) are much alike and their lower ones
    are not: mixed they keep a compressor from seeing it, apart a wheel is a fifteenth smaller. All
    numbers with one upper byte lie on a line over the lower byte, so that engines put them together
    on loading by ``at_0[upper] + step[upper] * lower``, without rounding.

    Raises:
        ValueError: a weight is not finite.
    """
    bits = np.arange(256, dtype=np.uint16) << 8
    with np.errstate(invalid="ignore"):
        at_0, at_1 = ((bits + k).astype(np.uint16).view(np.float16) for k in (0, 1))
        step = at_1.astype(np.float32) - at_0.astype(np.float32)
    tables = {"halves.at_0": at_0.astype(np.float32), "halves.step": step}
    for table in tables.values():
        table[[0x7C, 0x7D, 0x7E, 0x7F, 0xFC, 0xFD, 0xFE, 0xFF]] = 0.0  # what is not finite
    stored = {tensor.name: tensor for tensor in graph.initializer}
    nodes, split = [], set()
    for node in graph.node:
        tensor = stored.get(node.input[0]) if node.op_type == "Cast" else None
        value = np.zeros(0) if tensor is None else numpy_helper.to_array(tensor)
        if tensor is None or value.dtype != np.float16 or value.size < least:
            nodes.append(node)
            continue
        if not np.isfinite(value).all():
            raise ValueError(f"{tensor.name}: expected finite weights")
        name = node.output[0]
        if tensor.name not in split:
            split.add(tensor.name)
            number = value.view(np.uint16)
            for part, byte in (("upper", number >> 8), ("lower", number & 255)):
                label = f"{tensor.name}.{part}"
                graph.initializer.append(numpy_helper.from_array(byte.astype(np.uint8), label))
        upper, lower = f"{tensor.name}.upper", f"{tensor.name}.lower"
        nodes += [
            helper.make_node("Cast", [upper], [f"{name}.row"], to=TensorProto.INT32),
            helper.make_node("Gather", ["halves.at_0", f"{name}.row"], [f"{name}.at_0"]),
            helper.make_node("Gather", ["halves.step", f"{name}.row"], [f"{name}.step"]),
            helper.make_node("Cast", [lower], [f"{name}.steps"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}.step", f"{name}.steps"], [f"{name}.past"]),
            helper.make_node("Add", [f"{name}.at_0", f"{name}.past"], [name]),
        ]
    if not split:
        return
    kept = [tensor for tensor in graph.initializer if tensor.name not in split]
    kept += [numpy_helper.from_array(table, name) for name, table in tables.items()]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)


def drop_dropout(graph: onnx.GraphProto) -> None:
    """Dropout does nothing at inference; its rate is a second input that some engines dislike."""
    renamed = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "Dropout"}
    kept = [n for n in graph.node if n.op_type not in ("Dropout", "Constant")]
    for node in kept:
        for i, name in enumerate(node.input):
            if name in renamed:
                node.input[i] = renamed[name]
    del graph.node[:]
    graph.node.extend(kept)


def save(model: onnx.ModelProto, path: Path, opset: int = 13) -> None:
    """Check and write the model; the same input gives the same bytes."""
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", opset))
    model.ir_version = 8
    model.producer_name = "lineament"
    model.producer_version = ""
    model.doc_string = ""
    model.graph.name = path.parent.name if path.stem == "model" else path.stem
    del model.metadata_props[:]
    del model.graph.value_info[:]
    for node in model.graph.node:
        node.doc_string = ""
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    print(f"{path.name}: {path.stat().st_size:,} bytes")
