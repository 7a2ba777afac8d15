"""What happens, for whoever follows: kept in a ring with numbers that grow, sent as it comes.

Numbers begin at the microseconds of the clock, so that they grow over restarts of the process too:
who asks for what came after a number of before gets what there is since, after a note that
something may be missing (kind "gap"). Nothing of it is on a disk, since it names people.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Protocol

from lineament.errors import BusyError
from lineament.server.work import soon

MOST_FOLLOWERS = 32
"""Of one feed."""

QUIET_S = 15.0
"""After so long without anything, followers get a sign of life."""

_LOOK_S = 1.0


class Stops(Protocol):
    """Says whether the server ends, as events of threading and asyncio do."""

    def is_set(self) -> bool:
        """Whether it does."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened.

    Attributes:
        id: grows.
        kind: such as "appeared", "state", "gap".
        data: plain values.
    """

    id: int
    kind: str
    data: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """For a WebSocket."""
        return {"id": self.id, "kind": self.kind, "data": self.data}

    def as_sse(self) -> bytes:
        """For server-sent events (the EventSource of browsers)."""
        data = json.dumps(self.data, ensure_ascii=False)
        return f"id: {self.id}\nevent: {self.kind}\ndata: {data}\n\n".encode()


class Feed:
    """The last things that happened to something. Any thread may add, event loops follow."""

    def __init__(self, most: int = 10_000) -> None:
        """``most``: how many are kept."""
        self._entries: deque[Entry] = deque(maxlen=most)
        self._first = self._next = time.time_ns() // 1000
        self._ended = False
        self._lock = Lock()
        self._wakers: set[Callable[[], None]] = set()

    @property
    def last(self) -> int:
        """The newest number."""
        return self._next - 1

    def add(self, kind: str, data: dict[str, Any]) -> Entry:
        """Something happened."""
        with self._lock:
            entry = Entry(self._next, kind, data)
            self._next += 1
            self._entries.append(entry)
            wakers = list(self._wakers)
        for wake in wakers:
            wake()
        return entry

    def end(self) -> None:
        """Nothing will happen any more: followers get what there is and end."""
        with self._lock:
            self._ended = True
            wakers = list(self._wakers)
        for wake in wakers:
            wake()

    def change(self, edit: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
        """Write what is kept anew: ``edit`` returns other data, or None to leave it."""
        with self._lock:
            for place, entry in enumerate(self._entries):
                data = edit(entry.data)
                if data is not None:
                    self._entries[place] = replace(entry, data=data)

    def after(self, number: int) -> list[Entry]:
        """What came after a number; first a "gap" where something before it is not kept."""
        with self._lock:
            found = [entry for entry in self._entries if entry.id > number]
            oldest = self._entries[0].id if self._entries else self._next
            lost = number < oldest - 1 and (number > 0 or oldest > self._first)
        if lost:
            found.insert(0, Entry(oldest - 1, "gap", {"after": number}))
        return found

    def check_room(self) -> None:
        """BusyError: too many follow already."""
        if len(self._wakers) >= MOST_FOLLOWERS:
            raise BusyError(
                f"expected at most {MOST_FOLLOWERS} who follow, got one more",
                hint="ask again later",
                retry_after_s=10,
            )

    async def follow(self, number: int, stopping: Stops) -> AsyncIterator[list[Entry]]:
        """What came after a number, and what comes; [] from time to time as a sign of life.

        Args:
            number: the last one that was seen; 0: none.
            stopping: set when the server ends.
        """
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            soon(loop, news.set)

        with self._lock:
            self._wakers.add(wake)
        try:
            quiet_s = loop.time()
            while not stopping.is_set():
                news.clear()
                ended = self._ended  # before looking: what was added until then is seen
                found = self.after(number)
                if found:
                    number, quiet_s = max(number, found[-1].id), loop.time()
                    yield found
                    continue
                if ended:
                    return
                if loop.time() - quiet_s >= QUIET_S:
                    quiet_s = loop.time()
                    yield []
                try:
                    async with asyncio.timeout(_LOOK_S):
                        await news.wait()
                except TimeoutError:
                    pass
        finally:
            with self._lock:
                self._wakers.discard(wake)
