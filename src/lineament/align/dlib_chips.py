"""The chips that dlib's recognizer was trained on, cut as dlib cuts them, to the last bit.

    chip = dlib_chip(image, points_xy)          five or 68 points of dlib's -> (150, 150, 3)

``Alignment.parse("dlib-150")`` cuts almost the same from the landmarks of our own detectors, which
is what recognition here uses; embeddings of it are as good, but not equal. Where stored ones of
dlib's are to stay valid, the chip has to be the same: dlib's points (``regression_trees``), its
template, its pyramid of half the size each, its corners and its bilinear interpolation, which cuts
digits off instead of rounding.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lineament.align.alignment import DLIB_NATIVE_PX
from lineament.errors import OptionError
from lineament.geometry import similarity_transforms
from lineament.types import Float64Array, Image

PADDING = 0.25
"""Of dlib's recognizer: so much more is shown on each side, as a share of the face's square."""

FIVE_XY = np.array(
    [
        [0.8595674595992, 0.2134981538014],
        [0.6460604764104, 0.2289674387677],
        [0.1205750620789, 0.2137274526848],
        [0.3340850613712, 0.2290642403242],
        [0.4901123135679, 0.6277975316475],
    ]
)
"""(5, 2): where dlib has the outer and inner corner of the viewer's right eye, those of the left
one, and the base of the nose, in units of the face's square. From dlib's documentation of
``get_face_chip_details`` (King, "Dlib-ml: A machine learning toolkit", JMLR 10, 2009)."""

_LIPS_X = [0.254149, 0.340985, 0.428858, 0.490127, 0.551395, 0.639268, 0.726104]
_LIPS_Y = [0.780233, 0.745405, 0.727388, 0.742578, 0.727388, 0.745405, 0.780233]
SIXTY_EIGHT = np.array([*range(27, 55), *range(60, 65)])
SIXTY_EIGHT_XY = np.stack(
    [
        [
            *[0.490127] * 4,
            *[0.36688, 0.426036, 0.490127, 0.554217, 0.613373],
            *[0.121737, 0.187122, 0.265825, 0.334606, 0.260918, 0.182743],
            *[0.645647, 0.714428, 0.793132, 0.858516, 0.79751, 0.719335],
            *_LIPS_X,
            *[0.290379, 0.428096, 0.490127, 0.552157, 0.689874],
        ],
        [
            *[0.203352, 0.307009, 0.409805, 0.515625],
            *[0.587326, 0.609345, 0.628106, 0.609345, 0.587326],
            *[0.216423, 0.178758, 0.179852, 0.231733, 0.245099, 0.244077],
            *[0.231733, 0.179852, 0.178758, 0.216423, 0.244077, 0.245099],
            *_LIPS_Y,
            *[0.784792, 0.778746, 0.785343, 0.778746, 0.784792],
        ],
    ],
    axis=1,
)
"""Numbers among 68 points, without jaw, brows and lower lip, and where dlib has them, (33, 2)."""

_TAPS = np.array([1, 4, 6, 4, 1])
_DOWN_XY = np.array([1.25, 0.75])
"""How dlib's pyramid is smoothed, and where its levels lie: a point p is at p / 2 - this."""


def dlib_chip(
    image: Image, points_xy: npt.NDArray[np.integer], *, size_px: int = DLIB_NATIVE_PX
) -> Image:
    """Cut one face out as dlib does.

    Args:
        image: (H, W, 3) uint8, RGB.
        points_xy: (5, 2) or (68, 2) whole pixels, from dlib's predictors.
        size_px: side of the chip.

    Returns:
        (size_px, size_px, 3) uint8; black outside of the photo.

    Raises:
        OptionError: other shapes, or points that coincide.
    """
    if len(points_xy) == 68:
        points_xy, template = points_xy[SIXTY_EIGHT], SIXTY_EIGHT_XY
    elif len(points_xy) == 5:
        template = FIVE_XY
    else:
        raise OptionError(f"expected 5 or 68 points, got {len(points_xy)}", option="points_xy")
    target = (PADDING + template) / (2 * PADDING + 1) * size_px
    # from the chip to the photo
    matrix = similarity_transforms(target[None], np.asarray(points_xy, np.float64))[0]
    angle = float(np.arctan2(matrix[1, 0], matrix[0, 0]))
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    center = matrix[:, :2] @ [size_px / 2, size_px / 2] + matrix[:, 2]
    return turned_chip(image, center, size_px * scale, angle, size_px)


