"""Films are read as they are: every frame, at its time, upright; what is broken is said."""

from __future__ import annotations

import gc
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from films import make_film, marked, number_of, turn_film

from lineament.errors import VideoError, VideoFormatError, VideoTooLargeError
from lineament.video import VideoLimits, open_source

pytest.importorskip("av")
UNEVEN_MS = [0, 20, 100, 140, 290, 310, 390, 430, 580, 600]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "plain.mp4"
    return make_film(path, [marked(k) for k in range(10)], sound="aac")


def test_every_frame_comes_in_order_with_its_time(film: Path) -> None:
    with open_source(film) as source:
        frames = list(source)
    assert [number_of(frame.pixels) for frame in frames] == list(range(10))
    assert [frame.number for frame in frames] == list(range(10))
    assert [frame.time_s for frame in frames] == pytest.approx([0.04 * k for k in range(10)])
    info = source.info
    assert (info.size_wh, info.rate, info.n_frames, info.has_audio) == ((64, 48), 25, 10, True)
    assert not info.live
    assert info.duration_s == pytest.approx(0.4)
    assert source.notes == []


@pytest.mark.parametrize(
    "given",
    [str, lambda path: path.as_uri(), lambda path: path.open("rb")],
    ids=["str", "uri", "file"],
)
def test_a_film_is_named_in_many_ways(film: Path, given: object) -> None:
    source = given(film)  # type: ignore[operator]
    assert len(list(open_source(source))) == 10
    if not isinstance(source, str):
        source.close()


def test_frames_are_freed_without_the_collector_of_garbage(film: Path) -> None:
    def held() -> int:
        names = (str(type(each).__module__) for each in gc.get_objects())
        return sum(name.startswith("av.") for name in names)

    gc.collect()
    gc.disable()
    try:
        before = held()
        assert len(list(open_source(film))) == 10
        assert held() - before < 8  # the film's own
    finally:
        gc.enable()


def test_a_film_of_a_variable_rate_keeps_its_times(tmp_path: Path) -> None:
    path = make_film(tmp_path / "uneven.mkv", [marked(k) for k in range(10)], UNEVEN_MS)
    source = open_source(path)
    assert [1000 * frame.time_s for frame in source] == pytest.approx(UNEVEN_MS)
    (note,) = source.notes
    assert note.kind == "rate"
    assert "variable rate" in note.message


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((1, 0, 0, 1), "top left"),
        ((0, 1, -1, 0), "top right"),  # a telephone held upright: a quarter turn clockwise
        ((-1, 0, 0, -1), "bottom right"),
        ((0, -1, 1, 0), "bottom left"),
        ((-1, 0, 0, 1), "top right"),  # a mirror
        ((0, 1, 1, 0), "top left"),
    ],
)
def test_frames_are_upright(tmp_path: Path, matrix: tuple[int, int, int, int], corner: str) -> None:
    path = turn_film(make_film(tmp_path / "turned.mp4", [marked(0)] * 2), matrix)
    source = open_source(path)
    pixels = next(iter(source)).pixels
    source.close()
    assert source.info.size_wh == ((48, 64) if matrix[0] == 0 else (64, 48))
    red = pixels[..., 0] > 128
    rows = "top" if red[:8].any() else "bottom"
    columns = "left" if red[:, :8].any() else "right"
    assert f"{rows} {columns}" == corner
    assert red.mean() == pytest.approx(0.25, abs=0.02)


def test_pixels_are_square(tmp_path: Path) -> None:
    path = make_film(tmp_path / "tape.mkv", [marked(0)] * 2, aspect=Fraction(3, 2))
    source = open_source(path)
    assert source.info.size_wh == (96, 48)
    assert {frame.pixels.shape for frame in source} == {(48, 96, 3)}


@pytest.mark.parametrize("form", ["mkv", "mp4"])
def test_a_broken_end_is_said_and_what_is_before_it_is_read(tmp_path: Path, form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 48, 64, 3), np.uint8)
    path = tmp_path / f"cut.{form}"
    if form == "mkv":
        make_film(path, list(noise), codec="mjpeg")
    else:
        whole = make_film(tmp_path / "whole.mp4", list(noise), codec="mjpeg")
        faststart(whole, path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    said = []
    frames = list(open_source(path, report=said.append))
    assert 12 <= len(frames) <= 20
    assert {note.kind for note in said} == {"broken"}
    assert "its end is missing" in said[-1].message


def faststart(whole: Path, path: Path) -> None:
    """A copy whose index comes first, so that it can be cut."""
    import av

    with (
        av.open(str(whole)) as old,
        av.open(str(path), "w", options={"movflags": "faststart"}) as new,
    ):
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)


def test_pictures_that_cannot_be_decoded_are_left_out(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 48, 64, 3), np.uint8)
    path = make_film(tmp_path / "spoiled.mp4", list(noise), codec="libx264", options={"g": "1"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 8] = bytes(len(data) // 8)
    path.write_bytes(data)
    source = open_source(path)
    assert 5 <= len(list(source)) < 20
    assert "broken" in {note.kind for note in source.notes}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"this is no film at all" * 50, "expected a film"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n/etc/passwd\n", "expected a film"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "expected a film"),
        (b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nm=video 5004 RTP/AVP 96\n", "expected a film"),
    ],
)
def test_what_is_no_film_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "what.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoFormatError, match=words):
        open_source(path)


def test_a_film_without_its_index_is_refused(film: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    whole = film.read_bytes()
    path.write_bytes(whole[: whole.index(b"moov") - 4])  # it stands at the end
    with pytest.raises(VideoFormatError, match="its index is missing"):
        open_source(path)


def test_sound_alone_is_no_film(tmp_path: Path) -> None:
    import av

    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as new:
        stream = new.add_stream("aac", rate=44_100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), "s16", "mono")
        frame.sample_rate = 44_100
        new.mux(stream.encode(frame))
        new.mux(stream.encode())
    with pytest.raises(VideoFormatError, match="it has sound but no pictures"):
        open_source(path)


@pytest.mark.parametrize("form", ["avi", "mp4"])
def test_frames_of_too_many_pixels_are_not_decoded(tmp_path: Path, form: str) -> None:
    path = make_film(tmp_path / f"large.{form}", [marked(0, (640, 480))] * 2)
    assert len(list(open_source(path, limits=VideoLimits(max_pixels=640 * 480)))) == 2
    with pytest.raises((VideoTooLargeError, VideoFormatError), match="307,199 pixels"):
        open_source(path, limits=VideoLimits(max_pixels=640 * 480 - 1))


def test_a_pipe_is_no_film(tmp_path: Path) -> None:
    subprocess.run(["mkfifo", str(tmp_path / "pipe")], check=True)
    with pytest.raises(VideoError, match="expected a file, got a pipe"):
        open_source(tmp_path / "pipe")


def test_names_that_mean_something_to_ffmpeg_are_names(film: Path, tmp_path: Path) -> None:
    path = tmp_path / "concat:a|b.mp4"
    path.write_bytes(film.read_bytes())
    assert len(list(open_source(path))) == 10
    assert len(list(open_source(str(path)))) == 10
