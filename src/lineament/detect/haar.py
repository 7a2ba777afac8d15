"""OpenCV's cascades of Haar-like features, without OpenCV's classifier, which OpenCV 5 has not.

Viola, Jones, "Rapid Object Detection using a Boosted Cascade of Simple Features", CVPR 2001;
Lienhart, Maydt, "An Extended Set of Haar-like Features", ICIP 2002. A window of 24x24 pixels (the
file says how many) is moved over the photo at scales 1.1 apart; stage after stage sums what its
trees say of differences of rectangles, and a window that stays below a stage's threshold is no
face. What the windows, their steps, roundings and groups are is as in OpenCV 4's
``CascadeClassifier.detectMultiScale``, whose boxes come out (``scripts/golden/haar.py``).

A window is cheap and there are a million, so the first stages are computed for whole bands of rows
at once, and the others for the windows that are left.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from lineament.detect.cascade_file import Cascade, read_cascade
from lineament.detect.detector import DetectOptions
from lineament.files import DATA
from lineament.models import Card
from lineament.types import BoolArray, Face, Float64Array, FloatArray, Image, IntArray

SCALE_STEP = 1.1
FINE_BELOW = 2.0
"""Below this scale windows are two pixels apart, else one."""

GROUP_SHARE = 0.2
"""Windows are of one face where all their sides are this close, in shares of their size."""

LEAST_CONTRAST = 0.1
"""A window of hardly any contrast is passed over: what 1 / its standard deviation must be below."""

HALF = 10
"""Of so many windows that agree the score is 0.5: n / (n + 10)."""

DEFAULT_SCORE = 0.5
"""deepface's choice for this cascade, ten neighbors; OpenCV's own default, three, is 0.23."""

DENSE_STUMPS = 60
"""So many trees, of the first stages, are computed for all windows of a band."""

BAND = 1 << 15
"""Windows of a band: what fits into a processor's cache."""

Sums = npt.NDArray[np.int32]


