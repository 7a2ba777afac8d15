"""Jobs, streams and events through the client."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from answering import answering
from server_under_test import DEMO, Served

from lineament import AsyncClient, Client
from lineament.client import ServedAudit, ServedKeys, ServedUsers
from lineament.client._async_admin import AsyncServedAudit, AsyncServedKeys, AsyncServedUsers
from lineament.client._async_jobs import AsyncServedJobs, AsyncServedStreams
from lineament.client._jobs import ServedJobs, ServedStreams
from lineament.client._values import read
from lineament.client._work_calls import (
    EventReader,
    PictureReader,
    ServedEvent,
    ServedJob,
    ServedStream,
)
from lineament.errors import LineamentError, NotFoundError, OptionError, ServiceError
from lineament.video.events import Event

A, B = DEMO / "obama.jpg", DEMO / "obama2.jpg"
APPEARED = Event("appeared", 1.25, 30, 7, "Ada", 0.9, known=True)


def test_lines_become_events() -> None:
    lines = ["retry: 2000", "", ": quiet", "", "id: 7", "event: state", 'data: {"a":', "data: 1}"]
    reader = EventReader()
    assert [event for line in lines for event in reader.feed(line)] == []
    assert list(reader.feed("")) == [ServedEvent(7, "state", {"a": 1})]
    assert reader.last == 7
    with pytest.raises(ServiceError, match="expected an event"):
        list(reader.feed("data: x")) + list(reader.feed(""))
    appeared = ServedEvent(8, "appeared", APPEARED.to_dict())
    assert appeared.event == APPEARED
    assert ServedEvent(9, "gap", {}).event is None


def part(data: bytes, name: str = "Content-Length") -> bytes:
    head = f"--frame\r\nContent-Type: image/jpeg\r\n{name}: {len(data)}\r\n\r\n"
    return head.encode() + data + b"\r\n"


def test_bytes_become_pictures() -> None:
    sent = part(b"one\r\n\r\ntwo") + part(b"") + part(b"three")
    for size in (1, 7, len(sent)):
        reader = PictureReader()
        pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
        found = [picture for piece in pieces for picture in reader.feed(piece)]
        assert found == [b"one\r\n\r\ntwo", b"", b"three"]
    for wrong in (part(b"x", "Length"), b"x" * 5000, part(b"x").replace(b": 1", b": 99999999")):
        with pytest.raises(ServiceError, match="expected pictures"):
            list(PictureReader().feed(wrong))


def test_a_preview_is_pictures_one_by_one() -> None:
    body = part(b"one") + part(b"two")
    kind = {"Content-Type": "multipart/x-mixed-replace; boundary=frame"}
    with answering(lambda n: (200, kind, body)) as (address, _):
        with Client(address) as client:
            assert list(client.streams.preview("s1")) == [b"one", b"two"]

        async def ask() -> list[bytes]:
            async with AsyncClient(address) as asking:
                return [picture async for picture in asking.streams.preview("s1")]

        assert asyncio.run(ask()) == [b"one", b"two"]


SSE = {"Content-Type": "text/event-stream"}


def test_events_go_on_where_a_connection_broke() -> None:
    def answers(n: int) -> Any:
        if n == 1:
            return 200, SSE | {"X-Cut": "1"}, b"id: 5\nevent: state\ndata: {}\n\nid: 6\n"
        return 200, SSE, b"id: 6\nevent: progress\ndata: {}\n\n"

    with answering(answers) as (address, seen):
        with Client(address) as client:
            found = [event.id for event in client.streams.events("s1", after=4)]
        assert found == [5, 6]
        assert [path for _, path, _ in seen] == [
            "/v1/streams/s1/events?after=4",
            "/v1/streams/s1/events?after=5",
        ]

        async def ask() -> list[int]:
            async with AsyncClient(address) as asking:
                return [event.id async for event in asking.jobs.events("j1")]

        assert asyncio.run(ask()) == [6]


def test_both_have_the_same_methods() -> None:
    for own, awaited in (
        (ServedJobs, AsyncServedJobs),
        (ServedStreams, AsyncServedStreams),
        (ServedKeys, AsyncServedKeys),
        (ServedUsers, AsyncServedUsers),
        (ServedAudit, AsyncServedAudit),
    ):
        names = {name for name in dir(own) if not name.startswith("_")}
        assert names == {name for name in dir(awaited) if not name.startswith("_")}
        for name in names:
            parameters = inspect.signature(getattr(own, name)).parameters
            assert parameters == inspect.signature(getattr(awaited, name)).parameters


def test_values_come_back(client: Client) -> None:
    job = {
        "id": "a", "kind": "enroll", "gallery": None, "state": "failed", "file": None,
        "progress": {"done": 1, "total": 2, "what": "x"}, "result": None, "attempts": 1,
        "problem": OptionError("no", option="fmr").to_dict(), "created": 1.0, "started": None,
        "ended": None, "expires": None,
    }  # fmt: skip
    made = read(ServedJob, job)
    assert made.to_dict() == job
    assert isinstance(made.error, OptionError)
    assert str(made.error) == "fmr: no"
    stream = {
        "id": "a", "source": "rtsp://x/y", "label": "", "gallery": None, "purpose": None,
        "n_left_out": None, "liveness": "off",
        "give_up_s": 3.0, "state": "live", "since": 1.5, "created": 1.0, "size_wh": [3, 4],
        "frames": 3, "last_event": 7, "note": None, "problem": None,
    }  # fmt: skip
    assert read(ServedStream, stream).size_wh == (3, 4)


@pytest.mark.slow
def test_a_job_from_its_beginning_to_its_end(server: Served, client: Client) -> None:
    gallery = client.create_gallery("jobs")
    job = client.jobs.create("enroll", photos=[A, B], gallery="jobs", person="Ada")
    assert job.kind == "enroll"
    done = client.jobs.wait(job.id)
    assert done.state == "done"
    assert gallery.person("Ada").n_samples == 2
    kinds = [event.kind for event in client.jobs.events(job.id)]
    assert kinds[-1] == "state"
    assert done in client.jobs.all()
    client.jobs.end(job.id)
    with pytest.raises(NotFoundError):
        client.jobs.get(job.id)

    async def group() -> ServedJob:
        async with AsyncClient(server.address, key=server.keys["admin"]) as asking:
            job = await asking.jobs.create("group", photos=[A, B])
            return await asking.jobs.wait(job.id)

    assert asyncio.run(group()).state == "done"
    with pytest.raises(OptionError):
        client.jobs.create("nonsense", photos=A)
    client.delete_gallery("jobs")


def test_streams_are_asked_for(client: Client, server: Served) -> None:
    assert client.streams.all() == []
    with pytest.raises(NotFoundError):
        client.streams.get("nothing")
    with pytest.raises(LineamentError):
        client.streams.add("file:///etc/passwd")
    with pytest.raises(NotFoundError):
        list(client.streams.events("nothing"))
    with pytest.raises(NotFoundError):
        list(client.streams.preview("nothing"))
