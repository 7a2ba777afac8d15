"""``build_model``: the objects behind deepface's functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.attributes.expression import EXPRESSIONS
from lineament.compat.deepface import _analysis as analysis
from lineament.compat.deepface import _faces as faces
from lineament.compat.deepface import _models as known
from lineament.compat.deepface import _photos as photos
from lineament.compat.deepface.modules.exceptions import UnimplementedError
from lineament.errors import OptionError
from lineament.types import Face

TASKS = ("facial_recognition", "facial_attribute", "face_detector", "spoofing")


class RecognitionClient:
    """A recognizer.

    Attributes:
        model_name: what runs.
        input_shape: height and width of the crops.
        output_shape: length of the embeddings.
    """

    def __init__(self, model: known.Known) -> None:
        """``model``: loaded when it is first used."""
        self._model = model
        self.model_name = model.name
        self.input_shape = model.input_shape
        self.output_shape = model.dimension

    def forward(self, img: npt.NDArray[Any]) -> Any:
        """Embed crops.

        Args:
            img: (N, H, W, 3) or (H, W, 3) of ``input_shape``, BGR, 0 to 1 or 0 to 255.

        Returns:
            A list of numbers for one crop, a list of them for more.
        """
        batch = img[None] if img.ndim == 3 else img
        wanted = (*self.input_shape, 3)
        if batch.ndim != 4 or batch.shape[1:] != wanted:
            raise OptionError(f"expected (N, {wanted}), got {img.shape}", option="img")
        crops = np.stack([photos.load(np.asarray(crop)).pixels for crop in batch])
        vectors, norms = self._model.recognizer.embedder.embed(crops)
        raw = (vectors.astype(np.float64) * norms.astype(np.float64)[:, None]).tolist()
        return raw[0] if len(raw) == 1 else raw


@dataclass
class FacialAreaRegion:
    """A face as detectors of deepface's return it; left is the person's."""

    x: int
    y: int
    w: int
    h: int
    left_eye: tuple[int, int] | None = None
    right_eye: tuple[int, int] | None = None
    confidence: float | None = None
    nose: tuple[int, int] | None = None
    mouth_right: tuple[int, int] | None = None
    mouth_left: tuple[int, int] | None = None


class DetectorClient:
    """A detector."""

    def __init__(self, name: str) -> None:
        """``name``: of deepface's or ours."""
        self.name = name

    def detect_faces(self, img: npt.NDArray[np.uint8]) -> list[FacialAreaRegion]:
        """The faces of a photo, (H, W, 3) BGR."""
        found = faces.find(photos.load(img), self.name, enforce_detection=False)
        return [
            FacialAreaRegion(**one.area, confidence=one.confidence)
            for one in found
            if one.face is not None
        ]


class AgeClient:
    """The age network."""

    model_name = "Age"

    def predict(self, img: npt.NDArray[Any] | Sequence[npt.NDArray[Any]]) -> Any:
        """Years of one face that was cut out, (H, W, 3) BGR, or of several."""
        batch = photos.many(img)
        crops = [photos.load(each) for each in ([img] if batch is None else batch)]
        years = [float(analysis.seen_whole(crop.pixels).years[0]) for crop in crops]
        return np.float64(years[0]) if batch is None else np.array(years)


class GenderClient:
    """What says whether faces look like women's or men's."""

    model_name = "Gender"

    def predict(self, img: npt.NDArray[Any] | Sequence[npt.NDArray[Any]]) -> Any:
        """Shares of "Woman" and "Man", (2,), of one face that was cut out; (N, 2) of several."""
        batch = photos.many(img)
        crops = [photos.load(each) for each in ([img] if batch is None else batch)]
        men = np.array([analysis.man_whole(crop.pixels) for crop in crops])
        shares = np.stack([1 - men, men], axis=1)
        return shares[0] if batch is None else shares


class EmotionClient:
    """The network of the expressions."""

    model_name = "Emotion"

    def predict(self, img: npt.NDArray[Any] | Sequence[npt.NDArray[Any]]) -> Any:
        """Shares in deepface's order, (7,), of one face that was cut out; (N, 7) of several."""
        batch = photos.many(img)
        crops = [photos.load(each) for each in ([img] if batch is None else batch)]
        order = [EXPRESSIONS.index(ours) for ours in analysis.EMOTIONS.values()]
        shares = np.stack([analysis.expression_whole(crop.pixels)[order] for crop in crops])
        return shares[0] if batch is None else shares


class Fasnet:
    """The passive check of faces."""

    model_name = "Fasnet"

    def analyze(
        self, img: npt.NDArray[np.uint8], facial_area: tuple[int, int, int, int]
    ) -> tuple[bool, float]:
        """Whether a face is real, and how sure that is.

        Args:
            img: (H, W, 3), BGR.
            facial_area: x, y, w, h of the face.
        """
        photo = photos.load(img)
        x, y, w, h = facial_area
        if w <= 0 or h <= 0:
            raise OptionError(f"expected a width and a height, got {facial_area}")
        face = Face(np.array([x, y, x + w, y + h], np.float32), 1.0)
        area = dict(zip("xywh", facial_area, strict=True))
        return faces.alive(faces.Found(photo, face, area, 1.0))


@cache
def _fasnet() -> Fasnet:
    return Fasnet()


@cache
def _recognition(card: str) -> RecognitionClient:
    return RecognitionClient(known.model(card))


@cache
def _detector(name: str) -> DetectorClient:
    return DetectorClient(name)


_ATTRIBUTES = {client.model_name: client() for client in (AgeClient, GenderClient, EmotionClient)}


def build_model(task: str, model_name: str) -> Any:
    """The object of a task and name; the same at every call.

    Raises:
        UnimplementedError: there is none.
    """
    if task not in TASKS:
        raise UnimplementedError(f"unimplemented task - {task}")
    if task == "facial_recognition":
        return _recognition(known.card_name(model_name))
    if task == "face_detector":
        return _detector(known.detector_of(str(model_name)))
    if task == "spoofing" and model_name == "Fasnet":
        return _fasnet()
    if task == "facial_attribute" and model_name in _ATTRIBUTES:
        return _ATTRIBUTES[model_name]
    reason = analysis.REASONS.get(model_name.lower(), "")
    raise UnimplementedError(
        f"Invalid model_name passed - {task}/{model_name}", hint=reason or None
    )
