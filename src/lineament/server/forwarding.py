"""One process writes: the others pass requests that change something on to it, over a Unix socket.

A worker reads the whole request (within the limits), sends it on as it came, with the caller's key
or cookie, and passes the answer back as it comes; what is sent with a job goes on piece by piece.
The writer finds out by itself who calls and what they may: nothing has to be believed. Only the
caller's address is taken from the worker, which proves by a secret of this run that it is one; the
socket is in a folder of its owner alone besides. If the writer ends meanwhile, the client gets 503
with Retry-After: with an ``Idempotency-Key`` it may ask again without fear.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lineament.errors import LineamentError, OptionError, TimedOutError, UnavailableError
from lineament.server.problems import problem, problem_of
from lineament.server.receiving import pieces, whole
from lineament.server.table import Operation, find

SECRET_HEADER, CALLER_HEADER = b"x-lineament-worker", b"x-lineament-caller"
KEY_HEADER = b"x-lineament-key"
"""Of the writer's answers: the id of the caller's key, for the worker's log."""
_OWN = (SECRET_HEADER, CALLER_HEADER, KEY_HEADER)
_HOP = (b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade",
        b"content-length", b"expect")  # fmt: skip
"""Headers about one connection (RFC 9110, 7.6.1), and the body's length, which is stated anew."""

UPLOADS = "/jobs"
"""What is sent there may be longer than memory."""

LIVING = ("/jobs", "/streams", "/liveness", "/session", "/users")
"""Paths that the writer answers, whatever the method: what they are about is in its memory, or
passwords are hashed there, so many at once for all workers."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Where the process that writes is.

    Attributes:
        path: of its Unix socket.
        secret: of this run, known to its processes alone.
    """

    path: Path
    secret: str


