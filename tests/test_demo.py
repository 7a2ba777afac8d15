"""The demo photos: there, small, known, and what demo and examples say of them is right."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

import lineament
from lineament.demo import copy_photos
from lineament.errors import OptionError
from lineament.gallery.folder import list_folder

ROOT = Path(__file__).resolve().parent.parent
PHOTOS = Path(lineament.__file__).parent / "data" / "demo"
NAMES = {"astronaut.jpg", "biden.jpg", "group.jpg", "obama.jpg", "obama2.jpg"}


def test_photos_are_small_and_described() -> None:
    files = sorted(PHOTOS.glob("*.jpg"))
    assert {file.name for file in files} == NAMES
    assert sum(file.stat().st_size for file in files) < 1_000_000
    described = set(re.findall(r"^\| `([^`]+)` ", (PHOTOS / "PROVENANCE.md").read_text(), re.M))
    assert described == NAMES
    assert len({hashlib.sha256(file.read_bytes()).digest() for file in files}) == len(NAMES)


def test_the_white_house_keeps_its_credit() -> None:
    for name in ("obama.jpg", "obama2.jpg", "biden.jpg"):
        with PILImage.open(PHOTOS / name) as photo:
            assert photo.getexif()[0x013B] == "Pete Souza"


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("obama.jpg", "obama2.jpg", True),
        ("obama.jpg", "biden.jpg", False),
        ("obama2.jpg", "biden.jpg", False),
        ("obama2.jpg", "astronaut.jpg", False),
    ],
)
def test_who_is_who(a: str, b: str, same: bool) -> None:
    assert lineament.verify(PHOTOS / a, PHOTOS / b).same is same


def test_the_collage_has_eight_faces() -> None:
    assert len(lineament.Recognizer().detect(PHOTOS / "group.jpg").faces) == 8


def test_the_demo_runs_and_writes_pictures(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "examples" / "quickstart.py"), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("obama2 ") == 3  # two pairs, and the list of faces
    assert {file.name for file in tmp_path.iterdir()} == {
        "detect.png",
        "verify.png",
        "people",
        *NAMES,
    }
    for name in NAMES:
        assert (tmp_path / name).read_bytes() == (PHOTOS / name).read_bytes()
    group = np.asarray(PILImage.open(PHOTOS / "group.jpg").convert("RGB"))
    drawn = np.asarray(PILImage.open(tmp_path / "detect.png").convert("RGB"))
    assert drawn.shape == group.shape
    changed = (drawn != group).any(axis=2).mean()
    assert 0.005 < changed < 0.2  # boxes and landmarks, not the photo


def test_the_photos_are_named_and_copied_beside_people(tmp_path: Path) -> None:
    assert {path.name for path in lineament.demo_photos().values()} == NAMES
    (tmp_path / "obama.jpg").write_text("mine")
    copied = copy_photos(tmp_path)
    assert {path.name for path in copied} == NAMES
    assert (tmp_path / "obama.jpg").read_text() == "mine"  # nothing is replaced
    listing = list_folder(tmp_path / "people")
    assert sorted(listing.names) == ["Barack Obama", "Eileen Collins", "Joe Biden"]
    with pytest.raises(OptionError, match="cannot be copied"):
        copy_photos(tmp_path / "obama.jpg")


def example(name: str, *arguments: str, here: Path) -> str:
    command = [sys.executable, str(ROOT / "examples" / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=here)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_in_the_index() -> None:
    index = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    names = {file.name for file in (ROOT / "examples").glob("*.py")}
    assert set(re.findall(r"^\| \[`(\w+\.py)`\]\(\1\) \|", index, re.M)) == names


@pytest.mark.slow
def test_the_presets_agree(tmp_path: Path) -> None:
    said = example("compare.py", here=tmp_path)
    assert [line.split()[:2] for line in said.splitlines() if not line.startswith(" ")] == [
        ["fast", "same"],
        ["balanced", "same"],
        ["accurate", "same"],
    ]


def test_a_gallery_names_the_people_of_the_collage(tmp_path: Path) -> None:
    said = example("gallery.py", here=tmp_path)
    assert said.count("Barack Obama    most like") >= 1
    assert said.count("Eileen Collins  most like") >= 1
    assert said.count("unknown         most like") >= 1  # one of them was not enrolled
    assert (tmp_path / "names.png").is_file()


def test_a_plugin_finds_one_face(tmp_path: Path) -> None:
    lines = example("plugin.py", here=tmp_path).splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["yunet", "8"],
        ["largest", "1"],
        ["largest+onet", "1"],
    ]


@pytest.mark.slow  # tests/cli/test_train.py has a run that is shorter
def test_training_ends_in_a_recognizer(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    for name, photos in (("Barack Obama", ("obama", "obama2")), ("Joe Biden", ("biden",))):
        (tmp_path / "people" / name).mkdir(parents=True)
        for photo in photos:
            shutil.copy(PHOTOS / f"{photo}.jpg", tmp_path / "people" / name)
    said = example("train.py", "people", "--out", "out", "--epochs", "2", here=tmp_path)
    assert said.startswith("3 crops of 2 people\n")
    assert (tmp_path / "out" / "mine.onnx").is_file()
