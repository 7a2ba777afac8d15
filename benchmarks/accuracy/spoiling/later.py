"""More kinds to judge by, made when kinds of ``fresh`` had been looked at and families added.

Nothing was chosen on these: facets, rings of lenses, beads, crumpled paper, lamps of two colors,
the shade of leaves, and heads covered in other shapes and patterns than any that is drawn.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from lineament.types import Image
from spoiling import pixels
from spoiling.covers import Color, Outline, Patch, Texture, cover, ellipse, rectangle, solid
from spoiling.frame import Scene, Spoiler, as_uint8, chain, nearby
from spoiling.media import veil
from spoiling.pixels import moved

# ---- glass and paper -----------------------------------------------------------------------------


def _from_nose(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) each: nominal pixels from the nose."""
    height, width = scene.image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    left, top = scene.frame.points([[0, 0.5]])[0]
    return (x - np.float32(left)) / scene.frame.unit, (y - np.float32(top)) / scene.frame.unit


def facets(many: int, far_px: float) -> Spoiler:
    """A prism before the lens: wedges about the nose, each moved outwards."""

    def change(scene: Scene) -> Image:
        x, y = _from_nose(scene)
        turn = 2 * math.pi / many
        middle = (np.floor(np.arctan2(y, x) / turn) + 0.5) * turn
        far = np.float32(far_px * scene.frame.unit)
        return moved(scene.image, far * np.cos(middle), far * np.sin(middle))

    return nearby(change)


def fresnel(px: float, bend: float) -> Spoiler:
    """A flat lens of rings: within each the picture is drawn in, and starts anew at the next."""

    def change(scene: Scene) -> Image:
        x, y = _from_nose(scene)
        radius = np.hypot(x, y) + 1e-3
        far = (radius / px % 1 - 0.5) * np.float32(bend * px * scene.frame.unit)
        return moved(scene.image, far * x / radius, far * y / radius)

    return nearby(change)


def beads(px: float, gap_px: float) -> Spoiler:
    """A curtain of strings of glass beads, each of which turns the picture upside down."""

    def change(scene: Scene) -> Image:
        x, y = _from_nose(scene)
        step = px + gap_px
        string = np.floor(x / step)
        right = x - (string + 0.5) * step
        below = (y + string * 0.37 * px) % px - px / 2
        inside = right**2 + below**2 < (px / 2) ** 2
        unit = scene.frame.unit
        across, down = (np.where(inside, -1.8 * v, 0) * unit for v in (right, below))
        shine = np.where(inside & (right < 0) & (below < 0), 1.15, 1.0)
        return as_uint8(moved(scene.image, across, down) * shine[..., None])

    return nearby(change)


def crumpled(px: float, depth: float) -> Spoiler:
    """A print that was crumpled: triangles, each shaded and moved by its own slope."""
    slopes = np.random.default_rng(21).uniform(-1, 1, (64, 64, 2, 2)).astype(np.float32)

    def change(scene: Scene) -> Image:
        x, y = _from_nose(scene)
        u, v = x / px + 0.3 * y / px, y / px
        upper = (u % 1 + v % 1 > 1).astype(np.int64)
        slope = slopes[np.floor(v).astype(np.int64) % 64, np.floor(u).astype(np.int64) % 64, upper]
        far = 0.25 * px * scene.frame.unit * slope
        light = 1 + depth * (slope[..., 0] + slope[..., 1]) / 2
        return as_uint8(moved(scene.image, far[..., 0], far[..., 1]) * light[..., None])

    return nearby(change)


# ---- light ---------------------------------------------------------------------------------------


def two_lamps(color: Color, other: Color) -> Spoiler:
    """A stage: one color from the left, another one from the right, and nothing else."""

    def change(scene: Scene) -> Image:
        x, _ = _from_nose(scene)
        share = (1 / (1 + np.exp(-x / 9)))[..., None]
        gray = cv2.cvtColor(scene.image, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None]
        lamp = np.float32(color) * (1 - share) + np.float32(other) * share
        return as_uint8(gray * lamp / 150)

    return nearby(change)


def leaves(px: float, depth: float) -> Spoiler:
    """The shade of leaves: spots of sun, elsewhere in each photo."""

    def change(scene: Scene) -> Image:
        height, width = scene.image.shape[:2]
        size = max(3, round(height / (px * scene.frame.unit)))
        coarse = scene.random().standard_normal((size, size), dtype=np.float32)
        light = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        sun = 1 / (1 + np.exp(-8 * light))
        return as_uint8(scene.image * (1 - depth + 1.9 * depth * sun)[..., None])

    return nearby(change)


def double_exposure(share: float) -> Spoiler:
    """Exposed twice: the picture, and its mirror image."""

    def change(scene: Scene) -> Image:
        x, _ = _from_nose(scene)
        mirrored = moved(scene.image, -2 * x * scene.frame.unit, np.zeros(1))
        return cv2.addWeighted(scene.image, 1 - share, mirrored, share, 0)

    return nearby(change)


# ---- what is worn --------------------------------------------------------------------------------

_BLACK, _WHITE = (22.0, 20.0, 24.0), (238.0, 236.0, 228.0)


def _two(where: np.ndarray, color: Color, other: Color) -> np.ndarray:
    return np.where(where[..., None], np.float32(color), np.float32(other))


