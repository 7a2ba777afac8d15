"""A photo at the scales that its readers need, each made when it is first asked for.

A detector looks at large photos made smaller, and a crop of 112 pixels of a face of 400 needs no
more of them either. Of a JPEG smaller copies are decoded directly, by halves (its blocks hold them:
libjpeg's scaled inverse transform), which takes half the time of decoding all of it and an eighth
of what comes after; the photo in full is decoded only for faces that are small in the copy.

    pyramid = Pyramid.of(image)         pixels that are there
    pyramid.smallest(0.4)               the coarsest level that has 0.4 of the photo's pixels a side
    pyramid.level(0.4)                  a level that is there already, if it has as many
    pyramid.pixels                      all of them

Coordinates are the full photo's everywhere; a ``Level`` says how its own lie in it. Which levels
there are depends on what was asked for, never on whether somebody keeps the pixels: crops and
embeddings of a photo are the same either way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

_Image = npt.NDArray[np.uint8]
"""``types.Image``, which knows this module."""

REDUCTIONS = (8, 4, 2, 1)
"""How many pixels of the photo, across and down, a level's pixel may stand for: what libjpeg
decodes, and Pillow asks it for."""


class Level(NamedTuple):
    """A photo at one scale.

    Attributes:
        pixels: (h, w, 3) uint8, RGB, upright.
        reduction: pixels of the photo that one of these stands for, across and down.
        offset_xy: where the first one's edge lies, pixels of the photo: below 0 where blocks of
            pixels reach past the photo's left or upper border, which turning may bring about.
    """

    pixels: _Image
    reduction: int = 1
    offset_xy: tuple[int, int] = (0, 0)

    def to_level_xy(self, points_xy: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Points of the photo, (..., 2), in pixels of the level."""
        moved = (points_xy + 0.5 - np.array(self.offset_xy)) / self.reduction - 0.5
        return np.asarray(moved, points_xy.dtype)

    def to_photo_xy(self, points_xy: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Points of the level, (..., 2), in pixels of the photo."""
        moved = (points_xy + 0.5) * self.reduction - 0.5 + np.array(self.offset_xy)
        return np.asarray(moved, points_xy.dtype)

    def from_level(self, matrix: list[list[float]]) -> list[list[float]]:
        """A matrix (2, 3) from the photo's pixels to a crop's, as one from the level's."""
        factor = self.reduction
        x, y = (offset + (factor - 1) / 2 for offset in self.offset_xy)
        return [[a * factor, b * factor, a * x + b * y + shift] for a, b, shift in matrix]


class Pyramid:
    """A photo's levels. Calls from several threads are safe; a level may then be made twice.

    Attributes:
        size_wh: width and height of the photo in pixels.
    """

    def __init__(self, size_wh: tuple[int, int], decode: Callable[[int], Level] | None) -> None:
        """Take what makes levels; nothing is made yet.

        Args:
            size_wh: of the photo, upright.
            decode: a reduction, one of ``REDUCTIONS`` -> that level. None: ``of`` is the other way.
        """
        self.size_wh = size_wh
        self._decode = decode
        self._levels: dict[int, Level] = {}

    @classmethod
    def of(cls, image: _Image | Pyramid) -> Pyramid:
        """Return pixels (H, W, 3) uint8 as a pyramid; one that is a pyramid as it is."""
        if isinstance(image, Pyramid):
            return image
        made = cls((image.shape[1], image.shape[0]), None)
        made._levels[1] = Level(image)
        return made

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the photo's pixels: (H, W, 3)."""
        return self.size_wh[1], self.size_wh[0], 3

    @property
    def pixels(self) -> _Image:
        """The photo in full: (H, W, 3) uint8."""
        return self._made(1).pixels

    @property
    def pixels_there(self) -> _Image | None:
        """The same if they have been decoded, else None."""
        level = self._levels.get(1)
        return None if level is None else level.pixels

    @property
    def reductions(self) -> tuple[int, ...]:
        """Of the levels that there are, the coarsest first."""
        return tuple(sorted(self._levels, reverse=True))

    @property
    def nbytes(self) -> int:
        """Of all levels that there are."""
        return sum(level.pixels.nbytes for level in list(self._levels.values()))

    def smallest(self, scale: float) -> Level:
        """Return the coarsest level with at least so many pixels per pixel of the photo, a side."""
        return self._made(_serving(scale))

    def level(self, scale: float) -> Level:
        """Return a level with at least so many pixels per pixel of the photo, along a side.

        The coarsest of those that are there; if none is, the coarsest that serves is made.
        """
        serving = _serving(scale)
        for reduction in sorted(self._levels, reverse=True):
            if reduction <= serving:
                return self._levels[reduction]
        return self._made(serving)

    def _made(self, reduction: int) -> Level:
        level = self._levels.get(reduction)
        if level is None:
            full, decode = self._levels.get(1), self._decode
            if full is not None:
                level = Level(_averaged(full.pixels, reduction), reduction)
            else:
                assert decode is not None
                level = decode(reduction)
            self._levels[reduction] = level
            if reduction == 1:
                self._decode = None  # and the file with it
        return level


def _serving(scale: float) -> int:
    """The greatest reduction that has at least this scale; of scales above 1 the photo's own."""
    return next((each for each in REDUCTIONS if each * scale <= 1), 1)


def _averaged(image: _Image, reduction: int) -> _Image:
    """Means of blocks; those at the right and lower border repeat it."""
    height, width = image.shape[:2]
    wide, high = -(-width // reduction), -(-height // reduction)
    down, across = high * reduction - height, wide * reduction - width
    if down or across:
        image = np.asarray(cv2.copyMakeBorder(image, 0, down, 0, across, cv2.BORDER_REPLICATE))
    return np.asarray(cv2.resize(image, (wide, high), interpolation=cv2.INTER_AREA), np.uint8)
