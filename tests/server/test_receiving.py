"""A request's body piece by piece, whole, once more, and within its limits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from lineament.errors import BodyTooLargeError, TooSlowError
from lineament.server.receiving import limited, pieces, replayed, whole

GONE = {"type": "http.disconnect"}


def part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def of(*messages: dict[str, Any]) -> Receive:
    """A connection that says these, and then that it is gone."""
    left = list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0) if left else GONE

    return receive


def test_it_comes_in_pieces_and_as_a_whole() -> None:
    async def listed(receive: Receive) -> list[bytes]:
        return [piece async for piece in pieces(receive)]

    parts = (
        part(b"ab", more=True),
        {"type": "http.request", "more_body": True},
        part(b"c", more=False),
    )
    assert asyncio.run(listed(of(*parts))) == [b"ab", b"", b"c"]
    assert asyncio.run(whole(of(*parts))) == b"abc"
    assert asyncio.run(whole(of({"type": "http.request"}))) == b""


def test_half_of_it_is_none() -> None:
    for messages in ((), (part(b"ab", more=True),)):
        with pytest.raises(ClientDisconnect):
            asyncio.run(whole(of(*messages)))


def test_what_was_read_is_handed_out_once_more() -> None:
    async def twice() -> tuple[bytes, Any]:
        receive = of(part(b"ab", more=True), part(b"c", more=False))
        again = replayed(await whole(receive), receive)
        return await whole(again), await again()

    assert asyncio.run(twice()) == (b"abc", GONE)


@pytest.mark.parametrize("body", [[b"abcd"], [b"ab", b"cd"]])
def test_it_has_a_size_and_a_time(body: list[bytes]) -> None:
    async def read(most: int) -> bytes:
        messages = [part(one, more=one is not body[-1]) for one in body]
        return await whole(limited(of(*messages), most=most, timeout_s=60))

    assert asyncio.run(read(4)) == b"abcd"
    with pytest.raises(BodyTooLargeError, match="at most 3 bytes"):
        asyncio.run(read(3))

    async def wait() -> dict[str, Any]:
        await asyncio.sleep(60)
        return GONE

    async def slow() -> None:
        await whole(limited(wait, most=3, timeout_s=0.01))

    with pytest.raises(TooSlowError, match="got 0 bytes"):
        asyncio.run(slow())
