"""What a file of weights holds, whatever wrote it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lineament.errors import WeightsError

Format = Literal[
    "pytorch",
    "safetensors",
    "keras-h5",
    "keras",
    "onnx",
    "caffe",
    "dlib",
    "tensorflow",
    "tflite",
    "openvino",
]

FORMATS: Mapping[Format, str] = {
    "pytorch": "PyTorch (.pth, .pt, .ckpt, .bin)",
    "safetensors": "safetensors (.safetensors)",
    "keras-h5": "Keras HDF5 (.h5, .hdf5)",
    "keras": "Keras 3 (.keras)",
    "onnx": "ONNX (.onnx)",
    "caffe": "Caffe (.caffemodel)",
    "dlib": "dlib (.dat)",
    "tensorflow": "TensorFlow, frozen (.pb)",
    "tflite": "TensorFlow Lite (.tflite)",
    "openvino": "OpenVINO IR (.xml with its .bin)",
}
"""The formats that are read, in words."""

GRAPHS: frozenset[Format] = frozenset(("onnx", "tensorflow", "tflite", "openvino"))
"""Those whose files say how the network computes, so that they run as they are."""

Array = npt.NDArray[Any]

MOST_TENSORS = 20_000
"""Of a file; the largest recognizers have 3,000."""

MOST_SIDES = 8
"""Of a tensor."""


@dataclass(frozen=True)
class Port:
    """An input or output of a network.

    Attributes:
        name: as the file has it.
        shape: its sides; None where a side is open. None as a whole where the file does not say.
    """

    name: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class Graph:
    """A network that runs as it is.

    Attributes:
        inputs, outputs: in the file's order.
        data: the network as the engines take it: an ONNX file, or a container of OpenVINO's
            (``lineament.models.ir``).
        example: an input, and what the network made of it before it was converted, as one row; None
            where nothing was converted.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    data: bytes = field(repr=False)
    example: tuple[Array, Array] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, eq=False)
class WeightsFile:
    """The contents of a file of weights.

    Attributes:
        path: of the file.
        format: who wrote it; a key of ``FORMATS``.
        tensors: arrays by name, in the file's order; read-only views of the file where its layout
            allows.
        sha256: of the file, 64 hexadecimal digits.
        bytes: its size.
        graph: of the formats in ``GRAPHS``: the network itself.
        notes: what was passed over or done in reading, one sentence each.
    """

    path: Path
    format: Format
    tensors: Mapping[str, Array] = field(repr=False)
    sha256: str
    bytes: int
    graph: Graph | None = None
    notes: tuple[str, ...] = ()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the tensors, by name."""
        return {name: tuple(array.shape) for name, array in self.tensors.items()}


@dataclass(frozen=True)
class Contents:
    """What a reader found: tensors, a graph if the format has one, and notes."""

    tensors: Mapping[str, Array]
    notes: tuple[str, ...] = ()
    graph: Graph | None = None


class Refusal(ValueError):  # noqa: N818  (it says why; ``WeightsError`` is made of it)
    """Why a file is not read, in words that follow "got"."""


def refuse(why: str) -> Refusal:
    """The reason as an exception."""
    return Refusal(why)


def error_of(path: Path | str, expected: str, why: object, hint: str | None = None) -> WeightsError:
    """The error of a file that is not read."""
    return WeightsError(f"{path}: expected {expected}, got {why}", hint=hint)


def size_of(shape: tuple[int, ...], room: int, name: str) -> int:
    """How many numbers a tensor has.

    Args:
        shape: of the tensor.
        room: the most numbers that there may be.
        name: of the tensor, for the message.

    Raises:
        Refusal: it has too many sides, one that is negative, or more numbers than there is room.
    """
    if len(shape) > MOST_SIDES or any(side < 0 for side in shape):
        raise refuse(f"a tensor {name[:80]!a} of no possible shape")
    count = math.prod(shape)
    if count > room:
        raise refuse(
            f"a tensor {name[:80]!a} of {count:,} numbers where the file has room for {room:,}"
        )
    return count


def array_of(data: memoryview, kind: str, shape: tuple[int, ...], name: str) -> Array:
    """An array over bytes, without a copy; bfloat16 ("bf16") becomes float32.

    Raises:
        Refusal: the bytes are not as many as the shape says.
    """
    two = kind == "bf16"
    dtype = np.dtype("<u2" if two else kind)
    count = size_of(shape, len(data) // dtype.itemsize, name)
    if count * dtype.itemsize != len(data):
        raise refuse(f"a tensor {name[:80]!a} of {len(data):,} bytes for {count:,} numbers")
    values: Array = np.frombuffer(data, dtype).reshape(shape)
    return widened(values) if two else values


def widened(values: Array) -> Array:
    """Numbers of bfloat16, given as uint16, in float32."""
    wide: Array = (values.astype(np.uint32) << 16).view(np.float32)
    return wide
