"""What eyes, brows and mouth do, from the mesh's points: 52 numbers of each face from 0 to 1.

    blendshapes()      points of meshes -> (N, 52), in the order of ``BLENDSHAPES``
    eyes_and_mouth()   those of one face -> which eyes are shut, whether the mouth is open

The names are those of Apple's ARKit, which MediaPipe's Face Landmarker uses, too. **Their left and
right are the person's own**: "eyeBlinkLeft" is about the eye that the viewer sees at the right. The
network is a small MLP-Mixer (Tolstikhin et al., arXiv:2105.01601; Grishchenko et al., "Blendshapes
GHUM: Real-time Monocular Facial Blendshape Prediction", arXiv:2309.05782) over 146 of the 478
points; their place and size in the picture do not matter.

The numbers of one network are not those of another: whoever compares them with a threshold should
have it from faces that this one has seen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lineament.align.mesh_points import MESH_POINTS
from lineament.align.mesh_pose import rolls_of_meshes, upright
from lineament.errors import OptionError
from lineament.models.runtime import Model
from lineament.types import Float64Array, FloatArray

_NAMES = """
_neutral browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff
cheekSquintLeft cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight
eyeLookInLeft eyeLookInRight eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight
eyeSquintLeft eyeSquintRight eyeWideLeft eyeWideRight jawForward jawLeft jawOpen jawRight
mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft mouthFrownRight mouthFunnel mouthLeft
mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight mouthPucker mouthRight
mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft mouthSmileRight
mouthStretchLeft mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft
noseSneerRight
"""
BLENDSHAPES = tuple(_NAMES.split())
"""(52,) names, in the network's order; the first, "_neutral", says nothing."""

_READ = """
0 1 4 5 6 7 8 10 13 14 17 21 33 37 39 40 46 52 53 54 55 58 61 63 65 66 67 70 78 80 81 82 84 87 88 91
93 95 103 105 107 109 127 132 133 136 144 145 146 148 149 150 152 153 154 155 157 158 159 160 161
162 163 168 172 173 176 178 181 185 191 195 197 234 246 249 251 263 267 269 270 276 282 283 284 285
288 291 293 295 296 297 300 308 310 311 312 314 317 318 321 323 324 332 334 336 338 356 361 362 365
373 374 375 377 378 379 380 381 382 384 385 386 387 388 389 390 397 398 400 402 405 409 415 454 466
468 469 470 471 472 473 474 475 476 477
"""
READ = np.array([int(number) for number in _READ.split()])
"""(146,): which of the 478 points the network is fed (MediaPipe, ``face_blendshapes_graph.cc``)."""
READ.flags.writeable = False

SHUT_EYE, OPEN_JAW = 0.5, 0.25
"""From which number on an eye counts as shut, and the mouth as open: set by eye on 251 photos of
LFW View 1. There 95 % of the eyes are below 0.46, and nobody's above the first number look at the
camera with open eyes but one who laughs; half of the mouths from 0.14 to 0.25 show no more than
teeth."""

_OF = {name: number for number, name in enumerate(BLENDSHAPES)}


def blendshapes(model: Model, points: npt.NDArray[np.floating]) -> FloatArray:
    """Say what eyes, brows and mouth of several faces do.

    Args:
        model: the weights "blendshapes".
        points: (N, 478, 3), pixels, as ``Mesh.points_xyz`` has them; each is turned upright by its
            own roll. Of (N, 478, 2) upright ones are expected.

    Returns:
        (N, 52) float32, 0 to 1, in the order of ``BLENDSHAPES``.

    Raises:
        OptionError: another shape, or a number that is not finite.
    """
    given: Float64Array = np.asarray(points, np.float64)
    shaped = given.ndim == 3 and given.shape[1] == MESH_POINTS and given.shape[2] in (2, 3)
    if not shaped or not np.isfinite(given).all():
        raise OptionError(
            f"expected finite points of shape (N, {MESH_POINTS}, 2) or (N, {MESH_POINTS}, 3), got "
            f"{given.shape}",
            option="points",
        )
    if not len(given):
        return np.zeros((0, len(BLENDSHAPES)), np.float32)
    flat = upright(given, rolls_of_meshes(given)) if given.shape[2] == 3 else given
    read = flat[:, READ]
    (scores,) = model(np.ascontiguousarray(read[:, None], dtype=np.float32))  # (N, 1, 146, 2)
    return scores


def eyes_and_mouth(scores: npt.NDArray[np.floating]) -> tuple[tuple[bool, bool], bool]:
    """Say which eyes are shut and whether the mouth is open.

    Args:
        scores: (52,), of one face.

    Returns:
        Whether the left and the right eye, as the viewer sees them, are shut; and whether the jaw
        is down. A smile that shows teeth is a shut mouth, and who looks down has shut eyes.
    """
    shut = scores[[_OF["eyeBlinkRight"], _OF["eyeBlinkLeft"]]] >= SHUT_EYE
    return (bool(shut[0]), bool(shut[1])), bool(scores[_OF["jawOpen"]] >= OPEN_JAW)
