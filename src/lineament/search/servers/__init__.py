"""Engines on servers of others: PostgreSQL with pgvector, Qdrant, Elasticsearch, OpenSearch.

Each is a ``Backend`` of a few calls; ``server.ServerIndex`` makes an ``Index`` of it. The kind of
such an index is "NAME:ADDRESS" (``lineament.search.SERVERS``). Milvus, which can do more, has
modules of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from lineament.search.servers.elastic import ElasticBackend, OpenSearchBackend
from lineament.search.servers.pgvector import PgvectorBackend
from lineament.search.servers.qdrant import QdrantBackend
from lineament.search.servers.server import Backend, ServerIndex

__all__ = ["BACKENDS", "Backend", "ServerIndex"]

BACKENDS: dict[str, Callable[[str], Backend]] = {
    "pgvector": PgvectorBackend,
    "qdrant": QdrantBackend,
    "elasticsearch": ElasticBackend,
    "opensearch": OpenSearchBackend,
}
"""From an address; OptionError when it is none. Nothing is loaded or connected yet."""
