"""Photos become groups, groups become people of a gallery; the demonstration photos."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as PILImage

import lineament
from builders import make_contract
from lineament import Recognizer
from lineament.align.alignment import align_faces
from lineament.errors import ContractError, OptionError
from lineament.gallery import Gallery, Settings
from lineament.gallery.grouping import (
    GroupFace,
    Grouping,
    GroupPhoto,
    Thumbnails,
    copy_photos,
    group,
    name_groups,
    summary,
    unread,
)
from lineament.gallery.grouping.photos import crop_of, sample_of
from lineament.images import load_image
from lineament.types import Embedding, Threshold

DEMO = Path(lineament.__file__).parent / "data" / "demo"


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Obama twice, Biden, a broken file."""
    folder = tmp_path_factory.mktemp("photos")
    for name in ("biden.jpg", "obama.jpg", "obama2.jpg"):
        shutil.copy(DEMO / name, folder / name)
    (folder / "broken.jpg").write_bytes(b"nothing")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def grouping(photos: list[Path], recognizer: Recognizer) -> Grouping:
    return group(photos, recognizer, threshold=0.4)


def test_photos_become_groups(photos: list[Path], recognizer: Recognizer) -> None:
    told: list[tuple[str, int, bool]] = []
    thumbnails = Thumbnails(most_kept=2)

    def on_photo(photo: GroupPhoto, faces: Any, crops: Any) -> None:
        told.append((Path(photo.source).name, len(faces), crops is None))
        thumbnails.add(photo, faces, crops)

    found = group(photos, recognizer, fmr=1e-3, on_photo=on_photo)
    assert [(name, n) for name, n, _ in told] == [
        ("biden.jpg", 1),
        ("broken.jpg", 0),
        ("obama.jpg", 1),
        ("obama2.jpg", 1),
    ]
    (both,) = found.groups(recognizer.calibration, min_size=2)
    sources = {Path(found.faces[m.place].source).name for m in both.members}
    assert sources == {"obama.jpg", "obama2.jpg"}
    assert found.threshold.fmr == 1e-3
    assert [p.source for p in found.photos if p.error is not None] == [str(photos[1])]
    for face in found.faces:  # two are kept, one is made again; they are the same
        jpeg = thumbnails.jpeg(face)
        assert jpeg is not None
        made = np.frombuffer(jpeg, np.uint8)
        assert cv2.imdecode(made, cv2.IMREAD_COLOR).shape == (112, 112, 3)
    plain = summary(found, [both])
    assert (plain["n_photos"], plain["n_faces"], plain["groups"][0]["n_faces"]) == (4, 3, 2)
    assert plain["unreadable"][0]["source"] == str(photos[1])


def test_more_photos_are_added(photos: list[Path], recognizer: Recognizer) -> None:
    first = group([photos[2]], recognizer)
    assert first.threshold.data  # by the calibration
    rest = unread(photos, first)
    assert rest == [photos[0], photos[1], photos[3]]
    more = group(photos, recognizer, grouping=first, threshold=0.4)
    assert [Path(face.source).name for face in more.faces] == [
        *("obama.jpg", "biden.jpg", "obama2.jpg")
    ]
    assert unread(photos, more) == [photos[1]]  # what failed is tried again
    other = Recognizer("fast")
    with pytest.raises(ContractError):
        group(photos, other, grouping=more)


def test_without_a_threshold_and_a_calibration(photos: list[Path]) -> None:
    with pytest.raises(OptionError, match="has no calibration to take a threshold from"):
        group(photos, Recognizer(alignment="eyes"))


def test_photos_are_copied(grouping: Grouping, tmp_path: Path) -> None:
    found = grouping.named(1, "Obama / Barack").groups(min_size=2)
    assert copy_photos(grouping, found, tmp_path / "copies") == []
    names = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.jpg"))
    assert names == [f"copies/Obama _ Barack/{n}.jpg" for n in ("obama", "obama2")]
    assert copy_photos(grouping, found, tmp_path / "links", link=True) == []
    assert (tmp_path / "links" / "Obama _ Barack" / "obama.jpg").is_symlink()
    with pytest.raises(OptionError, match="expected a new or an empty folder"):
        copy_photos(grouping, found, tmp_path / "links")


def test_groups_become_people(grouping: Grouping, tmp_path: Path) -> None:
    settings = Settings(keep_crops=True)
    with Gallery.create(tmp_path / "g", grouping.contract, settings=settings) as gallery:
        (obama,) = grouping.groups(min_size=2)
        done = name_groups(grouping, {obama.id: " Barack Obama "}, gallery, with_doubtful=True)
        report = done.reports[obama.id]
        assert len(report.enrolled) == 2
        assert all(sample.quality is not None for sample in report.enrolled)
        assert [one.name for one in gallery.people()] == ["Barack Obama"]
        assert done.left_out == {obama.id: 0}
    assert done.grouping.names == {obama.id: "Barack Obama"}
    alone = name_groups(grouping, {obama.id: "Somebody"})
    assert (alone.reports, alone.groups[obama.id].title) == ({}, "Somebody")
    with pytest.raises(OptionError, match="there is none of the number 99"):
        name_groups(grouping, {99: "Nobody"})


def test_a_gallery_of_dlib_gets_dlib_crops(recognizer: Recognizer, tmp_path: Path) -> None:
    """A face is aligned and measured as its contract says, not always as ArcFace's 112 pixels."""
    photo = tmp_path / "obama.jpg"
    shutil.copy(DEMO / "obama.jpg", photo)
    (found,) = recognizer.detect(photo).faces
    contract = make_contract(alignment="dlib-150", dimension=2)
    vector = np.array([0.6, 0.8], np.float32)
    face = GroupFace(str(photo), 0, found, Embedding(vector, 1.0, contract))
    expected = align_faces(load_image(photo), [found], "dlib-150")[0]
    crop = crop_of(face)
    assert crop is not None
    assert np.array_equal(crop, expected)
    sample = sample_of(face)
    assert sample.quality is None  # its limits were fitted for ArcFace's alignment
    grouping = Grouping(
        contract,
        Threshold(0.5, "cosine", None, "set by hand", None),
        (GroupPhoto(str(photo), 1),),
        (face,),
        np.array([1]),
        2,
    )
    settings = Settings(keep_crops=True, threshold=0.5)
    with Gallery.create(tmp_path / "g", contract, settings=settings) as gallery:
        (enrolled,) = name_groups(grouping, {1: "Obama"}, gallery).reports[1].enrolled
        png = gallery.crop(enrolled.id)
        assert png is not None
        stored = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.array_equal(stored, expected)
    assert enrolled.quality is None


def test_quality_is_not_measured_for_other_alignments(photos: list[Path]) -> None:
    """In an eyes-only alignment a face has no quality, so no problems either."""
    recognizer = Recognizer(alignment="eyes")
    small = PILImage.open(photos[0]).convert("RGB")
    tiny = photos[0].with_name("tiny.png")
    small.resize((small.width // 10, small.height // 10)).save(tiny)
    found = group([tiny], recognizer, threshold=0.4)
    assert all(face.problems == () for face in found.faces)
    plain = group([tiny], Recognizer(), threshold=0.4)
    assert any(face.problems for face in plain.faces)
