"""Answers never name the server's folders: the library's messages about a gallery begin with its.

``/srv/lineament/galleries/staff: nobody is enrolled`` becomes ``staff: nobody is enrolled``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TEXT = (b"json", b"event-stream")
"""Media types that are looked through: how they end."""


class Paths:
    """ASGI middleware: takes the data folder's path out of answers."""

    def __init__(self, app: ASGIApp, *, data: Path) -> None:
        """Wrap an application.

        Args:
            app: what answers.
            data: the server's folder.
        """
        self._app = app
        galleries = data / "galleries"
        pairs = [(f"{galleries}{os.sep}", ""), (f"{galleries.resolve()}{os.sep}", "")]
        pairs += [
            (str(folder), "the server's folder")
            for folder in (data, data.resolve())
            if folder.is_absolute() and len(folder.parts) > 2  # "/data" may be part of any text
        ]
        self._pairs = [
            (json.dumps(path, ensure_ascii=ascii_only)[1:-1].encode(), words.encode())
            for path, words in pairs
            for ascii_only in (False, True)
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        looked_through = False

        async def answer(message: Message) -> None:
            nonlocal start, looked_through
            if message["type"] == "http.response.start":
                kind = _header(message, b"content-type").partition(b";")[0]
                looked_through = kind.endswith(_TEXT)
                if looked_through:
                    start = message  # its length is known with the body
                    return
            elif message["type"] == "http.response.body" and looked_through:
                body = bytes(message.get("body", b""))
                clean = self._without(body)
                if start is not None:
                    if len(clean) != len(body):
                        _resize(start, len(clean) - len(body))
                    await send(start)
                    start = None
                message["body"] = clean
            await send(message)

        await self._app(scope, receive, answer)

    def _without(self, body: bytes) -> bytes:
        for path, words in self._pairs:
            if path in body:
                body = body.replace(path, words)
        return body


def _header(message: Message, wanted: bytes) -> bytes:
    for name, value in message.get("headers", []):
        if name.lower() == wanted:
            return bytes(value)
    return b""


def _resize(start: Message, by: int) -> None:
    """Correct the length of an answer that comes in one part; one of several parts states none."""
    start["headers"] = [
        (name, str(int(value) + by).encode() if name.lower() == b"content-length" else value)
        for name, value in start["headers"]
    ]
