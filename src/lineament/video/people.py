"""Frames in, people out: who is where in each frame, under numbers that last.

    tracker = PeopleTracker(recognizer, gallery)
    for frame in source:
        tracked = tracker.step(frame)               tracked.tracks, tracked.events
    tracker.finish()                                who was still there has left

Each step: faces are looked for in the whole frame when that is due, and otherwise only where they
are expected (``detect.near``); ``motion`` says which continues which path; faces are embedded where
that helps (a new path, two paths so near that they may have been exchanged, a name that is open, a
better look than before); ``memory`` says whose path it is; the gallery says how that person is
called. The rules that hold always:

- two people who are visible together are two: neither has the other's number or name;
- a number, once given, changes only if the face turns out to be somebody seen before;
- a path is taken for a person seen before only past the threshold for searching among as many.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import cv2
import numpy as np

from lineament import models
from lineament.arguments import check_fields, checked
from lineament.decide.calibration import DEFAULT_FPIR
from lineament.detect.boxes import intersection_over_union
from lineament.detect.detector import DetectOptions, detect
from lineament.detect.near import NearLook
from lineament.detect.turning import upright_only
from lineament.embed.embedder import wrap
from lineament.errors import OptionError
from lineament.gallery import Candidate, Gallery
from lineament.models.runtime import load_model
from lineament.pipeline import Recognizer
from lineament.pyramid import Pyramid
from lineament.quality import quality_of
from lineament.results import Outcome
from lineament.types import BoolArray, Face, FloatArray, Image, Liveness, Photo, Quality
from lineament.video._binding import CLEAR, MOST_RISE, Evidence, answers, levels_of
from lineament.video._camera import Camera
from lineament.video._following import Followed, look_of, patch_of
from lineament.video.events import Event, EventKind
from lineament.video.frames import VideoFrame
from lineament.video.identity import Naming, View, Views, Wish, share_out
from lineament.video.memory import Memory, Person
from lineament.video.motion import Paths, pair

Status = Literal["new", "named", "unknown", "undecided"]

CERTAIN, LEAST = 0.6, 0.35
"""Scores from which on a box begins a path, and continues one."""

NEAR_LEAST = 0.45
"""The score from which on a look near the expected box has found the face."""

DOUBT_MARGIN = 0.5
"""A pairing is in doubt where another one is worth as much less this (``motion.Paths.gains``)."""

NEAR_SIDES = 1.5
"""A face is crowded when another one is expected within so many of its sides."""

SAME_FACE = 0.75
"""From frame to frame a face is as alike to itself (``patch_of``) in 95 of 100 frames, and to
another one in 15."""

SAME_BOX = 0.5
"""Two looks whose boxes overlap by as much have found one face."""

SMALL_FACE_SHARE, LEAST_FACE_SHARE = 1 / 32, 1 / 64
"""Of a frame's longer side: the least faces that are looked for, and those of every
``FINE_LOOK``-th look, or of all while a face smaller than twice the first is followed."""

FINE_LOOK = 5

NOBODYS_S = 0.25
"""A path that is not settled is given up after so long."""

SMOOTHING, SLOWER, ROOM = 0.1, 1.1, 0.7
"""Of the mean time of steps; by what looks at whole frames get rarer or more frequent from step to
step; and the share of the budget below which they do."""

RECALL_S = 4.0
"""For so long somebody new may turn out to be somebody seen before."""

STRIKES = 2
"""Views in a row that speak against the person whom a path shows, until that is in doubt."""

SHOT_MARGIN, SHOT_PX = 0.35, 256
"""Of the best shot: what is shown around the box, in its sides, and its longest side."""


@dataclass(frozen=True, slots=True)
class TrackOptions:
    """Options of ``PeopleTracker``.

    Attributes:
        detect_every_s: seconds of the source's time between two looks at the whole frame.
        budget_s: seconds that a step may take, on average; None: as many as it takes. Where steps
            take longer, whole frames are looked at less often, down to every ``slowest_s``.
        slowest_s: see ``budget_s``.
        embeddings_per_frame: at most so many faces are embedded in one step.
        lost_s: a face that is not seen for longer has left; until then it keeps its path.
        min_face_px: faces whose longer side is shorter are not looked for; None: by the size of the
            frame, and of the faces that are there.
        turning: look for faces at any roll, which takes longer.
        fpir: the share of people not in the gallery that may get a name, and of people not seen
            before that may be taken for one who was, 0 to 1.
        threshold: cosine from which on a face gets a name, in place of one for ``fpir``.
        top: how many candidates of the gallery a track has.
    """

    detect_every_s: float = 0.06
    budget_s: float | None = None
    slowest_s: float = 0.5
    embeddings_per_frame: int = 4
    lost_s: float = 1.0
    min_face_px: float | None = None
    turning: bool = False
    fpir: float = DEFAULT_FPIR
    threshold: float | None = None
    top: int = 5

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_fields(self)
        for name in ("detect_every_s", "slowest_s", "lost_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise OptionError(f"expected 0 or more seconds, got {value}", option=name)
        if self.budget_s is not None and not self.budget_s > 0:
            raise OptionError(f"expected more than 0, got {self.budget_s}", option="budget_s")
        for name in ("embeddings_per_frame", "top"):
            if getattr(self, name) < 1:
                raise OptionError(f"expected 1 or more, got {getattr(self, name)}", option=name)
        DetectOptions(min_face_px=self.min_face_px)
        if not 0 < self.fpir < 1:
            raise OptionError(f"expected a share between 0 and 1, got {self.fpir}", option="fpir")


@dataclass(frozen=True, eq=False, slots=True)
class BestShot(Outcome):
    """The best look at a person while in the picture.

    Attributes:
        time_s, frame: when.
        face: where in that frame.
        quality: of the face; None for recognizers for which it is not defined.
        picture: (H, W, 3) uint8, RGB: the face with some margin, at most 256 pixels a side.
    """

    time_s: float
    frame: int
    face: Face
    quality: Quality | None
    picture: Image

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; without the picture."""
        return {
            "time_s": round(self.time_s, 4),
            "frame": self.frame,
            "face": self.face.to_dict(),
            "quality": None if self.quality is None else self.quality.to_dict(),
        }


