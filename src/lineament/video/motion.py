"""Boxes over time: where each face is expected next, and which found box continues which path.

A box is followed by four Kalman filters, one each for the center's x and y, the width and the
height, whose states are a value and its speed. Time steps may vary: a speed decays with a time
constant, so that a path which is not seen comes to rest (Singer, "Estimating optimal tracking
filter performance for manned maneuvering targets", IEEE Trans. AES 1970), and all noise is in
units of the face's own size, so that the same numbers serve for faces of 20 and of 500 pixels.

Pairing follows two papers:

- Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022:
  certain boxes are paired first; what is left of the paths is paired with the uncertain ones,
  which continue a path but begin none.
- Cao et al., "Observation-Centric SORT: Rethinking SORT for Robust Multi-Object Tracking", CVPR
  2023: a pairing is worth more when it goes on in the path's direction (momentum, equation 4); a
  path is also looked for where it was last seen (recovery); and one that is found again is led
  along a straight line of virtual boxes from where it was lost, so that what was guessed in
  between is forgotten (re-update, section 4.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lineament.assignment import assign
from lineament.detect.boxes import intersection_over_union
from lineament.types import BoolArray, Float64Array, FloatArray, IntArray

CENTER_NOISE, SIDE_NOISE = 0.04, 0.06
"""Standard deviations of a found box's center and sides, in its own sides."""

ACCELERATION = 6.0, 1.5
"""Spectral density of a center's and a side's acceleration: sides / s^1.5."""

FIRST_SPEED = 2.5, 0.5
"""Standard deviation of the speed of a path that was seen once, in sides a second."""

REST_S = 0.5, 0.25
"""Time constants with which the center's and the sides' speeds decay."""

GATE = 4.0
"""A box so many standard deviations away is another face's."""

LARGEST_RATIO = 1.8
"""Nor is one whose side is so many times as long, or as short, as expected."""

MOMENTUM = 0.2
"""What going on in the path's direction is worth, beside overlap and nearness, which are worth up
to 1 each: OC-SORT's own."""

MOMENTUM_S = 0.3
"""Over so many seconds a path's direction is taken."""

VIRTUAL = 6
"""Boxes on the line along which a path that was lost is led again."""

LEAST_GAP_S = 0.12
"""Paths that were not seen for less are not led again."""

_TINY = 1e-6


class Pairing(NamedTuple):
    """Which box continues which path.

    Attributes:
        path_of: (M,) the path's row of each box; -1: of none.
        doubtful: (N,) whether a path could as well have been paired otherwise, with its own box or
            another one.
    """

    path_of: IntArray
    doubtful: BoolArray


@dataclass(slots=True)
class _Seen:
    """A path's last true box, and the filter as that box left it."""

    time_s: float
    box: Float64Array  # center, sides
    state: Float64Array
    covariance: Float64Array


