"""A server on a real socket, and photographs to send it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from server_under_test import DEMO, Served, run_server

from lineament.server.settings import ServerSettings


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all tests that leave it as it was."""
    yield from run_server(ServerSettings(data=tmp_path_factory.mktemp("server"), port=0, threads=2))


@pytest.fixture(scope="session")
def photos() -> dict[str, bytes]:
    """The photographs of the package, by name without suffix."""
    return {path.stem: path.read_bytes() for path in DEMO.glob("*.jpg")}
