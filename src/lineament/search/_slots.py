"""From ids to slots, and what callers may pass for ids and vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lineament.errors import OptionError
from lineament.search.index import Ids
from lineament.types import FloatArray

Slots = npt.NDArray[np.int64]

SLACK = 1e-3
"""A vector's length may differ from 1 by as much, as in ``types.Embedding``."""

DENSE = 8
"""Slots are looked up in a table while the largest id is below this many times the count."""


def checked_ids(values: npt.ArrayLike, what: str = "ids") -> Ids:
    """(N,) int64; OptionError unless they are whole numbers in one row."""
    array = np.asarray(values)
    if array.ndim == 1 and len(array) == 0:
        return np.empty(0, np.int64)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise OptionError(
            f"expected whole numbers of shape (N,), got {array.dtype} {array.shape}", option=what
        )
    return array.astype(np.int64, copy=False)


def checked_vectors(values: npt.ArrayLike, dimension: int, what: str) -> FloatArray:
    """(N, D) float32, contiguous; OptionError unless they are finite and of length 1."""
    try:
        with np.errstate(over="ignore"):  # what overflows is refused below
            array = np.ascontiguousarray(values, dtype="<f4")
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"expected numbers of shape (N, {dimension}): {error}", option=what
        ) from error
    if array.ndim != 2 or array.shape[1] != dimension:
        raise OptionError(f"expected shape (N, {dimension}), got {array.shape}", option=what)
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.sqrt(np.einsum("nd,nd->n", array, array))
        fits = np.abs(lengths - 1) <= SLACK  # False for NaN
    if not fits.all():
        first = int(np.flatnonzero(~fits)[0])
        raise OptionError(
            f"expected vectors of length 1, got {lengths[first]:.4g} at position {first}; "
            "divide each by its length",
            option=what,
        )
    return array


class Places:
    """From ids to slots: a table while ids are dense, a dictionary otherwise."""

    def __init__(self) -> None:
        """No ids."""
        self._table: npt.NDArray[np.int32] | None = np.full(1024, -1, np.int32)
        self._map: dict[int, int] = {}

    def put(self, ids: Ids, slots: Slots, count: int) -> None:
        """``ids`` (N,) stand at ``slots`` (N,); ``count``: how many there will be in all."""
        if len(ids) == 0:
            return
        largest = int(ids.max())
        if self._table is not None and largest >= len(self._table):
            if largest < DENSE * count + 65536:
                grown = np.full(max(largest + 1, len(self._table) * 3 // 2), -1, np.int32)
                grown[: len(self._table)] = self._table
                self._table = grown
            else:
                known = np.flatnonzero(self._table >= 0)
                self._map = dict(zip(known.tolist(), self._table[known].tolist(), strict=True))
                self._table = None
        if self._table is not None:
            self._table[ids] = slots
        else:
            self._map.update(zip(ids.tolist(), slots.tolist(), strict=True))

    def drop(self, identifier: int) -> None:
        """Forget an id that is there."""
        if self._table is not None:
            self._table[identifier] = -1
        else:
            del self._map[identifier]

    def get(self, ids: Ids) -> Slots:
        """(N,) the slots, -1 for ids that are not there."""
        if self._table is None:
            found = (self._map.get(i, -1) for i in ids.tolist())
            return np.fromiter(found, np.int64, len(ids))
        inside = (ids >= 0) & (ids < len(self._table))
        if inside.all():
            return self._table[ids].astype(np.int64)
        slots = np.full(len(ids), -1, np.int64)
        slots[inside] = self._table[ids[inside]]
        return slots
