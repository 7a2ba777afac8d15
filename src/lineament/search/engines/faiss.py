"""FAISS (Douze et al., "The Faiss library", arXiv:2401.08281; MIT), inner products.

``build`` chooses by size, as its authors' guide does ("Guidelines to choose an index"):

    up to FLAT_UP_TO    IndexFlatIP: every vector
    up to HNSW_UP_TO    IndexHNSWFlat: a graph (Malkov and Yashunin, arXiv:1603.09320)
    above               IndexIVFFlat: cells around centroids, a few of which are visited

All hold the vectors in memory, beside the mapped ones here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lineament import machine
from lineament.search.engines.engine import Engine, Positions, load_package
from lineament.types import FloatArray

FLAT_UP_TO, HNSW_UP_TO = 20_000, 1_000_000

LINKS, EXPANSION_BUILD = 32, 200
"""HNSW's M and efConstruction."""

LEAST_EXPANSION = 256
"""HNSW's efSearch; at least twice the candidates."""

CELLS_PER_ROOT = 4
"""IVF's centroids: so many times the square root of the number of vectors."""

TRAINED_PER_CELL = 64
"""Vectors a centroid is learned from; FAISS warns below 39."""

REFIT = 8
"""How many times more vectors than cells are made for, until they are learned anew."""

VISITED_SHARE, LEAST_VISITED = 0.6, 16
"""Of the cells, that a query visits. Of face embeddings it takes so many to miss less than one
in a thousand (``benchmarks/engines_search.py``)."""

Layout = Literal["flat", "hnsw", "ivf"]


def layout_for(count: int) -> Layout:
    """What ``build`` takes for so many vectors."""
    return "flat" if count <= FLAT_UP_TO else "hnsw" if count <= HNSW_UP_TO else "ivf"


def _build(
    dimension: int,
    count: int,
    blocks: Iterator[FloatArray] | None,
    path: Path | None,
    *,
    layout: Layout | None,
) -> Engine:
    faiss = load_package("faiss", "FAISS")
    faiss.omp_set_num_threads(machine.processors())
    chosen = layout_for(count) if layout is None else layout
    if blocks is None:
        index = faiss.read_index(str(path))
        fixed = layout is not None
        return FaissEngine(faiss, index, positions=count, made_for=index.ntotal, fixed=fixed)
    if chosen == "flat":
        index = faiss.IndexFlatIP(dimension)
    elif chosen == "hnsw":
        index = faiss.IndexHNSWFlat(dimension, LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = EXPANSION_BUILD
    else:
        index, blocks = _trained(faiss, dimension, count, blocks)
    engine = FaissEngine(faiss, index, positions=0, made_for=count, fixed=layout is not None)
    for vectors in blocks:
        engine.add(vectors)
    return engine


def _trained(
    faiss: Any, dimension: int, count: int, blocks: Iterator[FloatArray]
) -> tuple[Any, Iterator[FloatArray]]:
    """An IVF that has learned its cells from every so manyth vector; and all blocks."""
    kept = list(blocks)
    cells = max(1, min(int(CELLS_PER_ROOT * max(1, count) ** 0.5), count // 39))
    step = max(1, count // (TRAINED_PER_CELL * cells))
    sample = np.concatenate([np.empty((0, dimension), np.float32), *(b[::step] for b in kept)])
    quantizer = faiss.IndexFlatIP(dimension)
    index = faiss.IndexIVFFlat(quantizer, dimension, cells, faiss.METRIC_INNER_PRODUCT)
    index.cp.spherical = True
    index.train(np.ascontiguousarray(sample))
    index.nprobe = min(cells, max(LEAST_VISITED, int(VISITED_SHARE * cells)))
    return index, iter(kept)


class FaissEngine:
    """One index of FAISS's, whichever layout it has."""

    grows = filters = True

    def __init__(
        self, faiss: Any, index: Any, *, positions: int, made_for: int, fixed: bool
    ) -> None:
        """Take the index over.

        Args:
            faiss: the package.
            index: with what was added so far.
            positions: that were given so far, removed ones among them.
            made_for: how many vectors its layout was chosen for.
            fixed: the layout was asked for, and stays.
        """
        self._faiss, self._index, self._made_for, self._fixed = faiss, index, made_for, fixed
        self._added = positions
        kinds = {"IndexFlatIP": "flat", "IndexFlat": "flat", "IndexHNSWFlat": "hnsw"}
        self._layout: Layout = kinds.get(type(index).__name__, "ivf")  # type: ignore[assignment]

    def add(self, vectors: FloatArray) -> None:
        """As ``Engine.add``."""
        rows = np.ascontiguousarray(vectors, np.float32)
        if self._layout == "ivf":  # it numbers by what it has, and forgets what is removed
            numbers = np.arange(self._added, self._added + len(rows), dtype=np.int64)
            self._index.add_with_ids(rows, numbers)
        else:
            self._index.add(rows)
        self._added += len(rows)

    def erase(self, positions: Positions) -> bool:
        """As ``Engine.erase``."""
        if self._layout == "ivf":
            self._index.remove_ids(self._faiss.IDSelectorBatch(positions))
            return True
        flat = self._index
        if self._layout == "hnsw":
            flat = self._faiss.downcast_index(self._index.storage)
        size = flat.ntotal * flat.d
        rows = self._faiss.rev_swig_ptr(flat.get_xb(), size).reshape(flat.ntotal, flat.d)
        rows[positions] = 0
        return True

    def search(
        self, queries: FloatArray, count: int, mask: npt.NDArray[np.bool_] | None
    ) -> Positions:
        """As ``Engine.search``."""
        settings: dict[str, Any] = {}
        if mask is not None:
            bits = np.packbits(mask, bitorder="little")
            settings["sel"] = self._faiss.IDSelectorBitmap(bits)
        if self._layout == "hnsw":
            params = self._faiss.SearchParametersHNSW(
                efSearch=max(LEAST_EXPANSION, 2 * count), **settings
            )
        elif self._layout == "ivf":
            params = self._faiss.SearchParametersIVF(nprobe=self._index.nprobe, **settings)
        else:
            params = self._faiss.SearchParameters(**settings)
        _, found = self._index.search(np.ascontiguousarray(queries), count, params=params)
        return np.asarray(found, np.int64)

    def outgrown(self, count: int) -> bool:
        """As ``Engine.outgrown``."""
        if self._layout == "ivf" and count > REFIT * max(1, self._made_for):
            return True  # far more than its cells were made for
        return not self._fixed and layout_for(count) != self._layout and count > FLAT_UP_TO

    def write(self, path: Path) -> None:
        """As ``Engine.write``."""
        self._faiss.write_index(self._index, str(path))


build = partial(_build, layout=None)
build_flat = partial(_build, layout="flat")
build_hnsw = partial(_build, layout="hnsw")
build_ivf = partial(_build, layout="ivf")
