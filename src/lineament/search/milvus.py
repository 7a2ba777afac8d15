"""Vectors in Milvus, through pymilvus: a file of Milvus Lite, or a cluster. docs/how-to/scale.md.

Where ``ExactIndex`` has a folder, this has a name on a server. The name is an alias of Milvus's;
behind it stands a collection with a name of its own that is never used again:

- an empty index has no collection; the first addition makes one that nobody else knows;
- ``save`` points the alias at it, and drops the one that was there: whoever loads gets the old one
  or the new one;
- from then on every change is durable and seen by everybody as soon as the call returns, so a
  later ``save`` only writes down the state.

The contract and the dimension stand in the collection's properties, and are compared by ``load``.
Whatever index the server has, it only chooses candidates: scores are computed here, from the full
vectors, as those of the other kinds are.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.errors import (
    IndexContractError,
    IndexFileError,
    IndexServerError,
    OptionError,
)
from lineament.search._expression import among, expression
from lineament.search._slots import checked_ids, checked_vectors
from lineament.search.exact import checked_addition
from lineament.search.index import Ids
from lineament.search.milvus_server import (
    MilvusOptions,
    MilvusServer,
    load_pymilvus,
)
from lineament.types import FloatArray

PREFIX = "milvus:"
VERSION = "1"

MOST = 16384
"""Milvus answers with no more than so many results a query, and takes no more queries at once."""

SPARE = 64
"""Candidates beyond k: who is equal to the last, and what the server's float32 sums confuse."""

CHUNK = 4096
"""Ids in one expression: the parser's time grows with them, and messages end at 64 MB."""

FEW = 512
"""Allowed ids up to which their vectors are fetched and compared here."""

MESSAGE_BYTES = 16 << 20
"""Vectors in one message; gRPC's limit is 64 MB with Milvus's settings."""

_NAMES = "lineament.version", "lineament.contract", "lineament.dimension"
_STATE, _WRITER = "lineament.state", "lineament.writer"


