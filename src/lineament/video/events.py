"""What happens to people in a film, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from lineament.results import Outcome

EventKind = Literal["appeared", "identified", "changed", "left"]


@dataclass(frozen=True, slots=True)
class Event(Outcome):
    """Something that happened to one person.

    Attributes:
        kind: "appeared": somebody came into the picture, known from before or not; "identified":
            a person got a name; "changed": the name was taken back or replaced, or the track turned
            out to be somebody seen before (``was_id``); "left": gone for longer than a face may be
            hidden.
        time_s: when, by the source's clock; of "left" when the person was last seen.
        frame: number of the frame in which that was decided; of "left" the last one seen in.
        track_id: whose it is: the person's lasting number.
        name: the person's name in the gallery, or None.
        probability: that the name is right, 0 to 1; None without a name or a calibration.
        was_name, was_id: what stood there before, of "changed".
        known: whether the person had been seen before, in this film or an earlier one.
        duration_s: of "left": for how long the person was in the picture.
    """

    kind: EventKind
    time_s: float
    frame: int
    track_id: int
    name: str | None = None
    probability: float | None = None
    was_name: str | None = None
    was_id: int | None = None
    known: bool = False
    duration_s: float | None = None

    def __str__(self) -> str:
        """In words, for people."""
        who = f"person {self.track_id}" if self.name is None else self.name
        if self.kind == "changed":
            before = self.was_name if self.was_name is not None else f"person {self.was_id}"
            return f"{self.time_s:.2f} s: {before} is {who} now"
        if self.kind == "appeared":
            return f"{self.time_s:.2f} s: {who} {'is back' if self.known else 'appeared'}"
        if self.kind == "identified":
            return f"{self.time_s:.2f} s: person {self.track_id} is {who}"
        return f"{self.time_s:.2f} s: {who} left"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "kind": self.kind,
            "time_s": round(self.time_s, 4),
            "frame": self.frame,
            "track_id": self.track_id,
            "name": self.name,
            "probability": self.probability,
            "was_name": self.was_name,
            "was_id": self.was_id,
            "known": self.known,
            "duration_s": None if self.duration_s is None else round(self.duration_s, 4),
        }
