"""Elasticsearch (8.12 or later) and OpenSearch (2.9 or later), through their own clients.

A collection is an index whose documents have our id as ``_id`` and as a number, the vector for the
search (``dense_vector``, or ``knn_vector`` of Lucene), and the same float32 numbers once more as
``raw``, base64 of little-endian bytes, from which scores are computed: what the engine keeps for
searching may be rounded, and newer versions leave it out of answers. The register is the index
``lineament_indexes``. Every change asks for a refresh, so it is seen when the call returns.

What is removed is never found again; its bytes go when Lucene merges the segment
(``_forcemerge?only_expunge_deletes=true`` makes it do so), and stay in snapshots.

Neither was met as a real server: the requests are tested against one here that compares them with
the documented API.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from lineament.errors import LineamentError, MissingExtraError
from lineament.search._on_server import Record, Rows
from lineament.search.index import Ids
from lineament.search.servers.server import failed, http_address, token
from lineament.types import FloatArray

TIMEOUT_S = 60

LINKS, EXPANSION_BUILD = 32, 200
"""HNSW's M and ef_construction."""

MOST_CANDIDATES = 10_000
"""Elasticsearch's limit for ``k`` and ``num_candidates``."""

CANDIDATES = 4
"""Candidates a shard, a wanted result."""

LEAST_CANDIDATES = 512

_REGISTER = "lineament_indexes"


