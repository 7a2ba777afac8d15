"""Whether a turned face swings out of its plane, as a head does and no sheet of paper.

Points of the face are followed from frame to frame (Lucas and Kanade 1981, pyramids by Bouguet),
from the moment before the head turns. What a plane does between two views, near or far, and what a
sheet does that is bent smoothly, is very nearly a polynomial of the second degree in the places of
the first view. A turned head adds to it each point's depth times the sine of the turn: the nose
moves over the cheek behind it. So the places in the second view are fitted by such a polynomial and
the depth that the mesh has of each point; the factor of the depth is the ``slope``.

The mesh of the second view is not asked. Its network has seen heads only, and draws one: a bent
photo that it takes for a head turned by 20 degrees gets the nose of a head turned by 20 degrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from lineament.align.mesh_points import FACE_OVAL, LIPS, MIRRORED
from lineament.types import BoolArray, Float64Array, FloatArray, Image

WINDOW_PX, LEVELS = 17, 2
"""Of the tracker, in patches of ``PATCH_PX``."""

PATCH_PX = 192
"""Side of the upright square about the mesh in which points are followed."""

MOST_BACK_PX = 1.0
"""A point that, followed back, arrives farther from where it was is lost."""

LEAST_POINTS = 60
"""Fewer say nothing."""

_EYE = [7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246, 33]
_MOVING = {*FACE_OVAL, *LIPS, *_EYE, *MIRRORED[_EYE].tolist()}
FOLLOWED = np.array([number for number in range(468) if number not in _MOVING])
"""Points of the mesh that are followed: neither lids nor lips, which move by themselves, nor the
outline, which is another part of the head in every view."""


@dataclass(frozen=True, slots=True)
class Swing:
    """How far a face swung out of its plane.

    Attributes:
        slope: factor of the depth, which for a head is the sine of its turn, less what the tracker
            loses; positive for a turn towards the viewer's right.
        correlation: of what the polynomial leaves with what the depth explains, -1 to 1.
        n_points: how many were followed all the way.
    """

    slope: float
    correlation: float
    n_points: int


class Follower:
    """Follows the points of one face from the view that it is made with."""

    def __init__(self, patch: Image, places: Float64Array, depth: Float64Array, unit: float):
        """Begin.

        Args:
            patch: (PATCH_PX, PATCH_PX) uint8, gray.
            places: (P, 2): where the points of ``FOLLOWED`` lie in it, pixels.
            depth: (P,): smaller towards the camera, in distances between the eyes.
            unit: distance between the eyes in the patch, pixels.
        """
        self._patch = patch
        self._first = places.astype(np.float32)
        self._now: FloatArray = self._first.copy()
        self._kept: BoolArray = np.ones(len(places), np.bool_)
        self._depth, self._unit = depth, unit

    def step(self, patch: Image) -> None:
        """Follow the points into the next frame's patch."""
        ahead, found = _flow(self._patch, patch, self._now)
        back, found_back = _flow(patch, self._patch, ahead)
        apart = np.linalg.norm(back - self._now, axis=1)
        self._kept &= found & found_back & (apart < MOST_BACK_PX)
        self._now, self._patch = ahead, patch

    def swing(self) -> Swing | None:
        """What the points say now; None where too few are left."""
        kept = np.flatnonzero(self._kept)
        if len(kept) < LEAST_POINTS:
            return None
        first = (self._first[kept].astype(np.float64) - PATCH_PX / 2) / self._unit
        now = (self._now[kept].astype(np.float64) - PATCH_PX / 2) / self._unit
        slope, correlation = fitted(first, now, self._depth[kept])
        return Swing(slope, correlation, len(kept))


def fitted(
    first: Float64Array, now: Float64Array, depth: Float64Array, rounds: int = 3
) -> tuple[float, float]:
    """Fit two views (P, 2) by a polynomial and the depth (P,), robustly (Cauchy weights).

    Returns:
        The slope of x by depth, its sign so that a turn towards the viewer's right is positive, and
        the correlation (``Swing``).
    """
    x, y = first.T
    smooth = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)  # (P, 6)
    full = np.concatenate([smooth, depth[:, None]], axis=1)
    weights = np.ones(len(x))
    for _ in range(rounds):
        root = np.sqrt(weights)[:, None]
        factors = np.linalg.lstsq(full * root, now * root, rcond=None)[0]  # (7, 2)
        rest = np.linalg.norm(now - full @ factors, axis=1)
        weights = 1 / (1 + (rest / (1.5 * np.median(rest) + 1e-9)) ** 2)
    root = np.sqrt(weights)
    along = _beyond(smooth * root[:, None], now[:, 0] * root)
    bump = _beyond(smooth * root[:, None], depth * root)
    size = float(np.sqrt((along @ along) * (bump @ bump)))
    correlation = -float(along @ bump) / size if size > 0 else 0.0
    return -float(factors[-1, 0]), correlation


def _beyond(basis: Float64Array, values: Float64Array) -> Float64Array:
    """What is left of values (P,) after their fit by a basis (P, K)."""
    rest: Float64Array = values - basis @ np.linalg.lstsq(basis, values, rcond=None)[0]
    return rest


def _flow(before: Image, after: Image, places: FloatArray) -> tuple[FloatArray, BoolArray]:
    end: Any = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 0.03)
    size = (WINDOW_PX, WINDOW_PX)
    ahead, found, _ = cv2.calcOpticalFlowPyrLK(
        before, after, places, places.copy(), winSize=size, maxLevel=LEVELS, criteria=end
    )
    return np.asarray(ahead, np.float32), np.asarray(found)[:, 0] > 0
