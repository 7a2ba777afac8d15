"""Vectors -> groups: average linkage on a graph of nearest neighbors.

Two groups are as alike as the mean of the cosines of all pairs of their faces (UPGMA: Sokal and
Michener, 1958). The most alike two become one, until no two reach the threshold. Of unit vectors
that mean is ``sum(A) . sum(B) / (|A| |B|)``, so a group is a sum and a count: no matrix of all
pairs is ever made.

Two groups whose mean reaches the threshold have a pair that does. So it is enough to look along
the edges of the graph of pairs that reach it, found by an index. Where somebody has more faces than
a face has edges, parts of that person may end without an edge between them: therefore the means of
the groups are searched for their neighbors in turn, until nothing changes.

Faces that are too poor ("weak") resemble each other whoever they show, so the cosine of two of
them says nothing and is left out of the mean: a poor face joins a group by its likeness to good
ones.

Two faces of one photo are two people: two groups with a photo in common stay apart.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lineament.decide.calibration import Calibration
from lineament.errors import OptionError
from lineament.search import open_index
from lineament.text import counted
from lineament.types import BoolArray, Float64Array, FloatArray, IntArray, Threshold

NEIGHBORS = 32
"""Edges a face. 16 to 64 give the same groups of LFW to four digits
(``docs/how-to/grouping.md``)."""

EXPECTED_MATCHES = 4.0
"""How many others of a collection a face is taken to match before one looks. Chosen on LFW View 1
with five recognizers and 250 to 5,000 photos: 2 to 8 do almost as well."""

COMPARED_UP_TO = 200_000
"""More faces go through an index."""

BLOCK_SCORES = 1 << 22
"""Cosines that are held at a time: 16 MB."""

SLACK = 1e-3
"""A vector's length may differ from 1 by as much, as in ``types.Embedding``."""

MOST_PRIOR = 0.2
"""The prior of 20 faces, and of fewer."""


@dataclass(frozen=True, eq=False, slots=True)
class Linked:
    """The groups of N faces.

    Attributes:
        first: (N,) int64: for each face the place of the first face of its group.
        apart: pairs of groups, by their first faces, that would be one if both were not to stay as
            they are; the smaller place first, ascending.
    """

    first: IntArray
    apart: tuple[tuple[int, int], ...] = ()


def grouping_prior(n_faces: int) -> float:
    """How probable it is, before one looks, that two of ``n_faces`` faces show one person."""
    return min(MOST_PRIOR, EXPECTED_MATCHES / max(1, n_faces))


def grouping_threshold(calibration: Calibration, n_faces: int) -> Threshold:
    """The mean cosine from which on two groups are one person.

    Where one person is as probable as two, given that a face matches ``EXPECTED_MATCHES`` others:
    the more faces, the stricter. So every recognizer finds its own balance; a false match rate that
    suits one tears the groups of a weaker one apart.

    Args:
        calibration: of cosines.
        n_faces: in the collection, 0 or more.

    Raises:
        OptionError: the calibration is for another metric.
    """
    if calibration.metric != "cosine":
        raise OptionError(
            f"the calibration is for the metric {calibration.metric}; groups need one for cosine: "
            "fit it again (lineament tune)"
        )
    prior = grouping_prior(n_faces)
    wanted = math.log(1 - prior) - math.log(prior)  # log-odds of 0.5 less those of the prior
    if wanted > calibration.llr[-1]:
        value = float(calibration.score[-1])
    else:
        value = calibration.score_where(0.5, prior)
    words = f"as probable as not among {counted(n_faces, 'face')}, by {calibration.data}"
    return Threshold(value, calibration.metric, None, words, None)


