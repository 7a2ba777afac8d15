"""Pixels over which a face is made unrecognizable.

Whatever the method, what is left of a region is its mean color and, faintly, how light ``CELLS`` by
``CELLS`` parts of it are: "blur" and "pixelate" are two ways to draw that, "solid" draws nothing.
So no filter, sharpening or network can bring back more than these few numbers hold. A blur that is
strong for the eye alone, such as a Gaussian of some pixels, is undone by deconvolution, and whoever
covers photos of known people in the same way can compare the results (McPherson, Shokri,
Shmatikov, "Defeating Image Obfuscation with Deep Learning", 2016). The grid belongs to the
region, not to the photo, so that a large face keeps no more than a small one.
"""

from __future__ import annotations

from typing import Literal, get_args

import cv2
import numpy as np

from lineament.errors import OptionError
from lineament.types import BoolArray, FloatArray, Image

Method = Literal["blur", "pixelate", "solid"]
"""How a region is covered: mean colors that run into one another, as squares, or one gray."""

METHODS: tuple[Method, ...] = get_args(Method)

CELLS = 4
"""Mean colors along the longer side of a region, which is about 1.6 times as long as the face."""

CONTRAST, STEP = 0.25, 16.0
"""How much of the differences among them is left, and to what levels they are rounded. Somebody who
has another photo of each of 600 people of LFW View 1, covered in the same way, finds 4 % of them
first by mean colors in full and 1.2 % by these; by the rest of the photo, which nobody covers, 1.2
to 1.8 % (``benchmarks/accuracy/anonymize.py`` has the figures of each method)."""

SOLID_LEVEL = 96
"""The gray of "solid": it says nothing of the skin."""

_Box = tuple[int, int, int, int]


def check_method(method: str) -> Method:
    """Return the method. OptionError: there is none of that name."""
    if method not in METHODS:
        raise OptionError(f"expected one of {', '.join(METHODS)}, got {method!r}", option="method")
    return method


def mean_colors(pixels: Image, box: _Box) -> FloatArray:
    """Return the mean color of a region, and how light its cells are: (rows, columns, 3) float32.

    Args:
        pixels: (H, W, 3) uint8.
        box: left, top, right, bottom in whole pixels, inside of the photo; right and bottom are the
            first that are not part of it.
    """
    left, top, right, bottom = box
    part = pixels[top:bottom, left:right]
    height, width = part.shape[:2]
    longer = max(width, height)
    columns, rows = (max(1, round(CELLS * side / longer)) for side in (width, height))
    if columns > width or rows > height:  # less than one pixel for each: one color for all
        columns = rows = 1
    means = np.asarray(
        cv2.resize(part.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA),
        np.float32,
    ).reshape(rows, columns, 3)
    middle = means.mean(axis=(0, 1), keepdims=True)
    lighter = (means - middle).mean(axis=2, keepdims=True)  # than the mean, of all three colors
    faint = np.rint(middle / STEP) + np.rint(CONTRAST * lighter / STEP)
    return np.asarray(faint * STEP, np.float32)


def drawn(colors: FloatArray, size_wh: tuple[int, int], method: Method) -> Image:
    """Return mean colors as pixels, (h, w, 3) uint8; for "solid" they are not looked at."""
    width, height = size_wh
    if method == "solid":
        return np.full((height, width, 3), SOLID_LEVEL, np.uint8)
    how = cv2.INTER_NEAREST_EXACT if method == "pixelate" else cv2.INTER_LINEAR
    large = cv2.resize(colors, size_wh, interpolation=how)
    return np.asarray(np.clip(np.rint(large), 0, 255), np.uint8).reshape(height, width, 3)


def cover(
    pixels: Image,
    mask: BoolArray,
    box: _Box,
    method: Method,
    *,
    colors: FloatArray | None = None,
) -> None:
    """Cover one region, in place.

    Args:
        pixels: (H, W, 3) uint8, changed where the mask is true.
        mask: (h, w) of the box: what is covered.
        box: as ``mean_colors`` takes it.
        method: "blur", "pixelate" or "solid".
        colors: of ``mean_colors``, in place of those of these pixels: a film shows one set of them
            for as long as somebody is in it, since many, each of another grid, say more than one.
    """
    left, top, right, bottom = box
    if right <= left or bottom <= top:
        return
    if colors is None:
        colors = mean_colors(pixels, box)
    part = pixels[top:bottom, left:right]
    part[mask] = drawn(colors, (right - left, bottom - top), method)[mask]
