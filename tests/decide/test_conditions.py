"""How much more alike strangers are in bad photos: tables, what follows, files good and hostile."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lineament import models
from lineament.decide.calibration import Calibration
from lineament.decide.conditions import CLEAN, Condition, Conditions
from lineament.errors import DataError

KNOTS = (0.2, 0.6, 0.8, 1.0)
RISE = (2.0, 0.3, 0.1, 0.0)


def by_better(values: Any) -> np.ndarray:
    number = np.arange(len(values))
    return np.asarray(values, float)[np.maximum(number[:, None], number[None])]


def conditions(**changes: Any) -> Conditions:
    trust = by_better([0.0, 0.5, 0.9, 1.0])
    trust[0] = 0.0
    values: dict[str, Any] = {
        "knots": KNOTS,
        "threshold_rise": by_better(RISE),
        "llr_rise": by_better([0.4, 0.2, -0.1, 0.0]),
        "trust": trust,
        "data": "made-up faces",
    }
    return Conditions(**values | changes)


def calibration() -> Calibration:
    """The package's own of SFace, with made-up conditions."""
    folder = models.get("sface").folder
    return replace(Calibration.load(folder / "calibration.json"), conditions=conditions())


def test_between_knots_lie_straight_lines_and_beyond_them_nothing_changes() -> None:
    made = conditions()
    assert made.at(0.6, 0.6) == Condition(0.3, 0.2, 0.5)
    half = made.at(0.6, 0.7)
    assert half == pytest.approx(Condition(0.2, 0.05, 0.7))
    # Of both faces at once: the mean of the four knots about them.
    assert made.at(0.7, 0.9).threshold_rise == pytest.approx((0.1 + 0.0) / 2)
    assert made.at(0.0, 0.1) == made.at(0.2, 0.2) == Condition(2.0, 0.4, 0.0)
    assert made.at(1.0, 1.0) == CLEAN


def test_who_of_the_two_is_the_worse_does_not_matter() -> None:
    made, rng = conditions(), np.random.default_rng(0)
    for a, b in rng.random((50, 2)).tolist():
        assert made.at(a, b) == made.at(b, a)


def test_a_clean_partner_changes_no_threshold_and_the_unknown_is_clean() -> None:
    made = conditions()
    for left in (0.0, 0.3, 0.7):
        assert made.at(left, 1.0).threshold_rise == 0
    for pair in ((None, 0.2), (0.2, None), (None, None)):
        assert made.at(*pair) == CLEAN
    assert replace(calibration(), conditions=None).condition(0.1, 0.1) == CLEAN


def test_a_rise_never_falls_as_faces_get_worse() -> None:
    made = conditions()
    steps = np.linspace(0, 1, 41)
    table = np.array([[made.at(a, b).threshold_rise for b in steps] for a in steps])
    assert (np.diff(table, axis=0) <= 1e-12).all()
    assert (np.diff(table, axis=1) <= 1e-12).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"knots": [0.5]}, "two knots or more"),
        ({"knots": [0.2, 0.2, 0.8, 1.0]}, "two knots or more that rise"),
        ({"knots": [-0.1, 0.2, 0.8, 1.0]}, "rise from 0 to 1"),
        ({"knots": [0.1, 0.2, 0.8, 1.1]}, "rise from 0 to 1"),
        ({"knots": [[0.1, 0.2]]}, "two knots or more"),
        ({"knots": []}, "finite numbers"),
        ({"knots": [0.2, float("nan"), 0.8, 1.0]}, "finite numbers"),
        ({"trust": by_better([0.0, 0.5, 0.9])}, r"tables of shape \(4, 4\)"),
        ({"trust": by_better([0.0, 0.5, 0.9, 1.01])}, "trust: expected numbers from 0 to 1"),
        ({"trust": by_better([-0.1, 0.5, 0.9, 1.0])}, "trust: expected numbers from 0 to 1"),
        ({"llr_rise": [[0.1, 0.2], [0.3]]}, "llr_rise: expected numbers"),
        ({"llr_rise": by_better([2.1, 0, 0, 0])}, "llr_rise: expected cosines up to 2"),
        ({"threshold_rise": by_better([2.1, 0, 0, 0])}, "cosines from 0 to 2"),
        ({"threshold_rise": by_better([0.1, 0, 0, -0.1])}, "cosines from 0 to 2"),
        ({"threshold_rise": by_better([0.1, 0.2, 0.1, 0])}, "no more for better faces"),
        ({"threshold_rise": np.full((4, 4), np.inf)}, "finite numbers"),
    ],
)
def test_wrong_tables_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        conditions(**changes)


def test_tables_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        conditions().trust[0, 0] = 1.0


