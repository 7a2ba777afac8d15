"""Who is in the picture now: since when, under which name, by which best look.

A visit begins when it is settled whose a path is, and ends when its person was not seen for a
while, whatever became of the path in between.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from lineament.gallery import Candidate, Gallery
from lineament.liveness.passive import PassiveLiveness
from lineament.liveness.passive import View as LivenessView
from lineament.types import Contract, Face, Image, Liveness, Quality
from lineament.video._binding import CLEAR
from lineament.video._following import look_of
from lineament.video.events import Event, EventKind
from lineament.video.frames import VideoFrame
from lineament.video.identity import Naming, View, Wish, share_out
from lineament.video.memory import Person
from lineament.video.tracks import BestShot, Status, TrackOptions

MOST_CHECKS = 10
"""Of the last views of a visit, by which it is judged whether somebody is there."""

SHOT_MARGIN, SHOT_PX = 0.35, 256
"""Of the best shot: what is shown around the box, in its sides, and its longest side."""


@dataclass(eq=False, slots=True)
class Visit:
    """What is known of a person while in the picture."""

    since_s: float
    seen_s: float = 0.0
    seen_frame: int = 0
    naming: Naming = field(default_factory=Naming)
    candidates: tuple[Candidate, ...] = ()
    threshold: float = 0.0
    quality: Quality | None = None
    shot: BestShot | None = None
    shot_worth: float = -1.0
    poor: bool = True
    checks: list[LivenessView] = field(default_factory=list)
    liveness: Liveness | None = None

    @property
    def match(self) -> Candidate | None:
        """The candidate who has the name, else the first."""
        name = self.naming.name
        named = (one for one in self.candidates if one.name == name)
        return next(named, next(iter(self.candidates), None))

    @property
    def is_doubted(self) -> bool:
        """Whether it was checked, and is not known to be alive."""
        return self.liveness is not None and not self.liveness.live

    @property
    def status(self) -> Status:
        """As in ``Track``."""
        if self.is_doubted:
            return "not_live"
        if self.naming.name is not None:
            return "named"
        if self.poor or self.naming.count:
            return "undecided"
        return "unknown"


class Visits:
    """The visits that go on, by the person's number, and the events that were not yet handed on."""

    def __init__(self, gallery: Gallery | None, contract: Contract, options: TrackOptions) -> None:
        """Begin with an empty picture."""
        self._gallery, self._contract, self._options = gallery, contract, options
        self._visits: dict[int, Visit] = {}
        self._people: dict[int, Person] = {}
        self._events: list[Event] = []
        self.n_left_out: int | None = None
        """People who were not searched for want of a consent, when the gallery was asked last."""
        # Where it is checked, it has to be seen again that somebody is there, and may be named.
        self._names_are_kept = options.liveness == "off" and options.purpose is None

    def __contains__(self, number: int) -> bool:
        """Whether that person is in the picture."""
        return number in self._visits

    def __getitem__(self, number: int) -> Visit:
        """The visit of that person; KeyError: not in the picture."""
        return self._visits[number]

    def taken_events(self) -> tuple[Event, ...]:
        """What happened since this was asked last."""
        events, self._events = tuple(self._events), []
        return events

    def begin(self, person: Person, since_s: float, frame: VideoFrame) -> None:
        """Somebody is there, unless that is known."""
        if person.id in self._visits:
            return
        visit = self._visits[person.id] = Visit(since_s, frame.time_s, frame.number)
        self._people[person.id] = person
        if self._names_are_kept:
            visit.naming.name = person.name
        known = person.n_visits > 0
        person.n_visits += 1
        self._say("appeared", since_s, frame.number, person, known=known)

    def see(self, person: Person, frame: VideoFrame) -> None:
        """Somebody is seen."""
        visit = self._visits[person.id]
        visit.seen_s, visit.seen_frame = frame.time_s, frame.number

    def turn_out(self, person: Person, other: Person, frame: VideoFrame) -> None:
        """``person`` turns out to be ``other``, who was seen before, and is not in the picture."""
        visit = self._visits[other.id] = self._visits.pop(person.id)
        del self._people[person.id]
        self._people[other.id] = other
        other.n_visits += 1
        if visit.naming.name is None and self._names_are_kept:
            visit.naming.name = other.name
        self._say("changed", frame.time_s, frame.number, other, was_id=person.id, known=True)

    def end(self, here: Collection[int], now_s: float) -> None:
        """Who is not ``here``, and was not seen for long enough, has left."""
        for number, visit in list(self._visits.items()):
            if number not in here and now_s - visit.seen_s > self._options.lost_s:
                self._leave(number)

    def end_all(self) -> None:
        """Everybody has left."""
        for number in list(self._visits):
            self._leave(number)

    def _leave(self, number: int) -> None:
        visit, person = self._visits[number], self._people[number]
        lasted = visit.seen_s - visit.since_s
        self._say("left", visit.seen_s, visit.seen_frame, person, duration_s=lasted)
        del self._visits[number], self._people[number]

    def _say(
        self,
        kind: EventKind,
        time_s: float,
        frame: int,
        person: Person,
        **more: Any,
    ) -> None:
        visit = self._visits[person.id]
        name = visit.naming.name
        match = None if name is None else visit.match
        probability = None if match is None else match.probability
        self._events.append(
            Event(kind, time_s, frame, person.id, name=name, probability=probability, **more)
        )

    # --- names and looks --------------------------------------------------------------------------

    def name(self, frame: VideoFrame, changed: Sequence[Person], present: Sequence[Person]) -> None:
        """Ask the gallery about people of whom there are new views, and share out names.

        Args:
            frame: the time.
            changed: people of whom there are new views.
            present: all who are in the picture.
        """
        for person in changed:
            self._visits[person.id].poor = person.views.best < CLEAR
        if self._gallery is None or not changed:
            return
        answers = self._gallery.identify_embeddings(
            [person.views.embedding(self._contract) for person in changed],
            qualities=[self._visits[person.id].quality for person in changed],
            top=max(self._options.top, 2),
            fpir=self._options.fpir,
            threshold=self._options.threshold,
            purpose=self._options.purpose,
        )
        self.n_left_out = answers[0].n_left_out
        for person, answer in zip(changed, answers, strict=True):
            visit = self._visits[person.id]
            visit.candidates, visit.threshold = answer.candidates, answer.threshold.value
        wishes = []
        for person in present:
            visit = self._visits[person.id]
            above = {
                one.name: one.similarity - one.threshold_rise - visit.threshold
                for one in visit.candidates
            }
            wishes.append(Wish({} if visit.is_doubted else above, visit.naming.name))
        for person, name, wish in zip(present, share_out(wishes), wishes, strict=True):
            if person in changed and not self._visits[person.id].is_doubted:
                self._propose(frame, person, name, wish.above.get(name, 0.0) if name else 0.0)

    def judge(
        self, person: Person, passive: PassiveLiveness, face: Face, frame: VideoFrame
    ) -> None:
        """Judge by the last views whether somebody is there; no name unless so."""
        visit = self._visits[person.id]
        view = passive.look(frame.pixels, face)
        visit.checks = [*visit.checks[1 - MOST_CHECKS :], view]
        visit.liveness = passive.conclude(visit.checks)
        before = visit.naming.name
        if visit.is_doubted and before is not None:
            visit.naming, person.name = Naming(), None
            self._say("changed", frame.time_s, frame.number, person, was_name=before)

    def _propose(self, frame: VideoFrame, person: Person, name: str | None, above: float) -> None:
        visit = self._visits[person.id]
        before = visit.naming.name
        if not visit.naming.propose(name, above):
            return
        person.name = name
        for number, other in self._visits.items():
            if number != person.id and name is not None and other.naming.name == name:
                other.naming = Naming()
                self._people[number].name = None
        if before is None:
            self._say("identified", frame.time_s, frame.number, person)
        else:
            self._say("changed", frame.time_s, frame.number, person, was_name=before)

    def note_look(
        self, person: Person, face: Face, frame: VideoFrame, view: View, quality: Quality | None
    ) -> None:
        """Keep a look at somebody, if it is the best."""
        visit = self._visits[person.id]
        worth = view.worth * (0.5 + 0.5 * look_of(face))
        if quality is not None and (
            visit.quality is None
            or (visit.quality.recognizability or 0) <= (quality.recognizability or 0)
        ):
            visit.quality = quality
        if worth <= visit.shot_worth:
            return
        visit.shot = BestShot(
            frame.time_s, frame.number, face, quality, cut_shot(face, frame.pixels)
        )
        visit.shot_worth = worth


def cut_shot(face: Face, pixels: Image) -> Image:
    """The picture of a best shot."""
    picture = face.crop(pixels, margin=SHOT_MARGIN)
    scale = SHOT_PX / max(picture.shape[:2])
    if scale < 1:
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8)
    return picture
