"""One face, followed from frame to frame: its mesh, what it does, and a patch of its pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from lineament import models
from lineament.align.blendshapes import BLENDSHAPES, blendshapes
from lineament.align.mesh import INPUT_PX, look, mesh, mesh_transforms
from lineament.align.mesh_pose import pose_of_mesh, rolls_of_meshes
from lineament.finder import FaceFinder
from lineament.liveness._glasses import hides_eyes
from lineament.liveness._lids import Lids
from lineament.liveness._parallax import FOLLOWED, PATCH_PX, Follower
from lineament.models.runtime import load_model
from lineament.types import Face, Float64Array, Image, Photo

LEAST_PRESENCE = 0.5
"""Of the mesh; below, the face is looked for anew."""

NAME = "session"
"""What the photo of a session is called in results."""

LEAST_EYES_PX = 24.0
"""Below, lids and noses are too small to be read."""

_JAW = BLENDSHAPES.index("jawOpen")


@dataclass(frozen=True, eq=False, slots=True)
class Look:
    """What one frame shows of the face.

    Attributes:
        time_s: of the frame.
        points_xyz: (478, 3), as ``Mesh`` has them.
        yaw_deg, pitch_deg: as the mesh has them.
        eyes_px: distance of the eyes, had the face been frontal.
        lids: how far both eyes are open.
        jaw: how far the jaw is down, 0 to 1.
        patch: (PATCH_PX, PATCH_PX) uint8, gray: the upright square about the mesh.
        to_patch: (2, 3): from the frame to it.
    """

    time_s: float
    points_xyz: Float64Array
    yaw_deg: float
    pitch_deg: float
    eyes_px: float
    lids: Lids
    jaw: float
    patch: Image
    to_patch: Float64Array

    def face(self) -> Face:
        """The face with five landmarks, for the recognizer."""
        from lineament.align.mesh import five_of_478

        low, high = self.points_xyz[:, :2].min(axis=0), self.points_xyz[:, :2].max(axis=0)
        five = five_of_478(self.points_xyz[None])[0]
        return Face(np.concatenate([low, high]).astype(np.float32), 1.0, five)

    def follower(self) -> Follower:
        """Begin to follow its points."""
        points = self.points_xyz[FOLLOWED]
        places = points[:, :2] @ self.to_patch[:, :2].T + self.to_patch[:, 2]
        scale = float(np.sqrt(abs(np.linalg.det(self.to_patch[:, :2]))))
        return Follower(self.patch, places, points[:, 2] / self.eyes_px, self.eyes_px * scale)


class Looker:
    """Follows the largest face of a film. Not for several threads at once."""

    def __init__(self, finder: FaceFinder) -> None:
        """``finder``: finds the face at first, and whenever it was lost; its runtime and policy
        are those of the mesh's networks.
        """
        self._finder = finder
        self._mesh, self._shapes = (
            load_model(models.get(name), runtime=finder.runtime, policy=finder.policy)
            for name in ("facemesh", "blendshapes")
        )
        self._points: Float64Array | None = None

    def look(self, pixels: Image, time_s: float) -> Look | None:
        """Look at the next frame; None where there is no face, or only one that is too small."""
        points = self._next(pixels)
        self._points = points
        if points is None:
            return None
        pose = pose_of_mesh(points)
        if pose.eyes_px < LEAST_EYES_PX:
            return None
        to_patch = mesh_transforms(points[None], rolls_of_meshes(points[None]))[0]
        to_patch = to_patch * (PATCH_PX / INPUT_PX)
        cut = cv2.warpAffine(pixels, to_patch, (PATCH_PX, PATCH_PX), flags=cv2.INTER_LINEAR)
        scores = blendshapes(self._shapes, points[None])[0]
        return Look(
            time_s,
            points,
            pose.yaw_deg,
            pose.pitch_deg,
            pose.eyes_px,
            Lids.of(points),
            float(scores[_JAW]),
            np.asarray(cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY), np.uint8),
            to_patch,
        )

    def photo(self, pixels: Image, seen: Look) -> Photo:
        """The frame as a photo of that face, as the finder sees it, whose landmarks suit
        recognition best; as the mesh does where it finds none there.
        """
        found = self._finder.find(pixels)
        middle = seen.face().center_xy
        for number, face in enumerate(found.faces):
            if np.abs(np.subtract(face.center_xy, middle)).max() < seen.eyes_px / 2:
                return replace(found, source=NAME, index=number, time_s=seen.time_s)
        return photo_of(pixels, seen)

    def eyes_covered(self, photo: Photo) -> bool:
        """Whether dark glasses hide the eyes of the photo's chosen face."""
        assert photo.index is not None
        return hides_eyes(self._finder.crops(photo, [photo.index])[0])

    def _next(self, pixels: Image) -> Float64Array | None:
        """The mesh in the next frame (478, 3): where it was, else where the detector finds it."""
        if self._points is not None:
            last = self._points[None]
            points, presence = look(
                self._mesh, pixels, mesh_transforms(last, rolls_of_meshes(last))
            )
            if presence[0] >= LEAST_PRESENCE:
                return np.asarray(points[0], np.float64)
        photo = self._finder.find(pixels)
        if photo.index is None:
            return None
        found = mesh(self._mesh, pixels, [photo.faces[photo.index]])
        if found.presence[0] < LEAST_PRESENCE:
            return None
        return np.asarray(found.points_xyz[0], np.float64)


def photo_of(pixels: Image, seen: Look) -> Photo:
    """The frame as a photo of that face, as the mesh sees it."""
    height, width = pixels.shape[:2]
    size_wh = (width, height)
    face = seen.face()
    return Photo(NAME, size_wh, (face,), 0, pixels, time_s=seen.time_s, detector="facemesh")