class Paths:
    """Kalman filters of many boxes, in rows; rows keep their order.

    Attributes:
        time_s: of the last ``predict``.
        numbers: (N,) a name for each row that is never given again.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.time_s = 0.0
        self.numbers: IntArray = np.zeros(0, np.int64)
        self._state: Float64Array = np.zeros((0, 4, 2))  # value, speed
        self._covariance: Float64Array = np.zeros((0, 4, 3))  # of both, and between them
        self._seen: list[list[_Seen]] = []
        self._next = 1

    def __len__(self) -> int:
        """How many."""
        return len(self.numbers)

    @property
    def boxes_xyxy(self) -> FloatArray:
        """(N, 4) where the faces are expected, pixels."""
        return _corners(self._state[:, :, 0])

    @property
    def speeds_xy(self) -> Float64Array:
        """(N, 2) of the centers, pixels a second."""
        return self._state[:, :2, 1].copy()

    @property
    def unseen_s(self) -> Float64Array:
        """(N,) seconds since each was last seen."""
        return self.time_s - np.array([seen[-1].time_s for seen in self._seen], np.float64)

    def crowded(self, sides: float) -> BoolArray:
        """(N,) whether another face is expected within so many sides of each."""
        value = self._state[:, :, 0]
        apart = np.abs(value[:, None, :2] - value[None, :, :2]).max(axis=2)
        np.fill_diagonal(apart, np.inf)
        near: BoolArray = (apart < sides * value[:, 2:].max(axis=1)[:, None]).any(axis=1)
        return near

    def predict(self, time_s: float) -> None:
        """Go on to a time; one that lies before the last is taken for it."""
        step = max(0.0, time_s - self.time_s)
        self.time_s = max(self.time_s, time_s)
        if step == 0 or not len(self):
            return
        _advance(self._state, self._covariance, step)

    def add(self, box_xyxy: FloatArray) -> int:
        """Begin a path at a box; return its number."""
        box = _centered(box_xyxy[None])[0]
        state = np.stack([box, np.zeros(4)], axis=1)
        side = float(box[2:].max())
        noise = np.repeat([CENTER_NOISE, SIDE_NOISE], 2) * side
        speed = np.repeat(FIRST_SPEED, 2) * side
        covariance = np.stack([noise**2, np.zeros(4), speed**2], axis=1)
        self._state = np.concatenate([self._state, state[None]])
        self._covariance = np.concatenate([self._covariance, covariance[None]])
        self._seen.append([_Seen(self.time_s, box, state.copy(), covariance.copy())])
        self.numbers = np.append(self.numbers, self._next)
        self._next += 1
        return int(self.numbers[-1])

    def update(self, row: int, box_xyxy: FloatArray) -> None:
        """Tell a path the box that continues it."""
        box = _centered(box_xyxy[None])[0]
        last = self._seen[row][-1]
        gap = self.time_s - last.time_s
        if gap > LEAST_GAP_S:
            self._lead_again(row, last, box, gap)
        else:
            _correct(self._state[row], self._covariance[row], box)
        kept = self._seen[row]
        kept.append(_Seen(self.time_s, box, self._state[row].copy(), self._covariance[row].copy()))
        while len(kept) > 2 and self.time_s - kept[1].time_s >= MOMENTUM_S:
            kept.pop(0)

    def _lead_again(self, row: int, last: _Seen, box: Float64Array, gap: float) -> None:
        """Forget what was guessed since the last true box: follow a line from there instead."""
        state, covariance = last.state.copy()[None], last.covariance.copy()[None]
        for part in np.linspace(0, 1, VIRTUAL + 1)[1:]:
            _advance(state, covariance, gap / VIRTUAL)
            _correct(state[0], covariance[0], last.box + part * (box - last.box))
        self._state[row], self._covariance[row] = state[0], covariance[0]

    def keep(self, stay: BoolArray) -> None:
        """Drop the rows that are not marked: (N,)."""
        if stay.all():
            return
        self.numbers = self.numbers[stay]
        self._state, self._covariance = self._state[stay], self._covariance[stay]
        self._seen = [seen for seen, stays in zip(self._seen, stay, strict=True) if stays]

    def rescale(self, across: float, down: float) -> None:
        """The frames have so many times as many columns and rows from now on."""
        factor = np.array([across, down, across, down])
        self._state *= factor[:, None]
        self._covariance *= (factor**2)[:, None]
        for seen in self._seen:
            for one in seen:
                one.box = one.box * factor
                one.state = one.state * factor[:, None]
                one.covariance = one.covariance * (factor**2)[:, None]

    def shift(self, across: float, down: float) -> None:
        """What is seen moved by so many pixels, since the camera did."""
        moved = np.array([across, down, 0, 0])
        self._state[:, :, 0] += moved
        for seen in self._seen:
            for one in seen:
                one.box = one.box + moved
                one.state = one.state + np.stack([moved, np.zeros(4)], axis=1)

    # --- pairing ----------------------------------------------------------------------------------

    def gains(self, boxes_xyxy: FloatArray) -> Float64Array:
        """What it is worth that a box continues a path: (N, M), -inf where it cannot be.

        Args:
            boxes_xyxy: (M, 4), pixels.
        """
        n, m = len(self), len(boxes_xyxy)
        if not n or not m:
            return np.zeros((n, m))
        boxes = _centered(boxes_xyxy)
        expected = self._state[:, :, 0]
        overlap = intersection_over_union(self.boxes_xyxy, boxes_xyxy.astype(np.float32))
        away = boxes[None, :, :2] - expected[:, None, :2]  # (N, M, 2)
        noise = (CENTER_NOISE * boxes[:, 2:].max(axis=1)) ** 2
        spread = self._covariance[:, None, :2, 0] + noise[None, :, None]
        apart = np.sqrt((away**2 / spread).sum(axis=2))
        side, found = expected[:, 2:].max(axis=1), boxes[:, 2:].max(axis=1)
        ratio = np.abs(np.log(found[None] / np.maximum(side, _TINY)[:, None]))
        # Where it was last seen: it may have come to a stop, or back.
        last = np.stack([seen[-1].box for seen in self._seen])
        again = intersection_over_union(_corners(last), boxes_xyxy.astype(np.float32))
        worth = np.maximum(overlap, 0.9 * again) + np.maximum(0.0, 1 - apart / GATE)
        worth += MOMENTUM * self._momentum(boxes)
        possible = ((apart < GATE) | (again > 0.1)) & (ratio < np.log(LARGEST_RATIO))
        return np.where(possible, worth + _TINY, -np.inf)

    def _momentum(self, boxes: Float64Array) -> Float64Array:
        """(N, M) the cosine between a path's direction and that from its last box to another."""
        last = np.stack([seen[-1].box for seen in self._seen])
        first = np.stack([seen[0].box for seen in self._seen])
        before = (last - first)[:, None, :2]  # (N, 1, 2)
        after = boxes[None, :, :2] - last[:, None, :2]
        lengths = np.linalg.norm(before, axis=2) * np.linalg.norm(after, axis=2)
        side = last[:, None, 2:].max(axis=2)
        moves = np.linalg.norm(before, axis=2) > 0.25 * side  # else it is the detector's noise
        cosine: Float64Array = (before * after).sum(axis=2) / np.maximum(lengths, _TINY)
        return np.where(moves & (lengths > _TINY), cosine, 0.0)


