"""Requests about photos alone: no gallery."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lineament.attributes.results import PhotoAttributes
from lineament.client._calls import Answer, Call
from lineament.client._uploads import Upload
from lineament.client._values import read
from lineament.errors import OptionError, ServiceError
from lineament.files import write_atomically
from lineament.images import load_image
from lineament.results import Outcome
from lineament.types import Contract, Decision, Embedding, Image, Photo, Quality, Threshold


@dataclass(frozen=True, slots=True)
class ServedModels(Outcome):
    """What a server runs.

    Attributes:
        recognizer, detector: their names.
        contract: how its embeddings are made.
        models: the cards of all networks, as ``Card.to_dict`` gives them.
    """

    recognizer: str
    detector: str
    contract: Contract
    models: tuple[dict[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "recognizer": self.recognizer,
            "detector": self.detector,
            "contract": self.contract.to_dict() | {"id": self.contract.id},
            "models": list(self.models),
        }


@dataclass(frozen=True, eq=False, slots=True)
class AnonymizedPhoto(Outcome):
    """A photo in which a server covered faces.

    Attributes:
        source: name of the photo.
        pixels: (H, W, 3) uint8, RGB, upright, in sRGB.
        n_faces: how many were found.
        n_hidden: how many of them are covered.
    """

    source: str
    pixels: Image
    n_faces: int
    n_hidden: int

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the photo, and nothing of what else the old file held.

        Args:
            path: a name that ends in .jpg, .png, .webp, .tif or .bmp.

        Raises:
            OptionError: another ending, or the file cannot be written.
        """
        from lineament.anonymize.writing import encode_photo

        write_atomically(path, encode_photo(self.pixels, Path(path).name))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; without the pixels."""
        return {
            "source": self.source,
            "size_wh": [self.pixels.shape[1], self.pixels.shape[0]],
            "n_faces": self.n_faces,
            "n_hidden": self.n_hidden,
        }


def health() -> Call[dict[str, Any]]:
    return Call("GET", "/health", plain)


def ready() -> Call[dict[str, Any]]:
    return Call("GET", "/ready", plain)


def models() -> Call[ServedModels]:
    def made(answer: Answer) -> ServedModels:
        values = answer.json()
        return read(ServedModels, values)

    return Call("GET", "/models", made)


def detect(photo: Upload, min_score: float | None, max_faces: int | None) -> Call[Photo]:
    values = {"min_score": min_score, "max_faces": max_faces}
    return Call(
        "POST", "/detect", reading(Photo, photo), values=values, uploads=(("image", photo),)
    )


def verify(
    a: Upload,
    b: Upload,
    threshold: Threshold | float | None,
    fmr: float | None,
    liveness: str,
) -> Call[Decision]:
    values = {"threshold": bare(threshold), "fmr": fmr, "liveness": liveness}

    def made(answer: Answer) -> Decision:
        return replace(read(Decision, answer.json()), source_a=a.name, source_b=b.name)

    return Call("POST", "/compare", made, values=values, uploads=(("a", a), ("b", b)))


def embed(photo: Upload, faces: Sequence[int] | None = None) -> Call[tuple[Embedding, ...]]:
    """Of the face that the photo is of; or of those of some numbers."""

    def made(answer: Answer) -> tuple[Embedding, ...]:
        values = answer.json()
        contract = read(Contract, values["contract"])
        found = {
            row["face"]: Embedding(np.array(row["vector"], np.float32), row["norm"], contract)
            for row in values["faces"]
        }
        if faces is None:
            if not found:
                Photo(photo.name, None).require()
            return tuple(found.values())
        for number in faces:
            if number not in found:
                raise OptionError(
                    f"expected numbers of {len(found)} faces, got {number}", option="faces"
                )
        return tuple(found[number] for number in faces)

    values = {"faces": "chosen" if faces is None else "all"}
    return Call("POST", "/embed", made, values=values, uploads=(("image", photo),))


def group(
    photos: Sequence[Upload], min_size: int, threshold: float | None, fmr: float | None
) -> Call[dict[str, Any]]:
    values = {"min_size": min_size, "threshold": threshold, "fmr": fmr}
    uploads = tuple(("images", photo) for photo in photos)
    return Call("POST", "/group", plain, values=values, uploads=uploads, listed=True)


def quality(photo: Upload) -> Call[tuple[Quality | None, ...]]:
    def made(answer: Answer) -> tuple[Quality | None, ...]:
        found = [face["quality"] for face in answer.json()["faces"]]
        return tuple(None if one is None else read(Quality, one) for one in found)

    return Call("POST", "/quality", made, uploads=(("image", photo),))


def thresholds(fmr: float | None) -> Call[dict[str, Any]]:
    return Call("GET", "/thresholds", plain, query={"fmr": fmr})


def attributes(photo: Upload, only: Sequence[str] | None) -> Call[PhotoAttributes]:
    values = {"only": None if only is None else ",".join(only)}
    return Call(
        "POST", "/attributes", reading(PhotoAttributes, photo),
        values=values, uploads=(("image", photo),),
    )  # fmt: skip


def anonymize(
    photo: Upload, method: str, shape: str, gallery: str | None, keep: str | None, only: str | None
) -> Call[AnonymizedPhoto]:
    values = {
        "method": method, "shape": shape, "form": "png",
        "gallery": gallery, "keep": keep, "only": only,
    }  # fmt: skip

    def made(answer: Answer) -> AnonymizedPhoto:
        hidden, _, faces = answer.headers.get("x-faces", "").partition("/")
        if not (hidden.isdecimal() and faces.isdecimal()):
            raise ServiceError(
                f"expected an anonymized photo, got status {answer.status}",
                hint="is the address that of a lineament server?",
            )
        return AnonymizedPhoto(photo.name, load_image(answer.body), int(faces), int(hidden))

    return Call("POST", "/anonymize", made, values=values, uploads=(("image", photo),))


def bare(threshold: Threshold | float | None) -> float | None:
    """The number of a threshold that the caller made. OptionError: of another metric."""
    if not isinstance(threshold, Threshold):
        return threshold
    if threshold.metric != "cosine":
        raise OptionError(f"expected one of cosine, got {threshold.metric}", option="threshold")
    return threshold.value


def reading(kind: type[Any], photo: Upload | None = None) -> Callable[[Answer], Any]:
    """Read an answer as ``kind``; of a photo that was sent, under its name here."""

    def made(answer: Answer) -> Any:
        values = answer.json()
        if photo is not None and isinstance(values, dict) and "source" in values:
            values["source"] = photo.name
        return read(kind, values)

    return made


def reading_all(kind: type[Any], name: str) -> Callable[[Answer], Any]:
    """Read the list that an answer has under ``name``, each entry as ``kind``."""
    return lambda answer: [read(kind, one) for one in answer.json()[name]]


def plain(answer: Answer) -> dict[str, Any]:
    """The answer as it is."""
    values: dict[str, Any] = answer.json()
    return values
