"""`lineament gallery enroll-folder`: layouts, refusals, and going on where it ended."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image as PILImage

import lineament
from lineament.cli import app
from lineament.gallery import Gallery, folder

DEMO = Path(lineament.__file__).parent / "data" / "demo"


def run(*arguments: object) -> tuple[int, dict[str, Any], str]:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    found = json.loads(done.stdout) if done.stdout else {}
    assert isinstance(found, dict)
    return done.exit_code, found, done.stderr


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One folder per person, names in several scripts, and a photo of each fault."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "people"
    for name, photos in {
        "Обама": ("obama.jpg", "obama2.jpg"),
        unicodedata.normalize("NFD", "José"): ("biden.jpg",),
        "콜린스": ("astronaut.jpg", "group.jpg"),
    }.items():
        (root / name).mkdir(parents=True)
        for photo in photos:
            shutil.copy(DEMO / photo, root / name)
    return root


def test_a_folder_and_its_report(people: Path, tmp_path: Path) -> None:
    (people / "Я").mkdir()
    shutil.copy(people / "Обама" / "obama.jpg", people / "Я" / "same.jpg")
    (people / "Обама" / "broken.jpg").write_bytes(b"none")
    PILImage.new("RGB", (150, 150), "gray").save(people / "Обама" / "wall.png")
    code, found, _ = run(
        "gallery", "enroll-folder", people, "--report", "refused.html", "--set", "site=1"
    )
    assert code == 1
    assert (found["n_photos"], found["n_enrolled"], found["n_new_people"]) == (8, 4, 3)
    assert found["n_refused_by_reason"] == {
        "someone else": 1,
        "several faces": 1,
        "unreadable": 1,
        "no face": 1,
    }
    someone = next(one for one in found["refused"] if one["reason"] == "someone else")
    assert (someone["person"], someone["other"]) == ("Я", "Обама")
    with Gallery.open("gallery", read_only=True) as opened:
        enrolled = {one.name: (one.n_samples, one.metadata) for one in opened.people()}
    site = {"site": 1}
    assert enrolled == {"Обама": (2, site), "José": (1, site), "콜린스": (1, site)}
    page = (tmp_path / "refused.html").read_text("utf-8")
    assert page.count("data:image/jpeg") == 4  # no face, several, and someone else with whom
    for words in ("Someone else: 1", "broken.jpg", "wall.png", "Я"):
        assert words in page
    assert "<script" not in page


def test_a_second_run_has_nothing_to_do(people: Path) -> None:
    shutil.rmtree(people / "콜린스")
    code, found, _ = run("gallery", "enroll-folder", people)
    assert (code, found["n_enrolled"], found["n_enrolled_already"]) == (0, 3, 0)
    code, found, _ = run("gallery", "enroll-folder", people)
    assert (code, found["n_enrolled"], found["n_enrolled_already"]) == (0, 0, 3)
    assert found["photos_per_second"] is None
    shutil.copy(DEMO / "astronaut.jpg", people / "Обама" / "another.jpg")  # wrong, and new
    code, found, _ = run("gallery", "enroll-folder", people)
    assert (code, found["n_enrolled"], found["n_enrolled_already"]) == (1, 0, 3)
    assert found["n_refused_by_reason"] == {"unlike the others": 1}
    code, found, _ = run("gallery", "enroll-folder", people, "--force")
    assert (code, found["n_enrolled"], found["n_enrolled_already"]) == (0, 1, 3)


KILLED = """
import os, signal, sys
from lineament.cli import app
from lineament.gallery import Gallery, folder

folder.BATCH = 1
enroll, done = Gallery.enroll_samples, []

def enroll_samples(self, samples, **options):
    result = enroll(self, samples, **options)
    done.append(samples)
    if len(done) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return result

Gallery.enroll_samples = enroll_samples
app(["gallery", "enroll-folder", sys.argv[1]])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_killed_in_the_middle_it_goes_on(people: Path) -> None:
    (people / "콜린스" / "group.jpg").unlink()
    command = [sys.executable, "-c", KILLED, str(people)]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Gallery.open("gallery", read_only=True) as opened:
        assert opened.n_samples == 3  # two people, each as a whole
    code, found, _ = run("gallery", "enroll-folder", people)
    assert code == 0
    assert (found["n_enrolled_already"], found["n_enrolled"], found["n_samples"]) == (3, 1, 4)
    with Gallery.open("gallery", read_only=True) as opened:
        assert opened.check() == []
        sources = [s.source for one in opened.people() for s in opened.person(one.name).samples]
    assert sorted(sources) == sorted(str(path) for path in people.glob("*/*.jpg"))


