"""Films: faces found in every frame, joined to tracks, decided about, covered in all frames.

    look_at_film(path, ...)             the tracks, with what is decided: a ``PlannedFilm``
    render_film(path, planned, out)     a film in which they are covered; its sound stays

Both passes read the film from its beginning, so that a face can be covered before it is first
found. What is put over somebody does not change over the film: a mosaic that is computed anew for
each frame shows a moving face through many grids, which together show more than one
(``covering.cover``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from lineament.anonymize._paths import (
    FacePath,
    Linker,
    box_at,
    course_of,
    keyframes,
)
from lineament.anonymize._threads import in_threads
from lineament.anonymize.covering import Method, cover, mean_colors
from lineament.anonymize.people import Who
from lineament.anonymize.photos import CERTAIN, is_part, mesh_points
from lineament.anonymize.plan import Keyframe, PlannedFilm, PlannedTrack
from lineament.anonymize.regions import Shape, region_of
from lineament.embed.embedder import wrap
from lineament.embed.network import BATCH
from lineament.errors import OptionError
from lineament.files import sha256_of_file
from lineament.finder import FaceFinder
from lineament.types import Embedding, Face, Float64Array, FloatArray, Image, Photo
from lineament.video import FrameSource, VideoFrame, open_source
from lineament.video.frames import DEFAULT_VIDEO_LIMITS, SourceNote, VideoLimits
from lineament.video.writing import FORMATS, FilmWriter

VIEWS_A_SECOND = 4
"""So often a face is looked at to tell who it is, where that is asked."""

SHOWN_S = 1.5
"""Somebody who is left out is so between two views that give the name, no farther apart."""

LEAST_VIEW_PX = 24.0
"""A face that is smaller says little of who it is."""

_USUAL_RATE = 25.0

Told = Callable[[int, int], None]
"""Called with the number of frames that are done, and how many there are (0: not known)."""


def film_name(name: str) -> str:
    """Return the name for an anonymized film: the same, or with .mp4 behind it."""
    return name if Path(name).suffix.lower() in FORMATS else name + ".mp4"


class _Views:
    """What is seen of paths, for the gallery: crops first, embedded many at a time."""

    def __init__(self, who: Who) -> None:
        self._who = who
        self._waiting: list[tuple[int, int, Image]] = []
        self._made: dict[int, list[tuple[int, Embedding]]] = {}

    def add(self, path: FacePath, frame: int, crop: Image) -> None:
        """Take a view of a path."""
        self._waiting.append((id(path), frame, crop))
        if len(self._waiting) >= BATCH:
            self._embed()

    def of(self, path: FacePath) -> list[tuple[int, Embedding]]:
        """Return all of a path: numbers of frames, and embeddings."""
        self._embed()
        return self._made.get(id(path), [])

    def _embed(self) -> None:
        if not self._waiting or self._who.gallery is None:
            return
        embedder = self._who.gallery.recognizer.embedder
        vectors, norms = embedder.embed(np.stack([crop for _, _, crop in self._waiting]))
        made = wrap(vectors, norms, embedder.contract)
        for (path, frame, _), embedding in zip(self._waiting, made, strict=True):
            self._made.setdefault(path, []).append((frame, embedding))
        self._waiting = []


def look_at_film(
    path: str | os.PathLike[str],
    finder: FaceFinder,
    who: Who,
    *,
    name: str = "",
    every: int = 1,
    limits: VideoLimits = DEFAULT_VIDEO_LIMITS,
    progress: Told | None = None,
    report: Callable[[SourceNote], None] | None = None,
) -> PlannedFilm:
    """Find the faces of a film, join them to tracks, and decide about each.

    Args:
        path: of the film.
        finder: that covers need: ``thorough_finder``.
        who: whom to cover.
        name: of the file, as the plan has it.
        every: look at each so-manieth frame; what lies between is interpolated.
        limits: on what a frame may cost.
        progress: called as the work goes on.
        report: called with what is noticed of the film.

    Raises:
        VideoError: it cannot be read.
        MissingExtraError: PyAV is not installed (the extra ``video``).
        OptionError: ``every`` is not positive.
    """
    if every < 1:
        raise OptionError(f"expected 1 or more, got {every}", option="every")
    sha256 = sha256_of_file(path).hex()
    with open_source(Path(path), limits=limits, report=report) as source:
        rate = source.info.rate or _USUAL_RATE
        size_wh = source.info.size_wh
        linker, views, n_frames = _linked(source, finder, who, every, rate, progress)
    tracks = []
    for number, found in enumerate((each for each in linker.paths if each.is_somebody), 1):
        choice, shown = who.of_views(views.of(found), round(SHOWN_S * rate))
        course = course_of(found, rate, n_frames)
        tracks.append(
            PlannedTrack(
                id=number,
                frames=without(shown, course.first, course.last),
                boxes=[_keyframe(n, box) for n, box in keyframes(course)],
                hide=choice.hide or bool(shown),
                name=choice.name,
                score=round(max(found.scores), 3),
                reason=choice.reason,
            )
        )
    return PlannedFilm(path=name, sha256=sha256, size_wh=size_wh, n_frames=n_frames, tracks=tracks)


def without(shown: Sequence[tuple[int, int]], first: int, last: int) -> list[tuple[int, int]]:
    """Return the ranges of frames from ``first`` to ``last`` that are in none of some spans."""
    ranges, start = [], first
    for low, high in shown:
        if low > start:
            ranges.append((start, low - 1))
        start = max(start, high + 1)
    return [*ranges, (start, last)] if start <= last else ranges


def _keyframe(number: int, box: Float64Array) -> Keyframe:
    left, top, right, bottom = (round(float(value), 1) for value in box)
    return number, left, top, right, bottom


def _linked(
    source: FrameSource,
    finder: FaceFinder,
    who: Who,
    every: int,
    rate: float,
    progress: Told | None,
) -> tuple[Linker, _Views, int]:
    """Detections joined to paths, the views of each, and the number of frames."""
    linker, views = Linker(rate), _Views(who)
    n_frames = 0
    total = source.info.n_frames or 0

    def photos() -> Iterator[Photo]:
        nonlocal n_frames
        for frame in source:
            n_frames = frame.number + 1
            if frame.number % every == 0:
                yield Photo.from_pixels(
                    frame.pixels, source.info.name, time_s=frame.time_s, frame=frame.number
                )

    step = max(every, round(rate / VIEWS_A_SECOND / every) * every)
    cut = _cutter(finder, who, step)
    _ = finder.detector  # loaded once, not by each thread

    def look(photo: Photo) -> Photo:
        found = finder.find(photo, keep_pixels=True)
        return replace(found if cut is None else cut(found), pixels=None, pyramid=None)

    with closing(in_threads(look, photos(), finder.workers)) as looked:
        for photo in looked:
            assert photo.frame is not None
            faces = photo.faces if who.gallery is None else _whole_faces(photo.faces)
            numbers = [photo.faces.index(face) for face in faces]
            boxes = np.array([face.box_xyxy for face in faces], np.float32).reshape(-1, 4)
            scores = np.array([face.score for face in faces], np.float32)
            paths = linker.step(photo.frame, boxes, scores)
            if photo.crops is not None:
                of_face = dict(zip(numbers, paths, strict=True))
                for number, crop in zip(photo.selected, photo.crops, strict=True):
                    if number in of_face:
                        views.add(of_face[number], photo.frame, crop)
            if progress is not None:
                progress(min(photo.frame + 1, total or photo.frame + 1), total)
    return linker, views, n_frames


def _whole_faces(faces: tuple[Face, ...]) -> list[Face]:
    """Without weak boxes that show a part of a stronger one's face, who may be left out."""
    return [
        face
        for face in faces
        if face.score >= CERTAIN or not any(is_part(face, other) for other in faces)
    ]


