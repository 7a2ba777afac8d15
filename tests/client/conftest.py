"""A server on a real socket, its key, and both clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from server_under_test import Served, run_server

from lineament import Client, Recognizer
from lineament.server.settings import ServerSettings


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all tests of the client."""
    yield from run_server(ServerSettings(data=tmp_path_factory.mktemp("server"), port=0, threads=2))


@pytest.fixture(scope="package")
def client(server: Served) -> Iterator[Client]:
    """With an administrator's key."""
    with Client(server.address, key=server.keys["admin"]) as made:
        yield made


@pytest.fixture(scope="package")
def recognizer() -> Recognizer:
    """The library's, with which answers are compared."""
    return Recognizer()
