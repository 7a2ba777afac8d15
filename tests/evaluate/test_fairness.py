"""Errors by group against a count pair by pair, and what is too small for a figure."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from lineament.errors import OptionError
from lineament.evaluate.fairness import GroupRates, rates_of_all_pairs, rates_of_pairs
from lineament.evaluate.metrics import interval_of_rate

GROUPS = ("a", "b", "c")
THRESHOLD = 0.55


def people(seed: int = 0, noise: float = 0.55) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors of 75 people, 4 each; the second group's are alike; some have no group."""
    rng = np.random.default_rng(seed)
    group = np.repeat([0, 1, 2, -1], [30, 30, 5, 10])
    centers = rng.normal(size=(75, 12))
    centers[group == 1] += 1.2 * rng.normal(size=12)
    rows = np.repeat(centers, 4, axis=0) + noise * rng.normal(size=(300, 12))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), np.repeat(np.arange(75), 4), np.repeat(group, 4)


def counted(
    scores: np.ndarray, person: np.ndarray, group: np.ndarray
) -> dict[tuple[str, int, int], tuple[int, int]]:
    """(errors, pairs) of each kind and pair of groups."""
    table: dict[tuple[str, int, int], tuple[int, int]] = {}
    for i, j in itertools.combinations(range(len(person)), 2):
        if group[i] < 0 or group[j] < 0:
            continue
        same = person[i] == person[j]
        wrong = (scores[i, j] >= THRESHOLD) != same
        key = ("fnmr" if same else "fmr", *sorted((int(group[i]), int(group[j]))))
        errors, pairs = table.get(key, (0, 0))
        table[key] = (errors + int(wrong), pairs + 1)
    return table


def flat(rates: GroupRates) -> dict[tuple[str, int, int], tuple[int, int]]:
    return {
        (name, *cell): (rate.errors, rate.trials)
        for name, table in (("fmr", rates.fmr), ("fnmr", rates.fnmr))
        for cell, rate in table.items()
    }


@pytest.mark.parametrize("split_people", [False, True])
def test_all_pairs_against_a_count(split_people: bool) -> None:
    vectors, person, group = people()
    if split_people:  # an attribute of photos, such as age: people are in two groups
        group = np.where(np.arange(300) % 4 == 3, (group + 1) % 3, group)
    found = np.random.default_rng(1).random(300) > 0.05
    scores = vectors.astype(float) @ vectors.T.astype(float)
    scores[~found] = scores[:, ~found] = -1
    rates = rates_of_all_pairs(
        np.where(found[:, None], vectors, np.nan),
        person,
        group,
        GROUPS,
        threshold=THRESHOLD,
        found=found,
        draws=20,
    )
    expected = counted(scores, person, group)
    assert flat(rates) == expected
    assert (("fnmr", 0, 1) in expected) == split_people
    known = group >= 0
    assert rates.photos.tolist() == [(group == g).sum() for g in range(3)]
    assert rates.people.tolist() == [len(set(person[group == g])) for g in range(3)]
    i, j = np.triu_indices(int(known.sum()), 1)
    assert rates.pairs_without_face == (~(found[known][i] & found[known][j])).sum()
    errors, pairs = np.sum([v for k, v in expected.items() if k[0] == "fmr"], axis=0)
    assert rates.overall_fmr == pytest.approx(errors / pairs, abs=1e-9)
    assert rates.wanted_fmr == pytest.approx(errors / pairs, abs=1e-9)


