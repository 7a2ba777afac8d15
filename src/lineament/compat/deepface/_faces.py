"""Faces of a photo as deepface describes them: areas, cut-outs, embeddings."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import cv2
import numpy as np

from lineament.align.alignment import align_faces
from lineament.compat.deepface import _models as known
from lineament.compat.deepface._photos import Loaded
from lineament.compat.deepface.modules.exceptions import FaceNotDetected, SpoofDetected
from lineament.errors import OptionError
from lineament.geometry import matrices, warp
from lineament.liveness.passive import PassiveLiveness, load_passive
from lineament.types import Embedding, Face, Float64Array, Image, Photo

NORMALIZATIONS = ("base", "raw", "Facenet", "Facenet2018", "VGGFace", "VGGFace2", "ArcFace")


@dataclass(frozen=True, eq=False, slots=True)
class Found:
    """One face of a photo, or the photo as a whole.

    Attributes:
        photo: that it is in.
        face: None: the photo as a whole stands for it.
        area: ``facial_area``.
        confidence: 0 to 1, two digits; 0 without a face.
    """

    photo: Loaded
    face: Face | None
    area: dict[str, Any]
    confidence: float

    @property
    def size(self) -> int:
        """Width times height."""
        return int(self.area["w"] * self.area["h"])


def find(
    photo: Loaded,
    detector_backend: str,
    *,
    enforce_detection: bool,
    whole_keys: bool = True,
    anti_spoofing: bool = False,
) -> list[Found]:
    """Find the faces of a photo.

    Args:
        photo: that is looked at.
        detector_backend: of deepface's or ours; "skip" looks for nothing.
        enforce_detection: without a face: an error, or else the photo as a whole.
        whole_keys: whether the area of the whole has the eyes' keys.
        anti_spoofing: take real faces only.

    Raises:
        FaceNotDetected: there is none.
        SpoofDetected: one is not real, as far as can be told.
    """
    found = _found(photo, detector_backend, enforce_detection, whole_keys)
    if anti_spoofing:
        refuse_spoofs(found)
    return found


def _found(
    photo: Loaded, detector_backend: str, enforce_detection: bool, whole_keys: bool
) -> list[Found]:
    height, width = photo.pixels.shape[:2]
    whole: dict[str, Any] = {"x": 0, "y": 0, "w": width - 1, "h": height - 1}
    if detector_backend == known.SKIP:
        whole = {"x": 0, "y": 0, "w": width, "h": height}
        eyes = {"left_eye": None, "right_eye": None} if whole_keys else {}
        return [Found(photo, None, whole | eyes, 0.0)]
    found = known.finder(detector_backend).find(photo.pixels).faces
    if found:
        return [
            Found(photo, face, area(face, width, height), round(face.score, 2)) for face in found
        ]
    if enforce_detection:
        words = "Please confirm that the picture is a face photo or consider to set "
        raise FaceNotDetected(
            f"Face could not be detected in {photo.name}.{words}enforce_detection param to False."
        )
    return [Found(photo, None, whole | {"left_eye": None, "right_eye": None}, 0.0)]


def area(face: Face, width: int, height: int) -> dict[str, Any]:
    """As deepface has it: left is the person's, whole pixels, within the photo."""
    left, top, right, bottom = (float(value) for value in face.box_xyxy)
    x, y = max(0, round(left)), max(0, round(top))
    found: dict[str, Any] = {
        "x": x,
        "y": y,
        "w": max(0, min(width - x - 1, round(right) - x)),
        "h": max(0, min(height - y - 1, round(bottom) - y)),
        "left_eye": None,
        "right_eye": None,
    }
    if face.landmarks_xy is not None:
        names = ("right_eye", "left_eye", "nose", "mouth_right", "mouth_left")
        for name, (px, py) in zip(names, face.landmarks_xy.tolist(), strict=True):
            inside = 0 <= round(px) < width and 0 <= round(py) < height
            found[name] = (round(px), round(py)) if inside else None
    return found


