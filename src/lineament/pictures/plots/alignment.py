"""How a face is aligned, stage by stage: from the photo to the face cut out along its hull.

The first three ways of aligning can be compared at a glance: the box as it is, turned by the eyes,
and warped by five points; then come the 68 points and the hull.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lineament.align.alignment import (
    ALIGNMENT_NAMES,
    AlignMethod,
    face_transforms,
    parse_alignment_name,
    template_xy,
    to_crop_xy,
    warp,
)
from lineament.align.landmarks68 import cut_out, face_hull_mask
from lineament.errors import OptionError
from lineament.finder import Source, pixels_of
from lineament.pictures import photos as draw
from lineament.pictures.charts.colors import GRAY, INK, ORANGE, SKY, VERMILLION
from lineament.pictures.plots.plot import Plot
from lineament.pictures.plots.sheet import EDGE, SMALL_PT, Sheet
from lineament.pipeline import Recognizer
from lineament.types import Face, Float64Array, Image

SIDE_IN, GAP_IN = 2.7, 0.3
WIDTH_IN = 2 * EDGE + 3 * SIDE_IN + 2 * GAP_IN
SHOWN_PX = 224
"""Side of the crops as drawn: the networks' own are coarse on a page."""

MOST_ASPECT = 1.6
"""Of a photo that is longer, or whose face is small, the part around the face is shown."""

LEAST_SHARE = 0.2
"""Of the shown part's shorter side that the face shall have."""


def alignment(
    recognizer: Recognizer,
    source: Source,
    *,
    title: str = "",
) -> Plot:
    """Draw the stages of alignment of the face that a photo is of.

    Args:
        recognizer: its detector finds the face; its ``choose`` says which.
        source: the photo.
        title: None is the photo's name.

    Raises:
        NoFaceError: no face was found.
        OptionError: the detector gives no landmarks.
        ImageError: the photo cannot be read.
        MissingExtraError: matplotlib is missing.
    """
    photo = recognizer.finder.find(source)
    name, image, index = photo.source, pixels_of(photo), photo.require()
    face = photo.faces[index]
    if face.landmarks_xy is None:
        raise OptionError(
            f"{name}: expected a face with landmarks, got one without: choose a detector that "
            "gives them, such as yunet"
        )
    five = np.asarray(face.landmarks_xy, np.float64)
    points = recognizer.finder.landmarks68(photo, [index])[0].astype(np.float64)
    _, size_px, template = parse_alignment_name(recognizer.alignment_name)
    moved: dict[AlignMethod, tuple[Image, Float64Array, Float64Array]] = {}
    for method in ALIGNMENT_NAMES:
        transforms = face_transforms([face], method=method, size_px=SHOWN_PX, template=template)
        crop = warp(image, transforms, SHOWN_PX)[0]
        moved[method] = (
            crop,
            to_crop_xy(five[None], transforms)[0],
            to_crop_xy(points[None], transforms)[0],
        )
    wanted = template_xy(SHOWN_PX, template)
    apart = np.linalg.norm(moved["five-points"][1] - wanted, axis=1) * size_px / SHOWN_PX
    across = five[1] - five[0]
    angle = math.degrees(math.atan2(across[1], across[0]))
    hull = face_hull_mask(moved["five-points"][2], (SHOWN_PX, SHOWN_PX))
    numbers = {
        "photograph": name,
        "size_wh": [image.shape[1], image.shape[0]],
        "faces": len(photo.faces),
        "face": face.to_dict(),
        "eyes_angle_deg": round(angle, 3),
        "alignment": recognizer.alignment_name,
        "method": recognizer.alignment,
        "transforms": {
            method: face_transforms([face], method=method, size_px=size_px, template=template)[
                0
            ].tolist()
            for method in ALIGNMENT_NAMES
        },
        "distance_to_template_px": [round(value, 4) for value in apart.tolist()],
        "landmarks68_xy": np.round(points, 2).tolist(),
        "hull_share": round(float((hull > 0).mean()), 6),
    }
    figure = _draw(image, photo.faces, index, moved, wanted, angle, numbers, title)
    return Plot(figure, numbers)


