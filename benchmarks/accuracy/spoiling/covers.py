"""Parts of a face hidden: outlines in the face's coordinates, and what they are filled with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lineament.types import Image
from spoiling.frame import Frame, Points, Spoiler

Outline = Sequence[Sequence[float]]
"""(N, 2) corners in the face's coordinates."""

Color = Sequence[float]
"""Red, green and blue, 0 to 255."""


# ---- what covers are filled with -----------------------------------------------------------------


@dataclass(frozen=True)
class Patch:
    """The rectangle that a cover lies in.

    Attributes:
        x, y: (1, W) and (H, 1) float32: from the point between the eyes, in their distances, along
            the photo's axes.
        eyes_px: their distance.
        skin: (3,) mean color of the cheeks and the nose.
    """

    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.float32]
    eyes_px: float
    skin: npt.NDArray[Any]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.y.shape[0], self.x.shape[1]

    def along(self, degrees: float, period: float) -> tuple[Any, Any]:
        """Two (H, W) coordinates, turned, in periods of so many distances of the eyes."""
        c, s = math.cos(math.radians(degrees)) / period, math.sin(math.radians(degrees)) / period
        return c * self.x + s * self.y, c * self.y - s * self.x


Texture = Callable[[Patch], npt.NDArray[Any]]
"""Patch -> what broadcasts to (H, W, 3), 0 to 255."""


def solid(color: Color) -> Texture:
    """One color."""
    return lambda _: np.asarray(color, np.float32)


def skin() -> Texture:
    """The color of the face's own skin."""
    return lambda patch: patch.skin


def _either(where: npt.NDArray[Any], color: Color, other: Color) -> npt.NDArray[Any]:
    return np.where(where[..., None], np.float32(color), np.float32(other))


def stripes(color: Color, other: Color, degrees: float, period: float) -> Texture:
    """Two colors in turns; ``period`` is the width of both."""
    return lambda patch: _either(patch.along(degrees, period)[0] % 1 < 0.5, color, other)


def checks(color: Color, other: Color, degrees: float, period: float) -> Texture:
    """Squares of two colors."""

    def fill(patch: Patch) -> npt.NDArray[Any]:
        u, v = patch.along(degrees, period)
        return _either((u % 1 < 0.5) == (v % 1 < 0.5), color, other)

    return fill


def dotted(color: Color, other: Color, degrees: float, period: float) -> Texture:
    """Dots of one color on another."""

    def fill(patch: Patch) -> npt.NDArray[Any]:
        u, v = patch.along(degrees, period)
        return _either((u % 1 - 0.5) ** 2 + (v % 1 - 0.5) ** 2 < 0.09, color, other)

    return fill


def gradient(color: Color, other: Color, degrees: float, width: float = 2.0) -> Texture:
    """From one color to another within so many distances of the eyes."""

    def fill(patch: Patch) -> npt.NDArray[Any]:
        share = np.clip(0.5 + patch.along(degrees, width)[0], 0, 1)[..., None]
        return np.float32(color) * share + np.float32(other) * (1 - share)

    return fill


def grainy(color: Color, seed: int, deviation: float = 40.0) -> Texture:
    """Noise about a color, each pixel by itself."""

    def fill(patch: Patch) -> npt.NDArray[Any]:
        rng = np.random.default_rng(seed)
        shape = (*patch.shape, 3)
        return np.float32(color) + deviation * rng.standard_normal(shape, dtype=np.float32)

    return fill


_CELLS = 48  # of a field, to a side; it repeats beyond
_SMOOTHER = 0.75  # deviation of noise of deviation 1 after interpolation


