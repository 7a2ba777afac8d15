"""Several views of one person as one, and names that do not flicker.

A view is the embedding of one face of one frame. Of a person the best views are kept, by
recognizability (``lineament.recognizability``), and pooled: a blurred or covered face hardly counts
beside a clear one. Who the person is said to be goes by the pool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from lineament.assignment import assign
from lineament.embed.pooling import pooling_weights
from lineament.types import Contract, Embedding, Float64Array, FloatArray

MOST_VIEWS = 12
"""Kept of a person: more add nothing that can be measured to the pool."""

POWER = 2.0
"""A view counts with its recognizability to this power."""

ALIKE = 0.9
"""Two views of one clip that are as alike show the same thing: the better one is enough."""

STICK = 0.05
"""A name that stands is worth so much more, a cosine, than one that would take its place."""

AT_ONCE = 0.1
"""A name that is so far past the threshold, a cosine, is given at the first view; others must be
the best of ``AGAIN`` views."""

AGAIN = 2
"""Changes of the pool in which a new name must be the best, before it is given."""

LOST = 3
"""Changes of the pool in which a name must fail, before it is taken back."""


class View(NamedTuple):
    """One embedded face.

    Attributes:
        vector: (D,) float32 of length 1.
        norm: its length before scaling.
        recognizability: above 0 up to 1; None where it is not known.
        time_s: when, by the source's clock.
    """

    vector: FloatArray
    norm: float
    recognizability: float | None
    time_s: float

    @property
    def worth(self) -> float:
        """The recognizability, 1 where it is not known."""
        return 1.0 if self.recognizability is None else self.recognizability


class Views:
    """The best views of one person, at most ``MOST_VIEWS``."""

    def __init__(self, views: Sequence[View] = ()) -> None:
        """Begin with some."""
        self._views: list[View] = []
        self._pool: FloatArray | None = None
        for view in views:
            self.add(view)

    def copy(self) -> Views:
        """The same views, to which others can be added."""
        copied = Views()
        copied._views, copied._pool = list(self._views), self._pool
        return copied

    def __len__(self) -> int:
        """How many."""
        return len(self._views)

    @property
    def listed(self) -> tuple[View, ...]:
        """The views, in the order in which they came."""
        return tuple(self._views)

    @property
    def best(self) -> float:
        """The greatest recognizability; 0 without a view."""
        return max((view.worth for view in self._views), default=0.0)

    def add(self, view: View) -> bool:
        """Take a view in; return whether the pool changed.

        One that shows what another one shows takes its place if it is better; past ``MOST_VIEWS``
        the worst one goes.
        """
        if self._views:
            alike = np.stack([one.vector for one in self._views]) @ view.vector
            nearest = int(alike.argmax())
            if alike[nearest] >= ALIKE and len(self._views) > 2:
                if view.worth <= self._views[nearest].worth:
                    return False
                self._views.pop(nearest)
        self._views.append(view)
        if len(self._views) > MOST_VIEWS:
            worst = int(np.argmin([one.worth for one in self._views]))
            gone = self._views.pop(worst)
            if gone is view:
                return False
        self._pool = None
        return True

    def pooled(self) -> FloatArray:
        """(D,) the weighted mean, of length 1."""
        if self._pool is None:
            vectors = np.stack([view.vector for view in self._views]).astype(np.float64)
            mean = self._weights() @ vectors
            length = float(np.linalg.norm(mean))
            pool = vectors[0] if length < 1e-6 else mean / length
            self._pool = pool.astype(np.float32)
        return self._pool

    def _weights(self) -> Float64Array:
        if all(view.recognizability is not None for view in self._views):
            return np.array([view.worth for view in self._views]) ** POWER
        return pooling_weights([view.norm for view in self._views])

    def embedding(self, contract: Contract) -> Embedding:
        """The pool as an embedding; its norm is the views' weighted mean."""
        weights = self._weights()
        norms = np.array([view.norm for view in self._views])
        return Embedding(self.pooled(), float(weights @ norms / weights.sum()), contract)


@dataclass(slots=True)
class Naming:
    """What one person is called, and what speaks for another name.

    Attributes:
        name: as it stands; None: nobody of the gallery, as far as is known.
        pending: a name that is about to be given, or None for taking ``name`` back.
        count: for how many changes of the pool it has been.
        n_asked: how often the gallery was asked.
    """

    name: str | None = None
    pending: str | None = None
    count: int = 0
    n_asked: int = 0

    def propose(self, name: str | None, above: float) -> bool:
        """Take in the best name after a change of the pool; return whether the name changed.

        Args:
            name: the best, past its threshold; None: nobody is.
            above: how far past the threshold, a cosine.
        """
        self.n_asked += 1
        if name == self.name:
            self.pending, self.count = None, 0
            return False
        if name != self.pending or self.count == 0:
            self.pending, self.count = name, 0
        self.count += 1
        needed = LOST if self.name is not None else 1 if above >= AT_ONCE else AGAIN
        if self.count < needed:
            return False
        self.name, self.pending, self.count = name, None, 0
        return True


@dataclass(slots=True)
class Wish:
    """What one visible person may be called.

    Attributes:
        above: of each candidate's name how far the similarity is past what it takes.
        name: what the person is called now.
    """

    above: Mapping[str, float] = field(default_factory=dict)
    name: str | None = None


def share_out(wishes: Sequence[Wish]) -> list[str | None]:
    """Give names to people who are visible together, none twice; None where nobody is meant.

    The sum of what the similarities are past their thresholds is greatest; a name that stands has
    ``STICK`` more.
    """
    names = sorted({name for wish in wishes for name in wish.above})
    gains = np.full((len(wishes), len(names)), -np.inf)
    for row, wish in zip(gains, wishes, strict=True):
        for column, name in enumerate(names):
            if name in wish.above:
                row[column] = wish.above[name] + (STICK if name == wish.name else 0.0)
    return [names[column] if column >= 0 else None for column in assign(gains)]
