"""Landmarks by an ensemble of regression trees, read from the files of dlib's shape predictors.

    predictor = read_predictor("shape_predictor_5_face_landmarks.dat")
    points = predictor.locate(image, box_ltrb)                   (5, 2), or (68, 2)

Kazemi and Sullivan, "One millisecond face alignment with an ensemble of regression trees", CVPR
2014. From the mean shape on, each step of a cascade looks up pixels at places that are tied to the
points found so far, compares pairs of them in the trees' nodes, and adds the leaves' corrections.

The file holds whole numbers, one after the other, each of a byte with its sign and length and the
bytes themselves; real numbers are a mantissa and an exponent. What stands in it is checked before
it is used: a damaged or foreign file is an error. No landmark of dlib's is part of this package;
the files are (``face_recognition_models`` of PyPI, public domain).
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lineament.errors import OptionError, WeightsError
from lineament.files import open_regular
from lineament.geometry import similarity_transforms
from lineament.text import printable, reason_of
from lineament.types import Face, Float64Array, FloatArray, Image, IntArray

Numbers: TypeAlias = npt.NDArray[np.int32]

MOST_BYTES = 400 << 20
"""Of a file that is read: the published one of 68 points has 95 MiB."""

MOST_POINTS, MOST_STEPS, MOST_TREES, MOST_DEPTH, MOST_PIXELS = 1000, 200, 20_000, 12, 100_000
"""Of what a file may hold."""

BLOCK = 1 << 22


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """One step of the cascade: trees of one depth over pixels of one choice.

    Attributes:
        anchors: (F,) number of the point that each pixel is tied to.
        offsets: (F, 2) float32, from there, in the units of the mean shape.
        first, second: (T, S) numbers of the pixels that a node compares.
        limits: (T, S) float32: a node leads left where first - second exceeds it.
        leaves: (T, S + 1, P, 2) float32, corrections of all points.
    """

    anchors: Numbers
    offsets: FloatArray
    first: Numbers
    second: Numbers
    limits: FloatArray
    leaves: FloatArray


@dataclass(frozen=True, eq=False, slots=True)
class TreePredictor:
    """A cascade of regression trees; a ``Landmarker``. Calls from several threads are safe.

    Attributes:
        mean_xy: (P, 2) float32: the mean shape, in units of the box's sides.
        steps: of the cascade.
    """

    mean_xy: FloatArray
    steps: tuple[Step, ...]

    def locate(self, image: Image, faces: Sequence[Face]) -> FloatArray:
        """Find the points in the boxes of faces: (N, P, 2) float32, pixels of the photo."""
        boxes = [np.round(face.box_xyxy).astype(int).tolist() for face in faces]
        found = np.zeros((len(boxes), len(self.mean_xy), 2), np.float32)
        for place, box in zip(found, boxes, strict=True):
            place[:] = self.locate_in(image, box)
        return found

    def locate_in(self, image: npt.NDArray[np.uint8], box_ltrb: Sequence[int]) -> IntArray:
        """Find the points of one face.

        Args:
            image: (H, W, 3) or (H, W) uint8.
            box_ltrb: left, top, right, bottom, whole pixels, the last two still inside: the square
                of dlib's own detectors is what the files were trained on.

        Returns:
            (P, 2) int64: x and y, whole pixels of the photo, perhaps outside of it.
        """
        if image.dtype != np.uint8 or image.shape[2:] not in ((), (3,)) or image.ndim < 2:
            raise OptionError(
                f"expected uint8 (H, W, 3) or (H, W), got {image.dtype} {image.shape}",
                option="image",
            )
        low = np.array(box_ltrb[:2], np.float64)
        side = np.array(box_ltrb[2:], np.float64) - low
        shape = self.mean_xy.copy()
        for step in self.steps:
            values = _looked_up(image, _pixels_of(step, self.mean_xy, shape) * side + low)
            shape = _corrected(shape, step, values)
        return _rounded(shape.astype(np.float64) * side + low)


def _pixels_of(step: Step, mean: FloatArray, shape: FloatArray) -> Float64Array:
    """Where the pixels of a step lie, (F, 2): turned and scaled as the shape found so far is."""
    turn = similarity_transforms(mean[None], shape.astype(np.float64))[0][:, :2].astype(np.float32)
    (a, b), (c, d) = turn
    x, y = step.offsets[:, 0], step.offsets[:, 1]
    moved = np.stack([a * x + b * y, c * x + d * y], axis=1)  # in float32, as in dlib
    places: Float64Array = (moved + shape[step.anchors]).astype(np.float64)
    return places


def _looked_up(image: npt.NDArray[np.uint8], places: Float64Array) -> FloatArray:
    """The brightness there, (F,) float32; 0 outside of the photo."""
    x, y = _rounded(places).T
    height, width = image.shape[:2]
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    found = image[np.where(inside, y, 0), np.where(inside, x, 0)].astype(np.int64)
    gray = found.sum(axis=1) // 3 if found.ndim == 2 else found
    return np.where(inside, gray, 0).astype(np.float32)


def _rounded(values: Float64Array) -> IntArray:
    return np.floor(values + 0.5).astype(np.int64)


def _corrected(shape: FloatArray, step: Step, values: FloatArray) -> FloatArray:
    """The shape, (P, 2), and for each tree the leaf that these pixels lead to.

    They are added one after the other, as dlib does: in another order the last digits differ, and
    so does now and then a pixel.
    """
    trees = np.arange(len(step.limits))
    node = np.zeros(len(trees), np.int64)
    n_splits = step.limits.shape[1]
    for _ in range((n_splits + 1).bit_length() - 1):
        left = values[step.first[trees, node]] - values[step.second[trees, node]]
        node = 2 * node + np.where(left > step.limits[trees, node], 1, 2)
    leaves = step.leaves[trees, node - n_splits]
    sums: FloatArray = np.cumsum(np.concatenate([shape[None], leaves]), axis=0, dtype=np.float32)
    last: FloatArray = sums[-1]
    return last


# --- the file -------------------------------------------------------------------------------------


def read_predictor(path: str | os.PathLike[str]) -> TreePredictor:
    """Read a shape predictor of dlib's.

    Args:
        path: of the file, such as ``shape_predictor_5_face_landmarks.dat``.

    Raises:
        WeightsError: it cannot be read, or is no such file.
    """
    name = printable(os.fspath(path))
    try:
        with open_regular(path) as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{name}: cannot be read ({reason_of(error)})") from error
    if len(data) > MOST_BYTES:
        raise WeightsError(f"{name}: expected at most {MOST_BYTES >> 20} MiB, got more")
    try:
        return _Reader(data).predictor()
    except _DamagedError as error:
        raise WeightsError(
            f"{name}: expected a shape predictor of dlib's: {error}",
            hint="take shape_predictor_5_face_landmarks.dat of the package face_recognition_models",
        ) from error


class _DamagedError(Exception):
    """What is wrong with the bytes."""


class _Reader:
    """Takes numbers off a file, all of whose whole numbers are read at once."""

    def __init__(self, data: bytes) -> None:
        self.numbers = _whole_numbers(data)
        self.at = 0

    def take(self, count: int) -> Numbers:
        part = self.numbers[self.at : self.at + count]
        if len(part) != count:
            raise _DamagedError("it ends too early")
        self.at += count
        return part

    def count(self, most: int, what: str) -> int:
        value = int(self.take(1)[0])
        if not 1 <= value <= most:
            raise _DamagedError(f"expected 1 to {most:,} {what}, got {value:,}")
        return value

    def predictor(self) -> TreePredictor:
        if int(self.take(1)[0]) != 1:
            raise _DamagedError("another version")
        rows, columns = (-int(value) for value in self.take(2))
        if columns != 1 or rows % 2 or not 2 <= rows <= 2 * MOST_POINTS:
            raise _DamagedError(f"a mean shape of {rows} x {columns}")
        mean = _reals(self.take(2 * rows)).reshape(-1, 2)
        n_steps = self.count(MOST_STEPS, "steps")
        forests = [self.forest(rows) for _ in range(n_steps)]
        if self.count(MOST_STEPS, "steps") != n_steps:
            raise _DamagedError("steps without pixels")
        anchors = [self.take(self.count(MOST_PIXELS, "pixels")) for _ in range(n_steps)]
        if self.count(MOST_STEPS, "steps") != n_steps:
            raise _DamagedError("steps without places")
        offsets = [
            _reals(self.take(4 * self.count(MOST_PIXELS, "places"))).reshape(-1, 2)
            for _ in range(n_steps)
        ]
        if self.at != len(self.numbers):
            raise _DamagedError("something follows")
        steps = [
            Step(anchor, offset, *forest)
            for anchor, offset, forest in zip(anchors, offsets, forests, strict=True)
        ]
        for step in steps:
            _check(step, len(mean))
        return TreePredictor(mean, tuple(steps))

    def forest(self, rows: int) -> tuple[Numbers, Numbers, FloatArray, FloatArray]:
        """The trees of one step: all have the shape of the first."""
        n_trees = self.count(MOST_TREES, "trees")
        n_splits = self.count((1 << MOST_DEPTH) - 1, "nodes")
        if (n_splits + 1) & n_splits:
            raise _DamagedError(f"expected full trees, got one of {n_splits} nodes")
        n_leaves = n_splits + 1
        self.at -= 1
        length = 1 + 4 * n_splits + 1 + n_leaves * (2 + 2 * rows)
        trees = self.take(n_trees * length).reshape(n_trees, length)
        splits = trees[:, 1 : 1 + 4 * n_splits].reshape(n_trees, n_splits, 4)
        leaves = trees[:, 2 + 4 * n_splits :].reshape(n_trees, n_leaves, 2 + 2 * rows)
        regular = (trees[:, 0] == n_splits) & (trees[:, 1 + 4 * n_splits] == n_leaves)
        sizes = (leaves[..., 0] == -rows) & (leaves[..., 1] == -1)
        if not (regular.all() and sizes.all()):
            raise _DamagedError("expected trees of one shape")
        corrections = _reals(leaves[..., 2:]).reshape(n_trees, n_leaves, rows // 2, 2)
        limits = _reals(splits[..., 2:])[..., 0]
        return splits[..., 0].copy(), splits[..., 1].copy(), limits, corrections


def _check(step: Step, n_points: int) -> None:
    n_pixels = len(step.anchors)
    if len(step.offsets) != n_pixels:
        raise _DamagedError("as many places as pixels were expected")
    for numbers, most in (
        (step.anchors, n_points),
        (step.first, n_pixels),
        (step.second, n_pixels),
    ):
        if numbers.min() < 0 or numbers.max() >= most:
            raise _DamagedError("a number of a point or pixel that there is not")


def _whole_numbers(data: bytes) -> Numbers:
    """Decode all of a file's numbers: a byte of sign and length, then the bytes, lowest first."""
    starts, at, end = array("i"), 0, len(data)
    append = starts.append
    while at < end:
        append(at)
        at += 1 + (data[at] & 15)
    if at != end or not starts:
        raise _DamagedError("it ends too early")
    begin, raw = np.frombuffer(starts, np.int32), np.frombuffer(data, np.uint8)
    values = np.empty(len(begin), np.int32)
    for first in range(0, len(begin), BLOCK):  # of so many at once, to spare memory
        values[first : first + BLOCK] = _decoded(raw, begin[first : first + BLOCK])
    return values


