"""What every detector can be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from lineament.errors import OptionError
from lineament.types import Image

LEAST_FACE_PX = 10.0
"""Below this no detector here is of use, and no recognizer."""

LEAST_FACE_SHARE = 1 / 150
"""Of the photo's longer side: 27 pixels in 12 megapixels. Smaller faces are looked for only
when asked for, since the time grows with the square."""


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """Options of ``Detector.detect``.

    Attributes:
        min_face_px: faces whose longer side is shorter than this many pixels of the photo are
            not looked for, and not returned. Greater values are faster. None is 10 pixels, or
            1/150 of the photo's longer side where that is more.
        score_threshold: least score, 0 to 1; None takes the detector's own default.
        max_faces: return at most so many, the best; None returns all.
    """

    min_face_px: float | None = None
    score_threshold: float | None = None
    max_faces: int | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if self.min_face_px is not None and not 4 <= self.min_face_px <= 100_000:
            raise OptionError(
                f"expected 4 or more pixels, got {self.min_face_px}", option="min_face_px"
            )
        if self.score_threshold is not None and not 0 <= self.score_threshold <= 1:
            raise OptionError(
                f"expected 0 to 1, got {self.score_threshold}", option="score_threshold"
            )
        if self.max_faces is not None and self.max_faces < 1:
            raise OptionError(f"expected 1 or more, got {self.max_faces}", option="max_faces")

    def least_face_px(self, image: Image) -> float:
        """``min_face_px``, or its default for this photo."""
        if self.min_face_px is not None:
            return self.min_face_px
        longer = max(image.shape[0], image.shape[1])
        return max(LEAST_FACE_PX, LEAST_FACE_SHARE * float(longer))
