"""Whoever hangs up is no failure of the server."""

from __future__ import annotations

import logging
import socket
import time

import pytest
from server_under_test import Served


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