def _cutter(finder: FaceFinder, who: Who, step: int) -> Callable[[Photo], Photo] | None:
    """What cuts the faces of some frames out, in the thread that has found them."""
    if who.gallery is None:
        return None
    alignment = who.gallery.recognizer.alignment_name

    def cut(photo: Photo) -> Photo:
        assert photo.frame is not None
        numbers = tuple(
            i
            for i, face in enumerate(photo.faces)
            if face.score >= CERTAIN and max(face.size_wh) >= LEAST_VIEW_PX
        )
        if photo.frame % step or not numbers:
            return photo
        crops = finder.crops(photo, numbers, alignment=alignment)
        return replace(photo, selected=numbers, crops=crops, embeddings=())

    return cut


# --- covering -------------------------------------------------------------------------------------


class _Covered:
    """A track while a film is rendered."""

    def __init__(self, track: PlannedTrack, method: Method, shape: Shape) -> None:
        self.track = track
        self.method: Method = method if track.method is None else track.method
        self.shape: Shape = shape if track.shape is None else track.shape
        self._frames = [box[0] for box in track.boxes]
        self._boxes: Float64Array = np.array([box[1:] for box in track.boxes], np.float64)
        self._colors: FloatArray | None = None

    def is_in(self, frame: int) -> bool:
        return any(first <= frame <= last for first, last in self.track.frames)

    def box(self, frame: int) -> Float64Array:
        return box_at(self._frames, self._boxes, frame)

    def cover(
        self, original: Image, pixels: Image, box: Float64Array, mesh: FloatArray | None
    ) -> None:
        """Cover it in ``pixels``; its colors are those of the first frame that shows all of it."""
        size_wh = pixels.shape[1], pixels.shape[0]
        region = region_of(box, size_wh, self.shape, mesh_xy=mesh)
        if region.mask.size:
            if self._colors is None:
                self._colors = mean_colors(original, region.box)
            cover(pixels, region.mask, region.box, self.method, colors=self._colors)


