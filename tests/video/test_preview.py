"""The page of this machine: pictures as they come, for those who know its address."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import numpy as np
import pytest
from films import marked

from lineament.errors import OptionError
from lineament.video.events import Event
from lineament.video.preview import MOST_VIEWERS, Preview
from lineament.video.tracks import TrackedFrame

FRAME = TrackedFrame(0, 0.0, (), (Event("appeared", 0.0, 0, 1),), True)


def get(
    preview: Preview, path: str, host: str | None = None
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", preview.port, timeout=10)
    headers = {} if host is None else {"Host": host}
    connection.request("GET", path, headers=headers)
    return connection, connection.getresponse()


def test_a_viewer_gets_the_page_the_pictures_and_the_events() -> None:
    preview = Preview("<b>door</b>.mp4")
    start = urlsplit(preview.url).path
    try:
        connection, answer = get(preview, start)
        page = answer.read().decode()
        assert "&lt;b&gt;door&lt;/b&gt;.mp4" in page
        assert "http" not in page.replace("http-equiv", "")  # nothing from elsewhere
        assert "default-src 'none'" in str(answer.headers["Content-Security-Policy"])
        connection.close()

        connection, answer = get(preview, f"{start}stream")
        assert str(answer.headers["Content-Type"]).startswith("multipart/x-mixed-replace")
        preview.take(FRAME, lambda: marked(3))
        assert answer.readline().startswith(b"--")
        assert answer.readline() == b"Content-Type: image/jpeg\r\n"
        length = int(answer.readline().split()[1])
        answer.readline()
        assert answer.read(length).startswith(b"\xff\xd8")
        preview.finish([Event("left", 1.0, 9, 1)])
        assert b"--" not in answer.read()  # it ends
        connection.close()
        said = json.loads(preview.events())
        assert said == {
            "events": ["1.00 s: person 1 left", "0.00 s: person 1 appeared"],
            "ended": True,
        }
    finally:
        preview.discard()


def test_others_do_not_get_in() -> None:
    preview = Preview("door")
    start = urlsplit(preview.url).path
    try:
        for path, host in (
            ("/", None),
            ("/guess/", None),
            (f"{start}etc/passwd", None),
            (start, "evil.example"),
            (start, f"evil.example:{preview.port}"),
        ):
            connection, answer = get(preview, path, host)
            assert answer.status == 404, (path, host)
            connection.close()
        connection, answer = get(preview, start, f"localhost:{preview.port}")
        assert answer.status == 200
        connection.close()
    finally:
        preview.discard()


def test_nobody_looks_and_nothing_is_drawn() -> None:
    def draw() -> np.ndarray:
        raise AssertionError

    preview = Preview("door")
    preview.take(FRAME, draw)
    preview.discard()
    preview.discard()


def test_there_are_not_too_many_viewers() -> None:
    preview = Preview("door")
    assert all(preview.enter() for _ in range(MOST_VIEWERS))
    assert not preview.enter()
    connection, answer = get(preview, f"{urlsplit(preview.url).path}stream")
    assert answer.status == 503
    connection.close()
    preview.discard()


def test_a_port_that_is_taken_is_refused() -> None:
    first = Preview("door")
    with pytest.raises(OptionError, match=f"{first.port} is not"):
        Preview("door", first.port)
    first.discard()
