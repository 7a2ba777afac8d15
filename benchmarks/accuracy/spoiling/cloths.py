"""Printed cloth, knitwear, fur and hair: rich textures to fill covers with, and covers of heads."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from spoiling.covers import Color, Outline, Patch, Texture, ellipse, field, rectangle


def _either(where: np.ndarray, color: Color, other: Color) -> np.ndarray:
    return np.where(where[..., None], np.float32(color), np.float32(other))


# ---- textures ------------------------------------------------------------------------------------


def zigzag(color: Color, other: Color, degrees: float, period: float) -> Texture:
    """Stripes that turn to and fro."""

    def fill(patch: Patch) -> np.ndarray:
        u, v = patch.along(degrees, period)
        return _either((u + np.abs(v % 1 - 0.5)) % 1 < 0.5, color, other)

    return fill


def crosses(color: Color, other: Color, degrees: float, period: float) -> Texture:
    """A cross in each square."""

    def fill(patch: Patch) -> np.ndarray:
        u, v = (np.abs(w % 1 - 0.5) for w in patch.along(degrees, period))
        return _either((np.minimum(u, v) < 0.1) & (np.maximum(u, v) < 0.38), color, other)

    return fill


def diamonds(color: Color, other: Color, degrees: float, period: float) -> Texture:
    """Diamonds with a smaller one in each."""

    def fill(patch: Patch) -> np.ndarray:
        u, v = (np.abs(w % 1 - 0.5) for w in patch.along(degrees, period))
        return _either((u + v) * 4 % 2 < 1, color, other)

    return fill


def repeated(
    colors: Sequence[Color], seed: int, side: int, degrees: float, period: float
) -> Texture:
    """A small square of ``side`` x ``side`` fields in colors by chance, again and again."""
    square = np.random.default_rng(seed).integers(0, len(colors), (side, side))

    def fill(patch: Patch) -> np.ndarray:
        row, column = (
            np.floor(w % 1 * side).astype(np.int64) % side for w in patch.along(degrees, period)
        )
        return np.float32(colors)[square[row, column]]

    return fill


def petals(
    color: Color, other: Color, many: int, depth: float, degrees: float, period: float
) -> Texture:
    """Flowers or stars of so many rays in each square."""

    def fill(patch: Patch) -> np.ndarray:
        u, v = (w % 1 - 0.5 for w in patch.along(degrees, period))
        border = 0.32 + depth * np.cos(many * np.arctan2(v, u))
        return _either(np.hypot(u, v) < border, color, other)

    return fill


def grid(color: Color, other: Color, degrees: float, period: float) -> Texture:
    """Thin lines across and down."""

    def fill(patch: Patch) -> np.ndarray:
        u, v = patch.along(degrees, period)
        return _either((u % 1 < 0.18) | (v % 1 < 0.18), color, other)

    return fill


def curls(color: Color, other: Color, degrees: float, period: float) -> Texture:
    """Stripes bent in waves."""

    def fill(patch: Patch) -> np.ndarray:
        u, v = patch.along(degrees, period)
        return _either((u + 0.35 * np.sin(2 * math.pi * v / 1.7)) % 1 < 0.45, color, other)

    return fill


def targets(color: Color, other: Color, x: float, y: float, period: float) -> Texture:
    """Circles about one point, in distances of the eyes."""

    def fill(patch: Patch) -> np.ndarray:
        return _either(np.hypot(patch.x - x, patch.y - y) / period % 1 < 0.5, color, other)

    return fill


def contours(color: Color, other: Color, seed: int, size: float, many: float) -> Texture:
    """Lines of equal height of a hilly ground: marble, paisley."""
    return lambda patch: _either(field(patch, seed, size) * many % 1 < 0.4, color, other)


def spots(color: Color, other: Color, rim: Color, seed: int, size: float) -> Texture:
    """Spots with a dark rim, of no regular form."""

    def fill(patch: Patch) -> np.ndarray:
        height = field(patch, seed, size)
        made = _either(height > 0.5, color, other)
        return np.where((np.abs(height - 0.5) < 0.22)[..., None], np.float32(rim), made)

    return fill


def mixed(colors: Sequence[Color], seed: int, size: float) -> Texture:
    """Patches of several colors."""

    def fill(patch: Patch) -> np.ndarray:
        heights = np.stack([field(patch, seed + k, size) for k in range(len(colors))])
        return np.float32(colors)[heights.argmax(axis=0)]

    return fill


def many_stripes(colors: Sequence[Color], degrees: float, period: float) -> Texture:
    """Stripes of several colors in turns."""

    def fill(patch: Patch) -> np.ndarray:
        u, _ = patch.along(degrees, period)
        return np.float32(colors)[(u % 1 * len(colors)).astype(np.int64) % len(colors)]

    return fill


def strands(color: Color, deviation: float, seed: int, degrees: float, width: float) -> Texture:
    """Hair or fur: noise drawn out in one direction."""

    def fill(patch: Patch) -> np.ndarray:
        u, v = patch.along(degrees, 1.0)
        stretched = Patch(u / width, v, patch.eyes_px, patch.skin)
        rows = np.random.default_rng(seed).standard_normal(4096).astype(np.float32)
        bend = field(patch, seed, 0.8) * 0.15
        at = (stretched.x + bend / width + 2048) % 4095
        left = at.astype(np.int64)
        light = rows[left] * (1 - (at - left)) + rows[left + 1] * (at - left)
        return np.float32(color) + deviation * light[..., None]

    return fill


def rough(color: Color, deviation: float, seed: int) -> Texture:
    """Light and color at all sizes, as in a photo of leaves or a crowd."""

    def fill(patch: Patch) -> np.ndarray:
        total: np.ndarray = np.zeros((*patch.shape, 3), np.float32) + np.float32(color)
        for number, size in enumerate((0.8, 0.4, 0.2, 0.1, 0.05)):
            light = field(patch, seed + number, size)[..., None]
            tint = np.random.default_rng(seed + number).uniform(0.5, 1, 3).astype(np.float32)
            total = total + deviation * light * tint
        return total

    return fill


# ---- what is worn on heads -----------------------------------------------------------------------


def _opening(outer: Outline, inner: Outline) -> Outline:
    hole = list(reversed(list(inner)))
    return [*outer, outer[0], *hole, hole[0], outer[0]]


def hood(width: float, top: float, chin: float, corners: int = 30) -> list[Outline]:
    """Everything but an opening for the face, half as wide as ``width`` says."""
    middle, high = (top + chin) / 2, (chin - top) / 2
    return [_opening(rectangle(-2.4, -2.4, 2.4, 3.4), ellipse(0, middle, width, high, corners))]


def pointed_hood(width: float, top: float, chin: float) -> list[Outline]:
    """The same with an opening that is pointed at the top."""
    inner = [[0, top], [0.7 * width, 0.5 * top], [width, 0.25], [0.8 * width, 0.75 * chin]]
    hole = [*inner, [0.4 * width, chin], [-0.4 * width, chin], *([-x, y] for x, y in inner[:0:-1])]
    return [_opening(rectangle(-2.4, -2.4, 2.4, 3.4), hole)]


def hat(brim: float, lean: float, width: float) -> list[Outline]:
    """A brim across the forehead, and a crown above."""
    return [
        [
            [-width, brim + lean],
            [width, brim - lean],
            [width, brim - 0.25 - lean],
            [-width, brim - 0.25 + lean],
        ],
        [[-1.1, brim - 0.2], [1.1, brim - 0.2], [0.95, brim - 1.6], [-0.95, brim - 1.6]],
    ]


def turban(low: float, side: float) -> list[Outline]:
    """A dome over forehead and ears."""
    return [
        [
            *ellipse(0, low, side, 1.7, 24, math.pi, 2 * math.pi),
            [side, low + 0.5],
            [0.8, low - 0.05],
            [-0.8, low - 0.05],
            [-side, low + 0.5],
        ]
    ]


def collar(top: float, dip: float) -> list[Outline]:
    """A collar or a scarf up to the chin or the lips, lower in the middle by ``dip``."""
    return [
        [
            [-2.0, top - 0.2],
            [-0.8, top],
            [0, top + dip],
            [0.8, top],
            [2.0, top - 0.2],
            [2.3, 3.4],
            [-2.3, 3.4],
        ]
    ]


def curtains(gap: float, top: float, part: float) -> list[Outline]:
    """Long hair that falls over both sides of the face, parted at ``part``."""
    right = [
        [part, top],
        [gap, 0.1],
        [gap + 0.08, 1.0],
        [gap + 0.15, 2.6],
        [2.0, 2.6],
        [1.6, -1.7],
        [part, -1.7],
    ]
    left = [
        [part, top],
        [-gap, 0.1],
        [-gap - 0.08, 1.0],
        [-gap - 0.15, 2.6],
        [-2.0, 2.6],
        [-1.6, -1.7],
        [part, -1.7],
    ]
    return [right, left]


def headscarf(side: float, brow: float, knot: float) -> list[Outline]:
    """Over forehead, ears and cheeks, tied below the chin."""
    return [
        [
            [-side, 1.3],
            [-side * 0.95, 0.2],
            [-0.55, brow],
            [0.55, brow],
            [side * 0.95, 0.2],
            [side, 1.3],
            [2.0, 1.6],
            [1.8, -1.0],
            [0.9, -2.0],
            [-0.9, -2.0],
            [-1.8, -1.0],
            [-2.0, 1.6],
        ],
        [[-1.6, 1.2], [-0.6, knot], [0.6, knot], [1.6, 1.2], [1.9, 3.2], [-1.9, 3.2]],
    ]


def helmet(width: float, brow: float, strap: float) -> list[Outline]:
    """A shell down to the brows, and straps beside the mouth to the chin."""
    shell = [
        *ellipse(0, brow, 1.45, 1.5, 24, math.pi, 2 * math.pi),
        [1.4, brow + 0.7],
        [width, brow + 0.65],
        [width, brow],
        [-width, brow],
        [-width, brow + 0.65],
        [-1.4, brow + 0.7],
    ]
    sides = [
        [[width, 0.3], [width + 0.2, 0.3], [0.55, 1.75], [0.4, 1.7]],
        [[-width, 0.3], [-width - 0.2, 0.3], [-0.55, 1.75], [-0.4, 1.7]],
    ]
    return [shell, *sides, rectangle(-0.5, 1.7, 0.5, 1.7 + strap)]


def surround(width: float, top: float, bottom: float) -> list[Outline]:
    """Everything outside of a rectangle: a window, a frame, a cap with a scarf."""
    hole = rectangle(-width, top, width, bottom)
    return [_opening(rectangle(-2.4, -2.4, 2.4, 3.4), hole)]
