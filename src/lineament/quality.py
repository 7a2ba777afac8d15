"""Stage 3, its measures: a face and its crop in, how good they are for recognition out.

    measure()          face, aligned crop and the embedding's norm -> Quality
    quality_of()       the same for an embedded face; None where quality is not defined
    QualityLimits      beyond which a decision is called "undecided", with the reasons as codes and
                       in words
    STRICT             the limits of a strict enrolment

The limits come from LFW View 1, degraded in steps: ``benchmarks/accuracy/quality.py`` prints the
measurements, ``docs/concepts/quality.md`` holds them; that of the turn comes from profiles of CFP,
too: ``benchmarks/accuracy/turned.py``.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from lineament.align.alignment import at_native_px
from lineament.errors import OptionError, WeightsError
from lineament.models import Card
from lineament.pose import head_pose
from lineament.recognizability import recognizability_of
from lineament.types import Embedding, Face, Image, Quality
from lineament.visible import visible_share

BOX_EYES = 1 / 3.0
"""Distance of the eyes over the box's longer side, for faces without landmarks: ``align.BOX_SIDE``
says where the 3.0 comes from."""

_INNER = (slice(28, 104), slice(20, 92))
# Rows and columns of the 112 crop from the brows to the lower lip: background, hair and the black
# outside of the photo would be measured instead of the face.

_FINE_PX, _COARSE_PX = 1.0, 2.0
# The band of detail: finer than this and it is noise and JPEG blocks, coarser and it is the face's
# own light and shade.


def quality_of(
    face: Face, crop: Image | None, embedding: Embedding, size_wh: tuple[int, int] | None
) -> Quality | None:
    """Measure an embedded face, where that is defined.

    The measures, and the limits that they are held against, were fitted on crops of ArcFace's
    template: for a recognizer that takes others (dlib's, or no template) there is no quality.

    Args:
        face: as the detector returned it.
        crop: (S, S, 3) uint8, RGB: the face as the recognizer saw it; None when it was not kept.
        embedding: of that crop.
        size_wh: width and height of the photo in pixels, where they are known.
    """
    square = re.fullmatch("arcface-[0-9]+", embedding.contract.alignment)
    if crop is None or square is None:
        return None
    left = recognizability_of(embedding, crop)
    return measure(face, crop, embedding.norm, size_wh, recognizability=left)


def measure(
    face: Face,
    crop: Image,
    norm: float | None = None,
    size_wh: tuple[int, int] | None = None,
    *,
    recognizability: float | None = None,
) -> Quality:
    """Measure one face.

    Args:
        face: as the detector returned it.
        crop: (S, S, 3) uint8, RGB: the same face, aligned with "five-points".
        norm: length of its embedding before scaling; None when it has none.
        size_wh: width and height of the photo in pixels; None: ``visible_share`` is not measured.
        recognizability: from ``lineament.recognizability``; None when it is not known.

    Raises:
        OptionError: a crop of another shape or type, or landmarks that coincide.
    """
    if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[2] != 3:
        raise OptionError(
            f"expected RGB, uint8, (S, S, 3), got {crop.dtype}, {crop.shape}: make it with "
            "align_faces",
            option="crop",
        )
    if face.landmarks_xy is None or face.boxed == "box":  # those were not found
        size, yaw, pitch, roll = max(face.size_wh) * BOX_EYES, None, None, None
    else:
        pose = head_pose(face.landmarks_xy)
        size, yaw, pitch, roll = pose.eyes_px, pose.yaw_deg, pose.pitch_deg, pose.roll_deg
    crop = at_native_px(crop)
    gray = cv2.cvtColor(crop[_INNER], cv2.COLOR_RGB2GRAY).astype(np.float32)
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(gray))
    return Quality(
        size_px=size,
        sharpness=_least_detail(gray) / deviation if deviation > 0 else None,
        yaw_deg=yaw,
        pitch_deg=pitch,
        brightness=mean / 255,
        contrast=deviation / 255,
        norm=norm,
        roll_deg=roll,
        visible_share=None if size_wh is None else visible_share(face, size_wh, crop),
        recognizability=recognizability,
    )


ProblemCode = Literal[
    "too_small",
    "blurred",
    "cut_off",
    "turned",
    "dark",
    "overexposed",
    "flat",
    "low_norm",
    "low_recognizability",
    "covered",
    "not_detected",
]
"""What may be wrong with a face, for programs; docs/reference/reasons.md says what each means."""


@dataclass(frozen=True, slots=True)
class QualityProblem:
    """Something about a face that lies beyond a limit.

    Attributes:
        code: what it is, for programs; it keeps its name.
        message: the number, the limit, and what to do.
    """

    code: ProblemCode
    message: str


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """Within which a photo has to be for decisions about it to be reliable; None: no limit.

    Attributes:
        least_size_px, least_sharpness, greatest_turn_deg, least_brightness, greatest_brightness,
        least_contrast, least_visible_share, least_recognizability: of the values of ``Quality``
            with these names. The last one belongs to a contract, as the norm's does.
        least_norm: of the embedding's norm. It holds for one contract, so it belongs to a
            calibration; ``fit.norm_limit`` finds it.
    """

    least_size_px: float | None = None
    least_sharpness: float | None = None
    greatest_turn_deg: float | None = None
    least_brightness: float | None = None
    greatest_brightness: float | None = None
    least_contrast: float | None = None
    least_norm: float | None = None
    least_visible_share: float | None = None
    least_recognizability: float | None = None

    def __post_init__(self) -> None:
        """Validate; OptionError says what is wrong."""
        for name, value in asdict(self).items():
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise OptionError(
                    f"{name}: expected None or a finite number of 0 or more, got {value}"
                )

    def problems(self, quality: Quality) -> tuple[str, ...]:
        """Say in words what lies beyond a limit: the number, the limit, and what to do.

        What was not measured is no problem, with one exception: a crop of one color has no
        sharpness and falls under every limit for it.
        """
        return tuple(one.message for one in self.beyond(quality))

    def beyond(self, quality: Quality) -> tuple[QualityProblem, ...]:
        """Find the same, each with its code for programs."""
        q = quality
        sharpness = 0.0 if q.sharpness is None else q.sharpness
        found: list[QualityProblem] = []

        def add(code: ProblemCode, message: str) -> None:
            found.append(QualityProblem(code, message))

        if self.least_size_px is not None and q.size_px < self.least_size_px:
            add(
                "too_small",
                f"the face is {_number(q.size_px, self.least_size_px)} px between the eyes, below "
                f"{self.least_size_px:g} px: use a larger photo",
            )
        if self.least_sharpness is not None and sharpness < self.least_sharpness:
            add(
                "blurred",
                f"the face is blurred: sharpness {_number(sharpness, self.least_sharpness)}, below "
                f"{self.least_sharpness:g}: use a photo in focus and without motion",
            )
        if (
            self.least_visible_share is not None
            and q.visible_share is not None
            and q.visible_share < self.least_visible_share
        ):
            add(
                "cut_off",
                "the photo's border cuts the face: "
                f"{_number(q.visible_share, self.least_visible_share)} of it is visible, below "
                f"{self.least_visible_share:g}: use a photo that shows the whole face",
            )
        if (
            self.greatest_turn_deg is not None
            and q.turn_deg is not None
            and q.turn_deg > self.greatest_turn_deg
        ):
            add(
                "turned",
                f"the face is turned by {_number(q.turn_deg, self.greatest_turn_deg)} degrees, "
                f"above {self.greatest_turn_deg:g}: use a photo from the front",
            )
        if self.least_brightness is not None and q.brightness < self.least_brightness:
            add(
                "dark",
                f"the face is dark: brightness {_number(q.brightness, self.least_brightness)}, "
                f"below {self.least_brightness:g}: use a photo with more light on the face",
            )
        if self.greatest_brightness is not None and q.brightness > self.greatest_brightness:
            add(
                "overexposed",
                "the face is overexposed: brightness "
                f"{_number(q.brightness, self.greatest_brightness)}, above "
                f"{self.greatest_brightness:g}: use a photo with less light on the face",
            )
        if self.least_contrast is not None and q.contrast < self.least_contrast:
            add(
                "flat",
                f"the face is flat: contrast {_number(q.contrast, self.least_contrast)}, below "
                f"{self.least_contrast:g}: use a photo without haze, and not nearly black or "
                "white",
            )
        if self.least_norm is not None and q.norm is not None and q.norm < self.least_norm:
            add(
                "low_norm",
                f"the recognizer sees little of a face: embedding norm "
                f"{_number(q.norm, self.least_norm)}, below {self.least_norm:g}: use a photo "
                "that is sharper, larger, from the front, or shows more of the face",
            )
        if (
            self.least_recognizability is not None
            and q.recognizability is not None
            and q.recognizability < self.least_recognizability
        ):
            add(
                "low_recognizability",
                f"{LITTLE_LEFT}: recognizability "
                f"{_number(q.recognizability, self.least_recognizability)}, below "
                f"{self.least_recognizability:g}: use a photo that is clear, and shows the whole "
                "face uncovered",
            )
        return tuple(found)

    def stricter(self, other: QualityLimits) -> QualityLimits:
        """Of each limit the stricter one of the two."""
        values: dict[str, float | None] = {}
        for name, own in asdict(self).items():
            both = [value for value in (own, getattr(other, name)) if value is not None]
            choose = min if name.startswith("greatest_") else max
            values[name] = choose(both) if both else None
        return QualityLimits(**values)

    def to_dict(self) -> dict[str, float | None]:
        """Plain numbers, ready for JSON; ``QualityLimits(**values)`` is the way back."""
        return asdict(self)


NOT_DETECTED = (
    "no face was found in the box that was drawn, so it was cut out by the box alone: draw it "
    "around the face, from brows to chin, or use a photo in which the face is clearer"
)
"""The problem of a face whose ``boxed`` is "box"."""

LITTLE_LEFT = "too little of an identity is left in the face"
"""How the problem of a face below the least recognizability begins."""

DEFAULT_LIMITS = QualityLimits(
    least_size_px=12,
    least_sharpness=0.07,
    greatest_turn_deg=40,
    least_brightness=0.1,
    greatest_brightness=0.82,
    least_contrast=0.035,
    least_visible_share=0.86,
)
"""For a recognizer that was not measured: those of the weaker one that was."""

MISSED_LEVEL = 0.1
"""FNMR from which on a decision is not relied upon; eight times that of ordinary photos."""


def limits_of(card: Card) -> QualityLimits:
    """The limits for an embedder: those of its card, else ``DEFAULT_LIMITS``.

    The bundled ones were fitted on LFW View 1 at the default threshold: where one bad photo is
    missed in more than ``MISSED_LEVEL`` of its genuine pairs, or two equally bad ones match five
    times as often as wanted. The turn's were fitted in the same way on View 1 and on CFP's frontal
    photos against its profiles, by the yaw of the face that is turned farther. The norm's limit
    belongs to a contract and stands in its calibration. ``docs/concepts/quality.md`` has the
    figures.

    Raises:
        WeightsError: the card names a limit that there is not.
    """
    try:
        return replace(DEFAULT_LIMITS, **card.quality_limits)
    except TypeError as error:
        names = ", ".join(field.name for field in fields(QualityLimits))
        raise WeightsError(f"{card.name}: quality_limits: expected {names}, got {error}") from error


def _least_detail(gray: npt.NDArray[np.float32]) -> float:
    """Root mean square slope of the band between the two Gaussians, where it is flattest.

    The lesser eigenvalue of the structure tensor (Förstner and Gülch, 1987), averaged over the
    face: the mean squared slope in the direction that has least.
    """
    fine, coarse = (cv2.GaussianBlur(gray, (0, 0), sigma) for sigma in (_FINE_PX, _COARSE_PX))
    band = cv2.subtract(fine, coarse)
    across = cv2.subtract(band[1:-1, 2:], band[1:-1, :-2]).ravel()
    down = cv2.subtract(band[2:, 1:-1], band[:-2, 1:-1]).ravel()
    xx, yy, xy = (
        float(p @ q) / len(across) for p, q in ((across, across), (down, down), (across, down))
    )
    least = (xx + yy) / 2 - math.hypot((xx - yy) / 2, xy)
    return math.sqrt(max(least, 0.0))  # rounding may bring it below 0


def _number(value: float, limit: float) -> str:
    """With as many digits as it takes to differ from the limit."""
    for digits in range(2, 7):
        text = f"{value:.{digits}g}"
        if float(text) != limit:
            return text
    return f"{value:g}"
