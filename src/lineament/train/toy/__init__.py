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

    photos  a set of photos -> crops of the people with the most
    training     one loss, one small network -> two-dimensional embeddings
    measures     embeddings -> the angles within people and between them
    result       the numbers of all losses, and their picture
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lineament.errors import MissingExtraError, OptionError
from lineament.train.data import FaceSet, open_faces
from lineament.train.toy.photos import LEAST_PHOTOS, crops_of
from lineament.train.toy.result import ToyResult
from lineament.train.toy.training import made_loss, trained
from lineament.types import StageProgress

if TYPE_CHECKING:
    from lineament.pipeline import Recognizer

LEAST_PEOPLE, MOST_PEOPLE = 2, 20
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
    recognizer: Recognizer | None = None,
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
        photos: folder a person (or whatever ``open_faces`` takes), or a set that is open. Crops of
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
        recognizer: finds and aligns the faces; None is the default one, face in the middle.
        progress: told what is being done, how many are done, of how many.

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
    names, labels, crops, notes = crops_of(
        faces, people, photos_each, size_px, seed, recognizer, progress
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
