"""A photo made worse in steps: masks, sunglasses, blur, darkness, rotation, low resolution.

Each version goes through the whole pipeline, detection included, and is held against a reference:
the photo as it is, or another one of the same person. A face that is no longer found is said
so: then there is no similarity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import cv2
import numpy as np

from lineament.align.landmarks68 import CHIN, JAW, five_of_68
from lineament.decide.metrics import compare
from lineament.errors import OptionError
from lineament.finder import FaceFinder, Source, name_of, pixels_of
from lineament.pictures.charts.colors import BLUE, GRAY, INK, VERMILLION
from lineament.pictures.charts.text import percent
from lineament.pictures.plots.plot import Plot
from lineament.pictures.plots.sheet import EDGE, SMALL_PT, TEXT_PT, Sheet, height_of
from lineament.pipeline import Recognizer
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
    "mask": ("Mask", "covers so much of the way from the chin to the eyes"),
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

SHOWN = 1.45
"""Side of what is shown, over the face's longer side."""

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
    """Cut out the window around the face that a photo is of, its edge repeated where it ends.

    Args:
        finder: finds the 68 points.
        photo: with its pixels.

    Raises:
        NoFaceError: it has no face.
    """
    face, image = photo.faces[photo.require()], pixels_of(photo)
    points = finder.landmarks68(photo, photo.chosen)[0].astype(np.float64)
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
class Step:
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


