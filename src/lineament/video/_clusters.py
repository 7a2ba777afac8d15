"""Which stretches of a film's paths show one person, with the whole film known.

Agglomerative clustering as in speaker diarization: the two groups whose pooled views are most alike
are joined, again and again, until no two are alike enough. What is certain is used as such:

- groups that are seen beside each other are two people, and are never joined;
- stretches of one path after one another are likely one person's, and are joined unless their views
  speak against it.

A stretch is cut first where its views, of a clear face before and after, are of two people. Frames
in which a path was on another group's face for a moment are given to that group in the end.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lineament.detect.boxes import intersection_over_union
from lineament.types import Float64Array
from lineament.video._binding import CLEAR
from lineament.video._record import Kept, Stretch

CONTINUED = 0.12
"""What it is worth that a path goes on, a cosine."""

LEAST_CONTINUED = 0.1
"""With that, stretches of one path after one another need no more likeness than this."""

CUT_BELOW = 0.05
"""A stretch is cut where it is less alike before and after than people may be, less this."""

BESIDE = 2
"""In so many frames two must be seen at once to be two people for sure."""

ONE_FACE = 0.4
"""Boxes that overlap by as much may be two looks at one face."""

MOST_AT_ONCE = 1500
"""Stretches that are compared with each other at once; those of longer films in turns."""

Rise = Callable[[float, float], float]
"""By the best recognizability on either side: how much more alike two groups must be."""


@dataclass(eq=False, slots=True)
class Group:
    """Stretches that show one person.

    Attributes:
        stretches: in the order in which they were joined.
        kept: their faces that were embedded.
        pool: (D,) of length 1.
        best: the greatest recognizability.
    """

    stretches: list[Stretch]
    kept: list[Kept]
    pool: Float64Array
    best: float


def cut_apart(stretches: Iterable[Stretch], unlike: float) -> list[Stretch]:
    """Cut stretches in which the face changes, where it does.

    Args:
        stretches: of paths.
        unlike: the cosine below which views are of two people.
    """
    found: list[Stretch] = []
    waiting = list(stretches)[::-1]
    while waiting:
        one = waiting.pop()
        cut = _change_in(one, unlike - CUT_BELOW)
        if cut is None:
            found.append(one)
        else:
            waiting.extend(one.cut(cut)[::-1])
    return found


def _change_in(stretch: Stretch, least: float) -> int | None:
    """The row before which the face changes most; None: it is one face."""
    clear = [one for one in stretch.kept if one.view.worth >= CLEAR]
    if len(clear) < 2:
        return None
    weighted = np.stack([one.view.vector for one in clear]) * _weights(clear)[:, None]
    before = np.cumsum(weighted, axis=0)[:-1]
    after = weighted.sum(axis=0) - before
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    alike = (before * after).sum(axis=1) / np.maximum(lengths, 1e-9)
    place = int(alike.argmin())
    if alike[place] >= least:
        return None
    return (clear[place].at + clear[place + 1].at) // 2 + 1


def joined(stretches: Sequence[Stretch], level: float, rise: Rise) -> list[Group]:
    """Join what shows one person.

    Args:
        stretches: of paths, in the order in which they begin.
        level: the cosine from which on two groups may be one person.
        rise: how much more it takes for bad views.

    Returns:
        The groups; paths without any face that was embedded are in none.
    """
    units = _with_views(stretches)
    groups: list[Group] = []
    for begin in range(0, len(units), MOST_AT_ONCE):
        groups = _join([*groups, *units[begin : begin + MOST_AT_ONCE]], level, rise)
    return _in_order(groups)


def _in_order(groups: Iterable[Group]) -> list[Group]:
    """By the first frame."""
    return sorted(groups, key=lambda one: min((int(s.at[0]), s.path) for s in one.stretches))


def _with_views(stretches: Sequence[Stretch]) -> list[Group]:
    """One group each; a stretch without views goes with the one before it on its path, or after."""
    of_path: dict[int, list[Stretch]] = defaultdict(list)
    for one in stretches:
        of_path[one.path].append(one)
    found: list[Group] = []
    for those in of_path.values():
        waiting: list[Stretch] = []
        last: Group | None = None
        for one in those:
            if one.kept:
                last = _group([*waiting, one])
                found.append(last)
                waiting = []
            elif last is not None:
                last.stretches.append(one)
            else:
                waiting.append(one)
    return found


def _group(stretches: list[Stretch]) -> Group:
    kept = [one for stretch in stretches for one in stretch.kept]
    return Group(stretches, kept, _pool(kept), max(one.view.worth for one in kept))


def _pool(kept: Sequence[Kept]) -> Float64Array:
    mean = _weights(kept) @ np.stack([one.view.vector for one in kept])
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float64)


def _weights(kept: Sequence[Kept]) -> Float64Array:
    return np.array([one.view.worth for one in kept], np.float64) ** 2


def _join(groups: list[Group], level: float, rise: Rise) -> list[Group]:
    n = len(groups)
    if n < 2:
        return groups
    pools = np.stack([one.pool for one in groups])
    together, after = beside(groups), _after(groups)
    stays = np.ones(n, np.bool_)
    worth = np.full((n, n), -np.inf)  # of a pair, in the row of the larger number

    def value(row: int) -> None:
        """What it is worth to join a group with any other."""
        one = groups[row]
        needed = np.array([level + rise(one.best, other.best) for other in groups])
        alike = pools @ pools[row] + CONTINUED * after[row]
        gain = alike - np.where(after[row], np.minimum(needed, LEAST_CONTINUED), needed)
        gain[(together[row] >= BESIDE) | ~stays] = -np.inf
        worth[row, :row] = gain[:row]
        worth[row + 1 :, row] = gain[row + 1 :]

    for row in range(n):
        value(row)
    while True:
        most = worth.max(axis=1)
        row = int(most.argmax())
        if most[row] < 0:
            return [one for one, stay in zip(groups, stays, strict=True) if stay]
        into = int(worth[row].argmax())
        one, other = groups[into], groups[row]
        groups[into] = Group(
            one.stretches + other.stretches,
            one.kept + other.kept,
            _pool(one.kept + other.kept),
            max(one.best, other.best),
        )
        pools[into] = groups[into].pool
        for pairs in (together, after):
            pairs[into] += pairs[row]
            pairs[:, into] += pairs[:, row]
        together[into, into] = after[into, into] = 0
        stays[row] = False
        worth[row, :] = worth[:, row] = -np.inf
        value(into)


def given_back(groups: Sequence[Group], unlike: float, likely: float, rise: Rise) -> list[Group]:
    """Give each group the frames in which another one's path was on its face for a moment.

    Args:
        groups: from ``joined``.
        unlike: a clear view below this cosine to its own group is of somebody else,
        likely: and from this one on of another group, which is seen nowhere else in that frame.
        rise: how much more it takes for bad views.
    """
    moves = [
        (number, stretch, begin, end, other)
        for number, group in enumerate(groups)
        for stretch in group.stretches
        for begin, end, other in _strays(stretch, number, groups, unlike, likely, rise)
    ]
    if not moves:
        return list(groups)
    there = [{int(row) for s in one.stretches for row in s.at[s.seen]} for one in groups]
    for number, stretch, begin, end, _ in moves:
        there[number] -= _seen_rows(stretch, begin, end)
    parts: list[list[Stretch]] = [list(one.stretches) for one in groups]
    for number, stretch, begin, end, other in moves:
        rows = _seen_rows(stretch, begin, end)
        whole = next(s for s in parts[number] if s.path == stretch.path and begin in s.at)
        before, rest = whole.cut(begin)
        stray, after = rest.cut(end)
        others = [s for s in (*parts[number], before, after) if s is not whole]
        if there[other] & rows or not any(s.kept for s in others):
            continue
        there[other] |= rows
        parts[number] = [s for s in others if len(s.at)]
        parts[other].append(stray)
    return _in_order(_group(those) for those in parts)


def _seen_rows(stretch: Stretch, begin: int, end: int) -> set[int]:
    """The rows of the frames in between in which it was seen."""
    inside = (stretch.at >= begin) & (stretch.at < end) & stretch.seen
    return set(stretch.at[inside].tolist())


def _strays(
    stretch: Stretch,
    own: int,
    groups: Sequence[Group],
    unlike: float,
    likely: float,
    rise: Rise,
) -> list[tuple[int, int, int]]:
    """Of a group's stretch the rows from and to which it shows another group, and which."""
    kept = stretch.kept
    if not kept:
        return []
    alike = np.stack([one.view.vector for one in kept]) @ np.stack([g.pool for g in groups]).T
    shows = []
    for one, row in zip(kept, alike, strict=True):
        other = int(row.argmax())
        needed = likely + rise(one.view.worth, groups[other].best)
        strays = one.view.worth >= CLEAR and row[own] < unlike and row[other] >= needed
        shows.append(other if strays else own)
    found = []
    at = 0
    for other, run in itertools.groupby(shows):
        first, at = at, at + len(list(run))
        if other == own:
            continue
        begin = (kept[first - 1].at + kept[first].at) // 2 + 1 if first else int(stretch.at[0])
        end = (kept[at - 1].at + kept[at].at) // 2 + 1 if at < len(kept) else stretch.at[-1] + 1
        found.append((begin, int(end), other))
    return found


