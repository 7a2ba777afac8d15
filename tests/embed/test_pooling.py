"""Pooling, against sums written out one template at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lineament.embed.pooling import (
    media_weights,
    pair_best,
    pair_cosine,
    pool_mean,
    pooling_weights,
    present,
)
from lineament.errors import OptionError


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    vectors = random.normal(size=(60, 130)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = random.integers(-1, 7, 60)
    groups[groups == 4] = -1  # a template without rows
    return vectors, groups, random.uniform(0, 9, 60)


def test_mean_and_weighted_mean(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    vectors, groups, weights = rows
    plain, heavy = pool_mean(vectors, groups), pool_mean(vectors, groups, weights=weights)
    assert plain.shape == heavy.shape == (7, 130)
    assert present(plain).tolist() == [True] * 4 + [False] + [True] * 2
    for group in (0, 1, 2, 3, 5, 6):
        total, weighted = np.zeros(130), np.zeros(130)
        for vector, number, weight in zip(vectors, groups, weights, strict=True):
            if number == group:
                total += vector
                weighted += weight * vector.astype(np.float64)
        np.testing.assert_allclose(plain[group], total / np.linalg.norm(total), atol=1e-6)
        np.testing.assert_allclose(heavy[group], weighted / np.linalg.norm(weighted), atol=1e-6)
    assert not plain[4].any()


def test_the_scale_of_weights_does_not_matter(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    vectors, groups, weights = rows
    expected = pool_mean(vectors, groups, weights=weights)
    for scale in (1e-300, 1e300):
        found = pool_mean(vectors, groups, weights=weights * scale)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_nothing_is_pooled_of_nothing() -> None:
    vectors = np.array([[1, 0], [-1, 0], [0, 1]], np.float32)
    pooled = pool_mean(vectors, [0, 0, 1], weights=[1, 1, 0], count=3)
    assert not pooled.any()  # they cancel; no weight; no rows
    assert pool_mean(vectors, [-1, -1, -1]).shape == (0, 2)
    assert pool_mean(np.zeros((0, 2)), np.zeros(0, int), count=2).tolist() == [[0, 0], [0, 0]]


def test_a_medium_counts_once() -> None:
    weights = media_weights([0, 0, 0, 1, -1, 1], [5, 5, 6, 5, 5, 5])
    assert weights.tolist() == [0.5, 0.5, 1, 0.5, 0, 0.5]


def test_pairs(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    vectors, groups, _ = rows
    pairs = [(a, b) for a in range(7) for b in range(7)]
    cosine = pair_cosine(pool_mean(vectors, groups), pairs)
    best = pair_best(vectors, groups, pairs)
    mean = pool_mean(vectors, groups)
    for (a, b), by_mean, by_best in zip(pairs, cosine, best, strict=True):
        if 4 in (a, b):
            assert by_mean == by_best == -1
            continue
        every = [
            float(x @ y)
            for x, i in zip(vectors, groups, strict=True)
            for y, j in zip(vectors, groups, strict=True)
            if (i, j) == (a, b)
        ]
        assert by_best == pytest.approx(max(every), abs=1e-6)
        assert by_mean == pytest.approx(float(mean[a] @ mean[b]), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (([1.0], [0]), {}, "vectors"),
        (([[1.0]], [0, 1]), {}, "vectors"),
        (([[1.0]], [0.5]), {}, "whole numbers"),
        (([[1.0]], [-2]), {}, "groups"),
        (([[1.0]], [3]), {"count": 3}, "groups"),
        (([[1.0]], [0]), {"weights": [-1]}, "weights"),
        (([[1.0]], [0]), {"weights": [np.nan]}, "weights"),
        (([[1.0]], [0]), {"weights": [1, 2]}, "weights"),
    ],
)
def test_what_is_refused(arguments: tuple, options: dict, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        pool_mean(*arguments, **options)
    with pytest.raises(OptionError, match="pairs"):
        pair_best([[1.0]], [0], [[0, 1]])


def test_pooling_weights() -> None:
    assert pooling_weights([1, 2, 1], power=1).tolist() == [0.25, 0.5, 0.25]
    assert pooling_weights([1, 2, 1], power=2) == pytest.approx([1 / 6, 4 / 6, 1 / 6])
    assert pooling_weights([3, 9], power=0).tolist() == [0.5, 0.5]
    assert pooling_weights([1e200, 1e200], power=8).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("norms", [[], [1, 0], [1, -1], [np.nan], [[1.0]], 3.0])
def test_norms_that_are_none_are_refused(norms: Any) -> None:
    with pytest.raises(OptionError, match="norms: expected"):
        pooling_weights(norms)


def test_a_negative_power_is_refused() -> None:
    with pytest.raises(OptionError, match="power: expected"):
        pooling_weights([1.0], power=-1)
