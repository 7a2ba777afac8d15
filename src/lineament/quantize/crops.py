"""A folder of photos -> aligned crops, to calibrate an int8 recognizer on and to judge it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lineament.datasets.people_folder import read_people
from lineament.errors import DataError, ImageError, LineamentError, OptionError
from lineament.images import describe_source, find_images, load_image
from lineament.models import Card, LicensePolicy
from lineament.models.runtime import Runtime
from lineament.pipeline import Recognizer
from lineament.suggest import did_you_mean, similar_path
from lineament.types import Image, StageProgress

LEAST_CROPS = 10
"""Fewer are refused. A few hundred, of many people, are what one should have."""

MOST_PHOTOGRAPHS = 2000
"""So many photos of a folder are read: enough to calibrate on and to check with."""


@dataclass(frozen=True, eq=False, slots=True)
class FaceCrops:
    """Aligned faces.

    Attributes:
        images: (N, S, S, 3) uint8, RGB.
        people: N names; None where nobody said who is who.
        photos: how many were read.
        skipped: how many of them cannot be read, or show no face.
    """

    images: Image
    people: tuple[str, ...] | None
    photos: int
    skipped: int


def crops_of(
    folder: str | os.PathLike[str],
    weights: Card,
    *,
    aligned: bool = False,
    most: int = MOST_PHOTOGRAPHS,
    seed: int = 0,
    runtime: Runtime | None = None,
    policy: LicensePolicy | None = None,
    progress: StageProgress | None = None,
) -> FaceCrops:
    """Cut the faces out of a folder's photos, as the recognizer wants them.

    One folder per person says who is who; any other folder of photos will do too.
    Of a photo with several faces the largest is taken. What cannot be read, or shows no face,
    is passed over and counted.

    Args:
        folder: of photos, folders within folders included.
        weights: the recognizer: its entry has the size and the alignment.
        aligned: the photos are crops already, of the size that the recognizer takes.
        most: of more photos so many are drawn, all those of a person together.
        seed: of that draw.
        runtime: engine, device and threads of the detector.
        policy: which licenses may be used.
        progress: called after each photo.

    Raises:
        OptionError: ``most`` is too small, or the entry is no recognizer of one network.
        DataError: no such folder, no photos, no faces, or crops of another size.
    """
    check_weights(weights)
    if most < LEAST_CROPS:
        raise OptionError(f"expected at least {LEAST_CROPS} photos, got {most}", option="most")
    paths, people = _photos(Path(folder), most, seed)
    images: list[Image] = []
    kept: list[str] = []
    photos = (
        _aligned(paths, weights) if aligned else _detected(paths, weights, runtime, policy)
    )  # one item, or None, for each path
    for done, crop in enumerate(photos, 1):
        if crop is not None:
            images.append(crop)
            kept.append("" if people is None else people[done - 1])
        if progress is not None:
            progress("finding faces", done, len(paths))
    if not images:
        raise DataError(
            f"{describe_source(Path(folder))}: expected photos of faces, found no face in "
            f"{len(paths):,} photos"
        )
    return FaceCrops(
        np.stack(images),
        None if people is None else tuple(kept),
        photos=len(paths),
        skipped=len(paths) - len(images),
    )


def _photos(folder: Path, most: int, seed: int) -> tuple[list[Path], list[str] | None]:
    """At most so many paths, and whom each shows, if there is one folder per person."""
    if not folder.is_dir():
        what = "a file" if folder.exists() else "nothing"
        raise DataError(
            f"{describe_source(folder)}: expected a folder of photos, found {what} of that name"
            f"{did_you_mean(similar_path(folder, folders=True))}"
        )
    people: list[str] | None = None
    try:
        found = read_people(folder)
        paths = list(found.paths)
        people = [found.name(i) for i in range(len(paths))]
    except DataError:  # not one folder per person: any photos will do
        try:
            paths = find_images([folder])
        except ImageError as error:
            raise DataError(str(error)) from error
    if len(paths) <= most:
        return paths, people
    random = np.random.default_rng(seed)
    if people is None:
        drawn = random.choice(len(paths), most, replace=False)
    else:
        _, person = np.unique(people, return_inverse=True)
        rank = random.permutation(int(person.max()) + 1)[person]
        drawn = np.argsort(rank, kind="stable")[:most]
    chosen = sorted(int(i) for i in drawn)
    return [paths[i] for i in chosen], None if people is None else [people[i] for i in chosen]


def _aligned(paths: Sequence[Path], weights: Card) -> Iterator[Image | None]:
    side = side_px(weights)
    for path in paths:
        try:
            image = load_image(path)
        except LineamentError:
            yield None
            continue
        if image.shape != (side, side, 3):
            raise DataError(
                f"{describe_source(path)}: expected a crop of {side}x{side} pixels, got "
                f"{image.shape[1]}x{image.shape[0]}: leave the faces to the detector"
            )
        yield image


def _detected(
    paths: Sequence[Path],
    weights: Card,
    runtime: Runtime | None,
    policy: LicensePolicy | None,
) -> Iterator[Image | None]:
    recognizer = Recognizer(weights, flip=False, runtime=runtime, policy=policy)
    for photo in recognizer.stream(iter(paths), faces="chosen", embed=False, keep_crops=True):
        yield photo.crop


def side_px(weights: Card) -> int:
    """Side of the crops that a recognizer takes."""
    return 112 if weights.input.size_wh is None else weights.input.size_wh[0]


def check_weights(weights: Card) -> None:
    """Raise OptionError unless it is a recognizer of one network."""
    if weights.task != "embedder":
        raise OptionError(f"{weights.name}: expected a recognizer, got a {weights.task} network")
    if weights.members:
        names = " and ".join(member.name for member in weights.members)
        raise OptionError(
            f"{weights.name}: expected a recognizer of one network, got one that joins {names}: "
            "quantize one of those"
        )
