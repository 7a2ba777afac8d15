"""Fit the maps of lineament.detect.landmarks from profiles whose points people set, and write them.

1. Five landmarks from 30 fiducials. The sample of CFP has 30 points on each profile, none of them
   an eye's center or a corner that is not seen. In a frame that the fiducials of brow, eye, nose
   and mouth give (Procrustes), a robust ridge regression onto what O-Net says gives five landmarks
   that lie as O-Net's do where it is right: faces for which it is not have little weight.
2. Looks. The frame of each profile, and frames that are moved, turned and scaled at random, are
   shown to the networks.
3. Maps. For each of the six looks, a robust ridge regression from all its points (80 principal
   components of them) to the five landmarks in that frame.

Faces of LFW that are turned half to a side, with O-Net's own landmarks, take part in the third
step: the maps shall leave such faces as they are.

Run:  python -m scripts.fit.profile_landmarks ../shared/cfp_sample ../shared/lfw
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from lineament import models
from lineament.datasets.lfw import read_lfw
from lineament.detect import DetectOptions, load_detector
from lineament.detect.landmarks import (
    FILE,
    SWAPPED,
    Look,
    Maps,
    ProfileLandmarks,
    asymmetry,
    frames_of,
)
from lineament.detect.mtcnn import onet_landmarks
from lineament.detect.refine import CROP_SHARE
from lineament.geometry import to_crop_xy
from lineament.images import load_image
from lineament.models.runtime import Runtime, load_model
from lineament.types import Face

EYE, NOSE_TIP, MOUTH = slice(12, 18), 21, 25
INNER = slice(9, 30)
"""Numbers of the fiducials: the visible eye, the nose's tip, the visible corner of the mouth; all
but the contour."""

FIDUCIAL_RIDGE = 0.2
LOOK_RIDGE = 1e3
COMPONENTS = 80
FRAMES = 6
"""Of each profile: one as it is, half of the others moved by 5 pixels, 6 degrees and 7 %, half by
twice as much (standard deviations)."""
HALF_FROM, HALF_TO = 0.2, 0.36
HALF_FRAMES = 3
"""Asymmetries of the faces of LFW that take part, and their frames."""

Array = np.ndarray


@dataclass
class Shown:
    """A photo's face.

    Attributes:
        path: of the photo.
        person: its number.
        face: the detector's, with its own landmarks.
        onet_xy: (5, 2), pixels; ``certainty`` 0 to 1: O-Net's.
        fiducials_xy: (30, 2), pixels; None for faces of LFW.
        goal_xy: (5, 2), pixels: where the landmarks shall be.
    """

    path: Path
    person: int
    face: Face
    onet_xy: Array
    certainty: float
    fiducials_xy: Array | None = None
    goal_xy: Array | None = None

    @property
    def left(self) -> bool:
        """Whether the face looks to the viewer's left."""
        if self.fiducials_xy is None:
            return bool(asymmetry(self.onet_xy) < 0)
        return bool(self.fiducials_xy[NOSE_TIP, 0] < self.fiducials_xy[:9, 0].mean())


class Reader:
    """The networks."""

    def __init__(self) -> None:
        """Load them."""
        runtime = Runtime(threads=1)
        self.yunet = load_detector("yunet", turning=False, runtime=runtime)
        names = ("mtcnn-o", "landmarks68", "facemesh")
        onet, points68, mesh = (load_model(models.get(n), runtime=runtime) for n in names)
        self.onet = onet
        empty = Maps(tuple(np.zeros((2 * p, 10)) for p in (5, 68, 478) * 2), np.zeros((6, 10)))
        self.landmarks = ProfileLandmarks(onet, points68, mesh, empty)

    def show(self, path: Path, person: int, *, central: bool) -> Shown | None:
        """The largest face of a photo, or the most central."""
        image = load_image(path)
        faces = self.yunet.detect(image, DetectOptions(min_score=0.5))
        if not faces:
            return None
        if central:
            middle = np.array(image.shape[1::-1]) / 2
            face = min(faces, key=lambda f: float(np.linalg.norm(f.center_xy - middle)))
        else:
            face = max(faces, key=lambda f: float(np.prod(f.size_wh)))
        center, half = np.array(face.center_xy), np.array(face.size_wh) * CROP_SHARE / 2
        box = np.concatenate([center - half, center + half])[None].astype(np.float32)
        points, _, certainty = onet_landmarks(self.onet, image, box)
        return Shown(path, person, face, points[0].astype(np.float64), float(certainty[0]))


