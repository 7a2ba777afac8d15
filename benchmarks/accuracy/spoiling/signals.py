"""What goes wrong on the way of a signal: color, lines, blocks. Lengths as in ``pixels``."""

from __future__ import annotations

import math

import cv2
import numpy as np

from lineament.types import Image
from spoiling.frame import Scene, Spoiler, as_uint8, nearby
from spoiling.pixels import gray_of, wave


def smeared_color(px: float, across: float, down: float) -> Spoiler:
    """Color blurred by a square of this side, and moved; brightness stays."""

    def change(scene: Scene) -> Image:
        unit, parts = scene.frame.unit, cv2.cvtColor(scene.image, cv2.COLOR_RGB2YCrCb)
        side = max(3, round(px * unit))
        color = cv2.blur(parts[..., 1:], (side, side))
        by = np.array([[1, 0, across * unit], [0, 1, down * unit]], np.float32)
        height, width = parts.shape[:2]
        color = cv2.warpAffine(color, by, (width, height), borderMode=cv2.BORDER_REPLICATE)
        parts[..., 1:] = color
        return cv2.cvtColor(parts, cv2.COLOR_YCrCb2RGB)

    return nearby(change)


def stronger_color(factor: float) -> Spoiler:
    """Differences from gray multiplied; below 0 they turn into their opposites."""

    def change(scene: Scene) -> Image:
        gray = gray_of(scene.image).astype(np.float32)[..., None]
        return as_uint8(gray + factor * (scene.image - gray))

    return nearby(change)


def color_noise(deviation: float, px: float) -> Spoiler:
    """Blotches of color of this size; brightness stays."""

    def change(scene: Scene) -> Image:
        height, width = scene.image.shape[:2]
        size = max(2, round(height / (px * scene.frame.unit)))
        coarse = scene.random().standard_normal((size, size, 3), dtype=np.float32)
        color = deviation * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        return as_uint8(scene.image + color - color.mean(axis=2, keepdims=True))

    return nearby(change)


def aberration(share: float) -> Spoiler:
    """Red larger and blue smaller than green, about the face."""

    def change(scene: Scene) -> Image:
        image, (height, width) = scene.image.copy(), scene.image.shape[:2]
        x, y = scene.frame.origin
        for channel, scale in ((0, 1 + share), (2, 1 - share)):
            by = np.array([[scale, 0, x * (1 - scale)], [0, scale, y * (1 - scale)]], np.float32)
            one = np.ascontiguousarray(scene.image[..., channel])
            image[..., channel] = cv2.warpAffine(
                one, by, (width, height), borderMode=cv2.BORDER_REPLICATE
            )
        return image

    return nearby(change)


def dim_lines(px: float, depth: float, degrees: float, *, soft: bool = False) -> Spoiler:
    """Brightness less by ``depth`` in every other line; ``soft``: in waves."""

    def change(scene: Scene) -> Image:
        ripple = wave(scene.image.shape[:2], max(2.0, px * scene.frame.unit), degrees)
        light = (1 + ripple) / 2 if soft else (ripple > 0).astype(np.float32)
        return as_uint8(scene.image * (1 - depth * light)[..., None])

    return nearby(change)


def carrier(px: float, strength: float, degrees: float) -> Spoiler:
    """Color seen as a fine pattern in the brightness: a television without a filter."""

    def change(scene: Scene) -> Image:
        parts = cv2.cvtColor(scene.image, cv2.COLOR_RGB2YCrCb).astype(np.float32)
        shape, period = parts.shape[:2], max(2.0, px * scene.frame.unit)
        red, blue = (
            wave(shape, period, degrees, phase) * (parts[..., channel] - 128)
            for channel, phase in ((1, 0.0), (2, math.pi / 2))
        )
        parts[..., 0] += strength * (red + blue)
        return cv2.cvtColor(as_uint8(parts), cv2.COLOR_YCrCb2RGB)

    return nearby(change)


def dropouts(many: int, length_px: float, thick_px: float, *, copies: bool = False) -> Spoiler:
    """Short pieces of lines lost: black or bright, or (``copies``) what stood elsewhere."""

    def change(scene: Scene) -> Image:
        rng, unit, image = scene.random(), scene.frame.unit, scene.image.copy()
        height, width = image.shape[:2]
        for _ in range(many):
            y, x = int(rng.integers(height)), int(rng.integers(width))
            long = max(2, round(rng.exponential(length_px) * unit))
            thick = max(1, round(thick_px * unit))
            place = image[y : y + thick, x : x + long]
            other = scene.image[(y * 7) % max(1, height - thick) :, : place.shape[1]]
            fits = copies and other.shape[0] >= place.shape[0] and place.size
            place[:] = other[: place.shape[0]] if fits else (20, 225)[rng.integers(2)]
        return image

    return nearby(change)


def lost_blocks(px: float, share: float, seed: int) -> Spoiler:
    """A stream with errors: this share of the blocks shows a neighbor's picture, or one color."""

    def change(scene: Scene) -> Image:
        side, image = max(4, round(px * scene.frame.unit)), scene.image.copy()
        rng = np.random.default_rng(seed)
        height, width = image.shape[:2]
        for y in range(0, height, side):
            for x in range(0, width, side):
                drawn, how = rng.random(), rng.integers(3)
                if drawn >= share:
                    continue
                place = image[y : y + side, x : x + side]
                if how == 0:
                    place[:] = place.reshape(-1, 3).mean(axis=0)
                elif how == 1:
                    place[:] = place[:1]
                else:
                    other = scene.image[y : y + side, max(0, x - 2 * side) :]
                    place[:] = other[: place.shape[0], : place.shape[1]]
        return image

    return nearby(change)


def colored_waves(
    px: float, depth: float, degrees: float, shifts: tuple[float, float], *, fixed: bool
) -> Spoiler:
    """Light in soft bands of this width, red, green and blue each a little elsewhere.

    Args:
        px: from one band to the next.
        depth: of the waves, 0 to 1: how much brighter and darker than it was.
        degrees: direction across the bands.
        shifts: of green and blue against red, in radians.
        fixed: whether the bands lie in one place of all faces, or in each photo elsewhere.
    """

    def change(scene: Scene) -> Image:
        phase = 0.0 if fixed else 2 * math.pi * float(scene.random().random())
        period, shape = max(2.0, px * scene.frame.unit), scene.image.shape[:2]
        turned = [wave(shape, period, degrees, phase + shift) for shift in (0.0, *shifts)]
        return as_uint8(scene.image * (1 + depth * np.stack(turned, axis=2)))

    return nearby(change)
