"""A face whose box somebody drew: the face that is found there, else what the box says of one.

    locate()    the photo's pixels and a box -> one ``Face``, marked by how it was found

Three attempts: the detector's face of the whole photo that lies where the box does ("found"); one
that it is less sure of, in the part around the box ("weak"); else the box alone ("box"), with
landmarks where those of an upright face from the front would be. Such a crop is off by as much as
the box was drawn loosely, and a turned head is not turned back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lineament.align.alignment import BOX_SIDE, NATIVE_PX
from lineament.detect import DetectOptions, Detector
from lineament.detect.boxes import intersection_over_union
from lineament.detect.detector import LEAST_FACE_PX, detect
from lineament.errors import OptionError
from lineament.geometry import ARCFACE_TEMPLATE_XY
from lineament.pyramid import Pyramid
from lineament.types import Face, FloatArray

LEAST_OVERLAP = 0.3
"""Intersection over union of the box that was drawn and the one that is found. People draw around
the whole head, which is twice the face's box, so half is too much to ask."""

WEAK_SCORE = 0.2
"""Least score of a face that is looked for where there is said to be one."""

MARGIN = 0.75
"""Of the part that is looked at again, to each side, in lengths of the box's longer side."""

CENTER_SHARE = 0.09
"""By how much of the box's longer side its middle lies below that of the aligned crop
(``lineament.align.alignment``)."""


def checked_box(box: Sequence[float], size_wh: tuple[int, int]) -> FloatArray:
    """A box within a photo, (4,) float32.

    Args:
        box: left, top, right, bottom in pixels of the photo, as its EXIF orientation shows it.
        size_wh: width and height of the photo.

    Raises:
        OptionError: it is none, reaches out of the photo, or is too small for a face.
    """
    numbers = [v for v in box if isinstance(v, (int, float, np.number)) and math.isfinite(v)]
    if isinstance(box, str) or len(box) != 4 or len(numbers) != 4:
        raise OptionError(
            f"expected left, top, right and bottom in pixels, got {box!r:.100}", option="box"
        )
    left, top, right, bottom = (float(v) for v in numbers)
    shown = f"({left:g}, {top:g}, {right:g}, {bottom:g})"
    if not (left < right and top < bottom):
        raise OptionError(
            f"expected left before right and top above bottom, got {shown}", option="box"
        )
    width, height = size_wh
    if left < -1 or top < -1 or right > width + 1 or bottom > height + 1:
        raise OptionError(
            f"expected a box within the photo, which is {width} x {height} pixels, got {shown}",
            option="box",
        )
    if min(right - left, bottom - top) < LEAST_FACE_PX:
        raise OptionError(
            f"expected {LEAST_FACE_PX:g} pixels or more a side, got {shown}: use a larger photo",
            option="box",
        )
    return np.array((left, top, right, bottom), np.float32)


def locate(
    pyramid: Pyramid, detector: Detector, options: DetectOptions, box: Sequence[float]
) -> Face:
    """The face in a box; its ``boxed`` says how it was found. Raises as ``checked_box``."""
    wanted = checked_box(box, pyramid.size_wh)
    found = _nearest(detect(detector, pyramid, replace(options, max_faces=None)), wanted)
    if found is not None:
        return replace(found, boxed="found")
    side = float(max(wanted[2] - wanted[0], wanted[3] - wanted[1]))
    (width, height), reach = pyramid.size_wh, MARGIN * side
    left, top = max(0, int(wanted[0] - reach)), max(0, int(wanted[1] - reach))
    right = min(width, math.ceil(wanted[2] + reach))
    bottom = min(height, math.ceil(wanted[3] + reach))
    part = Pyramid.of(np.ascontiguousarray(pyramid.pixels[top:bottom, left:right]))
    closer = DetectOptions(min_face_px=max(4.0, side / 3), min_score=WEAK_SCORE)
    offset = np.array((left, top, left, top), np.float32)
    found = _nearest(detect(detector, part, closer), wanted - offset)
    if found is not None:
        points = found.landmarks_xy
        return replace(
            found,
            box_xyxy=found.box_xyxy + offset,
            landmarks_xy=None if points is None else points + offset[:2],
            boxed="weak",
        )
    return Face(wanted, 0.0, landmarks_of(wanted), boxed="box")


def landmarks_of(box_xyxy: FloatArray) -> FloatArray:
    """(5, 2) float32: where those of an upright face from the front would be in a box."""
    left, top, right, bottom = (float(v) for v in box_xyxy)
    side = max(right - left, bottom - top)
    middle = np.array(((left + right) / 2, (top + bottom) / 2 - CENTER_SHARE * side))
    places = (ARCFACE_TEMPLATE_XY + 0.5) / NATIVE_PX - 0.5
    return (middle + places * BOX_SIDE * side).astype(np.float32)


def _nearest(faces: Sequence[Face], box_xyxy: FloatArray) -> Face | None:
    """The face that lies where the box does."""
    if not faces:
        return None
    boxes = np.stack([face.box_xyxy for face in faces])
    shares = intersection_over_union(box_xyxy[None], boxes)[0]
    at = int(np.argmax(shares))
    return faces[at] if shares[at] >= LEAST_OVERLAP else None
