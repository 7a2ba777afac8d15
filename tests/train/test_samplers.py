"""Which photos make a batch: counts, people, order, and the part of each process."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lineament.errors import DataError, OptionError
from lineament.train.data.samplers import PeopleBatches, RandomBatches, share


def labels_of(counts: list[int], seed: int = 0) -> np.ndarray:
    """Person i has counts[i] photos, all in a random order."""
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


class TestRandomBatches:
    def test_each_photo_once_an_epoch(self) -> None:
        sampler = RandomBatches(np.zeros(20, int), 5, seed=3)
        batches = sampler.batches(0)
        assert len(batches) == len(sampler) == 4
        assert [len(batch) for batch in batches] == [5] * 4
        assert sorted(np.concatenate(batches)) == list(range(20))
        assert batches[0].dtype == np.int64

    @pytest.mark.parametrize(("drop_last", "count"), [(True, 3), (False, 4)])
    def test_the_last_batch(self, drop_last: bool, count: int) -> None:
        sampler = RandomBatches(np.zeros(17, int), 5, seed=3, drop_last=drop_last)
        batches = sampler.batches(2)
        assert len(batches) == len(sampler) == count
        assert {len(batch) for batch in batches} == {5}
        flat = np.concatenate(batches)
        if drop_last:
            assert len(set(flat)) == 15
        else:
            assert set(flat) == set(range(17))
            assert flat[17:].tolist() == flat[:3].tolist()

    def test_a_batch_larger_than_the_set(self) -> None:
        with pytest.raises(OptionError, match="at most the 3 photos"):
            RandomBatches([0, 1, 2], 4)
        (batch,) = RandomBatches([0, 1, 2], 8, drop_last=False).batches(0)
        assert Counter(batch.tolist()).most_common()[-1][1] == 2
        assert len(batch) == 8

    def test_the_order_depends_on_seed_and_epoch_only(self) -> None:
        def order(seed: int, epoch: int) -> list[int]:
            return np.concatenate(RandomBatches(np.zeros(64), 8, seed).batches(epoch)).tolist()  # type: ignore[no-any-return]

        labels = np.zeros(64, int)
        first = RandomBatches(labels, 8, 1).batches(4)
        np.random.seed(7)  # global state must not matter
        RandomBatches(labels, 8, 1).batches(3)
        again = RandomBatches(labels, 8, 1).batches(4)
        assert np.array_equal(first, again)
        others = [RandomBatches(labels, 8, seed).batches(epoch) for seed, epoch in ((1, 5), (2, 4))]
        assert not np.array_equal(first, others[0])
        assert not np.array_equal(first, others[1])

    @pytest.mark.parametrize(
        "change", [{"batch": 0}, {"batch": 1.5}, {"batch": True}, {"seed": -1}, {"labels": []}]
    )
    def test_bad_options(self, change: dict[str, object]) -> None:
        with pytest.raises(OptionError):
            RandomBatches(**{"labels": [0, 1], "batch": 1, "seed": 0} | change)  # type: ignore[arg-type]
        with pytest.raises(OptionError, match="epoch"):
            RandomBatches([0], 1).batches(-1)


class TestPeopleBatches:
    COUNTS = (
        [10] * 40,
        [4] * 8,
        [2, 3, 4, 5, 6, 7, 8, 9, 10, 11] * 3,
        [2] * 9 + [30],
        [100, 100, 3, 3, 3, 3, 3, 3],
        [1, 1, 5, 2, 9, 40, 1, 3, 3],
    )

    @pytest.mark.parametrize("counts", COUNTS, ids=range(len(COUNTS)))
    @pytest.mark.parametrize(("people", "photos"), [(2, 4), (4, 2), (5, 3)])
    def test_batches_have_p_people_with_k_photos(
        self, counts: list[int], people: int, photos: int
    ) -> None:
        labels = labels_of(counts)
        sampler = PeopleBatches(labels, people, photos, seed=5)
        for epoch in range(3):
            batches = sampler.batches(epoch)
            assert len(batches) == len(sampler) >= 1
            for batch in batches:
                whom = labels[batch].reshape(people, photos)
                assert (whom == whom[:, :1]).all()
                assert len(set(whom[:, 0])) == people
                for row in batch.reshape(people, photos):
                    own = counts[labels[row[0]]]
                    assert len(set(row.tolist())) == min(own, photos)  # twice only if need be

    def test_every_photo_about_once(self) -> None:
        counts = np.random.default_rng(1).integers(2, 20, 60).tolist()
        labels = labels_of(counts)
        sampler = PeopleBatches(labels, 6, 4)
        seen = np.zeros(len(labels), int)
        for epoch in range(10):
            flat = np.concatenate(sampler.batches(epoch))
            times = np.bincount(flat, minlength=len(labels))
            missed = int((times == 0).sum())
            assert missed <= 6 * 4  # fewer than P groups
            # Filled up: at most K - 1 more for each person; somebody with less than K gets K.
            assert times.max() <= 2
            seen += times
        assert seen.min() >= 5

    def test_somebody_with_most_photos_is_in_every_batch(self) -> None:
        counts = [100, *[4] * 12]
        labels = labels_of(counts)
        sampler = PeopleBatches(labels, 4, 4)
        # B batches of 4 people need 4 B groups, of which that person can give B.
        assert len(sampler) == 4
        for batch in sampler.batches(0):
            assert 0 in labels[batch]
        first, second = (np.concatenate(sampler.batches(e)) for e in (0, 1))
        shown = [set(f[labels[f] == 0].tolist()) for f in (first, second)]
        assert shown[0] != shown[1]

    def test_people_meet_different_people(self) -> None:
        labels = labels_of([4] * 32)
        sampler = PeopleBatches(labels, 4, 4)
        met: set[tuple[int, int]] = set()
        for epoch in range(40):
            for batch in sampler.batches(epoch):
                whom = sorted(set(labels[batch].tolist()))
                met |= {(a, b) for a in whom for b in whom if a < b}
        assert len(met) > 0.9 * 32 * 31 / 2

    def test_single_photos_are_left_out_and_counted(self) -> None:
        labels = labels_of([1, 3, 1, 2])
        sampler = PeopleBatches(labels, 2, 2)
        flat = np.concatenate([b for e in range(5) for b in sampler.batches(e)])
        assert set(labels[flat]) == {1, 3}
        assert sampler.notes[0].startswith("2 of 4 people have a single photo")
        assert PeopleBatches(labels, 4, 1).notes == ()
        with pytest.raises(DataError, match="at least 3 people with 2 photos or more"):
            PeopleBatches(labels, 3, 2)

    def test_it_is_the_same_again(self) -> None:
        labels = labels_of([5] * 12)
        one = PeopleBatches(labels, 4, 2, seed=2).batches(7)
        again = PeopleBatches(labels, 4, 2, seed=2)
        again.batches(1)
        assert np.array_equal(one, again.batches(7))
        assert not np.array_equal(one, again.batches(8))
        assert not np.array_equal(one, PeopleBatches(labels, 4, 2, seed=3).batches(7))


class TestShare:
    def test_parts_make_the_whole(self) -> None:
        batch = np.arange(12)
        parts = [share(batch, rank, 3) for rank in range(3)]
        assert [part.tolist() for part in parts] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]

    def test_it_must_divide(self) -> None:
        with pytest.raises(OptionError, match=r"multiple of the 3 processes, got 10.*take 9 or 12"):
            share(np.arange(10), 0, 3)
        with pytest.raises(OptionError, match="expected 0 to 1, got 2"):
            share(np.arange(10), 2, 2)
