"""A photo made worse in steps: masks, sunglasses, blur, darkness, rotation, low resolution.

Each version goes through the whole pipeline, detection included, and is compared with a reference:
the photo as it is, or another one of the same person. A face that is no longer found has no
similarity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import cv2
import numpy as np

from lineament.align.landmarks68 import CHIN, JAW, five_of_68
from lineament.decide.comparison import compare
from lineament.errors import OptionError
from lineament.finder import FaceFinder, Source, name_of, pixels_of
from lineament.pipeline import Recognizer
from lineament.results import Outcome
from lineament.types import Embedding, Float64Array, Image, Photo, Threshold

Kind = Literal["mask", "sunglasses", "blur", "darkness", "rotation", "resolution"]
KINDS: tuple[Kind, ...] = get_args(Kind)

LEVELS: dict[Kind, tuple[float, ...]] = {
    "mask": (0.2, 0.4, 0.55, 0.7, 0.85),
    "sunglasses": (0.12, 0.2, 0.28, 0.36, 0.44),
    "blur": (0.04, 0.08, 0.12, 0.16, 0.24),
    "darkness": (0.3, 0.1, 0.03, 0.01, 0.003),
    "rotation": (15, 30, 60, 90, 180),
    "resolution": (16, 12, 8, 6, 4),
}
"""From mild to strong. What they measure is in ``MEANT``."""

MEANT: dict[Kind, tuple[str, str]] = {
    "mask": ("Mask", "share of the way from the chin to the eyes that is covered"),
    "sunglasses": ("Sunglasses", "half the width of a lens over the distance of the eyes"),
    "blur": ("Blur", "standard deviation of the Gaussian over the distance of the eyes"),
    "darkness": ("Darkness", "share of the light that is left"),
    "rotation": ("Rotation in the plane", "degrees, counter-clockwise"),
    "resolution": ("Low resolution", "pixels between the eyes"),
}

WINDOW = 3.4
"""Side of the part of the photo that is used, over the face's longer side."""

MOST_PX = 640
"""A larger window is reduced to this first."""

MASK_RGB, LENS_RGB = (168, 200, 214), (18, 18, 20)


@dataclass(frozen=True, eq=False, slots=True)
class Subject:
    """A face in the middle of a square window.

    Attributes:
        image: (S, S, 3) uint8.
        points_xy: (68, 2) float64, pixels of the window.
        eyes_px: distance of the eyes' middles.
        side_px: longer side of the face's box.
    """

    image: Image
    points_xy: Float64Array
    eyes_px: float
    side_px: float


def subject_of(finder: FaceFinder, photo: Photo) -> Subject:
    """Cut out the window around the face that a photo is of; its edge is repeated where it ends.

    Args:
        finder: finds the 68 points.
        photo: with its pixels and a face.

    Raises:
        NoFaceError, OptionError: the photo has no face, or no pixels.
    """
    image, face = pixels_of(photo), photo.faces[photo.require()]
    points = finder.landmarks(photo, photo.chosen)[0].astype(np.float64)
    side = float(max(face.size_wh))
    size = max(8, round(WINDOW * side))
    left, top = (round(c - size / 2) for c in face.center_xy)
    height, width = image.shape[:2]
    pad = (max(-top, 0), max(top + size - height, 0), max(-left, 0), max(left + size - width, 0))
    inner = image[max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)]
    window = cast("Image", cv2.copyMakeBorder(inner, *pad, cv2.BORDER_REPLICATE))
    points = points - [left, top]
    if size > MOST_PX:
        scale = MOST_PX / size
        window = cast("Image", cv2.resize(window, (MOST_PX, MOST_PX), interpolation=cv2.INTER_AREA))
        points, side = (points + 0.5) * scale - 0.5, side * scale
    five = five_of_68(points[None])[0]
    return Subject(window, points, float(np.linalg.norm(five[1] - five[0])), side)


def worse(subject: Subject, kind: Kind, level: float) -> Image:
    """Make a photo worse: (S', S', 3) uint8.

    Args:
        subject: from ``subject_of``.
        kind: one of ``KINDS``.
        level: as ``MEANT`` says.

    Raises:
        OptionError: another kind, or a level out of its range.
    """
    if kind not in _MAKERS:
        raise OptionError(f"expected one of {', '.join(KINDS)}, got {kind!r}", option="kind")
    if not (np.isfinite(level) and level > 0):
        raise OptionError(f"expected a finite number above 0, got {level}", option="level")
    return _MAKERS[kind](subject, level)


