"""CFP's people, their photos and 30 hand-made points; and five landmarks computed from the points.

A sample of CFP is a folder with ``Images/PERSON/KIND/NAME.jpg`` and
``Fiducials/PERSON/KIND/NAME.txt``, KIND being "frontal" or "profile". The points lie on the side
of the face that is seen in profile, in frontal photos on one half of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lineament import LineamentError
from lineament.errors import DataError

Points = npt.NDArray[np.float64]

EYE = slice(12, 18)
NOSE_TIP = 21
MOUTH_CORNER = 25
"""Places among the 30 points (rows, from 0): around the eye, the nose's tip, the mouth's corner."""

VISIBLE = ("eye", "nose tip", "mouth corner")

RIDGE = 1e-3
HUBER = 0.05
ROUNDS = 20
"""Of the robust linear map, in distances from eye to mouth: beyond an error of ``HUBER`` a photo
counts less. Errors of the O-Net are 0.05 in the median."""


@dataclass(frozen=True, eq=False)
class Photo:
    """One photo of CFP.

    Attributes:
        person: name of the folder.
        path: of the picture.
        profile: whether it is one.
        points: (30, 2) pixels.
    """

    person: str
    path: Path
    profile: bool
    points: Points

    @property
    def visible(self) -> Points:
        """(3, 2) pixels: the eye's middle, the nose's tip and the mouth's corner that are seen."""
        return np.stack([self.points[EYE].mean(axis=0), *self.points[[NOSE_TIP, MOUTH_CORNER]]])

    @property
    def unit_px(self) -> float:
        """Distance from that eye to that corner of the mouth."""
        return float(np.linalg.norm(self.visible[0] - self.visible[2]))

    @property
    def faces_right(self) -> bool:
        """Whether the nose points to the viewer's right; in profile."""
        return bool(self.visible[1, 0] > self.visible[0, 0])

    @property
    def seen(self) -> list[int]:
        """Places of the visible points in ``LANDMARK_NAMES``: of the far half in profile."""
        return [0, 2, 3] if self.faces_right else [1, 2, 4]

    def errors(self, landmarks_xy: npt.ArrayLike) -> Points:
        """How far five landmarks are from the visible points: (3,), in ``unit_px``."""
        found = np.asarray(landmarks_xy, np.float64)[self.seen]
        return np.asarray(np.linalg.norm(found - self.visible, axis=1)) / self.unit_px


def read_sample(folder: Path) -> list[Photo]:
    """Read a sample's photos, sorted by person, kind and name; no picture is opened.

    Raises:
        DataError: a folder or the points of a photo are missing, or are not 30 points.
    """
    pictures = sorted(folder.glob("Images/*/*/*.jpg"))
    if not pictures:
        raise DataError(f"{folder}: expected Images/PERSON/profile/NAME.jpg, found none")
    photos = []
    for path in pictures:
        person, kind = path.parts[-3:-1]
        listed = folder / "Fiducials" / person / kind / f"{path.stem}.txt"
        try:
            points = np.loadtxt(listed, delimiter=",")
        except (OSError, ValueError) as error:
            raise DataError(f"{listed}: expected 30 points, one a line ({error})") from error
        if points.shape != (30, 2) or not np.isfinite(points).all():
            raise DataError(f"{listed}: expected 30 points, got {points.shape}")
        photos.append(Photo(person, path, kind == "profile", points))
    return photos


# ---- five landmarks from thirty points -----------------------------------------------------------


def from_fiducials(
    photos: list[Photo], landmarks: list[Points | None], right: list[bool]
) -> list[Points]:
    """Compute five landmarks of profiles from their 30 points, as a detector would set them.

    A linear map from the points to what the detector says (Huber's loss, by iteratively reweighted
    least squares), fitted on the photos on which it is right. People are split in halves, and each
    half is given the other's map, so that no photo has a part in its own landmarks.

    Args:
        photos: N profiles, sorted by person.
        landmarks: for each the detector's (5, 2) pixels; None where it found nothing.
        right: for each whether they may be learned from.

    Returns:
        N times (5, 2) pixels.

    Raises:
        LineamentError: fewer than 30 photos of a half are right.
    """
    people = sorted({photo.person for photo in photos})
    half = np.array([people.index(photo.person) % 2 for photo in photos])
    inputs = np.stack([_row(photo) for photo in photos])  # (N, 61)
    maps = []
    for part in (0, 1):
        rows = [i for i in np.flatnonzero(half == part) if right[i] and landmarks[i] is not None]
        if len(rows) < 30:
            raise LineamentError(f"expected 30 profiles with good landmarks, got {len(rows)}")
        wanted = np.stack(
            [_normalized(photos[i], np.asarray(landmarks[i]), five=True).ravel() for i in rows]
        )
        maps.append(_huber(inputs[rows], wanted))
    found = []
    for photo, row, part in zip(photos, inputs, half, strict=True):
        five = (row @ maps[1 - part]).reshape(5, 2)  # (61,) @ (61, 10) -> (10,)
        found.append(_given_back(photo, five))
    return found


def _frame(photo: Photo) -> tuple[Points, float, float]:
    """Origin, unit in pixels and direction (1: nose to the right, -1: to the left)."""
    return photo.visible.mean(axis=0), photo.unit_px, 1.0 if photo.faces_right else -1.0


def _swap(five: Points, direction: float) -> Points:
    """Five landmarks of a mirrored face: left and right change places."""
    return five if direction > 0 else five[[1, 0, 2, 4, 3]]


def _normalized(photo: Photo, points: Points, *, five: bool = False) -> Points:
    origin, unit, direction = _frame(photo)
    moved = (points - origin) / unit * (direction, 1.0)
    return _swap(moved, direction) if five else moved


def _given_back(photo: Photo, five: Points) -> Points:
    origin, unit, direction = _frame(photo)
    return np.asarray(_swap(five, direction) * (direction, 1.0) * unit + origin)


def _row(photo: Photo) -> Points:
    return np.append(_normalized(photo, photo.points).ravel(), 1.0)


def _huber(inputs: Points, wanted: Points) -> Points:
    """Fit wanted = inputs @ map; (N, 61) and (N, 10) -> (61, 10)."""
    weights = np.ones(len(inputs))
    penalty = RIDGE * len(inputs) * np.eye(inputs.shape[1])
    penalty[-1, -1] = 0
    for _ in range(ROUNDS):
        weighted = inputs * weights[:, None]
        made = np.linalg.solve(weighted.T @ inputs + penalty, weighted.T @ wanted)
        apart = np.linalg.norm((wanted - inputs @ made).reshape(-1, 5, 2), axis=2).mean(axis=1)
        weights = HUBER / np.maximum(apart, HUBER)
    return np.asarray(made)
