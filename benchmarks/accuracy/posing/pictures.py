"""What the benchmark of poses does to a photo: turn, enlarge, cut, set beside another, paint over.

All functions take and return RGB pixels, (H, W, 3) uint8, and change none that they are given.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from lineament.types import Image

Fill = Literal["grey", "black", "edge"]
Side = Literal["above", "below", "left", "right"]
Paint = Literal["inpaint", "grey", "noise"]

FILLS: tuple[Fill, ...] = get_args(Fill)
SIDES: tuple[Side, ...] = get_args(Side)
PAINTS: tuple[Paint, ...] = get_args(Paint)

GREY = 128
PAINTED_SHARE = 0.75
"""Half axes of the ellipse that is painted over, as a share of the box's sides: forehead, ears and
chin are gone, hair and neck may stay."""


def turned(image: Image, angle_deg: float, fill: Fill = "grey") -> Image:
    """Turn a picture counter-clockwise on a canvas that holds all of it.

    Multiples of 90 degrees move pixels and change none; other angles interpolate (cubic).

    Args:
        image: (H, W, 3).
        angle_deg: positive is counter-clockwise for the viewer.
        fill: what the corners are filled with: mid gray, black, or the border's own pixels.
    """
    quarters, rest = divmod(angle_deg % 360, 90)
    if rest == 0:
        return np.ascontiguousarray(np.rot90(image, int(quarters)))
    height, width = image.shape[:2]
    cos, sin = (abs(f(math.radians(angle_deg))) for f in (math.cos, math.sin))
    size_wh = (math.ceil(width * cos + height * sin), math.ceil(width * sin + height * cos))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle_deg, 1)
    matrix[:, 2] += ((size_wh[0] - width) / 2, (size_wh[1] - height) / 2)
    return _warped(image, matrix, size_wh, fill)


def square(image: Image, box_xyxy: npt.ArrayLike, share: float, angle_deg: float = 0) -> Image:
    """Cut out a square about the middle of a box, turned counter-clockwise about that middle.

    Args:
        image: (H, W, 3).
        box_xyxy: (4,), pixels.
        share: side of the square, in sides of the box (the longer one).
        angle_deg: by how much the picture is turned. What lies outside of the photo repeats its
            border.
    """
    box = np.asarray(box_xyxy, np.float64)
    side = round(share * float(max(box[2:] - box[:2])))
    x, y = ((box[:2] + box[2:]) / 2).tolist()
    matrix = cv2.getRotationMatrix2D((x, y), angle_deg, 1)
    matrix[:, 2] += ((side - 1) / 2 - x, (side - 1) / 2 - y)
    return _warped(image, matrix, (side, side), "edge")


def beside(left: Image, right: Image, size_px: int) -> Image:
    """Set two squares side by side, each made ``size_px`` high: (size_px, 2 size_px, 3)."""
    return np.concatenate(
        [_scaled(each, size_px / each.shape[0]) for each in (left, right)], axis=1
    )


def enlarged(
    image: Image, box_xyxy: npt.ArrayLike, face_px: float, margin: float | None = None
) -> Image:
    """Scale a picture so that the longer side of a box has ``face_px`` pixels.

    Args:
        image: (H, W, 3).
        box_xyxy: (4,), pixels of ``image``.
        face_px: what its longer side becomes.
        margin: of the surroundings, how much stays on each side, in sides of the box; None: all.
    """
    left, top, right, bottom = np.asarray(box_xyxy, np.float64).tolist()
    longer = max(right - left, bottom - top)
    if margin is not None:
        room = margin * longer
        x, y = max(0, math.floor(left - room)), max(0, math.floor(top - room))
        image = image[y : math.ceil(bottom + room), x : math.ceil(right + room)]
    return _scaled(image, face_px / longer)


def cut(image: Image, box_xyxy: npt.ArrayLike, side: Side, share: float) -> Image:
    """Cut a picture so that its border takes a share of the face's box away on one side.

    Args:
        image: (H, W, 3).
        box_xyxy: (4,), pixels of ``image``.
        side: where: "above" takes the forehead of an upright face.
        share: of the box's height or width, 0 to 1.
    """
    left, top, right, bottom = np.asarray(box_xyxy, np.float64).tolist()
    down, across = share * (bottom - top), share * (right - left)
    height, width = image.shape[:2]
    rows, columns = [0, height], [0, width]
    if side == "above":
        rows[0] = max(0, round(top + down))
    elif side == "below":
        rows[1] = min(height, round(bottom - down))
    elif side == "left":
        columns[0] = max(0, round(left + across))
    else:
        columns[1] = min(width, round(right - across))
    return np.ascontiguousarray(image[slice(*rows), slice(*columns)])


def painted_over(
    image: Image, box_xyxy: npt.ArrayLike, how: Paint, rng: np.random.Generator
) -> Image:
    """Paint an ellipse about a face's box over.

    Args:
        image: (H, W, 3).
        box_xyxy: (4,), pixels of ``image``.
        how: "inpaint": with what surrounds it (Telea); "grey": mid gray; "noise": gray levels
            drawn evenly from 0 to 255.
        rng: draws the noise.
    """
    left, top, right, bottom = np.asarray(box_xyxy, np.float64).tolist()
    middle = (round((left + right) / 2), round((top + bottom) / 2))
    axes = (round(PAINTED_SHARE * (right - left)), round(PAINTED_SHARE * (bottom - top)))
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.ellipse(mask, middle, axes, 0, 0, 360, 255, cv2.FILLED)
    if how == "inpaint":
        return np.asarray(cv2.inpaint(image, mask, 5, cv2.INPAINT_TELEA), np.uint8)
    painted = image.copy()
    inside = mask > 0
    if how == "grey":
        painted[inside] = GREY
    else:
        painted[inside] = rng.integers(0, 256, (int(inside.sum()), 3), dtype=np.uint8)
    return painted


def _scaled(image: Image, factor: float) -> Image:
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    size_wh = tuple(max(1, round(factor * n)) for n in (image.shape[1], image.shape[0]))
    return np.asarray(cv2.resize(image, size_wh, interpolation=how), np.uint8)


def _warped(
    image: Image, matrix: npt.NDArray[np.floating], size_wh: tuple[int, int], fill: Fill
) -> Image:
    border = cv2.BORDER_REPLICATE if fill == "edge" else cv2.BORDER_CONSTANT
    level = GREY if fill == "grey" else 0
    made = cv2.warpAffine(
        image, matrix, size_wh, flags=cv2.INTER_CUBIC, borderMode=border, borderValue=(level,) * 3
    )
    return np.asarray(made, np.uint8)
