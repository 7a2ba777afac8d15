"""Many points of faces, drawn into a photo: thin lines along the features, and small dots."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from lineament.align.mesh_points import FACE_OVAL
from lineament.types import Image


def _closed(*points: int) -> tuple[int, ...]:
    return (*points, points[0])


OUTLINES: dict[int, tuple[tuple[int, ...], ...]] = {
    68: (
        tuple(range(17)),
        tuple(range(17, 22)),
        tuple(range(22, 27)),
        tuple(range(27, 31)),
        tuple(range(31, 36)),
        _closed(*range(36, 42)),
        _closed(*range(42, 48)),
        _closed(*range(48, 60)),
        _closed(*range(60, 68)),
    ),
    478: (
        _closed(*FACE_OVAL),
        (70, 63, 105, 66, 107),
        (336, 296, 334, 293, 300),
        _closed(33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
        _closed(263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
        _closed(469, 470, 471, 472),
        _closed(474, 475, 476, 477),
        (168, 6, 197, 195, 5, 4, 1),
        (129, 98, 97, 2, 326, 327, 358),
        _closed(
            *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375),
            *(291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
        ),
        _closed(
            *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324),
            *(308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
        ),
    ),
}
"""Jaw or face, brows, eyes, irises, nose and lips, by how many points there are: those of 300-W,
and of MediaPipe's ``face_mesh_connections``."""

LEAST_APART_PX = 5.0
"""Between dots: where points lie closer, about eyes and lips, the lines show them."""

LEAST_DOTTED_PX = 96.0
"""Faces that are smaller in the picture get no dots."""

SOLID_PX = 200.0
LEAST_COVER = 0.45
"""Lines and dots cover what is beneath them as a share of the face's size in the picture over the
first number, at least by the second: at full strength they would hide a small face."""

_BITS = 4  # OpenCV draws with so many bits of a pixel's fraction
_FURTHEST = 1 << 14  # and wraps round far outside of the picture


def draw_points(
    image: Image,
    points_xy: Sequence[npt.ArrayLike],
    scale: float,
    *,
    line: tuple[int, int, int],
    dot: tuple[int, int, int],
) -> None:
    """Draw the points of several faces into a picture.

    Args:
        image: (H, W, 3) uint8, is changed.
        points_xy: of each face (P, 2), pixels of a picture that is ``scale`` times as small; any P,
            outlines are drawn for 68 and for 478.
        line, dot: colors.
    """
    for each in points_xy:
        points = (np.asarray(each, np.float64).reshape(-1, 2) + 0.5) * scale - 0.5
        if not len(points):
            continue
        side = float(np.ptp(points, axis=0).max())
        fixed = np.round(np.clip(points, -_FURTHEST, _FURTHEST) * 2**_BITS).astype(np.int32)
        drawn = image.copy()
        thick = max(1, round(side / 400))
        for outline in OUTLINES.get(len(points), ()):
            shape = fixed[list(outline)].reshape(-1, 1, 2)
            cv2.polylines(drawn, [shape], False, line, thick, cv2.LINE_AA, _BITS)
        if side >= LEAST_DOTTED_PX:
            radius = round(min(max(side / 250, 0.8), 3.0) * 2**_BITS)
            for x, y in fixed[_apart(points)].tolist():
                cv2.circle(drawn, (x, y), radius, dot, cv2.FILLED, cv2.LINE_AA, _BITS)
        cover = min(max(side / SOLID_PX, LEAST_COVER), 1.0)
        image[:] = cv2.addWeighted(drawn, cover, image, 1 - cover, 0)


def _apart(points: npt.NDArray[np.float64]) -> list[int]:
    """Numbers of points (P, 2) that keep their distance: each is kept unless a kept one is near."""
    kept: list[int] = []
    for i, point in enumerate(points):
        if not kept or np.abs(points[kept] - point).max(axis=1).min() >= LEAST_APART_PX:
            kept.append(i)
    return kept
