"""Who comes into the picture when, and where everybody goes: drawn at random, by a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Visit:
    """One person in the picture, from one edge to another.

    Attributes:
        person: number in the film.
        look: number of the person's photos.
        from_s, to_s: seconds.
        knots: (K, 4) seconds, x and y of the face's center, and its side, pixels.
        sway_px, sway_hz, roll_deg: of the head.
        color: of the clothes.
        depth: who is nearer hides who is farther.
        hand: seconds from and to which a hand is before the face; none when empty.
    """

    person: int
    look: int
    from_s: float
    to_s: float
    knots: Points
    sway_px: float
    sway_hz: float
    roll_deg: float
    color: tuple[int, int, int]
    depth: float
    hand: tuple[float, float] | tuple[()]

    def at(self, time_s: float) -> tuple[float, float, float, float] | None:
        """Center x and y, side and roll at a time; None: not there."""
        if not self.from_s <= time_s <= self.to_s:
            return None
        x, y, side = (np.interp(time_s, self.knots[:, 0], self.knots[:, i]) for i in (1, 2, 3))
        phase = 2 * np.pi * self.sway_hz * (time_s - self.from_s)
        y += self.sway_px * np.sin(phase)
        return float(x), float(y), float(side), float(self.roll_deg * np.sin(phase / 2))


@dataclass(frozen=True, eq=False)
class Script:
    """A film before it is rendered.

    Attributes:
        size_wh: pixels.
        seconds, rate: length, and frames a second.
        visits: of all people.
        pillars: (P, 2) from and to which columns something stands before everybody.
        noise: standard deviation of the gray levels.
        soft: seconds from and to which the picture is out of focus, and by how many pixels.
        shutter_s: for so long a frame is exposed.
        jump: second, and pixels to the side and down, by which the camera jumps; none when empty.
        dropped: share of the frames that are missing.
    """

    size_wh: tuple[int, int]
    seconds: float
    rate: float
    visits: tuple[Visit, ...]
    pillars: Points
    noise: float
    soft: tuple[float, float, float]
    shutter_s: float
    jump: tuple[float, float, float] | tuple[()]
    dropped: float


def write(seed: int, people: int, visits: int, **options: Any) -> Script:
    """Draw a film in which so many people come so many times each, for 3.6 to 4.8 seconds.

    Options: ``size_wh``, ``rate``, ``seconds``.
    """
    rng = np.random.default_rng(seed)
    size_wh = options.get("size_wh", (640, 360))
    seconds = options.get("seconds", 8.0 * visits)
    made: list[Visit] = []
    for person in range(people):
        slot = seconds / visits
        side = rng.uniform(0.11, 0.26) * size_wh[1]
        for look in range(visits):
            begin = (look + rng.uniform(0, 0.4)) * slot
            end = min(begin + rng.uniform(0.45, 0.6) * slot, (look + 0.88) * slot)
            made.append(_visit(rng, person, look, (begin, end), side, size_wh))
    width = size_wh[0]
    n_pillars = int(rng.integers(0, 3))
    lefts = rng.uniform(0.1, 0.85, n_pillars) * width
    wide = rng.uniform(0.03, 0.08, n_pillars) * width
    start = rng.uniform(0.2, 0.8) * seconds
    jumps = rng.random() < 0.25
    return Script(
        size_wh=size_wh,
        seconds=seconds,
        rate=options.get("rate", 15.0),
        visits=tuple(sorted(made, key=lambda one: one.depth)),
        pillars=np.stack([lefts, lefts + wide], axis=1),
        noise=float(rng.uniform(1, 9)),
        soft=(start, start + rng.uniform(0.3, 1.2), float(rng.uniform(0.8, 2.2))),
        shutter_s=float(rng.uniform(0.004, 0.025)),
        jump=(float(rng.uniform(0.3, 0.7) * seconds), *(rng.normal(0, 60, 2).tolist()))
        if jumps
        else (),
        dropped=float(rng.choice([0.0, 0.0, 0.0, 0.15])),
    )


def _visit(
    rng: np.random.Generator,
    person: int,
    look: int,
    when: tuple[float, float],
    side: float,
    size_wh: tuple[int, int],
) -> Visit:
    """In at one edge, about, and out at the same or the other."""
    (begin, end), (width, height) = when, size_wh
    out = 1.2 * side
    edges = rng.choice([-out, width + out], 2)
    n = int(rng.integers(1, 4))
    level = rng.uniform(0.25, 0.58)
    xs = np.array([edges[0], *rng.uniform(0.1, 0.9, n) * width, edges[1]])
    ys = np.clip(level + rng.normal(0, 0.06, n + 2), 0.2, 0.65) * height
    sides = side * np.exp(rng.normal(0, 0.12, n + 2))
    lengths = np.hypot(np.diff(xs), np.diff(ys)) * rng.uniform(0.6, 1.5, n + 1) + side
    times = begin + (end - begin) * np.concatenate([[0], np.cumsum(lengths) / lengths.sum()])
    fine = np.linspace(begin, end, 60)
    way = [np.interp(fine, times, values) for values in (xs, ys, sides)]
    smooth = np.ones(9) / 9
    way = [np.convolve(np.pad(values, 4, mode="edge"), smooth, mode="valid") for values in way]
    hand: tuple[float, float] | tuple[()] = ()
    if rng.random() < 0.3:
        start = float(rng.uniform(begin + 0.3, end - 0.5))
        hand = (start, start + float(rng.uniform(0.3, 0.9)))
    return Visit(
        person,
        look,
        begin,
        end,
        np.stack([fine, *way], axis=1),
        sway_px=float(rng.uniform(0, 0.06) * side),
        sway_hz=float(rng.uniform(0.5, 2)),
        roll_deg=float(rng.uniform(-10, 10)),
        color=tuple(rng.integers(20, 220, 3).tolist()),
        depth=float(side * rng.uniform(0.8, 1.2)),
        hand=hand,
    )
