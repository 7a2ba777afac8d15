"""Whether dark glasses hide the eyes, so that nobody can see lids move.

Three signs together, since each is seen without them, too: what ``lineament.covered`` says of the
eyes (frames of clear glasses), skin below the eyes that is darker than the cheeks (deep sockets,
shadows of caps), and skin below the eyes of another color than the cheeks (make-up, light).
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from lineament.align.alignment import at_native_px
from lineament.covered import parts_covered
from lineament.geometry import ARCFACE_TEMPLATE_XY
from lineament.types import Image

WEIGHTS = (0.5, 6.0, 0.1)
"""Of the log odds of covered eyes, of the share by which it is darker below the eyes than on the
cheeks, and of the distance of their colors in CIELAB; set by eye."""

LEAST_SIGN = 4.2
"""Of 2,500 photos of LFW View 1 that were looked at, the 23 with more show dark, mirroring or
deeply colored glasses, all of them; through most of those that show less the eyes are seen."""

HALF_WIDTH_PX = 7
BELOW_EYE_PX, CHEEK_PX = (3.5, 8.5), (15.5, 23.5)
"""Below the centers of the eyes, in crops of 112 pixels: what lenses cover, and what they do not.
Both are as wide as an eye."""


def glasses_sign(crop: Image) -> float:
    """Say how much speaks for dark glasses; ``LEAST_SIGN`` and more is enough.

    Args:
        crop: (S, S, 3) uint8, RGB, aligned with the five points to ArcFace's template.

    Raises:
        OptionError: a crop of another shape or type.
    """
    eyes = min(max(parts_covered(crop)["eyes"], 1e-9), 1 - 1e-9)
    lab = cv2.cvtColor(at_native_px(crop).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    darker, other = [], []
    for x, y in ARCFACE_TEMPLATE_XY[:2]:
        left, right = round(x - HALF_WIDTH_PX), round(x + HALF_WIDTH_PX) + 1
        skin = [
            np.median(lab[round(y + top) : round(y + end), left:right].reshape(-1, 3), axis=0)
            for top, end in (BELOW_EYE_PX, CHEEK_PX)
        ]
        darker.append(1 - float(skin[0][0] / max(skin[1][0], 1.0)))
        other.append(float(np.hypot(*(skin[0] - skin[1])[1:])))
    signs = math.log(eyes / (1 - eyes)), min(darker), min(other)
    return sum(weight * sign for weight, sign in zip(WEIGHTS, signs, strict=True))


def hides_eyes(crop: Image) -> bool:
    """Whether the eyes of an aligned crop are behind dark glasses; see ``glasses_sign``."""
    return glasses_sign(crop) >= LEAST_SIGN
