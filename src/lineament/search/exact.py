"""Every query against every vector, with NumPy: for small galleries, and to measure others by."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from lineament.errors import DataError, IndexFileError, OptionError
from lineament.search import _index_files as files
from lineament.search._index_files import Header
from lineament.search._rows import Rows
from lineament.search._slots import Slots, checked_ids, checked_vectors
from lineament.search.index import Ids
from lineament.types import FloatArray

QUERIES = 256
"""Taken together: (256, 8192) scores are 8 MB."""

TIE = 1e-5
"""What sums in float32 may differ by; who is within it of the last place is computed precisely."""


class Content(msgspec.Struct, frozen=True):
    """What ``ExactIndex.dump`` writes of an index before its vectors.

    Attributes:
        dimension: D.
        contract: of the embeddings.
        count: N.
        state: the caller's.
        parts: the engine's own, role -> bytes.
        extra: numbers of the engine's.
    """

    dimension: int
    contract: str
    count: int
    state: str
    parts: dict[str, int]
    extra: dict[str, int]


class Reader(Protocol):
    """What ``ExactIndex.restore`` reads from; both raise DataError where there is too little."""

    def read_bytes(self, size: int) -> bytes:
        """The next bytes."""
        ...

    def read_into(self, target: memoryview) -> None:
        """Fill it with the next bytes."""
        ...


class ExactIndex:
    """As ``Index``: nothing but the vectors."""

    def __init__(self, dimension: int, *, contract: str = "") -> None:
        """Empty. ``contract``: the id of the embeddings' contract; files of another are refused."""
        if dimension < 1:
            raise OptionError(f"expected 1 or more, got {dimension}", option="dimension")
        self._rows = Rows(dimension, contract)
        self._lock = ReadWriteLock()

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return self._rows.dimension

    def __len__(self) -> int:
        """How many vectors there are."""
        return self._rows.count

    def __contains__(self, identifier: object) -> bool:
        """Whether there is a vector of that id."""
        if not isinstance(identifier, int | np.integer):
            return False
        return bool(self._rows.slots_of(np.array([identifier], np.int64))[0] >= 0)

    def add(self, ids: npt.ArrayLike, vectors: npt.ArrayLike) -> None:
        """As ``Index.add``."""
        new, rows = checked_addition(ids, vectors, self.dimension)
        with self._lock.write():
            for identifier in new[self._rows.slots_of(new) >= 0]:
                self._drop(int(identifier))
            self._insert(new, rows)

    def remove(self, ids: npt.ArrayLike) -> int:
        """As ``Index.remove``."""
        wanted = np.unique(checked_ids(ids))
        with self._lock.write():
            there = wanted[self._rows.slots_of(wanted) >= 0]
            for identifier in there:
                self._drop(int(identifier))
        return len(there)

    def _insert(self, ids: Ids, vectors: FloatArray) -> None:
        self._rows.add(ids, vectors)

    def _drop(self, identifier: int) -> None:
        self._rows.remove(int(self._rows.slots_of(np.array([identifier]))[0]))

    def search(
        self, queries: npt.ArrayLike, k: int, *, allowed: npt.ArrayLike | None = None
    ) -> tuple[Ids, FloatArray]:
        """As ``Index.search``."""
        vectors = checked_vectors(queries, self.dimension, "queries")
        if k < 1:
            raise OptionError(f"expected 1 or more, got {k}", option="k")
        wanted = None if allowed is None else checked_ids(allowed, "allowed")
        with self._lock.read():
            slots = None if wanted is None else allowed_slots(self._rows, wanted)
            return self._find(vectors, k, slots)

    def _find(self, queries: FloatArray, k: int, slots: Slots | None) -> tuple[Ids, FloatArray]:
        return scan(self._rows, queries, k, slots)

    def save(self, folder: Path, state: str) -> None:
        """As ``Index.save``."""
        with self._lock.write():
            self._rows.save(folder, state)

    def load(self, folder: Path, *, writer: bool = False, most: int | None = None) -> str:
        """As ``Index.load``."""
        while True:
            header = files.read_header(folder)
            try:
                self._load(folder, header, writer, most)
            except IndexFileError:
                if files.read_header(folder) == header:
                    raise
            else:
                if files.read_header(folder) == header:
                    return header.state
            # Another process saved meanwhile, and removed what was being read.

    def _load(self, folder: Path, header: Header, writer: bool, most: int | None) -> None:
        rows = Rows(self.dimension, self._rows.contract)
        rows.load(folder, header, writer=writer, most=most)
        with self._lock.write():
            self._rows = rows

    def dump(self, write: Callable[[bytes | memoryview], object], state: str) -> None:
        """Give all of it to ``write``, piece by piece; ``state`` is for who reads it."""
        with self._lock.write():
            parts, extra = self._own_parts()
            rows = self._rows
            sizes = {role: len(data) for role, data in parts.items()}
            content = Content(rows.dimension, rows.contract, rows.count, state, sizes, extra)
            head = msgspec.json.encode(content)
            write(len(head).to_bytes(4, "big") + head)
            rows.dump(write)
            for data in parts.values():
                write(data)

    def restore(self, content: Content, reader: Reader, *, most: int | None = None) -> None:
        """Take over what ``dump`` wrote, from behind the content.

        Args:
            content: was read.
            reader: of the rest.
            most: vectors that there can be; None: any number.

        Raises:
            DataError: it is of other vectors, or too short. The index is as it was.
        """
        expected = self.dimension, self._rows.contract
        if (content.dimension, content.contract) != expected or content.count < 0:
            raise DataError("it is of other vectors")
        if most is not None and content.count > most:
            raise DataError("it has too many vectors")
        rows = Rows(*expected)
        rows.restore(content.count, reader.read_into)
        parts = {role: reader.read_bytes(size) for role, size in content.parts.items()}
        self._take(rows, parts, content.extra)

    def _own_parts(self) -> tuple[dict[str, bytes], dict[str, int]]:
        """What an engine keeps besides the vectors, and numbers of its own."""
        return {}, {}

    def _take(self, rows: Rows, parts: dict[str, bytes], extra: dict[str, int]) -> None:
        del parts, extra  # of an engine: its vectors do
        with self._lock.write():
            self._rows = rows

    def vectors(self, ids: npt.ArrayLike) -> tuple[Ids, FloatArray]:
        """As ``Index.vectors``."""
        wanted = np.unique(checked_ids(ids))
        with self._lock.read():
            slots = self._rows.slots_of(wanted)
            there = slots >= 0
            return wanted[there], self._rows.take(slots[there]).copy()

    def check(self) -> None:
        """As ``Index.check``."""
        with self._lock.read():
            self._rows.check()

    @property
    def follows_writer(self) -> bool:
        """As ``Index.follows_writer``: readers load files of their own."""
        return False

    def close(self) -> None:
        """As ``Index.close``: nothing is connected."""

    def settle(self) -> None:
        """As ``Index.settle``: there is nothing to wait for."""

    def compact(self) -> bool:
        """As ``Index.compact``: ``save`` has overwritten what was removed."""
        return True


