"""A photo that looks like somebody else who is enrolled: is it, or does it only look alike?

Among hundreds of people some photo of an honest folder is as alike to somebody else as the
threshold of a search. It stays where it belongs if it is clearly more alike to its own person's
photos than to the other one's, and the two people, all photos together, do not look like one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lineament.decide.agreement import MOST_AT_ONCE, agree, mean_similarity, unlike_below
from lineament.gallery import lookup
from lineament.gallery._state import GalleryState
from lineament.gallery._thresholds import same_threshold
from lineament.gallery._types import NewSample
from lineament.gallery._unlike import DUPLICATE, Own, no_copies
from lineament.types import FloatArray

CLEARLY = 0.1
"""By how much a photo's similarity to its own person has to exceed that to the other one. On people
of LFW View 1 it does so by 0.14 to 0.45 in 72 of the 74 photos that reach the threshold of 1:1
comparisons with somebody else."""


class Lookalikes:
    """Weighs the likeness to another person against that to one's own.

    Args:
        state: of the gallery.
        named: N samples with the names of their people.
        vectors: (N, D) of them.
        own: the enrolled samples of those who are there, from ``lookup.vectors_of``.
        threshold: from which similarity on a face looks like somebody else; None: unknown.
    """

    def __init__(
        self,
        state: GalleryState,
        named: Sequence[tuple[str, NewSample]],
        vectors: FloatArray,
        own: Own,
        threshold: float | None,
    ) -> None:
        self._state, self._named, self._vectors = state, named, vectors
        self._own = own
        self._limit = unlike_below(state.calibration)
        same = same_threshold(state.calibration, state.contract)
        # One set by hand below that of 1:1 comparisons is the stricter one here.
        self._one_person = None if same is None or threshold is None else min(same.value, threshold)
        self._rows: dict[str, list[int]] = {}
        for i, (name, _) in enumerate(named):
            self._rows.setdefault(name, []).append(i)
        self._there: dict[str, FloatArray] = {}
        self._agreed: dict[str, npt.NDArray[np.int64]] = {}
        self._are_one: dict[tuple[str, str], bool] = {}

    def own_similarity(self, i: int, other: str, similarity: float) -> float | None:
        """The similarity of sample ``i`` to its own person, if it only looks like ``other``.

        Args:
            i: place of the sample.
            other: name of a person who is enrolled, or of this batch.
            similarity: of the sample to them.

        Returns:
            The highest similarity to another photo of its person; None where it is not clearly more
            alike to those, where there is none, or where the two people look like one.
        """
        name = self._named[i][0]
        limit, one_person = self._limit, self._one_person
        if limit is None or one_person is None:
            return None
        agreed = self._rows_of(name, limit)
        if i not in agreed:
            return None
        rest = np.concatenate([self._enrolled(name), self._vectors[agreed[agreed != i]]])
        scores = rest @ self._vectors[i]
        scores = scores[scores < DUPLICATE]  # a copy of the photo says nothing of it
        if not len(scores) or float(scores.max()) < similarity + CLEARLY:
            return None
        if (name, other) not in self._are_one:
            a, b = self._photos(name, limit), self._photos(other, limit)
            self._are_one[name, other] = not len(b) or mean_similarity(a, b) >= one_person
        return None if self._are_one[name, other] else float(scores.max())

    def _photos(self, name: str, limit: float) -> FloatArray:
        """(M, D): enrolled, and of the new ones those that agree with them or with each other."""
        return np.concatenate([self._enrolled(name), self._vectors[self._rows_of(name, limit)]])

    def _enrolled(self, name: str) -> FloatArray:
        if name not in self._there:
            number = lookup.find_person(self._state.store, name)
            rows = self._own
            if number is not None and number not in rows:
                rows = lookup.vectors_of(self._state.store, [number])
            nothing = np.zeros((0, self._vectors.shape[1]), np.float32)
            self._there[name] = nothing if number is None or number not in rows else rows[number][1]
        return self._there[name]

    def _rows_of(self, name: str, limit: float) -> npt.NDArray[np.int64]:
        """Places of the person's new samples that show whom most of all their photos show."""
        if name not in self._agreed:
            there, rows = self._enrolled(name), self._rows.get(name, [])
            kept: list[int] = []
            for start in range(0, len(rows), MOST_AT_ONCE):
                some = np.array(rows[start : start + MOST_AT_ONCE])
                found = agree(
                    self._vectors[some],
                    np.array([self._named[i][1].embedding.norm for i in some.tolist()]),
                    limit,
                    own=there,
                    counts=no_copies(self._vectors[some]),
                )
                main = some[found.main]
                kept += main.tolist()
                there = np.concatenate([there, self._vectors[main]])
            self._agreed[name] = np.array(kept, np.int64)
        return self._agreed[name]
