"""Streams over real sockets: a camera of MJPEG with faces, its events, previews, and its end."""

from __future__ import annotations

import io
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from films import make_film
from moving_faces import cut_out, film
from PIL import Image as PILImage
from raw_server import Answer, RawServer, found, serving
from rtsp_server import RtspServer, h264_units
from server_under_test import DEMO, Served, run_server
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from lineament import FaceFinder
from lineament.server.settings import ServerSettings

pytest.importorskip("av")
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    """Two seconds: a face goes from left to right, and one more comes and goes."""
    finder = FaceFinder()
    faces = {name: cut_out(f"{name}.jpg", finder) for name in ("obama", "astronaut")}
    ways: dict[str, Callable[[float], tuple[float, float] | None]] = {
        "obama": lambda t: (100 + 30 * t, 130),
        "astronaut": lambda t: (350, 140) if t < 1.2 else None,
    }
    made = []
    for frame in film(faces, ways, seconds=2.0):
        file = io.BytesIO()
        PILImage.fromarray(frame.pixels).save(file, "JPEG", quality=95)
        made.append(file.getvalue())
    return made


def camera(pictures: list[bytes], n_frames: int | None = None) -> Answer:
    """MJPEG: the pictures, over and over, or so many of them."""

    def answer(server: RawServer, connection: socket.socket) -> None:
        head = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=next\r\n\r\n"
        connection.sendall(head.encode())
        number = 0
        while number != n_frames and not server.stopped.is_set():
            data = pictures[number % len(pictures)]
            part = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            connection.sendall(part.encode() + data + b"\r\n")
            number += 1
            time.sleep(0.1)

    return answer


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = ServerSettings(
        data=tmp_path_factory.mktemp("streams"), port=0, threads=2, streams=3, stream_private=True
    )
    for each in run_server(settings):
        app: Any = each.app
        gallery = app.state.lineament.galleries.create("staff")
        gallery.enroll("Barack", DEMO / "obama2.jpg", force=True)
        yield each


def added(served: Served, url: str, **more: Any) -> dict[str, Any]:
    with served.client() as client:
        answer = client.post("/streams", json={"url": url} | more)
    assert answer.status_code == 201, answer.text
    stream: dict[str, Any] = answer.json()
    return stream


def reached(client: httpx.Client, number: str, *states: str) -> dict[str, Any]:
    """The stream as soon as it is in one of these states."""
    due = time.monotonic() + PATIENCE_S
    while time.monotonic() < due:
        stream: dict[str, Any] = client.get(f"/streams/{number}").json()
        if stream["state"] in states:
            return stream
        time.sleep(0.1)
    raise AssertionError(f"expected {states}, got {stream}")


def sse(client: httpx.Client, path: str, *, most: int, **headers: str) -> list[dict[str, Any]]:
    """The first events of an answer without end."""
    events: list[dict[str, Any]] = []
    event: dict[str, Any] = {}
    with client.stream("GET", path, headers=headers, timeout=PATIENCE_S) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name in ("id", "event", "data"):
                event[name] = json.loads(value) if name != "event" else value
            elif not line and "id" in event:
                events.append(event)
                event = {}
                if len(events) == most:
                    break
    return events


def test_a_camera_is_watched_its_events_are_followed_and_gone_on_with(
    served: Served, pictures: list[bytes]
) -> None:
    with serving() as server, served.client() as client:
        server.answers["door?secret=1"] = camera(pictures)
        url = server.url("door?secret=1")
        stream = added(served, url, gallery="staff", label="door")
        number = stream["id"]
        assert stream["state"] == "connecting"
        assert "secret" not in json.dumps(stream)
        first = sse(client, f"/streams/{number}/events?after=0", most=4)
        assert first[0]["event"] == "state"
        assert {"appeared", "state"} <= {event["event"] for event in first}
        assert reached(client, number, "live")["n_left_out"] is None
        # What came is there again, from where one was, and no more than that.
        again = sse(client, f"/streams/{number}/events", most=2, **{"Last-Event-ID": "0"})
        assert again == first[:2]
        rest = sse(
            client, f"/streams/{number}/events", most=3, **{"Last-Event-ID": str(first[1]["id"])}
        )
        assert rest[:2] == first[2:]
        ids = [event["id"] for event in first]
        assert ids == sorted(set(ids))
        # The same over a WebSocket, with a ticket.
        path = f"/v1/streams/{number}/live"
        ticket = client.post("/tickets", json={"path": path}).json()["ticket"]
        address = served.address.replace("http", "ws", 1)
        with connect(f"{address}{path}?ticket={ticket}&after=0", proxy=None) as socket_:
            told = [json.loads(socket_.recv(PATIENCE_S)) for _ in range(4)]
        assert [(t["id"], t["kind"], t["data"]) for t in told] == [
            (e["id"], e["event"], e["data"]) for e in first
        ]
        with pytest.raises(InvalidStatus):
            connect(f"{address}{path}?ticket={ticket}", proxy=None)
        # Pictures: one, and moving ones.
        snapshot = client.get(f"/streams/{number}/snapshot")
        assert snapshot.headers["content-type"] == "image/jpeg"
        with PILImage.open(io.BytesIO(snapshot.content)) as picture:
            assert picture.size == (480, 270)
        with client.stream("GET", f"/streams/{number}/preview.mjpeg") as answer:
            kind = answer.headers["content-type"]
            assert kind == "multipart/x-mixed-replace; boundary=lineament-frame"
            data = b""
            for part in answer.iter_bytes():
                data += part
                if data.count(b"--lineament-frame\r\n") >= 3:
                    break
        assert data.count(b"\xff\xd8\xff") >= 2
        with served.client("verify") as other:
            assert other.get(f"/streams/{number}/snapshot").status_code == 403
            assert other.delete(f"/streams/{number}").status_code == 403
        assert client.delete(f"/streams/{number}").status_code == 204
        assert client.get(f"/streams/{number}").status_code == 404
        assert client.get("/streams").json()["streams"] == []