def turned_chip(
    image: Image, center_xy: Float64Array, side: float, angle: float, size_px: int
) -> Image:
    """Cut a turned square out as dlib's ``extract_image_chip`` does.

    Args:
        image: (H, W, 3) uint8.
        center_xy: (2,) of the square, pixels.
        side: of it, pixels.
        angle: radians, clockwise for the viewer.
        size_px: side of the chip.
    """
    half = (side - 1) / 2
    low, high = center_xy - half, center_xy + half
    level, low_at, high_at, grow = -1, low, high, 2.0
    while _area(*_down(low_at, high_at)) > size_px * size_px:
        low_at, high_at = _down(low_at, high_at)
        level, grow = level + 1, grow * 2 + 2
    left, top, right, bottom = _bounds(low, high, angle, grow, image)
    part = image[top:bottom, left:right]
    if not part.size:
        return np.zeros((size_px, size_px, 3), np.uint8)
    low, high = low - (left, top), high - (left, top)
    for _ in range(level + 1):
        low, high = _down(low, high)
        part = _halved(part)
    if not part.size:
        return np.zeros((size_px, size_px, 3), np.uint8)
    corner, across, down = (
        _turned(point, (low + high) / 2, angle)
        for point in (low, np.array([high[0], low[1]]), np.array([low[0], high[1]]))
    )
    steps = np.arange(size_px) / (size_px - 1)
    places = (
        corner + steps[None, :, None] * (across - corner) + steps[:, None, None] * (down - corner)
    )
    return _bilinear(part, places)


def _down(low: Float64Array, high: Float64Array) -> tuple[Float64Array, Float64Array]:
    return low / 2 - _DOWN_XY, high / 2 - _DOWN_XY


def _area(low: Float64Array, high: Float64Array) -> float:
    width, height = high - low + 1
    return float(width * height)


def _turned(point: Float64Array, center: Float64Array, angle: float) -> Float64Array:
    x, y = point - center
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([cos * x - sin * y, sin * x + cos * y]) + center


def _bounds(
    low: Float64Array, high: Float64Array, angle: float, grow: float, image: Image
) -> tuple[int, int, int, int]:
    """The part of the photo that is looked at: left, top, right, bottom, the last two outside."""
    center = (low + high) / 2
    corners = np.array(
        [
            _turned(np.array([x, y]), center, angle)
            for x in (low[0], high[0])
            for y in (low[1], high[1])
        ]
    )
    height, width = image.shape[:2]
    first = np.floor(corners.min(axis=0) - grow + 0.5)
    last = np.floor(corners.max(axis=0) + grow + 0.5)
    first = np.maximum(first, 0)
    last = np.minimum(last, [width - 1, height - 1])
    return int(first[0]), int(first[1]), int(last[0]) + 1, int(last[1]) + 1


def _halved(image: Image) -> Image:
    """The next level of dlib's pyramid."""
    height, width = ((side - 3) // 2 for side in image.shape[:2])
    if height < 1 or width < 1:
        return np.zeros((0, 0, 3), np.uint8)
    values = image.astype(np.int64)
    rows = sum(
        tap * values[:, i : i + 2 * width : 2][:, :width] for i, tap in enumerate(_TAPS.tolist())
    )
    both = sum(tap * rows[i : i + 2 * height : 2][:height] for i, tap in enumerate(_TAPS.tolist()))
    halved: Image = (both // 256).astype(np.uint8)
    return halved


def _bilinear(image: Image, places: Float64Array) -> Image:
    """Values between pixels, digits cut off; black where one of the four is outside."""
    height, width = image.shape[:2]
    whole = np.floor(places).astype(np.int64)
    x, y = whole[..., 0], whole[..., 1]
    inside = (x >= 0) & (y >= 0) & (x + 1 < width) & (y + 1 < height)
    x, y = np.where(inside, x, 0), np.where(inside, y, 0)
    right, below = np.minimum(x + 1, width - 1), np.minimum(y + 1, height - 1)
    part = (places - whole)[..., None, :]
    across, down = part[..., 0], part[..., 1]
    values = image.astype(np.float64)
    top = (1 - across) * values[y, x] + across * values[y, right]
    bottom = (1 - across) * values[below, x] + across * values[below, right]
    mixed = (1 - down) * top + down * bottom
    chip: Image = np.where(inside[..., None], mixed, 0).astype(np.uint8)
    return chip
