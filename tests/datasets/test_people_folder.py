"""A folder a person: what is read, and what is refused."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path

import pytest

from lineament.datasets.people_folder import read_people
from lineament.errors import DataError


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
