"""The aligned faces that pairs are made of: LFW's View 1, a sample of CFP, the AT&T faces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from posing.fiducials import read_sample

from _harness import track
from hard_pairs.spoiling import PX
from lineament import FaceFinder
from lineament.datasets.lfw import read_lfw
from lineament.datasets.people_folder import read_people
from lineament.evaluate.protocols.lfw import images_of
from lineament.finder import Choose
from lineament.types import Photo

# LFW's list of people has two spellings of some. They are joined, so that their photos do not
# count as false matches.
ALIASES = {
    "Sepp_Blatter": "Joseph_Blatter",
    "Sung_Hong_Choi": "Choi_Sung-hong",
    "Hassan_Wirajuda": "Hasan_Wirayuda",
    "Wang_Nan": "Nan_Wang",
}
# These photos show somebody else than their name says.
MISLABELLED = (
    "Recep_Tayyip_Erdogan_0004",
    "Andrew_Caldecott_0001",
    "Jason_Kapono_0001",
    "Ray_Young_0001",
    "Jose_Maria_Aznar_0014",
)


@dataclass(frozen=True, eq=False)
class Listed:
    """N photos of a set.

    Attributes:
        set_name: "lfw", "cfp" or "att".
        names: unique in the set, the same on every machine: what random numbers depend on.
        people: whom they show.
        groups: what else tells them apart: "frontal" or "profile" in CFP.
        paths: where they lie.
    """

    set_name: str
    names: tuple[str, ...]
    people: tuple[str, ...]
    groups: tuple[str, ...]
    paths: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class Faces:
    """The photos' faces.

    Attributes:
        listed: the N photos.
        crops: (N, 112, 112, 3) uint8, RGB.
        landmarks_xy: (N, 5, 2) float32, in pixels of the photos.
        found: (N,) whether there is a face; zeros stand where there is none.
    """

    listed: Listed
    crops: npt.NDArray[np.uint8]
    landmarks_xy: npt.NDArray[np.float32]
    found: npt.NDArray[np.bool_]


def list_lfw(folder: Path) -> Listed:
    """View 1's photos, but for those that show somebody else."""
    lfw = read_lfw(folder)
    rows = [i for i in images_of(lfw, ("1",)).tolist() if lfw.path(i).stem not in MISLABELLED]
    people = (lfw.people[lfw.person[i]] for i in rows)
    return Listed(
        "lfw",
        tuple(lfw.path(i).stem for i in rows),
        tuple(ALIASES.get(name, name) for name in people),
        ("",) * len(rows),
        tuple(lfw.path(i) for i in rows),
    )


def list_cfp(folder: Path) -> Listed:
    """The sample's frontal photos and profiles."""
    photos = sorted(read_sample(folder), key=lambda photo: photo.path.as_posix())
    return Listed(
        "cfp",
        tuple("/".join(photo.path.with_suffix("").parts[-3:]) for photo in photos),
        tuple(photo.path.parts[-3] for photo in photos),
        tuple(photo.path.parts[-2] for photo in photos),
        tuple(photo.path for photo in photos),
    )


def list_att(folder: Path) -> Listed:
    """All 400 photos of 40 people."""
    people = read_people(folder)
    names = [people.names[i] for i in people.person]
    rows = sorted(range(len(names)), key=lambda i: (names[i], people.paths[i].name))
    paths = tuple(people.paths[i] for i in rows)
    return Listed(
        "att",
        tuple(f"{path.parent.name}/{path.stem}" for path in paths),
        tuple(names[i] for i in rows),
        ("",) * len(rows),
        paths,
    )


def find(listed: Listed, choose: Choose) -> Faces:
    """Detect and align the one face that each photo is of.

    Raises:
        ImageError: a photo cannot be read.
    """
    n = len(listed.paths)
    crops = np.zeros((n, PX, PX, 3), np.uint8)
    landmarks, found = np.zeros((n, 5, 2), np.float32), np.zeros(n, bool)
    finder = FaceFinder(choose=choose)

    def align(photo: Photo) -> Photo:
        if photo.index is None:
            return photo
        return replace(photo, selected=(photo.index,), crops=finder.crops(photo, [photo.index]))

    stream = finder.stream(list(listed.paths), then=align)
    for i, photo in enumerate(track(stream, f"faces of {listed.set_name}", n)):
        if photo.error is not None:
            raise photo.error
        if photo.index is None or photo.crops is None:
            continue
        landmarks_xy = photo.faces[photo.index].landmarks_xy
        assert landmarks_xy is not None  # the default detector finds them
        crops[i], landmarks[i], found[i] = photo.crops[0], landmarks_xy, True
    return Faces(listed, crops, landmarks, found)