def window(image: Image, face: Face) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the part of a photo to show: all of it if it can be."""
    height, width = image.shape[:2]
    side = max(face.size_wh)
    most = side / LEAST_SHARE
    wide, high = min(width, max(most, 1.0)), min(height, max(most, 1.0))
    wide, high = min(wide, MOST_ASPECT * high), min(high, MOST_ASPECT * wide)
    x, y = face.center_xy
    left = min(max(x - wide / 2, 0.0), width - wide)
    top = min(max(y - high / 2, 0.0), height - high)
    return round(left), round(top), round(left + wide), round(top + high)


def _draw(
    image: Image,
    faces: Sequence[Face],
    index: int,
    moved: dict[AlignMethod, tuple[Image, Float64Array, Float64Array]],
    wanted: Float64Array,
    angle: float,
    numbers: dict[str, Any],
    title: str,
) -> Any:
    face = faces[index]
    left, top, right, bottom = window(image, face)
    shifted = Face(
        np.asarray(face.box_xyxy) - np.array([left, top, left, top], np.float32), face.score,
        np.asarray(face.landmarks_xy) - np.array([left, top], np.float32), face.turned_deg,
    )  # fmt: skip
    part = np.ascontiguousarray(image[top:bottom, left:right])
    whole = (bottom - top, right - left) == image.shape[:2]
    name = str(numbers["photograph"]).replace("\\", "/").rsplit("/", 1)[-1]
    sheet = Sheet(title if title else f"{name}: how its face is aligned", WIDTH_IN)
    n = len(faces)
    others = "" if n == 1 else f"; {n - 1} other {'face' if n == 2 else 'faces'}, not shown"
    w, h = face.size_wh
    drawn, at, sixty = moved["five-points"]
    residual = float(np.mean(numbers["distance_to_template_px"]))
    stages: list[tuple[str, str]] = [
        (
            "1  Found in the photo" if whole else "1  Found (part of the photo)",
            f"Box of {w:.0f} × {h:.0f} pixels, score {face.score:.3f}, and five landmarks{others}.",
        ),
        (
            "2  Cut out by its box",
            f"A square about the box. The line through the eyes is off level by {abs(angle):.1f}°.",
        ),
        ("3  Turned by its eyes", f"The same square, turned by {abs(angle):.1f}° so that the eyes "
         "are level; size and place still come from the box."),
        (
            "4  Warped by five points",
            f"Turn, size and place bring the landmarks (dots) nearest to the template (rings): "
            f"{residual:.1f} pixels apart on average.",
        ),
        ("5  68 points", "Jaw, brows, nose, eyes and lips, as a second network finds them."),
        (
            "6  Cut out along the hull",
            f"Jaw line, brows and half of the forehead: {numbers['hull_share']:.0%} of the crop.",
        ),
    ]  # fmt: skip
    k = {"crop": 1, "eyes": 2}.get(numbers["method"], 3)
    stages[k] = (stages[k][0], f"{stages[k][1]} This is what the recognizer sees.")
    pictures = [
        draw.annotate(part, [shifted]), moved["crop"][0], moved["eyes"][0], drawn, drawn,
        cut_out(drawn, sixty, 235),
    ]  # fmt: skip
    for row in (0, 1):
        tallest = 0.0
        for column in range(3):
            k = 3 * row + column
            x = EDGE + column * (SIDE_IN + GAP_IN)
            words, said = stages[k]
            sheet.text(x, sheet.down, SIDE_IN, words, 10.5, bold=True, most=1)
            high, wide = pictures[k].shape[:2]
            scale = SIDE_IN / max(high, wide)
            axes = sheet.picture(
                pictures[k], x + (SIDE_IN - wide * scale) / 2,
                sheet.down + 0.25 + (SIDE_IN - high * scale) / 2, wide * scale, high * scale,
            )  # fmt: skip
            if k in (1, 2):
                five = moved["crop" if k == 1 else "eyes"][1]
                _eyes(axes, five)
            elif k == 3:
                axes.plot(*wanted.T, "o", color="white", markerfacecolor="none", markersize=11,
                          markeredgewidth=2.6)  # fmt: skip
                axes.plot(*wanted.T, "o", color=INK, markerfacecolor="none", markersize=11,
                          markeredgewidth=1.2)  # fmt: skip
                axes.plot(*at.T, "o", color=ORANGE, markersize=5, markeredgecolor=INK,
                          markeredgewidth=0.8)  # fmt: skip
            elif k == 4:
                axes.plot(*sixty.T, "o", color=SKY, markersize=3.2, markeredgecolor=INK,
                          markeredgewidth=0.5)  # fmt: skip
            if k:
                axes.set(xlim=(-0.5, SHOWN_PX - 0.5), ylim=(SHOWN_PX - 0.5, -0.5))
            under = sheet.down + 0.25 + SIDE_IN + 0.07
            tallest = max(tallest, sheet.text(x, under, SIDE_IN, said, SMALL_PT, color=GRAY))
        sheet.down += 0.25 + SIDE_IN + 0.07 + tallest + 0.22
    return sheet.finished(sheet.down - 0.2)


def _eyes(axes: Any, five: Float64Array) -> None:
    """The line through the eyes, and the eyes on it."""
    axes.plot(*five[:2].T, color="white", linewidth=3.2, solid_capstyle="round")
    axes.plot(*five[:2].T, color=VERMILLION, linewidth=1.6, marker="o", markersize=5,
              markeredgecolor="white", markeredgewidth=0.8)  # fmt: skip
