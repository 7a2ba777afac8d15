"""How far the eyes are open, from the mesh, as a share of that same face's eyes at rest.

The network's number for shut eyes ("eyeBlink" of the blendshapes) rises little where the eyes are
narrow at rest, and rises for a photo of open eyes that is tilted. So the lids' distance is measured
in the plane of the face about the eyes: points there that expressions move least are fitted to
those of an average face by an affine map, which takes turns of a flat picture with it, and what
counts is by which share the distance falls against the face's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lineament.align.mesh_points import MIRRORED
from lineament.align.mesh_pose import RIGID_POINTS, RIGID_XYZ
from lineament.types import Float64Array

UPPER = np.array([161, 160, 159, 158, 157])
LOWER = np.array([163, 144, 145, 153, 154])
"""Points of the lids' rims that lie above one another, without the corners of the eye; of the eye
that the viewer sees at the left."""

NEAR = 0.45
"""Of the level of the eyes, in distances between them: farther points are not fitted, since a sheet
may be bent between them and the eyes."""

MOST_FORESHORTENED = 1.15
"""Height over width of that part of the face may change by this factor while the lids shut."""

LEAST_OPEN = 0.01
"""In distances between the eyes: below, they were shut at rest, and nothing can be said."""

_IS_NEAR = np.abs(RIGID_XYZ[:, 1]) < NEAR
_POINTS = RIGID_POINTS[_IS_NEAR]  # (P,)
_AVERAGE = np.column_stack([RIGID_XYZ[_IS_NEAR, :2], np.ones(len(_POINTS))])  # (P, 3)
_FIT: Float64Array = np.linalg.pinv(_AVERAGE)  # (3, P)


@dataclass(frozen=True, slots=True)
class Lids:
    """How far the eyes of a face are open.

    Attributes:
        left, right: the mean distance of the lids, of the eyes as the viewer sees them, in
            distances between the eyes of an average face.
        tall: height over width of the face about the eyes, of an average face's.
    """

    left: float
    right: float
    tall: float

    @classmethod
    def of(cls, points_xyz: Float64Array) -> Lids:
        """Measure a mesh (478, 3)."""
        flat = points_xyz[:, :2]
        to_mesh = (_FIT @ flat[_POINTS])[:2]  # (2, 2): rows are where x and y go
        from_mesh = np.linalg.pinv(to_mesh)
        open_left, open_right = (
            float(((flat[lower] - flat[upper]).mean(axis=0) @ from_mesh)[1])
            for upper, lower in ((UPPER, LOWER), (MIRRORED[UPPER], MIRRORED[LOWER]))
        )
        wide, tall = np.linalg.norm(to_mesh, axis=1)
        return cls(open_left, open_right, float(tall / wide) if wide > 0 else 0.0)

    @classmethod
    def median(cls, many: Iterable[Lids]) -> Lids:
        """Of at least one."""
        rows = [(each.left, each.right, each.tall) for each in many]
        return cls(*np.median(rows, axis=0).tolist())

    def shut_since(self, rest: Lids) -> float:
        """By which share the eyes are less open than at rest, the one that is shut less; 0 where
        that cannot be said, because they were shut or because the face is foreshortened.
        """
        turned = max(self.tall, rest.tall) > MOST_FORESHORTENED * min(self.tall, rest.tall)
        if turned or min(rest.left, rest.right) < LEAST_OPEN:
            return 0.0
        return 1 - max(self.left / rest.left, self.right / rest.right)
