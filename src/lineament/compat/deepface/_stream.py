"""``DeepFace.stream``: people of a folder in a film or before a camera (``lineament.video``)."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lineament.attributes import load_age_estimator
from lineament.compat.deepface import _models as known
from lineament.compat.deepface._store import Stored, store_of
from lineament.datasets.people_folder import name_in
from lineament.errors import LineamentError, VideoError
from lineament.gallery import Gallery
from lineament.pictures.photos import save_picture
from lineament.pictures.tracked import tracked_picture
from lineament.types import Embedding, Image
from lineament.video import FilmWriter, TrackOptions, open_source, watch
from lineament.video.frames import VideoFrame
from lineament.video.tracks import Track
from lineament.video.watching import WatchedFrame

WINDOW = "img"
SHOTS = "freezed_{}_{}.jpg"


@dataclass(slots=True)
class Options:
    """How a stream is watched.

    Attributes:
        detector_backend: as it was named.
        ages: write how old people look.
        time_threshold: seconds for which somebody who is not seen keeps the name.
        frame_threshold: frames that somebody is seen before anything is written.
        live: only people who are found to be there have a name.
        output_path: of a film.
        debug: write each person's best look into the working directory.
    """

    detector_backend: str
    ages: bool
    time_threshold: float
    frame_threshold: int
    live: bool
    output_path: str | None
    debug: bool


@dataclass(slots=True)
class _Labels:
    """Since when people are seen, and how old they look."""

    least: int
    with_ages: bool
    seen: Counter[int] = field(default_factory=Counter)
    ages: dict[int, int] = field(default_factory=dict)

    def settled(self, frame: WatchedFrame) -> WatchedFrame:
        """The frame with those who were seen long enough, and their ages beside their names."""
        self.seen.update(track.id for track in frame.tracks if track.seen)
        shown = [track for track in frame.tracks if self.seen[track.id] >= self.least]
        return replace(frame, tracks=tuple(self._labelled(track, frame.pixels) for track in shown))

    def _labelled(self, track: Track, pixels: Image) -> Track:
        if not self.with_ages or track.id < 0 or track.name is None:
            return track
        if track.id not in self.ages and track.face is not None:
            years = load_age_estimator().read(pixels, [track.face]).years
            self.ages[track.id] = round(float(years[0]))
        age = self.ages.get(track.id)
        return track if age is None else replace(track, name=f"{track.name}, {age}")


def gallery_of(folder: str, stored: Stored, model: known.Known) -> Gallery:
    """The people of a folder in memory: those of one folder in it are one, else of one name."""
    gallery = Gallery.in_memory(recognizer=model.recognizer)
    contract = model.recognizer.embedder.contract
    samples: dict[str, list[Embedding]] = {}
    for path, vector, norm in zip(stored.paths.tolist(), stored.vectors, stored.norms, strict=True):
        samples.setdefault(_person(path), []).append(Embedding(vector, float(norm), contract))
    for name, embeddings in samples.items():
        try:
            gallery.enroll_embeddings(name, embeddings, force=True)
        except LineamentError as error:  # no name that a person can have
            warnings.warn(f"{folder}: {error}", UserWarning, stacklevel=4)
    return gallery


def _person(path: str) -> str:
    """ "Alice/Alice1.jpg" and "Alice.jpg" show Alice."""
    first, *more = Path(path).parts
    return first if more else name_in(Path(path).stem) or Path(path).stem


def run(folder: str, model: known.Known, source: str | int, options: Options) -> None:
    """Watch until the source ends, or "q" is pressed in the window; see ``DeepFace.stream``."""
    store = store_of(folder, model, options.detector_backend)
    stored = store.stored(refresh=True)
    if store.is_empty:
        warnings.warn(f"No item found in {folder}: nobody has a name", UserWarning, stacklevel=3)
    labels = _Labels(max(1, int(options.frame_threshold)), options.ages)
    how = TrackOptions(
        lost_s=max(1.0, float(options.time_threshold)),
        liveness="passive" if options.live else "off",
    )
    best: dict[int, Image] = {}
    with ExitStack() as stack:
        gallery = stack.enter_context(gallery_of(folder, stored, model))
        try:
            frames = stack.enter_context(open_source(source))
        except VideoError as error:
            warnings.warn(f"the source is not watched: {error}", UserWarning, stacklevel=3)
            return
        film = None
        if options.output_path is not None:
            place = Path(options.output_path)
            place.parent.mkdir(parents=True, exist_ok=True)
            film = FilmWriter(place, frames)
            stack.callback(film.discard)  # without effect once it is closed
        for drawn, frame in _drawn(frames, gallery, model, how, labels):
            if film is not None:
                film.write(VideoFrame(frame.number, frame.time_s, drawn))
            for track in frame.tracks:
                if track.best_shot is not None and track.id > 0:
                    best[track.id] = track.best_shot.picture
            if _window_ended(drawn):
                break
        if film is not None:
            film.close()
    if options.debug:
        for number, picture in best.items():
            save_picture(picture, Path(SHOTS.format(number, 0)))


def _drawn(
    frames: Any, gallery: Gallery, model: known.Known, how: TrackOptions, labels: _Labels
) -> Iterator[tuple[Image, WatchedFrame]]:
    with watch(frames, gallery, recognizer=model.recognizer, options=how) as watched:
        for frame in watched:
            settled = labels.settled(frame)
            yield tracked_picture(settled), settled


def _window_ended(drawn: Image) -> bool:
    """Show a frame where OpenCV has windows and there is a screen; whether "q" was pressed."""
    if not _has_windows():
        return False
    try:
        cv2.imshow(WINDOW, np.ascontiguousarray(drawn[..., ::-1]))
        pressed = cv2.waitKey(1) & 0xFF == ord("q")
        if pressed:
            cv2.destroyAllWindows()
    except cv2.error:
        return False
    return bool(pressed)


def _has_windows() -> bool:
    if os.name == "posix" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    lines = [line.split() for line in cv2.getBuildInformation().splitlines()]
    return not any(words[:2] == ["GUI:", "NONE"] for words in lines)