class Haar:
    """A cascade of boosted trees. Finds upright frontal faces from about 24 pixels on."""

    def __init__(self, data: bytes, card: Card) -> None:
        """Read the file.

        Args:
            data: of the XML file, or of the package's own archive.
            card: of it, for messages.

        Raises:
            WeightsError: it is not a cascade of upright Haar-like features.
        """
        own = card.folder.is_relative_to(DATA)
        self._cascade = read_cascade(data, card.name, own=own)

    def detect(self, image: Image, options: DetectOptions) -> list[Face]:
        """Return the faces, the most certain first, without landmarks.

        A face's score is n / (n + 10), n being how many windows agree on it.
        """
        least = DEFAULT_SCORE if options.min_score is None else options.min_score
        boxes, counts = self.boxes(image, options.least_face_px(image))
        scores = counts / (counts + HALF)
        order = np.argsort(-counts, kind="stable")
        order = order[scores[order] >= least][: options.max_faces]
        return [Face(boxes[i] - np.float32(0.5), float(scores[i])) for i in order]

    def boxes(
        self, image: Image, least_px: float, neighbors: int = 0
    ) -> tuple[FloatArray, IntArray]:
        """Find the groups of windows that are faces.

        Args:
            image: the photo.
            least_px: sides of windows below are left out.
            neighbors: groups of so many windows or fewer are left out.

        Returns:
            Boxes (N, 4), whole pixels from the photo's edge, and how many windows agree on each.
        """
        gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        found = [self._level(gray, scale) for scale in self._scales(gray, least_px)]
        windows = np.concatenate([np.zeros((0, 4), np.int64), *found])
        return grouped(windows, neighbors)

    def _scales(self, gray: npt.NDArray[np.uint8], least_px: float) -> Iterator[float]:
        """How many pixels of the photo a pixel of each level stands for."""
        wide, high = self._cascade.size_wh
        factor = 1.0
        while True:
            window = round(wide * factor), round(high * factor)
            if window[0] > gray.shape[1] or window[1] > gray.shape[0]:
                return
            if max(window) >= least_px:
                yield float(np.float32(factor))
            factor *= SCALE_STEP

    def _level(self, gray: npt.NDArray[np.uint8], scale: float) -> IntArray:
        """The windows (N, 4) of one scale that pass all stages: x, y, width, height."""
        wide, high = self._cascade.size_wh
        size = round(gray.shape[1] / scale), round(gray.shape[0] / scale)
        small = gray
        if size != (gray.shape[1], gray.shape[0]):
            small = np.asarray(
                cv2.resize(gray, size, interpolation=cv2.INTER_LINEAR_EXACT), np.uint8
            )
        step = 1 if scale >= FINE_BELOW else 2
        columns = len(range(0, size[0] + 1 - wide, step))
        rows = len(range(0, size[1] + 1 - high, step))
        if columns <= 0 or rows <= 0:
            return np.zeros((0, 4), np.int64)
        level = _Level(small, step, columns, self._cascade)
        at = []
        band = max(1, BAND // columns)
        for first in range(0, rows, band):
            at.append(level.passing(first, min(rows, first + band)))
        row, column = np.concatenate(at, axis=1) * step
        window = round(wide * scale), round(high * scale)
        corner = np.stack([np.rint(column * scale), np.rint(row * scale)], axis=1).astype(np.int64)
        return np.concatenate([corner, np.full((len(corner), 2), window)], axis=1)


class _Level:
    """One scale of a photo: sums over its rectangles, and the windows in it."""

    def __init__(
        self, gray: npt.NDArray[np.uint8], step: int, columns: int, cascade: Cascade
    ) -> None:
        sums, squares = cv2.integral2(gray, sdepth=cv2.CV_32S, sqdepth=cv2.CV_64F)
        self._cascade, self._step, self._columns = cascade, step, columns
        self._sums: Sums = np.asarray(sums, np.int32)
        self._squares: Float64Array = np.asarray(squares, np.float64)
        # Every step-th row and column, so that neighboring windows lie side by side.
        self._planes = {
            (y, x): np.ascontiguousarray(self._sums[y::step, x::step])
            for y in range(step)
            for x in range(step)
        }

    def passing(self, first: int, last: int) -> IntArray:
        """Rows and columns (2, N) of the windows of some rows that pass all stages."""
        cascade = self._cascade
        factors, sound = self._factors(first, last)
        alive = sound
        done = 0
        for stage, trees in enumerate(cascade.stages):
            if done and done + len(trees) > DENSE_STUMPS:
                break
            done += len(trees)
            total = np.zeros(factors.shape)
            for tree in trees:
                values = [self._dense(node, first, last) * factors for node in tree.features]
                total += cascade.answer(tree, values)
            passed = total >= cascade.thresholds[stage]
            if stage == 0:
                passed &= _visited(sound & ~passed)
            alive = alive & passed
        else:
            stage += 1
        row, column = np.nonzero(alive)
        return self._sparse(row + first, column, factors[alive], stage)

    def _sparse(
        self, row: IntArray, column: IntArray, factors: FloatArray, first_stage: int
    ) -> IntArray:
        """The same for single windows, from a stage on."""
        cascade, sums = self._cascade, self._sums.reshape(-1)
        length = self._sums.shape[1]
        at = (row * length + column) * self._step
        for stage in range(first_stage, len(cascade.stages)):
            if not len(at):
                break
            total = np.zeros(len(at))
            for tree in cascade.stages[stage]:
                values = []
                for node in tree.features:
                    value = np.zeros(len(at), np.float32)
                    for (left, top, right, bottom), weight in cascade.rectangles[node]:
                        area = sums[at + (bottom * length + right)]
                        area -= sums[at + (bottom * length + left)]
                        area -= sums[at + (top * length + right)]
                        area += sums[at + (top * length + left)]
                        value += np.float32(weight) * area.astype(np.float32)
                    values.append(value * factors)
                total += cascade.answer(tree, values)
            passed = total >= cascade.thresholds[stage]
            at, row, column, factors = at[passed], row[passed], column[passed], factors[passed]
        return np.stack([row, column])

    def _slice(self, first: int, last: int, y: int, x: int) -> Sums:
        """The sums at (y, x) from each window's corner, for windows of some rows."""
        step = self._step
        plane = self._planes[y % step, x % step]
        top, left = first + y // step, x // step
        return plane[top : top + last - first, left : left + self._columns]

    def _area(self, first: int, last: int, rectangle: tuple[int, int, int, int]) -> Sums:
        left, top, right, bottom = rectangle
        area: Sums = self._slice(first, last, bottom, right) - self._slice(
            first, last, bottom, left
        )
        area -= self._slice(first, last, top, right)
        area += self._slice(first, last, top, left)
        return area

    def _dense(self, node: int, first: int, last: int) -> FloatArray:
        """A feature of all windows of some rows."""
        value = np.zeros((last - first, self._columns), np.float32)
        for rectangle, weight in self._cascade.rectangles[node]:
            value += np.float32(weight) * self._area(first, last, rectangle).astype(np.float32)
        return value

    def _factors(self, first: int, last: int) -> tuple[FloatArray, BoolArray]:
        """1 / (area x standard deviation) of each window, and which have enough contrast."""
        wide, high = self._cascade.size_wh
        inner, step = (1, 1, wide - 1, high - 1), self._step
        area = (wide - 2) * (high - 2)
        plain = self._area(first, last, inner).astype(np.float64)
        squares = np.zeros(plain.shape)
        for y, x, sign in (
            (1, 1, 1),
            (1, wide - 1, -1),
            (high - 1, 1, -1),
            (high - 1, wide - 1, 1),
        ):
            top, left = first * step + y, x
            part = self._squares[top : top + (last - first) * step : step, left::step]
            squares += sign * part[: last - first, : self._columns]
        spread = area * squares - plain * plain
        factors = np.ones(plain.shape, np.float32)
        some = spread > 0
        factors[some] = 1 / np.sqrt(spread[some])
        return factors, some & (area * factors < LEAST_CONTRAST)


def _visited(failed: BoolArray) -> BoolArray:
    """Which windows are looked at: after one that fails the first stage the next is passed over."""
    columns = np.ascontiguousarray(failed.T)
    seen = np.ones_like(columns)
    for i in range(1, len(columns)):
        np.logical_and(seen[i - 1], columns[i - 1], out=seen[i])
        np.logical_not(seen[i], out=seen[i])
    return seen.T


def grouped(windows: IntArray, neighbors: int) -> tuple[FloatArray, IntArray]:
    """Groups of windows (N, 4: x, y, width, height) as boxes (M, 4) with their counts.

    Windows are of one group where a chain of similar ones joins them. A group inside of another
    with more windows, and more than three, is left out.
    """
    labels = _labels(windows)
    n = int(labels.max(initial=-1)) + 1
    counts = np.bincount(labels, minlength=n).astype(np.int64)
    means = np.zeros((n, 4))
    for k in range(4):
        means[:, k] = np.bincount(labels, windows[:, k], n) / np.maximum(counts, 1)
    kept = counts > neighbors
    means, counts = np.rint(means[kept]), counts[kept]
    corner, size = means[:, :2], means[:, 2:]
    room = np.rint(size * GROUP_SHARE)
    inside = (corner[:, None] >= (corner - room)[None]).all(axis=2)
    inside &= ((corner + size)[:, None] <= (corner + size + room)[None]).all(axis=2)
    inside &= (counts[None] > np.maximum(3, counts)[:, None]) | (counts < 3)[:, None]
    np.fill_diagonal(inside, False)
    whole = ~inside.any(axis=1)
    boxes = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
    return boxes[whole], counts[whole]


def _labels(windows: IntArray) -> IntArray:
    """The number of each window's group, (N,)."""
    labels = np.full(len(windows), -1, np.int64)
    low, high = windows[:, :2], windows[:, :2] + windows[:, 2:]
    n = 0
    for start in range(len(windows)):
        if labels[start] >= 0:
            continue
        labels[start], waiting = n, [start]
        while waiting:
            i = waiting.pop()
            free = np.flatnonzero(labels < 0)
            size = np.minimum(windows[free, 2:], windows[i, 2:]).sum(axis=1)
            delta = (GROUP_SHARE * 0.5 * size)[:, None]
            near = (np.abs(low[free] - low[i]) <= delta) & (np.abs(high[free] - high[i]) <= delta)
            new = free[near.all(axis=1)]
            labels[new] = n
            waiting += new.tolist()
        n += 1
    return labels
