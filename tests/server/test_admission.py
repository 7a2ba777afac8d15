"""Who is let in under load and at the end; what is under way is answered."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from server_under_test import Served, run_server

from lineament.server.settings import ServerSettings


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Served]:
    """A server with one thread, a line of one, and few connections."""
    yield from run_server(
        ServerSettings(
            data=tmp_path, port=0, threads=1, queue=1, connections=8, max_waiting_bytes=1 << 20
        )
    )


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Served]:
    """A server with short patience; a client on a busy machine may well be too slow for it."""
    yield from run_server(
        ServerSettings(data=tmp_path, port=0, threads=1, header_timeout_s=0.5, keep_alive_s=0.5)
    )


@contextmanager
def full_line(served: Served) -> Iterator[None]:
    """Take the thread and the place in the line."""
    app: Any = served.app
    work, free, ended = app.state.lineament.work, threading.Event(), []

    def fill() -> None:
        async def both() -> None:
            await asyncio.gather(*(work.run(free.wait) for _ in range(2)))

        asyncio.run(both())
        ended.append(True)

    thread = threading.Thread(target=fill)
    thread.start()
    while work.waiting < 1:
        time.sleep(0.001)
    try:
        yield
    finally:
        free.set()
        thread.join(60)
        assert ended


def test_a_full_line_is_said_at_once(small: Served, photos: dict[str, bytes]) -> None:
    files = {"a": photos["obama"], "b": photos["obama2"]}
    with small.client("verify") as client:
        with full_line(small):
            refused = client.post("/compare", files=files)
            health = client.get("/ready")
        served = client.post("/compare", files=files)
    assert refused.status_code == 429
    assert refused.json()["code"] == "busy"
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["x-request-id"] == refused.json()["request"]
    assert health.status_code == 200
    assert served.status_code == 200, served.text


def test_bodies_that_would_fill_the_memory_are_refused(small: Served) -> None:
    with small.client("verify") as client:
        headers = {"content-type": "image/jpeg"}
        answer = client.post("/detect", content=bytes(1 << 20) + b"x", headers=headers)
        smaller = client.post("/detect", content=bytes(1 << 19), headers=headers)
    assert answer.status_code == 429
    assert answer.headers["connection"] == "close"
    assert smaller.status_code == 422


def connect(served: Served) -> socket.socket:
    host, port = served.address.removeprefix("http://").split(":")
    made = socket.create_connection((host, int(port)))
    made.settimeout(20)
    return made


@pytest.mark.parametrize(
    "begun", [b"", b"GET /v1/health HTTP/1.1\r\nHost: x\r\nX-A: ", b"GET /v1/health"]
)
def test_a_header_that_does_not_come_ends_the_connection(hasty: Served, begun: bytes) -> None:
    with connect(hasty) as made:
        made.sendall(begun)
        assert made.recv(1000) == b""


def test_the_second_header_of_a_connection_has_to_come_too(hasty: Served) -> None:
    with connect(hasty) as made:
        made.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/hea")
        received = b""
        while more := made.recv(1000):
            received += more
    assert received.count(b"HTTP/1.1 200") == 1


def test_a_header_without_end_ends_the_connection(hasty: Served) -> None:
    with connect(hasty) as made:
        made.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\nX-A: ")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            made.sendall(b"x" * (16 << 20))


def test_too_many_connections_are_told_so(small: Served) -> None:
    made = [connect(small) for _ in range(8)]
    with connect(small) as late:
        answer = late.recv(1000)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1\r\n" in answer
    for each in made:
        each.close()


STARTER = """
import sys
from lineament.server import routes
from lineament.server.routes import faces
from lineament.pipeline import Recognizer
verify = Recognizer.verify
def slow(self, *args, **options):
    print("begun", flush=True)
    sys.stdin.readline()
    return verify(self, *args, **options)
Recognizer.verify = slow
from lineament.cli import main
main()
"""


@pytest.mark.slow
def test_a_server_that_is_told_to_end_answers_what_is_under_way(
    tmp_path: Path, photos: dict[str, bytes]
) -> None:
    from lineament.server.keys import KeyStore

    key = KeyStore(tmp_path).add("verify")
    process = subprocess.Popen(
        [sys.executable, "-c", STARTER, "serve", "--port", "0", "--data", str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    address = next(word for word in process.stdout.readline().split() if word.startswith("http"))
    address = address.rstrip(";")
    headers = {"Authorization": f"Bearer {key}"}
    files = {"a": photos["obama"], "b": photos["obama2"]}
    due = time.monotonic() + 60
    while time.monotonic() < due:
        try:
            if httpx.get(f"{address}/v1/ready").status_code == 200:
                break
        except httpx.TransportError:
            time.sleep(0.05)
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(
            httpx.post, f"{address}/v1/compare", files=files, headers=headers, timeout=60
        )
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGTERM)
        due = time.monotonic() + 60
        while httpx.get(f"{address}/v1/ready", timeout=60).status_code != 503:
            assert time.monotonic() < due
            time.sleep(0.02)
        refused = httpx.post(f"{address}/v1/compare", files=files, headers=headers, timeout=60)
        assert refused.status_code == 503
        assert refused.json()["code"] == "unavailable"
        assert refused.headers["retry-after"] == "1"
        assert not under_way.done()
        process.stdin.write("\n")
        process.stdin.close()
        assert under_way.result().status_code == 200
        assert under_way.result().json()["verdict"] == "same"
    assert process.wait(60) == 0
    process.stdout.close()
