"""Photos: enrolled, refused, identified, and embedded anew with another recognizer."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

import lineament
from lineament import Recognizer
from lineament.errors import (
    ContractError,
    EnrollRefusedError,
    ImageNotFoundError,
    LineamentError,
    NoFaceError,
    OptionError,
    UnknownPersonError,
)
from lineament.gallery import Gallery, Settings
from lineament.types import Decision

DEMO = Path(lineament.__file__).parent / "data" / "demo"


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


def saved(path: Path, image: PILImage.Image) -> Path:
    image.save(path)
    return path


def test_enrolled_refused_identified(tmp_path: Path, recognizer: Recognizer) -> None:
    photo = PILImage.open(DEMO / "biden.jpg").convert("RGB")
    gray = saved(tmp_path / "gray.png", PILImage.new("RGB", (300, 300), (128, 128, 128)))
    blurred = saved(tmp_path / "small.png", photo.resize((photo.width // 12, photo.height // 12)))
    resaved = saved(tmp_path / "again.jpg", photo)
    settings = Settings(keep_crops=True)
    with Gallery.create(tmp_path / "g", recognizer=recognizer, settings=settings) as gallery:
        report = gallery.enroll(
            "Joe Biden",
            [
                DEMO / "biden.jpg",
                DEMO / "biden.jpg",
                resaved,
                gray,
                blurred,
                DEMO / "group.jpg",
                tmp_path / "nothing.jpg",
            ],
            metadata={"office": 46},
        )
        (sample,) = report.enrolled
        assert sample.source == str(DEMO / "biden.jpg")
        assert sample.has_crop
        assert sample.quality is not None
        assert sample.box_xyxy is not None
        png = gallery.crop(sample.id)
        assert png is not None
        assert png.startswith(b"\x89PNG")
        assert report.person is not None
        assert report.person.metadata == {"office": 46}
        reasons = [(Path(r.source).name, r.reason) for r in report.refused]
        assert reasons == [
            ("biden.jpg", "duplicate"),
            ("again.jpg", "duplicate"),
            ("gray.png", "no face"),
            ("small.png", "low quality"),
            ("group.jpg", "several faces"),
            ("nothing.jpg", "unreadable"),
        ]
        assert all(r.person == "Joe Biden" and r.message for r in report.refused)

        (refusal,) = gallery.enroll("Nobody", [str(resaved)]).refused
        assert (refusal.reason, refusal.other) == ("someone else", "Joe Biden")
        assert "Nobody" not in gallery
        assert gallery.enroll("Barack Obama", DEMO / "obama.jpg").created

        found = gallery.identify(DEMO / "obama2.jpg")
        (face,) = found.faces
        assert face.name == "Barack Obama"
        assert face.match is not None
        assert face.match.probability is not None
        assert face.match.probability > 0.9
        assert face.margin is not None
        assert face.margin > 0.2
        assert face.face is not None
        many = gallery.identify([DEMO / "astronaut.jpg", gray, tmp_path / "nothing.jpg"])
        assert [len(photo.faces) for photo in many] == [1, 0, 0]
        assert many[0].faces[0].name is None
        assert "unknown" in str(many[0].faces[0])
        assert isinstance(many[2].error, ImageNotFoundError)
        with pytest.raises(ImageNotFoundError):
            gallery.identify(tmp_path / "nothing.jpg")

        # Two photos of one man side by side: one of the two faces gets the name.
        obama = PILImage.open(DEMO / "obama.jpg").convert("RGB")
        twice = PILImage.new("RGB", (2 * obama.width, obama.height))
        twice.paste(obama, (0, 0))
        twice.paste(obama, (obama.width, 0))
        names = [face.name for face in gallery.identify(twice).faces]
        assert sorted(map(str, names)) == ["Barack Obama", "None"]
        assert gallery.check() == []


def test_faces_may_be_chosen_and_bad_ones_accepted(tmp_path: Path, recognizer: Recognizer) -> None:
    photo = PILImage.open(DEMO / "biden.jpg").convert("RGB")
    small = photo.resize((photo.width // 12, photo.height // 12))
    with Gallery.create(tmp_path / "g", recognizer=recognizer) as gallery:
        assert len(gallery.enroll("Joe", small, on_low_quality="accept").enrolled) == 1
        report = gallery.enroll("Somebody", DEMO / "group.jpg", choose=True)
        (sample,) = report.enrolled
        (analysis,) = recognizer.detect([DEMO / "group.jpg"])
        at = analysis.largest()
        assert at is not None
        assert sample.box_xyxy == pytest.approx(tuple(analysis.faces[at].box_xyxy.tolist()))
        assert not sample.has_crop


def test_another_recognizer_embeds_everything_anew(tmp_path: Path, recognizer: Recognizer) -> None:
    folder, other = tmp_path / "g", Recognizer(flip=True)
    originals = {}
    for name in ("biden", "obama", "obama2", "astronaut"):
        originals[name] = tmp_path / f"{name}.jpg"
        originals[name].write_bytes((DEMO / f"{name}.jpg").read_bytes())
    with Gallery.create(folder, recognizer=recognizer, settings=Settings(keep_crops=True)) as g:
        g.enroll("Joe", originals["biden"], metadata={"a": 1})
        g.configure(keep_crops=False)
        g.enroll("Barack", [originals["obama"], originals["obama2"]])
        g.enroll("Eileen", originals["astronaut"])
        originals["biden"].unlink()  # its crop is kept
        originals["obama2"].write_bytes(b"another file")
        old = g.contract.id
        before = {s.source: s.added for p in g.people() for s in g.person(p.name).samples}
    with Gallery.open(folder, recognizer=other) as gallery:
        with pytest.raises(ContractError, match="migrate"):
            gallery.identify(DEMO / "biden.jpg")
        report = gallery.migrate(other)
        assert (report.from_crops, report.from_photos) == (1, 2)
        assert (report.old_contract, report.new_contract) == (old, other.embedder.contract.id)
        ((failed, reason),) = report.failed
        assert failed.source == str(originals["obama2"])
        assert "the photo was changed" in reason
        assert (gallery.n_people, gallery.n_samples) == (3, 3)
        assert gallery.check() == []
        for name, photo in (("Joe", "biden"), ("Barack", "obama"), ("Eileen", "astronaut")):
            (wanted,) = other.embed([DEMO / f"{photo}.jpg"])
            (made,) = [s for s in gallery.person(name).samples if s.contract != old]
            kept = gallery.embedding(made.id)
            assert isinstance(wanted, lineament.Embedding)
            assert float(kept.vector @ wanted.vector) == pytest.approx(1, abs=1e-3)
            assert made.added == before[made.source]
            assert gallery.identify(DEMO / f"{photo}.jpg").faces[0].name == name
        assert gallery.person("Joe").metadata == {"a": 1}
        again = gallery.migrate(other)
        assert (again.from_crops, again.from_photos) == (0, 0)
    with Gallery.open(folder, read_only=True) as gallery:
        assert gallery.contract == other.embedder.contract
        assert gallery.n_samples == 3


@pytest.mark.parametrize("by_name", [True, False])
def test_a_migration_that_was_interrupted_is_taken_up_again(
    tmp_path: Path, recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch, by_name: bool
) -> None:
    from lineament.gallery import _migration as migration

    folder, other = tmp_path / "g", Recognizer(flip=True)
    monkeypatch.setattr(migration, "BATCH", 1)
    with Gallery.create(folder, recognizer=recognizer) as gallery:
        gallery.enroll("Joe", DEMO / "biden.jpg")
        gallery.enroll("Barack", DEMO / "obama.jpg")
        real, calls = migration._embed, []

        def stops(*arguments: object) -> object:
            calls.append(arguments)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return real(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(migration, "_embed", stops)
        with pytest.raises(KeyboardInterrupt):
            gallery.migrate(other)
        monkeypatch.setattr(migration, "_embed", real)
        assert gallery.identify(DEMO / "obama.jpg").faces[0].name == "Barack"  # as before
        assert gallery.n_samples == 2
        (sample,) = gallery.person("Joe").samples  # not what the migration has made of it, too
        report = gallery.remove("Joe" if by_name else sample.id)  # but that goes with it
        assert report.samples == (sample.id,)
    with Gallery.open(folder) as gallery:
        report = gallery.migrate(other)
        assert (report.from_photos, report.failed) == (1, ())
        assert (gallery.n_people, gallery.n_samples) == (2 - by_name, 1)
        (sample,) = gallery.person("Barack").samples
        assert np.isclose(np.linalg.norm(gallery.embedding(sample.id).vector), 1, atol=1e-5)
        assert gallery.check() == []


def test_one_photo_that_is_refused_raises_and_a_list_reports(tmp_path: Path) -> None:
    PILImage.new("RGB", (200, 200), (90, 90, 90)).save(tmp_path / "gray.png")
    wanted: list[tuple[Path, type[LineamentError], str]] = [
        (tmp_path / "nobody.jpg", ImageNotFoundError, "unreadable"),
        (tmp_path / "gray.png", NoFaceError, "no face"),
        (DEMO / "group.jpg", EnrollRefusedError, "several faces"),
        (DEMO / "obama2.jpg", EnrollRefusedError, "someone else"),
        (DEMO / "obama.jpg", EnrollRefusedError, "duplicate"),
    ]
    with Gallery.in_memory() as gallery:
        gallery.enroll("Barack Obama", DEMO / "obama.jpg")
        for photo, kind, reason in wanted:
            name = "Barack Obama" if reason == "duplicate" else "Nobody"
            with pytest.raises(kind) as raised:
                gallery.enroll(name, photo)
            assert type(raised.value) is kind
            report = gallery.enroll(name, [photo])
            assert [one.reason for one in report.refused] == [reason]
            with pytest.raises(kind):
                report.raise_for_refused()
            if kind is EnrollRefusedError:
                assert isinstance(raised.value, EnrollRefusedError)
                assert raised.value.refusal == report.refused[0]
            else:  # what the recognizer says of the same photo
                with pytest.raises(kind):
                    gallery.recognizer.embed(photo)
        assert "Nobody" not in gallery
        report = gallery.enroll("Barack Obama", [photo for photo, _, _ in wanted[:3]])
        with pytest.raises(EnrollRefusedError, match="3 of 3 photos were refused: ") as several:
            report.raise_for_refused()
        assert several.value.refusals == report.refused
        assert json.loads(json.dumps(report.to_dict()))["refused"][0]["reason"] == "unreadable"
        taken = gallery.enroll("Joe", [DEMO / "biden.jpg"])
        assert taken.raise_for_refused() is taken


# --- one person -----------------------------------------------------------------------------------


def test_verified_against_one_person(recognizer: Recognizer, tmp_path: Path) -> None:
    with Gallery.in_memory(recognizer=recognizer) as gallery:
        gallery.enroll("Barack Obama", DEMO / "obama.jpg")
        gallery.enroll("Joe Biden", DEMO / "biden.jpg")
        decision = gallery.verify("barack obama", DEMO / "obama2.jpg")
        plain = recognizer.verify(DEMO / "obama2.jpg", DEMO / "obama.jpg")
        assert decision.verdict == plain.verdict == "same"
        assert decision.similarity == pytest.approx(plain.similarity, abs=1e-6)
        assert decision.threshold.value == pytest.approx(plain.threshold.value, abs=2e-3)
        assert decision.probability == pytest.approx(plain.probability, abs=1e-9)
        assert Path(decision.source_b).name == "obama.jpg"
        assert decision.face_b is not None
        assert decision.quality_b is not None
        assert gallery.verify("Joe Biden", DEMO / "obama2.jpg").verdict == "different"

        gallery.enroll("Barack Obama", DEMO / "obama2.jpg")
        assert gallery.calibration is not None
        assert gallery.calibration.identification is not None
        exponent = gallery.calibration.identification.reference_exponent
        assert 0 < exponent <= 1
        both = gallery.verify("Barack Obama", DEMO / "biden.jpg")
        single = gallery.verify("Joe Biden", DEMO / "obama.jpg")
        assert both.threshold.fmr == single.threshold.fmr == 1e-4
        stricter = gallery.calibration.threshold(1e-4 / 2**exponent).plain.value
        assert both.threshold.value == pytest.approx(stricter, abs=1e-3)
        assert both.threshold.value > single.threshold.value
        assert "for the best of 2 photos" in both.threshold.origin
        assert both.certainty is not None
        assert both.certainty.prior == 0.5
        assert both.quality_a is not None
        assert both.quality_b is not None
        condition = gallery.calibration.condition(  # one of the photos may be not quite clean
            both.quality_a.recognizability, both.quality_b.recognizability
        )
        alone = gallery.calibration.probability(both.similarity, 0.5, condition)[0]
        odds = alone / (1 - alone) / 2**exponent
        assert both.probability == pytest.approx(odds / (1 + odds), rel=1e-9)
        assert {Path(both.source_b).name} <= {"obama.jpg", "obama2.jpg"}

        asked = [DEMO / "obama.jpg", tmp_path / "nobody.jpg", DEMO / "biden.jpg"]
        listed = gallery.verify("Barack Obama", asked, threshold=0.9)
        assert isinstance(listed[0], Decision)
        assert listed[0].same
        assert isinstance(listed[1], ImageNotFoundError)
        assert isinstance(listed[2], Decision)
        assert not listed[2].same
        with pytest.raises(ImageNotFoundError):
            gallery.verify("Barack Obama", tmp_path / "nobody.jpg")
        with pytest.raises(UnknownPersonError, match="did you mean 'Barack Obama'"):
            gallery.verify("Barak Obama", DEMO / "obama.jpg")
        for wrong in ({"fmr": 2.0}, {"threshold": 3.0}, {"fmr": 1e-3, "threshold": 0.4}):
            with pytest.raises(OptionError):
                gallery.verify("Barack Obama", DEMO / "obama.jpg", **wrong)  # type: ignore[call-overload]
        for sample in gallery.person("Joe Biden").samples:
            gallery.remove(sample.id)
        with pytest.raises(LineamentError, match="has no photo to compare with"):
            gallery.verify("Joe Biden", DEMO / "biden.jpg")


def test_a_damaged_embedding_is_made_anew(tmp_path: Path, recognizer: Recognizer) -> None:
    """From the crop or the photo, where whose it is is sound; what else is damaged is named."""
    folder, other = tmp_path / "g", Recognizer(flip=True)
    with Gallery.create(folder, recognizer=recognizer) as gallery:
        gallery.configure(keep_crops=True)
        gallery.enroll("Joe", DEMO / "biden.jpg")
        gallery.configure(keep_crops=False)
        gallery.enroll("Barack", DEMO / "obama.jpg")
        gallery.enroll("Eileen", DEMO / "astronaut.jpg")
    with closing(sqlite3.connect(folder / "gallery.sqlite")) as database, database:
        database.execute("UPDATE vectors SET vector = zeroblob(512) WHERE sample IN (1, 2)")
        database.execute("UPDATE owners SET person = 1 WHERE sample = 3")
    with Gallery.open(folder, recognizer=other) as gallery:
        report = gallery.migrate(other)
        assert (report.from_crops, report.from_photos, report.failed) == (1, 1, ())
        assert [part.sample for part in report.damaged] == [3]
        for name, photo in (("Joe", "biden"), ("Barack", "obama"), (None, "astronaut")):
            assert gallery.identify(DEMO / f"{photo}.jpg").faces[0].name == name
        assert gallery.check()[0].startswith("sample 3 of ")
        assert gallery.remove_damaged().samples == (3,)
        assert gallery.check() == []


def test_a_damaged_crop_is_not_shown(tmp_path: Path, recognizer: Recognizer) -> None:
    folder = tmp_path / "g"
    with Gallery.create(folder, recognizer=recognizer, settings=Settings(keep_crops=True)) as made:
        made.enroll("Joe", DEMO / "biden.jpg")
        made.enroll("Barack", DEMO / "obama.jpg")
    with closing(sqlite3.connect(folder / "gallery.sqlite")) as database, database:
        database.execute("UPDATE crops SET png = CAST('%!PS-Adobe-3.0' AS BLOB) WHERE sample = 1")
    with Gallery.open(folder) as gallery:
        assert gallery.identify(DEMO / "biden.jpg").names == ("Joe",)
        assert gallery.crop(1) is None
        assert gallery._repr_html_().count("<img") == 1
        assert [part.searched for part in gallery.damaged] == [True]