def link(
    vectors: npt.ArrayLike,
    photos: npt.ArrayLike,
    threshold: float,
    *,
    start: npt.ArrayLike | None = None,
    kept: npt.ArrayLike | None = None,
    weak: npt.ArrayLike | None = None,
    neighbors: int = NEIGHBORS,
    index: str | None = None,
) -> Linked:
    """Group faces.

    Args:
        vectors: (N, D) float32 of length 1.
        photos: (N,) whole numbers: faces with the same one are never in one group.
        threshold: mean cosine from which on two groups are one, -1 to 1.
        start: (N,) for each face the place of the first face of the group it is in already, its own
            place where it is alone; None when all are. Such groups are never split.
        kept: (N,) bool: faces whose groups keep their identity: two of them are never made one.
            All faces of a group of ``start`` have the same.
        weak: (N,) bool: faces too poor to be compared with each other, since poor faces resemble
            each other; they join others, and are no group among themselves. Those of a kept group
            in which all are weak count as good.
        neighbors: edges a face, 1 or more.
        index: which one finds neighbors, as ``open_index`` calls them; the compressed scan may
            miss some. None compares all with all up to ``COMPARED_UP_TO`` faces, a block at a time,
            and takes "auto" for more.

    Raises:
        OptionError: other shapes, vectors that are not of length 1, a value out of range.
    """
    rows = np.ascontiguousarray(vectors, np.float32)
    photo = np.asarray(photos)
    if rows.ndim != 2 or photo.shape != (len(rows),):
        raise OptionError(
            f"expected vectors (N, D) and a photo for each, got {rows.shape}, {photo.shape}"
        )
    if not -1 <= threshold <= 1:
        raise OptionError(f"expected a mean cosine of -1 to 1, got {threshold}", option="threshold")
    if neighbors < 1:
        raise OptionError(f"expected 1 or more, got {neighbors}", option="neighbors")
    n = len(rows)
    lengths = np.linalg.norm(rows, axis=1)
    if not (np.abs(lengths - 1) <= SLACK).all():  # NaN is refused, too
        raise OptionError("expected finite numbers and a length of 1, got others", option="vectors")
    first = np.arange(n) if start is None else np.array(start, np.int64)
    stays = np.zeros(n, np.bool_) if kept is None else np.array(kept, np.bool_)
    poor = np.zeros(n, np.bool_) if weak is None else np.array(weak, np.bool_)
    if first.shape != (n,) or stays.shape != (n,) or poor.shape != (n,):
        raise OptionError(f"expected start, kept and weak of shape ({n},)")
    if n and not (first[first] == first).all():
        raise OptionError("expected the place of the group's first face for each", option="start")
    if n < 2:
        return Linked(first)
    clusters = _Clusters(rows, first, photo, stays, poor)
    # Faces of groups that stay are found by the others.
    asking = np.flatnonzero(~stays)
    if len(asking):
        a, b = _edges(rows, rows[asking], asking, neighbors, threshold, index)
        clusters.connect(first[a], first[b], threshold)
        clusters.merge(threshold)
    while True:
        groups = clusters.of_several()
        if len(groups) < 2:
            break
        means = clusters.means(groups)
        # Means are shorter than 1, and so are their products than the cosine of their directions.
        a, b = _edges(means, means, np.arange(len(groups)), neighbors, threshold, index)
        if not clusters.connect(groups[a], groups[b], threshold):
            break
        clusters.merge(threshold)
    return Linked(clusters.first(), clusters.apart())


def _edges(
    rows: FloatArray,
    queries: FloatArray,
    places: IntArray,
    neighbors: int,
    threshold: float,
    kind: str | None,
) -> tuple[IntArray, IntArray]:
    """Pairs of rows, each once, of which one is among the other's nearest, and alike enough."""
    k = min(neighbors + 1, len(rows))  # each finds itself, too
    if kind is None and len(rows) <= COMPARED_UP_TO:
        asked, found = _compared(rows, queries, k, threshold)
    else:
        index = open_index("auto" if kind is None else kind, dimension=rows.shape[1])
        index.add(np.arange(len(rows)), rows)
        ids, scores = index.search(queries, k)
        asked, rank = np.nonzero((ids >= 0) & (scores >= threshold))
        found = ids[asked, rank]
    source = places[asked]
    other = source != found
    ends = np.sort(np.stack([source[other], found[other]]), axis=0)
    pairs = np.unique(ends, axis=1)
    return pairs[0], pairs[1]


