"""Connections: so many at once, and none that keeps a request's header to itself.

uvicorn closes connections that were used and are idle. It waits for ever for the first request, and
for the rest of a header that began: a few thousand such connections would keep everybody else out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import uvicorn

from lineament.server.admission import Admission
from lineament.server.settings import ServerSettings

logger = logging.getLogger("lineament.server")

MOST_HEADER_BYTES = 64 << 10
"""Of one request; httptools has no limit of its own."""

_BODY = (
    b'{"type":"urn:lineament:error:unavailable","title":"unavailable","status":503,"detail":'
    b'"too many connections are open","code":"unavailable","option":null,"hint":"ask again later",'
    b'"request":null}'
)
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n"
    b"retry-after: 1\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)

_LONG_BODY = (
    b'{"type":"urn:lineament:error:option_invalid","title":"option invalid","status":431,"detail":'
    b'"expected a header of at most %d bytes","code":"option_invalid","option":null,"hint":null,'
    b'"request":null}' % MOST_HEADER_BYTES
)
_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/problem+json\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(_LONG_BODY), _LONG_BODY)
)


def protocol_class(settings: ServerSettings) -> type[Any]:
    """uvicorn's protocol (with httptools if it is installed, else h11), with the limits."""
    base: Any
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as base  # noqa: N813
    except ImportError:
        from uvicorn.protocols.http.h11_impl import H11Protocol as base  # noqa: N813

    class Timely(base):  # type: ignore[misc]
        """One connection."""

        _timer: asyncio.TimerHandle | None = None
        _upgraded = False
        _head_bytes = 0
        _body = False  # of httptools: its header came, and its end did not

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > settings.connections:
                transport.write(_FULL)
                transport.close()
                return
            self._arm()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._upgraded:
                return
            if self.cycle is None or self.cycle.response_complete:
                # What is refused may be answered before its body came, which is thrown away.
                self._head_bytes = 0 if self._in_body() else self._head_bytes + len(data)
                if self._head_bytes > MOST_HEADER_BYTES and not self.transport.is_closing():
                    self.transport.write(_LONG)  # it may be lost, since the rest is not read
                    self.transport.close()
                self._arm()  # part of a header, or such a body: the timer that runs goes on
            else:
                self._head_bytes = 0
                self._disarm()

        def on_headers_complete(self) -> None:
            self._body = True
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._body = False
            super().on_message_complete()

        def _in_body(self) -> bool:
            if (connection := getattr(self, "conn", None)) is None:
                return self._body
            return str(connection.their_state) == "SEND_BODY"  # h11's

        def handle_websocket_upgrade(self, *event: Any) -> None:
            self._upgraded = True
            self._disarm()
            super().handle_websocket_upgrade(*event)

        def connection_lost(self, exc: Exception | None) -> None:
            self._disarm()
            super().connection_lost(exc)

        def _arm(self) -> None:
            if self._timer is None:
                self._timer = self.loop.call_later(settings.header_timeout_s, self._late)

        def _disarm(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _late(self) -> None:
            self._timer = None
            busy = self.cycle is not None and not self.cycle.response_complete
            if not busy and not self.transport.is_closing():
                self.transport.close()

    return Timely


class Drained(uvicorn.Server):
    """A server that, told to end, answers what is under way and refuses the rest, then ends.

    ``on_started`` is called once it answers. While it ends, ``ready`` answers 503 and so does
    everything new: a load balancer can go on to another server before the port is closed.
    """

    def __init__(self, config: Any, admission: Admission, settings: ServerSettings) -> None:
        """Take what is counted, and how long it may take."""
        super().__init__(config)
        self._admission, self._drain_s = admission, settings.drain_s
        self.on_started: Callable[[], None] | None = None

    async def startup(self, sockets: Any = None) -> None:
        """Begin, and say so."""
        await super().startup(sockets)
        if self.on_started is not None:
            self.on_started()

    async def shutdown(self, sockets: Any = None) -> None:
        """Wait for what is under way, then end."""
        self._admission.stopping.set()
        if not await self._admission.idle(self._drain_s):
            logger.warning("stopped after %g seconds with requests under way", self._drain_s)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """As uvicorn does, without the signal once more in the end: to be stopped is no failure."""
        with super().capture_signals():
            try:
                yield
            finally:
                self._captured_signals.clear()


def make_server(
    app: Any, settings: ServerSettings, admission: Admission, **options: Any
) -> Drained:
    """A server of an application, with the limits of the settings.

    Args:
        app: what answers.
        settings: connections, timeouts, TLS.
        admission: what the application counts its requests by.
        options: of ``uvicorn.Config``, instead.
    """
    chosen: dict[str, Any] = {
        "http": protocol_class(settings),
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "timeout_keep_alive": settings.keep_alive_s,
        "timeout_graceful_shutdown": 1,  # of what did not end in drain_s
        "ssl_certfile": settings.tls_certificate,
        "ssl_keyfile": settings.tls_key,
        "h11_max_incomplete_event_size": MOST_HEADER_BYTES,
        "ws_max_size": settings.max_body_bytes,
    } | options
    return Drained(uvicorn.Config(app, **chosen), admission, settings)
