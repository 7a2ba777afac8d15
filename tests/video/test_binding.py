"""Whose path is it: thresholds, doubt, patience."""

from __future__ import annotations

from typing import Any

import pytest

from lineament.video._binding import PATIENCE_S, PATIENCE_VIEWS, Evidence, Levels, answers

LEVELS = Levels(sure=0.5, likely=0.4, perhaps=0.3, unlike=0.2)


def path(alike: dict[int, float], own: int | None = None, **more: Any) -> Evidence:
    return Evidence(own, alike, **({"rise": {}, "n_clear": 1, "age_s": 0.0} | more))


@pytest.mark.parametrize(
    ("alike", "more", "expected"),
    [
        ({}, {}, "new"),  # nobody was seen before
        ({}, {"n_clear": 0}, "wait"),  # no clear view
        ({1: 0.05}, {}, "new"),
        ({1: 0.15}, {}, "wait"),  # one view is not enough
        ({1: 0.15}, {"n_clear": 2}, "new"),
        ({1: 0.25}, {"n_clear": 2}, "wait"),
        ({1: 0.25}, {"n_clear": PATIENCE_VIEWS}, "new"),
        ({1: 0.25}, {"n_clear": 0, "age_s": PATIENCE_S}, "new"),
        ({1: 0.45}, {}, "wait"),
        ({1: 0.45}, {"n_clear": PATIENCE_VIEWS}, 1),
        ({1: 0.55, 2: 0.6}, {}, 2),
        ({1: 0.55}, {"rise": {1: 0.2}}, "wait"),  # strangers are alike in photos as bad
    ],
)
def test_a_path_that_is_nobodys(
    alike: dict[int, float], more: dict[str, Any], expected: object
) -> None:
    assert answers([path(alike, **more)], (), LEVELS) == [expected]


@pytest.mark.parametrize(
    ("alike", "more", "expected"),
    [
        ({1: 0.35}, {}, 1),  # its own is confirmed early
        ({1: 0.25, 2: 0.3}, {}, "wait"),
        ({1: 0.25, 2: 0.55}, {}, 2),
        ({1: 0.48, 2: 0.55}, {}, 1),  # not so much more alike
        ({1: 0.05}, {}, "nobody"),
        ({1: 0.15}, {}, "wait"),
        ({1: 0.15}, {"n_clear": PATIENCE_VIEWS}, "nobody"),
        ({1: 0.05}, {"n_clear": 0}, "wait"),
    ],
)
def test_a_path_in_doubt(alike: dict[int, float], more: dict[str, Any], expected: object) -> None:
    assert answers([path(alike, own=1, **more)], (), LEVELS) == [expected]


def test_two_paths_are_never_one_person() -> None:
    both = [path({1: 0.9, 2: 0.1}), path({1: 0.8, 2: 0.1})]
    assert answers(both, (), LEVELS) == [1, "wait"] or answers(both, (), LEVELS) == [1, "new"]
    assert answers([path({1: 0.9})], {1}, LEVELS)[0] != 1  # seen elsewhere


def test_two_who_were_exchanged_are_put_right() -> None:
    exchanged = [path({1: 0.1, 2: 0.8}, own=1), path({1: 0.7, 2: 0.2}, own=2)]
    assert answers(exchanged, (), LEVELS) == [2, 1]
