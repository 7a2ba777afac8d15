"""Liveness over a real WebSocket: tickets, one use, limits, and a rendered head that does it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage
from server_under_test import DEMO, Served, run_server
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from lineament import Recognizer
from lineament.align import load_landmarker
from lineament.errors import BusyError, ConflictError, NotFoundError
from lineament.gallery import Gallery
from lineament.server.liveness import LivenessChecks
from lineament.server.roles import Principal
from lineament.server.settings import ServerSettings


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of its own: sessions at once are counted."""
    data = tmp_path_factory.mktemp("liveness")
    yield from run_server(ServerSettings(data=data, port=0, threads=2, liveness_sessions=8))


def opened(served: Served, path: str, **more: Any) -> ClientConnection:
    return connect(served.address.replace("http", "ws", 1) + path, proxy=None, **more)


def made(served: Served, role: str = "verify", **fields: Any) -> dict[str, Any]:
    with served.client(role) as client:
        answer = client.post("/liveness/sessions", **fields)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def jpeg(pixels: Any) -> bytes:
    file = io.BytesIO()
    PILImage.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


def refused(served: Served, path: str, **more: Any) -> dict[str, Any]:
    """The problem that answers a handshake."""
    with pytest.raises(InvalidStatus) as caught:
        opened(served, path, **more)
    response = caught.value.response
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = json.loads(response.body or b"{}")
    assert problem["status"] == response.status_code
    return problem


def test_a_ticket_opens_one_path_once(served: Served) -> None:
    session = made(served)
    path = session["frames_path"]
    assert session["state"] == "waiting"
    assert path == f"/v1/liveness/sessions/{session['id']}/frames"
    with opened(served, f"{path}?ticket={session['ticket']}") as socket:
        first = json.loads(socket.recv(10))
        assert first["prompt"].startswith("Look straight at the camera")
        assert "challenges" not in first
        assert first["challenge"] is None
    assert refused(served, f"{path}?ticket={session['ticket']}")["code"] == "unauthorized"
    other = made(served)
    assert refused(served, f"{path}?ticket={other['ticket']}")["code"] == "unauthorized"
    assert refused(served, path)["code"] == "unauthorized"
    header = {"Authorization": f"Bearer {served.keys['verify']}"}
    assert refused(served, path, additional_headers=header)["code"] == "conflict"  # one use


def test_tickets_are_asked_for_by_path(served: Served) -> None:
    session = made(served)
    with served.client("verify") as client:
        given = client.post("/tickets", json={"path": session["frames_path"]}).json()
        wrong = client.post("/tickets", json={"path": "elsewhere"})
    assert wrong.status_code == 422
    with opened(served, f"{session['frames_path']}?ticket={given['ticket']}") as socket:
        assert json.loads(socket.recv(10))["n_steps"] == 4


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.org"])
def test_pages_of_others_cannot_connect(served: Served, origin: str) -> None:
    session = made(served)
    path = f"{session['frames_path']}?ticket={session['ticket']}"
    assert refused(served, path, origin=origin)["code"] == "forbidden"
    with opened(served, path, origin=served.address) as socket:  # the ticket was not used up
        socket.recv(10)


def test_a_session_belongs_to_its_key(served: Served) -> None:
    session = made(served, "enroll")
    with served.client("verify") as client:
        answer = client.get(f"/liveness/sessions/{session['id']}")
    assert answer.status_code == 404
    with served.client("admin") as client:
        assert client.get(f"/liveness/sessions/{session['id']}").status_code == 200
    header = {"X-API-Key": served.keys["verify"]}
    problem = refused(served, session["frames_path"], additional_headers=header)
    assert problem["code"] == "not_found"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "frames as JPEG"),
        (b"\xff\xd8" + bytes(1000), ""),
        (jpeg(np.zeros((1200, 2000, 3), np.uint8)), "pixels"),
    ],
)
def test_a_frame_that_is_none_ends_it(served: Served, message: bytes, words: str) -> None:
    session = made(served)
    with opened(served, f"{session['frames_path']}?ticket={session['ticket']}") as socket:
        socket.recv(10)
        socket.send(message)
        problem = json.loads(socket.recv(20))["problem"]
        assert words in problem["message"]
        assert json.loads(socket.recv(20))["liveness"]["outcome"] == "unsure"
        with pytest.raises(ConnectionClosed):
            socket.recv(20)
    with served.client("verify") as client:
        answer = client.get(f"/liveness/sessions/{session['id']}").json()
    assert (answer["state"], answer["liveness"]["outcome"]) == ("done", "unsure")


