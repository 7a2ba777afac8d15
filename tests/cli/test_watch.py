"""``lineament watch``: what it prints and writes, and that Ctrl-C leaves whole files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from films import make_film, sound_of

import lineament
from lineament.cli import app
from lineament.cli.watch import FILM
from lineament.types import Image
from lineament.video import open_source
from lineament.video.writing import FORMATS

pytest.importorskip("av")
DEMO = Path(lineament.__file__).parent / "data" / "demo"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["watch", *map(str, arguments)])


def moved(photo: Image, number: int) -> Image:
    """The photo, moved a little, as a frame of 320 x 240."""
    frame = np.full((240, 320, 3), 90, np.uint8)
    left = 40 + 2 * number
    frame[10 : 10 + photo.shape[0], left : left + photo.shape[1]] = photo
    return frame


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two films of one person, one of nobody, and a gallery."""
    from PIL import Image as PILImage

    folder = tmp_path_factory.mktemp("watched")
    for name in ("obama", "obama2"):
        with PILImage.open(DEMO / f"{name}.jpg") as picture:
            small = picture.convert("RGB")
        small.thumbnail((220, 220))
        pixels = np.asarray(small)
        frames = [moved(pixels, k) for k in range(8)]
        make_film(folder / f"{name}.mp4", frames, sound="aac", codec="libx264")
    make_film(folder / "nobody.mp4", [np.full((120, 160, 3), 90, np.uint8)] * 4)
    done = CliRunner().invoke(
        app,
        ["gallery", "enroll", "Barack", str(DEMO / "obama.jpg"), "--gallery", f"{folder}/staff"],
    )
    assert done.exit_code == 0, done.output
    return folder


