"""A bounded line between two threads: whoever is faster waits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Line(Generic[T]):
    """First in, first out, at most so many at a time; either end may leave."""

    def __init__(self, most: int) -> None:
        """``most``: how many wait at the most, 1 or more."""
        self._most = most
        self._waiting: deque[T] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._left = False
        self._error: BaseException | None = None

    def put(self, item: T) -> bool:
        """Add one at the end, as soon as there is room; False: nobody takes any more."""
        with self._changed:
            while len(self._waiting) >= self._most and not self._left:
                self._changed.wait()
            if self._left or self._ended:
                return False
            self._waiting.append(item)
            self._changed.notify_all()
            return True

    def end(self, error: BaseException | None = None) -> None:
        """Nothing is added any more; ``error`` is raised to whoever has taken all there is."""
        with self._changed:
            if not self._ended:
                self._ended, self._error = True, error
            self._changed.notify_all()

    def leave(self) -> None:
        """Nothing is taken any more: what waits is dropped, and nobody waits for room."""
        with self._changed:
            self._left = True
            self._waiting.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Take them, until there are no more."""
        while True:
            with self._changed:
                while not self._waiting and not self._ended and not self._left:
                    self._changed.wait()
                if self._left:
                    return
                if not self._waiting:
                    if self._error is not None:
                        raise self._error
                    return
                item = self._waiting.popleft()
                self._changed.notify_all()
            yield item