def _decoded(raw: npt.NDArray[np.uint8], begin: npt.NDArray[np.int32]) -> IntArray:
    heads = raw[begin]
    lengths = heads & 15
    if (heads & 0x70).any() or lengths.min() < 1 or lengths.max() > 4:
        raise _DamagedError("a byte that begins no number of this kind of file")
    values = np.zeros(len(begin), np.int64)
    for place in range(int(lengths.max())):
        has = lengths > place
        values[has] |= raw[begin[has] + 1 + place].astype(np.int64) << (8 * place)
    if values.max() > np.iinfo(np.int32).max:
        raise _DamagedError("a number past 31 bits")
    return np.where(heads & 0x80, -values, values)


def _reals(pairs: Numbers) -> FloatArray:
    """Mantissas and exponents, (..., 2n), to float32, (..., n)."""
    two = pairs.reshape(*pairs.shape[:-1], -1, 2)
    if np.abs(two[..., 1]).max(initial=0) > 300:
        raise _DamagedError("a number that is not finite")
    values = np.ldexp(two[..., 0].astype(np.float64), two[..., 1].astype(np.int32))
    with np.errstate(over="ignore"):
        found: FloatArray = values.astype(np.float32)
    if not np.isfinite(found).all():
        raise _DamagedError("a number that is not finite")
    return found
