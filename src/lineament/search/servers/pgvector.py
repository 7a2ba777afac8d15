"""PostgreSQL with the extension pgvector (both under the PostgreSQL License), through psycopg 3.

A collection is a table ``(id bigint primary key, vector vector(D))``; the register is the table
``lineament_indexes``. Every change is a transaction, which holds the register's row: two writers
cannot change one collection, and nothing is half there after a crash of either side.

Up to ``EXACT_UP_TO`` vectors the server compares with all; above, pgvector's HNSW (M 16, as its
authors advise, ef_construction 128) chooses candidates, scanned further where a filter leaves too
few (``hnsw.iterative_scan``, pgvector 0.8). What is removed is never found again; its row goes with
the next (auto)vacuum, and its bytes stay in the write-ahead log as long as the server keeps that.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from lineament.errors import IndexServerError, MissingExtraError, OptionError
from lineament.search._on_server import Record, Rows
from lineament.search.index import Ids
from lineament.search.servers.server import failed, token
from lineament.types import FloatArray

PASSWORD_VARIABLE = "LINEAMENT_PGVECTOR_PASSWORD"

EXACT_UP_TO = 50_000
"""Vectors up to which all are compared."""

MOST_INDEXED = 2000
"""Numbers of a vector that pgvector's HNSW takes; longer ones are always compared with all."""

LINKS, EXPANSION_BUILD, EXPANSION = 16, 128, 400
"""HNSW's M, ef_construction and ef_search; the last is at most 1,000."""

TIMEOUT_S = 30
"""For connecting; libpq's ``connect_timeout`` in the address is another way."""

_REGISTER = "lineament_indexes"
_QUERY = {
    *("host", "port", "sslmode", "sslrootcert", "sslcert", "connect_timeout", "application_name"),
    *("target_session_attrs", "channel_binding"),
}
"""What an address may say after "?"; all else belongs into libpq's variables and files."""


def checked_address(uri: str) -> str:
    """The address; OptionError when it is none of PostgreSQL's, or has a password in it."""
    try:
        parts = urlsplit(uri)
        fits = parts.scheme in ("postgresql", "postgres") and (parts.port is None or parts.port > 0)
        secret = bool(parts.password)
    except ValueError:
        fits = secret = False
        parts = urlsplit("")
    if secret or "password" in parts.query:
        # From here on the address is not repeated.
        raise OptionError(
            f"expected an address without a password: it goes into {PASSWORD_VARIABLE}, or into "
            "libpq's own PGPASSWORD or password file",
            option="uri",
        )
    if not fits or parts.fragment:
        raise OptionError(
            f"expected postgresql://USER@HOST:PORT/DATABASE, got {uri!r:.200}", option="uri"
        )
    unknown = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)} - _QUERY
    if unknown:
        raise OptionError(
            f"expected {', '.join(sorted(_QUERY))} after the ?, got {', '.join(sorted(unknown))}",
            option="uri",
        )
    return uri


