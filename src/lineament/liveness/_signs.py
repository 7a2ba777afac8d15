"""Two signs of a picture of a face: dots or pixels in the skin, and a straight border around it.

Both are vetoes, so they are set where no living face of the photos they were measured on has them
(``benchmarks/liveness.py``): they find few attacks, among them some that the network takes for
faces. Most attacks have neither.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from lineament.types import Face, Image

# --- dots and pixels ------------------------------------------------------------------------------

WINDOW_PX = 64
"""Side of the parts of the face whose spectra are averaged: three by three of them."""

FACE_SHARE = 0.8
"""Of the box's shorter side: the square that is looked at, in the photo's own pixels."""

LEAST_FREQUENCY = 0.1
"""Cycles per pixel: what repeats more slowly may be hair, brows and teeth."""

PEAK = 4
"""So many of the highest places are averaged."""


def grid_of(pixels: Image, face: Face) -> float | None:
    """How far a pattern that repeats stands out of the skin's spectrum.

    Dots of print, pixels of a screen and their moire are narrow peaks; skin has none. Blocks of
    JPEG repeat along the axes, which are left out.

    Args:
        pixels: (H, W, 3) uint8, RGB.
        face: as a detector returned it.

    Returns:
        By how much the peak's power is above that around it, natural logarithm; None for a face
        too small for that.
    """
    x, y = face.center_xy
    half = min(face.size_wh) * FACE_SHARE / 2
    left, top = max(0, round(x - half)), max(0, round(y - half))
    part = pixels[top : round(y + half), left : round(x + half)]
    if min(part.shape[:2]) < WINDOW_PX * 3 // 4:
        return None
    gray = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY).astype(np.float32)
    down, right = (max(0, WINDOW_PX - side) for side in gray.shape)
    gray = np.asarray(cv2.copyMakeBorder(gray, 0, down, 0, right, cv2.BORDER_REFLECT), np.float32)
    detail = gray - cv2.GaussianBlur(gray, (0, 0), 2)
    hann = np.hanning(WINDOW_PX).astype(np.float32)
    starts = [np.linspace(0, side - WINDOW_PX, 3).astype(int) for side in gray.shape]
    windows = np.stack(
        [detail[i : i + WINDOW_PX, j : j + WINDOW_PX] for i in starts[0] for j in starts[1]]
    )
    power = (np.abs(np.fft.fft2(windows * (hann[:, None] * hann))) ** 2).sum(0)
    level = np.log(np.fft.fftshift(power) + 1e-3).astype(np.float32)
    around = cv2.blur(cv2.medianBlur(level, 5), (7, 7))
    above = (level - around)[_looked_at()]
    return float(np.sort(above)[-PEAK:].mean())


def _looked_at() -> npt.NDArray[np.bool_]:
    frequency = np.fft.fftshift(np.fft.fftfreq(WINDOW_PX))
    across, down = np.meshgrid(frequency, frequency)
    axis = 1.5 / WINDOW_PX
    off_axes = (np.abs(across) >= axis) & (np.abs(down) >= axis)
    return np.asarray(off_axes & (np.hypot(across, down) > LEAST_FREQUENCY), np.bool_)


# --- the border -----------------------------------------------------------------------------------

FACE_PX, AROUND_PX = 64, 320
"""The box's longer side, and the side of the square around it, in which lines are looked for."""

NEAREST_PX, FARTHEST_PX = 30, 150
"""Of a side of the border from the face's middle."""

LEAST_LINE_PX = 70
"""A little more than the face."""


def sides_of(pixels: Image, face: Face) -> int:
    """How many sides of a straight border there are around a face, 0 to 4.

    A phone, a sheet of paper or a monitor has four straight edges that are longer than the face, at
    right angles but for perspective. The photo's own border is none.

    Args:
        pixels: (H, W, 3) uint8, RGB.
        face: as a detector returned it.
    """
    factor = FACE_PX / max(face.size_wh)
    x, y = face.center_xy
    matrix = np.array([[factor, 0, AROUND_PX / 2 - factor * x], [0, factor, 0]])
    matrix[1, 2] = AROUND_PX / 2 - factor * y
    shown = cv2.GaussianBlur(pixels, (0, 0), 0.4 / factor) if factor < 0.7 else pixels
    size = (AROUND_PX, AROUND_PX)
    gray = cv2.cvtColor(
        cv2.warpAffine(shown, matrix, size, borderMode=cv2.BORDER_REPLICATE), cv2.COLOR_RGB2GRAY
    )
    photo = cv2.warpAffine(np.full(pixels.shape[:2], 255, np.uint8), matrix, size)
    inside = cv2.erode(photo, np.ones((7, 7), np.uint8))
    edges = cv2.bitwise_and(cv2.Canny(gray, 40, 100), inside)
    found = cv2.HoughLinesP(edges, 1, np.pi / 180, 40, minLineLength=LEAST_LINE_PX, maxLineGap=6)
    if found is None:
        return 0
    lines = np.asarray(found, np.float64).reshape(-1, 4) - AROUND_PX / 2
    start, along = lines[:, :2], lines[:, 2:] - lines[:, :2]
    length = np.linalg.norm(along, axis=1)
    normal = np.stack([-along[:, 1], along[:, 0]], 1) / length[:, None]
    distance = (start * normal).sum(1)
    outward = np.arctan2(*(normal * np.sign(distance)[:, None]).T[::-1])
    foot = -(start * along).sum(1) / length**2  # of the middle, as a share of the line
    near = (np.abs(distance) > NEAREST_PX) & (np.abs(distance) < FARTHEST_PX)
    kept = outward[near & (foot > -0.3) & (foot < 1.3)]
    most = 0
    for turned_deg in range(-20, 21, 4):
        sides = np.radians(turned_deg + 90 * np.arange(4))
        is_side = np.cos(kept[:, None] - sides) > np.cos(np.radians(6))
        most = max(most, int(is_side.any(0).sum()))
    return most
