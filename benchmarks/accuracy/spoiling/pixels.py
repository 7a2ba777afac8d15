"""Spoilers of every pixel around a face: few pixels, blur, noise, compression, light, print, lines.

Each function returns a spoiler. Lengths are in pixels of a face whose eyes are 45 pixels apart
(``frame.NOMINAL_PX``) and scaled with the face.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from lineament.types import Image
from spoiling.frame import FACE_EYES, Scene, Spoiler, as_uint8, nearby, three

Interpolation = Literal["nearest", "linear", "cubic", "area"]

_INTERPOLATION: dict[str, int] = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
}

BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16
"""Thresholds of ordered dithering (Bayer, 1973), 0 to 1."""


def gray_of(image: Image) -> npt.NDArray[np.uint8]:
    """(H, W) uint8."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


# ---- few pixels ----------------------------------------------------------------------------------


def low_resolution(
    eyes_px: float, up: Interpolation = "cubic", down: Interpolation = "area"
) -> Spoiler:
    """Shrink until the eyes are ``eyes_px`` apart, and enlarge again."""

    def change(scene: Scene) -> Image:
        share = eyes_px / scene.frame.eyes_px
        if share >= 1:
            return scene.image
        height, width = scene.image.shape[:2]
        size = (max(4, round(width * share)), max(4, round(height * share)))
        small = cv2.resize(scene.image, size, interpolation=_INTERPOLATION[down])
        return cv2.resize(small, (width, height), interpolation=_INTERPOLATION[up])

    return nearby(change)


def mosaic(blocks: float) -> Spoiler:
    """Squares of one color, so many across a face."""
    return low_resolution(blocks / FACE_EYES, "nearest")


# ---- blur ----------------------------------------------------------------------------------------


def blur(px: float) -> Spoiler:
    """Gaussian, of this standard deviation."""
    return nearby(lambda scene: cv2.GaussianBlur(scene.image, (0, 0), px * scene.frame.unit))


def box_blur(px: float) -> Spoiler:
    """The mean of a square of this side."""

    def change(scene: Scene) -> Image:
        side = max(1, round(px * scene.frame.unit))
        return cv2.blur(scene.image, (side, side))

    return nearby(change)


def disk_blur(px: float) -> Spoiler:
    """The mean of a disk of this radius: a lens out of focus."""

    def change(scene: Scene) -> Image:
        radius = max(1.0, px * scene.frame.unit)
        at = np.arange(-math.ceil(radius), math.ceil(radius) + 1)
        kernel = (at[:, None] ** 2 + at**2 <= radius**2).astype(np.float32)
        return cv2.filter2D(scene.image, -1, kernel / kernel.sum())

    return nearby(change)


def motion(px: float, degrees: float) -> Spoiler:
    """The mean of a line of this length."""

    def change(scene: Scene) -> Image:
        taps = _line(max(3, round(px * scene.frame.unit)), degrees)
        pad = int(np.abs(taps).max())
        height, width = scene.image.shape[:2]
        wide = cv2.copyMakeBorder(scene.image, pad, pad, pad, pad, cv2.BORDER_REFLECT_101)
        total = np.zeros(scene.image.shape, np.float32)
        for x, y in taps + pad:
            cv2.accumulate(wide[y : y + height, x : x + width], total)
        return as_uint8(total / len(taps))

    return nearby(change)


def _line(px: int, degrees: float) -> npt.NDArray[np.int64]:
    """(N, 2) offsets x, y of the pixels of a line through the origin."""
    kernel = np.zeros((px, px), np.uint8)
    middle = (px - 1) / 2
    along = middle * np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])
    ends = [tuple(np.rint(middle + sign * along).astype(int).tolist()) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1)
    return np.argwhere(kernel)[:, ::-1] - px // 2


