"""Tensors, inputs and outputs of ONNX files; the file itself is the network."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from lineament.models.graph import check_graph, fields
from lineament.weights.file import (
    MOST_TENSORS,
    Array,
    Contents,
    Graph,
    Port,
    array_of,
    refuse,
    size_of,
)
from lineament.weights.wire import numbers_of, text_of

# Fields of onnx.proto3.
_GRAPH: Final = 7
_INITIALIZER, _INPUT, _OUTPUT = 5, 11, 12
_DIMS, _TYPE, _FLOATS, _INT32S, _INT64S, _NAME, _RAW, _DOUBLES = 1, 2, 4, 5, 7, 8, 9, 10
_KINDS = {
    1: "<f4",
    2: "u1",
    3: "i1",
    4: "<u2",
    5: "<i2",
    6: "<i4",
    7: "<i8",
    9: "?",
    10: "<f2",
    11: "<f8",
    12: "<u4",
    13: "<u8",
    16: "bf16",
}


def read_onnx(data: bytes, name: str) -> Contents:
    """The tensors of a file by name, its inputs and outputs.

    Args:
        data: the whole file.
        name: of it, for messages.

    Raises:
        Refusal: a part of it does not fit.
        WeightsError: it is no ONNX file that an engine may see.
    """
    check_graph(data, name)
    tensors: dict[str, Array] = {}
    inputs: list[Port] = []
    outputs: list[Port] = []
    for number, graph in fields(memoryview(data)):
        if number != _GRAPH or isinstance(graph, int):
            continue
        for kind, value in fields(graph):
            if isinstance(value, int):
                continue
            if kind == _INITIALIZER:
                label, array = _tensor(value)
                if array is not None:
                    tensors[label] = array
                if len(tensors) > MOST_TENSORS:
                    raise refuse(f"more than {MOST_TENSORS:,} tensors")
            elif kind == _INPUT:
                inputs.append(_port(value))
            elif kind == _OUTPUT:
                outputs.append(_port(value))
    taken = [port for port in inputs if port.name not in tensors]
    return Contents(tensors, graph=Graph(tuple(taken), tuple(outputs), data))


def _tensor(data: memoryview) -> tuple[str, Array | None]:
    """An initializer; None for one that holds no numbers (texts)."""
    dims: list[int] = []
    kind, name = 0, ""
    raw: memoryview | None = None
    held: dict[int, list[Any]] = {}
    for number, value in fields(data):
        if number == _DIMS:
            dims += numbers_of(value)
        elif number == _TYPE and isinstance(value, int):
            kind = value
        elif number == _NAME:
            name = text_of(value)
        elif number == _RAW and not isinstance(value, int):
            raw = value
        elif number in (_FLOATS, _INT32S, _INT64S, _DOUBLES):
            held.setdefault(number, []).append(value)
    if kind not in _KINDS:
        return name, None
    shape = tuple(dims)
    if raw is not None:
        return name, array_of(raw, _KINDS[kind], shape, name)
    return name, _listed(kind, shape, held, name)


def _listed(kind: int, shape: tuple[int, ...], held: dict[int, list[Any]], name: str) -> Array:
    """Numbers that stand in a field of their own."""
    parts: list[Array] = []
    for number, values in held.items():
        width = {_FLOATS: "<f4", _DOUBLES: "<f8"}.get(number)
        for value in values:
            if width is None:
                signed = np.array(numbers_of(value), np.uint64).astype(np.int64)
                parts.append(signed)
            elif isinstance(value, int) or len(value) % np.dtype(width).itemsize:
                raise refuse(f"a tensor {name[:80]!a} with numbers of another kind")
            else:
                parts.append(np.frombuffer(value, width))
    row: Array = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    if size_of(shape, max(len(row), 1), name) != len(row):
        raise refuse(f"a tensor {name[:80]!a} of {len(row):,} numbers for its shape {shape}")
    if kind in (10, 16):  # their bits stand in int32_data
        row = row.astype(np.uint16)
        row = row.view(np.float16) if kind == 10 else (row.astype(np.uint32) << 16).view(np.float32)
    else:
        row = row.astype(_KINDS[kind])
    return row.reshape(shape)


def _port(data: memoryview) -> Port:
    """A ValueInfo: its name, and the shape of its tensor where it has one."""
    name = ""
    shape: tuple[int | None, ...] | None = None
    for number, value in fields(data):
        if number == 1:
            name = text_of(value)
        elif number == 2 and not isinstance(value, int):
            for kind, tensor in fields(value):
                if kind != 1 or isinstance(tensor, int):
                    continue
                for part, dims in fields(tensor):
                    if part == 2 and not isinstance(dims, int):
                        shape = tuple(_side(dim) for at, dim in fields(dims) if at == 1)
    return Port(name, shape)


def _side(data: int | memoryview) -> int | None:
    if isinstance(data, int):
        return None
    for number, value in fields(data):
        if number == 1 and isinstance(value, int):
            return value if 0 < value < 1 << 31 else None
    return None


def first_steps(data: bytes, count: int) -> list[str]:
    """Names of the first steps of a file's graph, or their kinds where they have none.

    Args:
        data: the whole file, which ``read_onnx`` took.
        count: how many.
    """
    found: list[str] = []
    for number, graph in fields(memoryview(data)):
        if number != _GRAPH or isinstance(graph, int):
            continue
        for kind, step in fields(graph):
            if kind != 1 or isinstance(step, int):
                continue
            texts = {at: text_of(value) for at, value in fields(step) if at in (3, 4)}
            found.append(texts.get(4, ""))
            if len(found) == count:
                return found
    return found