@dataclass(frozen=True, eq=False, slots=True)
class Track(Outcome):
    """One person in one frame.

    Attributes:
        id: the person's lasting number, from 1; below 0 while it is not settled who it is (status
            "new").
        box_xyxy: (4,) float32, pixels: where the face was found, or is expected.
        seen: whether it was found in this frame.
        face: as it was found in this frame; None when it was not.
        name: in the gallery; None: no name.
        status: "new": not embedded well enough to say who it is; "named"; "unknown": nobody of the
            gallery; "undecided": no look was good enough to say, or the next will decide.
        probability: that the name is right, 0 to 1; without a name that of the first candidate;
            None without a gallery or calibration.
        candidates: people of the gallery, the most alike first.
        quality: of the face that was embedded last.
        best_shot: the best look up to now.
        liveness: whether the face is of somebody who is there; None: it was not checked.
        since_s: when this visit began.
    """

    id: int
    box_xyxy: FloatArray
    seen: bool
    face: Face | None = None
    name: str | None = None
    status: Status = "new"
    probability: float | None = None
    candidates: tuple[Candidate, ...] = ()
    quality: Quality | None = None
    best_shot: BestShot | None = None
    liveness: Liveness | None = None
    since_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "id": self.id,
            "box_xyxy": [round(float(v), 2) for v in self.box_xyxy],
            "seen": self.seen,
            "name": self.name,
            "status": self.status,
            "probability": self.probability,
            "face": None if self.face is None else self.face.to_dict(),
            "quality": None if self.quality is None else self.quality.to_dict(),
            "liveness": None if self.liveness is None else self.liveness.to_dict(),
            "since_s": round(self.since_s, 4),
        }


@dataclass(frozen=True, eq=False, slots=True)
class TrackedFrame(Outcome):
    """Who is in one frame.

    Attributes:
        number, time_s: of the frame.
        tracks: the people, in the order in which they appeared.
        events: what happened.
        detected: whether the whole frame was looked at.
    """

    number: int
    time_s: float
    tracks: tuple[Track, ...]
    events: tuple[Event, ...]
    detected: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "frame": self.number,
            "time_s": round(self.time_s, 4),
            "tracks": [track.to_dict() for track in self.tracks],
            "events": [event.to_dict() for event in self.events],
            "detected": self.detected,
        }