def checked_addition(
    ids: npt.ArrayLike, vectors: npt.ArrayLike, dimension: int
) -> tuple[Ids, FloatArray]:
    """Ids (N,) and vectors (N, D) as ``Index.add`` wants them; OptionError otherwise."""
    new = checked_ids(ids)
    rows = checked_vectors(vectors, dimension, "vectors")
    if len(new) != len(rows):
        raise OptionError(f"expected as many ids as vectors, got {len(new)} and {len(rows)}")
    if len(new) and new.min() < 0:
        raise OptionError(f"expected 0 or more, got {new.min()}", option="ids")
    if len(np.unique(new)) != len(new):
        raise OptionError("expected each once, got one twice", option="ids")
    return new, rows


def allowed_slots(rows: Rows, ids: Ids) -> Slots:
    """The slots (A,) of those ``ids`` that are there, each once, ascending."""
    slots = rows.slots_of(ids)
    mask = np.zeros(rows.count, np.bool_)
    mask[slots[slots >= 0]] = True
    return np.flatnonzero(mask)


def scan(rows: Rows, queries: FloatArray, k: int, slots: Slots | None) -> tuple[Ids, FloatArray]:
    """``Index.search`` by brute force, among all or among ``slots`` (A,)."""
    ids = np.full((len(queries), k), -1, np.int64)
    scores = np.full((len(queries), k), -np.inf, np.float32)
    for start in range(0, len(queries), QUERIES):
        some = queries[start : start + QUERIES]
        kept = [_Best(k) for _ in some]
        for at, vectors in rows.blocks(slots):
            for best, row in zip(kept, some @ vectors.T, strict=True):  # (Q, D) @ (D, B) -> (Q, B)
                best.see(at, row)
        for i, best in enumerate(kept):
            rank(rows, some[i], best.slots(), ids[start + i], scores[start + i])
    return ids, scores