def render_film(
    path: str | os.PathLike[str],
    planned: PlannedFilm,
    out: str | os.PathLike[str],
    *,
    method: Method,
    shape: Shape,
    finder: FaceFinder,
    limits: VideoLimits = DEFAULT_VIDEO_LIMITS,
    progress: Told | None = None,
) -> int:
    """Write a film in which the tracks are covered whose ``hide`` is true.

    Args:
        path: of the film that was looked at.
        planned: as ``look_at_film`` or a plan has it.
        out: path of the new film; it appears when it is whole.
        method, shape: of tracks that have none of their own.
        finder: whose landmarker is asked for the shape "mesh".
        limits: on what a frame may cost.
        progress: called as the work goes on.

    Returns:
        The number of frames that were written.

    Raises:
        VideoError: the film cannot be read.
        OptionError: the new one cannot be written.
    """
    tracks = [_Covered(track, method, shape) for track in planned.tracks if track.hide]
    with open_source(Path(path), limits=limits) as source:
        frames = iter(source)
        first = next(frames, None)
        if first is None:
            raise OptionError(f"{path}: expected a film with frames, got none")
        with FilmWriter(out, source) as writer:
            try:
                for frame in chain([first], frames):
                    writer.write(replace(frame, pixels=_covered(frame, tracks, finder)))
                    if progress is not None:
                        progress(min(frame.number + 1, planned.n_frames), planned.n_frames)
            except KeyboardInterrupt:  # a part of a film would be taken for the whole one
                writer.discard()
                raise
            return writer.n_frames


def _covered(frame: VideoFrame, tracks: list[_Covered], finder: FaceFinder) -> Image:
    there = [track for track in tracks if track.is_in(frame.number)]
    if not there:
        return frame.pixels
    boxes = [track.box(frame.number) for track in there]
    meshes = _meshes(frame.pixels, there, boxes, finder)
    pixels = frame.pixels.copy()
    for track, box, mesh in zip(there, boxes, meshes, strict=True):
        track.cover(frame.pixels, pixels, box, mesh)
    return pixels


def _meshes(
    pixels: Image, tracks: list[_Covered], boxes: list[Float64Array], finder: FaceFinder
) -> list[FloatArray | None]:
    found: list[FloatArray | None] = [None] * len(tracks)
    wanted = [i for i, track in enumerate(tracks) if track.shape == "mesh"]
    if wanted:
        faces = [Face(boxes[i].astype(np.float32), 1.0) for i in wanted]
        for i, points in zip(wanted, mesh_points(finder, pixels, faces), strict=True):
            found[i] = points
    return found
