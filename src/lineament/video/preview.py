"""What is watched, as a page of this machine: moving pictures and the last events in a browser.

The page is served on 127.0.0.1 only, under an address with a secret part, so that neither other
machines nor pages of others in the same browser can look; it loads nothing from elsewhere. Pictures
go out as one endless answer (multipart/x-mixed-replace, JPEG), the newest whenever a viewer is
ready for one.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any

from lineament.errors import OptionError
from lineament.text import printable, reason_of
from lineament.video.events import Event
from lineament.video.outputs import Draw
from lineament.video.tracks import TrackedFrame

HOST = "127.0.0.1"

MOST_VIEWERS = 4
MOST_EVENTS = 30

WAIT_S = 10.0
"""A viewer that takes nothing for so long is left."""

_BOUNDARY = "lineament-frame"
_PICTURES = "lineament.pictures.tracked"


class Preview:
    """An ``Output`` that shows each frame to whoever looks.

    Attributes:
        url: of the page.
    """

    def __init__(self, name: str, port: int = 0) -> None:
        """Begin to listen.

        Args:
            name: of what is watched, as the page's heading.
            port: 0: one that is free.

        Raises:
            OptionError: the port is taken, or not allowed.
        """
        self._secret = secrets.token_urlsafe(12)
        self._name = name
        self._changed = threading.Condition()
        self._picture: bytes | None = None
        self._number = 0
        self._viewers = 0
        self._ended = False
        self._events: deque[str] = deque(maxlen=MOST_EVENTS)
        handler = type("Handler", (_Handler,), {"preview": self})
        try:
            self._server = ThreadingHTTPServer((HOST, port), handler)
        except (OSError, OverflowError) as error:
            raise OptionError(
                f"expected a port that is free, {port} is not ({reason_of(error)})", option="port"
            ) from error
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.url = f"http://{HOST}:{self.port}/{self._secret}/"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="lineament-preview", daemon=True
        )
        self._thread.start()

    def take(self, frame: TrackedFrame, draw: Draw) -> None:
        """Show the frame, if somebody looks."""
        with self._changed:
            self._events.extendleft(str(event) for event in frame.events)
            nobody = not self._viewers
        if nobody:
            return
        data: bytes = import_module(_PICTURES).jpeg_of(draw())
        with self._changed:
            self._picture = data
            self._number += 1
            self._changed.notify_all()

    def finish(self, events: Sequence[Event]) -> None:
        """Stop showing."""
        with self._changed:
            self._events.extendleft(str(event) for event in events)
        self.discard()

    def discard(self) -> None:
        """Stop showing; a second call does nothing."""
        with self._changed:
            ended, self._ended = self._ended, True
            self._changed.notify_all()
        if not ended:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    # --- for the handler --------------------------------------------------------------------------

    def route(self, path: str, host: str | None) -> str | None:
        """What is asked for: "", "stream" or "events"; None: nothing that is here."""
        if host not in (f"{HOST}:{self.port}", f"localhost:{self.port}"):  # a name of others
            return None
        start = f"/{self._secret}/"
        rest = path[len(start) :].partition("?")[0]
        known = secrets.compare_digest(path[: len(start)].encode(), start.encode())
        return rest if known and rest in ("", "stream", "events") else None

    def page(self, nonce: str) -> bytes:
        """The page."""
        text = Path(__file__).with_name("preview.html").read_text("utf-8")
        name = escape(printable(self._name))
        return text.replace("NONCE", nonce).replace("NAME", name).encode()

    def events(self) -> bytes:
        """The last events, the newest first."""
        with self._changed:
            said: dict[str, Any] = {
                "events": [printable(words) for words in self._events],
                "ended": self._ended,
            }
        return json.dumps(said).encode()

    def enter(self) -> bool:
        """A viewer comes; False: there are too many."""
        with self._changed:
            if self._viewers >= MOST_VIEWERS:
                return False
            self._viewers += 1
            return True

    def leave(self) -> None:
        """A viewer goes."""
        with self._changed:
            self._viewers -= 1

    def next_picture(self, after: int) -> tuple[int, bytes] | None:
        """The newest picture past a number, as soon as there is one; None: it has ended."""
        with self._changed:
            while not self._ended and (self._picture is None or self._number <= after):
                self._changed.wait(1.0)
            if self._ended or self._picture is None:
                return None
            return self._number, self._picture


class _Handler(BaseHTTPRequestHandler):
    preview: Preview
    server_version, sys_version = "lineament", ""
    timeout = WAIT_S

    def do_GET(self) -> None:
        """Answer."""
        asked = self.preview.route(self.path, self.headers.get("Host"))
        if asked == "":
            nonce = secrets.token_urlsafe(12)
            policy = (
                f"default-src 'none'; img-src 'self'; connect-src 'self'; "
                f"style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; frame-ancestors 'none'"
            )
            self._answer(
                self.preview.page(nonce),
                "text/html; charset=utf-8",
                {"Content-Security-Policy": policy},
            )
        elif asked == "events":
            self._answer(self.preview.events(), "application/json")
        elif asked == "stream":
            self._stream()
        else:
            self.send_error(404)

    def _answer(self, body: bytes, kind: str, more: dict[str, str] | None = None) -> None:
        self.send_response(200)
        self._head(kind, {"Content-Length": str(len(body)), **(more or {})})
        self.wfile.write(body)

    def _head(self, kind: str, more: dict[str, str]) -> None:
        always = {
            "Content-Type": kind,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        for name, value in {**always, **more}.items():
            self.send_header(name, value)
        self.end_headers()

    def _stream(self) -> None:
        if not self.preview.enter():
            self.send_error(503, "too many viewers")
            return
        try:
            self.send_response(200)
            self._head(f"multipart/x-mixed-replace; boundary={_BOUNDARY}", {"Connection": "close"})
            self.close_connection = True
            number = 0
            while (found := self.preview.next_picture(number)) is not None:
                number, data = found
                head = (
                    f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n"
                    f"Content-Length: {len(data)}\r\n\r\n"
                )
                self.wfile.write(head.encode() + data + b"\r\n")
                self.wfile.flush()
        except OSError:  # the viewer has gone
            pass
        finally:
            self.preview.leave()

    def handle_one_request(self) -> None:
        """As ever; a viewer may go at any moment."""
        with suppress(OSError):
            super().handle_one_request()
            return
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
