"""Frames of films, folders, streams and arrays: their pixels, their times, what is said of them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

from lineament.errors import (
    MissingExtraError,
    OptionError,
    VideoError,
    VideoFormatError,
    VideoNotFoundError,
)
from lineament.video import VideoFrame, open_source
from lineament.video.sources import natural_order


def picture(number: int, size_wh: tuple[int, int] = (64, 48)) -> np.ndarray:
    """A flat color that tells the number: 0 to 15."""
    return np.full((size_wh[1], size_wh[0], 3), (16 * number, 255 - 16 * number, 100), np.uint8)


def test_a_folder_is_walked_over_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        PILImage.fromarray(picture(number)).save(tmp_path / f"frame{number}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "frame3.png").write_bytes(b"broken")
    notes = []
    with open_source(tmp_path, rate=10, report=notes.append) as source:
        frames = list(source)
    assert [int(frame.pixels[0, 0, 0]) // 16 for frame in frames] == [1, 2, 10]
    assert [(frame.number, frame.time_s) for frame in frames] == [(0, 0), (1, 0.1), (3, 0.3)]
    assert source.info.n_frames == 4
    assert [note.kind for note in notes] == ["broken"]
    assert "frame3.png" in notes[0].message
    assert list(source.notes) == notes


def test_numbers_in_names_count_by_their_value() -> None:
    names = ["b1", "a10", "a9", "a09b", "A2", "a"]
    assert sorted(names, key=natural_order) == ["a", "A2", "a09b", "a9", "a10", "b1"]


def test_arrays_are_frames() -> None:
    pictures = [picture(1), picture(2), picture(3, (32, 32))]
    with open_source(pictures) as source:
        frames = list(source)
    assert [frame.time_s for frame in frames] == [0, 1 / 30, 2 / 30]
    assert all(np.array_equal(f.pixels, p) for f, p in zip(frames, pictures, strict=True))
    assert [note.kind for note in source.notes] == ["size"]
    assert "32 x 32 from here on" in source.notes[0].message


def test_a_generator_has_the_clock_of_the_day() -> None:
    given = (picture(number) for number in range(3))
    times = [frame.time_s for frame in open_source(given)]
    assert sorted(set(times)) == times
    assert times[-1] < 5
    again = VideoFrame(7, 1.5, picture(1))
    assert [frame.number for frame in open_source(iter([again]))] == [7]


def test_a_source_is_a_source() -> None:
    source = open_source([picture(1)])
    assert open_source(source) is source


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ("999", VideoNotFoundError, "camera 999: there is no /dev/video999"),
        ("nowhere.mp4", VideoNotFoundError, "no such file"),
        ("", OptionError, "got an empty text"),
        (1.5, OptionError, "got float"),
        (True, OptionError, "got bool"),
        (-1, OptionError, "expected a camera's number"),
        (b"bytes", OptionError, "got bytes"),
        ("ftp://example.org/a.mp4", VideoError, "expected an address of rtsp, rtsps, http"),
        ("rtsp://u:secret@127.0.0.1/a", VideoError, "^rtsp://127.0.0.1/a: expected an address on"),
        ("http://127.0.0.1/a.mp4", VideoError, "allow_private=True"),
        ("http://u:secret@127.0.0.1/a", VideoError, "without user and password"),
    ],
)
def test_what_is_no_source_is_refused(source: object, error: type[VideoError], words: str) -> None:
    pytest.importorskip("av")
    with pytest.raises(error, match=words) as caught:
        open_source(source)
    assert "secret" not in str(caught.value)


def test_without_pyav_films_name_the_extra_and_arrays_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "a.mp4").write_bytes(b"film")
    with pytest.raises(MissingExtraError, match="reading and writing video") as caught:
        open_source(tmp_path / "a.mp4")
    assert caught.value.extra == "video"
    assert len(list(open_source([picture(1)]))) == 1


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoFormatError, match="there is no picture in it"):
        open_source(tmp_path)
    (tmp_path / "a.png").write_bytes(b"broken")
    with pytest.raises(VideoFormatError, match="1 picture, of which none can be read"):
        list(open_source(tmp_path))
