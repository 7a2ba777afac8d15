"""What every index has to do: ``class TestContract(IndexContract)`` in a module with a ``make``.

The fixture ``make`` opens an empty index of ``DIMENSION``; the module imports ``filled``, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from lineament.errors import OptionError
from lineament.search import Index, turbo

DIMENSION = 64
Vectors = npt.NDArray[np.float32]
Make = Callable[[], Index]


def unit(vectors: npt.NDArray[np.float64]) -> Vectors:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def people(count: int, seed: int = 0, dimension: int = DIMENSION) -> Vectors:
    """Around a common mean, as SFace's are; every fifth has a near-duplicate right after it."""
    rng = np.random.default_rng(seed)
    vectors = unit(rng.standard_normal((count, dimension)) + 0.3)
    vectors[1::5] = like(vectors[: len(vectors[1::5]) * 5 : 5], 0.6, rng)
    return vectors


def like(vectors: Vectors, cosine: float, rng: np.random.Generator) -> Vectors:
    other = rng.standard_normal(vectors.shape)
    other -= np.sum(other * vectors, axis=1, keepdims=True) * vectors
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    return unit(cosine * vectors + np.sqrt(1 - cosine**2) * other)


def brute(
    known: dict[int, Vectors], queries: Vectors, k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Independent of the package: everything in float64, sorted by score and then by id."""
    numbers = np.array(sorted(known), np.int64)
    ids = np.full((len(queries), k), -1)
    scores = np.full((len(queries), k), -np.inf)
    if len(numbers):
        table = np.stack([known[int(i)] for i in numbers]).astype(np.float64)
        for q, query in enumerate(queries):
            all_scores = (table @ query.astype(np.float64)).astype(np.float32)
            order = sorted(range(len(numbers)), key=lambda i: (-all_scores[i], numbers[i]))[:k]
            ids[q, : len(order)] = numbers[order]
            scores[q, : len(order)] = all_scores[order]
    return ids, scores


def agree(index: Index, known: dict[int, Vectors], queries: Vectors, k: int = 10) -> None:
    ids, scores = index.search(queries, k)
    expected_ids, expected_scores = brute(known, queries, k)
    assert ids.dtype == np.int64
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(ids, expected_ids)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-6)


@pytest.fixture
def filled(make: Make) -> tuple[Index, Vectors]:
    index, vectors = make(), people(2000)
    index.add(np.arange(2000), vectors)
    return index, vectors


class IndexContract:
    """Searches against brute force, changes, bad arguments, threads."""

    def test_finds_what_brute_force_finds(self, filled: tuple[Index, Vectors]) -> None:
        index, vectors = filled
        rng = np.random.default_rng(1)
        queries = np.concatenate([like(vectors[:40], 0.71, rng), like(vectors[1:200:5], 0.71, rng)])
        agree(index, dict(enumerate(vectors)), queries)
        assert (index.search(queries[:40], 1)[0][:, 0] == np.arange(40)).mean() > 0.9  # mates

    @pytest.mark.parametrize("count", [0, 1, 7, 300, 1500, 2000])
    def test_filters(self, filled: tuple[Index, Vectors], count: int) -> None:
        index, vectors = filled
        allowed = np.random.default_rng(count).permutation(2000)[:count]
        known = {int(i): vectors[i] for i in allowed}
        queries = like(vectors[:20], 0.71, np.random.default_rng(2))
        asked = np.concatenate([allowed, [5000, 2**40], allowed[:3]])  # strangers, and some twice
        ids, scores = index.search(queries, 10, allowed=asked.astype(np.int64))
        expected, _ = brute(known, queries, 10)
        np.testing.assert_array_equal(ids, expected)
        assert np.isneginf(scores[ids == -1]).all()

    def test_few_allowed_are_compared_plainly(
        self, filled: tuple[Index, Vectors], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(turbo, "FEW", 4096)
        index, vectors = filled
        ids, _ = index.search(vectors[:1], 3, allowed=[1999, 4, 0])
        assert ids[0, 0] == 0
        assert set(ids[0].tolist()) == {0, 4, 1999}

    def test_many_changes(self, make: Make, tmp_path: Path) -> None:
        """A thousand changes, saved and opened again now and then, against a dictionary."""
        rng = np.random.default_rng(3)
        index, known, folder = make(), dict[int, Vectors](), tmp_path / "index"
        stock = people(3000, seed=4)
        for step in range(60):
            some = rng.choice(2500, rng.integers(1, 120), replace=False)
            if rng.random() < 0.65:
                vectors = stock[rng.integers(0, len(stock), len(some))]
                index.add(some, vectors)
                known.update(zip(some.tolist(), vectors, strict=True))
            else:
                removed = index.remove(some)
                assert removed == sum(known.pop(int(i), None) is not None for i in some)
            assert len(index) == len(known)
            if step % 7 == 3:
                index.save(folder, f"step {step}")
            if step % 14 == 3:
                index = make()
                assert index.load(folder, writer=True) == f"step {step}"
            if step % 5 == 0:
                agree(index, known, stock[rng.integers(0, len(stock), 5)])
        assert len(known) > 700  # the compressed scan had something to do
        agree(index, known, stock[:20])
        index.check()
        assert 3 not in known or 3 in index
        assert "3" not in index
        assert -1 not in index

    def test_adding_again_replaces(self, filled: tuple[Index, Vectors]) -> None:
        index, vectors = filled
        index.add([7], -vectors[7:8])
        assert len(index) == 2000
        ids, scores = index.search(-vectors[7:8], 1)
        assert (ids[0, 0], scores[0, 0]) == (7, pytest.approx(1))
        assert index.search(vectors[7:8], 1)[0][0, 0] != 7

    def test_empty_and_fewer_than_k(self, make: Make) -> None:
        index, vectors = make(), people(3)
        ids, scores = index.search(vectors, 4)
        assert (ids == -1).all()
        assert np.isneginf(scores).all()
        assert index.remove([1]) == 0
        index.add([], np.empty((0, DIMENSION), np.float32))
        index.add([5, 2, 9], vectors)
        agree(index, {5: vectors[0], 2: vectors[1], 9: vectors[2]}, vectors, 4)
        assert index.search(vectors[:0], 4)[0].shape == (0, 4)

    def test_equal_scores_go_by_id(self, make: Make) -> None:
        index = make()
        same = np.repeat(people(1), 40, axis=0)
        index.add(np.arange(40)[::-1] + 100, same)
        assert index.search(same[:1], 6)[0].tolist() == [[100, 101, 102, 103, 104, 105]]

    def test_ids_far_apart(self, make: Make) -> None:
        index, vectors = make(), people(700)
        ids = np.arange(700) * 10**13 + 5
        index.add(ids[:50], vectors[:50])
        index.add(ids[50:], vectors[50:])
        index.remove(ids[:10])
        agree(index, {int(i): v for i, v in zip(ids[10:], vectors[10:], strict=True)}, vectors[:20])
        assert index.search(vectors[20:21], 1, allowed=ids[20:30])[0][0, 0] == ids[20]

    @pytest.mark.parametrize(
        ("ids", "vectors", "words"),
        [
            ([1], people(1)[:, :-8], "shape"),
            ([1], people(1)[0], "shape"),
            ([1], people(1) * np.nan, "length 1, got nan"),
            ([1], people(1) * 2, "length 1, got 2"),
            ([1], np.zeros((1, DIMENSION)), "length 1, got 0"),
            ([1], [["a"] * DIMENSION], "numbers"),
            ([1, 2], people(1), "as many"),
            ([4, 4], people(2), "twice"),
            ([-1], people(1), "0 or more"),
            ([1.0], people(1), "whole"),
            ([[1]], people(1), "whole"),
        ],
    )
    def test_refuses_what_makes_no_sense(
        self, make: Make, ids: object, vectors: object, words: str
    ) -> None:
        index = make()
        index.add([1], people(1))
        with pytest.raises(OptionError, match=words):
            index.add(ids, vectors)  # type: ignore[arg-type]
        agree(index, {1: people(1)[0]}, people(2), 2)

    def test_refuses_queries_that_make_no_sense(self, filled: tuple[Index, Vectors]) -> None:
        index, vectors = filled
        with pytest.raises(OptionError, match="k: expected 1 or more"):
            index.search(vectors[:1], 0)
        with pytest.raises(OptionError, match="queries: expected vectors of length 1, got nan"):
            index.search(vectors[:1] * np.nan, 1)
        with pytest.raises(OptionError, match="queries: expected shape"):
            index.search(vectors[:1, :8], 1)
        with pytest.raises(OptionError, match="allowed"):
            index.search(vectors[:1], 1, allowed=[0.5])

    def test_threads_search_while_others_change(self, filled: tuple[Index, Vectors]) -> None:
        index, vectors = filled
        extra = people(400, seed=9)
        everyone = np.concatenate([vectors, extra])
        wrong: list[str] = []
        stop = threading.Event()
        searches = [0, 0]

        def search(number: int) -> None:
            rng = np.random.default_rng(number)
            while not stop.is_set():
                queries = everyone[rng.integers(0, 1000, 3)]
                ids, scores = index.search(queries, 5)
                exact = np.einsum("qd,qkd->qk", queries, everyone[ids])
                if not np.allclose(scores, exact, atol=1e-5) or not (ids[:, 0] >= 0).all():
                    wrong.append(f"{ids} {scores} {exact}")
                searches[number] += 1

        threads = [threading.Thread(target=search, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        for i in range(0, 400, 8):
            index.add(np.arange(2000 + i, 2008 + i), extra[i : i + 8])
            index.remove(np.arange(1000 + i, 1008 + i))
        stop.set()
        for thread in threads:
            thread.join(30)
        assert wrong == []
        assert min(searches) > 0
        assert len(index) == 2000
        known = {i: everyone[i] for i in range(2400) if not 1000 <= i < 1400}
        agree(index, known, everyone[1990:2010])