def _mask(subject: Subject, level: float) -> Image:
    """The jaw's hull up to a line across the face, with folds."""
    points, five = subject.points_xy, five_of_68(subject.points_xy[None])[0].astype(np.float64)
    up = five[:2].mean(axis=0) - points[CHIN]
    chin = points[CHIN] - 0.04 * up
    size = len(subject.image)
    jaw = np.concatenate([points[JAW], chin[None]])
    hull = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.rint(jaw).astype(np.int32)), 255, cv2.LINE_AA)
    y, x = np.mgrid[:size, :size]
    share = ((x - points[CHIN][0]) * up[0] + (y - points[CHIN][1]) * up[1]) / (up @ up)
    edge = np.clip((level - share) * np.linalg.norm(up) + 0.5, 0, 1)
    cover = (hull / 255 * edge)[:, :, None]
    # Folds and a light from above, so that it looks like cloth rather than a hole.
    shade = 1 - 0.10 * (np.cos(2 * np.pi * share / 0.17) > 0.93) - 0.12 * np.clip(0.4 - share, 0, 1)
    cloth = np.array(MASK_RGB) * shade[:, :, None]
    masked: Image = np.rint(subject.image * (1 - cover) + cloth * cover).astype(np.uint8)
    return masked


def _sunglasses(subject: Subject, level: float) -> Image:
    five = five_of_68(subject.points_xy[None])[0].astype(np.float64)
    eyes, across = five[:2], five[1] - five[0]
    angle = float(np.degrees(np.arctan2(across[1], across[0])))
    radius = level * subject.eyes_px
    picture = subject.image.copy()
    bits = 4

    def place(point: Float64Array) -> tuple[int, int]:
        return round(float(point[0]) * 2**bits), round(float(point[1]) * 2**bits)

    thick = max(1, round(0.06 * subject.eyes_px))
    cv2.line(picture, place(eyes[0]), place(eyes[1]), LENS_RGB, thick, cv2.LINE_AA, bits)
    for eye, ear in ((eyes[0], subject.points_xy[0]), (eyes[1], subject.points_xy[16])):
        cv2.line(picture, place(eye), place(ear), LENS_RGB, thick, cv2.LINE_AA, bits)
        axes = (round(radius * 2**bits), round(0.8 * radius * 2**bits))
        cv2.ellipse(picture, place(eye), axes, angle, 0, 360, LENS_RGB, -1, cv2.LINE_AA, bits)
    return picture


def _blur(subject: Subject, level: float) -> Image:
    return cast("Image", cv2.GaussianBlur(subject.image, (0, 0), level * subject.eyes_px))


def _darkness(subject: Subject, level: float) -> Image:
    """Less light in linear units (the inverse of sRGB's curve, as a power of 2.2), in 8 bits."""
    less = np.rint(subject.image * float(level) ** (1 / 2.2)).clip(0, 255)
    dark: Image = less.astype(np.uint8)
    return dark


def _rotation(subject: Subject, level: float) -> Image:
    size = len(subject.image)
    middle = (size - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), level, 1.0)
    turned = cv2.warpAffine(
        subject.image, matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return cast("Image", turned)


def _resolution(subject: Subject, level: float) -> Image:
    size = max(8, round(len(subject.image) * min(1.0, level / subject.eyes_px)))
    return cast("Image", cv2.resize(subject.image, (size, size), interpolation=cv2.INTER_AREA))


_MAKERS: dict[Kind, Callable[[Subject, float], Image]] = {
    "mask": _mask,
    "sunglasses": _sunglasses,
    "blur": _blur,
    "darkness": _darkness,
    "rotation": _rotation,
    "resolution": _resolution,
}


@dataclass(frozen=True, eq=False, slots=True)
class Step(Outcome):
    """One version of the photo, held against the reference.

    Attributes:
        level: as ``MEANT`` says; None: the photo as it is.
        image: the version, (S, S, 3) uint8.
        similarity: None when the face was not found.
        probability: None without a calibration, or when the face was not found.
        same: whether the similarity reaches the threshold.
    """

    level: float | None
    image: Image
    similarity: float | None
    probability: float | None
    same: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "level": self.level,
            "face_found": self.similarity is not None,
            "similarity": None if self.similarity is None else round(self.similarity, 6),
            "probability": self.probability,
            "same": self.same,
        }


