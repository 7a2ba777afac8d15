"""Where a face looks: degrees right and up, of the head and of the camera, from its irises.

    find_gaze()    pixels and the mesh of one face -> ``Gaze``; None where no iris shows
    iris_offsets() where the pixels show the irises, beside the mesh's own

Two things say where an iris lies between the corners of its eye: the mesh, and the pixels: the disc
of the iris's size that is darkest against the ring around it, within the lids (after Daugman, "High
confidence visual recognition of persons by a test of statistical independence", PAMI 1993, without
the search for the radius, which the head's size gives). Both are averaged. An eyeball that turns by
an angle moves its iris by ``EYE_RADIUS`` times the angle's sine.

How far off it is: ``lineament.attributes.limits``.
"""

from __future__ import annotations

import cv2
import numpy as np

from lineament.align.mesh_points import (
    LEFT_EYE_CORNERS,
    LEFT_IRIS,
    MESH_POINTS,
    RIGHT_EYE_CORNERS,
    RIGHT_IRIS,
)
from lineament.align.mesh_pose import rolls_of_meshes, rotations_of_meshes, turns_upright
from lineament.attributes.results import Gaze
from lineament.errors import OptionError
from lineament.geometry import warp
from lineament.types import Float64Array, FloatArray, Image

EYE_RADIUS = 0.16
"""From the middle of an eyeball to its pupil, in distances between the eyes: 10 of 62.5 mm, means
of adults."""

IRIS_RADIUS = 0.092
"""Of an iris: 11.7 mm across."""

DEPTH = 0.07
"""The corners of an eye lie so far before the middle of its eyeball, in distances between the eyes:
of people who look at the camera with their heads turned (CFP), irises stay behind by so much times
the sine of the yaw."""

RAISED = {"mesh": 0.0330, "pixels": 0.0475}
"""How far above the line of the corners the irises of those lie who look at the camera: CFP's
frontal photos, medians."""

ASIDE = 0.0025
"""How far to the viewer's right, there."""

MOST_DEG = 60.0
"""Eyes turn no farther."""

LIDS = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
)
"""The outlines of the openings of both eyes among the mesh's points, as the viewer sees them."""

_EYES = ((LEFT_EYE_CORNERS, LEFT_IRIS, LIDS[0]), (RIGHT_EYE_CORNERS, RIGHT_IRIS, LIDS[1]))

SCALE_PX = 128.0
"""Distance between the eyes in the patches that are searched."""

_WIDE, _HIGH = 96, 64
_LEAST_INSIDE, _LEAST_AROUND = 0.35, 0.12
"""Shares of the disc and of the ring that must lie within the lids."""


LEAST_CONTRAST = 4.0
"""Gray levels by which an iris is darker than what is around it, at the least."""


def find_gaze(image: Image, points_xyz: FloatArray) -> Gaze | None:
    """Say where a face looks.

    Args:
        image: (H, W, 3) uint8, RGB.
        points_xyz: (478, 3): its mesh there, as ``Mesh.points_xyz`` has it.

    Returns:
        None where the mesh has no size.

    Raises:
        OptionError: another shape.
    """
    if points_xyz.shape != (MESH_POINTS, 3) or not np.isfinite(points_xyz).all():
        raise OptionError(
            f"expected finite points of shape ({MESH_POINTS}, 3), got {points_xyz.shape}",
            option="points_xyz",
        )
    points = points_xyz.astype(np.float64)
    turns, sizes = rotations_of_meshes(points[None])
    turn, size = turns[0], float(sizes[0])
    if not size > 1e-6:
        return None
    by_mesh = _mesh_offsets(points, size).mean(axis=0) + np.array([-ASIDE, RAISED["mesh"]])
    offset, sources = by_mesh, 1
    seen = iris_offsets(image, points)
    if np.isfinite(seen).all():
        by_pixels = seen.mean(axis=0) + np.array([-ASIDE, RAISED["pixels"]])
        offset, sources = (by_mesh + by_pixels) / 2, 2
    roll = float(rolls_of_meshes(points[None])[0])
    ahead = turns_upright(np.array([roll]))[0] @ turn[:2, 2]  # where the head points, face upright
    # Who looks at the camera with a turned head: the corners are nearer than the eyeball's middle.
    offset = offset + np.array([DEPTH * ahead[0], 0.0])
    sines = offset / EYE_RADIUS
    limit = np.sin(np.radians(MOST_DEG))
    length = float(np.hypot(*sines))
    if length > limit:
        sines *= limit / length
    # x to the viewer's right, y down, z towards the viewer; in the photo's axes, not the level ones
    x, y = turns_upright(np.array([-roll]))[0] @ sines
    to_camera = np.array([x, y, np.sqrt(max(0.0, 1 - x * x - y * y))])
    right, up = _angles(to_camera)
    head_right, head_up = _angles(turn.T @ to_camera)
    return Gaze(head_right, head_up, right, up, sources)


