"""How well people were followed through films: HOTA, IDF1, identity switches, MOTA. NumPy only.

A film is a list of frames; of each it is known who is there (numbers of people), who was said to be
there (numbers of tracks), and how much each pair of boxes overlaps. Figures of several films are of
all their frames together.

- HOTA (Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV
  2021): the geometric mean of finding (DetA) and of keeping apart and together (AssA), averaged
  over overlaps of 0.05 to 0.95 from which on a box counts as found.
- IDF1 (Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera
  Tracking", ECCV 2016 workshops): each person is paired with one track, so that most frames agree;
  the harmonic mean of the shares of a person's frames and of a track's frames that do.
- Switches and MOTA (Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance:
  The CLEAR MOT Metrics", 2008): how often a person who was found under one number is found under
  another one next; MOTA counts them with misses and false boxes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lineament.assignment import assign
from lineament.errors import OptionError
from lineament.results import Outcome
from lineament.types import Float64Array, IntArray

OVERLAPS = np.arange(0.05, 0.99, 0.05)
"""Of HOTA's average: 0.05, 0.10, ..., 0.95."""

FOUND = 0.5
"""The overlap from which on a box counts as found, of IDF1, MOTA and switches."""

_EPS = 1e-10
_STAY = 1000.0
"""What going on with the track of the frame before is worth, beside an overlap of at most 1."""


@dataclass(frozen=True, eq=False, slots=True)
class FilmFrame:
    """One frame: who is there, and who was said to be.

    Attributes:
        people: (N,) numbers of the people, each once.
        tracks: (M,) numbers of the tracks, each once.
        overlap: (N, M) intersection over union of their boxes, 0 to 1.
    """

    people: IntArray
    tracks: IntArray
    overlap: Float64Array

    def __post_init__(self) -> None:
        """Validate; OptionError says what is wrong."""
        people, tracks = (np.asarray(a, np.int64).reshape(-1) for a in (self.people, self.tracks))
        overlap = np.asarray(self.overlap, np.float64)
        if overlap.shape != (len(people), len(tracks)):
            raise OptionError(
                f"expected {len(people)} x {len(tracks)}, got {overlap.shape}", option="overlap"
            )
        if overlap.size and not (overlap.min() >= 0 and overlap.max() <= 1):
            raise OptionError("expected shares of 0 to 1", option="overlap")
        for what, numbers in (("people", people), ("tracks", tracks)):
            if len(np.unique(numbers)) != len(numbers):
                raise OptionError(f"expected each number once, got {numbers.tolist()}", option=what)
        object.__setattr__(self, "people", people)
        object.__setattr__(self, "tracks", tracks)
        object.__setattr__(self, "overlap", overlap)


@dataclass(frozen=True, slots=True)
class TrackingReport(Outcome):
    """Figures of one or more films; shares are 0 to 1.

    Attributes:
        hota, deta, assa: averaged over overlaps.
        idf1, id_precision, id_recall: at an overlap of one half, as what follows.
        mota: at most 1; below 0 where more is wrong than there are people.
        switches: how often a person's number changed.
        n_frames, n_boxes, n_people: how much there is: of people, those of different films are
            different.
        n_found: boxes of people that were found.
        n_false: boxes of tracks where nobody is.
    """

    hota: float
    deta: float
    assa: float
    idf1: float
    id_precision: float
    id_recall: float
    mota: float
    switches: int
    n_frames: int
    n_boxes: int
    n_people: int
    n_found: int
    n_false: int


