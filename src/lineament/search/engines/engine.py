"""An engine of others as an ``Index``: it names candidates, our rows decide.

What an engine holds is numbered by the order in which it was added, its positions; which id stands
at a position is known here (``Places``, from ids to positions; ``_labels``, the other way). So an
engine needs to know nothing of ids, and a removed vector is a position without an id.

- Vectors that came after the engine was built are added to it where it can grow. Where it cannot
  (NMSLIB, Annoy) they are compared one by one until the engine is built anew.
- What is removed is never found again. Its numbers are overwritten in the engine where that can be
  done (``Engine.erase``); else the engine's file is not written until it is built anew, so that
  nothing removed stands on the disk, as ``Index.save`` promises.
- Building goes on in a thread of its own, begun by a search that finds too many vectors outside of
  the engine; until it has ended, searches compare with all, exactly. ``settle`` waits for it.

The files of engines are read by native code that trusts them, and a gallery may come from anybody.
So a file is sealed with a key of this user's (``seal``), and one that has another seal is not
read: the engine is built anew from the vectors.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lineament.errors import IndexFileError, MissingExtraError
from lineament.files import open_regular, sync_file
from lineament.search import _index_files as files
from lineament.search._index_files import Header, Part
from lineament.search._rows import Rows
from lineament.search._slots import Places, Slots
from lineament.search.engines import seal
from lineament.search.exact import ExactIndex, rank, scan
from lineament.search.index import Ids
from lineament.types import FloatArray

Positions = npt.NDArray[np.int64]

BUILD_FROM = 4096
"""Vectors up to which all are compared: that takes less than a millisecond."""

FEW = 4096
"""Allowed ids up to which the plain computation is faster."""

SPARE = 64
"""Candidates beyond k: who is equal to the last, and what an engine's own sums confuse."""

OUTSIDE_SHARE = 0.05
"""Vectors outside of an engine, of those inside, from which on it is built anew: each search
compares with all of them."""

DEAD_SHARE = 0.25
"""Removed ones among its positions, likewise."""

MOST_FETCHED = 0.1
"""Share of an engine's vectors up to which more are asked of it, where it cannot filter itself."""

ROWS_AT_ONCE = 16384


class Engine(Protocol):
    """What an engine does for ``EngineIndex``. Vectors have length 1; more alike is nearer."""

    grows: bool
    """Whether ``add`` may be called."""

    filters: bool
    """Whether ``search`` takes a mask."""

    def add(self, vectors: FloatArray) -> None:
        """Add (N, D) at the next N positions."""
        ...

    def erase(self, positions: Positions) -> bool:
        """Overwrite the vectors at these positions (N,); False where that cannot be done."""
        ...

    def search(
        self, queries: FloatArray, count: int, mask: npt.NDArray[np.bool_] | None
    ) -> Positions:
        """The nearest ``count`` positions to each of (Q, D): (Q, count), -1 where there are fewer.

        ``mask`` (P,): the positions to choose among; None for all, and where ``filters`` is False.
        """
        ...

    def outgrown(self, count: int) -> bool:
        """Whether another layout is better for ``count`` vectors: it is built anew then."""
        ...

    def write(self, path: Path) -> None:
        """Into a new file."""
        ...


class FixedEngine:
    """What engines have in common that cannot be changed once they were built."""

    grows = filters = False

    def add(self, vectors: FloatArray) -> None:
        """Not to be called: ``grows`` is False."""
        raise AssertionError

    def erase(self, positions: Positions) -> bool:
        """As ``Engine.erase``: they keep what they have."""
        del positions
        return False

    def outgrown(self, count: int) -> bool:
        """As ``Engine.outgrown``."""
        del count
        return False


class Builder(Protocol):
    """Makes an engine: ``blocks`` of (N, D), ``count`` vectors in all; or reads one from a file."""

    def __call__(
        self, dimension: int, count: int, blocks: Iterator[FloatArray] | None, path: Path | None
    ) -> Engine:
        """From ``blocks``; or, where they are None, from the file ``path`` that was written."""
        ...


