"""Names of models and detectors of deepface's, and what runs in their place."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from lineament.compat.deepface.modules.exceptions import UnimplementedError
from lineament.decide.judge import CALIBRATED_METRIC
from lineament.decide.thresholds import DEFAULT_FMR
from lineament.detect import DEFAULT_DETECTOR, DETECTORS
from lineament.errors import OptionError, UnknownWeightsError
from lineament.finder import FaceFinder
from lineament.models import PRESETS, entries
from lineament.pipeline import DEFAULT_RECOGNIZER, Recognizer
from lineament.types import Float64Array


class Unsaid(str):
    """A default of deepface's, told apart from the same word that a caller says."""

    __slots__ = ()


VGG_FACE = Unsaid("VGG-Face")
OPENCV = Unsaid("opencv")

OWN = {"SFace": "sface", "Dlib": "dlib-resnet"}
"""Models of deepface's that are part of this package."""

PUBLISHED: Mapping[str, tuple[tuple[int, int], int]] = {
    "VGG-Face": ((224, 224), 4096),
    "Facenet": ((160, 160), 128),
    "Facenet512": ((160, 160), 512),
    "OpenFace": ((96, 96), 128),
    "DeepFace": ((152, 152), 4096),
    "DeepID": ((47, 55), 160),
    "Dlib": ((150, 150), 128),
    "ArcFace": ((112, 112), 512),
    "SFace": ((112, 112), 128),
    "GhostFaceNet": ((112, 112), 512),
    "Buffalo_L": ((112, 112), 512),
}
"""Input and length of the embedding of deepface's models."""

DETECTOR_OF = {
    "yunet": "yunet",
    "mtcnn": "mtcnn",
    "fastmtcnn": "mtcnn",
    "mediapipe": "blazeface+onet",
    "opencv": DEFAULT_DETECTOR,
}
REPLACED = (
    *("ssd", "dlib", "retinaface", "centerface"),
    *("yolov8n", "yolov8m", "yolov8l", "yolov11n", "yolov11s", "yolov11m", "yolov11l"),
    *("yolov12n", "yolov12s", "yolov12m", "yolov12l"),
)
SKIP = "skip"
"""Detectors of deepface's: what runs for them; those for which the default one runs, which is said
once; and the one that looks for nothing."""

METRICS = ("cosine", "euclidean", "euclidean_l2", "angular")


@cache
def detector_of(name: str) -> str:
    """The detector that runs for a name of deepface's or of ours; "skip" stays.

    Raises:
        UnimplementedError: it is neither.
    """
    if name == SKIP or name in DETECTOR_OF:
        return DETECTOR_OF.get(name, SKIP)
    if name in REPLACED:
        if name in DETECTORS:  # a file of the user's, added under deepface's name
            return name
        how = (
            "pip install dlib-bin, and dlib-hog+onet is dlib's"
            if name == "dlib"
            else f"lineament models add FILE.onnx --as {name} takes one that you have"
        )
        warnings.warn(
            f"the detector {name} is not part of lineament: {DEFAULT_DETECTOR} finds the faces "
            f"({how})",
            UserWarning,
            stacklevel=4,
        )
        return DEFAULT_DETECTOR
    if name in DETECTORS:
        return name
    raise UnimplementedError(
        f"Invalid model_name passed - face_detector/{name}",
        hint=f"there are {', '.join([*DETECTOR_OF, SKIP, *DETECTORS])}",
    )


