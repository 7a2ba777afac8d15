"""USearch (Apache-2.0): HNSW with SIMD kernels of its own (arXiv:1603.09320), inner products."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament import machine
from lineament.search.engines.engine import Engine, Positions, load_package
from lineament.types import FloatArray

LINKS, EXPANSION_BUILD = 32, 200
"""HNSW's M and efConstruction."""

LEAST_EXPANSION = 256
"""HNSW's efSearch; at least twice the candidates."""


def build(
    dimension: int, count: int, blocks: Iterator[FloatArray] | None, path: Path | None
) -> Engine:
    """As ``Builder``."""
    load_package("usearch", "USearch")
    usearch = load_package("usearch.index", "USearch")
    index = usearch.Index(
        ndim=dimension,
        metric="ip",
        dtype="f32",
        connectivity=LINKS,
        expansion_add=EXPANSION_BUILD,
        expansion_search=LEAST_EXPANSION,
    )
    if blocks is None:
        index.load(str(path))
        return UsearchEngine(index)
    engine = UsearchEngine(index)
    for vectors in blocks:
        engine.add(vectors)
    return engine


class UsearchEngine:
    """One index of USearch's; its keys are positions."""

    grows, filters = True, False

    def __init__(self, index: Any) -> None:
        """Take it over."""
        self._index = index
        self._added = len(index)
        self._noise = np.random.default_rng(0)

    def add(self, vectors: FloatArray) -> None:
        """As ``Engine.add``."""
        keys = np.arange(self._added, self._added + len(vectors), dtype=np.int64)
        rows = np.ascontiguousarray(vectors, np.float32)
        self._index.add(keys, rows, copy=True, threads=machine.processors())
        self._added += len(vectors)

    def erase(self, positions: Positions) -> bool:
        """As ``Engine.erase``: a removed vector's room is given to the next one, here to noise."""
        self._index.remove(positions)
        noise = self._noise.standard_normal((len(positions), self._index.ndim))
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        self._index.add(positions, noise.astype(np.float32), copy=True)
        return True

    def search(
        self, queries: FloatArray, count: int, mask: npt.NDArray[np.bool_] | None
    ) -> Positions:
        """As ``Engine.search``."""
        del mask  # it has no filters
        self._index.expansion_search = max(LEAST_EXPANSION, 2 * count)
        rows = np.ascontiguousarray(queries, np.float32)
        found = self._index.search(rows, count, threads=machine.processors())
        if len(queries) == 1:
            keys = np.asarray(found.keys).reshape(1, -1).astype(np.int64)
            return np.pad(keys, ((0, 0), (0, count - keys.shape[1])), constant_values=-1)
        keys = np.asarray(found.keys).astype(np.int64)
        beyond = np.arange(keys.shape[1]) >= np.asarray(found.counts)[:, None]
        keys[beyond] = -1
        return keys

    def outgrown(self, count: int) -> bool:
        """As ``Engine.outgrown``."""
        del count
        return False

    def write(self, path: Path) -> None:
        """As ``Engine.write``."""
        self._index.save(str(path))
