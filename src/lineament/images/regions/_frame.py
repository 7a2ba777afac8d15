"""Rectangles of a photo as it is stored, and as it is shown upright."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of width and height."""

_TO_UPRIGHT: Mapping[int, Callable[[float, float], tuple[float, float]]] = {
    1: lambda x, y: (x, y),
    2: lambda x, y: (1 - x, y),
    3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (1 - y, x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (y, 1 - x),
}
"""Where a point of the stored photo is when it is turned as EXIF 2.32 says (tag 0x0112)."""
_BACK = {6: 8, 8: 6}


def upright(box: Box, orientation: int) -> Box:
    """The box in the photo as it is shown."""
    move = _TO_UPRIGHT[orientation]
    (x0, y0), (x1, y1) = move(box[0], box[1]), move(box[2], box[3])
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def stored(box: Box, orientation: int) -> Box:
    """The inverse of ``upright``."""
    return upright(box, _BACK.get(orientation, orientation))


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / (area(a) + area(b) - common)


def area(box: Box) -> float:
    """Share of the photo."""
    return (box[2] - box[0]) * (box[3] - box[1])


def is_same_face(a: Box, b: Box) -> bool:
    """Whether two boxes are of one face, though one program draws them wider than the other.

    Each one's middle is in the other, and neither is more than six times as large.
    """
    if min(area(a), area(b)) * 6 < max(area(a), area(b)):
        return False
    return _middle_in(a, b) and _middle_in(b, a)


def _middle_in(a: Box, b: Box) -> bool:
    x, y = (a[0] + a[2]) / 2, (a[1] + a[3]) / 2
    return b[0] <= x <= b[2] and b[1] <= y <= b[3]
