"""How many genuine pairs are missed at a false match rate.

``misses`` is the mean over the parts of FNMR at FMR 1e-3, where each part has a threshold of its
own, from its own impostor pairs: what its kind of photos allows at best. ``one_threshold`` is the
same mean where all parts share one threshold, at which the mean of their false match rates is 1e-3:
what somebody has who does not know which photos will come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hard_pairs.faces import Faces
from hard_pairs.pairs import Part, Sample, spoilt
from lineament.evaluate.metrics import threshold_at_fmr

FMR = 1e-3
MISSED = -2.0
"""Score of a pair with a photo in which no face was found."""

Floats = npt.NDArray[np.float32]
Embed = Callable[[npt.NDArray[np.uint8], Floats], Floats]
"""Crops (N, 112, 112, 3) and landmarks (N, 5, 2) -> unit vectors (N, D)."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """All crops of all parts, each once.

    Attributes:
        parts: the parts.
        crops: (N, 112, 112, 3) uint8.
        landmarks_xy: (N, 5, 2) float32, of the photo before it was spoilt.
        found: (N,) whether a face was found in the photo.
        left, right: for each part, the places of its samples among the N.
    """

    parts: tuple[Part, ...]
    crops: npt.NDArray[np.uint8]
    landmarks_xy: Floats
    found: npt.NDArray[np.bool_]
    left: tuple[npt.NDArray[np.int64], ...]
    right: tuple[npt.NDArray[np.int64], ...]


def prepare(parts: Sequence[Part], sets: Iterable[Faces]) -> Prepared:
    """Spoil all crops."""
    by_name = {faces.listed.set_name: faces for faces in sets}
    place: dict[tuple[str | None, Sample], int] = {}
    left, right = [], []
    for part in parts:
        for samples, rows in ((part.left, left), (part.right, right)):
            keys = [(None if s.kind is None else part.name, s) for s in samples]
            rows.append(np.array([place.setdefault(key, len(place)) for key in keys], np.int64))
    crops = np.stack([spoilt(by_name[s.set_name], s, str(part)) for part, s in place])
    of = [(by_name[s.set_name], s.row) for _, s in place]
    return Prepared(
        tuple(parts),
        crops,
        np.stack([faces.landmarks_xy[row] for faces, row in of]),
        np.array([faces.found[row] for faces, row in of]),
        tuple(left),
        tuple(right),
    )


@dataclass(frozen=True)
class Misses:
    """What one recognizer misses, as shares of the genuine pairs.

    Attributes:
        by_part: FNMR at FMR 1e-3 by part, at the part's threshold.
        mean: of these.
        one_threshold: the mean at the threshold that all parts share.
    """

    by_part: dict[str, float]
    mean: float
    one_threshold: float


def judge(prepared: Prepared, vectors: Floats) -> Misses:
    """Count the misses of (N, D) unit vectors, in the order of ``prepared.crops``."""
    genuine, impostor = [], []
    for part, left, right in zip(prepared.parts, prepared.left, prepared.right, strict=True):
        scores = vectors[left] @ vectors[right].T  # (L, D) @ (D, R) -> (L, R)
        scores[~(prepared.found[left][:, None] & prepared.found[right][None])] = MISSED
        same, other = part.masks()
        genuine.append(scores[same])
        impostor.append(scores[other])
    by_part = {
        part.name: float((own < threshold_at_fmr(others, FMR)).mean())
        for part, own, others in zip(prepared.parts, genuine, impostor, strict=True)
    }
    shared = _shared_threshold(impostor)
    one = float(np.mean([(own < shared).mean() for own in genuine]))
    return Misses(by_part, float(np.mean(list(by_part.values()))), one)


def _shared_threshold(impostor: Sequence[Floats]) -> float:
    """The least score at which the mean of the parts' false match rates is ``FMR`` or less."""
    scores = np.concatenate(impostor)
    weight = np.concatenate([np.full(len(one), 1 / len(one)) for one in impostor]) / len(impostor)
    order = np.argsort(-scores, kind="stable")
    passed = np.cumsum(weight[order])
    first = int(np.searchsorted(passed, FMR, side="right"))  # the first that must stay out
    return float(np.nextafter(scores[order[first]], np.float32(np.inf)))
