"""Lists page by page: a cursor says after what the next page begins."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Query

from lineament.errors import OptionError

T = TypeVar("T")

MOST = 1000
"""Entries of a page."""

After = Annotated[
    str | None, Query(max_length=8000, description="`next` of the page before; none: the first.")
]
Limit = Annotated[int, Query(ge=1, le=MOST, description="Entries of a page at most.")]


def cursor_of(text: str) -> str:
    """A cursor for the entry after which a page begins; no promise what it consists of."""
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def read_cursor(after: str | None) -> str | None:
    """What was put into it. OptionError: it is no cursor of ours."""
    if after is None:
        return None
    try:
        padded = after.encode("ascii") + b"=" * (-len(after) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise OptionError(
            "expected what the page before has as next, got something else", option="after"
        ) from error


def page(
    name: str,
    found: Sequence[T],
    limit: int,
    *,
    key: Callable[[T], str],
    shown: Callable[[T], Any],
) -> dict[str, Any]:
    """A page: the entries under ``name``, and ``next``: a cursor, or None on the last page.

    Args:
        name: of the list.
        found: the entries, one more than ``limit`` where there are more.
        limit: as it was asked for.
        key: what an entry's cursor says.
        shown: an entry as plain values.
    """
    there = found[:limit]
    more = len(found) > limit
    return {
        name: [shown(one) for one in there],
        "next": cursor_of(key(there[-1])) if more and there else None,
    }
