"""All pairs of the photos, compared in blocks and counted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.decide.metrics import get_metric, score_matrix
from lineament.errors import OptionError
from lineament.types import Float64Array, IntArray, StageProgress

BINS = 4096
"""Of the histograms that LLRs are fitted on: 4.9e-4 wide for cosines, where an LLR of SFace changes
by 0.013."""

SAMPLE = 1 << 19
"""Impostor pairs below the highest ones that the bootstrap looks at; they stand for all."""

BLOCK = 512


@dataclass(frozen=True, eq=False)
class LabeledEmbeddings:
    """Embeddings of N photos, sorted by person.

    Attributes:
        vectors: (N, D) float32.
        person: (N,) int64, 0 to P - 1, never falling.
        metric: name of the comparison.
        sign: 1 where higher is more alike, -1 where lower is.
    """

    vectors: npt.NDArray[np.float32]
    person: IntArray
    metric: str
    sign: int

    @property
    def sizes(self) -> IntArray:
        """(P,) photos a person."""
        return np.bincount(self.person).astype(np.int64)

    def blocks(self) -> Iterator[tuple[int, npt.NDArray[np.float32], npt.NDArray[np.int8]]]:
        """(first row, alike (B, M) against the rows from there on, kind: 1 genuine, 0 impostor, -1
        not a pair).
        """
        n = len(self.vectors)
        for start in range(0, n, BLOCK):
            stop = min(start + BLOCK, n)
            alike = score_matrix(self.vectors[start:stop], self.vectors[start:], self.metric)
            alike = alike * np.float32(self.sign)
            kind = np.zeros(alike.shape, np.int8)
            edge = int(np.searchsorted(self.person, self.person[stop - 1], side="right")) - start
            rows, columns = np.arange(stop - start)[:, None], np.arange(edge)[None]
            same = self.person[start : start + edge][None] == self.person[start:stop][:, None]
            kind[:, :edge][same] = 1
            kind[:, :edge][columns <= rows] = -1
            yield start, alike, kind


def photos_of(
    embeddings: npt.ArrayLike, people: npt.ArrayLike, found: npt.ArrayLike | None, metric: str
) -> LabeledEmbeddings:
    """Check what ``fit`` was given, leave out what shows no face, and sort it by person.

    Raises:
        OptionError: other shapes, numbers that are not finite, or no photos.
    """
    chosen = get_metric(metric)
    vectors, names = np.asarray(embeddings, dtype=np.float32), np.asarray(people)
    if vectors.ndim != 2 or names.shape != vectors.shape[:1]:
        raise OptionError(
            f"expected embeddings (N, D) and people (N,), got {vectors.shape} and {names.shape}"
        )
    seen = np.ones(len(vectors), bool) if found is None else np.asarray(found)
    if seen.shape != names.shape or seen.dtype != np.bool_:
        raise OptionError(
            f"expected {names.shape} bool, got {seen.shape} {seen.dtype}", option="found"
        )
    vectors, names = vectors[seen], names[seen]
    if not np.isfinite(vectors).all():
        raise OptionError("expected finite numbers, got NaN or infinity", option="embeddings")
    if len(vectors) == 0:
        raise OptionError("expected photos with a face, got none", option="calibration")
    person = np.unique(names, return_inverse=True)[1].reshape(-1)
    order = np.argsort(person, kind="stable")
    sign = 1 if chosen.higher_is_more_alike else -1
    return LabeledEmbeddings(vectors[order], person[order].astype(np.int64), metric, sign)


@dataclass(frozen=True, eq=False)
class Counts:
    """All pairs, counted.

    ``alike``: (B,) bin centers; ``genuine_score``, ``genuine_person``: (G,) one by one;
    ``impostor``: (K, K, B) by the folds of the two people; ``top_*``: the highest impostor pairs,
    descending; ``rest_*``: a sample of the others, each standing for ``rest_weight`` pairs.
    """

    alike: Float64Array
    genuine_score: npt.NDArray[np.float32]
    genuine_person: IntArray
    impostor: Float64Array
    n_impostor: int
    top_score: npt.NDArray[np.float32]
    top_pair: tuple[IntArray, IntArray]
    rest_bin: IntArray
    rest_pair: tuple[IntArray, IntArray]
    rest_weight: float

    def bin_of(self, alike: npt.ArrayLike) -> IntArray:
        """The numbers of the bins that these scores are in."""
        width = self.alike[1] - self.alike[0]
        places = (np.asarray(alike, dtype=np.float64) - (self.alike[0] - width / 2)) / width
        numbers: IntArray = np.clip(places, 0, len(self.alike) - 1).astype(np.int64)
        return numbers


def count_pairs(
    data: LabeledEmbeddings,
    fold: IntArray,
    folds: int,
    largest_fmr: float,
    random: np.random.Generator,
    progress: StageProgress,
) -> Counts:
    """Compare all photos.

    Args:
        data: the photos.
        fold: (P,) which each person is in.
        folds: how many there are.
        largest_fmr: impostor pairs are kept one by one as far as this rate needs them.
        random: draws the sample of the others.
        progress: called now and then.

    Raises:
        OptionError: there is one person only.
    """
    n = len(data.vectors)
    genuine, people = [], []
    least, most = math.inf, -math.inf
    for start, alike, kind in data.blocks():
        rows, columns = np.nonzero(kind == 1)
        genuine.append(alike[rows, columns])
        people.append(data.person[start + rows])
        pairs = alike[kind >= 0]
        if pairs.size:
            least, most = min(least, float(pairs.min())), max(most, float(pairs.max()))
        progress("looking at all pairs", min(start + BLOCK, n), n)
    width = (most - least) / BINS
    if width <= 0:
        width = max(abs(least), 1.0) * 1e-6
    edges = np.float32(least), np.float32(width)

    def bins(alike: npt.NDArray[np.float32]) -> IntArray:
        places: IntArray = np.clip((alike - edges[0]) / edges[1], 0, BINS - 1).astype(np.int64)
        return places

    flat = np.zeros(folds * folds * BINS, np.int64)
    for start, alike, kind in data.blocks():
        mine = fold[data.person[start : start + len(alike)]][:, None]
        theirs = fold[data.person[start:]][None]
        place = (mine * folds + theirs) * BINS + bins(alike)
        flat += np.bincount(place[kind == 0], minlength=len(flat))
        progress("counting", min(start + BLOCK, n), n)
    table = flat.reshape(folds, folds, BINS)
    total = table.sum((0, 1))
    n_impostor = int(total.sum())
    if n_impostor == 0:
        raise OptionError("expected photos of at least two people, got one", option="calibration")
    # The highest bins that hold enough for the largest rate, with room for replicas that draw more
    # of them, are kept whole.
    wanted = min(n_impostor, math.ceil(1.3 * largest_fmr * n_impostor) + 1000)
    cut = BINS - 1 - int(np.argmax(np.cumsum(total[::-1]) >= wanted))
    others = int(total[:cut].sum())
    share = min(1.0, SAMPLE / others) if others else 1.0
    top: list[tuple[Any, Any, Any]] = []
    rest: list[tuple[Any, Any, Any]] = []
    for start, alike, kind in data.blocks():
        place = bins(alike)
        rows, columns = np.nonzero((kind == 0) & (place >= cut))
        top.append((alike[rows, columns], data.person[start + rows], data.person[start + columns]))
        below = np.flatnonzero(((kind == 0) & (place < cut)).ravel())
        if share < 1:
            # A pair is taken with probability `share`: as many as that gives, at random.
            below = below[random.random(len(below)) < share]
        rows, columns = np.divmod(below, alike.shape[1])
        rest.append((place[rows, columns], data.person[start + rows], data.person[start + columns]))
        progress("keeping the highest", min(start + BLOCK, n), n)
    score, a, b = (np.concatenate([part[k] for part in top]) for k in range(3))
    order = np.argsort(-score, kind="stable")
    rest_bin, c, d = (np.concatenate([part[k] for part in rest]) for k in range(3))
    return Counts(
        alike=float(edges[0]) + (np.arange(BINS, dtype=np.float64) + 0.5) * float(edges[1]),
        genuine_score=np.concatenate(genuine),
        genuine_person=np.concatenate(people),
        impostor=table.astype(np.float64),
        n_impostor=n_impostor,
        top_score=score[order],
        top_pair=(a[order], b[order]),
        rest_bin=rest_bin,
        rest_pair=(c, d),
        rest_weight=others / len(rest_bin) if len(rest_bin) else 0.0,
    )
