"""The life of an index whose vectors lie on a server, under a name, whichever server it is.

Where ``ExactIndex`` has a folder, this has a name on a server. Behind it stands a collection with a
name of its own that is never used again:

- an empty index has no collection; the first addition makes one that nobody else knows;
- ``save`` puts it behind the name, in one step, and drops the one that stood there: whoever loads
  gets the old one or the new one;
- from then on every change is durable and seen by everybody as soon as the call returns, so a
  later ``save`` only writes down the state.

Whatever index the server has, it only chooses candidates: scores are computed here, from the full
vectors, as those of the other kinds are.
"""

from __future__ import annotations

import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lineament.errors import IndexContractError, IndexFileError, OptionError
from lineament.search._slots import checked_ids, checked_vectors
from lineament.search.index import Ids
from lineament.types import FloatArray

VERSION = "1"

SPARE = 64
"""Candidates beyond k: who is equal to the last, and what the server's own sums confuse."""

FEW = 512
"""Allowed ids up to which their vectors are fetched and compared here."""

BATCH_BYTES = 16 << 20
"""Vectors in one message."""

MOST_ROWS = 4096
"""Vectors, or ids, in one message."""

MOST_QUERIES = 16384
"""In one message: Milvus takes no more."""

Rows = tuple[Ids, FloatArray]
"""Ids (N,) and their vectors (N, D)."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a server says of a name; all text, as servers keep it.

    Attributes:
        collection: the name of the vectors' collection.
        version: of this layout; "" of a collection of somebody else's.
        contract: id of the embeddings' contract.
        dimension: of the vectors.
        state: the caller's.
        writer: mark of who may change it.
    """

    collection: str
    version: str
    contract: str
    dimension: str
    state: str
    writer: str


