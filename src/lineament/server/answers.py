"""Answers without an end: server-sent events, and pictures one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import StreamingResponse
from starlette.requests import HTTPConnection

from lineament.errors import OptionError
from lineament.server.feed import Feed, Stops

_EVENT = {
    "type": "object",
    "description": "One event; `data` is JSON.",
    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
    "required": ["id", "event", "data"],
}
SSE_CONTENT = {"text/event-stream": {"schema": _EVENT}}
"""What the OpenAPI description says of events: of each of them, since a body has no end."""


After = Annotated[
    int | None, Query(ge=0, le=2**53, description="Go on after this number; as Last-Event-ID.")
]
"""Described here, read by ``asked_after``."""


def asked_after(connection: HTTPConnection) -> int | None:
    """The last number that the caller saw: of ``Last-Event-ID``, else ``?after=``; None: neither.

    Raises:
        OptionError: it is no number.
    """
    text = connection.headers.get("last-event-id") or connection.query_params.get("after")
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise OptionError(f"expected the number of an event, got {text!r:.40}", option="after")
    return int(text)


def events_of(
    feed: Feed, request: Request, stopping: Stops, *, from_start: bool = False
) -> StreamingResponse:
    """A feed as server-sent events: from where the caller was, else from now on, or the start.

    Raises:
        OptionError: see ``asked_after``.
        BusyError: too many follow already.
    """
    after = asked_after(request)
    number = (0 if from_start else feed.last) if after is None else after
    feed.check_room()

    async def lines() -> AsyncIterator[bytes]:
        yield b"retry: 2000\n\n"
        async for entries in feed.follow(number, stopping):
            yield b"".join(entry.as_sse() for entry in entries) if entries else b": quiet\n\n"

    return StreamingResponse(
        lines(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )
