"""The seam between detectors and everything else: one method."""

from __future__ import annotations

from typing import Protocol

from lineament.detect.options import DetectOptions
from lineament.types import Face, Image


class Detector(Protocol):
    """Finds faces. Calls from several threads are safe."""

    def detect(self, image: Image, options: DetectOptions, /) -> list[Face]:
        """Return the faces of one photo, the most certain first; [] when there are none."""
        ...
