"""The values that flow through the pipeline: frozen, validated where they are made.

Conventions that hold everywhere:

- images are RGB, uint8, shape (H, W, 3);
- coordinates are pixels of the photograph, x to the right, y down, the top left pixel's centre at
  (0, 0), as floats;
- "left" and "right" of landmarks are as the viewer sees them: the left eye is the one with the
  smaller x on an upright frontal face;
- similarity means that higher is more alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]
"""A photograph: RGB, uint8, (H, W, 3)."""

ColorOrder = Literal["rgb", "bgr"]

LANDMARK_NAMES = ("left eye", "right eye", "nose tip", "left mouth corner", "right mouth corner")


def _frozen(values: Any, shape: tuple[int, ...], what: str) -> FloatArray:
    array = np.array(values, dtype=np.float32)
    if array.shape != shape:
        raise ValueError(f"{what}: expected shape {shape}, got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{what}: expected finite numbers, got {array.tolist()}")
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False, slots=True)
class Face:
    """One face in one photograph.

    Attributes:
        box_xyxy: (4,) float32, pixels: left, top, right, bottom. May reach past the photograph.
        score: the detector's confidence, 0 to 1. Scores of two detectors are not comparable.
        landmarks_xy: (5, 2) float32, pixels, in the order of ``LANDMARK_NAMES``, or None when the
            detector has none.
        turned_deg: 0, 90, 180 or 270: by how much the photograph had to be turned
            counter-clockwise for the detector to find the face. The coordinates are those of the
            photograph as it was given.
    """

    box_xyxy: FloatArray
    score: float
    landmarks_xy: FloatArray | None = None
    turned_deg: int = 0

    def __post_init__(self) -> None:
        """Validate, and make the arrays read-only."""
        box = _frozen(self.box_xyxy, (4,), "box_xyxy")
        if not (box[2] > box[0] and box[3] > box[1]):
            raise ValueError(
                f"box_xyxy: expected left < right and top < bottom, got {box.tolist()}"
            )
        object.__setattr__(self, "box_xyxy", box)
        object.__setattr__(self, "score", float(self.score))
        if self.landmarks_xy is not None:
            points = _frozen(self.landmarks_xy, (5, 2), "landmarks_xy")
            object.__setattr__(self, "landmarks_xy", points)

    @property
    def size_wh(self) -> tuple[float, float]:
        """Width and height of the box in pixels."""
        left, top, right, bottom = (float(v) for v in self.box_xyxy)
        return right - left, bottom - top

    @property
    def centre_xy(self) -> tuple[float, float]:
        """Centre of the box in pixels."""
        left, top, right, bottom = (float(v) for v in self.box_xyxy)
        return (left + right) / 2, (top + bottom) / 2

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        return {
            "box_xyxy": [round(float(v), 2) for v in self.box_xyxy],
            "score": round(self.score, 4),
            "landmarks_xy": None
            if self.landmarks_xy is None
            else [[round(float(x), 2), round(float(y), 2)] for x, y in self.landmarks_xy],
            "turned_deg": self.turned_deg,
        }
