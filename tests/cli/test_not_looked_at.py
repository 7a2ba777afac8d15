"""What folders hold besides photos is counted in the text and the JSON of every command."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import lineament
from lineament.cli import app

DEMO = Path(lineament.__file__).parent / "data" / "demo"


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people with two photos each, a text, a film, a hidden file and a link to nowhere."""
    root = tmp_path_factory.mktemp("people")
    for name, photos in {
        "Obama": ("obama.jpg", "obama2.jpg"),
        "Biden": ("biden.jpg", "astronaut.jpg"),
    }.items():
        (root / name).mkdir()
        for photo in photos:
            shutil.copy(DEMO / photo, root / name)
    (root / "Obama" / "notes.txt").touch()
    (root / "Biden" / "film.MP4").touch()
    (root / "Biden" / ".hidden.jpg").touch()
    (root / "Biden" / "link.jpg").symlink_to("nowhere.jpg")
    return root


COMMANDS = {
    "detect": "detect DIR",
    "embed": "embed DIR",
    "embed into a folder": "embed DIR --out OUT/bulk",
    "align": "align DIR --out OUT/crops",
    "align people": "align DIR --people --out OUT/crops",
    "group": "group DIR",
    "enroll": "gallery enroll Obama DIR/Obama --gallery OUT/g",
    "list a folder": "gallery enroll-folder DIR --gallery OUT/g --dry-run",
    "enroll a folder": "gallery enroll-folder DIR --gallery OUT/g",
    "identify": "identify DIR --gallery GALLERY",
    "eval folder": "eval folder DIR --no-cache",
    "plot grid": "plot grid DIR --out OUT/grid.png",
    "plot pose": "plot pose DIR/Obama --out OUT/pose.png",
}


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("gallery") / "g"
    arguments = ["gallery", "enroll", "Barack", str(DEMO / "obama.jpg"), "--gallery", str(place)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    return place


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_counts_it(
    name: str, people: Path, gallery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINEAMENT_CACHE", str(tmp_path / "user-cache"))
    if name.startswith("plot"):
        pytest.importorskip("matplotlib")
    words = [
        word.replace("DIR", str(people))
        .replace("OUT", str(tmp_path))
        .replace("GALLERY", str(gallery))
        for word in COMMANDS[name].split()
    ]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)["not_looked_at"]
    one = "Obama" in COMMANDS[name] or name == "group"  # which takes films
    whole = "Obama" not in COMMANDS[name]
    assert found == {
        "other_files": 1 if one else 2,
        "suffixes": {".txt": 1} if one else {".mp4": 1, ".txt": 1},
        "hidden": int(whole),
        "links": int(whole),
        "not_files": 0,
        "unreadable": [],
    }
    said = " ".join(done.stderr.split())
    if one:
        assert "not looked at: 1 file that is no photo by the suffix (.txt 1)" in said
    else:
        assert (
            "not looked at: 2 files that are no photos by the suffix (.mp4 1, .txt 1), 1 hidden, "
            "1 link not followed"
        ) in said


def test_a_folder_that_cannot_be_listed_is_an_error_beside_the_others(
    people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def refuse(path: object) -> object:
        if os.fspath(path).endswith("Biden"):  # type: ignore[call-overload]
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", refuse)
    done = CliRunner().invoke(app, ["detect", str(people), "--json"])
    found = json.loads(done.stdout)
    assert done.exit_code == 2
    assert found["n_errors"] == 1
    assert sum(photo["error"] is None for photo in found["photos"]) == 2
    assert [one["folder"] for one in found["not_looked_at"]["unreadable"]] == [
        str(people / "Biden")
    ]
