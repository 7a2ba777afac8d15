"""Read cells, structs, texts and numbers of a Matlab file (.mat, level 5: versions 5 to 7).

The format: MathWorks, "MAT-File Format", chapter 1. Only what lists of pairs are made of is read:
no functions, no objects, no sparse or complex arrays. Lengths are checked against the file before
anything is made, and what is compressed may not grow beyond ``MOST_BYTES``.

Not ``scipy.io.loadmat``: a file of 480 KB whose cells lie in one another 10,000 deep ends the
process with a segmentation fault (SciPy 1.17), and nothing limits what a file unpacks to.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import numpy as np

from lineament.errors import DataError

MOST_BYTES: Final = 64 << 20
"""All that a file may unpack to; the list of AgeDB-30 takes a few MiB."""

DEEPEST: Final = 16
"""So deep cells and structs may lie in one another; AgeDB-30's are four deep."""

_NUMBERS: Final = dict(
    zip(
        (1, 2, 3, 4, 5, 6, 7, 9, 12, 13),
        ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8", "i8", "u8"),
        strict=True,
    )
)
_TEXTS: Final = {2: "latin1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_MATRIX: Final = 14
_COMPRESSED: Final = 15
_CELL: Final = 1
_STRUCT: Final = 2
_CHAR: Final = 4
_NUMERIC: Final = range(6, 16)

Struct = dict[str, Any]


def read_mat(data: bytes, name: str) -> dict[str, Any]:
    """Return the variables of the file by name.

    A cell array is a NumPy array of objects in its shape, a struct array the same of dicts, a text
    is a str (rows of several joined), and numbers are arrays in their shape.

    Args:
        data: the whole file.
        name: of the file, for messages.

    Raises:
        DataError: another format, cut short, or more than lists are made of.
    """
    if data[:8] == b"\x89HDF\r\n\x1a\n" or b"MATLAB 7.3" in data[:128]:
        raise DataError(f"{name}: expected a Matlab file up to version 7, got 7.3; save it as -v7")
    if len(data) < 128 or data[126:128] not in (b"IM", b"MI"):
        raise DataError(f"{name}: expected a Matlab file (.mat), got something else")
    order = "<" if data[126:128] == b"IM" else ">"
    reader = _Mat(name, order)
    variables: dict[str, Any] = {}
    at = 128
    while at < len(data):
        kind, body, at = reader.element(data, at)
        if kind == _COMPRESSED:
            kind, body, _ = reader.element(reader.unpacked(body), 0)
        if kind == _MATRIX:
            key, value = reader.matrix(body, 0)
            variables[key] = value
    return variables


class _Mat:
    def __init__(self, name: str, order: str) -> None:
        self._name = name
        self._order = order
        self._left = MOST_BYTES

    def wrong(self, what: str) -> DataError:
        return DataError(f"{self._name}: {what}")

    def unpacked(self, body: bytes) -> bytes:
        unpacker = zlib.decompressobj()
        try:
            data = unpacker.decompress(body, self._left)
        except zlib.error as error:
            raise self.wrong(f"expected compressed data, got: {error}") from error
        if unpacker.unconsumed_tail:
            raise self.wrong(f"expected at most {MOST_BYTES >> 20} MiB of data, got more")
        self._left -= len(data)
        return data

    def element(self, data: bytes, at: int) -> tuple[int, bytes, int]:
        """(type, contents, where the next one starts)."""
        tag = np.frombuffer(self._part(data, at, 4), f"{self._order}u4")[0]
        if tag >> 16:  # a small element: its length and its data are in the tag
            kind, size = int(tag & 0xFFFF), int(tag >> 16)
            if size > 4:
                raise self.wrong(f"expected a small element of at most 4 bytes, got {size}")
            return kind, self._part(data, at + 4, size), at + 8
        kind = int(tag)
        size = int(np.frombuffer(self._part(data, at + 4, 4), f"{self._order}u4")[0])
        body = self._part(data, at + 8, size)
        padding = 0 if kind == _COMPRESSED else -size % 8
        return kind, body, at + 8 + size + padding

    def _part(self, data: bytes, at: int, size: int) -> bytes:
        if at + size > len(data):
            raise self.wrong(
                f"expected {size:,} bytes at {at:,}, found {max(len(data) - at, 0):,}: the file is "
                "cut short, download it again"
            )
        return data[at : at + size]

    def matrix(self, body: bytes, depth: int) -> tuple[str, Any]:
        """(name, value)."""
        if depth > DEEPEST:
            raise self.wrong(f"expected at most {DEEPEST} levels, got more")
        if not body:
            return "", np.zeros((0, 0))
        _, flags, at = self.element(body, 0)
        _, sides, at = self.element(body, at)
        _, label, at = self.element(body, at)
        if len(flags) != 8 or len(sides) % 4:
            raise self.wrong("expected the flags and sizes of an array, got something else")
        word = int(np.frombuffer(flags, f"{self._order}u4")[0])
        kind, complex_ = word & 0xFF, bool(word >> 11 & 1)
        shape = [int(side) for side in np.frombuffer(sides, f"{self._order}i4")]
        count = 1
        for side in shape:
            count *= max(side, 0)
        name = label.decode("latin1")
        # Each element of a cell takes at least the 8 bytes of its tag; no field, no struct.
        if len(shape) > 8 or min(shape, default=0) < 0 or count > max(len(body), 1):
            raise self.wrong(f"expected the sizes of an array, got {shape[:8]}")
        if kind == _CELL:
            items, _ = self._items(body, at, count, depth)
            return name, _in_columns(items, shape)
        if kind == _STRUCT:
            return name, self._structs(body, at, count, shape, depth)
        if complex_ or (kind != _CHAR and kind not in _NUMERIC):
            raise self.wrong(f"expected cells, structs, texts and numbers, got class {kind}")
        stored, raw, _ = self.element(body, at) if at < len(body) else (2, b"", at)
        if kind == _CHAR:
            return name, self._text(stored, raw)
        if stored not in _NUMBERS:
            raise self.wrong(f"expected numbers, got data of type {stored}")
        dtype = np.dtype(_NUMBERS[stored]).newbyteorder("<" if self._order == "<" else ">")
        if len(raw) != count * dtype.itemsize:
            raise self.wrong(f"expected {count:,} numbers, got {len(raw):,} bytes")
        return name, np.frombuffer(raw, dtype).reshape(shape, order="F")

    def _items(self, body: bytes, at: int, count: int, depth: int) -> tuple[list[Any], int]:
        items = []
        for _ in range(count):
            kind, inner, at = self.element(body, at)
            if kind != _MATRIX:
                raise self.wrong(f"expected an array inside a cell or struct, got type {kind}")
            items.append(self.matrix(inner, depth + 1)[1])
        return items, at

    def _structs(self, body: bytes, at: int, count: int, shape: list[int], depth: int) -> Any:
        _, length, at = self.element(body, at)
        _, names, at = self.element(body, at)
        width = int(np.frombuffer(length, f"{self._order}i4")[0]) if len(length) == 4 else 0
        if width < 1 or len(names) % width:
            raise self.wrong("expected the names of a struct's fields, got something else")
        fields = [
            names[i : i + width].split(b"\0")[0].decode("latin1")
            for i in range(0, len(names), width)
        ]
        if count * max(len(fields), 1) > len(body):
            raise self.wrong(f"expected the contents of {count:,} structs, found fewer")
        structs = []
        for _ in range(count):
            values, at = self._items(body, at, len(fields), depth)
            structs.append(dict(zip(fields, values, strict=True)))
        return _in_columns(structs, shape)

    def _text(self, stored: int, raw: bytes) -> str:
        encoding = _TEXTS.get(stored)
        if encoding is None:
            raise self.wrong(f"expected text, got data of type {stored}")
        if encoding in ("utf-16", "utf-32"):
            encoding += "-le" if self._order == "<" else "-be"
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError as error:
            raise self.wrong(f"expected text, got bytes that are none ({error.reason})") from error


def _in_columns(items: list[Any], shape: list[int]) -> Any:
    """Matlab counts down the columns first."""
    array = np.empty(len(items), object)
    for i, item in enumerate(items):
        array[i] = item
    return array.reshape(shape, order="F")
