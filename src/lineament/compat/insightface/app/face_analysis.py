"""``FaceAnalysis``: finds and embeds the faces of photos."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lineament.attributes import AttributeReader, FaceAttributes
from lineament.compat.insightface.app.common import Face
from lineament.detect import DetectOptions
from lineament.errors import ImageError, OptionError, WeightsError
from lineament.finder import FaceFinder
from lineament.pipeline import DEFAULT_RECOGNIZER, Recognizer
from lineament.types import FloatArray, Image, Photo

PACKS = ("buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc", "antelopev2")
TASKS = ("detection", "recognition", "genderage", "landmark_2d_106", "landmark_3d_68")
_ATTRIBUTES = {"genderage": ("age", "gender"), "landmark_3d_68": ("pose",)}
"""What tasks say of faces."""

DET_THRESH = 0.5


class NoDetectionError(OptionError, AssertionError):
    """No module finds faces: insightface has an assertion fail."""


class AddonsTypeError(OptionError, TypeError):
    """A value of another type than insightface takes."""


class _Unsaid(str):
    """The default, told apart from the same word that a caller says."""

    __slots__ = ()


DEFAULT_PACK = _Unsaid("buffalo_l")


class FaceAnalysis:
    """Finds and embeds the faces of photos.

    Attributes:
        models: tasks that are done, and what does them.
        det_model: what finds faces.
        model_dir: of the networks; None: they are part of this package.
        addons, liveness_mode, liveness_threshold: as they were given.
        det_thresh, det_size: as ``prepare`` was given them.
    """

    def __init__(
        self,
        name: str = DEFAULT_PACK,
        root: str = "~/.insightface",
        allowed_modules: Iterable[str] | None = None,
        *,
        addons: Sequence[str] | None = None,
        liveness_mode: str = "normal",
        liveness_threshold: float = 0.8,
        **kwargs: Any,
    ) -> None:
        """Choose what is done.

        Args:
            name: a model or preset of lineament's; not said: its default. A pack of insightface's
                is not here.
            root: without effect: nothing is fetched.
            allowed_modules: of "detection", "recognition", "genderage", "landmark_3d_68" (``pose``
                alone, the slowest), others without effect; None: all.
            addons: not available; an empty sequence or None.
            liveness_mode, liveness_threshold: checked, without effect.
            kwargs: ``providers`` and others for sessions, without effect: LINEAMENT_ENGINE and
                LINEAMENT_DEVICE choose.

        Raises:
            AssertionError: "detection" is not among the modules.
            TypeError, ValueError: another option is unfit.
            WeightsError: no such model.
        """
        self.addons = _addons(addons)
        if liveness_mode not in ("normal", "observe"):
            raise OptionError(
                f"expected normal or observe, got {liveness_mode!r}", option="liveness_mode"
            )
        if isinstance(liveness_threshold, (bool, str)):
            raise AddonsTypeError(
                f"expected a number, got {liveness_threshold!r}", option="liveness_threshold"
            )
        if not 0 <= liveness_threshold <= 1:
            raise OptionError(
                f"expected 0 to 1, got {liveness_threshold}", option="liveness_threshold"
            )
        self.liveness_mode, self.liveness_threshold = liveness_mode, liveness_threshold
        wanted = set(TASKS) if allowed_modules is None else set(allowed_modules)
        if "detection" not in wanted:
            raise NoDetectionError(
                f"expected detection among them, got {', '.join(sorted(wanted)) or 'none'}",
                option="allowed_modules",
            )
        self._recognizer = Recognizer(card_name(name))
        self.model_dir: str | None = None
        self.det_model: FaceFinder = self._recognizer.finder
        self.models: dict[str, Any] = {"detection": self.det_model}
        if "recognition" in wanted:
            self.models["recognition"] = self._recognizer
        if "genderage" in wanted:
            self.models["genderage"] = self._recognizer.attribute_reader
        if "landmark_3d_68" in wanted:
            self.models["landmark_3d_68"] = self._recognizer.attribute_reader
        self.det_thresh = DET_THRESH
        self.det_size: Any = None

    def prepare(
        self, ctx_id: int = 0, det_thresh: float = DET_THRESH, det_size: Any = None
    ) -> None:
        """Load the networks.

        Args:
            ctx_id: without effect.
            det_thresh: least score, 0 to 1; 0.5, the default, is that of the detector here.
            det_size: without effect: all sizes are looked at.
        """
        if det_thresh != DET_THRESH:
            self.det_model = finder_with(self.det_model, det_thresh)
            self._recognizer = Recognizer(self._recognizer.weights, finder=self.det_model)
            self.models["detection"] = self.det_model
            if "recognition" in self.models:
                self.models["recognition"] = self._recognizer
        self.det_thresh, self.det_size = det_thresh, det_size
        _ = self.det_model.detector
        if "recognition" in self.models:
            self._recognizer.load()

    def get(
        self, img: npt.NDArray[np.uint8], max_num: int = 0, det_metric: str = "default"
    ) -> list[Face]:
        """The faces of a photo, the most certain first; [] where there is none.

        Args:
            img: (H, W, 3) uint8, BGR.
            max_num: at most so many; 0: all.
            det_metric: which of more: "default", large and near the middle of the photo; "max",
                the largest. They come in this order then.
        """
        if not isinstance(img, np.ndarray) or img.dtype != np.uint8 or img.shape[2:] != (3,):
            raise ImageError("expected pixels, uint8 of shape (H, W, 3), BGR: cv2.imread gives it")
        pixels = np.ascontiguousarray(img[..., ::-1])
        photo = self.det_model.find(Photo.from_pixels(pixels, "image"))
        order = most_worth(photo, max_num, det_metric)
        vectors: list[FloatArray | None] = [None] * len(order)
        if "recognition" in self.models and order:
            done = self._recognizer.analyze(photo, faces=order)
            vectors = [each.vector * np.float32(each.norm) for each in done.embeddings]
        only = [
            name for task, names in _ATTRIBUTES.items() if task in self.models for name in names
        ]
        looks: Sequence[FaceAttributes | None] = [None] * len(order)
        if only and order:
            reader: AttributeReader = self._recognizer.attribute_reader
            looks = reader.read(photo, faces=order, only=only).faces
        faces = []
        for place, number in enumerate(order):
            found = photo.faces[number]
            face = Face(bbox=found.box_xyxy.copy(), det_score=np.float32(found.score))
            if found.landmarks_xy is not None:
                face.kps = found.landmarks_xy.copy()
            if vectors[place] is not None:
                face.embedding = vectors[place]
            _describe(face, looks[place])
            faces.append(face)
        return faces

    def draw_on(self, img: Image, faces: Iterable[Face]) -> Image:
        """A copy of a photo with boxes and points, and "M,34" where both are known."""
        drawn = img.copy()
        for face in faces:
            left, top, right, bottom = np.round(face.bbox).astype(int).tolist()
            cv2.rectangle(drawn, (left, top), (right, bottom), (0, 0, 255), 2)
            if face.kps is not None:
                for number, (x, y) in enumerate(np.round(face.kps).astype(int).tolist()):
                    color = (0, 255, 0) if number in (0, 3) else (0, 0, 255)
                    cv2.circle(drawn, (x, y), 1, color, 2)
            if face.gender is not None and face.age is not None:
                text, place = f"{face.sex},{face.age}", (left - 1, top - 4)
                cv2.putText(drawn, text, place, cv2.FONT_HERSHEY_COMPLEX, 0.7, (0, 255, 0), 1)
        return drawn


def _describe(face: Face, looks: FaceAttributes | None) -> None:
    """Set what was said of a face."""
    if looks is None:
        return
    if looks.age is not None:
        face.age = round(looks.age.years)
    if looks.gender is not None:
        face.gender = np.int64(looks.gender.man > 0.5)
    if looks.pose is not None:
        pose = looks.pose
        face.pose = np.array([pose.pitch_deg, pose.yaw_deg, pose.roll_deg], np.float32)


def finder_with(finder: FaceFinder, det_thresh: float) -> FaceFinder:
    """The same finder with another least score; 0.5 is the detector's own."""
    if det_thresh == DET_THRESH:
        return finder
    options = replace(DetectOptions(), min_score=float(det_thresh))
    return FaceFinder(
        finder.detector_name, options=options, runtime=finder.runtime, policy=finder.policy
    )


