"""Finer landmarks and a second opinion for any detector: MTCNN's O-Net on each box."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lineament.detect.detector import DetectOptions, Detector, Seen, see
from lineament.detect.landmarks import ProfileLandmarks, needs_look
from lineament.detect.mtcnn import O_WINDOW, onet_landmarks, onet_windows
from lineament.geometry import to_photo_xy, turned_squares, warp
from lineament.models.runtime import Model
from lineament.pyramid import Pyramid
from lineament.types import Face, Float64Array, FloatArray, Image

CROP_SHARE = 0.85
"""Side of the O-Net's crop as a share of the box's longer side. On LFW View 1 with YuNet's boxes
SFace's TAR at FMR 1e-4 was flat from 0.8 to 0.95, 0.3 points lower at 1.0 and 1 point at 1.25; a
second pass, and averages over mirrored and moved crops, brought nothing."""

TRUSTED = 0.5
"""Below this probability of the O-Net the detector's own landmarks stay: faces it cannot read."""

SURE_COST = 0.07
"""Looks of several networks that agree so well are of a face that was read the right way up: upside
down none of 150 faces of LFW and 150 of CFP's profiles has a cost below 0.07, upright 97 % of the
profiles."""

TILTED_DEG = 10.0
"""From this tilt on a face is looked at once more, level."""

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

    takes_levels = True

    def __init__(
        self,
        detector: Detector,
        onet: Model,
        profiles: Callable[[], ProfileLandmarks] | None = None,
    ) -> None:
        """Take the networks.

        Args:
            detector: finds the boxes.
            onet: the weights ``mtcnn-o``.
            profiles: called when a face is turned far to a side, or unsure, for what finds the
                landmarks of such faces; None: the O-Net's are taken.
        """
        self._detector = detector
        self._onet = onet
        self._profiles = profiles

    def plain(self) -> Refined:
        """The same without a closer look at heads that are turned: for looks that only judge."""
        return Refined(self._detector, self._onet)

    def detect(self, image: Image | Pyramid, options: DetectOptions) -> list[Face]:
        """The faces of the detector with finer landmarks, the most certain first."""
        return self.see(image, options).faces

    def see(self, image: Image | Pyramid, options: DetectOptions) -> Seen:
        """The same, how certain each was read upright, and what may be faces that are turned.

        The certainty is the O-Net's probability, lowered where its landmarks and the detector's
        disagree.
        """
        least = DEFAULT_SCORE if options.min_score is None else options.min_score
        seen = see(self._detector, image, replace(options, max_faces=None))
        faces = seen.faces
        if not faces:
            return replace(seen, upright=np.zeros(0, np.float32))
        boxes = np.stack([face.box_xyxy for face in faces])
        points, _, certainty = onet_landmarks(self._onet, image, _shrunk(boxes, CROP_SHARE))
        self._level(image, boxes, points, certainty)
        opinions = np.maximum(certainty, LEAST_OPINION) ** SECOND_OPINION
        scores = np.array([face.score for face in faces]) * opinions
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] >= least][: options.max_faces]
        chosen = [faces[i] for i in order]
        points, certainty = points[order], certainty[order]
        agreed, costs = self._of_profiles(image, chosen, points, certainty)
        refined = []
        for i, face in enumerate(chosen):
            own = face.landmarks_xy
            if np.isfinite(costs[i]):  # wild or not: the better ones in four of five such cases
                best = agreed[i]
            else:
                best = points[i] if own is None or certainty[i] >= TRUSTED else own
            refined.append(replace(face, score=float(scores[order[i]]), landmarks_xy=best))
            if costs[i] <= SURE_COST:
                certainty[i] = 1.0
            elif own is not None:
                apart = np.linalg.norm(own - points[i], axis=1).mean()
                certainty[i] *= max(0.0, 1 - DISAGREEMENT * apart / max(face.size_wh))
        return replace(seen, faces=refined, upright=certainty)

    def _of_profiles(
        self,
        image: Image | Pyramid,
        faces: list[Face],
        points: FloatArray,
        certainty: FloatArray,
    ) -> tuple[FloatArray, Float64Array]:
        """Landmarks (N, 5, 2) of faces that need a closer look, and their costs; NaN: of none."""
        if self._profiles is None or not needs_look(faces, points, certainty).any():
            return points, np.full(len(faces), np.nan)
        found = self._profiles().refine(image, faces, points, certainty)
        return found.landmarks_xy, found.costs

    def _read_turned(
        self,
        image: Image | Pyramid,
        centers_xy: npt.NDArray[np.floating],
        sides: npt.NDArray[np.floating],
        rolls_deg: npt.NDArray[np.floating],
    ) -> tuple[FloatArray, FloatArray]:
        """The O-Net on squares that are turned upright first.

        Args:
            image: the photo.
            centers_xy, sides: (N, 2) and (N,), of the boxes' centers and their longer sides.
            rolls_deg: (N,), by how much the faces are turned clockwise.

        Returns:
            Landmarks (N, 5, 2) in pixels of the photo, and the probabilities (N,) of a face.
        """
        matrices = turned_squares(centers_xy, sides * CROP_SHARE, rolls_deg, O_WINDOW)
        points, certainty = onet_windows(self._onet, warp(image, matrices, O_WINDOW))
        return to_photo_xy(points, matrices).astype(np.float32), certainty

    def _level(
        self,
        image: Image | Pyramid,
        boxes: FloatArray,
        points: FloatArray,
        certainty: FloatArray,
    ) -> None:
        """Look at tilted faces again, level; in place."""
        rolls = rolls_deg(points)
        tilted = np.flatnonzero(np.abs(rolls) > TILTED_DEG)
        if len(tilted) == 0:
            return
        centers, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).max(1)
        again, sure = self._read_turned(image, centers[tilted], sides[tilted], rolls[tilted])
        better = sure >= certainty[tilted]
        points[tilted[better]], certainty[tilted[better]] = again[better], sure[better]


def rolls_deg(points_xy: FloatArray) -> FloatArray:
    """The tilt of faces (N,) in degrees, clockwise, from five points (N, 5, 2): eyes to mouth."""
    down = points_xy[:, 3:].mean(axis=1) - points_xy[:, :2].mean(axis=1)
    angles: FloatArray = np.degrees(np.arctan2(-down[:, 0], down[:, 1]))
    return angles


def _shrunk(boxes: FloatArray, share: float) -> FloatArray:
    """Boxes scaled about their centers."""
    center, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) * share / 2
    return np.concatenate([center - half, center + half], axis=1)