class EngineIndex(ExactIndex):
    """As ``Index``, with candidates from an engine when there are enough vectors."""

    def __init__(
        self,
        dimension: int,
        *,
        contract: str = "",
        name: str,
        build: Builder,
        build_from: int = BUILD_FROM,
    ) -> None:
        """Empty.

        Args:
            dimension: of the vectors.
            contract: the id of the embeddings' contract; files of another are refused.
            name: of the engine; its files are of no use to another one.
            build: makes the engine.
            build_from: vectors from which on it is made.
        """
        super().__init__(dimension, contract=contract)
        self._name, self._build, self._build_from = name, build, max(1, build_from)
        self._forget()
        self._building: threading.Thread | None = None
        self._begin = threading.Lock()
        self._changed: set[int] | None = None  # ids that changed since building began
        self._error: BaseException | None = None
        self._generation = 0  # of what was loaded: an engine of an earlier one is of no use

    def _forget(self) -> None:
        """No engine, until one is built."""
        self._engine: Engine | None = None
        self._labels: Ids = np.empty(0, np.int64)  # id at each position, -1 where it was removed
        self._positions = Places()
        self._n_positions = self._n_dead = 0
        self._outside: set[int] = set()
        self._outside_ids: Ids | None = None  # the same, sorted; None when that is to be done
        self._tainted = False  # the engine still has numbers of what was removed

    # --- changes ----------------------------------------------------------------------------------

    def _insert(self, ids: Ids, vectors: FloatArray) -> None:
        super()._insert(ids, vectors)
        if self._changed is not None:
            self._changed.update(ids.tolist())
        if self._engine is None:
            return
        if self._engine.grows:
            self._engine.add(vectors)
            self._place(ids)
        else:
            self._put_outside(ids)

    def _put_outside(self, ids: Ids) -> None:
        self._outside.update(ids.tolist())
        self._outside_ids = None

    def _place(self, ids: Ids) -> None:
        """``ids`` (N,) stand at the next positions."""
        start, end = self._n_positions, self._n_positions + len(ids)
        if end > len(self._labels):
            grown = np.full(max(end, len(self._labels) * 3 // 2), -1, np.int64)
            grown[:start] = self._labels[:start]
            self._labels = grown
        self._labels[start:end] = ids
        there = ids >= 0
        self._positions.put(ids[there], np.arange(start, end)[there], end)
        self._n_positions = end
        self._n_dead += int((~there).sum())

    def _drop(self, identifier: int) -> None:
        super()._drop(identifier)
        if self._changed is not None:
            self._changed.add(identifier)
        if self._engine is not None:
            self._remove_from_engine(identifier)

    def _remove_from_engine(self, identifier: int) -> None:
        assert self._engine is not None
        position = self._positions.get(np.array([identifier], np.int64))
        if position[0] < 0:
            self._outside.discard(identifier)
            self._outside_ids = None
            return
        self._positions.drop(identifier)
        self._labels[position[0]] = -1
        self._n_dead += 1
        if not self._engine.erase(position):
            self._tainted = True

    # --- building ---------------------------------------------------------------------------------

    def _is_due(self) -> bool:
        if self._engine is None:
            return len(self) >= self._build_from
        inside = max(1, self._n_positions)
        return (
            len(self._outside) > max(self._build_from // 4, OUTSIDE_SHARE * inside)
            or self._n_dead > max(self._build_from // 4, DEAD_SHARE * inside)
            or self._engine.outgrown(len(self))
        )

    def _start_building(self) -> None:
        with self._begin:
            if self._building is not None and self._building.is_alive():
                return
            self._building = threading.Thread(
                target=self._build_safely, name=f"lineament-{self._name}", daemon=True
            )
            self._building.start()

    def _build_safely(self) -> None:
        try:
            self._build_anew()
        except BaseException as error:  # of an engine: searches stay exact, ``check`` says why
            self._error = error
            self._changed = None

    def _build_anew(self) -> None:
        with self._lock.write():
            ids, generation = self._rows.ids.copy(), self._generation
            self._changed = set()
        placed: list[Ids] = []

        def blocks() -> Iterator[FloatArray]:
            for start in range(0, len(ids), ROWS_AT_ONCE):
                some = ids[start : start + ROWS_AT_ONCE]
                there, vectors = self.vectors(some)
                if len(there):
                    placed.append(there)
                    yield vectors

        engine = self._build(self.dimension, len(ids), blocks(), None)
        with self._lock.write():
            changed = np.array(sorted(self._changed or ()), np.int64)
            self._changed = None
            if generation != self._generation:
                return
            labels = np.concatenate(placed) if placed else np.empty(0, np.int64)
            self._forget()
            self._engine, self._error = engine, None
            self._place(labels)
            for identifier in changed.tolist():
                self._remove_from_engine(identifier)
            here = changed[self._rows.slots_of(changed) >= 0]
            if len(here) and engine.grows:
                engine.add(self._rows.take(self._rows.slots_of(here)).copy())
                self._place(here)
            else:
                self._put_outside(here)

    def settle(self) -> None:
        """Build the engine now if it is due, or wait for the one that is being built.

        Raises:
            IndexFileError: the engine failed; searches go on without it, exactly.
        """
        while True:
            building = self._building
            if building is not None and building.is_alive():
                building.join()
            if self._error is not None:
                raise self._failed()
            with self._lock.read():
                due = self._is_due()
            if not due:
                return
            self._start_building()

    def _failed(self) -> IndexFileError:
        error = self._error
        if isinstance(error, MissingExtraError):
            raise error
        return IndexFileError(
            f"{self._name}: the engine could not be built ({error}): searches compare with all "
            "vectors; choose another index, or try again"
        )

    # --- searching --------------------------------------------------------------------------------

    def search(
        self, queries: npt.ArrayLike, k: int, *, allowed: npt.ArrayLike | None = None
    ) -> tuple[Ids, FloatArray]:
        """As ``Index.search``; begins building where that is due."""
        if self._error is None and self._is_due():
            self._start_building()
        return super().search(queries, k, allowed=allowed)

    def _find(self, queries: FloatArray, k: int, slots: Slots | None) -> tuple[Ids, FloatArray]:
        among = len(self) if slots is None else len(slots)
        if self._engine is None or among <= max(FEW, 2 * (k + SPARE)) or len(queries) == 0:
            return scan(self._rows, queries, k, slots)
        mask = None
        if slots is not None:
            mask = np.zeros(self._n_positions, np.bool_)
            positions = self._positions.get(self._rows.ids[slots])
            mask[positions[positions >= 0]] = True
        count = self._asked(k, mask)
        if count is None:
            return scan(self._rows, queries, k, slots)
        near = self._engine.search(queries, count, mask if self._engine.filters else None)
        outside = self._outside_slots()
        if slots is not None:
            outside = np.intersect1d(outside, slots)
        inside_wanted = among - len(outside)
        ids = np.full((len(queries), k), -1, np.int64)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        for i, row in enumerate(near):
            row = row[(row >= 0) & (row < self._n_positions)]
            if mask is not None:
                row = row[mask[row]]
            labels = self._labels[row]
            labels = np.unique(labels[labels >= 0])
            if len(labels) < min(k, inside_wanted):  # the engine found too few: compare with all
                some = scan(self._rows, queries[i : i + 1], k, slots)
                ids[i], scores[i] = some[0][0], some[1][0]
                continue
            candidates = np.concatenate([self._rows.slots_of(labels), outside])
            rank(self._rows, queries[i], np.sort(candidates), ids[i], scores[i])
        return ids, scores

    def _outside_slots(self) -> Slots:
        ids = self._outside_ids
        if ids is None:
            ids = self._outside_ids = np.array(sorted(self._outside), np.int64)
        return self._rows.slots_of(ids)

    def _asked(self, k: int, mask: npt.NDArray[np.bool_] | None) -> int | None:
        """How many candidates to ask for; None: too many, compare instead."""
        assert self._engine is not None
        count = k + SPARE
        if mask is None or self._engine.filters:
            return min(count, self._n_positions)
        share = mask.sum() / max(1, self._n_positions)
        more = int(1.5 * count / max(share, 1e-9)) + SPARE
        return min(more, self._n_positions) if more <= MOST_FETCHED * self._n_positions else None

    # --- files ------------------------------------------------------------------------------------

    def save(self, folder: Path, state: str) -> None:
        """As ``Index.save``; the engine's file is written where nothing removed stands in it."""
        with self._lock.write():
            self._rows.save(folder, state, self._parts)

    def _parts(self, folder: Path) -> dict[str, Part]:
        if self._engine is None or self._tainted:
            return {}
        labels = self._labels[: self._n_positions].astype("<i8").tobytes()
        engine = files.write_part_with(folder, "engine", self._write_engine)
        mark = seal.mark(folder / engine.name, self._about(labels))
        if mark is None:  # no key can be kept on this machine: nobody would read the file
            with suppress(OSError):
                (folder / engine.name).unlink()
            return {}
        return {
            "engine": engine,
            "labels": files.write_part(folder, "labels", labels),
            "seal": files.write_part(folder, "seal", mark),
        }

    def _write_engine(self, path: Path) -> None:
        assert self._engine is not None
        self._engine.write(path)
        with open_regular(path, inside=True, writing=True) as file:
            sync_file(file)

    def _about(self, labels: bytes) -> bytes:
        return f"{self._name} {self.dimension} {len(labels)} ".encode() + labels

    def _load(self, folder: Path, header: Header, writer: bool, most: int | None) -> None:
        rows = Rows(self.dimension, self._rows.contract)
        rows.load(folder, header, writer=writer, most=most)
        found = self._read_engine(folder, header, rows)
        with self._lock.write():
            self._rows = rows
            self._generation += 1
            self._forget()
            if found is not None:
                self._engine, labels = found
                self._place(labels)
                positions = self._positions.get(rows.ids)
                self._put_outside(rows.ids[positions < 0])

    def _take(self, rows: Rows, parts: dict[str, bytes], extra: dict[str, int]) -> None:
        super()._take(rows, parts, extra)
        with self._lock.write():  # engines write files of their own: this one is built anew
            self._generation += 1
            self._forget()

    def _read_engine(self, folder: Path, header: Header, rows: Rows) -> tuple[Engine, Ids] | None:
        """The engine and its labels; None where there is none, or it is not to be trusted."""
        if not {"engine", "labels", "seal"} <= header.parts.keys():
            return None
        size = header.parts["labels"].size
        if size % 8 or size > 8 * (2 * header.count + 2 * self._build_from):
            return None
        data = files.read_part(folder, header, "labels", size)
        mark = files.read_part(folder, header, "seal", seal.BYTES)
        path = folder / header.parts["engine"].name
        with files.open_part(folder, header, "engine"):
            if seal.mark(path, self._about(data), make=False) != mark:
                return None  # written elsewhere, by another engine, or by somebody else
            try:
                engine = self._build(self.dimension, size // 8, None, path)
            except Exception:  # of another version of the engine: built anew
                return None
        labels = np.frombuffer(data, "<i8").astype(np.int64)
        there = labels[labels >= 0]
        known = len(np.unique(there)) == len(there) and (rows.slots_of(there) >= 0).all()
        return (engine, labels) if known else None

    def check(self) -> None:
        """As ``Index.check``; and whether the engine could be built."""
        super().check()
        if self._error is not None:
            raise self._failed()


def concatenated(blocks: Iterator[FloatArray], dimension: int) -> FloatArray:
    """All rows, for engines that want them at once."""
    return np.concatenate([np.empty((0, dimension), np.float32), *blocks])


def load_package(name: str, title: str) -> Any:
    """The package ``name``; MissingExtraError where it is not installed. Its extra has its name."""
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtraError(f"searching with {title}", name) from error
