"""Folders keep their structure; a plan may be edited, and holds for the files that it is of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

from lineament.anonymize.folders import list_files, make_plan, refuse_written, write_plan
from lineament.anonymize.plan import Plan, PlannedPhoto
from lineament.detect import DetectOptions
from lineament.errors import ImageError, OptionError
from lineament.finder import FaceFinder
from lineament.images import load_image
from lineament.types import Face, Image


class InTheMiddle:
    """Finds one face in the middle of every photo that is not gray."""

    def detect(self, image: Image, _: DetectOptions) -> list[Face]:
        height, width = image.shape[:2]
        if image.std() < 1:
            return []
        box = np.array([0.4 * width, 0.4 * height, 0.6 * width, 0.6 * height])
        return [Face(box, 0.8)]


@pytest.fixture
def finder() -> FaceFinder:
    return FaceFinder(InTheMiddle())


@pytest.fixture
def party(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "party"
    for name in ("a.jpg", "sub/b.png", "sub/deep/c.gif"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PILImage.fromarray(rng.integers(0, 256, (60, 80, 3)).astype(np.uint8)).save(path)
    PILImage.new("RGB", (40, 30), (90, 90, 90)).save(folder / "gray.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (folder / "note.txt").write_text("no photo")
    return folder


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_structure_stays_and_errors_are_said(
    party: Path, finder: FaceFinder, tmp_path: Path
) -> None:
    found = list_files([party])
    assert found.passed_over.suffixes == {".txt": 1}
    told: list[tuple[str, int, int]] = []
    plan, failed = make_plan(found, finder, progress=lambda *what: told.append(what))
    assert [Path(path).name for path, _ in failed] == ["broken.jpg"]
    assert told[-1] == ("looking at photos", 5, 5)
    out = tmp_path / "out"
    done = {Path(one.source).name: one for one in write_plan(plan, out, finder)}
    assert names_in(out) == {"a.jpg", "gray.png", "sub/b.png", "sub/deep/c.gif.png"}
    assert {name: one.n_hidden for name, one in done.items()} == {
        "a.jpg": 1,
        "gray.png": 0,
        "b.png": 1,
        "c.gif": 1,
    }
    old, new = load_image(party / "sub/b.png"), load_image(out / "sub/b.png")
    assert np.array_equal(old[:10], new[:10])
    assert (old[28:32, 38:42] != new[28:32, 38:42]).mean() > 0.9


def test_a_plan_is_written_edited_and_applied(
    party: Path, finder: FaceFinder, tmp_path: Path
) -> None:
    (party / "broken.jpg").unlink()
    plan, _ = make_plan(list_files([party]), finder, method="solid", shape="box")
    path = tmp_path / "plan.json"
    plan.save(path)
    text = json.loads(path.read_text())
    assert text["lineament"] == "anonymize"
    assert list(text) == ["lineament", "version", "root", "method", "shape", "files"]
    assert '"box_xyxy": [' in path.read_text()  # on one line, for people
    by_path = {file["path"]: file for file in text["files"]}
    by_path["a.jpg"]["faces"][0]["hide"] = False
    by_path["gray.png"]["faces"] = [{"box_xyxy": [5, 5, 15, 15]}]  # what was not found
    path.write_text(json.dumps(text))
    done = {Path(o.source).name: o for o in write_plan(Plan.load(path), tmp_path / "o", finder)}
    assert done["a.jpg"].n_hidden == 0
    assert done["gray.png"].n_hidden == 1
    gray = load_image(tmp_path / "o/gray.png")
    assert (gray[5:15, 5:15] == 96).all()
    assert (gray[25:, 30:] == 90).all()


def test_a_plan_holds_for_the_same_files_only(
    party: Path, finder: FaceFinder, tmp_path: Path
) -> None:
    plan, _ = make_plan(list_files([party]), finder)
    PILImage.new("RGB", (80, 60)).save(party / "a.jpg")
    (party / "sub/b.png").unlink()
    out = tmp_path / "out"
    errors = {Path(o.source).name: o.error for o in write_plan(plan, out, finder)}
    assert "expected the file that was looked at" in str(errors["a.jpg"])
    assert "no such file" in str(errors["b.png"])
    assert names_in(out) == {"gray.png", "sub/deep/c.gif.png"}
    moved = tmp_path / "moved"
    party.rename(moved)
    errors = {Path(o.source).name: o.error for o in write_plan(plan, out, finder, root=moved)}
    assert "exists already" in str(errors["c.gif"])


def test_files_are_replaced_only_when_asked(
    party: Path, finder: FaceFinder, tmp_path: Path
) -> None:
    found = list_files([party / "a.jpg"])
    plan, _ = make_plan(found, finder)
    out = tmp_path / "a.png"
    refuse_written(found, tmp_path / "out")
    assert [o.error for o in write_plan(plan, out, finder, as_file=True)] == [None]
    (again,) = write_plan(plan, out, finder, as_file=True)
    assert "exists already" in str(again.error)
    (third,) = write_plan(plan, out, finder, as_file=True, overwrite=True)
    assert third.error is None
    (itself,) = write_plan(plan, party, finder, overwrite=True)
    assert "is the file that is read" in str(itself.error)
    with pytest.raises(OptionError, match=r"a\.jpg exists already"):
        refuse_written(found, party)


def test_several_files_need_a_folder(party: Path, finder: FaceFinder, tmp_path: Path) -> None:
    plan, _ = make_plan(list_files([party]), finder)
    with pytest.raises(OptionError, match="expected a folder for 4 files"):
        list(write_plan(plan, tmp_path / "a.jpg", finder, as_file=True))
    with pytest.raises(ImageError):
        list_files([tmp_path / "none"])


def photo(**more: Any) -> dict[str, Any]:
    return {"kind": "photo", "path": "a.jpg", "sha256": "", "size_wh": [8, 8], "faces": []} | more


def film(track: dict[str, Any]) -> dict[str, Any]:
    whole = {"id": 1, "frames": [[0, 9]], "boxes": [[0, 1, 1, 5, 5]]} | track
    about = {"kind": "film", "path": "a.mp4", "sha256": "", "size_wh": [8, 8], "n_frames": 9}
    return about | {"tracks": [whole]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 2}, "expected version 1, got 2"),
        ({"method": "mosaic"}, "method"),
        ({"files": [photo(path="../a.jpg")]}, "expected a path inside of the root"),
        ({"files": [photo(path="/etc/a.jpg")]}, "expected a path inside of the root"),
        ({"files": [photo(), photo()]}, "expected each file once"),
        ({"files": [photo(faces=[{"box_xyxy": [5, 5, 1, 9]}])]}, r"face 1: expected box_xyxy with"),
        ({"files": [photo(faces=[{"box_xyxy": [1, 2, 3]}])]}, "box_xyxy"),
        ({"files": [photo(faces=[{"box_xyxy": [1, 2, 3, 4], "hid": True}])]}, "hid"),
        ({"files": [photo(kind="sound")]}, "kind"),
        ({"files": [film({"boxes": []})]}, "track 1: expected at least one box"),
        ({"files": [film({"boxes": [[3, 1, 1, 5, 5], [3, 1, 1, 5, 5]]})]}, "each once"),
        ({"files": [film({"boxes": [[3, 5, 1, 1, 5]]})]}, "track 1, frame 3"),
        ({"files": [film({"frames": [[7, 3]]})]}, r"expected frames as \[first, last\]"),
        ({"lineament": "groups"}, "expected a plan of what is anonymized, got a file of groups"),
    ],
)
def test_a_plan_that_was_edited_wrongly(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    whole = {"lineament": "anonymize", "version": 1, "root": "/tmp", "files": [photo()]}
    path.write_text(json.dumps(whole))
    assert isinstance(Plan.load(path).files[0], PlannedPhoto)
    path.write_text(json.dumps(whole | change))
    with pytest.raises(OptionError, match=words):
        Plan.load(path)


def test_what_is_no_plan(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    with pytest.raises(OptionError, match="cannot be read"):
        Plan.load(path)
    path.write_bytes(b"\xff\xd8\xff\xe0 a photo")
    with pytest.raises(OptionError, match="expected a plan of what is anonymized, got a photo"):
        Plan.load(path)


def test_the_command_line_names_the_endings_that_are_written() -> None:
    from lineament.anonymize.writing import WRITTEN_SUFFIXES
    from lineament.cli.anonymize import WRITTEN
    from lineament.video.writing import FORMATS

    assert set(WRITTEN) == {*WRITTEN_SUFFIXES, *FORMATS}
