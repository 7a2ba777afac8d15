"""Work in threads, in order, with few things under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
S = TypeVar("S")


def in_threads(
    work: Callable[[S], T], items: Iterable[S], workers: int
) -> Generator[T, None, None]:
    """``map`` in threads, in order; of the items at most two a thread are held.

    Args:
        work: called with each item.
        items: taken one by one, in the caller's thread, as threads are free: frames of a film are
            large.
        workers: how many threads; 1: the caller's own.
    """
    if workers <= 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="lineament") as pool:
        pending: deque[Future[T]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) >= 2 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
