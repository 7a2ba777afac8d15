"""The ring of events: numbers that grow, gaps that are said, followers that miss nothing."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest

from lineament.errors import BusyError
from lineament.server import feed as module
from lineament.server.feed import Entry, Feed


def test_what_came_after_a_number() -> None:
    feed = Feed(most=3)
    entries = [feed.add("left", {"n": n}) for n in range(3)]
    assert [e.id for e in entries] == list(range(entries[0].id, entries[0].id + 3))
    assert feed.after(0) == entries
    assert feed.after(entries[0].id) == entries[1:]
    assert feed.after(entries[-1].id) == []
    newer = [feed.add("left", {"n": n}) for n in range(3, 6)]
    assert feed.after(entries[2].id) == newer  # nothing is missing
    found = feed.after(entries[0].id)
    assert [e.kind for e in found] == ["gap", "left", "left", "left"]
    assert found[0].id < found[1].id
    assert [e.kind for e in feed.after(0)] == ["gap", "left", "left", "left"]


def test_numbers_grow_over_restarts() -> None:
    before = Feed()
    last = before.add("a", {}).id
    after = Feed()
    entry = after.add("b", {})
    assert entry.id > last
    assert [e.kind for e in after.after(last)] == ["gap", "b"]
    assert entry.id < 2**53  # whole numbers of JavaScript


def test_server_sent_events_are_one_line_each() -> None:
    text = Entry(7, "appeared", {"name": "Jörg\nid: 9"}).as_sse().decode()
    lines = text.split("\n")
    assert lines[:2] == ["id: 7", "event: appeared"]
    assert json.loads(lines[2].removeprefix("data: ")) == {"name": "Jörg\nid: 9"}
    assert lines[3:] == ["", ""]


def test_followers_get_everything_once_from_another_thread() -> None:
    feed, stopping = Feed(), threading.Event()
    first = feed.add("n", {"n": -1})

    async def follow() -> list[int]:
        seen = []
        async for entries in feed.follow(first.id, stopping):
            seen += [entry.data["n"] for entry in entries]
        return seen

    def add() -> None:
        for n in range(500):
            feed.add("n", {"n": n})
        feed.end()

    async def run() -> list[list[int]]:
        tasks = [asyncio.create_task(follow()) for _ in range(3)]
        await asyncio.sleep(0)
        thread = threading.Thread(target=add)
        thread.start()
        found = await asyncio.wait_for(asyncio.gather(*tasks), 60)
        thread.join()
        return list(found)

    assert asyncio.run(run()) == [list(range(500))] * 3
    feed.check_room()


def test_so_many_follow_and_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FOLLOWERS", 1)
    monkeypatch.setattr(module, "QUIET_S", 0.0)
    feed, stopping = Feed(), threading.Event()

    async def run() -> None:
        following = feed.follow(0, stopping)
        assert await anext(following) == []
        with pytest.raises(BusyError):
            feed.check_room()
        stopping.set()
        with pytest.raises(StopAsyncIteration):
            await anext(following)
        feed.check_room()

    asyncio.run(run())


def test_a_name_can_be_taken_out() -> None:
    feed = Feed()
    feed.add("identified", {"name": "Ann"})
    feed.add("identified", {"name": "Bob"})
    feed.change(lambda data: data | {"name": None} if data["name"] == "Ann" else None)
    assert [entry.data["name"] for entry in feed.after(0)] == [None, "Bob"]