class Forwarding:
    """ASGI middleware of a worker: passes on what the writer has to answer."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        writer: Writer,
        table: Sequence[Operation],
        prefix: str,
        timeout_s: float,
    ) -> None:
        """Wrap an application.

        Args:
            app: what answers the rest.
            writer: where the writer is.
            table: all operations.
            prefix: of their paths.
            timeout_s: seconds until an answer begins.
        """
        self._app, self._writer, self._table = app, writer, table
        self._prefix, self._timeout_s = prefix, timeout_s

    def concerns(self, scope: Scope) -> bool:
        """Whether the writer answers it."""
        path = scope["path"].removeprefix(self._prefix)
        if any(path == start or path.startswith(f"{start}/") for start in LIVING):
            return True
        found = find(self._table, scope["method"], path) if scope["type"] == "http" else None
        return found is not None and found[0].at_writer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] not in ("http", "websocket") or not self.concerns(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            try:
                with suppress(ClientDisconnect):  # nobody waits for an answer
                    await self._pass_on(scope, receive, send)
            except LineamentError as error:
                await problem_of(error, scope["state"].get("request_id"))(scope, receive, send)
        else:
            await _bridge(self._writer, self._headers(scope), scope, receive, send)

    def _headers(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        caller = json.dumps({"client": scope.get("client"), "scheme": scope["scheme"]})
        number = scope.get("state", {}).get("request_id")
        kept = [
            (name, value) for name, value in scope["headers"]
            if name not in _HOP and name not in _OWN and not (number and name == b"x-request-id")
        ]  # fmt: skip
        if number:
            kept.append((b"x-request-id", number.encode()))
        return [
            *kept,
            (SECRET_HEADER, self._writer.secret.encode()),
            (CALLER_HEADER, caller.encode()),
        ]

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        import h11

        length = dict(scope["headers"]).get(b"content-length", b"")
        long = scope["path"] == f"{self._prefix}{UPLOADS}" and scope["method"] == "POST"
        body = b"" if long else await whole(receive)
        if not long:
            length = str(len(body)).encode()
        target = scope.get("raw_path") or scope["path"].encode()
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=256 << 10)
        framed = (b"content-length", length) if length else (b"transfer-encoding", b"chunked")
        headers = [*self._headers(scope), framed, (b"connection", b"close")]
        if not any(name == b"host" for name, _ in headers):  # HTTP/1.0 has none
            headers.append((b"host", b"localhost"))
        try:
            asked = h11.Request(method=scope["method"], target=target, headers=headers)
        except h11.LocalProtocolError as error:  # more is let in before than HTTP allows
            raise OptionError(f"expected a request as HTTP has it ({error})") from error
        begun = False
        writing: asyncio.StreamWriter | None = None
        try:
            reading, writing = await asyncio.open_unix_connection(str(self._writer.path))
            writing.write(connection.send(asked) or b"")
            if long:
                with suppress(ConnectionError):  # refused before its end: the answer says why
                    async for piece in pieces(receive):
                        writing.write(connection.send(h11.Data(piece)) or b"")
                        await writing.drain()
                    writing.write(connection.send(h11.EndOfMessage()) or b"")
            else:
                for each in (h11.Data(body), h11.EndOfMessage()):
                    writing.write(connection.send(each) or b"")
                await writing.drain()
            due_s = asyncio.get_running_loop().time() + self._timeout_s
            while True:
                event = connection.next_event()
                if event is h11.NEED_DATA:
                    async with asyncio.timeout_at(None if begun else due_s):
                        connection.receive_data(await reading.read(64 << 10))
                elif isinstance(event, h11.Response):
                    begun = True
                    scope["state"]["principal_id"] = (
                        dict(event.headers).get(KEY_HEADER, b"").decode("latin-1")
                    )
                    dropped = (*_HOP[:-2], KEY_HEADER)
                    kept = [(k, v) for k, v in event.headers if k not in dropped]
                    await send({"type": "http.response.start", "status": event.status_code,
                                "headers": kept})  # fmt: skip
                elif isinstance(event, h11.Data):
                    await send({"type": "http.response.body", "body": bytes(event.data),
                                "more_body": True})  # fmt: skip
                elif isinstance(event, h11.EndOfMessage):
                    await send({"type": "http.response.body", "body": b""})
                    return
        except LineamentError:  # of the body: too long, too slow
            raise
        except TimeoutError as error:
            raise TimedOutError(
                f"expected an answer within {self._timeout_s:g} seconds", hint="ask again later"
            ) from error
        except (OSError, h11.RemoteProtocolError) as error:
            if begun:  # what came of the answer cannot be taken back: uvicorn closes the connection
                raise
            raise UnavailableError(
                "the process that writes has just ended; another one takes over",
                hint="ask again, with the same Idempotency-Key",
            ) from error
        finally:
            if writing is not None:
                writing.close()


async def _bridge(
    writer: Writer,
    headers: list[tuple[bytes, bytes]],
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Connect a WebSocket with the writer's."""
    from websockets.asyncio.client import unix_connect
    from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

    await receive()  # websocket.connect
    host = dict(scope["headers"]).get(b"host", b"localhost").decode("latin-1")
    target = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    kept = [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in headers
        if name != b"host" and not name.startswith(b"sec-websocket")
    ]  # fmt: skip
    try:
        theirs = await unix_connect(
            str(writer.path),
            uri=f"ws://{host}{target}{'?' if query else ''}{query}",
            additional_headers=kept,
            subprotocols=scope.get("subprotocols") or None,
            user_agent_header=None,
            compression=None,
            max_size=None,
        )
    except InvalidStatus as error:
        await _deny(scope, send, error.response.status_code, bytes(error.response.body or b""),
                    error.response.headers.get("content-type", "text/plain"))  # fmt: skip
        return
    except (OSError, InvalidHandshake):
        await send({"type": "websocket.close", "code": 1013})
        return
    await send({"type": "websocket.accept", "subprotocol": theirs.subprotocol})

    async def onward() -> None:
        while (message := await receive())["type"] == "websocket.receive":
            text = message.get("text")
            await theirs.send(text if text is not None else message.get("bytes") or b"")
        await theirs.close(message.get("code") or 1000)

    forth = asyncio.ensure_future(onward())
    try:
        async for message in theirs:
            name = "text" if isinstance(message, str) else "bytes"
            await send({"type": "websocket.send", name: message})
    except ConnectionClosed:
        pass
    finally:
        forth.cancel()
        with suppress(asyncio.CancelledError, ConnectionClosed):
            await forth
        with suppress(RuntimeError):  # the client has closed it
            code = theirs.close_code or 1012
            await send({"type": "websocket.close", "code": 1012 if code in (1005, 1006) else code})


async def _deny(scope: Scope, send: Send, status: int, body: bytes, kind: str) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "websocket.http.response.start", "status": status,
                "headers": [(b"content-type", kind.encode("latin-1"))]})  # fmt: skip
    await send({"type": "websocket.http.response.body", "body": body})


class FromWorkers:
    """ASGI middleware of the writer: only workers get in, and say whose request it is."""

    def __init__(self, app: ASGIApp, secret: str) -> None:
        """Wrap an application."""
        self._app, self._secret = app, secret.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] in ("http", "websocket"):
            headers = dict(scope["headers"])
            if not hmac.compare_digest(headers.get(SECRET_HEADER, b""), self._secret):
                if scope["type"] == "http":
                    answer = problem(403, "forbidden", "only workers of this server get in")
                    await answer(scope, receive, send)
                else:
                    await send({"type": "websocket.close", "code": 1008})
                return
            caller: dict[str, Any] = json.loads(headers[CALLER_HEADER])
            client = caller["client"]
            scope["client"] = None if client is None else tuple(client)
            scope["scheme"] = caller["scheme"]
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in _OWN]

        async def signed(message: Message) -> None:
            if message["type"] == "http.response.start":
                principal = scope.get("state", {}).get("principal")
                number = str(getattr(principal, "id", ""))
                message["headers"] = [*message["headers"], (KEY_HEADER, number.encode())]
            await send(message)

        await self._app(scope, receive, signed)
