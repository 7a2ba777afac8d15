"""Two faces that look like children's get no name and no sure answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import lineament
from lineament import Recognizer
from lineament.attributes import age
from lineament.cli import app
from lineament.gallery import Gallery, Settings
from lineament.gallery.find import find
from lineament.types import FloatArray, Image

DEMO = Path(lineament.__file__).parent / "data" / "demo"
OBAMA, AGAIN = DEMO / "obama.jpg", DEMO / "obama2.jpg"


class Looks:
    """How old everybody looks, face by face, the last for all that follow."""

    def __init__(self) -> None:
        self.years = [3.0]
        self.crops = 0

    def __call__(self, crops: Image, **_: object) -> FloatArray:
        place = min(self.crops, len(self.years) - 1)
        self.crops += len(crops)
        return np.full(len(crops), self.years[place], np.float32)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    found = Looks()
    monkeypatch.setattr(age, "_years_of_crops", found)
    return found


@pytest.fixture(params=[True, False], ids=["crops kept", "no crops"])
def gallery(request: pytest.FixtureRequest, tmp_path: Path, looks: Looks) -> Gallery:
    made = Gallery.create(
        tmp_path / "g", recognizer=Recognizer(), settings=Settings(keep_crops=request.param)
    )
    made.enroll("Barack", [OBAMA])
    made.enroll("Joe", [DEMO / "biden.jpg"])
    assert looks.crops == 0
    return made


def words(gallery: Gallery) -> str:
    kept = gallery.settings.keep_crops
    return "both faces look like those of children" if kept else "obama2.jpg: the face looks like"


def test_identify_gives_no_name(gallery: Gallery, looks: Looks) -> None:
    (answer,) = gallery.identify(AGAIN).faces
    assert answer.name is None
    assert answer.match is None
    assert answer.reason == "children"
    assert words(gallery) in answer.reason_in_words
    assert answer.reason_in_words.startswith("Barack (similarity 0.")
    best = answer.candidates[0]
    assert best.name == "Barack"
    # A ratio of 1 / 0.26 against Joe, whose ratio is nearly 0, and two who are not enrolled.
    assert best.probability == pytest.approx(1 / 0.26 / (1 / 0.26 + 2), abs=0.02)
    assert best.low == pytest.approx(1 / 3, abs=0.02)
    assert best.high == pytest.approx(12.5 / 14.5, abs=0.02)
    assert answer.to_dict()["reason"] == "children"


def test_adults_are_named_as_before(gallery: Gallery, looks: Looks) -> None:
    looks.years = [40.0]
    (answer,) = gallery.identify(AGAIN).faces
    assert answer.name == "Barack"
    assert gallery.verify("Barack", AGAIN).verdict == "same"


def test_an_enrolled_child_is_enough(gallery: Gallery, looks: Looks) -> None:
    looks.years = [40.0, 3.0]
    named = gallery.identify(AGAIN).faces[0].name
    assert named == (None if gallery.settings.keep_crops else "Barack")


def test_nobody_is_asked_about_those_who_are_not_found(gallery: Gallery, looks: Looks) -> None:
    (answer,) = gallery.identify(DEMO / "astronaut.jpg").faces
    assert answer.reason == "below_threshold"
    assert gallery.verify("Joe", AGAIN).verdict == "different"
    assert looks.crops == 0


def test_verify_leaves_it_open(gallery: Gallery) -> None:
    decision = gallery.verify("Barack", AGAIN)
    assert decision.same
    assert decision.verdict == "undecided"
    assert words(gallery) in decision.reasons[0]
    assert decision.probability == pytest.approx(1 / 1.26)


def test_find_leaves_it_open(tmp_path: Path, looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEAMENT_CACHE", str(tmp_path / "cache"))
    found = find(OBAMA, [AGAIN, DEMO / "biden.jpg"], recognizer=Recognizer())
    assert [one.verdict for one in found] == ["undecided", "different"]
    assert found.n_same == 0
    assert "obama.jpg: the face looks like that of a child" in found[0].decision.reasons[0]
    assert looks.crops == 1


def test_the_command_line_says_why(gallery: Gallery, tmp_path: Path) -> None:
    place = ["--gallery", str(tmp_path / "g")]
    gallery.close()
    done = CliRunner().invoke(app, ["identify", str(AGAIN), *place])
    assert "obama2.jpg: unknown" in done.stdout
    assert "ask a person" in " ".join(done.stdout.split())
    done = CliRunner().invoke(app, ["gallery", "verify", "Barack", str(AGAIN), *place])
    assert done.exit_code == 1
    assert "undecided" in done.stdout
    assert "ask a person" in " ".join(done.stdout.split())
    done = CliRunner().invoke(app, ["verify", str(OBAMA), str(AGAIN)])
    assert done.exit_code == 1
    assert "(about 3 and 3 years)" in " ".join(done.stdout.split())
