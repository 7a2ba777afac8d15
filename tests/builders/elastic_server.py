"""A server that takes requests of Elasticsearch or OpenSearch as their documentation has them.

Only what lineament sends, checked strictly: a request, field, option or type that the documented
API does not have is answered with 400 and noted in ``complaints``. Vectors are compared one by one.
Sources: elastic.co/docs/api (indices.create, bulk, mget, search with knn, count, get, delete) and
the mapping of ``dense_vector``; docs.opensearch.org (k-NN index, ``knn_vector``, k-NN query).
"""

from __future__ import annotations

import base64
import fnmatch
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import numpy as np

INDEX_NAME = re.compile(r"^[a-z0-9][a-z0-9_.-]{0,254}$")  # small letters; not "_", "-", "+" first
MOST_RESULTS = 10_000
MOST_TERMS = 65_536


class RefusedError(Exception):
    """What the API does not have."""


class ElasticServer:
    """``with ElasticServer("elasticsearch") as server: server.address``."""

    def __init__(self, product: str) -> None:
        self.product = product
        self.indices: dict[str, dict[str, Any]] = {}
        self.complaints: list[str] = []
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                try:
                    with outer.lock:
                        status, content = outer.handle(
                            self.command, self.path, self.headers.get("Content-Type", ""), body
                        )
                except RefusedError as error:
                    outer.complaints.append(f"{self.command} {self.path}: {error}")
                    status, content = 400, {"error": {"reason": str(error)}, "status": 400}
                data = json.dumps(content).encode()
                self.send_response(status)
                if product == "elasticsearch":
                    self.send_header("X-Elastic-Product", "Elasticsearch")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # --- requests ---------------------------------------------------------------------------------

    def handle(self, method: str, target: str, kind: str, body: bytes) -> tuple[int, Any]:
        parts = urlsplit(target)
        params = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        path = [part for part in parts.path.split("/") if part]
        match (method, *path):
            case ("PUT", name):
                return self.create(name, loads(kind, body), allow(params))
            case ("DELETE", name):
                allow(params)
                return (200, {"acknowledged": True}) if self.indices.pop(name, None) else MISSING
            case ("GET", name, "_mapping"):
                allow(params)
                if name not in self.indices:
                    return MISSING
                return 200, {name: {"mappings": self.indices[name]["mappings"]}}
            case ("GET", pattern, "_settings"):
                allow(params)
                found = fnmatch.filter(self.indices, pattern)
                return 200, {name: {"settings": {"index": {}}} for name in found}
            case ("GET", name, "_count"):
                allow(params)
                return 200, {"count": len(self.index(name)["documents"]), "_shards": {}}
            case ("GET", name, "_doc", number):
                allow(params)
                document = self.indices.get(name, {}).get("documents", {}).get(number)
                if document is None:
                    return 404, {"_index": name, "_id": number, "found": False}
                return 200, {"_index": name, "_id": number, "found": True, "_source": document}
            case ("PUT", name, "_doc", number):
                allow(params, "refresh")
                self.write(name, number, loads(kind, body))
                return 201, {"result": "created"}
            case ("DELETE", name, "_doc", number):
                allow(params, "refresh")
                gone = self.index(name)["documents"].pop(number, None)
                return (200, {"result": "deleted"}) if gone else (404, {"result": "not_found"})
            case ("POST", name, "_bulk"):
                allow(params, "refresh")
                return self.bulk(name, kind, body)
            case ("POST", name, "_mget"):
                allow(params)
                return self.several(name, loads(kind, body))
            case ("POST", name, "_search"):
                allow(params)
                return self.search(name, loads(kind, body))
        raise RefusedError("no such request")

    def index(self, name: str) -> dict[str, Any]:
        if name not in self.indices:
            raise RefusedError(f"no such index [{name}]")
        return self.indices[name]

    def create(self, name: str, body: Any, _: None) -> tuple[int, Any]:
        if not INDEX_NAME.match(name) or name in self.indices:
            raise RefusedError("invalid or existing index name")
        only(body, "mappings", "settings")
        only(body["mappings"], "dynamic", "properties")
        assert body["mappings"]["dynamic"] == "strict"
        settings = body.get("settings", {})
        for field, mapping in body["mappings"]["properties"].items():
            self.check_field(field, mapping, settings)
        self.indices[name] = {"mappings": body["mappings"], "documents": {}}
        return 200, {"acknowledged": True, "shards_acknowledged": True, "index": name}

    def check_field(self, field: str, mapping: Any, settings: Any) -> None:
        kind = mapping["type"]
        if kind == "keyword":
            only(mapping, "type", "index", "doc_values")
        elif kind in ("long", "binary"):
            only(mapping, "type")
        elif kind == "dense_vector" and self.product == "elasticsearch":
            only(mapping, "type", "dims", "index", "similarity", "index_options")
            if not 1 <= mapping["dims"] <= 4096 or mapping["similarity"] not in (
                *("cosine", "dot_product", "l2_norm", "max_inner_product"),
            ):
                raise RefusedError(f"{field}: dims or similarity")
            only(mapping["index_options"], "type", "m", "ef_construction")
            if mapping["index_options"]["type"] not in ("hnsw", "int8_hnsw", "flat"):
                raise RefusedError(f"{field}: index_options")
        elif kind == "knn_vector" and self.product == "opensearch":
            only(mapping, "type", "dimension", "method")
            if settings.get("index", {}).get("knn") is not True:
                raise RefusedError("index.knn is not set")
            only(mapping["method"], "name", "engine", "space_type", "parameters")
            only(mapping["method"]["parameters"], "m", "ef_construction")
            method = mapping["method"]
            spaces = {"lucene": ("l2", "cosinesimil", "innerproduct")}
            if method["name"] != "hnsw" or method["space_type"] not in spaces[method["engine"]]:
                raise RefusedError(f"{field}: method")
        else:
            raise RefusedError(f"{field}: no type [{kind}]")

    def write(self, name: str, number: str, document: Any) -> None:
        index = self.index(name)
        fields = index["mappings"]["properties"]
        if not 1 <= len(number.encode()) <= 512:
            raise RefusedError("_id too long")
        for field, value in document.items():
            if field not in fields:
                raise RefusedError(f"strict_dynamic_mapping_exception: [{field}]")
            kind = fields[field]["type"]
            size = fields[field].get("dims", fields[field].get("dimension"))
            fits = {
                "keyword": lambda v: isinstance(v, str) and len(v.encode()) <= 32_766,
                "long": lambda v: type(v) is int and -(2**63) <= v < 2**63,
                "binary": lambda v: bool(base64.b64decode(v, validate=True)),
            }.get(kind, lambda v, size=size: len(v) == size and all(type(x) is float for x in v))
            if not fits(value):
                raise RefusedError(f"mapper_parsing_exception: [{field}]")
        index["documents"][number] = document

    def bulk(self, name: str, kind: str, body: bytes) -> tuple[int, Any]:
        types = ("application/x-ndjson", "application/json")
        if not kind.startswith((*types, "application/vnd.elasticsearch+x-ndjson")):
            raise RefusedError(f"content type {kind}")
        if not body.endswith(b"\n"):
            raise RefusedError("the bulk request must be terminated by a newline")
        lines = iter(body.decode().splitlines())
        items: list[Any] = []
        for line in lines:
            ((action, about),) = json.loads(line).items()
            only(about, "_id")
            if action == "index":
                self.write(name, about["_id"], json.loads(next(lines)))
                items.append({"index": {"_id": about["_id"], "status": 201}})
            elif action == "delete":
                gone = self.index(name)["documents"].pop(about["_id"], None)
                status = 404 if gone is None else 200
                items.append({"delete": {"_id": about["_id"], "status": status}})
            else:
                raise RefusedError(f"no action {action}")
        return 200, {"took": 1, "errors": False, "items": items}

    def several(self, name: str, body: Any) -> tuple[int, Any]:
        only(body, "docs")
        found: list[Any] = []
        for each in body["docs"]:
            only(each, "_id", "_source")
            document = self.index(name)["documents"].get(each["_id"])
            about = {"_index": name, "_id": each["_id"], "found": document is not None}
            if document is not None and each["_source"]:
                about["_source"] = {field: document[field] for field in each["_source"]}
            found.append(about)
        return 200, {"docs": found}

    def search(self, name: str, body: Any) -> tuple[int, Any]:
        index = self.index(name)
        if self.product == "elasticsearch":
            only(body, "knn", "size", "_source")
            knn = body["knn"]
            only(knn, "field", "query_vector", "k", "num_candidates", "filter")
            if not knn["k"] <= knn["num_candidates"] <= MOST_RESULTS:
                raise RefusedError("k must be at most num_candidates, at most 10,000")
            field, query, k = knn["field"], knn["query_vector"], knn["k"]
        else:
            only(body, "query", "size", "_source")
            only(body["query"], "knn")
            ((field, knn),) = body["query"]["knn"].items()
            only(knn, "vector", "k", "filter")
            query, k = knn["vector"], knn["k"]
        if not 1 <= k <= MOST_RESULTS or body["size"] > MOST_RESULTS:
            raise RefusedError("k")
        mapping = index["mappings"]["properties"][field]
        if len(query) != mapping.get("dims", mapping.get("dimension")):
            raise RefusedError("the query vector has a different dimension than the index vectors")
        documents = index["documents"]
        if "filter" in knn:
            only(knn["filter"], "terms")
            ((name_, values),) = knn["filter"]["terms"].items()
            if len(values) > MOST_TERMS:
                raise RefusedError("too many terms")
            wanted = set(values)
            documents = {n: d for n, d in documents.items() if d[name_] in wanted}
        numbers = list(documents)
        if not numbers:
            return 200, {"hits": {"hits": []}}
        table = np.array([documents[n][field] for n in numbers], np.float32)
        scores = (1 + table @ np.array(query, np.float32)) / 2
        best = np.argsort(-scores, kind="stable")[: min(k, body["size"])]
        hits = [
            {
                "_index": name,
                "_id": numbers[i],
                "_score": float(scores[i]),
                "_source": {f: documents[numbers[i]][f] for f in body["_source"]},
            }
            for i in best
        ]
        return 200, {"took": 1, "timed_out": False, "hits": {"hits": hits}}


MISSING = (404, {"error": {"type": "index_not_found_exception"}, "status": 404})


def allow(params: dict[str, str], *names: str) -> None:
    unknown = set(params) - set(names)
    if unknown:
        raise RefusedError(f"unrecognized parameters {sorted(unknown)}")
    if params.get("refresh", "true") not in ("true", "false", "wait_for"):
        raise RefusedError("refresh")


def only(content: Any, *names: str) -> None:
    if not isinstance(content, dict) or set(content) - set(names):
        raise RefusedError(f"unknown fields in {sorted(content)}")


def loads(kind: str, body: bytes) -> Any:
    if not kind.startswith(("application/json", "application/vnd.elasticsearch+json")):
        raise RefusedError(f"content type {kind}")
    return json.loads(body)
