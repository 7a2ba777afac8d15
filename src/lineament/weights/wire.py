"""Protocol buffers by hand: what the readers of ONNX, Caffe and TensorFlow share.

``lineament.models.graph.fields`` goes over the fields of a message; here are the values in them,
and how a message is written.
"""

from __future__ import annotations

from lineament.models.graph import fields
from lineament.weights.file import refuse

__all__ = ["fields", "message", "numbers_of", "text_of", "varint", "varints"]

LONGEST_TEXT = 10_000


def text_of(value: int | memoryview) -> str:
    """A text."""
    if isinstance(value, int) or len(value) > LONGEST_TEXT:
        raise refuse("a damaged file (a name that is none)")
    return bytes(value).decode("utf-8", "replace")


def varints(data: memoryview) -> list[int]:
    """Whole numbers one after the other, each in 7 bits a byte."""
    found: list[int] = []
    value = shift = 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if shift > 70:
            raise refuse("a damaged file (a number that does not end)")
        if byte < 128:
            found.append(value & (2**64 - 1))
            value = shift = 0
    if shift:
        raise refuse("a damaged file (a number that does not end)")
    return found


def numbers_of(value: int | memoryview) -> list[int]:
    """A repeated whole number: one by itself, or several packed together."""
    return [value] if isinstance(value, int) else varints(value)


def varint(value: int) -> bytes:
    """A whole number in 7 bits a byte; a negative one in ten bytes."""
    value &= 2**64 - 1
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def message(number: int, value: int | bytes | memoryview) -> bytes:
    """A field as it is written."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return b"".join((varint(number << 3 | 2), varint(len(value)), value))