def cut_out(found: Found, *, align: bool, expand_percentage: float) -> Image:
    """The face's own rectangle, RGB, turned so that the eyes are level; black outside."""
    face = found.face
    if face is None:
        return found.photo.pixels
    if expand_percentage < 0:
        warnings.warn(
            f"expand_percentage must be 0 or more, got {expand_percentage}: 0 is taken",
            UserWarning,
            stacklevel=4,
        )
        expand_percentage = 0
    share = 1 + expand_percentage / 100
    width, height = (max(1, round(side * share)) for side in face.size_wh)
    x, y = face.center_xy
    roll = face.roll_deg if align else 0.0
    factor = np.array([np.exp(-1j * np.radians(roll))])
    middle = (width - 1) / 2 + (height - 1) / 2 * 1j
    transform = matrices(factor, np.array([x + 1j * y]), middle)
    cut: Image = warp(found.photo.pixels, transform, (width, height))[0]
    return cut


def chips(found: Sequence[Found], recognizer: Any) -> Image:
    """The faces as the network wants them, (N, H, W, 3); photos as a whole, padded with black."""
    width, height = recognizer.embedder.size_wh
    crops = np.zeros((len(found), height, width, 3), np.uint8)
    for place, one in zip(crops, found, strict=True):
        if one.face is None:
            place[:] = padded(one.photo.pixels, (width, height))
        else:
            place[:] = align_faces(one.photo.pixels, [one.face], recognizer.alignment_name)[0]
    return crops


def padded(pixels: Image, size_wh: tuple[int, int]) -> Image:
    """The picture in one of that size, in its middle; what is left is black."""
    height, width = pixels.shape[:2]
    scale = min(size_wh[0] / width, size_wh[1] / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    left, top = (size_wh[0] - inner[0]) // 2, (size_wh[1] - inner[1]) // 2
    image[top : top + inner[1], left : left + inner[0]] = cv2.resize(
        pixels, inner, interpolation=how
    )
    return image


def embed(found: Sequence[Found], model: known.Known) -> Float64Array:
    """Their embeddings as the network has them, (N, D) float64, not of length 1."""
    embeddings = embeddings_of(found, model)
    return np.array(
        [each.vector.astype(np.float64) * each.norm for each in embeddings], np.float64
    ).reshape(len(found), model.dimension)


def embeddings_of(found: Sequence[Found], model: known.Known) -> list[Embedding]:
    """Their embeddings with their contract."""
    if not found:
        return []
    embedder = model.recognizer.embedder
    photos = {id(one.photo): one.photo for one in found}
    made: dict[int, Embedding] = {}
    for photo in photos.values():
        at = [i for i, one in enumerate(found) if one.photo is photo and one.face is not None]
        if at:
            seen = replace(
                Photo.from_pixels(photo.pixels, photo.name),
                faces=tuple(face for i in at if (face := found[i].face) is not None),
                detector=model.recognizer.finder.detector_name,
                index=0,
            )
            (done,) = model.recognizer.stream([seen])
            if done.error is not None:
                raise done.error
            made |= dict(zip(at, done.embeddings, strict=True))
    rest = [i for i, one in enumerate(found) if one.face is None]
    if rest:
        vectors, norms = embedder.embed(chips([found[i] for i in rest], model.recognizer))
        for i, vector, norm in zip(rest, vectors, norms, strict=True):
            made[i] = Embedding(vector, float(norm), embedder.contract)
    return [made[i] for i in range(len(found))]


def alive(found: Found) -> tuple[bool, float]:
    """``is_real`` and ``antispoof_score`` of a face, by the passive check.

    Somebody of whom it cannot be told is not taken for real. The score, 0 to 1, is how sure the
    answer is; 0 where nothing could be measured, as of a photo without a face.
    """
    if found.face is None:
        return False, 0.0
    said = passive().check(found.photo.pixels, found.face)
    real = said.outcome == "live"
    if said.score is None or said.outcome == "unsure":
        return real, 0.0
    return real, float(said.score if real else 1 - said.score)


def refuse_spoofs(
    found: Sequence[Found], words: str = "Spoof detected in the given image."
) -> None:
    """SpoofDetected: one of the faces is not real, or it cannot be told."""
    for one in found:
        if not alive(one)[0]:
            raise SpoofDetected(words)


@cache
def passive() -> PassiveLiveness:
    """The passive check, loaded once."""
    return load_passive()


def check_normalization(name: str) -> None:
    """ValueError: no such normalization. Those there are have no effect: it is in the network."""
    if name not in NORMALIZATIONS:
        raise OptionError(f"unimplemented normalization type - {name}")
