"""Stage 3, the finest: a mesh of 478 points on a face, with its irises, depth and presence.

    mesh()             photo and faces -> 478 points each, in three dimensions
    five_of_478()      the five landmarks of ``LANDMARK_NAMES`` among them

Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs",
arXiv:1907.06724; the network and the numbers of its points are those of MediaPipe's Face Landmarker
(``canonical_face_model``): 33 and 263 the outer corners of the eyes, 133 and 362 the inner, 4 the
tip of the nose, 61 and 291 the corners of the mouth, 152 the chin, 10 the top of the forehead, 468
and 473 the centers of the irises, each followed by four points around it.

How exact it is: on 286 frontal faces of LFW View 1 ``five_of_478`` lies within 1.6 % of the
distance between the eyes of what MTCNN's O-Net finds (means over the photos, each point). On the
500 profiles of 125 people of CFP the visible eye, nose tip and mouth corner are off by 5.9 % of the
distance from eye to mouth in the median (O-Net: 8.5 %) and by 16.7 % in one of twenty (24.7 %).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.align.alignment import NATIVE_PX, Alignment, face_transforms
from lineament.align.blendshapes import BLENDSHAPES, blendshapes, eyes_and_mouth
from lineament.align.mesh_points import (
    LEFT_IRIS,
    LEFT_MOUTH,
    MESH_POINTS,
    MIRRORED,
    NOSE_TIP,
    RIGHT_IRIS,
    RIGHT_MOUTH,
)
from lineament.align.mesh_pose import (
    pose_of_mesh,
    rolls_of_meshes,
    true_yaw_deg,
    turns_upright,
    upright,
)
from lineament.errors import OptionError
from lineament.geometry import ARCFACE_TEMPLATE_XY, similarity_transforms, to_photo_xy, warp
from lineament.models.runtime import Model
from lineament.pose import HeadPose
from lineament.types import Face, Float64Array, FloatArray, Image

INPUT_PX = 256
"""Side of the model's input."""

MESH_SIDE = 1.5
"""Side of the square that is looked at, in longer sides of the mesh's own box: MediaPipe's. Of 1.37
to 1.65 none is better on CFP's profiles."""

FIVE_SIDE, FIVE_DOWN = 1.3, 0.14
"""The first look at a face with landmarks: side and shift down of the square in units of the crop
of the ArcFace template. The square about the mesh of LFW's faces, in the median."""

BOX_MARGIN = 0.29
"""The first look at a face without: the square of the alignment "crop", so much wider, which is
1.37 times the box. The square about the mesh of LFW's faces with YuNet's boxes, in the median."""

LEVEL_DEG = 10.0
MOST_LOOKS = 4
"""A mesh that is turned by more than this in its crop was not seen upright and is looked at again,
at most so many times in all. A second look is always taken: it corrects 15 degrees and what the
first square missed (CFP's profiles: error 6.8 -> 5.9 % of eye to mouth). A first square turned
wrongly by 30 degrees is made good by the second look in all of 80 photos of LFW, by 45 degrees in
98 % by the fourth, by 60 in a third."""


