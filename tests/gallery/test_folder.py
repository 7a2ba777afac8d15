"""A folder is listed and enrolled: layouts, progress, interruptions, what a second call does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lineament
from lineament import Recognizer
from lineament.errors import OptionError
from lineament.gallery import Gallery, folder
from lineament.gallery.folder import FolderReport, enroll_folder, list_folder

DEMO = Path(lineament.__file__).parent / "data" / "demo"


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Three people, four photos that can be enrolled, one with several faces."""
    root = tmp_path / "people"
    for name, photos in {
        "Ada": ("astronaut.jpg", "group.jpg"),
        "Barack": ("obama.jpg", "obama2.jpg"),
        "Joe": ("biden.jpg",),
    }.items():
        (root / name).mkdir(parents=True)
        for photo in photos:
            shutil.copy(DEMO / photo, root / name)
    return root


def test_both_layouts_are_known(tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for name in ("Ada_B_0002.jpg", "Ada_B_0001.png", "17.jpg", "notes.txt", ".hidden_1.jpg"):
        (flat / name).touch()
    found = list_folder(flat)
    assert found.layout == "flat"
    assert [(name, path.name) for name, path in found.photos] == [
        ("Ada B", "Ada_B_0001.png"),
        ("Ada B", "Ada_B_0002.jpg"),
    ]
    assert [words.split(":")[0] for words in found.passed_over] == ["17.jpg"]

    (flat / "Eva" / "inner").mkdir(parents=True)
    (flat / "Eva" / "inner" / "1.jpg").touch()
    (flat / "Nobody").mkdir()
    found = list_folder(flat)
    assert found.layout == "folders"
    assert [(name, path.name) for name, path in found.photos] == [("Eva", "1.jpg")]
    assert any(words.startswith("Nobody/") for words in found.passed_over)
    assert list_folder(flat, "flat").names == ["Ada B"]
    with pytest.raises(OptionError, match="no photo"):
        list_folder(flat / "Nobody")


CAMERA = ("DSC00017.jpg", "IMG_0001.jpg", "IMG_0002.jpg", "20240101_120000.jpg", "photo 1.jpg")


def test_a_cameras_photos_are_nobody(tmp_path: Path) -> None:
    flat = tmp_path / "camera"
    flat.mkdir()
    for name in CAMERA:
        (flat / name).touch()
    for layout in ("auto", "flat"):
        with pytest.raises(OptionError, match="none that is said to be somebody's") as raised:
            list_folder(flat, layout)
        assert "20240101_120000.jpg" in str(raised.value)
        assert "lineament group" in str(raised.value)

    (flat / "Ada_0001.jpg").touch()
    found = list_folder(flat)
    assert (found.layout, found.names) == ("flat", ["Ada"])
    assert sorted(words.partition(":")[0] for words in found.passed_over) == sorted(CAMERA)


def test_albums_are_nobody(tmp_path: Path) -> None:
    for name in ("2024-05-01 Rome", "100CANON", "Ada"):
        (tmp_path / "albums" / name).mkdir(parents=True)
        (tmp_path / "albums" / name / "IMG_0001.jpg").touch()
    found = list_folder(tmp_path / "albums")
    assert (found.layout, found.names) == ("folders", ["Ada"])
    assert [words.partition(":")[0] for words in found.passed_over] == [
        "100CANON/",
        "2024-05-01 Rome/",
    ]
    assert len(list_folder(tmp_path / "albums", "folders").names) == 3
    (tmp_path / "albums" / "Ada").rename(tmp_path / "away")
    with pytest.raises(OptionError, match="100CANON/: no person's name"):
        list_folder(tmp_path / "albums")


def test_a_bad_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="layout: expected one of auto, folders, flat, got 'x'"):
        list_folder(tmp_path, "x")
    with pytest.raises(OptionError, match="expected a folder, but there is nothing of that name"):
        list_folder(tmp_path / "none")


def test_a_folder_becomes_people(people: Path, tmp_path: Path, recognizer: Recognizer) -> None:
    told: list[tuple[int, int, int]] = []

    def progress(report: FolderReport) -> None:
        told.append((report.done, report.total, report.enrolled))

    with Gallery.create(tmp_path / "g", recognizer=recognizer) as gallery:
        report = enroll_folder(gallery, people, metadata={"site": 1}, progress=progress)
        assert (report.photos, report.enrolled, report.already) == (5, 4, 0)
        assert report.people == {"Ada", "Barack", "Joe"}
        assert report.by_reason == {"several faces": 1}
        assert report.refused[0].person == "Ada"
        assert [done for done, _, _ in told] == [1, 2, 3, 4, 5, 5]
        assert {total for _, total, _ in told} == {5}
        assert told[-1][2] == 4
        assert {one.name: (one.n_samples, one.metadata) for one in gallery.people()} == {
            "Ada": (1, {"site": 1}),
            "Barack": (2, {"site": 1}),
            "Joe": (1, {"site": 1}),
        }
        plain = report.to_dict()
        assert (plain["n_photos"], plain["n_refused_by_reason"]) == (5, {"several faces": 1})

        again = enroll_folder(
            gallery, str(people), choose=True, on_low_quality="accept", force=True
        )
        assert (again.already, again.total, again.enrolled) == (4, 1, 1)
        nothing = enroll_folder(gallery, list_folder(people))
        assert (nothing.total, nothing.enrolled, nothing.images_per_second) == (0, 0, None)


def test_an_interruption_keeps_what_was_looked_at(
    people: Path, tmp_path: Path, recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    examine = Gallery.examine

    def interrupted(self: Gallery, *arguments: Any, **options: Any) -> Iterator[Any]:
        for number, one in enumerate(examine(self, *arguments, **options)):
            if number == 3:
                raise KeyboardInterrupt
            yield one

    monkeypatch.setattr(Gallery, "examine", interrupted)
    seen: list[FolderReport] = []
    with Gallery.create(tmp_path / "g", recognizer=recognizer) as gallery:
        with pytest.raises(KeyboardInterrupt):
            enroll_folder(gallery, people, progress=seen.append)
        # Barack is looked at again: his majority may be another one than that of one photo.
        assert (seen[-1].done, seen[-1].enrolled) == (3, 1)
        assert gallery.n_samples == 1
        monkeypatch.setattr(Gallery, "examine", examine)
        report = enroll_folder(gallery, people)
        assert (report.already, report.enrolled) == (1, 3)
        assert gallery.check() == []


def test_batches_are_transactions(
    people: Path, tmp_path: Path, recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    enroll = Gallery.enroll_samples

    def counted(self: Gallery, samples: Any, **options: Any) -> Any:
        sizes.append(len(samples))
        return enroll(self, samples, **options)

    monkeypatch.setattr(Gallery, "enroll_samples", counted)
    monkeypatch.setattr(folder, "BATCH", 3)
    with Gallery.create(tmp_path / "g", recognizer=recognizer) as gallery:
        enroll_folder(gallery, people)
    assert sizes == [3, 1]
