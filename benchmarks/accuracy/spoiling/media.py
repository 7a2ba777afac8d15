"""What photos go through: screens, tape, print, wear, weather, poor light.

No family that recognizability is fitted on draws these. Lengths are in pixels of a face whose eyes
are 45 pixels apart, as in ``pixels``.
"""

from __future__ import annotations

import io
import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import PIL.Image

from lineament.types import Image
from spoiling.frame import Points, Scene, Spoiler, as_uint8, chain, nearby, three
from spoiling.pixels import blur, dots, gray_of, moved, wave

# ---- compression ---------------------------------------------------------------------------------


def jpeg2000(ratio: float) -> Spoiler:
    """Written as JPEG 2000, so many times smaller, and read again: blur and ringing."""

    def change(scene: Scene) -> Image:
        file = io.BytesIO()
        PIL.Image.fromarray(scene.image).save(
            file, "JPEG2000", quality_mode="rates", quality_layers=[ratio], irreversible=True
        )
        return np.asarray(PIL.Image.open(file).convert("RGB"))

    return nearby(change)


# ---- light ---------------------------------------------------------------------------------------


def low_light(light: float, blotches: float) -> Spoiler:
    """A dark photo brightened: blotches of color of this deviation, and grains half as strong."""

    def change(scene: Scene) -> Image:
        rng, (height, width) = scene.random(), scene.image.shape[:2]
        coarse = rng.standard_normal((height // 4 + 1, width // 4 + 1, 3), dtype=np.float32)
        colored = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        grains = rng.standard_normal((height, width, 1), dtype=np.float32)
        dark = np.rint(scene.image * np.float32(light)) / light  # few levels are left
        return as_uint8(dark + blotches * colored + blotches / 2 * grains)

    return nearby(change)


def fog(share: float, value: int) -> Spoiler:
    """This share of gray mixed in."""
    return nearby(lambda scene: as_uint8(scene.image * (1 - share) + value * share))


def solarize(limit: int) -> Spoiler:
    """What is brighter than this becomes negative."""
    table = np.arange(256, dtype=np.uint8)
    table[limit:] = 255 - table[limit:]
    return nearby(lambda scene: table[scene.image])


_IRON = ((0, 0, 10), (40, 0, 140), (190, 10, 130), (240, 110, 10), (255, 215, 60), (255, 255, 245))
_ARCTIC = ((10, 10, 70), (20, 110, 230), (60, 210, 220), (90, 90, 90), (240, 170, 40), (255, 80, 0))


def palette(name: str) -> npt.NDArray[np.uint8]:
    """(256, 3) colors of a thermal camera: "iron" or "arctic"."""
    corners = np.array({"iron": _IRON, "arctic": _ARCTIC}[name])
    at = np.linspace(0, 255, len(corners))
    return as_uint8(np.stack([np.interp(np.arange(256), at, c) for c in corners.T], axis=1))


# ---- print ---------------------------------------------------------------------------------------


def error_diffusion() -> Spoiler:
    """Black and white, dithered by Floyd and Steinberg's error diffusion (1976)."""

    def change(scene: Scene) -> Image:
        gray = PIL.Image.fromarray(gray_of(scene.image))
        return np.asarray(gray.convert("1").convert("RGB"))

    return nearby(change)


def few_colors(colors: int, *, dithered: bool = False) -> Spoiler:
    """A palette of the photo's own, so many colors; in plain patches, or by error diffusion."""

    def change(scene: Scene) -> Image:
        picture = PIL.Image.fromarray(scene.image)
        few = picture.reduce(4).quantize(colors, method=PIL.Image.Quantize.MEDIANCUT)
        how = PIL.Image.Dither.FLOYDSTEINBERG if dithered else PIL.Image.Dither.NONE
        return np.asarray(picture.quantize(palette=few, dither=how).convert("RGB"))

    return nearby(change)


def newspaper(px: float) -> Spoiler:
    """Dots of cyan, magenta, yellow and black at their usual angles."""

    def change(scene: Scene) -> Image:
        light = scene.image.astype(np.float32) / 255
        black = light.max(axis=2)
        period = max(2.5, px * scene.frame.unit)
        paper = np.full(scene.image.shape, (242, 236, 224), np.float32)
        for channel, degrees in enumerate((15, 75, 0)):
            ink = light[..., channel] / np.maximum(black, 0.02)
            paper[..., channel] *= dots(ink, period, degrees, 4.0)
        return as_uint8(paper * (0.15 + 0.85 * dots(black, period, 45, 4.0))[..., None])

    return nearby(change)


def engraving(px: float, degrees: float) -> Spoiler:
    """Lines that are thicker where it is dark."""

    def change(scene: Scene) -> Image:
        gray = gray_of(scene.image).astype(np.float32) / 255
        line = wave(gray.shape, max(2.0, px * scene.frame.unit), degrees)
        return three(255 * np.clip((gray - line / 2 - 0.5) * 4 + 0.5, 0, 1))

    return nearby(change)


def photocopy(px: float) -> Spoiler:
    """Black where it is darker than the mean of the square of this side around it."""

    def change(scene: Scene) -> Image:
        side = max(3, int(px * scene.frame.unit) // 2 * 2 + 1)
        how = (cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY)
        return three(cv2.adaptiveThreshold(gray_of(scene.image), 255, *how, side, 4))

    return nearby(change)


# ---- wear ----------------------------------------------------------------------------------------


def _stroke(image: Image, points: npt.NDArray[Any], color: tuple[int, ...], px: float) -> None:
    fixed = [np.rint(points * 16).astype(np.int32)]
    cv2.polylines(image, fixed, False, color, max(1, round(px)), cv2.LINE_AA, 4)


def scratches(many: int) -> Spoiler:
    """Bright and dark scratches, in the main downwards."""

    def change(scene: Scene) -> Image:
        rng, image, eyes = scene.random(), scene.image.copy(), scene.frame.eyes_px
        for number in range(many):
            start = scene.frame.origin + rng.uniform((-1.5, -1.5), (1.5, 1.5)) * eyes
            steps = rng.normal((0.0, 0.25), (0.06, 0.1), (int(rng.integers(3, 9)), 2)) * eyes
            color = (235, 232, 220) if number % 4 else (25, 22, 20)
            _stroke(image, start + np.cumsum(steps, axis=0), color, rng.uniform(0.5, 2) * eyes / 45)
        return image

    return nearby(change)


_CREASES = (
    ((-2.6, 0.3), (-0.8, 0.36), (0.7, 0.28), (2.6, 0.4)),
    ((0.1, -2.6), (0.06, -0.4), (0.14, 0.9), (0.05, 2.8)),
)


def creases() -> Spoiler:
    """A photo that was folded twice: pale lines at the same place of every face."""

    def change(scene: Scene) -> Image:
        image = scene.image.copy()
        for crease in _CREASES:
            points = scene.frame.points(crease)
            _stroke(image, points, (120, 112, 100), 0.12 * scene.frame.eyes_px)
            _stroke(image, points, (238, 234, 226), 0.06 * scene.frame.eyes_px)
        return image

    return nearby(change)


def faded(contrast: float, stains: float) -> Spoiler:
    """Pale and brown, with stains that take so many gray values away."""

    def change(scene: Scene) -> Image:
        height, width = scene.image.shape[:2]
        coarse = scene.random().standard_normal((6, 6), dtype=np.float32)
        blotch = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
        brown = scene.image * contrast + np.float32((196, 172, 132)) * (1 - contrast)
        return as_uint8(brown - stains * np.clip(blotch, 0, 1.5))

    return nearby(change)


# ---- screens and tape ----------------------------------------------------------------------------


def screen(px: float, depth: float) -> Spoiler:
    """A screen photographed: its red, green and blue stripes, and the moire of its grid."""

    def change(scene: Scene) -> Image:
        period, shape = px * scene.frame.unit, scene.image.shape[:2]
        image = cv2.GaussianBlur(scene.image, (0, 0), 0.8 * scene.frame.unit).astype(np.float32)
        for channel in range(3):
            stripe = wave(shape, max(2.2, period), 4, channel * 2 * math.pi / 3)
            image[..., channel] *= 1 + depth * stripe
        beat = wave(shape, 9 * period, 65) * wave(shape, 7 * period, 20)
        return as_uint8(image * (1 + 0.6 * depth * beat)[..., None] * 1.1 + 12)

    return nearby(change)


def moire(px: float, depth: float, degrees: float) -> Spoiler:
    """Brightness that comes and goes in waves."""

    def change(scene: Scene) -> Image:
        ripple = wave(scene.image.shape[:2], px * scene.frame.unit, degrees)
        return as_uint8(scene.image * (1 + depth * ripple)[..., None])

    return nearby(change)


def fringes(px: float) -> Spoiler:
    """Red and blue moved apart by so much, to either side."""

    def change(scene: Scene) -> Image:
        far, image = round(px * scene.frame.unit), scene.image.copy()
        image[..., 0] = np.roll(scene.image[..., 0], far, axis=1)
        image[..., 2] = np.roll(scene.image[..., 2], -far, axis=1)
        return image

    return nearby(change)


def tape(px: float) -> Spoiler:
    """VHS: color smeared and late, lines that tremble by so much, every other one dark, streaks."""

    def change(scene: Scene) -> Image:
        rng, unit, (height, width) = scene.random(), scene.frame.unit, scene.image.shape[:2]
        parts = cv2.cvtColor(scene.image, cv2.COLOR_RGB2YCrCb)
        parts[..., 1:] = np.roll(cv2.blur(parts[..., 1:], (max(3, round(16 * unit)), 3)), 4, axis=1)
        row = max(1, round(1.5 * unit))
        tremble = np.repeat(rng.normal(0, px * unit, height // row + 1), row)[:height, None]
        image = moved(cv2.cvtColor(parts, cv2.COLOR_YCrCb2RGB), tremble, np.zeros(1))
        image = as_uint8(image + 9 * rng.standard_normal((height, width, 1), dtype=np.float32))
        for part in range(2 * row)[:row]:
            image[part :: 2 * row] = image[part :: 2 * row] // 5 * 3
        for y, x in zip(rng.integers(0, height, 6), rng.integers(0, width, 6), strict=True):
            image[y : y + row, x : x + round(60 * unit)] = 230
        return image

    return nearby(change)


def interlaced(px: float) -> Spoiler:
    """Every other line is from a moment later: moved by so much."""

    def change(scene: Scene) -> Image:
        row, image = max(1, round(2 * scene.frame.unit)), scene.image.copy()
        later = np.roll(scene.image, round(px * scene.frame.unit), axis=1)
        for part in range(row):
            image[part :: 2 * row] = later[part :: 2 * row]
        return image

    return nearby(change)


def banding(deviation: float) -> Spoiler:
    """Noise of whole rows: a sensor read badly."""

    def change(scene: Scene) -> Image:
        rows = scene.random().standard_normal((scene.image.shape[0], 1, 3), dtype=np.float32)
        return as_uint8(scene.image + deviation * rows)

    return nearby(change)


# ---- weather and glass ---------------------------------------------------------------------------


def rain(many: int) -> Spoiler:
    """Bright streaks."""

    def change(scene: Scene) -> Image:
        rng, image, eyes = scene.random(), scene.image.copy(), scene.frame.eyes_px
        for _ in range(many):
            start = scene.frame.origin + rng.uniform((-1.6, -1.1), (1.6, 2.1)) * eyes
            streak = np.array([start, start + rng.uniform(0.15, 0.5) * eyes * np.array([0.25, 1])])
            _stroke(image, streak, (220, 222, 226), eyes / 40)
        return image

    return nearby(change)


def glass_blocks(px: float, bend: float) -> Spoiler:
    """Seen through blocks of glass, each of which bends as a lens does."""

    def change(scene: Scene) -> Image:
        side, (height, width) = px * scene.frame.unit, scene.image.shape[:2]
        x, y = ((np.arange(n) / side % 1 - 0.5) * side * bend for n in (width, height))
        return moved(scene.image, x, y[:, None])

    return nearby(change)


def echo(px: float) -> Spoiler:
    """Three pictures, each higher than the last: a hand that shook in steps."""

    def change(scene: Scene) -> Image:
        far = px * scene.frame.unit
        total = sum(
            moved(scene.image, np.zeros(1), np.full(1, step * far)).astype(np.float32)
            for step in (-1, 0, 1)
        )
        return as_uint8(np.asarray(total) / 3)

    return nearby(change)


# ---- parts of a face -----------------------------------------------------------------------------


def within(cover: Spoiler, spoiler: Spoiler) -> Spoiler:
    """Spoil only what a cover hides: pixelated eyes, a mouth blurred away."""

    def spoil(image: Image, five: Points) -> Image:
        blank = np.zeros_like(image)
        hidden = cover(blank, five)  # of white
        share = hidden.astype(np.float32) / 255
        return as_uint8(image + share * (spoiler(image, five).astype(np.float32) - image))

    return spoil


def veil(cover: Spoiler, share: float) -> Spoiler:
    """A cover that this share of the photo shines through."""

    def spoil(image: Image, five: Points) -> Image:
        return cv2.addWeighted(image, share, cover(image, five), 1 - share, 0)

    return spoil


def misted(px: float) -> Spoiler:
    """Behind a misted pane: blurred and pale."""
    return chain(blur(px), fog(0.5, 215))
