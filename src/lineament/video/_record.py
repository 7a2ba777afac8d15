"""What is kept of a film while people are followed in it, so that it can be judged from its end.

Of every frame the boxes of all paths, in arrays; of every path the faces that were embedded, and
where it may have been exchanged with another one. No pixels.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lineament.liveness.passive import View as LivenessView
from lineament.types import BoolArray, Face, FloatArray, IntArray, Quality
from lineament.video.frames import VideoFrame
from lineament.video.identity import View

MOST_KEPT = 48
"""Faces that were embedded, of one stretch: past that, of every two after one another the clearer
one stays, and the first and the last of all."""

_WIDTH = 16
"""Numbers of a face: box, score, by how much it is turned, landmarks."""


class Kept(NamedTuple):
    """A face that was embedded.

    Attributes:
        at: row of the frame.
        view: the embedding.
        worth: how good a look it is: recognizability, size and turn.
        quality: of the face.
        liveness: what the passive check saw; None: it was not asked.
    """

    at: int
    view: View
    worth: float
    quality: Quality | None
    liveness: LivenessView | None


@dataclass(eq=False, slots=True)
class Stretch:
    """A part of a path within which nothing says that it was exchanged.

    Attributes:
        path: its number.
        at: (F,) rows of the frames it is in, ascending.
        seen: (F,) whether it was seen there, or only expected.
        boxes_xyxy: (F, 4).
        kept: the faces that were embedded, in order.
    """

    path: int
    at: IntArray
    seen: BoolArray
    boxes_xyxy: FloatArray
    kept: list[Kept]

    def cut(self, at: int) -> tuple[Stretch, Stretch]:
        """Cut before the frame of that row."""
        first = int(np.searchsorted(self.at, at))
        sides = (slice(None, first), slice(first, None))
        before, after = (
            Stretch(self.path, self.at[side], self.seen[side], self.boxes_xyxy[side], kept)
            for side, kept in zip(
                sides,
                ([k for k in self.kept if k.at < at], [k for k in self.kept if k.at >= at]),
                strict=True,
            )
        )
        return before, after


class Record:
    """Frames and paths of one film, in the order in which they came."""

    def __init__(self) -> None:
        """Begin with none."""
        self._times, self._numbers, self._detected = array("d"), array("q"), array("b")
        self._ends = array("q")  # of each frame's rows
        self._paths, self._seen, self._values = array("q"), array("b"), array("f")
        self._kept: dict[int, list[Kept]] = {}
        self._cuts: dict[int, list[int]] = {}
        self._last_cut: dict[int, int] = {}

    def __len__(self) -> int:
        """How many frames."""
        return len(self._times)

    @property
    def times_s(self) -> Sequence[float]:
        """Of all frames."""
        return self._times

    @property
    def numbers(self) -> Sequence[int]:
        """Of all frames."""
        return self._numbers

    def was_detected(self, at: int) -> bool:
        """Whether that whole frame was looked at."""
        return bool(self._detected[at])

    # --- while it goes on -------------------------------------------------------------------------

    def begin(self, frame: VideoFrame, *, detected: bool) -> None:
        """A frame comes."""
        self._times.append(frame.time_s)
        self._numbers.append(frame.number)
        self._detected.append(detected)
        self._ends.append(len(self._paths))

    def path(
        self, number: int, face: Face, box_xyxy: FloatArray, n_doubts: int, seen: bool
    ) -> None:
        """Where a path is in that frame.

        Args:
            number: of the path.
            face: as it was seen last.
            box_xyxy: where it is, or is expected.
            n_doubts: how often the path was in doubt up to now.
            seen: whether in this frame.
        """
        if n_doubts != self._last_cut.setdefault(number, n_doubts):
            self._last_cut[number] = n_doubts
            self._cuts.setdefault(number, []).append(len(self._times) - 1)
        self._paths.append(number)
        self._seen.append(seen)
        self._values.extend(box_xyxy.tolist())
        self._values.extend((face.score, face.turned_deg))
        points = face.landmarks_xy
        self._values.extend([np.nan] * 10 if points is None else points.ravel().tolist())
        self._ends[-1] = len(self._paths)

    def keep(self, number: int, kept: Kept) -> None:
        """A face of a path was embedded, in the frame that came last."""
        those = self._kept.setdefault(number, [])
        those.append(kept)
        cuts = self._cuts.get(number, [])
        first = next((i for i, one in enumerate(those) if not cuts or one.at >= cuts[-1]), 0)
        if len(those) - first > MOST_KEPT:
            inner = those[first + 1 : -1]
            pairs = [inner[i : i + 2] for i in range(0, len(inner), 2)]
            clearer = [max(pair, key=lambda one: one.view.worth) for pair in pairs]
            those[first:] = [those[first], *clearer, those[-1]]

    @property
    def last(self) -> int:
        """Row of the frame that came last."""
        return len(self._times) - 1

    # --- in the end -------------------------------------------------------------------------------

    def faces(self, at: int) -> list[tuple[int, FloatArray, Face | None]]:
        """Of a frame's paths the number, the box, and the face where it was seen."""
        found: list[tuple[int, FloatArray, Face | None]] = []
        for row in range(self._ends[at - 1] if at else 0, self._ends[at]):
            values = np.array(self._values[_WIDTH * row : _WIDTH * (row + 1)], np.float32)
            points = None if np.isnan(values[6]) else values[6:].reshape(5, 2)
            box = values[:4]
            face = Face(box, min(1.0, float(values[4])), points, int(values[5]))
            found.append((self._paths[row], box, face if self._seen[row] else None))
        return found

    def stretches(self) -> list[Stretch]:
        """All paths, cut where they were in doubt; in the order in which they began."""
        paths = np.array(self._paths, np.int64)
        at = np.repeat(np.arange(len(self._ends)), np.diff(np.array(self._ends), prepend=0))
        seen = np.array(self._seen, np.bool_)
        boxes = np.array(self._values, np.float32).reshape(-1, _WIDTH)[:, :4]
        order = np.argsort(paths, kind="stable")
        found: list[Stretch] = []
        for rows in np.split(order, np.flatnonzero(np.diff(paths[order])) + 1):
            if not len(rows):
                continue
            number = int(paths[rows[0]])
            rest = Stretch(number, at[rows], seen[rows], boxes[rows], self._kept.get(number, []))
            for cut in self._cuts.get(number, []):
                before, rest = rest.cut(cut)
                found.append(before)
            found.append(rest)
        return sorted((one for one in found if len(one.at)), key=lambda one: int(one.at[0]))

    def row_of(self, number: int) -> int | None:
        """The row of the frame of that number; None: there is none."""
        row = bisect_right(self._numbers, number) - 1
        return row if row >= 0 and self._numbers[row] == number else None
