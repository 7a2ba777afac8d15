"""Whether eyes and mouth are open, from the mesh and its blendshapes.

    eyes_of()     the left and the right eye, as the viewer sees them
    mouth_of()    the mouth

Two numbers each: what the blendshapes' network says, 0 to 1; and how far lids or lips are apart,
measured between points of the mesh in space, over the width of eye or mouth. The first decides of
eyes; of mouths either can.
"""

from __future__ import annotations

import numpy as np

from lineament.align.blendshapes import BLENDSHAPES, OPEN_JAW, SHUT_EYE
from lineament.align.mesh_points import (
    LEFT_EYE_CORNERS,
    LEFT_MOUTH,
    RIGHT_EYE_CORNERS,
    RIGHT_MOUTH,
)
from lineament.attributes.results import Eye, EyeState, Mouth
from lineament.types import FloatArray

HALF_SHUT = 0.4
"""From which number to ``SHUT_EYE`` an eye is undecided."""

HALF_OPEN_JAW = 0.15
"""From which number to ``OPEN_JAW`` the mouth is undecided."""

FAR_APART, HALF_APART = 0.30, 0.18
"""Lips' distances over the mouth's width from which on the mouth is open, and undecided, whatever
the jaw's number is. Of AT&T's faces, by eye: of shut mouths the largest is 0.17, of smiles 0.38,
nine of ten below 0.22; of open ones half have no more than 0.21, and jaws near 0."""

_LIDS = (((160, 144), (158, 153)), ((385, 380), (387, 373)))
"""Two pairs of each eye: upper and lower lid."""

_LIPS = ((82, 87), (13, 14), (312, 317))
"""Inner edges of the upper and the lower lip."""

# The blendshapes' left and right are the person's own.
_BLINKS = (BLENDSHAPES.index("eyeBlinkRight"), BLENDSHAPES.index("eyeBlinkLeft"))
_JAW = BLENDSHAPES.index("jawOpen")


def eyes_of(points_xyz: FloatArray, blendshapes: FloatArray) -> tuple[Eye, Eye]:
    """Say of both eyes whether they are open.

    Args:
        points_xyz: (478, 3), as ``Mesh.points_xyz`` has them.
        blendshapes: (52,), of the same face.
    """
    made = []
    for corners, lids, blink in zip(
        (LEFT_EYE_CORNERS, RIGHT_EYE_CORNERS), _LIDS, _BLINKS, strict=True
    ):
        shut = float(blendshapes[blink])
        state: EyeState = "open" if shut < HALF_SHUT else "shut"
        if HALF_SHUT <= shut < SHUT_EYE:
            state = "undecided"
        made.append(Eye(state, shut, _opening(points_xyz, lids, corners)))
    return made[0], made[1]


def mouth_of(points_xyz: FloatArray, blendshapes: FloatArray) -> Mouth:
    """Say whether the mouth is open; arguments as ``eyes_of``."""
    jaw = float(blendshapes[_JAW])
    apart = _opening(points_xyz, _LIPS, (LEFT_MOUTH, RIGHT_MOUTH))
    state: EyeState = "shut"
    if jaw >= OPEN_JAW or apart >= FAR_APART:
        state = "open"
    elif jaw >= HALF_OPEN_JAW or apart >= HALF_APART:
        state = "undecided"
    return Mouth(state, jaw, apart)


def _opening(
    points: FloatArray, pairs: tuple[tuple[int, int], ...], ends: tuple[int, int]
) -> float:
    """Mean distance of pairs of points over that of the ends; 0 where the ends coincide."""
    width = float(np.linalg.norm(points[ends[0]] - points[ends[1]]))
    apart = np.mean([np.linalg.norm(points[a] - points[b]) for a, b in pairs])
    return float(apart) / width if width > 1e-6 else 0.0
