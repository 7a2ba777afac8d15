"""What every request is held to before anything reads it: bytes and seconds of its body; its id.

Plain ASGI, since middleware of other kinds reads bodies whole.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from itertools import count

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lineament.errors import BodyTooLargeError, TooSlowError
from lineament.server.problems import problem_of
from lineament.server.receiving import check_size, limited

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Ids of callers that are taken over; others get one of ours."""

_START, _NUMBERS = secrets.token_hex(6), count(1)

_SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_NO_STORE = (b"cache-control", b"no-store")
"""Answers are about people: nobody between keeps them, unless the route says otherwise."""


class Limits:
    """ASGI middleware: a body of too many bytes or seconds ends in 413 or 408."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int,
        body_timeout_s: float,
        uploads: Mapping[str, tuple[int, float]] | None = None,
    ) -> None:
        """Wrap an application.

        Args:
            app: what answers.
            max_body_bytes: of a request's body.
            body_timeout_s: from the first to the last byte of a body.
            uploads: bytes and seconds of POSTs to paths that take more.
        """
        self._app = app
        self._uploads = dict(uploads or {})
        self._max_bytes, self._timeout_s = max_body_bytes, body_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        number = given if REQUEST_ID.fullmatch(given) else f"{_START}-{next(_NUMBERS)}"
        scope.setdefault("state", {})["request_id"] = number
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                listed = list(message.get("headers", []))
                known = {name.lower() for name, _ in listed}
                extra = [(b"x-request-id", number.encode()), *_SECURITY, _NO_STORE]
                message["headers"] = listed + [pair for pair in extra if pair[0] not in known]
            await send(message)

        most, timeout_s = self._max_bytes, self._timeout_s
        if scope["method"] == "POST":
            most, timeout_s = self._uploads.get(scope["path"].rstrip("/"), (most, timeout_s))
        length = headers.get(b"content-length", b"")
        try:
            if length.isdigit():
                check_size(int(length), most)
            await self._app(scope, limited(receive, most=most, timeout_s=timeout_s), answer)
        except ClientDisconnect:
            return  # nobody is there to be answered, and nothing failed here
        except (BodyTooLargeError, TooSlowError) as error:
            if started:
                raise
            response = problem_of(error, number)
            response.headers["Connection"] = "close"  # the rest of the body is not read
            await response(scope, receive, answer)
