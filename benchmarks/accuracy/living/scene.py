"""Surfaces of triangles that carry a picture, and what a pinhole camera sees of them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

WIDTH, HEIGHT = 320, 240
FOCAL_PX = 384.0
"""Of the camera; the frame is 45 degrees wide. Lengths are in distances between the eyes, so that
eyes eight of them away (half a meter) are 48 pixels apart."""

NOISE, FLICKER = 2.0, 0.01
"""Of the sensor: standard deviations of a pixel in gray levels, and of the whole frame's gain."""

EDGE_PX = 2.0

LEAST_AREA_PX = 0.02
"""Twice the area of triangles that are drawn at all: what is thinner is seen from its edge."""


@dataclass(frozen=True, eq=False)
class Surface:
    """A surface in front of the camera.

    Attributes:
        xyz: (V, 3): x to the viewer's right, y down, z away from the camera, which is at 0.
        texture_xy: (V, 2): where each vertex lies in the texture, pixels.
        triangles: (T, 3): numbers of vertices.
        texture: (H, W, 3) uint8.
        dark: (T,): by how much each triangle is darkened, 0 to 1.
        lines: chains of vertices that are drawn dark, such as lashes.
        line: how dark they are, 0 to 1.
    """

    xyz: np.ndarray
    texture_xy: np.ndarray
    triangles: np.ndarray
    texture: np.ndarray
    dark: np.ndarray
    lines: tuple[tuple[int, ...], ...] = ()
    line: float = 0.0


def delaunay(points_xy: np.ndarray) -> np.ndarray:
    """Triangles (T, 3) over points (V, 2)."""
    low = points_xy.min(axis=0) - 10
    plan = cv2.Subdiv2D((0, 0, *(int(v) + 20 for v in np.ptp(points_xy, axis=0) + 20)))
    numbers: dict[int, int] = {}
    for i, (x, y) in enumerate(points_xy - low):
        numbers.setdefault(plan.insert((float(x), float(y))), i)
    found = []
    for row in plan.getTriangleList().reshape(-1, 3, 2):
        corners = [plan.locate((float(x), float(y))) for x, y in row]
        if all(kind == cv2.SUBDIV2D_PTLOC_VERTEX for kind, _, _ in corners):
            ids = [numbers.get(vertex) for _, _, vertex in corners]
            if None not in ids:
                found.append(ids)
    return np.array(found, np.int64)


def seen(surface: Surface, background: np.ndarray) -> np.ndarray:
    """Draw a surface before a background: (HEIGHT, WIDTH, 3) uint8 -> float32."""
    flat = surface.xyz[:, :2] / surface.xyz[:, 2:] * FOCAL_PX
    flat = flat + np.array([WIDTH - 1, HEIGHT - 1]) / 2
    corners = flat[surface.triangles]  # (T, 3, 2)
    depth = surface.xyz[surface.triangles, 2].mean(axis=1)
    number = np.full((HEIGHT, WIDTH), -1, np.int32)
    fixed = np.round(np.clip(corners, -2000, 2000) * 16).astype(np.int32)
    sides = np.concatenate([corners, np.ones((*corners.shape[:2], 1))], axis=2)  # rows x, y, 1
    broad = np.abs(np.linalg.det(sides)) > LEAST_AREA_PX
    for i in np.argsort(-depth):  # what is nearer covers what is farther
        if broad[i]:
            cv2.fillConvexPoly(number, fixed[i], int(i), cv2.LINE_8, 4)
    ys, xs = np.nonzero(number >= 0)
    if not len(ys):
        return background.astype(np.float32)
    which = number[ys, xs]
    sides[~broad] = np.eye(3)
    to_shares = np.linalg.inv(sides).transpose(0, 2, 1)  # (x, y, 1) -> shares of the corners
    pixels = np.stack([xs, ys, np.ones_like(xs)], axis=1).astype(np.float64)
    shares = np.clip(np.einsum("pij,pj->pi", to_shares[which], pixels), 0, 1)
    shares /= shares.sum(axis=1, keepdims=True)
    spots = np.einsum("pi,pij->pj", shares, surface.texture_xy[surface.triangles][which])
    maps = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    maps[ys, xs] = spots
    picture = cv2.remap(
        surface.texture, maps[..., 0], maps[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    ).astype(np.float32)
    light = np.ones((HEIGHT, WIDTH), np.float32)
    light[ys, xs] = 1 - surface.dark[which]
    if surface.line > 0:
        drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
        chains = [np.round(flat[list(chain)] * 16).astype(np.int32) for chain in surface.lines]
        cv2.polylines(drawn, chains, False, 255, 1, cv2.LINE_AA, 4)
        light *= 1 - np.float32(surface.line / 255) * drawn
    cover = cv2.GaussianBlur((number >= 0).astype(np.float32), (0, 0), EDGE_PX / 2)
    cover = np.clip(2 * cover - 1, 0, 1)[..., None]
    return picture * light[..., None] * cover + background * (1 - cover)


def photographed(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What the sensor makes of it: (H, W, 3) uint8."""
    gain = 1 + FLICKER * rng.normal()
    noisy = rng.standard_normal(picture.shape, dtype=np.float32)
    noisy *= NOISE
    noisy += picture * np.float32(gain)
    return np.clip(np.rint(noisy, out=noisy), 0, 255, out=noisy).astype(np.uint8)


def turn(yaw_deg: float, pitch_deg: float, roll_deg: float) -> np.ndarray:
    """Rotation (3, 3) of a head by the signs of ``lineament.pose``, for z away from the camera."""
    yaw, pitch, roll = np.radians([yaw_deg, pitch_deg, roll_deg])
    cos, sin = np.cos, np.sin
    by_yaw = np.array([[cos(yaw), 0, -sin(yaw)], [0, 1, 0], [sin(yaw), 0, cos(yaw)]])
    by_pitch = np.array([[1, 0, 0], [0, cos(pitch), sin(pitch)], [0, -sin(pitch), cos(pitch)]])
    by_roll = np.array([[cos(roll), -sin(roll), 0], [sin(roll), cos(roll), 0], [0, 0, 1]])
    return by_roll @ by_pitch @ by_yaw
