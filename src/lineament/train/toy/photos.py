"""A set of photos -> aligned crops of the people with the most of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lineament.errors import DataError
from lineament.train.data import FaceSet
from lineament.types import Image, StageProgress

if TYPE_CHECKING:
    from lineament.pipeline import Recognizer


LEAST_PHOTOS = 4
NATIVE_PX = 112


def crops_of(
    faces: FaceSet,
    people: int,
    photos_each: int,
    size_px: int,
    seed: int,
    recognizer: Recognizer | None,
    progress: StageProgress | None,
) -> tuple[tuple[str, ...], npt.NDArray[np.int64], Image, tuple[str, ...]]:
    """Names, (N,) labels and (N, S, S, 3) crops of the people with the most photos; notes.

    Raises:
        DataError: too few people with enough photos, or one cannot be read.
    """
    from lineament.train.data.augment import resized

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
    aligned = _aligned(faces, chosen, recognizer, progress)
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
    recognizer: Recognizer | None,
    progress: StageProgress | None,
) -> list[Image | None]:
    """Crops of 112 by 112 pixels; None where no face was found."""
    crops: list[Image | None] = []
    searched: list[int] = []
    for done, index in enumerate(chosen):
        image = faces.read(index)
        crops.append(image)
        if image.shape[:2] != (NATIVE_PX, NATIVE_PX):
            searched.append(done)
            crops[-1] = None
        if progress is not None:
            progress("reading photos", done + 1, len(chosen))
    if not searched:
        return crops
    if recognizer is None:
        from lineament.pipeline import Recognizer

        recognizer = Recognizer(choose="central")
    images = (faces.read(chosen[place]) for place in searched)
    found = recognizer.stream(images, embed=False, keep_crops=True, color_order="rgb")
    for done, (place, analysis) in enumerate(zip(searched, found, strict=True)):
        if analysis.error is not None:
            raise DataError(f"{faces.name(chosen[place])}: {analysis.error}") from analysis.error
        crops[place] = analysis.crop
        if progress is not None:
            progress("aligning faces", done + 1, len(searched))
    return crops
