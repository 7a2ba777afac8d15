"""What lies on paper or glows on a screen: planes of linear light, finer than a camera's pixels."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
"""(H, W, 3) float32, RGB, linear light: 0 is none, 1 is white paper or a white screen."""
Rng = np.random.Generator

GAMMA = 2.2
SUBPIXELS = 3
"""A display's pixel is so many columns, one of each color, and as many rows."""
INK_ANGLES_DEG = (15.0, 75.0, 0.0, 45.0)
"""Of the screens of cyan, magenta, yellow and black in print (DIN 16547)."""


def linear(pixels: npt.NDArray[np.uint8]) -> Plane:
    """Linear light of pixels."""
    table = ((np.arange(256) / 255.0) ** GAMMA).astype(np.float32)
    return table[pixels]


def resized(plane: Plane, size_wh: tuple[int, int]) -> Plane:
    """Of another size: averaged where it shrinks."""
    shrinks = size_wh[0] < plane.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.clip(cv2.resize(plane, size_wh, interpolation=how), 0, 1)


def toned(
    plane: Plane, *, black: float, white: float, saturation: float, warmth: float, contrast: float
) -> Plane:
    """As a medium renders it: its black and white, fewer colors, a cast.

    Args:
        plane: in linear light.
        black, white: what 0 and 1 become.
        saturation: 0 is gray, 1 leaves colors as they are.
        warmth: red is multiplied by 1 + this, blue by 1 - this.
        contrast: exponent; above 1 dark parts grow darker.
    """
    gray = plane @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    mixed = gray[..., None] + np.float32(saturation) * (plane - gray[..., None])
    bent = np.clip(mixed, 0, 1) ** np.float32(contrast)
    cast = np.array([1 + warmth, 1.0, 1 - warmth], np.float32)
    return np.asarray((black + (white - black) * bent) * cast, np.float32)


def screen(plane: Plane, width_px: int, gap: float) -> Plane:
    """On a display whose pixels are so many across: three columns of one color each.

    Args:
        plane: what is shown.
        width_px: the display's pixels across the plane.
        gap: how dark the rows between pixels are, 0 (as bright) to 1 (black).
    """
    height_px = max(1, round(width_px * plane.shape[0] / plane.shape[1]))
    shown = resized(plane, (width_px, height_px))
    n = SUBPIXELS
    fine = np.repeat(np.repeat(shown, n, 0), n, 1)
    mask = np.zeros((n, n, 3), np.float32)
    for color in range(3):
        mask[:, color, color] = 3.0
        mask[:, (color + 1) % 3, color] = 0.15
    mask[n - 1] *= 1 - gap
    mask /= mask.mean((0, 1), keepdims=True)
    return fine * np.tile(mask, (height_px, width_px, 1))


def halftone(plane: Plane, period: float, black_share: float) -> Plane:
    """Printed in dots of four inks: amplitude modulated screens at their usual angles.

    Args:
        plane: reflectance, 0 to 1; its resolution is that of the printer.
        period: of the screens, in pixels of the plane.
        black_share: how much of the gray is printed in black.
    """
    height, width = plane.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    ink = 1 - np.clip(plane, 0, 1) ** (1 / GAMMA)
    black = black_share * ink.min(2)
    inks = [*np.moveaxis((ink - black[..., None]) / (1 - black[..., None] + 1e-3), 2, 0), black]
    printed = np.ones((height, width, 3), np.float32)
    for number, (amount, angle_deg) in enumerate(zip(inks, INK_ANGLES_DEG, strict=True)):
        c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
        k = 2 * np.pi / period
        wave = (np.cos(k * (c * x + s * y)) + np.cos(k * (c * y - s * x))) / 2
        # The share of the plane where the wave is above a level is nearly linear in its arcsine.
        level = np.arcsin(np.clip(wave, -1, 1)) / np.pi + 0.5
        dot = np.clip((amount - (1 - level)) * 6 + 0.5, 0, 1)
        if number < 3:
            printed[..., number] *= 1 - 0.92 * dot
        else:
            printed *= 1 - 0.95 * dot[..., None]
    return printed ** np.float32(GAMMA / 1.6)


def paper(plane: Plane, rng: Rng, strength: float) -> Plane:
    """With the grain of paper: uneven brightness at several scales."""
    height, width = plane.shape[:2]
    grain = np.zeros((height, width), np.float32)
    for scale in (2, 5, 13):
        size = (max(2, width // scale), max(2, height // scale))
        coarse = rng.normal(0, 1, size[::-1]).astype(np.float32)
        grain += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return plane * (1 + np.float32(strength) * grain[..., None] / np.sqrt(3))


def glossy(plane: Plane, rng: Rng, strength: float) -> Plane:
    """With a lamp's reflection: a soft, bright, colorless spot or stripe somewhere."""
    height, width = plane.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    at, angle = rng.uniform(0.1, 0.9, 2), rng.uniform(0, np.pi)
    along, across = rng.uniform(0.15, 0.9), rng.uniform(0.05, 0.2)
    u, v = x / width - at[0], y / height - at[1]
    p, q = u * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - u * np.sin(angle)
    spot = np.exp(-((p / along) ** 2) - (q / across) ** 2)
    return plane + np.float32(strength) * spot[..., None].astype(np.float32)