def beside(groups: Sequence[Group]) -> np.ndarray:
    """(N, N) in how many frames two are seen at once."""
    there: dict[int, list[tuple[int, np.ndarray]]] = defaultdict(list)
    for number, group in enumerate(groups):
        for one in group.stretches:
            for at, box in zip(one.at[one.seen].tolist(), one.boxes_xyxy[one.seen], strict=True):
                there[at].append((number, box))
    counts = np.zeros((len(groups), len(groups)), np.int64)
    for those in there.values():
        if len(those) < 2:
            continue
        numbers = np.array([number for number, _ in those])
        boxes = np.stack([box for _, box in those])
        apart = intersection_over_union(boxes, boxes) < ONE_FACE
        np.add.at(counts, (numbers[:, None], numbers[None]), apart)
    np.fill_diagonal(counts, 0)
    return counts


def _after(groups: Sequence[Group]) -> np.ndarray:
    """(N, N) bool: whether two have stretches of one path that follow each other."""
    of_path: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, group in enumerate(groups):
        for one in group.stretches:
            of_path[one.path].append((int(one.at[0]), number))
    follows = np.zeros((len(groups), len(groups)), np.bool_)
    for those in of_path.values():
        those.sort()
        for (_, first), (_, second) in itertools.pairwise(those):
            follows[first, second] = follows[second, first] = first != second
    return follows


def impostors(groups: Sequence[Group]) -> Float64Array:
    """Cosines of clear groups that are seen beside each other: what strangers reach there."""
    clear = [one for one in groups if one.best >= CLEAR]
    if len(clear) < 2:
        return np.zeros(0)
    pools = np.stack([one.pool for one in clear])
    pairs = np.triu(beside(clear) >= BESIDE)
    return np.asarray((pools @ pools.T)[pairs], np.float64)
