"""A face that is not known to be alive is never a silent match: verify, identify, commands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import lineament
from lineament import Gallery, Recognizer
from lineament.cli import app
from lineament.errors import OptionError
from lineament.liveness import passive as passive_module
from lineament.liveness.passive import PassiveLiveness
from lineament.types import Decision, Face, FloatArray, Image, Liveness

DEMO = Path(lineament.__file__).parent / "data" / "demo"
OBAMA, AGAIN, BIDEN = (DEMO / name for name in ("obama.jpg", "obama2.jpg", "biden.jpg"))
ATTACK = Liveness("attack", 0.01, "passive", reasons=("it looks like paper",))
UNSURE = Liveness("unsure", None, "passive", reasons=("it is dark",))
LIVE = Liveness("live", 0.99, "passive")


class ByWidth:
    """A network that finds faces on photos of one width alive, and all others on paper."""

    def __init__(self, width: int) -> None:
        self.width = width

    def read(self, pixels: Image, faces: Sequence[Face]) -> FloatArray:
        odds = 8.0 if pixels.shape[1] == self.width else -8.0
        return np.full(len(faces), odds, np.float32)


def width_of(path: Path) -> int:
    return int(lineament.load_image(path).shape[1])


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    """Only faces on the first photo of Obama are alive."""
    assert width_of(OBAMA) != width_of(AGAIN)
    return Recognizer(passive=PassiveLiveness({"width": ByWidth(width_of(OBAMA))}))


@pytest.fixture(scope="module")
def decision(recognizer: Recognizer) -> Decision:
    return recognizer.verify(OBAMA, AGAIN)


# --- decisions ------------------------------------------------------------------------------------


def test_nothing_is_checked_unless_asked(decision: Decision) -> None:
    assert (decision.verdict, decision.liveness) == ("same", None)
    assert "liveness" not in decision.to_dict()["a"]
    assert "liveness" not in decision.to_rows()[0]


@pytest.mark.parametrize(
    ("a", "b", "verdict", "counts"),
    [
        (LIVE, LIVE, "same", LIVE),
        (LIVE, None, "same", LIVE),
        (LIVE, ATTACK, "not_live", ATTACK),
        (ATTACK, UNSURE, "not_live", ATTACK),
        (UNSURE, LIVE, "not_live", UNSURE),
        (None, UNSURE, "not_live", UNSURE),
    ],
)
def test_verdicts(
    decision: Decision, a: Liveness | None, b: Liveness | None, verdict: str, counts: Liveness
) -> None:
    checked = replace(decision, liveness_a=a, liveness_b=b)
    assert (checked.verdict, checked.liveness) == (verdict, counts)
    assert checked.same  # what the threshold says
    assert (verdict == "not_live") == bool(checked.not_live_reasons)


def test_it_goes_before_undecided_and_different(decision: Decision) -> None:
    for changes in ({"same": False}, {"reasons": ("the face is small",)}):
        checked = replace(decision, liveness_b=ATTACK, **changes)
        assert checked.verdict == "not_live"
    words = str(checked).splitlines()
    assert words[0].startswith("not live: a face is a picture of one")
    assert f"not live because {AGAIN}: it looks like paper" in words
    assert "undecided because the face is small" in words
    assert checked.to_dict()["reasons"] == [f"{AGAIN}: it looks like paper", "the face is small"]
    assert checked.to_dict()["b"]["liveness"] == ATTACK.to_dict()
    assert "liveness" not in checked.to_dict()["a"]
    assert checked.to_rows()[0]["liveness"] == "attack"
    assert "cannot be told" in replace(decision, liveness_a=UNSURE).verdict_in_words


def test_verify_checks_both(recognizer: Recognizer) -> None:
    alive = recognizer.verify(OBAMA, OBAMA, liveness="passive")
    assert alive.verdict == "same"
    assert alive.liveness_a is not None
    assert alive.liveness_a.cues["width"] == 8.0
    for pair in ((OBAMA, AGAIN), (AGAIN, OBAMA)):
        (one,) = recognizer.verify(pair[:1], pair[1:], liveness="passive")
        assert isinstance(one, Decision)
        assert (one.verdict, one.same) == ("not_live", True)
    with pytest.raises(OptionError, match="a photo does not show"):
        recognizer.verify(OBAMA, AGAIN, liveness="active")
    with pytest.raises(OptionError, match="liveness: expected"):
        recognizer.verify(OBAMA, AGAIN, liveness="on")  # type: ignore[call-overload]


def test_photos_carry_their_checks(recognizer: Recognizer) -> None:
    (photo,) = recognizer.stream([OBAMA], keep_crops=True, keep_pixels=True, liveness="passive")
    assert [check.outcome for check in photo.checks] == ["live"]
    assert photo.liveness is photo.checks[0]
    (again,) = recognizer.stream([photo], keep_crops=True)  # embedded before, not asked now
    assert again.checks == ()
    with pytest.raises(OptionError, match="embeddings, crops and checks"):
        replace(photo, checks=(LIVE, LIVE))


# --- galleries ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gallery(recognizer: Recognizer) -> Gallery:
    made = Gallery.in_memory(recognizer=recognizer)
    made.enroll("Barack", OBAMA)
    return made


def test_a_face_that_is_not_alive_has_no_name(gallery: Gallery) -> None:
    assert gallery.identify(AGAIN).names == ("Barack",)
    (face,) = gallery.identify(AGAIN, liveness="passive")
    assert (face.name, face.match, face.reason) == (None, None, "not_live")
    assert face.candidates[0].name == "Barack"
    assert face.reason_in_words.startswith("a picture of a face: the face looks like one on paper")
    assert face.to_dict()["liveness"]["outcome"] == "attack"
    alive = gallery.identify(OBAMA, liveness="passive")
    assert alive.names == ("Barack",)
    assert alive[0].to_dict()["liveness"]["outcome"] == "live"
    assert "liveness" not in gallery.identify(OBAMA)[0].to_dict()


def test_a_picture_takes_no_name_away(gallery: Gallery) -> None:
    """The person and a picture of the same, in one photo: the person has the name."""
    (photo,) = gallery.recognizer.stream([OBAMA], keep_crops=True)
    twice = replace(
        photo,
        faces=photo.faces * 2,
        selected=(0, 1),
        embeddings=photo.embeddings * 2,
        crops=None if photo.crops is None else np.concatenate([photo.crops] * 2),
        checks=(ATTACK, LIVE),
    )
    from lineament.gallery import _ranking as ranking

    found = ranking.identify_photo(gallery._state, twice, ranking.Search())
    assert [face.name for face in found] == [None, "Barack"]
    assert [face.reason for face in found] == ["not_live", None]


def test_gallery_verify(gallery: Gallery) -> None:
    assert gallery.verify("Barack", AGAIN).verdict == "same"
    checked = gallery.verify("Barack", AGAIN, liveness="passive")
    assert (checked.verdict, checked.liveness_b) == ("not_live", None)


# --- the command line -----------------------------------------------------------------------------


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the first photo of Obama is alive."""
    made = PassiveLiveness({"width": ByWidth(width_of(OBAMA))})
    monkeypatch.setattr("lineament.pipeline.load_passive", lambda **_: made)
    assert passive_module.load_passive is not None


def run(*arguments: Any) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    return result.exit_code, result.output


@pytest.mark.usefixtures("pictures")
def test_the_command_says_so_and_fails() -> None:
    code, output = run("verify", OBAMA, AGAIN, "--liveness", "passive")
    assert code == 1
    assert output.startswith("not live: a face is a picture of one")
    assert "A live (1.00), B attack (0.00)" in output
    code, output = run("verify", OBAMA, OBAMA, "--liveness", "passive", "--json")
    assert (code, json.loads(output)["verdict"]) == (0, "same")
    code, output = run("verify", OBAMA, AGAIN, "--liveness", "passive", "--json")
    assert (code, json.loads(output)["verdict"]) == (1, "not_live")


def test_the_active_check_is_refused_for_photos() -> None:
    code, output = run("verify", OBAMA, AGAIN, "--liveness", "active")
    assert code == 2
    assert "--liveness: the active check asks for movements" in output
