"""Two things that make any detector better: finer landmarks, and photos that lie on a side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lineament.detect.detector import CertainDetector, DetectOptions, Detector
from lineament.detect.mtcnn import onet_landmarks
from lineament.models.runtime import Model
from lineament.types import Face, FloatArray, Image

CROP_SHARE = 0.85
"""Side of the O-Net's crop as a share of the box's longer side. On LFW View 1 with YuNet's boxes
SFace's TAR at FMR 1e-4 was flat from 0.8 to 0.95, 0.3 points lower at 1.0 and 1 point at 1.25; a
second pass, and averages over mirrored and moved crops, brought nothing."""

TRUSTED = 0.5
"""Below this probability of the O-Net the detector's own landmarks stay: faces it cannot read."""

CERTAIN_SCORE = 0.85
CERTAIN_READING = 0.75
"""The best face of an upright photo reaches both (98 % of LFW's), and no other look is needed.
Upside-down ones seldom do: YuNet finds them, with a score of 0.83 in the median instead of 0.92,
but puts eyes where the mouth is, and then the O-Net is unsure or disagrees."""

DISAGREEMENT = 4.0
"""A distance of a quarter of the box's side between the two networks' landmarks is full doubt:
upright faces of LFW differ by 0.03 (median) to 0.06 (98 %) of it, upside-down ones by 0.13."""


SECOND_OPINION = 0.1
LEAST_OPINION = 1e-3
DEFAULT_SCORE = 0.45
"""A face's score is the detector's times the O-Net's probability (at least 0.001) to the power 0.1:
on the WIDER sample that adds 0.2 to 0.5 points of average precision, powers of 0.3 and more lose
some. What the detector is sure of stays above the default; a face of 0.75 that the O-Net takes for
none does not."""


class Refined:
    """A detector with the O-Net's landmarks, and its second opinion on each face's score."""

    def __init__(self, detector: Detector, onet: Model) -> None:
        """``detector``: finds the boxes; ``onet``: the weights ``mtcnn-o``."""
        self._detector = detector
        self._onet = onet

    def detect(self, image: Image, options: DetectOptions) -> list[Face]:
        """The faces of the detector with finer landmarks, the most certain first."""
        return self.read(image, options)[0]

    def read(self, image: Image, options: DetectOptions) -> tuple[list[Face], FloatArray]:
        """The same, and for each face (N,) how certain it is that it was read upright, 0 to 1.

        It is the O-Net's probability, lowered where its landmarks and the detector's disagree.
        """
        least = DEFAULT_SCORE if options.min_score is None else options.min_score
        faces = self._detector.detect(image, replace(options, max_faces=None))
        if not faces:
            return [], np.zeros(0, np.float32)
        boxes = np.stack([face.box_xyxy for face in faces])
        points, _, certainty = onet_landmarks(self._onet, image, _shrunk(boxes, CROP_SHARE))
        opinions = np.maximum(certainty, LEAST_OPINION) ** SECOND_OPINION
        scores = np.array([face.score for face in faces]) * opinions
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] >= least][: options.max_faces]
        refined = []
        for i in order:
            own = faces[i].landmarks_xy
            best = points[i] if own is None or certainty[i] >= TRUSTED else own
            refined.append(replace(faces[i], score=float(scores[i]), landmarks_xy=best))
            if own is not None:
                apart = np.linalg.norm(own - points[i], axis=1).mean()
                certainty[i] *= max(0.0, 1 - DISAGREEMENT * apart / max(faces[i].size_wh))
        return refined, certainty[order]


class Turning:
    """A detector that turns the photo when nothing certain is found in it upright.

    It costs nothing when a certain, upright face is found; three more looks otherwise.
    """

    def __init__(self, detector: Detector) -> None:
        """``detector``: looks at the photo in each turn."""
        self._detector = detector

    def detect(self, image: Image, options: DetectOptions) -> list[Face]:
        """The faces of the turn whose best face is the most certain; coordinates as given."""
        best, best_certainty, sure = self._look(image, options)
        if sure:
            return best
        for turns in (1, 3, 2):
            # np.rot90 turns counter-clockwise
            turned = np.ascontiguousarray(np.rot90(image, turns))
            faces, certainty, _ = self._look(turned, options)
            if certainty > best_certainty:
                height, width = image.shape[:2]
                best = [_turn_back(face, turns, width, height) for face in faces]
                best_certainty = certainty
        return best

    def _look(self, image: Image, options: DetectOptions) -> tuple[list[Face], float, bool]:
        """The faces, the certainty of the best of them, and whether it needs no other look."""
        if isinstance(self._detector, CertainDetector):
            faces, reading = self._detector.read(image, options)
        else:
            faces = self._detector.detect(image, options)
            reading = np.ones(len(faces), np.float32)
        if not faces:
            return [], 0.0, False
        scores = np.array([face.score for face in faces])
        best = int(np.argmax(scores * reading))
        sure = bool(scores[best] >= CERTAIN_SCORE and reading[best] >= CERTAIN_READING)
        return faces, float(scores[best] * reading[best]), sure


def _shrunk(boxes: FloatArray, share: float) -> FloatArray:
    """Boxes scaled about their centers."""
    center, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) * share / 2
    return np.concatenate([center - half, center + half], axis=1)


def _turn_back(face: Face, turns: int, width: int, height: int) -> Face:
    """Move a face from the photo turned ``turns`` times by 90 degrees to the given one."""
    box = face.box_xyxy.reshape(2, 2)
    corners = _points_back(box, turns, width, height)
    points = face.landmarks_xy
    return Face(
        np.concatenate([corners.min(axis=0), corners.max(axis=0)]),
        face.score,
        None if points is None else _points_back(points, turns, width, height),
        turned_deg=90 * turns,
    )


def _points_back(points: FloatArray, turns: int, width: int, height: int) -> FloatArray:
    """Undo ``np.rot90(image, turns)`` on points (N, 2) of a photo of width by height."""
    x, y = points[:, 0], points[:, 1]
    if turns == 1:
        return np.stack([width - 1 - y, x], axis=1)
    if turns == 2:
        return np.stack([width - 1 - x, height - 1 - y], axis=1)
    return np.stack([y, height - 1 - x], axis=1)
