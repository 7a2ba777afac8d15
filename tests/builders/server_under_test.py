"""A server on a real socket, with a key of each role, for tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

import lineament
from lineament.server import create_app
from lineament.server.connections import make_server
from lineament.server.roles import ROLES
from lineament.server.settings import ServerSettings

DEMO = Path(lineament.__file__).parent / "data" / "demo"
"""The photographs of the package."""


@dataclass
class Served:
    """A server that runs in a thread of this process.

    Attributes:
        address: "http://127.0.0.1:PORT".
        keys: role -> a key for all galleries.
        settings, app: its own.
    """

    address: str
    settings: ServerSettings
    app: object
    keys: dict[str, str] = field(default_factory=dict)

    def client(self, role: str | None = "admin") -> httpx.Client:
        """A plain HTTP client with the key of a role, or none."""
        headers = {} if role is None else {"Authorization": f"Bearer {self.keys[role]}"}
        # Nothing is encrypted here, and to read the authorities takes longer than an answer.
        address = f"{self.address}/v1"
        return httpx.Client(base_url=address, headers=headers, timeout=60, verify=False)


def run_server(settings: ServerSettings) -> Iterator[Served]:
    """Start a server on a free port; ends it."""
    app = create_app(settings)
    server = make_server(app, settings, app.state.admission, port=0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    due = time.monotonic() + 300  # of a busy machine
    while not server.started and thread.is_alive() and time.monotonic() < due:
        time.sleep(0.01)
    assert server.started
    port = server.servers[0].sockets[0].getsockname()[1]
    served = Served(f"http://127.0.0.1:{port}", settings, app)
    served.keys = {role: app.state.lineament.keys.add(role) for role in ROLES}
    try:
        yield served
    finally:
        server.should_exit = True
        thread.join(60)
