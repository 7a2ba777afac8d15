"""Films are written with the times and the sound of their source, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from films import make_film, marked, number_of, sound_of, turn_film

from lineament.errors import OptionError, VideoError
from lineament.video import FilmWriter, VideoFrame, open_source
from lineament.video.writing import fitted

pytest.importorskip("av")
UNEVEN_MS = [0, 20, 100, 140, 290, 310, 390, 430, 580, 600]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "uneven.mp4"
    pictures = [marked(k) for k in range(10)]
    return turn_film(make_film(path, pictures, UNEVEN_MS, sound="aac"), (0, 1, -1, 0))


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "webm"])
def test_times_rotation_and_sound_go_over(film: Path, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"copy.{ending}"
    with open_source(film) as source, FilmWriter(path, source) as writer:
        for frame in source:
            writer.write(frame)
    copied = list(open_source(path))
    assert [1000 * frame.time_s for frame in copied] == pytest.approx(UNEVEN_MS, abs=0.6)
    assert [number_of(frame.pixels) for frame in copied] == list(range(10))
    assert copied[0].pixels.shape == (64, 48, 3)
    assert copied[0].pixels[4, -4, 0] > 200  # the red corner, top right
    codec, packets = sound_of(path)
    _, before = sound_of(film)
    assert codec == ("opus" if ending == "webm" else "aac")
    if ending in ("mp4", "mov"):
        assert packets == before
    elif ending == "mkv":  # without what is not heard
        assert packets == before[-len(packets) :]
        assert len(before) - len(packets) <= 2
    else:
        assert 25 <= len(packets) <= 40
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_sound_that_a_film_cannot_hold_is_encoded(tmp_path: Path) -> None:
    source = make_film(tmp_path / "pcm.mkv", [marked(1)] * 5, sound="pcm_s16le")
    with open_source(source) as opened, FilmWriter(tmp_path / "a.mp4", opened) as writer:
        for frame in opened:
            writer.write(frame)
    assert sound_of(tmp_path / "a.mp4")[0] == "aac"


def test_what_is_cut_short_has_no_more_sound_than_pictures(tmp_path: Path) -> None:
    source = make_film(tmp_path / "long.mp4", [marked(k % 16) for k in range(50)], sound="aac")
    path = tmp_path / "short.mp4"
    with open_source(source) as opened, FilmWriter(path, opened) as writer:
        for frame in opened:
            writer.write(frame)
            if frame.number == 12:
                break
    assert len(list(open_source(path))) == 13
    _, packets = sound_of(path)
    assert len(packets) == pytest.approx(0.5 * 44_100 / 1024, abs=3)


def test_ctrl_c_finishes_a_film_and_an_error_gives_it_up(tmp_path: Path) -> None:
    source = open_source([marked(k) for k in range(3)])
    path = tmp_path / "a.mp4"

    def interrupted(number: int, error: type[BaseException]) -> None:
        with FilmWriter(path, source) as writer:
            writer.write(VideoFrame(0, 0.0, marked(number)))
            raise error

    with pytest.raises(KeyboardInterrupt):
        interrupted(1, KeyboardInterrupt)
    assert len(list(open_source(path))) == 1
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError):
        interrupted(2, ZeroDivisionError)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_without_a_frame_there_is_no_file(tmp_path: Path) -> None:
    writer = FilmWriter(tmp_path / "a.mp4", open_source([]))
    writer.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(VideoError, match="the film is closed"):
        writer.write(VideoFrame(0, 0.0, marked(1)))


def test_what_cannot_be_written_is_refused(film: Path, tmp_path: Path) -> None:
    source = open_source([])
    with pytest.raises(OptionError, match=r"ends in \.mp4, \.m4v, \.mov, \.mkv, \.webm"):
        FilmWriter(tmp_path / "a.avi", source)
    with pytest.raises(OptionError, match="cannot be written"):
        FilmWriter(tmp_path / "nowhere" / "a.mp4", source)
    with open_source(film) as opened, pytest.raises(OptionError, match="the film itself"):
        FilmWriter(film, opened)


def test_frames_of_another_size_are_fitted(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    source = open_source([])
    with FilmWriter(path, source) as writer:
        writer.write(VideoFrame(0, 0.0, np.full((47, 63, 3), 200, np.uint8)))
        writer.write(VideoFrame(1, 0.1, np.full((100, 50, 3), 200, np.uint8)))
    first, second = open_source(path)
    assert first.pixels.shape == second.pixels.shape == (48, 64, 3)
    assert first.pixels.min() > 190
    assert second.pixels[:, 32].min() > 190
    assert second.pixels[:, :16].max() < 30


@pytest.mark.parametrize("size_wh", [(64, 48), (48, 64), (65, 48), (640, 480)])
def test_a_fitted_picture_has_the_size_that_was_asked_for(size_wh: tuple[int, int]) -> None:
    assert fitted(marked(3), size_wh).shape == (size_wh[1], size_wh[0], 3)
