"""Several looks at one photo, each at its scale, and what they say about one another.

A network is right about faces of a range of sizes of what it is given. Of a face that is larger it
sees parts: an eye and a cheek are "a face" with a score of 0.9, and so are an ear and the hair
beside a profile. The same photo made smaller shows the whole, and nothing where the parts were.
So the coarser look is believed about what is large:

- ``agreed``: what a finer look reports beyond its range, or inside of a face that is beyond its
  range, stays only where it is a face of the coarser looks too;
- ``confirmed``: a face beside one that is beyond the first look's range must be seen by each
  look that is coarser than its own and in whose range it is; a very small one gets the mean of its
  scores.

Of 200 photos of CFP with faces enlarged to 400 to 2,000 pixels 104 had more than one box without
these rules, and 3 have with them; true faces whose boxes overlap by up to 0.45 are found as often.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lineament.detect.boxes import intersection_over_union, intersections, nms
from lineament.types import BoolArray, FloatArray

RANGE_PX = 300.0
"""The largest face of its input that a look is believed about. On the WIDER sample average
precision is the same from 256 to 400."""

SEEN_PX = 15.0
"""The least face of its input that a coarser look has a say about."""

STEP = 1.6
"""Looks whose scales differ by less show the same, with the same errors: neither has a say about
the other."""

WHOLE_SCORE = 0.6
"""The least score of a face inside of which finer looks are not believed."""

SAME = 0.6
"""Boxes that overlap this much (intersection over union) are one face seen twice."""

PART = 0.3
"""A box that shares so much of the smaller area with a large face may be a part of it."""

CORE = 0.7
"""Of the half axes of the ellipse in a box: what has its center there is inside of that face."""

SURELY_SEEN_PX = 48.0
"""A face of so many pixels of its input a look does not miss. With 32 the WIDER sample loses 0.5
points of average precision on its easy faces, with 48 none."""

SEEN_AGAIN = 0.45
"""Boxes of two looks that overlap this much may be of one face."""

CONFIRMED = 0.7
"""The share of a face's score that other looks must give it."""

NEAR = 1.0
"""How far around a large face others must be confirmed, in lengths of its longer side."""

LARGER = 1.2
"""How many times as large as another a face is for that one to need confirmation."""

SMALL = 5.0
"""How many times as large as another a face is for that one's scores to be averaged: what is
enlarged until a face has 1,000 pixels has spots that look like faces in the first look alone."""

JUST_SEEN_PX = 16.0
"""The least face of a look's input whose score is averaged."""

PAIRS_AT_ONCE = 1 << 20
"""Of boxes that are compared: bounds the memory of a crowd."""

_SCALE = 16  # the column


class Look(NamedTuple):
    """What was seen at one scale.

    Attributes:
        scale: pixels of the network's input per pixel of the photo.
        rows: (N, 16) float32: score, box (4), landmarks (10) in pixels of the photo, and 1 where
            the edge of a tile may have cut the face, else 0.
    """

    scale: float
    rows: FloatArray


def longer_sides(rows: FloatArray) -> FloatArray:
    """(N,) the longer side of each box, pixels of the photo."""
    longer: FloatArray = (rows[:, 3:5] - rows[:, 1:3]).max(axis=1, initial=0)
    return longer


def agreed(looks: Sequence[Look], suppression: float, least: float = 0.0) -> FloatArray:
    """Join looks: all that the coarsest saw, and of the finer ones what coarser do not refute.

    Args:
        looks: in any order.
        suppression: boxes of the coarser looks that overlap more are one face.
        least: score from which on what coarser looks saw is a face.

    Returns:
        (N, 17): the rows, and in the last column the scale of the look that each is of.
    """
    joined: list[FloatArray] = []
    for scale, rows in sorted(looks, key=lambda look: look.scale):
        seen = np.concatenate([rows, np.full((len(rows), 1), scale, np.float32)], axis=1)
        coarser = [each for each in joined if len(each) and each[0, _SCALE] * STEP <= scale]
        if coarser:
            before = np.concatenate(coarser)
            before = before[before[:, 0] >= least]
            seen = seen[~_refuted(seen, before, suppression)]
        joined.append(seen)
    return np.concatenate(joined)


