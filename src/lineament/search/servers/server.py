"""An index whose vectors lie on a server, whichever it is.

Where ``ExactIndex`` has a folder, this has a name on a server. What stands under a name is written
in a register there, one record a name (``Record``): which collection of vectors it is, of which
contract and dimension, the state that was saved, and who writes. A collection has a name of its own
that is never used again:

- an empty index has no collection; the first addition makes one that nobody else knows;
- ``save`` enters it in the register, in one step, and drops the one that stood there: whoever
  loads gets the old one or the new one;
- from then on every change is durable and seen by everybody as soon as the call returns, so a
  later ``save`` only writes down the state;
- what a crash leaves that no record names is dropped by the next writer.

Whatever index the server has, it only chooses candidates: scores are computed here, from the full
vectors, as those of the other kinds are.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from lineament.errors import (
    IndexContractError,
    IndexFileError,
    IndexServerError,
    LineamentError,
    OptionError,
)
from lineament.search._slots import checked_ids, checked_vectors
from lineament.search.exact import checked_addition
from lineament.search.index import Ids
from lineament.search.milvus import rank
from lineament.types import FloatArray

VERSION = "1"

SPARE = 64
"""Candidates beyond k: who is equal to the last, and what the server's own sums confuse."""

FEW = 512
"""Allowed ids up to which their vectors are fetched and compared here."""

MOST_K = 10_000 - SPARE
"""Elasticsearch answers with no more than 10,000 results; the others follow suit."""

BATCH_BYTES = 16 << 20
"""Vectors in one message."""

Rows = tuple[Ids, FloatArray]
"""Ids (N,) and their vectors (N, D)."""


@dataclass(frozen=True, slots=True)
class Record:
    """What the register says of a name; all text, as servers keep it.

    Attributes:
        collection: the name of the vectors' collection.
        version: of this layout.
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


class Backend(Protocol):
    """What ``ServerIndex`` asks of a server. All calls raise ``IndexServerError`` if it fails.

    Every change is durable, and seen by every later call of anybody, when the call returns.
    """

    place: str
    """The address, without anything secret."""

    most_allowed: int
    """Ids in one search."""

    def require(self) -> None:
        """MissingExtraError where the client's package is not installed."""
        ...

    def record(self, name: str) -> Record | None:
        """What the register says of ``name``."""
        ...

    def enter(self, name: str, record: Record) -> None:
        """Write the record in the register, in one step, in place of the one that was there."""
        ...

    def strike(self, name: str) -> None:
        """Remove the record; nothing if there is none."""
        ...

    def writing(self, name: str, writer: str) -> AbstractContextManager[bool]:
        """Around a change: whether the record of ``name`` still has that writer."""
        ...

    def collections(self, prefix: str) -> list[str]:
        """Names of the collections that begin with it."""
        ...

    def create(self, collection: str, dimension: int) -> None:
        """Make one for vectors of so many numbers."""
        ...

    def drop(self, collection: str) -> None:
        """Remove it and everything in it; nothing if there is none."""
        ...

    def count(self, collection: str) -> int:
        """How many vectors there are."""
        ...

    def upsert(self, collection: str, ids: Ids, vectors: FloatArray) -> None:
        """Add, in place of what had the same ids: a batch of at most ``BATCH_BYTES``."""
        ...

    def delete(self, collection: str, ids: Ids) -> None:
        """Remove those that are there."""
        ...

    def present(self, collection: str, ids: Ids) -> Ids:
        """Those of ``ids`` that are there, in any order."""
        ...

    def fetch(self, collection: str, ids: Ids, dimension: int) -> Rows:
        """Those of ``ids`` that are there, in any order, with their vectors."""
        ...

    def nearest(
        self, collection: str, queries: FloatArray, count: int, allowed: Ids | None
    ) -> Sequence[Rows]:
        """For each of (Q, D) the nearest ``count``, in any order, among all or ``allowed``."""
        ...

    def settle(self, collection: str) -> None:
        """Do what makes searches fast, if there is anything to be done."""
        ...

    def close(self) -> None:
        """Disconnect; the next call connects again."""
        ...


