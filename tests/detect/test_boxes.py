"""Overlaps and suppression against loops over pixels and pairs."""

from __future__ import annotations

import numpy as np
import pytest

from lineament.detect.boxes import intersection_over_union, nms


def boxes(n: int, seed: int = 0, size: int = 30) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, size, (n, 2))
    return np.concatenate([corners, corners + rng.integers(1, size, (n, 2))], 1).astype(np.float32)


def pixels(box: np.ndarray) -> set[tuple[int, int]]:
    left, top, right, bottom = (int(v) for v in box)
    return {(x, y) for x in range(left, right) for y in range(top, bottom)}


def test_overlap_counts_pixels() -> None:
    a, b = boxes(6, 1), boxes(7, 2)
    expected = [[len(pixels(p) & pixels(q)) / len(pixels(p) | pixels(q)) for q in b] for p in a]
    np.testing.assert_allclose(intersection_over_union(a, b), expected, atol=1e-6)
    assert intersection_over_union(a, b[:0]).shape == (6, 0)
    assert np.ptp(np.array(expected)) > 0.2


@pytest.mark.parametrize(
    ("a", "b", "share"),
    [
        ([0, 0, 2, 2], [0, 0, 2, 2], 1),
        ([0, 0, 2, 2], [2, 0, 4, 2], 0),
        ([0, 0, 2, 2], [5, 5, 6, 6], 0),
        ([0, 0, 2, 2], [1, 0, 3, 2], 1 / 3),
        ([0, 0, 4, 4], [1, 1, 3, 3], 1 / 4),
        ([1, 1, 1, 1], [1, 1, 1, 1], 0),  # without area
    ],
)
def test_overlap_by_hand(a: list[float], b: list[float], share: float) -> None:
    got = intersection_over_union(np.array([a], np.float32), np.array([b], np.float32))
    assert got[0, 0] == pytest.approx(share)


def slow_nms(given: np.ndarray, scores: np.ndarray, threshold: float, overlap: str) -> list[int]:
    keep: list[int] = []
    for i in sorted(range(len(given)), key=lambda i: (-scores[i], i)):
        mine = pixels(given[i])
        for j in keep:
            other = pixels(given[j])
            whole = len(mine | other) if overlap == "union" else min(len(mine), len(other))
            if len(mine & other) > threshold * whole:
                break
        else:
            keep.append(i)
    return keep


@pytest.mark.parametrize("overlap", ["union", "min"])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7])
def test_suppression(overlap: str, threshold: float) -> None:
    given = boxes(80, 3, size=12)
    scores = np.random.default_rng(4).integers(0, 8, 80).astype(np.float32)  # with equals
    expected = slow_nms(given, scores, threshold, overlap)
    assert 1 <= len(expected) < 80
    assert nms(given, scores, threshold, overlap).tolist() == expected  # type: ignore[arg-type]


def test_suppression_of_nothing() -> None:
    assert nms(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.5).tolist() == []


def test_boxes_without_area_do_not_divide_by_zero() -> None:
    points = np.array([[1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 2, 2]], np.float32)
    kept = nms(points, np.array([0.1, 0.2, 0.3], np.float32), 0.5)
    assert sorted(kept.tolist()) == [0, 1, 2]
