"""Fitting what bad photos do: known changes are found again, and rises obey the rule of 30."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lineament.decide.conditions import MOST_RISE, Conditions
from lineament.fit.conditions import BINS, centers, fit_llr, histograms, raised

KNOTS = np.array([0.4, 0.7, 1.0])


def gaussian_llr(low: float, high: float, sd: float) -> Any:
    """LLR of two Gaussians of one spread: a straight line."""
    return lambda x: (high - low) / sd**2 * (np.asarray(x) - (low + high) / 2)


def drawn(low: float, high: float, sd: float, left: tuple[float, float], n: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    scores = np.concatenate([rng.normal(high, sd, n), rng.normal(low, sd, n)])
    return scores, np.arange(2 * n) < n, np.broadcast_to(left, (2 * n, 2)).T


def counted(*parts: Any) -> tuple[Any, Any, Any]:
    tables = np.zeros((2, len(KNOTS), len(KNOTS), BINS))
    for scores, same, both in parts:
        for i, mine in enumerate((same, ~same)):
            tables[i] += histograms(KNOTS, scores[mine], *both[:, mine])
    return tables[0], tables[1], tables[0].sum(axis=2)


def test_pairs_are_counted_by_their_nearest_knots_and_the_score() -> None:
    table = histograms(KNOTS, [0.5, 0.5, -1.0, 1.0], [1.0, 0.5, 0.1, 0.8], [0.6, 1.0, 0.2, 0.9])
    assert table.shape == (3, 3, BINS)
    assert table.sum() == 4
    middle = int(np.argmin(np.abs(centers() - 0.5025)))
    assert table[1, 2, middle] == 1  # the worse face first
    assert table[0, 2, middle] == 1
    assert table[0, 0, 0] == 1
    assert table[1, 2, BINS - 1] == 1
    assert histograms(KNOTS, [0.1], [1], [1], 0.25).sum() == 0.25


def test_a_known_change_is_found_again() -> None:
    """Bad pairs: strangers at 0.2 and pairs of one person at 0.6, spread 0.14, so that the LLR is
    (0.4 / 0.14^2) (s - 0.4); of clean ones it is (0.6 / 0.12^2) (s - 0.3)."""
    clean = gaussian_llr(0.0, 0.6, 0.12)
    tables = counted(
        drawn(0.2, 0.6, 0.14, (0.4, 0.4), 20_000, 1), drawn(0.0, 0.6, 0.12, (1.0, 1.0), 20_000, 2)
    )
    rise, trust = fit_llr(*tables, clean)
    assert rise[0, 0] == pytest.approx(0.1, abs=0.021)
    assert trust[0, 0] == pytest.approx((0.4 / 0.14**2) / (0.6 / 0.12**2), abs=0.06)
    assert rise[2, 2] == pytest.approx(0.0, abs=0.021)
    assert trust[2, 2] == pytest.approx(1.0, abs=0.06)
    np.testing.assert_array_equal(rise, rise.T)
    np.testing.assert_array_equal(trust, trust.T)


def test_scores_that_say_nothing_are_not_trusted() -> None:
    clean = gaussian_llr(0.0, 0.6, 0.12)
    tables = counted(drawn(0.4, 0.4, 0.1, (0.4, 0.4), 20_000, 3))
    _, trust = fit_llr(*tables, clean)
    assert trust[0, 0] <= 0.04


def test_a_cell_with_too_few_pairs_takes_what_its_neighbor_has() -> None:
    clean = gaussian_llr(0.0, 0.6, 0.12)
    tables = counted(
        drawn(0.0, 0.6, 0.12, (1.0, 1.0), 20_000, 2), drawn(0.5, 0.5, 0.1, (0.4, 0.4), 20, 4)
    )
    rise, trust = fit_llr(*tables, clean)
    assert trust[0, 0] == trust[0, 1] == trust[0, 2]
    assert rise[0, 0] == rise[0, 2]


# --- thresholds of a user's own photos ------------------------------------------------------------


def conditions(rise: Any = (0.6, 0.05, 0.0)) -> Conditions:
    n = len(rise)
    return Conditions(
        knots=KNOTS,
        threshold_rise=np.array(rise)[np.maximum(*np.indices((n, n)))],
        llr_rise=np.zeros((n, n)),
        trust=np.ones((n, n)),
        data="made up",
    )


def faces(bad: int, clean: int, alike: float, seed: int = 0) -> tuple[Any, Any, Any]:
    """Strangers, one photo each; the bad ones have a cosine of about ``alike`` to each other."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(bad + clean, 128)) / np.sqrt(128)
    rows[:bad] = np.sqrt(1 - alike) * rows[:bad] + np.sqrt(alike) * np.eye(128)[0]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    left = np.where(np.arange(bad + clean) < bad, 0.45, 1.0)
    return rows.astype(np.float32), np.arange(bad + clean), left


