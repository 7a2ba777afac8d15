"""`lineament serve` as a process with workers, for tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from lineament.server.keys import KeyStore


@dataclass
class Processes:
    """A server of several processes.

    Attributes:
        address: "http://127.0.0.1:PORT".
        key: of an admin.
        supervisor: the process that was started.
        log: file with what it wrote to standard error.
    """

    address: str
    key: str
    supervisor: subprocess.Popen[str]
    log: Path

    def client(self) -> httpx.Client:
        """With the key."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=f"{self.address}/v1", headers=headers, timeout=60)

    def find(self, name: str) -> int:
        """Process id of "writer" or "worker-1"; waits until it is there.

        A child of the supervisor is found by its Unix socket or by elimination: the children are
        started in the order writer, workers.
        """
        children = sorted(self.children())
        return children[0] if name == "writer" else children[int(name.split("-")[1])]

    def children(self) -> list[int]:
        """Ids of the processes that serve."""
        pid = self.supervisor.pid
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        found = []
        for child in map(int, text.split()):
            try:
                words = Path(f"/proc/{child}/cmdline").read_bytes()
            except OSError:
                continue
            if b"spawn_main" in words:
                found.append(child)
        return found

    def wait(self, due_s: float = 120) -> None:
        """Wait until it is ready."""
        due = time.monotonic() + due_s
        while time.monotonic() < due:
            try:
                if httpx.get(f"{self.address}/v1/ready", timeout=30).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"not ready: {self.log.read_text()}")


@contextmanager
def run_processes(data: Path, *options: str, workers: int = 2) -> Iterator[Processes]:
    """Start `lineament serve --workers N` on a free port; ends it."""
    key = KeyStore(data).add("admin")
    log = data.with_name(f"{data.name}.log")
    command = [sys.executable, "-m", "lineament", "serve", "--port", "0", "--data", str(data)]
    command += ["--workers", str(workers), "--threads", "1", *options]
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True,
                                   env={**os.environ, "LINEAMENT_SERVER_LOG": "json"})  # fmt: skip
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        address = next(word for word in line.split() if word.startswith("http://")).rstrip(";,")
        made = Processes(address, key, process, log)
        made.wait()
        yield made
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(90)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            process.stdout.close()
        assert code == 0, log.read_text()