def test_a_camera_of_rtsp_is_watched(served: Served, pictures: list[bytes]) -> None:
    """H.264 over RTP, as cameras of doors send it."""
    frames = []
    for data in pictures:
        with PILImage.open(io.BytesIO(data)) as picture:
            frames.append(np.asarray(picture.convert("RGB")))
    there_and_back = [*frames, *frames[-2:0:-1]]
    door = RtspServer(h264_units(there_and_back, rate=10), rate=10)
    try:
        with served.client() as client:
            app: Any = served.app
            gallery = app.state.lineament.galleries.create("door")
            gallery.enroll("Neil", DEMO / "astronaut.jpg", force=True)
            url = f"rtsp://ada:secret@127.0.0.1:{door.port}/main?token=secret"
            stream = added(served, url, gallery="door", label="door")
            number = stream["id"]
            assert stream["source"] == f"rtsp://127.0.0.1:{door.port}/main?\u2026"
            live = reached(client, number, "live")
            assert live["size_wh"] == [480, 270]
            named: set[str] = set()
            last = 0
            due = time.monotonic() + PATIENCE_S
            while "Neil" not in named and time.monotonic() < due:
                for event in sse(client, f"/streams/{number}/events?after={last}", most=1):
                    last = event["id"]
                    named |= {event["data"].get("name")} - {None}
            assert "Neil" in named
            assert "secret" not in json.dumps(client.get(f"/streams/{number}").json())
            snapshot = client.get(f"/streams/{number}/snapshot")
            with PILImage.open(io.BytesIO(snapshot.content)) as picture:
                assert picture.size == (480, 270)
            door.stop()  # the cable is pulled
            lost = reached(client, number, "lost")
            assert lost["note"] is None or "secret" not in lost["note"]
            assert client.delete(f"/streams/{number}").status_code == 204
    finally:
        door.stop()
    assert any(head.startswith("PLAY") for head in door.asked)


def test_a_film_ends_and_people_have_their_names(
    served: Served, pictures: list[bytes], tmp_path: Path
) -> None:
    frames = []
    for data in pictures:
        with PILImage.open(io.BytesIO(data)) as picture:
            frames.append(np.asarray(picture.convert("RGB")))
    path = make_film(tmp_path / "door.mkv", frames, [100 * k for k in range(len(frames))])
    with serving(door=found(path.read_bytes())) as server, served.client() as client:
        number = added(served, server.url("door"), gallery="staff")["id"]
        stream = reached(client, number, "ended")
        assert stream["problem"] is None
        assert stream["frames"] == len(pictures)
        events = sse(client, f"/streams/{number}/events?after=0", most=100)
        assert [event["data"]["state"] for event in events if event["event"] == "state"] == [
            "connecting", "live", "ended",
        ]  # fmt: skip
        named = {event["data"]["name"] for event in events if event["event"] == "left"}
        assert named == {"Barack", None}
        other = added(served, server.url("door"), gallery="staff", purpose="access")["id"]
        assert reached(client, other, "ended")["n_left_out"] == 1  # he consented to nothing
        nobody = sse(client, f"/streams/{other}/events?after=0", most=100)
        assert {one["data"]["name"] for one in nobody if one["event"] == "left"} == {None}
        client.delete(f"/streams/{other}")
        app: Any = served.app
        app.state.lineament.streams.forget("staff")
        kept = sse(client, f"/streams/{number}/events?after=0", most=100)
        assert kept == events  # everybody is there still
        app.state.lineament.galleries.get("staff").remove("Barack")
        app.state.lineament.streams.forget("staff")
        assert "Barack" not in json.dumps(
            sse(client, f"/streams/{number}/events?after=0", most=100)
        )
        assert client.get(f"/streams/{number}/snapshot").status_code == 404
        client.delete(f"/streams/{number}")


