"""A head, and a sheet of paper, made of a photo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from lineament.align.mesh_points import FACE_OVAL, LEFT_IRIS, MIRRORED, RIGHT_IRIS

from . import scene

DISTANCE = 8.0
"""From the camera to the eyes, in distances between them."""

UPPER_LIDS = [246, 161, 160, 159, 158, 157, 173]
CREASES = [247, 30, 29, 27, 28, 56, 190]
LOWER_LIDS = [7, 163, 144, 145, 153, 154, 155]
LOWER_LIPS = [
    *(146, 91, 181, 84, 17, 314, 405, 321, 375, 95, 88, 178, 87, 14, 317, 402, 318, 324),
    *(77, 90, 180, 85, 16, 315, 404, 320, 307, 96, 89, 179, 86, 15, 316, 403, 319, 325),
]
UPPER_LIPS = [
    *(185, 40, 39, 37, 0, 267, 269, 270, 409, 191, 80, 81, 82, 13, 312, 311, 310, 415),
    *(184, 74, 73, 72, 11, 302, 303, 304, 408, 183, 42, 41, 38, 12, 268, 271, 272, 407),
]
INNER_LIPS = [
    *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324),
    *(308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
]
LASHES = (
    (33, *UPPER_LIDS, 133),
    (263, *MIRRORED[UPPER_LIDS].tolist(), 362),
)
RINGS = ((1.12, 0.3), (1.35, 0.9), (1.6, 1.8))
"""Behind the face's outline: how much wider than it, and how much farther away (eye distances)."""

PIVOT = np.array([0.0, 0.9, 1.3])
"""What a head turns about, from the middle of the eyes: in the neck."""

CORNERS = 0.35
"""By how much the corners of the mouth go down with the jaw, which is 1."""

APART = 0.3
"""How far the jaw is down where it is decided which vertices are joined."""

PAPER = 24
"""Squares of a sheet, in a row."""


@dataclass(frozen=True)
class Act:
    """What a head does at one moment.

    Attributes:
        yaw_deg, pitch_deg, roll_deg: as ``lineament.pose`` has them.
        blink, jaw: 0 to 1, how far lids are shut and the jaw is down.
        nearer: 1 at the usual distance, 1.5 where the face is half as large again.
        shift_xy: in eye distances.
        bend: of a sheet: one over the radius, in eye distances; 0 is flat.
    """

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    blink: float = 0.0
    jaw: float = 0.0
    nearer: float = 1.0
    shift_xy: tuple[float, float] = (0.0, 0.0)
    bend: float = 0.0


