"""How a head is held, from five points of its face.

    head_pose()        five landmarks -> distance of the eyes, yaw, pitch, roll
    pose_of_five()     the same with the yaw as the landmarks show it, which is too low for profiles
    true_yaw_deg()     such a yaw -> that of the head

``Face.roll_deg`` and ``Quality`` have it of a face that was found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lineament.errors import OptionError
from lineament.results import Outcome

FACE_XYZ = np.array(
    [
        [-0.5, 0, 0],
        [0.5, 0, 0],
        [0, 0.5426, 0.6451],
        [-0.3897, 1.1055, 0.1298],
        [0.3897, 1.1055, 0.1298],
    ]
)
"""(5, 3) float64: an average face in the order of ``LANDMARK_NAMES``; x to the viewer's right, y
down, z towards the viewer, in distances between the eyes' centers. From MediaPipe's canonical face
(``canonical_face_model.obj``, Apache-2.0): eyes halfway between vertices 33 and 133 (362 and 263),
nose tip halfway between 4 and 1 (where it lies between eyes and mouth as in the ArcFace template),
mouth corners 61 and 291."""
FACE_XYZ.flags.writeable = False

# (3, 5): maps the five points to the 2x3 camera in the least squares sense.
_CAMERA = np.linalg.pinv(FACE_XYZ - FACE_XYZ.mean(axis=0))

FAITHFUL_YAW_DEG, MISSING_YAW = 25.0, 0.02
"""Beyond the first number landmarks show heads less turned than they are: the second, times the
square of what is more, is added. Fitted by ``scripts/fit/mesh_yaw.py`` so that the quantiles of the
profiles of half of CFP's people agree with the yaws that follow from points set by hand: 0.018 to
0.019, and 0.0205 to 0.0215 with landmarks by maps (``detect.landmarks``) that other people were
used for. On the other half the median error falls from -16 to 0 degrees, the mean absolute one
from 17 to 8, and single yaws correlate by 0.65. Up to 35 degrees it adds 2 at most."""

_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class HeadPose(Outcome):
    """How a head is held. A head that looks straight at the viewer has three zeros.

    The angles are applied in the order yaw, pitch, roll: the roll, in the plane of the photo,
    changes none of the others.

    Attributes:
        eyes_px: distance of the eyes in pixels, had the face been frontal.
        yaw_deg: how far it is turned to the side, -180 to 180; positive towards the viewer's right.
        pitch_deg: how far up, -90 to 90; positive up.
        roll_deg: how far it is tilted, above -180 to 180; positive clockwise for the viewer: its
            top leans towards the viewer's right.
    """

    eyes_px: float
    yaw_deg: float
    pitch_deg: float
    roll_deg: float


def head_pose(landmarks_xy: npt.NDArray[np.floating]) -> HeadPose:
    """Say how a head is held, from five landmarks as detectors give them.

    ``pose_of_five``, and beyond ``FAITHFUL_YAW_DEG`` the yaw that its landmarks lack: detectors put
    the far eye and the far corner of the mouth of a profile, which nobody sees, beside the nose and
    not behind it. Size, pitch and roll are not changed.

    Args:
        landmarks_xy: (5, 2), pixels, in the order of ``LANDMARK_NAMES``.

    Raises:
        OptionError: as ``pose_of_five``.
    """
    pose = pose_of_five(landmarks_xy)
    return replace(pose, yaw_deg=true_yaw_deg(pose.yaw_deg))


def true_yaw_deg(yaw_deg: float) -> float:
    """Return the yaw of a head whose landmarks show ``yaw_deg``; to 90, the sign stays."""
    beyond = max(0.0, abs(yaw_deg) - FAITHFUL_YAW_DEG)
    more = abs(yaw_deg) + MISSING_YAW * beyond**2
    return math.copysign(min(more, max(90.0, abs(yaw_deg))), yaw_deg)


def pose_of_five(landmarks_xy: npt.NDArray[np.floating]) -> HeadPose:
    """Fit an average 3D face to five landmarks.

    Scaled orthographic projection: the affine camera (2x3) that is nearest to the landmarks in the
    least squares sense, then the rotation nearest to it (its polar factor). On LFW View 1 yaw
    agrees to 5 degrees, from 0 to 45, with what the foreshortening of the eyes' distance against
    the distance from eyes to mouth says; it is the lower one of the two.

    Args:
        landmarks_xy: (5, 2), pixels, in the order of ``LANDMARK_NAMES``.

    Raises:
        OptionError: another shape, a number that is not finite, or points that coincide.
    """
    points = np.asarray(landmarks_xy, dtype=np.float64)
    if points.shape != (5, 2) or not np.isfinite(points).all():
        raise OptionError(
            f"expected 5 points (5, 2), all finite, got {np.shape(landmarks_xy)}: "
            f"{points.tolist()}",
            option="landmarks",
        )
    camera = (_CAMERA @ (points - points.mean(axis=0))).T  # ((3, 5) @ (5, 2)).T -> (2, 3)
    u, scales, vt = np.linalg.svd(camera, full_matrices=False)
    if not scales[1] > _TINY * (1 + np.abs(points).max()):
        raise OptionError(
            f"expected points that do not lie on one line, got {points.tolist()}",
            option="landmarks",
        )
    (a, b, c), (d, e, f) = (u @ vt).tolist()  # the first two rows of R
    # R = Rz(roll) Rx(pitch) Ry(yaw). In the image the face's y axis, R's second column, points
    # along (-sin(roll), cos(roll)).
    length = math.hypot(b, e)
    sin, cos = (-b / length, e / length) if length > _TINY else (0.0, 1.0)
    yaw = math.atan2(c * cos + f * sin, a * cos + d * sin)
    # R[2, 1] from the cross product of the first two rows. y points down, z at the viewer: it is
    # positive when the lower half of the face comes forward.
    pitch = math.atan2(c * d - a * f, length)
    roll = wrapped_deg(math.degrees(math.atan2(sin, cos)))
    return HeadPose(float(scales.mean()), math.degrees(yaw), math.degrees(pitch), roll)


def wrapped_deg(angle_deg: float) -> float:
    """Return the same turn within (-180, 180]: 270 is -90."""
    return 180.0 - (180.0 - float(angle_deg)) % 360.0
