"""Stage 3, the finer half: 68 points of a face, and the face cut out along its hull.

    landmarks68()      photo and faces -> 68 points each
    five_of_68()       the five landmarks of ``LANDMARK_NAMES`` among them
    face_hull_mask()   68 points -> mask of the face
    cut_out()          a crop with everything but the face painted over

The points are numbered as in 300-W (Sagonas et al., "300 Faces in-the-Wild Challenge", ICCVW 2013),
from the viewer's left: 0-16 jaw line from ear to ear with the chin's tip 8, 17-21 and 22-26 brows,
27-30 bridge of the nose down to its tip 30, 31-35 nostrils, 36-41 and 42-47 eyes, 48-59 outer lips
with the corners 48 and 54, 60-67 inner lips.

How exact they are: on 400 photos of LFW, ``five_of_68`` differs from what MTCNN's O-Net finds
by 4.1 % of the distance between the eyes. That is as coarse as a good five-point detector, not
finer: align faces for recognition by the detector's own landmarks.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from lineament.align.alignment import NATIVE_PX
from lineament.align.mesh_points import LEFT_IRIS, MESH_POINTS
from lineament.errors import OptionError
from lineament.geometry import ARCFACE_TEMPLATE_XY, similarity_transforms, to_photo_xy, warp
from lineament.models.runtime import Model
from lineament.types import Face, Float64Array, FloatArray, Image

INPUT_PX = 64
"""Side of the model's input."""

CHIN, NOSE_TIP, LEFT_MOUTH, RIGHT_MOUTH = 8, 30, 48, 54
JAW, BROWS, LEFT_EYE, RIGHT_EYE = slice(0, 17), slice(17, 27), slice(36, 42), slice(42, 48)
"""Numbers of the points in 300-W's order."""

BOX_SIDE, BOX_DOWN = 1.05, 0.1
"""The first look at a face without landmarks: a square whose side is the box's longer side times
the first number, shifted down by the second times the height. Of sides from 0.8 to 1.3 and shifts
from -0.1 to 0.2 the best on LFW with the boxes of YuNet and of MTCNN (4.2 % in the measure above;
unshifted, 4.7 %)."""

ALIGNED_SIDE, ALIGNED_DOWN = 0.95, 0.15
"""The look at a face with landmarks: side and shift down of the square in units of the crop of the
ArcFace template. Of sides from 0.9 to 1.3 and shifts from 0 to 0.2 the best on LFW (4.1 %)."""

FOREHEAD = 0.25
"""By how much the hull is raised above the brows, as a share of the distance from the brows to the
chin. The canon of thirds puts the hairline at 0.5; half of that is skin on nearly every face."""


class Landmarks68:
    """The bundled ``Landmarker`` of 68 points; see ``landmarks68``."""

    def __init__(self, model: Model) -> None:
        """``model``: "landmarks68"."""
        self._model = model

    def locate(self, image: Image, faces: Sequence[Face]) -> FloatArray:
        """Return (N, 68, 2) float32, pixels of the photo."""
        return landmarks68(self._model, image, faces)


def landmarks68(model: Model, image: Image, faces: Sequence[Face]) -> FloatArray:
    """Find 68 points in each face.

    A face with landmarks is turned upright and scaled by them first, so that the model looks once
    and it does not matter how the head is turned in the plane (4.1 % of the eye distance for every
    angle, where a look at the box has 4.2 % upright, 7.4 % at 45 degrees and is lost beyond). A
    face without landmarks is looked at twice: its box gives the points that align the second look;
    that is reliable up to 45 degrees from the upright of its ``turned_deg``.

    Args:
        model: the weights "landmarks68".
        image: (H, W, 3) uint8.
        faces: as a detector returns them.

    Returns:
        (N, 68, 2) float32, pixels of the photo; also points that are hidden or outside of it
        have a place.

    Raises:
        OptionError: an image of another shape or type, or landmarks that coincide.
    """
    if not faces:
        return np.zeros((0, 68, 2), np.float32)
    five = np.zeros((len(faces), 5, 2))
    blind = [i for i, face in enumerate(faces) if face.landmarks_xy is None]
    if blind:
        transforms = _box_transforms([faces[i] for i in blind])
        five[blind] = five_of_68(_look(model, image, transforms))
    for i, face in enumerate(faces):
        if face.landmarks_xy is not None:
            five[i] = face.landmarks_xy
    transforms = similarity_transforms(five, _aligned_template_xy())
    return _look(model, image, transforms).astype(np.float32)


def five_of_68(points_xy: npt.NDArray[np.floating]) -> FloatArray:
    """Pick the five landmarks from 68 points.

    Args:
        points_xy: (N, 68, 2), in any coordinates.

    Returns:
        (N, 5, 2) float32 in the order of ``LANDMARK_NAMES``. An eye is the mean of the six points
        of its lids: the middle of the opening, not the pupil.

    Raises:
        OptionError: another shape.
    """
    if points_xy.ndim != 3 or points_xy.shape[1:] != (68, 2):
        raise OptionError(f"expected shape (N, 68, 2), got {points_xy.shape}", option="points")
    left, right = points_xy[:, LEFT_EYE].mean(axis=1), points_xy[:, RIGHT_EYE].mean(axis=1)
    rest = points_xy[:, [NOSE_TIP, LEFT_MOUTH, RIGHT_MOUTH]]
    eyes = np.stack([left, right], axis=1)
    return np.concatenate([eyes, rest], axis=1).astype(np.float32)


