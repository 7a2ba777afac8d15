"""Small files of a server's data folder, readable by their owner alone: tables, and secrets."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from lineament.files import sync_file


def connect(path: Path) -> sqlite3.Connection:
    """Open a database, which is made if need be; every statement is on the disk when it returns.

    What is deleted is overwritten, so that nothing of it stays in free pages.
    """
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    connection = sqlite3.connect(path, timeout=10, isolation_level=None)
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
    with suppress(FileNotFoundError):
        return path.read_bytes()
    made = path.with_name(f".{path.name}-{secrets.token_hex(8)}.tmp")
    handle = os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
            sync_file(file)
        with suppress(FileExistsError):  # another process was first
            os.link(made, path)
    finally:
        made.unlink()
    return path.read_bytes()
