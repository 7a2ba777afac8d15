"""NMSLIB (Apache-2.0): HNSW by the authors of the method (arXiv:1603.09320), cosines.

An index of it cannot be changed once it was made. The wheels on PyPI are built for any processor of
the kind, without AVX, and say so when they are imported; ``pip install --no-binary :all: nmslib``
builds one for this machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament import machine
from lineament.search.engines.engine import (
    Engine,
    FixedEngine,
    Positions,
    concatenated,
    load_package,
)
from lineament.types import FloatArray

LINKS, EXPANSION_BUILD, EXPANSION = 32, 200, 400
"""HNSW's M, efConstruction and efSearch."""


def build(
    dimension: int, count: int, blocks: Iterator[FloatArray] | None, path: Path | None
) -> Engine:
    """As ``Builder``."""
    del count
    nmslib = load_package("nmslib", "NMSLIB")
    index = nmslib.init(method="hnsw", space="cosinesimil", data_type=nmslib.DataType.DENSE_VECTOR)
    if blocks is None:
        index.loadIndex(str(path), load_data=False)
    else:
        index.addDataPointBatch(concatenated(blocks, dimension))
        settings = {"M": LINKS, "efConstruction": EXPANSION_BUILD, "post": 0}
        settings["indexThreadQty"] = machine.processors()
        index.createIndex(settings, print_progress=False)
    index.setQueryTimeParams({"ef": EXPANSION})
    return NmslibEngine(index)


class NmslibEngine(FixedEngine):
    """One index of NMSLIB's; its ids are positions."""

    def __init__(self, index: Any) -> None:
        """Take it over."""
        self._index = index

    def search(
        self, queries: FloatArray, count: int, mask: npt.NDArray[np.bool_] | None
    ) -> Positions:
        """As ``Engine.search``."""
        del mask  # it has no filters
        found = np.full((len(queries), count), -1, np.int64)
        threads = machine.processors() if len(queries) > 1 else 1
        answers = self._index.knnQueryBatch(queries, k=count, num_threads=threads)
        for row, (positions, _) in zip(found, answers, strict=True):
            row[: len(positions)] = positions
        return found

    def write(self, path: Path) -> None:
        """As ``Engine.write``."""
        self._index.saveIndex(str(path), save_data=False)
