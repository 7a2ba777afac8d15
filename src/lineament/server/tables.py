"""Small SQLite files of a server's data folder, readable by their owner alone."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def opened(path: Path, *schema: str) -> Iterator[sqlite3.Connection]:
    """A connection; every statement is on the disk when it returns.

    What is deleted is overwritten, so that nothing of it stays in free pages.

    Args:
        path: of the file; it is made if need be.
        schema: statements that make what there is not.
    """
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA synchronous = FULL")
        for statement in schema:
            connection.execute(statement)
        yield connection
