"""What stands beside figures and pictures follows the data: where it holds, and where not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from builders import make_embedding
from lineament.decide.comparison import compare
from lineament.decide.thresholds import own_threshold
from lineament.evaluate.result import PairShown, Part
from lineament.pictures import charts
from lineament.pictures.pages.result import _of_groups, _part
from lineament.types import Certainty


def headings(pairs: list[tuple[bool, float]], threshold: float | None) -> list[str]:
    """Of the sections of one part with these pairs: (one person, similarity)."""
    worst = tuple(PairShown("a", "b", same, score) for same, score in pairs)
    return [one.title for one in _part(Part("p", "pairs", {}, worst=worst, threshold=threshold))][
        1:
    ]


WRONG_ONE = "Worst errors: one person, judged to be two"
WRONG_TWO = "Worst errors: two people, judged to be one"
CLOSE_ONE = "Closest calls: one person, judged rightly"
HARDEST = ["Hardest pairs: one person", "Hardest pairs: two people"]
CLOSE_TWO = "Closest calls: two people, judged rightly"


@pytest.mark.parametrize(
    ("pairs", "threshold", "expected"),
    [
        ([(True, 0.2)], 0.3, [WRONG_ONE]),
        ([(True, 0.386), (True, 0.45)], 0.372, [CLOSE_ONE]),
        ([(True, 0.3)], 0.3, [CLOSE_ONE]),  # at the threshold is a match
        ([(True, 0.2), (True, 0.4)], 0.3, [WRONG_ONE, CLOSE_ONE]),
        ([(False, 0.4)], 0.3, [WRONG_TWO]),
        ([(False, 0.3)], 0.3, [WRONG_TWO]),
        ([(False, 0.29)], 0.3, [CLOSE_TWO]),
        ([(True, 0.2), (False, 0.1)], 0.3, [WRONG_ONE, CLOSE_TWO]),
        ([(True, 0.2), (False, 0.1)], None, HARDEST),
        ([(True, 0.2)], float("inf"), ["Hardest pairs: one person"]),
        ([], 0.3, []),
    ],
)  # fmt: skip
def test_errors_are_called_errors_only_where_something_is_wrong(
    pairs: list[tuple[bool, float]], threshold: float | None, expected: list[str]
) -> None:
    assert headings(pairs, threshold) == expected


def panels(few: dict[str, Any] | None) -> list[tuple[int, list[str], list[str]]]:
    """Of each panel: hollow points, words in it, entries of the legend."""
    rates = {"FMR": [0.01, 0.008], "FNMR": [np.nan, np.nan]}
    figure = charts.group_rates(["a", "b"], rates, too_few=few)
    found = []
    for axes in figure.axes:
        dots = [line for line in axes.get_lines() if line.get_marker() == "o"]
        hollow = sum(d.get_markerfacecolor() == "white" for d in dots if len(d.get_xdata()))
        labels = axes.get_legend_handles_labels()[1]
        found.append((hollow, [text.get_text() for text in axes.texts], list(labels)))
    return found


@pytest.mark.parametrize(
    ("few", "expected"),
    [
        (None, [(0, [], []), (0, ["no pairs"] * 2, [])]),
        ({"FNMR": [True, True]}, [(0, [], []), (0, ["too few pairs"] * 2, [])]),
        (
            {"FMR": [True, False]},
            [(1, [], ["too few pairs to judge by"]), (0, ["no pairs"] * 2, [])],
        ),
    ],
)
def test_only_a_rate_of_too_few_pairs_is_hollow(few: dict[str, Any] | None, expected: Any) -> None:
    assert panels(few) == expected


def part_of_groups(**curves: dict[str, float]) -> Part:
    cells = {"f x f": 0.0071, "m x m": 0.0099, "f x m": 0.0083}
    known = {"fmr": cells, "fmr_low": cells, "fmr_high": cells}
    return Part("by_sex", "sex", {"groups": ["f", "m"]}, curves={**known, **curves})


@pytest.mark.parametrize(
    ("curves", "hatched"), [({}, False), ({"fmr_too_few": {"f x m": 20.0}}, True)]
)
def test_the_matrix_speaks_of_hatching_only_where_there_is_some(
    curves: dict[str, dict[str, float]], hatched: bool
) -> None:
    words = _of_groups(part_of_groups(**curves))[0].caption
    assert ("hatched" in words) == hatched


@pytest.mark.parametrize(
    ("rates", "least", "most"),
    [
        ([[0.0071, 0.0083], [0.0083, 0.0099]], 0.0, 0.15),  # hardly another color
        ([[0.0001, 0.01], [0.01, 0.1]], 0.5, 1.0),
        ([[0.01, 0.01], [0.01, 0.01]], 0.0, 0.01),
    ],
)
def test_colors_differ_as_much_as_the_rates(
    rates: list[list[float]], least: float, most: float
) -> None:
    axes = charts.group_matrix(["a", "b"], rates).figure.axes[0]
    (image,) = axes.get_images()
    tones = np.asarray(image.norm(np.array(rates)))
    assert least <= tones.max() - tones.min() <= most


# --- decisions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("threshold", "probability", "reasons", "words"),
    [
        (0.1, 0.99, (), "the same person"),
        (0.9, 0.01, (), "different people"),
        (0.1, 0.99, ("blurred",), "undecided, rather the same person"),
        (0.9, 0.01, ("blurred",), "undecided, rather different people"),
        (0.1, None, ("blurred",), "undecided, rather the same person"),
        (0.1, 0.005, ("p",), "undecided: alike enough for the threshold, yet rather two people"),
        (0.9, 0.9, ("p",), "undecided: not alike enough for the threshold, yet rather one person"),
    ],
)
def test_the_verdict_does_not_contradict_the_probability(
    threshold: float, probability: float | None, reasons: tuple[str, ...], words: str
) -> None:
    a, b = make_embedding([1, 0]), make_embedding([0.6, 0.8])
    decision = compare(a, b, own_threshold(threshold, "cosine"))
    certainty = (
        None
        if probability is None
        else Certainty(probability, probability, probability, 0.0, 0.5, "made up", 9, 9, 9)
    )
    assert replace(decision, certainty=certainty, reasons=reasons).verdict_in_words == words
