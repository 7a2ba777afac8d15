"""Lists that come page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lineament.client._calls import Answer, Call

PAGE = 1000
"""Entries that are asked for at once."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list.

    Attributes:
        entries: plain values.
        after: what the next part is asked for with; None: there is none.
    """

    entries: list[dict[str, Any]]
    after: str | None


PageCall = Callable[[str | None, int], Call[Page]]
"""Asks for so many entries, from behind a place on: None is the beginning."""


def page(
    name: str, path: str, after: str | None, limit: int, query: Mapping[str, Any] | None = None
) -> Call[Page]:
    """Ask for a part of a list, which the answer has under ``name``."""

    def made(answer: Answer) -> Page:
        values = answer.json()
        return Page(values[name], values.get("next"))

    return Call("GET", path, made, query={**(query or {}), "after": after, "limit": limit})


class Pages:
    """Which part is to be asked for next, and whether there is one."""

    def __init__(self, call: PageCall, limit: int | None) -> None:
        """Of the whole list, or of at most so many entries."""
        self._call, self._left = call, limit
        self._after: str | None = None
        self._ended = False

    def following(self) -> Call[Page] | None:
        """The next request; None: all were there."""
        if self._ended or (self._left is not None and self._left <= 0):
            return None
        return self._call(self._after, PAGE if self._left is None else min(PAGE, self._left))

    def take(self, found: Page) -> list[dict[str, Any]]:
        """The entries of an answer to it."""
        if self._left is not None:
            self._left -= len(found.entries)
        self._after = found.after
        self._ended = found.after is None
        return found.entries
