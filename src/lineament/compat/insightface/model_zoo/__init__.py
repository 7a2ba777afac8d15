"""``get_model``: one network by name, for detection or recognition."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.align.alignment import align_faces
from lineament.compat.insightface.app.common import Face
from lineament.compat.insightface.app.face_analysis import (
    DET_THRESH,
    card_name,
    finder_with,
    most_worth,
)
from lineament.detect import DEFAULT_DETECTOR, DETECTORS
from lineament.errors import ImageError, OptionError
from lineament.finder import FaceFinder
from lineament.pipeline import Recognizer
from lineament.types import Face as OwnFace
from lineament.types import FloatArray, Image, Photo

_Boxes = tuple[FloatArray, FloatArray | None]


class RecognitionModel:
    """A recognizer.

    Attributes:
        taskname: "recognition".
        input_size: width and height of its crops.
        output_shape: (1, length of its embeddings).
    """

    taskname = "recognition"

    def __init__(self, recognizer: Recognizer) -> None:
        """``recognizer``: loaded when it is first needed."""
        self._recognizer = recognizer

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height of its crops."""
        return self._recognizer.embedder.size_wh

    @property
    def output_shape(self) -> tuple[int, int]:
        """(1, length of its embeddings)."""
        return 1, self._recognizer.embedder.contract.dimension

    def prepare(self, ctx_id: int, **kwargs: Any) -> None:
        """Load the network. Arguments are without effect."""
        _ = self._recognizer.embedder

    def get(self, img: Image, face: Face) -> FloatArray:
        """The embedding of a face that was found, which gets it, too.

        Args:
            img: (H, W, 3) uint8, BGR.
            face: with ``kps``.
        """
        pixels = _rgb(img)
        if face.kps is None or face.bbox is None:
            raise OptionError("expected a face with bbox and kps", option="face")
        found = OwnFace(np.asarray(face.bbox, np.float32), 1.0, np.asarray(face.kps, np.float32))
        crops = align_faces(pixels, [found], self._recognizer.alignment_name)
        face.embedding = self._embedded(crops)[0]
        vector: FloatArray = face.embedding
        return vector

    def get_feat(self, imgs: Any) -> FloatArray:
        """Embeddings (N, D) of crops that are aligned already: one (H, W, 3), BGR, or several."""
        crops = [imgs] if isinstance(imgs, np.ndarray) and imgs.ndim == 3 else list(imgs)
        width, height = self.input_size
        for crop in crops:
            if _rgb(crop).shape[:2] != (height, width):
                raise ImageError(f"expected crops of {width} x {height} pixels, got {crop.shape}")
        return self._embedded(np.stack([_rgb(crop) for crop in crops]))

    def _embedded(self, crops: Image) -> FloatArray:
        vectors, norms = self._recognizer.embedder.embed(crops)
        raw: FloatArray = vectors * norms[:, None]
        return raw

    def compute_sim(self, feat1: Any, feat2: Any) -> float:
        """The cosine of two embeddings."""
        a, b = np.ravel(feat1).astype(np.float64), np.ravel(feat2).astype(np.float64)
        if a.shape != b.shape:
            raise OptionError(f"expected embeddings of one length, got {len(a)} and {len(b)}")
        return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


class DetectionModel:
    """A detector.

    Attributes:
        taskname: "detection".
        det_thresh, input_size: as ``prepare`` was given them.
    """

    taskname = "detection"

    def __init__(self, finder: FaceFinder) -> None:
        """``finder``: loaded when it is first needed."""
        self._finder = finder
        self.det_thresh = DET_THRESH
        self.input_size: Any = None

    def prepare(
        self, ctx_id: int, det_thresh: float = DET_THRESH, input_size: Any = None, **kwargs: Any
    ) -> None:
        """Load the network.

        Args:
            ctx_id, kwargs: without effect.
            det_thresh: least score; 0.5 is the detector's own.
            input_size: without effect: all sizes are looked at.
        """
        self._finder = finder_with(self._finder, det_thresh)
        self.det_thresh, self.input_size = det_thresh, input_size
        _ = self._finder.detector

    def detect(
        self,
        img: Image,
        input_size: Any = None,
        max_num: int = 0,
        metric: str = "default",
        det_thresh: float | None = None,
    ) -> _Boxes:
        """Find the faces of a photo.

        Args:
            img: (H, W, 3) uint8, BGR.
            input_size: without effect.
            max_num, metric: as for ``FaceAnalysis.get``.
            det_thresh: least score, for this call.

        Returns:
            (N, 5) float32: left, top, right, bottom, score, the most certain first; and
            (N, 5, 2) float32 points, or None where the detector has none.
        """
        finder = self._finder if det_thresh is None else finder_with(self._finder, det_thresh)
        photo = finder.find(Photo.from_pixels(np.ascontiguousarray(_rgb(img)), "image"))
        faces = [photo.faces[i] for i in most_worth(photo, max_num, metric)]
        boxes = np.array([[*f.box_xyxy, f.score] for f in faces], np.float32).reshape(-1, 5)
        points = [f.landmarks_xy for f in faces if f.landmarks_xy is not None]
        if len(points) < len(faces):
            return boxes, None
        return boxes, np.array(points, np.float32).reshape(-1, 5, 2)


def get_model(name: str, **kwargs: Any) -> RecognitionModel | DetectionModel:
    """The network of a name.

    Args:
        name: a recognizer, preset or detector of lineament's ("detection" and "recognition" are its
            defaults).
        kwargs: ``providers`` and others, without effect.

    Raises:
        WeightsError: there is none; the files of insightface's packs are not read.
    """
    if name == "detection" or name in DETECTORS:
        return DetectionModel(FaceFinder(DEFAULT_DETECTOR if name == "detection" else name))
    return RecognitionModel(Recognizer(card_name(None if name == "recognition" else name)))


def _rgb(img: Any) -> npt.NDArray[np.uint8]:
    if not isinstance(img, np.ndarray) or img.dtype != np.uint8 or img.shape[2:] != (3,):
        raise ImageError("expected pixels, uint8 of shape (H, W, 3), BGR: cv2.imread gives it")
    return np.ascontiguousarray(img[..., ::-1])
