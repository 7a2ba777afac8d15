"""The threads that compute, and the line before them: a full one refuses, nothing piles up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from lineament.errors import BusyError

P = ParamSpec("P")
R = TypeVar("R")


class Work:
    """Runs calls of the library outside the event loop, so many at once; more wait, up to a number.

    Attributes:
        running: calls that a thread has.
        waiting: calls in the line.
    """

    def __init__(self, threads: int, queue: int) -> None:
        """Start no thread yet.

        Args:
            threads: calls at once.
            queue: calls that wait at most.
        """
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="lineament-work")
        self._threads, self._queue = threads, queue
        self._all = 0
        self._mean_s = 0.05

    @property
    def running(self) -> int:
        """Calls that a thread has."""
        return min(self._all, self._threads)

    @property
    def waiting(self) -> int:
        """Calls in the line."""
        return max(0, self._all - self._threads)

    async def run(self, call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call it in a thread.

        Raises:
            BusyError: the line is full; ``retry_after_s`` says when it may be shorter.
        """
        if self._all >= self._threads + self._queue:
            retry_s = max(1, round(self._mean_s * self._queue / self._threads))
            raise BusyError(
                f"expected at most {self._queue} requests in the line, got one more",
                hint="ask again later",
                retry_after_s=retry_s,
            )
        loop = asyncio.get_running_loop()
        self._all += 1
        start_s = loop.time()
        try:
            return await loop.run_in_executor(self._pool, lambda: call(*args, **kwargs))
        finally:
            self._all -= 1
            self._mean_s += 0.05 * (loop.time() - start_s - self._mean_s)

    def close(self) -> None:
        """Wait for what runs; what waits is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)
