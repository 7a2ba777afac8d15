"""A film judged from its end: who was in it, where and when, with all of it known.

    tracker = PeopleTracker(recognizer, gallery, options=TrackOptions(revise=True))
    for frame in source:
        tracker.step(frame)
    tracker.finish()
    revision = tracker.revision()
    for frame in the_same_source_again:
        revision.step(frame).tracks, revision.step(frame).events

While a film runs, it must be said at once who somebody is, by the views up to then. From its end
all views of a path are known before it is said whose it is (``_clusters``), a person has one number
from the first frame on, and a name is that of all views together.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from lineament.errors import OptionError
from lineament.gallery import Candidate, Gallery
from lineament.liveness.passive import PassiveLiveness
from lineament.pipeline import Recognizer
from lineament.types import Face, FloatArray, Image, Liveness
from lineament.video._binding import CLEAR, Levels
from lineament.video._clusters import BESIDE, beside, cut_apart, given_back, joined
from lineament.video._record import Kept, Record
from lineament.video._visits import MOST_CHECKS, cut_shot
from lineament.video.events import Event, EventKind
from lineament.video.frames import VideoFrame
from lineament.video.identity import MOST_VIEWS
from lineament.video.memory import Memory, Person
from lineament.video.tracks import BestShot, Status, Track, TrackedFrame, TrackOptions


@dataclass(eq=False, slots=True)
class _Stay:
    """From when to when somebody is there, in rows of the record."""

    first: int
    last: int
    best: Kept | None
    shot: BestShot | None = None
    liveness: Liveness | None = None


@dataclass(eq=False, slots=True)
class _Somebody:
    """One person of the film."""

    person: Person
    groups: list[int]
    known: bool
    stays: list[_Stay] = field(default_factory=list)
    candidates: tuple[Candidate, ...] = ()
    match: Candidate | None = None
    best: Kept | None = None

    def stay_at(self, row: int) -> _Stay:
        """The stay that a frame belongs to."""
        place = bisect_right([stay.first for stay in self.stays], row) - 1
        return self.stays[max(0, place)]


class Revision:
    """Who was who in a film. For one thread."""

    def __init__(
        self,
        record: Record,
        memory: Memory,
        levels: Levels,
        recognizer: Recognizer,
        gallery: Gallery | None,
        options: TrackOptions,
        passive: PassiveLiveness | None,
    ) -> None:
        """Use ``PeopleTracker.revision``.

        Args:
            record: of the film.
            memory: people seen before the film; those of the film are added.
            levels: thresholds of the cosine.
            recognizer: whose calibration says how much more it takes for bad views.
            gallery: people with names; None: everybody has a number only.
            options: of the tracking.
            passive: the check that the record was made with.
        """
        self._record, self._options, self._gallery = record, options, gallery
        rise = _rise_by(recognizer)
        stretches = cut_apart(record.stretches(), levels.unlike)
        groups = joined(stretches, levels.likely, rise)
        self._groups = given_back(groups, levels.unlike, levels.likely, rise)
        self._beside = beside(self._groups) >= BESIDE
        self._people = self._known_people(memory, levels, rise)
        self._learn(memory)
        if gallery is not None:
            self._name(memory, gallery)
        for one in self._people:
            one.stays = self._stays_of(one, passive)
            one.person.n_visits += len(one.stays)
            one.person.name = self._name_of(one)
        self._owners = self._owners_by_path()
        self._events: dict[int, list[Event]] = defaultdict(list)
        self._row = -1
        self._tell()

    # --- whose paths they are ---------------------------------------------------------------------

    def _known_people(
        self, memory: Memory, levels: Levels, rise: Callable[[float, float], float]
    ) -> list[_Somebody]:
        """Everybody in the film: people of the memory, and new ones in the order of appearance."""
        pairs: list[tuple[float, int, int]] = []
        for number, group in enumerate(self._groups):
            ids, alike = memory.similarities(group.pool.astype(np.float32))
            for place in np.flatnonzero(alike >= levels.likely).tolist():
                person = memory[int(ids[place])]
                above = float(alike[place]) - levels.likely - rise(group.best, person.views.best)
                if above >= 0:
                    pairs.append((above, number, person.id))
        found: dict[int, _Somebody] = {}
        taken: set[int] = set()
        for _, number, known in sorted(pairs, reverse=True):
            before = found.get(known)
            if number in taken or (before and self._beside[before.groups, number].any()):
                continue
            taken.add(number)
            if before is None:
                found[known] = _Somebody(memory[known], [number], True)
            else:
                before.groups.append(number)
        people = list(found.values())
        people += [
            _Somebody(memory.new(), [number], False)
            for number in range(len(self._groups))
            if number not in taken
        ]
        return people

    def _learn(self, memory: Memory) -> None:
        for one in self._people:
            kept = [each for number in one.groups for each in self._groups[number].kept]
            kept.sort(key=lambda each: -each.view.worth)
            one.best = kept[0]
            for each in kept[: 4 * MOST_VIEWS]:
                memory.learn(one.person, each.view)

    def _name(self, memory: Memory, gallery: Gallery) -> None:
        """Ask the gallery about all people; no two who are seen together have one name."""
        answers = gallery.identify_embeddings(
            [one.person.views.embedding(gallery.contract) for one in self._people],
            qualities=[None if one.best is None else one.best.quality for one in self._people],
            top=max(self._options.top, 2),
            fpir=self._options.fpir,
            threshold=self._options.threshold,
            purpose=self._options.purpose,
        )
        wishes: list[tuple[float, int, Candidate]] = []
        for number, (one, answer) in enumerate(zip(self._people, answers, strict=True)):
            one.candidates = answer.candidates
            for candidate in answer.candidates:
                above = candidate.similarity - candidate.threshold_rise - answer.threshold.value
                if above >= 0:
                    wishes.append((above, number, candidate))
        wishes.sort(key=lambda wish: -wish[0])
        named: dict[str, _Somebody] = {}
        gone: set[int] = set()
        for _, number, candidate in wishes:
            one, before = self._people[number], named.get(candidate.name)
            if one.match is not None or number in gone:
                continue
            if before is None:
                one.match = candidate
                named[candidate.name] = one
            elif not self._are_beside(before, one) and not (before.known and one.known):
                self._take_over(memory, before, one)
                gone.add(number)
        self._people = [one for i, one in enumerate(self._people) if i not in gone]

    def _are_beside(self, one: _Somebody, other: _Somebody) -> bool:
        return bool(self._beside[np.ix_(one.groups, other.groups)].any())

    def _take_over(self, memory: Memory, one: _Somebody, other: _Somebody) -> None:
        """Two have one name, and were never seen together: they are one person."""
        keep, go = (other, one) if other.known else (one, other)
        memory.merge(keep.person, go.person)
        one.person, one.known = keep.person, keep.known
        one.groups += other.groups

    # --- when they are there ----------------------------------------------------------------------

    def _stays_of(self, one: _Somebody, passive: PassiveLiveness | None) -> list[_Stay]:
        stretches = [s for number in one.groups for s in self._groups[number].stretches]
        rows = np.unique(np.concatenate([s.at[s.seen] for s in stretches] or [np.zeros(0, int)]))
        if not len(rows):
            return []
        times = np.array(self._record.times_s)[rows]
        apart = np.flatnonzero(np.diff(times) > self._options.lost_s) + 1
        kept = [each for number in one.groups for each in self._groups[number].kept]
        kept.sort(key=lambda each: each.at)
        stays = []
        for those in np.split(rows, apart):
            first, last = int(those[0]), int(those[-1])
            inside = [each for each in kept if first <= each.at <= last]
            stay = _Stay(first, last, max(inside, key=lambda each: each.worth, default=None))
            checks = [each.liveness for each in inside if each.liveness is not None]
            if passive is not None and checks:
                stay.liveness = passive.conclude(checks[-MOST_CHECKS:])
            stays.append(stay)
        return stays

    def _name_of(self, one: _Somebody) -> str | None:
        """Who was never seen alive, where that is asked for, has no name."""
        if one.match is None or not any(_is_there(stay) for stay in one.stays):
            return None
        return one.match.name

    def _owners_by_path(self) -> dict[int, tuple[list[int], list[_Somebody]]]:
        """Of each path the rows from which on it is somebody's."""
        parts: dict[int, list[tuple[int, _Somebody]]] = defaultdict(list)
        for one in self._people:
            for number in one.groups:
                for stretch in self._groups[number].stretches:
                    parts[stretch.path].append((int(stretch.at[0]), one))
        owners = {}
        for path, those in parts.items():
            those.sort(key=lambda part: part[0])
            owners[path] = [row for row, _ in those], [one for _, one in those]
        return owners

    def _owner(self, path: int, row: int) -> _Somebody | None:
        if path not in self._owners:
            return None
        rows, people = self._owners[path]
        place = bisect_right(rows, row) - 1
        return people[place] if place >= 0 else None

    def _tell(self) -> None:
        """Write down what happens, by the frame in which it is to be said."""
        times = self._record.times_s
        for one in self._people:
            for i, stay in enumerate(one.stays):
                come = self._events[stay.first]
                come.append(self._event("appeared", one, stay, known=one.known or i > 0))
                if one.match is not None and _is_there(stay):
                    come.append(self._event("identified", one, stay))
                over = bisect_right(times, times[stay.last] + self._options.lost_s)
                self._events[over].append(self._left(one, stay, stay.last))

    def _event(self, kind: EventKind, one: _Somebody, stay: _Stay, **more: Any) -> Event:
        match = one.match if _is_there(stay) and kind != "appeared" else None
        return Event(
            kind,
            self._record.times_s[stay.first],
            self._record.numbers[stay.first],
            one.person.id,
            name=None if match is None else match.name,
            probability=None if match is None else match.probability,
            **more,
        )

    def _left(self, one: _Somebody, stay: _Stay, row: int) -> Event:
        times = self._record.times_s
        return replace(
            self._event("left", one, stay, duration_s=times[row] - times[stay.first]),
            time_s=times[row],
            frame=self._record.numbers[row],
        )

    def finish(self) -> tuple[Event, ...]:
        """Say goodbye to all who are there in the frame that came last."""
        times = self._record.times_s
        events = [
            self._left(one, stay, min(stay.last, self._row))
            for one in self._people
            for stay in one.stays
            if stay.first <= self._row
            and bisect_right(times, times[stay.last] + self._options.lost_s) > self._row
        ]
        return tuple(sorted(events, key=lambda event: event.time_s))

    # --- frame by frame ---------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many frames."""
        return len(self._record)

    def step(self, frame: VideoFrame) -> TrackedFrame:
        """Say who is in a frame; the frames come in order once more.

        Raises:
            OptionError: a frame that was not there the first time.
        """
        row = self._record.row_of(frame.number)
        if row is None:
            raise OptionError(
                f"expected the frames of before, got number {frame.number}", option="frame"
            )
        self._row = row
        found: dict[int, Track] = {}
        for path, box, face in self._record.faces(row):
            one = self._owner(path, row)
            track = self._track(one, -path, box, face, row, frame.pixels)
            before = found.get(track.id)
            if before is None or _rank(before) < _rank(track):
                found[track.id] = track
        return TrackedFrame(
            frame.number,
            frame.time_s,
            tuple(found.values()),
            tuple(self._events.get(row, ())),
            self._record.was_detected(row),
        )

    def _track(
        self,
        one: _Somebody | None,
        number: int,
        box: FloatArray,
        face: Face | None,
        row: int,
        pixels: Image,
    ) -> Track:
        if one is None or not one.stays:
            return Track(number, box, face is not None, face)
        stay = one.stay_at(row)
        best = stay.best
        if stay.shot is None and best is not None and best.at == row and face is not None:
            stay.shot = BestShot(
                self._record.times_s[row], self._record.numbers[row], face, best.quality,
                cut_shot(face, pixels),
            )  # fmt: skip
        match = one.match if _is_there(stay) else None
        first = next(iter(one.candidates), None) if match is None else match
        return Track(
            one.person.id,
            box,
            face is not None,
            face,
            name=None if match is None else match.name,
            status=_status(one, stay),
            probability=None if first is None else first.probability,
            candidates=one.candidates,
            quality=None if best is None else best.quality,
            best_shot=stay.shot,
            liveness=stay.liveness,
            since_s=self._record.times_s[stay.first],
        )


def _is_there(stay: _Stay) -> bool:
    """Whether a name may be given: nothing was asked, or somebody alive was seen."""
    return stay.liveness is None or stay.liveness.live


def _status(one: _Somebody, stay: _Stay) -> Status:
    if not _is_there(stay):
        return "not_live"
    if one.match is not None:
        return "named"
    return "undecided" if one.person.views.best < CLEAR else "unknown"


def _rank(track: Track) -> float:
    """Of two looks at one person in one frame the surer one is kept."""
    return -1.0 if track.face is None else track.face.score


def _rise_by(recognizer: Recognizer) -> Callable[[float, float], float]:
    calibration = recognizer.calibration
    if calibration is None:
        return lambda one, other: 0.0

    @cache
    def rise(one: int, other: int) -> float:
        assert calibration is not None
        return calibration.condition(one / 100, other / 100).threshold_rise

    return lambda one, other: rise(*sorted((int(100 * one), int(100 * other))))
