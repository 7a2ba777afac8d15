"""Fit ``MISSING_YAW`` of lineament.align.mesh_pose and of lineament.pose on profiles of CFP.

The first is for the yaw by the 478 points of a mesh, the second for that by five landmarks.

Nobody has measured how far the heads in CFP are turned. It follows from the points that people set
by hand: the frontal photos say where each point lies from the front, and how it moves across the
face as heads turn says how deep it lies. Depths and poses are found in turns, each by least squares
from the other (structure from motion, orthographic, of 17 points that expressions hardly move).
Single heads differ from the mean, so that single poses are uncertain; of many the quantiles are
good. So quantiles are what is fitted, on the people with even numbers in the sample's order, and
the others say what is left. 34 of 500 poses come out below 30 degrees; looked at, all these heads
are turned by 45 or more: the fit went astray, and they are left out.

Run:  python -m scripts.fit.mesh_yaw ../shared/cfp_sample     (a folder with Images and Fiducials)
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rich.progress import track
from scipy.optimize import least_squares

from lineament import pose
from lineament.align import mesh_pose
from lineament.align.mesh import MeshLandmarker
from lineament.finder import FaceFinder

Points = npt.NDArray[np.float64]

# Corners of the eye and its lids, bridge of the nose to its tip, its base and wing, mouth corner,
# upper lip, brow: numbers of CFP's 30 points, from 0, and how much each counts.
OUTER_EYE, TIP = 12, 21
USED = (12, 15, 13, 14, 16, 17, 18, 19, 20, 21, 22, 24, 25, 26, 9, 10, 11)
MIDDLE = [USED.index(point) for point in (18, 19, 20, 21, 22, 26)]
WEIGHTS = np.array([1, 1, *[0.5] * 4, *[1.0] * 7, 0.7, *[0.4] * 3])
START = np.array([-0.05, 0.05, 0, 0, 0, 0, 0.37, 0.45, 0.55, 0.65, 0.45, 0.2, 0.13, 0.35, 0.1])
START = np.concatenate([START, [0.2, 0.25]])  # depths, in distances of the eyes
ROUNDS = 8
PITCH_PRIOR = 0.03  # per radian, against residuals of points scaled to unit length
SLOPES = np.arange(0, 1.01, 0.05)
SQUARES = np.arange(0, 0.0301, 0.0005)
ASTRAY_DEG = 30.0
QUANTILES = (10, 25, 50, 75, 90)


class Sample(NamedTuple):
    """A photo of CFP: ``points`` (30, 2), mirrored so that the face turns to the viewer's right."""

    path: Path
    person: str
    profile: bool
    side: int
    points: Points


def read(folder: Path) -> list[Sample]:
    """All photos of the sample."""
    found = []
    for path in sorted(folder.glob("Images/*/*/*.jpg")):
        kind, person = path.parent.name, path.parents[1].name
        points = np.loadtxt(
            folder / "Fiducials" / person / kind / f"{path.stem}.txt", delimiter=","
        )
        side = 1 if points[OUTER_EYE, 0] < points[TIP, 0] else -1
        found.append(Sample(path, person, kind == "profile", side, points * [side, 1]))
    return found


def frontal_mean(shapes: Points) -> Points:
    """The median of frontal shapes (N, P, 2): upright, eyes at height 0, 1 apart, middle at 0."""
    centered = shapes - np.average(shapes, axis=1, weights=WEIGHTS)[:, None]
    mean = centered[0] / np.linalg.norm(centered[0])
    for _ in range(ROUNDS):
        aligned = []
        for shape in centered:
            u, sizes, vt = np.linalg.svd((WEIGHTS[:, None] * shape).T @ mean)
            scale = sizes.sum() / (WEIGHTS[:, None] * shape**2).sum()
            aligned.append(shape @ (u @ vt) * scale)
        mean = np.median(aligned, axis=0)
    down = mean[MIDDLE[-1]] - mean[MIDDLE[0]]
    angle = np.arctan2(down[0], down[1])
    cos, sin = np.cos(angle), np.sin(angle)
    mean = mean @ np.array([[cos, sin], [-sin, cos]])
    mean -= [mean[MIDDLE, 0].mean(), mean[:2, 1].mean()]
    return mean / (-2 * mean[:2, 0].mean())


def rotation(yaw: float, pitch: float, roll: float) -> Points:
    """As in ``lineament.pose``; radians."""
    (cy, cp, cr), (sy, sp, sr) = np.cos([yaw, pitch, roll]), np.sin([yaw, pitch, roll])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    return about_z @ about_x @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])


def fit_pose(shape: Points, face: Points, start: Points) -> tuple[Points, float]:
    """Yaw, pitch, roll, scale and shift that bring ``face`` (P, 3) onto ``shape``; and the cost."""

    def residuals(values: Points) -> Points:
        placed = values[3] * face @ rotation(*values[:3])[:2].T + values[4:]
        apart = np.sqrt(WEIGHTS)[:, None] * (placed - shape)
        return np.append(apart.ravel(), PITCH_PRIOR * values[1])

    found = least_squares(residuals, start, method="lm")
    return found.x, float(found.cost)