def impostors(rows: Any, some: slice) -> Any:
    scores = rows[some] @ rows[some].T
    return scores[np.triu_indices(len(scores), 1)]


FMR = 1e-3


def test_thresholds_rise_so_far_that_the_rate_is_kept_among_bad_faces() -> None:
    rows, who, left = faces(300, 600, 0.3)
    threshold = float(np.quantile(impostors(rows, slice(300, 900)), 1 - FMR))
    among = impostors(rows, slice(0, 300))
    assert (among >= threshold).mean() > 100 * FMR
    made = raised(conditions(), rows, who, left, threshold, FMR)
    assert made.pairs.tolist() == [300 * 299 // 2, 0, 0]
    assert made.fitted.tolist() == [True, False, False]
    rise = made.conditions.at(0.4, 0.4).threshold_rise
    assert FMR / 2 < (among >= threshold + rise).mean() <= FMR
    assert made.conditions.at(0.7, 0.7).threshold_rise == 0.05  # no pairs: the package's own
    assert made.conditions.at(0.4, 1.0).threshold_rise == 0


def test_too_few_pairs_change_nothing() -> None:
    rows, who, left = faces(200, 100, 0.3)  # 19,900 pairs of two bad faces: 20 at the rate
    made = raised(conditions(), rows, who, left, 0.3, FMR)
    assert not made.fitted.any()
    assert made.conditions.to_dict() == conditions().to_dict()
    more = raised(conditions(), *faces(246, 100, 0.3), 0.3, FMR)  # 30,135 pairs
    assert more.fitted.tolist() == [True, False, False]


def test_pairs_of_one_person_do_not_count() -> None:
    rows, who, left = faces(300, 0, 0.3)
    made = raised(conditions(), rows, who // 2, left, 0.3, FMR)
    assert made.pairs[0] == 300 * 299 // 2 - 150


def test_a_rise_is_no_less_for_worse_faces() -> None:
    rows, who, left = faces(300, 0, 0.5)
    made = raised(conditions(), rows, who, left + 0.25, 0.3, FMR)  # all about the middle knot
    values = np.diag(made.conditions.threshold_rise)
    assert made.fitted.tolist() == [False, True, False]
    assert values[1] > 0.3
    assert values[0] == max(values[1], 0.6)


def test_where_no_score_passes_none_does_afterwards() -> None:
    rows, who, left = faces(300, 0, 0.1)
    made = raised(conditions((MOST_RISE, 0.05, 0)), rows, who, left, 0.3, FMR)
    assert made.pairs[0] == 300 * 299 // 2
    assert not made.fitted.any()
    assert made.conditions.at(0.4, 0.4).threshold_rise == MOST_RISE


def test_faces_of_which_nothing_is_known_are_left_out() -> None:
    rows, who, left = faces(300, 0, 0.3)
    made = raised(conditions(), rows, who, np.where(who < 50, np.nan, left), 0.3, FMR)
    assert made.pairs[0] == 250 * 249 // 2
    none = raised(conditions(), rows, who, np.full(300, np.nan), 0.3, FMR)
    assert none.pairs.sum() == 0


def test_cells_of_knots_without_pairs_stay_and_no_table_falls_for_worse_faces() -> None:
    rise = np.array([[2.0, 0.3, 0.0], [0.3, 0.04, 0.0], [0.0, 0.0, 0.0]])
    own = replace(conditions(), threshold_rise=rise)
    none = raised(own, *faces(30, 100, 0.2), 0.3, FMR)
    np.testing.assert_array_equal(none.conditions.threshold_rise, rise)
    rows, person, left = faces(400, 300, 0.2)
    left = np.where(left < 1, 0.7, 1.0)
    found = raised(own, rows, person, left, 0.1, FMR)
    assert found.fitted.tolist() == [False, True, False]
    table = found.conditions.threshold_rise
    assert table[1, 1] == table[0, 1] > 0.04
    assert table[0, 0] == 2.0
    assert not table[:, 2].any()