def pair(gains: Float64Array, certain: BoolArray, margin: float) -> Pairing:
    """Pair boxes with paths: certain boxes first, then the others with the paths that are left.

    Args:
        gains: (N, M), from ``Paths.gains``.
        certain: (M,) whether a box is one of which the detector is sure.
        margin: a pairing is doubtful if one of another path, or with another box, is worth as much
            less this.
    """
    n, m = gains.shape
    path_of = np.full(m, -1, np.int64)
    free = np.ones(n, np.bool_)
    for which in (np.flatnonzero(certain), np.flatnonzero(~certain)):
        rows = np.flatnonzero(free)
        if not len(which) or not len(rows):
            continue
        columns = assign(gains[np.ix_(rows, which)])
        for row, column in zip(rows, columns, strict=True):
            if column >= 0:
                path_of[which[column]] = row
                free[row] = False
    doubtful = np.zeros(n, np.bool_)
    for box in np.flatnonzero(path_of >= 0):
        row = path_of[box]
        worth = gains[row, box] - margin
        rivals = gains[:, box] > worth
        rivals[row] = False
        elsewhere = np.delete(gains[row], box).max(initial=-np.inf)
        if rivals.any() or elsewhere > worth:
            doubtful |= rivals
            doubtful[row] = True
    return Pairing(path_of, doubtful)


# --- one step of the filters ----------------------------------------------------------------------


def _advance(state: Float64Array, covariance: Float64Array, step: float) -> None:
    """Predict: (N, 4, 2) and (N, 4, 3) in place."""
    rest = np.repeat(REST_S, 2)
    decay = np.exp(-step / rest)  # of the speed
    reach = rest * (1 - decay)  # what is gone in the step at a speed of 1
    value, speed = state[:, :, 0], state[:, :, 1]
    value += reach * speed
    speed *= decay
    np.maximum(value[:, 2:], 1.0, out=value[:, 2:])
    xx, xv, vv = (covariance[:, :, i].copy() for i in range(3))
    side = np.maximum(value[:, 2:].max(axis=1), 1.0)[:, None]
    push = (np.repeat(ACCELERATION, 2) * side) ** 2
    covariance[:, :, 0] = xx + 2 * reach * xv + reach**2 * vv + push * step**3 / 3
    covariance[:, :, 1] = decay * (xv + reach * vv) + push * step**2 / 2
    covariance[:, :, 2] = decay**2 * vv + push * step


def _correct(state: Float64Array, covariance: Float64Array, box: Float64Array) -> None:
    """Update one path: (4, 2) and (4, 3) in place with a box (4,)."""
    noise = (np.repeat([CENTER_NOISE, SIDE_NOISE], 2) * box[2:].max()) ** 2
    xx, xv, vv = covariance.T.copy()
    gain, pull = xx / (xx + noise), xv / (xx + noise)
    off = box - state[:, 0]
    state[:, 0] += gain * off
    state[:, 1] += pull * off
    covariance[:, 0] = (1 - gain) * xx
    covariance[:, 1] = (1 - gain) * xv
    covariance[:, 2] = vv - pull * xv


def _centered(boxes_xyxy: FloatArray) -> Float64Array:
    """Corners (N, 4) -> centers and sides (N, 4)."""
    boxes = np.asarray(boxes_xyxy, np.float64)
    low, high = boxes[:, :2], boxes[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1)


def _corners(boxes: Float64Array) -> FloatArray:
    """Centers and sides (N, 4) -> corners (N, 4)."""
    half = np.maximum(boxes[:, 2:], 1.0) / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1).astype(np.float32)
