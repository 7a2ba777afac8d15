"""Room for squares and labels on a plane: nothing may cover anything else. Inches, NumPy alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lineament.types import Float64Array

ROUNDS = 600


def apart(places: Float64Array, side: float, size_wh: tuple[float, float]) -> Float64Array:
    """Move squares as little as it takes until none covers another and all lie inside.

    Squares that overlap push each other along the axis on which they overlap less. Where that does
    not end, all take the nearest free place of a lattice, which always does as long as the squares
    fit at all.

    Args:
        places: (N, 2) the centers.
        side: of the squares.
        size_wh: of the plane, which begins at (0, 0).

    Returns:
        (N, 2) the new centers.
    """
    n = len(places)
    low = np.full(2, side / 2)
    high = np.maximum(np.array(size_wh, np.float64) - side / 2, low)
    moved: Float64Array = np.clip(places, low, high)
    # The same place twice has no direction to part in: a fixed little spiral gives one.
    turn = np.arange(n) * 2.399963
    moved = moved + side * 1e-3 * np.stack([np.cos(turn), np.sin(turn)], 1)
    for _ in range(ROUNDS):
        gaps = moved[:, None, :] - moved[None, :, :]  # (N, N, 2)
        over = side - np.abs(gaps)
        clash: npt.NDArray[np.bool_] = np.all(over > 1e-9, axis=2)
        np.fill_diagonal(clash, False)
        if not clash.any():
            break
        along_x = over[..., 0] < over[..., 1]
        push = np.zeros_like(gaps)
        for axis, chosen in ((0, along_x), (1, ~along_x)):
            hit = clash & chosen
            # A little too far, or the last gap would never quite close.
            push[..., axis][hit] = (np.sign(gaps[..., axis]) * (over[..., axis] * 0.5 + 1e-4))[hit]
        # Many neighbors push at once: the sum would throw a square across the plane.
        pushed = np.maximum(clash.sum(axis=1), 1)[:, None] ** 0.5
        moved = np.clip(moved + push.sum(axis=1) / pushed, low, high)
    if _clashes(moved, side):
        return _lattice(places, side, size_wh)
    return moved


def _clashes(places: Float64Array, side: float) -> bool:
    over = side - np.abs(places[:, None, :] - places[None, :, :])
    clash: npt.NDArray[np.bool_] = np.all(over > 1e-6, axis=2)
    np.fill_diagonal(clash, False)
    return bool(clash.any())


def _lattice(places: Float64Array, side: float, size_wh: tuple[float, float]) -> Float64Array:
    """Each square in a cell of its own; those in the thick of it choose first."""
    columns, rows = (max(1, math.floor(length / side + 1e-9)) for length in size_wh)
    x = (np.arange(columns) + 0.5) * size_wh[0] / columns
    y = (np.arange(rows) + 0.5) * size_wh[1] / rows
    cells = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    assert len(cells) >= len(places), "the squares do not fit"
    distances = np.linalg.norm(places[:, None] - cells[None], axis=2)
    crowd = (np.linalg.norm(places[:, None] - places[None], axis=2) < 2 * side).sum(axis=1)
    result = np.empty_like(places)
    for row in np.argsort(-crowd, kind="stable"):
        cell = int(np.argmin(distances[row]))
        result[row] = cells[cell]
        distances[:, cell] = np.inf
    return result


def beside(
    groups: Sequence[Float64Array],
    sizes_wh: Sequence[tuple[float, float]],
    squares: Float64Array,
    side: float,
    size_wh: tuple[float, float],
) -> Float64Array:
    """Find a free place for each group's label, beside one of the group's squares.

    Args:
        groups: for each label the centers of its squares, (M, 2).
        sizes_wh: of the labels.
        squares: (N, 2) centers of all squares; no label may touch one.
        side: of the squares.
        size_wh: of the plane.

    Returns:
        (G, 4) center, width and height of each label; NaN where there is no room.
    """
    taken = [(x - side / 2, y - side / 2, x + side / 2, y + side / 2) for x, y in squares.tolist()]
    result = np.full((len(groups), 4), np.nan)
    for k, (own, (wide, high)) in enumerate(zip(groups, sizes_wh, strict=True)):
        middle = own.mean(axis=0)
        best: tuple[float, float, float] | None = None
        for x, y in own.tolist():
            for cx, cy in _around(x, y, side, wide, high):
                box = (cx - wide / 2, cy - high / 2, cx + wide / 2, cy + high / 2)
                inside = min(box[:2]) >= 0 and box[2] <= size_wh[0] and box[3] <= size_wh[1]
                away = float(np.hypot(cx - middle[0], cy - middle[1]))
                if not inside or (best is not None and away >= best[0]):
                    continue
                if all(_free(box, other) for other in taken):
                    best = (away, cx, cy)
        if best is not None:
            _, cx, cy = best
            result[k] = (cx, cy, wide, high)
            taken.append((cx - wide / 2, cy - high / 2, cx + wide / 2, cy + high / 2))
    return result


def _around(x: float, y: float, side: float, wide: float, high: float) -> list[tuple[float, float]]:
    """Places that touch a square: beneath, above, right, left, and those shifted along its side."""
    up, out = side / 2 + high / 2 + 0.01, side / 2 + wide / 2 + 0.01
    places: list[tuple[float, float]] = []
    for shift in (0.0, -0.5, 0.5, -1.0, 1.0):
        along = shift * (wide + side) / 2
        places += [(x + along, y + up), (x + along, y - up)]
        sideways = shift * side / 2
        places += [(x + out, y + sideways), (x - out, y + sideways)]
    return places


def _free(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
