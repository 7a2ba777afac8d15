"""How much memory a parquet file's pages take when they are read; looked up before they are.

A file of 10 kB can say that a page of it unpacks to gigabytes, or that one long value stands in
each of a million rows. The headers of its pages say how long they are unpacked, and a reader makes
room for as much; what a column's metadata say may be anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, TypeVar

MOST_PAGES = 192 << 20
"""Bytes: of the largest page of each column, and its dictionary, in one group of rows."""
LONGEST_VALUE = 8 << 20
"""Bytes, on average."""
MOST_BATCH = 32 << 20
"""Bytes of values that are held at once."""
MOST_ROWS = 64
"""Rows that are held at once."""

LONGEST_FOOTER = 4 << 20
"""Bytes, and a fiftieth of the file more."""
_LONGEST_HEADER = 1 << 20
_DATA, _DICTIONARY, _DATA_2 = 0, 2, 3
_ENCODINGS = {0, 2, 3, 4, 8}
"""PLAIN, PLAIN_DICTIONARY, RLE, BIT_PACKED, RLE_DICTIONARY: others unpack while they are read."""


class UnfitPagesError(ValueError):
    """They are damaged, of another kind than ours, or take too much; the message says which."""


class Column(NamedTuple):
    """Where the pages of a column are, in one group of rows."""

    name: str
    values: int
    first: int
    end: int


class Group(NamedTuple):
    """One group of rows."""

    rows: int
    columns: tuple[Column, ...]


class Footer(NamedTuple):
    """What a parquet file says of itself."""

    rows: int
    groups: tuple[Group, ...]
    metadata: dict[bytes, bytes]


class _Page(NamedTuple):
    kind: int
    packed: int
    unpacked: int
    values: int


def read_footer(file: BinaryIO) -> Footer:
    """What stands at the end of a parquet file.

    Read here before ``pyarrow`` sees it, which ends the whole process when it is asked for the
    metadata of a column that a damaged footer lacks.

    Raises:
        UnfitPagesError: it is no parquet file, or damaged.
        OSError: the file cannot be read.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 8))
    end = file.read(8)
    if len(end) < 8 or end[4:] != b"PAR1":
        raise UnfitPagesError("it is encrypted" if end[4:] == b"PARE" else "its end is missing")
    length = int.from_bytes(end[:4], "little")
    if length > min(size - 8, LONGEST_FOOTER + size // 50):
        raise UnfitPagesError(f"it has {length:,} bytes of metadata")
    file.seek(size - 8 - length)
    try:
        fields = _Compact(file.read(length)).struct()
    except IndexError:
        raise UnfitPagesError("its metadata are damaged") from None
    leaves = sum(not _count(one, 5, 0) for one in _list(fields, 2, dict)[1:])
    groups = []
    for group in _list(fields, 4, dict):
        columns = tuple(_column(one, size) for one in _list(group, 1, dict))
        if len(columns) != leaves:
            raise UnfitPagesError("a group of rows lacks a column")
        groups.append(Group(_count(group, 3), columns))
    pairs = [(one.get(1), one.get(2)) for one in _list(fields, 5, dict)]
    metadata = {k: v for k, v in pairs if isinstance(k, bytes) and isinstance(v, bytes)}
    return Footer(_count(fields, 3), tuple(groups), metadata)


def _column(chunk: dict[int, Any], size: int) -> Column:
    about = chunk.get(3)
    if not isinstance(about, dict) or 1 in chunk or 8 in chunk:
        raise UnfitPagesError("a column is encrypted, or in another file")
    name = b".".join(_list(about, 3, bytes)).decode("utf-8", "replace")
    at, first = _count(about, 9), _count(about, 11, 0)
    at = first if 0 < first < at else at
    end = at + _count(about, 7)
    if end > size:
        raise UnfitPagesError("a column ends beyond the file")
    return Column(name, _count(about, 5), at, end)


def rows_at_once(file: BinaryIO, group: Group, columns: set[str]) -> int:
    """How many rows of a group can be read at once, 1 or more.

    Args:
        file: the parquet file, open for reading; its place changes.
        group: of its footer.
        columns: names of those that will be read.

    Raises:
        UnfitPagesError: too much memory would be needed even for one, or the pages are damaged.
        OSError: the file cannot be read.
    """
    pages = per_row = dictionaries = 0
    for column in group.columns:
        if column.name not in columns:
            continue
        dictionary = largest = heaviest = 0
        for page in _pages_of(file, column):
            if page.unpacked > LONGEST_VALUE * max(page.values, 1):
                raise UnfitPagesError(f"values of more than {LONGEST_VALUE >> 20} MiB")
            if page.kind == _DICTIONARY:
                dictionary = max(dictionary, page.unpacked)
            else:
                largest = max(largest, page.unpacked, page.packed)
                heaviest = max(heaviest, page.unpacked // max(page.values, 1))
        pages += dictionary + largest
        dictionaries += dictionary
        per_row += heaviest
    if pages > MOST_PAGES:
        raise UnfitPagesError(
            f"expected pages of at most {MOST_PAGES >> 20} MiB, got {pages >> 20:,}"
        )
    # Each value of a row may be the longest one of the dictionary.
    return max(1, min(MOST_ROWS, MOST_BATCH // max(1, dictionaries + per_row)))


def _pages_of(file: BinaryIO, column: Column) -> Iterator[_Page]:
    at, left = column.first, column.values
    while at < column.end and left > 0:
        length, page = _header(file, at)
        yield page
        at += length + page.packed
        left -= page.values if page.kind in (_DATA, _DATA_2) else 0


def _header(file: BinaryIO, at: int) -> tuple[int, _Page]:
    """The header of the page at a place of the file: its length, and what it says."""
    size = 256
    while True:
        file.seek(at)
        data = file.read(size)
        reader = _Compact(data)
        try:
            fields = reader.struct()
            break
        except IndexError:
            if len(data) < size or size >= _LONGEST_HEADER:
                raise UnfitPagesError("a page's header is damaged") from None
            size *= 8
    kind, unpacked, packed = (_count(fields, key) for key in (1, 2, 3))
    values = 0
    if kind in (_DATA, _DICTIONARY, _DATA_2):
        inner = fields.get({_DATA: 5, _DICTIONARY: 7, _DATA_2: 8}[kind])
        if not isinstance(inner, dict):
            raise UnfitPagesError("a page's header is damaged")
        values = _count(inner, 1)
        if _count(inner, 4 if kind == _DATA_2 else 2) not in _ENCODINGS:
            raise UnfitPagesError("its values are written in another way than those of an export")
    return reader.at, _Page(kind, packed, unpacked, values)


def _count(fields: dict[int, Any], number: int, default: int = -1) -> int:
    value = fields.get(number, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UnfitPagesError("its metadata are damaged")
    return value


_Kind = TypeVar("_Kind", bytes, dict[int, Any])


def _list(fields: dict[int, Any], number: int, kind: type[_Kind]) -> list[_Kind]:
    values = fields.get(number, [])
    if not isinstance(values, list) or not all(isinstance(value, kind) for value in values):
        raise UnfitPagesError("its metadata are damaged")
    return values


class _Compact:
    """Thrift's compact protocol, as far as parquet needs it.

    IndexError: the bytes end too early. UnfitPagesError: they are no such protocol.
    """

    def __init__(self, data: bytes) -> None:
        """Read from the first byte on."""
        self.data = data
        self.at = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Numbers of fields and their values: numbers, bytes, lists, and structs as dicts."""
        if depth > 8:
            raise UnfitPagesError("a page's header is damaged")
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            step = head >> 4
            number = number + step if step else self._zigzag()
            fields[number] = self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._zigzag()
        if kind in (7, 8):
            return self._bytes(8 if kind == 7 else self._varint())
        if kind in (9, 10):
            head = self._byte()
            count = head >> 4 if head >> 4 != 15 else self._varint()
            if count > len(self.data):  # each takes a byte or more
                raise IndexError
            if head & 15 in (1, 2):
                return list(self._bytes(count))
            return [self._value(head & 15, depth + 1) for _ in range(count)]
        if kind == 12:
            return self.struct(depth + 1)
        raise UnfitPagesError("its metadata are damaged")

    def _byte(self) -> int:
        value = self.data[self.at]
        self.at += 1
        return value

    def _bytes(self, count: int) -> bytes:
        self.at += count
        if self.at > len(self.data):
            raise IndexError
        return self.data[self.at - count : self.at]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise UnfitPagesError("a page's header is damaged")

    def _zigzag(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)
