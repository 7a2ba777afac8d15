"""Who is unlike the others: drawn faces with strangers planted among them, and the calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lineament.decide.agreement import FRACTION, LEAST_NORM, agree, likeness

D = 128
LIMIT = 0.33


def person(photos: int, *, alike: float = 0.6, seed: int = 0) -> Any:
    """(N, D) unit vectors that have about this cosine to each other."""
    rng = np.random.default_rng(seed)
    center = rng.normal(size=D)
    center /= np.linalg.norm(center)
    noise = rng.normal(size=(photos, D)) / np.sqrt(D)
    rows = np.sqrt(alike) * center + np.sqrt(1 - alike) * noise
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def norms(number: int) -> Any:
    return np.full(number, 10.0)


def joined(similarity: Any, start: set[int]) -> set[int]:
    """All that hang together with these, one step at a time."""
    found = set(start)
    while True:
        more = {j for i in found for j in range(len(similarity)) if similarity[i, j] >= LIMIT}
        if more <= found:
            return found
        found |= more


@pytest.mark.parametrize("photos", [2, 3, 7, 30])
def test_a_stranger_is_unlike_and_nobody_else(photos: int) -> None:
    for seed in range(20):
        rows = np.concatenate([person(photos, seed=seed), person(1, seed=1000 + seed)])
        found = agree(rows, norms(photos + 1), LIMIT)
        table = rows @ rows.T
        groups = {frozenset(joined(table, {i})) for i in range(len(rows))}
        assert len(groups) == 2
        assert found.unlike.tolist() == [False] * photos + [True]
        assert set(np.flatnonzero(found.main).tolist()) == max(groups, key=len)
        np.testing.assert_allclose(found.similarity[-1], table[-1, :-1].max(), rtol=1e-5)
        assert not found.undecided


def test_honest_photos_are_left_in_peace() -> None:
    chain = np.eye(D)[0] * 1.0
    rows = [chain]
    for k in range(1, 6):  # each like the one before: a head that turns
        rows.append(0.5 * rows[-1] + np.sqrt(0.75) * np.eye(D)[k])
    turned = np.stack(rows).astype(np.float32)
    assert (turned @ turned.T).min() < LIMIT
    assert agree(turned, norms(6), LIMIT).main.all()


def test_two_that_disagree_cannot_be_told_apart() -> None:
    rows = np.concatenate([person(1, seed=1), person(1, seed=2)])
    found = agree(rows, norms(2), LIMIT)
    assert found.undecided
    assert found.unlike.all()
    assert not found.main.any()
    np.testing.assert_allclose(found.similarity, float(rows[0] @ rows[1]), rtol=1e-5)

    twice = np.concatenate([rows, rows[1:]])  # the second of them is there twice
    copies = np.array([True, True, False])
    assert agree(twice, norms(3), LIMIT, counts=copies).undecided
    assert not agree(twice, norms(3), LIMIT).undecided


def test_what_is_enrolled_decides() -> None:
    own = person(2, seed=1)
    new = np.concatenate([person(4, seed=2), person(3, seed=1)[2:]])
    found = agree(new, norms(5), LIMIT, own=own, own_norm=10.0)
    assert found.unlike.tolist() == [True] * 4 + [False]
    alone = agree(new, norms(5), LIMIT)
    assert alone.unlike.tolist() == [False] * 4 + [True]


def test_nothing_is_said_of_a_face_that_is_hardly_seen() -> None:
    rows = np.concatenate([person(4, seed=1), person(1, seed=2)])
    lengths = norms(5)
    lengths[-1] = 10 * LEAST_NORM * 0.99
    found = agree(rows, lengths, LIMIT)
    assert found.not_judged.tolist() == [False] * 4 + [True]
    assert not found.unlike.any()
    pair = agree(rows[[0, 4]], lengths[[0, 4]], LIMIT)
    assert (pair.undecided, pair.unlike.any()) == (False, False)
    assert pair.not_judged.tolist() == [False, True]


def test_among_many_photos_one_chance_is_not_enough() -> None:
    many = person(10 * FRACTION, seed=1)
    stranger = person(1, seed=2)[0]
    beside = 0.4 * stranger + np.sqrt(1 - 0.16) * many[0]  # one photo of the person like both
    many[0] = beside / np.linalg.norm(beside)
    rows = np.concatenate([many, stranger[None]])
    assert rows[-1] @ rows[0] > LIMIT
    found = agree(rows, norms(len(rows)), LIMIT)
    assert np.flatnonzero(found.unlike).tolist() == [len(rows) - 1]


def test_one_photo_is_unlike_nobody() -> None:
    found = agree(person(1), norms(1), LIMIT)
    assert found.main.all()
    assert not found.unlike.any()
    assert np.isnan(found.similarity).all()


def test_people_are_alike_or_not() -> None:
    ada, more, other = person(6, seed=1)[:3], person(6, seed=1)[3:], person(4, seed=2)
    same = likeness(ada, more, norms(3), norms(3))
    assert same is not None
    table = ada @ more.T
    np.testing.assert_allclose(
        same, max(table.max(axis=1).mean(), table.max(axis=0).mean()), rtol=1e-5
    )
    strangers = likeness(ada, other, norms(3), norms(4))
    assert strangers is not None
    assert strangers < LIMIT < same
    assert likeness(ada, other[:0], norms(3), norms(0)) is None
    assert likeness(ada, other, norms(3), norms(4) / 2) is None
