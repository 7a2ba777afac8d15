"""What stands beside figures and pictures follows the data: where it holds, and where not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from builders import make_embedding
from lineament.decide.comparison import compare
from lineament.decide.thresholds import own_threshold
from lineament.evaluate.result import PairShown, Part, Result, Scores
from lineament.explain.degrade import Step
from lineament.explain.faces import Faces
from lineament.fit.clean import Cleaning, clean, none_found
from lineament.pictures import charts
from lineament.pictures.pages.page import Picture, Section, Table, page, sentence
from lineament.pictures.pages.result import _of_groups, _part, heading, report_sections
from lineament.pictures.plots.correlation import correlation, list_in_words
from lineament.pictures.plots.grid import grid
from lineament.pictures.plots.histogram import histogram
from lineament.pictures.plots.occlusion import frames_in_words
from lineament.pictures.plots.plot import Plot
from lineament.pictures.plots.pose import frames_in_words as frames_of_poses
from lineament.report._findings import Findings
from lineament.report._sections import summary
from lineament.types import Certainty, Threshold


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


# --- plots ----------------------------------------------------------------------------------------


def some_faces(person: list[int], *, named: bool = True) -> Faces:
    """Photos of these people; one person's are alike, two people's are not."""
    rng = np.random.default_rng(0)
    centers = np.eye(8)[: max(person) + 1]
    vectors = centers[person] + rng.normal(0, 0.05, (len(person), 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Faces(
        paths=tuple(Path(f"{i}.jpg") for i in range(len(person))),
        names=tuple(f"P{k}" for k in range(max(person) + 1)),
        person=np.array(person, np.int64),
        vectors=vectors.astype(np.float32),
        norms=np.ones(len(person), np.float32),
        named=named,
        relative=tuple(f"{i}.jpg" for i in range(len(person))),
    )


def drawn_words(plot: Plot) -> str:
    """All that stands in a picture; lines of one text may be texts of their own."""
    from matplotlib.text import Text

    return " ".join(text.get_text() for text in plot.figure.findobj(Text))


@pytest.mark.parametrize(
    ("person", "named", "threshold", "said", "never"),
    [
        ([0, 0, 1, 1], True, 0.5, ["Decided otherwise", "0 of 2 pairs of one person",
                                   "0 of 4 pairs of two people"], ["Framed"]),
        ([0, 0, 1, 1], True, 0.9999, ["Framed", "2 of 2 pairs of one person"], []),
        ([0, 1], True, 0.5, ["0 of 1 pair of two people", "no two photos of one person"],
         ["pairs of one person", "Framed"]),
        ([0, 0], True, 0.5, ["0 of 1 pair of one person", "one person only"], ["two people"]),
        ([0, 1], False, 0.5, ["0 of 1 pair are."], ["Framed"]),
        ([0, 1], True, None, [], ["Framed", "otherwise", "Orange"]),
    ],
)  # fmt: skip
def test_the_grid_speaks_of_what_is_there(
    person: list[int], named: bool, threshold: float | None, said: list[str], never: list[str]
) -> None:
    words = drawn_words(grid(some_faces(person, named=named), threshold=threshold))
    assert [each for each in said if each not in words] == []
    assert [each for each in never if each in words] == []


def test_a_histogram_of_one_person_has_no_others() -> None:
    for threshold in (None, 0.5):
        words = drawn_words(histogram(some_faces([0, 0, 0]), threshold=threshold))
        assert "nearest other" not in words
        assert "photos of others" not in words.replace("no photos of others", "")
    words = drawn_words(histogram(some_faces([0, 0, 1]), threshold=None))
    assert "nearest other" in words
    assert "photos of others" in words


@pytest.mark.parametrize(
    ("person", "threshold", "ladder", "heading", "which", "fmr"),
    [
        ([0, 1], 0.5, (), "The one pair there is: nobody unlocks", "The one pair", False),
        ([0, 1], -0.9, (), "Who could unlock whose phone", "The one pair", False),
        ([0, 1, 2], 0.5, (), "All pairs: nobody unlocks", "All pairs", False),
        (list(range(6)), None, (), "Who is most like whom", "The closest pairs", False),
        ([0, 1], -0.9, (Threshold(-0.5, "cosine", 0.1, "x", None),), "Who could", "The", True),
    ],
)
def test_the_list_of_close_people_says_what_it_lists(
    person: list[int],
    threshold: float | None,
    ladder: tuple[Threshold, ...],
    heading: str,
    which: str,
    fmr: bool,
) -> None:
    numbers = correlation(some_faces(person), threshold=threshold, ladder=ladder).numbers
    said = list_in_words(numbers, threshold)
    assert said[0].startswith(heading)
    assert said[1].startswith(which)
    assert ("false match rate" in said[1]) == fmr


SHORT = "vermillion, dashed: falls short of it"


def step(similarity: float | None, level: float | None = 1.0) -> Step:
    same = similarity is not None and similarity >= 0.5
    return SimpleNamespace(level=level, similarity=similarity, same=same)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("similarities", "words"),
    [
        ([0.9, 0.8], "Blue frame: reaches it."),
        ([0.9, 0.1], "Blue frame: reaches it; vermillion, dashed: falls short."),
        ([0.9, None], "Blue frame: reaches it; vermillion, dashed: no face is found."),
        ([0.1, None], "Vermillion, dashed: falls short, or no face is found."),
    ],
)
def test_frames_are_explained_that_are_there(similarities: list[float | None], words: str) -> None:
    assert frames_in_words({"mask": [step(each) for each in similarities]}) == words


@pytest.mark.parametrize(
    ("same", "words"),
    [
        ([True, True], "blue frame: reaches the threshold, as all here do"),
        ([False], SHORT + ", as all here do"),
        (
            [True, False],
            "blue frame: reaches the threshold;  vermillion, dashed: falls short of it",
        ),
    ],
)
def test_frames_of_poses_are_explained_that_are_there(same: list[bool], words: str) -> None:
    turned: Any = [SimpleNamespace(decision=SimpleNamespace(same=each)) for each in same]
    assert frames_of_poses(turned) == words


def cleaned(vectors: list[list[float]], person: list[int], **settings: Any) -> Cleaning:
    return clean(np.array(vectors), np.array(person), np.ones(len(person), bool), **settings)


def test_no_wrong_name_is_found_only_where_some_was_looked_for() -> None:
    one = cleaned([[1, 0], [0, 1]], [0, 0])
    assert none_found(one).startswith("Not looked for")
    assert "found" not in none_found(one)
    two = cleaned([[1, 0], [0, 1]], [0, 1])
    assert none_found(two).startswith("No wrong name was found. Looked for: ")
    assert "2 folders with one photo" in none_found(two)


def findings(*, qualities: list[Any], found: list[bool], person: list[int]) -> Findings:
    """What a folder's summary is made of, as far as words go."""
    vectors = np.eye(8, dtype=np.float32)[: len(person)]
    seen = np.array(found)
    people: Any = SimpleNamespace(
        paths=[Path(f"{i}.jpg") for i in range(len(person))],
        names=[f"P{k}" for k in range(max(person) + 1)],
        person=np.array(person),
        counts=np.bincount(person),
        relative=lambda i: f"{i}.jpg",
    )
    embedded = SimpleNamespace(found=seen, vectors=vectors, norms=np.ones(len(seen)), unreadable={})
    examined: Any = SimpleNamespace(embedded=embedded, quality=qualities, faces=seen.astype(int))
    cleaning = clean(vectors, np.array(person), seen)
    recognizer: Any = SimpleNamespace(weights=SimpleNamespace(name="sface"))
    return Findings(recognizer, people, examined, cleaning, own_threshold(0.4, "cosine"), 0)


@pytest.mark.parametrize(
    ("qualities", "found", "said", "never"),
    [
        (["q"] * 3, [True] * 3, ["Nobody is confusable", "3 photos of 3 people", "No face is too"],
         ["several faces", "measured"]),
        ([None] * 3, [True] * 3, ["was not measured"], ["No face is too"]),
        (["q", None, "q"], [True] * 3, ["No face of the 2 of 3 that were measured"], []),
        (["q", None, None], [True, False, False], ["cannot be said"], ["Nobody is confusable"]),
    ],
)  # fmt: skip
def test_a_summary_says_none_only_of_what_was_looked_at(
    qualities: list[Any], found: list[bool], said: list[str], never: list[str]
) -> None:
    words = " ".join(summary(findings(qualities=qualities, found=found, person=[0, 1, 2])))
    assert [each for each in said if each not in words] == []
    assert [each for each in never if each in words] == []
