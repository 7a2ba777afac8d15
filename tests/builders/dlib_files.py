"""Writes files of dlib's shape predictors: tiny ones, in its own way to write numbers."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

DLIBS_FIVE_XY = {
    "astronaut.jpg": [[255, 104], [238, 105], [195, 101], [212, 103], [224, 135]],
    "biden.jpg": [[304, 161], [284, 157], [231, 145], [252, 150], [264, 194]],
    "group.jpg": [[227, 98], [211, 98], [173, 98], [188, 98], [199, 126]],
    "obama.jpg": [[401, 152], [371, 151], [298, 152], [326, 152], [349, 207]],
    "obama2.jpg": [[265, 258], [231, 255], [155, 248], [184, 251], [193, 314]],
}
"""What dlib 20.0.1 finds in the boxes of tests/golden/dlib.npz."""


def whole(value: int) -> bytes:
    size = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([size | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(size, "little")


def real(value: float) -> bytes:
    mantissa, exponent = math.frexp(float(np.float32(value)))
    return whole(int(mantissa * 2**24)) + whole(exponent - 24 if value else 0)


def column(values: npt.ArrayLike) -> bytes:
    row = np.asarray(values).ravel()
    return whole(-len(row)) + whole(-1) + b"".join(real(value) for value in row)


def predictor_file(
    mean_xy: npt.NDArray[np.floating],
    *,
    n_steps: int = 2,
    n_trees: int = 3,
    depth: int = 2,
    n_pixels: int = 12,
    correction: float = 0.0,
    beyond: int = 0,
    seed: int = 0,
) -> bytes:
    """A predictor with random trees, whose leaves correct by up to ``correction``.

    ``beyond``: is added to the numbers of the pixels that are compared.
    """
    draw = np.random.default_rng(seed)
    n_splits, n_points = 2**depth - 1, len(mean_xy)
    parts = [whole(1), column(mean_xy), whole(n_steps)]
    for _ in range(n_steps):
        parts.append(whole(n_trees))
        for _ in range(n_trees):
            parts.append(whole(n_splits))
            for _ in range(n_splits):
                first, second = draw.integers(0, n_pixels, 2)
                parts += [
                    whole(int(first) + beyond),
                    whole(int(second)),
                    real(draw.uniform(-40, 40)),
                ]
            parts.append(whole(n_splits + 1))
            for _ in range(n_splits + 1):
                parts.append(column(draw.uniform(-correction, correction, 2 * n_points)))
    parts.append(whole(n_steps))
    for _ in range(n_steps):
        anchors = draw.integers(0, n_points, n_pixels)
        parts += [whole(n_pixels), *(whole(int(anchor)) for anchor in anchors)]
    parts.append(whole(n_steps))
    for _ in range(n_steps):
        parts.append(whole(n_pixels))
        parts += [real(value) for value in draw.uniform(-0.3, 0.3, 2 * n_pixels)]
    return b"".join(parts)


def predictor_of(points_xy: npt.ArrayLike, box_ltrb: tuple[int, ...]) -> bytes:
    """One that finds just these points in this box."""
    low, high = np.array(box_ltrb[:2]), np.array(box_ltrb[2:])
    return predictor_file((np.asarray(points_xy) - low) / (high - low))
