"""SCRFD, and insightface's RetinaFace: distances from anchors at three or five strides.

Guo et al., "Sample and Computation Redistribution for Efficient Face Detection", arXiv:2105.04714;
Deng et al., "RetinaFace", CVPR 2020, as insightface exports it. The outputs are scores (N, 1),
distances of the four sides from the anchor's center (N, 4) and, with landmarks, of ten coordinates
(N, 10), in units of the stride, for each stride: 6, 9, 10 or 15 arrays in all. How many anchors a
cell has follows from the counts.
"""

from __future__ import annotations

import numpy as np

from lineament.detect.heads import (
    Head,
    Outputs,
    Shapes,
    Size,
    as_rows,
    cells_of,
    grid,
    row_length,
    rows_of,
    sigmoid,
)
from lineament.types import FloatArray

STRIDES = (8, 16, 32, 64, 128)
LEVELS = (3, 5)
MOST_ANCHORS = 4


def _levels(shapes: Shapes, size_wh: Size) -> list[tuple[int, int, int | None]] | None:
    """For each stride the numbers of its outputs: scores, boxes, landmarks or None."""
    found: dict[int, list[int]] = {1: [], 4: [], 10: []}
    for number, shape in enumerate(shapes):
        if row_length(shape) not in found:
            return None
        found[row_length(shape)].append(number)

    def count(number: int) -> int:
        return shapes[number][-2]

    for numbers in found.values():
        numbers.sort(key=lambda number: -count(number))
    scores, boxes, points = found[1], found[4], found[10]
    if len(scores) not in LEVELS or len(boxes) != len(scores) or len(points) not in (0, len(boxes)):
        return None
    columns, rows = cells_of(size_wh, STRIDES[0])
    anchors = count(scores[0]) // (columns * rows)
    if not 1 <= anchors <= MOST_ANCHORS:
        return None
    for i, stride in enumerate(STRIDES[: len(scores)]):
        columns, rows = cells_of(size_wh, stride)
        if any(
            count(each[i]) != anchors * columns * rows for each in (scores, boxes, points or boxes)
        ):
            return None
    return [(s, boxes[i], points[i] if points else None) for i, s in enumerate(scores)]


def _fits(shapes: Shapes, size_wh: Size) -> bool:
    return _levels(shapes, size_wh) is not None


def _decode(outputs: Outputs, size_wh: Size, least: float) -> FloatArray:
    levels = _levels([output.shape for output in outputs], size_wh)
    assert levels is not None  # OneLook has asked
    parts = []
    for stride, (s, b, p) in zip(STRIDES, levels, strict=False):
        scores = outputs[s].reshape(-1)
        if scores.size and (scores.min() < 0 or scores.max() > 1):  # exported without its sigmoid
            scores = sigmoid(scores)
        likely = np.flatnonzero(scores >= least)
        columns, rows = cells_of(size_wh, stride)
        anchors = len(scores) // (columns * rows)
        center = grid(likely // anchors, columns) * stride
        sides = as_rows(outputs[b], 4)[likely] * stride
        boxes = np.concatenate([center - sides[:, :2], center + sides[:, 2:]], axis=1)
        points = None
        if p is not None:
            points = as_rows(outputs[p], 10)[likely] * stride + np.tile(center, 5)
        parts.append(rows_of(scores[likely], boxes, points))
    return np.concatenate(parts)


HEAD = Head(
    "scrfd",
    "scores (N, 1), boxes (N, 4) and perhaps landmarks (N, 10) at the strides 8, 16, 32 (and 64, "
    "128): 6, 9, 10 or 15 outputs",
    _fits,
    _decode,
    mean=127.5,
    scale=1 / 128,
)
