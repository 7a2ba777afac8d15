"""A printed raster in a photo of paper or of a screen: is there one, and the pixels without it.

Halftone, dithering to one bit and scan lines put all that there is at the finest scale into dots
and lines, which networks see and people do not. Smoothing away what lies below the raster's period
leaves the picture that was printed. Detectors look at such a copy where they find nothing certain,
and crops are cut out of one (``without_raster``), so that no face has to say how it
was found and what is embedded is what was found.

How much there is of it is measured by what smoothing removes: the standard deviation of brightness
minus its Gaussian mean. Around faces of LFW, CFP and the WIDER sample that is 6 of 255 levels in
the median and 33 at the most; in rasters of 2 to 8 pixels it is 40 to 120.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from lineament.types import Image

BlockArray = npt.NDArray[np.uint8]
"""Brightness, (H, W)."""

FINE_PX = 1.5
"""Standard deviation, in pixels, of the Gaussian mean that a raster differs from."""

RASTER_LEVELS = 37.0
"""From this much on there is a raster: between the most of ordinary faces and the least of
rasters. Ordinary crops are the same with this module and without it."""

QUIET_LEVELS = 5.8
"""What may be left after smoothing. Halftone of 4 pixels has 6.6 after 1.6 pixels and is found 13
times of 16, 2.8 after 2.5 pixels and is found always."""

SMOOTHINGS_PX = (1.0, 1.6, 2.5, 4.0)
"""Standard deviations that are tried, in pixels: the least that leaves the picture quiet is taken.
Dots of 8 pixels need the last."""

BLOCK_PX = 96
"""Side of the squares that are measured."""

LEAST_PX = 40
"""What is smaller shows no raster that could be told from a face's own details."""

IN_PHOTO, IN_PART = 8, 1
"""Squares that are looked at, across and down, in a photo and in a part of it: bounds the time."""

LEAST_SHARE = 0.04
"""Share of the squares that must have a raster: a printed picture may be a small part of a page."""


def smoothing_of(pixels: Image, squares: int = IN_PHOTO) -> float:
    """Return by how much pixels have to be smoothed to lose their raster; 0.0: they have none.

    Args:
        pixels: (H, W, 3) uint8, a photo or a part of it.
        squares: how many are measured, across and down.

    Returns:
        The standard deviation of a Gaussian in pixels, about one of ``SMOOTHINGS_PX``; or 0.0.
    """
    found, count = [], 0
    for top in _starts(pixels.shape[0], squares):
        for left in _starts(pixels.shape[1], squares):
            block = pixels[top : top + BLOCK_PX, left : left + BLOCK_PX]
            if min(block.shape[:2]) < LEAST_PX:
                return 0.0
            gray = np.asarray(cv2.cvtColor(block, cv2.COLOR_RGB2GRAY), np.uint8)
            count += 1
            if _roughness(gray) >= RASTER_LEVELS:
                found.append(gray)
    if not found or len(found) < LEAST_SHARE * count:
        return 0.0
    return float(np.median([_least_smoothing(gray) for gray in found]))


def without_raster(pixels: Image, squares: int = IN_PHOTO) -> Image:
    """Return pixels (H, W, 3) without their raster; the same object where there is none."""
    smoothing_px = smoothing_of(pixels, squares)
    if smoothing_px == 0:
        return pixels
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), smoothing_px), np.uint8)


def _starts(length: int, squares: int) -> list[int]:
    """Where the squares begin along a side: one in the middle of each of as many equal parts."""
    count = min(squares, max(1, length // BLOCK_PX))
    return [max(0, round((i + 0.5) * length / count - BLOCK_PX / 2)) for i in range(count)]


def _roughness(gray: BlockArray) -> float:
    """Root mean square of what is finer than ``FINE_PX``, levels of brightness."""
    calm = cv2.GaussianBlur(gray, (0, 0), FINE_PX)  # bytes: a third of the time of floats
    return float(cv2.norm(gray, calm, cv2.NORM_L2)) / math.sqrt(gray.size)


def _least_smoothing(gray: BlockArray) -> float:
    for sigma in SMOOTHINGS_PX:
        calm = np.asarray(cv2.GaussianBlur(gray, (0, 0), sigma), np.uint8)
        if _roughness(calm) <= QUIET_LEVELS:
            return sigma
    return SMOOTHINGS_PX[-1]
