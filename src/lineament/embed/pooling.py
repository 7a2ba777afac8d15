"""Several embeddings of one person as one: pooled, or compared each with each.

A template is a set of rows of an array of embeddings: the frames of a video, the photos of one
person. ``groups`` says for each row which template it belongs to: a number from 0 on, or -1 for a
row that belongs to none, such as one without a face. Nothing here knows of a data set.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lineament.errors import OptionError
from lineament.types import NO_FACE_SCORE, BoolArray, Float64Array, FloatArray, IntArray

COLUMNS = 64
"""So many columns are summed at a time, which bounds the memory on top of the arrays given."""


POOLING_POWER = 4.0
"""See ``pooling_weights``."""


def pooling_weights(norms: npt.ArrayLike, *, power: float = POOLING_POWER) -> Float64Array:
    """What each of several photos of one person counts when their unit vectors are averaged.

    ``norm ** power``, scaled to sum 1. A power of 0 is the plain mean; 1 is the mean of the
    network's outputs as they were before scaling. On templates of LFW View 1 in which one of two or
    three photos is spoiled, powers of 2 to 4 gain much where it is very bad, and change
    nothing that can be measured where it is not; beyond, the best photo stands nearly alone, and
    errors rise again (``docs/concepts/quality.md``).

    Args:
        norms: (N,), of embeddings of one contract, above 0.
        power: 0 or more.

    Returns:
        (N,) float64, sum 1.

    Raises:
        OptionError: norms that are not finite or not above 0, none at all, or a power below 0.
    """
    values = np.asarray(norms, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not (np.isfinite(values) & (values > 0)).all():
        raise OptionError(
            f"expected one or more finite numbers above 0, shape (N,), got {values.tolist()}",
            option="norms",
        )
    if not (math.isfinite(power) and power >= 0):
        raise OptionError(f"expected a finite number of 0 or more, got {power}", option="power")
    weights = (values / values.max()) ** power  # at most 1: no overflow
    result: Float64Array = weights / weights.sum()
    return result


def pool_mean(
    vectors: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    count: int | None = None,
) -> FloatArray:
    """Return one unit vector a group: the weighted mean of its rows, scaled to length 1.

    Args:
        vectors: (N, D) float32, of length 1 where the group is not -1.
        groups: (N,) int, -1 for rows that belong to none.
        weights: (N,) >= 0: how much each row counts, for example its quality, or ``media_weights``;
            None: all alike. The scale does not matter.
        count: how many groups there are, G; None: the highest number + 1.

    Returns:
        (G, D) float32. A group without rows, or whose weights are all 0 or whose mean vanishes, is
        a row of zeros: see ``present``.

    Raises:
        OptionError: for other shapes, groups out of range, or weights that are negative or not
            finite.
    """
    rows, numbers, n_groups = _checked(vectors, groups, count)
    pooled = np.zeros((n_groups, rows.shape[1]), np.float32)
    order, starts, named = _runs(numbers)
    if not len(order):
        return pooled
    heavy: Float64Array | None = None
    if weights is not None:
        given = np.asarray(weights, np.float64)
        if given.shape != numbers.shape:
            raise OptionError(
                f"expected shape {numbers.shape}, got {given.shape}", option="weights"
            )
        heavy = given[order]
        if not (np.isfinite(heavy).all() and (heavy >= 0).all()):
            raise OptionError("expected finite numbers of at least 0", option="weights")
        # Scaled by each group's largest, so that no weight over- or underflows.
        largest = np.maximum.reduceat(heavy, starts)
        sizes = np.diff(np.append(starts, len(order)))
        heavy = heavy / np.repeat(np.where(largest > 0, largest, 1), sizes)
    sums = np.empty((len(starts), rows.shape[1]), np.float64)
    for left in range(0, rows.shape[1], COLUMNS):
        part = rows[order, left : left + COLUMNS].astype(np.float64)
        if heavy is not None:
            part *= heavy[:, None]
        sums[:, left : left + COLUMNS] = np.add.reduceat(part, starts, axis=0)
    lengths = np.linalg.norm(sums, axis=1)
    # Below this, the vectors cancel each other out, and what is left is rounding.
    ok = lengths > 1e-6
    pooled[named[ok]] = sums[ok] / lengths[ok, None]
    return pooled


def present(pooled: FloatArray) -> BoolArray:
    """(G,) bool: which rows of ``pool_mean``'s result are templates, not zeros."""
    return np.asarray(pooled.any(axis=1), np.bool_)


