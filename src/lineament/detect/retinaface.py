"""RetinaFace with one list of anchors for all strides (MobileNet-0.25, ResNet-50).

Deng et al., "RetinaFace: Single-stage Dense Face Localisation in the Wild", CVPR 2020, in the
layout of the PyTorch implementation that most files come from: offsets (N, 4), classes (N, 2) and
landmarks (N, 10) of two square anchors a cell at the strides 8, 16 and 32, with the variances 0.1
and 0.2 of SSD.
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
    centered,
    grid,
    row_length,
    rows_of,
)
from lineament.types import FloatArray

STRIDES = (8, 16, 32)
ANCHORS_PX = ((16, 32), (64, 128), (256, 512))
VARIANCE = 0.1, 0.2


def _fits(shapes: Shapes, size_wh: Size) -> bool:
    counts = {shape[-2] for shape in shapes if row_length(shape)}
    expected = 2 * sum(c * r for c, r in (cells_of(size_wh, stride) for stride in STRIDES))
    return sorted(map(row_length, shapes)) == [2, 4, 10] and counts == {expected}


def _priors(size_wh: Size) -> tuple[FloatArray, FloatArray]:
    """Centers (N, 2) and sides (N, 1) of the anchors, pixels."""
    centers, sides = [], []
    for stride, pair in zip(STRIDES, ANCHORS_PX, strict=True):
        columns, rows = cells_of(size_wh, stride)
        cells = (grid(np.arange(columns * rows), columns) + 0.5) * stride
        centers.append(np.repeat(cells, 2, axis=0))
        sides.append(np.tile(np.array(pair, np.float32), columns * rows)[:, None])
    return np.concatenate(centers, dtype=np.float32), np.concatenate(sides)


def _decode(outputs: Outputs, size_wh: Size, least: float) -> FloatArray:
    named = {output.shape[-1]: as_rows(output, output.shape[-1]) for output in outputs}
    offsets, classes, points = named[4], named[2], named[10]
    if not np.allclose(classes.sum(axis=1), 1, atol=1e-2):  # exported without its softmax
        classes = np.exp(classes - classes.max(axis=1, keepdims=True))
        classes = classes / classes.sum(axis=1, keepdims=True)
    likely = np.flatnonzero(classes[:, 1] >= least)
    center, side = (each[likely] for each in _priors(size_wh))
    middle = center + offsets[likely, :2] * VARIANCE[0] * side
    sizes = side * np.exp(np.minimum(offsets[likely, 2:] * VARIANCE[1], 20))
    places = np.tile(center, 5) + points[likely] * VARIANCE[0] * side
    return rows_of(classes[likely, 1], centered(middle, sizes), places)


HEAD = Head(
    "retinaface",
    "offsets (1, N, 4), classes (1, N, 2) and landmarks (1, N, 10) of two anchors a cell at the "
    "strides 8, 16 and 32",
    _fits,
    _decode,
    color_order="bgr",
    mean=(104.0, 117.0, 123.0),
    fill=(123, 117, 104),
)