class ElasticBackend:
    """As ``Backend``, in Elasticsearch."""

    most_allowed = 60_000  # index.max_terms_count is 65,536

    title = "Elasticsearch"
    variable = "LINEAMENT_ELASTICSEARCH_API_KEY"
    """An API key as Elasticsearch gives it (base64), or "user:password"."""

    def __init__(self, uri: str) -> None:
        """Check the address; OptionError when it is none, or has credentials in it."""
        self.place = with_port(http_address(uri, self.variable))
        self._lock = threading.Lock()
        self._client: Any = None

    def require(self) -> None:
        """As ``Backend.require``."""
        self._package()

    def _package(self) -> Any:
        try:
            import elasticsearch
        except ImportError as error:
            raise MissingExtraError("searching in Elasticsearch", "elasticsearch") from error
        return elasticsearch

    # --- requests ---------------------------------------------------------------------------------

    @property
    def client(self) -> Any:
        """Their client."""
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> Any:
        settings: dict[str, Any] = {"request_timeout": TIMEOUT_S, "max_retries": 0}
        if secret := token(self.variable):
            user, colon, password = secret.partition(":")
            settings |= {"basic_auth": (user, password)} if colon else {"api_key": secret}
        return self._package().Elasticsearch(self.place, **settings)

    def _perform(self, method: str, path: str, body: Any, params: Mapping[str, str]) -> Any:
        """One request; (status, answer)."""
        kind = "application/x-ndjson" if isinstance(body, str) else "application/json"
        headers = {"accept": "application/json"}
        if body is not None:
            headers["content-type"] = kind
        answer = self.client.perform_request(
            method, path, params=dict(params) or None, headers=headers, body=body
        )
        return answer.body

    def _ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        missing: bool = False,
        **params: str,
    ) -> Any:
        """The answer as plain values; None where ``missing`` and there is no such thing."""
        try:
            return self._perform(method, path, body, params)
        except LineamentError:
            raise
        except Exception as error:  # of the client's own kinds, and of urllib3
            status = getattr(error, "status_code", None)
            if missing and status == 404:
                return None
            raise failed(
                self.place,
                f"{method} {path}",
                error,
                token(self.variable),
                token(self.variable).partition(":")[2],
                remedy=f"is {self.title} running, the address right? Credentials go into "
                f"{self.variable}",
            ) from error

    def close(self) -> None:
        """As ``Backend.close``."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    # --- the register -----------------------------------------------------------------------------

    def record(self, name: str) -> Record | None:
        """As ``Backend.record``."""
        found = self._ask("GET", f"/{_REGISTER}/_doc/{name}", missing=True)
        if not found or not found.get("found"):
            return None
        source = found.get("_source") or {}
        values = {field: str(source.get(field, "")) for field in Record.__dataclass_fields__}
        return Record(**values)

    def enter(self, name: str, record: Record) -> None:
        """As ``Backend.enter``."""
        if self._ask("GET", f"/{_REGISTER}/_mapping", missing=True) is None:
            keyword = {"type": "keyword", "index": False, "doc_values": False}
            fields = {"name": keyword, **dict.fromkeys(Record.__dataclass_fields__, keyword)}
            body = {"mappings": {"dynamic": "strict", "properties": fields}}
            self._ask("PUT", f"/{_REGISTER}", body)
        document = {"name": name, **asdict(record)}
        self._ask("PUT", f"/{_REGISTER}/_doc/{name}", document, refresh="true")

    def strike(self, name: str) -> None:
        """As ``Backend.strike``."""
        self._ask("DELETE", f"/{_REGISTER}/_doc/{name}", missing=True, refresh="true")

    @contextmanager
    def writing(self, name: str, writer: str) -> Iterator[bool]:
        """As ``Backend.writing``: looked up before the change; there are no transactions."""
        record = self.record(name)
        yield record is not None and record.writer == writer

    # --- collections ------------------------------------------------------------------------------

    def collections(self, prefix: str) -> list[str]:
        """As ``Backend.collections``."""
        found = self._ask("GET", f"/{prefix}*/_settings", missing=True) or {}
        return [str(name) for name in found if str(name).startswith(prefix)]

    def _mapping(self, dimension: int) -> dict[str, Any]:
        return {
            "type": "dense_vector",
            "dims": dimension,
            "index": True,
            "similarity": "cosine",
            "index_options": {"type": "hnsw", "m": LINKS, "ef_construction": EXPANSION_BUILD},
        }

    def _settings(self) -> dict[str, Any]:
        return {}

    def create(self, collection: str, dimension: int) -> None:
        """As ``Backend.create``."""
        fields = {
            "id": {"type": "long"},
            "raw": {"type": "binary"},
            "vector": self._mapping(dimension),
        }
        body: dict[str, Any] = {"mappings": {"dynamic": "strict", "properties": fields}}
        if settings := self._settings():
            body["settings"] = settings
        self._ask("PUT", f"/{collection}", body)

    def drop(self, collection: str) -> None:
        """As ``Backend.drop``."""
        self._ask("DELETE", f"/{collection}", missing=True)

    def count(self, collection: str) -> int:
        """As ``Backend.count``."""
        return int(self._ask("GET", f"/{collection}/_count")["count"])

    def _bulk(self, collection: str, lines: Sequence[Mapping[str, Any]]) -> None:
        body = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        answer = self._ask("POST", f"/{collection}/_bulk", body, refresh="true")
        if answer.get("errors"):
            for item in answer.get("items", ()):
                for result in item.values():
                    if "error" in result:
                        error = ValueError(json.dumps(result["error"])[:300])
                        raise failed(
                            self.place, "write", error, remedy="look at the server's own log"
                        )

    def upsert(self, collection: str, ids: Ids, vectors: FloatArray) -> None:
        """As ``Backend.upsert``."""
        lines: list[Mapping[str, Any]] = []
        for number, vector in zip(ids.tolist(), vectors, strict=True):
            raw = base64.b64encode(vector.astype("<f4").tobytes()).decode()
            lines.append({"index": {"_id": str(number)}})
            lines.append({"id": number, "raw": raw, "vector": vector.tolist()})
        self._bulk(collection, lines)

    def delete(self, collection: str, ids: Ids) -> None:
        """As ``Backend.delete``."""
        self._bulk(collection, [{"delete": {"_id": str(number)}} for number in ids.tolist()])

    def _documents(self, collection: str, ids: Ids, source: Any) -> list[Any]:
        if len(ids) == 0:
            return []
        documents = [{"_id": str(number), "_source": source} for number in ids.tolist()]
        answer = self._ask("POST", f"/{collection}/_mget", {"docs": documents})
        return [each for each in answer["docs"] if each.get("found")]

    def present(self, collection: str, ids: Ids) -> Ids:
        """As ``Backend.present``."""
        found = self._documents(collection, ids, source=False)
        return np.array([int(each["_id"]) for each in found], np.int64)

    def fetch(self, collection: str, ids: Ids, dimension: int) -> Rows:
        """As ``Backend.fetch``."""
        return self._rows(self._documents(collection, ids, source=["raw"]), dimension)

    def _search(self, query: FloatArray, count: int, allowed: Ids | None) -> dict[str, Any]:
        candidates = min(MOST_CANDIDATES, max(LEAST_CANDIDATES, CANDIDATES * count))
        knn: dict[str, Any] = {
            "field": "vector",
            "query_vector": query.tolist(),
            "k": count,
            "num_candidates": candidates,
        }
        if allowed is not None:
            knn["filter"] = {"terms": {"id": allowed.tolist()}}
        return {"knn": knn, "size": count, "_source": ["raw"]}

    def nearest(
        self, collection: str, queries: FloatArray, count: int, allowed: Ids | None
    ) -> Sequence[Rows]:
        """As ``Backend.nearest``."""
        found: list[Rows] = []
        for query in queries:
            body = self._search(query, count, allowed)
            answer = self._ask("POST", f"/{collection}/_search", body)
            found.append(self._rows(answer["hits"]["hits"], queries.shape[1]))
        return found

    def _rows(self, hits: Sequence[Any], dimension: int) -> Rows:
        ids = np.array([int(hit["_id"]) for hit in hits], np.int64)
        rows = np.empty((len(hits), dimension), np.float32)
        for i, hit in enumerate(hits):
            rows[i] = np.frombuffer(base64.b64decode(hit["_source"]["raw"]), "<f4")
        return ids, rows

    def settle(self, collection: str) -> None:
        """As ``Backend.settle``: the server builds its graphs while it writes."""


class OpenSearchBackend(ElasticBackend):
    """As ``Backend``, in OpenSearch."""

    title = "OpenSearch"
    variable = "LINEAMENT_OPENSEARCH_LOGIN"
    """ "user:password"."""

    def _package(self) -> Any:
        try:
            import opensearchpy
        except ImportError as error:
            raise MissingExtraError("searching in OpenSearch", "opensearch") from error
        return opensearchpy

    def _connect(self) -> Any:
        settings: dict[str, Any] = {"timeout": TIMEOUT_S, "max_retries": 0}
        if secret := token(self.variable):
            user, _, password = secret.partition(":")
            settings["http_auth"] = (user, password)
        return self._package().OpenSearch([self.place], **settings)

    def _perform(self, method: str, path: str, body: Any, params: Mapping[str, str]) -> Any:
        return self.client.transport.perform_request(
            method, path, params=dict(params) or None, body=body
        )

    def _mapping(self, dimension: int) -> dict[str, Any]:
        parameters = {"m": LINKS, "ef_construction": EXPANSION_BUILD}
        method = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
        return {
            "type": "knn_vector",
            "dimension": dimension,
            "method": {**method, "parameters": parameters},
        }

    def _settings(self) -> dict[str, Any]:
        return {"index": {"knn": True}}

    def _search(self, query: FloatArray, count: int, allowed: Ids | None) -> dict[str, Any]:
        # Lucene's engine looks for k candidates a segment: more of them find more.
        wanted = min(MOST_CANDIDATES, max(LEAST_CANDIDATES, CANDIDATES * count))
        near: dict[str, Any] = {"vector": query.tolist(), "k": wanted}
        if allowed is not None:
            near["filter"] = {"terms": {"id": allowed.tolist()}}
        return {"query": {"knn": {"vector": near}}, "size": count, "_source": ["raw"]}


def with_port(uri: str) -> str:
    """The address with the port that its scheme means, which both clients want to be said."""
    parts = urlsplit(uri)
    if parts.port is not None:
        return uri
    return f"{uri.rstrip('/')}:{443 if parts.scheme == 'https' else 80}"