class _Held:
    """Connections that nobody is using, of this process."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.free: list[Any] = []


class PgvectorBackend:
    """As ``Backend``, in one database of PostgreSQL."""

    most_allowed = 1_000_000

    def __init__(self, uri: str) -> None:
        """Check the address; OptionError when it is none, or has a password in it."""
        self.place = checked_address(uri)
        self._lock = threading.Lock()
        self._held = _Held()
        self._mine = threading.local()
        self._is_prepared = False

    def require(self) -> None:
        """As ``Backend.require``."""
        _packages()

    # --- connections ------------------------------------------------------------------------------

    def _connect(self) -> Any:
        psycopg, register = _packages()
        settings: dict[str, Any] = {"autocommit": True}
        if secret := token(PASSWORD_VARIABLE):
            settings["password"] = secret
        if "connect_timeout" not in self.place:
            settings["connect_timeout"] = TIMEOUT_S
        try:
            connection = psycopg.connect(self.place, **settings)
            with self._lock:
                if not self._is_prepared:
                    self._prepare(psycopg, connection)
                    self._is_prepared = True
            register(connection)
        except psycopg.Error as error:
            raise self._failed("connect", error) from error
        return connection

    def _prepare(self, psycopg: Any, connection: Any) -> None:
        """The extension and the register; made once, by whoever comes first."""
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(5281702031)")  # of all lineaments
            there = connection.execute(
                "SELECT 1 FROM pg_extension WHERE extname = 'vector'"
            ).fetchone()
            if there is None:
                try:
                    with connection.transaction():
                        connection.execute("CREATE EXTENSION vector")
                except psycopg.Error as error:
                    raise IndexServerError(
                        f"{self.place}: the extension pgvector is not there and cannot be made "
                        f"({' '.join(str(error).split())[:200]}); install pgvector on the server, "
                        "and let an administrator run  CREATE EXTENSION vector  in the database"
                    ) from error
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {_REGISTER} (name text PRIMARY KEY, "
                "collection text NOT NULL, version text NOT NULL, contract text NOT NULL, "
                "dimension text NOT NULL, state text NOT NULL, writer text NOT NULL)"
            )

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """A connection for this block alone; in a ``writing`` block, the one of its transaction."""
        own = getattr(self._mine, "connection", None)
        if own is not None:
            yield own
            return
        psycopg, _ = _packages()
        with self._lock:
            if self._held.process != os.getpid():  # a fork: the connections are the parent's
                self._held = _Held()
            connection = self._held.free.pop() if self._held.free else None
        if connection is not None and connection.closed:
            connection = None
        connection = self._connect() if connection is None else connection
        try:
            yield connection
        except psycopg.Error as error:
            raise self._failed("answer", error) from error
        finally:
            if connection.closed or connection.info.transaction_status != 0:
                connection.close()
            else:
                with self._lock:
                    self._held.free.append(connection)

    def _failed(self, what: str, error: Exception) -> IndexServerError:
        return failed(
            self.place,
            what,
            error,
            token(PASSWORD_VARIABLE),
            remedy=f"is PostgreSQL running, the address right? The password goes into "
            f"{PASSWORD_VARIABLE}",
        )

    def close(self) -> None:
        """As ``Backend.close``."""
        with self._lock:
            free, self._held = self._held, _Held()
        for connection in free.free if free.process == os.getpid() else ():
            connection.close()

    def _run(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """One statement; its rows."""
        with self._connection() as connection:
            cursor = connection.execute(query, values)
            rows: list[Any] = cursor.fetchall() if cursor.description is not None else []
            return rows

    # --- the register -----------------------------------------------------------------------------

    def record(self, name: str) -> Record | None:
        """As ``Backend.record``."""
        rows = self._run(
            "SELECT collection, version, contract, dimension, state, writer "
            f"FROM {_REGISTER} WHERE name = %s",
            (name,),
        )
        return Record(*rows[0]) if rows else None

    def enter(self, name: str, record: Record) -> None:
        """As ``Backend.enter``."""
        values = (record.collection, record.version, record.contract, record.dimension)
        self._run(
            f"INSERT INTO {_REGISTER} (name, collection, version, contract, dimension, state, "
            "writer) VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (name) DO UPDATE SET "
            "collection = excluded.collection, version = excluded.version, "
            "contract = excluded.contract, dimension = excluded.dimension, "
            "state = excluded.state, writer = excluded.writer",
            (name, *values, record.state, record.writer),
        )

    def strike(self, name: str) -> None:
        """As ``Backend.strike``."""
        self._run(f"DELETE FROM {_REGISTER} WHERE name = %s", (name,))

    @contextmanager
    def writing(self, name: str, writer: str) -> Iterator[bool]:
        """As ``Backend.writing``: a transaction that holds the register's row."""
        with self._connection() as connection, connection.transaction():
            row = connection.execute(
                f"SELECT writer FROM {_REGISTER} WHERE name = %s FOR UPDATE", (name,)
            ).fetchone()
            self._mine.connection = connection
            try:
                yield row is not None and row[0] == writer
            finally:
                self._mine.connection = None

    # --- collections ------------------------------------------------------------------------------

    def collections(self, prefix: str) -> list[str]:
        """As ``Backend.collections``."""
        rows = self._run(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND starts_with(relname, %s) "
            "AND pg_table_is_visible(oid)",
            (prefix,),
        )
        return [str(row[0]) for row in rows]

    def create(self, collection: str, dimension: int) -> None:
        """As ``Backend.create``."""
        self._run(
            f"CREATE TABLE {_quoted(collection)} "
            f"(id bigint PRIMARY KEY, vector vector({int(dimension)}) NOT NULL)"
        )

    def drop(self, collection: str) -> None:
        """As ``Backend.drop``."""
        self._run(f"DROP TABLE IF EXISTS {_quoted(collection)}")

    def count(self, collection: str) -> int:
        """As ``Backend.count``."""
        return int(self._run(f"SELECT count(*) FROM {_quoted(collection)}")[0][0])

    def upsert(self, collection: str, ids: Ids, vectors: FloatArray) -> None:
        """As ``Backend.upsert``."""
        table = _quoted(collection)
        with self._connection() as connection, connection.transaction():
            connection.execute(
                f"CREATE TEMPORARY TABLE IF NOT EXISTS lineament_new (LIKE {table}) ON COMMIT DROP"
            )
            connection.execute("TRUNCATE lineament_new")
            with connection.cursor().copy(
                "COPY lineament_new (id, vector) FROM STDIN WITH (FORMAT BINARY)"
            ) as copy:
                copy.set_types(["int8", "vector"])
                for number, vector in zip(ids.tolist(), vectors, strict=True):
                    copy.write_row((number, vector))
            connection.execute(
                f"INSERT INTO {table} SELECT id, vector FROM lineament_new "
                "ON CONFLICT (id) DO UPDATE SET vector = excluded.vector"
            )
            connection.execute("DROP TABLE lineament_new")

    def delete(self, collection: str, ids: Ids) -> None:
        """As ``Backend.delete``."""
        self._run(f"DELETE FROM {_quoted(collection)} WHERE id = ANY(%s)", (ids.tolist(),))

    def present(self, collection: str, ids: Ids) -> Ids:
        """As ``Backend.present``."""
        rows = self._run(
            f"SELECT id FROM {_quoted(collection)} WHERE id = ANY(%s)", (ids.tolist(),)
        )
        return np.array([row[0] for row in rows], np.int64)

    def fetch(self, collection: str, ids: Ids, dimension: int) -> Rows:
        """As ``Backend.fetch``."""
        rows = self._run(
            f"SELECT id, vector FROM {_quoted(collection)} WHERE id = ANY(%s)", (ids.tolist(),)
        )
        return _rows(rows, dimension)

    def nearest(
        self, collection: str, queries: FloatArray, count: int, allowed: Ids | None
    ) -> Sequence[Rows]:
        """As ``Backend.nearest``."""
        table = _quoted(collection)
        condition, more = (
            ("", ()) if allowed is None else ("WHERE id = ANY(%s) ", (allowed.tolist(),))
        )
        query = f"SELECT id, vector FROM {table} {condition}ORDER BY vector <#> %s LIMIT %s"
        found: list[Rows] = []
        with self._connection() as connection, connection.transaction():
            connection.execute(f"SET LOCAL hnsw.ef_search = {max(EXPANSION, min(1000, 2 * count))}")
            connection.execute("SET LOCAL hnsw.iterative_scan = strict_order")
            total = None
            for vector in queries:
                rows = connection.execute(query, (*more, vector, count), binary=True).fetchall()
                if len(rows) < count:  # the graph did not reach so many: compare with all
                    if total is None:
                        total = connection.execute(
                            f"SELECT count(*) FROM {table} {condition}", more
                        ).fetchone()[0]
                    if len(rows) < min(count, total):
                        with connection.transaction():
                            connection.execute("SET LOCAL enable_indexscan = off")
                            rows = connection.execute(
                                query, (*more, vector, count), binary=True
                            ).fetchall()
                            connection.execute("SET LOCAL enable_indexscan = on")
                found.append(_rows(rows, queries.shape[1]))
        return found

    def settle(self, collection: str) -> None:
        """As ``Backend.settle``: make the graph, where there are enough vectors for one."""
        rows = self._run(
            "SELECT atttypmod FROM pg_attribute WHERE attrelid = %s::regclass "
            "AND attname = 'vector'",
            (_quoted(collection),),
        )
        if rows[0][0] > MOST_INDEXED or self.count(collection) <= EXACT_UP_TO:
            return
        with self._connection() as connection, connection.transaction():
            connection.execute("SET LOCAL maintenance_work_mem = '1GB'")
            connection.execute(
                f"CREATE INDEX IF NOT EXISTS {_quoted(collection + '_hnsw')} "
                f"ON {_quoted(collection)} USING hnsw (vector vector_ip_ops) "
                f"WITH (m = {LINKS}, ef_construction = {EXPANSION_BUILD})"
            )


def _packages() -> tuple[Any, Callable[[Any], None]]:
    """psycopg, and what teaches it vectors; MissingExtraError when one is not installed."""
    try:
        import psycopg
        from pgvector.psycopg import register_vector
    except ImportError as error:
        raise MissingExtraError("searching in PostgreSQL", "pgvector") from error
    return psycopg, register_vector


def _quoted(name: str) -> str:
    """A table's name; ``ServerIndex`` gives only letters, digits and "_"."""
    assert name.isascii()
    assert name.isidentifier()
    return f'"{name}"'


def _rows(rows: Sequence[Any], dimension: int) -> Rows:
    vectors = np.empty((len(rows), dimension), np.float32)
    for i, row in enumerate(rows):
        value = row[1]
        vectors[i] = value if isinstance(value, np.ndarray) else value.to_numpy()
    return np.array([row[0] for row in rows], np.int64), vectors
