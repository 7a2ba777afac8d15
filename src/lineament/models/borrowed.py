"""Int8 networks whose weights are computed from those of a float network in another file.

An int8 network made from a float one says hardly anything new about the weights: they are the
other's, scaled by channel and rounded. So its file holds all but them, and for each of them a
factor for each output channel; where the other's file is there, too, the weights are made again,
bit for bit, and the whole is an ONNX file like any other.

In the file such a tensor is an initializer of float32 factors, (C,), whose ``doc_string`` is
``{"int8_of": NAME, "shape": [C, ...]}``. NAME is an initializer of the other file, float32 and of C
rows, or, where that keeps its weights in int8 blocks, the common part of the names of theirs:
``NAME/q`` (C, B, L) int8, ``NAME/s`` (C, B, 1) float32 and, unless all are 0, ``NAME/z`` (C, B, 1)
int8. The weights are ``round(NAME * factor)``, or ``round((q - z) * (s * factor))``, in float32,
halves to the even number, and no less than -127: nothing in it depends on the processor.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lineament.errors import WeightsError
from lineament.models.graph import fields
from lineament.types import FloatArray

# Fields of onnx.proto3.
_GRAPH = 7  # of a model
_INITIALIZER = 5  # of a graph
_DIMS, _DATA_TYPE, _NAME, _RAW_DATA, _DOC_STRING = 1, 2, 8, 9, 12  # of a tensor
_TYPES: dict[int, Any] = {1: np.dtype("<f4"), 3: np.dtype("i1")}

_AT_ONCE = 1 << 16
"""Weights that are computed in one go: what a processor keeps close by."""

Bytes = bytes | memoryview


class _Tensor(NamedTuple):
    name: str
    doc: str
    values: npt.NDArray[Any] | None


def assembled(own: bytes, other: bytes, name: str) -> bytes:
    """The network as one ONNX file.

    Args:
        own: the file without the weights.
        other: the file of the network that it takes them from.
        name: of the model, for the message.

    Raises:
        WeightsError: one of the files is none of an ONNX network, or they do not belong together.
    """
    try:
        source = {tensor.name: tensor for tensor in _tensors(other)}
        parts: list[Bytes] = []
        for number, value in fields(memoryview(own)):
            if number == _GRAPH and not isinstance(value, int):
                inner = list(_graph(value, source))
                parts += [_varint(_GRAPH << 3 | 2), _varint(sum(map(len, inner))), *inner]
            else:
                parts += _field(number, value)
        return b"".join(parts)
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{name}: expected a network without weights, and the one that has them: {error}"
        ) from error


def _graph(data: memoryview, source: dict[str, _Tensor]) -> Iterator[Bytes]:
    """The fields of a graph, its borrowed weights written out."""
    for number, value in fields(data):
        if number == _INITIALIZER and not isinstance(value, int):
            tensor = _tensor(value)
            yield from _field(number, _written(tensor, source) if tensor.doc else value)
        else:
            yield from _field(number, value)


def _written(tensor: _Tensor, source: dict[str, _Tensor]) -> bytes:
    """An int8 tensor in the format of the file."""
    said = json.loads(tensor.doc)
    shape = [int(side) for side in said["shape"]]
    weights = int8_weights(said["int8_of"], _values(tensor), source)
    if math.prod(shape) != weights.size or shape[0] != len(weights):
        raise ValueError(f"{tensor.name} of shape {shape} is made of {weights.size:,} numbers")
    dims = b"".join(_varint(side) for side in shape)
    parts = [*_field(_DIMS, dims), *_field(_DATA_TYPE, 3), *_field(_NAME, tensor.name.encode())]
    return b"".join([*parts, *_field(_RAW_DATA, weights.tobytes())])


def int8_weights(
    name: str, factors: FloatArray, source: dict[str, _Tensor]
) -> npt.NDArray[np.int8]:
    """The weights, (C, ...), as the module says.

    Args:
        name: in the other file.
        factors: (C,), one for each output channel.
        source: the other file's initializers.

    Raises:
        KeyError, ValueError: they are not there, or have another shape.
    """
    plain = source.get(name)
    zeros = None
    if plain is not None:
        values, scales = _values(plain), factors.reshape(-1, *[1] * (len(_values(plain).shape) - 1))
    else:
        values = _values(source[f"{name}/q"])  # (C, B, L)
        scales = _values(source[f"{name}/s"]) * factors[:, None, None]
        if f"{name}/z" in source:
            zeros = _values(source[f"{name}/z"]).astype(np.float32)
    weights = np.empty(values.shape, np.int8)
    step = max(1, _AT_ONCE * len(values) // max(1, values.size))
    for start in range(0, len(values), step):
        rows = slice(start, start + step)
        some = values[rows].astype(np.float32)
        if zeros is not None:
            some -= zeros[rows]
        some *= scales[rows]
        np.rint(some, out=some)
        np.clip(some, -127, 127, out=some)
        weights[rows] = some  # whole numbers
    return weights


def _tensors(data: bytes) -> Iterator[_Tensor]:
    """The initializers of a file."""
    for number, graph in fields(memoryview(data)):
        if number == _GRAPH and not isinstance(graph, int):
            for kind, value in fields(graph):
                if kind == _INITIALIZER and not isinstance(value, int):
                    yield _tensor(value)


def _tensor(data: memoryview) -> _Tensor:
    """An initializer; without values where they are of other types, or not written as bytes."""
    dims: list[int] = []
    texts, kind, raw = {_NAME: "", _DOC_STRING: ""}, 0, None
    for number, value in fields(data):
        if number == _DIMS:
            dims += [value] if isinstance(value, int) else _varints(value)
        elif number == _DATA_TYPE and isinstance(value, int):
            kind = value
        elif number in texts and not isinstance(value, int):
            texts[number] = bytes(value).decode()
        elif number == _RAW_DATA and not isinstance(value, int):
            raw = value
    values = None
    if raw is not None and kind in _TYPES:
        values = np.frombuffer(raw, _TYPES[kind]).reshape(dims)
    return _Tensor(texts[_NAME], texts[_DOC_STRING], values)


def _values(tensor: _Tensor) -> npt.NDArray[Any]:
    if tensor.values is None:
        raise ValueError(f"{tensor.name} has no numbers of 32 or 8 bits")
    return tensor.values


def _varints(data: memoryview) -> list[int]:
    """Numbers in 7 bits a byte, one after the other."""
    found, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            found.append(value)
            value = shift = 0
    return found


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _field(number: int, value: int | Bytes) -> list[Bytes]:
    """A field as it is written: numbers and what has a length, which is all that there is here."""
    if isinstance(value, int):
        return [_varint(number << 3), _varint(value)]
    return [_varint(number << 3 | 2), _varint(len(value)), value]
