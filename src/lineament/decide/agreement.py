"""Which of the photos said to be of one person are unlike the others?

    unlike_below    calibration -> the similarity below which two photos are strangers'
    agree           embeddings of one person's photos -> whom most of them show, and who is unlike
    likeness        two people's embeddings -> how alike the people are, by the best of each photo
    mean_similarity the same, by all photos

A photo goes with the others as long as it is like one of them, since a turned head is like another
turned head and unlike the portrait: the photos are joined wherever two have a similarity of
``unlike_below``, and the largest group is the person. With many photos a stranger is like one of
them by chance, so from 40 on the mean of the best twentieth counts.

Nothing is said of a photo in which the recognizer sees much less of a face than in the best of the
others (``LEAST_NORM``): in profile, or half covered, the person is unlike, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lineament.decide.calibration import Calibration
from lineament.types import BoolArray, FloatArray

UNLIKE_LLR = -2.0
"""Log-likelihood ratio: 7 times as probable for two people as for one. Far below a threshold of
verification, since most pairs of one person between the two are honest photos that are hard. Chosen
on people of LFW View 1, on heads in profile (CFP) and AT&T; ``benchmarks/strangers.py`` measures
it."""

LEAST_NORM = 0.7
"""Share of the greatest norm among the person's photos, below which nothing is said of a photo. On
LFW 1 photo in 200 is below it, of the heads in profile of CFP 1 in 4."""

FRACTION = 20
"""The mean of the best 1/20 of the similarities counts, at least of one."""

MOST_AT_ONCE = 2000
"""Photos that are compared with each other at once: memory grows with the square."""


def unlike_below(calibration: Calibration | None) -> float | None:
    """The cosine below which a pair is a stranger's.

    None without a calibration, or where its data support no such claim.
    """
    if calibration is None or calibration.llr[0] > UNLIKE_LLR:
        return None
    return float(np.interp(UNLIKE_LLR, calibration.llr, calibration.score))


@dataclass(frozen=True, eq=False, slots=True)
class Agreement:
    """What N photos said to be of one person have in common.

    Attributes:
        main: (N,) bool: go together with most, or with those that were there before.
        unlike: (N,) bool: like strangers to those.
        not_judged: (N,) bool: are unlike them too, but too little of a face is seen to say so.
        undecided: whether there are two equally large groups of photos, so that it cannot be said
            which of them show the person. Then ``main`` is empty and all of them are ``unlike``.
        similarity: (N,) the highest to one of ``main``, or to any other photo where there is none;
            NaN for a photo without any other.
    """

    main: BoolArray
    unlike: BoolArray
    not_judged: BoolArray
    undecided: bool
    similarity: FloatArray


def agree(
    vectors: FloatArray,
    norms: npt.NDArray[np.floating],
    limit: float,
    *,
    own: FloatArray | None = None,
    own_norm: float = 0.0,
    counts: BoolArray | None = None,
) -> Agreement:
    """Find the photos that are unlike the others of their person.

    Args:
        vectors: (N, D) unit vectors, N up to ``MOST_AT_ONCE``.
        norms: (N,) their lengths before scaling.
        limit: from ``unlike_below``.
        own: (M, D) of photos that are known to be the person's; None or M = 0: the largest group
            of the N is.
        own_norm: the greatest norm among those.
        counts: (N,) bool: False for photos that do not count for the largest group, such as the
            second of two copies. None: all do.
    """
    n = len(vectors)
    whole = np.ones(n, bool) if counts is None else counts
    near = np.asarray(vectors @ vectors.T, np.float32)
    np.fill_diagonal(near, -np.inf)
    known = None if own is None or not len(own) else np.asarray(vectors @ own.T, np.float32)
    undecided = False
    if known is not None:
        main = _reached(near >= limit, _best(known) >= limit)
    else:
        main, undecided = _largest(near >= limit, whole)
    for _ in range(2):  # whoever is put out may have held another one in
        table = near[:, main] if known is None else np.hstack([known, near[:, main]])
        if table.shape[1] < 2 * FRACTION:
            break
        main = main & (_best(table) >= limit)
    table = near[:, main] if known is None else np.hstack([known, near[:, main]])
    if table.shape[1] and not undecided:
        similarity = table.max(axis=1)
    else:
        similarity = near.max(axis=1) if n > 1 else np.full(n, -np.inf)
    similarity = np.where(np.isfinite(similarity), similarity, np.nan).astype(np.float32)
    outside = ~main
    greatest = max(own_norm, float(norms[main].max()) if main.any() else 0.0)
    if undecided:
        greatest = float(np.max(norms))
    faint = np.asarray(norms) < LEAST_NORM * greatest
    if undecided and faint.any() and not faint.all():
        return _without(vectors, norms, limit, faint, whole)
    return Agreement(main, outside & ~faint, outside & faint, undecided, similarity)


def _without(
    vectors: FloatArray,
    norms: npt.NDArray[np.floating],
    limit: float,
    faint: BoolArray,
    counts: BoolArray,
) -> Agreement:
    """The same where nothing is said of some photos, so that they have no vote either."""
    kept = np.flatnonzero(~faint)
    inner = agree(vectors[kept], norms[kept], limit, counts=counts[kept])
    main, unlike = np.zeros(len(vectors), bool), np.zeros(len(vectors), bool)
    main[kept], unlike[kept] = inner.main, inner.unlike
    near = np.asarray(vectors @ vectors.T, np.float32)
    np.fill_diagonal(near, -np.inf)
    similarity = near[:, main if main.any() else ~faint].max(axis=1)
    similarity[~np.isfinite(similarity)] = np.nan
    return Agreement(main, unlike, faint, inner.undecided, similarity)


def likeness(
    a: FloatArray,
    b: FloatArray,
    a_norms: npt.NDArray[np.floating],
    b_norms: npt.NDArray[np.floating],
) -> float | None:
    """How alike two people are: the mean of the best similarity of each photo to the other's.

    The greater one of both directions; None where neither has a photo that can be judged.

    Args:
        a, b: (N, D) and (M, D) unit vectors.
        a_norms, b_norms: (N,) and (M,) their lengths before scaling.
    """
    if not len(a) or not len(b):
        return None
    clear = LEAST_NORM * float(max(a_norms.max(), b_norms.max()))
    one, two = a[a_norms >= clear], b[b_norms >= clear]
    if not len(one) or not len(two):
        return None
    scores = one @ two.T
    return float(max(scores.max(axis=1).mean(), scores.max(axis=0).mean()))


def mean_similarity(a: FloatArray, b: FloatArray) -> float:
    """How alike two people are, all photos together: the mean over all pairs of photos.

    On 250 people of LFW View 1 whose photos were given two names it was never below the threshold
    of verification; of 29 pairs of look-alikes, with a photo each above it, one was.

    Args:
        a, b: (N, D) and (M, D) unit vectors, N and M at least 1.
    """
    return float(a.mean(axis=0, dtype=np.float64) @ b.mean(axis=0, dtype=np.float64))


def _best(scores: FloatArray) -> FloatArray:
    """(N, M) -> (N,): the mean of the best 1/FRACTION, of one at least."""
    k = max(1, scores.shape[1] // FRACTION)
    if k == 1:
        return np.asarray(scores.max(axis=1))
    return np.asarray(np.partition(scores, -k, axis=1)[:, -k:].mean(axis=1))


def _reached(joined: BoolArray, start: BoolArray) -> BoolArray:
    """All that hang together with ``start``."""
    found = start.copy()
    edge = start
    while edge.any():
        edge = joined[edge].any(axis=0) & ~found
        found |= edge
    return found


def _largest(joined: BoolArray, counts: BoolArray) -> tuple[BoolArray, bool]:
    """The group with most photos that count, and whether another one has as many."""
    n = len(joined)
    left = np.ones(n, bool)
    groups: list[BoolArray] = []
    while left.any():
        start = np.zeros(n, bool)
        start[int(np.argmax(left))] = True
        group = _reached(joined, start)
        groups.append(group)
        left &= ~group
    sizes = [int((group & counts).sum()) for group in groups]
    order = np.argsort([-size for size in sizes], kind="stable")
    if len(groups) > 1 and sizes[order[0]] == sizes[order[1]]:
        return np.zeros(n, bool), True
    return groups[int(order[0])], False
