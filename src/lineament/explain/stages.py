"""The stages of alignment: from the photo to the face cut out along its hull.

The box as it is, turned by the eyes, and warped by five points; then the 68 points and the hull.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lineament.align.alignment import METHODS, Alignment, AlignMethod, face_transforms
from lineament.align.landmarks68 import face_hull_mask
from lineament.errors import OptionError
from lineament.finder import Source, pixels_of
from lineament.geometry import to_crop_xy, warp
from lineament.pipeline import Recognizer
from lineament.types import Face, Float64Array, Image, Photo

SHOWN_PX = 224
"""Side of the crops: the networks' own are coarse on a page."""


@dataclass(frozen=True, eq=False, slots=True)
class Stage:
    """One way of aligning a face.

    Attributes:
        crop: (SHOWN_PX, SHOWN_PX, 3) uint8.
        five_xy: (5, 2) float64, the landmarks in the crop.
        points_xy: (68, 2) float64, the 68 points in the crop.
    """

    crop: Image
    five_xy: Float64Array
    points_xy: Float64Array


@dataclass(frozen=True, eq=False, slots=True)
class AlignmentStages:
    """How the face that a photo is of is aligned.

    Attributes:
        photo: with its pixels.
        stages: by method.
        template_xy: (5, 2) float64, where "five-points" wants the landmarks.
        eyes_angle_deg: by how much the line through the eyes is off level.
        method: the recognizer's own way.
        numbers: what was measured, ready for JSON.
    """

    photo: Photo
    stages: Mapping[AlignMethod, Stage]
    template_xy: Float64Array
    eyes_angle_deg: float
    method: AlignMethod
    numbers: dict[str, Any]

    @property
    def face(self) -> Face:
        """The face that is aligned."""
        return self.photo.faces[self.photo.require()]


def alignment_stages(recognizer: Recognizer, source: Source) -> AlignmentStages:
    """Align the face that a photo is of in every way, and find its 68 points.

    Args:
        recognizer: its finder finds the face and the 68 points.
        source: the photo.

    Raises:
        NoFaceError: no face was found.
        OptionError: the detector gives no landmarks.
        ImageError: the photo cannot be read.
    """
    photo = recognizer.finder.find(source)
    index = photo.require()
    image, face = pixels_of(photo), photo.faces[index]
    if face.landmarks_xy is None:
        raise OptionError(
            f"{photo.source}: expected a face with landmarks, got one without: choose a detector "
            "that gives them, such as yunet"
        )
    five = np.asarray(face.landmarks_xy, np.float64)
    points = recognizer.finder.landmarks(photo, [index])[0].astype(np.float64)
    used = replace(Alignment.parse(recognizer.alignment_name), method="five-points")
    shown = replace(used, size_wh=(SHOWN_PX, SHOWN_PX))
    size_px = max(used.size_wh)
    stages: dict[AlignMethod, Stage] = {}
    for method in METHODS:
        transforms = face_transforms([face], replace(shown, method=method))
        stages[method] = Stage(
            warp(image, transforms, SHOWN_PX)[0],
            to_crop_xy(five[None], transforms)[0],
            to_crop_xy(points[None], transforms)[0],
        )
    aim = shown.template_xy
    warped = stages["five-points"]
    apart = np.linalg.norm(warped.five_xy - aim, axis=1) * size_px / SHOWN_PX
    across = five[1] - five[0]
    angle = math.degrees(math.atan2(across[1], across[0]))
    hull = face_hull_mask(warped.points_xy, (SHOWN_PX, SHOWN_PX))
    numbers = {
        "source": photo.source,
        "size_wh": [image.shape[1], image.shape[0]],
        "n_faces": len(photo.faces),
        "face": face.to_dict(),
        "eyes_angle_deg": round(angle, 3),
        "alignment": recognizer.alignment_name,
        "method": recognizer.alignment,
        "transforms": {
            method: face_transforms([face], replace(used, method=method))[0].tolist()
            for method in METHODS
        },
        "distance_to_template_px": [round(value, 4) for value in apart.tolist()],
        "landmarks68_xy": np.round(points, 2).tolist(),
        "hull_share": round(float((hull > 0).mean()), 6),
    }
    return AlignmentStages(photo, stages, aim, angle, recognizer.alignment, numbers)
