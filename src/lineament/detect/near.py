"""Looking for faces again where they are expected: small crops in place of the whole frame.

YuNet on a square around each box, all of one size and in one batch, takes about a millisecond a
face, whatever the size of the frame. What it finds has the box and the landmarks of a first look;
faces that come into the picture elsewhere are not seen.
"""

from __future__ import annotations

import cv2
import numpy as np

from lineament.detect.boxes import intersection_over_union
from lineament.detect.yunet import cell_scores, decode_squares
from lineament.models.runtime import Model
from lineament.types import Face, FloatArray, Image

CROP_PX = 96
CROP_SHARE = 2.2
"""Sides of the crop, and in longer sides of the box: the face then has 44 pixels, well inside of
what YuNet is sure about, and may have moved by half its side."""

VOTE = 0.6
"""Cells whose boxes overlap the best one's by as much are averaged with it, as in ``yunet``."""

REACH = 0.6
"""Of two faces in a crop the nearer one is meant: a cell's score is scaled by a Gaussian of the
distance between its box and the expected one, in longer sides of that."""

SIDE_REACH = 0.5
"""The same for the logarithm of the ratio of the sides."""


class NearLook:
    """The weights ``yunet`` on crops around boxes. Calls from several threads are safe."""

    def __init__(self, model: Model) -> None:
        """``model``: the weights ``yunet``."""
        self._model = model

    def look(self, image: Image, boxes_xyxy: FloatArray, least_score: float) -> list[Face | None]:
        """Look for the face that is expected at each box.

        Args:
            image: (H, W, 3) uint8, RGB.
            boxes_xyxy: (N, 4) pixels; may reach past the image.
            least_score: 0 to 1.

        Returns:
            For each box the face, with five landmarks, or None.
        """
        if not len(boxes_xyxy):
            return []
        boxes = np.asarray(boxes_xyxy, np.float64)
        center, wide = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
        side = np.maximum(4, np.rint(wide * CROP_SHARE)).astype(np.int64)
        corner = np.rint(center + 0.5 - side[:, None] / 2).astype(np.int64)
        batch = np.empty((len(boxes), 3, CROP_PX, CROP_PX), np.float32)
        for crop, (x, y), length in zip(batch, corner.tolist(), side.tolist(), strict=True):
            crop[:] = _square(image, x, y, length).transpose(2, 0, 1)
        cells = self._model(batch)[0]  # (N, cells, 16)
        rows = decode_squares(cells, CROP_PX)  # (N, cells, 14)
        scale = side / CROP_PX
        rows = (rows + 0.5) * scale[:, None, None] - 0.5
        rows += np.tile(corner, 7)[:, None]
        scores = cell_scores(cells)
        return [
            _nearest(score, row, box, least_score)
            for score, row, box in zip(scores, rows, boxes, strict=True)
        ]


def _nearest(
    scores: FloatArray, rows: FloatArray, box: FloatArray, least_score: float
) -> Face | None:
    """The face of one crop that is meant: cells' scores (C,), boxes and landmarks (C, 14)."""
    likely = np.flatnonzero(scores >= least_score)
    if not len(likely):
        return None
    scores, rows = scores[likely], rows[likely]
    side = float((box[2:] - box[:2]).max())
    away = ((rows[:, :2] + rows[:, 2:4]) / 2 - (box[:2] + box[2:]) / 2) / (REACH * side)
    sides = (rows[:, 2:4] - rows[:, :2]).max(axis=1)
    ratio = np.log(np.maximum(sides, 1e-3) / side) / SIDE_REACH
    best = int((scores * np.exp(-((away**2).sum(axis=1) + ratio**2) / 2)).argmax())
    same = intersection_over_union(rows[best : best + 1, :4], rows[:, :4])[0] >= VOTE
    weights = scores[same] / scores[same].sum()
    mean = (weights @ rows[same]).astype(np.float32)
    if not (mean[2] > mean[0] and mean[3] > mean[1]):
        return None
    return Face(mean[:4], min(1.0, float(scores[best])), mean[4:].reshape(5, 2))


def _square(image: Image, x: int, y: int, side: int) -> Image:
    """A square of the image as (CROP_PX, CROP_PX, 3), black outside."""
    inside = image[max(y, 0) : max(y + side, 0), max(x, 0) : max(x + side, 0)]
    if inside.shape[:2] != (side, side):
        left, top = max(-x, 0), max(-y, 0)
        whole = np.zeros((side, side, 3), np.uint8)
        if inside.size:
            whole[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
        inside = whole
    method = cv2.INTER_AREA if side > CROP_PX else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(inside, (CROP_PX, CROP_PX), interpolation=method), np.uint8)
