"""A connection to Milvus: addresses, credentials, and its errors in our words."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from lineament.errors import (
    IndexFileError,
    IndexServerError,
    LineamentError,
    MissingExtraError,
    OptionError,
)

TOKEN_VARIABLE = "LINEAMENT_MILVUS_TOKEN"

_NOT_FOUND = (100, 1600)
"""Milvus's codes for collections and aliases that are not there."""


@dataclass(frozen=True, slots=True)
class MilvusOptions:
    """How a collection is laid out and asked. ``for_vectors`` chooses by size.

    Attributes:
        index_type: "FLAT" compares with all, exactly; "HNSW": a graph in memory; "IVF_SQ8": cells,
            a byte a number; "DISKANN": a graph on NVMe disks; "AUTOINDEX": the server chooses.
            None: "FLAT" in a local file, "HNSW" on a server.
        build: parameters of the index, instead of ``BUILD``.
        search: parameters of each search, instead of those chosen by k.
        shards: how many logs the collection is written through, 1 to 16; fixed when it is made. A
            local file has one.
        replicas: how many query nodes hold each part in memory; a local file has one.
        mmap: whether the server maps vectors from its disks instead of holding them in memory.
        database: of the server; "" for its default one.
        token: "user:password" or an API key; None: the variable LINEAMENT_MILVUS_TOKEN. Never
            printed.
        timeout_s: seconds for one call.
        load_timeout_s: seconds for bringing a collection into the query nodes' memory.
    """

    index_type: str | None = None
    build: Mapping[str, Any] | None = None
    search: Mapping[str, Any] | None = None
    shards: int = 1
    replicas: int = 1
    mmap: bool = False
    database: str = ""
    token: str | None = field(default=None, repr=False)
    timeout_s: float = 30.0
    load_timeout_s: float = 3600.0

    BUILD: ClassVar[dict[str, dict[str, Any]]] = {
        "FLAT": {},
        "HNSW": {"M": 30, "efConstruction": 360},
        "IVF_SQ8": {"nlist": 1024},
        "DISKANN": {},
        "AUTOINDEX": {},
    }

    def __post_init__(self) -> None:
        """Validate; OptionError says what is wrong."""
        if self.index_type is not None and self.index_type not in self.BUILD:
            raise OptionError(
                f"expected one of {', '.join(self.BUILD)}, got {self.index_type!r}",
                option="index_type",
            )
        if not 1 <= self.shards <= 16:
            raise OptionError(f"expected 1 to 16, got {self.shards}", option="shards")
        if self.replicas < 1:
            raise OptionError(f"expected 1 or more, got {self.replicas}", option="replicas")
        for name in ("timeout_s", "load_timeout_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise OptionError(
                    f"expected seconds above 0, got {getattr(self, name)}", option=name
                )

    @classmethod
    def for_vectors(cls, count: int, **others: Any) -> MilvusOptions:
        """Choose for a cluster with ``count`` vectors; docs/how-to/scale.md has the reasons."""
        if count < 1:
            raise OptionError(f"expected 1 or more, got {count}", option="count")
        index_type = "FLAT" if count <= 100_000 else "HNSW" if count <= 100_000_000 else "DISKANN"
        settings: dict[str, Any] = {
            "index_type": index_type,
            "shards": min(8, max(1, math.ceil(count / 125_000_000))),
            "replicas": 1 if count <= 1_000_000 else 2,
        }
        return cls(**{**settings, **others})

    def searching(self, index_type: str, limit: int) -> dict[str, Any]:
        """Parameters of a search for ``limit`` candidates."""
        if self.search is not None:
            return dict(self.search)
        if index_type == "HNSW":
            return {"ef": max(256, 2 * limit)}
        if index_type == "DISKANN":
            return {"search_list": max(256, 2 * limit)}
        return {"nprobe": 128} if index_type == "IVF_SQ8" else {}


class _Held:
    """A client, and the collection that would be left behind."""

    def __init__(self) -> None:
        self.client: Any = None
        self.unsaved: str | None = None

    def discard(self) -> None:
        client, self.client = self.client, None
        unsaved, self.unsaved = self.unsaved, None
        if client is None:
            return
        with contextlib.suppress(Exception):  # the server may be gone: nobody is there to be told
            if unsaved is not None:
                client.drop_collection(unsaved, timeout=10)
        with contextlib.suppress(Exception):
            client.close()


