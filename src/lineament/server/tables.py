"""Small files of a server's data folder, readable by their owner alone: tables, and secrets."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Lock

from lineament.files import write_private


def connect(path: Path, *, any_thread: bool = False) -> sqlite3.Connection:
    """Open a database, which is made if need be; every statement is on the disk when it returns.

    What is deleted is overwritten, so that nothing of it stays in free pages.

    Args:
        path: of the file.
        any_thread: whether other threads use it, too, one at a time.
    """
    if not path.exists():
        with suppress(FileExistsError):  # another process was first
            write_private(path, b"")
    connection = sqlite3.connect(
        path, timeout=10, isolation_level=None, check_same_thread=not any_thread
    )
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


@contextmanager
def opened(path: Path, *schema: str) -> Iterator[sqlite3.Connection]:
    """As ``connect``, closed in the end.

    Args:
        path: of the file.
        schema: statements that make what there is not.
    """
    with closing(connect(path)) as connection:
        for statement in schema:
            connection.execute(statement)
        yield connection


def add_columns(connection: sqlite3.Connection, table: str, **kinds: str) -> None:
    """Add columns to a table that an earlier version made; those that are there stay.

    Args:
        connection: of the database.
        table: its name.
        kinds: by name, the types; they are NULL in the rows that are there.
    """
    there = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    for name, kind in kinds.items():
        if name not in there:
            try:
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")
            except sqlite3.OperationalError as error:
                if "duplicate column" not in str(error):  # another process was first
                    raise


class Shared:
    """One connection for all threads of a process, which take turns.

    Opening takes longer than most statements: it is done when it is needed, after ``close`` again.
    """

    def __init__(self, path: Path, *settings: str) -> None:
        """Open nothing yet.

        Args:
            path: of the file.
            settings: statements after ``connect``.
        """
        self._path, self._settings = path, settings
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def held(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread."""
        with self._lock:
            if self._connection is None:
                self._connection = connect(self._path, any_thread=True)
                for statement in self._settings:
                    self._connection.execute(statement)
            yield self._connection

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def own_secret(path: Path) -> bytes:
    """32 random bytes that are made once, readable by their owner alone."""
    if not path.exists():
        with suppress(FileExistsError):  # another process was first
            write_private(path, secrets.token_bytes(32))
    return path.read_bytes()
