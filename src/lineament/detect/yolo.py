"""YOLOv5-face, YOLOv8-face and YOLO11-face, in the forms in which they are exported.

Qi et al., "YOLO5Face: Why Reinventing a Face Detector", arXiv:2105.12931; Ultralytics' YOLOv8 and
its successors, whose heads are the same. What an output is follows from its shape; G is the number
of cells at the strides 8, 16 and 32 (and 64):

- (1, 3 G, 16): YOLOv5-face: center, size, certainty, ten coordinates, class;
- (1, 5, G), (1, 15, G) or (1, 20, G): YOLOv8 and later: center, size, score and no landmarks, ten
  coordinates, or five times (x, y, visibility);
- (1, N, 6), (1, N, 16) or (1, N, 21): the same after its own suppression: corners, score, class;
- three or four (1, 65 or 80, h, w): YOLOv8 without its last step: for each side 16 chances of a
  distance in cells, the class, and perhaps five times (x, y, visibility).
"""

from __future__ import annotations

import numpy as np

from lineament.detect.heads import (
    Head,
    Outputs,
    Shapes,
    Size,
    cells_of,
    centered,
    grid,
    rows_of,
    sigmoid,
)
from lineament.types import FloatArray

STRIDES = (8, 16, 32, 64)
BINS = 16
MOST_SUPPRESSED = 2000
"""Rows of an output after suppression; Ultralytics has 300."""


def _n_cells(size_wh: Size, levels: int) -> int:
    return sum(c * r for c, r in (cells_of(size_wh, stride) for stride in STRIDES[:levels]))


def _form(shapes: Shapes, size_wh: Size) -> str | None:
    """Which of the forms outputs are in; None: in none."""
    maps = [(shape[1], shape[3], shape[2]) for shape in shapes if len(shape) == 4 and shape[0] == 1]
    if len(maps) == len(shapes) and len(maps) in (3, 4):
        expected = [cells_of(size_wh, stride) for stride in STRIDES[: len(maps)]]
        channels = {each[0] for each in maps}
        found = sorted((each[1:] for each in maps), reverse=True)
        return "maps" if channels in ({65}, {80}) and found == sorted(expected)[::-1] else None
    if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][0] != 1:
        return None
    _, first, second = shapes[0]
    for levels in (3, 4):
        cells = _n_cells(size_wh, levels)
        if (first, second) == (3 * cells, 16):
            return "anchors"
        if first in (5, 15, 20) and second == cells:
            return "columns"
    return "suppressed" if second in (6, 16, 21) and first <= MOST_SUPPRESSED else None


def _fits(shapes: Shapes, size_wh: Size) -> bool:
    return _form(shapes, size_wh) is not None


def _decode(outputs: Outputs, size_wh: Size, least: float) -> FloatArray:
    form = _form([output.shape for output in outputs], size_wh)
    if form == "maps":
        return _from_maps(outputs, size_wh, least)
    if form == "anchors":
        rows = outputs[0][0]
        scores = rows[:, 4] * rows[:, 15]
        rows, scores = rows[scores >= least], scores[scores >= least]
        return rows_of(scores, centered(rows[:, :2], rows[:, 2:4]), rows[:, 5:15])
    if form == "suppressed":
        rows = outputs[0][0]
        rows = rows[rows[:, 4] >= least]
        return rows_of(rows[:, 4], rows[:, :4], _points(rows[:, 6:]))
    rows = outputs[0][0].T
    rows = rows[rows[:, 4] >= least]
    return rows_of(rows[:, 4], centered(rows[:, :2], rows[:, 2:4]), _points(rows[:, 5:]))


def _points(columns: FloatArray) -> FloatArray | None:
    """Ten coordinates (n, 10) of columns that may say how visible each point is, too."""
    if columns.shape[1] == 15:
        return columns.reshape(-1, 5, 3)[..., :2].reshape(-1, 10)
    return columns if columns.shape[1] else None


def _from_maps(outputs: Outputs, size_wh: Size, least: float) -> FloatArray:
    """The last step of YOLOv8: distances are means over their chances."""
    parts = []
    for stride, output in zip(
        STRIDES, sorted(outputs, key=lambda output: -output.size), strict=False
    ):
        flat = output[0].reshape(output.shape[1], -1).T  # (cells, channels)
        scores = sigmoid(flat[:, 4 * BINS])
        likely = np.flatnonzero(scores >= least)
        rows = flat[likely]
        chances = rows[:, : 4 * BINS].reshape(-1, 4, BINS)
        chances = np.exp(chances - chances.max(axis=2, keepdims=True))
        sides = (chances @ np.arange(BINS, dtype=np.float32)) / chances.sum(axis=2)
        cell = grid(likely, cells_of(size_wh, stride)[0])
        middle = cell + np.float32(0.5)
        boxes = np.concatenate([middle - sides[:, :2], middle + sides[:, 2:]], axis=1) * stride
        points = _points(rows[:, 4 * BINS + 1 :])
        if points is not None:
            points = (points * 2 + np.tile(cell, 5)) * stride
        parts.append(rows_of(scores[likely], boxes, points))
    return np.concatenate(parts)


HEAD = Head(
    "yolo",
    "one output (1, 3 G, 16), (1, 5, G), (1, 15, G), (1, 20, G), (1, N, 6), (1, N, 16) or "
    "(1, N, 21), or maps (1, 65, h, w) or (1, 80, h, w), with G cells at the strides 8, 16, 32",
    _fits,
    _decode,
    scale=1 / 255,
    placing="center",
    fill=(114, 114, 114),
    multiple=64,
    suppression=0.45,
)
