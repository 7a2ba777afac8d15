"""Bent pictures: glass, water, torn film. Lengths are in pixels as in ``pixels``.

Each takes every pixel from elsewhere, by offsets that belong to the glass and not to the photo, so
that all faces are bent alike.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from lineament.types import Image
from spoiling.frame import Scene, Spoiler, nearby
from spoiling.pixels import moved

Offsets = npt.NDArray[np.float32]

Profile = Literal["round", "sharp", "cubic"]


def _about(scene: Scene) -> tuple[Offsets, Offsets]:
    """(1, W) and (H, 1): from the point between the eyes, in nominal pixels."""
    height, width = scene.image.shape[:2]
    x, y = (
        (np.arange(n, dtype=np.float32) - np.float32(at)) / np.float32(scene.frame.unit)
        for n, at in zip((width, height), scene.frame.origin, strict=True)
    )
    return x[None], y[:, None]


def _bent(scene: Scene, across: Any, down: Any) -> Image:
    """By offsets in nominal pixels."""
    unit = scene.frame.unit
    return moved(scene.image, across * unit, down * unit)


def _noise(shape: tuple[int, int], seed: int) -> Offsets:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def reeded(px: float, bend: float, degrees: float, profile: Profile = "sharp") -> Spoiler:
    """Seen through ribs of glass at this distance, each a lens across its own direction.

    Args:
        px: width of a rib.
        bend: offset at the border of a rib, in halves of its width.
        degrees: direction across the ribs.
        profile: how the offset grows from the middle of a rib: "sharp" evenly, so that ribs do not
            join; "round" as a sine, so that they do; "cubic" at the border only.
    """
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def change(scene: Scene) -> Image:
        x, y = _about(scene)
        at = (c * x + s * y) / px % 1 * 2 - 1
        grown = {"sharp": at, "round": np.sin(math.pi * at), "cubic": at**3}[profile]
        far = grown * (bend * px / 2)
        return _bent(scene, c * far, s * far)

    return nearby(change)


def ripples(px: float, period_px: float, x: float, y: float) -> Spoiler:
    """Rings of waves about a point, in distances of the eyes from the middle between them."""

    def change(scene: Scene) -> Image:
        right, down = _about(scene)
        right, down = right - 45 * x, down - 45 * y
        radius = np.hypot(right, down) + 1
        far = px * np.sin(radius * (2 * math.pi / period_px)) / radius
        return _bent(scene, far * right, far * down)

    return nearby(change)


def bubbles(px: float, bend: float) -> Spoiler:
    """Round lenses in a hexagonal grid; nothing is bent between them."""

    def change(scene: Scene) -> Image:
        x, y = _about(scene)
        row = np.floor(y / (px * 0.866))
        right = (x / px + row / 2) % 1 - 0.5
        down = (y / (px * 0.866) % 1 - 0.5) * 0.866
        depth = np.clip(1 - 4.4 * (right**2 + down**2), 0, None) * (bend * px)
        return _bent(scene, right * depth, down * depth)

    return nearby(change)


def shards(px: float, far_px: float, seed: int) -> Spoiler:
    """A broken pane: pieces of about this width, each of which moves the picture by its own way."""
    rng = np.random.default_rng(seed)
    middles = rng.uniform(-135, 135, (max(4, round((270 / px) ** 2)), 2)).astype(np.float32)
    offsets = rng.normal(0, far_px, (len(middles), 2)).astype(np.float32)

    def change(scene: Scene) -> Image:
        x, y = _about(scene)
        grid = np.arange(-135, 135, 3, dtype=np.float32)  # which piece: looked up on a coarse grid
        apart = (grid[None, :, None] - middles[:, 0]) ** 2 + (
            grid[:, None, None] - middles[:, 1]
        ) ** 2
        piece = apart.argmin(axis=2)
        column, row = (np.clip((v + 135) / 3, 0, len(grid) - 1).astype(np.int64) for v in (x, y))
        far = offsets[piece[row, column]]
        return _bent(scene, far[..., 0], far[..., 1])

    return nearby(change)


def wobble(px: float, size_px: float, seed: int) -> Spoiler:
    """Uneven glass: smooth offsets of this deviation, their swells of this size."""
    fields = [_noise((64, 64), seed + number) for number in range(2)]

    def change(scene: Scene) -> Image:
        x, y = _about(scene)
        shape = scene.image.shape[:2]
        maps = [
            np.ascontiguousarray(np.broadcast_to(v / size_px % 64, shape), np.float32)
            for v in (x, y)
        ]
        far = [cv2.remap(f, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP) for f in fields]
        return _bent(scene, px / 0.75 * far[0], px / 0.75 * far[1])

    return nearby(change)


def torn(px: float, band_px: float, *, vertical: bool = False, wander: float = 0.0) -> Spoiler:
    """Bands of this width moved along themselves by chance: each by itself, or wandering.

    Args:
        px: deviation of the offsets.
        band_px: width of a band.
        vertical: whether bands lead down.
        wander: what a band keeps of the offset of the one before, 0 to 1.
    """

    def change(scene: Scene) -> Image:
        x, y = _about(scene)
        along = x[0] if vertical else y[:, 0]
        steps = scene.random().normal(0, px, 400)
        for number in range(1, len(steps)):
            steps[number] = wander * steps[number - 1] + math.sqrt(1 - wander**2) * steps[number]
        far = steps[(np.floor(along / band_px).astype(np.int64) + 200) % 400].astype(np.float32)
        still = np.zeros(1, np.float32)
        return _bent(scene, still, far) if vertical else _bent(scene, far[:, None], still)

    return nearby(change)


def lens(bend: float, x: float, y: float, reach: float) -> Spoiler:
    """One large lens about a point: it enlarges (``bend`` below 0) or shrinks.

    Args:
        bend: share of the distance from the middle that is added there.
        x, y: the middle, in distances of the eyes.
        reach: radius, likewise.
    """

    def change(scene: Scene) -> Image:
        right, down = _about(scene)
        right, down = right - 45 * x, down - 45 * y
        inside = np.clip(1 - np.hypot(right, down) / (45 * reach), 0, 1)
        return _bent(scene, bend * inside * right, bend * inside * down)

    return nearby(change)


def swirl(degrees: float, reach: float) -> Spoiler:
    """Turned about the nose, less and less up to this radius in distances of the eyes."""

    def change(scene: Scene) -> Image:
        x, y = _about(scene)
        down = y - 22
        angle = math.radians(degrees) * np.clip(1 - np.hypot(x, down) / (45 * reach), 0, 1)
        c, s = np.cos(angle), np.sin(angle)
        return _bent(scene, c * x - s * down - x, s * x + c * down - down)

    return nearby(change)


def tiled(px: float, bend: float, degrees: float) -> Spoiler:
    """Cells of a slanted grid, in each of which the picture is turned about the cell's middle."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def change(scene: Scene) -> Image:
        x, y = _about(scene)
        u = ((c * x + s * y) / px % 1 - 0.5) * px
        v = ((c * y - s * x) / px % 1 - 0.5) * px
        return _bent(scene, -bend * v, bend * u)

    return nearby(change)


