"""Tensors of .safetensors files: a length, a header in JSON, numbers. Also how they are written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from lineament.weights.file import MOST_TENSORS, Array, Contents, array_of, refuse

LARGEST_HEADER = 100 << 20
"""In bytes, as the format says."""

_KINDS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "bf16",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}
_NAMES = {np.dtype(kind): name for name, kind in _KINDS.items() if kind != "bf16"}


def is_safetensors(data: bytes) -> bool:
    """Whether it begins as such a file does."""
    length = int.from_bytes(data[:8], "little")
    return len(data) > 9 and data[8:9] == b"{" and 2 <= length <= min(len(data), LARGEST_HEADER)


def read_safetensors(data: bytes) -> Contents:
    """The tensors of a file, by name; views of ``data``.

    Raises:
        Refusal: it is no such file, or its parts do not fit.
    """
    length = int.from_bytes(data[:8], "little")
    if not is_safetensors(data) or 8 + length > len(data):
        raise refuse("a file that is cut short, or something else")
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise refuse(f"a header that is no JSON ({str(error)[:100]})") from error
    if not isinstance(header, dict) or len(header) > MOST_TENSORS:
        raise refuse(f"a header that is no table of at most {MOST_TENSORS:,} tensors")
    header.pop("__metadata__", None)
    numbers = memoryview(data)[8 + length :]
    tensors: dict[str, Array] = {}
    total = 0
    for name, told in header.items():
        kind, shape, start, end = _told(name, told)
        if not 0 <= start <= end <= len(numbers):
            raise refuse(f"a tensor {name[:80]!a} that lies beyond the end of the file")
        total += end - start
        if total > len(numbers):
            raise refuse("tensors that lie over one another")
        tensors[name] = array_of(numbers[start:end], kind, shape, name)
    if not tensors:
        raise refuse("a file without tensors")
    return Contents(tensors)


def _told(name: str, told: Any) -> tuple[str, tuple[int, ...], int, int]:
    try:
        kind, shape, (start, end) = _KINDS[told["dtype"]], told["shape"], told["data_offsets"]
        whole = [*shape, start, end]
    except (KeyError, TypeError, ValueError) as error:
        raise refuse(f"a tensor {name[:80]!a} of an unknown kind") from error
    if any(type(number) is not int or number < 0 for number in whole):
        raise refuse(f"a tensor {name[:80]!a} of no possible shape")
    return kind, tuple(shape), start, end


def safetensors_bytes(tensors: Mapping[str, Array]) -> list[bytes | memoryview]:
    """The parts of a file, one after the other.

    Args:
        tensors: of the kinds of numbers that the format has.
    """
    header: dict[str, Any] = {}
    parts: list[bytes | memoryview] = []
    at = 0
    for name, array in tensors.items():
        plain = np.ascontiguousarray(array)
        plain = plain.astype(plain.dtype.newbyteorder("<"), copy=False)
        header[name] = {
            "dtype": _NAMES[plain.dtype],
            "shape": list(plain.shape),
            "data_offsets": [at, at + plain.nbytes],
        }
        parts.append(memoryview(plain.tobytes()))
        at += plain.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little"), text, *parts]