class Person:
    """A photo with its mesh, ready to be seen as a head or as a sheet."""

    def __init__(self, pixels: np.ndarray, points_xyz: np.ndarray) -> None:
        """``pixels``: (H, W, 3) uint8; ``points_xyz``: (478, 3), as ``Mesh`` has them."""
        self.pixels = pixels
        points = points_xyz.astype(np.float64)
        eyes = points[[LEFT_IRIS, RIGHT_IRIS]]
        self.unit = float(np.linalg.norm(eyes[1, :2] - eyes[0, :2]))
        self.middle = np.append(eyes[:, :2].mean(axis=0), eyes[:, 2].mean())
        face = points[:468]
        oval = points[list(FACE_OVAL)]
        center = oval.mean(axis=0)
        rings = [
            np.concatenate(
                [center[:2] + wide * (oval[:, :2] - center[:2]), oval[:, 2:] + far * self.unit], 1
            )
            for wide, far in RINGS
        ]
        self.vertices = np.concatenate([face, *rings])  # (468 + 36 R, 3), pixels of the photo
        self.background = _backdrop(pixels)
        self._weights = _jaw_weights(self.vertices, self.unit)
        # Lips that touch would be joined by triangles of skin: they are taken where they are open.
        opened = self._opened(APART)[:, :2]
        self.triangles = scene.delaunay(opened)
        outline = opened[INNER_LIPS].astype(np.float32)
        middles = opened[self.triangles].mean(axis=1).tolist()
        self.mouth = np.array(
            [float(cv2.pointPolygonTest(outline, middle, False) > 0) for middle in middles]
        )

    def head(self, act: Act) -> scene.Surface:
        """The head before the camera."""
        moved = self._opened(act.jaw)
        for one in (np.arange(478), MIRRORED):
            upper, lower, crease = one[UPPER_LIDS], one[LOWER_LIDS], one[CREASES]
            way = act.blink * (moved[lower] - moved[upper])
            moved[upper] += way
            moved[crease] += 0.4 * way
        xyz = self._before_camera(moved, act)
        dark = self.mouth * min(0.85, 1.5 * act.jaw)
        line = 0.6 * max(0.0, 2 * act.blink - 1)
        flat = self.vertices[:, :2]
        return scene.Surface(xyz, flat, self.triangles, self.pixels, dark, LASHES, line)

    def sheet(self, act: Act, bent: Callable[[np.ndarray, float], np.ndarray]) -> scene.Surface:
        """The photo on paper; ``bent``: its points (V, 3) in eye distances, the bend -> points."""
        height, width = self.pixels.shape[:2]
        steps = np.linspace(0, 1, PAPER + 1)
        grid = np.stack(np.meshgrid(steps * (width - 1), steps * (height - 1)), axis=2)
        spots = grid.reshape(-1, 2)
        flat = np.concatenate([spots, np.full((len(spots), 1), self.middle[2])], axis=1)
        first = np.arange(PAPER)[:, None] * (PAPER + 1) + np.arange(PAPER)
        corners = np.stack([first, first + 1, first + PAPER + 1, first + PAPER + 2], -1)
        corners = corners.reshape(-1, 4)
        triangles = np.concatenate([corners[:, [0, 1, 2]], corners[:, [1, 3, 2]]])
        units = (flat - self.middle) / self.unit
        shaped = bent(units, act.bend) * self.unit + self.middle
        xyz = self._before_camera(shaped, act, pivot=np.zeros(3))
        return scene.Surface(xyz, spots, triangles, self.pixels, np.zeros(len(triangles)))

    def puppet(self, act: Act, bent: Callable[[np.ndarray, float], np.ndarray]) -> scene.Surface:
        """The face cut out of a picture: lids and jaw move in it, and it is as flat as paper."""
        made = self.head(Act(blink=act.blink, jaw=act.jaw))
        units = made.xyz - np.array([0, 0, DISTANCE])
        flat = np.concatenate([units[:, :2], 0 * units[:, :1]], 1)
        shaped = bent(flat, act.bend) * self.unit + self.middle
        xyz = self._before_camera(shaped, act, pivot=np.zeros(3))
        return replace(made, xyz=xyz)

    def _opened(self, jaw: float) -> np.ndarray:
        """The vertices with the jaw down by so much."""
        moved = self.vertices.copy()
        moved[:, 1] += 0.5 * jaw * self.unit * self._weights
        moved[:, 2] += 0.15 * jaw * self.unit * self._weights
        return moved

    def _before_camera(self, points: np.ndarray, act: Act, pivot: np.ndarray = PIVOT) -> np.ndarray:
        units = (points - self.middle) / self.unit - pivot
        turned = units @ scene.turn(act.yaw_deg, act.pitch_deg, act.roll_deg).T + pivot
        return turned + np.array([*act.shift_xy, DISTANCE / act.nearer])


def _jaw_weights(vertices: np.ndarray, unit: float) -> np.ndarray:
    """By how much each vertex goes down with the jaw, 0 to 1."""
    corners = vertices[[61, 291], 1].mean()
    weights = np.clip((vertices[:, 1] - corners - 0.1 * unit) / (0.5 * unit), 0, 1)
    left, right = vertices[[61, 291], 0]
    aside = np.clip(2 * (vertices[:, 0] - left) / (right - left) - 1, -1, 1) ** 2
    bulge = np.sqrt(1 - aside)
    weights = np.where(weights > 0, np.maximum(weights, bulge), weights)  # chins go with lips
    weights[LOWER_LIPS] = CORNERS + (1 - CORNERS) * bulge[LOWER_LIPS]
    weights[UPPER_LIPS] = CORNERS * aside[UPPER_LIPS]
    weights[[61, 291, 78, 308, 76, 306, 62, 292]] = CORNERS
    return weights


def _backdrop(pixels: np.ndarray) -> np.ndarray:
    """What is behind: the photo's own border, spread and blurred."""
    small = cv2.resize(pixels, (16, 12), interpolation=cv2.INTER_AREA)
    small[2:, 4:12] = small[:2].mean(axis=(0, 1))
    spread = cv2.GaussianBlur(small, (0, 0), 1.5)
    return cv2.resize(spread, (scene.WIDTH, scene.HEIGHT), interpolation=cv2.INTER_CUBIC)
