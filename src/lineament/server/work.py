"""The threads that compute, and the line before them: a full one refuses, nothing piles up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import ParamSpec, TypeVar

from lineament.errors import BusyError, TimedOutError, UnavailableError

P = ParamSpec("P")
R = TypeVar("R")

Observer = Callable[[float, float], None]
"""Called after each call with the seconds that it waited for a thread, and those that it ran."""


class Work:
    """Runs calls of the library outside the event loop, so many at once; more wait, up to a number.

    Attributes:
        running: calls that a thread has.
        waiting: calls in the line.
        observers: hear how long each call waited and ran; called in the thread of the call.
    """

    def __init__(self, threads: int, queue: int, *, timeout_s: float | None = None) -> None:
        """Start no thread yet.

        Args:
            threads: calls at once.
            queue: calls that wait at most.
            timeout_s: seconds after which nobody waits for a call any more; None: no limit.
        """
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="lineament-work")
        self._threads, self._queue, self._timeout_s = threads, queue, timeout_s
        self._all = 0
        self._mean_s = 0.05
        self.observers: list[Observer] = []

    @property
    def running(self) -> int:
        """Calls that a thread has."""
        return min(self._all, self._threads)

    @property
    def waiting(self) -> int:
        """Calls in the line."""
        return max(0, self._all - self._threads)

    def check(self) -> None:
        """Raise what ``run`` would raise for a full line: before a body is read for nothing."""
        if self._all >= self._threads + self._queue:
            # As long as it takes until the half of the line is done.
            retry_s = max(1, round(self._mean_s * self._queue / self._threads / 2))
            raise BusyError(
                f"expected at most {self._queue} requests in the line, got one more",
                hint="ask again later",
                retry_after_s=retry_s,
            )

    async def run(self, call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call it in a thread.

        Raises:
            BusyError: the line is full; ``retry_after_s`` says when it may be shorter.
            UnavailableError: the server stops.
            TimedOutError: it took too long. A call that waits yet is taken out of the line; one
                that a thread has goes on, and keeps its place until it ends.
        """
        self.check()
        loop = asyncio.get_running_loop()
        asked_s = time.monotonic()

        def timed() -> R:
            begun_s = time.monotonic()
            try:
                return call(*args, **kwargs)
            finally:
                took_s = time.monotonic() - begun_s
                self._mean_s += 0.05 * (took_s - self._mean_s)
                for observer in self.observers:
                    observer(begun_s - asked_s, took_s)

        try:
            future = self._pool.submit(timed)
        except RuntimeError as error:  # the pool is closed
            raise UnavailableError("the server stops", hint="ask again") from error
        self._all += 1
        future.add_done_callback(lambda _: soon(loop, self._leave))
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.shield(asyncio.wrap_future(future))
        except TimeoutError as error:
            if future.done() and not future.cancelled():  # a timeout of the call's own
                raise
            future.cancel()
            raise TimedOutError(
                f"expected an answer within {self._timeout_s:g} seconds", hint="ask again later"
            ) from error
        except asyncio.CancelledError:
            future.cancel()
            raise

    def _leave(self) -> None:
        self._all -= 1

    def close(self) -> None:
        """Wait for what runs; what waits is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Call it in the loop's thread; not at all after the loop's end."""
    with suppress(RuntimeError):  # it is closed
        loop.call_soon_threadsafe(call)
