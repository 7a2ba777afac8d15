"""Whether two faces are of one person, and what that is held against."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from lineament.results import Outcome, Pictured, flat, no_truth
from lineament.text import per_cent, printable
from lineament.types._arrays import Image
from lineament.types._embeddings import Contract
from lineament.types._liveness import Liveness
from lineament.types._photos import Face

NO_FACE_SCORE = -1.0
"""The similarity of a pair in which a face is missing: the least that a cosine can be."""

Verdict = Literal["same", "different", "undecided", "not_live"]


@dataclass(frozen=True, slots=True)
class Quality(Outcome):
    """How good one photo of a face is for recognition.

    Attributes:
        size_px: distance of the eyes in pixels of the photo, had the face been frontal: the
            scale of the 3D face that fits the landmarks, so that a turned head is not called small.
            Without landmarks a third of the box's longer side.
        sharpness: detail of 1 to 2 pixels of the aligned crop of 112, in the direction that has
            least of it (motion blurs one direction only), over the crop's standard deviation; 0
            upwards, 0.14 on most photos. Changes with neither brightness nor contrast, and
            noise is not told from detail. None for a crop of one color.
        yaw_deg: how far the face is turned to the side, -90 to 90; positive towards the viewer's
            right. None without landmarks. Of a single profile it is uncertain by 8 degrees.
        pitch_deg: how far up, -90 to 90; positive up. None without landmarks. Coarse: a long nose
            and a bowed head look the same in five points.
        brightness: mean gray level of the face, 0 to 1.
        contrast: standard deviation of the gray levels, 0 to 0.5.
        norm: length of the embedding before it was scaled to 1; None when not embedded.
            Comparable within a contract only.
        roll_deg: how far the head is tilted in the plane of the photo, above -180 to 180; positive
            clockwise for the viewer. None without landmarks.
        visible_share: how much of the face, from brows to chin, the photo's border leaves, 0 to 1;
            None where the photo's size is not known.
        recognizability: how much of an identity the recognizer finds in the face, whatever spoiled
            it, 0 (nothing: all such faces look alike) to 1 (a clean photo):
            ``lineament.recognizability``. None for a recognizer that it was not fitted for.
            Comparable within a contract only.
    """

    size_px: float
    sharpness: float | None
    yaw_deg: float | None
    pitch_deg: float | None
    brightness: float
    contrast: float
    norm: float | None
    roll_deg: float | None = None
    visible_share: float | None = None
    recognizability: float | None = None

    @property
    def turn_deg(self) -> float | None:
        """How far the face is turned to either side: ``abs(yaw_deg)``."""
        return None if self.yaw_deg is None else abs(self.yaw_deg)

    def __repr__(self) -> str:
        """In short."""
        parts = [f"{self.size_px:.0f} px between the eyes"]
        if self.sharpness is not None:
            parts.append(f"sharpness {self.sharpness:.3f}")
        if self.yaw_deg is not None and self.pitch_deg is not None:
            roll = "" if self.roll_deg is None else f", roll {self.roll_deg:+.0f}"
            parts.append(f"yaw {self.yaw_deg:+.0f}, pitch {self.pitch_deg:+.0f}{roll} degrees")
        parts.append(f"brightness {self.brightness:.2f}, contrast {self.contrast:.2f}")
        if self.visible_share is not None and self.visible_share < 1:
            parts.append(f"{self.visible_share:.2f} of it in the photo")
        if self.norm is not None:
            parts.append(f"norm {self.norm:.3g}")
        if self.recognizability is not None:
            parts.append(f"recognizability {self.recognizability:.2f}")
        return f"Quality({', '.join(parts)})"

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        return {
            key: None if value is None else round(value, 4) for key, value in asdict(self).items()
        }


@dataclass(frozen=True, slots=True)
class Threshold(Outcome):
    """From which score on two faces count as one person, and where that comes from.

    Attributes:
        value: in the unit of ``metric``.
        metric: name of the comparison.
        fmr: the false match rate it is meant for, 0 to 1; None when a person set it by hand.
        data: what it was fitted on, in words.
        impostor_pairs: how many pairs of two people it was fitted on; None when set by hand.
        low, high: 95 % interval of ``value``: how far it moves when the people that it was fitted
            on are drawn anew; None where that is not known.
    """

    value: float
    metric: str
    fmr: float | None
    data: str
    impostor_pairs: int | None
    low: float | None = None
    high: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        values = asdict(self)
        values["n_impostor_pairs"] = values.pop("impostor_pairs")
        return values

    @property
    def origin(self) -> str:
        """Where it comes from, in words."""
        if self.fmr is None:
            return self.data
        pairs = "" if self.impostor_pairs is None else f", {self.impostor_pairs:,} impostor pairs"
        return f"false match rate {self.fmr:g} on {self.data}{pairs}"

    def __str__(self) -> str:
        """In words, for people."""
        return f"{self.value:.3f} ({self.origin})"

    def __repr__(self) -> str:
        """In short."""
        aim = self.data if self.fmr is None else f"for a false match rate of {self.fmr:g}"
        return f"Threshold({self.value:.3f} {self.metric}, {aim})"


@dataclass(frozen=True, slots=True)
class Certainty(Outcome):
    """How probable it is that two photos show one person, and what that rests on.

    Attributes:
        probability: 0 to 1.
        low, high: its 95 % interval: how far it moves when the people of the data are drawn anew.
            It does not cover that your photos may differ from those of the data.
        llr: natural logarithm of the likelihood ratio: how much more likely the score is for one
            person than for two.
        prior: the share of genuine pairs that was taken for granted, 0 to 1.
        data: what the calibration was fitted on, in words.
        people, genuine_pairs, impostor_pairs: how much that is.
    """

    probability: float
    low: float
    high: float
    llr: float
    prior: float
    data: str
    people: int
    genuine_pairs: int
    impostor_pairs: int

    @property
    def in_words(self) -> str:
        """The probability and its interval, in per cent, never rounded up to certainty."""
        value, low, high = (per_cent(p) for p in (self.probability, self.low, self.high))
        return f"{value} ({low.removesuffix(' %')} to {high})"

    def __repr__(self) -> str:
        """In short."""
        return f"Certainty({self.in_words}, prior {self.prior:g})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        values = asdict(self)
        for name in ("people", "genuine_pairs", "impostor_pairs"):
            values[f"n_{name}"] = values.pop(name)
        return values

    @property
    def origin(self) -> str:
        """What it rests on, in words."""
        return (
            f"{self.data}: {self.people:,} people, {self.genuine_pairs:,} genuine and "
            f"{self.impostor_pairs:,} impostor pairs; prior {self.prior:g}"
        )


@dataclass(frozen=True, eq=False, slots=True)
class Decision(Pictured):
    """Whether two faces are of the same person, and what that rests on.

    It is neither true nor false: ``if verify(a, b):`` raises, as ``if array:`` does in NumPy,
    because there are more answers and code with two ends would let the others through. Ask
    ``decision.verdict == "same"`` where the answer must be relied upon, or ``decision.same`` for
    the bare threshold.

    Attributes:
        same: whether the score reaches the threshold. ``verdict`` may leave the answer open.
        score: of the two embeddings, in the unit of ``metric``.
        metric: name of the comparison, for example "cosine".
        similarity: cosine of the two embeddings, -1 to 1; higher is more alike.
        threshold: what the score was held against.
        margin: how far the score lies from the threshold, in the metric's unit; positive on the
            side of "same", whatever the metric's direction.
        source_a, source_b: names of the photos.
        face_a, face_b: the faces that were compared; None when only embeddings were given.
        others_a, others_b: how many more faces each photo has.
        norm_a, norm_b: lengths of the embeddings before scaling (see ``Embedding``).
        contract: how both embeddings were made.
        certainty: the probability, with its interval; None without a calibration.
        quality_a, quality_b: of the faces; None when only embeddings were given.
        reasons: why the answer is open, each with what to do; () when it is not.
        liveness_a, liveness_b: whether the faces are of somebody who was there; None where that
            was not checked.
        crop_a, crop_b: (S, S, 3) uint8, the aligned faces, for pictures; None in lists, where
            they would fill the memory, and when only embeddings were given.
    """

    same: bool
    score: float
    metric: str
    similarity: float
    threshold: Threshold
    margin: float
    source_a: str
    source_b: str
    face_a: Face | None
    face_b: Face | None
    others_a: int
    others_b: int
    norm_a: float
    norm_b: float
    contract: Contract
    certainty: Certainty | None = None
    quality_a: Quality | None = None
    quality_b: Quality | None = None
    reasons: tuple[str, ...] = ()
    crop_a: Image | None = None
    crop_b: Image | None = None
    liveness_a: Liveness | None = None
    liveness_b: Liveness | None = None

    def __bool__(self) -> bool:
        """TruthValueError: "undecided" is neither."""
        return no_truth(
            self, 'decision.verdict == "same" (sure), or decision.same (past the threshold)'
        )

    def __repr__(self) -> str:
        """In short."""
        parts = [
            f"{self.metric} {self.score:.3f}",
            f"threshold {self.threshold.value:.3f}",
            *([] if self.certainty is None else [f"one person: {self.certainty.in_words}"]),
            f"{self.source_a!r}, {self.source_b!r}",
        ]
        return f"Decision({self.verdict}, {', '.join(parts)})"

    @property
    def liveness(self) -> Liveness | None:
        """Of both faces the check that counts: one that failed before one that did not.

        None when nothing was checked.
        """
        checks = [each for each in (self.liveness_a, self.liveness_b) if each is not None]
        return min(checks, key=lambda each: each.severity) if checks else None

    @property
    def verdict(self) -> Verdict:
        """The answer.

        "not_live" when a face was checked and is not known to be alive, whoever it is of;
        "undecided" when there are ``reasons`` not to rely on the answer.
        """
        if self.liveness is not None and not self.liveness.live:
            return "not_live"
        if self.reasons:
            return "undecided"
        return "same" if self.same else "different"

    @property
    def not_live_reasons(self) -> tuple[str, ...]:
        """Why the verdict is "not_live", each with the photo's name; () when it is not."""
        return tuple(
            f"{source}: {reason}"
            for source, check in (
                (self.source_a, self.liveness_a),
                (self.source_b, self.liveness_b),
            )
            if check is not None
            for reason in check.reasons
        )

    @property
    def probability(self) -> float | None:
        """That both show one person, 0 to 1; None without a calibration."""
        return None if self.certainty is None else self.certainty.probability

    @property
    def verdict_in_words(self) -> str:
        """The answer for people."""
        words = {"same": "the same person", "different": "different people"}
        if self.verdict == "not_live":
            assert self.liveness is not None
            if self.liveness.outcome == "attack":
                return "not live: a face is a picture of one"
            return "not live: whether both faces are alive cannot be told"
        if self.verdict != "undecided":
            return words[self.verdict]
        if self.probability is not None and (self.probability >= 0.5) != self.same:
            if self.same:
                return "undecided: alike enough for the threshold, yet rather two people"
            return "undecided: not alike enough for the threshold, yet rather one person"
        return "undecided, rather " + words["same" if self.same else "different"]

    def __str__(self) -> str:
        """The decision in words."""
        side = "past" if self.same else "short of"
        lines = [
            f"{self.verdict_in_words}: {self.metric} {self.score:.3f} is {abs(self.margin):.3f} "
            f"{side} the threshold {self.threshold}"
        ]
        for source, others in ((self.source_a, self.others_a), (self.source_b, self.others_b)):
            if others:
                faces = "1 other face" if others == 1 else f"{others} other faces"
                lines.append(f"{printable(source)} has {faces}; one was compared")
        if self.certainty is not None:
            certainty = self.certainty
            lines.append(f"one person is {certainty.in_words} probable ({certainty.origin})")
        lines += [f"not live because {reason}" for reason in self.not_live_reasons]
        lines += [f"undecided because {reason}" for reason in self.reasons]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "same": self.same,
            "verdict": self.verdict,
            "reasons": [*self.not_live_reasons, *self.reasons],
            "probability": self.probability,
            "certainty": None if self.certainty is None else self.certainty.to_dict(),
            "score": round(self.score, 6),
            "metric": self.metric,
            "similarity": round(self.similarity, 6),
            "threshold": self.threshold.to_dict(),
            "margin": round(self.margin, 6),
            "a": _side(self.source_a, self.face_a, self.others_a, self.norm_a, self.quality_a)
            | _checked(self.liveness_a),
            "b": _side(self.source_b, self.face_b, self.others_b, self.norm_b, self.quality_b)
            | _checked(self.liveness_b),
            "contract": asdict(self.contract),
            "explanation": str(self),
        }

    def to_rows(self) -> list[dict[str, Any]]:
        """One row: the answer first; the faces' boxes and landmarks are left out."""
        certainty = {} if self.certainty is None else asdict(self.certainty)
        threshold = self.threshold.to_dict()
        sides = {}
        for name, norm, others, quality in (
            ("a", self.norm_a, self.others_a, self.quality_a),
            ("b", self.norm_b, self.others_b, self.quality_b),
        ):
            measures = {} if quality is None else quality.to_dict()
            sides[name] = {"n_other_faces": others, **measures, "norm": round(norm, 4)}
        return [
            {
                "source_a": self.source_a,
                "source_b": self.source_b,
                "verdict": self.verdict,
                "same": self.same,
                "score": self.score,
                "metric": self.metric,
                "similarity": self.similarity,
                "margin": self.margin,
                **flat({"threshold": threshold}),
                **{key: certainty.get(key) for key in ("probability", "low", "high", "prior")},
                "reasons": "; ".join([*self.not_live_reasons, *self.reasons]),
                **({} if self.liveness is None else {"liveness": self.liveness.outcome}),
                "weights": self.contract.weights,
                **flat(sides),
            }
        ]


def _side(
    source: str, face: Face | None, others: int, norm: float, quality: Quality | None
) -> dict[str, Any]:
    return {
        "source": source,
        "face": None if face is None else face.to_dict(),
        "n_other_faces": others,
        "embedding_norm": round(norm, 4),
        "quality": None if quality is None else quality.to_dict(),
    }


def _checked(check: Liveness | None) -> dict[str, Any]:
    """The key "liveness" of a face that was checked."""
    return {} if check is None else {"liveness": check.to_dict()}
