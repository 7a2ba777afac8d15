"""How much of a face lies inside of its photo.

    visible_share()    face, size of the photo and crop -> 0 to 1

A detector squeezes its box and landmarks into what is left of a face, so that neither tells alone.
Two things do together, on the sides on which the box reaches the photo's border, or that of a bar
(``lineament.bars``):

1. the five landmarks say how large the face is and where: how much of the ellipse from brows to
   chin, put where they are, lies inside;
2. the box of a whole face has a certain shape: one that is cut from above or below is too wide,
   from left or right too narrow.

The lesser of the two counts. ``docs/concepts/quality.md`` holds it against faces of LFW View 1
whose photos were cut.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from lineament.align.alignment import NATIVE_PX, template_xy
from lineament.bars import picture_in
from lineament.errors import OptionError
from lineament.geometry import similarity_transforms, to_photo_xy
from lineament.types import Face, Float64Array, Image

REACH = 0.03
"""A box that ends this close to the border, in lengths of its longer side, may be cut there; or it
reaches past it. Of faces cut by 35 to 55 % and then missed, 99 % end within 0.018; of whole faces
that were cut out with a margin of 0.1 around the box, 1 in 100 does."""

CENTER_XY, RADII_XY = (56.0, 68.0), (34.0, 44.0)
"""The ellipse from brows to chin and from cheek to cheek, in pixels of the crop of 112. Without
forehead: a photo that ends at the hair-line is a good one."""

LEAST_HEIGHT, GREATEST_HEIGHT = 1.05, 1.55
"""Height over width of the box of a whole upright face: 1.15 to 1.50 for 98 % of LFW, less by what
a photo that ends at the hair-line leaves out (CFP's frontal ones: 0.99 to 1.45)."""

_GRID = 25  # a side: 481 points lie in the ellipse


def _ellipse() -> Float64Array:
    y, x = np.mgrid[-1 : 1 : _GRID * 1j, -1 : 1 : _GRID * 1j]
    inside = x * x + y * y <= 1
    points: Float64Array = np.stack([x[inside], y[inside]], axis=1) * RADII_XY + CENTER_XY
    return points


_ELLIPSE_XY = _ellipse()
_ELLIPSE_XY.flags.writeable = False


def visible_share(face: Face, size_wh: tuple[int, int], crop: Image | None = None) -> float:
    """Estimate how much of a face its photo's border leaves.

    Args:
        face: as the detector returned it; without landmarks only its box is looked at.
        size_wh: width and height of the photo in pixels.
        crop: (S, S, 3) uint8, RGB: the face aligned with "five-points" and the template of ArcFace,
            to see bars in the photo; None: the photo has none.

    Returns:
        0 to 1; 1 where the box ends inside of the photo.
    """
    box = face.box_xyxy.astype(np.float64)
    first, last = np.full(2, -0.5), np.array(size_wh, np.float64) - 0.5
    matrices = None
    if face.landmarks_xy is not None:
        with suppress(OptionError):  # they coincide
            matrices = similarity_transforms(face.landmarks_xy[None], template_xy())
    if matrices is not None and crop is not None:
        factor = crop.shape[0] / NATIVE_PX
        shift = (factor - 1) / 2  # pixel centers are whole numbers on both sides
        transform = matrices[0] * factor + [[0, 0, shift], [0, 0, shift]]
        first, last = picture_in(crop, transform, size_wh)
    reach = REACH * max(face.size_wh)
    low, high = box[:2] - first < reach, last - box[2:] < reach  # (x, y): left, top; right, bottom
    if not (low.any() or high.any()):
        return 1.0
    shares = [_by_box(face, np.maximum(box[:2], first), np.minimum(box[2:], last), low | high)]
    if matrices is not None:
        points = to_photo_xy(_ELLIPSE_XY[None], matrices)[0]  # (P, 2)
        outside = ((points < first) & low | (points > last) & high).any(axis=1)
        shares.append(1 - float(outside.mean()))
    return max(0.0, min(shares))


def _by_box(face: Face, low: Float64Array, high: Float64Array, cut: np.ndarray) -> float:
    """By the shape of the box, as far as it lies inside; ``cut`` (2,): across, down."""
    (width, height), (across, down) = (high - low).tolist(), cut.tolist()
    if 45 < abs(face.roll_deg) < 135:  # it lies on a side
        width, height, across, down = height, width, down, across
    if not (width > 0 and height > 0):
        return 0.0
    share = 1.0
    if down:
        share = min(share, height / (LEAST_HEIGHT * width))
    if across:
        share = min(share, width * GREATEST_HEIGHT / height)
    return share