@pytest.mark.slow  # tests/video/test_live.py has it without a server
def test_a_camera_that_goes_is_lost_and_given_up(served: Served, pictures: list[bytes]) -> None:
    with served.client() as client:
        with serving(door=camera(pictures, 8)) as server:
            number = added(served, server.url("door"), give_up_s=2)["id"]
            states = []
            for event in sse(client, f"/streams/{number}/events?after=0", most=12):
                if event["event"] == "state":
                    states.append(event["data"]["state"])
                if "lost" in states and states[-1] == "live":
                    break
            assert states[0] == "connecting"  # the first frames may come to be looked at later
            assert states[-2:] == ["lost", "live"]
        stream = reached(client, number, "ended")
        assert stream["problem"]["code"].startswith("video_")
        client.delete(f"/streams/{number}")


@pytest.mark.parametrize(
    "url",
    ["/etc/passwd", "file:///etc/passwd", "0", "/dev/video0", "ftp://a.example/x", "rtsp://", "http:///x",
     "http://[::1", "rtsp://a b.example/", "concat:/etc/passwd|x"],
)  # fmt: skip
def test_only_addresses_are_watched(served: Served, url: str) -> None:
    with served.client() as client:
        answer = client.post("/streams", json={"url": url})
    assert answer.status_code == 422
    assert answer.json()["option"] == "url"
    assert "root" not in answer.text


@pytest.mark.parametrize(
    "url",
    ["rtsp://127.0.0.1/x", "http://localhost:9/x", "https://[::1]/x", "rtsps://10.0.0.1/",
     "http://169.254.169.254/latest/meta-data", "rtsp://0x7f.1/", "http://2130706433/"],
)  # fmt: skip
def test_private_addresses_are_for_admins_of_servers_that_allow_them(
    served: Served, server: Served, url: str
) -> None:
    with served.client("enroll") as client:
        answer = client.post("/streams", json={"url": url})
    assert answer.status_code == 422, answer.text
    assert "public internet" in answer.json()["detail"]
    with server.client("admin") as client:  # its setting is off
        assert client.post("/streams", json={"url": url}).status_code == 422


def test_a_stream_for_a_purpose(served: Served) -> None:
    with served.client() as client:
        body = {"url": "rtsp://camera.invalid/door", "gallery": "staff"}
        stream = client.post("/streams", json=body | {"purpose": "payroll"}).json()
        assert (stream["purpose"], stream["n_left_out"]) == ("payroll", None)
        client.delete(f"/streams/{stream['id']}")
        for wrong in ({"purpose": " "}, {"purpose": "access", "gallery": None}):
            refused = client.post("/streams", json=body | wrong)
            assert (refused.status_code, refused.json()["option"]) == (422, "purpose")


def test_streams_are_of_their_gallery(served: Served) -> None:
    app: Any = served.app
    keys = app.state.lineament.keys
    own = {"Authorization": f"Bearer {keys.add('enroll', galleries=['staff'])}"}
    other = {"Authorization": f"Bearer {keys.add('enroll', galleries=['guests'])}"}
    with served.client() as client:
        url = "http://127.0.0.1:9/nothing"
        number = added(served, url, gallery="staff")["id"]
        nobody = added(served, url)["id"]
        for headers, status in ((own, 200), (other, 404)):
            assert client.get(f"/streams/{number}", headers=headers).status_code == status
            assert client.get(f"/streams/{nobody}", headers=headers).status_code == 404
            listed = client.get("/streams", headers=headers).json()["streams"]
            assert [each["id"] for each in listed] == ([number] if status == 200 else [])
        body = {"url": url, "gallery": "staff"}
        assert client.post("/streams", json=body, headers=other).status_code == 403
        missing = client.post("/streams", json={"url": url, "gallery": "none"})
        assert missing.json()["code"] == "gallery_not_found"
        third = added(served, url)["id"]
        full = client.post("/streams", json={"url": url})
        assert (full.status_code, full.headers["retry-after"]) == (429, "60")
        for each in (number, nobody, third):
            assert client.delete(f"/streams/{each}").status_code == 204


def test_streams_are_there_again_after_a_restart(pictures: list[bytes], tmp_path: Path) -> None:
    settings = ServerSettings(data=tmp_path, port=0, threads=2, stream_private=True)
    with serving(door=camera(pictures)) as server:
        for served in run_server(settings):
            with served.client() as client:
                number = added(served, server.url("door"), label="door")["id"]
                over = added(served, server.url("gone"), give_up_s=0)["id"]
                last = sse(client, f"/streams/{number}/events?after=0", most=2)[-1]
                reached(client, over, "ended")
        assert (tmp_path / "streams.sqlite").stat().st_mode & 0o077 == 0
        for served in run_server(settings):
            with served.client() as client:
                stream = reached(client, number, "live")
                assert stream["label"] == "door"
                assert client.get(f"/streams/{over}").json()["state"] == "ended"
                after = {"Last-Event-ID": str(last["id"])}
                later = sse(
                    client,
                    f"/streams/{number}/events",
                    most=3,
                    **after,
                )
    assert later[0]["event"] == "gap"
    assert all(event["id"] > last["id"] for event in later[1:])
