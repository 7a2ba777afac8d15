from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from lineament.errors import OptionError
from lineament.evaluate.result import Part, Published, Result, Scores, by_text, in_words, rate_text


def result(**changes: Any) -> Result:
    part = Part(
        "view2",
        "View 2",
        {
            "accuracy_mean": 0.995,
            "accuracy_se": 0.001,
            "tar_at_fmr": {"1e-3": 0.99, "1e-4": None},
            "n_pairs": 6000,
            "private": [1, 2],
        },
        curves={"references": {"1": 0.9, "2": 0.95}},
    )
    values: dict[str, Any] = {
        "protocol": "lfw",
        "title": "LFW",
        "data": "lfw",
        "images": 7701,
        "faces_found": 7700,
        "errors": 1,
        "parts": (part,),
        "published": (Published("A", 0.999, "x", "n"), Published("B", 0.9, "x")),
        "published_of": ("view2", "accuracy_mean"),
        "run": {"detector": "yunet"},
        "notes": ("mind this",),
    }
    return Result(**values | changes)


def test_rows_are_in_words() -> None:
    assert result().rows() == [
        ("photos", "7,701"),
        ("faces found", "7,700"),
        ("could not be read", "1"),
        ("View 2: accuracy", "99.50 % ± 0.10 %"),
        ("View 2: TAR at FMR 1e-3", "99.00 %"),
        ("View 2: TAR at FMR 1e-4", "not measurable"),
        ("View 2: pairs", "6,000"),
    ]


def test_json_has_everything() -> None:
    values = json.loads(json.dumps(result().to_dict()))
    assert values["view2"]["accuracy_mean"] == 0.995
    assert values["view2"]["private"] == [1, 2]
    assert values["view2"]["curves"] == {"references": {"1": 0.9, "2": 0.95}}
    assert values["published"][0] == {"name": "A", "value": 0.999, "source": "x", "note": "n"}
    assert (values["detector"], values["notes"], values["n_errors"]) == ("yunet", ["mind this"], 1)


def test_ours_stands_among_the_published_ones() -> None:
    assert [row[:2] for row in result().published_rows()] == [
        ("A", "99.90 %"),
        ("lineament, this run", "99.50 %"),
        ("B", "90.00 %"),
    ]
    assert result(published=()).published_rows() == []


def test_parts_are_found_by_their_keys() -> None:
    assert result().part("view2").title == "View 2"
    with pytest.raises(OptionError, match="expected one of view2, got 'x'"):
        result().part("x")
    with pytest.raises(OptionError, match="at least one, each with its own key"):
        result(parts=result().parts * 2)


def test_scores_are_told_apart() -> None:
    scores = Scores.of(np.array([[0.1, 0.9], [0.4, 0.8]]), [[False, True], [False, True]])
    assert scores.genuine.tolist() == pytest.approx([0.9, 0.8])
    assert scores.impostor.tolist() == pytest.approx([0.1, 0.4])


def test_rates_as_keys() -> None:
    assert [rate_text(rate) for rate in (0.1, 1e-3, 2.5e-3, 3e-6, 1)] == [
        "1e-1",
        "1e-3",
        "2.5e-3",
        "3e-6",
        "1e0",
    ]
    assert by_text({1e-3: 0.5}) == by_text([(1e-3, 0.5)]) == {"1e-3": 0.5}
    assert in_words("x", "value") == "x"