def profiles_of(folder: Path, reader: Reader, kind: str = "profile") -> list[Shown]:
    """The photos of the sample of CFP."""
    shown = []
    people = sorted((folder / "Images").iterdir())
    for number, person in enumerate(track(people, kind)):
        for path in sorted((person / kind).glob("*.jpg")):
            one = reader.show(path, number, central=False)
            file = folder / "Fiducials" / person.name / kind / f"{path.stem}.txt"
            if one is not None:
                one.fiducials_xy = np.loadtxt(file, delimiter=",")
                shown.append(one)
    return shown


def halves_of(folder: Path, reader: Reader) -> list[Shown]:
    """Faces of LFW View 1's training pairs that are turned half to a side."""
    lfw = read_lfw(folder)
    rows = np.unique(lfw.view1_train.indices)
    shown = []
    for row in track(rows.tolist(), "LFW"):
        one = reader.show(lfw.path(row), int(lfw.person[row]), central=True)
        if one is not None and HALF_FROM < abs(asymmetry(one.onet_xy)) < HALF_TO:
            one.goal_xy = one.onet_xy
            shown.append(one)
    return shown


def similarity(source: Array, target: Array) -> tuple[complex, complex]:
    """The complex numbers (a, b) with a z + b nearest to the target; both (P, 2)."""
    z, w = source @ [1, 1j], target @ [1, 1j]
    centered = z - z.mean()
    a = np.vdot(centered, w - w.mean()) / np.vdot(centered, centered)
    return a, w.mean() - a * z.mean()


def moved(points: Array, a: complex, b: complex) -> Array:
    z = a * (points @ [1, 1j]) + b
    return np.stack([z.real, z.imag], axis=-1)


def set_goals(shown: list[Shown], chosen: Array) -> None:
    """Where each profile's landmarks shall be, by a map fitted to the chosen ones, (N,) bool."""
    flips = [np.array([1.0 if one.left else -1.0, 1.0]) for one in shown]
    fiducials = [one.fiducials_xy * flip for one, flip in zip(shown, flips, strict=True)]
    mean = fiducials[0]
    for _ in range(6):
        mean = mean - mean[INNER].mean(axis=0)
        mean = mean / np.linalg.norm(mean[INNER])
        mean = np.mean([moved(p, *similarity(p[INNER], mean[INNER])) for p in fiducials], axis=0)
    frames = [similarity(p[INNER], mean[INNER]) for p in fiducials]
    x = np.stack([moved(p, *f).ravel() for p, f in zip(fiducials, frames, strict=True)])
    y = []
    for one, flip, frame in zip(shown, flips, frames, strict=True):
        points = one.onet_xy if one.left else one.onet_xy[SWAPPED]
        y.append(moved(points * flip, *frame).ravel())
    fitted = ridge(x[chosen], np.array(y)[chosen], FIDUCIAL_RIDGE, squared=True)
    for one, flip, (a, b), row in zip(shown, flips, frames, x, strict=True):
        points = moved(fitted(row).reshape(5, 2), 1 / a, -b / a) * flip
        one.goal_xy = points if one.left else points[SWAPPED]


