"""Live sources and films over the network: the newest frame, patience, and an end to waiting."""

from __future__ import annotations

import contextlib
import gc
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from films import make_film, marked, number_of
from PIL import Image as PILImage
from raw_server import RawServer, found, says, serving
from rtsp_server import RtspServer, h264_units

from lineament.errors import VideoError, VideoLostError, VideoNotFoundError
from lineament.video import VideoFrame, VideoLimits, open_source
from lineament.video._container import Container, Decoded
from lineament.video._live import LiveSource
from lineament.video.frames import SourceInfo, SourceNote

av = pytest.importorskip("av")
OWN = VideoLimits(allow_private=True, open_timeout_s=5, read_timeout_s=1, give_up_s=5)


def jpeg(number: int) -> bytes:
    file = io.BytesIO()
    PILImage.fromarray(marked(number)).save(file, "JPEG", quality=95)
    return file.getvalue()


def camera(
    n_frames: int | None = None, every_s: float = 0.01
) -> Callable[[RawServer, socket.socket], None]:
    """An answer of MJPEG, with so many frames, or without end."""

    def answer(server: RawServer, connection: socket.socket) -> None:
        head = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=next\r\n\r\n"
        connection.sendall(head.encode())
        number = 0
        while number != n_frames and not server.stopped.is_set():
            data = jpeg(number % 16)
            part = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            connection.sendall(part.encode() + data + b"\r\n")
            number += 1
            time.sleep(every_s)

    return answer


def test_a_stream_that_dies_is_asked_again_and_comes_back() -> None:
    notes: list[SourceNote] = []
    with serving(door=camera(8)) as server:
        source = open_source(server.url("door"), limits=OWN, report=notes.append)
        assert source.info.live
        frames = []
        for frame in source:
            frames.append(frame)
            if [note.kind for note in notes].count("returned") == 1 and len(frames) > 4:
                source.close()
    kinds = [note.kind for note in notes]
    assert kinds[:2] == ["lost", "returned"]
    assert "asking again for up to 5 s" in notes[0].message
    assert "it is back after" in notes[1].message
    times = [frame.time_s for frame in frames]
    numbers = [frame.number for frame in frames]
    assert times == sorted(times)
    assert numbers == sorted(set(numbers))
    assert source.info.name == f"http://127.0.0.1:{server.port}/door"


def test_a_stream_that_is_closed_hangs_up() -> None:
    """At once, not when its last reference is found to be part of a circle."""
    gc.disable()
    try:
        with serving(door=camera()) as server:
            source = open_source(server.url("door"), limits=OWN)
            next(iter(source))
            source.close()
            assert server.hung_up.wait(10)
    finally:
        gc.enable()


def test_a_stream_that_does_not_come_back_is_given_up() -> None:
    limits = VideoLimits(allow_private=True, open_timeout_s=2, read_timeout_s=1, give_up_s=0.7)
    server = RawServer()
    server.answers["door"] = camera(8)
    source = open_source(server.url("door"), limits=limits)

    def walk() -> None:
        for _ in source:
            server.stop()

    with pytest.raises(VideoLostError, match=r"did not come back within 0\.7 s"):
        walk()
    source.close()


def test_late_frames_are_dropped() -> None:
    numbers = []
    with (
        serving(door=camera(every_s=0.002)) as server,
        open_source(server.url("door"), limits=OWN) as source,
    ):
        for frame in source:
            numbers.append(frame.number)
            time.sleep(0.05)
            if len(numbers) == 8:
                break
        dropped = source.dropped  # type: ignore[attr-defined]
    assert numbers[-1] - numbers[0] > 3 * 8
    assert dropped >= numbers[-1] - len(numbers) - 1


def test_a_silent_server_is_left() -> None:
    limits = VideoLimits(allow_private=True, open_timeout_s=0.5, read_timeout_s=0.5)

    def silence(server: RawServer, connection: socket.socket) -> None:
        server.stopped.wait(10)

    began = time.monotonic()
    with serving(door=silence) as server, pytest.raises(VideoError, match=r"within 0\.5 s"):
        open_source(server.url("door"), limits=limits)
    assert time.monotonic() - began < 5


