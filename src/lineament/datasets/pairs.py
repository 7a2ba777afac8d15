"""Pairs of photos in folds: what the readers of published lists return."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from lineament.types import BoolArray, IntArray

FOLDS: Final = 10
Row = tuple[Path, Path, bool, int]
"""Two photos, whether they show one person, and the fold."""


@dataclass(frozen=True, eq=False)
class PairList:
    """Pairs of photos in folds.

    Attributes:
        photos: N paths, each once.
        pairs: (P, 2) int64: places in ``photos``.
        same: (P,) bool: both show one person.
        folds: (P,) int64: the fold of each pair.
        aligned: the photos are faces aligned to 112x112 pixels already.
    """

    photos: tuple[Path, ...]
    pairs: IntArray
    same: BoolArray
    folds: IntArray
    aligned: bool = False

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self.same)


def pair_list(rows: Iterable[Row], *, aligned: bool = False) -> PairList:
    """Put rows together; photos are numbered as they come."""
    places: dict[Path, int] = {}
    known = list(rows)
    pairs = [
        (places.setdefault(a, len(places)), places.setdefault(b, len(places)))
        for a, b, _, _ in known
    ]
    return PairList(
        photos=tuple(places),
        pairs=np.array(pairs, np.int64).reshape(-1, 2),
        same=np.array([same for _, _, same, _ in known], bool),
        folds=np.array([fold for _, _, _, fold in known], np.int64),
        aligned=aligned,
    )


def folds_in_order(count: int, folds: int = FOLDS) -> IntArray:
    """(count,) int64: as many runs of neighbors, whose lengths differ by one at the most.

    The first ones are longer, as ``sklearn.model_selection.KFold`` has it, which InsightFace uses.
    """
    sizes = np.full(folds, count // folds)
    sizes[: count % folds] += 1
    return np.repeat(np.arange(folds), sizes)


def folds_by_kind(same: npt.ArrayLike, folds: int = FOLDS) -> IntArray:
    """(P,) int64: pairs of each kind on their own, in order, so that every fold has both kinds."""
    truth = np.asarray(same, bool)
    numbers = np.zeros(len(truth), np.int64)
    for kind in (True, False):
        numbers[truth == kind] = folds_in_order(int((truth == kind).sum()), folds)
    return numbers
