"""MTCNN: three small networks in a cascade; and its last one as a refiner of landmarks.

Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks",
IEEE Signal Processing Letters 2016, arXiv:1604.02878. The weights are those of facenet-pytorch; the
thresholds, the pyramid and the order of the steps follow it. Two things differ on purpose:

- coordinates keep one meaning at every step (the reference mixes its MATLAB ancestor's counting
  from 1 with Python's counting from 0, and the centers of pixels with their edges). That the
  landmarks are relative to the window's edges shows when photos are mirrored: on 1,379 of LFW
  the two answers then lie 0.1 pixel to the right of symmetry, and 0.6 if they were relative to the
  centers of its outer pixels;
- windows that reach past the photo are filled with black, as in the original, where
  facenet-pytorch stretches what is left of them.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from lineament.detect.boxes import nms
from lineament.detect.detector import DetectOptions
from lineament.errors import OptionError
from lineament.geometry import SLACK
from lineament.models.runtime import Model
from lineament.pyramid import Level, Pyramid
from lineament.raster import IN_PART, without_raster
from lineament.types import Face, FloatArray, Image, IntArray

DEFAULT_SCORE = 0.7
"""Least probability of the O-Net; as in the paper's code and in facenet-pytorch."""

P_SCORE, R_SCORE = 0.6, 0.7
"""Least probability of the P-Net and of the R-Net, from the same source."""

PYRAMID_STEP = 0.709
"""Each level of the pyramid is this much smaller than the one before: about half the area."""

P_WINDOW, P_STRIDE, R_WINDOW, O_WINDOW = 12, 2, 24, 48
"""What each network looks at, in pixels (section II.B, figure 2)."""

WINDOWS_PER_BATCH = 256
"""Bounds the memory of a crowd: an O-Net batch of this size is 7 MB in and about 70 MB inside."""

REACH = 4
"""How far from the photo's corner a box may lie, in lengths of its longer side."""

CENTER = np.float32(0.5)
"""Between the stages coordinates count from the first pixel's edge, outside from its center."""


class MTCNN:
    """Finds faces of any size, with landmarks; slower than a single network on large photos.

    The time grows with the number of pixels over the square of ``options.min_face_px``: the first
    network sees the photo scaled until the least face is 12 pixels long.
    """

    def __init__(self, p: Model, r: Model, o: Model) -> None:
        """``p``, ``r``, ``o``: the models ``mtcnn-p``, ``mtcnn-r`` and ``mtcnn-o``."""
        self._p, self._r, self._o = p, r, o

    def detect(self, image: Image, options: DetectOptions) -> list[Face]:
        """Return the faces, the most certain first; an empty list when there are none.

        Boxes and landmarks may lie past the edge of the photo. A photo less than 12
        pixels high or wide has no faces.
        """
        least = DEFAULT_SCORE if options.min_score is None else options.min_score
        boxes = self._propose(image, options.least_face_px(image))
        boxes = self._refine(image, boxes) - CENTER
        points, boxes, scores = onet_landmarks(self._o, image, np.clip(boxes, *_reach(image)))
        size_wh = boxes[:, 2:] - boxes[:, :2]
        sound = (size_wh >= 1).all(axis=1) & (size_wh.max(axis=1) >= options.least_face_px(image))
        sound &= scores >= least
        points, boxes, scores = points[sound], boxes[sound], scores[sound]
        keep = nms(boxes, scores, 0.7, overlap="min")[: options.max_faces]
        return [Face(boxes[i], float(scores[i]), points[i]) for i in keep]

    def _propose(self, image: Image, min_face_px: float) -> FloatArray:
        """First stage: the P-Net over a pyramid. Returns boxes (N, 4), pixels from the edge."""
        found: list[FloatArray] = []
        certain: list[FloatArray] = []
        for height, width in _pyramid(image.shape[0], image.shape[1], min_face_px):
            offsets, probability = self._p(_batch(_resize(image, width, height)[None]))
            rows, columns = np.nonzero(probability[0] >= P_SCORE)
            scores = probability[0, rows, columns]
            corner = np.stack([columns, rows], axis=1) * P_STRIDE  # (n, 2)
            windows = np.concatenate([corner, corner + P_WINDOW], axis=1).astype(np.float32)
            keep = nms(windows, scores, 0.5)
            boxes = _move(windows[keep], offsets[0][:, rows[keep], columns[keep]].T)
            # The true ratio on each axis: the level's size is rounded to whole pixels.
            ratio = np.array([image.shape[1] / width, image.shape[0] / height], np.float32)
            # The second suppression below wants windows too, so both travel together.
            found.append(np.concatenate([boxes, windows[keep]], axis=1) * np.tile(ratio, 4))
            certain.append(scores[keep])
        if not found:
            return np.zeros((0, 4), np.float32)
        both = np.concatenate(found)
        keep = nms(both[:, 4:], np.concatenate(certain), 0.7)
        return both[keep, :4]

    def _refine(self, image: Image, boxes: FloatArray) -> FloatArray:
        """Second stage: the R-Net throws out most candidates and moves the rest."""
        squares = _squares(np.clip(boxes, *_reach(image)))
        kept, certain, moved = [boxes[:0]], [boxes[:0, 0]], [boxes[:0]]
        for start in range(0, len(squares), WINDOWS_PER_BATCH):
            part = squares[start : start + WINDOWS_PER_BATCH]
            offsets, scores = self._r(_crops(image, part, R_WINDOW))
            likely = scores >= R_SCORE
            windows = part[likely].astype(np.float32)
            kept.append(windows)
            certain.append(scores[likely])
            moved.append(_move(windows, offsets[likely]))
        keep = nms(np.concatenate(kept), np.concatenate(certain), 0.7)
        return np.concatenate(moved)[keep]