@dataclass(eq=False, slots=True)
class _Visit:
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

    @property
    def match(self) -> Candidate | None:
        """The candidate who has the name, else the first."""
        name = self.naming.name
        named = (one for one in self.candidates if one.name == name)
        return next(named, next(iter(self.candidates), None))

    @property
    def status(self) -> Status:
        if self.naming.name is not None:
            return "named"
        if self.poor or self.naming.count:
            return "undecided"
        return "unknown"


class PeopleTracker:
    """Follows people through the frames of one source. For one thread.

    Attributes:
        recognizer, gallery, memory, options: as they were given, or the defaults.
    """

    @checked
    def __init__(
        self,
        recognizer: Recognizer,
        gallery: Gallery | None = None,
        *,
        memory: Memory | None = None,
        options: TrackOptions | None = None,
    ) -> None:
        """Take what recognizes people.

        Args:
            recognizer: finds and embeds faces.
            gallery: people with names; None: everybody has a number only.
            memory: people seen before; None: nobody.
            options: None: the defaults.

        Raises:
            ContractError: the gallery or the memory are for other embeddings.
        """
        self.recognizer, self.gallery = recognizer, gallery
        self.options = TrackOptions() if options is None else options
        recognizer.load()
        self._contract = recognizer.embedder.contract
        if gallery is not None:
            gallery.contract.check(self._contract)
        self.memory = Memory() if memory is None else memory
        self.memory.check(self._contract)
        detector = recognizer.finder.detector
        self._detector = detector if self.options.turning else upright_only(detector)
        self._near = self._near_look()
        self._paths = Paths()
        self._followed: dict[int, Followed] = {}
        self._visits: dict[int, _Visit] = {}
        self._size_wh: tuple[int, int] | None = None
        self._detected_s = -math.inf
        self._every_s = self.options.detect_every_s
        self._mean_s = 0.0
        self._n_looks = 0
        self._wanted = True
        self._camera = Camera()
        self._events: list[Event] = []
        self._levels = levels_of(recognizer)

    def _near_look(self) -> NearLook | None:
        """None where the policy does not accept its network: then boxes are predicted."""
        card = models.get("yunet")
        if self.recognizer.policy.refusal(card) is not None:
            return None
        runtime, policy = self.recognizer.finder.runtime, self.recognizer.policy
        return NearLook(load_model(card, runtime=runtime, policy=policy, few_sizes=False))

    # --- one frame --------------------------------------------------------------------------------

    def step(self, frame: VideoFrame) -> TrackedFrame:
        """Take the next frame.

        Raises:
            OptionError: pixels of another type or shape, or a time that is no number.
        """
        photo = Photo.from_pixels(frame.pixels, f"frame {frame.number}")
        if not math.isfinite(frame.time_s):
            raise OptionError(f"expected seconds, got {frame.time_s}", option="time_s")
        assert photo.size_wh is not None
        began = time.perf_counter()
        self._resized(photo.size_wh)
        self._paths.predict(frame.time_s)
        self._move_camera(frame.pixels)
        detected = self._is_due(frame)
        faces = self._look(frame, whole=detected)
        self._follow(frame, faces, begin=detected)
        self._drop_lost()
        self._identify(frame, photo)
        self._end_visits(frame.time_s)
        tracks = self._tracks()
        events, self._events = tuple(self._events), []
        self._keep_pace(time.perf_counter() - began)
        return TrackedFrame(frame.number, frame.time_s, tracks, events, detected)

    def _keep_pace(self, took_s: float) -> None:
        """Look at whole frames less often while steps take longer than they may."""
        budget = self.options.budget_s
        if budget is None:
            return
        self._mean_s += SMOOTHING * (took_s - self._mean_s)
        if self._mean_s > budget:
            self._every_s = min(max(self._every_s, 1e-3) * SLOWER, self.options.slowest_s)
        elif self._mean_s < ROOM * budget:
            self._every_s = max(self._every_s / SLOWER, self.options.detect_every_s)

    def finish(self) -> tuple[Event, ...]:
        """Say goodbye to all who are still there, and save a memory that has a file."""
        self._followed.clear()
        for number in list(self._visits):
            self._leave(number)
        self._paths.keep(np.zeros(len(self._paths), np.bool_))
        if self.memory.path is not None:
            self.memory.save()
        events, self._events = tuple(self._events), []
        return events

    # --- looking ----------------------------------------------------------------------------------

    def _resized(self, size_wh: tuple[int, int]) -> None:
        if self._size_wh is not None and size_wh != self._size_wh:
            across, down = (new / old for new, old in zip(size_wh, self._size_wh, strict=True))
            self._paths.rescale(across, down)
            self._wanted = True
            self._camera.forget()
        self._size_wh = size_wh

    def _move_camera(self, pixels: Image) -> None:
        """Take paths along where the camera moved; in a new scene nothing is where it was."""
        motion = self._camera.step(pixels)
        if motion.is_cut:
            self._drop(np.zeros(len(self._paths), np.bool_))
        elif motion.shift_xy != (0.0, 0.0):
            self._paths.shift(*motion.shift_xy)
            self._wanted = True

    def _is_due(self, frame: VideoFrame) -> bool:
        """Whether the whole frame is to be looked at."""
        since = frame.time_s - self._detected_s
        return self._near is None or self._wanted or since >= self._every_s - 1e-6

    def _look(self, frame: VideoFrame, *, whole: bool) -> list[Face]:
        """The faces of a frame: all, or those that are expected."""
        self._wanted = False
        if whole:
            self._detected_s = frame.time_s
            return self._detect(frame.pixels)
        assert self._near is not None
        boxes = self._paths.boxes_xyxy
        found = self._near.look(frame.pixels, boxes, NEAR_LEAST)
        visible = (self._followed[n].seen for n in self._paths.numbers.tolist())
        # One that was there a moment ago: the whole frame may say where it is.
        self._wanted = any(
            face is None and was_seen for face, was_seen in zip(found, visible, strict=True)
        )
        return _each_once([face for face in found if face is not None])

    def _detect(self, pixels: Image) -> list[Face]:
        longer = max(pixels.shape[:2])
        least = self.options.min_face_px
        if least is None:
            coarse = SMALL_FACE_SHARE * longer
            small = any(max(f.face.size_wh) < 2 * coarse for f in self._followed.values())
            fine = small or self._n_looks % FINE_LOOK == 0
            least = max(12.0, LEAST_FACE_SHARE * longer if fine else coarse)
        self._n_looks += 1
        options = DetectOptions(min_face_px=least, min_score=LEAST)
        return detect(self._detector, Pyramid.of(pixels), options)

    def _follow(self, frame: VideoFrame, faces: Sequence[Face], *, begin: bool) -> None:
        """Continue paths with the faces of a frame, and begin others."""
        boxes = np.array([face.box_xyxy for face in faces], np.float32).reshape(-1, 4)
        certain = np.array([face.score >= CERTAIN for face in faces], np.bool_)
        pairing = pair(self._paths.gains(boxes), certain, DOUBT_MARGIN)
        numbers = self._paths.numbers.tolist()
        crowded = self._paths.crowded(NEAR_SIDES)
        hidden = {number for number in numbers if not self._followed[number].seen}
        for number in numbers:
            self._followed[number].seen = False
        for row in np.flatnonzero(pairing.doubtful).tolist():
            if not self._followed[numbers[row]].doubted:
                self._followed[numbers[row]].doubt(frame.time_s)
        for i, row in enumerate(pairing.path_of.tolist()):
            if row < 0:
                continue
            followed = self._followed[numbers[row]]
            patch = patch_of(frame.pixels, boxes[i])
            if numbers[row] in hidden or (
                crowded[row] and not _is_alike(followed.patch, patch) and not followed.doubted
            ):
                followed.doubt(frame.time_s)  # it may be somebody else who comes out there
            followed.patch = patch
            self._paths.update(row, boxes[i])
            followed.face, followed.seen = faces[i], True
            followed.seen_s, followed.seen_frame = frame.time_s, frame.number
            followed.n_seen += 1
        if begin:
            for i in np.flatnonzero((pairing.path_of < 0) & certain).tolist():
                number = self._paths.add(boxes[i])
                self._followed[number] = Followed(
                    frame.time_s,
                    frame.number,
                    faces[i],
                    seen_s=frame.time_s,
                    seen_frame=frame.number,
                    since_s=frame.time_s,
                    patch=patch_of(frame.pixels, boxes[i]),
                )
        for followed in self._followed.values():
            if followed.seen and followed.person is not None:
                visit = self._visits[followed.person.id]
                visit.seen_s, visit.seen_frame = frame.time_s, frame.number

    def _drop_lost(self) -> None:
        nobodys = np.array(
            [self._followed[n].person is None for n in self._paths.numbers.tolist()], np.bool_
        )
        most = np.where(nobodys, min(NOBODYS_S, self.options.lost_s), self.options.lost_s)
        over = [self._followed[n].is_over for n in self._paths.numbers.tolist()]
        self._drop((self._paths.unseen_s <= most) & ~np.array(over, np.bool_))

    def _drop(self, stay: BoolArray) -> None:
        """Give up the paths that are not marked."""
        if not stay.all():
            self._wanted = True
        for number in self._paths.numbers[~stay].tolist():
            del self._followed[number]
        self._paths.keep(stay)

    def _end_visits(self, now_s: float) -> None:
        """Who is not seen any more has left."""
        here = {f.person.id for f in self._followed.values() if f.person is not None}
        for number, visit in list(self._visits.items()):
            if number not in here and now_s - visit.seen_s > self.options.lost_s:
                self._leave(number)

    # --- who it is --------------------------------------------------------------------------------

    def _identify(self, frame: VideoFrame, photo: Photo) -> None:
        """Embed where that helps, and say who is who."""
        due = [
            (urgency, followed)
            for followed in self._followed.values()
            if (urgency := followed.urgency(frame.time_s, is_open=self._is_open(followed))) > 0
        ]
        if not due:
            return
        due.sort(key=lambda each: -each[0])
        chosen = [followed for _, followed in due[: self.options.embeddings_per_frame]]
        embedded = self._embed(frame, photo, chosen)
        for followed, view, _ in embedded:
            followed.embedded_s = frame.time_s
            followed.n_embedded += 1
            followed.look = max(followed.look, look_of(followed.face))
            self._take(followed, view)
        self._settle(frame, [f for f in chosen if f.person is None or f.doubted])
        for followed, view, quality in embedded:
            if followed.person is not None and not followed.doubted:
                self._note_shot(followed, frame, view, quality)
        changed = [f for f in chosen if f.person is not None and not f.doubted]
        self._note_beside()
        for followed in changed:
            self._recall(frame, followed)
        self._name(frame, changed)

    def _note_beside(self) -> None:
        """Who is seen together for sure is not one person."""
        here = [
            f.person
            for f in self._followed.values()
            if f.person is not None and not f.doubted and f.seen
        ]
        for person in here if len(here) > 1 else ():
            person.beside.update(other.id for other in here if other is not person)

    def _recall(self, frame: VideoFrame, followed: Followed) -> None:
        """Somebody taken for new turns out, with more views, to be somebody seen before."""
        person = followed.person
        assert person is not None
        if person.n_visits != 1 or frame.time_s - self._visits[person.id].since_s > RECALL_S:
            return
        ids, alike = self.memory.similarities(person.views.pooled())
        for place in np.argsort(-alike).tolist():
            if alike[place] < self._levels.sure:
                return
            other = self.memory[int(ids[place])]
            if other is person or other.id in self._visits or other.id in person.beside:
                continue
            rise = self._rise_of(person.views.best, other)
            if other.id > person.id or alike[place] < self._levels.sure + rise:
                continue
            visit = self._visits[other.id] = self._visits.pop(person.id)
            other.n_visits += 1
            self.memory.merge(other, person)
            followed.person = other
            if visit.naming.name is None:
                visit.naming.name = other.name
            self._say("changed", frame.time_s, frame.number, other, was_id=person.id, known=True)
            return

    def _embed(
        self, frame: VideoFrame, photo: Photo, chosen: Sequence[Followed]
    ) -> list[tuple[Followed, View, Quality | None]]:
        faces = tuple(followed.face for followed in chosen)
        crops = self.recognizer.finder.crops(
            replace(photo, faces=faces), alignment=self.recognizer.alignment_name
        )
        vectors, norms = self.recognizer.embedder.embed(crops)
        found = []
        for followed, crop, embedding in zip(
            chosen, crops, wrap(vectors, norms, self._contract), strict=True
        ):
            quality = quality_of(followed.face, crop, embedding, photo.size_wh)
            worth = None if quality is None else quality.recognizability
            view = View(embedding.vector, embedding.norm, worth, frame.time_s)
            found.append((followed, view, quality))
        return found

    def _take(self, followed: Followed, view: View) -> None:
        """Take a view in: for the person, or until it is settled who that is."""
        person = followed.person
        if person is None or followed.doubted:
            if len(followed.views):
                alike = float(followed.views.pooled() @ view.vector)
                if alike < self._levels.unlike and view.worth >= CLEAR:
                    followed.views = Views()  # the face of somebody else is followed now
            followed.views.add(view)
            return
        alike = float(person.views.pooled() @ view.vector) if len(person.views) else 1.0
        if alike >= self._levels.perhaps or view.worth < CLEAR:
            if alike >= self._levels.perhaps:
                followed.strikes.clear()
                self.memory.learn(person, view)
            return
        if alike >= self._levels.unlike:
            return
        followed.strikes.append(view)
        if len(followed.strikes) >= STRIKES:
            strikes = list(followed.strikes)
            followed.doubt(view.time_s)
            followed.views = Views()
            for one in strikes:
                followed.views.add(one)

    def _settle(self, frame: VideoFrame, unsettled: Sequence[Followed]) -> None:
        """Say whose the paths are of which that is not known, or in doubt, all together."""
        those = [followed for followed in unsettled if len(followed.views)]
        if not those:
            return
        held = {
            f.person.id
            for f in self._followed.values()
            if f.person is not None and not f.doubted and f.seen
        }
        evidence = [self._evidence(frame, followed) for followed in those]
        for followed, answer in zip(those, answers(evidence, held, self._levels), strict=True):
            if answer == "new":
                self._bind(frame, followed, None)
            elif answer == "nobody":
                followed.person, followed.doubted = None, False
                followed.since_s = frame.time_s
            elif answer != "wait":
                self._bind(frame, followed, self.memory[answer])

    def _evidence(self, frame: VideoFrame, followed: Followed) -> Evidence:
        ids, alike = self.memory.similarities(followed.views.pooled())
        near = [int(n) for n, value in zip(ids, alike, strict=True) if value > self._levels.unlike]
        best = followed.views.best
        rise = {number: self._rise_of(best, self.memory[number]) for number in near}
        return Evidence(
            None if followed.person is None else followed.person.id,
            dict(zip(ids.tolist(), alike.tolist(), strict=True)),
            rise,
            sum(view.worth >= CLEAR for view in followed.views.listed),
            frame.time_s - followed.since_s,
        )

    def _rise_of(self, best: float, person: Person) -> float:
        """How much more it takes for faces in which strangers look alike."""
        calibration = self.recognizer.calibration
        if calibration is None:
            return 0.0
        rise = calibration.condition(best, person.views.best).threshold_rise
        return min(MOST_RISE, rise)

    def _bind(self, frame: VideoFrame, followed: Followed, person: Person | None) -> None:
        """A path turns out to be a person's; None: somebody new."""
        before = followed.person
        if person is None:
            person = self.memory.new()
        if before is not person:
            for other in self._followed.values():
                if other is not followed and other.person is person:
                    other.person, other.doubted = None, False  # hidden, or exchanged with this one
                    other.is_over = not other.seen
        followed.person, followed.doubted = person, False
        for view in followed.views.listed:
            self.memory.learn(person, view)
        followed.strikes.clear()
        if before is person:
            return
        known = person.n_visits > 0
        if person.id not in self._visits:
            visit = self._visits[person.id] = _Visit(followed.since_s)
            visit.seen_s, visit.seen_frame = frame.time_s, frame.number
            visit.naming.name = person.name
            person.n_visits += 1
            self._say("appeared", followed.since_s, frame.number, person, known=known)

    # --- names ------------------------------------------------------------------------------------

    def _is_open(self, followed: Followed) -> bool:
        if followed.person is None or self.gallery is None:
            return False
        visit = self._visits.get(followed.person.id)
        return visit is None or visit.status == "undecided"

    def _name(self, frame: VideoFrame, changed: Sequence[Followed]) -> None:
        """Ask the gallery about the people of whom there are new views, and share out names."""
        for followed in changed:
            assert followed.person is not None
            visit = self._visits[followed.person.id]
            visit.poor = followed.person.views.best < CLEAR
        if self.gallery is None or not changed:
            return
        people = [followed.person for followed in changed if followed.person is not None]
        answers = self.gallery.identify_embeddings(
            [person.views.embedding(self._contract) for person in people],
            qualities=[self._visits[person.id].quality for person in people],
            top=max(self.options.top, 2),
            fpir=self.options.fpir,
            threshold=self.options.threshold,
        )
        for person, answer in zip(people, answers, strict=True):
            visit = self._visits[person.id]
            visit.candidates, visit.threshold = answer.candidates, answer.threshold.value
        present = [f.person for f in self._followed.values() if f.person is not None]
        wishes = []
        for person in present:
            visit = self._visits[person.id]
            above = {
                one.name: one.similarity - one.threshold_rise - visit.threshold
                for one in visit.candidates
            }
            wishes.append(Wish(above, visit.naming.name))
        for person, name, wish in zip(present, share_out(wishes), wishes, strict=True):
            if person in people:
                self._propose(frame, person, name, wish.above.get(name, 0.0) if name else 0.0)

    def _propose(self, frame: VideoFrame, person: Person, name: str | None, above: float) -> None:
        visit = self._visits[person.id]
        before = visit.naming.name
        if not visit.naming.propose(name, above):
            return
        person.name = name
        for other in self._followed.values():
            if other.person is not None and other.person is not person and name is not None:
                others = self._visits[other.person.id]
                if others.naming.name == name:
                    others.naming = Naming()
                    other.person.name = None
        if before is None:
            self._say("identified", frame.time_s, frame.number, person)
        else:
            self._say("changed", frame.time_s, frame.number, person, was_name=before)

    # --- what is said -----------------------------------------------------------------------------

    def _note_shot(
        self, followed: Followed, frame: VideoFrame, view: View, quality: Quality | None
    ) -> None:
        assert followed.person is not None
        visit = self._visits[followed.person.id]
        worth = view.worth * (0.5 + 0.5 * look_of(followed.face))
        if quality is not None and (
            visit.quality is None
            or (visit.quality.recognizability or 0) <= (quality.recognizability or 0)
        ):
            visit.quality = quality
        if worth <= visit.shot_worth:
            return
        picture = followed.face.crop(frame.pixels, margin=SHOT_MARGIN)
        scale = SHOT_PX / max(picture.shape[:2])
        if scale < 1:
            picture = np.asarray(
                cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA),
                np.uint8,
            )
        visit.shot = BestShot(frame.time_s, frame.number, followed.face, quality, picture)
        visit.shot_worth = worth

    def _leave(self, number: int) -> None:
        visit = self._visits[number]
        self._say(
            "left",
            visit.seen_s,
            visit.seen_frame,
            self.memory[number],
            duration_s=visit.seen_s - visit.since_s,
        )
        del self._visits[number]

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

    def _tracks(self) -> tuple[Track, ...]:
        boxes = self._paths.boxes_xyxy
        tracks = []
        for number, box in zip(self._paths.numbers.tolist(), boxes, strict=True):
            followed = self._followed[number]
            box = followed.face.box_xyxy if followed.seen else box
            face = followed.face if followed.seen else None
            if followed.person is None:
                tracks.append(Track(-number, box, followed.seen, face, since_s=followed.born_s))
                continue
            visit = self._visits[followed.person.id]
            match = visit.match
            tracks.append(
                Track(
                    followed.person.id,
                    box,
                    followed.seen,
                    face,
                    name=visit.naming.name,
                    status=visit.status,
                    probability=None if match is None else match.probability,
                    candidates=visit.candidates,
                    quality=visit.quality,
                    best_shot=visit.shot,
                    since_s=visit.since_s,
                )
            )
        return tuple(tracks)


def _is_alike(before: FloatArray | None, now: FloatArray | None) -> bool:
    """Whether a face may be the same from one frame to the next, by what it looks like."""
    return before is None or now is None or float(before @ now) >= SAME_FACE


def _each_once(faces: Sequence[Face]) -> list[Face]:
    """The faces, each once: of those that overlap the one with the best score."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda one: -one.score):
        if kept:
            boxes = np.stack([one.box_xyxy for one in kept])
            if intersection_over_union(face.box_xyxy[None], boxes).max() >= SAME_BOX:
                continue
        kept.append(face)
    return kept
