"""What stands beside figures and pictures follows the data: where it holds, and where not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from builders import make_embedding
from lineament.decide.comparison import compare
from lineament.decide.thresholds import own_threshold
from lineament.evaluate.result import PairShown, Part, Result, Scores
from lineament.pictures import charts
from lineament.pictures.pages.page import Picture, Section, Table, page, sentence
from lineament.pictures.pages.result import _of_groups, _part, heading, report_sections
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


# --- pages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("references a person: 10 draws", "References a person: 10 draws."),
        ("expected there (rule of 30)", "Expected there (rule of 30)."),
        ("The command that made this page:", "The command that made this page:"),
        ("lineament eval folder d", "lineament eval folder d."),
        ("a_b.jpg is gone", "a_b.jpg is gone."),
        ("/data/a.jpg is gone", "/data/a.jpg is gone."),
        ("5,530 pairs", "5,530 pairs."),
        ("Is it one?", "Is it one?"),
        ("", ""),
    ],
)
def test_paragraphs_are_sentences(words: str, expected: str) -> None:
    assert sentence(words) == expected
    shown = page("t", [Section("", (words,))]).decode()
    assert f"<p>{expected}</p>" in shown


def test_only_commands_stand_in_backticks_and_those_are_not_shown() -> None:
    words = ("unite them by `lineament gallery merge`", "take `--force`", "the file `a b`.jpg")
    shown = page("t", [Section("", words)]).decode()
    assert "<code>lineament gallery merge</code>" in shown
    assert "<code>--force</code>" in shown
    assert "`a b`.jpg" in shown


@pytest.mark.parametrize(
    ("rows", "pictures", "tall", "lone"),
    [(0, 1, 0, 1), (0, 2, 0, 0), (9, 1, 0, 0), (9, 2, 0, 1), (9, 3, 0, 0), (25, 1, 0, 0),
     (25, 2, 1, 0), (25, 3, 1, 1), (99, 3, 0, 1)],
)  # fmt: skip
def test_no_row_of_pictures_is_left_with_a_hole(
    rows: int, pictures: int, tall: int, lone: int
) -> None:
    tables = (Table(("a",), [("1",)] * rows),) if rows else ()
    some = (Picture(b"x", "image/png", "x"),) * pictures
    shown = page("t", [Section("", (), tables, some)]).decode()
    assert shown.count('class="table tall"') == tall
    assert shown.count('class="lone"') == lone


def result_of(part: Part, title: str = "one folder per person") -> Result:
    return Result("folder", title, "/data/staff", 3, 3, 0, (part,))


def test_the_heading_says_what_was_done_with_what() -> None:
    assert heading(result_of(Part("p", "pairs", {}))) == "One folder per person: staff"


@pytest.mark.parametrize(
    ("measures", "expected"),
    [
        ({"accuracy_mean": 0.995, "accuracy_se": 0.0012}, "is 99.50 % ± 0.12 % (standard error)."),
        ({"accuracy_mean": 1.0, "accuracy_se": 0.0}, "accuracy is 100 % in every fold."),
        ({"accuracy_mean": 0.9, "accuracy_se": None}, "accuracy is 90.00 %."),
        ({"tar_at_fmr": {"1e-2": None, "1e-1": 0.5}}, "TAR at FMR 1e-1 is 50.00 %."),
        ({"tar_at_fmr": {"1e-2": None}, "fnmr": 0.25}, "FNMR is 25.00 %."),
        ({"tar_at_fmr": {"1e-2": None}}, None),
    ],
)
def test_the_main_figure_is_one_that_was_measured(
    measures: dict[str, Any], expected: str | None
) -> None:
    part = Part("p", "pairs", measures)
    words = report_sections(result_of(part))[0].paragraphs
    told = [each for each in words if each.startswith("Pairs: ")]
    assert [each.partition("Pairs: ")[2].endswith(expected or "") for each in told] == (
        [True] if expected else []
    )
    assert not any("±" in value and value.endswith(" 0 %") for _, value in part.rows())


def words_of(genuine: list[float], impostor: list[float], shown: list[tuple[bool, float]]) -> str:
    part = Part(
        "p", "pairs", {}, threshold=0.3,
        scores=Scores(np.array(genuine, np.float32), np.array(impostor, np.float32)),
        worst=tuple(PairShown("a", "b", same, score) for same, score in shown),
    )  # fmt: skip
    return " ".join(words for section in _part(part)[1:] for words in section.paragraphs)


@pytest.mark.parametrize(
    ("genuine", "impostor", "shown", "said", "never"),
    [
        # A photo is shown once: there are more errors than pairs.
        ([0.1, 0.2, 0.25, 0.5], [0.0], [(True, 0.1), (True, 0.5)],
         "3 of 4 pairs of one person are on the wrong side; 1 is shown.", "None"),
        ([0.1, 0.5], [0.0], [(True, 0.1)],
         "1 of 2 pairs of one person is on the wrong side.", "shown"),
        ([0.5, 0.6], [0.0], [(True, 0.5)], "None of 2 pairs of one person", "of them"),
        # Nothing wrong is shown, since a pair without a face cannot be.
        ([-1.0, 0.5], [0.0], [(True, 0.5)],
         "1 of 2 pairs of one person is on the wrong side, 1 of them because no face", "None"),
        ([0.5], [0.4, 0.1], [(False, 0.4)], "1 of 2 pairs of two people", "None"),
    ],
)  # fmt: skip
def test_pairs_shown_are_not_taken_for_all(
    genuine: list[float],
    impostor: list[float],
    shown: list[tuple[bool, float]],
    said: str,
    never: str,
) -> None:
    words = words_of(genuine, impostor, shown)
    assert said in words
    assert never not in words


@pytest.mark.parametrize(
    ("few", "words"),
    [
        ({}, "False match rate of each pair of groups."),
        ({"f x m": 20.0}, "hatched"),
        ({"f x f": 9.0, "m x m": 9.0, "f x m": 20.0}, "No pair of groups has enough pairs"),
    ],
)
def test_a_matrix_without_a_rate_says_so(few: dict[str, float], words: str) -> None:
    assert words in _of_groups(part_of_groups(fmr_too_few=few))[0].caption
