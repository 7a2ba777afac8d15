"""Small files of a server's data folder, readable by their owner alone: tables, and secrets."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

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


def own_secret(path: Path) -> bytes:
    """32 random bytes that are made once, readable by their owner alone."""
    if not path.exists():
        with suppress(FileExistsError):  # another process was first
            write_private(path, secrets.token_bytes(32))
    return path.read_bytes()
