"""Bytes of somebody who was erased, looked for in every file of a gallery's folder.

What is looked for is taken before the erasing: each value as it stands in the database (encrypted
or not) and as it is without encryption. Long ones (vectors, crops) in pieces, since SQLite cuts
them up; vectors as float32 and as float16, as indices have them. A piece that somebody who is still
enrolled has too, such as the name of a photo of two people, is no leftover.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lineament.files import open_regular
from lineament.gallery._store import Store

BLOCK = 16 << 20
"""Bytes of a file that are looked at together."""
WHOLE = 2000
"""Bytes of a text up to which it is looked for as a whole; longer ones in pieces."""
SHORTEST = {"name": 3}
"""Bytes below which a value says nobody's name, and stands everywhere by chance; else 8."""
_ANCHOR = 8
_PIECE, _LEAST_KINDS = 32, 8
"""Bytes of a piece, and different ones that it has at least: others stand everywhere."""
_PNG_HEAD = 64
"""Bytes with which all crops begin."""


@dataclass(slots=True)
class Needles:
    """What is looked for.

    Attributes:
        values: how many values of each kind ("name", "vector", ...) it is taken from.
        kinds: each piece, and of what kind of value it is.
    """

    values: Counter[str] = field(default_factory=Counter)
    kinds: dict[bytes, str] = field(default_factory=dict)

    def add(self, kind: str, value: object) -> None:
        """A value as it stands in the database, or would without encryption."""
        data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
        if not isinstance(data, bytes) or not data.strip(b"\0 {}[]"):
            return
        pieces = list(self._pieces(kind, data))
        self.values[kind] += bool(pieces)
        for piece in pieces:
            self.kinds.setdefault(piece, kind)

    def _pieces(self, kind: str, data: bytes) -> Iterator[bytes]:
        if len(data) < SHORTEST.get(kind, _ANCHOR):
            return
        if kind == "vector":
            yield from _slices(data, 256)
            if len(data) % 4 == 0:
                with np.errstate(all="ignore"):
                    yield from _slices(np.frombuffer(data, "<f4").astype("<f2").tobytes(), 128)
        elif kind == "crop":
            yield from _slices(data[_PNG_HEAD:], 512)
        elif len(data) <= WHOLE:
            yield data
        else:
            yield from _slices(data, 512)


def _slices(data: bytes, step: int) -> Iterator[bytes]:
    for start in range(0, max(1, len(data) - _PIECE + 1), step):
        piece = data[start : start + _PIECE]
        if len(set(piece)) >= _LEAST_KINDS:
            yield piece


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search has looked at and found.

    Attributes:
        n_files, n_bytes: of the gallery's folder.
        found: file (below the folder) -> how often each piece stands there.
    """

    n_files: int
    n_bytes: int
    found: dict[str, Counter[bytes]]


def search(folder: Path, needles: Needles) -> Searched:
    """Look for them in every file below a folder. OSError: one cannot be read."""
    pieces = list(needles.kinds)
    n_files = n_bytes = 0
    found: dict[str, Counter[bytes]] = {}
    for parent, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(parent) / name
            if not path.is_file() or path.is_symlink():
                continue
            n_files += 1
            n_bytes += path.stat().st_size
            hits = _hits(path, pieces)
            if hits:
                found[str(path.relative_to(folder))] = hits
    return Searched(n_files, n_bytes, found)


def _hits(path: Path, pieces: Sequence[bytes]) -> Counter[bytes]:
    found: Counter[bytes] = Counter()
    if not pieces:
        return found
    short = [piece for piece in pieces if len(piece) < _ANCHOR]
    anchors: dict[int, list[tuple[int, bytes]]] = {}
    for piece in pieces:
        if len(piece) >= _ANCHOR:
            at = (len(piece) - _ANCHOR) // 2  # paths and JSON begin alike
            word = int.from_bytes(piece[at : at + _ANCHOR], "little")
            anchors.setdefault(word, []).append((at, piece))
    words = np.array(sorted(anchors), np.uint64)
    first = np.zeros(1 << 16, np.bool_)
    first[(words & np.uint64(0xFFFF)).astype(np.int64)] = True
    overlap = max(map(len, pieces)) - 1
    with open_regular(path) as file:
        before = b""
        while block := file.read(BLOCK):
            data = before + block
            new = len(before)  # what ends before was counted with the block before
            for piece in short:
                found[piece] += _count(data, piece, new)
            if len(words):
                for at in _candidates(data, first, words).tolist():
                    word = int.from_bytes(data[at : at + _ANCHOR], "little")
                    for offset, piece in anchors[word]:
                        start = at - offset
                        if start + len(piece) > new and start >= 0:
                            found[piece] += data.startswith(piece, start)
            before = data[-overlap:] if overlap else b""
    return +found


def _candidates(
    data: bytes, first: npt.NDArray[np.bool_], words: npt.NDArray[np.uint64]
) -> npt.NDArray[np.int64]:
    """Where one of the words of 8 bytes stands, wherever it begins."""
    every = np.frombuffer(data, np.uint8)
    if len(every) < _ANCHOR:
        return np.zeros(0, np.int64)
    places = []
    for shift in (0, 1):
        pairs = np.frombuffer(data, "<u2", (len(data) - shift) // 2, shift)
        at = np.flatnonzero(first[pairs]) * 2 + shift
        places.append(at[at <= len(every) - _ANCHOR])
    at = np.concatenate(places)
    windows = np.lib.stride_tricks.sliding_window_view(every, _ANCHOR)[at]
    there = np.ascontiguousarray(windows).view("<u8").ravel()
    number = np.minimum(np.searchsorted(words, there), len(words) - 1)
    return np.asarray(at[words[number] == there], np.int64)


def _count(data: bytes, piece: bytes, new: int) -> int:
    """How often a piece stands in data and ends behind ``new``."""
    count, at = 0, data.find(piece, max(0, new - len(piece) + 1))
    while at >= 0:
        count += 1
        at = data.find(piece, at + 1)
    return count


_OWNED = {
    "labels": "id IN (SELECT label FROM people)",
    "consents": "id IN (SELECT consent FROM consented)",
    "samples": "id IN (SELECT sample FROM owners)",
    "vectors": "sample IN (SELECT sample FROM owners)",
    "crops": "sample IN (SELECT sample FROM owners)",
    "negatives": "id IN (SELECT negative FROM rejected)",
}
"""Which rows belong to somebody: others are what should have been erased."""


def of_others(store: Store, piece: bytes) -> int:
    """How often a piece stands in values of the database that belong to somebody."""
    count = 0
    with store.reading() as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        for (table,) in tables:
            columns = connection.execute(f"SELECT name FROM pragma_table_info('{table}')")
            for (column,) in columns.fetchall():
                value = f"CAST({column} AS BLOB)"
                rows = connection.execute(
                    f"SELECT {value} FROM {table} WHERE instr({value}, ?) AND "
                    f"{_OWNED.get(table, '1')}",
                    (piece,),
                )
                count += sum(_count(row[0], piece, 0) for row in rows)
    return count
