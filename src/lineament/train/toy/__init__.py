"""What margins do, in two dimensions: a few people on the circle, one panel a loss.

J. Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019,
figure 3, trains eight people into two dimensions, with softmax and with ArcFace: softmax leaves
their sectors side by side, the margin draws each together. This does the same, on your photos,
with more losses, in minutes on a CPU:

    result = toy("lfw/images")
    result.save("toy.png")

All losses start from the same weights, see the same photos in the same order with the same
changes, and train for as many steps. What is shown are the photos that were trained on, as in
the paper: the picture tells how a loss arranges what it knows, not how it does on strangers.

    training     one loss, one small network -> two-dimensional embeddings
    result       the angles within people and between them, and their picture
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lineament.errors import DataError, MissingExtraError, OptionError
from lineament.train.data import FaceSet, open_faces
from lineament.train.data.augment import resized
from lineament.train.toy._result import ToyResult
from lineament.train.toy._training import made_loss, trained
from lineament.types import Image, IntArray, Photo, StageProgress

if TYPE_CHECKING:
    from lineament.finder import FaceFinder

LEAST_PEOPLE, MOST_PEOPLE = 2, 20
LEAST_PHOTOS = 4
NATIVE_PX = 112
MOST_PHOTOS = 60
SIZE_PX = 32
EPOCHS = 100
LOSSES = ("softmax", "a-softmax", "cosface", "arcface", "triplet")


def toy(
    photos: str | os.PathLike[str] | FaceSet,
    *,
    people: int = 8,
    photos_each: int = MOST_PHOTOS,
    losses: Sequence[str] = LOSSES,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    epochs: int = EPOCHS,
    size_px: int = SIZE_PX,
    seed: int = 0,
    finder: FaceFinder | None = None,
    progress: StageProgress | None = None,
) -> ToyResult:
    """Train a few people into two dimensions, once with each loss.

    The network is the "tiny" one of ``lineament.train.backbones``. Photos are mirrored,
    turned, moved, scaled and made lighter or darker at random while training; embeddings are of
    the photos as they are.

    A classifier's weights start evenly around the circle, in the order of the people, and learn ten
    times slower than the network; the margins of ArcFace and CosFace grow over the first half. In
    two dimensions nobody can pass anybody by: from random places some people stay wedged in between
    others, or end on one spot with them, and the picture would be one of luck. So the angles
    between people tell little about a loss here; those within a person do.

    Args:
        photos: one folder per person (or whatever ``open_faces`` takes), or an open set. Crops of
            112x112 pixels are taken as they are; in other photos the face nearest to the
            middle is looked for and aligned.
        people: C, those with the most photos, 2 to 20.
        photos_each: of each person at most so many, and no more than the last of them has; drawn at
            random; 4 or more.
        losses: names, in the order of the panels.
        options: loss -> its options; over those in ``OPTIONS``.
        epochs: how often each photo is seen.
        size_px: side of the crops in training, a multiple of 16.
        seed: of the weights, the order and the changes.
        finder: finds and aligns the faces; None: the default detector, the face in the middle.
        progress: called with what is being done, how many are done, of how many.

    Raises:
        DataError: too few people with enough photos, or one cannot be read.
        OptionError: values outside these, or a loss that does not exist.
        DivergedError: a loss is not a number any more.
        MissingExtraError: PyTorch is missing.
    """
    _check_options(people, photos_each, losses, epochs)
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("training", "train") from error
    faces = open_faces(photos) if isinstance(photos, (str, os.PathLike)) else photos
    names, labels, crops, notes = _crops_of(
        faces, people, photos_each, size_px, seed, finder, progress
    )
    # (N, S, S, 3) -> (N, 3, S, S)
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous().float()
    results = []
    # Asked for first: a misspelt name or option must not wait until the others are trained.
    made = {name: made_loss(name, len(names), options, seed) for name in losses}
    for name, (loss, given) in made.items():
        results.append(
            trained(name, loss, given, pixels, labels, epochs=epochs, seed=seed, progress=progress)
        )
    return ToyResult(names, labels, tuple(results), epochs, seed, notes)


def _check_options(people: int, photos_each: int, losses: Sequence[str], epochs: int) -> None:
    if not LEAST_PEOPLE <= people <= MOST_PEOPLE:
        raise OptionError(
            f"expected {LEAST_PEOPLE} to {MOST_PEOPLE}, as many as can be told apart in "
            f"the picture, got {people}",
            option="people",
        )
    if photos_each < LEAST_PHOTOS:
        raise OptionError(
            f"expected {LEAST_PHOTOS} or more, got {photos_each}", option="photos_each"
        )
    if epochs < 1:
        raise OptionError(f"expected 1 or more, got {epochs}", option="epochs")
    if isinstance(losses, str) or not losses or len(set(losses)) < len(losses):
        raise OptionError(f"expected one name or more, each once, got {losses!r}", option="losses")


def _crops_of(
    faces: FaceSet,
    people: int,
    photos_each: int,
    size_px: int,
    seed: int,
    finder: FaceFinder | None,
    progress: StageProgress | None,
) -> tuple[tuple[str, ...], IntArray, Image, tuple[str, ...]]:
    """Names, (N,) labels and (N, S, S, 3) crops of the people with the most photos; notes.

    Raises:
        DataError: too few people with enough photos, or one cannot be read.
    """
    counts = np.bincount(faces.labels, minlength=len(faces.people))
    top = np.argsort(-counts, kind="stable")[:people]
    if len(top) < people or counts[top[-1]] < LEAST_PHOTOS:
        enough = int((counts >= LEAST_PHOTOS).sum())
        raise DataError(
            f"expected {people} people with at least {LEAST_PHOTOS} photos each, found "
            f"{enough}; add photos or ask for fewer people"
        )
    each = min(photos_each, int(counts[top[-1]]))
    draw = np.random.default_rng(seed)
    chosen = [
        int(i)
        for person in top
        for i in np.sort(draw.choice(np.flatnonzero(faces.labels == person), each, replace=False))
    ]
    aligned = _aligned(faces, chosen, finder, progress)
    kept = [k for k, crop in enumerate(aligned) if crop is not None]
    labels = np.repeat(np.arange(people), each)[kept]
    left = np.bincount(labels, minlength=people)
    if left.min() < LEAST_PHOTOS:
        name = faces.people[top[int(left.argmin())]]
        raise DataError(
            f"{name}: expected a face in at least {LEAST_PHOTOS} of {each} photos, found one "
            f"in {left.min()}; take other photos, or crops that are aligned already"
        )
    notes = []
    if len(kept) < len(chosen):
        notes.append(f"no face was found in {len(chosen) - len(kept)} of {len(chosen)} photos")
    crops = np.stack([resized(crop, size_px) for crop in aligned if crop is not None])
    return tuple(faces.people[i] for i in top), labels, crops, tuple(notes)


def _aligned(
    faces: FaceSet,
    chosen: Sequence[int],
    finder: FaceFinder | None,
    progress: StageProgress | None,
) -> list[Image | None]:
    """Crops of 112 by 112 pixels; None where no face was found."""
    crops: list[Image | None] = []
    for index in chosen:
        image: Image | None = faces.read(index)
        if image is not None and image.shape[:2] != (NATIVE_PX, NATIVE_PX):
            if finder is None:
                from lineament.finder import FaceFinder

                finder = FaceFinder(choose="central")
            photo = finder.find(Photo.from_pixels(image, faces.name(index)))
            image = finder.crops(photo, photo.chosen)[0] if photo.chosen else None
        crops.append(image)
        if progress is not None:
            progress("aligning faces", len(crops), len(chosen))
    return crops
