"""The metrics against loops written from their definitions; thresholds and decisions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from builders import make_embedding
from lineament import models
from lineament.decide import metrics
from lineament.decide.comparison import compare
from lineament.decide.metrics import METRICS, get_metric, score_matrix, score_rows
from lineament.decide.thresholds import find_threshold, own_threshold
from lineament.errors import ContractError, OptionError
from lineament.models.cards import StatedThreshold as FittedThreshold

NAMES = ("cosine", "euclidean", "euclidean_l2", "angular", "chi_square")
UNITS = ("cosine", "euclidean_l2", "angular", "chi_square")


def by_definition(a: np.ndarray, b: np.ndarray, name: str) -> float:
    """One pair, with Python's floats."""
    p, q = [float(x) for x in a], [float(x) for x in b]
    if name == "euclidean":
        return math.sqrt(sum((x - y) ** 2 for x, y in zip(p, q, strict=True)))
    p_length, q_length = math.sqrt(sum(x * x for x in p)), math.sqrt(sum(y * y for y in q))
    pairs = [(x / p_length, y / q_length) for x, y in zip(p, q, strict=True)]
    cosine = sum(x * y for x, y in pairs)
    if name == "cosine":
        return cosine
    if name == "euclidean_l2":
        return math.sqrt(2 - 2 * cosine)
    if name == "angular":
        return math.acos(max(-1.0, min(1.0, cosine))) / math.pi
    terms = [((x - y) ** 2, abs(x) + abs(y)) for x, y in pairs]
    return sum(above / below for above, below in terms if below > 0)


def vectors(n: int, d: int = 24, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, d)) * rng.uniform(0.1, 30, (n, 1))
    values[:, rng.integers(0, d, 4)] = 0  # terms of chi-square without a denominator
    return values.astype(np.float32)


