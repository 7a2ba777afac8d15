"""`lineament serve` as a process with workers, for tests."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
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
        certificate: PEM file of its certificate; None: it speaks http.
    """

    address: str
    key: str
    supervisor: subprocess.Popen[str]
    log: Path
    certificate: Path | None = None

    @property
    def verify(self) -> bool | ssl.SSLContext:
        """Whom its certificate is to be from, for httpx and WebSockets."""
        return (
            True
            if self.certificate is None
            else ssl.create_default_context(cafile=self.certificate)
        )

    def client(self) -> httpx.Client:
        """With the key."""
        return httpx.Client(
            base_url=f"{self.address}/v1",
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=60,
            verify=self.verify,
        )

    def find(self, name: str) -> int:
        """Process id of "writer" or of one of the workers, "worker-1"; waits until it is there.

        The writer is who listens on the Unix socket; workers are alike, and have no order.
        """
        due = time.monotonic() + 120
        while time.monotonic() < due:
            children = sorted(self.children())
            writers = [child for child in children if _listens(child)]
            if name == "writer":
                found = writers
            else:
                workers = [child for child in children if child not in writers]
                found = workers[int(name.split("-")[1]) - 1 :]
            if found:
                return found[0]
            time.sleep(0.05)
        raise AssertionError(f"no {name}: {self.log.read_text()}")

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
        due, verify = time.monotonic() + due_s, self.verify
        while time.monotonic() < due:
            try:
                ready = httpx.get(f"{self.address}/v1/ready", timeout=30, verify=verify)
                if ready.status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"not ready: {self.log.read_text()}")


def _listens(pid: int) -> bool:
    """Whether a process has the socket of a writer."""
    lines = [line.split() for line in Path("/proc/net/unix").read_text("ascii").splitlines()]
    numbers = {line[6] for line in lines if line[-1].endswith("/writer.sock")}
    try:
        links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:  # it has ended
        return False
    return any(link in {f"socket:[{number}]" for number in numbers} for link in links)


@contextmanager
def run_processes(
    data: Path,
    *options: str,
    workers: int = 2,
    certificate: Path | None = None,
    before: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Processes]:
    """Start `lineament serve --workers N` on a free port; ends it.

    Args:
        data: its folder.
        options: more of the command.
        workers: processes.
        certificate: of the server, where ``options`` name one.
        before: words of a command that runs it.
        environment: more of it.
    """
    key = KeyStore(data).add("admin")
    log = data.with_name(f"{data.name}.log")
    command = [
        *before,
        sys.executable,
        "-m",
        "lineament",
        "serve",
        "--port",
        "0",
        "--data",
        str(data),
    ]
    command += ["--workers", str(workers), "--threads", "1", *options]
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True,
                                   env={**os.environ, "LINEAMENT_SERVER_LOG": "json",
                                        **(environment or {})})  # fmt: skip
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        address = next(word for word in line.split() if word.startswith("http")).rstrip(";,")
        made = Processes(address, key, process, log, certificate)
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
