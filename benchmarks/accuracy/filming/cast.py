"""Whose photographs films are made of: faces cut out, with the box that a detector gives them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lineament import FaceFinder, LineamentError
from lineament.datasets.lfw import LFW
from lineament.evaluate.protocols.lfw import images_of
from lineament.types import FloatArray, Image

SEED = 16
AROUND = 0.55
"""What is kept around a face, in sides of its box."""


@dataclass(frozen=True, eq=False)
class Cutout:
    """A head.

    Attributes:
        pixels: (H, W, 3) uint8, RGB.
        alpha: (H, W) float32, 0 to 1: what of it is head.
        box_xyxy: (4,) of the face.
    """

    pixels: Image
    alpha: FloatArray
    box_xyxy: FloatArray


@dataclass(frozen=True, eq=False)
class Actor:
    """Somebody of whom there are photographs.

    Attributes:
        name: from the data set.
        enrolled: the photo that a gallery gets; no film shows it.
        looks: for each visit its photos: one after the other where there are several.
    """

    name: str
    enrolled: Path
    looks: tuple[tuple[Path, ...], ...]


def of_lfw(lfw: LFW, *, inside_view_1: bool, visits: int) -> list[Actor]:
    """People of whom View 1 has photos, or none; each visit is another photo."""
    fitted = set(lfw.person[images_of(lfw, ("1",))].tolist())
    photos: dict[int, list[int]] = defaultdict(list)
    for image, person in enumerate(lfw.person.tolist()):
        if (person in fitted) == inside_view_1:
            photos[person].append(image)
    return [
        Actor(
            lfw.people[person],
            lfw.path(images[0]),
            tuple((lfw.path(image),) for image in images[1 : visits + 1]),
        )
        for person, images in sorted(photos.items())
        if len(images) > visits
    ]


def of_att(folder: Path, *, first_half: bool, visits: int) -> list[Actor]:
    """The 40 people of AT&T's faces, by halves: a visit turns from photo to photo."""
    people = range(1, 21) if first_half else range(21, 41)
    actors = []
    for number in people:
        files = [folder / f"s{number}" / f"{photo}.pgm" for photo in range(1, 11)]
        missing = [file for file in files if not file.is_file()]
        if missing:
            raise LineamentError(f"{missing[0]}: expected AT&T's faces as s1/1.pgm, found none")
        each = 9 // visits
        looks = tuple(tuple(files[1 + each * i : 1 + each * (i + 1)]) for i in range(visits))
        actors.append(Actor(f"att {number}", files[0], looks))
    return actors


def mixed(parts: Sequence[Sequence[Actor]]) -> list[Actor]:
    """All people of several sets, drawn in turns."""
    rng = np.random.default_rng(SEED)
    orders = [rng.permutation(len(part)).tolist() for part in parts]
    drawn: list[Actor] = []
    for at in range(max(map(len, orders), default=0)):
        drawn += [
            part[order[at]] for part, order in zip(parts, orders, strict=True) if at < len(order)
        ]
    return drawn


def cut_out(path: Path, finder: FaceFinder) -> Cutout | None:
    """The head of a photo; None: no face was found, or another one is in the cut, too."""
    photo = finder.find(path)
    if photo.face is None:
        return None
    pixels, box = photo.needed_pixels(), photo.face.box_xyxy.astype(np.float64)
    side = float((box[2:] - box[:2]).max())
    low = np.maximum(np.floor(box[:2] - AROUND * side), 0).astype(int)
    high = np.ceil(box[2:] + AROUND * side).astype(int)
    others = np.array([face.center_xy for face in photo.faces if face is not photo.face])
    if len(others) and ((others > low) & (others < high)).all(axis=1).any():
        return None
    cut = pixels[low[1] : high[1], low[0] : high[0]].copy()
    inside = (box - np.tile(low, 2)).astype(np.float32)
    return Cutout(cut, _head(cut.shape[:2], inside), inside)


def _head(shape: tuple[int, int], box: FloatArray) -> FloatArray:
    """An ellipse about a face, hair and ears in it, with a soft edge; none at the picture's own."""
    side = float((box[2:] - box[:2]).max())
    center = (box[:2] + box[2:]) / 2 - [0, 0.1 * side]
    rows, columns = np.indices(shape, np.float32)
    away = ((columns - center[0]) / (0.78 * side)) ** 2 + ((rows - center[1]) / (0.92 * side)) ** 2
    alpha = np.clip((1.0 - away) / 0.12, 0, 1).astype(np.float32)
    for edge in (alpha[:2], alpha[-2:], alpha[:, :2], alpha[:, -2:]):
        edge[:] = 0
    return np.asarray(cv2.GaussianBlur(alpha, (0, 0), 1.2), np.float32)
