"""Crops of faces by five points, as insightface's recognizers want them."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from lineament.errors import OptionError
from lineament.types import FloatArray, Image

ARCFACE: Final = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
"""Where eyes, nose and corners of the mouth are in a crop of 112 pixels (ArcFace, insightface)."""


class SizeError(OptionError, AssertionError):
    """A size that is none of a crop's: insightface has an assertion fail."""


def estimate_norm(lmk: Any, image_size: int = 112, mode: str = "arcface") -> FloatArray:
    """The similarity that brings five points to their places: (2, 3), for ``cv2.warpAffine``.

    Args:
        lmk: (5, 2): eyes, nose, corners of the mouth, from the viewer's left.
        image_size: of the crop, a multiple of 112 or of 128 pixels.
        mode: without effect.

    Raises:
        AssertionError: another size, or other points.
    """
    points = np.asarray(lmk, np.float64)
    if points.shape != (5, 2) or not np.isfinite(points).all():
        raise SizeError(f"expected (5, 2) numbers, got {points.shape}", option="lmk")
    if image_size <= 0 or (image_size % 112 and image_size % 128):
        raise SizeError(f"expected a multiple of 112 or 128, got {image_size}", option="image_size")
    side = 112 if image_size % 112 == 0 else 128
    places = np.array(ARCFACE) * (image_size / side)
    places[:, 0] += 0 if side == 112 else 8 * image_size / 128
    # Least squares over rotation, scale and shift, as complex numbers: places = a * points + b.
    p, q = points @ [1, 1j], places @ [1, 1j]
    spread = p - p.mean()
    size = float(np.abs(spread @ spread.conj()))
    if size <= 0:
        raise SizeError("expected five points, got one", option="lmk")
    a = (spread.conj() @ (q - q.mean())) / size
    b = q.mean() - a * p.mean()
    made: FloatArray = np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])
    return made


def norm_crop(
    img: Image, landmark: Any, image_size: int = 112, mode: str = "arcface"
) -> npt.NDArray[np.uint8]:
    """Cut a face out, with black outside of the photo; arguments as ``estimate_norm``."""
    transform = estimate_norm(landmark, image_size, mode)
    cut: npt.NDArray[np.uint8] = cv2.warpAffine(
        img, transform, (image_size, image_size), borderValue=0
    ).astype(np.uint8)
    return cut