class MilvusIndex:
    """As ``Index``, with the vectors on a server; and a store that can be read page by page.

    One process writes: it makes the collection, or loads it with ``writer=True``. If another one
    does so later, the first one's changes are refused from there on. Readers see the writer's
    changes at once.
    """

    def __init__(
        self,
        dimension: int,
        *,
        contract: str = "",
        uri: str,
        name: str = "lineament",
        options: MilvusOptions | None = None,
        replace: bool = False,
    ) -> None:
        """Empty; nothing is connected yet.

        Args:
            dimension: length of the vectors.
            contract: the id of the embeddings' contract; collections of another are refused.
            uri: "http://host:19530" or "https://..." of a server, or a local file "....db".
            name: under which ``save`` leaves the vectors on the server, and ``load`` finds them:
                letters, digits and "_".
            options: layout and search; None for the defaults.
            replace: whether ``save`` may take the place of what stands under that name and was not
                loaded by this index.

        Raises:
            OptionError: a dimension below 1, an address or name that cannot be, or credentials in
                the address.
        """
        if dimension < 1:
            raise OptionError(f"expected 1 or more, got {dimension}", option="dimension")
        if not name.isascii() or not name.isidentifier() or len(name) > 200:
            raise OptionError(f"expected letters, digits and _, got {name!r:.60}", option="name")
        self._dimension, self._contract, self._name = dimension, contract, name
        self._options = MilvusOptions() if options is None else options
        self._server = MilvusServer(uri, self._options)
        self._place = f"{self._server.uri}: {name}"
        self._replace = replace
        self._lock = threading.RLock()
        self._collection: str | None = None
        self._published = self._reading = False
        self._writer = ""

    def __repr__(self) -> str:
        """Where it is; nothing secret."""
        return f"MilvusIndex({self._dimension}, uri={self._server.uri!r}, name={self._name!r})"

    def close(self) -> None:
        """Disconnect; what was never saved is dropped. Used again, it connects again."""
        with self._lock:
            if not self._published:
                self._collection = None
            self._server.close()

    # --- collections ------------------------------------------------------------------------------

    def _index_type(self) -> str:
        chosen = self._options.index_type
        return ("FLAT" if self._server.local else "HNSW") if chosen is None else chosen

    def _create(self) -> str:
        """Make a collection that nobody knows yet."""
        client, options = self._server.client, self._options
        types = load_pymilvus().DataType
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", types.INT64, is_primary=True)
        schema.add_field("vector", types.FLOAT_VECTOR, dim=self._dimension)
        schema.add_field("metadata", types.JSON)
        index = client.prepare_index_params()
        kind = self._index_type()
        build = options.BUILD[kind] if options.build is None else dict(options.build)
        index.add_index("vector", index_type=kind, metric_type="IP", params=build)
        name, writer = f"{self._name}_{secrets.token_hex(8)}", secrets.token_hex(8)
        about = (VERSION, self._contract, str(self._dimension))
        properties: dict[str, Any] = dict(zip(_NAMES, about, strict=True))
        properties |= {_STATE: "", _WRITER: writer}
        if options.mmap:
            properties["mmap.enabled"] = True
        self._server.unsaved = name
        try:
            self._server.call(
                "create_collection",
                name,
                schema=schema,
                num_shards=1 if self._server.local else options.shards,
                consistency_level="Strong",
                properties=properties,
            )
            self._server.call("create_index", name, index, sync=False)  # nothing to wait for yet
            self._bring_in(name)
        except IndexServerError:
            self._server.close()  # drops what there is of it
            raise
        self._collection, self._writer = name, writer
        self._published = self._reading = False
        return name

    def _bring_in(self, collection: str) -> None:
        replicas = 1 if self._server.local else self._options.replicas
        timeout = self._options.load_timeout_s
        self._server.call("load_collection", collection, replica_number=replicas, timeout=timeout)

    def _target(self) -> str | None:
        """The collection behind the name; None when there is none."""
        try:
            return str(self._server.call("describe_alias", self._name)["collection_name"])
        except IndexFileError:
            return None

    def _properties(self, collection: str) -> dict[str, str]:
        found = self._server.call("describe_collection", collection).get("properties", {})
        return {str(key): str(value) for key, value in dict(found).items()}

    def _check(self, properties: Mapping[str, str]) -> None:
        """Whether the collection is one of ours, and for such vectors."""
        version, contract, dimension = (properties.get(name) for name in _NAMES)
        if version is None:
            raise IndexFileError(f"{self._place}: is not an index of lineament's: name another")
        if version != VERSION:
            raise IndexFileError(
                f"{self._place}: expected an index of version {VERSION}, got {version}: rebuild"
            )
        if (contract, dimension) != (self._contract, str(self._dimension)):
            raise self._mixed(contract, dimension)

    def _mixed(self, contract: str | None, dimension: str | None) -> IndexContractError:
        return IndexContractError(
            f"{self._place}: expected vectors of {self._dimension} numbers and contract "
            f"{self._contract!r}, got {dimension} and {contract!r}: embeddings of two contracts "
            "cannot be compared. Name another, or rebuild"
        )

    def _for_writing(self) -> str:
        """The collection to change, made if need be; refused where another one writes."""
        if self._collection is None:
            return self._create()
        if self._reading:
            raise OptionError(f"{self._name}: was loaded for reading: load it with writer=True")
        if self._properties(self._collection).get(_WRITER) != self._writer:
            raise IndexFileError(f"{self._place}: another process writes to it now: load again")
        return self._collection

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
        if self._collection is None:
            return 0
        rows = self._query("", ["count(*)"])
        return int(rows[0]["count(*)"])

    def __contains__(self, identifier: object) -> bool:
        """Whether there is a vector of that id."""
        if not isinstance(identifier, int | np.integer) or identifier < 0:
            return False
        return len(self._present(np.array([identifier], np.int64))) > 0

    def _query(self, condition: str, fields: list[str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._server.call(
            "query",
            self._collection,
            filter=condition,
            output_fields=fields,
            consistency_level="Strong",
        )
        return rows

    def _present(self, ids: Ids) -> Ids:
        """Those of ``ids`` (N,) that are there, ascending."""
        ids = np.unique(ids[ids >= 0])
        if self._collection is None:
            return ids[:0]
        there: list[int] = []
        for start in range(0, len(ids), CHUNK):
            rows = self._query(among(ids[start : start + CHUNK].tolist()), ["id"])
            there += [int(row["id"]) for row in rows]
        return np.unique(np.array(there, np.int64))

    def add(
        self,
        ids: npt.ArrayLike,
        vectors: npt.ArrayLike,
        *,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
    ) -> None:
        """As ``Index.add``; with ``metadata`` (N) for filters.

        Sent in batches: after an error some are there, and the same call again is harmless.
        """
        new, rows = checked_addition(ids, vectors, self._dimension)
        about = [None] * len(new) if metadata is None else list(metadata)
        if len(about) != len(new):
            raise OptionError(f"expected {len(new)} entries, got {len(about)}", option="metadata")
        if len(new) == 0:
            return
        entries = [_plain({} if entry is None else entry) for entry in about]
        size = max(1, min(5000, MESSAGE_BYTES // (4 * self._dimension)))
        with self._lock:
            collection = self._for_writing()
            for start in range(0, len(new), size):
                batch = [
                    {"id": int(new[i]), "vector": rows[i], "metadata": entries[i]}
                    for i in range(start, min(start + size, len(new)))
                ]
                self._server.call("upsert", collection, batch)

    def remove(self, ids: npt.ArrayLike) -> int:
        """As ``Index.remove``. Never found again; the bytes go when the server compacts."""
        wanted = checked_ids(ids)
        with self._lock:
            if self._collection is None:
                return 0
            collection = self._for_writing()
            there = self._present(wanted)
            for start in range(0, len(there), CHUNK):
                self._server.call("delete", collection, ids=there[start : start + CHUNK].tolist())
        return len(there)

    def search(
        self,
        queries: npt.ArrayLike,
        k: int,
        *,
        allowed: npt.ArrayLike | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> tuple[Ids, FloatArray]:
        """As ``Index.search``, k up to 16,320.

        Args:
            queries: as there.
            k: as there.
            allowed: as there; asked for in pieces of ``CHUNK``, so ``where`` is better for many.
            where: only among vectors with such metadata; the filters are those of galleries.
        """
        vectors = checked_vectors(queries, self._dimension, "queries")
        if not 1 <= k <= MOST - SPARE:
            raise OptionError(f"expected 1 or more, up to {MOST - SPARE}, got {k}", option="k")
        wanted = None if allowed is None else checked_ids(allowed, "allowed")
        condition = "" if where is None else expression(where)
        ids = np.full((len(vectors), k), -1, np.int64)
        scores = np.full((len(vectors), k), -np.inf, np.float32)
        conditions = [condition]
        if wanted is not None:
            wanted = np.unique(wanted[wanted >= 0])
            pieces = (wanted[at : at + CHUNK].tolist() for at in range(0, len(wanted), CHUNK))
            conditions = [_both(among(piece), condition) for piece in pieces]
        if self._collection is None or len(vectors) == 0 or not conditions:
            return ids, scores
        if wanted is not None and len(wanted) <= FEW:
            known, rows = _rows(self._query(conditions[0], ["id", "vector"]), self._dimension)
            for i, query in enumerate(vectors):
                rank(query, known, rows, ids[i], scores[i])
            return ids, scores
        limit = k + SPARE
        size = min(MOST, max(1, MESSAGE_BYTES // (limit * 4 * self._dimension)))
        for start in range(0, len(vectors), size):
            some = vectors[start : start + size]
            answers = [self._ask(some, limit, condition) for condition in conditions]
            for i, query in enumerate(some):
                hits = [hit for answer in answers for hit in answer[i]]
                known, rows = _rows(
                    [hit["entity"] | {"id": hit["id"]} for hit in hits], self._dimension
                )
                rank(query, known, rows, ids[start + i], scores[start + i])
        return ids, scores

    def _ask(self, queries: FloatArray, limit: int, condition: str) -> Any:
        params = self._options.searching(self._index_type(), limit)
        return self._server.call(
            "search",
            self._collection,
            data=list(queries),
            anns_field="vector",
            limit=limit,
            filter=condition,
            output_fields=["vector"],
            search_params={"metric_type": "IP", "params": params},
            consistency_level="Strong",
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
            before = None if self._published else self._target()
            if before is not None and not self._replace:
                self._check(self._properties(before))
                raise OptionError(
                    f"{self._place}: there are vectors under that name already: load "
                    "them first, name another, or allow it with replace=True"
                )
            self._server.call("alter_collection_properties", collection, {_STATE: state})
            if self._published:
                return
            change = "create_alias" if before is None else "alter_alias"
            self._server.call(change, collection, self._name)
            self._server.unsaved, self._published = None, True
            if before is not None:
                self._server.call("drop_collection", before)

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
            collection = self._target()
            if collection is None:
                raise IndexFileError(
                    f"{self._place}: cannot be read (nothing was saved under that name): rebuild"
                )
            properties = self._properties(collection)
            self._check(properties)
            mark = secrets.token_hex(8)
            if writer:
                self._server.call("alter_collection_properties", collection, {_WRITER: mark})
            self._bring_in(collection)
            unsaved, self._server.unsaved = self._server.unsaved, None
            self._collection, self._writer = collection, mark
            self._published, self._reading = True, not writer
            if unsaved is not None:
                self._server.call("drop_collection", unsaved)
            return properties.get(_STATE, "")

    def check(self) -> None:
        """See that the collection is there and answers; checksums are the server's."""
        if self._collection is not None:
            self._check(self._properties(self._collection))
            len(self)

    # --- as a store -------------------------------------------------------------------------------

    def vectors(self, ids: npt.ArrayLike) -> tuple[Ids, FloatArray]:
        """Those of ``ids`` that are there, ascending, and their vectors (N, D)."""
        wanted = checked_ids(ids)
        wanted = np.unique(wanted[wanted >= 0])
        rows: list[dict[str, Any]] = []
        size = max(1, min(CHUNK, MESSAGE_BYTES // (4 * self._dimension)))
        if self._collection is not None:
            for start in range(0, len(wanted), size):
                condition = among(wanted[start : start + size].tolist())
                rows += self._query(condition, ["id", "vector"])
        return _rows(rows, self._dimension)

    def pages(
        self, size: int = 1000, *, where: Mapping[str, Any] | None = None
    ) -> Iterator[tuple[Ids, FloatArray]]:
        """All vectors, page by page: ids (up to ``size``,) and vectors (the same, D).

        Each vector that is there all the time comes once; changes meanwhile may show or not.
        """
        most = max(1, min(MOST, MESSAGE_BYTES // (4 * self._dimension)))
        if not 1 <= size <= most:
            raise OptionError(f"expected 1 to {most}, got {size}", option="size")
        condition = _both("id >= 0", "" if where is None else expression(where))
        if self._collection is None:
            return
        pages = self._server.call(
            "query_iterator",
            self._collection,
            batch_size=size,
            filter=condition,
            output_fields=["id", "vector"],
            consistency_level="Strong",
        )
        try:
            while True:
                try:
                    rows = pages.next()
                except Exception as error:  # as in _call
                    raise self._server.error("read on", error) from error
                if not rows:
                    return
                yield _rows(rows, self._dimension)
        finally:
            with contextlib.suppress(Exception):  # the pages are done with in any case
                pages.close()

    def settle(self) -> None:
        """As ``Index.settle``: the server builds its index by itself."""

    def compact(self) -> bool:
        """As ``Index.compact``: ask the server, which does it in its own time."""
        with self._lock:
            collection = self._for_writing()
            self._server.call("flush", collection)
            self._server.call("compact", collection)
        return False

    def drop(self) -> None:
        """Remove the name and all vectors under it from the server; the index is empty then.

        Raises:
            IndexFileError: another process writes now.
        """
        with self._lock:
            if self._collection is None:
                return
            collection = self._for_writing()
            if self._published:
                self._server.call("drop_alias", self._name)
            self._server.call("drop_collection", collection)
            self._server.unsaved = self._collection = None
            self._published = False


def open_milvus(
    kind: str, *, dimension: int, contract: str = "", name: str = "lineament"
) -> MilvusIndex:
    """The index that "milvus:URI" means; ``name`` is the caller's own, so it may be replaced."""
    if not kind.startswith(PREFIX):
        raise OptionError(f"expected {PREFIX}URI, got {kind!r}", option="index")
    uri = kind.removeprefix(PREFIX)
    return MilvusIndex(dimension, contract=contract, uri=uri, name=name, replace=True)


def rank(query: FloatArray, known: Ids, rows: FloatArray, ids: Ids, scores: FloatArray) -> None:
    """Write the best of ``rows`` (N, D) into ``ids`` (k,) and ``scores`` (k,), by their cosines."""
    exact = (rows.astype(np.float64) @ query.astype(np.float64)).astype(np.float32)  # (N,)
    exact = np.clip(exact, -1, 1)
    order = np.lexsort((known, -exact))[: len(ids)]
    ids[: len(order)], scores[: len(order)] = known[order], exact[order]


def _rows(rows: Sequence[Mapping[str, Any]], dimension: int) -> tuple[Ids, FloatArray]:
    """What the server sent: ids (N,), ascending, and vectors (N, D)."""
    ids = np.array([row["id"] for row in rows], np.int64)
    vectors = np.empty((len(rows), dimension), np.float32)
    for i, row in enumerate(rows):
        vectors[i] = row["vector"]
    order = np.argsort(ids, kind="stable")
    return ids[order], vectors[order]


def _both(first: str, second: str) -> str:
    return f"({first}) and ({second})" if second else first


def _plain(entry: Mapping[str, Any]) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(json.dumps(dict(entry), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise OptionError(f"expected plain values for JSON: {error}", option="metadata") from error
    # A key of value null counts as absent, as in galleries.
    return {key: value for key, value in values.items() if value is not None}
