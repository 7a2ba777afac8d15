"""In which order things stand, so that what is alike stands together.

The order is that of the leaves of a tree of average linkage, turned at its nodes so that neighbors
are as alike as can be (Bar-Joseph et al., "Fast optimal leaf ordering for hierarchical clustering",
Bioinformatics 17, 2001), as SciPy computes it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lineament.errors import MissingExtraError, OptionError
from lineament.explain.faces import Faces
from lineament.types import IntArray

MOST_OPTIMAL = 400
"""Of more, neighbors are not optimized: the time rises with the third power."""


def leaf_order(similarity: npt.ArrayLike) -> IntArray:
    """(N,) int64: an order of N things whose similarities are given, (N, N), symmetric.

    The end with the lower number comes first, so that the order does not depend on rounding.

    Raises:
        OptionError: another shape.
        MissingExtraError: SciPy is missing.
    """
    table = np.asarray(similarity, np.float64)
    n = len(table)
    if table.shape != (n, n):
        raise OptionError(f"expected (N, N), got {table.shape}", option="similarity")
    if n < 3:
        return np.arange(n, dtype=np.int64)
    try:
        from scipy.cluster.hierarchy import leaves_list, linkage
    except ImportError as error:
        raise MissingExtraError("ordering by similarity", "plot") from error
    rows, columns = np.triu_indices(n, 1)
    distances = np.maximum(0, 1 - (table[rows, columns] + table[columns, rows]) / 2)
    tree = linkage(distances, "average", optimal_ordering=n <= MOST_OPTIMAL)
    order: IntArray = leaves_list(tree).astype(np.int64)
    return order if order[0] < order[-1] else order[::-1].copy()


def in_blocks(faces: Faces) -> IntArray:
    """(N,) int64: rows of the faces, people as ``leaf_order`` puts them, each's photos too."""
    means = faces.means().astype(np.float64)
    rows: list[int] = []
    for person in leaf_order(means @ means.T):
        own = faces.of(int(person))
        vectors = faces.vectors[own].astype(np.float64)
        rows += own[leaf_order(vectors @ vectors.T)].tolist()
    return np.array(rows, np.int64)