@pytest.mark.parametrize("message", [bytes(600 << 10), "text"])
def test_too_large_frames_and_texts_are_not_read(served: Served, message: bytes | str) -> None:
    session = made(served)
    with opened(served, f"{session['frames_path']}?ticket={session['ticket']}") as socket:
        socket.recv(10)
        socket.send(message)
        assert json.loads(socket.recv(20))["liveness"]["outcome"] == "unsure"
        with pytest.raises(ConnectionClosed) as caught:
            socket.recv(20)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == (1009 if isinstance(message, bytes) else 1008)


@pytest.mark.parametrize(
    ("fields", "status", "code", "option"),
    [
        ({"json": {"n_challenges": 2}}, 422, "option_invalid", "n_challenges"),
        ({"json": {"challenges": ["blink"]}}, 422, "option_invalid", "challenges"),
        ({"json": {"gallery": "staff"}}, 422, "option_invalid", "person"),
        ({"json": {"gallery": "staff", "person": "x"}}, 404, "gallery_not_found", None),
        ({"json": {"photo": "/etc/passwd"}}, 422, "image_unreadable", "photo"),
        ({"files": {"photo": b"no photo"}}, 422, "image_format", None),
    ],
)
def test_what_is_asked_for_cannot_be_chosen(
    served: Served, fields: dict[str, Any], status: int, code: str, option: str | None
) -> None:
    with served.client("verify") as client:
        answer = client.post("/liveness/sessions", **fields)
    assert answer.status_code == status, answer.text
    assert (answer.json()["code"], answer.json()["option"]) == (code, option)


def test_so_many_sessions_at_once_and_a_minute() -> None:
    now = 0.0
    checks = LivenessChecks(Recognizer, lambda name: Gallery.in_memory(), most=3)
    checks.clock = lambda: now
    for _ in range(3):
        checks.make("key")
    with pytest.raises(BusyError, match="at once"):
        checks.make("key")
    now = 130.0  # nobody showed anything: they have expired
    first = checks.make("key")
    now = 140.0
    assert checks.begin(first.id, Principal("key", "verify")).state == "running"
    with pytest.raises(ConflictError):
        checks.begin(first.id, Principal("key", "verify"))
    now = 1000.0  # it was begun and never ended
    for _ in range(30):
        checks.finish(checks.make("key"))
    with pytest.raises(BusyError, match="a minute") as caught:
        checks.make("key")
    assert caught.value.retry_after_s == 60
    checks.make("other")
    with pytest.raises(NotFoundError):
        checks.get(first.id, Principal("key", "verify"))


@pytest.mark.slow
@pytest.mark.rendered
@pytest.mark.parametrize("who", ["astronaut", "obama", "person"])
def test_a_head_that_does_it_is_alive_and_who_it_should_be(
    served: Served, benchmark_parts: None, photos: dict[str, bytes], who: str
) -> None:
    """The client hears the prompts over the socket, as a person does."""
    from living import acting, attempts, scene
    from living.bodies import Person as Body

    app: Any = served.app
    state = app.state.lineament
    recognizer = Recognizer()
    photo = recognizer.finder.find(DEMO / "astronaut.jpg")
    assert photo.index is not None
    mesh: Any = load_landmarker("mesh")
    read = mesh.read(photo.needed_pixels(), [photo.faces[photo.index]])
    body = Body(photo.needed_pixels(), read.points_xyz[0])
    now = 1000.0
    checks = state.liveness
    before = checks.clock, checks.draw
    checks.clock, checks.draw = lambda: now, lambda each: attempts.new_session(each, 2)
    try:
        if who == "person":
            state.galleries.create("heads").enroll("ann", DEMO / "astronaut.jpg")
            session = made(served, json={"gallery": "heads", "person": "ann"})
        else:
            session = made(served, files={"photo": photos[who]})
        rng = np.random.default_rng(2)
        actor = acting.Living(rng)
        said: dict[str, Any]
        with opened(served, f"{session['frames_path']}?ticket={session['ticket']}") as socket:
            said = json.loads(socket.recv(30))
            start, steps = now, set()
            while not said["done"]:
                now += 1 / attempts.RATE
                act = actor.act(now - start, said["challenge"])
                view = scene.seen(body.head(act), body.background)
                socket.send(jpeg(scene.photographed(view, rng)))
                said = json.loads(socket.recv(30))
                steps.add(said.get("step"))
        with served.client("verify") as client:
            kept = client.get(f"/liveness/sessions/{session['id']}").json()
    finally:
        checks.clock, checks.draw = before
    assert said["liveness"]["outcome"] == "live", said
    assert {0, 1, 2, 3} <= steps
    expected = "different" if who == "obama" else "same"
    assert said["decision"]["verdict"] == expected
    assert state.liveness._checks[session["id"]].reference is None
    assert kept | {"done": True} == said
