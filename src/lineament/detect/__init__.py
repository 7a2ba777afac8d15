"""Stage 2: a photo -> the faces in it.

``load_detector`` builds one of ``DETECTORS``; each has the one method of ``Detector``. The default,
"yunet+onet", takes YuNet's boxes at as many scales as it takes, the O-Net's landmarks, and turns
photos that lie on a side; ``docs/concepts/detectors.md`` has the table that chose it.
``register_detector`` adds one; "KIND:FILE" is one of a file of the user's (``kinds``).
"""

from __future__ import annotations

from lineament.detect.detector import (
    DEFAULT_DETECTOR,
    DETECTORS,
    DetectOptions,
    Detector,
    check_detector,
    load_detector,
    register_detector,
)
from lineament.detect.kinds import KINDS
from lineament.detect.recognize import recognize_detector

__all__ = [
    "DEFAULT_DETECTOR",
    "DETECTORS",
    "KINDS",
    "DetectOptions",
    "Detector",
    "check_detector",
    "load_detector",
    "recognize_detector",
    "register_detector",
]
