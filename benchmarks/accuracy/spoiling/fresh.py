"""Kinds to judge by that nothing was chosen on: glass, signals and heads wrapped in other ways.

The families of ``more`` are of the same nature, and draw none of these: the lenses, faults,
outlines and textures here are of other forms.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from lineament.types import Image
from spoiling import pixels
from spoiling.covers import Color, Outline, Patch, Texture, cover, ellipse, rectangle, solid
from spoiling.frame import Points, Scene, Spoiler, as_uint8, chain, nearby
from spoiling.pixels import moved

# ---- glass, air, paper ---------------------------------------------------------------------------


def _from_eyes(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) each: nominal pixels from the point between the eyes."""
    height, width = scene.image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    left, top = scene.frame.origin
    return (x - left) / scene.frame.unit, (y - top) / scene.frame.unit


def honeycomb(px: float, bend: float) -> Spoiler:
    """Hexagonal lenses that touch: each bends towards its own middle."""

    def change(scene: Scene) -> Image:
        x, y = _from_eyes(scene)
        row = px * math.sqrt(3)
        one = np.stack([(x + px / 2) % px - px / 2, (y + row / 2) % row - row / 2])
        other = np.stack([x % px - px / 2, y % row - row / 2])
        near = np.where((one**2).sum(0) < (other**2).sum(0), one, other)
        far = near * np.float32(bend * scene.frame.unit)
        return moved(scene.image, far[0], far[1])

    return nearby(change)


def drops(many: int, px: float) -> Spoiler:
    """Drops on a pane: round lenses of many sizes that turn the picture upside down."""
    rng = np.random.default_rng(11)
    middles = rng.uniform(-110, 110, (many, 2))
    radii = rng.uniform(0.4, 1.4, many) * px

    def change(scene: Scene) -> Image:
        x, y = _from_eyes(scene)
        across, down = np.zeros_like(x), np.zeros_like(y)
        for (left, top), radius in zip(middles, radii, strict=True):
            right, below = x - np.float32(left), y - np.float32(top)
            inside = right**2 + below**2 < radius**2
            across, down = (
                np.where(inside, -1.7 * right, across),
                np.where(inside, -1.7 * below, down),
            )
        unit = scene.frame.unit
        return moved(scene.image, across * unit, down * unit)

    return nearby(change)


def haze(px: float, size_px: float) -> Spoiler:
    """Hot air: another smooth bend in each photo, and a little blur."""

    def change(scene: Scene) -> Image:
        unit, (height, width) = scene.frame.unit, scene.image.shape[:2]
        small = max(3, round(height / (size_px * unit))), max(3, round(width / (size_px * unit)))
        coarse = scene.random().standard_normal((*small, 2), dtype=np.float32)
        far = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * (px * unit)
        bent = moved(scene.image, far[..., 0], far[..., 1])
        return cv2.GaussianBlur(bent, (0, 0), unit)

    return nearby(change)


