"""A request's body as ASGI hands it over: piece by piece, whole, once more, within limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from lineament.errors import BodyTooLargeError, TooSlowError


async def pieces(receive: Receive) -> AsyncIterator[bytes]:
    """The body as it comes. ClientDisconnect: it does not come to its end."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def whole(receive: Receive) -> bytes:
    """All of it; ``limited`` says how long it may be. ClientDisconnect: as ``pieces``."""
    return b"".join([piece async for piece in pieces(receive)])


def replayed(body: bytes, receive: Receive) -> Receive:
    """Hand out a body that was read already, and then what comes after it.

    Args:
        body: all of it.
        receive: where it was read.
    """
    given = False

    async def again() -> dict[str, Any]:
        nonlocal given
        if given:
            return dict(await receive())
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def limited(receive: Receive, *, most: int, timeout_s: float) -> Receive:
    """Hand a body on up to so many bytes and seconds.

    Its errors come out of the ``receive`` that is returned: BodyTooLargeError, TooSlowError.

    Args:
        receive: where it comes from.
        most: bytes.
        timeout_s: seconds from now until its last byte.
    """
    loop = asyncio.get_running_loop()
    due_s = loop.time() + timeout_s
    count, done = 0, False

    async def within() -> dict[str, Any]:
        nonlocal count, done
        if done:
            return dict(await receive())  # waits for the end of the connection
        try:
            async with asyncio.timeout_at(due_s):
                message = await receive()
        except TimeoutError as error:
            raise TooSlowError(
                f"expected the body within {timeout_s:g} seconds, got {count:,} bytes",
                hint="send a smaller photo",
            ) from error
        if message["type"] == "http.request":
            count += len(message.get("body", b""))
            done = not message.get("more_body", False)
            check_size(count, most)
        return dict(message)

    return within


def check_size(count: int, most: int) -> None:
    """BodyTooLargeError: a body has, or announces, more bytes than these."""
    if count > most:
        raise BodyTooLargeError(f"expected a body of at most {most:,} bytes, got more")
