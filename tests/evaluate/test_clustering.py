"""Rates of clusters, against a count by hand, over all pairs, and scikit-learn."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lineament.errors import OptionError
from lineament.evaluate.clustering import clustering_report


def test_an_example_by_hand() -> None:
    # a a a b b c in two clusters: {a a b} {a b c}
    report = clustering_report(list("aaabbc"), [0, 0, 1, 0, 1, 1])
    assert (report.items, report.people, report.clusters) == (6, 3, 2)
    assert report.pairwise_precision == pytest.approx(1 / 6)  # of 3 + 3 pairs, one a-a
    assert report.pairwise_recall == pytest.approx(1 / 4)  # of 3 + 1 + 0
    assert report.pairwise_f1 == pytest.approx(2 / (6 + 4))
    assert report.bcubed_precision == pytest.approx((2 + 2 + 1 + 1 + 1 + 1) / 3 / 6)
    assert report.bcubed_recall == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1 / 2 + 1 / 2 + 1) / 6)


@pytest.mark.parametrize("seed", range(5))
def test_as_counted_pair_by_pair(seed: int) -> None:
    random = np.random.default_rng(seed)
    people, clusters = random.integers(0, 6, 40), random.integers(0, 8, 40)
    pairs = list(itertools.combinations(range(40), 2))
    same = np.array([people[i] == people[j] for i, j in pairs])
    together = np.array([clusters[i] == clusters[j] for i, j in pairs])
    mine = clusters[:, None] == clusters[None]
    theirs = people[:, None] == people[None]
    report = clustering_report(people, clusters)
    assert report.pairwise_precision == pytest.approx((same & together).sum() / together.sum())
    assert report.pairwise_recall == pytest.approx((same & together).sum() / same.sum())
    assert report.bcubed_precision == pytest.approx(((mine & theirs).sum(1) / mine.sum(1)).mean())
    assert report.bcubed_recall == pytest.approx(((mine & theirs).sum(1) / theirs.sum(1)).mean())
    p, r = report.bcubed_precision, report.bcubed_recall
    assert report.bcubed_f1 == pytest.approx(1 / ((1 / p + 1 / r) / 2))


def test_as_scikit_learn_has_it() -> None:
    cluster = pytest.importorskip("sklearn.metrics.cluster")
    random = np.random.default_rng(9)
    people, clusters = random.integers(0, 50, 3000), random.integers(0, 70, 3000)
    # Ordered pairs: [[apart, together though apart], [apart though together, together]].
    (_, wrong), (missed, right) = cluster.pair_confusion_matrix(people, clusters)
    report = clustering_report(people, clusters)
    assert report.pairwise_precision == pytest.approx(right / (right + wrong))
    assert report.pairwise_recall == pytest.approx(right / (right + missed))


def test_the_ends() -> None:
    perfect = clustering_report([3, 3, 5], ["x", "x", "y"])
    assert perfect.pairwise_f1 == perfect.bcubed_f1 == 1
    alone = clustering_report([1, 1, 1, 1], [1, 2, 3, 4])
    assert (alone.pairwise_precision, alone.pairwise_recall, alone.pairwise_f1) == (1, 0, 0)
    assert (alone.bcubed_precision, alone.bcubed_recall) == (1, 0.25)
    one = clustering_report([7], [7])
    assert one.to_dict()["pairwise_f1"] == one.to_dict()["bcubed_f1"] == 1
    strangers = clustering_report([1, 2], [0, 0])
    assert (strangers.pairwise_precision, strangers.pairwise_recall) == (0, 1)


def test_the_largest_person_does_not_overflow() -> None:
    people = np.zeros(200_000, np.int32)
    report = clustering_report(people, people)
    assert report.pairwise_f1 == 1


@pytest.mark.parametrize(("people", "clusters"), [([], []), ([1], [1, 2]), ([[1]], [[1]])])
def test_what_makes_no_sense_is_refused(people: list[int], clusters: list[int]) -> None:
    with pytest.raises(OptionError, match="expected a person and a cluster for each"):
        clustering_report(people, clusters)
