"""What finds and embeds faces behind the functions of ``api``: dlib's files, or lineament's own.

Files of dlib's are never fetched and never shipped here. They are looked for where ``configure``
says, then in the package face_recognition_models, which is not imported for it: it would ask for
``pkg_resources``, which is gone.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from lineament.align.alignment import align_faces
from lineament.align.dlib_chips import dlib_chip, turned_chip
from lineament.align.landmarks68 import five_of_68
from lineament.align.regression_trees import read_predictor
from lineament.errors import MissingExtraError, WeightsError
from lineament.finder import FaceFinder
from lineament.forks import lock, rlock
from lineament.pipeline import Recognizer
from lineament.types import Face, Float64Array, Image, IntArray

FIVE_POINTS = "shape_predictor_5_face_landmarks.dat"
SIXTY_EIGHT_POINTS = "shape_predictor_68_face_landmarks.dat"
MMOD = "mmod_human_face_detector.dat"

DLIB_MODEL = "dlib-resnet"
TOLERANCE = 0.6
"""The default of ``compare_faces``: encodings of other networks are scaled so that it is the
threshold of their calibration."""

SQUARE_SIDE, SQUARE_UP = 1.215, 0.031
"""dlib's square about a face: its side, and how far its middle lies above that of eyes and mouth,
in units of the distance between the eyes plus that from eyes to mouth; medians over LFW View 1
(``scripts/fit/dlib_square.py``). The squares' sides scatter by a tenth about it."""

LEAST_OVERLAP = 0.3
"""Of a box that is given and a face that is found, over their union."""

DetectorChoice = Literal["auto", "dlib", "lineament"]


class Square(NamedTuple):
    """A face's square as dlib has it: whole pixels, right and bottom still inside."""

    left: int
    top: int
    right: int
    bottom: int


class Predictor(Protocol):
    """Finds the points of dlib's."""

    def locate_in(self, image: Image, box_ltrb: Sequence[int], /) -> IntArray:
        """As ``TreePredictor.locate_in``."""
        ...


class ByDlib:
    """A file of landmarks, read and used by dlib itself."""

    def __init__(self, dlib: Any, path: Path) -> None:
        self._dlib = dlib
        try:
            self._predictor = dlib.shape_predictor(str(path))
        except RuntimeError as error:
            raise WeightsError(f"{path}: expected a shape predictor of dlib's: {error}") from error

    def locate_in(self, image: Image, box_ltrb: Sequence[int]) -> IntArray:
        """The points of one face."""
        parts = self._predictor(image, self._dlib.rectangle(*map(int, box_ltrb))).parts()
        return np.array([[part.x, part.y] for part in parts], np.int64)


