"""Kinds of attacks: what a photo is shown on, and how a camera sees that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lineament.types import Image
from recapturing.camera import Camera
from recapturing.media import Plane, Rng, glossy, halftone, linear, paper, resized, screen, toned

PICTURE_WH = (400, 340)


def recaptured(pixels: Image, box_xyxy: npt.NDArray[Any], kind: str, seed: int) -> Image:
    """Show a photo to a camera again.

    Args:
        pixels: (H, W, 3) uint8, RGB.
        box_xyxy: (4,), of the face.
        kind: one of ``KINDS``.
        seed: of everything that is drawn.

    Returns:
        (340, 400, 3) uint8, RGB: a picture in which the face is 90 to 160 pixels wide.
    """
    rng = np.random.default_rng([seed, sorted(KINDS).index(kind)])
    medium, margin = KINDS[kind]
    shown, box = _cut(linear(pixels), np.asarray(box_xyxy, np.float64), margin, rng)
    plane = medium(shown, rng)
    camera = _camera(rng)
    face = box * plane.shape[1] / shown.shape[1]
    matrix = _held(plane, face, rng)
    return camera.look(plane.astype(np.float32), matrix, _behind(rng), rng)


def live(pixels: Image, box_xyxy: npt.NDArray[Any], seed: int) -> Image:
    """The same photo seen by the same cameras, with nothing between: what is not to be refused.

    It went through the same scaling, blur, noise and JPEG as attacks do, so that a detector of
    these alone does not pass for one of attacks.
    """
    rng = np.random.default_rng([seed, 99])
    shown, box = _cut(linear(pixels), np.asarray(box_xyxy, np.float64), (4.0, 6.0), rng)
    camera = replace(_camera(rng), lens_px=0.0, sharpening=0.0)
    px = max(shown.shape[:2]) - 1  # mirrored beyond its border, so that no edge is in the picture
    wide = cv2.copyMakeBorder(shown, px, px, px, px, cv2.BORDER_REFLECT)
    matrix = _held(wide, box + px, rng, turn=0.02, tilt=0.0)
    return camera.look(wide, matrix, _behind(rng), rng)


def _cut(
    plane: Plane, box: npt.NDArray[np.float64], margin: tuple[float, float], rng: Rng
) -> tuple[Plane, npt.NDArray[np.float64]]:
    """The part of a photo that is shown, in widths of the face, and where the face is in it."""
    height, width = plane.shape[:2]
    side = (box[2] - box[0]) * rng.uniform(*margin)
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    left, right = max(0, int(x - side / 2)), min(width, int(x + side / 2))
    top, bottom = max(0, int(y - side * 0.6)), min(height, int(y + side * 0.6))
    moved = box - np.array([left, top, left, top])
    return plane[top:bottom, left:right], moved


def _camera(rng: Rng) -> Camera:
    qualities = tuple(int(q) for q in rng.integers(75, 97, rng.integers(1, 3)))
    return Camera(
        lens_px=rng.uniform(0.3, 0.9),
        noise=rng.uniform(0.5, 4.0),
        sharpening=rng.uniform(0, 0.6),
        exposure=rng.uniform(0.8, 1.2),
        jpeg=qualities,
    )


def _held(
    plane: Plane,
    box: npt.NDArray[np.float64],
    rng: Rng,
    *,
    turn: float = 0.1,
    tilt: float = 0.12,
) -> npt.NDArray[np.float64]:
    """From the plane to the picture: the face near its middle, the plane turned and tilted."""
    width, height = PICTURE_WH
    scale = rng.uniform(90, 160) / (box[2] - box[0])
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    angle = rng.normal(0, turn)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    to = np.array([width, height]) / 2 + rng.uniform(-25, 25, 2)
    rigid = np.array([[c, -s, to[0] - c * x + s * y], [s, c, to[1] - s * x - c * y], [0, 0, 1]])
    lean = np.eye(3)
    lean[2, :2] = rng.normal(0, tilt, 2) / width
    center = np.array([[1, 0, width / 2], [0, 1, height / 2], [0, 0, 1.0]])
    return center @ lean @ np.linalg.inv(center) @ rigid


def _behind(rng: Rng) -> Plane:
    """A room out of focus: a few patches of color."""
    width, height = PICTURE_WH
    patches = rng.uniform(0.05, 0.7, (4, 5, 1)) + rng.normal(0, 0.06, (4, 5, 3))
    wide = cv2.resize(patches.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(wide, 0.01, 1)


# --- media ----------------------------------------------------------------------------------------


def _framed(plane: Plane, edge: float, color: tuple[float, float, float]) -> Plane:
    """With a border of one color around it, in shares of the width."""
    px = max(2, round(edge * plane.shape[1]))
    return cv2.copyMakeBorder(plane, px, px, px, px, cv2.BORDER_CONSTANT, value=color)


def _shown(plane: Plane, rng: Rng, pixels: tuple[float, float]) -> Plane:
    """On a screen with so many pixels for each of the picture's pixels, about."""
    tone = toned(
        plane,
        black=rng.uniform(0.005, 0.04),
        white=rng.uniform(0.8, 1.1),
        saturation=rng.uniform(0.85, 1.2),
        warmth=rng.normal(-0.04, 0.04),
        contrast=rng.uniform(0.9, 1.2),
    )
    width = int(np.clip(rng.uniform(*pixels) * 340, 120, 620))
    return screen(tone, width, rng.uniform(0.2, 0.8))