def face_hull_mask(
    points_xy: npt.NDArray[np.floating], size_wh: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """Draw the hull of a face: jaw line, brows, and the lower half of the forehead.

    The hull is the convex hull of the points 0-26 and of the brows' points raised, in the direction
    from the chin to the middle of the brows, by ``FOREHEAD`` times the distance of these two. Of a
    mesh it is that of all points but the irises': its outline has a forehead.

    Args:
        points_xy: (68, 2), or (478, 2) of a mesh, pixels of the picture that the mask is for.
        size_wh: width and height of that picture.

    Returns:
        (height, width) uint8: 255 inside of the hull, 0 outside.

    Raises:
        OptionError: another shape, or numbers that are not finite.
    """
    if points_xy.shape not in ((68, 2), (MESH_POINTS, 2)):
        raise OptionError(
            f"expected shape (68, 2) or ({MESH_POINTS}, 2), got {points_xy.shape}", option="points"
        )
    points = np.asarray(points_xy, dtype=np.float64)
    if not np.isfinite(points).all():
        raise OptionError("expected finite numbers, got NaN or infinity", option="points")
    width, height = size_wh
    if width < 1 or height < 1:
        raise OptionError(f"expected at least one pixel each way, got {size_wh}", option="size_wh")
    if len(points) == MESH_POINTS:
        outline = points[:LEFT_IRIS]
    else:
        up = points[BROWS].mean(axis=0) - points[CHIN]
        outline = np.concatenate([points[JAW], points[BROWS], points[BROWS] + FOREHEAD * up])
    # OpenCV draws with 16 fractional bits in 32: far outside of the picture it would wrap round.
    outline = np.clip(outline, -8192, 8192 + max(size_wh))
    bits = 4
    hull = cv2.convexHull(np.round(outline * 2**bits).astype(np.int32))
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, hull, 255, lineType=cv2.LINE_8, shift=bits)
    return mask


def cut_out(
    crop: Image, points_xy: npt.NDArray[np.floating], background: int | tuple[int, int, int] = 0
) -> Image:
    """Paint over everything outside of the face's hull.

    Args:
        crop: (H, W, 3) uint8; it is not changed.
        points_xy: (68, 2) or (478, 2), pixels of the crop: ``align.to_crop_xy`` brings them there.
        background: the paint, 0 to 255: one number, or one for each channel.

    Returns:
        (H, W, 3) uint8.

    Raises:
        OptionError: a paint outside of 0 to 255, or as ``face_hull_mask``.
    """
    paint = np.atleast_1d(background)
    if paint.shape not in ((1,), (3,)) or paint.min() < 0 or paint.max() > 255:
        raise OptionError(
            f"expected one number or three from 0 to 255, got {background}", option="background"
        )
    mask = face_hull_mask(points_xy, (crop.shape[1], crop.shape[0]))
    return np.where(mask[:, :, None] > 0, crop, paint.astype(np.uint8))


def _aligned_template_xy() -> Float64Array:
    """Return where the five landmarks lie in the model's input: (5, 2), pixels."""
    middle = (NATIVE_PX - 1) / 2 + np.array([0.0, ALIGNED_DOWN * NATIVE_PX])
    shares = (ARCFACE_TEMPLATE_XY - middle) / (ALIGNED_SIDE * NATIVE_PX) + 0.5
    return shares * INPUT_PX - 0.5


def _box_transforms(faces: Sequence[Face]) -> Float64Array:
    """Return the matrices of the first look, (N, 2, 3), from the photo to the input."""
    matrices = np.zeros((len(faces), 2, 3))
    for matrix, face in zip(matrices, faces, strict=True):
        # The axes of the upright face as the photo has them; y points down.
        angle = np.radians(face.turned_deg)
        right = np.array([np.cos(angle), np.sin(angle)])
        down = np.array([-np.sin(angle), np.cos(angle)])
        size = np.array(face.size_wh)
        middle = np.array(face.center_xy) + BOX_DOWN * np.abs(down @ size) * down
        matrix[:, :2] = np.stack([right, down]) * (INPUT_PX / (BOX_SIDE * size.max()))
        matrix[:, 2] = (INPUT_PX - 1) / 2 - matrix[:, :2] @ middle
    return matrices


def _look(model: Model, image: Image, transforms: Float64Array) -> Float64Array:
    """Run the model on crops of the photo: (N, 68, 2) float64, pixels of the photo."""
    crops = warp(image, transforms, INPUT_PX)
    # One tall picture of all crops: (N * 64, 64)
    gray = cv2.cvtColor(crops.reshape(-1, INPUT_PX, 3), cv2.COLOR_RGB2GRAY)
    batch = gray.astype(np.float32).reshape(-1, 1, INPUT_PX, INPUT_PX)
    shares = model(batch)[0].reshape(-1, 68, 2)  # of the crop's side, from edge to edge
    return to_photo_xy(shares * np.float64(INPUT_PX) - 0.5, transforms)