def media_weights(groups: npt.ArrayLike, media: npt.ArrayLike) -> Float64Array:
    """Return weights by which each medium of a group counts once, however many rows it has.

    The frames of one video are nearly one photo; IJB's templates therefore average a video's
    frames first and then the media (Whitelam et al., "IARPA Janus Benchmark-B", CVPRW 2017).

    Args:
        groups: (N,) int, -1 for rows that belong to none.
        media: (N,) int: the medium that the row is from; numbers mean something within a group
            only.

    Returns:
        (N,) float64: 1 / the number of rows of the same group and medium; 0 where the group is -1.
    """
    numbers, kinds = np.asarray(groups), np.asarray(media)
    if numbers.ndim != 1 or numbers.shape != kinds.shape:
        raise OptionError(
            f"expected groups and media of one shape (N,), got {numbers.shape} and {kinds.shape}"
        )
    used = numbers >= 0
    weights = np.zeros(len(numbers), np.float64)
    pairs = np.stack([numbers[used], kinds[used]], axis=1)
    _, place, sizes = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    weights[used] = 1 / sizes[place.reshape(-1)]
    return weights


def pair_cosine(pooled: FloatArray, pairs: npt.ArrayLike) -> FloatArray:
    """Return the cosine of the pairs of templates, -1 where one has no vector.

    Args:
        pooled: (G, D) float32 from ``pool_mean``.
        pairs: (P, 2) int: numbers of groups.

    Returns:
        (P,) float32.
    """
    places = _pairs(pairs, len(pooled))
    here = present(pooled)
    known = here[places[:, 0]] & here[places[:, 1]]
    scores = np.full(len(places), NO_FACE_SCORE, np.float32)
    for start in range(0, len(places), 1 << 14):  # bounded memory for millions of pairs
        part = slice(start, start + (1 << 14))
        left, right = pooled[places[part, 0]], pooled[places[part, 1]]
        scores[part] = np.where(
            known[part], np.einsum("nd,nd->n", left, right), np.float32(NO_FACE_SCORE)
        )
    return scores


def pair_best(
    vectors: npt.ArrayLike, groups: npt.ArrayLike, pairs: npt.ArrayLike, *, count: int | None = None
) -> FloatArray:
    """Return for each pair of templates the highest cosine of a row of one and a row of the other.

    Args:
        vectors: (N, D) float32, of length 1 where the group is not -1.
        groups: (N,) int, -1 for rows that belong to none.
        pairs: (P, 2) int: numbers of groups.
        count: how many groups there are; None: the highest number + 1.

    Returns:
        (P,) float32; -1 where a template has no rows.

    Raises:
        OptionError: for other shapes, or numbers out of range.
    """
    rows, numbers, n_groups = _checked(vectors, groups, count)
    places = _pairs(pairs, n_groups)
    order, starts, named = _runs(numbers)
    ends = np.append(starts[1:], len(order))
    rows_of = {int(g): order[a:b] for g, a, b in zip(named, starts, ends, strict=True)}
    scores = np.full(len(places), NO_FACE_SCORE, np.float32)
    for i, (left, right) in enumerate(places.tolist()):
        if left in rows_of and right in rows_of:
            scores[i] = (rows[rows_of[left]] @ rows[rows_of[right]].T).max()
    return scores


def _checked(
    vectors: npt.ArrayLike, groups: npt.ArrayLike, count: int | None
) -> tuple[FloatArray, IntArray, int]:
    rows, numbers = np.asarray(vectors, np.float32), np.asarray(groups)
    if rows.ndim != 2 or numbers.shape != rows.shape[:1] or numbers.dtype.kind not in "iu":
        raise OptionError(
            "expected vectors (N, D) and groups (N,) of whole numbers, got "
            f"{rows.shape} and {numbers.shape} {numbers.dtype}"
        )
    numbers = numbers.astype(np.int64)
    highest = int(numbers.max(initial=-1))
    n_groups = highest + 1 if count is None else count
    if highest >= n_groups or numbers.min(initial=0) < -1:
        raise OptionError(
            f"expected -1 to {n_groups - 1}, got {int(numbers.min())} to {highest}", option="groups"
        )
    return rows, numbers, n_groups


def _pairs(pairs: npt.ArrayLike, n_groups: int) -> IntArray:
    places = np.asarray(pairs, np.int64)
    if places.ndim != 2 or places.shape[1] != 2:
        raise OptionError(f"expected shape (P, 2), got {places.shape}", option="pairs")
    if places.size and (places.min() < 0 or places.max() >= n_groups):
        raise OptionError(
            f"expected numbers of groups from 0 to {n_groups - 1}, got "
            f"{int(places.min())} to {int(places.max())}",
            option="pairs",
        )
    return places


def _runs(numbers: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """The used rows sorted by group, where each group starts among them, and its number."""
    order = np.argsort(numbers, kind="stable")
    order = order[int((numbers < 0).sum()) :]
    sorted_numbers = numbers[order]
    named, starts = np.unique(sorted_numbers, return_index=True)
    return order.astype(np.int64), starts.astype(np.int64), named
