"""What a tracker is asked for, and what it says of each frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from lineament.arguments import check_fields
from lineament.decide.calibration import DEFAULT_FPIR
from lineament.detect.detector import DetectOptions
from lineament.errors import OptionError
from lineament.gallery import Candidate
from lineament.gallery.consent import checked_purpose
from lineament.liveness.passive import LivenessMode
from lineament.results import Outcome
from lineament.types import Face, FloatArray, Image, Liveness, Quality
from lineament.video.events import Event

Status = Literal["new", "named", "unknown", "undecided", "not_live"]


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
        purpose: what it is for: only people of the gallery have names who have a consent, and of
            whom every consent names it, in capitals or not; who was named before, in the memory,
            has to be named anew.
        top: how many candidates of the gallery a track has.
        liveness: "passive": whether people are there, and not pictures of them, is judged by the
            views that are embedded; nobody has a name before that is known. "active" asks one
            person, and is none of this.
        revise: keep what is needed to say at the end of a film who was who in it, with all of it
            known (``PeopleTracker.revision``); more faces are embedded where people are near each
            other. Memory grows with the film.
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
    purpose: str | None = None
    top: int = 5
    liveness: LivenessMode = "off"
    revise: bool = False

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
        if self.purpose is not None:
            checked_purpose(self.purpose, "purpose")
        if self.liveness == "active":
            raise OptionError(
                "the active check asks one person to do something",
                option="liveness",
                hint="run `lineament liveness` with that camera, or ask for passive here",
            )


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
            gallery; "undecided": no look was good enough to say, or the next will decide;
            "not_live": not known to be there, whoever it is a picture of (``liveness``).
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