def median(px: float) -> Spoiler:
    """The median of a square of this side, of the picture at half its size: patches of paint."""

    def change(scene: Scene) -> Image:
        height, width = scene.image.shape[:2]
        half = cv2.resize(
            scene.image, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA
        )
        smooth = cv2.medianBlur(half, max(3, int(px * scene.frame.unit / 2) // 2 * 2 + 1))
        return cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR)

    return nearby(change)


def bilateral(times: int, spread: float) -> Spoiler:
    """Smooth what differs by less than ``spread``, again and again: a face retouched."""

    def change(scene: Scene) -> Image:
        image = scene.image
        for _ in range(times):
            image = cv2.bilateralFilter(image, 5, spread, 5)
        return image

    return nearby(change)


def sharpen(amount: float, px: float = 2.0) -> Spoiler:
    """Add so many times what a blur of this deviation takes away."""

    def change(scene: Scene) -> Image:
        image = scene.image.astype(np.float32)
        return as_uint8(image + amount * (image - cv2.GaussianBlur(image, (0, 0), px)))

    return nearby(change)


# ---- noise ---------------------------------------------------------------------------------------


def noise(deviation: float, *, gray: bool = False, soft_px: float = 0.0) -> Spoiler:
    """Normal noise, of each pixel by itself or, with ``soft_px``, in grains of that deviation."""

    def change(scene: Scene) -> Image:
        shape = (*scene.image.shape[:2], 1 if gray else 3)
        grains = scene.random().standard_normal(shape, dtype=np.float32)
        if soft_px:
            grains = cv2.GaussianBlur(grains, (0, 0), soft_px).reshape(shape) * (3.54 * soft_px)
        return as_uint8(scene.image + deviation * grains)

    return nearby(change)


def salt_and_pepper(share: float) -> Spoiler:
    """This share of the pixels black or white."""

    def change(scene: Scene) -> Image:
        drawn = scene.random().random(scene.image.shape[:2], dtype=np.float32)
        image = scene.image.copy()
        image[drawn < share / 2] = 0
        image[drawn > 1 - share / 2] = 255
        return image

    return nearby(change)


def speckle(deviation: float) -> Spoiler:
    """Normal noise in proportion to each value."""

    def change(scene: Scene) -> Image:
        grains = scene.random().standard_normal(scene.image.shape, dtype=np.float32)
        return as_uint8(scene.image * (1 + deviation * grains))

    return nearby(change)


# ---- compression ---------------------------------------------------------------------------------


def jpeg(quality: int) -> Spoiler:
    """Written as JPEG of this quality, 1 to 100, and read again."""
    return nearby(lambda scene: _written(scene.image, ".jpg", cv2.IMWRITE_JPEG_QUALITY, quality))


def webp(quality: int) -> Spoiler:
    """The same as WebP."""
    return nearby(lambda scene: _written(scene.image, ".webp", cv2.IMWRITE_WEBP_QUALITY, quality))


def _written(image: Image, suffix: str, option: int, quality: int) -> Image:
    bgr = np.ascontiguousarray(image[..., ::-1])
    _, data = cv2.imencode(suffix, bgr, [option, quality])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


# ---- light and color -----------------------------------------------------------------------------


def gain(factor: float, deviation: float = 0.0, about: float = 0.0) -> Spoiler:
    """Values multiplied about one of them, and normal noise of this deviation added."""

    def change(scene: Scene) -> Image:
        values = (scene.image.astype(np.float32) - about) * factor + about
        if deviation:
            values += deviation * scene.random().standard_normal(values.shape, dtype=np.float32)
        return as_uint8(values)

    return nearby(change)


def stretch(factor: float) -> Spoiler:
    """Contrast multiplied, about the mean, which becomes 110: a dark photo brightened."""

    def change(scene: Scene) -> Image:
        image = scene.image.astype(np.float32)
        return as_uint8((image - image.mean()) * factor + 110)

    return nearby(change)


def by_table(values: npt.ArrayLike) -> Spoiler:
    """Each of the 256 values replaced, in all channels alike."""
    table = as_uint8(np.asarray(values))
    return nearby(lambda scene: table[scene.image])


def gamma(exponent: float) -> Spoiler:
    """Values of 0 to 1 raised to a power: dark above 1."""
    return by_table(255 * (np.arange(256) / 255) ** exponent)


def negative() -> Spoiler:
    """Dark for bright."""
    return by_table(255 - np.arange(256))


def posterize(levels: int) -> Spoiler:
    """So many levels a channel."""
    return by_table(np.floor(np.arange(256) / 256 * levels) / (levels - 1) * 255)


def side_light(degrees: float, depth: float) -> Spoiler:
    """Light from one side; ``depth`` is the share of it that the dark side lacks."""

    def change(scene: Scene) -> Image:
        height, width = scene.image.shape[:2]
        angle, reach = math.radians(degrees), 1.5 * scene.frame.eyes_px
        x = (np.arange(width, dtype=np.float32) - scene.frame.origin[0]) * math.cos(angle)
        y = (np.arange(height, dtype=np.float32) - scene.frame.origin[1]) * math.sin(angle)
        away = np.clip((y[:, None] + x) / reach, -10, 10).astype(np.float32)
        light = 1 - depth + depth / (1 + np.exp(4 * away))
        return as_uint8(scene.image * light[..., None])

    return nearby(change)


def grayscale() -> Spoiler:
    """Without color."""
    return nearby(lambda scene: three(gray_of(scene.image)))


def false_color(table: int | npt.NDArray[np.uint8]) -> Spoiler:
    """Brightness as color.

    Args:
        table: one of OpenCV's (``cv2.COLORMAP_...``), or (256, 3) uint8, RGB.
    """

    def change(scene: Scene) -> Image:
        gray = gray_of(scene.image)
        if isinstance(table, int):
            return np.ascontiguousarray(cv2.applyColorMap(gray, table)[..., ::-1])
        return table[gray]

    return nearby(change)


def channels(order: Sequence[int]) -> Spoiler:
    """Red, green and blue in another order."""
    return nearby(lambda scene: np.ascontiguousarray(scene.image[..., list(order)]))


# ---- print and lines -----------------------------------------------------------------------------


def one_bit() -> Spoiler:
    """Black below the median, white above."""

    def change(scene: Scene) -> Image:
        gray = gray_of(scene.image)
        return three((gray > np.median(gray)) * 255)

    return nearby(change)


def dither() -> Spoiler:
    """Black and white by ordered dithering."""

    def change(scene: Scene) -> Image:
        gray = gray_of(scene.image)
        height, width = gray.shape
        limits = np.tile(255 * BAYER, (height // 4 + 1, width // 4 + 1))[:height, :width]
        return three((gray > limits) * 255)

    return nearby(change)


def wave(
    shape: tuple[int, int], period_px: float, degrees: float, phase: float = 0.0
) -> npt.NDArray[np.float32]:
    """(H, W) cosine along a direction, -1 to 1: of a plane wave, so the product of two vectors."""
    turn, angle = 2 * math.pi / period_px, math.radians(degrees)
    x = np.exp(1j * (np.arange(shape[1]) * turn * math.cos(angle) + phase)).astype(np.complex64)
    y = np.exp(1j * np.arange(shape[0]) * turn * math.sin(angle)).astype(np.complex64)
    real: npt.NDArray[np.float32] = np.outer(y.real, x.real) - np.outer(y.imag, x.imag)
    return real


def dots(
    values: npt.NDArray[Any], period_px: float, degrees: float, edge: float = 6.0
) -> npt.NDArray[np.float32]:
    """(H, W) of 0 to 1 as a halftone of round dots, 0 to 1: the lighter, the smaller."""
    both = wave(values.shape, period_px, degrees) + wave(values.shape, period_px, degrees + 90)
    return np.clip((values - both / 4 - 0.5) * edge + 0.5, 0, 1).astype(np.float32)


def halftone(px: float, degrees: float, soft_px: float = 0.0) -> Spoiler:
    """Black dots at this distance, smoothed by a blur of this deviation."""

    def change(scene: Scene) -> Image:
        gray = gray_of(scene.image).astype(np.float32) / 255
        print_ = 255 * dots(gray, max(2.0, px * scene.frame.unit), degrees)
        return three(cv2.GaussianBlur(print_, (0, 0), soft_px) if soft_px else print_)

    return nearby(change)


def lines(px: float, duty: float, value: int, *, vertical: bool = False) -> Spoiler:
    """Lines of one gray value at this distance; ``duty`` is the share that they cover."""

    def change(scene: Scene) -> Image:
        period = max(2, round(px * scene.frame.unit))
        image = scene.image.copy()
        across = image.swapaxes(0, 1) if vertical else image
        for row in range(max(1, round(period * duty))):
            across[row::period] = value
        return image

    return nearby(change)


def edges(strength: float) -> Spoiler:
    """A drawing of the edges, dark on white."""

    def change(scene: Scene) -> Image:
        gray = cv2.GaussianBlur(gray_of(scene.image), (0, 0), 1.2).astype(np.float32)
        slope = np.hypot(cv2.Sobel(gray, -1, 1, 0), cv2.Sobel(gray, -1, 0, 1))
        return three(255 - strength * slope)

    return nearby(change)


def emboss() -> Spoiler:
    """A relief, lit from the top left."""
    kernel = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], np.float32)

    def change(scene: Scene) -> Image:
        relief = cv2.filter2D(gray_of(scene.image).astype(np.float32), -1, kernel)
        return three(relief * 0.6 + 60)

    return nearby(change)


# ---- bent ----------------------------------------------------------------------------------------


def moved(image: Image, across: npt.NDArray[Any], down: npt.NDArray[Any]) -> Image:
    """The picture with each pixel taken from elsewhere: offsets that broadcast to (H, W)."""
    height, width = image.shape[:2]
    x = np.arange(width, dtype=np.float32) + np.zeros((height, 1), np.float32) + across
    y = np.arange(height, dtype=np.float32)[:, None] + np.zeros((1, width), np.float32) + down
    maps = (np.asarray(value, np.float32) for value in (x, y))
    return cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def frosted(px: float) -> Spoiler:
    """Each pixel from another one up to so far away: frosted glass."""

    def change(scene: Scene) -> Image:
        drawn = scene.random().random((2, *scene.image.shape[:2]), dtype=np.float32)
        across, down = (2 * drawn - 1) * np.float32(px * scene.frame.unit)
        return moved(scene.image, across, down)

    return nearby(change)


def waves(px: float, period_px: float) -> Spoiler:
    """Bent to and fro by so much, across and down."""

    def change(scene: Scene) -> Image:
        height, width = scene.image.shape[:2]
        far, turn = px * scene.frame.unit, 2 * math.pi / (period_px * scene.frame.unit)
        across = far * np.sin(turn * np.arange(height))[:, None]
        return moved(scene.image, across, far * np.sin(turn * np.arange(width)))

    return nearby(change)


def ghost(px: float, share: float) -> Spoiler:
    """A second picture beside the first, of this share of the light."""

    def change(scene: Scene) -> Image:
        far = px * scene.frame.unit
        by = np.array([[1, 0, far], [0, 1, 0.4 * far]], np.float32)
        height, width = scene.image.shape[:2]
        second = cv2.warpAffine(scene.image, by, (width, height), borderMode=cv2.BORDER_REFLECT)
        return cv2.addWeighted(scene.image, 1 - share, second, share, 0)

    return nearby(change)
