"""Photos from addresses: what is fetched, which are refused, and what the errors say."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from own_threads import note_threads, threads_left
from PIL import Image as PILImage
from raw_server import DRIPPING, HEAD, RawServer, drips, found, moved, says, serving

from lineament import FaceFinder
from lineament.errors import (
    ImageError,
    ImageFormatError,
    ImageNotFoundError,
    ImageTooLargeError,
    OptionError,
)
from lineament.gallery.grouping.photos import crop_of
from lineament.images import ImageLimits, load_image

PIXELS = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(6, 4, 3)
LOCAL = ImageLimits(allow_private=True)


@pytest.fixture(autouse=True)
def _only_own_threads() -> None:
    note_threads()


def png() -> bytes:
    file = io.BytesIO()
    PILImage.fromarray(PIXELS).save(file, "PNG")
    return file.getvalue()


def status(code: int, reason: str = "no", body: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {code} {reason}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode("latin-1") + body


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "*")
        with serving() as running:
            running.answers |= {
                "face": found(png()),
                "face?token=1": found(png()),
                "J%C3%BCrgen%20%C3%84.png": found(png()),
                "moved": moved("/face"),
                "gone": says(status(410)),
                "broken": says(status(500)),
                "page": says(status(200, body=b"<html>sorry</html>")),
                "large": says(HEAD + b"Content-Length: 1000000000000\r\n\r\n"),
                "short": says(HEAD + b"Content-Length: 200\r\n\r\n", bytes(100)),
                "circle": moved("/circle"),
                "tofile": moved("file:///etc/hostname"),
                "toftp": moved("ftp://127.0.0.1/a.jpg"),
                "packed": found(png(), "Content-Encoding: gzip"),
                "escapes": says(status(500, "\x1b]0;title\x07\x1b[2J" + "x" * 5000)),
                "noise": says(b"\x1b]0;title\x07\x1b[2J" + b"x" * 5000 + b"\r\n\r\n"),
                "missing": says(status(404)),
                "missing?token=secret": says(status(404)),
                **DRIPPING,
            }
            yield running


@pytest.mark.parametrize("path", ["face", "face?token=1", "Jürgen Ä.png", "moved"])
def test_url(server: RawServer, path: str) -> None:
    np.testing.assert_array_equal(load_image(server.url(path), limits=LOCAL), PIXELS)
    shouting = server.url(path).replace("http", "HTTP")
    np.testing.assert_array_equal(load_image(shouting, limits=LOCAL), PIXELS)


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("missing", ImageNotFoundError, "answers 404"),
        ("gone", ImageNotFoundError, "answers 410"),
        ("broken", ImageError, "answers 500"),
        ("page", ImageFormatError, "got an HTML page"),
        ("large", ImageTooLargeError, "at most 67,108,864 bytes"),
        ("short", ImageFormatError, "the connection ended after 100"),
        ("circle", ImageError, "at most 5 redirects"),
        ("tofile", ImageError, "to http or https only"),
        ("toftp", ImageError, "to http or https only"),
        ("packed", ImageError, "the server packs it"),
        ("escapes", ImageError, r"answers 500 \(.x1b.0;title.x07.x1b"),
        ("noise", ImageError, r"cannot be fetched \(.x1b.0;title.x07.x1b"),
    ],
)
def test_url_errors(server: RawServer, path: str, error: type[ImageError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        load_image(server.url(path), limits=LOCAL)
    assert type(caught.value) is error
    said = str(caught.value)
    assert said.startswith(f"{server.url(path)}: ")
    assert said.isprintable()
    assert len(said) < 400


def test_an_endless_answer_is_left_at_the_limit() -> None:
    limits = ImageLimits(max_bytes=50_000, allow_private=True)
    with serving(endless=drips(HEAD + b"\r\n", bytes(10_000), 0)) as endless:
        with pytest.raises(ImageTooLargeError, match="at most 50,000 bytes"):
            load_image(endless.url("endless"), limits=limits)
        assert endless.hung_up.wait(10)


@pytest.mark.parametrize("place", DRIPPING)
def test_slow_servers(server: RawServer, place: str) -> None:
    limits = ImageLimits(url_timeout_s=0.1, allow_private=True)
    with pytest.raises(ImageError, match=r"no complete answer within 0\.1 s.*url_timeout_s"):
        load_image(server.url(place), limits=limits)
    assert not threads_left()


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/a.jpg", "http://", "http://[broken/a.jpg", "https://127.0.0.1:bad/a.jpg"],
)
def test_addresses_that_lead_nowhere(url: str) -> None:
    with pytest.raises(ImageError, match="cannot be fetched"):
        load_image(url, limits=LOCAL)


def test_messages_keep_secrets(server: RawServer) -> None:
    with pytest.raises(ImageNotFoundError) as caught:
        load_image(server.url("missing?token=secret"), limits=LOCAL)
    assert str(caught.value).startswith(f"{server.url('missing')}?…: ")
    with pytest.raises(ImageError, match="without user and password") as refused:
        load_image(server.url("face").replace("//", "//me:secret@"), limits=LOCAL)
    assert "secret" not in str(refused.value)


def test_any_number_of_seconds(server: RawServer) -> None:
    for seconds in (1e300, float("inf")):
        limits = ImageLimits(url_timeout_s=seconds, allow_private=True)
        assert load_image(server.url("face"), limits=limits).shape == PIXELS.shape
    with pytest.raises(OptionError, match="allow_private: expected True or False, got 'no'"):
        ImageLimits(allow_private="no")  # type: ignore[arg-type]


def test_a_grouping_of_others_has_nothing_fetched(server: RawServer) -> None:
    before = server.connections
    face = SimpleNamespace(source=server.url("face"))
    assert crop_of(face) is None  # type: ignore[arg-type]
    assert server.connections == before


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f.1"])
def test_this_machine_is_asked_only_where_that_is_allowed(
    server: RawServer, host: str, tmp_path: Path
) -> None:
    before = server.connections
    with pytest.raises(ImageError, match="on the public internet") as caught:
        load_image(server.url("face", host))
    assert "ImageLimits(allow_private=True)" in str(caught.value)
    assert "127.0.0.1" not in str(caught.value).partition("/face: ")[2]  # where names lead is ours
    (photo,) = FaceFinder().find([server.url("face", host)])
    assert isinstance(photo.error, ImageError)
    assert server.connections == before
    if not host.startswith("["):
        assert FaceFinder(limits=LOCAL).find(server.url("face", host)).faces == ()
