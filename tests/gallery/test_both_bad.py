"""Two photos so bad that strangers look alike in them: no name, no "same", nobody enrolled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from gallery_builders import CONTRACT, embed, turned, vectors

import lineament
from lineament import Recognizer, quality
from lineament.cli import app
from lineament.decide.calibration import Calibration, bundled
from lineament.decide.conditions import Conditions
from lineament.embed.embedder import wrap
from lineament.gallery import Gallery, Identification, NewSample, Settings
from lineament.gallery._ranking import Search, identify_faces
from lineament.gallery.find import find
from lineament.quality import quality_of
from lineament.types import Contract, Quality

DEMO = Path(lineament.__file__).parent / "data" / "demo"
OBAMA, AGAIN = DEMO / "obama.jpg", DEMO / "obama2.jpg"
GOOD = Quality(60, 0.14, 3, -4, 0.45, 0.2, 12)


def conditions(rise: float = 0.2) -> Conditions:
    """Nothing passes below 0.5, ``rise`` at 0.7, and nothing is changed where one face is clean."""
    by_better = np.array([[2.0, rise, 0.0], [rise, rise, 0.0], [0.0, 0.0, 0.0]])
    return Conditions(
        knots=[0.5, 0.7, 1.0],
        threshold_rise=by_better,
        llr_rise=np.zeros((3, 3)),
        trust=[[0.0, 0.2, 0.5], [0.2, 0.2, 0.5], [0.5, 0.5, 1.0]],
        data="made up",
    )


# --- drawn faces ----------------------------------------------------------------------------------


def left(recognizability: float | None) -> Quality:
    return replace(GOOD, recognizability=recognizability)


def calibration(contract: Contract = CONTRACT, **changes: Any) -> Calibration:
    own = bundled(Recognizer("sface").embedder.contract, "cosine")
    assert own is not None
    return replace(own, contract=contract, **{"conditions": conditions()} | changes)


FACE = vectors(1)[0]


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    """Ada: a bad photo, cosine 0.7 to ``FACE``; Bob: a clean one, 0.65; threshold 0.6."""
    made = Gallery.create(
        tmp_path / "g", CONTRACT, calibration=calibration(), settings=Settings(threshold=0.6)
    )
    samples = [
        ("Ada", NewSample(embed(turned(FACE, 0.7, seed=1)), "ada.jpg", quality=left(0.7))),
        ("Bob", NewSample(embed(turned(FACE, 0.65, seed=2)), "bob.jpg", quality=left(1.0))),
    ]
    made.enroll_samples(samples, force=True)
    with made:
        yield made


def identified(gallery: Gallery, recognizability: float | None, **search: Any) -> Identification:
    made = Search(**search)
    (found,) = identify_faces(
        gallery._state, [embed(FACE)], made, together=False, qualities=[left(recognizability)]
    )
    return found


def test_a_clean_sample_is_named_before_a_bad_one_that_is_more_alike(gallery: Gallery) -> None:
    found = identified(gallery, 0.7)
    assert found.name == "Bob"
    assert [one.name for one in found.candidates] == ["Ada", "Bob"]
    assert [one.threshold_rise for one in found.candidates] == pytest.approx([0.2, 0.0])
    assert any("Ada (similarity 0.7" in note and "strangers look alike" in note
               for note in found.notes)  # fmt: skip
    values = found.to_dict()
    assert [one["threshold_rise"] for one in values["candidates"]] == [0.2, 0.0]


def test_a_bad_face_and_a_bad_sample_give_no_name(gallery: Gallery) -> None:
    gallery.remove("Bob")
    found = identified(gallery, 0.7)
    assert found.name is None
    assert found.match is None
    assert found.reason == "low_quality"
    assert "Ada (similarity 0.7" in found.reason_in_words
    assert "for such faces it takes 0.800" in found.reason_in_words
    worse = identified(gallery, 0.3)
    assert worse.reason == "low_quality"
    assert worse.candidates[0].threshold_rise == pytest.approx(0.2)  # the better face decides


def test_no_score_is_enough_for_the_worst(gallery: Gallery) -> None:
    gallery.remove("Bob")
    gallery.remove("Ada")
    sample = NewSample(embed(turned(FACE, 0.99)), "ada.jpg", quality=left(0.4))
    gallery.enroll_samples([("Ada", sample)], force=True)
    found = identified(gallery, 0.4)
    assert found.reason == "low_quality"
    assert "for such faces no score is enough" in found.reason_in_words
    best = found.candidates[0]
    assert best.probability is not None
    assert best.low is not None
    assert best.high is not None
    assert best.low <= best.probability <= best.high
    assert best.probability == pytest.approx(0.5)  # of one person, at the prior of one half


@pytest.mark.parametrize("recognizability", [1.0, None])
def test_a_clean_face_is_named_as_before(gallery: Gallery, recognizability: float | None) -> None:
    found = identified(gallery, recognizability)
    assert found.name == "Ada"
    assert [one.threshold_rise for one in found.candidates] == [0, 0]
    (note,) = found.notes
    assert note.startswith("Bob (similarity 0.650, ")
    assert note.endswith(" reaches the threshold, too")


def test_a_threshold_by_hand_rises_too(gallery: Gallery) -> None:
    gallery.remove("Bob")
    assert identified(gallery, 0.7, threshold=0.45).name == "Ada"
    assert identified(gallery, 0.7, threshold=0.55).reason == "low_quality"


def test_bad_faces_of_one_photo_are_spread_over_people_with_their_rise(gallery: Gallery) -> None:
    """The bad one is more like Ada, the clean one only a little less: Ada goes to the clean one."""
    faces = [embed(FACE), embed(turned(FACE, 0.98, seed=9))]
    found = identify_faces(
        gallery._state, faces, Search(), together=True, qualities=[left(0.7), left(1.0)]
    )
    assert [one.name for one in found] == ["Bob", "Ada"]


def test_samples_of_which_nothing_was_measured_are_clean(gallery: Gallery) -> None:
    gallery.remove("Bob")
    gallery.remove("Ada")
    gallery.enroll_samples([("Ada", NewSample(embed(turned(FACE, 0.7)), "ada.jpg"))], force=True)
    assert identified(gallery, 0.4).name == "Ada"


# --- photos ---------------------------------------------------------------------------------------


class Left:
    """The recognizability of every face that is measured, until another is said."""

    def __init__(self) -> None:
        self.value: float | None = 1.0

    def __call__(self, *_: object) -> float | None:
        return self.value


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Left:
    found = Left()
    monkeypatch.setattr(quality, "recognizability_of", found)
    return found


@pytest.fixture
def recognizer(measured: Left) -> Recognizer:
    plain = Recognizer("sface")
    limits = {"least_recognizability": 0.6}
    own = calibration(plain.embedder.contract, conditions=conditions(0.9), quality=limits)
    return Recognizer("sface", calibration=own)


@pytest.fixture
def photos(tmp_path: Path, recognizer: Recognizer, measured: Left) -> Iterator[Gallery]:
    made = Gallery.create(tmp_path / "g", recognizer=recognizer)
    measured.value = 0.7
    assert len(made.enroll("Barack", OBAMA).enrolled) == 1
    with made:
        yield made


def test_what_is_too_bad_is_not_enrolled(photos: Gallery, measured: Left) -> None:
    measured.value = 0.59
    report = photos.enroll("Joe", [DEMO / "biden.jpg"])
    (refusal,) = report.refused
    assert refusal.reason == "low quality"
    assert "recognizability 0.59, below 0.6" in refusal.message
    assert "uncovered" in refusal.message
    taken = photos.enroll("Joe", DEMO / "biden.jpg", on_low_quality="accept", force=True)
    assert len(taken.enrolled) == 1


def test_samples_keep_what_was_measured(photos: Gallery, tmp_path: Path) -> None:
    (sample,) = photos.person("Barack").samples
    assert sample.quality is not None
    assert sample.quality.recognizability == pytest.approx(0.7)
    photos.export(tmp_path / "all.jsonl")
    assert '"recognizability": 0.7' in (tmp_path / "all.jsonl").read_text()


def test_identify_and_verify_ask_for_more(photos: Gallery, measured: Left) -> None:
    measured.value = 0.7
    (answer,) = photos.identify(AGAIN).faces
    assert answer.name is None
    assert answer.reason == "low_quality"
    assert answer.to_dict()["candidates"][0]["threshold_rise"] == pytest.approx(0.9)
    decision = photos.verify("Barack", AGAIN)
    assert decision.same
    assert decision.verdict == "undecided"
    assert "strangers look alike in photos like these two" in decision.reasons[0]
    plain_prior = 0.5
    assert decision.probability is not None
    measured.value = 1.0
    assert photos.identify(AGAIN).faces[0].name == "Barack"
    clean = photos.verify("Barack", AGAIN)
    assert clean.verdict == "same"
    assert clean.probability is not None
    assert plain_prior < decision.probability < clean.probability


def test_find_asks_for_more(
    recognizer: Recognizer, measured: Left, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINEAMENT_CACHE", str(tmp_path / "cache"))
    measured.value = 0.7
    found = find(OBAMA, [AGAIN], recognizer=recognizer)
    assert found.n_cached == 0
    assert [one.verdict for one in found] == ["undecided"]
    assert found.n_same == 0
    assert "strangers look alike" in found[0].decision.reasons[0]
    measured.value = 1.0  # of the photo that is looked for; the other comes from the cache
    again = find(OBAMA, [AGAIN], recognizer=recognizer)
    assert again.n_cached == 1
    assert [one.verdict for one in again] == ["same"]
    quality_b = again[0].decision.quality_b
    assert quality_b is not None
    assert quality_b.recognizability == pytest.approx(0.7)


def test_the_command_line_says_why(recognizer: Recognizer, measured: Left, tmp_path: Path) -> None:
    assert recognizer.calibration is not None
    recognizer.calibration.save(tmp_path / "c.json")
    measured.value = 0.7
    given = ["verify", str(OBAMA), str(AGAIN), "--recognizer", "sface"]
    done = CliRunner().invoke(app, [*given, "--calibration", str(tmp_path / "c.json")])
    assert done.exit_code == 1
    words = " ".join(done.stdout.split())
    assert "undecided" in words
    assert "strangers look alike in photos like these two" in words
    measured.value = 0.3
    done = CliRunner().invoke(app, [*given, "--calibration", str(tmp_path / "c.json")])
    assert "too little of an identity is left in the face" in " ".join(done.stdout.split())


def test_a_face_of_which_nothing_is_left_has_no_name() -> None:
    """One gray all over: its cosine to somebody may pass the threshold, and says nothing."""
    recognizer = Recognizer()
    photo = recognizer.analyze(DEMO / "obama.jpg")
    with Gallery.in_memory(recognizer=recognizer) as gallery:
        gallery.enroll("Barack Obama", DEMO / "obama.jpg")
        for gray in range(16, 256, 48):
            crops = np.full((1, 112, 112, 3), gray, np.uint8)
            vectors, norms = recognizer.embedder.embed(crops)
            (embedding,) = wrap(vectors, norms, recognizer.embedder.contract)
            quality = quality_of(photo.faces[0], crops[0], embedding, photo.size_wh)
            (found,) = gallery.identify_embeddings([embedding], qualities=[quality], threshold=0.0)
            assert found.name is None
            assert found.reason == "low_quality"
            assert "no score is enough" in found.reason_in_words
