"""Photos of people whom nothing was fitted on, and the faces that are found in them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament import LineamentError, Recognizer
from lineament.datasets.lfw import LFW
from lineament.evaluate.protocols.lfw import images_of
from lineament.quality import quality_of
from lineament.types import Embedding, Face, Image, Photo, Quality

SEED = 15

Spoiler = Callable[[Image, npt.NDArray[np.float32]], Image]


@dataclass(frozen=True, eq=False)
class People:
    """Photos by person.

    Attributes:
        paths: V files: the first photo of everybody, then the second of the first ``twice`` people.
        person: (V,) number of each photo's person.
        twice: how many people have two photos.
    """

    paths: list[Path]
    person: npt.NDArray[np.int64]
    twice: int

    @classmethod
    def outside_view_1(cls, lfw: LFW, many: int, twice: int) -> People:
        """Draw ``many`` people of LFW of whom View 1 has no photo, ``twice`` of them with two."""
        fitted = set(lfw.person[images_of(lfw, ("1",))].tolist())
        photos: dict[int, list[int]] = defaultdict(list)
        for image, person in enumerate(lfw.person.tolist()):
            if person not in fitted:
                photos[person].append(image)
        drawn = np.random.default_rng(SEED).permutation(sorted(photos)).tolist()
        pairs = [p for p in drawn if len(photos[p]) > 1][:twice]
        chosen = [*pairs, *(p for p in drawn if p not in set(pairs))][:many]
        if len(chosen) < many or len(pairs) < twice:
            raise LineamentError(
                f"expected at most {len(photos)} people, {len(pairs)} of them with two photos: "
                "these are outside of View 1"
            )
        images = [photos[p][0] for p in chosen] + [photos[p][1] for p in pairs]
        person = np.concatenate([np.arange(many), np.arange(twice)])
        return cls([lfw.path(i) for i in images], person, twice)

    @cached_property
    def impostors(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """All pairs of photos of two people, each once."""
        first, second = np.triu_indices(len(self.person), 1)
        other = self.person[first] != self.person[second]
        return first[other], second[other]

    @cached_property
    def genuine(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """All pairs of photos of one person, each once."""
        first = np.arange(self.twice)
        return first, len(self.person) - self.twice + first


@dataclass(frozen=True, eq=False)
class Faces:
    """The faces that photos are of, embedded; where there is none, its row is zero.

    Attributes:
        photos: V, with embedding and crop of one face, or without a face.
    """

    photos: Sequence[Photo]

    @cached_property
    def there(self) -> npt.NDArray[np.bool_]:
        """(V,) whether a face was found."""
        return np.array([photo.embedding is not None for photo in self.photos])

    @cached_property
    def vectors(self) -> npt.NDArray[np.float32]:
        """(V, D) embeddings of length 1."""
        found = [photo.embedding.vector for photo in self.photos if photo.embedding is not None]
        rows = np.zeros((len(self.photos), len(found[0]) if found else 1), np.float32)
        rows[self.there] = found
        return rows

    @cached_property
    def qualities(self) -> list[Quality | None]:
        """V."""
        return [
            None
            if photo.face is None or photo.embedding is None
            else quality_of(photo.face, photo.crop, photo.embedding, photo.size_wh)
            for photo in self.photos
        ]

    @cached_property
    def recognizability(self) -> npt.NDArray[np.float64]:
        """(V,) NaN where it is not known."""
        known = [None if q is None else q.recognizability for q in self.qualities]
        return np.array([np.nan if value is None else value for value in known], np.float64)


def look(
    recognizer: Recognizer, pictures: Iterable[tuple[str, Image]], kept: Path | None = None
) -> list[Photo]:
    """Find, align and embed the face that each picture is of.

    Args:
        recognizer: what embeds.
        pictures: names and pixels.
        kept: a file for the faces that were found and their crops, and beside it one of each
            recognizer's embeddings. Where they are there, no picture is made: all presets find the
            same faces, and what is said of them depends on nothing else.
    """
    if kept is not None and kept.is_file():
        return _read(recognizer, kept)
    sources = (Photo.from_pixels(pixels, name) for name, pixels in pictures)
    photos = list(recognizer.stream_chosen(sources))
    if kept is not None:
        _write(kept, _arrays(photos))
        _write(_embedded_file(kept, recognizer), _embeddings(photos))
    return photos


def _write(file: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_name(f"{os.getpid()}-{file.name}")
    np.savez(half, **arrays)
    half.replace(file)


def _embedded_file(kept: Path, recognizer: Recognizer) -> Path:
    contract = recognizer.embedder.contract
    which = f"{contract.weights}-{contract.weights_sha256[:8]}-{contract.flip}"
    return kept.with_name(f"{kept.stem}.{which}.npz")


def _read(recognizer: Recognizer, kept: Path) -> list[Photo]:
    """What ``look`` kept, with the embeddings of this recognizer."""
    with np.load(kept) as there:
        arrays = {name: there[name] for name in there.files}
    file, rows = _embedded_file(kept, recognizer), np.flatnonzero(arrays["found"])
    if not file.is_file():
        parts = [
            recognizer.embedder.embed(arrays["crop"][rows[start : start + 64]])
            for start in range(0, len(rows), 64)
        ]
        dimension = recognizer.embedder.contract.dimension
        vectors = np.concatenate([np.empty((0, dimension), np.float32), *(p[0] for p in parts)])
        norms = np.concatenate([np.empty(0, np.float32), *(p[1] for p in parts)])
        _write(file, {"vectors": vectors, "norms": norms})
    with np.load(file) as there:
        vectors, norms = there["vectors"], there["norms"]
    contract, photos, number = recognizer.embedder.contract, [], 0
    for row, name in enumerate(arrays["source"].tolist()):
        size_wh = int(arrays["size"][row][0]), int(arrays["size"][row][1])
        photo = Photo(name, size_wh, detector="kept")
        if arrays["found"][row]:
            face = Face(
                box_xyxy=arrays["box"][row],
                score=float(arrays["score"][row]),
                landmarks_xy=arrays["landmarks"][row],
                turned_deg=int(arrays["turned"][row]),
            )
            photo = replace(
                photo,
                faces=(face,),
                index=0,
                selected=(0,),
                crops=arrays["crop"][row][None],
                embeddings=(Embedding(vectors[number], float(norms[number]), contract),),
            )
            number += 1
        photos.append(photo)
    return photos


def _arrays(photos: Sequence[Photo]) -> dict[str, npt.NDArray[Any]]:
    """What a file keeps of the faces of photos: a row each, zeros where there is none."""
    crops = [photo.crop for photo in photos if photo.crop is not None]
    shape = crops[0].shape if crops else (112, 112, 3)
    made = {
        "source": np.array([photo.source for photo in photos]),
        "size": np.array([photo.size_wh or (0, 0) for photo in photos], np.int64),
        "found": np.zeros(len(photos), np.bool_),
        "box": np.zeros((len(photos), 4), np.float32),
        "score": np.zeros(len(photos)),
        "landmarks": np.zeros((len(photos), 5, 2), np.float32),
        "turned": np.zeros(len(photos), np.int64),
        "crop": np.zeros((len(photos), *shape), np.uint8),
    }
    for row, photo in enumerate(photos):
        face = photo.face
        if face is not None and face.landmarks_xy is not None and photo.embedding is not None:
            values = {
                "found": True,
                "box": face.box_xyxy,
                "score": face.score,
                "landmarks": face.landmarks_xy,
                "turned": face.turned_deg,
                "crop": photo.crop,
            }
            for name, value in values.items():
                made[name][row] = value
    return made


def _embeddings(photos: Sequence[Photo]) -> dict[str, npt.NDArray[Any]]:
    """Of those that were found, in their order."""
    found = [photo.embedding for photo in photos if photo.embedding is not None]
    return {
        "vectors": np.array([embedding.vector for embedding in found], np.float32),
        "norms": np.array([embedding.norm for embedding in found], np.float32),
    }


def spoilt(clean: Sequence[Photo], spoiler: Spoiler) -> Iterable[tuple[str, Image]]:
    """Name and pixels of photos, spoilt where their faces are; ``clean``: with pixels."""
    for photo in clean:
        face = photo.face
        pixels = photo.needed_pixels()
        if face is not None and face.landmarks_xy is not None:
            pixels = spoiler(pixels, face.landmarks_xy)
        yield photo.source, pixels
