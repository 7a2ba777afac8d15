"""dlib's two detectors, by dlib: pip install "lineament[dlib]".

King, "Max-Margin Object Detection", arXiv:1502.00046. ``Hog`` slides five filters of oriented
gradients over the photo and comes with dlib; ``Mmod`` is a small network in a file of the user's
(``mmod_human_face_detector.dat``). Both find faces of 80 pixels and more, so photos are enlarged
where smaller ones are asked for.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lineament.detect.boxes import nms
from lineament.detect.detector import DetectOptions
from lineament.errors import MissingExtraError, WeightsError
from lineament.forks import lock
from lineament.models import Card
from lineament.text import reason_of
from lineament.types import Face, Image

LEAST_PX = 80.0
"""The least face that both find in a photo as it is: the size of their windows."""

MOST_DOUBLINGS = 2
"""A photo's sides are doubled so often at the most; by default once, as most programs do."""

MOST_PIXELS = 16_000_000
"""Of an enlarged photo: bounds time and memory."""

STEEPNESS = 2.0
"""dlib's scores are distances from a margin, 0 where it draws the line, about 1 for plain faces.
Here they go through 1 / (1 + exp(-2 x)): the line is 0.5, a plain face 0.9."""

DEFAULT_SCORE = 0.5
SUPPRESSION = 0.5


class Hog:
    """dlib's frontal face detector."""

    def __init__(self) -> None:
        """Raises MissingExtraError: dlib is not installed."""
        self._run = _dlib().get_frontal_face_detector()
        self._lock = lock()

    def detect(self, image: Image, options: DetectOptions) -> list[Face]:
        """Return the faces, the most certain first, without landmarks."""
        least = DEFAULT_SCORE if options.min_score is None else options.min_score
        with self._lock:  # the detector keeps what it works on
            boxes, scores, _ = self._run.run(
                np.array(image, order="C"), doublings(image, options), _margin(least)
            )
        return _faces(image, options, list(boxes), list(scores), least)


class Mmod:
    """dlib's network, from its file."""

    def __init__(self, _data: bytes, card: Card) -> None:
        """Take the file of a card; its bytes have been compared with the card's hash.

        Raises:
            MissingExtraError: dlib is not installed.
            WeightsError: it is no such network.
        """
        try:
            self._run = _dlib().cnn_face_detection_model_v1(str(card.path))
        except RuntimeError as error:
            raise WeightsError(
                f"{card.name}: expected dlib's network of faces (mmod_human_face_detector.dat), "
                f"got: {reason_of(error)}"
            ) from error
        self._lock = lock()

    def detect(self, image: Image, options: DetectOptions) -> list[Face]:
        """Return the faces, the most certain first, without landmarks.

        The network says nothing of what is below its own line: least scores under 0.5 bring no
        more faces.
        """
        least = DEFAULT_SCORE if options.min_score is None else options.min_score
        with self._lock:
            found = self._run(np.array(image, order="C"), doublings(image, options))
        boxes, scores = [one.rect for one in found], [one.confidence for one in found]
        return _faces(image, options, boxes, scores, least)


def doublings(image: Image, options: DetectOptions) -> int:
    """How often a photo's sides are doubled before it is looked at."""
    wanted = math.ceil(math.log2(LEAST_PX / options.least_face_px(image)))
    most = 1 if options.min_face_px is None else MOST_DOUBLINGS
    room = math.floor(math.log(MOST_PIXELS / (image.shape[0] * image.shape[1]), 4))
    return max(0, min(wanted, most, room))


def _faces(
    image: Image, options: DetectOptions, rectangles: list[Any], scores: list[float], least: float
) -> list[Face]:
    places = [(r.left(), r.top(), r.right(), r.bottom()) for r in rectangles]
    # Right and bottom are the last pixels inside.
    boxes = np.array(places, np.float32).reshape(-1, 4) + np.array(
        [-0.5, -0.5, 0.5, 0.5], np.float32
    )
    sure = 1 / (1 + np.exp(-STEEPNESS * np.clip(np.array(scores, np.float32), -40, 40)))
    large = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) >= options.least_face_px(image)
    kept = large & (boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (sure >= least)
    boxes, sure = boxes[kept], sure[kept]
    order = nms(boxes, sure, SUPPRESSION)[: options.max_faces]
    return [Face(boxes[i], float(sure[i])) for i in order]


def _margin(score: float) -> float:
    """dlib's score for one of ours."""
    share = min(max(score, 1e-6), 1 - 1e-6)
    return math.log(share / (1 - share)) / STEEPNESS


def _dlib() -> Any:
    try:
        import dlib
    except ImportError as error:
        raise MissingExtraError("finding faces by dlib", "dlib", package="dlib-bin") from error
    return dlib
