"""Where the face is: its coordinates, and the part of the photo around it.

The face's coordinates have their origin between the eyes; x leads from the left eye (-0.5) to the
right one (0.5), y down to the middle of the mouth (1.0).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.types import Image

Points = npt.NDArray[Any]
"""(N, 2): x and y."""

Spoiler = Callable[[Image, Points], Image]
"""(H, W, 3) uint8, RGB, and (5, 2) landmarks in pixels -> (H, W, 3) uint8; both are left alone."""

REACH = 3.0
"""What lies farther from the eyes than so many of their distances, to a side, is not spoilt."""

GRID = 16
"""The part begins at multiples of it, so that blocks lie where they would in the whole photo."""

NOMINAL_PX = 45.0
"""Distance of the eyes that sizes in "pixels" are given for: about that of photos of LFW."""

FACE_EYES = 2.3
"""Width of a face in distances of its eyes."""

_LEAST_EYES_PX = 4.0


@dataclass(frozen=True)
class Frame:
    """The coordinates of one face, in pixels.

    Attributes:
        origin: (2,) between the eyes.
        across: (2,) from the left to the right eye.
        down: (2,) from the eyes to the mouth; of profiles, square to ``across``.
    """

    origin: Points
    across: Points
    down: Points

    @classmethod
    def of(cls, five: Points) -> Frame:
        """From (5, 2) landmarks in the order of ``lineament.types.LANDMARK_NAMES``."""
        left, right, _, mouth_left, mouth_right = np.asarray(five, dtype=np.float64)
        origin, across = (left + right) / 2, right - left
        down = (mouth_left + mouth_right) / 2 - origin
        if math.hypot(*down) < 0.6 * max(math.hypot(*across), _LEAST_EYES_PX):
            down = np.array([-across[1], across[0]])
        return cls(origin, across, down)

    @cached_property
    def eyes_px(self) -> float:
        """Distance of the eyes, 4 px at the least."""
        return max(math.hypot(*self.across), _LEAST_EYES_PX)

    @property
    def unit(self) -> float:
        """Pixels for each pixel of a face whose eyes are ``NOMINAL_PX`` apart."""
        return self.eyes_px / NOMINAL_PX

    def points(self, at: Any) -> Points:
        """(N, 2) pixels of (N, 2) points in the face's coordinates."""
        xy = np.asarray(at, dtype=np.float64)
        return self.origin + xy[:, :1] * self.across + xy[:, 1:] * self.down

    def moved(self, by: Points) -> Frame:
        """The same face in a picture whose corner lies at ``by``."""
        return Frame(self.origin - by, self.across, self.down)


@dataclass(frozen=True)
class Scene:
    """The part of a photo around a face.

    Attributes:
        image: (H, W, 3) uint8, RGB; contiguous.
        frame: of the face, in pixels of ``image``.
    """

    image: Image
    frame: Frame

    def random(self) -> np.random.Generator:
        """Noise for this picture: always the same for it, another one for any other."""
        return np.random.default_rng(zlib.crc32(self.image))

    def of(self, image: Image) -> Scene:
        """The same place in other pixels."""
        return Scene(np.ascontiguousarray(image), self.frame)


def nearby(change: Callable[[Scene], Image]) -> Spoiler:
    """Make a spoiler of what changes the part of a photo around a face."""

    def spoil(image: Image, five: Points) -> Image:
        frame = Frame.of(five)
        height, width = image.shape[:2]
        reach = REACH * frame.eyes_px
        low = [max(0, math.floor(v - reach)) // GRID * GRID for v in frame.origin]
        high = [
            min(n, math.ceil(v + reach)) for v, n in zip(frame.origin, (width, height), strict=True)
        ]
        changed = image.copy()
        if low[0] < high[0] and low[1] < high[1]:
            part = (slice(low[1], high[1]), slice(low[0], high[0]))
            scene = Scene(np.ascontiguousarray(image[part]), frame.moved(np.array(low)))
            changed[part] = change(scene)
        return changed

    return spoil


def chain(*spoilers: Spoiler) -> Spoiler:
    """One after the other."""

    def spoil(image: Image, five: Points) -> Image:
        for one in spoilers:
            image = one(image, five)
        return image

    return spoil


def as_uint8(values: npt.NDArray[Any]) -> Image:
    """Round, and keep within 0 to 255."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def three(gray: npt.NDArray[Any]) -> Image:
    """(H, W) of 0 to 255 as (H, W, 3) uint8."""
    return np.repeat(as_uint8(gray)[..., None], 3, axis=2)
