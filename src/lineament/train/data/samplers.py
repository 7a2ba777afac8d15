"""Which photos make a batch: at random, or P people with K photos each.

A sampler knows labels only. ``batches(epoch)`` gives the whole, global batches of an epoch, the
same ones in every process and after every restart, since they depend on (seed, epoch) alone. With
W processes, the one of rank r takes the r-th contiguous W-th of each batch (``share``).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from lineament.errors import DataError, OptionError
from lineament.types import IntArray

_RANDOM, _PEOPLE = 1, 2  # so that two samplers of one seed draw different numbers


class Sampler(Protocol):
    """What the loader asks for batches."""

    @property
    def batch(self) -> int:
        """Photos in each global batch."""

    def __len__(self) -> int:
        """Batches in an epoch; the same for every epoch."""

    def batches(self, epoch: int, /) -> list[IntArray]:
        """The global batches of an epoch: (batch,) int64 numbers of photos each."""


class RandomBatches:
    """All photos in a new random order in every epoch; each once."""

    def __init__(
        self, labels: npt.ArrayLike, batch: int, seed: int = 0, drop_last: bool = True
    ) -> None:
        """Set up.

        Args:
            labels: (N,) of the photos; only their number counts here.
            batch: photos in a global batch.
            seed: 0 or more.
            drop_last: what does not fill a batch is left out; else the last batch is filled up with
                photos from the beginning of the epoch. Batches are always full.

        Raises:
            OptionError: a batch below 1, or larger than the set while ``drop_last``.
        """
        self.count = len(_checked(labels))
        self.batch = _whole("batch", batch, 1)
        self.seed = _whole("seed", seed, 0)
        self.drop_last = drop_last
        if drop_last and self.batch > self.count:
            raise OptionError(
                f"expected at most the {self.count:,} photos of the training set, got "
                f"{batch:,}; make batches smaller, or let them be filled up (drop_last)",
                option="batch",
            )

    def __len__(self) -> int:
        """Batches in an epoch."""
        whole, rest = divmod(self.count, self.batch)
        return whole + (rest > 0 and not self.drop_last)

    def batches(self, epoch: int) -> list[IntArray]:
        """The global batches of an epoch."""
        order = _generator(_RANDOM, self.seed, epoch).permutation(self.count)
        filled = np.resize(order, len(self) * self.batch)  # cut, or repeated from its beginning
        return list(filled.astype(np.int64).reshape(-1, self.batch))


class PeopleBatches:
    """P different people in a batch with K photos each, side by side.

    Everybody's photos are shuffled and cut into groups of K in every epoch; the last group is
    filled up with others of the same person. The groups are dealt out so that nobody comes twice
    into a batch: laid in a row person by person, group j goes into batch j mod B (McNaughton's
    wrap-around rule). So each photo comes about once. Two exceptions: fewer than P groups are
    left out so that all batches are full, and somebody with more groups than there are batches
    gets one in each. Which photos these hit changes from epoch to epoch.

    Attributes:
        batch: P times K.
        notes: who cannot take part, in words.
    """

    def __init__(self, labels: npt.ArrayLike, people: int, photos: int, seed: int = 0) -> None:
        """Set up.

        Args:
            labels: (N,) the person of each photo.
            people: P, people in a global batch, at least 1.
            photos: K, photos of each, at least 1. Somebody with fewer, but 2 at least, gets
                some of them twice (they are augmented differently). Somebody with one photo
                has no pair to learn from and is left out, unless K is 1.
            seed: 0 or more.

        Raises:
            OptionError: P, K or the seed makes no sense.
            DataError: fewer than P people can take part.
        """
        values = _checked(labels)
        self.people = _whole("people", people, 1)
        self.photos = _whole("photos", photos, 1)
        self.batch = self.people * self.photos
        self.seed = _whole("seed", seed, 0)
        order = np.argsort(values, kind="stable")
        _, starts = np.unique(values[order], return_index=True)
        everybody = np.split(order.astype(np.int64), starts[1:])
        least = min(self.photos, 2)
        self._photos_of = [photos for photos in everybody if len(photos) >= least]
        left_out = len(everybody) - len(self._photos_of)
        self.notes: tuple[str, ...] = ()
        if left_out:
            self.notes = (
                f"{left_out:,} of {len(everybody):,} people have a single photo and are in no "
                f"batch of {self.people} people with {self.photos} photos each",
            )
        if len(self._photos_of) < self.people:
            raise DataError(
                f"expected at least {self.people} people with {least} photos or more for "
                f"batches of {self.people} people, found {len(self._photos_of)} of "
                f"{len(everybody)}; add photos, or take fewer people into a batch"
            )
        groups = np.array([-(-len(photos) // self.photos) for photos in self._photos_of])
        count = int(groups.sum()) // self.people
        while True:  # the most batches that can be filled with different people
            fewer = int(np.minimum(groups, count).sum()) // self.people
            if fewer == count:
                break
            count = fewer
        self._count = count

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._count

    def batches(self, epoch: int) -> list[IntArray]:
        """The global batches of an epoch; the photos of a person are neighbors."""
        random = _generator(_PEOPLE, self.seed, epoch)
        groups: list[IntArray] = []
        for person in random.permutation(len(self._photos_of)):
            groups += self._groups(random.permutation(self._photos_of[person]))[: self._count]
        # What is more than full batches goes; where it is cut out of the row changes with the order
        # of the people, and a row that is cut at its end still has everybody's groups side by side.
        wanted = self._count * self.people
        batches = [np.concatenate(groups[i : wanted : self._count]) for i in range(self._count)]
        return [batches[i] for i in random.permutation(self._count)]

    def _groups(self, shuffled: IntArray) -> list[IntArray]:
        """One person's photos in groups of K, each once, the last group filled up."""
        size = self.photos
        if len(shuffled) < size:
            return [np.resize(shuffled, size)]
        groups = [shuffled[i : i + size] for i in range(0, len(shuffled), size)]
        missing = size - len(groups[-1])
        if missing:
            groups[-1] = np.concatenate([groups[-1], shuffled[:missing]])
        return groups


def share(batch: IntArray, rank: int, world: int) -> IntArray:
    """The part of a global batch that belongs to one process: the ``rank``-th contiguous one.

    Raises:
        OptionError: the batch cannot be divided by the number of processes.
    """
    if world < 1 or not 0 <= rank < world:
        raise OptionError(f"expected 0 to {world - 1}, got {rank}", option="rank")
    size, rest = divmod(len(batch), world)
    if rest:
        raise OptionError(
            f"expected a multiple of the {world} processes, got {len(batch)} photos; "
            f"take {max(size, 1) * world} or {(size + 1) * world}",
            option="batch",
        )
    return batch[rank * size : (rank + 1) * size]


def _generator(kind: int, seed: int, epoch: int) -> np.random.Generator:
    return np.random.default_rng([kind, seed, _whole("epoch", epoch, 0)])


def _checked(labels: npt.ArrayLike) -> IntArray:
    values = np.asarray(labels)
    if values.ndim != 1 or not values.size or not np.issubdtype(values.dtype, np.integer):
        raise OptionError(
            f"expected whole numbers of shape (N,), N at least 1, got {values.dtype} of "
            f"shape {values.shape}",
            option="labels",
        )
    return values.astype(np.int64)


def _whole(what: str, value: object, least: int) -> int:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or int(value) < least:  # type: ignore[call-overload]
        raise OptionError(f"expected a whole number of {least} or more, got {value!r}", option=what)
    return int(value)  # type: ignore[call-overload, no-any-return]
