"""Blobs of .caffemodel files, by the field numbers of Caffe's caffe.proto.

    NetParameter    name 1, layers 2 (of Caffe before 2014), layer 100
    LayerParameter  name 1, type 2, blobs 7
    V1LayerParameter  blobs 6, name 4, type 5
    BlobProto       num 1, channels 2, height 3, width 4, data 5, shape 7, double_data 8

A layer's blobs are named "LAYER/0", "LAYER/1": weights and bias; of "Scale" factor and offset; of
"BatchNorm" mean, variance and what both are to be divided by. How the layers are connected stands
in the file as well, but the network is made from the architecture's own definition.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from lineament.weights.file import MOST_TENSORS, Array, Contents, refuse, size_of
from lineament.weights.wire import fields, numbers_of, text_of

_LAYERS_V1, _LAYER = 2, 100
_DENSE_V1: Final = 14
"""Of V1LayerParameter.LayerType: INNER_PRODUCT."""


def is_caffe(data: bytes) -> bool:
    """Whether it looks like a network of Caffe that has weights."""
    try:
        found = [number for number, value in fields(memoryview(data)) if not isinstance(value, int)]
    except ValueError:
        return False
    return _LAYER in found or (_LAYERS_V1 in found and set(found) <= {1, 2, 3, 7, 8, 10})


def read_caffe(data: bytes) -> Contents:
    """The blobs by layer.

    Raises:
        Refusal: it is no such file, or its parts do not fit.
    """
    tensors: dict[str, Array] = {}
    for number, value in fields(memoryview(data)):
        if isinstance(value, int) or number not in (_LAYERS_V1, _LAYER):
            continue
        old = number == _LAYERS_V1
        name, dense, blobs = _layer(value, old)
        for at, blob in enumerate(blobs):
            array, legacy = _blob(blob, f"{name}/{at}")
            if legacy and (dense or at):  # once every blob had four sides
                shape = list(array.shape)
                while len(shape) > (2 if dense and not at else 1) and shape[0] == 1:
                    shape.pop(0)
                array = array.reshape(shape)
            if f"{name}/{at}" in tensors:
                raise refuse(f"two layers of the name {name[:80]!a}")
            tensors[f"{name}/{at}"] = array
            if len(tensors) > MOST_TENSORS:
                raise refuse(f"more than {MOST_TENSORS:,} tensors")
    if not tensors:
        raise refuse("a network without weights, or something else")
    return Contents(tensors)


def _layer(data: memoryview, old: bool) -> tuple[str, bool, list[memoryview]]:
    """A layer's name, whether it is a dense one, its blobs."""
    named, typed, held = (4, 5, 6) if old else (1, 2, 7)
    name, dense = "", False
    blobs: list[memoryview] = []
    for number, value in fields(data):
        if number == named:
            name = text_of(value)
        elif number == typed:
            dense = value == _DENSE_V1 if old else text_of(value) == "InnerProduct"
        elif number == held and not isinstance(value, int):
            blobs.append(value)
    return name, dense, blobs


def _blob(data: memoryview, name: str) -> tuple[Array, bool]:
    """A blob's numbers, and whether it has the four sides of old."""
    sides: dict[int, int] = {}
    shape: tuple[int, ...] | None = None
    parts: list[Array] = []
    for number, value in fields(data):
        if number in (1, 2, 3, 4) and isinstance(value, int):
            sides[number] = value
        elif number in (5, 8):
            if isinstance(value, int) or len(value) % (8 if number == 8 else 4):
                raise refuse(f"a blob {name[:80]!a} with numbers of another kind")
            parts.append(np.frombuffer(value, "<f8" if number == 8 else "<f4"))
        elif number == 7 and not isinstance(value, int):
            shape = tuple(n for at, dims in fields(value) if at == 1 for n in numbers_of(dims))
    row: Array = np.concatenate(parts) if len(parts) > 1 else (parts or [np.zeros(0, "<f4")])[0]
    legacy = shape is None
    if shape is None:
        shape = tuple(sides.get(number, 1) for number in (1, 2, 3, 4))
    if size_of(shape, len(row), name) != len(row):
        raise refuse(f"a blob {name[:80]!a} of {len(row):,} numbers for its shape {shape}")
    return row.reshape(shape), legacy
