"""The best pairing of rows with columns: of faces with people, of boxes with tracks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lineament.errors import OptionError
from lineament.types import Float64Array


def assign(gains: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Pair rows with columns so that the sum of the gains is greatest; nobody has to be paired.

    Shortest augmenting paths with potentials (Hungarian method; Kuhn 1955, Jonker and Volgenant
    1987): exact, O(N^2 (N + M)).

    Args:
        gains: (N, M): what pairing row i with column j is worth. A pair worth 0 or less is not
            made; -inf says that it must not be.

    Returns:
        (N,) the column of each row; -1 for none. No column stands there twice.

    Raises:
        OptionError: no matrix, or NaN or +inf in it.
    """
    values = np.asarray(gains, dtype=np.float64)
    if values.ndim != 2:
        raise OptionError(f"expected a matrix (N, M), got shape {values.shape}", option="gains")
    if np.isnan(values).any() or np.isposinf(values).any():
        raise OptionError("expected finite numbers or -inf, got others", option="gains")
    n, m = values.shape
    if n == 0 or m == 0:
        return np.full(n, -1, np.int64)
    # One column a row that stands for "none", worth 0: so all rows can be paired.
    worth = np.concatenate([np.maximum(values, 0), np.zeros((n, n))], axis=1)
    columns = _cheapest(worth.max() - worth)
    made = (columns < m) & (values[np.arange(n), np.minimum(columns, m - 1)] > 0)
    return np.where(made, columns, -1)


def _cheapest(costs: Float64Array) -> npt.NDArray[np.int64]:
    """Pair all rows at the least sum of the costs (N, M), N <= M, all finite."""
    n, m = costs.shape
    of_rows, of_columns = np.zeros(n), np.zeros(m + 1)  # the potentials
    # Column m stands for the one from which a path starts.
    row_at = np.full(m + 1, -1, np.int64)
    for row in range(n):
        row_at[m], column = row, m
        least = np.full(m, np.inf)
        before = np.full(m, m, np.int64)
        done = np.zeros(m + 1, np.bool_)
        while row_at[column] != -1:
            done[column] = True
            at = row_at[column]
            reduced = costs[at] - of_rows[at] - of_columns[:m]
            better = ~done[:m] & (reduced < least)
            least[better], before[better] = reduced[better], column
            open_ = np.where(done[:m], np.inf, least)
            column = int(open_.argmin())
            step = open_[column]
            of_rows[row_at[done]] += step
            of_columns[done] -= step
            least[~done[:m]] -= step
        while column != m:  # turn the path round
            row_at[column] = row_at[before[column]]
            column = int(before[column])
    paired = np.full(n, -1, np.int64)
    used = np.flatnonzero(row_at[:m] >= 0)
    paired[row_at[used]] = used
    return paired
