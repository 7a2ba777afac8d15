"""Eyes that look elsewhere: the irises of a photo moved by a known angle.

The iris is cut out along the lids, the white of the eye is put in its place, and the iris is put
back where it lies after a turn of the eyeball: it moves by ``EYE_RADIUS`` times the angle's sine.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from lineament.align.mesh_points import LEFT_IRIS, RIGHT_IRIS
from lineament.attributes.gaze import EYE_RADIUS, LIDS
from lineament.types import FloatArray, Image

SOFT_PX = 0.06
"""Of an edge, in radii of the iris: as soft as a camera makes it."""


def moved_eyes(
    pixels: Image, points_xyz: FloatArray, eyes_px: float, right_deg: float, up_deg: float
) -> Image:
    """Turn both eyes of an upright, frontal face.

    Args:
        pixels: (H, W, 3) uint8.
        points_xyz: (478, 3), its mesh.
        eyes_px: the distance of its eyes, had it been frontal.
        right_deg, up_deg: by how much, to the viewer's right and up.

    Returns:
        (H, W, 3) uint8.
    """
    radius_px = EYE_RADIUS * eyes_px
    shift = np.array(
        [radius_px * math.sin(math.radians(right_deg)), -radius_px * math.sin(math.radians(up_deg))]
    )
    made = pixels.astype(np.float64)
    for lids, iris in zip(LIDS, (LEFT_IRIS, RIGHT_IRIS), strict=True):
        flat = points_xyz[:, :2].astype(np.float64)
        center = flat[iris]
        radius = float(np.linalg.norm(flat[iris + 1 : iris + 5] - center, axis=1).mean())
        _move(made, flat[list(lids)], center, radius, shift)
    return np.clip(np.round(made), 0, 255).astype(np.uint8)


def _move(
    made: npt.NDArray[np.float64],
    lids: npt.NDArray[np.float64],
    center: npt.NDArray[np.float64],
    radius: float,
    shift: npt.NDArray[np.float64],
) -> None:
    """Change the pixels of one eye."""
    height, width = made.shape[:2]
    opening = np.zeros((height, width), np.float32)
    shape = np.round(lids * 16).astype(np.int32).reshape(-1, 1, 2)
    cv2.fillPoly(opening, [shape], 1.0, cv2.LINE_AA, 4)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    from_old = np.hypot(x - center[0], y - center[1])
    from_new = np.hypot(x - center[0] - shift[0], y - center[1] - shift[1])
    white = (opening > 0.9) & (from_old > 1.3 * radius)
    if white.sum() < 4:
        white = (opening > 0.5) & (from_old > radius)
    if not white.any():
        return
    sclera = np.median(made[white], axis=0)
    shown = (opening > 0.9) & (from_old < 0.9 * radius)
    if not shown.any():
        return
    mean_iris = np.median(made[shown], axis=0)
    source = made.astype(np.float32)
    source[opening < 0.5] = mean_iris  # lids are no iris
    grid_x, grid_y = (x - shift[0]).astype(np.float32), (y - shift[1]).astype(np.float32)
    taken = cv2.remap(source, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    soft = max(SOFT_PX * radius, 0.5)

    def inside(distance: npt.NDArray[np.float64], reach: float) -> npt.NDArray[np.float64]:
        return np.clip((reach * radius - distance) / soft + 0.5, 0, 1)

    gone = (opening * inside(from_old, 1.12))[..., None]
    emptied = made * (1 - gone) + sclera * gone
    put = (opening * inside(from_new, 1.05))[..., None]
    made[:] = emptied * (1 - put) + taken * put
