"""Identification rates against a count, search by search."""

from __future__ import annotations

import numpy as np
import pytest

from lineament.errors import OptionError
from lineament.evaluate.identification import Searches, search, searches_of


def table(seed: int, ties: bool) -> tuple[np.ndarray, list[int], list[int]]:
    """Scores of 40 probes, 12 of them of people not enrolled, with 15 entries."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(40, 15)).astype(np.float32)
    people, entries = rng.integers(0, 20, 40).tolist(), rng.permutation(15).tolist()
    for q, person in enumerate(people):
        if person < 15:
            scores[q, entries.index(person)] += 1.5
    return (np.round(scores * 2) / 2 if ties else scores), people, entries


def counted(
    scores: np.ndarray, people: list[int], entries: list[int], threshold: float, rank: int
) -> tuple[float, float]:
    """(FPIR, TPIR) by looking at every search on its own."""
    false = nonmated = hits = mated = 0
    for row, person in zip(scores.tolist(), people, strict=True):
        if person not in entries:
            nonmated += 1
            false += any(score >= threshold for score in row)
            continue
        mated += 1
        mate = row[entries.index(person)]
        before = sum(
            score >= mate for entry, score in zip(entries, row, strict=True) if entry != person
        )
        hits += mate >= threshold and before < rank
    return false / nonmated, hits / mated


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_rates_are_those_of_a_count(seed: int, ties: bool) -> None:
    scores, people, entries = table(seed, ties)
    found = searches_of(scores, people, entries)
    assert found.n_mated + found.n_nonmated == 40
    curve = found.cmc()
    assert len(curve) == 15
    for rank in (1, 2, 5, 15):
        for threshold in (-np.inf, 0.0, 0.5, 1.25, float(scores[3, 4])):
            fpir, tpir = counted(scores, people, entries, threshold, rank)
            assert found.fpir_at(threshold) == pytest.approx(fpir, abs=1e-9)
            assert found.tpir_at(threshold, rank=rank) == pytest.approx(tpir, abs=1e-9)
            assert found.fnir_at(threshold, rank=rank) == pytest.approx(1 - tpir, abs=1e-9)
        closed = counted(scores, people, entries, -np.inf, rank)[1]
        assert found.rank_k(rank) == pytest.approx(closed, abs=1e-9)
        assert curve[rank - 1] == pytest.approx(closed, abs=1e-9)
    assert curve[-1] == 1


@pytest.mark.parametrize("ties", [False, True])
def test_the_threshold_for_a_rate_is_the_lowest_that_keeps_it(ties: bool) -> None:
    scores, people, entries = table(5, ties)
    found = searches_of(scores, people, entries)
    for fpir in (0.0, 0.1, 0.3, 0.5):
        at = found.threshold_at_fpir(fpir)
        assert counted(scores, people, entries, at, 1)[0] <= fpir
        below = float(np.nextafter(np.float32(at), np.float32(-np.inf)))
        assert counted(scores, people, entries, below, 1)[0] > fpir
        expected = counted(scores, people, entries, at, 1)[1]
        assert found.dir_at_fpir([fpir])[0] == pytest.approx(expected, abs=1e-9)


def test_scores_that_are_all_alike_identify_nobody() -> None:
    found = searches_of(np.zeros((2, 3)), ["a", "x"], ["a", "b", "c"])
    assert found.rank.tolist() == [3, 0]
    assert found.rank_k(1) == 0


def test_vectors_and_missing_faces() -> None:
    rng = np.random.default_rng(1)
    probes, gallery = (rng.normal(size=(n, 6)).astype(np.float32) for n in (700, 9))
    probes /= np.linalg.norm(probes, axis=1, keepdims=True)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    people, entries = rng.integers(0, 12, 700), np.arange(9)
    seen, enrolled = rng.random(700) > 0.1, np.arange(9) != 4
    probes[~seen], gallery[4] = np.nan, np.nan
    found = search(probes, gallery, people, entries, probes_found=seen, gallery_found=enrolled)
    scores = np.full((700, 9), -1.0)
    scores[np.ix_(seen, enrolled)] = probes[seen].astype(float) @ gallery[enrolled].T.astype(float)
    for threshold in (-0.5, 0.2, 0.6):
        fpir, tpir = counted(scores, people.tolist(), entries.tolist(), threshold, 1)
        assert found.fpir_at(threshold) == pytest.approx(fpir, abs=1e-9)
        assert found.tpir_at(threshold) == pytest.approx(tpir, abs=1e-9)
    assert (found.rank[(people == 4)] == 9).all()
    assert (people == 4).any()


def test_no_probes_at_all() -> None:
    found = search(np.zeros((0, 4)), np.eye(4, dtype=np.float32), [], list("abcd"))
    assert (found.n_mated, found.n_nonmated) == (0, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: searches_of(np.zeros((2, 2)), [1, 2], [1, 1]), "one entry a person, got two of 1"),
        (lambda: searches_of(np.zeros((2, 3)), [1, 2], [1, 2]), r"expected \(2, 2\)"),
        (lambda: searches_of(np.zeros((1, 0)), [1], []), "at least one"),
        (lambda: searches_of([[np.nan]], [1], [1]), "finite"),
        (lambda: searches_of([[0.5]], [1], [1]).fpir_at(0), "non-mated searches"),
        (lambda: searches_of([[0.5]], [2], [1]).rank_k(1), "got none"),
        (lambda: searches_of([[0.5]], [1], [1]).rank_k(0), "at least 1"),
        (lambda: searches_of([[0.5]], [1], [1]).tpir_at(0, rank=0), "at least 1"),
        (lambda: searches_of([[0.5]], [1], [1]).cmc(0), "at least 1"),
        (lambda: searches_of([[0.5]], [2], [1]).threshold_at_fpir(1), "0 <= rate < 1"),
        (lambda: search(np.ones((1, 2)), np.eye(2), [1], [1, 2]), "unit vectors"),
        (lambda: search(np.eye(2), np.eye(2), [1], [1, 2]), "a person for each of 2 probes"),
    ],
)
def test_what_is_refused(call: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        call()  # type: ignore[operator]


def test_one_person_once() -> None:
    found: Searches = searches_of([[0.2, 0.9], [0.8, 0.1]], ["b", "b"], ["a", "b"])
    assert (found.rank.tolist(), found.gallery) == ([1, 2], 2)
    assert found.mate.tolist() == pytest.approx([0.9, 0.1])
