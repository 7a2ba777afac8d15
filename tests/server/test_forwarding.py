"""What a worker passes on, without any process: by the table of routes."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from lineament.server.app import PREFIX, ROUTERS
from lineament.server.forwarding import Forwarding, FromWorkers, Writer
from lineament.server.table import operations

TABLE = operations(ROUTERS)


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers 204."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def forwarding(path: Path) -> Forwarding:
    return Forwarding(
        nothing, writer=Writer(path, "s" * 64), table=TABLE, prefix=PREFIX, timeout_s=0.2
    )


def scope_of(method: str, path: str) -> dict[str, Any]:
    return {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": [], "scheme": "http", "client": ("10.0.0.7", 4711),
        "state": {"request_id": "abc"},
    }  # fmt: skip


async def answered(app: Any, scope: dict[str, Any]) -> tuple[int, dict[bytes, bytes]]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"])


def test_what_changes_something_goes_to_the_writer(tmp_path: Path) -> None:
    made = forwarding(tmp_path / "none.sock")
    for operation in TABLE:
        path = PREFIX + operation.path.replace("{", "").replace("}", "").replace("person", "1")
        if operation.writes:
            assert made.concerns(scope_of(operation.method, path)), operation.id
    for method, path in (("POST", "/compare"), ("GET", "/galleries"), ("POST", "/detect")):
        assert not made.concerns(scope_of(method, PREFIX + path))


def test_without_a_writer_it_says_ask_again(tmp_path: Path) -> None:
    path = tmp_path / "w.sock"
    status, headers = asyncio.run(
        answered(forwarding(path), scope_of("DELETE", f"{PREFIX}/galleries/staff"))
    )
    assert (status, headers[b"retry-after"]) == (503, b"1")


def test_a_writer_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "w.sock"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
        made.listen(1)  # as while the writer starts: the connection waits
        status, _ = asyncio.run(
            answered(forwarding(path), scope_of("DELETE", f"{PREFIX}/galleries/staff"))
        )
    assert status == 504


def test_what_is_no_http_is_the_caller_s_mistake(tmp_path: Path) -> None:
    scope = scope_of("DELETE", f"{PREFIX}/galleries/staff")
    scope["headers"] = [(b"x-a", b"b\x00c")]
    assert asyncio.run(answered(forwarding(tmp_path / "w.sock"), scope))[0] == 422


@pytest.mark.parametrize("secret", [b"", b"x", b"s" * 63, b"s" * 65])
def test_the_writer_lets_only_workers_in(secret: bytes) -> None:
    scope = scope_of("GET", "/v1/galleries")
    scope["headers"] = [(b"x-lineament-worker", secret), (b"x-lineament-caller", b"{}")]
    assert asyncio.run(answered(FromWorkers(nothing, "s" * 64), scope))[0] == 403


def test_the_writer_sees_the_caller_s_address() -> None:
    scope = scope_of("GET", "/v1/galleries") | {"client": None}
    caller = b'{"client": ["10.0.0.7", 4711], "scheme": "https"}'
    scope["headers"] = [
        (b"x-lineament-worker", b"s" * 64), (b"x-lineament-caller", caller), (b"a", b"b"),
    ]  # fmt: skip
    assert asyncio.run(answered(FromWorkers(nothing, "s" * 64), scope))[0] == 204
    assert scope["client"] == ("10.0.0.7", 4711)
    assert scope["scheme"] == "https"
    assert scope["headers"] == [(b"a", b"b")]
