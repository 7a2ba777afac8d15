"""Files that the first version wrote still open: gallery, index, exports, groups.

``tests/golden/gallery_0_1.zip`` was written by that version: three people with four samples of
drawn vectors (one more was removed), and the same four faces in groups. ``gallery_2.zip`` is that
gallery as the last version wrote it whose samples had no checksums.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lineament.gallery import Gallery, NewSample, Settings
from lineament.gallery.exchange import contract_in
from lineament.gallery.grouping import Grouping
from lineament.types import Contract, Embedding

GOLDEN = Path(__file__).parents[1] / "golden"
OLD = GOLDEN / "gallery_0_1.zip"
CONTRACT = Contract("test-weights", "ab" * 32, "arcface-112", "rgb", False, 8)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with zipfile.ZipFile(OLD) as files:
        files.extractall(tmp_path)
    return tmp_path


def check(gallery: Gallery, vectors: np.ndarray) -> None:
    assert gallery.contract == CONTRACT
    people = {person.name: gallery.person(person.name) for person in gallery.people()}
    assert {name: person.metadata for name, person in people.items()} == {
        "Ada": {"building": "B"},
        "김구": {"building": "B"},
        "Zoë": {"building": "A"},
    }
    assert [sample.source for sample in people["Ada"].samples] == ["photo 0.jpg", "photo 3.jpg"]
    last = people["Ada"].samples[1]
    assert last.sha256 == bytes([3]) * 32
    assert last.to_dict()["sha256"] == "03" * 32
    assert last.box_xyxy == (13, 20, 63, 90)
    assert last.quality is not None
    assert (last.quality.size_px, last.norm, last.metadata) == (0.5, 8, {"year": 2003})
    assert (last.detector_score, last.has_crop) == (0.9, True)
    png = gallery.crop(last.id)
    assert png is not None
    assert png.startswith(b"\x89PNG")
    found = gallery.identify_embeddings([Embedding(v, 1.0, CONTRACT) for v in vectors[:4]])
    assert [one.name for one in found] == ["Ada", "김구", "Zoë", "Ada"]
    assert gallery.check() == []


def test_a_gallery_opens_and_changes(old: Path) -> None:
    vectors = np.load(old / "vectors.npy")
    with Gallery.open(old / "gallery", read_only=True) as gallery:
        assert gallery.settings == Settings(threshold=0.6, keep_crops=True)
        check(gallery, vectors)
    with Gallery.open(old / "gallery") as gallery:
        again = NewSample(Embedding(vectors[5], 1.0, CONTRACT), sha256=bytes([3]) * 32)
        (refusal,) = gallery.enroll_embeddings("Ada", [again]).refused
        assert refusal.reason == "duplicate"  # by the photo's digest
        assert gallery.enroll_embeddings("Eve", [again], force=True).created
        assert gallery.merge("Ada", "Eve").n_samples == 3
        assert gallery.remove(gallery.person("Ada").samples[2].id).erased
        check(gallery, vectors)


def test_a_gallery_without_checksums_gets_them(tmp_path: Path) -> None:
    with zipfile.ZipFile(GOLDEN / "gallery_2.zip") as files:
        files.extractall(tmp_path)
    vectors = np.load(tmp_path / "vectors.npy")
    before = (tmp_path / "gallery" / "gallery.sqlite").read_bytes()
    with Gallery.open(tmp_path / "gallery", read_only=True) as gallery:
        check(gallery, vectors)
    assert (tmp_path / "gallery" / "gallery.sqlite").read_bytes() == before
    with Gallery.open(tmp_path / "gallery") as gallery:
        check(gallery, vectors)
    with Gallery.open(tmp_path / "gallery", read_only=True) as gallery:
        check(gallery, vectors)
        (number,) = gallery._state.store.connection.execute("SELECT count(*) FROM checksums")
        assert number == (4,)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_an_export_is_imported(old: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = old / f"people{suffix}"
    assert contract_in(path) == CONTRACT
    settings = Settings(threshold=0.6, keep_crops=True)
    with Gallery.create(old / "new", CONTRACT, settings=settings) as gallery:
        report = gallery.import_(path)
        assert (report.new_people, report.new_samples) == (4, 5)
        assert gallery.remove("Gone").people == ("Gone",)
        check(gallery, np.load(old / "vectors.npy"))
    with Gallery.open(old / "gallery") as gallery:
        assert gallery.import_(path).known_samples == 4


def test_groups_are_read_and_written_alike(old: Path) -> None:
    grouping = Grouping.load(old / "groups.json")
    assert grouping.contract == CONTRACT
    assert grouping.names == {1: "Ada"}
    assert [photo.error for photo in grouping.photos if photo.error] == ["no photograph"]
    assert np.array_equal(grouping.vectors, np.load(old / "vectors.npy")[:4])
    assert grouping.faces[0].problems == ("blurred",)
    before = json.loads((old / "groups.json").read_text("utf-8"))
    grouping.save(old / "again.json")
    again = json.loads((old / "again.json").read_text("utf-8"))
    for group in (*before["groups"], *again["groups"]):  # of two, either was the first
        group["faces"].sort()
    for face in again["faces"]:  # what follows from the landmarks was not written
        assert (face.pop("yaw_deg"), face.pop("roll_deg")) == (0.0, 0.0)
        assert -45 < face.pop("pitch_deg") < 45
    assert again == before
