"""Vectors in Milvus, through pymilvus: a file of Milvus Lite, or a cluster. docs/how-to/scale.md.

As every index on a server (``_on_server``): its name is an alias of Milvus's, and what there is to
say of a name stands in the properties of the collection behind it. Beyond that it takes metadata,
filters by it, and can be read page by page.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.errors import IndexFileError, IndexServerError, OptionError
from lineament.search._expression import among, expression
from lineament.search._on_server import SPARE, VERSION, OnServer, Record, Rows
from lineament.search.exact import checked_addition
from lineament.search.index import Ids
from lineament.search.milvus_server import (
    MilvusOptions,
    MilvusServer,
    load_pymilvus,
)
from lineament.types import FloatArray

PREFIX = "milvus:"
MOST = 16384
"""Milvus answers with no more than so many results a query."""

CHUNK = 4096
"""Ids in one expression: the parser's time grows with them, and messages end at 64 MB."""

_NAMES = "lineament.version", "lineament.contract", "lineament.dimension"
_STATE, _WRITER = "lineament.state", "lineament.writer"


class MilvusIndex(OnServer):
    """As ``Index``, with the vectors on a server; and a store that can be read page by page.

    One process writes: it makes the collection, or loads it with ``writer=True``. If another one
    does so later, the first one's changes are refused from there on. Readers see the writer's
    changes at once.
    """

    _most_k = MOST - SPARE
    _most_allowed = CHUNK

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
        super().__init__(dimension, contract, name, replace=replace)
        if not name.isascii() or not name.isidentifier() or len(name) > 200:
            raise OptionError(f"expected letters, digits and _, got {name!r:.60}", option="name")
        self._options = MilvusOptions() if options is None else options
        self._server = MilvusServer(uri, self._options)

    def __repr__(self) -> str:
        """Where it is; nothing secret."""
        return f"MilvusIndex({self._dimension}, uri={self._server.uri!r}, name={self._name!r})"

    @property
    def _place(self) -> str:
        return f"{self._server.uri}: {self._name}"

    # --- collections ------------------------------------------------------------------------------

    def _index_type(self) -> str:
        chosen = self._options.index_type
        return ("FLAT" if self._server.local else "HNSW") if chosen is None else chosen

    def _make(self) -> tuple[str, str]:
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
        return name, writer

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

    def _record(self) -> Record | None:
        collection = self._target()
        if collection is None:
            return None
        found = self._properties(collection)
        about = [found.get(name, "") for name in (*_NAMES, _STATE, _WRITER)]
        return Record(collection, *about)

    def _check(self, record: Record) -> None:
        if not record.version:
            raise IndexFileError(f"{self._place}: is not an index of lineament's: name another")
        super()._check(record)

    @contextlib.contextmanager
    def _changing(self, collection: str) -> Iterator[None]:
        if self._published and self._properties(collection).get(_WRITER) != self._writer:
            raise IndexFileError(f"{self._place}: another process writes to it now: load again")
        yield

    def _note(self, collection: str, state: str) -> None:
        self._server.call("alter_collection_properties", collection, {_STATE: state})

    def _publish(self, collection: str, state: str, before: Record | None) -> None:
        self._note(collection, state)
        change = "create_alias" if before is None else "alter_alias"
        self._server.call(change, collection, self._name)
        self._server.unsaved, self._published = None, True
        if before is not None:
            self._drop(before.collection)

    def _take(self, record: Record, writer: str | None) -> None:
        if writer is not None:
            properties = {_WRITER: writer}
            self._server.call("alter_collection_properties", record.collection, properties)
        self._bring_in(record.collection)

    def _strike(self) -> None:
        self._server.call("drop_alias", self._name)

    def _drop(self, collection: str) -> None:
        self._server.call("drop_collection", collection)
        if self._server.unsaved == collection:
            self._server.unsaved = None

    def _disconnect(self, unsaved: str | None) -> None:
        self._server.close()  # which drops what is unsaved

    # --- as Index ---------------------------------------------------------------------------------

    def _count(self, collection: str) -> int:
        return int(self._query("", ["count(*)"])[0]["count(*)"])

    def _query(self, condition: str, fields: list[str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._server.call(
            "query",
            self._collection,
            filter=condition,
            output_fields=fields,
            consistency_level="Strong",
        )
        return rows

    def _known(self, collection: str, ids: Ids) -> Ids:
        return np.array(
            [int(row["id"]) for row in self._query(among(ids.tolist()), ["id"])], np.int64
        )

    def _fetch(self, collection: str, ids: Ids, condition: str) -> Rows:
        wanted = _both(among(ids.tolist()), condition)
        return _rows(self._query(wanted, ["id", "vector"]), self._dimension)

    def _delete(self, collection: str, ids: Ids) -> None:
        self._server.call("delete", collection, ids=ids.tolist())

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
        size = self._step(5000)
        with self._lock:
            collection = self._for_writing()
            with self._changing(collection):
                for start in range(0, len(new), size):
                    batch = [
                        {"id": int(new[i]), "vector": rows[i], "metadata": entries[i]}
                        for i in range(start, min(start + size, len(new)))
                    ]
                    self._server.call("upsert", collection, batch)

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
        condition = "" if where is None else expression(where)
        return self._search(queries, k, allowed, condition)

    def _nearest(
        self, collection: str, queries: FloatArray, count: int, allowed: Ids | None, condition: str
    ) -> Sequence[Rows]:
        if allowed is not None:
            condition = _both(among(allowed.tolist()), condition)
        params = self._options.searching(self._index_type(), count)
        answers = self._server.call(
            "search",
            collection,
            data=list(queries),
            anns_field="vector",
            limit=count,
            filter=condition,
            output_fields=["vector"],
            search_params={"metric_type": "IP", "params": params},
            consistency_level="Strong",
        )
        return [
            _rows([hit["entity"] | {"id": hit["id"]} for hit in hits], self._dimension)
            for hits in answers
        ]

    # --- as a store -------------------------------------------------------------------------------

    def pages(
        self, size: int = 1000, *, where: Mapping[str, Any] | None = None
    ) -> Iterator[tuple[Ids, FloatArray]]:
        """All vectors, page by page: ids (up to ``size``,) and vectors (the same, D).

        Each vector that is there all the time comes once; changes meanwhile may show or not.
        """
        most = self._step(MOST)
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

    def compact(self) -> bool:
        """As ``Index.compact``: ask the server, which does it in its own time."""
        with self._lock:
            collection = self._for_writing()
            with self._changing(collection):
                self._server.call("flush", collection)
                self._server.call("compact", collection)
        return False


def open_milvus(
    kind: str, *, dimension: int, contract: str = "", name: str = "lineament"
) -> MilvusIndex:
    """The index that "milvus:URI" means; ``name`` is the caller's own, so it may be replaced."""
    if not kind.startswith(PREFIX):
        raise OptionError(f"expected {PREFIX}URI, got {kind!r}", option="index")
    uri = kind.removeprefix(PREFIX)
    return MilvusIndex(dimension, contract=contract, uri=uri, name=name, replace=True)


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