def near_screen(plane: Plane, rng: Rng) -> Plane:
    """A large display close by: its pixels are about as large as the camera's, or larger."""
    return glossy(_shown(plane, rng, (0.4, 1.1)), rng, rng.uniform(0, 0.15))


def fine_screen(plane: Plane, rng: Rng) -> Plane:
    """A fine display: its pixels are smaller than the camera's."""
    return glossy(_shown(plane, rng, (1.2, 2.2)), rng, rng.uniform(0, 0.15))


def phone(plane: Plane, rng: Rng) -> Plane:
    """A phone in the hand: fine pixels, and its dark edge in the picture."""
    shown = glossy(_shown(plane, rng, (1.0, 2.0)), rng, rng.uniform(0, 0.25))
    dark = float(rng.uniform(0.002, 0.03))
    return _framed(shown, rng.uniform(0.03, 0.08), (dark, dark, dark))


def _ink(plane: Plane, rng: Rng, dots: tuple[float, float], black: tuple[float, float]) -> Plane:
    """Printed: dots of so many pixels of a plane of about 900 across."""
    tone = toned(
        plane,
        black=rng.uniform(*black),
        white=rng.uniform(0.7, 0.95),
        saturation=rng.uniform(0.6, 1.0),
        warmth=rng.normal(0.03, 0.06),
        contrast=rng.uniform(0.8, 1.15),
    )
    scale = 900 / tone.shape[1]
    fine = resized(np.clip(tone, 0, 1), (900, round(tone.shape[0] * scale)))
    return halftone(fine, rng.uniform(*dots), rng.uniform(0.3, 0.8))


def newspaper(plane: Plane, rng: Rng) -> Plane:
    """Coarse dots on rough paper."""
    return paper(_ink(plane, rng, (7, 11), (0.05, 0.15)), rng, 0.04)


def laser(plane: Plane, rng: Rng) -> Plane:
    """Finer dots on office paper, its white edge in the picture."""
    printed = paper(_ink(plane, rng, (3.2, 5), (0.03, 0.08)), rng, 0.02)
    return _framed(printed, rng.uniform(0.04, 0.15), (0.85, 0.85, 0.83))


def photo_paper(plane: Plane, rng: Rng) -> Plane:
    """A photograph on glossy paper: no dots that a camera sees, less contrast, a reflection."""
    tone = toned(
        plane,
        black=rng.uniform(0.02, 0.06),
        white=rng.uniform(0.7, 0.95),
        saturation=rng.uniform(0.6, 0.95),
        warmth=rng.normal(0.03, 0.06),
        contrast=rng.uniform(0.8, 1.1),
    )
    fine = resized(np.clip(tone, 0, 1), (800, round(800 * tone.shape[0] / tone.shape[1])))
    fine = cv2.GaussianBlur(fine, (0, 0), rng.uniform(0.8, 2.5))
    lit = glossy(paper(fine, rng, 0.006), rng, rng.uniform(0.05, 0.4))
    return _framed(lit, rng.uniform(0.02, 0.06), (0.85, 0.85, 0.85)) if rng.random() < 0.5 else lit


Medium = Callable[[Plane, Rng], Plane]

KINDS: dict[str, tuple[Medium, tuple[float, float]]] = {
    "near screen": (near_screen, (2.6, 4.0)),
    "fine screen": (fine_screen, (2.6, 4.0)),
    "phone": (phone, (1.4, 2.2)),
    "newspaper": (newspaper, (2.2, 4.0)),
    "laser print": (laser, (1.6, 2.6)),
    "photo paper": (photo_paper, (1.8, 4.0)),
}
"""By name: the medium, and how much of the photo is shown, in widths of the face."""
