"""What of a gallery is damaged: compared with its checksums, passed over, and named.

Whoever reads rows of the database passes damaged ones over and notes them here; a search never
gives a name by one. What is damaged is not repaired, and never taken for sound: it is named until
it is removed.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lineament.types import FloatArray

T = TypeVar("T")

LENGTH_SLACK = 1e-3
"""By how much a vector's length may differ from 1; as ``Embedding`` and the indexes have it."""

LEAST_ID = -(1 << 63)
"""No row's number is below that, whatever was written there."""

UNDECRYPTED = object()
"""In place of a vector that cannot be decrypted."""

UNREADABLE = "it stands in a damaged place of the file"
FORGED = "its vector, or whose it is, is not what was written"
NOT_WRITTEN = (
    "what is noted of it (photo, box, metadata, crop, whose it is) is not what was written"
)


class Damage:
    """What was found so far in one open gallery: numbers, each with what is wrong in words.

    Attributes:
        samples, people: by their numbers.
        unsearched: those of the samples that no search looks at.
    """

    def __init__(self) -> None:
        self.samples: dict[int, str] = {}
        self.people: dict[int, str] = {}
        self.unsearched: set[int] = set()
        self._mutex = threading.Lock()

    def sample(self, number: int, why: str, *, searched: bool = False) -> None:
        """Note a sample; the first reason stays."""
        with self._mutex:
            self.samples.setdefault(number, why)
            if not searched:
                self.unsearched.add(number)

    def person(self, number: int, why: str) -> None:
        """Note a person; the first reason stays."""
        with self._mutex:
            self.people.setdefault(number, why)

    def forget_samples(self, numbers: Sequence[int]) -> None:
        """They are not there any more."""
        with self._mutex:
            for number in numbers:
                self.samples.pop(number, None)
                self.unsearched.discard(number)

    def forget_person(self, number: int) -> None:
        """The person was removed, or written anew."""
        with self._mutex:
            self.people.pop(number, None)

    def clear(self) -> None:
        """Everything is read anew."""
        with self._mutex:
            self.samples.clear()
            self.people.clear()
            self.unsearched.clear()

    def __len__(self) -> int:
        """How many samples and people."""
        return len(self.samples) + len(self.people)


# --- single values --------------------------------------------------------------------------------


def why_no_vector(value: object, dimension: int) -> str | None:
    """What is wrong with a column that should hold a vector of so many numbers, or None."""
    if value is None:
        return "its vector is missing"
    if value is UNDECRYPTED:
        return "its vector cannot be decrypted: it is not what was written"
    if not isinstance(value, bytes):
        return f"its vector is no vector but {_kind(value)}"
    if len(value) != 4 * dimension:
        return f"its vector has {len(value):,} bytes instead of {4 * dimension:,}"
    vector = np.frombuffer(value, "<f4").astype(np.float64)
    if not np.isfinite(vector).all():
        return "its vector holds what is no finite number"
    length = float(np.linalg.norm(vector))
    if abs(length - 1) > LENGTH_SLACK:
        return f"its vector has the length {length:.4g} instead of 1"
    return None


def _kind(value: object) -> str:
    return "text" if isinstance(value, str) else "a number"


def kept_vectors(
    damage: Damage, rows: Sequence[tuple[int, Any, Any, Any]], dimension: int
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """The sound ones of rows (sample, vector, checksum as it stands, as it is computed).

    Returns:
        Ids (N,) and vectors (N, D); the others are noted.
    """
    size = 4 * dimension
    ids: list[int] = []
    vectors: list[bytes] = []
    for number, vector, written, found in rows:
        sealed = written is not None and written == found
        if sealed and type(vector) is bytes and len(vector) == size:
            ids.append(number)
            vectors.append(vector)
            continue
        why = why_no_vector(vector, dimension)
        if why is None:
            why = "its checksum is missing" if written is None else FORGED
        damage.sample(number, why)
    found_ids = np.array(ids, np.int64)
    array = np.frombuffer(b"".join(vectors), "<f4").astype(np.float32).reshape(-1, dimension)
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.sqrt(np.einsum("nd,nd->n", array, array))
        fits = np.abs(lengths - 1) <= LENGTH_SLACK  # False for NaN
    if fits.all():
        return found_ids, array
    for at in np.flatnonzero(~fits).tolist():
        damage.sample(ids[at], why_no_vector(vectors[at], dimension) or FORGED)
    return found_ids[fits], array[fits]


# --- places of the file that cannot be read -------------------------------------------------------


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether SQLite could not read on: a page is not what it should be."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_TOOBIG)


def pages(fetch: Callable[[int], Iterable[int]], after: int = LEAST_ID) -> Iterator[list[int]]:
    """Numbers of rows, ascending, a page at a time.

    A damaged table may give numbers out of their order: what lies behind is not asked for again.

    Args:
        fetch: the numbers of some rows above the one that it is given; none at the end.
        after: where to begin.
    """
    while numbers := sorted({number for number in fetch(after) if number > after}):
        yield numbers
        after = numbers[-1]


def read_around(
    ids: Sequence[int],
    fetch: Callable[[Sequence[int]], list[T]],
    unreadable: Callable[[int], None],
) -> list[T]:
    """Rows by their ids, ascending; what stands in a damaged place is passed over.

    Args:
        ids: ascending.
        fetch: reads the rows of a run of these ids.
        unreadable: called with each id whose row cannot be read.
    """
    if not len(ids):
        return []
    try:
        return fetch(ids)
    except sqlite3.Error as error:
        if not is_corrupt(error):
            raise
    if len(ids) == 1:
        unreadable(ids[0])
        return []
    half = len(ids) // 2
    return [
        *read_around(ids[:half], fetch, unreadable),
        *read_around(ids[half:], fetch, unreadable),
    ]
