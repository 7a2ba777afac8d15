"""Which pixels of a photo are of a face: its box, an ellipse, or the outline of its mesh.

All shapes reach past the face: hair, ears and the line of the jaw say who somebody is, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from lineament.align.mesh_points import FACE_OVAL, MESH_POINTS
from lineament.errors import OptionError
from lineament.types import BoolArray, FloatArray

Shape = Literal["ellipse", "box", "mesh"]
"""What is covered of a face."""

SHAPES: tuple[Shape, ...] = get_args(Shape)

MARGIN = 0.3
"""Around the box of a face on each side, in its longer sides: detectors' boxes end at the brows or
in the middle of the forehead, and at the chin."""

OUTLINE_MARGIN = 0.22
"""Around the outline of a mesh, in the same unit: from the hairline to the hair."""

LEAST_AGREEMENT = 0.4
"""A mesh whose box overlaps that of the face less (intersection over union) is of something else,
and the ellipse is taken."""


@dataclass(frozen=True, eq=False, slots=True)
class Region:
    """Pixels to be covered.

    Attributes:
        box: left, top, right, bottom in whole pixels, inside of the photo; right and bottom are the
            first that are not part of it. Empty where the face lies outside of the photo.
        mask: (bottom - top, right - left): which of them.
    """

    box: tuple[int, int, int, int]
    mask: BoolArray


def check_shape(shape: str) -> Shape:
    """Return the shape. OptionError: there is none of that name."""
    if shape not in SHAPES:
        raise OptionError(f"expected one of {', '.join(SHAPES)}, got {shape!r}", option="shape")
    return shape


def region_of(
    box_xyxy: npt.NDArray[np.floating],
    size_wh: tuple[int, int],
    shape: Shape,
    *,
    mesh_xy: FloatArray | None = None,
) -> Region:
    """Return what is covered of one face.

    Args:
        box_xyxy: (4,) of the face as a detector has it, pixels of the photo.
        size_wh: of the photo.
        shape: "ellipse", "box" or "mesh".
        mesh_xy: (478, 2), for "mesh"; without it, or if it lies elsewhere, the ellipse is taken.
    """
    left, top, right, bottom = (float(value) for value in box_xyxy)
    by = MARGIN * max(right - left, bottom - top)
    grown = (left - by, top - by, right + by, bottom + by)
    if shape == "mesh" and mesh_xy is not None and _agrees(mesh_xy, (left, top, right, bottom)):
        return _of_outline(mesh_xy, (left, top, right, bottom), size_wh)
    box = _whole(grown, size_wh)
    mask = np.ones((box[3] - box[1], box[2] - box[0]), np.bool_)
    if shape != "box":
        mask = _ellipse(grown, box)
    return Region(box, mask)


def _whole(
    box: tuple[float, float, float, float], size_wh: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Whole pixels, inside of the photo; none of them: (0, 0, 0, 0)."""
    (width, height), (left, top, right, bottom) = size_wh, box
    low = max(0, math.floor(left)), max(0, math.floor(top))
    high = min(width, math.ceil(right) + 1), min(height, math.ceil(bottom) + 1)
    if low[0] >= high[0] or low[1] >= high[1]:
        return 0, 0, 0, 0
    return *low, *high


def _ellipse(grown: tuple[float, float, float, float], box: tuple[int, int, int, int]) -> BoolArray:
    """The ellipse in a box that may reach past the photo, as a mask of the part that does not."""
    left, top, right, bottom = grown
    across, down = (right - left) / 2 + 0.5, (bottom - top) / 2 + 0.5
    xs = (np.arange(box[0], box[2]) - (left + right) / 2) / across
    ys = (np.arange(box[1], box[3]) - (top + bottom) / 2) / down
    inside: BoolArray = xs[None, :] ** 2 + ys[:, None] ** 2 <= 1
    return inside


def _agrees(mesh_xy: FloatArray, box: tuple[float, float, float, float]) -> bool:
    """Whether a mesh lies where the face was found."""
    if mesh_xy.shape != (MESH_POINTS, 2) or not np.isfinite(mesh_xy).all():
        return False
    low, high = mesh_xy.min(axis=0), mesh_xy.max(axis=0)
    overlap = np.minimum(high, box[2:]) - np.maximum(low, box[:2])
    shared = float(np.prod(np.maximum(overlap, 0)))
    areas = float(np.prod(high - low)) + (box[2] - box[0]) * (box[3] - box[1])
    return shared >= LEAST_AGREEMENT * (areas - shared)


def _of_outline(
    mesh_xy: FloatArray, face: tuple[float, float, float, float], size_wh: tuple[int, int]
) -> Region:
    """The outline made wider, and the ellipse in the face's own box."""
    longer = max(face[2] - face[0], face[3] - face[1])
    by = OUTLINE_MARGIN * longer
    outline = cv2.convexHull(mesh_xy[list(FACE_OVAL)].astype(np.float32)).reshape(-1, 2)
    low, high = outline.min(axis=0) - by, outline.max(axis=0) + by
    reach = (
        min(float(low[0]), face[0]),
        min(float(low[1]), face[1]),
        max(float(high[0]), face[2]),
        max(float(high[1]), face[3]),
    )
    box = _whole(reach, size_wh)
    shape = box[3] - box[1], box[2] - box[0]
    if 0 in shape:
        return Region(box, np.zeros(shape, np.bool_))
    drawn = np.zeros(shape, np.uint8)
    points = np.rint(outline - np.array(box[:2])).astype(np.int32)
    cv2.fillConvexPoly(drawn, points, 1)
    cv2.polylines(drawn, [points], True, 1, max(1, round(2 * by)))  # round joints: by each way
    return Region(box, (drawn > 0) | _ellipse(face, box))
