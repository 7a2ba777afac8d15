"""``lineament group`` and ``lineament gallery name-group`` on the demonstration photos."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image as PILImage

import lineament
from lineament.cli import app
from lineament.gallery import Gallery
from lineament.gallery.grouping import Grouping

DEMO = Path(lineament.__file__).parent / "data" / "demo"
Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.setenv("LINEAMENT_CACHE", str(tmp_path / "user-cache"))

    def call(*arguments: object) -> Result:
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert "Traceback" not in result.output
        return result

    return call


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Obama three times, one of them in a montage with others, and a broken file."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "trip").mkdir()
    shutil.copy(DEMO / "obama.jpg", folder / "obama.jpg")
    shutil.copy(DEMO / "obama2.jpg", folder / "trip" / "obama.jpg")
    shutil.copy(DEMO / "biden.jpg", folder / "biden.jpg")
    with PILImage.open(DEMO / "obama.jpg") as image:
        image.rotate(3).resize((image.width // 2, image.height // 2)).save(folder / "small.png")
    (folder / "broken.jpg").write_bytes(b"nothing")
    PILImage.fromarray(np.full((90, 120, 3), 128, np.uint8)).save(folder / "gray.png")
    return folder


def one_object(result: Result) -> dict[str, Any]:
    value = json.loads(result.stdout)
    assert isinstance(value, dict)
    return value


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_photos_become_people(run: Run, photos: Path, tmp_path: Path) -> None:
    before = files_below(photos)
    out, page, copies = tmp_path / "g.json", tmp_path / "g.html", tmp_path / "copies"
    result = run(
        *("group", photos, "--out", out, "--report", page, "--copy-to", copies, "--json"),
        *("--threshold", 0.4),
    )
    assert result.exit_code == 2  # one photo is broken
    assert "broken.jpg" in result.stderr
    printed = one_object(result)
    (group,) = printed["groups"]
    sources = sorted(Path(face["source"]).name for face in group["faces"])
    assert sources == ["obama.jpg", "obama.jpg", "small.png"]
    assert (printed["n_photos"], printed["n_new_photos"], printed["n_faces"]) == (6, 6, 4)
    assert [Path(bad["source"]).name for bad in printed["unreadable"]] == ["broken.jpg"]
    assert printed["threshold"]["value"] == 0.4
    assert 0.4 < group["weakest"] <= group["cohesion"] < 1
    assert files_below(photos) == before
    copied = files_below(copies)
    assert sorted(copied) == ["person 1/obama.jpg", "person 1/obama~2.jpg", "person 1/small.png"]
    assert copied["person 1/small.png"] == before["small.png"]
    assert {copied["person 1/obama.jpg"], copied["person 1/obama~2.jpg"]} == {
        before["obama.jpg"],
        before["trip/obama.jpg"],
    }
    html = page.read_text("utf-8")
    assert html.count("<img") == 4
    assert "Person 1" in html
    assert "1 face alone" in html
    assert "broken.jpg" in html
    assert html.count("<details>") == 2
    assert "http" not in html.split("</style>")[1]
    assert Grouping.load(out).group.tolist().count(1) == 3


def test_more_photos_and_a_name(run: Run, photos: Path, tmp_path: Path) -> None:
    out, gallery = tmp_path / "g.json", tmp_path / "gallery"
    first = run("group", photos / "obama.jpg", photos / "biden.jpg", "--out", out)
    assert first.exit_code == 1  # nobody twice
    assert "2 faces: 0 in 0 groups, 2 in none" in first.stderr
    page = tmp_path / "g.html"
    arguments = ("group", photos / "trip", photos / "obama.jpg", photos / "small.png")
    again = (*arguments, "--groups", out, "--out", out, "--report", page, "--json")
    assert "exists already" in one_object(run(*again))["error"]
    more = run(*again, "--overwrite")
    assert more.exit_code == 0
    printed = one_object(more)
    assert (printed["n_photos"], printed["n_new_photos"], printed["n_faces"]) == (4, 2, 4)
    (group,) = printed["groups"]
    assert group["n_faces"] == 3
    assert page.read_bytes().count(b"<img") == 4  # older faces are read again

    named = run(
        "gallery", "name-group", out, group["id"], "Barack Obama", "--gallery", gallery, "--json"
    )
    assert named.exit_code == 0, named.output
    enrolled = one_object(named)["enrolled"]
    assert {Path(sample["source"]) for sample in enrolled} <= set(photos.rglob("*"))
    assert len(enrolled) >= 2
    with Gallery.open(gallery, read_only=True) as store:
        person = store.person("Barack Obama")
        vector = store.embedding(person.samples[0].id).vector
    assert person.n_samples == len(enrolled)
    grouping = Grouping.load(out)
    assert grouping.names == {group["id"]: "Barack Obama"}
    assert max(float(vector @ row) for row in grouping.vectors) == pytest.approx(1, abs=1e-5)
    again = run("group", photos / "biden.jpg", "--groups", out)
    assert "Barack Obama" in again.stdout


def test_links_and_nobody(run: Run, photos: Path, tmp_path: Path) -> None:
    links = tmp_path / "links"
    result = run(
        *("group", photos / "biden.jpg", photos / "gray.png", "--min-size", 1),
        *("--link-to", links, "--fmr", 0.001),
    )
    assert result.exit_code == 0
    (link,) = [path for path in links.rglob("*") if path.is_symlink()]
    assert link.resolve() == (photos / "biden.jpg").resolve()
    nobody = run("group", photos / "gray.png", "--json")
    assert nobody.exit_code == 1
    assert one_object(nobody)["groups"] == []


def test_groups_of_another_recognizer_are_refused(run: Run, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "g.json"
    run("group", photos / "biden.jpg", "--out", out)
    before = out.read_bytes()
    result = run("group", photos / "obama.jpg", "--groups", out, "--preset", "fast")
    assert result.exit_code == 2
    assert "made in the same way" in result.stderr
    assert out.read_bytes() == before


def test_wrong_options_are_refused_before_the_work(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lineament.gallery.grouping.group", None)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("")
    cases = {
        ("--min-size", "0"): "--min-size: expected 1 or more",
        ("--copy-to", "a", "--link-to", "b"): "got both",
        ("--copy-to", photos / "sorted"): "is inside",
        ("--link-to", photos): "is inside",
        ("--copy-to", tmp_path / "full"): "expected a new or an empty folder",
        ("--out", tmp_path / "none" / "g.json"): "there is no folder",
        ("--report", tmp_path): "is a folder",
        ("--out", photos / "biden.jpg"): "is one of the files that are read",
        ("--groups", photos / "biden.jpg"): "expected a file of groups",
    }
    for arguments, message in cases.items():
        result = run("group", photos, *arguments)
        assert (result.exit_code, message in result.stderr) == (2, True), (arguments, result.stderr)
    assert run("group", tmp_path / "nothing").exit_code == 2
    assert run("gallery", "name-group", tmp_path / "none.json", 1, "Ada").exit_code == 2