def test_there_are_these_five_metrics() -> None:
    assert tuple(METRICS) == NAMES
    assert [METRICS[name].name for name in NAMES] == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_what_the_definition_says(name: str) -> None:
    a, b = vectors(5, seed=1), vectors(7, seed=2)
    expected = [[by_definition(x, y, name) for y in b] for x in a]
    got = score_matrix(a, b, name)
    assert got.shape == (5, 7)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=2e-6, atol=1e-6)
    rows = score_rows(a, b[:5], name)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, np.diag(np.array(expected)), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_the_diagonal_of_the_matrix(name: str) -> None:
    a, b = vectors(40, 128, seed=3), vectors(40, 128, seed=4)
    rows, matrix = score_rows(a, b, name), score_matrix(a, b, name)
    np.testing.assert_allclose(rows, np.diag(matrix), rtol=3e-6, atol=1e-6)
    np.testing.assert_allclose(score_matrix(b, a, name), matrix.T, rtol=3e-6, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_ranges_and_directions(name: str) -> None:
    metric = get_metric(name)
    one = vectors(1, seed=5)[0]
    near = one + 0.1 * np.linalg.norm(one) * vectors(1, seed=6)[0] / 100
    same, close, far, opposite = score_matrix(
        [one], [one, near, vectors(1, seed=7)[0], -one], name
    )[0]
    ordered = [same, close, far, opposite]
    if metric.higher_is_more_alike:
        assert ordered == sorted(ordered, reverse=True)
        assert (same, opposite) == (pytest.approx(metric.greatest), pytest.approx(metric.least))
    else:
        assert same < close < far
        assert close < opposite
        # acos loses half of the digits next to 1
        assert same == pytest.approx(metric.least, abs=3e-4)
    if metric.greatest is not None:
        many = score_matrix(vectors(50, seed=8), vectors(50, seed=9), name)
        assert many.min() >= metric.least
        assert many.max() <= metric.greatest
        ends = [metric.least, metric.greatest]
        assert sorted([same, opposite]) == pytest.approx(ends, abs=3e-4)


def test_chi_square_ends_where_the_table_says() -> None:
    d = 24
    unit = np.ones(d) / math.sqrt(d)
    assert score_rows([unit], [-unit], "chi_square")[0] == pytest.approx(2 * math.sqrt(d), rel=1e-6)
    many = score_matrix(vectors(50, seed=8), vectors(50, seed=9), "chi_square")
    assert 0 < many.min() < many.max() <= 2 * math.sqrt(d)


@pytest.mark.parametrize("name", UNITS)
def test_length_does_not_count_on_unit_vectors(name: str) -> None:
    a, b = vectors(4, seed=1), vectors(4, seed=2)
    expected = score_matrix(a, b, name)
    for factor in (1e-30, 1e25):  # their squares leave float32's range
        got = score_matrix(a * np.float32(factor), b, name)
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_length_counts_for_euclidean() -> None:
    assert score_rows([[3, 0]], [[0, 4]], "euclidean")[0] == 5
    assert score_rows([[3, 0]], [[0, 4]], "euclidean_l2")[0] == pytest.approx(math.sqrt(2))


def test_near_equals_keep_their_digits() -> None:
    a = vectors(1, 128, seed=1)
    b = a.copy()
    b[0, 0] += 0.001
    expected = by_definition(a[0], b[0], "euclidean")
    assert score_matrix(a, b, "euclidean")[0, 0] == pytest.approx(expected, rel=1e-3)


def test_cosine_orders_pairs_as_two_others_do() -> None:
    a, b = vectors(20, seed=1), vectors(20, seed=2)
    order = np.argsort(-score_matrix(a, b, "cosine").ravel())
    for name in ("euclidean_l2", "angular"):
        sorted_scores = score_matrix(a, b, name).ravel()[order]
        assert (np.diff(sorted_scores) >= -1e-6).all()


@pytest.mark.parametrize("block_bytes", [1, 24 * 4 * 3, 24 * 4 * 20, 24 * 4 * 45])
def test_chi_square_in_blocks(monkeypatch: pytest.MonkeyPatch, block_bytes: int) -> None:
    a, b = vectors(7, seed=1), vectors(11, seed=2)
    whole = score_matrix(a, b, "chi_square")
    sizes: list[int] = []
    real = metrics._chi_square_rows

    def watched(p: Any, q: Any) -> Any:
        sizes.append(np.broadcast(p, q).size * 4)
        return real(p, q)

    monkeypatch.setattr(metrics, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(metrics, "_chi_square_rows", watched)
    np.testing.assert_array_equal(score_matrix(a, b, "chi_square"), whole)
    assert len(sizes) > 1
    assert max(sizes) <= max(block_bytes, 24 * 4)  # one pair is the least there can be
    assert sum(sizes) == 7 * 11 * 24 * 4


@pytest.mark.parametrize("name", NAMES)
def test_nothing_to_compare(name: str) -> None:
    none, some = np.zeros((0, 24)), vectors(3)
    assert score_matrix(none, some, name).shape == (0, 3)
    assert score_matrix(some, none, name).shape == (3, 0)
    assert score_rows(none, none, name).shape == (0,)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.ones(3), np.ones((1, 3)), r"expected vectors of shape \(N, D\), got \(3,\)"),
        (np.ones((1, 3)), 5, r"expected vectors of shape \(N, D\), got \(\)"),
        (np.ones((1, 3)), np.ones((1, 4)), "expected vectors of one length, got 3 and 4"),
        ([[1, np.nan]], [[1, 2]], "finite numbers, got NaN or infinity"),
        ([[1, 2]], [[1, 1e300]], "finite numbers"),
        ([[1, 2], [3]], [[1, 2]], r"expected vectors of shape \(N, D\)"),
        ([["x", "y"]], [[1, 2]], r"expected vectors of shape \(N, D\)"),
    ],
)
def test_what_cannot_be_compared(name: str, a: Any, b: Any, message: str) -> None:
    for score in (score_matrix, score_rows):
        with pytest.raises(OptionError, match=message):
            score(a, b, name)


@pytest.mark.parametrize("name", UNITS)
def test_a_vector_without_direction(name: str) -> None:
    with pytest.raises(OptionError, match="expected vectors with a direction, got one of length z"):
        score_matrix(np.ones((2, 3)), [[1, 2, 3], [0, 0, 0]], name)


def test_a_zero_vector_has_a_euclidean_distance() -> None:
    assert score_rows([[0, 0]], [[3, 4]], "euclidean")[0] == 5


def test_rows_that_do_not_pair_up() -> None:
    with pytest.raises(OptionError, match="as many vectors on both sides, got 2 and 3"):
        score_rows(np.ones((2, 4)), np.ones((3, 4)))


def test_unknown_metric_names_the_known() -> None:
    with pytest.raises(
        OptionError, match=f"expected one of {', '.join(NAMES)}, siamese, got 'cos'"
    ):
        score_matrix([[1]], [[1]], "cos")
    with pytest.raises(OptionError, match="got 'manhattan'"):
        own_threshold(1, "manhattan")


# --- decisions ------------------------------------------------------------------------------------

A, B = make_embedding([3, 0, 4, 0], norm=2.0), make_embedding([0, 0, 1, 0], norm=10.0)
C = 0.8  # their cosine


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("cosine", C),
        # lengths 2 and 10: (1.2, 0, 1.6, 0) and (0, 0, 10, 0)
        ("euclidean", math.hypot(1.2, 8.4)),
        ("euclidean_l2", math.sqrt(2 - 2 * C)),
        ("angular", math.acos(C) / math.pi),
        ("chi_square", 0.6 + 0.04 / 1.8),
    ],
)
def test_decision_by_each_metric(name: str, score: float) -> None:
    more, less = (score - 0.1, score + 0.1) if name == "cosine" else (score + 0.1, score - 0.1)
    easy = compare(A, B, own_threshold(more, name))
    hard = compare(A, B, own_threshold(less, name))
    assert (easy.same, hard.same) == (True, False)
    assert easy.score == hard.score == pytest.approx(score, rel=1e-6)
    assert (easy.margin, hard.margin) == (
        pytest.approx(0.1, abs=1e-5),
        pytest.approx(-0.1, abs=1e-5),
    )
    assert easy.similarity == pytest.approx(C, rel=1e-6)
    assert easy.metric == name
    assert (easy.norm_a, easy.norm_b) == (2, 10)
    assert easy.contract == A.contract


