"""Results of liveness checks: what they refuse, how they are read, and which of several counts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lineament.errors import OptionError, TruthValueError
from lineament.liveness.result import strictest
from lineament.types import Liveness

LIVE = Liveness("live", 0.9, "passive", {"texture": 1.23456})
ATTACK = Liveness("attack", 0.2, "active", reasons=("the nose moved as on a plane",))
UNSURE = Liveness("unsure", None, "passive", reasons=("the face is too small",))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"outcome": "spoof"}, "outcome: expected live, attack, unsure, got 'spoof'"),
        ({"method": "guess"}, "method: expected passive, active, got 'guess'"),
        ({"score": 1.5}, "score: expected 0 to 1 or None, got 1.5"),
        ({"score": float("nan")}, "score: expected 0 to 1 or None, got nan"),
        ({"outcome": "attack"}, "reasons: expected reasons unless live, got 0 with attack"),
        ({"reasons": ("why",)}, "reasons: expected reasons unless live, got 1 with live"),
    ],
)
def test_what_is_refused(wrong: dict[str, Any], message: str) -> None:
    values: dict[str, Any] = {"outcome": "live", "score": 0.5, "method": "passive"}
    with pytest.raises(OptionError, match=message):
        Liveness(**values | wrong)


def test_unsure_is_neither_true_nor_false() -> None:
    with pytest.raises(TruthValueError, match=r"liveness\.live"):
        bool(UNSURE)
    assert [one.live for one in (LIVE, ATTACK, UNSURE)] == [True, False, False]


def test_in_words_and_as_json() -> None:
    assert str(LIVE) == "live (passive, score 0.90)"
    assert str(ATTACK) == "attack (active, score 0.20)\nthe nose moved as on a plane"
    assert repr(UNSURE) == "Liveness(unsure, passive)"
    assert json.loads(LIVE.to_json()) == {
        "outcome": "live",
        "score": 0.9,
        "method": "passive",
        "cues": {"texture": 1.2346},
        "reasons": [],
    }


def test_an_attack_counts_before_all_others() -> None:
    doubtful = Liveness("live", 0.6, "passive")
    assert strictest([LIVE, UNSURE, ATTACK]) is ATTACK
    assert strictest([LIVE, UNSURE]) is UNSURE
    assert strictest([LIVE, doubtful]) is doubtful
    scored = Liveness("unsure", 0.4, "passive", reasons=("blurred",))
    assert strictest([scored, UNSURE]) is UNSURE
    with pytest.raises(OptionError, match="at least one check"):
        strictest([])
