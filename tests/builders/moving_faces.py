"""Films of a few frames: faces of the demonstration photos that move over a gray ground."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np

import lineament
from lineament import FaceFinder
from lineament.types import Image
from lineament.video import VideoFrame

DEMO = Path(lineament.__file__).parent / "data" / "demo"
SIDE_PX = 120

At = Callable[[float], tuple[float, float] | None]
"""Seconds -> the center of a face, pixels; None: not there."""


def cut_out(name: str, finder: FaceFinder, side_px: int = SIDE_PX) -> Image:
    """The square around the face of a demonstration photo, (S, S, 3)."""
    photo = finder.find(DEMO / name)
    assert photo.face is not None
    cut = photo.face.crop(photo, margin=0.35)
    return np.asarray(cv2.resize(cut, (side_px, side_px), interpolation=cv2.INTER_AREA), np.uint8)


def film(
    faces: Mapping[str, Image],
    ways: Mapping[str, At],
    *,
    seconds: float,
    rate: float = 10.0,
    size_wh: tuple[int, int] = (480, 270),
    first_s: float = 0.0,
) -> Iterator[VideoFrame]:
    """Frames in which faces go their ways; later ones cover earlier ones."""
    width, height = size_wh
    ground = np.linspace(90, 150, width, dtype=np.float32)[None, :, None]
    for number in range(round(seconds * rate)):
        time_s = first_s + number / rate
        pixels = np.broadcast_to(ground, (height, width, 3)).astype(np.uint8).copy()
        for name, way in ways.items():
            place = way(number / rate)
            if place is not None:
                paste(pixels, faces[name], place)
        yield VideoFrame(number, time_s, pixels)


def paste(pixels: Image, face: Image, center_xy: tuple[float, float]) -> None:
    """Put a picture on another one, in place, as far as it lies inside."""
    side = face.shape[0]
    x, y = (round(v - side / 2) for v in center_xy)
    left, top = max(0, -x), max(0, -y)
    inside = pixels[max(y, 0) : max(y + side, 0), max(x, 0) : max(x + side, 0)]
    if inside.size:
        inside[:] = face[top : top + inside.shape[0], left : left + inside.shape[1]]
