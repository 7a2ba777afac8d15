"""The metrics of calibration against independent computations."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from lineament.errors import OptionError
from lineament.evaluate.metrics import interval_of_rate
from lineament.evaluate.scoring import (
    chance_of_no_match,
    cllr,
    ece,
    expected_fpir,
    min_cllr,
    pav,
    reliability,
)

isotonic = pytest.importorskip("sklearn.isotonic")


def scores(seed: int, genuine: int = 60, impostor: int = 300) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    # Rounded, so that many are tied
    return random.normal(1, 1, genuine).round(1), random.normal(-1, 1, impostor).round(1)


# --- Cllr -----------------------------------------------------------------------------------------


def test_cllr_is_the_sum_of_its_definition() -> None:
    genuine, impostor = scores(0)
    first = sum(math.log2(1 + math.exp(-x)) for x in genuine) / len(genuine)
    second = sum(math.log2(1 + math.exp(x)) for x in impostor) / len(impostor)
    assert cllr(genuine, impostor) == pytest.approx((first + second) / 2, abs=1e-12)


def test_cllr_of_knowing_nothing_and_everything() -> None:
    assert cllr([0.0, 0.0], [0.0]) == pytest.approx(1, abs=1e-12)
    assert cllr([np.inf], [-np.inf]) == 0
    assert cllr([-np.inf], [0.0]) == np.inf
    assert cllr([1e300], [-1e300]) == 0


def test_weights_count_as_repetitions() -> None:
    genuine, impostor = scores(1)
    times = np.arange(len(impostor)) % 3
    weighted = cllr(genuine, impostor, impostor_weights=times)
    assert weighted == pytest.approx(cllr(genuine, np.repeat(impostor, times)), abs=1e-12)
    weighted = min_cllr(genuine, impostor, impostor_weights=times)
    assert weighted == pytest.approx(min_cllr(genuine, np.repeat(impostor, times)), abs=1e-12)


@pytest.mark.parametrize("bad", [[], [[1.0]], [np.nan], ["a"], None])
def test_what_is_no_row_of_numbers_is_refused(bad: Any) -> None:
    with pytest.raises(OptionError, match="expected"):
        cllr(bad, [0.0])
    with pytest.raises(OptionError, match="expected"):
        min_cllr([0.0], bad)


@pytest.mark.parametrize("weights", [[1.0], [-1.0, 1.0], [np.nan, 1.0], [0.0, 0.0]])
def test_bad_weights_are_refused(weights: Any) -> None:
    with pytest.raises(OptionError, match="weights"):
        cllr([0.0, 1.0], [0.0], genuine_weights=weights)


# --- PAV ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_pav_is_isotonic_regression(seed: int) -> None:
    genuine, impostor = scores(seed)
    x = np.concatenate([genuine, impostor])
    y = np.repeat([1.0, 0.0], [len(genuine), len(impostor)])
    w = np.random.default_rng(seed).uniform(0.1, 2, len(x))
    blocks = pav(x, y * w, (1 - y) * w)
    share = blocks.genuine / (blocks.genuine + blocks.impostor)
    mine = share[np.searchsorted(blocks.greatest, x)]
    theirs = isotonic.IsotonicRegression().fit(x, y, w).predict(x)
    np.testing.assert_allclose(mine, theirs, atol=1e-9)
    assert (np.diff(share) > 0).all()
    inside = [(x >= a) & (x <= b) for a, b in zip(blocks.least, blocks.greatest, strict=True)]
    centers = [np.average(x[i], weights=w[i]) for i in inside]
    np.testing.assert_allclose(blocks.center, centers, atol=1e-9)
    assert sum(int(i.sum()) for i in inside) == len(x)


def test_min_cllr_by_isotonic_regression() -> None:
    genuine, impostor = scores(3)
    x = np.concatenate([genuine, impostor])
    y = np.repeat([1.0, 0.0], [len(genuine), len(impostor)])
    w = np.repeat([1 / len(genuine), 1 / len(impostor)], [len(genuine), len(impostor)])
    p = isotonic.IsotonicRegression().fit(x, y, w).predict(x)
    cost = -(w[y == 1] @ np.log2(p[y == 1]) + w[y == 0] @ np.log2(1 - p[y == 0])) / 2
    assert min_cllr(genuine, impostor) == pytest.approx(cost, abs=1e-9)
    assert min_cllr(genuine, impostor) < cllr(genuine, impostor)
    assert min_cllr(genuine**3, impostor**3) == pytest.approx(cost, abs=1e-9)


def test_separated_and_useless_scores() -> None:
    assert min_cllr([2.0, 3.0], [0.0, 1.0]) == 0
    assert min_cllr([0.0, 1.0], [2.0, 3.0]) == pytest.approx(1, abs=1e-12)
    assert min_cllr([1.0, 1.0], [1.0]) == pytest.approx(1, abs=1e-12)
    blocks = pav([1.0, 2.0], [0.0, 1.0], [1.0, 0.0])
    assert blocks.genuine.tolist() == [0, 1]
    with pytest.raises(OptionError, match="above 0"):
        pav([1.0], [0.0], [0.0])
    with pytest.raises(OptionError, match="finite"):
        pav([np.inf], [1.0], [0.0])


# --- reliability ----------------------------------------------------------------------------------


def test_ece_by_counting() -> None:
    random = np.random.default_rng(5)
    claimed = np.append(random.uniform(0, 1, 500), [0.0, 1.0, 1 / 15])
    same = random.uniform(0, 1, len(claimed)) < claimed**2
    total = 0.0
    for k in range(15):
        inside = [i for i, p in enumerate(claimed) if k == min(int(p * 15), 14)]
        if inside:
            gap = abs(sum(claimed[i] for i in inside) - sum(bool(same[i]) for i in inside))
            total += gap / len(claimed)
    assert ece(claimed, same) == pytest.approx(total, abs=1e-12)
    assert total > 0.1
    table = reliability(claimed, same)
    assert table.pairs.sum() == len(claimed)
    assert table.weight.sum() == pytest.approx(1)
    for observed, pairs, low, high in zip(
        table.observed, table.pairs, table.low, table.high, strict=True
    ):
        expected = interval_of_rate(round(observed * pairs), int(pairs))
        assert (low, high) == pytest.approx(expected, abs=1e-12)


def test_equal_mass_keeps_ties_together() -> None:
    claimed = np.repeat([0.1, 0.2, 0.9], [10, 80, 10])
    same = np.zeros(100, bool)
    table = reliability(claimed, same, equal="mass", bins=10)
    assert table.pairs.tolist() == [10, 80, 10]
    assert table.ece == pytest.approx(0.26)
    distinct = np.linspace(0, 1, 100)
    assert reliability(distinct, same, equal="mass", bins=10).pairs.tolist() == [10] * 10


def test_counts_are_repetitions_and_weights_change_the_prior() -> None:
    claimed, same = np.array([0.2, 0.8, 0.8]), np.array([False, False, True])
    times = np.array([5, 2, 3])
    long = reliability(np.repeat(claimed, times), np.repeat(same, times))
    short = reliability(claimed, same, counts=times)
    for a, b in zip(long, short, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
    weighted = reliability(claimed, same, weights=[1, 1, 9])
    assert weighted.observed[-1] == pytest.approx(0.9)
    assert len(weighted.to_rows()) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"probabilities": [1.1]},
        {"probabilities": [-0.1]},
        {"same": [1]},
        {"same": [True, False]},
        {"bins": 0},
        {"equal": "size"},
        {"confidence": 1.0},
        {"weights": [0.0]},
    ],
)
def test_bad_reliability_is_refused(arguments: dict[str, Any]) -> None:
    good: dict[str, Any] = {"probabilities": [0.5], "same": [True]}
    reliability(**good)
    with pytest.raises(OptionError, match="expected"):
        reliability(**good | arguments)


# --- identification -------------------------------------------------------------------------------


def test_chance_of_no_match_is_a_ratio_of_binomials() -> None:
    for pool, gallery in ((7, 3), (7, 7), (7, 0), (500, 20)):
        wanted = [math.comb(pool - m, gallery) / math.comb(pool, gallery) for m in range(pool + 1)]
        np.testing.assert_allclose(chance_of_no_match(pool, gallery), wanted, rtol=1e-9)
    with pytest.raises(OptionError, match="gallery"):
        chance_of_no_match(3, 4)


@pytest.mark.parametrize("size", [1, 2, 4, 6])
def test_expected_fpir_is_the_mean_over_all_galleries(size: int) -> None:
    alike = np.random.default_rng(2).normal(size=(5, 6))
    thresholds = np.array([-0.5, 0.5, 1.0])
    weights = np.array([1.0, 2.0, 0.0, 1.0, 3.0])
    found = []
    for gallery in itertools.combinations(range(6), size):
        best = alike[:, list(gallery)].max(axis=1)
        found.append([(weights * (best >= t)).sum() / weights.sum() for t in thresholds])
    matching = (alike[:, :, None] >= thresholds).sum(axis=1)
    mine = expected_fpir(matching, 6, size, weights)
    np.testing.assert_allclose(mine, np.mean(found, axis=0), atol=1e-9)
    assert mine[0] > mine[2]


@pytest.mark.parametrize("bad", [[[4]], [[-1]], [[0.5]], [1], np.zeros((0, 2), int)])
def test_bad_counts_are_refused(bad: Any) -> None:
    with pytest.raises(OptionError, match="matching"):
        expected_fpir(bad, 3, 2)
