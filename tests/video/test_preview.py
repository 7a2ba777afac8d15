"""The page of this machine: pictures as they come, for those who know its address."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import threading
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from films import marked
from PIL import Image as PILImage

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


BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here to open the page in")
def test_the_page_shows_the_picture_and_the_events_in_a_browser(tmp_path: Path) -> None:
    assert BROWSER is not None
    preview, shot = Preview("door.mp4"), tmp_path / "page.png"
    red, asked, ended = np.full((360, 640, 3), (200, 30, 20), np.uint8), [0], threading.Event()
    answer = preview.events

    def events() -> bytes:
        asked[0] += 1  # the page's script runs
        return answer()

    def feed() -> None:
        preview.take(FRAME, lambda: red)
        while asked[0] < 2 and not ended.wait(0.1):
            preview.take(TrackedFrame(1, 0.1, (), (), True), lambda: red)
        preview.finish([])  # the browser takes its picture when nothing more comes

    preview.events = events  # type: ignore[method-assign]
    feeding = threading.Thread(target=feed)
    feeding.start()
    try:
        command = [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,600",
            f"--user-data-dir={tmp_path / 'browser'}", f"--screenshot={shot}", "--dump-dom",
            preview.url,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=True)
    finally:
        ended.set()
        feeding.join()
        preview.discard()
    assert "<li>0.00 s: person 1 appeared</li>" in done.stdout
    assert "door.mp4" in done.stdout
    with PILImage.open(shot) as picture:
        pixels = np.asarray(picture.convert("RGB"), np.int16)
    assert (np.abs(pixels - red[0, 0]).max(axis=2) < 12).mean() > 0.3