def _refuted(finer: FloatArray, coarser: FloatArray, suppression: float) -> BoolArray:
    """(N,) whether rows of a finer look (N, 17) are no faces, by what coarser ones saw (M, 17)."""
    sizes = longer_sides(finer)
    visible = sizes * coarser[:, _SCALE].max(initial=0) >= SEEN_PX
    beyond = finer[:, _SCALE].max(initial=0) / RANGE_PX
    suspect: BoolArray = visible & (sizes * beyond > 1)
    large = (coarser[:, 0] >= WHOLE_SCORE) & (longer_sides(coarser) * beyond > 1)
    if not (suspect.any() or large.any()):
        return suspect
    faces = coarser[nms(coarser[:, 1:5], coarser[:, 0], suppression)]
    wholes = faces[(faces[:, 0] >= WHOLE_SCORE) & (longer_sides(faces) * beyond > 1)]
    suspect |= _any(_inside, finer, wholes)
    suspect |= visible & _any(_parts, finer, wholes)
    suspect[suspect] = ~_any(_same, finer[suspect], faces)
    return suspect


def confirmed(faces: FloatArray, looks: Sequence[Look]) -> FloatArray:
    """Return the faces that no look missed which should have seen them, the best score first.

    Args:
        faces: (N, 17), each face once.
        looks: the first of them first.
    """
    sizes = longer_sides(faces)
    large = faces[(faces[:, 0] >= WHOLE_SCORE) & (sizes * looks[0].scale > RANGE_PX)]
    if not len(large) or len(faces) < 2:
        return faces
    beside, small = _any(_beside, faces, large), _any(_small, faces, large)
    missed, count = np.zeros(len(faces), bool), np.ones(len(faces), np.float32)
    scores = faces[:, 0].copy()
    for scale, rows in looks:
        there = sizes * scale
        due = (scale < 0.99 * faces[:, _SCALE]) & (there <= RANGE_PX)
        must, asked = (
            due & beside & (there >= SURELY_SEEN_PX),
            due & small & (there >= JUST_SEEN_PX),
        )
        missed[must] |= ~_any(_again, faces[must], rows)
        for i in np.flatnonzero(asked):
            again = intersection_over_union(faces[i : i + 1, 1:5], rows[:, 1:5])[0] >= SEEN_AGAIN
            scores[i] += rows[again, 0].max(initial=0)
        count[asked] += 1
    faces = faces.copy()
    faces[:, 0] = np.minimum(faces[:, 0], scores / count)
    order = np.argsort(-faces[:, 0], kind="stable")
    stay: FloatArray = faces[order[~missed[order]]]
    return stay


# --- pairs: (N, 16 or more) and (M, 16 or more) -> (N, M) -----------------------------------------


def _any(
    holds: Callable[[FloatArray, FloatArray], BoolArray], rows: FloatArray, others: FloatArray
) -> BoolArray:
    """(N,) whether it holds for a row and any of the others, in blocks."""
    found = np.zeros(len(rows), bool)
    if len(others):
        step = 1 + PAIRS_AT_ONCE // len(others)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            found[part] = holds(rows[part], others).any(axis=1)
    return found


def _areas(rows: FloatArray) -> FloatArray:
    areas: FloatArray = (rows[:, 3:5] - rows[:, 1:3]).prod(axis=1)
    return areas


def _inside(rows: FloatArray, wholes: FloatArray) -> BoolArray:
    center = (wholes[:, 1:3] + wholes[:, 3:5]) / 2
    half = np.maximum(wholes[:, 3:5] - center, 1e-6)
    away = ((rows[:, None, 1:3] + rows[:, None, 3:5]) / 2 - center) / half  # (N, M, 2)
    near: BoolArray = (away**2).sum(axis=2) < CORE**2
    return near


def _parts(rows: FloatArray, wholes: FloatArray) -> BoolArray:
    common = intersections(rows[:, 1:5], wholes[:, 1:5])
    shared: BoolArray = common > PART * np.minimum(_areas(rows)[:, None], _areas(wholes))
    return shared


def _same(rows: FloatArray, faces: FloatArray) -> BoolArray:
    same: BoolArray = intersection_over_union(rows[:, 1:5], faces[:, 1:5]) >= SAME
    return same


def _beside(rows: FloatArray, large: FloatArray) -> BoolArray:
    sizes = longer_sides(large)
    reach = NEAR * sizes[:, None]
    center = (rows[:, None, 1:3] + rows[:, None, 3:5]) / 2
    inside = (center > large[:, 1:3] - reach) & (center < large[:, 3:5] + reach)
    beside: BoolArray = inside.all(axis=2) & (sizes >= LARGER * longer_sides(rows)[:, None])
    return beside


def _small(rows: FloatArray, large: FloatArray) -> BoolArray:
    small: BoolArray = _beside(rows, large)
    small &= longer_sides(large) >= SMALL * longer_sides(rows)[:, None]
    return small


def _again(faces: FloatArray, rows: FloatArray) -> BoolArray:
    overlap = intersection_over_union(faces[:, 1:5], rows[:, 1:5]) >= SEEN_AGAIN
    again: BoolArray = overlap & (rows[:, 0] >= CONFIRMED * faces[:, :1])
    return again
