"""The vectors of an index in full, and where each id stands: what every engine is built on.

A *row* is a place among the vectors, given once. A *slot* is a place among the live ones, 0 to
N - 1: removing puts the last slot in the place of the removed one, as compressed scans do it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from lineament.errors import DataError, OptionError
from lineament.files import open_regular, sync_file
from lineament.search import _index_files as files
from lineament.search._index_files import Header, Part, damaged
from lineament.search._slots import Places, Slots
from lineament.search.index import Ids
from lineament.types import FloatArray

BLOCK_BYTES = 1 << 24
"""Of vectors held or read at once."""

SPILL_BYTES = 1 << 28
"""Of vectors in memory, after which they go to the file that the next save will vouch for."""

DEAD_SHARE = 0.25
"""Of the rows, after which a save writes the vectors anew without the removed ones."""


class Rows:
    """Ids and full vectors, in memory or mapped from a file. Takes no locks itself.

    Attributes:
        count: N, of live vectors.
    """

    def __init__(self, dimension: int, contract: str) -> None:
        """Nothing in it. ``contract`` is compared with that of files."""
        self.dimension = dimension
        self.contract = contract
        rng = np.random.default_rng(dimension)
        # Odd, so that a change of one number never cancels out.
        self._weights = rng.integers(0, 1 << 31, dimension, dtype=np.uint32) * 2 + 1
        self._block_rows = max(1, BLOCK_BYTES // (4 * dimension))
        self.count = 0
        self._ids = np.empty(0, np.int64)
        self._row_of = np.empty(0, np.int64)
        self._checks = np.empty(0, np.uint32)
        self._places = Places()
        self._filed: FloatArray = np.empty((0, dimension), np.float32)
        self._proven = np.empty(0, np.bool_)  # of the filed rows: checksum compared
        self._tail: list[FloatArray] = []
        self._in_tail = 0
        self._dead: list[int] = []  # filed rows that are to be overwritten
        self._n_dead = 0  # rows removed in all
        self._removed = False  # whether any was since the header that stands
        self._home: Path | None = None
        self._header: Header | None = None
        self._writer = False

    @property
    def ids(self) -> Ids:
        """(N,) by slot; a view, valid while the lock is held."""
        return self._ids[: self.count]

    @property
    def used(self) -> int:
        """Rows given so far, removed ones among them."""
        return len(self._filed) + self._in_tail

    def slots_of(self, ids: Ids) -> Slots:
        """(N,) -1 for ids that are not there."""
        return self._places.get(ids)

    def add(self, ids: Ids, vectors: FloatArray) -> None:
        """New ids at the end of the slots."""
        start, end = self.count, self.count + len(ids)
        self._room(end)
        self._ids[start:end] = ids
        self._row_of[start:end] = np.arange(self.used, self.used + len(ids))
        self._checks[start:end] = self._check(vectors)
        self._places.put(ids, np.arange(start, end), end)
        self.count = end
        self._append(vectors)
        if self._in_tail * self.dimension * 4 > SPILL_BYTES and self._writer:
            self._spill()

    def _room(self, wanted: int) -> None:
        if wanted <= len(self._ids):
            return
        size = max(wanted, len(self._ids) * 3 // 2)
        self._ids, self._row_of = (
            np.concatenate([old[: self.count], np.empty(size - self.count, np.int64)])
            for old in (self._ids, self._row_of)
        )
        fresh = np.empty(size - self.count, np.uint32)
        self._checks = np.concatenate([self._checks[: self.count], fresh])

    def _append(self, vectors: FloatArray) -> None:
        done = 0
        while done < len(vectors):
            at = self._in_tail % self._block_rows
            if at == 0:
                self._tail.append(np.empty((self._block_rows, self.dimension), np.float32))
            step = min(len(vectors) - done, self._block_rows - at)
            self._tail[-1][at : at + step] = vectors[done : done + step]
            done += step
            self._in_tail += step

    def remove(self, slot: int) -> None:
        """The last slot takes the place of this one."""
        last = self.count - 1
        row = int(self._row_of[slot])
        self._n_dead += 1
        self._removed = True
        self._places.drop(int(self._ids[slot]))
        if slot != last:
            for values in (self._ids, self._row_of, self._checks):
                values[slot] = values[last]
            self._places.put(self._ids[slot : slot + 1], np.array([slot]), self.count)
        self._ids[last] = self._row_of[last] = -1
        self.count = last
        if row < len(self._filed):
            self._dead.append(row)
        else:
            block, at = divmod(row - len(self._filed), self._block_rows)
            self._tail[block][at] = 0

    def take(self, slots: Slots) -> FloatArray:
        """(N, D) the vectors at ``slots`` (N,), compared with their checksums.

        Raises:
            IndexFileError: the file's bytes are not the ones that were written.
        """
        rows = self._row_of[slots]
        vectors = self._view(rows)
        if vectors is None:
            vectors = self._gather(rows)
        if len(self._filed):
            self._compare(vectors, rows, slots)
        return vectors

    def _view(self, rows: npt.NDArray[np.int64]) -> FloatArray | None:
        """The vectors without copying them, if they stand side by side."""
        if len(rows) == 0 or rows[-1] - rows[0] != len(rows) - 1 or (np.diff(rows) != 1).any():
            return None
        first, last = int(rows[0]), int(rows[-1])
        if last < len(self._filed):
            return self._filed[first : last + 1]
        block, at = divmod(first - len(self._filed), self._block_rows)
        if first < len(self._filed) or at + len(rows) > self._block_rows:
            return None
        return self._tail[block][at : at + len(rows)]

    def _gather(self, rows: npt.NDArray[np.int64]) -> FloatArray:
        split = len(self._filed)
        filed = rows < split
        if filed.all():
            return self._filed[rows]
        vectors = np.empty((len(rows), self.dimension), np.float32)
        vectors[filed] = self._filed[rows[filed]]
        at = np.flatnonzero(~filed)
        blocks, inside = np.divmod(rows[at] - split, self._block_rows)
        for block in np.unique(blocks):
            here = blocks == block
            vectors[at[here]] = self._tail[block][inside[here]]
        return vectors

    def _check(self, vectors: FloatArray) -> npt.NDArray[np.uint32]:
        # Sum of the bits times odd weights, modulo 2**32: (N, D), (D,) -> (N,)
        words = vectors.view(np.uint32)
        checks = np.empty(len(words), np.uint32)
        for start in range(0, len(words), 1024):  # a block that stays in the cache
            block = words[start : start + 1024] * self._weights
            checks[start : start + 1024] = block.sum(axis=1, dtype=np.uint32)
        return checks

    def _compare(self, vectors: FloatArray, rows: npt.NDArray[np.int64], slots: Slots) -> None:
        # Each row once; and whenever it may be blank, since the process that saves overwrites what
        # it removed while others may still have it mapped.
        split = len(self._filed)
        doubtful = ~self._proven[np.minimum(rows, split - 1)] | (vectors[:, 0] == 0)
        doubtful &= rows < split
        if not doubtful.any():
            return
        checks = self._check(vectors if doubtful.all() else vectors[doubtful])
        if not np.array_equal(checks, self._checks[slots[doubtful]]):
            raise damaged(
                self._vectors_path(),
                "a vector's checksum differs: it was damaged, or replaced since it was opened",
            )
        self._proven[rows[doubtful]] = True

    def _vectors_path(self) -> Path:
        assert self._home is not None
        assert self._header is not None
        return self._home / self._header.parts["vectors"].name

    def blocks(self, slots: Slots | None = None) -> Iterator[tuple[Slots, FloatArray]]:
        """All vectors, or those at ``slots``, in blocks: slots (B,), vectors (B, D)."""
        wanted = np.arange(self.count) if slots is None else slots
        for start in range(0, len(wanted), self._block_rows):
            block = wanted[start : start + self._block_rows]
            yield block, self.take(block)

    def save(
        self,
        folder: Path,
        state: str,
        extra_parts: Callable[[Path], dict[str, Part]] | None = None,
        extra: dict[str, int] | None = None,
    ) -> None:
        """As ``Index.save``; ``extra_parts`` writes the engine's own files."""
        try:
            folder.mkdir(exist_ok=True)  # but not what it is in: that may have been removed
            anew = self._home != folder or self._n_dead > DEAD_SHARE * max(1, self.used)
            # A damaged vector must not be written with a checksum that now fits: take() compares.
            vectors = self._write_all(folder) if anew else self._write_tail()
            # What a header no longer knows is overwritten after it stands; one that a crash kept
            # from being overwritten is in the list that was loaded.
            wipe = np.array([] if anew else self._dead, np.int64)
            slots = (self._ids, self._row_of, self._checks)
            kept = slots if not anew else (self._ids, np.arange(self.count), self._checks)
            parts = {
                "vectors": vectors,
                "slots": files.write_part(
                    folder, "slots", b"".join(part[: self.count].tobytes() for part in kept)
                ),
                "wipe": files.write_part(folder, "wipe", wipe.tobytes()),
                **({} if extra_parts is None else extra_parts(folder)),
            }
            header = Header(
                self.dimension,
                self.contract,
                self.count,
                self.count if anew else self.used,
                state,
                parts,
                {} if extra is None else extra,
            )
            files.write_header(folder, header)
            removed = self._removed or bool(self._dead)
            self._settle(folder, header, anew)
            self._wipe(wipe)
            files.clear(folder, {part.name for part in parts.values()}, wipe=removed)
        except OSError as error:
            raise OptionError(
                f"{folder}: the index cannot be written ({error.strerror}); name a folder that "
                "you may write to, on a disk with room"
            ) from error

    def _write_all(self, folder: Path) -> Part:
        path = folder / files.new_name("vectors")
        with path.open("xb") as file:
            for _, vectors in self.blocks():
                file.write(np.ascontiguousarray(vectors).data)
            sync_file(file)
        return Part(path.name, self.count * self.dimension * 4, 0)

    def _write_tail(self) -> Part:
        path = self._vectors_path()
        with open_regular(path, inside=True, writing=True) as file:
            self._write_at_end(file.fileno())
            os.fsync(file.fileno())
        return Part(path.name, self.used * self.dimension * 4, 0)

    def _write_at_end(self, handle: int) -> None:
        os.lseek(handle, len(self._filed) * self.dimension * 4, os.SEEK_SET)
        left = self._in_tail
        for block in self._tail:
            data = memoryview(block[: min(left, len(block))].tobytes())
            left -= min(left, len(block))
            while len(data):
                data = data[os.write(handle, data) :]

    def _spill(self) -> None:
        # Past what the header counts: nobody else looks there, and a crash leaves nothing to undo.
        path = self._vectors_path()
        try:
            with open_regular(path, inside=True, writing=True) as file:
                self._write_at_end(file.fileno())
        except OSError:  # they stay in memory, and the next save says what is wrong
            return
        self._map_path(path, self.used)

    def _map_path(self, path: Path, rows: int, *, anew: bool = False) -> None:
        with open_regular(path, inside=True) as file:
            self._map(file, rows, anew=anew)

    def _map(self, file: BinaryIO, rows: int, *, anew: bool = False) -> None:
        proven = np.zeros(rows, np.bool_)
        if not anew:
            proven[: len(self._proven)] = self._proven
        self._proven = proven
        shape = (rows, self.dimension)
        if rows == 0:
            self._filed = np.empty(shape, np.float32)
        else:
            # A plain array over the map: indexing np.memmap costs microseconds more each time.
            self._filed = np.asarray(np.memmap(file, "<f4", "r", shape=shape))
        self._tail, self._in_tail = [], 0

    def _settle(self, folder: Path, header: Header, anew: bool) -> None:
        self._home, self._header, self._writer = folder, header, True
        self._dead, self._removed = [], False
        if anew:
            self._row_of[: self.count] = np.arange(self.count)
            self._n_dead = 0
        self._map_path(folder / header.parts["vectors"].name, header.rows, anew=anew)

    def _wipe(self, rows: npt.NDArray[np.int64]) -> None:
        if len(rows) == 0:
            return
        length = self.dimension * 4
        with open_regular(self._vectors_path(), inside=True, writing=True) as file:
            for row in np.sort(rows):
                file.seek(int(row) * length)
                file.write(bytes(length))
            sync_file(file)

    def load(self, folder: Path, header: Header, *, writer: bool, most: int | None) -> None:
        """As ``Index.load``, into rows that are empty; the engine reads its own files."""
        path = folder / files.HEADER
        if (header.dimension, header.contract) != (self.dimension, self.contract):
            raise damaged(
                path,
                f"expected vectors of {self.contract!r}, {self.dimension} numbers each; got "
                f"{header.contract!r}, {header.dimension}",
            )
        count = header.count
        if most is not None and count > most:
            raise damaged(path, f"expected at most {most} vectors, got {count}")
        # ``save`` leaves no more removed rows than these.
        if header.rows - count > DEAD_SHARE * max(1, header.rows):
            raise damaged(path, "its counts contradict each other")
        data = files.read_part(folder, header, "slots", count * 20)
        size = header.parts["wipe"].size if "wipe" in header.parts else 0
        if size % 8 or not 0 <= size <= header.rows * 8:
            raise damaged(path, "its counts contradict each other")
        wipe_data = files.read_part(folder, header, "wipe", size)
        ids, rows = (np.frombuffer(data, "<i8", count, at * count * 8).copy() for at in (0, 1))
        if count and (ids.min() < 0 or rows.min() < 0 or rows.max() >= header.rows):
            raise damaged(path, "its slots point nowhere")
        self._places.put(ids, np.arange(count), count)
        self.count, self._ids, self._row_of = count, ids, rows
        self._checks = np.frombuffer(data, "<u4", count, 16 * count).copy()
        self._home, self._header = folder, header
        self._n_dead = header.rows - count
        size = header.rows * 4 * self.dimension
        with files.open_part(folder, header, "vectors", size=size, crc=False) as vectors:
            self._map(vectors, header.rows)
        wipe = np.frombuffer(wipe_data, "<i8")
        wipe = wipe[(wipe >= 0) & (wipe < header.rows)]
        if writer:
            self._finish(header, wipe)
        else:
            self._dead = wipe.tolist()

    def _finish(self, header: Header, wipe: npt.NDArray[np.int64]) -> None:
        """What a crash may have left: rows to overwrite, rows past the end, files of no use."""
        assert self._home is not None
        self._writer = True
        try:
            self._wipe(wipe)
            with open_regular(self._vectors_path(), inside=True, writing=True) as file:
                if os.fstat(file.fileno()).st_size > header.parts["vectors"].size:
                    file.truncate(header.parts["vectors"].size)
            files.clear(self._home, {part.name for part in header.parts.values()}, wipe=True)
        except OSError:  # a disk that cannot be written to says so at the next save
            self._dead = wipe.tolist()

    def dump(self, write: Callable[[memoryview], object]) -> None:
        """Ids (N,) int64, checksums (N,) uint32 and vectors (N, D) float32, by slot."""
        if self.count == 0:
            return
        write(self.ids.astype("<i8").data.cast("B"))
        write(self._checks[: self.count].astype("<u4").data.cast("B"))
        for _, vectors in self.blocks():
            write(np.ascontiguousarray(vectors, "<f4").data.cast("B"))

    def restore(self, count: int, fill: Callable[[memoryview], object]) -> None:
        """Take over, into rows that are empty and stay in memory, what ``dump`` wrote.

        Args:
            count: N.
            fill: reads the next bytes into what it is given.
        """
        self._ids, self._row_of = np.empty(count, "<i8"), np.arange(count)
        self._checks = np.empty(count, "<u4")
        if count == 0:
            return
        fill(self._ids.data.cast("B"))
        fill(self._checks.data.cast("B"))
        if self._ids.min() < 0:
            raise DataError("its ids are negative")
        self._places.put(self._ids, np.arange(count), count)
        for start in range(0, count, self._block_rows):
            block = np.empty((self._block_rows, self.dimension), "<f4")
            fill(block[: count - start].data.cast("B"))
            self._tail.append(block)
        self.count = self._in_tail = count

    def check(self) -> None:
        """Compare all checksums."""
        for _ in self.blocks():
            pass
