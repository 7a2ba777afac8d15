"""The people of a film, for ``gallery.grouping``: one face each, from their best views.

A film is to a grouping what a photo is: its faces are of different people, since ``PeopleTracker``
gives whoever leaves and returns the same number. So no two of them are ever in one group.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from lineament.align.alignment import align_faces
from lineament.arguments import checked
from lineament.errors import LineamentError
from lineament.gallery.grouping import GroupFace, GroupPhoto
from lineament.pipeline import Recognizer
from lineament.types import Image
from lineament.video.frames import DEFAULT_VIDEO_LIMITS, VideoLimits
from lineament.video.people import PeopleTracker
from lineament.video.sources import open_source
from lineament.video.tracks import BestShot, TrackOptions


class FilmPeople(NamedTuple):
    """Who is in a film, as ``gallery.grouping.group`` takes it.

    Attributes:
        photo: the film; ``error`` says why it could not be read.
        faces: one for each person: where the best view shows it, and the embedding that is pooled
            over the best views.
        crops: (N, S, S, 3) uint8, the aligned faces of the best views.
    """

    photo: GroupPhoto
    faces: tuple[GroupFace, ...]
    crops: Image | None


@dataclass(slots=True)
class _Seen:
    """The best shot of a person, and the face in it, aligned."""

    shot: BestShot
    crop: Image


@checked
def people_of_film(
    path: str | os.PathLike[str],
    recognizer: Recognizer,
    *,
    options: TrackOptions | None = None,
    limits: VideoLimits = DEFAULT_VIDEO_LIMITS,
    progress: Callable[[int, int], None] | None = None,
) -> FilmPeople:
    """Follow the people of a film, and return one face for each.

    Args:
        path: of the film.
        recognizer: finds and embeds faces.
        options: of ``PeopleTracker``; None: its defaults.
        limits: on what a frame may cost.
        progress: called with the number of frames that are done, and of all (0: not known).

    Returns:
        The people. Of a film that cannot be read its error, also where PyAV is not installed (the
        extra ``video``).
    """
    name = os.path.abspath(path)  # noqa: PTH100 (without "..", as photos of a grouping)
    try:
        tracker, best = _followed(name, recognizer, options, limits, progress)
    except LineamentError as error:
        return FilmPeople(GroupPhoto(name, 0, str(error)), (), None)
    contract = recognizer.embedder.contract
    problems_of = recognizer.judge.all_limits.problems
    there = {one.id for one in tracker.memory.people()}
    faces: list[GroupFace] = []
    crops: list[Image] = []
    for person, seen in sorted(best.items()):
        if person not in there:  # it turned out to be somebody else
            continue
        quality = seen.shot.quality
        problems = () if quality is None else problems_of(quality)
        embedding = tracker.memory[person].views.embedding(contract)
        faces.append(GroupFace(name, len(faces), seen.shot.face, embedding, problems))
        crops.append(seen.crop)
    return FilmPeople(
        GroupPhoto(name, len(faces)), tuple(faces), np.stack(crops) if crops else None
    )


def _followed(
    path: str,
    recognizer: Recognizer,
    options: TrackOptions | None,
    limits: VideoLimits,
    progress: Callable[[int, int], None] | None,
) -> tuple[PeopleTracker, dict[int, _Seen]]:
    """A tracker that has seen the film, and the best shot of each number."""
    alignment = recognizer.alignment_name
    best: dict[int, _Seen] = {}
    with open_source(path, limits=limits) as source:
        tracker = PeopleTracker(recognizer, options=options)
        total = source.info.n_frames or 0
        for frame in source:
            for track in tracker.step(frame).tracks:
                shot = track.best_shot
                if shot is None or shot.frame != frame.number:
                    continue
                before = best.get(track.id)
                if before is None or _worth(shot) > _worth(before.shot):
                    (crop,) = align_faces(frame.pixels, [shot.face], alignment)
                    best[track.id] = _Seen(replace(shot, picture=shot.picture[:1, :1]), crop)
            if progress is not None:
                progress(frame.number + 1, max(total, frame.number + 1) if total else 0)
        tracker.finish()
    return tracker, best


def _worth(shot: BestShot) -> float:
    recognizable = None if shot.quality is None else shot.quality.recognizability
    sure = shot.face.score if recognizable is None else recognizable
    return sure * min(max(shot.face.size_wh), 112.0)