def pleated(px: float, degrees: float) -> Spoiler:
    """A print in folds: the picture goes to and fro across each, one side in the shade."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def change(scene: Scene) -> Image:
        x, y = _from_eyes(scene)
        at = (c * x + s * y) / px % 1
        far = (np.abs(at - 0.5) - 0.25) * np.float32(1.3 * px * scene.frame.unit)
        folded = moved(scene.image, c * far, s * far)
        return as_uint8(folded * np.where(at < 0.5, 1.0, 0.65)[..., None])

    return nearby(change)


def stairs(px: float, far_px: float) -> Spoiler:
    """Strips of a poster glued too high and too low, in turns of three."""

    def change(scene: Scene) -> Image:
        x, _ = _from_eyes(scene)
        step = np.float32((0.0, 1.0, -0.6))[np.floor(x / px).astype(np.int64) % 3]
        return moved(scene.image, np.zeros(1), step * np.float32(far_px * scene.frame.unit))

    return nearby(change)


# ---- signals -------------------------------------------------------------------------------------


def raw_sensor(px: float) -> Spoiler:
    """A sensor's own pixels, each red, green or blue, large enough to be seen."""

    def change(scene: Scene) -> Image:
        height, width = scene.image.shape[:2]
        side = max(2, round(px * scene.frame.unit))
        small = cv2.resize(
            scene.image, (width // side + 1, height // side + 1), interpolation=cv2.INTER_AREA
        )
        sensor = np.zeros_like(small)
        for top, left, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
            sensor[top::2, left::2, channel] = small[top::2, left::2, channel]
        large = cv2.resize(sensor, None, fx=side, fy=side, interpolation=cv2.INTER_NEAREST)
        return as_uint8(large[:height, :width].astype(np.float32) * 2)

    return nearby(change)


def worn_tape() -> Spoiler:
    """A copy of a copy: slanted at the bottom, colors late and washed out, bright noise in bars."""

    def change(scene: Scene) -> Image:
        rng, unit = scene.random(), scene.frame.unit
        height = len(scene.image)
        rows = np.arange(height, dtype=np.float32)
        slant = np.clip((rows / height - 0.55) * 40, 0, None) + 2 * np.sin(rows / (5 * unit))
        parts = cv2.cvtColor(
            moved(scene.image, (slant * unit)[:, None], np.zeros(1)), cv2.COLOR_RGB2YCrCb
        )
        late = np.roll(cv2.GaussianBlur(parts[..., 1:], (0, 0), 6 * unit), round(9 * unit), axis=1)
        parts[..., 1:] = late
        image = cv2.cvtColor(parts, cv2.COLOR_YCrCb2RGB).astype(np.float32)
        image = cv2.GaussianBlur(image, (0, 0), sigmaX=1.8 * unit, sigmaY=0.4)
        for top in rng.integers(0, height, 3):
            bar = slice(int(top), int(top) + max(2, round(5 * unit)))
            image[bar] += 90 * rng.random((*image[bar].shape[:2], 1), dtype=np.float32)
        return as_uint8(image + 7 * rng.standard_normal(image.shape, dtype=np.float32))

    return nearby(change)


def flicker() -> Spoiler:
    """Lamps that flicker under a rolling shutter: soft bands, warm and cold, across the picture."""

    def change(scene: Scene) -> Image:
        phase = 2 * math.pi * scene.random().random()
        rows = np.arange(scene.image.shape[0]) / (38 * scene.frame.unit) * 2 * math.pi + phase
        light = np.stack([1 + 0.55 * np.sin(rows + shift) for shift in (0.0, 0.5, 1.1)], axis=1)
        return as_uint8(scene.image * light[:, None])

    return nearby(change)


def stream_errors() -> Spoiler:
    """Slices of a video lost: moved, without detail, their colors turned green and pink."""
    drawn = np.random.default_rng(5)
    slices = [
        (int(t), int(h), int(f)) for t, h, f in drawn.integers((0, 5, -30), (270, 22, 30), (9, 3))
    ]

    def change(scene: Scene) -> Image:
        unit, image = scene.frame.unit, scene.image.copy()
        for number, (top, high, far) in enumerate(slices):
            rows = slice(round(top * unit), round((top + high) * unit))
            part = np.roll(scene.image[rows], round(far * unit), axis=1).astype(np.float32)
            if part.size:
                coarse = cv2.blur(part, (max(1, round(12 * unit)), 1))
                tint = ((0, 45, -10), (50, -25, 40), (0, 0, 0))[number % 3]
                image[rows] = as_uint8(coarse + np.float32(tint))
        return image

    return nearby(change)


def little_color(px: float) -> Spoiler:
    """Color in large squares, much too strong, under a picture of few grays."""

    def change(scene: Scene) -> Image:
        parts = cv2.cvtColor(scene.image, cv2.COLOR_RGB2YCrCb)
        height, width = parts.shape[:2]
        side = max(2, round(px * scene.frame.unit))
        color = cv2.resize(
            parts[..., 1:], (width // side + 1, height // side + 1), interpolation=cv2.INTER_AREA
        )
        large = cv2.resize(color, (width, height), interpolation=cv2.INTER_NEAREST)
        parts[..., 1:] = as_uint8((large.astype(np.float32) - 128) * 2.4 + 128)
        parts[..., 0] = parts[..., 0] // 36 * 36 + 18
        return cv2.cvtColor(parts, cv2.COLOR_YCrCb2RGB)

    return nearby(change)


# ---- cloth ---------------------------------------------------------------------------------------


def _two(where: np.ndarray, color: Color, other: Color) -> np.ndarray:
    return np.where(where[..., None], np.float32(color), np.float32(other))


def houndstooth(color: Color, other: Color, period: float) -> Texture:
    """Broken checks."""

    def fill(patch: Patch) -> np.ndarray:
        u, v = (w % 1 for w in patch.along(0, period))
        diagonal = (u - v) * 2 % 1 < 0.5
        both = (u < 0.5) & (v < 0.5)
        neither = (u >= 0.5) & (v >= 0.5)
        return _two(both | (~neither & diagonal), color, other)

    return fill


def knitted(color: Color, other: Color, period: float) -> Texture:
    """Stitches like small hearts, in rows of two colors."""

    def fill(patch: Patch) -> np.ndarray:
        u, v = patch.along(0, period)
        slope = np.abs(u % 1 - 0.5)
        stitch = (v - slope) % 1
        light = (0.7 + 0.4 * np.sin(math.pi * stitch))[..., None]
        return light * _two(np.floor(v - slope) % 4 < 2, color, other)

    return fill


def bricks(color: Color, joint: Color, period: float) -> Texture:
    """A wall."""

    def fill(patch: Patch) -> np.ndarray:
        u, v = patch.along(0, period)
        row = np.floor(v * 2)
        return _two(((u + row / 2) % 1 < 0.08) | (v * 2 % 1 < 0.16), joint, color)

    return fill


def roses(color: Color, other: Color, period: float) -> Texture:
    """Flowers of five petals."""

    def fill(patch: Patch) -> np.ndarray:
        u, v = patch.along(20, period)
        u, v = u % 1 - 0.5, v % 1 - 0.5
        petal = 0.3 + 0.12 * np.cos(5 * np.arctan2(v, u))
        radius = np.hypot(u, v)
        made = _two(radius < petal, color, other)
        return np.where((radius < 0.1)[..., None], np.float32((240, 210, 70)), made)

    return fill


def lettering(color: Color, other: Color) -> Texture:
    """Rows of strokes of random heights and gaps: print."""
    rng = np.random.default_rng(9)
    strokes = rng.random((64, 64)) < 0.55

    def fill(patch: Patch) -> np.ndarray:
        u, v = patch.along(-8, 0.24)
        row, column = np.floor(v).astype(np.int64) % 64, np.floor(u * 6).astype(np.int64) % 64
        inside = (v % 1 > 0.2) & (v % 1 < 0.8)
        return _two(strokes[row, column] & inside, color, other)

    return fill


# ---- what is worn --------------------------------------------------------------------------------

_BLACK, _WHITE = (20.0, 18.0, 20.0), (232.0, 230.0, 224.0)


def _frill() -> list[Outline]:
    """A bonnet with a scalloped border about the face, tied under the chin."""
    angles = np.linspace(0, 2 * math.pi, 120)
    radius = 1 + 0.08 * np.cos(12 * angles)
    hole = [
        [0.84 * r * math.cos(a), 0.42 + 1.0 * r * math.sin(a)]
        for a, r in zip(angles, radius, strict=True)
    ]
    outer = ellipse(0, 0.2, 2.0, 2.3, 40)
    return [[*outer, outer[0], *reversed(hole), hole[-1], outer[0]]]


_KEFFIYEH: list[Outline] = [
    [[-1.9, -0.9], [-0.7, -0.45], [0.75, -0.62], [1.9, -0.9], [1.4, -2.1], [-1.4, -2.1]],
    [[-0.72, -0.5], [-0.85, 0.7], [-0.6, 2.8], [-2.3, 2.8], [-1.9, -0.9]],
    [[0.75, -0.62], [0.95, 0.5], [0.2, 1.7], [-0.7, 1.9], [-0.6, 2.8], [2.3, 2.8], [1.9, -0.9]],
]
_BANDANA: list[Outline] = [
    [[-1.15, 0.15], [0, 0.38], [1.15, 0.15], [0.9, 1.3], [0, 2.6], [-0.9, 1.3]]
]
_BALACLAVA: list[Outline] = [
    [
        *rectangle(-1.8, -1.9, 1.8, 3.0),
        [-1.8, -1.9],
        *reversed(rectangle(-0.85, -0.34, 0.85, 0.3)),
        [-0.85, 0.3],
        [-1.8, -1.9],
    ],
]
_BEANIE: list[Outline] = [
    [[-1.25, -0.2], [1.25, -0.2], [1.2, -0.7], [1.0, -1.5], [0, -1.9], [-1.0, -1.5], [-1.2, -0.7]],
    [[-1.6, 1.0], [0, 1.28], [1.6, 1.0], [1.9, 3.0], [-1.9, 3.0]],
]
_WIMPLE: list[Outline] = [
    rectangle(-1.7, -2.1, 1.7, -0.3),
    rectangle(-1.7, -0.3, -0.8, 3.0),
    rectangle(0.8, -0.3, 1.7, 3.0),
    [[-0.8, 1.1], [0, 1.5], [0.8, 1.1], [0.8, 3.0], [-0.8, 3.0]],
]
_LOCKS: list[Outline] = [
    [[x, -1.7], [x + 0.16, -1.7], [x + lean + 0.2, low], [x + lean + 0.04, low + 0.1]]
    for x, lean, low in (
        *((-1.2, 0.05, 2.2), (-1.0, 0.1, 1.4), (-0.75, -0.1, 0.9), (-0.45, 0.15, -0.1)),
        *(
            (-0.15, -0.2, 0.5),
            (0.2, 0.1, -0.2),
            (0.5, 0.2, 1.1),
            (0.85, -0.05, 1.8),
            (1.1, 0.1, 2.3),
        ),
    )
]
_SUN_HAT: list[Outline] = [
    [
        [-2.2, -0.55],
        [-0.9, -0.2],
        [0, -0.12],
        [0.9, -0.2],
        [2.2, -0.55],
        [1.0, -0.75],
        [0.8, -1.6],
        [-0.8, -1.6],
        [-1.0, -0.75],
    ]
]


def _shaded(spoiler: Spoiler, low: float) -> Spoiler:
    """Also dark from the eyes' height up: a brim's shadow."""

    def spoil(image: Image, five: Points) -> Image:
        shade = cover([rectangle(-1.6, -1.0, 1.6, low)], solid((0, 0, 0)), 0.12)
        dark = cv2.addWeighted(image, 0.4, shade(image, five), 0.6, 0)
        return spoiler(dark, five)

    return spoil


GLASS: dict[str, Spoiler] = {
    "honeycomb": honeycomb(17, 0.75),
    "honeycomb, fine": honeycomb(9, 0.9),
    "drops on glass": drops(70, 11),
    "hot air": haze(4.5, 15),
    "folded print": pleated(19, 25),
    "poster strips": stairs(12, 9),
}
SIGNALS: dict[str, Spoiler] = {
    "raw sensor": raw_sensor(2.5),
    "worn tape": worn_tape(),
    "flicker": flicker(),
    "stream errors": stream_errors(),
    "little color": little_color(18),
    "worn tape, JPEG 15": chain(worn_tape(), pixels.jpeg(15)),
}
WORN: dict[str, Spoiler] = {
    "bonnet of roses": cover(_frill(), roses((200, 60, 80), (235, 225, 205), 0.4)),
    "keffiyeh": cover(_KEFFIYEH, houndstooth((150, 25, 30), _WHITE, 0.22)),
    "bandana": cover(_BANDANA, roses(_WHITE, (30, 40, 110), 0.28)),
    "knitted balaclava": cover(_BALACLAVA, knitted((60, 70, 90), (170, 60, 40), 0.14)),
    "beanie and snood": cover(_BEANIE, knitted((120, 120, 60), (60, 90, 70), 0.2)),
    "wimple, lettered": cover(_WIMPLE, lettering(_BLACK, (225, 205, 160))),
    "behind a wall": cover(_WIMPLE, bricks((150, 70, 50), (190, 180, 170), 0.5)),
    "locks of hair": cover(_LOCKS, lettering((45, 30, 22), (70, 48, 34)), 0.02),
    "sun hat": _shaded(cover(_SUN_HAT, knitted((215, 190, 130), (190, 160, 100), 0.1)), 0.25),
}
