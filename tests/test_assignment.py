"""The pairing is as good as scipy's."""

from __future__ import annotations

import numpy as np
import pytest

from lineament.assignment import assign
from lineament.errors import OptionError

optimize = pytest.importorskip("scipy.optimize")


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1), (3, 3), (5, 9), (9, 5), (30, 40)])
@pytest.mark.parametrize("seed", range(8))
def test_as_good_as_scipy(shape: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    gains = rng.uniform(-1, 1, shape)
    if seed % 2:
        gains = np.round(gains, 1)  # ties
    columns = assign(gains)
    rows, best = optimize.linear_sum_assignment(np.maximum(gains, 0), maximize=True)
    made = columns >= 0
    assert gains[np.arange(shape[0])[made], columns[made]].sum() == pytest.approx(
        np.maximum(gains, 0)[rows, best].sum()
    )
    assert len(set(columns[made].tolist())) == made.sum()
    assert (gains[np.arange(shape[0])[made], columns[made]] > 0).all()


def test_greedy_is_not_enough() -> None:
    # Taking the 0.9 first leaves the second row with nothing.
    assert assign([[0.9, 0.8], [0.85, -np.inf]]).tolist() == [1, 0]


def test_what_is_worth_nothing_is_not_paired() -> None:
    assert assign([[-1.0, -np.inf], [0.0, 2.0]]).tolist() == [-1, 1]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing(shape: tuple[int, int]) -> None:
    assert assign(np.zeros(shape)).tolist() == [-1] * shape[0]


@pytest.mark.parametrize("bad", [[1.0, 2.0], [[np.nan]], [[np.inf]]])
def test_refused(bad: list[object]) -> None:
    with pytest.raises(OptionError, match="gains: expected"):
        assign(bad)  # type: ignore[arg-type]