@dataclass(eq=False)
class Engine:
    """One choice of detector, network and files; everything is loaded when it is needed.

    Attributes:
        model: name of the network that embeds, or of a preset.
        detector: "dlib", "lineament", or "auto": dlib's where it is installed.
        exact: True: chips are cut by dlib's predictor, or it is an error; False: by our landmarks;
            None: by dlib's where its file is there.
        folder: where dlib's files lie; None: in the package face_recognition_models.
    """

    model: str = DLIB_MODEL
    detector: DetectorChoice = "auto"
    exact: bool | None = None
    folder: Path | None = None
    _lock: Any = field(default_factory=rlock)
    _predictors: dict[str, Predictor] = field(default_factory=dict)
    _warned: bool = False

    # --- what there is ----------------------------------------------------------------------------

    def file(self, name: str) -> Path | None:
        """Where a file of dlib's lies; None: it is not there."""
        if self.folder is not None:
            return self.folder / name if (self.folder / name).is_file() else None
        package = find_spec("face_recognition_models")
        if package is None or package.origin is None:
            return None
        path = Path(package.origin).parent / "models" / name
        return path if path.is_file() else None

    @cached_property
    def dlib(self) -> Any:
        """The module, or None where it is not wanted or not installed."""
        if self.detector == "lineament":
            return None
        try:
            import dlib
        except ImportError as error:
            if self.detector == "dlib":
                raise MissingExtraError(
                    "finding faces by dlib", "dlib", package="dlib-bin face_recognition_models"
                ) from error
            return None
        return dlib

    @cached_property
    def recognizer(self) -> Recognizer:
        """The network that embeds, with lineament's finder."""
        return Recognizer(self.model)

    @property
    def finder(self) -> FaceFinder:
        """What finds faces and points without dlib."""
        return self.recognizer.finder

    @property
    def is_dlibs(self) -> bool:
        """Whether the network is dlib's."""
        return self.recognizer.weights.name == DLIB_MODEL

    @cached_property
    def scale(self) -> float:
        """Length of the encodings of networks other than dlib's."""
        threshold = self.recognizer.threshold("euclidean_l2").value
        return TOLERANCE / threshold

    def predictor(self, name: str) -> Predictor | None:
        """dlib's landmarks, read once; None where the file is not there.

        dlib reads its own files where it is installed: a tenth of the time, and the same points.
        """
        with self._lock:
            if name not in self._predictors:
                path = self.file(name)
                if path is None:
                    return None
                made = read_predictor(path) if self.dlib is None else ByDlib(self.dlib, path)
                self._predictors[name] = made
            return self._predictors[name]

    # --- finding ----------------------------------------------------------------------------------

    def squares(self, image: Image, upsample: int, model: str) -> list[Square]:
        """The faces of a photo as dlib's squares, not trimmed."""
        if self.dlib is not None:
            if model != "cnn":
                with self._lock:  # the detector keeps what it works on
                    found = self._hog(image, upsample)
                return [Square(r.left(), r.top(), r.right(), r.bottom()) for r in found]
            if self._mmod is not None:
                with self._lock:
                    found = [one.rect for one in self._mmod(image, upsample)]
                return [Square(r.left(), r.top(), r.right(), r.bottom()) for r in found]
        return [square_of(face) for face in self.finder.find(image).faces]

    @cached_property
    def _hog(self) -> Any:
        return self.dlib.get_frontal_face_detector()

    @cached_property
    def _mmod(self) -> Any:
        path = self.file(MMOD)
        return None if path is None else self.dlib.cnn_face_detection_model_v1(str(path))

    # --- points -----------------------------------------------------------------------------------

    def points(self, image: Image, squares: Sequence[Square], name: str) -> list[IntArray]:
        """The points of faces: of dlib's predictor, else of our network, (5, 2) or (68, 2) each."""
        predictor = self.predictor(name)
        if predictor is not None:
            return [predictor.locate_in(image, square) for square in squares]
        found = self.finder.landmarker.locate(image, self.faces_at(image, squares))
        whole = np.floor(found.astype(np.float64) + 0.5).astype(np.int64)
        if name == SIXTY_EIGHT_POINTS:
            return list(whole)
        return list(whole[:, [45, 42, 36, 39, 33]])  # the five in dlib's order

    def faces_at(self, image: Image, squares: Sequence[Square]) -> list[Face]:
        """The faces that we find where squares are, else ones with the landmarks of the squares."""
        found = self.finder.find(image).faces
        return [self._face_at(image, square, found) for square in squares]

    def _face_at(self, image: Image, square: Square, found: Sequence[Face]) -> Face:
        box = np.array([square.left, square.top, square.right + 1, square.bottom + 1], np.float64)
        best = max(found, key=lambda face: _overlap(face, box), default=None)
        if best is not None and _overlap(best, box) >= LEAST_OVERLAP:
            return best
        bare = Face(box.astype(np.float32), 0.0)
        points = self.finder.landmarker.locate(image, [bare])
        return Face(bare.box_xyxy, 0.0, five_of_68(points)[0])

    # --- embedding --------------------------------------------------------------------------------

    def encodings(
        self, image: Image, squares: Sequence[Square], jitters: int, name: str
    ) -> list[Float64Array]:
        """One vector a face."""
        if not squares:
            return []
        crops = self.crops(image, squares, name)
        found = []
        for crop in crops:
            many = crop[None] if jitters <= 1 else jittered(crop, jitters)
            vectors, norms = self.recognizer.embedder.embed(many)
            raw = vectors.astype(np.float64) * norms.astype(np.float64)[:, None]
            mean = raw.mean(axis=0)
            if not self.is_dlibs:
                mean = mean / np.linalg.norm(mean) * self.scale
            found.append(mean)
        return found

    def crops(self, image: Image, squares: Sequence[Square], name: str) -> Image:
        """The faces as the network wants them."""
        if self.is_dlibs and self.exact is not False:
            predictor = self.predictor(name)
            if predictor is not None:
                points = [predictor.locate_in(image, square) for square in squares]
                return np.stack([dlib_chip(image, each) for each in points])
            if self.exact:
                raise WeightsError(
                    f"encodings as dlib makes them need its file {name}",
                    hint="pip install face_recognition_models, or name its folder: "
                    "configure(dlib_models=FOLDER)",
                )
            self._warn(name)
        return align_faces(image, self.faces_at(image, squares), self.recognizer.alignment_name)

    def _warn(self, name: str) -> None:
        with self._lock:
            if self._warned:
                return
            self._warned = True
        warnings.warn(
            f"dlib's file {name} is not there: faces are cut by lineament's landmarks. These "
            "encodings go together, and nearly with those that dlib made, not to the last digit. "
            "Install face_recognition_models, or say configure(exact=False) if that will do",
            UserWarning,
            stacklevel=5,
        )


