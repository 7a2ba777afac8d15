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
from dataclasses import replace

import numpy as np

from lineament import models
from lineament.arguments import checked
from lineament.detect.boxes import intersection_over_union
from lineament.detect.detector import DetectOptions, detect
from lineament.detect.near import NearLook
from lineament.detect.turning import upright_only
from lineament.embed.embedder import wrap
from lineament.errors import OptionError
from lineament.gallery import Gallery
from lineament.liveness.passive import photo_check
from lineament.models.runtime import load_model
from lineament.pipeline import Recognizer
from lineament.pyramid import Pyramid
from lineament.quality import quality_of
from lineament.types import BoolArray, Face, FloatArray, Image, Photo, Quality
from lineament.video._binding import CLEAR, Evidence, answers, levels_of
from lineament.video._camera import Camera
from lineament.video._following import GOOD, Followed, look_of, patch_of
from lineament.video._record import Kept, Record
from lineament.video._visits import Visits
from lineament.video.events import Event
from lineament.video.frames import VideoFrame
from lineament.video.identity import View, Views
from lineament.video.memory import Memory, Person
from lineament.video.motion import Paths, pair
from lineament.video.revising import Revision
from lineament.video.tracks import Track, TrackedFrame, TrackOptions

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


class PeopleTracker:
    """Follows people through the frames of one source. For one thread.

    Attributes:
        recognizer, gallery, memory, options: as they were given, or the defaults.
        n_left_out: how many people of the gallery got no name for want of a consent for
            ``options.purpose``, as it was when the gallery was asked last; None without a purpose.
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
            OptionError: a purpose, and no gallery.
        """
        self.recognizer, self.gallery = recognizer, gallery
        self.options = TrackOptions() if options is None else options
        recognizer.load()
        self._contract = recognizer.embedder.contract
        purpose = self.options.purpose
        if gallery is not None:
            gallery.contract.check(self._contract)
        elif purpose is not None:
            raise OptionError("expected a gallery with it, got none", option="purpose")
        self.n_left_out = None if purpose is None or gallery is None else gallery.left_out(purpose)
        self.memory = Memory() if memory is None else memory
        self.memory.check(self._contract)
        detector = recognizer.finder.detector
        self._detector = detector if self.options.turning else upright_only(detector)
        self._near = self._near_look()
        self._paths = Paths()
        self._followed: dict[int, Followed] = {}
        self._passive = photo_check(self.options.liveness, lambda: recognizer.passive)
        self._visits = Visits(gallery, self._contract, self.options)
        self._size_wh: tuple[int, int] | None = None
        self._detected_s = -math.inf
        self._every_s = self.options.detect_every_s
        self._mean_s = 0.0
        self._n_looks = 0
        self._wanted = True
        self._camera = Camera()
        self._levels = levels_of(recognizer)
        self._record = Record() if self.options.revise else None
        self._before = self.memory.snapshot() if self.options.revise else None

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
        if self._record is not None:
            self._record.begin(frame, detected=detected)
        self._identify(frame, photo)
        self._keep_more(frame, photo)
        self._write_down()
        here = {f.person.id for f in self._followed.values() if f.person is not None}
        self._visits.end(here, frame.time_s)
        tracks = self._tracks()
        events = self._visits.taken_events()
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
        self._visits.end_all()
        self._paths.keep(np.zeros(len(self._paths), np.bool_))
        if self.memory.path is not None:
            self.memory.save()
        return self._visits.taken_events()

    def revision(self) -> Revision:
        """Judge the film anew, with all of it known; after ``finish``, once.

        The memory is as it was before the film, and has the people of the revised film then; one
        that has a file is saved again.

        Raises:
            OptionError: ``TrackOptions.revise`` was not asked for, or it was called before.
        """
        if self._record is None or self._before is None:
            raise OptionError(
                "nothing was kept to be judged again: expected TrackOptions(revise=True), and one "
                "call for each film",
                option="revise",
            )
        self.memory.restore(self._before)
        record, self._record, self._before = self._record, None, None
        revision = Revision(
            record, self.memory, self._levels, self.recognizer, self.gallery, self.options,
            self._passive,
        )  # fmt: skip
        if self.memory.path is not None:
            self.memory.save()
        return revision

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
            if self._followed[numbers[row]].is_settled:
                self._followed[numbers[row]].doubt(frame.time_s)
        for i, row in enumerate(pairing.path_of.tolist()):
            if row < 0:
                continue
            followed = self._followed[numbers[row]]
            patch = patch_of(frame.pixels, boxes[i])
            changed = crowded[row] and not _is_alike(followed.patch, patch)
            if numbers[row] in hidden or (changed and followed.is_settled):
                followed.doubt(frame.time_s)  # it may be somebody else who comes out there
            followed.patch = patch
            self._paths.update(row, boxes[i])
            followed.face, followed.seen = faces[i], True
        if begin:
            for i in np.flatnonzero((pairing.path_of < 0) & certain).tolist():
                number = self._paths.add(boxes[i])
                patch = patch_of(frame.pixels, boxes[i])
                self._followed[number] = Followed(faces[i], frame.time_s, patch)
        for followed in self._followed.values():
            if followed.seen and followed.person is not None:
                self._visits.see(followed.person, frame)

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

    # --- who it is --------------------------------------------------------------------------------

    def _identify(self, frame: VideoFrame, photo: Photo) -> None:
        """Embed where that helps, and say who is who."""
        near: dict[int, bool] = {}
        if self._record is not None:
            crowded = self._paths.crowded(NEAR_SIDES).tolist()
            near = dict(zip(self._paths.numbers.tolist(), crowded, strict=True))
        due = [
            (urgency, followed)
            for number, followed in self._followed.items()
            if (
                urgency := followed.urgency(
                    frame.time_s, is_open=self._is_open(followed), closely=near.get(number, False)
                )
            )
            > 0
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
                self._visits.note_look(followed.person, followed.face, frame, view, quality)
        if self._record is not None:
            for followed, view, quality in embedded:
                self._keep(frame, followed, view, quality)
        changed = [f for f in chosen if f.is_settled]
        self._note_beside()
        for followed in changed:
            self._recall(frame, followed)
        for followed in changed if self._passive is not None else ():
            assert followed.person is not None
            assert self._passive is not None
            self._visits.judge(followed.person, self._passive, followed.face, frame)
        present = [f.person for f in self._followed.values() if f.person is not None]
        self._visits.name(frame, [f.person for f in changed if f.person is not None], present)
        if self._visits.n_left_out is not None:
            self.n_left_out = self._visits.n_left_out

    def _keep_more(self, frame: VideoFrame, photo: Photo) -> None:
        """Embed faces of which few good views were had, for ``revision`` alone."""
        if self._record is None:
            return
        few = [one for one in self._followed.values() if one.is_short_of_views(frame.time_s)]
        if few:
            few.sort(key=lambda one: one.kept_s)
            chosen = few[: self.options.embeddings_per_frame]
            for followed, view, quality in self._embed(frame, photo, chosen):
                self._keep(frame, followed, view, quality)

    def _keep(
        self, frame: VideoFrame, followed: Followed, view: View, quality: Quality | None
    ) -> None:
        """Keep a face that was embedded, for ``revision``."""
        assert self._record is not None
        followed.kept_s = frame.time_s
        followed.n_good += view.worth >= GOOD
        number = next(n for n, one in self._followed.items() if one is followed)
        worth = view.worth * (0.5 + 0.5 * look_of(followed.face))
        look = None if self._passive is None else self._passive.look(frame.pixels, followed.face)
        self._record.keep(number, Kept(self._record.last, view, worth, quality, look))

    def _write_down(self) -> None:
        """Keep where all paths are, for ``revision``."""
        if self._record is None:
            return
        boxes = self._paths.boxes_xyxy
        for number, expected in zip(self._paths.numbers.tolist(), boxes, strict=True):
            one = self._followed[number]
            box = one.face.box_xyxy if one.seen else expected
            self._record.path(number, one.face, box, one.n_doubts, one.seen)

    def _here(self) -> list[Person]:
        """Who is seen in this frame for sure."""
        return [
            f.person
            for f in self._followed.values()
            if f.person is not None and f.is_settled and f.seen
        ]

    def _note_beside(self) -> None:
        """Who is seen together for sure is not one person."""
        here = self._here()
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
            self._visits.turn_out(person, other, frame)
            self.memory.merge(other, person)
            followed.person = other
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
        held = {person.id for person in self._here()}
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
        return calibration.condition(best, person.views.best).threshold_rise

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
        self._visits.begin(person, followed.since_s, frame)

    def _is_open(self, followed: Followed) -> bool:
        if followed.person is None or self.gallery is None:
            return False
        return self._visits[followed.person.id].status in ("undecided", "not_live")

    def _tracks(self) -> tuple[Track, ...]:
        boxes = self._paths.boxes_xyxy
        tracks = []
        for number, box in zip(self._paths.numbers.tolist(), boxes, strict=True):
            followed = self._followed[number]
            box = followed.face.box_xyxy if followed.seen else box
            face = followed.face if followed.seen else None
            if followed.person is None:
                tracks.append(Track(-number, box, followed.seen, face, since_s=followed.since_s))
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
                    liveness=visit.liveness,
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
