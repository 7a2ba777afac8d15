"""Films -> what a tracker makes of them, held against the truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from filming import script as scripts
from filming.cast import Actor, Cutout, cut_out
from filming.render import Truth, render
from lineament import FaceFinder, Gallery, LineamentError, Recognizer
from lineament.detect.boxes import intersection_over_union
from lineament.evaluate.tracking import FilmFrame, tracking_report
from lineament.types import Image
from lineament.video import VideoFrame
from lineament.video.people import PeopleTracker
from lineament.video.tracks import Track, TrackOptions

VISIBLE = 0.5
"""The share of a face that must be visible for it to count; of one that does not, a box is neither
right nor wrong."""

LEAST_FRAMES = 5
"""Visits in fewer frames that count are nobody's fault."""

FOUND = 0.5

People = Sequence[tuple[Actor, Sequence[Sequence[Cutout]]]]


@dataclass
class VisitSeen:
    """What was made of one visit.

    Attributes:
        name: of the person, if enrolled.
        n_frames: that count.
        answers: names that were given, frame by frame; "" where the face was not found.
        ids: likewise the tracks' numbers; 0 where the face was not found.
    """

    name: str | None
    n_frames: int = 0
    answers: list[str | None] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether the last answer is right: a name, or none for who is not enrolled."""
        found = [one for one in self.answers if one != ""]
        return bool(found) and found[-1] == self.name


@dataclass
class FilmSeen:
    """What was made of one film."""

    frames: list[FilmFrame]
    visits: dict[int, VisitSeen]
    n_frames: int


def load(actors: Sequence[Actor], many: int, finder: FaceFinder) -> People:
    """Cut the heads of the first ``many`` people out of whom each photo has one face."""
    people: list[tuple[Actor, Sequence[Sequence[Cutout]]]] = []
    for actor in actors:
        looks = [[cut_out(path, finder) for path in look] for look in actor.looks]
        whole = [[one for one in look if one is not None] for look in looks]
        if all(whole):
            people.append((actor, whole))
        if len(people) == many:
            # The sets took turns, and so do those who are enrolled: every second one.
            order = np.random.default_rng(many).permutation(many)
            return [people[i] for i in order.tolist()]
    raise LineamentError(f"expected at most {len(people)} people, got {many}")


def enrolled(people: People, recognizer: Recognizer) -> Gallery:
    """A gallery with every second person, one photo each, whatever its quality."""
    gallery = Gallery.in_memory(recognizer=recognizer)
    for actor, _ in people[::2]:
        gallery.enroll(actor.name, actor.enrolled, choose=True, on_low_quality="accept", force=True)
    return gallery


def films(
    people: People,
    recognizer: Recognizer,
    gallery: Gallery,
    *,
    per_film: int,
    seed: int,
    options: TrackOptions,
    progress: Any = None,
    script: Any = None,
) -> list[FilmSeen]:
    """Render films of ``per_film`` people each, and follow them.

    With ``options.revise`` what counts is what is said of each frame from the film's end.
    """
    seen = []
    numbers: Iterable[int] = range(len(people) // per_film)
    known = {actor.name for actor, _ in people[::2]}
    for number in numbers if progress is None else progress(numbers):
        those = people[number * per_film : (number + 1) * per_film]
        visits = min(len(looks) for _, looks in those)
        made = scripts.write(seed + number, len(those), visits, **(script or {}))
        tracker = PeopleTracker(recognizer, gallery, options=options)
        film = FilmSeen([], {}, 0)
        for visit, one in enumerate(made.visits):
            name = those[one.person][0].name
            film.visits[visit] = VisitSeen(name if name in known else None)
        truths: list[tuple[VideoFrame, Truth]] = []
        blank: Image | None = None
        for frame, truth in render(made, [looks for _, looks in those], seed + number):
            tracked = tracker.step(frame)
            if options.revise:  # pixels are for the best shots alone then
                blank = np.zeros_like(frame.pixels) if blank is None else blank
                truths.append((replace(frame, pixels=blank), truth))
            else:
                _compare(film, truth, tracked.tracks)
        tracker.finish()
        revision = tracker.revision() if options.revise else None
        for frame, truth in truths:
            assert revision is not None
            _compare(film, truth, revision.step(frame).tracks)
        seen.append(film)
    return seen


def _compare(film: FilmSeen, truth: Truth, tracks: Sequence[Track]) -> None:
    """Take one frame into account."""
    film.n_frames += 1
    said = [track for track in tracks if track.seen and track.status != "new"]
    boxes = np.array([track.box_xyxy for track in said], np.float32).reshape(-1, 4)
    overlap = intersection_over_union(truth.boxes_xyxy, boxes).astype(np.float64)
    counts = truth.visible >= VISIBLE
    of_counted = overlap[counts].max(axis=0, initial=0)
    of_others = overlap[~counts].max(axis=0, initial=0)
    stays = ~((of_counted < FOUND) & (of_others >= 0.3))
    said = [track for track, stay in zip(said, stays, strict=True) if stay]
    overlap = np.clip(overlap[counts][:, stays], 0, 1)
    ids = np.array([track.id for track in said], np.int64)
    film.frames.append(FilmFrame(truth.people[counts], ids, overlap))
    for visit, row in zip(truth.visits[counts].tolist(), overlap, strict=True):
        one = film.visits[visit]
        one.n_frames += 1
        best = int(row.argmax()) if len(row) else -1
        found = best >= 0 and row[best] >= FOUND
        one.answers.append(said[best].name if found else "")
        one.ids.append(said[best].id if found else 0)


def figures(seen: Sequence[FilmSeen]) -> dict[str, Any]:
    """Everything in numbers."""
    report = tracking_report([film.frames for film in seen])
    visits = [one for film in seen for one in film.visits.values() if one.n_frames >= LEAST_FRAMES]
    known = [one for one in visits if one.name is not None]
    strangers = [one for one in visits if one.name is None]
    named = [(answer, one.name) for one in visits for answer in one.answers if answer != ""]
    return {
        "idf1": report.idf1,
        "hota": report.hota,
        "deta": report.deta,
        "assa": report.assa,
        "mota": report.mota,
        "switches": report.switches,
        "switches_per_100_tracks": 100 * report.switches / len(visits),
        "identity_accuracy": sum(one.right for one in visits) / len(visits),
        "identity_accuracy_enrolled": sum(one.right for one in known) / max(1, len(known)),
        "identity_accuracy_strangers": sum(one.right for one in strangers) / max(1, len(strangers)),
        "right_in_frames": sum(a == b for a, b in named) / max(1, len(named)),
        "wrong_name_in_frames": sum(a is not None and a != b for a, b in named)
        / max(1, len(named)),
        "recall": report.n_found / report.n_boxes,
        "false_per_frame": report.n_false / report.n_frames,
        "n_films": len(seen),
        "n_frames": report.n_frames,
        "n_boxes": report.n_boxes,
        "n_people": report.n_people,
        "n_tracks": len(visits),
    }
