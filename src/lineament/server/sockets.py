"""WebSockets: who may open one, and how they are refused.

By a key in a header (programs), a one-use ticket in the address (browsers; ``tickets``), or the
page's session. The Origin of a browser has to be this server's own, or one of the setting ``cors``:
a page of somebody else cannot connect in the name of who looks at it. What is refused gets an HTTP
answer with a problem, as any request.
"""

from __future__ import annotations

import secrets
from typing import Any, cast
from urllib.parse import urlsplit

from fastapi import Request, WebSocket

from lineament.errors import ForbiddenError, LineamentError
from lineament.server.access import principal_of
from lineament.server.problems import problem_of
from lineament.server.roles import Principal

LOST, POLICY, TOO_BIG, AGAIN = 1001, 1008, 1009, 1013
"""Codes of an end (RFC 6455, 7.4.1): the server stops; a rule was broken; too large; try later."""


def caller_of(socket: WebSocket) -> Principal:
    """Who opens a WebSocket.

    Raises:
        ForbiddenError: it comes from a page of somebody else.
        UnauthorizedError: no key, ticket or session, or a wrong one.
    """
    check_origin(socket)
    ticket = socket.query_params.get("ticket")
    if ticket:
        tickets = socket.app.state.lineament.tickets
        found: Principal = tickets.redeem(ticket, socket.url.path)
        return found
    return principal_of(cast(Request, socket))


def check_origin(socket: WebSocket) -> None:
    """ForbiddenError: a browser says that a page of another origin opens it."""
    origin = socket.headers.get("origin")
    if origin is None or origin in socket.app.state.lineament.settings.cors:
        return
    parts = urlsplit(origin)
    own = socket.headers.get("host", "")
    if parts.scheme in ("http", "https") and parts.netloc and parts.netloc == own:
        return
    raise ForbiddenError(
        f"expected a page of this server or of a permitted origin, got {origin!r:.100}",
        hint="the server's setting cors names other origins",
    )


async def refuse(socket: WebSocket, error: LineamentError) -> None:
    """Answer the handshake with a problem in place of a WebSocket."""
    number = getattr(socket.state, "request_id", None) or secrets.token_hex(8)
    response = problem_of(error, number)
    response.headers["x-request-id"] = number
    await socket.send_denial_response(response)


def problem_text(error: LineamentError) -> dict[str, Any]:
    """A problem as a message of an open WebSocket."""
    return {"problem": error.to_dict()}