def paisley(color: Color, other: Color, period: float) -> Texture:
    """Drops with a bent tip, in rows that alternate."""

    def fill(patch: Patch) -> np.ndarray:
        u, v = patch.along(15, period)
        u, v = (u + np.floor(v) / 2) % 1 - 0.5, v % 1 - 0.5
        bent = u + 0.9 * v**2
        body = np.hypot(bent, np.maximum(v, 0) + 0.35 * np.minimum(v, 0)) / 0.26
        return _two((body < 1) & (np.abs(body - 0.62) > 0.12), color, other)

    return fill


def lace(color: Color, other: Color, period: float) -> Texture:
    """Scallops over each other, with holes."""

    def fill(patch: Patch) -> np.ndarray:
        u, v = patch.along(0, period)
        u, v = (u + np.floor(v) / 2) % 1 - 0.5, v % 1
        radius = np.hypot(u, v)
        return _two((np.abs(radius * 5 % 1 - 0.5) < 0.22) & (radius < 0.6), color, other)

    return fill


def herringbone(color: Color, other: Color, period: float) -> Texture:
    """Slanted strokes, in columns that lean to and fro."""

    def fill(patch: Patch) -> np.ndarray:
        u, v = patch.along(0, period)
        lean = np.where(np.floor(u) % 2 == 0, u % 1, 1 - u % 1)
        return _two((v * 2.5 + lean) % 1 < 0.5, color, other)

    return fill


def _hole(outer: Outline, *inner: Outline) -> Outline:
    """One outline with holes (even-odd rule)."""
    made = [*outer, outer[0]]
    for hole in inner:
        made += [*hole, hole[0], outer[0]]
    return made


_HOCKEY: list[Outline] = [
    _hole(
        ellipse(0, 0.42, 1.02, 1.5, 40),
        ellipse(-0.5, 0.02, 0.27, 0.17, 16),
        ellipse(0.5, 0.02, 0.27, 0.17, 16),
        *(
            ellipse(x, y, 0.07, 0.07, 8)
            for y in (0.85, 1.1, 1.35)
            for x in (-0.4, -0.13, 0.13, 0.4)
        ),
    )
]
_SHAWL: list[Outline] = [
    [[-1.8, -2.0], [1.8, -2.0], [1.5, -0.7], [0.5, -0.95], [-0.6, -0.5], [-0.95, 0.4], [-1.8, 1]],
    [
        [-1.8, 1.0],
        [-0.95, 0.4],
        [-0.75, 1.1],
        [0.1, 1.5],
        [1.1, 0.95],
        [1.9, 1.2],
        [1.9, 3],
        [-1.9, 3],
    ],
]
_VENETIAN: list[Outline] = [
    _hole(
        [
            [-1.25, -0.6],
            [0, -0.35],
            [1.25, -0.6],
            [1.05, 0.35],
            [0.35, 0.42],
            [0, 0.28],
            [-0.35, 0.42],
            [-1.05, 0.35],
        ],
        ellipse(-0.5, 0.02, 0.25, 0.13, 16),
        ellipse(0.5, 0.02, 0.25, 0.13, 16),
    )
]
_FRINGE: list[Outline] = [
    [
        [-1.3, -1.6],
        [1.3, -1.6],
        [1.35, 1.3],
        [1.0, 1.3],
        [0.92, -0.1],
        [-0.92, -0.1],
        [-1.0, 1.3],
        [-1.35, 1.3],
    ],
]
_CHIN_REST: list[Outline] = [
    [
        [-1.7, 1.0],
        [-0.6, 0.78],
        [-0.5, 1.0],
        [0.5, 1.0],
        [0.6, 0.78],
        [1.7, 1.0],
        [1.7, 3],
        [-1.7, 3],
    ],
]
_POLE: list[Outline] = [rectangle(-0.22, -2.2, 0.26, 3.0)]

GLASS: dict[str, Spoiler] = {
    "facets": facets(5, 8),
    "lens of rings": fresnel(11, 0.8),
    "bead curtain": beads(13, 3),
    "crumpled print": crumpled(16, 0.55),
}
LIGHT: dict[str, Spoiler] = {
    "two lamps": two_lamps((230, 30, 60), (20, 70, 240)),
    "shade of leaves": leaves(14, 0.75),
    "exposed twice": double_exposure(0.4),
    "two lamps, JPEG 12": chain(two_lamps((250, 170, 40), (30, 200, 160)), pixels.jpeg(12)),
}
WORN: dict[str, Spoiler] = {
    "hockey mask": cover(_HOCKEY, solid(_WHITE)),
    "paisley shawl": cover(_SHAWL, paisley((170, 40, 50), (30, 40, 80), 0.34)),
    "mask of lace": cover(_VENETIAN, lace((200, 170, 60), _BLACK, 0.2)),
    "fringe": cover(_FRINGE, herringbone((70, 48, 30), (104, 74, 46), 0.11), 0.03),
    "herringbone collar": cover(_CHIN_REST, herringbone(_BLACK, (150, 146, 138), 0.16)),
    "net of lace": veil(
        cover([ellipse(0, 0.4, 1.2, 1.7, 40)], lace(_BLACK, _WHITE, 0.26), 0.05), 0.5
    ),
    "behind a pole": cover(_POLE, herringbone((220, 190, 30), _BLACK, 0.4)),
}