@dataclass(frozen=True, eq=False)
class Known:
    """A model that is available.

    Attributes:
        name: what results report.
        recognizer: of it.
    """

    name: str
    recognizer: Recognizer

    @property
    def input_shape(self) -> tuple[int, int]:
        """Height and width of its crops."""
        width, height = self.recognizer.embedder.size_wh
        return height, width

    @property
    def dimension(self) -> int:
        """Length of its embeddings."""
        return self.recognizer.embedder.contract.dimension

    @cached_property
    def _thresholds(self) -> dict[tuple[str, int], float]:
        return {}

    def threshold(self, metric: str, pairs: int = 1) -> float:
        """The distance up to which two faces are of one person.

        Args:
            metric: one of ``METRICS``.
            pairs: so many are compared, of which the closest counts: its false match rate is that
                of one pair, as far as the calibration's data go.
        """
        key = (metric, pairs)
        if key not in self._thresholds:
            self._thresholds[key] = self._threshold(metric, pairs)
        return self._thresholds[key]

    def _threshold(self, metric: str, pairs: int) -> float:
        recognizer = self.recognizer
        try:
            base = recognizer.threshold(metric).value
        except OptionError as error:
            raise OptionError(
                f"Distance metric {metric} is not available for model {self.name}. No threshold "
                "was fitted for it",
                hint="pass a threshold",
            ) from error
        base = 1 - base if metric == "cosine" else base
        calibration = recognizer.calibration
        if pairs == 1 or calibration is None or metric == "euclidean":
            return float(base)
        fmr = max(DEFAULT_FMR / pairs, calibration.least_fmr)
        try:
            cosine = recognizer.threshold(CALIBRATED_METRIC, fmr=fmr).value
        except OptionError:
            return float(base)
        return min(float(base), distance_of(cosine, metric))

    def search_threshold(self, metric: str, n_faces: int) -> float:
        """The distance up to which a face is found among so many.

        One search in a hundred for somebody who is not among them finds somebody, however many
        they are. Where no such threshold was fitted: that of one pair.
        """
        calibration = self.recognizer.calibration
        if calibration is None or metric == "euclidean":
            return self.threshold(metric)
        try:
            found = calibration.identification_threshold(max(1, n_faces)).value
        except OptionError:
            return self.threshold(metric)
        return distance_of(float(found), metric)

    def probability(self, cosine: float) -> tuple[float, float, float] | None:
        """That such a pair shows one person, 0 to 1, with its interval; None: no calibration."""
        calibration = self.recognizer.calibration
        if calibration is None:
            return None
        found = calibration.probability(float(np.clip(cosine, -1, 1)))
        return found.value, found.low, found.high

    def probabilities(self, cosines: Float64Array) -> Float64Array | None:
        """The same for many, without intervals."""
        calibration = self.recognizer.calibration
        return None if calibration is None else calibration.probabilities(np.clip(cosines, -1, 1))


def distance_of(cosine: float, metric: str) -> float:
    """The distance that a cosine is, for metrics that follow it."""
    if metric == "cosine":
        return 1 - cosine
    if metric == "angular":
        return float(np.arccos(np.clip(cosine, -1, 1)) / np.pi)
    return float(np.sqrt(max(0.0, 2 - 2 * cosine)))


def cosine_of(distance: float, metric: str) -> float | None:
    """The cosine that a distance stands for; None: it does not follow it."""
    if metric == "cosine":
        return 1 - distance
    if metric == "euclidean_l2":
        return 1 - distance * distance / 2
    if metric == "angular":
        return float(np.cos(np.pi * min(1.0, max(0.0, distance))))
    return None


@cache
def _finder(detector: str) -> FaceFinder:
    return FaceFinder(DEFAULT_DETECTOR if detector == SKIP else detector)


def finder(detector_backend: str) -> FaceFinder:
    """What finds faces for a name; one for all models."""
    return _finder(detector_of(str(detector_backend)))


@cache
def _known(card: str, detector: str) -> Known:
    recognizer = Recognizer(card, finder=_finder(detector))
    return Known(recognizer.weights.name, recognizer)


def card_name(model_name: str) -> str:
    """The name of the card, or preset, that a name of deepface's or of ours stands for.

    Raises:
        UnimplementedError: the model is not available; the message says what to do.
    """
    if isinstance(model_name, Unsaid):
        return DEFAULT_RECOGNIZER
    if model_name in OWN:
        return OWN[model_name]
    names = {card.name for card in entries("embedder")}
    for name in (model_name, str(model_name).lower().replace("_", "-")):
        if name in names or name in PRESETS:
            return name
    available = ", ".join([*OWN, *sorted(names | set(PRESETS))])
    if model_name in PUBLISHED:
        wanted = str(model_name).lower().replace("_", "-")
        raise UnimplementedError(
            f"no weights of {model_name} are part of this package",
            hint=f"`lineament models add FILE --as {wanted}` takes a file of its weights that you "
            f"have; or leave model_name out, or take one of {available}",
        )
    raise UnimplementedError(
        f"Invalid model_name passed - facial_recognition/{model_name}",
        hint=f"there are {available}",
    )


def model(model_name: str, detector_backend: str = OPENCV) -> Known:
    """The model of a name, with the finder of a detector; loaded once. Raises as both."""
    name = card_name(model_name)
    try:
        return _known(name, detector_of(str(detector_backend)))
    except UnknownWeightsError as error:
        raise UnimplementedError(str(error)) from error


def checked_metric(metric: Any) -> None:
    """ValueError: a metric that there is not."""
    if not callable(metric) and metric not in METRICS:
        raise OptionError(f"Invalid distance_metric passed - {metric}")