def test_a_list_of_pairs_gives_what_all_pairs_give() -> None:
    vectors, person, group = people()
    places = np.array(list(itertools.combinations(range(300), 2)))
    scores = np.einsum("nd,nd->n", vectors[places[:, 0]], vectors[places[:, 1]])
    same = person[places[:, 0]] == person[places[:, 1]]
    options: dict[str, Any] = {"threshold": THRESHOLD, "draws": 30, "wanted_fmr": 0.02}
    whole = rates_of_all_pairs(vectors, person, group, GROUPS, **options)
    listed = rates_of_pairs(places, scores, same, person, group, GROUPS, **options)
    assert flat(whole) == flat(listed)
    for mine, theirs in ((whole.fmr, listed.fmr), (whole.fnmr, listed.fnmr)):
        for cell, rate in mine.items():
            assert (rate.low, rate.high) == pytest.approx(
                (theirs[cell].low, theirs[cell].high), abs=1e-9
            )
    assert whole.own_threshold == pytest.approx(listed.own_threshold, abs=1e-6)


def test_own_thresholds_and_ratios() -> None:
    vectors, person, group = people()
    rates = rates_of_all_pairs(
        vectors, person, group, GROUPS, threshold=THRESHOLD, wanted_fmr=0.02, draws=0
    )
    scores = vectors @ vectors.T
    for g in (0, 1):
        rows = np.flatnonzero(group == g)
        i, j = (rows[k] for k in np.triu_indices(len(rows), 1))
        impostor = scores[i, j][person[i] != person[j]]
        own = rates.own_threshold[g]
        assert own is not None
        assert (impostor >= own).mean() <= 0.02 < (impostor >= np.nextafter(own, -1) - 1e-6).mean()
    assert rates.own_threshold[1] > rates.own_threshold[0]  # type: ignore[operator]
    assert rates.own_threshold[2] is None  # five people
    first, second = (rates.fmr[g, g].value for g in (0, 1))
    assert first is not None
    assert second is not None
    assert rates.fmr[2, 2].value is None
    found = rates.differentials()
    assert found["fmr_max_over_min"] == pytest.approx(second / first)
    assert found["fmr_max_over_geometric_mean"] == pytest.approx(second / (first * second) ** 0.5)
    spread = rates.own_threshold[1] - rates.own_threshold[0]  # type: ignore[operator]
    assert found["threshold_spread"] == pytest.approx(spread)
    rate = rates.fmr[0, 0]
    assert (rate.low, rate.high) == interval_of_rate(rate.errors, rate.trials)


def test_small_groups_are_said_to_be_too_small() -> None:
    vectors, person, group = people()
    rates = rates_of_all_pairs(
        vectors, person, group, GROUPS, threshold=THRESHOLD, wanted_fmr=1e-3, draws=0
    )
    assert not rates.fmr[2, 2].enough
    assert rates.fmr[2, 2].people == 5
    # 180 genuine pairs a group and no 30 errors: no figure, though there are 30 people
    assert rates.fnmr[0, 0].trials == 180
    assert rates.fnmr[0, 0].errors < 30
    assert rates.fnmr[0, 0].value is None
    assert rates.differentials()["fnmr_max_over_min"] is None
    strict = rates_of_all_pairs(
        vectors, person, group, GROUPS, threshold=0.97, wanted_fmr=1e-3, draws=0
    )
    assert strict.fnmr[0, 0].errors >= 30
    assert strict.fnmr[0, 0].value == strict.fnmr[0, 0].errors / 180
    # No false match seen, and 7 expected: nothing can be said of the rate.
    assert (strict.fmr[0, 0].errors, strict.fmr[0, 0].value) == (0, None)


def test_the_bootstrap_is_over_people() -> None:
    """One person whom many resemble moves the interval far more than Wilson's knows."""
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(200, 400))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[1:80] = 0.6 * vectors[0] + 0.8 * vectors[1:80]  # 0.6 to person 0, 0.36 to each other
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    person, group = np.arange(200), np.zeros(200, int)
    rates = rates_of_all_pairs(vectors, person, group, ("all",), threshold=0.5, draws=400)
    rate = rates.fmr[0, 0]
    assert rate.errors == 79
    low, high = interval_of_rate(rate.errors, rate.trials)
    # In 37 % of the draws person 0 is missing, and all matches with it; in 2 % it is there 4 times.
    assert (low, rate.low) == (pytest.approx(0.0032, abs=2e-4), 0)
    assert rate.high > 2.5 * high
    again = rates_of_all_pairs(vectors, person, group, ("all",), threshold=0.5, draws=400)
    assert again.fmr == rates.fmr


