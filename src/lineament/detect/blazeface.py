"""BlazeFace, the full-range model of MediaPipe: one look at a small picture, no landmarks.

Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs",
arXiv:1907.05047; anchors, decoding, letterbox and weighted suppression as in MediaPipe's graph
``face_detection_full_range``.

The model finds two eyes, the nose, the middle of the mouth and two ears. It has no mouth corners,
and an invented pair would turn and scale the aligned crop, so that ``Face.landmarks_xy`` is None;
the six points are available from :meth:`BlazeFace.detect_with_keypoints`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lineament.detect.boxes import nms
from lineament.detect.detector import DetectOptions
from lineament.models.runtime import Model
from lineament.types import Face, FloatArray, Image

DEFAULT_SCORE = 0.5
"""Least score: the default of MediaPipe's Python interface. Its graph has 0.6, which loses 4 of 509
faces of LFW that 0.5 finds."""

KEYPOINT_NAMES = ("left eye", "right eye", "nose tip", "mouth center", "left ear", "right ear")
"""Order of the keypoints; left and right as the viewer sees them, as everywhere."""

SIDE, STRIDE = 192, 4
"""Length of the model's input and distance of its anchors, in pixels."""

SUPPRESSION = 0.3
"""Boxes that overlap more (intersection over union) are one face; MediaPipe's value."""

SMALLEST_SHARE = 0.05
"""The least face that one look finds, as a share of the longer side of what it looks at."""

TILE_SHARE = 0.6
"""Length of a tile as a share of the photo's longer side: neighbors share a third, so that
every face below a fifth of the longer side lies in one tile as a whole."""

EDGE_SHARE = 0.01
"""A box that comes this near to a tile's cut, as a share of its length, is taken to be cut off."""


@dataclass(frozen=True)
class _View:
    """What the model looks at: a rectangle of the photo and how it was scaled.

    Attributes:
        left, top, right, bottom: the rectangle in pixels, half-open.
        cut: for left, top, right, bottom whether the photo goes on past that side.
    """

    left: int
    top: int
    right: int
    bottom: int
    cut: tuple[bool, bool, bool, bool]


class BlazeFace:
    """Finds faces from about 5 % of what it looks at upwards, very fast.

    It looks at the whole photo. When ``options.min_face_px`` is less than 5 % of the longer
    side, it also looks at overlapping square tiles of 60 % of the longer side: two on a long
    photo, four on one that is nearly square. That halves the least face, roughly; faces below
    3 % of the longer side need another detector.
    """

    def __init__(self, model: Model) -> None:
        """``model``: the model ``blazeface-full``."""
        self._model = model

    def detect(self, image: Image, options: DetectOptions) -> list[Face]:
        """Return the faces, the most certain first; an empty list when there are none.

        ``landmarks_xy`` of the faces is None. Boxes may reach past the edge of the photo.
        """
        return self.detect_with_keypoints(image, options)[0]

    def detect_with_keypoints(
        self, image: Image, options: DetectOptions
    ) -> tuple[list[Face], FloatArray]:
        """Return what :meth:`detect` does, and the keypoints of each face.

        The keypoints are (N, 6, 2) float32, pixels, in the order of ``KEYPOINT_NAMES``. The ears
        are guesses when the head hides them.
        """
        least = DEFAULT_SCORE if options.min_score is None else options.min_score
        views = _views(image.shape[0], image.shape[1], options.least_face_px(image))
        batch = np.zeros((len(views), SIDE, SIDE, 3), np.uint8)
        for look, view in zip(batch, views, strict=True):
            _letterbox(image[view.top : view.bottom, view.left : view.right], look)
        scaled = np.ascontiguousarray(batch.transpose(0, 3, 1, 2), dtype=np.float32)
        regressors, logits = self._model(scaled)
        found = [_decode(view, regressors[i], logits[i], least) for i, view in enumerate(views)]
        points = np.concatenate([each for each, _ in found])  # (N, 8, 2): box, then keypoints
        scores = np.concatenate([each for _, each in found])
        large = (points[:, 1] - points[:, 0]).max(axis=1) >= options.least_face_px(image)
        points, scores = points[large], scores[large]
        keep = nms(points[:, :2].reshape(-1, 4), scores, SUPPRESSION)[: options.max_faces]
        faces = [Face(points[i, :2].reshape(4), float(scores[i])) for i in keep]
        return faces, points[keep, 2:]


