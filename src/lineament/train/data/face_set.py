"""A set of training photos: people, labels, and pixels by number."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from lineament.errors import DataError, ImageError, LineamentError, OptionError
from lineament.images import DEFAULT_LIMITS, load_image
from lineament.images.decode import decode_bytes
from lineament.types import Image, IntArray, Progress

_AHEAD = 64
"""Photos that ``check_faces`` decodes ahead."""


class FaceSet(Protocol):
    """Photos of people, each with the number of its person. Needs no PyTorch.

    Any number of threads and processes may read at once, and the object can be pickled.

    The package's own sets have ``notes`` too, a tuple of sentences on what was left out
    (``notes_of`` asks any set).
    """

    @property
    def people(self) -> tuple[str, ...]:
        """P names, in the order of the labels."""

    @property
    def labels(self) -> IntArray:
        """(N,) int64, 0 to P - 1: the person of each photo. Everybody has one at least."""

    def __len__(self) -> int:
        """N, the number of photos."""

    def name(self, index: int, /) -> str:
        """What the photo is called in messages: its path, or its place in an archive."""

    def read(self, index: int, /) -> Image:
        """Its pixels: (H, W, 3) uint8 RGB.

        Raises:
            DataError: it cannot be read; the message names it.
        """


class Selection:
    """Some photos of a set, in any order, with the labels of the people that are left."""

    def __init__(self, faces: FaceSet, indices: Sequence[int] | IntArray) -> None:
        """Choose photos.

        Args:
            faces: the set.
            indices: (M,) numbers of photos in it.

        Raises:
            DataError: none is chosen.
            OptionError: a number of no photo.
        """
        chosen = np.asarray(indices, np.int64).reshape(-1)
        if not len(chosen):
            raise DataError("expected at least one photo to be chosen, got none")
        if chosen.min() < 0 or chosen.max() >= len(faces):
            raise OptionError(
                f"expected numbers from 0 to {len(faces) - 1}, got {chosen.min()} to "
                f"{chosen.max()}",
                option="indices",
            )
        kept, labels = np.unique(faces.labels[chosen], return_inverse=True)
        self.faces = faces
        self.indices = chosen
        self.people = tuple(faces.people[i] for i in kept)
        self.labels: IntArray = labels.astype(np.int64)
        self.notes = notes_of(faces)

    def __len__(self) -> int:
        """The number of photos that are chosen."""
        return len(self.indices)

    def name(self, index: int) -> str:
        """The name in the whole set."""
        return self.faces.name(int(self.indices[index]))

    def read(self, index: int) -> Image:
        """The pixels."""
        return self.faces.read(int(self.indices[index]))


def notes_of(faces: FaceSet) -> tuple[str, ...]:
    """Sentences on what was left out of a set; () when there is nothing to say."""
    return tuple(getattr(faces, "notes", ()))


def with_least_photos(faces: FaceSet, least_photos: int) -> FaceSet:
    """The same set without people of fewer photos; ``notes`` says how many went.

    Args:
        faces: the set.
        least_photos: 1 keeps everybody. A loss that compares photos of one person needs 2.

    Raises:
        OptionError: ``least_photos`` is less than 1.
        DataError: nobody is left.
    """
    if isinstance(least_photos, bool) or not isinstance(least_photos, int) or least_photos < 1:
        raise OptionError(
            f"expected a whole number of 1 or more, got {least_photos!r}", option="least_photos"
        )
    counts = np.bincount(faces.labels, minlength=len(faces.people))
    enough = counts >= least_photos
    if enough.all():
        return faces
    if not enough.any():
        raise DataError(
            f"expected people with at least {least_photos} photos, found {len(counts):,} "
            f"people with at most {counts.max()}; add photos or ask for fewer (least_photos)"
        )
    chosen = Selection(faces, np.flatnonzero(enough[faces.labels]))
    dropped = int((~enough).sum())
    chosen.notes = (
        *chosen.notes,
        f"{dropped:,} of {len(counts):,} people have fewer than {least_photos} photos and "
        f"were left out, with {len(faces) - len(chosen):,} of {len(faces):,} photos",
    )
    return chosen


def read_photo(source: Any, name: str) -> Image:
    """Decode a path or the bytes of a file.

    Raises:
        DataError: they cannot be read; the message names them.
    """
    try:
        if isinstance(source, bytes):
            return decode_bytes(source, name, DEFAULT_LIMITS)
        return load_image(source)
    except ImageError as error:
        raise DataError(f"{error} (or take the photo out of the training set)") from error


def check_faces(
    faces: FaceSet, *, progress: Progress | None = None, threads: int = 2
) -> list[tuple[str, str]]:
    """Decode every photo once.

    Args:
        faces: the set.
        progress: called with photos done and their number.
        threads: that decode; decoders release Python's lock.

    Returns:
        (name, reason) of those that cannot be read, in the set's order.
    """
    return [(faces.name(index), reason) for index, reason in _unreadable(faces, progress, threads)]


def without_unreadable(
    faces: FaceSet, *, progress: Progress | None = None, threads: int = 2
) -> FaceSet:
    """The same set without photos that cannot be read; ``notes`` says how many.

    Raises:
        DataError: none can be read.
    """
    bad = {index for index, _ in _unreadable(faces, progress, threads)}
    if not bad:
        return faces
    chosen = Selection(faces, [index for index in range(len(faces)) if index not in bad])
    first = faces.name(min(bad))
    chosen.notes = (
        *notes_of(faces),
        f"{len(bad):,} of {len(faces):,} photos cannot be read and were left out, such as {first}",
    )
    return chosen


def _unreadable(
    faces: FaceSet, progress: Progress | None, threads: int
) -> Iterator[tuple[int, str]]:
    def reason(index: int) -> str | None:
        try:
            faces.read(index)
        except LineamentError as error:
            return str(error)
        return None

    total = len(faces)
    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="lineament") as pool:
        pending: deque[Future[str | None]] = deque()
        try:
            for index in range(total + _AHEAD):
                if index < total:
                    pending.append(pool.submit(reason, index))
                done = index - _AHEAD
                if not 0 <= done < total:
                    continue
                found = pending.popleft().result()
                if found is not None:
                    yield done, found
                if progress is not None:
                    progress(done + 1, total)
        finally:
            for future in pending:
                future.cancel()
