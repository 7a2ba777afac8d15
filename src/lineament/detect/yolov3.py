"""YOLOv3-face: Darknet's three maps, of one class.

Redmon, Farhadi, "YOLOv3: An Incremental Improvement", arXiv:1804.02767. The outputs are maps at the
strides 32, 16 and 8, (1, 18, h, w) or (1, h, w, 18): for each of three anchors the center's place
in its cell, the size by the anchor's, certainty and class, all but the size through a sigmoid. The
anchors are the nine of the paper, which networks of faces kept.
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

ANCHORS_PX = {
    8: ((10, 13), (16, 30), (33, 23)),
    16: ((30, 61), (62, 45), (59, 119)),
    32: ((116, 90), (156, 198), (373, 326)),
}
CHANNELS = 18


def _strides(shapes: Shapes, size_wh: Size) -> list[int] | None:
    """The stride of each output; None: they are not those of the family."""
    maps: dict[tuple[int, ...], int] = {}
    for stride in ANCHORS_PX:
        columns, rows = cells_of(size_wh, stride)
        maps[1, CHANNELS, rows, columns] = stride
        maps[1, rows, columns, CHANNELS] = stride
    found = [maps.get(tuple(shape), 0) for shape in shapes]
    return found if sorted(found) == sorted(ANCHORS_PX) else None


def _fits(shapes: Shapes, size_wh: Size) -> bool:
    return _strides(shapes, size_wh) is not None


def _decode(outputs: Outputs, size_wh: Size, least: float) -> FloatArray:
    strides = _strides([output.shape for output in outputs], size_wh)
    assert strides is not None  # OneLook has asked
    parts = []
    for stride, output in zip(strides, outputs, strict=True):
        columns, rows = cells_of(size_wh, stride)
        if output.shape[1:] == (CHANNELS, rows, columns):
            output = output.transpose(0, 2, 3, 1)
        cells = output.reshape(-1, 3, CHANNELS // 3)  # (cells, anchors, 6)
        scores = sigmoid(cells[..., 4]) * sigmoid(cells[..., 5])
        cell, anchor = np.nonzero(scores >= least)
        likely = cells[cell, anchor]
        middle = (sigmoid(likely[:, :2]) + grid(cell, columns)) * stride
        sizes = (
            np.exp(np.minimum(likely[:, 2:4], 20))
            * np.array(ANCHORS_PX[stride], np.float32)[anchor]
        )
        parts.append(rows_of(scores[cell, anchor], centered(middle, sizes)))
    return np.concatenate(parts)


HEAD = Head(
    "yolov3",
    "three maps (1, 18, h, w) or (1, h, w, 18) at the strides 8, 16 and 32",
    _fits,
    _decode,
    scale=1 / 255,
    size_wh=(416, 416),
    placing="center",
    fill=(128, 128, 128),
    default_score=0.4,
    suppression=0.45,
)
