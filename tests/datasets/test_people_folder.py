"""Who is in the photos of a folder: what is read, skipped and refused."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path

import pytest

from lineament.datasets.people_folder import name_in, read_any, read_numbered, read_people
from lineament.errors import DataError, OptionError


def plant(root: Path, files: Iterable[str]) -> Path:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def test_people_photos_and_their_order(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "Zoë")
    root = plant(
        tmp_path,
        (
            "김구/b.webp",
            "김구/a.PNG",
            f"{decomposed}/1.jpg",
            "Ann/album/2020/3.jpg",
            "Ann/1.jpg",
            "Ann/notes.txt",
            "Ann/.hidden.jpg",
            ".thumbnails/1.jpg",
            "readme.md",
        ),
    )
    people = read_people(root)
    assert people.names == ("Ann", "Zoë", "김구")
    assert people.counts.tolist() == [2, 1, 2]
    assert people.person.tolist() == [0, 0, 1, 2, 2]
    names = [people.relative(i) for i in range(5)]
    assert names == ["Ann/1.jpg", "Ann/album/2020/3.jpg", "Zoë/1.jpg", "김구/a.PNG", "김구/b.webp"]
    assert people.of(2).tolist() == [3, 4]
    assert [path.is_file() for path in people.paths] == [True] * 5


def test_a_folder_around_the_folder_is_looked_through(tmp_path: Path) -> None:
    plant(tmp_path, ("set/images/A/1.jpg", "set/images/B/1.jpg", "set/list.txt"))
    people = read_people(tmp_path)
    assert people.folder == tmp_path / "set" / "images"
    assert people.names == ("A", "B")


def test_links_within_a_person_are_not_followed(tmp_path: Path) -> None:
    plant(tmp_path, ("A/1.jpg", "B/1.jpg"))
    (tmp_path / "A" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert read_people(tmp_path).counts.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "found nothing and no folders"),
        (("1.jpg", "2.jpg"), "found 2 photos and no folders"),
        (("A/1.jpg",), r"at least 2 people .* found 1 \(A\)"),
        (("A/1.jpg", "B/1.jpg", "stray.jpg"), "found 1 outside, such as stray.jpg"),
        (("A/1.jpg", "B/notes.txt"), r"B: expected photos .* found none"),
        (("train/A/1.jpg", "test/A/2.jpg"), r"test: .* found only folders, such as .*A"),
        (("Zo\u00eb/1.jpg", "Zoe\u0308/1.jpg"), "two of the name Zo\u00eb"),
    ],
)
def test_what_is_refused(tmp_path: Path, files: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_people(plant(tmp_path, files))


def test_no_folder_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found nothing of that name"):
        read_people(tmp_path / "no")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="found a file of that name"):
        read_people(tmp_path / "file")


def short(name: str) -> str:
    """Names of one letter are refused."""
    if len(name) < 2:
        raise OptionError("too short")
    return unicodedata.normalize("NFC", name)


def test_strays_are_skipped_on_request(tmp_path: Path) -> None:
    files = (
        "A/1.jpg",
        "Ann/in/1.jpg",
        "Zo\u00eb/2.jpg",
        "Zoe\u0308/1.jpg",
        "no/x.txt",
        "1.jpg",
        "x.md",
    )
    people = read_people(plant(tmp_path, files), strays="skip", name_of_folder=short)
    assert (people.layout, people.names) == ("folders", ("Ann", "Zo\u00eb"))
    assert [path.name for path in people.paths] == ["1.jpg", "1.jpg", "2.jpg"]
    assert [people.name(i) for i in range(3)] == ["Ann", "Zo\u00eb", "Zo\u00eb"]
    assert people.skipped == (
        "1.jpg: it lies outside of the people's folders",
        "A/: too short",
        "no/: no photos",
    )
    empty = tmp_path / "no"
    assert read_people(empty, strays="skip", min_people=0).paths == ()
    with pytest.raises(DataError, match="at least 1 people"):
        read_people(empty, strays="skip", min_people=1)


def test_a_single_folder_is_a_person_when_strays_are_skipped(tmp_path: Path) -> None:
    plant(tmp_path, ("set/A/1.jpg", "set/B/1.jpg"))
    assert read_people(tmp_path, strays="skip", min_people=1).names == ("set",)


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("", ""),
        ("Ada_Lovelace_0001", "Ada Lovelace"),
        ("김구-2", "김구"),
        ("Ada (3)", "Ada"),
        ("Ada", "Ada"),
        ("R2_D2_0001", "R2 D2"),
        ("0001", ""),
        ("Ada_Lovelace", "Ada Lovelace"),
    ],
)
def test_names_in_names_of_files(stem: str, name: str) -> None:
    assert name_in(stem) == name


def test_numbered_files(tmp_path: Path) -> None:
    files = (
        "Bo_1.jpg",
        "Ada_B_0002.jpg",
        "Ada_B_0001.png",
        "17.jpg",
        "a.txt",
        ".h_1.jpg",
        "IMG_0001.jpg",
        "김_1.jpg",
        "C/1.jpg",
    )
    people = read_numbered(plant(tmp_path, files), checked_name=short)
    assert (people.layout, people.names) == ("numbered", ("Ada B", "Bo"))
    assert [people.relative(i) for i in range(3)] == [
        "Ada_B_0001.png",
        "Ada_B_0002.jpg",
        "Bo_1.jpg",
    ]
    assert people.skipped == (
        "17.jpg: no person's name: it is a number or a date",
        "IMG_0001.jpg: no person's name: IMG is what cameras and programs call photos",
        "김_1.jpg: too short",
    )


def test_any_photos(tmp_path: Path) -> None:
    plant(tmp_path, ("flat/b.jpg", "flat/a.jpg", "flat/.c.jpg", "flat/none/x.txt"))
    flat = read_any(tmp_path / "flat")
    assert (flat.layout, flat.names) == ("unnamed", ("a", "b"))
    assert [flat.relative(i) for i in range(2)] == ["a.jpg", "b.jpg"]
    plant(tmp_path, ("people/A/1.jpg", "people/B/1.jpg"))
    assert read_any(str(tmp_path / "people")).names == ("A", "B")
    several = read_any([tmp_path / "flat" / "b.jpg", tmp_path / "people", tmp_path / "flat"])
    assert several.names == ("b", "A/1.jpg", "B/1.jpg", "a")
    with pytest.raises(DataError, match="outside, such as x"):
        read_any(plant(tmp_path / "people", ("x.jpg",)))
    with pytest.raises(DataError, match="found none"):
        read_any([tmp_path / "flat" / "none", tmp_path / "flat"])