@pytest.mark.parametrize("name", NAMES)
def test_on_the_threshold_is_the_same_person(name: str) -> None:
    score = compare(A, B, own_threshold(0, name)).score
    on = compare(A, B, own_threshold(score, name))
    assert on.same is True
    assert on.margin == 0
    away = np.nextafter(score, 2 if name == "cosine" else -1)
    assert compare(A, B, own_threshold(float(away), name)).same is False


def test_a_threshold_of_zero_is_a_threshold() -> None:
    opposite = make_embedding([0, 1, 0, 0])
    assert compare(A, opposite, own_threshold(0, "cosine")).same is True
    assert compare(A, B, own_threshold(0, "euclidean_l2")).same is False
    assert compare(A, A, own_threshold(0, "euclidean")).same is True


@pytest.mark.parametrize("change", [{"flip": True}, {"alignment": "eyes-112"}])
def test_contracts_do_not_mix(change: dict[str, Any]) -> None:
    other = make_embedding([0, 0, 1, 0], **change)
    with pytest.raises(ContractError, match=next(iter(change))):
        compare(A, other, own_threshold(0.5, "cosine"))
    with pytest.raises(ContractError, match="dimension 4 and 3"):
        compare(A, make_embedding([0, 0, 1]), own_threshold(0.5, "cosine"))


# --- thresholds -----------------------------------------------------------------------------------

FITTED = tuple(
    FittedThreshold(metric, value, fmr, flip, "a fit", 1000)
    for metric, value, fmr, flip in (
        ("cosine", 0.31, 1e-3, False),
        ("cosine", 0.36, 1e-4, False),
        ("cosine", 0.41, 1e-5, False),
        ("cosine", 0.38, 1e-4, True),
        ("angular", 0.39, 1e-4, False),
        ("angular", 0.5, 0.0, False),
    )
)
ENTRY = models.get("sface").replace(thresholds=FITTED, sha256="0" * 64)


def find(metric: str = "cosine", **options: Any) -> float:
    defaults = {"flip": False, "alignment": "arcface-112"}
    return find_threshold(ENTRY, metric, **defaults | options).value


def test_threshold_by_metric_flip_and_rate() -> None:
    assert find() == 0.36
    assert find(fmr=1e-3) == 0.31
    assert find(fmr=0.00001) == 0.41
    assert find(flip=True) == 0.38
    assert find("angular") == 0.39
    assert find("angular", fmr=0.0) == 0.5
    whole = find_threshold(ENTRY, "cosine", flip=True, alignment="arcface-112")
    assert (whole.metric, whole.fmr, whole.data, whole.impostor_pairs) == (
        "cosine",
        1e-4,
        "a fit",
        1000,
    )


@pytest.mark.parametrize("fmr", [2e-4, 0.0, 1e-9, 1.0, -1.0, float("nan")])
def test_no_rate_is_taken_for_another(fmr: float) -> None:
    with pytest.raises(OptionError) as caught:
        find(fmr=fmr)
    message = str(caught.value)
    assert f"sface was fitted for a false match rate of {fmr:g} with cosine" in message
    assert "there are some for 1e-05, 0.0001, 0.001: choose one of them" in message
    if fmr == 1e-9:
        with pytest.raises(OptionError, match=r"there are some for 0, 0\.0001"):
            find("angular", fmr=fmr)


@pytest.mark.parametrize(
    ("metric", "options"),
    [
        ("chi_square", {}),
        ("angular", {"flip": True}),
        ("cosine", {"alignment": "eyes-112"}),
        ("cosine", {"alignment": "arcface-224"}),
    ],
)
def test_where_nothing_was_fitted(metric: str, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="there is none for these weights, this alignment and"):
        find(metric, **options)
    with pytest.raises(OptionError, match="metric: expected one of"):
        find("cosinus", **options)


def test_own_threshold() -> None:
    mine = own_threshold(0.25, "angular")
    assert (mine.value, mine.metric, mine.fmr, mine.impostor_pairs) == (0.25, "angular", None, None)
    for value in (math.nan, math.inf):
        with pytest.raises(OptionError, match="threshold: expected a finite number"):
            own_threshold(value, "cosine")