def test_ctrl_c_keeps_what_was_looked_at(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examine = Gallery.examine

    def interrupted(self: Gallery, *arguments: Any, **options: Any) -> Iterator[Any]:
        for number, one in enumerate(examine(self, *arguments, **options)):
            if number == 2:
                raise KeyboardInterrupt
            yield one

    monkeypatch.setattr(Gallery, "examine", interrupted)
    code, found, words = run("gallery", "enroll-folder", people)
    assert code == 130
    assert (found["code"], found["error"]) == ("interrupted", words.strip())
    assert words.strip() == (
        "interrupted: 1 of 5 photos are enrolled; run the same command again to go on"
    )
    monkeypatch.setattr(Gallery, "examine", examine)
    code, found, _ = run("gallery", "enroll-folder", people)
    assert (code, found["n_enrolled_already"], found["n_enrolled"]) == (1, 1, 3)


def test_batches_are_what_is_durable(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    enroll = Gallery.enroll_samples

    def counted(self: Gallery, samples: Any, **options: Any) -> Any:
        sizes.append(len(samples))
        return enroll(self, samples, **options)

    monkeypatch.setattr(Gallery, "enroll_samples", counted)
    monkeypatch.setattr(folder, "BATCH", 3)
    code, found, _ = run("gallery", "enroll-folder", people)
    assert code == 1
    assert found["n_enrolled"] == 4
    assert sum(sizes) == 4
    assert max(sizes) <= 3


def test_workers_that_make_no_sense(people: Path) -> None:
    code, found, _ = run("gallery", "enroll-folder", people, "--workers", "0")
    assert code == 2
    assert "--workers: expected 1 or more, got 0" in found["error"]
    code, found, _ = run("gallery", "enroll-folder", people, "--workers", "2")
    assert code == 2
    assert "--workers: expected together with --ray" in found["error"]


def test_who_would_be_enrolled(people: Path) -> None:
    (people / "100CANON").mkdir()
    shutil.copy(DEMO / "biden.jpg", people / "100CANON" / "IMG_0001.jpg")
    code, found, _ = run("gallery", "enroll-folder", people, "--dry-run", "--gallery", "g")
    assert (code, found["dry_run"], found["layout"]) == (0, True, "folders")
    assert [tuple(one.values()) for one in found["people"]] == [
        ("José", 1),
        ("Обама", 2),
        ("콜린스", 2),
    ]
    assert (found["n_photos"], found["n_new_people"], found["n_enrolled_already"]) == (5, 3, 0)
    assert [words.partition(":")[0] for words in found["passed_over"]] == ["100CANON/"]
    assert not Path("g").exists()

    code, found, _ = run("gallery", "enroll-folder", people, "--gallery", "g")
    assert found["layout"] == "folders"
    before = sorted((path, path.stat().st_mtime_ns) for path in Path("g").rglob("*.sqlite"))
    code, found, _ = run("gallery", "enroll-folder", people, "--dry-run", "--gallery", "g")
    assert (code, found["n_new_people"], found["n_enrolled_already"]) == (0, 0, 4)
    assert sorted((path, path.stat().st_mtime_ns) for path in Path("g").rglob("*.sqlite")) == before

    words = ["gallery", "enroll-folder", str(people), "--dry-run", "--gallery", "g"]
    done = CliRunner().invoke(app, words)
    assert "one folder per person" in done.output
    assert "nothing was changed" in done.stderr


def test_a_cameras_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cam").mkdir()
    for name, photo in (("IMG_0001", "obama"), ("IMG_0002", "biden"), ("DSC00017", "obama2")):
        shutil.copy(DEMO / f"{photo}.jpg", Path("cam", f"{name}.jpg"))
    for more in ([], ["--dry-run"]):
        code, found, _ = run("gallery", "enroll-folder", "cam", "--gallery", "g", *more)
        assert code == 2
        assert "nobody was enrolled" in str(found["error"])
        assert not Path("g").exists()
