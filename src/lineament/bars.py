"""Bars around a photo within a file: what is black, white or blurred beside it is not the photo.

    picture_in()    aligned face -> the rectangle of the file that holds the photo

A face that a bar cuts is as incomplete as one that the file's border cuts. Only the aligned face is
looked at, since no other bar matters: a bar shows no detail, from a side of the file up to a
straight line along which the picture changes all at once. A plain wall behind a head has no such
line: hair, ears and chin are not straight.

The constants were chosen on faces of LFW View 1 with black, white and blurred bars drawn over 20 to
55 % of them (1,855 photos), against 1,000 of LFW, CFP's and close-ups as they are. Of the genuine
pairs with 35 to 55 % behind a bar 0.2 % are missed without a flag where it is black, 1.1 % white,
11 % blurred (35 to 46 % before).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lineament.types import Float64Array, Image

FLAT = 0.2
"""A bar's detail of 1 to 2 pixels of the crop (root mean square) over that of the rest."""

STEP_GRAY, STEP_SHARE = 10.0, 0.7
"""Gray levels by which the picture changes within 4 pixels across a bar's edge, and for how much of
the edge's length: a plain wall's line with a head has less."""

LEAST_SHARE = 0.02
"""Of the crop: less is too little to tell a bar by."""

MOST_SHARE = 0.75
"""Of the crop's extent: a bar that leaves less is none."""

_SOFT = 4  # pixels on either side of an edge that the filters of detail mix
_LEAST_EDGE = 20  # pixels of an edge


def picture_in(
    crop: Image, transform: npt.NDArray[np.floating], size_wh: tuple[int, int]
) -> tuple[Float64Array, Float64Array]:
    """Find the part of a file that is the photo, as far as an aligned face tells.

    Args:
        crop: (S, S, 3) uint8, RGB: the aligned face.
        transform: (2, 3), from the file's pixels to the crop's.
        size_wh: width and height of the file in pixels.

    Returns:
        Left and top, right and bottom (2,), pixels of the file; the file's own border where there
        is no bar: -0.5, and the size less 0.5.
    """
    first, last = np.full(2, -0.5), np.array(size_wh, np.float64) - 0.5
    gray = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(gray, (0, 0), sigma) for sigma in (1.0, 2.0))
    energy = np.square(cv2.subtract(fine, coarse))
    scale = float(np.hypot(transform[0, 0], transform[1, 0]))  # pixels of the crop per pixel
    steps = (
        np.asarray(transform[:, :2], np.float64) / scale
    )  # columns: along each axis, in the crop
    y, x = np.arange(gray.shape[0]), np.arange(gray.shape[1])
    depths = [  # (S, S): where each pixel lies in the file, in pixels of the crop
        np.add.outer((y - transform[1, 2]) * steps[1, axis], (x - transform[0, 2]) * steps[0, axis])
        for axis in (0, 1)
    ]
    inside = np.ones(gray.shape, bool)
    for axis, depth in enumerate(depths):
        if depth.min() < first[axis] * scale or depth.max() > last[axis] * scale:
            inside &= (depth >= first[axis] * scale) & (depth <= last[axis] * scale)
    if not inside.any():
        return first, last
    energy *= inside
    for axis, depth in enumerate(depths):
        start = float(depth.min())
        lines = (depth - start).astype(np.int32)
        counts = np.bincount(lines.ravel(), inside.ravel())
        sums = np.bincount(lines.ravel(), energy.ravel())
        there = counts > 0
        low, high = int(there.argmax()), len(there) - int(there[::-1].argmax())
        counts, sums = counts[low:high], sums[low:high]
        for sign in (1, -1):
            ends = _ends(counts[::sign], sums[::sign], gray.size)
            places = low + ends if sign > 0 else high - 1 - ends
            found = [
                (*_step(inside & (lines == line), gray, steps[:, axis]), line)
                for line in places.tolist()
            ]
            found = [each for each in found if each[1] >= STEP_SHARE]
            if not found:
                continue
            line = max(found)[2]
            at = (start + line + 0.5) / scale
            if sign > 0:
                first[axis] = max(first[axis], at)
            else:
                last[axis] = min(last[axis], at)
    return first, last


def _ends(counts: npt.NDArray[Any], sums: npt.NDArray[Any], area: int) -> npt.NDArray[np.int64]:
    """The lines among which a bar ends, if one does, counted from outside; none if there is no bar.

    Args:
        counts: (L,), pixels of each line.
        sums: (L,), of their detail.
        area: pixels of the whole crop.
    """
    counts, sums = np.cumsum(counts), np.cumsum(sums)
    ends = np.arange(_SOFT + 1, int(MOST_SHARE * len(counts)))
    ends = ends[counts[ends - _SOFT - 1] >= LEAST_SHARE * area]
    outer = sums[ends - _SOFT - 1] / counts[ends - _SOFT - 1]
    inner = (sums[-1] - sums[ends - 1]) / np.maximum(counts[-1] - counts[ends - 1], 1)
    detailed = np.flatnonzero(outer > FLAT**2 * inner)
    ends = ends[: detailed[0]] if len(detailed) else ends
    return ends[-1] + np.arange(-_SOFT - 1, 3) if len(ends) else ends


def _step(
    some: npt.NDArray[np.bool_], gray: npt.NDArray[np.float32], across: Float64Array
) -> tuple[float, float]:
    """How much the picture changes at these pixels (S, S), and for how many of them at all."""
    places = np.argwhere(some)[:, ::-1]
    near, far = (
        [np.rint(places + by * across).astype(np.int64) for by in (apart, -apart)]
        for apart in (1, 2)
    )
    kept = ((far[0] >= 0) & (far[0] < len(gray)) & (far[1] >= 0) & (far[1] < len(gray))).all(axis=1)
    if kept.sum() < _LEAST_EDGE:
        return 0.0, 0.0
    sharp, change = (
        np.abs(gray[a[kept, 1], a[kept, 0]] - gray[b[kept, 1], b[kept, 0]]) for a, b in (near, far)
    )
    return float(sharp.mean()), float((change > STEP_GRAY).mean())
