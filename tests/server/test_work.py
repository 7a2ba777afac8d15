"""The line before the threads: full, too slow, given up."""

from __future__ import annotations

import asyncio
import threading

import pytest

from lineament.errors import BusyError, TimedOutError, UnavailableError
from lineament.server.work import Work


def test_a_full_line_refuses_and_says_when_to_come_again() -> None:
    async def run() -> tuple[list[object], int, int]:
        work, gate = Work(1, 2), threading.Event()
        asked = [asyncio.ensure_future(work.run(gate.wait)) for _ in range(4)]
        await asyncio.sleep(0)
        seen = work.running, work.waiting
        await asyncio.sleep(0)
        gate.set()
        results = await asyncio.gather(*asked, return_exceptions=True)
        work.close()
        return results, *seen

    results, running, waiting = asyncio.run(run())
    assert (running, waiting) == (1, 2)
    assert results[:3] == [True, True, True]
    assert isinstance(results[3], BusyError)
    assert results[3].retry_after_s >= 1


def test_who_is_given_up_keeps_the_place_until_the_thread_is_free() -> None:
    async def run() -> None:
        work, gate = Work(1, 1, timeout_s=1.0), threading.Event()  # a busy thread begins in time
        begun = threading.Event()

        def slow() -> None:
            begun.set()
            gate.wait()

        first = asyncio.ensure_future(work.run(slow))
        await asyncio.to_thread(begun.wait)
        never = threading.Event()
        second = asyncio.ensure_future(work.run(never.set))
        for late in (first, second):
            with pytest.raises(TimedOutError):
                await late
        while work.waiting:
            await asyncio.sleep(0.001)
        assert (work.running, work.waiting) == (1, 0)  # the waiting one left the line
        gate.set()
        while work.running:
            await asyncio.sleep(0.001)
        assert not never.is_set()
        work.close()

    asyncio.run(run())


def test_a_timeout_of_the_call_itself_is_passed_on() -> None:
    async def run() -> None:
        work = Work(1, 1, timeout_s=60)

        def call() -> None:
            raise TimeoutError("of its own")

        with pytest.raises(TimeoutError, match="of its own"):
            await work.run(call)
        work.close()

    asyncio.run(run())


def test_observers_hear_of_every_call() -> None:
    async def run() -> list[tuple[float, float]]:
        work = Work(2, 8)
        heard: list[tuple[float, float]] = []
        work.observers.append(lambda waited_s, took_s: heard.append((waited_s, took_s)))
        await asyncio.gather(*(work.run(int) for _ in range(5)))
        work.close()
        return heard

    heard = asyncio.run(run())
    assert len(heard) == 5
    assert all(waited_s >= 0 and took_s >= 0 for waited_s, took_s in heard)


def test_after_its_end_nothing_is_taken() -> None:
    async def run() -> None:
        work = Work(1, 1)
        work.close()
        with pytest.raises(UnavailableError):
            await work.run(int)
        assert work.running == 0

    asyncio.run(run())
