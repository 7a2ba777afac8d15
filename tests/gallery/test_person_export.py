"""All that is known of one person in one file, and nothing of anybody else."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from gallery_builders import embed, make_gallery, vectors
from PIL import Image as PILImage

from builders import make_face
from lineament.audit import AuditLog
from lineament.errors import OptionError, UnknownPersonError
from lineament.gallery import Consent, NewSample


def test_everything_is_in_it(tmp_path: Path) -> None:
    crop = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    consent = Consent("form 17", ("access",), 1e9, expires=4e9)
    log = AuditLog.open(tmp_path / "audit.jsonl")
    with make_gallery(tmp_path / "g", people=2, keep_crops=True) as gallery:
        face = make_face()
        sample = NewSample(
            embed(vectors(9)[8]), "<b>photo</b>.jpg", bytes(32), face, None, crop, {"year": 1843}
        )
        gallery.enroll_samples(
            [("Ada <script>", sample)],
            metadata={"Ada <script>": {"building": "<B>"}},
            consents={"Ada <script>": consent},
            force=True,
        )
        for name in ("Ada <script>", "person 0"):
            log.append("enroll", "key-1", "g", gallery.pseudonym(name))
        report = gallery.export_person("ada <SCRIPT>", tmp_path / "ada.zip", audit=log)
        person, pseudonym = gallery.person("Ada <script>"), gallery.pseudonym("Ada <script>")
    assert (report.person, report.n_samples, report.n_crops) == ("Ada <script>", 1, 1)
    assert (report.n_audit, report.unreadable) == (1, ())
    with zipfile.ZipFile(tmp_path / "ada.zip") as file:
        assert file.testzip() is None
        number = person.samples[0].id
        assert set(file.namelist()) == {
            *("person.json", "audit.json", "index.html"),
            f"crops/{number}.png",
        }
        found = json.loads(file.read("person.json"))
        entries = json.loads(file.read("audit.json"))
        page = file.read("index.html").decode()
        with PILImage.open(io.BytesIO(file.read(f"crops/{number}.png"))) as picture:
            assert np.array_equal(np.asarray(picture), crop)
        everything = b"".join(map(file.read, file.namelist()))
    (one,) = found["person"]["samples"]
    assert np.array_equal(np.float32(one["vector"]), sample.embedding.vector)
    assert one["landmarks_xy"] == face.landmarks_xy.tolist()
    assert one["box_xyxy"] == [float(v) for v in face.box_xyxy]
    assert one["crop"] == f"crops/{number}.png"
    assert one["sha256"] == "00" * 32
    expected = person.to_dict()
    for values in (expected["samples"][0], one):
        for name in ("crop", "vector", "landmarks_xy"):
            values.pop(name, None)
    assert json.loads(json.dumps(expected)) == found["person"]
    assert found["pseudonym"] == pseudonym
    assert [entry["person"] for entry in entries] == [pseudonym]
    assert b"person 0" not in everything
    for text in ("Ada &lt;script&gt;", "form 17", "&lt;B&gt;", "&lt;b&gt;photo", "key-1"):
        assert text in page, text
    assert "<script" not in page
    assert "<b>" not in page


def test_the_file_is_whole_or_not_there(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", people=1) as gallery:
        with pytest.raises(OptionError, match=r"ends in \.zip"):
            gallery.export_person("person 0", tmp_path / "one.json")
        with pytest.raises(OptionError, match="cannot be written"):
            gallery.export_person("person 0", tmp_path / "nowhere" / "one.zip")
        with pytest.raises(UnknownPersonError):
            gallery.export_person("nobody", tmp_path / "one.zip")
        gallery.export_person("person 0", tmp_path / "one.zip")
        before = (tmp_path / "one.zip").read_bytes()
        with pytest.raises(UnknownPersonError):
            gallery.export_person("nobody", tmp_path / "one.zip")
    assert (tmp_path / "one.zip").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["g", "one.zip"]
    with zipfile.ZipFile(tmp_path / "one.zip") as file:
        assert set(file.namelist()) == {"person.json", "index.html"}
