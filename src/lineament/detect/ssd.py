"""Single-shot detectors whose anchors are decoded inside of the network.

Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016. Two forms: rows of seven numbers
(1, 1, N, 7) - picture, class, score and a box in shares of the photo - as OpenCV's face detector
(ResNet-10, 300x300) has them; and boxes (1, N, 4) in shares of a square with scores (1, N), as
``scripts/build/faceapi_ssd.py`` writes face-api's (MobileNet v1, 512x512).
"""

from __future__ import annotations

import numpy as np

from lineament.detect.heads import Head, Outputs, Shapes, Size, rows_of
from lineament.types import FloatArray


def _fits_rows(shapes: Shapes, _size_wh: Size) -> bool:
    return (
        len(shapes) == 1 and len(shapes[0]) == 4 and shapes[0][:2] == (1, 1) and shapes[0][3] == 7
    )


def _decode_rows(outputs: Outputs, size_wh: Size, least: float) -> FloatArray:
    rows = outputs[0].reshape(-1, 7)
    rows = rows[(rows[:, 0] >= 0) & (rows[:, 1] >= 1) & (rows[:, 2] >= least)]
    return rows_of(rows[:, 2], rows[:, 3:] * np.array(size_wh * 2, np.float32))


HEAD = Head(
    "ssd",
    "one output (1, 1, N, 7): picture, class, score and the box in shares of the photo",
    _fits_rows,
    _decode_rows,
    color_order="bgr",
    mean=(104.0, 177.0, 123.0),
    size_wh=(300, 300),
    placing="stretch",
    suppression=0.45,
)


def _fits_lists(shapes: Shapes, _size_wh: Size) -> bool:
    by_length = {len(shape): tuple(shape) for shape in shapes}
    if len(shapes) != 2 or set(by_length) != {2, 3}:
        return False
    scores, boxes = by_length[2], by_length[3]
    return boxes[0] == scores[0] == 1 and boxes[2] == 4 and boxes[1] == scores[1]


def _decode_lists(outputs: Outputs, size_wh: Size, least: float) -> FloatArray:
    boxes, scores = sorted(outputs, key=lambda output: -output.ndim)
    likely = np.flatnonzero(scores[0] >= least)
    return rows_of(scores[0, likely], boxes[0, likely] * np.array(size_wh * 2, np.float32))


HEAD_MOBILENET = Head(
    "ssd-mobilenet",
    "boxes (1, N, 4) in shares of the input, and scores (1, N)",
    _fits_lists,
    _decode_lists,
    size_wh=(512, 512),
    suppression=0.5,
)
