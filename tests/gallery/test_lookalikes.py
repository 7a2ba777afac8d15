"""Look-alikes stay where they belong, and one person under two names is refused; drawn faces.

Ada and Bob share a part of their faces: some photos of theirs reach the threshold of a search, all
photos together do not reach that of a comparison.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from lineament import models
from lineament.gallery import Gallery, NewSample, Refusal
from lineament.types import Contract, Embedding

CARD = models.get("sface")
CONTRACT = Contract(CARD.name, CARD.sha256, CARD.alignment, CARD.input.color_order, False, 128)
AXES = np.linalg.qr(np.random.default_rng(3).normal(size=(128, 128)))[0]


ADA, BOB, COMMON, GLASSES, SCARF = range(5)
"""Axes: two people, what they have in common, and what photos of one day have."""


def photo(name: str, k: int, *parts: tuple[int, float]) -> NewSample:
    """A face of these parts (axis, weight); the rest of its length is this photo's alone."""
    row = sum((weight * AXES[axis] for axis, weight in parts), np.zeros(128))
    own = 10 + 10 * (sum(map(ord, name)) % 11) + k
    row = row + np.sqrt(1 - float(row @ row)) * AXES[own]
    return NewSample(Embedding(row.astype(np.float32), 10.0, CONTRACT), f"{name}_{k}.jpg")


def lookalike(name: str, axis: int) -> list[NewSample]:
    """Four photos; the first is 0.5 alike to the other person's first and 0.665 to its own."""
    first = photo(name, 0, (axis, 0.7), (COMMON, 0.5**0.5))
    return [first, *(photo(name, k, (axis, 0.95)) for k in (1, 2, 3))]


def day(name: str, worn: int) -> list[NewSample]:
    """Ada on one day: 0.88 alike to the others of the day, 0.52 to those of another day."""
    return [photo(name, k, (ADA, 0.72), (worn, 0.6)) for k in range(4)]


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.create(tmp_path / "g", CONTRACT) as opened:
        yield opened


def refused(outcome: Sequence[object]) -> list[tuple[str, str]]:
    return [(one.source, one.reason) for one in outcome if isinstance(one, Refusal)]


def names(name: str, samples: Sequence[NewSample]) -> list[tuple[str, NewSample]]:
    return [(name, one) for one in samples]


@pytest.mark.parametrize("way", ["one batch", "two batches", "first enrolled", "first added"])
def test_a_lookalike_stays_with_its_person(gallery: Gallery, way: str) -> None:
    ada, bob = lookalike("Ada", ADA), lookalike("Bob", BOB)
    if way == "one batch":
        outcome = gallery.enroll_samples([*names("Ada", ada), *names("Bob", bob)])
        assert refused(outcome) == []
    else:
        gallery.enroll_embeddings("Ada", ada)
        parts = {
            "two batches": [bob],
            "first enrolled": [bob[1:], bob[:1]],
            "first added": [bob[1:2], bob[:1], bob[2:]],
        }[way]
        notes: list[str] = []
        for part in parts:
            report = gallery.enroll_embeddings("Bob", part)
            assert report.refused == ()
            notes += report.notes
        (note,) = notes
        assert "Bob_0.jpg: looks like Ada, too (similarity 0.500)" in note
    assert gallery.person("Bob").n_samples == 4


def test_a_single_photo_of_a_new_person_is_refused(gallery: Gallery) -> None:
    gallery.enroll_embeddings("Ada", lookalike("Ada", ADA))
    first = lookalike("Bob", BOB)[0]
    assert refused(gallery.enroll_embeddings("Bob", [first]).refused) == [
        ("Bob_0.jpg", "someone else")
    ]
    copies = gallery.enroll_embeddings("Bob", [first, first])
    assert {one.reason for one in copies.refused} == {"someone else"}


@pytest.mark.parametrize("way", ["one batch", "at once", "one by one", "after a forced one"])
def test_one_person_under_two_names_is_refused(gallery: Gallery, way: str) -> None:
    """Though each photo is clearly more alike to those of its own name."""
    one, other = day("Ada", GLASSES), day("Countess", SCARF)
    if way == "one batch":
        mixed = [pair for two in zip(one, other, strict=True) for pair in two]
        given = [("Ada" if sample in one else "Countess", sample) for sample in mixed]
        outcome: Sequence[object] = gallery.enroll_samples(given)
    else:
        gallery.enroll_embeddings("Ada", one)
        if way == "after a forced one":
            gallery.enroll_embeddings("Countess", other[:1], force=True)
            other = other[1:]
        parts = [other] if way == "at once" else [[sample] for sample in other]
        outcome = [r for part in parts for r in gallery.enroll_embeddings("Countess", part).refused]
    assert refused(outcome) == [(sample.source, "someone else") for sample in other]


def test_each_of_those_it_looks_like_is_weighed(gallery: Gallery) -> None:
    """A look-alike who is the most alike does not hide the same person behind them."""
    gallery.enroll_embeddings("Bob", [photo("Bob", 0, (COMMON, 0.9), (BOB, 0.4))])
    gallery.enroll_embeddings("Ada", day("Ada", GLASSES), force=True)
    new = [*day("Countess", SCARF), photo("Countess", 4, (ADA, 0.67), (SCARF, 0.4), (COMMON, 0.61))]
    found = gallery.enroll_embeddings("Countess", new)
    (last,) = (one for one in found.refused if one.source == "Countess_4.jpg")
    assert (last.reason, last.other) == ("someone else", "Ada")
    assert len(found.refused) == 5


def test_photos_of_somebody_enrolled_are_refused_in_a_folder(gallery: Gallery) -> None:
    gallery.enroll_embeddings("Ada", lookalike("Ada", ADA))
    wrong = [photo("wrong", k, (ADA, 0.95)) for k in range(3)]
    report = gallery.enroll_embeddings("Bob", [*wrong, *lookalike("Bob", BOB)])
    assert refused(report.refused) == [(one.source, "someone else") for one in wrong]
    assert gallery.person("Bob").n_samples == 4
