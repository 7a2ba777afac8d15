"""Which requests are let in: not more than fit into memory and the line, none while it stops.

Plain ASGI, before anything reads a body. What is refused here costs a fraction of a millisecond:
under ten times the load that it can serve, a server goes on to answer as many requests as before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lineament.errors import BusyError, LineamentError, UnavailableError
from lineament.server.problems import problem_of
from lineament.server.receiving import pieces
from lineament.server.work import Work

DISCARDED_BYTES = 1 << 20
"""A body up to this size is read and thrown away when its request is refused, so that the
connection can be used again; of a larger one the connection is closed."""

_LIVING = (b"text/event-stream", b"multipart/x-mixed-replace")
"""Answers without an end: nobody waits for them when the server stops."""


class Admission:
    """What is under way in one process, and whether more may come.

    Attributes:
        under_way: requests that are not answered yet, without streams of events and pictures.
        waiting_bytes: of their bodies, as their headers announce them.
        stopping: set once the server is to end; what sends events for ever looks at it.
    """

    def __init__(self, work: Work, *, max_body_bytes: int, max_waiting_bytes: int) -> None:
        """Nothing is under way.

        Args:
            work: whose line is looked at.
            max_body_bytes: what a body without Content-Length counts for.
            max_waiting_bytes: of all bodies.
        """
        self._work, self._body, self._most = work, max_body_bytes, max_waiting_bytes
        self.under_way, self.waiting_bytes = 0, 0
        self.stopping = asyncio.Event()

    def check(self, method: str, path: str, size: int) -> None:
        """Raise why a request is not let in.

        Raises:
            UnavailableError: the server stops.
            BusyError: the line of work is full, or the bodies of those under way fill the memory.
        """
        if path.endswith(_ALWAYS):
            return
        if self.stopping.is_set():
            raise UnavailableError("the server stops", hint="ask again: another one takes over")
        if method in ("GET", "HEAD", "OPTIONS"):
            return
        self._work.check()
        if size and self.waiting_bytes + size > self._most:
            raise BusyError(
                f"expected at most {self._most:,} bytes of requests under way, got more",
                hint="ask again later",
            )

    async def idle(self, most_s: float) -> bool:
        """Wait until nothing is under way; False: it took too long."""
        loop = asyncio.get_running_loop()
        due_s = loop.time() + most_s
        while self.under_way and loop.time() < due_s:
            await asyncio.sleep(0.02)
        return not self.under_way

    def size_of(self, headers: dict[bytes, bytes]) -> int:
        """Bytes that a request's body may take."""
        length = headers.get(b"content-length", b"")
        if length.isdigit():
            return int(length)
        return self._body if b"transfer-encoding" in headers else 0


_ALWAYS = ("/health", "/ready", "/metrics")


class Admitting:
    """ASGI middleware: answers who is not let in, and counts who is."""

    def __init__(
        self, app: ASGIApp, *, admission: Admission, to_disk: Collection[str] = ()
    ) -> None:
        """Wrap an application.

        Args:
            app: what answers.
            admission: who may come.
            to_disk: paths of POSTs whose bodies take no memory.
        """
        self._app, self._admission, self._to_disk = app, admission, frozenset(to_disk)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        admission = self._admission
        headers = dict(scope["headers"])
        size = 0 if scope["path"] in self._to_disk else admission.size_of(headers)
        try:
            admission.check(scope["method"], scope["path"], size)
        except LineamentError as error:
            await self._refuse(error, size, scope, receive, send)
            return
        admission.under_way += 1
        admission.waiting_bytes += size
        counted = True

        async def answer(message: Message) -> None:
            nonlocal counted
            if message["type"] == "http.response.start":
                kind = dict(message.get("headers", [])).get(b"content-type", b"")
                if counted and kind.startswith(_LIVING):
                    counted = False
                    admission.under_way -= 1
                if admission.stopping.is_set():
                    message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            admission.under_way -= counted
            admission.waiting_bytes -= size

    async def _refuse(
        self, error: LineamentError, size: int, scope: Scope, receive: Receive, send: Send
    ) -> None:
        response = problem_of(error, scope.get("state", {}).get("request_id"))
        if size <= DISCARDED_BYTES:
            with suppress(ClientDisconnect):
                async for _ in pieces(receive):
                    pass
        if size > DISCARDED_BYTES or self._admission.stopping.is_set():
            response.headers["Connection"] = "close"
        await response(scope, receive, send)