def field(patch: Patch, seed: int, size: float) -> npt.NDArray[np.float32]:
    """(H, W) smooth noise of deviation 1, its grains of that size in distances of the eyes.

    It belongs to the face: the same seed gives the same pattern at the same place of every face.
    """
    grid = np.random.default_rng(seed).standard_normal((_CELLS, _CELLS), dtype=np.float32)
    x, y = (np.broadcast_to(v / size + _CELLS / 2, patch.shape) for v in (patch.x, patch.y))
    maps = (np.ascontiguousarray(v % _CELLS, np.float32) for v in (x, y))
    made = cv2.remap(grid, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
    return made / _SMOOTHER


def cloth(color: Color, seed: int) -> Texture:
    """A color in folds."""
    return lambda patch: np.float32(color) + 18 * field(patch, seed, 0.3)[..., None]


def camouflage(color: Color, other: Color, seed: int) -> Texture:
    """Patches of two colors."""
    return lambda patch: _either(field(patch, seed, 0.25) > 0, color, other)


def flesh(seed: int) -> Texture:
    """The face's own skin in light and shade: a hand."""
    return lambda patch: patch.skin * (1 + 0.08 * field(patch, seed, 0.6)[..., None])


# ---- covering ------------------------------------------------------------------------------------


def skin_of(image: Image, frame: Frame) -> npt.NDArray[np.float32]:
    """(3,) mean color of both cheeks and the nose."""
    radius = max(1, int(0.08 * frame.eyes_px))
    means = []
    for x, y in frame.points([[-0.35, 0.55], [0.35, 0.55], [0, 0.25]]).astype(int):
        part = image[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
        if part.size:
            means.append(part.reshape(-1, 3).mean(axis=0))
    return np.float32(np.mean(means, axis=0) if means else (180, 140, 120))


def cover(outlines: Sequence[Outline], texture: Texture, soft: float = 0.0) -> Spoiler:
    """Hide what lies within outlines.

    Args:
        outlines: each is filled; one that crosses itself, by the even-odd rule.
        texture: with what.
        soft: deviation of the blur of the borders, in distances of the eyes.
    """

    def spoil(image: Image, five: Points) -> Image:
        frame = Frame.of(five)
        corners = [frame.points(outline) for outline in outlines]
        edge = math.ceil(3 * soft * frame.eyes_px) + 1
        everything = np.concatenate(corners)
        low = np.maximum(np.floor(everything.min(axis=0)).astype(int) - edge, 0)
        high = np.ceil(everything.max(axis=0)).astype(int) + edge + 1
        width, height = np.minimum(high, (image.shape[1], image.shape[0])) - low
        changed = image.copy()
        if width <= 0 or height <= 0:
            return changed
        hidden = np.zeros((height, width), np.uint8)
        for one in corners:
            fixed = np.rint((one - low) * 16).astype(np.int32)
            cv2.fillPoly(hidden, [fixed], 255, cv2.LINE_AA, 4)
        share = hidden.astype(np.float32)[..., None] / 255
        if soft:
            share = cv2.GaussianBlur(share, (0, 0), soft * frame.eyes_px)[..., None]
        x = (low[0] + np.arange(width, dtype=np.float32) - frame.origin[0]) / frame.eyes_px
        y = (low[1] + np.arange(height, dtype=np.float32) - frame.origin[1]) / frame.eyes_px
        patch = Patch(
            x[None].astype(np.float32),
            y[:, None].astype(np.float32),
            frame.eyes_px,
            skin_of(image, frame),
        )
        fill = np.clip(texture(patch), 0, 255)
        part = changed[low[1] : low[1] + height, low[0] : low[0] + width]
        part[:] = np.rint(part + share * (fill - part)).astype(np.uint8)
        return changed

    return spoil


# ---- outlines ------------------------------------------------------------------------------------


def ellipse(
    x: float,
    y: float,
    width: float,
    height: float,
    corners: int = 24,
    start: float = 0.0,
    stop: float = 2 * math.pi,
) -> Outline:
    """Half axes ``width`` and ``height`` about a point; from one angle (radians) to another."""
    angles = np.linspace(start, stop, corners)
    return [[x + width * math.cos(a), y + height * math.sin(a)] for a in angles]


def rectangle(left: float, top: float, right: float, bottom: float) -> Outline:
    """By its borders."""
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def mask(top: float = 0.45, width: float = 1.0, chin: float = 1.75) -> list[Outline]:
    """Over nose, mouth and chin; ``top`` is where it begins below the eyes."""
    right = [
        [0.45, top - 0.05],
        [width, top - 0.1],
        [0.85 * width, 1.2],
        [0.45 * width, chin],
    ]
    left = [[-x, y] for x, y in reversed(right)]
    return [[[0, top - 0.1], *right, [0, chin + 0.1], *left]]


def glasses(width: float = 0.36, height: float = 0.28, y: float = 0.02) -> list[Outline]:
    """Two lenses, their bridge and temples."""
    lenses = [ellipse(x, y, width, height) for x in (-0.5, 0.5)]
    bars = [
        rectangle(-0.3, y - 0.06, 0.3, y + 0.06),
        rectangle(-1.05, y - 0.05, -0.5, y + 0.05),
        rectangle(0.5, y - 0.05, 1.05, y + 0.05),
    ]
    return [*lenses, *bars]


def bar(half: float = 0.22, width: float = 1.1) -> list[Outline]:
    """Over both eyes."""
    return [rectangle(-width, -half, width, half)]


def forehead(low: float = -0.22, width: float = 1.25, top: float = -1.6) -> list[Outline]:
    """From above down to ``low``: a cap, a fringe."""
    return [[[-width, low], [width, low], [width * 1.05, top], [-width * 1.05, top]]]


def hijab() -> list[Outline]:
    """Everything around the face, from the brows to the chin."""
    around = [[-2.2, -2.0], [2.2, -2.0], [2.2, 3.2], [-2.2, 3.2], [-2.2, -2.0]]
    hole = list(reversed(ellipse(0, 0.45, 0.78, 1.02, 40)))
    return [[*around, *hole, hole[0], [-2.2, -2.0]]]


def half(side: float, x: float) -> list[Outline]:
    """Everything on one side (-1: left, 1: right) of ``x``."""
    return [rectangle(x, -1.6, side * 2, 2.4)]


def balaclava() -> list[Outline]:
    """Everything but the eyes."""
    low = [[-1.3, 0.28], [1.3, 0.28], [1.2, 2.3], [-1.2, 2.3]]
    return [rectangle(-1.3, -1.6, 1.3, -0.28), low]


def blots(rng: np.random.Generator, many: int, radius: float) -> list[Outline]:
    """So many blots anywhere on the face."""
    made = []
    for _ in range(many):
        at, axes = (rng.uniform(-0.8, 0.8), rng.uniform(-0.5, 1.5)), rng.uniform(0.5, 1, 2) * radius
        made.append(ellipse(*at, *axes, 12))
    return made


def hand(rng: np.random.Generator, x: float, y: float) -> list[Outline]:
    """A palm about a point, and four fingers up."""
    fingers = []
    for number in range(4):
        lean, at = rng.uniform(-0.2, 0.2), x - 0.3 + 0.2 * number
        tip = [[at + 0.07 + lean, y - 0.8], [at - 0.07 + lean, y - 0.8]]
        fingers.append([[at - 0.07, y], [at + 0.07, y], *tip])
    return [ellipse(x, y, 0.35, 0.35), *fingers]