class OnServer(ABC):
    """As ``Index``; a base of those whose vectors are on a server.

    One process writes: it makes the collection, or loads it with ``writer=True``. If another one
    does so later, the first one's changes are refused from there on. Readers see the writer's
    changes at once.
    """

    _most_k: int
    """Of a search."""

    def __init__(self, dimension: int, contract: str, name: str, *, replace: bool) -> None:
        """Empty; nothing is connected yet. Arguments as the subclasses have them."""
        if dimension < 1:
            raise OptionError(f"expected 1 or more, got {dimension}", option="dimension")
        self._dimension, self._contract, self._name = dimension, contract, name
        self._replace = replace
        self._lock = threading.RLock()
        self._collection: str | None = None
        self._published = self._reading = False
        self._writer = ""

    # --- what a server does -----------------------------------------------------------------------

    @property
    @abstractmethod
    def _place(self) -> str:
        """Address and name, for messages; nothing secret."""

    @property
    @abstractmethod
    def _most_allowed(self) -> int:
        """Ids among which one search may look."""

    @abstractmethod
    def _make(self) -> tuple[str, str]:
        """Make a collection that nobody knows yet: its name, and the writer's mark."""

    @abstractmethod
    def _record(self) -> Record | None:
        """What stands under the name."""

    @abstractmethod
    def _changing(self, collection: str) -> AbstractContextManager[object]:
        """Around a change of it. IndexFileError: another process writes."""

    @abstractmethod
    def _publish(self, collection: str, state: str, before: Record | None) -> None:
        """Put it behind the name, in place of what stood there, which is dropped."""

    @abstractmethod
    def _note(self, collection: str, state: str) -> None:
        """Write the state down of a collection that stands behind the name."""

    @abstractmethod
    def _take(self, record: Record, writer: str | None) -> None:
        """Get ready to use a collection; with ``writer`` as the one who changes it."""

    @abstractmethod
    def _strike(self) -> None:
        """Remove the name, not the collection."""

    @abstractmethod
    def _drop(self, collection: str) -> None:
        """Remove a collection with everything in it."""

    @abstractmethod
    def _disconnect(self, unsaved: str | None) -> None:
        """Drop what was never saved, as far as the server can be reached, and disconnect."""

    @abstractmethod
    def _count(self, collection: str) -> int:
        """How many vectors there are."""

    @abstractmethod
    def _known(self, collection: str, ids: Ids) -> Ids:
        """Those of ``ids``, at most ``MOST_ROWS``, that are there, in any order."""

    @abstractmethod
    def _delete(self, collection: str, ids: Ids) -> None:
        """Remove those that are there."""

    @abstractmethod
    def _fetch(self, collection: str, ids: Ids, condition: str) -> Rows:
        """Those that are there and fit the condition, in any order, with their vectors."""

    @abstractmethod
    def _nearest(
        self, collection: str, queries: FloatArray, count: int, allowed: Ids | None, condition: str
    ) -> Sequence[Rows]:
        """For each of (Q, D) the nearest ``count``, in any order."""

    # --- its life ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Disconnect; what was never saved is dropped. Used again, it connects again."""
        with self._lock:
            unsaved = None if self._published else self._collection
            if unsaved is not None:
                self._collection = None
            self._disconnect(unsaved)

    def _for_writing(self) -> str:
        """The collection to change, made if need be."""
        if self._collection is None:
            self._collection, self._writer = self._make()
            self._published = self._reading = False
        elif self._reading:
            raise OptionError(f"{self._name}: was loaded for reading: load it with writer=True")
        return self._collection

    def _check(self, record: Record) -> None:
        """Whether the collection is one of ours, and for such vectors."""
        if record.version != VERSION:
            raise IndexFileError(
                f"{self._place}: expected an index of version {VERSION}, got {record.version}: "
                "rebuild"
            )
        if (record.contract, record.dimension) != (self._contract, str(self._dimension)):
            raise IndexContractError(
                f"{self._place}: expected vectors of {self._dimension} numbers and contract "
                f"{self._contract!r}, got {record.dimension} and {record.contract!r}: embeddings "
                "of two contracts cannot be compared. Name another, or rebuild"
            )

    def save(self, folder: Path | None = None, state: str = "") -> None:
        """Put the vectors under the index's name, where they are not there yet; note the state.

        Every change was durable when its call returned. What stood under the name before is
        dropped, if ``replace`` allows it.

        Args:
            folder: not used: everything is on the server.
            state: as in ``Index.save``.

        Raises:
            ContractError: there are vectors of another contract under that name.
            OptionError: there are vectors under that name that were not loaded here.
            IndexFileError: another process writes now: load again.
            IndexServerError: the server cannot be reached, or refused.
        """
        with self._lock:
            collection = self._for_writing()
            if self._published:
                with self._changing(collection):
                    self._note(collection, state)
            else:
                before = self._record()
                if before is not None and not self._replace:
                    self._check(before)
                    raise OptionError(
                        f"{self._place}: there are vectors under that name already: load them "
                        "first, name another, or allow it with replace=True"
                    )
                self._publish(collection, state, before)
            self.settle()

    def load(
        self, folder: Path | None = None, *, writer: bool = False, most: int | None = None
    ) -> str:
        """Use what ``save`` left under the index's name, in place of what is there.

        Args:
            folder, most: not used.
            writer: whether this process changes it from now on; whoever did so before cannot.

        Returns:
            The state that was saved last; later changes may be there already.

        Raises:
            IndexFileError: there is nothing, or it is of another version: rebuild.
            ContractError: it is of another contract (an IndexFileError as well).
            IndexServerError: the server cannot be reached, or refused.
        """
        with self._lock:
            record = self._record()
            if record is None:
                raise IndexFileError(
                    f"{self._place}: cannot be read (nothing was saved under that name): rebuild"
                )
            self._check(record)
            mark = secrets.token_hex(8)
            self._take(record, mark if writer else None)
            unsaved = None if self._published else self._collection
            self._collection, self._writer = record.collection, mark
            self._published, self._reading = True, not writer
            if unsaved is not None and unsaved != record.collection:
                self._drop(unsaved)
            return record.state

    def check(self) -> None:
        """See that the collection is there and answers; checksums are the server's."""
        if self._collection is not None:
            if self._published:
                record = self._record()
                if record is None or record.collection != self._collection:
                    raise IndexFileError(f"{self._place}: was replaced or removed: load again")
                self._check(record)
            len(self)

    def drop(self) -> None:
        """Remove the name and all vectors under it from the server; the index is empty then.

        Raises:
            IndexFileError: another process writes now.
        """
        with self._lock:
            if self._collection is None:
                return
            collection = self._for_writing()
            with self._changing(collection):
                if self._published:
                    self._strike()
            self._drop(collection)
            self._collection, self._published = None, False

    # --- as Index ---------------------------------------------------------------------------------

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return self._dimension

    @property
    def follows_writer(self) -> bool:
        """Whether it was loaded for reading: the writer's changes show, and it takes none."""
        return self._reading

    def __len__(self) -> int:
        """How many vectors there are, on the server and now."""
        return 0 if self._collection is None else self._count(self._collection)

    def __contains__(self, identifier: object) -> bool:
        """Whether there is a vector of that id."""
        if not isinstance(identifier, int | np.integer) or identifier < 0:
            return False
        return len(self._present(np.array([identifier], np.int64))) > 0

    def _step(self, most: int = MOST_ROWS) -> int:
        """Vectors in one message, which takes ``most`` of any length."""
        return max(1, min(most, BATCH_BYTES // (4 * self._dimension)))

    def _present(self, ids: Ids) -> Ids:
        """Those of ``ids`` (N,) that are there, ascending."""
        ids = np.unique(ids[ids >= 0])
        if self._collection is None:
            return ids[:0]
        there = [self._known(self._collection, part) for part in _parts(ids, self._step())]
        return np.unique(np.concatenate([ids[:0], *there]))

    def remove(self, ids: npt.ArrayLike) -> int:
        """As ``Index.remove``. Never found again; the bytes go as docs/how-to/scale.md says."""
        wanted = checked_ids(ids)
        with self._lock:
            if self._collection is None:
                return 0
            collection = self._for_writing()
            with self._changing(collection):
                there = self._present(wanted)
                for part in _parts(there, self._step()):
                    self._delete(collection, part)
        return len(there)

    def _search(
        self, queries: npt.ArrayLike, k: int, allowed: npt.ArrayLike | None, condition: str = ""
    ) -> tuple[Ids, FloatArray]:
        """As ``Index.search``; ``condition`` is one that the server understands."""
        vectors = checked_vectors(queries, self._dimension, "queries")
        if not 1 <= k <= self._most_k:
            raise OptionError(f"expected 1 or more, up to {self._most_k}, got {k}", option="k")
        wanted = None if allowed is None else checked_ids(allowed, "allowed")
        ids = np.full((len(vectors), k), -1, np.int64)
        scores = np.full((len(vectors), k), -np.inf, np.float32)
        collection = self._collection
        if wanted is not None:
            wanted = np.unique(wanted[wanted >= 0])
        if collection is None or len(vectors) == 0 or (wanted is not None and len(wanted) == 0):
            return ids, scores
        if wanted is not None and len(wanted) <= FEW:
            known, rows = self._fetch(collection, wanted, condition)
            for i, query in enumerate(vectors):
                _rank(query, known, rows, ids[i], scores[i])
            return ids, scores
        limit = k + SPARE
        pieces = [None] if wanted is None else _parts(wanted, self._most_allowed)
        step = min(MOST_QUERIES, max(1, BATCH_BYTES // (limit * 4 * self._dimension)))
        for start in range(0, len(vectors), step):
            some = vectors[start : start + step]
            answers = [self._nearest(collection, some, limit, part, condition) for part in pieces]
            for i, query in enumerate(some):
                known = np.concatenate([answer[i][0] for answer in answers])
                rows = np.concatenate([answer[i][1] for answer in answers])
                _rank(query, known, rows, ids[start + i], scores[start + i])
        return ids, scores

    def vectors(self, ids: npt.ArrayLike) -> tuple[Ids, FloatArray]:
        """Those of ``ids`` that are there, ascending, and their vectors (N, D)."""
        wanted = checked_ids(ids)
        wanted = np.unique(wanted[wanted >= 0])
        found: list[Rows] = [(wanted[:0], np.empty((0, self._dimension), np.float32))]
        if self._collection is not None:
            collection = self._collection
            found += [self._fetch(collection, part, "") for part in _parts(wanted, self._step())]
        known = np.concatenate([part[0] for part in found])
        rows = np.concatenate([part[1] for part in found])
        order = np.argsort(known, kind="stable")
        return known[order], rows[order]

    def settle(self) -> None:  # noqa: B027
        """As ``Index.settle``: the server builds its index by itself."""


def _parts(ids: Ids, size: int) -> list[Ids]:
    return [ids[at : at + size] for at in range(0, len(ids), size)]


def _rank(query: FloatArray, known: Ids, rows: FloatArray, ids: Ids, scores: FloatArray) -> None:
    """Write the best of ``rows`` (N, D) into ``ids`` (k,) and ``scores`` (k,), by their cosines."""
    exact = (rows.astype(np.float64) @ query.astype(np.float64)).astype(np.float32)  # (N,)
    exact = np.clip(exact, -1, 1)
    order = np.lexsort((known, -exact))[: len(ids)]
    ids[: len(order)], scores[: len(order)] = known[order], exact[order]
