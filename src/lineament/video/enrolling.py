"""Enroll somebody from a film: the best looks at one person, in different poses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lineament.arguments import checked
from lineament.embed.embedder import wrap
from lineament.errors import NoFaceError, OptionError
from lineament.gallery import Consent, EnrollReport, Gallery, NewSample
from lineament.gallery.review import Review, Rules, rules_of
from lineament.gallery.values import checked_name
from lineament.pipeline import Recognizer
from lineament.quality import quality_of
from lineament.text import counted
from lineament.types import Face, Photo
from lineament.video.frames import DEFAULT_VIDEO_LIMITS, VideoFrame, VideoLimits
from lineament.video.people import PeopleTracker
from lineament.video.sources import open_source
from lineament.video.tracks import TrackedFrame

MOST_VIEWS = 5

SPACING_S, LATER_SPACING_S, LATER = 0.2, 1.0, 60
"""Seconds between two looks at a person that are examined; the second after so many of them."""

MOST_KEPT = 40
"""Looks at one person among which is chosen."""

YAW_DEG, PITCH_DEG, UNLIKE = 12.0, 10.0, 0.12
"""Two looks are different from so much on: degrees that the head is turned, or 1 less the cosine of
their embeddings."""

LEAST_S, LEAST_SHARE = 0.4, 0.1
"""Somebody who is seen for less, or for less than that share of the one who is seen longest, is no
reason to ask whom a film is of."""

Progress = Callable[[int, int], None]
"""Is called with how many frames are done, and how many there are as far as that is known."""


@dataclass(slots=True)
class _Looks:
    """What was seen of one person."""

    from_s: float
    to_s: float
    n_frames: int = 0
    n_examined: int = 0
    examined_s: float = -1e9
    samples: list[NewSample] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return self.to_s - self.from_s


@checked
def enroll_video(
    gallery: Gallery,
    name: str,
    source: Any,
    *,
    person: int | None = None,
    most: int = MOST_VIEWS,
    metadata: Mapping[str, Any] | None = None,
    consent: Consent | None = None,
    force: bool = False,
    review: Review | None = None,
    limits: VideoLimits = DEFAULT_VIDEO_LIMITS,
    rate: float | None = None,
    progress: Progress | None = None,
) -> EnrollReport:
    """Enroll the best looks at one person of a film, at different poses of the head.

    Args:
        gallery: open for writing.
        name: of the person, as ``Gallery.enroll`` takes it.
        source: a film, or whatever else ``open_source`` takes that ends.
        person: whom, by the number that ``watch`` gives; None: the only one who is there for long.
        most: at most so many looks.
        metadata: of the person.
        consent: of the person, as for ``Gallery.enroll``.
        force: enroll duplicates, and faces that are unlike the person's others or look like
            somebody else, too.
        review: how closely each look is examined, as for ``Gallery.enroll``.
        limits: on pixels and addresses.
        rate: see ``open_source``.
        progress: is called with each frame.

    Returns:
        What was enrolled and what was refused. The source of a sample is the film with the time,
        as "door.mp4#t=12.4".

    Raises:
        NoFaceError: nobody is in the film, or no look is good enough.
        OptionError: several people are in it, and ``person`` does not say whom; or it is a live
            source, which does not end.
        VideoError: it cannot be read.
    """
    checked_name(name)
    mode = rules_of(gallery.settings.review, review, force=force).review
    samples = best_views(
        source,
        gallery.recognizer,
        person=person,
        most=most,
        review=mode,
        limits=limits,
        rate=rate,
        progress=progress,
    )
    return gallery.enroll_embeddings(
        name, samples, metadata=metadata, consent=consent, force=force, review=review
    )


@checked
def best_views(
    source: Any,
    recognizer: Recognizer,
    *,
    person: int | None = None,
    most: int = MOST_VIEWS,
    review: Review = "standard",
    limits: VideoLimits = DEFAULT_VIDEO_LIMITS,
    rate: float | None = None,
    progress: Progress | None = None,
) -> list[NewSample]:
    """The best looks at one person of a film; arguments and errors as ``enroll_video``.

    The most recognizable look comes first; every other one differs from all before it in pose or
    appearance, and is the most recognizable of those that do.
    """
    if most < 1:
        raise OptionError(f"expected 1 or more, got {most}", option="most")
    rules = rules_of("standard", review)
    seen: dict[int, _Looks] = {}
    with open_source(source, limits=limits, rate=rate) as frames:
        film = frames.info
        if film.live:
            raise OptionError(
                f"{film.name}: expected a film, this is a live source; record it first",
                option="source",
            )
        tracker = PeopleTracker(recognizer)
        for frame in frames:
            _take(seen, recognizer, tracker.step(frame), frame, film.name, rules)
            if progress is not None:
                progress(frame.number + 1, max(film.n_frames or 0, frame.number + 1))
        tracker.finish()
    looks = _whose(seen, person, film.name)
    if not looks.samples:
        why = f": the best one: {looks.problems[0]}" if looks.problems else ""
        raise NoFaceError(f"{film.name}: no look is good enough{why}; use a film with a better one")
    return different(looks.samples, most)


def _take(
    seen: dict[int, _Looks],
    recognizer: Recognizer,
    tracked: TrackedFrame,
    frame: VideoFrame,
    film: str,
    rules: Rules,
) -> None:
    """Examine the faces of a frame that are due."""
    for event in tracked.events:
        if event.kind == "changed" and event.was_id in seen:
            _unite(seen, event.was_id, event.track_id)
    for track in tracked.tracks:
        if track.id < 1 or not track.seen or track.face is None:
            continue
        looks = seen.setdefault(track.id, _Looks(track.since_s, frame.time_s))
        looks.n_frames += 1
        looks.to_s = frame.time_s
        spacing = SPACING_S if looks.n_examined < LATER else LATER_SPACING_S
        if frame.time_s - looks.examined_s >= spacing and track.face.landmarks_xy is not None:
            looks.examined_s = frame.time_s
            looks.n_examined += 1
            _examine(looks, recognizer, frame, track.face, film, rules)


def _unite(seen: dict[int, _Looks], was: int, now: int) -> None:
    """One number turned out to be another one's."""
    old = seen.pop(was)
    new = seen.setdefault(now, _Looks(old.from_s, old.to_s))
    new.from_s, new.to_s = min(old.from_s, new.from_s), max(old.to_s, new.to_s)
    new.n_frames += old.n_frames
    new.samples += old.samples