def lattice(px: float, bend: float, slant: float, stretch: float, degrees: float) -> Spoiler:
    """Lenses that touch, each about a point of a lattice: every pixel belongs to the nearest point.

    Args:
        px: distance of the points in a row.
        bend: offset at a distance of 1 px from the point, towards it (below 0: away from it).
        slant: by how much of ``px`` each row is moved against the one before.
        stretch: distance of the rows, in ``px``.
        degrees: direction of the rows.
    """
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def change(scene: Scene) -> Image:
        x, y = _about(scene)
        u, v = (c * x + s * y) / px, (c * y - s * x) / px
        row = np.floor(v / stretch)
        right, down, least = np.zeros_like(u), np.zeros_like(u), np.full_like(u, np.inf)
        for number in (row, row + 1):
            left = u - slant * number
            left, below = left - np.rint(left), v - stretch * number
            far = left**2 + below**2
            near = far < least
            right, down = np.where(near, left, right), np.where(near, below, down)
            least = np.minimum(least, far)
        by = np.float32(bend * px)
        return _bent(scene, by * (c * right - s * down), by * (s * right + c * down))

    return nearby(change)


def strips(px: float, far_px: float, degrees: float, steps: tuple[float, ...]) -> Spoiler:
    """Strips of this width, each moved along itself by the next of ``steps`` times ``far_px``.

    What is moved belongs to the strips and not to the photo: posters, blinds, offset mirrors.
    """
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def change(scene: Scene) -> Image:
        x, y = _about(scene)
        strip = np.floor((c * x + s * y) / px).astype(np.int64) % len(steps)
        far = np.float32(steps)[strip] * np.float32(far_px)
        return _bent(scene, -s * far, c * far)

    return nearby(change)
