"""Where a face is in every frame of a film, from the frames in which it was found.

Unlike a tracker for live pictures this one knows the whole film: what lies between two detections
is interpolated, and before the first and after the last one the face is taken to be near for a
while. Boxes grow with the distance to the next detection and cover where the face was shortly
before and will be shortly after, so that a blurred or turned head between two frames in which it
was found is covered as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lineament.assignment import assign
from lineament.types import Float64Array, FloatArray

LINK_S = 2.0
"""A path that was not seen for longer has ended."""

REACH = 1.0
"""A box continues a path whose expected place is so near, in sides of the larger of the two; as
much again for each second in which it was not seen."""

LARGEST_RATIO = 2.0
"""And whose side is at most so many times as long or as short."""

SPEED_S, REST_S = 0.25, 0.5
"""The time over which a path's speed is taken, and within which it comes to rest."""

EVIDENCE = 0.5
"""The sum of scores from which on a path is somebody's: one certain detection, or several weak
ones. A single weak one is the pattern of a moment."""

BEFORE_AFTER_S = 1.0
WEAK_BEFORE_AFTER_S = 0.3
"""How long before its first and after its last detection a face is covered; and what was never seen
with more than ``WEAK``, which mostly is a hand or a pattern."""

WEAK = 0.5

FARTHEST = 1.0
"""So many sides a face is taken to move, at most, once it is not seen any more."""

AROUND_S = 0.1
"""The time before and after a frame whose boxes are covered there, too."""

GROWTH, GROWTH_S = 0.35, 0.5
"""Added on each side, in longer sides, where the next detection is so far away or farther; less in
proportion where it is nearer."""

TOLERANCE = 0.03
"""Of a box's longer side: how far boxes that are left out of a plan may lie from those that are
interpolated, which are made larger by a little more."""


@dataclass(eq=False)
class FacePath:
    """One face over time.

    Attributes:
        frames: numbers of the frames in which it was found, growing.
        boxes: one (4,) for each.
        scores: one for each.
    """

    frames: list[int] = field(default_factory=list)
    boxes: list[FloatArray] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def add(self, frame: int, box: FloatArray, score: float) -> None:
        """Add what was found in a later frame."""
        self.frames.append(frame)
        self.boxes.append(box)
        self.scores.append(score)

    @property
    def is_somebody(self) -> bool:
        """Whether there is enough evidence."""
        return sum(self.scores) >= EVIDENCE

    def expected(self, frame: int, rate: float) -> Float64Array:
        """Where it is in a later frame, (4,): straight on, and soon at rest."""
        last = np.asarray(self.boxes[-1], np.float64)
        passed_s = (frame - self.frames[-1]) / rate
        before = _index_before(self.frames, self.frames[-1] - SPEED_S * rate)
        if before == len(self.frames) - 1 > 0:  # it is found more rarely than that
            before -= 1
        spent = self.frames[-1] - self.frames[before]
        if not spent:
            return last
        speed = (_middle(last) - _middle(np.asarray(self.boxes[before], np.float64))) / spent
        moved = speed * rate * REST_S * (1 - np.exp(-passed_s / REST_S))
        most = FARTHEST * float((last[2:] - last[:2]).max())
        moved *= min(1.0, most / max(float(np.linalg.norm(moved)), 1e-9))
        return np.asarray(last + np.tile(moved, 2), np.float64)


def _index_before(frames: list[int], wanted: float) -> int:
    index = len(frames) - 1
    while index > 0 and frames[index - 1] >= wanted:
        index -= 1
    return index


def _middle(box: npt.NDArray[np.floating]) -> Float64Array:
    return np.asarray((box[:2] + box[2:]) / 2, np.float64)