def ranged(data: bytes, breaks: int = 0) -> Callable[[RawServer, socket.socket], None]:
    """A server of one file, from any place; the first ``breaks`` connections break midway."""
    left = [breaks]

    def answer(server: RawServer, connection: socket.socket) -> None:
        head = server.asked[-1].lower()
        start = int(head.partition("range: bytes=")[2].partition("-")[0] or 0)
        status = "206 Partial Content" if start else "200 OK"
        body = data[start:]
        lines = f"HTTP/1.1 {status}\r\nAccept-Ranges: bytes\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(lines.encode())
        if left[0]:
            left[0] -= 1
            body = body[: len(body) // 2]
        connection.sendall(body)

    return answer


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    return make_film(path, [marked(k) for k in range(10)])


@pytest.mark.parametrize("breaks", [0, 2])
def test_a_film_is_read_from_an_address_and_its_index_from_the_end(film: Path, breaks: int) -> None:
    with serving(film=ranged(film.read_bytes(), breaks)) as server:
        source = open_source(server.url("film"), limits=OWN)
        assert not source.info.live
        assert [number_of(frame.pixels) for frame in source] == list(range(10))
    assert any("range: bytes=" in head.lower() for head in server.asked)


def test_addresses_are_refused_as_those_of_photos_are(film: Path) -> None:
    missing = says(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
    with serving(film=found(film.read_bytes()), missing=missing) as server:
        film_url, missing_url = server.url("film"), server.url("missing")
        with pytest.raises(VideoError, match="expected an address on the public internet"):
            open_source(film_url)
        with pytest.raises(VideoNotFoundError, match="404"):
            open_source(missing_url, limits=OWN)


@pytest.fixture(scope="module")
def cam() -> Iterator[RtspServer]:
    """A camera that shows pictures 0 to 7 again and again."""
    server = RtspServer(h264_units([marked(number) for number in range(8)]))
    yield server
    server.stop()


def test_a_camera_of_the_network_is_read(cam: RtspServer) -> None:
    url = f"rtsp://ada:secret@127.0.0.1:{cam.port}/main"
    with open_source(url, limits=OWN) as source:
        assert source.info.live
        assert source.info.name == f"rtsp://127.0.0.1:{cam.port}/main"
        assert source.info.size_wh == (64, 48)
        frames = [frame for frame, _ in zip(source, range(6), strict=False)]
    assert len(frames) == 6
    assert {number_of(frame.pixels) for frame in frames} <= set(range(8))
    assert not any("secret" in head for head in cam.asked)  # it was not asked for


def test_no_camera_of_the_network(cam: RtspServer) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(VideoError, match=f"rtsp://127.0.0.1:{port}/: no connection"):
        open_source(f"rtsp://ada:secret@127.0.0.1:{port}/", limits=OWN)
    with pytest.raises(VideoError, match="public internet"):
        open_source(f"rtsp://localhost:{cam.port}/main")


# --- without a network ----------------------------------------------------------------------------


class Stuck:
    """A container that gives one frame, and then blocks for ever, as a device may."""

    def __init__(self) -> None:
        self.freed = threading.Event()

    def info(self) -> SourceInfo:
        return SourceInfo("device", True, (64, 48), 30, None, None, False)

    def frames(self) -> Iterator[Decoded]:
        yield Decoded(None, 0.0)
        self.freed.wait(20)

    def pixels(self, _: object) -> object:
        return marked(1)

    def close(self) -> None:
        pass


def test_a_device_that_blocks_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from lineament.video import _live

    monkeypatch.setattr(_live, "_SLACK_S", 0.1)
    stuck = Stuck()
    limits = VideoLimits(open_timeout_s=0.2, read_timeout_s=0.2)
    source = LiveSource(lambda: stuck, limits)  # type: ignore[arg-type, return-value]
    taken: list[VideoFrame] = []
    with pytest.raises(VideoLostError, match="no picture for"):
        taken.extend(source)
    assert len(taken) == 1
    stuck.freed.set()
    source.close()


def test_closing_a_live_source_ends_its_walk(cam: RtspServer) -> None:
    source = open_source(f"rtsp://127.0.0.1:{cam.port}/main", limits=OWN)
    taken = []

    def walk() -> None:
        taken.extend(source)

    thread = threading.Thread(target=walk)
    thread.start()
    deadline = time.monotonic() + 10
    while not taken and time.monotonic() < deadline:
        time.sleep(0.01)
        with contextlib.suppress(AttributeError):
            if source._n_frames:  # type: ignore[attr-defined]
                break
    source.close()
    thread.join(5)
    assert not thread.is_alive()
    assert list(source) == []


def test_a_container_says_what_it_is(film: Path) -> None:
    container = Container(f"file:{film}", "film", OWN)
    assert container.info().size_wh == (64, 48)
    container.close()
    container.close()
