"""Metrics: against scikit-learn where it has them, against plain counting everywhere."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from lineament.errors import OptionError
from lineament.evaluate import pair_counts
from lineament.evaluate.metrics import (
    accuracy,
    auc,
    best_threshold,
    eer,
    interval_of_rate,
    kfold_accuracy,
    roc,
    tar_at_fmr,
    threshold_at_fmr,
)
from lineament.evaluate.pair_counts import all_pairs


def sample(kind: str, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    same = rng.random(700) < 0.4
    scores = rng.normal(0.2, 0.3, 700) + 0.5 * same
    if kind == "ties":
        scores = np.round(scores, 1)
    if kind == "float32":
        scores = scores.astype(np.float32)
    if kind == "separable":
        scores = scores + 10 * same
    return scores, same


KINDS = pytest.mark.parametrize("kind", ["plain", "ties", "float32", "separable"])


@KINDS
def test_roc_and_auc_agree_with_scikit_learn(kind: str) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    scores, same = sample(kind)
    fmr, tar, thresholds = sklearn.roc_curve(same, scores, drop_intermediate=False)
    curve = roc(scores, same)
    np.testing.assert_allclose(curve.fmr, fmr, atol=1e-12)
    np.testing.assert_allclose(curve.tar, tar, atol=1e-12)
    np.testing.assert_array_equal(curve.thresholds, thresholds)
    assert auc(scores, same) == pytest.approx(sklearn.roc_auc_score(same, scores), abs=1e-12)


@KINDS
def test_roc_and_auc_agree_with_counting(kind: str) -> None:
    scores, same = sample(kind)
    genuine, impostor = scores[same], scores[~same]
    curve = roc(scores, same)
    assert len(curve.fmr) == len(set(scores.tolist())) + 1
    for fmr, tar, threshold in zip(*curve, strict=True):
        assert fmr == pytest.approx((impostor >= threshold).mean(), abs=1e-12)
        assert tar == pytest.approx((genuine >= threshold).mean(), abs=1e-12)
    won = sum((g > i) + (g == i) / 2 for g in genuine.tolist() for i in impostor.tolist())
    assert auc(scores, same) == pytest.approx(won / (len(genuine) * len(impostor)), abs=1e-9)


@KINDS
def test_eer_is_where_the_curve_crosses(kind: str) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    scores, same = sample(kind)
    curve = roc(scores, same)
    # Parametrised by its length, as FMR alone does not tell the points of a vertical piece apart.
    along = curve.fmr + curve.tar

    def gap(s: float) -> float:
        return float(np.interp(s, along, curve.fmr) - 1 + np.interp(s, along, curve.tar))

    crossing = optimize.brentq(gap, 0, 2, xtol=1e-14)
    assert eer(scores, same) == pytest.approx(np.interp(crossing, along, curve.fmr), abs=1e-9)


@pytest.mark.parametrize(
    ("scores", "same", "expected"),
    [
        ([1, 0], [True, False], 0.0),
        ([0, 1], [True, False], 1.0),
        ([0, 0], [True, False], 0.5),  # nothing to tell them by
        # FMR, FNMR: (0, 1), (0, 1/2), (1/2, 1/2): at the third both are one half
        ([4, 3, 2, 1], [True, False, True, False], 0.5),
        # (0, 2/3) to (1/2, 1/3) by a tie: the line crosses where 2/3 - x/3 = x/2 -> x = 4/5
        ([3, 2, 2, 1, 1], [True, True, False, True, False], 0.4),
    ],
)
def test_eer_by_hand(scores: list[float], same: list[bool], expected: float) -> None:
    assert eer(scores, same) == pytest.approx(expected, abs=1e-12)


@KINDS
@pytest.mark.parametrize("fmr", [0.0, 0.001, 0.01, 0.1, 0.29, 0.5, 0.99])
def test_threshold_at_fmr_is_the_lowest_that_keeps_the_rate(kind: str, fmr: float) -> None:
    scores, same = sample(kind)
    genuine, impostor = scores[same], scores[~same]
    threshold = threshold_at_fmr(impostor, fmr)
    assert (impostor >= threshold).mean() <= fmr
    lower = np.nextafter(impostor.dtype.type(threshold), impostor.dtype.type(-np.inf))
    assert (impostor >= lower).mean() > fmr
    assert tar_at_fmr(genuine, impostor, [fmr]) == pytest.approx([(genuine >= threshold).mean()])


@pytest.mark.parametrize("rate", [k / 100 for k in range(100)])
def test_a_rate_that_is_a_whole_number_of_pairs_is_used_up(rate: float) -> None:
    # 0.29 * 100 is 28.999999999999996
    impostor = np.arange(100.0)
    assert (impostor >= threshold_at_fmr(impostor, rate)).sum() == round(rate * 100)


def test_tar_is_never_optimistic_when_precisions_differ() -> None:
    impostor = np.array([0.1], np.float64)
    genuine = np.array([0.1, 0.2], np.float32)  # float32(0.1) is above 0.1
    assert tar_at_fmr(genuine, impostor, [0.0]).tolist() == [1.0]
    assert tar_at_fmr(genuine.astype(np.float64) - 1e-8, impostor, [0.0]).tolist() == [0.5]


@KINDS
def test_best_threshold_is_the_best_of_all(kind: str) -> None:
    scores, same = sample(kind)
    best = accuracy(scores, same, best_threshold(scores, same))
    tried = [*scores.tolist(), scores.max() + 1]
    assert best == max(((scores >= t) == same).mean() for t in tried)


@pytest.mark.parametrize(
    ("scores", "same", "expected"),
    [
        ([1.0, 3.0], [False, True], 2.0),
        ([1.0, 3.0], [True, True], 1.0),  # all are the same: the lowest score
        ([1.0, 3.0], [False, False], np.nextafter(3.0, 4.0)),  # none are
        # 1.5 and 3.5 are equally accurate (3 of 4); the higher one matches fewer
        ([1.0, 2.0, 3.0, 4.0], [False, True, False, True], 3.5),
        ([2.0, 2.0, 2.0], [True, False, True], 2.0),
    ],
)
def test_best_threshold_by_hand(scores: list[float], same: list[bool], expected: float) -> None:
    assert best_threshold(scores, same) == expected


def test_best_threshold_between_neighboring_floats() -> None:
    low = np.float32(0.5)
    scores = np.array([low, np.nextafter(low, np.float32(1))])
    threshold = best_threshold(scores, [False, True])
    assert (scores >= threshold).tolist() == [False, True]


def test_kfold_takes_each_threshold_from_the_other_folds() -> None:
    rng = np.random.default_rng(3)
    same = np.tile(np.arange(20) < 10, (5, 1))
    scores = rng.normal(size=(5, 20)) + same
    result = kfold_accuracy(scores, same)
    expected = []
    for k in range(5):
        rest, truth = np.delete(scores, k, 0).ravel(), np.delete(same, k, 0).ravel()
        values = np.unique(rest)
        cuts = [values[0], *(values[1:] + values[:-1]) / 2, np.nextafter(values[-1], np.inf)]
        right = [((rest >= cut) == truth).sum() for cut in cuts]
        cut = max(c for c, r in zip(cuts, right, strict=True) if r == max(right))
        assert result.thresholds[k] == pytest.approx(cut, abs=1e-12)
        expected.append(((scores[k] >= cut) == same[k]).mean())
    assert result.accuracies.tolist() == pytest.approx(expected, abs=1e-12)
    mean = sum(expected) / 5
    spread = math.sqrt(sum((e - mean) ** 2 for e in expected) / 4)
    assert result.mean == pytest.approx(mean, abs=1e-12)
    assert result.standard_error == pytest.approx(spread / math.sqrt(5), abs=1e-12)
    assert result.standard_error > 0


def test_interval_of_rate() -> None:
    # Brown, Cai, DasGupta 2001 define it by |p - rate| <= z sqrt(p (1 - p) / n): solve that.
    z = 1.959963984540054
    low, high = interval_of_rate(7, 120)
    for p in (low, high):
        assert abs(p - 7 / 120) == pytest.approx(z * math.sqrt(p * (1 - p) / 120), abs=1e-12)
    assert 0 < low < 7 / 120 < high < 1
    low, high = interval_of_rate(0, 3000)
    assert low == 0.0
    assert high == pytest.approx(z * z / (3000 + z * z), abs=1e-12)
    assert interval_of_rate(5, 5)[1] == 1.0
    wide, narrow = interval_of_rate(7, 120, 0.99), interval_of_rate(7, 120, 0.8)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


GOOD: tuple[Any, Any] = ([0.1, 0.9], [False, True])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: roc([0.1, 0.2], [True, True]), "2 genuine pairs only"),
        (lambda: auc([0.1, 0.2], [False, False]), "2 impostor pairs only"),
        (lambda: eer([0.1], [False]), "1 impostor pairs only"),
        (lambda: roc([], []), "M >= 1"),
        (lambda: roc([[0.1]], [[True]]), r"\(1, 1\)"),
        (lambda: roc([0.1, math.nan], [True, False]), "finite"),
        (lambda: roc([0.1, 0.2], [True]), r"\(2,\)"),
        (lambda: roc([0.1, 0.2], [0, 2]), "True or False"),
        (lambda: roc(["high", "low"], [True, False]), "numbers"),
        (lambda: accuracy([], [], 0.0), "M >= 1"),
        (lambda: accuracy(*GOOD, math.nan), "nan"),
        (lambda: threshold_at_fmr([0.1], 1.0), "0 <= rate < 1"),
        (lambda: threshold_at_fmr([0.1], -0.1), "0 <= rate < 1"),
        (lambda: threshold_at_fmr([0.1], math.nan), "0 <= rate < 1"),
        (lambda: threshold_at_fmr([], 0.1), "M >= 1"),
        (lambda: tar_at_fmr([], [0.1], [0.1]), "genuine scores"),
        (lambda: kfold_accuracy(*GOOD), "K, M"),
        (lambda: kfold_accuracy([[0.1, 0.9]], [[False, True]]), "K >= 2"),
        (lambda: interval_of_rate(3, 2), "3 errors in 2"),
        (lambda: interval_of_rate(0, 0), "trials >= 1"),
        (lambda: interval_of_rate(1, 2, 95), "confidence"),
        (lambda: all_pairs(np.eye(2), [1, 2, 3]), r"\(3,\)"),
        (lambda: all_pairs(np.eye(1), [1]), "N >= 2"),
        (lambda: all_pairs(np.eye(2) * 3, [1, 2]), "length 3 in row 0"),
        (lambda: all_pairs([[1, 0], [math.nan, 1]], [1, 2]), "length nan in row 1"),
        (lambda: all_pairs(np.eye(2), [1, 2], block=0), "block"),
        (lambda: all_pairs(np.eye(2), [1, 2], exact_up_to_fmr=0), "exact_up_to_fmr"),
        (lambda: all_pairs(np.eye(2), [1, 2], found=[True]), "found"),
        (lambda: all_pairs(np.eye(2), [1, 2], found=[1, 1]), "bool"),
        (lambda: all_pairs(np.eye(2), [1, 1]).threshold_at_fmr(0.1), "two people"),
        (lambda: all_pairs(np.eye(2), [1, 1]).fmr_at(0.1), "two people"),
        (lambda: all_pairs(np.eye(2), [1, 2]).tar_at_fmr(0.1), "two photos"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        call()


def tied_embeddings(seed: int) -> tuple[Any, Any]:
    """300 vectors of +-1/4 and zeros whose dot products float32 holds exactly; many are equal."""
    rng = np.random.default_rng(seed)
    vectors = rng.choice([-0.25, 0.25], size=(300, 16)).astype(np.float32)
    labels = rng.integers(0, 40, 300)
    # Pull each person's photos together, so that the curve is of some interest.
    vectors[:, :6] = rng.choice([-0.25, 0.25], size=(40, 6)).astype(np.float32)[labels]
    return vectors, labels


def brute(vectors: Any, labels: Any, found: Any = None) -> tuple[Any, Any, int]:
    genuine, impostor, without = [], [], 0
    for i, j in itertools.combinations(range(len(labels)), 2):
        ok = found is None or (found[i] and found[j])
        score = float(np.dot(vectors[i].astype(float), vectors[j].astype(float))) if ok else -1.0
        (genuine if labels[i] == labels[j] else impostor).append(score)
        without += not ok
    return np.sort(genuine), np.sort(impostor)[::-1], without


@pytest.mark.parametrize("block", [1, 7, 64, 300, 1000])
@pytest.mark.parametrize("exact", [0.001, 0.05, 1.0])
def test_all_pairs_agrees_with_the_full_matrix(block: int, exact: float) -> None:
    vectors, labels = tied_embeddings(1)
    genuine, impostor, _ = brute(vectors, labels)
    steps: list[tuple[int, int]] = []
    counts = all_pairs(
        vectors,
        labels,
        block=block,
        exact_up_to_fmr=exact,
        progress=lambda done, total: steps.append((done, total)),
    )
    np.testing.assert_array_equal(counts.genuine, genuine)
    np.testing.assert_array_equal(counts.impostor_tail, impostor[: len(counts.impostor_tail)])
    assert len(counts.impostor_tail) == min(len(impostor), math.ceil(len(impostor) * exact) + 1)
    assert (counts.n_genuine, counts.n_impostor) == (len(genuine), len(impostor))
    assert counts.n_without_face == 0
    edges = np.linspace(-1, 1, len(counts.impostor_histogram) + 1)
    edges[-1] = 1.001
    np.testing.assert_array_equal(counts.impostor_histogram, np.histogram(impostor, bins=edges)[0])
    assert steps[-1] == (300 * 299 // 2, 300 * 299 // 2)
    assert len(steps) == math.ceil(300 / block)
    assert steps == sorted(steps)

    for fmr in (0.0, 1e-4, 1e-3, 0.02, 0.3, 0.9):
        threshold = counts.threshold_at_fmr(fmr)
        wanted = threshold_at_fmr(impostor.astype(np.float32), fmr)
        if fmr < counts.exact_up_to_fmr:
            assert threshold == wanted
            assert counts.tar_at_fmr(fmr) == (genuine >= wanted).mean()
        else:
            assert wanted <= threshold <= wanted + 2 / len(counts.impostor_histogram)
        assert (impostor >= threshold).mean() <= fmr
        assert counts.fmr_at(threshold) == (impostor >= threshold).mean()
        assert counts.fnmr_at(threshold) == (genuine < threshold).mean()


def test_all_pairs_of_real_valued_vectors() -> None:
    rng = np.random.default_rng(2)
    labels = np.array([f"person {k}" for k in rng.integers(0, 50, 300)])
    vectors = rng.normal(size=(300, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    genuine, impostor, _ = brute(vectors, labels)
    counts = all_pairs(vectors, labels, block=37, exact_up_to_fmr=0.002)
    np.testing.assert_allclose(counts.genuine, genuine, atol=1e-6)
    kept = impostor[: len(counts.impostor_tail)]
    np.testing.assert_allclose(counts.impostor_tail, kept, atol=1e-6)
    assert counts.impostor_histogram.sum() == len(impostor)
    width = 2 / len(counts.impostor_histogram)
    for fmr in (0.01, 0.1, 0.5):  # beyond the tail
        assert fmr >= counts.exact_up_to_fmr
        exact = threshold_at_fmr(impostor, fmr)
        assert exact - 1e-6 <= counts.threshold_at_fmr(fmr) <= exact + width + 1e-6
    for at in (-0.3, 0.0, 0.12345):
        truth = (impostor >= at).mean()
        assert truth <= counts.fmr_at(at) + 1e-12
        assert counts.fmr_at(at) <= (impostor >= at - width - 1e-6).mean()


def test_pairs_without_a_face_are_different_and_counted() -> None:
    vectors, labels = tied_embeddings(4)
    found = np.random.default_rng(5).random(300) < 0.9
    broken = vectors.copy()
    broken[~found] = np.nan
    genuine, impostor, without = brute(vectors, labels, found)
    counts = all_pairs(broken, labels, found=found, block=50, exact_up_to_fmr=1.0)
    np.testing.assert_array_equal(counts.genuine, genuine)
    np.testing.assert_array_equal(counts.impostor_tail, impostor)
    assert counts.n_without_face == without > 0
    assert (counts.genuine == -1).sum() > 0
    assert counts.fnmr_at(-0.99) == (genuine == -1).mean()


def test_many_people_in_few_blocks_lose_no_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tail is cut down while scores still come in; what was cut must not be needed later."""
    shrunk = []
    shrink = pair_counts._Tail._shrink
    monkeypatch.setattr(pair_counts._Tail, "_shrink", lambda tail: (shrunk.append(1), shrink(tail)))
    vectors, _ = tied_embeddings(6)
    order = np.argsort(vectors[:, 6:].sum(axis=1))  # the highest scores come last
    _, impostor, _ = brute(vectors[order], np.arange(300))
    counts = all_pairs(vectors[order], np.arange(300), block=3, exact_up_to_fmr=0.002)
    assert len(shrunk) > 3
    np.testing.assert_array_equal(counts.impostor_tail, impostor[: len(counts.impostor_tail)])


def test_all_scores_are_kept_where_they_are_few() -> None:
    vectors, labels = tied_embeddings(7)
    counts = all_pairs(vectors, labels)
    assert counts.exact_up_to_fmr == 1.0
    assert len(counts.impostor_tail) == counts.n_impostor