def occlusion(
    recognizer: Recognizer,
    source: Source,
    *,
    reference: Source | None = None,
    kinds: Sequence[str] = KINDS,
    threshold: Threshold | None = None,
    title: str = "",
) -> Plot:
    """Draw how similarity falls as a photo is made worse.

    Args:
        recognizer: what detects and compares.
        source: the photo.
        reference: another photo of the same person; None: the photo as it is.
        kinds: of ``KINDS``.
        threshold: from ``Recognizer.threshold``, of the metric "cosine"; None: the default one.
        title: None is the photo's name.

    Raises:
        NoFaceError: no face was found in the photo as it is, or in the reference.
        OptionError: other kinds, or a threshold of another metric.
        ImageError: a photo cannot be read.
        MissingExtraError: matplotlib is missing.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        got = ", ".join(unknown) if unknown else "none"
        raise OptionError(f"expected some of {', '.join(KINDS)}, got {got}", option="kinds")
    wanted = [kind for kind in KINDS if kind in kinds]
    if threshold is None:
        threshold = recognizer.threshold()
    if threshold.metric != "cosine":
        raise OptionError(
            f"expected one for cosine, got one for {threshold.metric}", option="threshold"
        )
    found = recognizer.finder.find(source)
    name = found.source
    subject = subject_of(recognizer.finder, found)
    against = recognizer.embed(found if reference is None else reference)
    ways = [(kind, level) for kind in wanted for level in LEVELS[kind]]
    images = [subject.image, *(worse(subject, kind, level) for kind, level in ways)]
    photos = list(recognizer.stream(images))
    steps = [
        _step(photo, picture, level, subject, against, threshold, recognizer)
        for photo, picture, level in zip(
            photos, images, [None, *(level for _, level in ways)], strict=True
        )
    ]
    series = {
        kind: [steps[0], *(s for s, (k, _) in zip(steps[1:], ways, strict=True) if k == kind)]
        for kind in wanted
    }
    told = None if reference is None else name_of(reference)
    figure = _draw(subject, series, threshold, name, told, title)
    numbers = {
        "photograph": name,
        "reference": name if told is None else told,
        "threshold": threshold.value,
        "fmr": threshold.fmr,
        "eyes_px": round(subject.eyes_px, 2),
        "series": {
            kind: {
                "unit": MEANT[kind][1],
                "steps": [step.to_dict() for step in own],
                "fails_at": fails_at(own),
            }
            for kind, own in series.items()
        },
    }
    return Plot(figure, numbers)


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


# --- the picture ----------------------------------------------------------------------------------

FACE_IN, GAP_IN, AXIS_IN, CHART_IN = 0.8, 0.1, 0.52, 1.15
BLOCK_IN = AXIS_IN + 6 * FACE_IN + 5 * GAP_IN
BETWEEN_IN = 0.35


def _draw(
    subject: Subject,
    series: dict[Kind, list[Step]],
    threshold: Threshold,
    name: str,
    reference: str | None,
    title: str,
) -> Any:
    short = name.replace("\\", "/").rsplit("/", 1)[-1]
    columns = min(2, len(series))
    width = 2 * EDGE + columns * BLOCK_IN + (columns - 1) * BETWEEN_IN
    against = (
        "the photo as it is"
        if reference is None
        else f"another one, {reference.replace(chr(92), '/').rsplit('/', 1)[-1]}"
    )
    origin = threshold.origin if threshold.fmr is None else f"for a {threshold.origin}"
    sheet = Sheet(
        title if title else f"{short}, made worse in steps", width,
        subtitle=f"Each version goes through the whole pipeline and is compared with {against}. "
        f"Threshold {threshold.value:.3f} (dashed line) {origin}. Blue frame: reaches it; "
        "vermillion, dashed: falls short, or no face is found.",
    )  # fmt: skip
    low = min([0.0, threshold.value] + [s.similarity for own in series.values() for s in own
                                        if s.similarity is not None])  # fmt: skip
    kinds = list(series)
    for start in range(0, len(kinds), columns):
        tallest = 0.0
        for column, kind in enumerate(kinds[start : start + columns]):
            left = EDGE + column * (BLOCK_IN + BETWEEN_IN)
            tallest = max(tallest, _block(sheet, left, kind, series[kind], subject, threshold, low))
        sheet.down += tallest + 0.3
    return sheet.finished(sheet.down - 0.25)


def _block(
    sheet: Sheet,
    left: float,
    kind: Kind,
    steps: list[Step],
    subject: Subject,
    threshold: Threshold,
    low: float,
) -> float:
    head, unit = MEANT[kind]
    top = sheet.down
    top += sheet.text(left, top, BLOCK_IN, head, 10.5, bold=True)
    end = fails_at(steps)
    fails = "no step here fails" if end is None else f"fails first at {_level(kind, end)}"
    top += sheet.text(left, top, BLOCK_IN, f"{unit}; {fails}", SMALL_PT, color=GRAY) + 0.06
    first = left + AXIS_IN
    tallest = 0.0
    for k, step in enumerate(steps):
        x = first + k * (FACE_IN + GAP_IN)
        sheet.picture(shown(step.image, subject), x, top, FACE_IN,
                      frame=BLUE if step.same else VERMILLION, dashed=not step.same)  # fmt: skip
        lines = ["as it is" if step.level is None else _level(kind, step.level)]
        if step.similarity is None:
            lines += ["no face", "found"]
        else:
            lines.append(f"sim. {step.similarity:.3f}")
            if step.probability is not None:
                lines.append(f"p {_short(step.probability)}")
        sheet.text(x - 0.05, top + FACE_IN + 0.06, FACE_IN + 0.1, "\n".join(lines), SMALL_PT,
                   color=INK if step.same else VERMILLION, centered=True)  # fmt: skip
        tallest = max(tallest, height_of(lines, SMALL_PT))
    chart = top + FACE_IN + 0.06 + tallest + 0.1
    axes = sheet.axes(first, chart, 6 * FACE_IN + 5 * GAP_IN, CHART_IN)
    # Each point stands right under its face.
    pitch = FACE_IN + GAP_IN
    places = np.arange(len(steps)) * pitch + FACE_IN / 2
    values = {k: step.similarity for k, step in enumerate(steps) if step.similarity is not None}
    axes.plot(places[list(values)], list(values.values()), color=GRAY, linewidth=1.4, zorder=2)
    for same, color, marker in ((True, BLUE, "o"), (False, VERMILLION, "X")):
        some = [k for k in values if steps[k].same == same]
        axes.plot(places[some], [values[k] for k in some], linestyle="none",
                  marker=marker, color=color, markersize=6.5, zorder=3)  # fmt: skip
    axes.axhline(threshold.value, color=INK, linewidth=1.3, linestyle=(0, (5, 2)), zorder=1)
    axes.set_xlim(0, 6 * FACE_IN + 5 * GAP_IN)
    axes.set_ylim(low - (0.05 if low < 0 else 0), 1.05)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_xticks(places, [""] * len(steps))
    axes.set_ylabel("similarity", fontsize=TEXT_PT)
    return chart + CHART_IN - sheet.down


def shown(picture: Image, subject: Subject) -> Image:
    """The middle of a version: the face with some room, its pixels as coarse as they are."""
    share = min(1.0, SHOWN * subject.side_px / len(subject.image))
    size = len(picture)
    cut = round((1 - share) / 2 * size)
    part = picture[cut : size - cut, cut : size - cut]
    if len(part) < 120:
        times = -(-120 // len(part))
        part = part.repeat(times, axis=0).repeat(times, axis=1)
    return part


def _level(kind: Kind, level: float) -> str:
    if kind in ("mask", "darkness"):
        return percent(level, 2)
    return {"rotation": f"{level:g}°", "resolution": f"{level:g} px"}.get(kind, f"{level:g}")


def _short(probability: float) -> str:
    if probability > 0.9995:
        return ">99.9%"
    return "<0.1%" if probability < 0.0005 else percent(probability, 3)