class ServerIndex:
    """As ``Index``, with the vectors on a server.

    One process writes: it makes the collection, or loads it with ``writer=True``. If another one
    does so later, the first one's changes are refused from there on. Readers see the writer's
    changes at once.
    """

    def __init__(
        self,
        dimension: int,
        *,
        backend: Backend,
        contract: str = "",
        name: str = "lineament",
        replace: bool = False,
    ) -> None:
        """Empty; nothing is connected yet.

        Args:
            dimension: length of the vectors.
            backend: the server.
            contract: the id of the embeddings' contract; collections of another are refused.
            name: under which ``save`` leaves the vectors on the server, and ``load`` finds them:
                small letters, digits and "_", at most 40.
            replace: whether ``save`` may take the place of what stands under that name and was not
                loaded by this index.

        Raises:
            OptionError: a dimension below 1, or a name that cannot be.
        """
        if dimension < 1:
            raise OptionError(f"expected 1 or more, got {dimension}", option="dimension")
        fits = name.isascii() and name.isidentifier() and name.lower() == name
        if not fits or len(name) > 60 or name.startswith("_"):
            raise OptionError(
                f"expected small letters, digits and _, got {name!r:.60}", option="name"
            )
        self._dimension, self._contract, self._name = dimension, contract, name
        self._backend, self._replace = backend, replace
        self._lock = threading.RLock()
        self._collection: str | None = None
        self._published = self._reading = False
        self._writer = ""

    def __repr__(self) -> str:
        """Where it is; nothing secret."""
        return f"ServerIndex({self._dimension}, {self._backend.place!r}, name={self._name!r})"

    @property
    def _place(self) -> str:
        return f"{self._backend.place}: {self._name}"

    def close(self) -> None:
        """Disconnect; what was never saved is dropped. Used again, it connects again."""
        with self._lock:
            unsaved = None if self._published else self._collection
            if unsaved is not None:
                self._collection = None
                with suppress(LineamentError):  # then the next writer drops it
                    self._backend.drop(unsaved)
            self._backend.close()

    # --- collections ------------------------------------------------------------------------------

    def _for_writing(self) -> str:
        """The collection to change, made if need be."""
        if self._collection is None:
            name = f"{self._name}_{secrets.token_hex(8)}"
            self._backend.create(name, self._dimension)
            self._collection, self._writer = name, secrets.token_hex(8)
            self._published = self._reading = False
        elif self._reading:
            raise OptionError(f"{self._name}: was loaded for reading: load it with writer=True")
        return self._collection

    def _writing(self) -> _Writing:
        """A block in which the collection is changed; refused where another one writes."""
        collection = self._for_writing()
        around = self._backend.writing(self._name, self._writer) if self._published else None
        return _Writing(collection, around, self._place)

    def _check(self, record: Record) -> None:
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

    def _drop_strays(self, but: str) -> None:
        """Collections under this name that no record names: a crash left them."""
        mine = f"{self._name}_"
        for stray in self._backend.collections(mine):
            if stray != but and len(stray) == len(mine) + 16:
                self._backend.drop(stray)

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
        return 0 if self._collection is None else self._backend.count(self._collection)

    def __contains__(self, identifier: object) -> bool:
        """Whether there is a vector of that id."""
        if not isinstance(identifier, int | np.integer) or identifier < 0:
            return False
        return len(self._present(np.array([identifier], np.int64))) > 0

    def _chunk(self) -> int:
        return max(1, min(4096, BATCH_BYTES // (4 * self._dimension)))

    def _present(self, ids: Ids) -> Ids:
        ids = np.unique(ids[ids >= 0])
        if self._collection is None:
            return ids[:0]
        size = self._chunk()
        found = [
            self._backend.present(self._collection, ids[at : at + size])
            for at in range(0, len(ids), size)
        ]
        return np.unique(np.concatenate([ids[:0], *found]))

    def add(self, ids: npt.ArrayLike, vectors: npt.ArrayLike) -> None:
        """As ``Index.add``.

        Sent in batches: after an error some are there, and the same call again is harmless.
        """
        new, rows = checked_addition(ids, vectors, self._dimension)
        if len(new) == 0:
            return
        size = self._chunk()
        with self._lock, self._writing() as collection:
            for at in range(0, len(new), size):
                self._backend.upsert(collection, new[at : at + size], rows[at : at + size])

    def remove(self, ids: npt.ArrayLike) -> int:
        """As ``Index.remove``. Never found again; the bytes go as docs/how-to/scale.md says."""
        wanted = checked_ids(ids)
        with self._lock:
            if self._collection is None:
                return 0
            size = self._chunk()
            with self._writing() as collection:
                there = self._present(wanted)
                for at in range(0, len(there), size):
                    self._backend.delete(collection, there[at : at + size])
        return len(there)

    def search(
        self, queries: npt.ArrayLike, k: int, *, allowed: npt.ArrayLike | None = None
    ) -> tuple[Ids, FloatArray]:
        """As ``Index.search``, k up to 9,936."""
        vectors = checked_vectors(queries, self._dimension, "queries")
        if not 1 <= k <= MOST_K:
            raise OptionError(f"expected 1 or more, up to {MOST_K}, got {k}", option="k")
        wanted = None if allowed is None else checked_ids(allowed, "allowed")
        ids = np.full((len(vectors), k), -1, np.int64)
        scores = np.full((len(vectors), k), -np.inf, np.float32)
        collection = self._collection
        if wanted is not None:
            wanted = np.unique(wanted[wanted >= 0])
        if collection is None or len(vectors) == 0 or (wanted is not None and len(wanted) == 0):
            return ids, scores
        if wanted is not None and len(wanted) <= FEW:
            known, rows = self._backend.fetch(collection, wanted, self._dimension)
            for i, query in enumerate(vectors):
                rank(query, known, rows, ids[i], scores[i])
            return ids, scores
        limit = k + SPARE
        pieces: list[Ids | None] = [None]
        if wanted is not None:
            size = self._backend.most_allowed
            pieces = [wanted[at : at + size] for at in range(0, len(wanted), size)]
        step = max(1, BATCH_BYTES // (limit * 4 * self._dimension))
        for start in range(0, len(vectors), step):
            some = vectors[start : start + step]
            answers = [self._backend.nearest(collection, some, limit, piece) for piece in pieces]
            for i, query in enumerate(some):
                known = np.concatenate([answer[i][0] for answer in answers])
                rows = np.concatenate([answer[i][1] for answer in answers])
                rank(query, known, rows, ids[start + i], scores[start + i])
        return ids, scores

    def save(self, folder: Path | None = None, state: str = "") -> None:
        """Enter the vectors under the index's name, where they are not there yet; note the state.

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
            record = Record(
                collection, VERSION, self._contract, str(self._dimension), state, self._writer
            )
            if not self._published:
                before = self._backend.record(self._name)
                if before is not None and not self._replace:
                    self._check(before)
                    raise OptionError(
                        f"{self._place}: there are vectors under that name already: load them "
                        "first, name another, or allow it with replace=True"
                    )
                self._backend.enter(self._name, record)
                self._published = True
                self._drop_strays(collection)
            else:
                with self._writing():
                    self._backend.enter(self._name, record)
            self._backend.settle(collection)

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
            record = self._backend.record(self._name)
            if record is None:
                raise IndexFileError(
                    f"{self._place}: cannot be read (nothing was saved under that name): rebuild"
                )
            self._check(record)
            mark = secrets.token_hex(8)
            if writer:
                self._backend.enter(self._name, replace(record, writer=mark))
                self._drop_strays(record.collection)
            unsaved = None if self._published else self._collection
            self._collection, self._writer = record.collection, mark
            self._published, self._reading = True, not writer
            if unsaved is not None and unsaved != record.collection:
                self._backend.drop(unsaved)
            return record.state

    def check(self) -> None:
        """See that the collection is there and answers; checksums are the server's."""
        if self._collection is not None:
            if self._published:
                record = self._backend.record(self._name)
                if record is None or record.collection != self._collection:
                    raise IndexFileError(f"{self._place}: was replaced or removed: load again")
                self._check(record)
            len(self)

    def vectors(self, ids: npt.ArrayLike) -> tuple[Ids, FloatArray]:
        """Those of ``ids`` that are there, ascending, and their vectors (N, D)."""
        wanted = checked_ids(ids)
        wanted = np.unique(wanted[wanted >= 0])
        found: list[Rows] = [(wanted[:0], np.empty((0, self._dimension), np.float32))]
        if self._collection is not None:
            size = self._chunk()
            found += [
                self._backend.fetch(self._collection, wanted[at : at + size], self._dimension)
                for at in range(0, len(wanted), size)
            ]
        known = np.concatenate([part[0] for part in found])
        rows = np.concatenate([part[1] for part in found])
        order = np.argsort(known, kind="stable")
        return known[order], rows[order]

    def settle(self) -> None:
        """As ``Index.settle``."""
        with self._lock:
            if self._collection is not None and not self._reading:
                self._backend.settle(self._collection)

    def compact(self) -> bool:
        """As ``Index.compact``: the server does it, in its own time."""
        return False

    def drop(self) -> None:
        """Remove the name and all vectors under it from the server; the index is empty then.

        Raises:
            IndexFileError: another process writes now.
        """
        with self._lock:
            if self._collection is None:
                return
            with self._writing() as collection:
                if self._published:
                    self._backend.strike(self._name)
            self._backend.drop(collection)
            self._collection, self._published = None, False


class _Writing:
    """``with``: the collection's name; IndexFileError where another process writes."""

    def __init__(
        self, collection: str, around: AbstractContextManager[bool] | None, place: str
    ) -> None:
        self._collection, self._around, self._place = collection, around, place

    def __enter__(self) -> str:
        if self._around is not None and not self._around.__enter__():
            around, self._around = self._around, None
            around.__exit__(None, None, None)
            raise IndexFileError(f"{self._place}: another process writes to it now: load again")
        return self._collection

    def __exit__(self, *about: object) -> None:
        if self._around is not None:
            self._around.__exit__(*about)  # type: ignore[arg-type]


def failed(place: str, what: str, error: Exception, *secret: str, remedy: str) -> IndexServerError:
    """The dependency's error in our words, without anything secret."""
    text = " ".join(str(error).split())
    for part in secret:
        if len(part) > 3:  # shorter ones stand in any text, and stars would point at them
            text = text.replace(part, "***")
    return IndexServerError(f"{place}: failed to {what}: {text[:300]}; {remedy}")


def token(variable: str) -> str:
    """A secret from the environment; "" where there is none."""
    return os.environ.get(variable, "")


def http_address(uri: str, variable: str) -> str:
    """The address; OptionError when it is none, or has credentials in it.

    ``variable``: of the environment, where credentials belong.
    """
    try:
        parts = urlsplit(uri)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname)
        fits = fits and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = False
    if "@" in uri or "?" in uri:
        # From here on the address is not repeated.
        raise OptionError(
            f"expected an address without credentials: they go into {variable}", option="uri"
        )
    if not fits:
        raise OptionError(
            f"expected http://HOST:PORT or https://..., got {uri!r:.200}", option="uri"
        )
    return uri