@dataclass(frozen=True, eq=False, slots=True)
class Mesh:
    """The meshes of several faces.

    Attributes:
        points_xyz: (N, 478, 3) float32: x and y in pixels of the photo; z in the same unit, smaller
            towards the camera, 0 about the middle of the head. Hidden points have a place, too.
        presence: (N,) float32, 0 to 1: how certain the network is that it sees a face. It is near
            1 on LFW, below 0.5 on a quarter of CFP's profiles, most of them with good points, and
            above 0.5 on half of the faces that are shown upside down.
        blendshapes: (N, 52) float32, 0 to 1: what eyes, brows and mouth do, in the order of
            ``lineament.align.blendshapes.BLENDSHAPES``; None where nobody asked its network.
    """

    points_xyz: FloatArray
    presence: FloatArray
    blendshapes: FloatArray | None = None

    def irises(self) -> FloatArray:
        """Return (N, 2, 3) float32: x, y and radius of the left and the right iris, in pixels.

        Left and right are as the viewer sees them.
        """
        flat = self.points_xyz[:, :, :2]
        rows = []
        for center in (LEFT_IRIS, RIGHT_IRIS):
            rim = flat[:, center + 1 : center + 5] - flat[:, center, None]
            radius = np.linalg.norm(rim, axis=2).mean(axis=1)
            rows.append(np.concatenate([flat[:, center], radius[:, None]], axis=1))
        return np.stack(rows, axis=1).astype(np.float32)

    def poses(self) -> list[HeadPose]:
        """How each head is held: ``pose_of_mesh``, with the yaw of profiles corrected."""
        fits = map(pose_of_mesh, self.points_xyz)
        return [replace(fit, yaw_deg=true_yaw_deg(fit.yaw_deg)) for fit in fits]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Plain numbers of each face, ready for JSON."""
        rows = np.round(self.points_xyz.astype(np.float64), 2)
        irises = np.round(self.irises().astype(np.float64), 2)
        faces: list[dict[str, Any]] = [
            {
                "points_xy": row[:, :2].tolist(),
                "points_z": row[:, 2].tolist(),
                "presence": round(float(presence), 4),
                "pose": {name: round(value, 2) for name, value in asdict(pose).items()},
                "irises": [
                    {"center_xy": each[:2].tolist(), "radius_px": each[2].tolist()} for each in both
                ],
            }
            for row, presence, pose, both in zip(
                rows, self.presence, self.poses(), irises, strict=True
            )
        ]
        if self.blendshapes is not None:
            for face, scores in zip(faces, self.blendshapes, strict=True):
                shut, is_open = eyes_and_mouth(scores)
                face["eyes"] = ["shut" if each else "open" for each in shut]
                face["mouth"] = "open" if is_open else "shut"
                listed = np.round(scores.astype(np.float64), 4).tolist()
                face["blendshapes"] = dict(zip(BLENDSHAPES, listed, strict=True))
        return faces


class MeshLandmarker:
    """The bundled ``Landmarker`` of 478 points; see ``mesh``."""

    def __init__(self, model: Model, blendshapes: Model | None = None) -> None:
        """``model``: "facemesh"; ``blendshapes``: those weights, or None where nobody asks."""
        self._model = model
        self._blendshapes = blendshapes

    def locate(self, image: Image, faces: Sequence[Face]) -> FloatArray:
        """Return (N, 478, 2) float32, pixels of the photo."""
        return np.ascontiguousarray(mesh(self._model, image, faces).points_xyz[:, :, :2])

    def read(self, image: Image, faces: Sequence[Face]) -> Mesh:
        """Return the points with depth, presence and, with their network, blendshapes."""
        return self.described(mesh(self._model, image, faces))

    def described(self, found: Mesh) -> Mesh:
        """Return meshes with their blendshapes, where their network was given."""
        if self._blendshapes is None:
            return found
        return replace(found, blendshapes=blendshapes(self._blendshapes, found.points_xyz))


def mesh(model: Model, image: Image, faces: Sequence[Face], *, mirrored: bool = False) -> Mesh:
    """Find the mesh of each face.

    The first look is at a square that the landmarks turn upright; without them, at one about the
    box, turned by the face's ``turned_deg``. The second, and where it is not level a third and
    fourth, is at the square about the mesh itself, turned upright by the mesh's own pose.

    Args:
        model: the weights "facemesh".
        image: (H, W, 3) uint8.
        faces: as a detector returns them.
        mirrored: look at the mirror image of the last crop as well, and return the mean. On CFP's
            profiles the median error falls from 5.9 to 5.4 % of the distance from eye to mouth.

    Raises:
        OptionError: an image of another shape or type, or landmarks that coincide.
    """
    if not faces:
        return Mesh(np.zeros((0, MESH_POINTS, 3), np.float32), np.zeros(0, np.float32))
    points, _ = look(model, image, first_transforms(faces))
    presence: FloatArray = np.zeros(len(faces), np.float32)
    todo = np.arange(len(faces))
    for _ in range(MOST_LOOKS - 1):
        rolls = rolls_of_meshes(points[todo])
        points[todo], presence[todo] = look(model, image, mesh_transforms(points[todo], rolls))
        turned = np.angle(np.exp(1j * (rolls_of_meshes(points[todo]) - rolls)))
        todo = todo[np.abs(turned) > np.radians(LEVEL_DEG)]
        if not len(todo):
            break
    if mirrored:
        transforms = mesh_transforms(points, rolls_of_meshes(points))
        other, opinion = look(model, image, transforms, mirrored=True)
        points = (points + other) / 2
        presence = (presence + opinion) / np.float32(2)
    return Mesh(points.astype(np.float32), presence)


def five_of_478(points: npt.NDArray[np.floating]) -> FloatArray:
    """Pick the five landmarks from 478 points.

    Args:
        points: (N, 478, 2) or (N, 478, 3), in any coordinates; depth is left out.

    Returns:
        (N, 5, 2) float32 in the order of ``LANDMARK_NAMES``. An eye is the center of its iris.

    Raises:
        OptionError: another shape.
    """
    if points.ndim != 3 or points.shape[1] != MESH_POINTS or points.shape[2] not in (2, 3):
        raise OptionError(
            f"expected shape (N, {MESH_POINTS}, 2) or (N, {MESH_POINTS}, 3), got {points.shape}",
            option="points",
        )
    flat = points[:, :, :2]
    nose = flat[:, NOSE_TIP].mean(axis=1, keepdims=True)
    eyes, mouth = flat[:, [LEFT_IRIS, RIGHT_IRIS]], flat[:, [LEFT_MOUTH, RIGHT_MOUTH]]
    return np.concatenate([eyes, nose, mouth], axis=1).astype(np.float32)


def look(
    model: Model, image: Image, transforms: Float64Array, *, mirrored: bool = False
) -> tuple[Float64Array, FloatArray]:
    """Run the network once on crops of the photo.

    Args:
        model: the weights "facemesh".
        image: (H, W, 3) uint8.
        transforms: (N, 2, 3), from the photo's pixels to those of crops of ``INPUT_PX``.
        mirrored: show it the mirror images; the points are those of the photo all the same.

    Returns:
        Points (N, 478, 3) float64 and presence (N,) float32, as in ``Mesh``.
    """
    crops = warp(image, transforms, INPUT_PX)
    if mirrored:
        crops = crops[:, :, ::-1]
    batch = np.ascontiguousarray(crops.transpose(0, 3, 1, 2), dtype=np.float32)
    raw, logits = model(batch)
    points = raw.astype(np.float64)
    if mirrored:
        points = points[:, MIRRORED]
        points[:, :, 0] = INPUT_PX - points[:, :, 0]
    # The network counts from the edge of the first pixel, the photo from its center.
    points[:, :, :2] = to_photo_xy(points[:, :, :2] - 0.5, transforms)
    scales = np.sqrt(np.abs(np.linalg.det(transforms[:, :, :2])))
    points[:, :, 2] /= scales[:, None]
    return points, (1 / (1 + np.exp(-np.clip(logits, -80, 80)))).astype(np.float32)


def first_transforms(faces: Sequence[Face]) -> Float64Array:
    """Return the matrices of the first look, (N, 2, 3), from the photo to the input."""
    matrices = np.zeros((len(faces), 2, 3))
    seeing = np.array([face.landmarks_xy is not None for face in faces])
    if seeing.any():
        five = np.array([face.landmarks_xy for face in faces if face.landmarks_xy is not None])
        matrices[seeing] = similarity_transforms(five, _template_xy())
    if not seeing.all():
        square = Alignment.square(INPUT_PX, "crop")
        blind = [face for face in faces if face.landmarks_xy is None]
        matrices[~seeing] = face_transforms(blind, replace(square, margin=BOX_MARGIN))
    return matrices


def mesh_transforms(points: npt.NDArray[np.floating], rolls_rad: Float64Array) -> Float64Array:
    """Return the matrices of a look at squares about meshes, turned upright: (N, 2, 3).

    Args:
        points: (N, 478, 2) or (N, 478, 3), pixels of the photo.
        rolls_rad: (N,), by how much each is tilted clockwise for the viewer.
    """
    turned = upright(np.asarray(points, np.float64), rolls_rad)
    low, high = turned.min(axis=1), turned.max(axis=1)
    sides = np.maximum((high - low).max(axis=1), 1.0) * MESH_SIDE
    scales = INPUT_PX / sides[:, None]
    matrices = np.zeros((len(points), 2, 3))
    matrices[:, :, :2] = turns_upright(rolls_rad) * scales[:, :, None]
    matrices[:, :, 2] = (INPUT_PX - 1) / 2 - (low + high) / 2 * scales
    return matrices


def _template_xy() -> Float64Array:
    """Return where the five landmarks lie in the model's input: (5, 2), pixels."""
    middle = (NATIVE_PX - 1) / 2 + np.array([0.0, FIVE_DOWN * NATIVE_PX])
    shares = (ARCFACE_TEMPLATE_XY - middle) / (FIVE_SIDE * NATIVE_PX) + 0.5
    return shares * INPUT_PX - 0.5
