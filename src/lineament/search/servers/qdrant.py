"""Qdrant (Apache-2.0), through qdrant-client: a server, or a folder in this process.

A collection is one of Qdrant's, points whose ids are ours; the register is the collection
``lineament_indexes``, with a record in each point's payload. A server builds its HNSW by itself
when a segment is large enough; a folder in this process always compares with all, is opened by one
process at a time, and is for trying it out: its authors advise a server above 20,000 points.

What is removed is never found again once the call has returned; its bytes go when the server's
optimizer next rewrites the segment (``optimizers_config.deleted_threshold``).
"""

from __future__ import annotations

import threading
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lineament.errors import LineamentError, MissingExtraError, OptionError
from lineament.search._on_server import Record, Rows
from lineament.search.index import Ids
from lineament.search.servers.server import failed, http_address, token
from lineament.types import FloatArray

KEY_VARIABLE = "LINEAMENT_QDRANT_API_KEY"

LEAST_EXPANSION = 256
"""hnsw_ef of a search; at least twice the candidates."""

TIMEOUT_S = 60

_REGISTER = "lineament_indexes"


def checked_address(uri: str) -> tuple[str, bool]:
    """The address, and whether it is a folder; OptionError when it is neither."""
    if "://" not in uri:
        if not uri:
            raise OptionError("expected http://HOST:PORT or a folder, got none", option="uri")
        return uri, True
    return http_address(uri, KEY_VARIABLE), False