def most_worth(photo: Photo, max_num: int, metric: str) -> list[int]:
    """Which faces of a photo count, the most certain first, or of more than ``max_num`` the most
    worth; see ``FaceAnalysis.get``.
    """
    if max_num < 0:
        raise OptionError(f"expected 0 or more, got {max_num}", option="max_num")
    order = sorted(range(len(photo.faces)), key=lambda i: -photo.faces[i].score)
    if 0 < max_num < len(order):
        return sorted(order, key=lambda i: -_worth(photo, i, metric))[:max_num]
    return order


def card_name(name: str | None) -> str:
    """The model or preset of a name; None and the default: lineament's own.

    Raises:
        WeightsError: it is a pack of insightface's.
    """
    if name is None or isinstance(name, _Unsaid):
        return DEFAULT_RECOGNIZER
    if name in PACKS or Path(os.path.expanduser(name)).is_dir():  # noqa: PTH111
        raise WeightsError(
            f"{name}: packs of insightface are not read: their license forbids commercial use",
            hint="leave the name out, or take a model or preset of lineament's; an ONNX file that "
            "you may use is added by a manifest (LINEAMENT_MANIFEST)",
        )
    return name


def _addons(addons: Sequence[str] | None) -> tuple[str, ...]:
    if isinstance(addons, str):
        raise AddonsTypeError(f"expected a sequence of names, got {addons!r}", option="addons")
    given = () if addons is None else tuple(addons)
    if len(set(given)) != len(given):
        raise OptionError(f"expected each once, got {', '.join(given)}", option="addons")
    if given:
        raise OptionError(f"expected none, got {', '.join(given)}: not available", option="addons")
    return given


def _worth(photo: Photo, number: int, metric: str) -> float:
    width, height = photo.faces[number].size_wh
    if metric == "max":
        return width * height
    assert photo.size_wh is not None
    x, y = photo.faces[number].center_xy
    away = (x - photo.size_wh[0] / 2) ** 2 + (y - photo.size_wh[1] / 2) ** 2
    return width * height - 2 * away