@dataclass(frozen=True, eq=False, slots=True)
class Degraded(Outcome):
    """A photo and its versions, each compared with the reference.

    Attributes:
        source: name of the photo.
        reference: name of the reference; None: the photo as it is.
        subject: the face in its window.
        threshold: what similarities were held against.
        series: for each kind the photo as it is, then its versions from mild to strong.
    """

    source: str
    reference: str | None
    subject: Subject
    threshold: Threshold
    series: Mapping[Kind, Sequence[Step]]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "source": self.source,
            "reference": self.source if self.reference is None else self.reference,
            "threshold": self.threshold.to_dict(),
            "eyes_px": round(self.subject.eyes_px, 2),
            "series": {
                kind: {
                    "unit": MEANT[kind][1],
                    "steps": [step.to_dict() for step in own],
                    "fails_at": fails_at(own),
                }
                for kind, own in self.series.items()
            },
        }


def degrade(
    recognizer: Recognizer,
    source: Source,
    *,
    reference: Source | None = None,
    kinds: Sequence[str] = KINDS,
    threshold: Threshold | None = None,
) -> Degraded:
    """Measure how similarity falls as a photo is made worse.

    Args:
        recognizer: what finds, embeds and compares; its finder has the 68 points.
        source: the photo.
        reference: another photo of the same person; None: the photo as it is.
        kinds: of ``KINDS``.
        threshold: from ``Recognizer.threshold``, of the metric "cosine"; None: the default one.

    Raises:
        NoFaceError: no face was found in the photo as it is, or in the reference.
        OptionError: other kinds, or a threshold of another metric.
        ImageError: a photo cannot be read.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        got = ", ".join(unknown) if unknown else "none"
        raise OptionError(f"expected some of {', '.join(KINDS)}, got {got}", option="kinds")
    chosen = [kind for kind in KINDS if kind in kinds]
    if threshold is None:
        threshold = recognizer.threshold()
    check_cosine(threshold)
    photo = recognizer.finder.find(source)
    subject = subject_of(recognizer.finder, photo)
    against = recognizer.embed(photo if reference is None else reference)
    ways = [(kind, level) for kind in chosen for level in LEVELS[kind]]
    images = [subject.image, *(worse(subject, kind, level) for kind, level in ways)]
    levels = [None, *(level for _, level in ways)]
    steps = [
        _step(version, picture, level, subject, against, threshold, recognizer)
        for version, picture, level in zip(recognizer.stream(images), images, levels, strict=True)
    ]
    series = {
        kind: [steps[0], *(s for s, (k, _) in zip(steps[1:], ways, strict=True) if k == kind)]
        for kind in chosen
    }
    name = None if reference is None else name_of(reference)
    return Degraded(photo.source, name, subject, threshold, series)


def check_cosine(threshold: Threshold) -> None:
    """Raise OptionError unless the threshold is one for cosines."""
    if threshold.metric != "cosine":
        raise OptionError(
            f"expected one for cosine, got one for {threshold.metric}", option="threshold"
        )


def fails_at(steps: Sequence[Step]) -> float | None:
    """The mildest level that is not called the same person; None when all are."""
    return next((step.level for step in steps if step.level is not None and not step.same), None)


def _step(
    photo: Photo,
    picture: Image,
    level: float | None,
    subject: Subject,
    reference: Embedding,
    threshold: Threshold,
    recognizer: Recognizer,
) -> Step:
    """The face in the middle, and no other: somebody behind must not stand in for it."""
    scale = len(picture) / len(subject.image)
    middle = (len(picture) - 1) / 2
    apart = [
        float(np.hypot(face.center_xy[0] - middle, face.center_xy[1] - middle))
        for face in photo.faces
    ]
    near = int(np.argmin(apart)) if apart else None
    if near is None or apart[near] > 0.5 * subject.side_px * scale:
        return Step(level, picture, None, None, same=False)
    decision = recognizer.judge.assess(compare(reference, photo.embeddings[near], threshold))
    return Step(level, picture, decision.similarity, decision.probability, decision.same)
