"""Every photo against every other: who is confusable with whom, and the hardest pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.types import FloatArray, IntArray

_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Confusable:
    """Two people some of whose photos match.

    Attributes:
        a, b: their numbers, a < b.
        matches: pairs of a photo each that reach the threshold.
        pairs: all of them.
        similarity: the highest.
        photos: the pair that has it, places among all photos: of a, of b.
    """

    a: int
    b: int
    matches: int
    pairs: int
    similarity: float
    photos: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Hardest:
    """The pairs at both ends: (place, place, similarity), None where there are none.

    Attributes:
        genuine: of one person, the least alike.
        impostor: of two people, the most alike.
    """

    genuine: tuple[int, int, float] | None
    impostor: tuple[int, int, float] | None


def compare_all(
    vectors: FloatArray, person: IntArray, rows: IntArray, threshold: float
) -> tuple[list[Confusable], Hardest]:
    """Compare every photo with every other.

    Args:
        vectors: (N, D) unit vectors.
        person: (N,) whose each is.
        rows: which of them count.
        threshold: cosine from which on two match.

    Returns:
        Pairs of people with a match or more, the most confusable first: by the share of their pairs
        that match, three pairs without a match added to each so that one pair of one is not put
        before fifty of a hundred. And the hardest pairs.
    """
    some, who = vectors[rows], person[rows]
    first: list[IntArray] = []
    second: list[IntArray] = []
    scores: list[npt.NDArray[np.float32]] = []
    genuine: tuple[int, int, float] | None = None
    impostor: tuple[int, int, float] | None = None
    for start in range(0, len(some), _BLOCK):
        block = some[start : start + _BLOCK] @ some.T
        later = np.arange(len(some))[None, :] > np.arange(start, start + len(block))[:, None]
        same = who[start : start + _BLOCK, None] == who[None, :]
        own = np.where(later & same, block, np.inf)
        low = np.unravel_index(int(own.argmin()), own.shape)
        if np.isfinite(own[low]) and (genuine is None or own[low] < genuine[2]):
            genuine = int(rows[start + low[0]]), int(rows[low[1]]), float(own[low])
        others = np.where(later & ~same, block, -np.inf)
        high = np.unravel_index(int(others.argmax()), others.shape)
        if np.isfinite(others[high]) and (impostor is None or others[high] > impostor[2]):
            impostor = int(rows[start + high[0]]), int(rows[high[1]]), float(others[high])
        i, j = np.nonzero(others >= threshold)
        first.append(rows[start + i])
        second.append(rows[j])
        scores.append(others[i, j].astype(np.float32))
    found: dict[tuple[int, int], list[Any]] = {}
    counts = np.bincount(who, minlength=int(person.max()) + 1 if len(person) else 0)
    if first:
        for x, y, score in zip(
            np.concatenate(first).tolist(),
            np.concatenate(second).tolist(),
            np.concatenate(scores).tolist(),
            strict=True,
        ):
            (a, x), (b, y) = sorted([(int(person[x]), x), (int(person[y]), y)])
            entry = found.setdefault((a, b), [0, -2.0, (x, y)])
            entry[0] += 1
            if score > entry[1]:
                entry[1], entry[2] = score, (x, y)
    pairs = [
        Confusable(a, b, n, int(counts[a] * counts[b]), score, photos)
        for (a, b), (n, score, photos) in found.items()
    ]
    pairs.sort(key=lambda pair: (-pair.matches / (pair.pairs + 3), -pair.similarity))
    return pairs, Hardest(genuine, impostor)
