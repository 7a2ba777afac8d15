"""What may be a face, rather too much than too little.

For recognition a face that is missed costs one result; here it shows a person. So the detector is
asked for what it is unsure of, and once more about the mirror image, which it sees with other
errors. ``benchmarks/accuracy/anonymize.py`` says what that finds and what it costs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lineament.detect import DetectOptions, Detector, load_detector
from lineament.detect.boxes import nms
from lineament.detect.detector import detect
from lineament.finder import FaceFinder
from lineament.models import LicensePolicy
from lineament.models.runtime import Runtime
from lineament.types import Face, Image

LEAST_SCORE = 0.2
"""Of a candidate that is covered. Of 180 faces of the WIDER sample 94 % are covered by what scores
0.3 or more, and 97 % by this; of the photos' other area 1.2 and 2.4 %."""

DETECTOR = "yunet+onet"
"""A second detector beside it (MTCNN, BlazeFace) found none of what it misses."""

SAME = 0.5
"""Boxes that overlap so much (intersection over union) are of one face."""

_FLIPPED = (1, 0, 2, 4, 3)
"""Which landmark is which in the mirror image."""


class Thorough:
    """A detector that looks at the photo and at its mirror image."""

    def __init__(self, detector: Detector) -> None:
        """``detector``: asked twice."""
        self._detector = detector

    def detect(self, image: Image, options: DetectOptions) -> list[Face]:
        """Return the faces of both looks, each once, the most certain first."""
        width = image.shape[1]
        found = list(detect(self._detector, image, options))
        mirror = np.ascontiguousarray(image[:, ::-1])
        found += [mirrored(face, width) for face in detect(self._detector, mirror, options)]
        if not found:
            return []
        boxes = np.array([face.box_xyxy for face in found])
        scores = np.array([face.score for face in found], np.float32)
        kept = [found[i] for i in nms(boxes, scores, SAME)]
        return kept[: options.max_faces]


def mirrored(face: Face, width: int) -> Face:
    """Return the face as the mirror image of a photo ``width`` pixels wide has it."""
    left, top, right, bottom = face.box_xyxy.tolist()
    box = np.array([width - 1 - right, top, width - 1 - left, bottom], np.float32)
    points = face.landmarks_xy
    if points is not None:
        points = points[list(_FLIPPED)] * np.array([-1, 1], np.float32)
        points = points + np.array([width - 1, 0], np.float32)
    return replace(face, box_xyxy=box, landmarks_xy=points, turned_deg=-face.turned_deg % 360)


def thorough_finder(
    detector: str | Detector = DETECTOR,
    *,
    options: DetectOptions | None = None,
    turning: bool = True,
    runtime: Runtime | None = None,
    policy: LicensePolicy | None = None,
) -> FaceFinder:
    """Make a finder that covers need.

    Args:
        detector: a registered one, or your own object.
        options: None, or without a least score: ``LEAST_SCORE``.
        turning: look for faces at any roll.
        runtime, policy: as ``FaceFinder`` takes them.
    """
    options = DetectOptions() if options is None else options
    if options.min_score is None:
        options = replace(options, min_score=LEAST_SCORE)
    plain = FaceFinder(
        detector,
        options=options,
        turning=turning,
        landmarker="mesh",
        runtime=runtime,
        policy=policy,
    )
    if isinstance(detector, str):
        detector = load_detector(
            detector, turning=turning, runtime=plain.runtime, policy=plain.policy
        )
    return FaceFinder(
        Thorough(detector),
        landmarker="mesh",
        options=options,
        runtime=plain.runtime,
        policy=plain.policy,
    )
