"""Liveness sessions through the client: over a real WebSocket, by ticket and by key."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage
from server_under_test import DEMO, Served, run_server

from lineament import AsyncClient, Client
from lineament.client import (
    LivenessSession,
    ShownSession,
    _async_liveness,
    _liveness,
    _liveness_calls,
)
from lineament.client._async_liveness import AsyncServedLiveness, AsyncShownSession
from lineament.client._liveness import ServedLiveness
from lineament.client._liveness_calls import MOST_BYTES, MOST_PIXELS, Exchange, jpeg_of
from lineament.errors import (
    ConflictError,
    ImageError,
    NoFaceError,
    NotFoundError,
    OptionError,
    ServiceError,
    TooSlowError,
    UnauthorizedError,
)
from lineament.liveness.active import SessionState
from lineament.server.settings import ServerSettings

PHOTO = DEMO / "obama.jpg"
BLANK = np.full((240, 320, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of its own: sessions at once are counted."""
    yield from run_server(ServerSettings(data=tmp_path_factory.mktemp("live"), port=0, threads=2))


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a frame may take long."""
    for module in (_liveness, _async_liveness):
        monkeypatch.setattr(module, "ANSWER_S", 120.0)


@pytest.fixture
def caller(own: Served) -> Iterator[Client]:
    with Client(own.address, key=own.keys["verify"], timeout=120) as made:
        yield made


def frames(count: int) -> Iterator[np.ndarray[Any, Any]]:
    """Photographs that stand still but for some noise."""
    pixels = np.asarray(PILImage.open(PHOTO).convert("RGB"))
    rng = np.random.default_rng(1)
    for _ in range(count):
        yield np.clip(pixels + rng.integers(-2, 3, pixels.shape), 0, 255).astype(np.uint8)


def test_a_session_is_shown_frames_and_ends(own: Served, caller: Client) -> None:
    session = caller.liveness.create(photo=PHOTO)
    assert session.state == "waiting"
    assert session.ticket
    assert session.ticket not in repr(session)
    assert session.frames_path == f"/v1/liveness/sessions/{session.id}/frames"
    with caller.liveness.show(session) as shown:
        assert shown.state.prompt.startswith("Look straight at the camera")
        assert (shown.state.step, shown.state.n_steps, shown.state.done) == (0, 4, False)
        states = [shown.feed(frame) for frame in frames(3)]
        assert all(type(state) is SessionState and state.face_seen for state in states)
        ended = shown.finish()
    assert (ended.state, ended.frames) == ("done", 3)
    assert ended.liveness is not None
    assert (ended.liveness.outcome, ended.liveness.method) == ("unsure", "active")
    assert ended.ticket is None
    assert ended.to_dict() == caller.liveness.get(session.id).to_dict()
    with Client(own.address, key=own.keys["enroll"]) as other, pytest.raises(NotFoundError):
        other.liveness.get(session.id)


def test_no_face_is_seen_on_a_gray_wall(caller: Client) -> None:
    said: list[SessionState] = []
    ended = caller.liveness.run([BLANK, BLANK + 1], caller.liveness.create(), said.append)
    assert [state.face_seen for state in said] == [False, False]
    assert ended.liveness is not None
    assert ended.liveness.outcome == "unsure"
    assert ended.decision is None
    assert ended.error is None


def test_a_session_is_shown_to_once(caller: Client, own: Served) -> None:
    session = caller.liveness.create()
    with Client(own.address) as nobody, nobody.liveness.show(session) as shown:  # by the ticket
        assert shown.feed(BLANK).n_steps == 4
    with pytest.raises(UnauthorizedError), caller.liveness.show(session):
        pass  # the ticket is used up
    with pytest.raises(ConflictError, match="was not used"):  # by the key
        caller.liveness.run([BLANK], caller.liveness.get(session.id))
    gone = LivenessSession("0" * 24, "waiting", None, None, 0, None, None, None)
    with pytest.raises(NotFoundError), caller.liveness.show(gone):
        pass
    with Client(own.address, key="lin_wrong") as stranger:
        for wrong in (session, gone):
            with pytest.raises(UnauthorizedError), stranger.liveness.show(wrong):
                pass


def test_what_is_too_old(own: Served, caller: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    app: Any = own.app
    state = app.state.lineament
    session, now = caller.liveness.create(), time.monotonic()
    monkeypatch.setattr(state.tickets, "_clock", lambda: now + 200)
    with pytest.raises(UnauthorizedError), caller.liveness.show(session):
        pass
    monkeypatch.setattr(state.liveness, "clock", lambda: now + 200)
    with pytest.raises(ConflictError, match="expired"):
        caller.liveness.run([BLANK], caller.liveness.get(session.id))
    assert caller.liveness.get(session.id).state == "expired"
    monkeypatch.setattr(state.liveness, "clock", lambda: now + 900)
    with pytest.raises(NotFoundError):
        caller.liveness.get(session.id)


def test_a_frame_that_is_none_ends_it(caller: Client) -> None:
    session = caller.liveness.create()
    with caller.liveness.show(session) as shown:
        with pytest.raises(ImageError):
            shown.feed(b"\xff\xd8" + bytes(1000))
        assert shown.state.done
        ended = shown.finish()
    assert ended.liveness is not None
    assert ended.liveness.outcome == "unsure"
    with caller.liveness.show(caller.liveness.create()) as shown:
        with pytest.raises(ImageError):  # it is not sent
            shown.feed(b"no picture")
        assert not shown.feed(BLANK).done


def test_what_cannot_be_asked_for(caller: Client) -> None:
    with pytest.raises(OptionError) as failed:
        caller.liveness.create(gallery="staff")
    assert failed.value.option == "person"
    with pytest.raises(NoFaceError):
        caller.liveness.create(photo=BLANK)


def test_large_frames_are_made_smaller() -> None:
    rng = np.random.default_rng(0)
    large = rng.integers(0, 255, (2160, 3840, 3), np.uint8)  # of noise, which no JPEG likes
    data = jpeg_of(large)
    with PILImage.open(io.BytesIO(data)) as picture:
        assert picture.width * picture.height <= MOST_PIXELS
        assert picture.width / picture.height == pytest.approx(16 / 9, abs=0.01)
    small = jpeg_of(BLANK)
    assert jpeg_of(small) is small
    assert len(jpeg_of(small + bytes(MOST_BYTES))) <= MOST_BYTES  # encoded anew


def test_what_a_server_says(monkeypatch: pytest.MonkeyPatch) -> None:
    state = SessionState("look", None, 1, 4, 3.0, True, False, None)
    said = Exchange(0.0)
    assert said.waits
    text = state.to_dict() | {"received": 0}
    said.take(json.dumps(text), 1.0)
    assert (said.state, said.waits) == (state, False)
    said.sent = 2
    said.take(json.dumps(text | {"received": 1}), 2.0)
    assert said.waits  # that was the answer to the frame before
    with pytest.raises(TooSlowError, match="3 seconds"):
        said.check_time(5.5, 3.0)
    for wrong in ("<html>", "[]", '{"prompt": 1}'):
        with pytest.raises(ServiceError):
            said.take(wrong, 3.0)
    monkeypatch.setitem(__import__("sys").modules, "websockets", None)
    with pytest.raises(Exception, match="pip install"):
        _liveness_calls.imported()


def test_nobody_listens() -> None:
    session = LivenessSession("a", "waiting", None, None, 0, None, None, None)
    with (
        Client("http://127.0.0.1:1", timeout=5) as client,
        pytest.raises(ServiceError, match=r"127\.0\.0\.1:1"),
        client.liveness.show(session),
    ):
        pass


def test_the_awaited_client_does_the_same(own: Served) -> None:
    async def ask() -> None:
        async with AsyncClient(own.address, key=own.keys["verify"], timeout=120) as client:
            session = await client.liveness.create(photo=PHOTO)
            said: list[SessionState] = []
            ended = await client.liveness.run(frames(2), session, said.append)
            assert [state.step for state in said] == [0, 0]
            assert ended.to_dict() == (await client.liveness.get(session.id)).to_dict()
            assert ended.liveness is not None
            assert ended.liveness.outcome == "unsure"
            with pytest.raises(UnauthorizedError):
                async with client.liveness.show(session):
                    pass
            async with client.liveness.show(await client.liveness.create()) as shown:
                with pytest.raises(ImageError):
                    await shown.feed(b"\xff\xd8" + bytes(1000))
                assert (await shown.finish()).state == "done"

            async def camera() -> Any:
                for frame in frames(1):
                    yield frame

            ended = await client.liveness.run(camera(), await client.liveness.create())
            assert ended.frames == 1

    asyncio.run(ask())


def test_both_have_the_same_methods() -> None:
    for own, awaited in ((ServedLiveness, AsyncServedLiveness), (ShownSession, AsyncShownSession)):
        names = {name for name in dir(own) if not name.startswith("_")}
        assert names == {name for name in dir(awaited) if not name.startswith("_")}
        for name in names - {"state", "run"}:  # frames may come asynchronously
            parameters = inspect.signature(getattr(own, name)).parameters
            assert parameters == inspect.signature(getattr(awaited, name)).parameters