# --- what scores mean -----------------------------------------------------------------------------


def test_the_llr_is_that_of_a_lesser_score_and_counts_for_less() -> None:
    made = calibration()
    scores = np.linspace(-1, 1, 21)
    condition = made.condition(0.6, 0.6)
    expected = 0.5 * np.asarray(made.llr_of(scores - 0.2))
    np.testing.assert_allclose(made.llr_of(scores, condition), expected, atol=1e-12)
    assert (made.llr_of(scores, CLEAN) == made.llr_of(scores)).all()


def test_more_alike_is_never_less_probable_under_any_condition() -> None:
    made, rng = calibration(), np.random.default_rng(1)
    scores = np.linspace(-1, 1, 201)
    for a, b in rng.random((40, 2)).tolist():
        condition = made.condition(a, b)
        assert (np.diff(made.llr_of(scores, condition)) >= 0).all()
        one = made.probability(0.4, 0.3, condition)
        assert one.low <= one.value <= one.high


def test_a_score_that_is_no_evidence_leaves_the_prior_and_a_wide_interval() -> None:
    made = calibration()
    condition = made.condition(0.1, 0.1)
    assert condition.trust == 0
    for prior in (0.01, 0.5):
        found = [made.probability(score, prior, condition) for score in (-0.5, 0.3, 0.99)]
        assert [one.value for one in found] == pytest.approx([prior] * 3)
        widest = made.probability(-1.0, prior).low, made.probability(1.0, prior).high
        for one in found:
            assert (one.low, one.high) == pytest.approx(widest)


def test_even_scores_that_say_nothing_lie_within_their_interval() -> None:
    """Of a calibration none of whose scores speaks for two people."""
    own = calibration()
    made = replace(own, llr=own.llr + 20, llr_low=own.llr_low + 20, llr_high=own.llr_high + 20)
    one = made.probability(0.2, 0.5, Condition(2.0, 0.0, 0.0))
    assert one.low <= one.value <= one.high


# --- files ----------------------------------------------------------------------------------------


def test_a_file_gives_them_back(tmp_path: Path) -> None:
    made = calibration()
    made.save(tmp_path / "c.json")
    read = Calibration.load(tmp_path / "c.json").conditions
    assert read is not None
    assert made.conditions is not None
    for name in ("knots", "threshold_rise", "llr_rise", "trust"):
        assert (getattr(read, name) == getattr(made.conditions, name)).all()
    assert read.data == "made-up faces"
    assert read.to_dict() == made.conditions.to_dict()


def test_a_file_without_them_has_none(tmp_path: Path) -> None:
    plain = replace(calibration(), conditions=None)
    plain.save(tmp_path / "c.json")
    assert '"conditions"' not in (tmp_path / "c.json").read_text()
    assert Calibration.load(tmp_path / "c.json").conditions is None


def _values(**changes: Any) -> dict[str, Any]:
    values = calibration().to_dict()
    values["conditions"] |= changes
    return values


@pytest.mark.parametrize(
    "changes",
    [
        {"knots": []},
        {"knots": [0.2, 0.6, 0.8]},
        {"knots": [0.2, 0.6, 0.8, 1e300]},
        {"knots": "0.2"},
        {"trust": [[0.0] * 4] * 3},
        {"trust": [[0.0] * 4, [0.0] * 3, [0.0] * 4, [0.0] * 4]},
        {"trust": [[0.0, 0.0, 0.0, None]] * 4},
        {"trust": [[]]},
        {"trust": 1.0},
        {"llr_rise": [[0.0, 0.0, 0.0, "0.1"]] * 4},
        {"llr_rise": [[float("nan")] * 4] * 4},
        {"threshold_rise": [[float("inf")] * 4] * 4},
        {"threshold_rise": [[[0.0] * 4] * 4] * 4},
        {"threshold_rise": [[-1e-9] * 4] * 4},
        {"data": 7},
        {"more": 1},
    ],
)
def test_hostile_files_are_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps(_values(**changes)))
    with pytest.raises(DataError) as caught:
        Calibration.load(tmp_path / "c.json")
    assert str(caught.value).isprintable()
    assert "c.json" in str(caught.value)


def test_a_missing_key_and_another_type_are_refused() -> None:
    values = _values()
    del values["conditions"]["trust"]
    with pytest.raises(DataError, match="trust"):
        Calibration.from_dict(values)
    with pytest.raises(DataError, match="conditions"):
        Calibration.from_dict(calibration().to_dict() | {"conditions": [1, 2]})


def test_words_of_a_file_are_printable() -> None:
    made = Calibration.from_dict(_values(data="a\x1b[31m\nb"))
    assert made.conditions is not None
    assert made.conditions.data.isprintable()
