"""Export and import, there and back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from gallery_builders import embed, make_gallery, turned, vectors

from builders import make_contract
from lineament.errors import ContractError, DataError, LineamentError, OptionError
from lineament.gallery import Gallery, NewSample
from lineament.types import Face, Quality


def filled(folder: Path) -> Gallery:
    gallery = make_gallery(folder, people=3, keep_crops=True)
    face = Face([1, 2, 30.5, 40], 0.875, np.arange(10).reshape(5, 2), 90)
    quality = Quality(20.5, None, 3.0, None, 0.5, 0.25, 7.5)
    crop = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    new = NewSample(
        embed(vectors(9)[8]), "ä\n8.jpg", bytes(range(32)), face, quality, crop, {"lens": "50 mm"}
    )
    gallery.enroll_embeddings(
        "Zoë 王", [new, embed(turned(vectors(9)[8], 0.7))], metadata={"a": [1]}
    )
    gallery.remove(gallery.person("person 2").samples[0].id)  # a person without samples
    return gallery


def contents(gallery: Gallery) -> list[object]:
    found: list[object] = []
    for info in gallery.people():
        person = gallery.person(info.name)
        found.append((person.name, dict(person.metadata), person.created))
        for sample in person.samples:
            values = sample.to_dict() | {"id": None, "crop": gallery.crop(sample.id)}
            found.append((values, gallery.embedding(sample.id).vector.tobytes()))
    return found


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_there_and_back(tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"all{suffix}"
    with filled(tmp_path / "g") as gallery:
        assert gallery.export(path) == 4
        assert gallery.import_(path).to_dict() == {
            "n_new_people": 0,
            "n_new_samples": 0,
            "n_known_samples": 4,
            "n_damaged": 0,
            "damaged": [],
            "unlike": [],
            "compared": False,
        }
        before = contents(gallery)
    assert len(before) == 4 + 4
    with make_gallery(tmp_path / "h", keep_crops=True) as other:
        report = other.import_(path)
        assert (report.new_people, report.new_samples) == (4, 4)
        assert other.import_(path).known_samples == 4
        assert contents(other) == before
        assert (other.n_people, other.n_samples) == (4, 4)
        assert other.identify_embeddings([embed(vectors(9)[8])])[0].name == "Zoë 王"
        assert other.check() == []
        bare = tmp_path / f"bare{suffix}"
        other.export(bare, crops=False)
        assert bare.stat().st_size < path.stat().st_size
    with make_gallery(tmp_path / "i") as third:  # which keeps no crops
        third.import_(path)
        samples = [s for p in third.people() for s in third.person(p.name).samples]
        assert [s.has_crop for s in samples] == [False] * 4
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".tmp"] == []


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_other_contracts_are_refused(tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"all{suffix}"
    with make_gallery(tmp_path / "g", people=2) as gallery:
        gallery.export(path)
    with (
        Gallery.create(tmp_path / "h", make_contract(dimension=32, flip=True)) as other,
        pytest.raises(ContractError, match="flip"),
    ):
        other.import_(path)


def damage(lines: list[str], how: str) -> str:
    if how == "empty":
        return ""
    if how == "no export":
        return "hello\n"
    if how == "newer":
        return json.dumps(json.loads(lines[0]) | {"version": 9}) + "\n"
    if how == "cut":
        return "\n".join(lines)[:-40]
    if how == "a vector of another length":
        value = json.loads(lines[-1])
        value["sample"]["vector"] = value["sample"]["vector"][:-8]
        return "\n".join([*lines[:-1], json.dumps(value)]) + "\n"
    value = json.loads(lines[-2])
    value["person"]["name"] = "\0"
    return "\n".join([*lines[:-2], json.dumps(value), lines[-1]]) + "\n"


@pytest.mark.parametrize(
    "how", ["empty", "no export", "newer", "cut", "a vector of another length", "a bad name"]
)
def test_damaged_files_change_nothing(tmp_path: Path, how: str) -> None:
    path = tmp_path / "all.jsonl"
    with make_gallery(tmp_path / "g", people=3) as gallery:
        gallery.export(path)
    path.write_text(damage(path.read_text().splitlines(), how))
    with make_gallery(tmp_path / "h") as other:
        with pytest.raises(DataError, match=r"export"):
            other.import_(path)
        assert (other.n_people, other.n_samples) == (0, 0)
        assert other.check() == []


def test_other_names_and_places(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", people=1) as gallery:
        for name in ("all.csv", "nowhere/all.jsonl"):
            with pytest.raises(OptionError):
                gallery.export(tmp_path / name)
        with pytest.raises(OptionError, match="cannot be read"):
            gallery.import_(tmp_path / "nothing.jsonl")
        (tmp_path / "bad.parquet").write_bytes(b"PAR1 no PAR1")
        with pytest.raises(LineamentError):
            gallery.import_(tmp_path / "bad.parquet")
