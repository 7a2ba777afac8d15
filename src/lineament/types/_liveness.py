"""Whether somebody was there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from lineament.errors import OptionError
from lineament.results import Outcome, no_truth
from lineament.text import in_short

LivenessOutcome = Literal["live", "attack", "unsure"]
LivenessMethod = Literal["passive", "active"]
_LIVENESS_ORDER = ("attack", "unsure", "live")


@dataclass(frozen=True, slots=True)
class Liveness(Outcome):
    """Whether a face is of somebody who was there, not of a print or a screen.

    It is neither true nor false: ``if liveness:`` raises. Ask ``liveness.outcome == "live"``.

    Attributes:
        outcome: "live"; "attack": a picture of a face, or somebody else than began; "unsure": this
            cannot be told, and must not be taken for live.
        score: 0 (an attack) to 1 (live); comparable within a method only. None where nothing could
            be measured.
        method: "passive" looks at one photo or a few; "active" asks for something to be done.
        cues: what was measured, by name, each in its own unit.
        reasons: why the outcome is not "live", in words, each with what to do; () when it is.
    """

    outcome: LivenessOutcome
    score: float | None
    method: LivenessMethod
    cues: dict[str, float] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Validate; OptionError says what is wrong."""
        for what, value, known in (
            ("outcome", self.outcome, get_args(LivenessOutcome)),
            ("method", self.method, get_args(LivenessMethod)),
        ):
            if value not in known:
                raise OptionError(
                    f"expected {', '.join(known)}, got {in_short(value)}", option=what
                )
        if self.score is not None and not 0 <= self.score <= 1:
            raise OptionError(f"expected 0 to 1 or None, got {self.score}", option="score")
        if (self.outcome == "live") == bool(self.reasons):
            raise OptionError(
                f"expected reasons unless live, got {len(self.reasons)} with {self.outcome}",
                option="reasons",
            )

    @property
    def live(self) -> bool:
        """Whether the outcome is "live": "unsure" is not."""
        return self.outcome == "live"

    @property
    def severity(self) -> tuple[int, float]:
        """For sorting, the one that counts first: attacks, what is unsure, then by the score."""
        score = -1.0 if self.score is None else self.score
        return _LIVENESS_ORDER.index(self.outcome), score

    def __bool__(self) -> bool:
        """TruthValueError: "unsure" is neither."""
        return no_truth(self, 'liveness.live, or liveness.outcome == "attack"')

    def __repr__(self) -> str:
        """In short."""
        score = "" if self.score is None else f", score {self.score:.2f}"
        return f"Liveness({self.outcome}, {self.method}{score})"

    def __str__(self) -> str:
        """In words, for people."""
        score = "" if self.score is None else f", score {self.score:.2f}"
        return "\n".join([f"{self.outcome} ({self.method}{score})", *self.reasons])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "outcome": self.outcome,
            "score": None if self.score is None else round(self.score, 4),
            "method": self.method,
            "cues": {name: round(float(value), 4) for name, value in self.cues.items()},
            "reasons": list(self.reasons),
        }