class MilvusServer:
    """One address. Connects at the first call, and again after ``close``."""

    def __init__(self, uri: str, options: MilvusOptions) -> None:
        """Check the address; OptionError when it is none, or has credentials in it."""
        self.uri, self.local = checked_uri(uri)
        self._options = options
        self._lock = threading.Lock()
        self._held = _Held()
        self._close = weakref.finalize(self, _Held.discard, self._held)

    @property
    def client(self) -> Any:
        """pymilvus's."""
        with self._lock:
            if self._held.client is None:
                self._held.client = self._connect()
                if not self._close.alive:
                    self._close = weakref.finalize(self, _Held.discard, self._held)
            return self._held.client

    @property
    def unsaved(self) -> str | None:
        """A collection that is dropped by ``close``, or when nobody holds this object any more."""
        return self._held.unsaved

    @unsaved.setter
    def unsaved(self, collection: str | None) -> None:
        self._held.unsaved = collection

    def close(self) -> None:
        """Drop what is unsaved, and disconnect."""
        with self._lock:
            self._close()

    def _connect(self) -> Any:
        pymilvus = load_pymilvus()
        secret = self._secret()
        settings: dict[str, Any] = {"timeout": self._options.timeout_s}
        if not self.local:
            if secret:
                settings["token"] = secret
            if self._options.database:
                settings["db_name"] = self._options.database
        elif not Path(self.uri).parent.is_dir():
            raise OptionError(f"{self.uri}: there is no such folder: make it first")
        try:
            return pymilvus.MilvusClient(self.uri, **settings)
        except Exception as error:  # of gRPC, of the engine, of the file system
            raise self.error("connect", error) from error

    def _secret(self) -> str:
        token = self._options.token
        return os.environ.get(TOKEN_VARIABLE, "") if token is None else token

    def error(self, what: str, error: Exception) -> LineamentError:
        """The dependency's error in our words, without anything secret."""
        code, text = getattr(error, "code", None), str(getattr(error, "message", error))
        secret = self._secret()
        for part in (secret, secret.partition(":")[2]):
            if len(part) > 3:  # shorter ones stand in any text, and stars would point at them
                text = text.replace(part, "***")
        text = " ".join(text.split())[:300]
        if code in _NOT_FOUND:
            return IndexFileError(
                f"{self.uri}: the collection was replaced or removed: load again, and if that "
                "fails too, rebuild"
            )
        if what != "connect":
            remedy = f"{TOKEN_VARIABLE} and timeout_s are what can be set here"
        elif self.local:
            remedy = "expected a file that no other process has open, in a folder for writing"
        else:
            remedy = (
                "is the server running, the address right, the network open? Credentials go into "
                f"{TOKEN_VARIABLE}"
            )
        return IndexServerError(f"{self.uri}: Milvus failed to {what}: {text}; {remedy}")

    def call(self, what: str, *args: Any, **settings: Any) -> Any:
        """A method of the client's."""
        client = self.client
        settings.setdefault("timeout", self._options.timeout_s)
        try:
            return getattr(client, what)(*args, **settings)
        except Exception as error:  # pymilvus lets errors of gRPC and of its own through
            raise self.error(what, error) from error


def load_pymilvus() -> Any:
    """The package; MissingExtraError when it is not installed."""
    try:
        import pymilvus
    except ImportError as error:
        raise MissingExtraError("searching in Milvus", "milvus") from error
    # What they log by default are errors with tracebacks, which are raised here in our own words.
    for package, default in (("pymilvus", logging.WARNING), ("milvus_lite", logging.NOTSET)):
        log = logging.getLogger(package)
        if log.level == default:
            log.setLevel(logging.CRITICAL)
    return pymilvus


def checked_uri(uri: str) -> tuple[str, bool]:
    """The address, and whether it is a local file; OptionError when it is neither."""
    if "://" not in uri:
        if not uri.endswith(".db"):
            raise OptionError(
                f"expected http://HOST:PORT, https://... or a file that ends in .db, got {uri!r}",
                option="milvus",
            )
        return uri, True
    try:
        parts = urlsplit(uri)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        port_is_fine = False
    # From here on the address is not repeated: it may hold a password.
    if "@" in uri or "?" in uri:
        raise OptionError(
            f"expected an address without credentials: they go into {TOKEN_VARIABLE}",
            option="milvus",
        )
    if not port_is_fine or parts.scheme not in ("http", "https") or not parts.hostname:
        raise OptionError(f"expected http://HOST:PORT or https://..., got {uri!r}", option="milvus")
    return uri, False