def yaws_by_hand(frontals: Points, profiles: Points) -> Points:
    """Degrees, for each of the profiles (N, P, 2), turned to the viewer's right."""
    flat, depths = frontal_mean(frontals), START
    shapes = profiles - profiles.mean(axis=1, keepdims=True)
    shapes /= np.linalg.norm(shapes, axis=(1, 2), keepdims=True)
    starts = [[np.array([yaw, 0, 0, 0.4, 0, 0]) for yaw in (0.6, 1.1, 1.5)]] * len(shapes)
    for _ in track(range(ROUNDS), "depths and poses"):
        face = np.column_stack([flat, depths])
        top, bottom = np.zeros(len(USED)), np.zeros(len(USED))
        for i, shape in enumerate(shapes):
            values, cost = min(
                (fit_pose(shape, face, start) for start in starts[i]), key=lambda each: each[1]
            )
            starts[i] = [values]
            turn = values[3] * rotation(*values[:3])[:2]
            left = shape - values[4:] - flat @ turn[:, :2].T  # what the depths have to explain
            top += left @ turn[:, 2] / (cost + 1e-3)
            bottom += turn[:, 2] @ turn[:, 2] / (cost + 1e-3)
        depths = top / bottom
        depths -= depths[:2].mean()
    return np.degrees([start[0][0] for start in starts])


def main() -> None:
    photos = read(Path(sys.argv[1]))
    people = sorted({photo.person for photo in photos})
    shapes = np.array([photo.points[list(USED)] for photo in photos])
    turned = np.array([photo.profile for photo in photos])
    truth = yaws_by_hand(shapes[~turned], shapes[turned])

    finder = FaceFinder(landmarker="mesh", turning=False)
    landmarker = finder.landmarker
    assert isinstance(landmarker, MeshLandmarker)
    rows, fitted = [], []
    profiles = [photo for photo in photos if photo.profile]
    for photo, yaw in zip(track(profiles, "meshes"), truth, strict=True):
        seen = finder.find(photo.path)
        if seen.error is not None or seen.index is None or seen.pixels is None or yaw < ASTRAY_DEG:
            continue
        face = seen.faces[seen.index]
        assert face.landmarks_xy is not None
        mesh = mesh_pose.pose_of_mesh(landmarker.read(seen.pixels, [face]).points_xyz[0])
        five = pose.pose_of_five(face.landmarks_xy)
        rows.append([yaw, photo.side * mesh.yaw_deg, photo.side * five.yaw_deg])
        fitted.append(people.index(photo.person) % 2 == 0)
    by_hand, by_mesh, by_five = np.array(rows).T
    half = np.array(fitted)
    print("other half of the people: 5, 25, 50, 75, 95 %; median error, mean absolute error")
    show("by hand", by_hand[~half], by_hand[~half])
    for name, yaws, correct, tried, packaged in (
        ("mesh", by_mesh, more_by_slope, SLOPES, mesh_pose.MISSING_YAW),
        ("five points", by_five, more_by_square, SQUARES, pose.MISSING_YAW),
    ):
        show(name, yaws[~half], by_hand[~half])
        best = min(tried, key=lambda m: off(correct(yaws[half], m), by_hand[half]))
        for missing, whose in ((best, "best"), (packaged, "ours")):
            show(f"{whose}, {missing:.4g}", correct(yaws, missing)[~half], by_hand[~half])


def more_by_slope(yaws: Points, missing: float) -> Points:
    """``lineament.align.mesh_pose.true_yaw_deg`` of many, with another number."""
    more = missing * np.maximum(np.abs(yaws) - mesh_pose.FAITHFUL_YAW_DEG, 0)
    return np.sign(yaws) * np.minimum(np.abs(yaws) + more, 90)


def more_by_square(yaws: Points, missing: float) -> Points:
    """``lineament.pose.true_yaw_deg`` of many, with another number."""
    more = missing * np.maximum(np.abs(yaws) - pose.FAITHFUL_YAW_DEG, 0) ** 2
    return np.sign(yaws) * np.minimum(np.abs(yaws) + more, 90)


def off(yaws: Points, by_hand: Points) -> float:
    """Mean distance of the quantiles, in degrees."""
    apart = np.percentile(yaws, QUANTILES) - np.percentile(by_hand, QUANTILES)
    return float(np.abs(apart).mean())


def show(name: str, yaws: Points, by_hand: Points) -> None:
    shares = " ".join(f"{each:4.0f}" for each in np.percentile(yaws, [5, 25, 50, 75, 95]))
    apart = yaws - by_hand
    print(f"{name:16} {shares}   {np.median(apart):+6.1f} {np.abs(apart).mean():6.1f}")


if __name__ == "__main__":
    main()
