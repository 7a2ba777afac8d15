"""What the script that fits learned similarities finds where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")

from lineament.types import Contract
from scripts.fit.siamese_heads import all_scores, fit_weights, fitted, pairs_of, rates, terms_of

D = 6
CONTRACT = Contract("toy", "0" * 64, "arcface-112", "rgb", False, D)


def people(n: int = 40, photos: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors; the last two numbers say nothing of who it is."""
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.normal(size=(n, D)), photos, axis=0)
    rows += rng.normal(scale=0.3, size=rows.shape)
    rows[:, 4:] = rng.normal(size=(n * photos, 2))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), np.repeat(np.arange(n), photos)


@pytest.mark.parametrize("kind", [("absolute", "unit"), ("chi-square", "non-negative")])
def test_what_says_nothing_gets_little_weight(kind: tuple[str, str]) -> None:
    unit, person = people()
    pairs = pairs_of(unit, person, np.random.default_rng(0))
    assert pairs.same.sum() == 40 * 6
    assert pairs.weight[pairs.same].sum() == pytest.approx(1)
    head = fitted(CONTRACT, kind, 1e-3, unit, pairs)
    assert head.falls, "no weight is above 0"
    assert head.alpha[:4].mean() < 2 * head.alpha[4:].mean() < 1e-6
    if kind[0] == "absolute":  # the cosine takes all numbers for as good
        assert rates(unit, person, head)["1e-2"] > rates(unit, person, None)["1e-2"]


def test_the_weights_are_where_the_cost_is_least() -> None:
    unit, person = people()
    pairs = pairs_of(unit, person, np.random.default_rng(0))
    head = fitted(CONTRACT, ("absolute", "unit"), 1e-3, unit, pairs)
    terms = terms_of(head, unit, pairs.rows)
    alpha, beta = fit_weights(terms, pairs, 0.0)

    def cost(a: np.ndarray, b: float) -> float:
        z = np.where(pairs.same, -1, 1) * (terms.astype(np.float64) @ a + b)
        return float((pairs.weight * np.logaddexp(0, z)).sum())

    least = cost(alpha, beta)
    rng = np.random.default_rng(1)
    for _ in range(50):
        other = np.minimum(alpha + rng.normal(scale=0.5, size=D), 0)
        assert cost(other, beta + float(rng.normal(scale=0.5))) >= least - 1e-5


def test_scores_are_of_all_pairs_once() -> None:
    unit, person = people(n=50)
    genuine, impostor = all_scores(unit, person, None)
    assert (len(genuine), len(impostor)) == (50 * 6, 200 * 199 // 2 - 50 * 6)
    a, b = np.triu_indices(len(unit), 1)
    cosines = np.einsum("nd,nd->n", unit[a], unit[b])
    same = person[a] == person[b]
    np.testing.assert_allclose(np.sort(genuine), np.sort(cosines[same]), atol=1e-6)
    np.testing.assert_allclose(np.sort(impostor), np.sort(cosines[~same]), atol=1e-6)