def tracking_report(films: Iterable[Sequence[FilmFrame]]) -> TrackingReport:
    """Compare tracks with the truth.

    Args:
        films: of each its frames in order. Numbers of different films are different people and
            tracks.

    Raises:
        OptionError: there is nobody in any of them.
    """
    parts = [_of_film(frames) for frames in films]
    n_boxes = sum(part.n_boxes for part in parts)
    if not n_boxes:
        raise OptionError("expected films with people, got none", option="films")
    n_tracked = sum(part.n_tracked for part in parts)
    true = np.sum([part.true for part in parts], axis=0)  # (overlaps,)
    kept = np.sum([part.kept for part in parts], axis=0)
    deta = true / (n_boxes + n_tracked - true)
    assa = kept / np.maximum(true, 1)
    agreed = sum(part.agreed for part in parts)
    found, switches = (sum(getattr(part, name) for part in parts) for name in ("found", "switches"))
    false = n_tracked - found
    return TrackingReport(
        hota=float(np.sqrt(deta * assa).mean()),
        deta=float(deta.mean()),
        assa=float(assa.mean()),
        idf1=2 * agreed / (n_boxes + n_tracked),
        id_precision=agreed / max(1, n_tracked),
        id_recall=agreed / n_boxes,
        mota=1 - (n_boxes - found + false + switches) / n_boxes,
        switches=switches,
        n_frames=sum(part.n_frames for part in parts),
        n_boxes=n_boxes,
        n_people=sum(part.n_people for part in parts),
        n_found=found,
        n_false=false,
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Part:
    """Counts of one film.

    ``true``, ``kept``: (overlaps,) boxes that were found, and the sum over them of the share that
    person and track have in common; ``agreed``: frames in which person and track are the pair.
    """

    n_frames: int
    n_boxes: int
    n_tracked: int
    n_people: int
    true: Float64Array
    kept: Float64Array
    agreed: int
    found: int
    switches: int


def _of_film(frames: Sequence[FilmFrame]) -> _Part:
    people, frames_of = _numbered([frame.people for frame in frames])
    tracks, rows_of = _numbered([frame.tracks for frame in frames])
    whole = list(zip(frames_of, rows_of, [frame.overlap for frame in frames], strict=True))
    of_people = np.bincount(np.concatenate([*frames_of, _none()]), minlength=people)
    of_tracks = np.bincount(np.concatenate([*rows_of, _none()]), minlength=tracks)
    true, kept = _hota(whole, of_people, of_tracks)
    found, switches = _clear(whole, people)
    together = np.zeros((people, tracks))
    for persons, numbers, overlap in whole:
        together[np.ix_(persons, numbers)] += overlap >= FOUND
    columns = assign(together)
    rows = np.flatnonzero(columns >= 0)
    return _Part(
        len(frames),
        int(of_people.sum()),
        int(of_tracks.sum()),
        people,
        true,
        kept,
        int(together[rows, columns[rows]].sum()),
        found,
        switches,
    )


_Frames = list[tuple[IntArray, IntArray, Float64Array]]


def _hota(
    frames: _Frames, of_people: IntArray, of_tracks: IntArray
) -> tuple[Float64Array, Float64Array]:
    """Found boxes, and the sum of their association scores, at each overlap."""
    shared = np.zeros((len(of_people), len(of_tracks)))
    for persons, numbers, overlap in frames:
        union = overlap.sum(axis=1, keepdims=True) + overlap.sum(axis=0, keepdims=True) - overlap
        shared[np.ix_(persons, numbers)] += np.divide(
            overlap, union, out=np.zeros_like(overlap), where=union > _EPS
        )
    alike = shared / np.maximum(of_people[:, None] + of_tracks - shared, _EPS)
    matched = np.zeros((len(OVERLAPS), *shared.shape))
    for persons, numbers, overlap in frames:
        columns = assign(alike[np.ix_(persons, numbers)] * overlap)
        rows = np.flatnonzero(columns >= 0)
        enough = overlap[rows, columns[rows]] >= OVERLAPS[:, None] - _EPS  # (overlaps, pairs)
        matched[:, persons[rows], numbers[columns[rows]]] += enough
    share = matched / np.maximum(of_people[:, None] + of_tracks - matched, 1)
    return matched.sum(axis=(1, 2)), (matched * share).sum(axis=(1, 2))


def _clear(frames: _Frames, people: int) -> tuple[int, int]:
    """Found boxes, and switches."""
    last, before = np.full(people, -1, np.int64), np.full(people, -1, np.int64)
    found = switches = 0
    for persons, numbers, overlap in frames:
        stays = numbers[None] == before[persons][:, None]
        worth = np.where(overlap >= FOUND - _EPS, overlap + _STAY * stays, -np.inf)
        columns = assign(worth)
        rows = np.flatnonzero(columns >= 0)
        who, which = persons[rows], numbers[columns[rows]]
        switches += int(((last[who] >= 0) & (last[who] != which)).sum())
        found += len(rows)
        last[who] = which
        before[:] = -1
        before[who] = which
    return found, switches


def _numbered(rows: Sequence[IntArray]) -> tuple[int, list[IntArray]]:
    """Any numbers -> how many different ones there are, and the same as 0, 1, 2, ..."""
    names, places = np.unique(np.concatenate([*rows, _none()]), return_inverse=True)
    ends: list[int] = np.cumsum([len(row) for row in rows])[:-1].tolist()
    return len(names), np.split(places.reshape(-1).astype(np.int64), ends) if rows else []


def _none() -> npt.NDArray[np.int64]:
    return np.zeros(0, np.int64)
