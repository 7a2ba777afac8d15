"""The norm's limit against isotonic regression, and what supports none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lineament.errors import OptionError
from lineament.fit.norm_limit import least_norm


def fitting_set(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Norms in tenths, so that many are equal; the lower the lesser, the more pairs are missed."""
    rng = np.random.default_rng(seed)
    a, b = np.round(rng.normal(12, 1.5, (2, count)), 1)
    share = 1 / (1 + np.exp(3 * (np.minimum(a, b) - 9)))
    return a, b, np.where(rng.random(count) < share, 0.1, 0.9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("level", [0.05, 0.1, 0.3])
def test_the_limit_is_where_isotonic_regression_crosses_the_level(seed: int, level: float) -> None:
    isotonic = pytest.importorskip("sklearn.isotonic")
    a, b, scores = fitting_set(4000, seed)
    limit = least_norm(a, b, scores, 0.5, level=level, most_share=1, least_pairs=1)
    assert limit is not None
    lesser = np.minimum(a, b)
    fit = isotonic.IsotonicRegression(increasing=False).fit(lesser, scores < 0.5)
    norms = np.unique(lesser)
    above = fit.predict(norms) > level + 1e-9
    assert 0 < above.sum() < len(norms)
    assert norms[above].max() < limit < norms[fit.predict(norms) < level - 1e-9].min()


def test_the_order_of_pairs_and_of_photos_does_not_matter() -> None:
    a, b, scores = fitting_set(3000, 9)
    limit = least_norm(a, b, scores, 0.5)
    shuffled = np.random.default_rng(0).permutation(len(a))
    assert limit is not None
    assert least_norm(b[shuffled], a[shuffled], scores[shuffled], 0.5) == limit


def test_no_more_than_the_share_lies_below() -> None:
    a, b, scores = fitting_set(4000, 1)
    free = least_norm(a, b, scores, 0.5, most_share=1)
    held = least_norm(a, b, scores, 0.5, most_share=0.02)
    assert free is not None
    assert held is not None
    lesser = np.minimum(a, b)
    assert (lesser < free).mean() > 0.02
    assert 30 <= (lesser < held).sum() <= 80


@pytest.mark.parametrize(
    ("norms", "scores"),
    [
        ([], []),
        (np.arange(1.0, 501), np.ones(500)),
        (np.ones(500), np.zeros(500)),
        (np.arange(1.0, 501), np.arange(500) >= 5),
    ],
    ids=["nothing", "none missed", "one norm", "too few"],
)
def test_what_supports_no_limit_gives_none(norms: Any, scores: Any) -> None:
    assert least_norm(norms, norms, scores, 0.5) is None


def test_a_clear_step_is_found() -> None:
    norms = np.arange(1.0, 5001)
    assert least_norm(norms, norms + 7, norms > 50, 0.5) == 50.5


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (([1.0, 2], [1.0], [0.5, 0.5]), {}, "one shape"),
        (([1.0], [np.nan], [0.5]), {}, "finite"),
        (([1.0], [1.0], [0.5]), {"level": 1}, "a level between"),
        (([1.0], [1.0], [0.5]), {"most_share": 0}, "a share above 0"),
    ],
)
def test_wrong_fitting_sets_are_refused(arguments: Any, options: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        least_norm(*arguments, 0.5, **options)
