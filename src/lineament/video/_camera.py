"""Whether the camera moved between two frames, by how much, or whether it is another scene.

Phase correlation of small copies (Kuglin and Hines, "The phase correlation image alignment method",
1975): its peak lies at the shift that most of the picture has in common, so that people who move
before a ground that stays do not matter.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from lineament.types import FloatArray, Image

WIDE, HIGH = 96, 64
"""Pixels of the small copies."""

LEAST_SHIFT = 0.02
"""Shifts below this share of the frame's width are left to the paths' own motion."""

LEAST_CHANGE = 4.0
"""Mean change of the gray levels below which nothing is asked: people who walk."""

EXPLAINED = 0.6
"""A shift is the camera's if it leaves less than this share of the change."""

CUT_LEVELS = 30.0
"""Mean change of gray levels from which on a frame that no shift explains is of another scene."""


class CameraMotion(NamedTuple):
    """What the camera did since the frame before.

    Attributes:
        shift_xy: by how much what is seen moved, pixels.
        is_cut: it is another scene.
    """

    shift_xy: tuple[float, float]
    is_cut: bool


STILL = CameraMotion((0.0, 0.0), is_cut=False)


class Camera:
    """Compares each frame with the one before."""

    def __init__(self) -> None:
        """Begin without a frame."""
        self._before: FloatArray | None = None
        self._window = cv2.createHanningWindow((WIDE, HIGH), cv2.CV_32F)

    def step(self, pixels: Image) -> CameraMotion:
        """Take the next frame, (H, W, 3) uint8."""
        height, width = pixels.shape[:2]
        rows, columns = max(1, height // (3 * HIGH)), max(1, width // (3 * WIDE))
        green = np.ascontiguousarray(pixels[::rows, ::columns, 1])  # as good as gray, for nothing
        small = cv2.resize(green, (WIDE, HIGH), interpolation=cv2.INTER_AREA).astype(np.float32)
        before, self._before = self._before, small
        if before is None:
            return STILL
        changed = float(np.abs(small - before).mean())
        if changed < LEAST_CHANGE:
            return STILL
        (across, down), _ = cv2.phaseCorrelate(
            before.copy(), small.copy(), self._window
        )  # it changes both
        shift = across * width / WIDE, down * height / HIGH
        if max(abs(shift[0]), abs(shift[1])) >= LEAST_SHIFT * width:
            left = _difference(before, small, round(across), round(down))
            if left < EXPLAINED * changed:
                return CameraMotion(shift, is_cut=False)
        return CameraMotion((0.0, 0.0), is_cut=changed > CUT_LEVELS)

    def forget(self) -> None:
        """The next frame is not to be compared."""
        self._before = None


def _difference(before: FloatArray, after: FloatArray, across: int, down: int) -> float:
    """Mean change of the gray levels that a shift by whole pixels leaves; of a third at least."""
    if abs(across) > WIDE * 2 // 3 or abs(down) > HIGH * 2 // 3:
        return float("inf")
    rows = slice(max(0, down), HIGH + min(0, down)), slice(max(0, -down), HIGH + min(0, -down))
    columns = (
        slice(max(0, across), WIDE + min(0, across)),
        slice(max(0, -across), WIDE + min(0, -across)),
    )
    return float(np.abs(after[rows[0], columns[0]] - before[rows[1], columns[1]]).mean())
