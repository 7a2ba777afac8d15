"""What somebody may have meant: names, paths, and all that says that a path does not exist."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lineament
from lineament.errors import LineamentError
from lineament.suggest import bare, did_you_mean, folded, similar_names, similar_path


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada", "ADA"),
        ("Ada Lovelace", " ada\N{NO-BREAK SPACE} lovelace "),
        ("Straße", "STRASSE"),
        ("Ａｄａ", "ada"),
        ("e\N{COMBINING ACUTE ACCENT}", "É"),
    ],
)
def test_names_that_are_equal_but_for_case_width_and_blanks(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@pytest.mark.parametrize(("one", "other"), [("Rene", "René"), ("Ada", "Adam"), ("张伟", "张衛")])
def test_names_that_are_not(one: str, other: str) -> None:
    assert folded(one) != folded(other)


def test_accents_alone() -> None:
    assert bare("ŒUVRE É ñ") == "œuvre e n"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("obama", ["Barack Obama", "Michelle Obama"]),
        ("obma", ["Barack Obama", "Michelle Obama"]),
        ("Barak Obama", ["Barack Obama"]),
        ("rene", ["René"]),
        ("伟", []),
        ("", []),
        ("xyz", []),
    ],
)
def test_similar_names(typed: str, meant: list[str]) -> None:
    names = ["Barack Obama", "Michelle Obama", "René", "张伟", "Joe Biden"]
    assert similar_names(typed, names)[: len(meant)] == meant
    assert bool(similar_names(typed, names)) == bool(meant)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("obam2.jpg", "obama2.jpg"),
        ("OBAMA2.JPG", "obama2.jpg"),
        ("obama2.png", "obama2.jpg"),
        ("obama2", "obama2.jpg"),
        ("stafff", "staff"),
        ("staff/adaa.jpg", "staff/ada.jpg"),
        ("nothing.jpg", None),
        ("nowhere/a.jpg", None),
        ("a\0b", None),
    ],
)
def test_similar_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, meant: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "staff").mkdir()
    for name in ("obama2.jpg", "biden.jpg", "staff/ada.jpg", ".obam2.jpg"):
        (tmp_path / name).touch()
    assert similar_path(typed) == (None if meant is None else str(Path(meant)))
    if typed == "stafff":
        assert similar_path(typed, folders=False) is None
    assert did_you_mean(None) == did_you_mean([]) == ""
    assert did_you_mean(["a", "b"]) == " (did you mean a or b?)"


def photo(path: Path) -> Any:
    return lineament.Recognizer().detect(path)


def gallery(path: Path) -> Any:
    return lineament.Gallery.open(path)


def folder(path: Path) -> Any:
    from lineament.gallery import list_folder

    return list_folder(path)


def people(path: Path) -> Any:
    from lineament.datasets.people_folder import read_people

    return read_people(path)


def benchmark(path: Path) -> Any:
    from lineament.datasets.text import folder_of

    return folder_of(path, "LFW")


def calibration(path: Path) -> Any:
    from lineament.decide.calibration import Calibration

    return Calibration.load(path)


def images(path: Path) -> Any:
    from lineament.images import find_images

    return find_images([path])


@pytest.mark.parametrize("read", [photo, gallery, folder, people, benchmark, calibration, images])
def test_whatever_does_not_exist_names_what_does(
    tmp_path: Path, astronaut_path: Path, read: Callable[[Path], Any]
) -> None:
    is_folder = read in (gallery, folder, people, benchmark)
    name = "family" if is_folder else "family.jpg"
    there = tmp_path / name
    if is_folder:
        there.mkdir()
    else:
        shutil.copy(astronaut_path, there)
    with pytest.raises(LineamentError, match=rf"did you mean \S*{name}\?"):
        read(tmp_path / name.replace("family", "famly"))
    with pytest.raises(LineamentError) as raised:
        read(tmp_path / "xyzzy")
    assert "did you mean" not in str(raised.value)