class QdrantBackend:
    """As ``Backend``, in Qdrant."""

    most_allowed = 20_000

    def __init__(self, uri: str) -> None:
        """Check the address; OptionError when it is none, or has credentials in it."""
        self.place, self._is_folder = checked_address(uri)
        self._lock = threading.RLock()
        self._client: Any = None

    def require(self) -> None:
        """As ``Backend.require``."""
        _package()

    @property
    def client(self) -> Any:
        """qdrant-client's, connected."""
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> Any:
        qdrant = _package()
        if self._is_folder and not Path(self.place).parent.is_dir():
            raise OptionError(f"{self.place}: there is no such folder: make it first", option="uri")
        settings: dict[str, Any] = {"url": self.place, "timeout": TIMEOUT_S}
        if key := token(KEY_VARIABLE):
            settings["api_key"] = key
        if self._is_folder:
            settings = {"path": self.place, "force_disable_check_same_thread": True}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of versions, and of a key over plain HTTP
                client = qdrant.QdrantClient(**settings)
                if not client.collection_exists(_REGISTER):
                    params = qdrant.models.VectorParams(size=1, distance=qdrant.models.Distance.DOT)
                    client.create_collection(_REGISTER, vectors_config=params)
        except Exception as error:  # of its HTTP, of pydantic, of the file system
            raise self._failed("connect", error) from error
        return client

    def _failed(self, what: str, error: Exception) -> LineamentError:
        remedy = f"is Qdrant running, the address right? The key goes into {KEY_VARIABLE}"
        if self._is_folder:
            remedy = "expected a folder for writing that no other process has open"
        return failed(self.place, what, error, token(KEY_VARIABLE), remedy=remedy)

    def _call(self, what: str, *args: Any, **settings: Any) -> Any:
        client = self.client
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a folder of over 20,000 points
                if self._is_folder:
                    with self._lock:
                        return getattr(client, what)(*args, **settings)
                return getattr(client, what)(*args, **settings)
        except Exception as error:  # as in _connect
            raise self._failed(what.replace("_", " "), error) from error

    def close(self) -> None:
        """As ``Backend.close``."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    # --- the register -----------------------------------------------------------------------------

    def record(self, name: str) -> Record | None:
        """As ``Backend.record``."""
        found = self._call("retrieve", _REGISTER, ids=[_point(name)], with_payload=True)
        if not found:
            return None
        payload = found[0].payload or {}
        values = {field: str(payload.get(field, "")) for field in Record.__dataclass_fields__}
        return Record(**values)

    def enter(self, name: str, record: Record) -> None:
        """As ``Backend.enter``."""
        models = _package().models
        payload = {"name": name, **asdict(record)}
        point = models.PointStruct(id=_point(name), vector=[1.0], payload=payload)
        self._call("upsert", _REGISTER, points=[point], wait=True)

    def strike(self, name: str) -> None:
        """As ``Backend.strike``."""
        points = _package().models.PointIdsList(points=[_point(name)])
        self._call("delete", _REGISTER, points_selector=points, wait=True)

    @contextmanager
    def writing(self, name: str, writer: str) -> Iterator[bool]:
        """As ``Backend.writing``: looked up before the change; Qdrant has no transactions."""
        record = self.record(name)
        yield record is not None and record.writer == writer

    # --- collections ------------------------------------------------------------------------------

    def collections(self, prefix: str) -> list[str]:
        """As ``Backend.collections``."""
        names = [str(each.name) for each in self._call("get_collections").collections]
        return [name for name in names if name.startswith(prefix)]

    def create(self, collection: str, dimension: int) -> None:
        """As ``Backend.create``."""
        models = _package().models
        params = models.VectorParams(size=dimension, distance=models.Distance.DOT)
        self._call("create_collection", collection, vectors_config=params)

    def drop(self, collection: str) -> None:
        """As ``Backend.drop``."""
        self._call("delete_collection", collection)

    def count(self, collection: str) -> int:
        """As ``Backend.count``."""
        return int(self._call("count", collection, exact=True).count)

    def upsert(self, collection: str, ids: Ids, vectors: FloatArray) -> None:
        """As ``Backend.upsert``."""
        points = _package().models.Batch(ids=ids.tolist(), vectors=vectors.tolist())
        self._call("upsert", collection, points=points, wait=True)

    def delete(self, collection: str, ids: Ids) -> None:
        """As ``Backend.delete``."""
        points = _package().models.PointIdsList(points=ids.tolist())
        self._call("delete", collection, points_selector=points, wait=True)

    def present(self, collection: str, ids: Ids) -> Ids:
        """As ``Backend.present``."""
        found = self._call(
            "retrieve", collection, ids=ids.tolist(), with_payload=False, with_vectors=False
        )
        return np.array([point.id for point in found], np.int64)

    def fetch(self, collection: str, ids: Ids, dimension: int) -> Rows:
        """As ``Backend.fetch``."""
        found = self._call(
            "retrieve", collection, ids=ids.tolist(), with_payload=False, with_vectors=True
        )
        return _rows(found, dimension)

    def nearest(
        self, collection: str, queries: FloatArray, count: int, allowed: Ids | None
    ) -> Sequence[Rows]:
        """As ``Backend.nearest``."""
        models = _package().models
        among = None
        if allowed is not None:
            among = models.Filter(must=[models.HasIdCondition(has_id=allowed.tolist())])
        params = models.SearchParams(hnsw_ef=max(LEAST_EXPANSION, 2 * count))
        requests = [
            models.QueryRequest(
                query=query.tolist(),
                limit=count,
                filter=among,
                params=params,
                with_vector=True,
                with_payload=False,
            )
            for query in queries
        ]
        answers = self._call("query_batch_points", collection, requests=requests)
        return [_rows(answer.points, queries.shape[1]) for answer in answers]

    def settle(self, collection: str) -> None:
        """As ``Backend.settle``: a server builds its graphs by itself."""


def _package() -> Any:
    """qdrant-client; MissingExtraError when it is not installed."""
    try:
        import qdrant_client
        import qdrant_client.models
    except ImportError as error:
        raise MissingExtraError("searching in Qdrant", "qdrant") from error
    return qdrant_client


def _point(name: str) -> str:
    """The id of a name's record."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"lineament:{name}"))


def _rows(points: Sequence[Any], dimension: int) -> Rows:
    vectors = np.empty((len(points), dimension), np.float32)
    for i, point in enumerate(points):
        vectors[i] = point.vector
    return np.array([point.id for point in points], np.int64), vectors