def iris_offsets(image: Image, points_xyz: Float64Array) -> Float64Array:
    """Find the irises by the pixels.

    Args:
        image: (H, W, 3) uint8, RGB.
        points_xyz: (478, 3): the mesh there.

    Returns:
        (2, 2): of the left and the right eye, as the viewer sees them, the iris's place from the
        middle of the corners in the upright face: x to the right, y down, in distances between the
        eyes; NaN where no disc within the lids is darker than what is around it.
    """
    _, sizes = rotations_of_meshes(points_xyz[None])
    level = turns_upright(rolls_of_meshes(points_xyz[None]))[0]
    matrix = np.zeros((1, 2, 3))
    matrix[0, :, :2] = level * SCALE_PX / float(sizes[0])
    found = np.full((2, 2), np.nan)
    center = np.array([(_WIDE - 1) / 2, (_HIGH - 1) / 2])
    for row, (corners, _, lids) in zip(found, _EYES, strict=True):
        middle = points_xyz[list(corners), :2].mean(axis=0)
        matrix[0, :, 2] = center - matrix[0, :, :2] @ middle
        patch = warp(image, matrix, max(_WIDE, _HIGH))[0][:_HIGH, :_WIDE]
        outline = points_xyz[list(lids), :2] @ matrix[0, :, :2].T + matrix[0, :, 2]
        place = _darkest_disc(patch, outline)
        if place is not None:
            row[:] = (place - center) / SCALE_PX
    return found


def _mesh_offsets(points: Float64Array, size: float) -> Float64Array:
    """The same by the mesh: (2, 2), level with the face."""
    level = turns_upright(rolls_of_meshes(points[None]))[0]
    rows = [
        level @ (points[iris, :2] - points[list(corners), :2].mean(axis=0)) / size
        for corners, iris, _ in _EYES
    ]
    return np.stack(rows)


def _kernel(inner: float, outer: float) -> FloatArray:
    """A ring of ones, radii in pixels; with ``inner`` 0 a disc."""
    reach = int(np.ceil(outer)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    distance = np.hypot(x, y)
    inside = np.clip(outer - distance + 0.5, 0, 1)
    if inner:
        inside = inside * np.clip(distance - inner + 0.5, 0, 1)
    return np.asarray(inside, np.float32)


_DISC = _kernel(0, 0.9 * IRIS_RADIUS * SCALE_PX)
_RING = _kernel(1.15 * IRIS_RADIUS * SCALE_PX, 2.0 * IRIS_RADIUS * SCALE_PX)


def _darkest_disc(patch: Image, outline: Float64Array) -> Float64Array | None:
    """Where the iris lies in a patch: (2,), x and y; None where there is none."""
    blurred = cv2.GaussianBlur(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY), (0, 0), 1.2)
    gray = blurred.astype(np.float32)
    within = np.zeros(gray.shape, np.float32)
    shape = np.round(np.clip(outline, -1000, 1000) * 16).astype(np.int32).reshape(-1, 1, 2)
    cv2.fillPoly(within, [shape], (1.0,), cv2.LINE_AA, 4)

    def summed(values: FloatArray, kernel: FloatArray) -> FloatArray:
        done = cv2.filter2D(values, -1, kernel, borderType=cv2.BORDER_CONSTANT)
        return np.asarray(np.maximum(done, 0), np.float32)

    inside, around = summed(within, _DISC), summed(within, _RING)
    dark = summed(gray * within, _DISC) / np.maximum(inside, 1e-3)
    bright = summed(gray * within, _RING) / np.maximum(around, 1e-3)
    scores = (bright - dark) * np.sqrt(inside / _DISC.sum())
    fit = (inside > _LEAST_INSIDE * _DISC.sum()) & (around > _LEAST_AROUND * _RING.sum())
    scores[~(fit & (within > 0.5))] = -np.inf
    best = float(scores.max())
    if not best > LEAST_CONTRAST:
        return None
    weights = np.clip(scores - (best - max(2.0, 0.1 * best)), 0, None)
    y, x = np.mgrid[: gray.shape[0], : gray.shape[1]]
    return np.array([(weights * x).sum(), (weights * y).sum()]) / float(weights.sum())


def _angles(direction: Float64Array) -> tuple[float, float]:
    """Degrees to the viewer's right and up of a direction; z is towards the viewer."""
    right = np.degrees(np.arctan2(direction[0], direction[2]))
    up = np.degrees(np.arctan2(-direction[1], np.hypot(direction[0], direction[2])))
    return float(right), float(up)
