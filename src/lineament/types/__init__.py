"""The values that flow through the pipeline: frozen, validated where they are made.

Conventions that hold everywhere:

- images are RGB, uint8, shape (H, W, 3);
- coordinates are pixels of the photo, x to the right, y down, the top left pixel's center at
  (0, 0), as floats;
- "left" and "right" of landmarks are as the viewer sees them: the left eye is the one with the
  smaller x on an upright frontal face;
- similarity means that higher is more alike.
"""

from __future__ import annotations

from lineament.types._arrays import (
    BoolArray,
    ColorOrder,
    Float64Array,
    FloatArray,
    Image,
    IntArray,
    Progress,
    ProgressBar,
    StageProgress,
)
from lineament.types._decisions import (
    NO_FACE_SCORE,
    Certainty,
    Decision,
    Quality,
    Threshold,
    Verdict,
)
from lineament.types._embeddings import (
    FOREIGN,
    MOST_DIMENSIONS,
    Contract,
    Embedding,
    Flip,
    FlipOption,
    flip_of,
)
from lineament.types._liveness import Liveness, LivenessMethod, LivenessOutcome
from lineament.types._photos import LANDMARK_NAMES, LIKELY_SHARE, Boxed, Face, Photo

__all__ = [
    "FOREIGN",
    "LANDMARK_NAMES",
    "LIKELY_SHARE",
    "MOST_DIMENSIONS",
    "NO_FACE_SCORE",
    "BoolArray",
    "Boxed",
    "Certainty",
    "ColorOrder",
    "Contract",
    "Decision",
    "Embedding",
    "Face",
    "Flip",
    "FlipOption",
    "Float64Array",
    "FloatArray",
    "Image",
    "IntArray",
    "Liveness",
    "LivenessMethod",
    "LivenessOutcome",
    "Photo",
    "Progress",
    "ProgressBar",
    "Quality",
    "StageProgress",
    "Threshold",
    "Verdict",
    "flip_of",
]