def _views(height: int, width: int, min_face_px: float) -> list[_View]:
    """Return the whole photo, and tiles of it when small faces are wanted."""
    views = [_View(0, 0, width, height, (False, False, False, False))]
    longer = max(height, width)
    if min_face_px >= SMALLEST_SHARE * longer:
        return views
    tile = math.ceil(TILE_SHARE * longer)
    rows = [0] if height <= tile else [0, height - tile]
    columns = [0] if width <= tile else [0, width - tile]
    for top in rows:
        for left in columns:
            right, bottom = min(left + tile, width), min(top + tile, height)
            cut = (left > 0, top > 0, right < width, bottom < height)
            views.append(_View(left, top, right, bottom, cut))
    return views


def _geometry(height: int, width: int) -> tuple[int, int, int, int]:
    """Place a rectangle in the model's square: width, height, left and top margin, in pixels."""
    scale = SIDE / max(height, width)
    wide, high = max(round(width * scale), 1), max(round(height * scale), 1)
    return wide, high, (SIDE - wide) // 2, (SIDE - high) // 2


def _letterbox(image: Image, out: Image) -> None:
    """Scale the picture into the middle of the black square ``out`` (192, 192, 3)."""
    wide, high, left, top = _geometry(image.shape[0], image.shape[1])
    method = cv2.INTER_AREA if wide < image.shape[1] else cv2.INTER_LINEAR
    small = cv2.resize(image, (wide, high), interpolation=method)
    out[top : top + high, left : left + wide] = small


def _decode(
    view: _View, regressors: FloatArray, logits: FloatArray, least: float
) -> tuple[FloatArray, FloatArray]:
    """Turn one look's outputs into faces.

    Returns:
        (n, 8, 2) pixels of the photo: two corners of the box, then six keypoints; and the
        scores (n,).
    """
    clipped = np.clip(logits, -80, 80)  # exp overflows float32 beyond 88
    scores = (1 / (1 + np.exp(-clipped))).astype(np.float32)
    likely = np.nonzero(scores >= least)[0]
    scores = scores[likely]
    raw = regressors[likely].reshape(-1, 8, 2)  # center, size, six points
    rows, columns = np.divmod(likely, SIDE // STRIDE)
    anchors = (np.stack([columns, rows], axis=1) + 0.5) * STRIDE
    square = raw + anchors[:, None].astype(np.float32)
    square[:, 1] = square[:, 0] + raw[:, 1] / 2
    square[:, 0] -= raw[:, 1] / 2
    sound = (raw[:, 1] > 0).all(axis=1)
    square, scores = _merge(square[sound], scores[sound])

    # Pixels of the square to pixels of the photo; the square's count from the edge of its
    # first pixel, the photo's from the center. The six points need no new order: the model
    # names the sides as the person does, right first, and that is the viewer's left.
    wide, high, left, top = _geometry(view.bottom - view.top, view.right - view.left)
    ratio = np.array([(view.right - view.left) / wide, (view.bottom - view.top) / high])
    points = (square - np.array([left, top])) * ratio + np.array([view.left, view.top]) - 0.5
    whole = ~_cut_off(view, points)
    return points[whole].astype(np.float32), scores[whole]


def _cut_off(view: _View, points: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Say for each face (n, 8, 2) whether its box touches a side where the tile was cut."""
    margin = EDGE_SHARE * max(view.right - view.left, view.bottom - view.top)
    left, top, right, bottom = points[:, :2].reshape(-1, 4).T
    over = np.stack(
        [
            left < view.left + margin,
            top < view.top + margin,
            right > view.right - margin,
            bottom > view.bottom - margin,
        ],
        axis=1,
    )
    cut: npt.NDArray[np.bool_] = (over & np.array(view.cut)).any(axis=1)
    return cut


def _merge(points: FloatArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weighted suppression (section 3.4 of the paper): a face is the mean of its detections.

    Every detection that overlaps the best one is averaged into it, weighted by its score, box and
    keypoints alike, which keeps them from jumping between neighboring anchors.
    """
    lower, upper = points[:, 0], points[:, 1]
    area = (upper - lower).prod(axis=1)
    order = np.argsort(-scores, kind="stable")
    merged: list[FloatArray] = []
    firsts: list[int] = []
    while len(order) > 0:
        best = order[0]
        common = np.minimum(upper[best], upper[order]) - np.maximum(lower[best], lower[order])
        shared = np.maximum(common, 0).prod(axis=1)
        same = shared > SUPPRESSION * (area[best] + area[order] - shared)
        same[0] = True  # also when its area is too small for float32
        group = order[same]
        merged.append(np.average(points[group], axis=0, weights=scores[group]))
        firsts.append(int(best))
        order = order[~same]
    return np.array(merged, dtype=np.float32).reshape(-1, 8, 2), scores[firsts]