def onet_landmarks(
    model: Model, image: Image | Pyramid, boxes_xyxy: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Run MTCNN's O-Net on faces that any detector has found.

    Each box is made square about its center (the longer side counts), rounded to whole pixels and
    scaled to 48x48. All boxes go through the network together, in batches of 256.

    Args:
        model: the model ``mtcnn-o``.
        image: the photo, or its levels: each box is cut out of the coarsest that serves.
        boxes_xyxy: (N, 4) pixels; N may be 0, and boxes may reach past the photo.

    Returns:
        Landmarks (N, 5, 2) in pixels in the order of ``LANDMARK_NAMES``, refined boxes (N, 4) in
        pixels, and the probability (N,) that each is a face, 0 to 1; all float32.

    Raises:
        OptionError: a box is not (left, top, right, bottom) in pixels of about this photo.
    """
    if boxes_xyxy.ndim != 2 or boxes_xyxy.shape[1] != 4:
        raise OptionError(f"expected shape (N, 4), got {boxes_xyxy.shape}", option="boxes_xyxy")
    lowest, highest = _reach(image)
    if not ((boxes_xyxy >= lowest) & (boxes_xyxy <= highest)).all():
        raise OptionError(
            f"expected pixels of a photo of {image.shape[1]}x{image.shape[0]},"
            f" {lowest} to {highest}, got {boxes_xyxy.min()} to {boxes_xyxy.max()}:"
            " pass boxes that were found in this photo",
            option="boxes_xyxy",
        )
    if isinstance(image, Pyramid):
        return _onet_levels(model, image, boxes_xyxy)
    squares = _squares(boxes_xyxy + CENTER)
    points = np.zeros((len(squares), 5, 2), np.float32)
    boxes = np.zeros((len(squares), 4), np.float32)
    scores = np.zeros(len(squares), np.float32)
    for start in range(0, len(squares), WINDOWS_PER_BATCH):
        part = slice(start, start + WINDOWS_PER_BATCH)
        windows = squares[part].astype(np.float32)
        crops = _crops(image, squares[part], O_WINDOW, rasters=True)
        shares, offsets, scores[part] = _onet(model, crops)
        side = (windows[:, 2] - windows[:, 0])[:, None, None]
        points[part] = shares * side + windows[:, None, :2]
        boxes[part] = _move(windows, offsets)
    return points - CENTER, boxes - CENTER, scores


def _onet_levels(
    model: Model, pyramid: Pyramid, boxes: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """``onet_landmarks`` of each box in the level that serves it."""
    points = np.zeros((len(boxes), 5, 2), np.float32)
    moved, scores = np.zeros((len(boxes), 4), np.float32), np.zeros(len(boxes), np.float32)
    sides = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0), 1)
    groups: dict[int, tuple[Level, list[int]]] = {}
    for i in np.argsort(sides).tolist():
        level = pyramid.level(O_WINDOW / float(sides[i]) / SLACK)
        groups.setdefault(level.reduction, (level, []))[1].append(i)
    for level, part in groups.values():
        inside = level.to_level_xy(boxes[part].reshape(-1, 2, 2)).reshape(-1, 4)
        found = onet_landmarks(model, level.pixels, inside)
        points[part] = level.to_photo_xy(found[0])
        moved[part] = level.to_photo_xy(found[1].reshape(-1, 2, 2)).reshape(-1, 4)
        scores[part] = found[2]
    return points, moved, scores


def onet_windows(model: Model, windows: Image) -> tuple[FloatArray, FloatArray]:
    """The O-Net on crops (N, 48, 48, 3) uint8, RGB, each of which shows one face.

    Returns:
        Landmarks (N, 5, 2) in pixels of the crops, and the probability (N,) that each is a face.
    """
    shares, _, scores = _onet(model, _batch(windows))
    return shares * O_WINDOW - CENTER, scores


def _onet(model: Model, batch: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Landmarks (n, 5, 2) as shares of the window, offsets of its sides (n, 4), scores (n,)."""
    offsets, relative, scores = model(batch)
    # (n, 10) as x0..x4, y0..y4 -> (n, 5, 2)
    return relative.reshape(-1, 2, 5).transpose(0, 2, 1), offsets, scores


def _pyramid(height: int, width: int, min_face_px: float) -> list[tuple[int, int]]:
    """Sizes (height, width) of the levels, the largest first."""
    sizes = []
    scale = P_WINDOW / min_face_px
    while min(height, width) * scale >= P_WINDOW:
        sizes.append((math.ceil(height * scale), math.ceil(width * scale)))
        scale *= PYRAMID_STEP
    return sizes


def _reach(image: Image | Pyramid) -> tuple[int, int]:
    """Least and greatest coordinate of a box: bounds the memory of cutting it out."""
    limit = REACH * max(image.shape[:2])
    return -limit, limit


def _squares(boxes: FloatArray) -> IntArray:
    """Squares of whole pixels about the boxes' centers: (N, 4) half-open, at least 1 pixel."""
    side = np.maximum(np.rint((boxes[:, 2:] - boxes[:, :2]).max(axis=1)), 1)[:, None]
    corner = np.rint((boxes[:, :2] + boxes[:, 2:] - side) / 2)
    return np.concatenate([corner, corner + side], axis=1).astype(np.int64)


def _crops(image: Image, squares: IntArray, side: int, *, rasters: bool = False) -> FloatArray:
    """Cut the squares out and scale them: (N, 3, side, side) float32, 0 to 255.

    ``rasters``: smooth a printed raster away before.
    """
    height, width = image.shape[:2]
    crops = np.zeros((len(squares), side, side, 3), np.uint8)
    for crop, (left, top, right, bottom) in zip(crops, squares.tolist(), strict=True):
        x, y = max(left, 0), max(top, 0)
        inside = image[y : max(bottom, 0), x : max(right, 0)]
        high, wide = inside.shape[:2]
        if high == 0 or wide == 0:
            continue  # nothing of the photo is in it: it stays black
        if rasters:
            inside = without_raster(inside, IN_PART)
        if (high, wide) != (bottom - top, right - left):
            margins = (y - top, max(bottom - height, 0), x - left, max(right - width, 0))
            inside = cv2.copyMakeBorder(  # type: ignore[assignment]
                inside, *margins, borderType=cv2.BORDER_CONSTANT, value=(0, 0, 0)
            )
        crop[:] = _resize(inside, side, side)
    return _batch(crops)


def _resize(image: Image, width: int, height: int) -> Image:
    """Scale: the mean of the area when shrinking, linear when enlarging."""
    shrinks = width < image.shape[1] or height < image.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=method)  # type: ignore[return-value]


def _batch(images: npt.NDArray[np.uint8]) -> FloatArray:
    """(N, H, W, 3) uint8 -> (N, 3, H, W) float32, contiguous."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)


def _move(windows: FloatArray, offsets: FloatArray) -> FloatArray:
    """Apply the regression (equation 2): offsets of the four sides in units of the window."""
    size = windows[:, 2:] - windows[:, :2]
    moved: FloatArray = windows + offsets * np.concatenate([size, size], axis=1)
    return moved
