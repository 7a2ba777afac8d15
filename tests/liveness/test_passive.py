"""The passive check: what its network is shown, what makes photos unfit, and what is concluded."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from astronaut_face import BOX, FIVE

from lineament import FaceFinder
from lineament.errors import OptionError
from lineament.liveness._signs import grid_of, sides_of
from lineament.liveness.passive import (
    PassiveLiveness,
    PassiveOptions,
    View,
    load_passive,
    photo_check,
)
from lineament.liveness.texture import live_log_odds, square_around
from lineament.types import Face, FloatArray, Image

DEMO = Path(importlib.import_module("lineament").__file__ or "").parent / "data" / "demo"
ALIVE = View(5.0, {"texture": 5.0}, ())
SURELY_ALIVE = View(9.0, {"texture": 9.0}, ())
DOUBTFUL = View(1.0, {"texture": 1.0}, ())
PRINT = View(-9.0, {"texture": -9.0}, ())
FRAMED = View(9.0, {"texture": 9.0}, (), ("inside of a straight border",))
SMALL = View(None, {"texture": 6.0}, ("the face is 9 px between the eyes",))


class Says:
    """A network that says what it was told to, and remembers what it was asked."""

    def __init__(self, *log_odds: float) -> None:
        self.log_odds = list(log_odds)
        self.asked: list[tuple[int, ...]] = []

    def read(self, pixels: Image, faces: Sequence[Face]) -> FloatArray:
        self.asked.append(pixels.shape)
        return np.array([self.log_odds.pop(0) for _ in faces], np.float32)


@pytest.fixture(scope="module")
def face() -> Face:
    return Face(BOX.astype(np.float32), 0.99, FIVE.astype(np.float32))


# --- what is concluded ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("views", "outcome", "words"),
    [
        ([ALIVE], "live", None),
        ([ALIVE, SURELY_ALIVE], "live", None),
        ([PRINT], "attack", r"log odds of a living face -9\.0, below 0"),
        ([DOUBTFUL], "unsure", "neither clearly alive nor clearly like a picture"),
        ([SURELY_ALIVE, SURELY_ALIVE, SURELY_ALIVE, PRINT], "attack", "on one of 4 views"),
        ([SURELY_ALIVE, DOUBTFUL], "live", None),
        ([SMALL], "unsure", "9 px between the eyes"),
        ([SMALL, ALIVE], "live", None),
        ([SMALL, PRINT], "attack", "paper or on a screen"),
        ([FRAMED], "attack", "straight border"),
        ([SURELY_ALIVE, SURELY_ALIVE, FRAMED], "attack", "straight border"),
        ([SMALL, SMALL._replace(vetoes=FRAMED.vetoes)], "attack", "straight border"),
    ],
)
def test_views_are_averaged_and_one_can_be_a_veto(
    views: list[View], outcome: str, words: str | None
) -> None:
    result = PassiveLiveness({"texture": Says()}).conclude(views)
    assert (result.outcome, result.method) == (outcome, "passive")
    assert (words is None) == (result.reasons == ())
    if words is not None:
        (reason,) = result.reasons
        assert re.search(words, reason)


def test_the_score_is_what_decided() -> None:
    passive = PassiveLiveness({"texture": Says()})
    assert passive.conclude([SMALL]).score is None
    assert passive.conclude([DOUBTFUL]).score == pytest.approx(1 / (1 + np.exp(-1)))
    vetoed = passive.conclude([SURELY_ALIVE, SURELY_ALIVE, SURELY_ALIVE, PRINT])
    assert vetoed.score == pytest.approx(1 / (1 + np.exp(9)))
    assert vetoed.cues == {"texture": pytest.approx(4.5)}


def test_no_view_and_no_network_are_refused() -> None:
    with pytest.raises(OptionError, match="at least one view"):
        PassiveLiveness({"texture": Says()}).check_many([])
    with pytest.raises(OptionError, match="at least one network"):
        PassiveLiveness({})
    with pytest.raises(OptionError, match="veto_below <= attack_below <= live_from"):
        PassiveOptions(live_from=-1.0)


# --- photos ---------------------------------------------------------------------------------------


def test_all_networks_are_asked_and_their_mean_counts(astronaut: Image, face: Face) -> None:
    first, second = Says(7.0), Says(-1.0)
    result = PassiveLiveness({"a": first, "b": second}).check(astronaut, face)
    assert result.outcome == "live"
    assert result.cues.items() >= {"a": 7.0, "b": -1.0}.items()
    assert result.score == pytest.approx(1 / (1 + np.exp(-3)))
    assert first.asked == second.asked == [(512, 512, 3)]


def smaller(pixels: Image, face: Face) -> tuple[Image, Face]:
    small = cv2.resize(pixels, (96, 96), interpolation=cv2.INTER_AREA)
    assert face.landmarks_xy is not None
    return np.asarray(small, np.uint8), replace(
        face, box_xyxy=face.box_xyxy * 96 / 512, landmarks_xy=face.landmarks_xy * 96 / 512
    )


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (smaller, "px between the eyes"),
        (lambda pixels, face: (pixels // 10, face), "the face is dark"),
        (
            lambda pixels, face: (np.asarray(cv2.GaussianBlur(pixels, (0, 0), 6), np.uint8), face),
            "the face is blurred",
        ),
        (lambda pixels, face: (pixels, replace(face, landmarks_xy=None)), "no landmarks"),
    ],
)
def test_outside_of_what_it_knows_it_is_unsure(
    astronaut: Image, face: Face, spoil: Any, words: str
) -> None:
    result = PassiveLiveness({"texture": Says(9.0)}).check(*spoil(astronaut, face))
    assert (result.outcome, result.score) == ("unsure", None)
    assert any(words in reason for reason in result.reasons)


def test_a_network_without_an_answer_is_unsure(astronaut: Image, face: Face) -> None:
    result = PassiveLiveness({"texture": Says(float("nan"))}).check(astronaut, face)
    assert (result.outcome, result.cues) == ("unsure", {})


def test_photos_cannot_be_checked_actively() -> None:
    passive = PassiveLiveness({"texture": Says()})
    assert photo_check("off", lambda: passive) is None
    assert photo_check("passive", lambda: passive) is passive
    with pytest.raises(OptionError, match="a photo does not show") as refused:
        photo_check("active", lambda: passive)
    assert "passive" in str(refused.value.hint)


# --- signs ----------------------------------------------------------------------------------------


def test_dots_in_the_skin_are_a_veto(astronaut: Image, face: Face) -> None:
    assert grid_of(astronaut, face) < 2.7  # type: ignore[operator]
    y, x = np.mgrid[0:512, 0:512]
    dots = 18 * (np.sin(2 * np.pi * (x + y) / 5.3) + np.sin(2 * np.pi * (x - y) / 5.3))
    printed = np.clip(astronaut + dots[..., None], 0, 255).astype(np.uint8)
    result = PassiveLiveness({"texture": Says(9.0)}).check(printed, face)
    assert (result.outcome, result.score) == ("attack", 0.0)
    assert "a pattern that repeats" in result.reasons[0]
    assert result.cues["grid"] > 3
    assert grid_of(astronaut, Face(np.array([200, 100, 230, 130]), 0.9)) is None


def test_a_border_on_all_sides_is_a_veto(astronaut: Image, face: Face) -> None:
    assert sides_of(astronaut, face) < 3
    room = np.full((512, 512, 3), 150, np.uint8)
    room[..., 1] += (np.arange(512) // 16).astype(np.uint8)[:, None]
    left, top, right, bottom = 130, 20, 320, 230
    room[top - 8 : bottom + 8, left - 8 : right + 8] = 12  # a phone
    room[top:bottom, left:right] = astronaut[top:bottom, left:right]
    assert sides_of(room, face) == 4
    turned = cv2.warpAffine(
        room,
        cv2.getRotationMatrix2D(face.center_xy, 11, 1),
        (512, 512),
        borderValue=(150, 150, 150),
    )
    assert sides_of(np.asarray(turned, np.uint8), face) == 4
    result = PassiveLiveness({"texture": Says(9.0)}).check(room, face)
    assert result.outcome == "attack"
    assert "a straight border" in result.reasons[0]


# --- what the network is shown --------------------------------------------------------------------


def test_log_odds_are_those_of_the_softmax() -> None:
    logits = np.array([[1.0, 2.0, -3.0], [500.0, -500.0, 0.0]], np.float32)
    share = np.exp(1.0) / np.exp([1.0, 2.0, -3.0]).sum()
    expected = np.log(share / (1 - share))
    np.testing.assert_allclose(live_log_odds(logits, 0), [expected, 500], rtol=1e-5)


def test_the_square_is_around_the_box_and_repeats_the_border() -> None:
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[..., 0] = np.arange(80) * 3
    pixels[..., 1] = np.arange(60)[:, None] * 4
    inside = Face(np.array([30, 20, 50, 40]), 0.9)
    square = square_around(pixels, inside, 1.0, 20)
    np.testing.assert_allclose(square[..., 0].mean(), (40 - 0) * 3, atol=2)
    np.testing.assert_allclose(square[..., 1].mean(), (30 - 0) * 4, atol=3)
    at_the_corner = square_around(pixels, Face(np.array([0, 0, 10, 10]), 0.9), 3.0, 30)
    assert at_the_corner[0, 0].tolist() == pixels[0, 0].tolist()
    halved = square_around(pixels, inside, 2.0, 16)  # smaller than it is in the photo
    np.testing.assert_allclose(halved[..., 0].mean(), 40 * 3, atol=3)
    with pytest.raises(OptionError, match="uint8"):
        square_around(pixels.astype(np.float32), inside, 1.0, 20)  # type: ignore[arg-type]


# --- the network ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("benchmark_parts")
def test_photos_pass_and_prints_of_them_do_not() -> None:
    kinds = importlib.import_module("recapturing.kinds")
    finder, passive = FaceFinder(), load_passive()
    for name in ("obama.jpg", "astronaut.jpg"):
        photo = finder.find(DEMO / name)
        assert photo.face is not None
        alive = passive.check(photo, photo.face)
        assert alive.live
        shown = kinds.recaptured(photo.needed_pixels(), photo.face.box_xyxy, "laser print", 1)
        again = finder.find(shown)
        assert again.face is not None
        printed = passive.check(again, again.face)
        assert not printed.live
        assert printed.cues["texture"] < alive.cues["texture"] - 4