def test_everything_is_written_and_said(films: Path, tmp_path: Path) -> None:
    out, events, shots = tmp_path / "marked.mp4", tmp_path / "events.jsonl", tmp_path / "shots"
    done = run(
        films / "obama2.mp4", "--gallery", films / "staff", "--out", out, "--events", events,
        "--shots", shots, "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    (person,) = said["people"]
    assert person["name"] == "Barack"
    assert person["probability"] > 0.9
    assert person["stays"] == [{"from_s": 0.0, "to_s": 0.28}]
    assert (said["n_frames"], said["n_dropped"], said["noticed"]) == (8, 0, [])
    assert (said["out"], said["events_out"], said["shots_out"]) == (
        str(out),
        str(events),
        str(shots),
    )
    kinds = [json.loads(line)["kind"] for line in events.read_text().splitlines()]
    assert kinds == ["appeared", "identified", "left"]
    assert [each.name for each in shots.iterdir()] == ["person-1.png"]
    frames = list(open_source(out))
    assert [frame.time_s for frame in frames] == pytest.approx([0.04 * k for k in range(8)])
    assert sound_of(out) == sound_of(films / "obama2.mp4")
    again = run(films / "obama2.mp4", "--out", out)
    assert again.exit_code == 2
    assert "exists already" in again.stderr


def test_without_a_gallery_there_are_numbers(films: Path) -> None:
    done = run(films / "obama.mp4")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "0.00 s: person 1 appeared"
    assert lines[1].endswith("person 1 left")
    assert lines[-1].split()[0] == "1"
    assert "name" not in done.stdout
    assert "8 frames, 0.3 s, 1 person" in done.stderr


def test_events_go_to_stdout_and_nothing_else(films: Path) -> None:
    done = run(films / "obama.mp4", "--events", "-")
    assert [json.loads(line)["kind"] for line in done.stdout.splitlines()] == ["appeared", "left"]


def test_nobody_is_no_error(films: Path) -> None:
    done = run(films / "nobody.mp4")
    assert (done.exit_code, done.stdout) == (1, f"{films}/nobody.mp4: nobody was there\n")


def test_who_was_seen_is_known_again(films: Path, tmp_path: Path) -> None:
    memory = tmp_path / "people.npz"
    for film, known in (("obama", False), ("obama2", True)):
        done = run(films / f"{film}.mp4", "--remember", memory, "--json")
        (person,) = json.loads(done.stdout)["people"]
        assert (person["id"], person["known"]) == (1, known)


def test_a_page_is_shown(films: Path) -> None:
    done = run(films / "nobody.mp4", "--preview")
    assert "preview: http://127.0.0.1:" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nowhere.mp4",), "video_not_found", "no such file"),
        (("999",), "video_not_found", "there is no /dev/video999"),
        (("rtsp://127.0.0.1/x",), "video_unreadable", "add --allow-private if it is your own"),
        ((str(DEMO / "obama.jpg"),), "video_format", "expected a film"),
        (("FILM", "--gallery", "nowhere"), "gallery_not_found", "there is no gallery"),
        (("FILM", "--out", "a.avi"), "option_invalid", "a name that ends in .mp4"),
        (("FILM", "--out", "nowhere/a.mp4"), "option_invalid", "there is no folder"),
        (("FILM", "--remember", "nowhere/a.npz"), "option_invalid", "folder that exists"),
        (("FILM", "--port", "70000"), "option_invalid", "expected"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    arguments: tuple[str, ...], code: str, words: str, films: Path, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        done = run(*(str(films / "nobody.mp4") if w == "FILM" else w for w in arguments), "--json")
    assert done.exit_code == 2
    said = json.loads(done.stdout)
    assert said["code"] == code
    assert words in said["error"]
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_whole_files(films: Path, tmp_path: Path) -> None:
    from PIL import Image as PILImage

    with PILImage.open(DEMO / "obama.jpg") as picture:
        small = picture.convert("RGB")
    small.thumbnail((220, 220))
    frames = [moved(np.asarray(small), k % 25) for k in range(250)]
    film = make_film(tmp_path / "long.mp4", frames, sound="aac")
    out, events = tmp_path / "out.mp4", tmp_path / "events.jsonl"
    asked = ["watch", film, "--at-once", "--out", out, "--events", events]
    command = [sys.executable, "-m", "lineament", *asked]
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "LINEAMENT_DEBUG": "1"},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (events.exists() and events.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "hold what was seen in the first" in stderr.splitlines()[-1]
    assert "person 1 left" in stdout
    written = list(open_source(out))
    assert 1 <= len(written) < 250
    assert len(sound_of(out)[1]) == pytest.approx(len(written) * 0.04 * 44_100 / 1024, abs=3)
    assert [json.loads(line)["kind"] for line in events.read_text().splitlines()][-1] == "left"
    assert {each.name for each in tmp_path.iterdir()} == {"long.mp4", "out.mp4", "events.jsonl"}


def test_somebody_is_enrolled_from_a_film(films: Path, tmp_path: Path) -> None:
    gallery = tmp_path / "people"

    def enroll(*words: object) -> Result:
        call = ["gallery", "enroll", "Barack", *map(str, words), "--gallery", str(gallery)]
        return CliRunner().invoke(app, [*call, "--json"])

    done = enroll("--video", films / "obama.mp4")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["created"]
    assert [one["source"].partition("#t=")[0] for one in said["enrolled"]] == [
        str(films / "obama.mp4")
    ]
    found = run(films / "obama2.mp4", "--gallery", gallery, "--json")
    assert [one["name"] for one in json.loads(found.stdout)["people"]] == ["Barack"]
    for words, message in (
        (("--video", films / "nobody.mp4"), "nobody is in it"),
        (("--video", films / "obama.mp4", DEMO / "obama.jpg"), "got both"),
        ((), "got neither"),
        (("--video", films / "obama.mp4", "--person", "7"), "--person: expected one of 1 ("),
        (("--person", "7", DEMO / "obama.jpg"), "together with --video only"),
    ):
        done = enroll(*words)
        assert done.exit_code == 2
        assert message in json.loads(done.stdout)["error"]


def test_the_films_are_those_of_the_library() -> None:
    assert FILM.suffixes == tuple(FORMATS)