def _compared(
    rows: FloatArray, queries: FloatArray, k: int, threshold: float
) -> tuple[IntArray, IntArray]:
    """Places of queries and of rows that are as alike as the threshold, block by block.

    Of more than ``k`` rows for a query the nearest ``k``, and those that are as near as the last.
    Most faces have a few such rows only, so this is faster than a search for all of the nearest.
    """
    asked, found = [], []
    step = max(1, BLOCK_SCORES // len(rows))
    for start in range(0, len(queries), step):
        scores = queries[start : start + step] @ rows.T  # (Q, D) @ (D, N) -> (Q, N)
        near = scores >= threshold
        for i in np.flatnonzero(near.sum(1) > k):
            near[i] &= scores[i] >= np.partition(scores[i], len(rows) - k)[len(rows) - k]
        at = np.flatnonzero(near)  # faster than nonzero, which asks for both places
        asked.append(start + at // len(rows))
        found.append(at % len(rows))
    return np.concatenate(asked), np.concatenate(found)


class _Clusters:
    """Groups under way, each under the number of one of its faces."""

    def __init__(
        self,
        vectors: FloatArray,
        first: IntArray,
        photos: npt.NDArray[np.int64],
        kept: BoolArray,
        weak: BoolArray,
    ) -> None:
        n = len(vectors)
        self._sums = np.zeros(vectors.shape, np.float64)
        np.add.at(self._sums, first, vectors)
        self._sizes = np.bincount(first, minlength=n)
        self._parent = first.copy()
        self._kept = kept.copy()
        # Of each group how many faces are weak, and of those that have some the sum of them.
        every = np.ones(n, np.bool_)
        np.logical_and.at(every, first, weak)
        poor = np.flatnonzero(weak & ~(every & kept)[first])
        self._n_weak = np.bincount(first[poor], minlength=n)
        self._weak_sums: dict[int, Float64Array] = {}
        for face in poor.tolist():
            root, vector = int(first[face]), vectors[face].astype(np.float64)
            known = self._weak_sums.get(root)
            self._weak_sums[root] = vector if known is None else known + vector
        self._photos: list[set[int]] = [set() for _ in range(n)]
        for root, photo in zip(first.tolist(), photos.tolist(), strict=True):
            self._photos[root].add(photo)
        self._near: list[set[int]] = [set() for _ in range(n)]
        self._version = np.zeros(n, np.int64)
        self._heap: list[tuple[float, int, int, int, int]] = []
        self._apart: set[tuple[int, int]] = set()

    def of_several(self) -> IntArray:
        """The groups of two faces and more, ascending."""
        roots = self._parent == np.arange(len(self._parent))
        return np.flatnonzero(roots & (self._sizes > 1))

    def means(self, groups: IntArray) -> FloatArray:
        """(G, D) float32: the groups' mean directions, of length 1."""
        sums = self._sums[groups]
        lengths = np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        means: FloatArray = (sums / lengths).astype(np.float32)
        return means

    def connect(self, a: IntArray, b: IntArray, threshold: float) -> int:
        """Take edges between groups ``a`` (E,) and ``b`` (E,); how many may become one."""
        offered = 0
        for i, j in sorted({(min(p), max(p)) for p in zip(a.tolist(), b.tolist(), strict=True)}):
            if i == j:
                continue
            if self._mean(i, j) >= threshold:
                if self._conflict(i, j):
                    continue
                offered += 1
            self._near[i].add(j)
            self._near[j].add(i)
            self._offer(i, np.array([j]), threshold)
        return offered

    def _mean(self, i: int, j: int) -> float:
        total = float(self._sums[i] @ self._sums[j])
        pairs = int(self._sizes[i]) * int(self._sizes[j])
        if i in self._weak_sums and j in self._weak_sums:
            total -= float(self._weak_sums[i] @ self._weak_sums[j])
            pairs -= int(self._n_weak[i]) * int(self._n_weak[j])
        return total / pairs if pairs else -math.inf

    def _means(self, i: int, others: IntArray) -> Float64Array:
        """(O,) mean cosines with other groups, without pairs of two weak faces; -inf of none."""
        total = self._sums[others] @ self._sums[i]
        pairs = self._sizes[others] * self._sizes[i]
        mine = self._weak_sums.get(i)
        if mine is not None:
            for place in np.flatnonzero(self._n_weak[others]).tolist():
                j = int(others[place])
                total[place] -= mine @ self._weak_sums[j]
                pairs[place] -= self._n_weak[i] * self._n_weak[j]
        return np.where(pairs > 0, total / np.maximum(pairs, 1), -np.inf)

    def merge(self, threshold: float) -> None:
        """Make the most alike two groups one, until no two with an edge reach the threshold."""
        while self._heap:
            _, i, j, version_i, version_j = heapq.heappop(self._heap)
            if self._version[i] != version_i or self._version[j] != version_j:
                continue
            if self._conflict(i, j):
                self._near[i].discard(j)
                self._near[j].discard(i)
                continue
            if len(self._near[i]) < len(self._near[j]):
                i, j = j, i
            self._unite(i, j)
            if self._near[i]:
                self._offer(i, np.array(sorted(self._near[i])), threshold)

    def _unite(self, i: int, j: int) -> None:
        self._sums[i] += self._sums[j]
        self._sizes[i] += self._sizes[j]
        self._kept[i] |= self._kept[j]
        self._n_weak[i] += self._n_weak[j]
        if j in self._weak_sums:
            theirs = self._weak_sums.pop(j)
            known = self._weak_sums.get(i)
            self._weak_sums[i] = theirs if known is None else known + theirs
        self._photos[i] |= self._photos[j]
        self._photos[j] = set()
        self._parent[j] = i
        self._version[i] += 1
        self._version[j] = -1
        for other in self._near[j]:
            self._near[other].discard(j)
            if other != i:
                self._near[other].add(i)
                self._near[i].add(other)
        self._near[j] = set()

    def _offer(self, i: int, others: IntArray, threshold: float) -> None:
        means = self._means(i, others)
        for j, mean in zip(others.tolist(), means.tolist(), strict=True):
            if mean >= threshold:
                a, b = min(i, j), max(i, j)
                entry = (-mean, a, b, int(self._version[a]), int(self._version[b]))
                heapq.heappush(self._heap, entry)

    def _conflict(self, i: int, j: int) -> bool:
        if not self._photos[i].isdisjoint(self._photos[j]):
            return True
        if self._kept[i] and self._kept[j]:
            self._apart.add((i, j))
            return True
        return False

    def first(self) -> IntArray:
        """(N,) for each face the place of the first one of its group."""
        parent = self._parent
        while not np.array_equal(parent, parent[parent]):
            parent = parent[parent]
        least = np.full(len(parent), len(parent))
        np.minimum.at(least, parent, np.arange(len(parent)))
        self._parent = parent
        return least[parent]

    def apart(self) -> tuple[tuple[int, int], ...]:
        """As ``Linked.apart``."""
        first = self.first()
        pairs = {(int(first[i]), int(first[j])) for i, j in self._apart}
        return tuple(sorted({(min(p), max(p)) for p in pairs}))