def ridge(
    x: Array, y: Array, strength: float, *, components: int | None = None, squared: bool = False
) -> Callable[[Array], Array]:
    """Ridge regression, reweighted so that rows far off have little weight; ``.weight, .bias``."""
    center = x.mean(axis=0)
    basis = np.eye(x.shape[1])
    if components is not None and components < x.shape[1]:
        basis = np.linalg.svd(x - center, full_matrices=False)[2][:components].T
    inner = (x - center) @ basis
    weights = np.ones(len(x))
    for _ in range(20):
        x_mean, y_mean = (np.average(v, axis=0, weights=weights) for v in (inner, y))
        root = np.sqrt(weights)[:, None]
        left, right = (inner - x_mean) * root, (y - y_mean) * root
        gram = left.T @ left + strength * np.eye(left.shape[1])
        slope = np.linalg.solve(gram, left.T @ right)
        off = np.linalg.norm((inner - x_mean) @ slope + y_mean - y, axis=1)
        scale = 1.5 * 1.4826 * np.median(off)
        weights = np.minimum(1.0, scale / np.maximum(off, 1e-9)) ** (2 if squared else 1)

    def predict(rows: Array) -> Array:
        return np.asarray(rows @ predict.weight + predict.bias)

    predict.weight = basis @ slope
    predict.bias = y_mean - x_mean @ slope - center @ predict.weight
    return predict


def looks_at(
    shown: list[Shown], reader: Reader, frames: int, rng: np.random.Generator
) -> tuple[list[Look], Array]:
    """Looks at frames of each face, and its goal in these: (N, F, 5, 2)."""
    looks, goals = [], []
    for one in track(shown, "looks"):
        center = frames_of(one.goal_xy[None], np.array([one.left]))[0]
        many = np.stack([shaken(center, rng, k) for k in range(frames)])
        looks.append(reader.landmarks.look(load_image(one.path), many))
        goal = one.goal_xy if one.left else one.goal_xy[SWAPPED]
        goals.append(to_crop_xy(np.repeat(goal[None], frames, axis=0), many))
    return looks, np.array(goals)


def shaken(frame: Array, rng: np.random.Generator, number: int) -> Array:
    """A frame moved, turned and scaled at random; number 0 is left as it is."""
    if number == 0:
        return frame
    amount = 2.0 if number % 2 else 1.0
    shift = rng.normal(0, 5 * amount, 2)
    factor = np.exp(rng.normal(0, 0.07 * amount) + 1j * np.radians(rng.normal(0, 6 * amount)))
    turn = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    about = np.array([62.0, 72.0])
    result = turn @ frame
    result[:, 2] += about + shift - turn @ about
    return result


def fit(looks: list[Look], goals: Array) -> Maps:
    """The maps from looks to goals (N, F, 5, 2)."""
    y = goals.reshape(-1, 10)
    fitted = []
    for k in range(6):
        x = np.concatenate([look.points[k].reshape(len(look.points[k]), -1) for look in looks])
        fitted.append(ridge(x, y, LOOK_RIDGE, components=COMPONENTS))
    return Maps(tuple(f.weight for f in fitted), np.stack([f.bias for f in fitted]))


def main() -> None:
    """Fit to all profiles, and write the file."""
    reader = Reader()
    rng = np.random.default_rng(14)
    profiles = profiles_of(Path(sys.argv[1]), reader)
    set_goals(profiles, np.ones(len(profiles), bool))
    looks, goals = looks_at(profiles, reader, FRAMES, rng)
    halves = halves_of(Path(sys.argv[2]), reader)
    more, more_goals = looks_at(halves, reader, HALF_FRAMES, rng)
    both = np.concatenate([goals.reshape(-1, 1, 5, 2), more_goals.reshape(-1, 1, 5, 2)])
    maps = fit([*looks, *more], both)
    arrays = {f"weight{k}": weight.astype(np.float32) for k, weight in enumerate(maps.weights)}
    np.savez_compressed(FILE, biases=maps.biases.astype(np.float32), **arrays)
    print(f"{len(profiles)} profiles, {len(halves)} faces of LFW: {FILE}")


if __name__ == "__main__":
    main()
