"""Heads that are too long are refused, and whoever hangs up is no failure of the server."""

from __future__ import annotations

import logging
import socket
import time
from contextlib import suppress

import pytest
from server_under_test import Served

from lineament.server.connections import MOST_HEADER_BYTES


def test_a_header_that_is_too_long_is_refused(server: Served) -> None:
    host, _, port = server.address.removeprefix("http://").partition(":")
    answer = b""
    with (
        suppress(ConnectionError),  # it hangs up with the rest unread
        socket.create_connection((host, int(port)), timeout=60) as line,
    ):
        line.sendall(b"GET /v1/health HTTP/1.1\r\nX: " + b"y" * (66 << 10))
        while part := line.recv(4096):
            answer += part
    assert b" 431 " in answer.partition(b"\r\n")[0] or not answer
    with server.client("verify") as client:
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize("path", ["/v1/detect", "/v1/galleries"])
def test_who_hangs_up_leaves_no_trace(
    server: Served, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    host, _, port = server.address.removeprefix("http://").partition(":")
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.keys['admin']}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    )
    with caplog.at_level(logging.ERROR):
        with socket.create_connection((host, int(port))) as line:
            line.sendall(head.encode())
            time.sleep(0.2)  # the route waits for the rest
        with server.client("verify") as client:
            for _ in range(20):
                assert client.get("/health").status_code == 200
                time.sleep(0.02)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_body_that_comes_after_its_refusal_is_no_header(server: Served) -> None:
    """Who has a wrong key is told so, and may go on with the same connection."""
    host, port = server.address.removeprefix("http://").split(":")
    length = 4 * MOST_HEADER_BYTES
    head = f"POST /v1/compare HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nX-API-Key: wrong"
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n")
        answers = connection.makefile("rb")
        assert b" 401 " in answers.readline()
        while answers.readline() != b"\r\n":
            pass
        for _ in range(4):
            connection.sendall(bytes(MOST_HEADER_BYTES))
            time.sleep(0.05)  # each is a piece of its own to the server
        connection.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        rest = answers.read()
    assert b" 200 " in rest
    assert b" 431 " not in rest
