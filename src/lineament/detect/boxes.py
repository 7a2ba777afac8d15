"""Arithmetic on boxes, for detectors and their evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from lineament.types import FloatArray, Image

MARGIN = 0.2
"""Of a box's longer side: how far around it a face is cut out."""

MOST_SIDE_PX = 2048
"""Of a square that is cut out: of a larger one every second pixel is taken, or every third, ..."""


def square_around(image: Image, box_xyxy: Sequence[float]) -> Image:
    """The square around a box and its margin, (S, S, 3); gray where it reaches out of the photo.

    A side has twice ``MOST_SIDE_PX`` at the most, however far the box reaches.
    """
    left, top, right, bottom = (float(value) for value in box_xyxy)
    side = max(1, round(max(right - left, bottom - top) * (1 + 2 * MARGIN)))
    x, y = round((left + right - side) / 2), round((top + bottom - side) / 2)
    step = max(1, side // MOST_SIDE_PX)
    part = np.full((-(-side // step) + (step > 1),) * 2 + (3,), 128, np.uint8)
    inside = image[max(y, 0) : max(y + side, 0) : step, max(x, 0) : max(x + side, 0) : step]
    down, across = max(-y, 0) // step, max(-x, 0) // step
    part[down : down + inside.shape[0], across : across + inside.shape[1]] = inside
    return part


def intersections(a_xyxy: FloatArray, b_xyxy: FloatArray) -> FloatArray:
    """Common area of every box of ``a`` (N, 4) with every box of ``b`` (M, 4): (N, M)."""
    corner = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    opposite = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    common: FloatArray = np.maximum(opposite - corner, 0).prod(axis=2)
    return common


def intersection_over_union(a_xyxy: FloatArray, b_xyxy: FloatArray) -> FloatArray:
    """Overlap of every box of ``a`` (N, 4) with every box of ``b`` (M, 4): (N, M), 0 to 1."""
    common = intersections(a_xyxy, b_xyxy)
    area_a = (a_xyxy[:, 2:] - a_xyxy[:, :2]).prod(axis=1)
    area_b = (b_xyxy[:, 2:] - b_xyxy[:, :2]).prod(axis=1)
    union = area_a[:, None] + area_b[None] - common
    share: FloatArray = common / np.maximum(union, 1e-9)
    return share


def nms(
    boxes_xyxy: FloatArray,
    scores: FloatArray,
    threshold: float,
    overlap: Literal["union", "min"] = "union",
) -> npt.NDArray[np.int64]:
    """Non-maximum suppression: drop each box that overlaps a better one by more than ``threshold``.

    Args:
        boxes_xyxy: (N, 4).
        scores: (N,).
        threshold: the largest overlap that is kept, 0 to 1.
        overlap: the intersection over the union, or over the smaller of the two boxes.

    Returns:
        Indices of the boxes that stay, the highest score first; equal scores in their given order.
    """
    left, top, right, bottom = boxes_xyxy.T
    area = (right - left) * (bottom - top)
    order = np.argsort(-scores, kind="stable")
    keep: list[int] = []
    while len(order) > 0:
        best, rest = order[0], order[1:]
        keep.append(int(best))
        wide = np.minimum(right[best], right[rest]) - np.maximum(left[best], left[rest])
        high = np.minimum(bottom[best], bottom[rest]) - np.maximum(top[best], top[rest])
        common = np.maximum(wide, 0) * np.maximum(high, 0)
        if overlap == "min":
            whole = np.minimum(area[best], area[rest])
        else:
            whole = area[best] + area[rest] - common
        order = rest[common <= threshold * whole]  # a product: boxes without area divide by 0
    return np.array(keep, dtype=np.int64)