def _overlap(face: Face, box: Float64Array) -> float:
    mine = face.box_xyxy.astype(np.float64)
    both = np.clip(np.minimum(mine[2:], box[2:]) - np.maximum(mine[:2], box[:2]), 0, None).prod()
    areas = (mine[2:] - mine[:2]).prod() + (box[2:] - box[:2]).prod()
    return float(both / (areas - both))


def square_of(face: Face) -> Square:
    """The square that dlib would have about a face."""
    points = face.landmarks_xy
    if points is None:
        (width, height), (x, y) = face.size_wh, face.center_xy
        side, center = (width * height) ** 0.5, np.array([x, y])
    else:
        five = points.astype(np.float64)
        eyes, mouth = five[:2].mean(axis=0), five[3:].mean(axis=0)
        size = float(np.linalg.norm(five[1] - five[0]) + np.linalg.norm(mouth - eyes))
        down = (mouth - eyes) / max(1e-6, float(np.linalg.norm(mouth - eyes)))
        side, center = SQUARE_SIDE * size, (eyes + mouth) / 2 - SQUARE_UP * size * down
    low = np.round(center - (side - 1) / 2).astype(int)
    length = round(side)
    return Square(int(low[0]), int(low[1]), int(low[0]) + length - 1, int(low[1]) + length - 1)


def jittered(chip: Image, count: int) -> Image:
    """Chips that are shifted by up to 2 %, shrunk by up to 3 %, turned by up to 3 degrees.

    One half of them is mirrored. What is drawn is the same at every call, so that encodings can be
    had again; dlib's differ from call to call.
    """
    draw = np.random.default_rng(0)
    size = len(chip)
    inner = size - 6
    found = []
    for _ in range(count):
        shift = np.round(draw.uniform(-0.02, 0.02, 2) * inner)
        side = float(int(inner / draw.uniform(0.97, 0.99999)))
        angle = float(np.radians(draw.uniform(-3, 3)))
        one = turned_chip(chip, (size - 1) / 2 + shift, side, angle, size)
        found.append(one[:, ::-1] if draw.random() > 0.5 else one)
    return np.ascontiguousarray(np.stack(found))


_engine = Engine()
_engine_lock = lock()


def engine() -> Engine:
    """The one in use."""
    return _engine


def use(changed: Engine) -> None:
    """Take another one from now on."""
    global _engine  # noqa: PLW0603
    with _engine_lock:
        _engine = changed