def rank(rows: Rows, query: FloatArray, slots: Slots, ids: Ids, scores: FloatArray) -> None:
    """Write the best of ``slots`` (S,) into ``ids`` (k,) and ``scores`` (k,), by their cosines.

    Summed in float64, so that the same two vectors have the same score whoever computes it.
    """
    vectors = rows.take(slots)
    rough = vectors @ query  # (S, D) @ (D,) -> (S,)
    k = min(len(ids), len(slots))
    if len(slots) > 2 * k:
        last = np.partition(rough, len(rough) - k)[len(rough) - k]
        near = rough >= last - TIE
        slots, vectors = slots[near], vectors[near]
    exact = (vectors.astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
    exact = np.clip(exact, -1, 1)
    order = np.lexsort((rows.ids[slots], -exact))[:k]
    ids[:k], scores[:k] = rows.ids[slots[order]], exact[order]


class _Best:
    """The slots that may be among the k best of one query."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._least = -np.inf
        self._slots: list[Slots] = []
        self._scores: list[FloatArray] = []
        self._held = 0

    def see(self, slots: Slots, scores: FloatArray) -> None:
        """``scores`` (B,) of the ``slots`` (B,)."""
        if self._least > -np.inf:
            near = np.flatnonzero(scores >= self._least)
            slots, scores = slots[near], scores[near]
        self._slots.append(slots)
        self._scores.append(scores)
        self._held += len(slots)
        if self._held > 4 * self._k or self._least == -np.inf:
            self._thin()

    def _thin(self) -> None:
        slots, scores = np.concatenate(self._slots), np.concatenate(self._scores)
        if len(scores) > self._k:
            at = len(scores) - self._k
            self._least = float(np.partition(scores, at)[at]) - TIE
            near = scores >= self._least
            slots, scores = slots[near], scores[near]
        self._slots, self._scores, self._held = [slots], [scores], len(slots)

    def slots(self) -> Slots:
        """What is left."""
        if not self._slots:
            return np.empty(0, np.int64)
        self._thin()
        return self._slots[0]


class ReadWriteLock:
    """Many may read at once; one writes, alone. Whoever wants to write goes first."""

    def __init__(self) -> None:
        """Nobody holds it."""
        self._changed = threading.Condition()
        self._readers = 0
        self._waiting = 0
        self._writing = False

    @contextmanager
    def read(self) -> Iterator[None]:
        """Hold it together with other readers. Not to be taken again while held."""
        with self._changed:
            self._changed.wait_for(lambda: not self._writing and not self._waiting)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def write(self) -> Iterator[None]:
        """Hold it alone. Not to be taken again while held."""
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: not self._writing and not self._readers)
                self._writing = True
            finally:
                self._waiting -= 1
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