class Linker:
    """Joins boxes to paths, frame by frame."""

    def __init__(self, rate: float) -> None:
        """``rate``: frames a second."""
        self._rate = rate
        self.paths: list[FacePath] = []
        self._active: list[FacePath] = []

    def step(self, frame: int, boxes: FloatArray, scores: FloatArray) -> list[FacePath]:
        """Take the boxes of a frame; the path of each.

        Args:
            frame: its number; larger than that of the step before.
            boxes: (N, 4).
            scores: (N,).
        """
        self._active = [p for p in self._active if frame - p.frames[-1] <= LINK_S * self._rate]
        taken: list[FacePath | None] = [None] * len(boxes)
        if self._active and len(boxes):
            worth = self._worth(frame, np.asarray(boxes, np.float64), scores)
            for row, column in enumerate(assign(worth)):
                if column >= 0:
                    taken[column] = self._active[row]
        found = []
        for path, box, score in zip(taken, boxes, scores, strict=True):
            if path is None:
                path = FacePath()
                self.paths.append(path)
                self._active.append(path)
            path.add(frame, box, float(score))
            found.append(path)
        return found

    def _worth(self, frame: int, boxes: Float64Array, scores: FloatArray) -> Float64Array:
        """(paths, boxes): how well each box continues each path, 0 if it does not."""
        expected = np.array([path.expected(frame, self._rate) for path in self._active])
        passed_s = np.array([(frame - path.frames[-1]) / self._rate for path in self._active])
        a, b = expected[:, None], boxes[None]
        sides_a, sides_b = ((each[..., 2:] - each[..., :2]).max(axis=-1) for each in (a, b))
        larger, smaller = np.maximum(sides_a, sides_b), np.minimum(sides_a, sides_b)
        apart = np.linalg.norm(
            (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2, axis=-1
        ) / np.maximum(larger, 1e-6)
        near = 1 - apart / (REACH * (1 + passed_s[:, None]))
        fits = (larger <= LARGEST_RATIO * smaller) & (near > 0)
        return np.where(fits, near + 0.05 * scores[None] + 1e-3, 0.0)


@dataclass(frozen=True, eq=False, slots=True)
class Course:
    """Where something is in each of successive frames.

    Attributes:
        first: number of the first frame.
        boxes: (N, 4) float64: of the frames from there on.
    """

    first: int
    boxes: Float64Array

    @property
    def last(self) -> int:
        """Number of the last frame."""
        return self.first + len(self.boxes) - 1


def course_of(path: FacePath, rate: float, n_frames: int) -> Course:
    """Return what is covered of a face in each frame: between detections, and around them.

    Args:
        path: with at least one detection.
        rate: frames a second.
        n_frames: of the film.
    """
    before_after_s = BEFORE_AFTER_S if max(path.scores) > WEAK else WEAK_BEFORE_AFTER_S
    around, more = max(1, round(AROUND_S * rate)), max(1, round(before_after_s * rate))
    first, last = max(0, path.frames[0] - more), min(n_frames - 1, path.frames[-1] + more)
    seen, boxes = np.array(path.frames), np.array(path.boxes, np.float64)
    frames = np.arange(first, last + 1)
    middle = np.stack([np.interp(frames, seen, boxes[:, i]) for i in range(4)], axis=1)
    nearest = np.abs(frames[:, None] - _nearest(seen, frames)[:, None]).min(axis=1)
    sides = (middle[:, 2:] - middle[:, :2]).max(axis=1)
    growth = GROWTH * np.minimum(1, nearest / (GROWTH_S * rate)) * sides
    grown = middle + growth[:, None] * np.array([-1, -1, 1, 1])
    low, high = _reaching(path, frames, middle, rate)
    grown[:, :2] = np.minimum(grown[:, :2], low)
    grown[:, 2:] = np.maximum(grown[:, 2:], high)
    return Course(int(first), _around(grown, around))


def _nearest(seen: npt.NDArray[np.int64], frames: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(N,) the frame with a detection that is nearest to each."""
    at = np.clip(np.searchsorted(seen, frames), 1, max(1, len(seen) - 1))
    before, after = seen[at - 1], seen[np.minimum(at, len(seen) - 1)]
    nearest: npt.NDArray[np.int64] = np.where(frames - before <= after - frames, before, after)
    return nearest


def _reaching(
    path: FacePath, frames: npt.NDArray[np.int64], middle: Float64Array, rate: float
) -> tuple[Float64Array, Float64Array]:
    """Corners (N, 2) of where the face may have come from, and gone to, at its speed."""
    low, high = middle[:, :2].copy(), middle[:, 2:].copy()
    reverse = FacePath([-f for f in path.frames[::-1]], path.boxes[::-1], path.scores[::-1])
    for i, frame in enumerate(frames.tolist()):
        if frame > path.frames[-1]:
            box = path.expected(frame, rate)
        elif frame < path.frames[0]:
            box = reverse.expected(-frame, rate)
        else:
            continue
        low[i], high[i] = np.minimum(low[i], box[:2]), np.maximum(high[i], box[2:])
    return low, high


def _around(boxes: Float64Array, around: int) -> Float64Array:
    """The union of the boxes of so many frames before and after each."""
    padded = np.pad(boxes, ((around, around), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * around + 1, axis=0)
    joined = np.concatenate([windows[:, :2].min(axis=2), windows[:, 2:].max(axis=2)], axis=1)
    return np.asarray(joined, np.float64)


def keyframes(course: Course) -> list[tuple[int, Float64Array]]:
    """Return as few boxes as describe a course: between them it is interpolated.

    They are a little larger, so that the interpolated ones hold those of the course.
    """
    boxes, kept, start = course.boxes, [0], 0
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    while start < len(boxes) - 1:
        stop = _reach_of_line(boxes, sides, start)
        kept.append(stop)
        start = stop
    grow = np.array([-1, -1, 1, 1]) * 1.5 * TOLERANCE
    return [(course.first + i, boxes[i] + grow * sides[i]) for i in kept]


def _reach_of_line(boxes: Float64Array, sides: Float64Array, start: int) -> int:
    """The last index up to which a straight line from ``start`` passes near all boxes."""
    step, good = 1, start + 1
    while start + 2 * step < len(boxes) and _is_straight(boxes, sides, start, start + 2 * step):
        step *= 2
        good = start + step
    low, high = good, min(len(boxes) - 1, start + 2 * step)
    while low < high:  # as far as by halves can be told
        middle = (low + high + 1) // 2
        if _is_straight(boxes, sides, start, middle):
            low = middle
        else:
            high = middle - 1
    return low


def _is_straight(boxes: Float64Array, sides: Float64Array, start: int, stop: int) -> bool:
    part = np.linspace(0, 1, stop - start + 1)[:, None]
    line = boxes[start] + part * (boxes[stop] - boxes[start])
    off = np.abs(line - boxes[start : stop + 1]).max(axis=1)
    return bool((off <= TOLERANCE * sides[start : stop + 1]).all())


def box_at(frames: list[int], boxes: Float64Array, frame: int) -> Float64Array:
    """Return a box between those of some frames, (4,); before the first and after the last: it."""
    return np.array([np.interp(frame, frames, boxes[:, i]) for i in range(4)])
