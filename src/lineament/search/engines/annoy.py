"""Annoy (Apache-2.0): trees of random planes, in one file that is mapped; angular distance.

An index of it cannot be changed once it was made. There is no wheel of it on PyPI: pip builds it,
which needs a C++ compiler and Python's headers (Debian: ``g++ python3-dev``).
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament import machine
from lineament.search.engines.engine import Engine, FixedEngine, Positions, load_package
from lineament.types import FloatArray

TREES = 50
"""More trees find more and take more room; 50 is what Annoy's authors use in their examples."""

VISITED_PER_CANDIDATE = 100
"""Nodes that a search visits for each candidate; Annoy's default is the number of trees."""


def build(
    dimension: int, count: int, blocks: Iterator[FloatArray] | None, path: Path | None
) -> Engine:
    """As ``Builder``."""
    del count
    index = load_package("annoy", "Annoy").AnnoyIndex(dimension, "angular")
    if blocks is None:
        assert path is not None
        with _private(path.parent) as copy:
            shutil.copyfile(path, copy)
            index.load(str(copy))
        return AnnoyEngine(index)
    position = 0
    index.set_seed(0)
    for vectors in blocks:
        for vector in vectors:
            index.add_item(position, vector)
            position += 1
    index.build(TREES, n_jobs=machine.processors())
    return AnnoyEngine(index)


class AnnoyEngine(FixedEngine):
    """One index of Annoy's; its items are positions."""

    def __init__(self, index: Any) -> None:
        """Take it over."""
        self._index = index

    def search(
        self, queries: FloatArray, count: int, mask: npt.NDArray[np.bool_] | None
    ) -> Positions:
        """As ``Engine.search``."""
        del mask  # it has no filters
        found = np.full((len(queries), count), -1, np.int64)
        for row, query in zip(found, queries, strict=True):
            near = self._index.get_nns_by_vector(query, count, count * VISITED_PER_CANDIDATE)
            row[: len(near)] = near
        return found

    def write(self, path: Path) -> None:
        """As ``Engine.write``."""
        with _private(path.parent) as copy:  # Annoy maps what it saved from there on
            self._index.save(str(copy))
            shutil.copyfile(copy, path)


@contextmanager
def _private(folder: Path) -> Iterator[Path]:
    """A file of no name when the block has ended: nobody overwrites what is mapped from it."""
    path = folder / f".lineament-{secrets.token_hex(8)}.tmp"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
