"""CenterFace: a heat map of face centers at a quarter of the input, with sizes and landmarks.

Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", arXiv:1911.03599.
The outputs, in this order: heat (1, 1, h, w), the logarithm of height and width (1, 2, h, w), the
center's offset down and across (1, 2, h, w), and landmarks (1, 10, h, w), each as (down, across) in
shares of the box from its top left corner.
"""

from __future__ import annotations

import numpy as np

from lineament.detect.heads import Head, Outputs, Shapes, Size, cells_of, centered, rows_of
from lineament.types import FloatArray

STRIDE = 4


def _fits(shapes: Shapes, size_wh: Size) -> bool:
    columns, rows = cells_of(size_wh, STRIDE)
    return [tuple(shape) for shape in shapes] == [(1, k, rows, columns) for k in (1, 2, 2, 10)]


def _decode(outputs: Outputs, size_wh: Size, least: float) -> FloatArray:
    heat, sizes, offsets, points = (output[0] for output in outputs)
    row, column = np.nonzero(heat[0] >= least)
    size = np.exp(np.minimum(sizes[::-1, row, column].T, 20)) * STRIDE  # (n, 2): width, height
    cell = np.stack([column, row], axis=1).astype(np.float32)
    box = centered((cell + 0.5 + offsets[::-1, row, column].T) * STRIDE, size)
    shares = points[:, row, column].T.reshape(-1, 5, 2)[..., ::-1]  # (n, 5, 2): across, down
    places = box[:, None, :2] + shares * size[:, None]
    return rows_of(heat[0, row, column], box, places.reshape(-1, 10))


HEAD = Head(
    "centerface",
    "heat (1, 1, h, w), sizes (1, 2, h, w), offsets (1, 2, h, w) and landmarks (1, 10, h, w) at a "
    "quarter of the input, in this order",
    _fits,
    _decode,
    suppression=0.3,
)
