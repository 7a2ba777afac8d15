"""How a head is held, from the 478 points of its mesh.

    pose_of_mesh()     points with depth -> eyes' distance, yaw, pitch, roll
    true_yaw_deg()     the yaw of such a fit -> that of the head, which is more for profiles

Finer than what five points say (``lineament.pose``): the depth is measured, not an average face's.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lineament.align.mesh_points import MESH_POINTS
from lineament.errors import OptionError
from lineament.pose import HeadPose, wrapped_deg
from lineament.types import Float64Array

# Point, its mirror image, weight, and where the first lies on an average face: x to the viewer's
# right, y down, z towards the viewer, in distances between the eyes' centers from their middle.
_RIGID = np.array(
    [
        [4, 4, 0.0709, 0.0000, 0.4899, 0.6539],
        [6, 6, 0.0321, 0.0000, 0.0240, 0.3686],
        [10, 10, 0.0084, 0.0000, -0.8945, 0.1612],
        [33, 263, 0.0587, -0.7054, -0.0062, -0.0464],
        [54, 284, 0.0077, -0.9964, -0.6332, -0.3237],
        [67, 297, 0.0091, -0.5592, -0.8539, 0.0418],
        [117, 346, 0.0098, -0.8344, 0.2664, -0.0780],
        [119, 348, 0.0146, -0.5237, 0.2797, 0.0646],
        [121, 350, 0.0186, -0.2889, 0.1835, 0.1203],
        [127, 356, 0.0052, -1.2286, 0.0412, -0.8681],
        [129, 358, 0.1206, -0.2834, 0.5717, 0.2197],
        [132, 361, 0.0056, -1.1537, 0.8752, -0.9073],
        [133, 362, 0.0533, -0.2946, 0.0062, 0.0464],
        [136, 365, 0.0669, -0.8069, 1.5555, -0.4365],
        [143, 372, 0.0148, -1.0167, 0.0617, -0.3022],
        [147, 376, 0.0143, -0.9893, 0.7250, -0.2859],
        [198, 420, 0.0255, -0.1978, 0.3799, 0.3515],
        [205, 425, 0.0473, -0.6082, 0.6604, 0.1066],
    ]
)
"""The points that expressions move least, with MediaPipe's weights for this fit
(``procrustes_landmark_basis``) and its average face, both in ``face_landmarker.task``
(``geometry_pipeline_metadata_landmarks.binarypb``, Apache-2.0)."""

_PAIRED = _RIGID[:, 0] != _RIGID[:, 1]
RIGID_POINTS = np.concatenate([_RIGID[:, 0], _RIGID[_PAIRED, 1]]).astype(np.int64)
"""(33,): which of the 478 points are fitted."""
_WEIGHTS = np.concatenate([_RIGID[:, 2], _RIGID[_PAIRED, 2]])
_WEIGHTS /= _WEIGHTS.sum()
RIGID_XYZ = np.concatenate([_RIGID[:, 3:], _RIGID[_PAIRED, 3:] * [-1, 1, 1]])
"""(33, 3) float64: where they lie on the average face."""
RIGID_XYZ.flags.writeable = False
_CENTERED = RIGID_XYZ - _WEIGHTS @ RIGID_XYZ
_SPREAD = float(_WEIGHTS @ (_CENTERED**2).sum(axis=1))

FAITHFUL_YAW_DEG, MISSING_YAW = 25.0, 0.45
"""Beyond the first number the network draws heads less turned than they are: the second is added
of each degree more. Fitted by ``scripts/fit/mesh_yaw.py`` so that the quantiles of the profiles of
half of CFP's people agree with the yaws that follow from points set by hand (they correlate by 0.78
with 40 judged by eye). On the other half the median error falls from -14 to 0 degrees, the mean
absolute one from 18 to 12. Up to 25 degrees five points and the mesh agree (LFW: slope 1.00)."""

_TINY = 1e-9


def pose_of_mesh(points_xyz: npt.NDArray[np.floating]) -> HeadPose:
    """Fit an average face, turned and scaled, to the mesh of one.

    Weighted orthogonal Procrustes fit in three dimensions (Kabsch, "A discussion of the solution
    for the best rotation to relate two sets of vectors", Acta Crystallographica A34, 1978), as in
    MediaPipe's face geometry, without its perspective. On profiles yaw is too low, because the
    network draws the hidden half wider than it is: see ``true_yaw_deg``.

    Args:
        points_xyz: (478, 3): pixels, z smaller towards the camera, as ``Mesh.points_xyz`` has them.

    Raises:
        OptionError: another shape, a number that is not finite, or points that coincide.
    """
    points = np.asarray(points_xyz, dtype=np.float64)
    if points.shape != (MESH_POINTS, 3) or not np.isfinite(points).all():
        raise OptionError(
            f"expected points of shape ({MESH_POINTS}, 3), all finite, got {points.shape}",
            option="points",
        )
    rotations, sizes = rotations_of_meshes(points[None])
    if not sizes[0] > _TINY * (1 + np.abs(points).max()):
        raise OptionError("expected points in different places, got one", option="points")
    turn = rotations[0]
    # R = Rz(roll) Rx(pitch) Ry(yaw), as in ``lineament.pose``.
    yaw = math.degrees(math.atan2(-turn[2, 0], turn[2, 2]))
    pitch = math.degrees(math.asin(min(1.0, max(-1.0, float(turn[2, 1])))))
    roll = wrapped_deg(math.degrees(math.atan2(-turn[0, 1], turn[1, 1])))
    return HeadPose(float(sizes[0]), yaw, pitch, roll)


def true_yaw_deg(yaw_deg: float) -> float:
    """Return the yaw of a head whose mesh, as this network draws it, has ``yaw_deg``; to 90."""
    missing = MISSING_YAW * max(0.0, abs(yaw_deg) - FAITHFUL_YAW_DEG)
    return math.copysign(min(abs(yaw_deg) + missing, max(90.0, abs(yaw_deg))), yaw_deg)


def rotations_of_meshes(points_xyz: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Fit the average face to several meshes (N, 478, 3).

    Returns:
        (N, 3, 3): rotations of the average face, x to the viewer's right, y down, z towards the
        viewer; and (N,): distances of the eyes in pixels, had the faces been frontal.
    """
    points = points_xyz[:, RIGID_POINTS] * np.array([1.0, 1.0, -1.0])
    centered = points - (_WEIGHTS @ points)[:, None]  # (33,) @ (N, 33, 3) -> (N, 3)
    u, sizes, vt = np.linalg.svd((centered * _WEIGHTS[:, None]).transpose(0, 2, 1) @ _CENTERED)
    signs = np.ones_like(sizes)
    signs[:, 2] = np.sign(np.linalg.det(u @ vt))  # a rotation, never a reflection
    rotations: Float64Array = (u * signs[:, None]) @ vt
    return rotations, (sizes * signs).sum(axis=1) / _SPREAD


def rolls_of_meshes(points_xyz: Float64Array) -> Float64Array:
    """Return by how much each mesh (N, 478, 3) is tilted clockwise for the viewer: (N,) radians."""
    turns, _ = rotations_of_meshes(points_xyz)
    rolls: Float64Array = np.arctan2(-turns[:, 0, 1], turns[:, 1, 1])
    return rolls


def upright(points_xyz: Float64Array, rolls_rad: Float64Array) -> Float64Array:
    """Turn meshes about the photo's origin so that they are not tilted.

    Args:
        points_xyz: (N, 478, 3) or (N, 478, 2), pixels of the photo.
        rolls_rad: (N,), as ``rolls_of_meshes`` has them.

    Returns:
        (N, 478, 2), x and y.
    """
    # (N, 478, 2) @ (N, 2, 2)
    turned: Float64Array = points_xyz[:, :, :2] @ turns_upright(rolls_rad).transpose(0, 2, 1)
    return turned


def turns_upright(rolls_rad: Float64Array) -> Float64Array:
    """Return the matrices (N, 2, 2) that do so: their rows are the axes of the upright face."""
    cos, sin = np.cos(rolls_rad), np.sin(rolls_rad)
    return np.stack([np.stack([cos, sin], axis=1), np.stack([-sin, cos], axis=1)], axis=1)