def _examine(
    looks: _Looks,
    recognizer: Recognizer,
    frame: VideoFrame,
    face: Face,
    film: str,
    rules: Rules,
) -> None:
    photo = Photo.from_pixels(frame.pixels, f"{film}#t={frame.time_s:.2f}")
    photo = replace(photo, faces=(face,))
    crops = recognizer.finder.crops(photo, alignment=recognizer.alignment_name)
    vectors, norms = recognizer.embedder.embed(crops)
    (embedding,) = wrap(vectors, norms, recognizer.embedder.contract)
    quality = quality_of(face, crops[0], embedding, photo.size_wh)
    problems = rules.problems(recognizer, quality, crops[0])
    if problems:
        looks.problems.append("; ".join(one.message for one in problems))
        return
    looks.samples.append(NewSample(embedding, photo.source, None, face, quality, crops[0].copy()))
    if len(looks.samples) > MOST_KEPT:
        looks.samples.remove(min(looks.samples, key=worth))


def worth(sample: NewSample) -> float:
    """What looks at one person are compared by: recognizability, else the size of the face."""
    seen = None if sample.quality is None else sample.quality.recognizability
    if seen is not None:
        return float(seen)
    return 0.0 if sample.face is None else float(max(sample.face.size_wh)) / 1e4


def different(samples: Sequence[NewSample], most: int) -> list[NewSample]:
    """The best of them that differ, the best first."""
    chosen: list[NewSample] = []
    for sample in sorted(samples, key=worth, reverse=True):
        if all(_differ(sample, other) for other in chosen):
            chosen.append(sample)
        if len(chosen) == most:
            break
    return chosen


def _differ(a: NewSample, b: NewSample) -> bool:
    alike = float(np.dot(a.embedding.vector, b.embedding.vector))
    if 1 - alike >= UNLIKE:
        return True
    one = None if a.face is None else a.face.pose
    other = None if b.face is None else b.face.pose
    if one is None or other is None:
        return False
    return (
        abs(one.yaw_deg - other.yaw_deg) >= YAW_DEG
        or abs(one.pitch_deg - other.pitch_deg) >= PITCH_DEG
    )


def _whose(seen: Mapping[int, _Looks], person: int | None, film: str) -> _Looks:
    """The looks at the one who is meant."""
    if not seen:
        raise NoFaceError(f"{film}: nobody is in it; use a film in which the face is larger")
    if person is not None:
        if person not in seen:
            raise OptionError(f"expected one of {_listed(seen)}, got {person}", option="person")
        return seen[person]
    longest = max(looks.n_frames for looks in seen.values())
    there = {
        number: looks
        for number, looks in seen.items()
        if looks.n_frames == longest
        or (looks.seconds >= LEAST_S and looks.n_frames >= LEAST_SHARE * longest)
    }
    if len(there) > 1:
        raise OptionError(
            f"{film}: expected a film of one person, {counted(len(there), 'person', 'people')} are "
            f"in it: {_listed(there)}",
            option="person",
            hint="; say whom by the number ({shots})",
        )
    return next(iter(there.values()))


def _listed(seen: Mapping[int, _Looks]) -> str:
    return ", ".join(
        f"{number} ({looks.from_s:.1f} to {looks.to_s:.1f} s)"
        for number, looks in sorted(seen.items())[:10]
    )
