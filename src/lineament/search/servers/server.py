"""An index whose vectors lie on a server that can do a few calls (``Backend``).

As every index on a server (``_on_server``). What stands under a name is written in a register
there, one record a name (``Record``); ``save`` enters it in one step. What a crash leaves that no
record names is dropped by the next writer.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import Protocol
from urllib.parse import urlsplit

import numpy.typing as npt

from lineament.errors import IndexFileError, IndexServerError, LineamentError, OptionError
from lineament.search._on_server import SPARE, VERSION, OnServer, Record, Rows
from lineament.search.exact import checked_addition
from lineament.search.index import Ids
from lineament.types import FloatArray

MOST_K = 10_000 - SPARE
"""Elasticsearch answers with no more than 10,000 results; the others follow suit."""


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


class ServerIndex(OnServer):
    """As ``Index``, with the vectors on a server.

    One process writes: it makes the collection, or loads it with ``writer=True``. If another one
    does so later, the first one's changes are refused from there on. Readers see the writer's
    changes at once.
    """

    _most_k = MOST_K

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
        super().__init__(dimension, contract, name, replace=replace)
        fits = name.isascii() and name.isidentifier() and name.lower() == name
        if not fits or len(name) > 60 or name.startswith("_"):
            raise OptionError(
                f"expected small letters, digits and _, got {name!r:.60}", option="name"
            )
        self._backend = backend

    def __repr__(self) -> str:
        """Where it is; nothing secret."""
        return f"ServerIndex({self._dimension}, {self._backend.place!r}, name={self._name!r})"

    @property
    def _place(self) -> str:
        return f"{self._backend.place}: {self._name}"

    @property
    def _most_allowed(self) -> int:
        return self._backend.most_allowed

    # --- collections ------------------------------------------------------------------------------

    def _make(self) -> tuple[str, str]:
        name = f"{self._name}_{secrets.token_hex(8)}"
        self._backend.create(name, self._dimension)
        return name, secrets.token_hex(8)

    def _record(self) -> Record | None:
        return self._backend.record(self._name)

    @contextmanager
    def _changing(self, collection: str) -> Iterator[None]:
        if not self._published:
            yield
            return
        with self._backend.writing(self._name, self._writer) as is_mine:
            if not is_mine:
                raise IndexFileError(f"{self._place}: another process writes to it now: load again")
            yield

    def _note(self, collection: str, state: str) -> None:
        about = (VERSION, self._contract, str(self._dimension), state, self._writer)
        self._backend.enter(self._name, Record(collection, *about))

    def _publish(self, collection: str, state: str, before: Record | None) -> None:
        self._note(collection, state)
        self._published = True
        self._drop_strays(collection)

    def _take(self, record: Record, writer: str | None) -> None:
        if writer is not None:
            self._backend.enter(self._name, replace(record, writer=writer))
            self._drop_strays(record.collection)

    def _strike(self) -> None:
        self._backend.strike(self._name)

    def _drop(self, collection: str) -> None:
        self._backend.drop(collection)

    def _disconnect(self, unsaved: str | None) -> None:
        if unsaved is not None:
            with suppress(LineamentError):  # then the next writer drops it
                self._backend.drop(unsaved)
        self._backend.close()

    def _drop_strays(self, but: str) -> None:
        """Collections under this name that no record names: a crash left them."""
        mine = f"{self._name}_"
        for stray in self._backend.collections(mine):
            if stray != but and len(stray) == len(mine) + 16:
                self._backend.drop(stray)

    # --- as Index ---------------------------------------------------------------------------------

    def _count(self, collection: str) -> int:
        return self._backend.count(collection)

    def _known(self, collection: str, ids: Ids) -> Ids:
        return self._backend.present(collection, ids)

    def _fetch(self, collection: str, ids: Ids, condition: str) -> Rows:
        return self._backend.fetch(collection, ids, self._dimension)

    def _delete(self, collection: str, ids: Ids) -> None:
        self._backend.delete(collection, ids)

    def _nearest(
        self, collection: str, queries: FloatArray, count: int, allowed: Ids | None, condition: str
    ) -> Sequence[Rows]:
        return self._backend.nearest(collection, queries, count, allowed)

    def add(self, ids: npt.ArrayLike, vectors: npt.ArrayLike) -> None:
        """As ``Index.add``.

        Sent in batches: after an error some are there, and the same call again is harmless.
        """
        new, rows = checked_addition(ids, vectors, self._dimension)
        if len(new) == 0:
            return
        size = self._step()
        with self._lock:
            collection = self._for_writing()
            with self._changing(collection):
                for at in range(0, len(new), size):
                    self._backend.upsert(collection, new[at : at + size], rows[at : at + size])

    def search(
        self, queries: npt.ArrayLike, k: int, *, allowed: npt.ArrayLike | None = None
    ) -> tuple[Ids, FloatArray]:
        """As ``Index.search``, k up to 9,936."""
        return self._search(queries, k, allowed)

    def settle(self) -> None:
        """As ``Index.settle``."""
        with self._lock:
            if self._collection is not None and not self._reading:
                self._backend.settle(self._collection)

    def compact(self) -> bool:
        """As ``Index.compact``: the server does it, in its own time."""
        return False


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
