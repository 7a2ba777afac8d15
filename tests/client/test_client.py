"""The client against a real server, and against servers that do what they like."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from answering import answering
from PIL import Image as PILImage
from server_under_test import DEMO, Served

import lineament
from lineament import AsyncClient, Client
from lineament.client._calls import segment
from lineament.client._errors import classes, error_of
from lineament.errors import (
    BusyError,
    ImageError,
    ImageNotFoundError,
    LineamentError,
    NoFaceError,
    OptionError,
    ServiceError,
    TooSlowError,
    UnauthorizedError,
)

BLANK = np.full((90, 100, 3), 128, np.uint8)


# --- what goes wrong ------------------------------------------------------------------------------


def test_errors_are_the_librarys_own(client: Client, tmp_path: Path) -> None:
    with pytest.raises(NoFaceError, match=r"array \(90, 100, 3\) uint8: no face was found"):
        client.verify(BLANK, DEMO / "obama.jpg")
    with pytest.raises(ImageNotFoundError, match="no such file"):  # nothing was sent
        client.detect(tmp_path / "none.jpg")
    with pytest.raises(OptionError, match="threshold"):
        client.verify(DEMO / "obama.jpg", DEMO / "obama2.jpg", threshold=0.3, fmr=1e-3)
    with pytest.raises(OptionError) as failed:
        client.detect(DEMO / "obama.jpg", max_faces=0)
    assert failed.value.option == "max_faces"
    assert any(note.startswith("request ") for note in failed.value.__notes__)


def test_addresses_are_left_to_the_server_which_refuses_them(client: Client) -> None:
    with pytest.raises(ImageError, match="addresses are switched off on this server"):
        client.detect("http://127.0.0.1:9/a.jpg")


def test_of_a_list_errors_stand_in_their_places(client: Client) -> None:
    good, text = DEMO / "obama.jpg", b"no picture"
    found = client.detect([good, text])
    assert len(found[0].faces) == 1
    assert (found[1].source, type(found[1].error).__name__) == ("10 bytes", "ImageFormatError")
    decisions = client.verify([good, BLANK], [good, good])
    assert isinstance(decisions[0], lineament.Decision)
    assert isinstance(decisions[1], NoFaceError)
    with pytest.raises(NoFaceError):
        bool(decisions[1])
    with pytest.raises(OptionError, match="two lists"):
        client.verify([good], good)


def test_keys(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with Client(server.address) as nobody, pytest.raises(UnauthorizedError):
        nobody.models()
    monkeypatch.setenv("LINEAMENT_KEY", server.keys["verify"])
    with Client(server.address) as known:
        assert known.models().contract.dimension > 0
        assert server.keys["verify"] not in repr(known)
    with pytest.raises(OptionError, match="key: expected a key"):
        Client(server.address, key="two\nlines")


@pytest.mark.parametrize("address", ["", "127.0.0.1:8000", "ftp://x", "http://", "http://a:b@c"])
def test_what_is_no_address(address: str) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(OptionError, match="address: expected an address such as"):
            kind(address)


def test_every_code_makes_its_class() -> None:
    assert len(classes()) > 40
    for code, kind in classes().items():
        error = error_of({"code": code, "detail": "so it is", "option": "x", "hint": "do"}, 400)
        assert type(error) is (ServiceError if kind is LineamentError else kind)
        assert str(error) == "x: so it is: do"
    made = error_of({"code": "busy", "detail": "x"}, 429, retry_after_s=7)
    assert isinstance(made, BusyError)
    assert made.retry_after_s == 7
    assert type(error_of({"code": "from_the_future", "detail": "x"}, 400)) is ServiceError
    assert type(error_of({}, 502)) is ServiceError


# --- sources --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        DEMO / "obama.jpg",
        str(DEMO / "obama.jpg"),
        (DEMO / "obama.jpg").read_bytes(),
        lambda: PILImage.open(DEMO / "obama.jpg"),  # a file stays open until it is read
        lineament.load_image(DEMO / "obama.jpg"),
        lineament.load_image(DEMO / "obama.jpg")[..., 0],
        lineament.FaceFinder().find(DEMO / "obama.jpg"),
    ],
    ids=["path", "text", "bytes", "pillow", "array", "gray", "photo"],
)
def test_a_source_is_what_the_library_takes(client: Client, source: Any) -> None:
    if callable(source):
        source = source()
    expected = lineament.FaceFinder().find(source).to_dict()
    assert client.detect(source).to_dict() == expected


def test_arrays_are_of_the_order_that_is_said(client: Client) -> None:
    pixels = lineament.load_image(DEMO / "obama.jpg")
    expected = client.detect(pixels).to_dict()
    assert client.detect(pixels[..., ::-1], color_order="bgr").to_dict() == expected


# --- both clients ---------------------------------------------------------------------------------


def methods(kind: type[Any]) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(each)
        for name, each in inspect.getmembers(kind, callable)
        if not name.startswith("_")
    }


def test_both_clients_have_the_same_methods() -> None:
    waiting, awaited = methods(Client), methods(AsyncClient)
    assert waiting.keys() == awaited.keys()
    for name, signature in waiting.items():
        assert signature.parameters == awaited[name].parameters, name


def test_the_awaited_client_answers_the_same(server: Served, client: Client) -> None:
    photos = [DEMO / "obama.jpg", DEMO / "group.jpg", BLANK]

    async def ask() -> tuple[Any, ...]:
        async with AsyncClient(server.address, key=server.keys["verify"]) as asking:
            found = await asking.detect(photos)
            decisions = await asking.verify(photos, [DEMO / "biden.jpg"] * 3)
            with pytest.raises(NoFaceError):
                await asking.verify(BLANK, BLANK)
            models = await asking.models()
            return found, decisions, models, await asking.health(), await asking.ready()

    found, decisions, models, health, ready = asyncio.run(ask())
    assert [one.to_dict() for one in found] == [one.to_dict() for one in client.detect(photos)]
    expected = client.verify(photos, [DEMO / "biden.jpg"] * 3)
    assert [one.to_dict() for one in decisions] == [one.to_dict() for one in expected]
    assert models == client.models()
    assert health == client.health()
    assert ready["status"] == client.ready()["status"] == "ready"


# --- servers that do what they like ---------------------------------------------------------------


BUSY = (429, {"Retry-After": "0"}, json.dumps({"code": "busy", "detail": "full"}).encode())
FINE = (200, {}, b'{"status": "ok"}')


def test_a_busy_server_is_asked_again() -> None:
    with answering(lambda n: FINE if n == 3 else BUSY) as (address, seen):
        with Client(address) as client:
            assert client.health() == {"status": "ok"}
        assert len(seen) == 3
    with answering(lambda n: BUSY) as (address, seen):
        with Client(address, retries=1) as client, pytest.raises(BusyError) as failed:
            client.health()
        assert len(seen) == 2
        assert failed.value.retry_after_s == 0

        async def ask() -> None:
            async with AsyncClient(address, retries=2) as client:
                await client.health()

        with pytest.raises(BusyError):
            asyncio.run(ask())
        assert len(seen) == 5


def test_what_failed_for_good_is_not_asked_again() -> None:
    body = json.dumps({"code": "option_invalid", "detail": "no", "option": "x"}).encode()
    with answering(lambda n: (422, {}, body)) as (address, seen):
        with Client(address) as client, pytest.raises(OptionError, match="x: no"):
            client.health()
        assert len(seen) == 1


def test_a_broken_connection_is_tried_again() -> None:
    with answering(lambda n: FINE if n == 2 else None) as (address, seen):
        with Client(address) as client:
            assert client.health() == {"status": "ok"}
        assert len(seen) == 2
    with answering(lambda n: None) as (address, seen):
        with (
            Client(address, retries=1) as client,
            pytest.raises(ServiceError, match=r"the connection to .* broke"),
        ):
            client.health()
        assert len(seen) == 2


def test_nobody_listens() -> None:
    with answering(lambda n: FINE) as (address, _):
        pass
    with (
        Client(address, retries=0) as client,
        pytest.raises(ServiceError, match=r"cannot be reached .*check the address"),
    ):
        client.health()


def test_no_answer_in_time() -> None:
    over = threading.Event()

    def wait(n: int) -> None:
        over.wait(30)

    with answering(wait) as (address, seen):
        with (
            Client(address, timeout=0.2) as client,
            pytest.raises(TooSlowError, match=r"0\.2 seconds"),
        ):
            client.health()
        due = time.monotonic() + 60
        while not seen and time.monotonic() < due:  # the server's thread may be late, too
            time.sleep(0.01)
        over.set()
        assert len(seen) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>"), (404, b"<html>"), (302, b""), (200, b"\xff"), (500, b"[]")],
)
def test_something_else_answers(status: int, body: bytes) -> None:
    answer = (status, {"Location": "http://example.org/"}, body)
    with (
        answering(lambda n: answer) as (address, _),
        Client(address) as client,
        pytest.raises(ServiceError, match="lineament server"),
    ):
        client.models()


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("Ada Lovelace", "Ada%20Lovelace"),
        ("a/b", "a%2Fb"),
        ("..", "%2E%2E"),
        ("ä?#", "%C3%A4%3F%23"),
    ],
)
def test_a_name_is_one_part_of_a_path(name: str, path: str) -> None:
    assert segment(name) == path