def test_the_bootstrap_against_copies_of_people() -> None:
    """Draw people with the same numbers, write the copies out, and count their pairs."""
    vectors, person, group = people(4, noise=0.9)
    use = (group >= 0) & (person % 2 == 0)
    vectors, group = vectors[use], group[use]
    person = np.unique(person[use], return_inverse=True)[1]
    n = int(person.max()) + 1
    rates = rates_of_all_pairs(vectors, person, group, GROUPS, threshold=THRESHOLD, draws=3, seed=8)
    scores = vectors @ vectors.T
    rng = np.random.default_rng(8)
    shares: dict[tuple[str, int, int], list[float]] = {}
    for _ in range(3):
        drawn = rng.integers(0, n, n)
        rows = np.concatenate([np.flatnonzero(person == p) for p in drawn])
        copy = np.repeat(np.arange(n), [(person == p).sum() for p in drawn])
        table: dict[tuple[str, int, int], list[int]] = {}
        for a, b in itertools.combinations(range(len(rows)), 2):
            i, j = rows[a], rows[b]
            same = person[i] == person[j]
            if same and copy[a] != copy[b]:
                continue  # two copies of one person are not compared
            key = ("fnmr" if same else "fmr", *sorted((int(group[i]), int(group[j]))))
            row = table.setdefault(key, [0, 0])
            row[0] += (scores[i, j] >= THRESHOLD) != same
            row[1] += 1
        for key, (errors, pairs) in table.items():
            shares.setdefault(key, []).append(errors / pairs)
    for name, found in (("fmr", rates.fmr), ("fnmr", rates.fnmr)):
        for cell, rate in found.items():
            low, high = interval_of_rate(rate.errors, rate.trials)
            mine = shares.get((name, *cell), [low, high])
            assert rate.low == pytest.approx(min(low, np.quantile(mine, 0.025)), abs=1e-9)
            assert rate.high == pytest.approx(max(high, np.quantile(mine, 0.975)), abs=1e-9)
    assert any(
        rate.high > interval_of_rate(rate.errors, rate.trials)[1] for rate in rates.fmr.values()
    )


def test_a_missing_face_matches_nobody_at_any_threshold() -> None:
    vectors, found = np.eye(4, dtype=np.float32), np.array([True, True, False, True])
    rates = rates_of_all_pairs(
        vectors, [0, 1, 2, 3], [0] * 4, ("a",), threshold=-0.5, found=found, draws=0
    )
    assert (rates.fmr[0, 0].errors, rates.fmr[0, 0].trials) == (3, 6)
    assert rates.pairs_without_face == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"group": np.zeros(3, int)}, "group: expected"),
        ({"group": np.zeros(4)}, "whole numbers"),
        ({"group": np.full(4, 2)}, "-1 to 1"),
        ({"person": np.zeros(3)}, "person: expected"),
        ({"wanted_fmr": 0.0}, "0 < rate < 1"),
        ({"vectors": np.ones((4, 4))}, "unit vectors"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], message: str) -> None:
    values: dict[str, Any] = {
        "vectors": np.eye(4),
        "person": np.arange(4),
        "group": np.zeros(4, int),
    }
    options: dict[str, Any] = {"threshold": 0.5, "draws": 2}
    for key, value in changes.items():
        (values if key in values else options)[key] = value
    with pytest.raises(OptionError, match=message):
        rates_of_all_pairs(*values.values(), ("a", "b"), **options)


def test_a_list_of_other_shape_is_refused() -> None:
    with pytest.raises(OptionError, match=r"expected pairs \(M, 2\)"):
        rates_of_pairs([[0, 1]], [0.1, 0.2], [True], [0, 0], [0, 0], ("a",), threshold=0.5)
