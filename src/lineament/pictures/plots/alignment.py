"""How a face is aligned, drawn stage by stage: from the photo to the face cut out along its hull.

The first three ways of aligning can be compared at a glance: the box as it is, turned by the eyes,
and warped by five points; then come the 68 points and the hull.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lineament.align.landmarks68 import cut_out
from lineament.explain.stages import SHOWN_PX, AlignmentStages
from lineament.finder import pixels_of
from lineament.pictures.charts.colors import GRAY, INK, ORANGE, SKY, VERMILLION
from lineament.pictures.photos import annotate
from lineament.pictures.plots._sheet import EDGE, SMALL_PT, Sheet
from lineament.pictures.plots.plot import Plot
from lineament.text import per_cent
from lineament.types import Face, Float64Array, Image

SIDE_IN, GAP_IN = 2.7, 0.3
WIDTH_IN = 2 * EDGE + 3 * SIDE_IN + 2 * GAP_IN

MOST_ASPECT = 1.6
"""Of a photo that is longer, or whose face is small, the part around the face is shown."""

LEAST_SHARE = 0.2
"""Of the shown part's shorter side that the face shall have."""


def alignment(aligned: AlignmentStages, *, title: str = "") -> Plot:
    """Draw the stages of alignment of the face that a photo is of.

    Args:
        aligned: from ``lineament.explain.alignment_stages``.
        title: "" is the photo's name.

    Raises:
        MissingExtraError: matplotlib is missing.
    """
    return Plot(_draw(aligned, title), aligned.numbers)


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


def _draw(aligned: AlignmentStages, title: str) -> Any:
    face, image, numbers = aligned.face, pixels_of(aligned.photo), aligned.numbers
    angle, stages, template = aligned.eyes_angle_deg, aligned.stages, aligned.template_xy
    left, top, right, bottom = window(image, face)
    shifted = Face(
        np.asarray(face.box_xyxy) - np.array([left, top, left, top], np.float32), face.score,
        np.asarray(face.landmarks_xy) - np.array([left, top], np.float32), face.turned_deg,
    )  # fmt: skip
    part = np.ascontiguousarray(image[top:bottom, left:right])
    whole = (bottom - top, right - left) == image.shape[:2]
    name = str(numbers["source"]).replace("\\", "/").rsplit("/", 1)[-1]
    sheet = Sheet(title if title else f"{name}: how its face is aligned", WIDTH_IN)
    n = len(aligned.photo.faces)
    others = "" if n == 1 else f"; {n - 1} other {'face' if n == 2 else 'faces'}, not shown"
    w, h = face.size_wh
    warped = stages["five-points"]
    drawn, at, sixty = warped.crop, warped.five_xy, warped.points_xy
    residual = float(np.mean(numbers["distance_to_template_px"]))
    words_of: list[tuple[str, str]] = [
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
            "Jaw line, brows and half of the forehead: "
            f"{per_cent(numbers['hull_share'], 0)} of the crop.",
        ),
    ]  # fmt: skip
    k = {"crop": 1, "eyes": 2}.get(aligned.method, 3)
    words_of[k] = (words_of[k][0], f"{words_of[k][1]} This is what the recognizer sees.")
    pictures = [
        annotate(part, [shifted]), stages["crop"].crop, stages["eyes"].crop, drawn, drawn,
        cut_out(drawn, sixty, 235),
    ]  # fmt: skip
    for row in (0, 1):
        tallest = 0.0
        for column in range(3):
            k = 3 * row + column
            x = EDGE + column * (SIDE_IN + GAP_IN)
            words, said = words_of[k]
            sheet.text(x, sheet.down, SIDE_IN, words, 10.5, bold=True, most=1)
            high, wide = pictures[k].shape[:2]
            scale = SIDE_IN / max(high, wide)
            axes = sheet.picture(
                pictures[k], x + (SIDE_IN - wide * scale) / 2,
                sheet.down + 0.25 + (SIDE_IN - high * scale) / 2, wide * scale, high * scale,
            )  # fmt: skip
            if k in (1, 2):
                five = stages["crop" if k == 1 else "eyes"].five_xy
                _eyes(axes, five)
            elif k == 3:
                axes.plot(*template.T, "o", color="white", markerfacecolor="none", markersize=11,
                          markeredgewidth=2.6)  # fmt: skip
                axes.plot(*template.T, "o", color=INK, markerfacecolor="none", markersize=11,
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
