"""Photos -> embeddings, for every protocol alike.

A protocol sees a ``FaceSource`` only: given photos, it returns their embeddings in order. What
stands behind it is a ``Recognizer`` and the cache on the disk (``RecognizerSource``), or in tests a
table of vectors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from lineament import models
from lineament.datasets.cache import EmbeddingCache
from lineament.detect import DETECTORS
from lineament.detect.detector import detector_code
from lineament.embed.embedder import EMBEDDERS
from lineament.errors import DataError, LineamentError, OptionError
from lineament.images import load_image
from lineament.pipeline import Recognizer
from lineament.types import FloatArray, Image, Photo, ProgressBar

T = TypeVar("T")

BOX_MARGIN = 0.75
"""Of a given box's longer side: how far around it the photo is searched for its face."""


@dataclass(frozen=True, eq=False, slots=True)
class Embedded:
    """The embeddings of N photos.

    Attributes:
        vectors: (N, D) float32 of length 1; zeros without a face.
        norms: (N,) float32: lengths before scaling (see ``types.Embedding``); 0 without a face.
        found: (N,) bool: a face was found.
        unreadable: what could not be read, by place, with the reason. ``found`` is False there.
    """

    vectors: FloatArray
    norms: FloatArray
    found: npt.NDArray[np.bool_]
    unreadable: dict[int, LineamentError] = field(default_factory=dict)


class FaceSource(Protocol):
    """Embeds photos, each of which is of one person."""

    def photos(self, paths: Sequence[Path], *, boxes_xyxy: npt.ArrayLike | None = None) -> Embedded:
        """Embed the face that each photo is of, or the one in the given box.

        Args:
            paths: N photos; the same path may come several times.
            boxes_xyxy: (N, 4) pixels, where to look in each; a row of NaN means anywhere.
        """
        ...

    def crops(self, images: Sequence[bytes]) -> Embedded:
        """Embed N faces that are aligned already: encoded photos of 112x112 pixels."""
        ...


class RecognizerSource:
    """A ``Recognizer`` with the embeddings that were kept from earlier runs."""

    def __init__(
        self,
        recognizer: Recognizer,
        *,
        use_cache: bool = True,
        progress: ProgressBar[Any] | None = None,
        on_note: Callable[[str], None] | None = None,
    ) -> None:
        """Nothing is loaded yet.

        Args:
            recognizer: what embeds; its ``choose`` decides whom a photo is of.
            use_cache: keep embeddings on the disk, and use those that are there. A detector of
                your own is never cached, since nothing distinguishes two of them.
            progress: shows how far it is.
            on_note: called with what the user should know, though no result depends on it.
        """
        self.recognizer = recognizer
        self.images_embedded = 0
        self.seconds = 0.0
        self._progress = progress
        self._note = on_note
        self._cache: EmbeddingCache | None = None
        if use_cache and recognizer.finder.detector_name in DETECTORS:
            dimension = recognizer.embedder.contract.dimension
            self._cache = EmbeddingCache(way_of(recognizer), dimension)

    @property
    def images_per_second(self) -> float | None:
        """From the file to the embedding; None when all came from the cache."""
        return round(self.images_embedded / self.seconds, 2) if self.images_embedded else None

    def photos(self, paths: Sequence[Path], *, boxes_xyxy: npt.ArrayLike | None = None) -> Embedded:
        """As ``FaceSource.photos``. What could not be read is tried again the next time."""
        boxes = _boxes(boxes_xyxy, len(paths))
        marks = [_mark(box) for box in boxes]
        keys = list(zip(map(str, paths), marks, strict=True))
        first = {key: i for i, key in reversed(list(enumerate(keys)))}
        once = sorted(first.values())
        some = self._photos([Path(paths[i]) for i in once], boxes[once], [marks[i] for i in once])
        place = {keys[i]: row for row, i in enumerate(once)}
        rows = [place[key] for key in keys]
        unreadable = {
            i: some.unreadable[row] for i, row in enumerate(rows) if row in some.unreadable
        }
        return Embedded(some.vectors[rows], some.norms[rows], some.found[rows], unreadable)

    def _photos(self, paths: list[Path], boxes: FloatArray, marks: list[str]) -> Embedded:
        n, dimension = len(paths), self.recognizer.embedder.contract.dimension
        vectors, norms = np.zeros((n, dimension), np.float32), np.zeros(n, np.float32)
        known = np.zeros(n, bool)
        if self._cache is not None:
            kept = self._cache.load(paths, marks=marks)
            vectors, norms, known = kept.vectors, kept.norms, kept.known
        missing = np.flatnonzero(~known).tolist()
        done: list[int] = []
        unreadable: dict[int, LineamentError] = {}
        if missing:
            self.recognizer.load()  # before the clock starts
        started = time.perf_counter()
        try:
            photos = self._embed([paths[i] for i in missing], boxes[missing], unreadable)
            if self._progress is not None and missing:
                photos = iter(self._progress(photos, len(missing), "embedding"))
            for i, photo in zip(missing, photos, strict=True):
                if photo.embedding is not None:
                    vectors[i], norms[i] = photo.embedding.vector, photo.embedding.norm
                elif photo.error is not None:
                    unreadable[i] = photo.error
                    continue  # it may be readable the next time
                done.append(i)
        finally:
            self.seconds += time.perf_counter() - started
            self.images_embedded += len(done)
            self._keep(
                [paths[i] for i in done], vectors[done], norms[done], [marks[i] for i in done]
            )
        return Embedded(vectors, norms, norms > 0, unreadable)

    def _embed(
        self, paths: list[Path], boxes: FloatArray, unreadable: dict[int, LineamentError]
    ) -> Iterator[Photo]:
        if np.isnan(boxes).all():
            return self.recognizer.stream_chosen(iter(paths))
        pairs = zip(paths, boxes, strict=True)
        return self.recognizer.stream_chosen(_around(path, box) for path, box in pairs)

    def crops(self, images: Sequence[bytes]) -> Embedded:
        """As ``FaceSource.crops``; nothing is cached, since detection is what takes long.

        Raises:
            OptionError: the recognizer takes faces that are aligned in another way.
            DataError: a face has another size, or is no photo.
        """
        embedder = self.recognizer.embedder
        theirs = "arcface-112"
        if embedder.contract.alignment != theirs:
            raise OptionError(
                f"{embedder.contract.weights} takes faces aligned as {embedder.contract.alignment},"
                f" and these are {theirs}: choose another recognizer"
            )
        vectors = np.zeros((len(images), embedder.contract.dimension), np.float32)
        norms = np.zeros(len(images), np.float32)
        starts: Iterable[int] = range(0, len(images), 64)
        if self._progress is not None and images:
            starts = self._progress(starts, -(-len(images) // 64), "embedding, 64 crops each")
        started = time.perf_counter()
        for start in starts:
            crops = np.stack(
                [_crop(data, start + i) for i, data in enumerate(images[start : start + 64])]
            )
            rows = slice(start, start + len(crops))
            vectors[rows], norms[rows] = embedder.embed(crops)
        self.seconds += time.perf_counter() - started
        self.images_embedded += len(images)
        return Embedded(vectors, norms, norms > 0)

    def _keep(
        self, paths: list[Path], vectors: FloatArray, norms: FloatArray, marks: list[str]
    ) -> None:
        if self._cache is None or not paths:
            return
        try:
            self._cache.save(paths, vectors, norms, marks=marks)
        except OptionError as error:  # the result does not depend on it
            if self._note is not None:
                self._note(f"the embeddings could not be kept: {error}")


def way_of(recognizer: Recognizer) -> dict[str, Any]:
    """All that a vector depends on, apart from the photo and the source code."""
    runtime = recognizer.runtime.resolved()
    detector, builder = recognizer.finder.detector_name, recognizer.weights.builder
    networks = DETECTORS[detector]
    code = {f"detector {detector}": detector_code(detector)}
    if builder is not None:
        code[f"embedder {builder}"] = EMBEDDERS.code_sha256(builder)
    return {
        "contract": asdict(recognizer.embedder.contract),
        "input": msgspec.to_builtins(recognizer.weights.input),
        "detector": {name: models.get(name).sha256 for name in networks},
        "options": asdict(recognizer.finder.options),
        "turning": recognizer.finder.turning,
        "choose": recognizer.finder.choose,
        "runtime": [runtime.engine, runtime.device],
        "code": {name: digest for name, digest in code.items() if digest is not None},
    }


def _boxes(boxes_xyxy: npt.ArrayLike | None, n: int) -> FloatArray:
    if boxes_xyxy is None:
        return np.full((n, 4), np.nan, np.float32)
    boxes = np.asarray(boxes_xyxy, np.float32)
    if boxes.shape != (n, 4):
        raise OptionError(
            f"expected ({n}, 4), one box a photo, got {boxes.shape}", option="boxes_xyxy"
        )
    return boxes


def _mark(box: FloatArray) -> str:
    return "" if np.isnan(box).any() else " ".join(f"{value:.1f}" for value in box)


def _around(path: Path, box: FloatArray) -> Path | Image:
    """The part of the photo in which the box's face is the central one.

    An unreadable file goes on as it is, so that the pipeline says what is wrong with it.
    """
    if np.isnan(box).any():
        return path
    try:
        image = load_image(path)
    except LineamentError:
        return path
    height, width = image.shape[:2]
    box = np.clip(box, 0, [width, height, width, height])
    if not (box[2] > box[0] and box[3] > box[1]):  # it lies outside
        return path
    margin = BOX_MARGIN * float(max(box[2] - box[0], box[3] - box[1]))
    # As far on one side as on the other, so that the box stays central at the photo's edge.
    left, top = np.floor(box[:2] - margin).astype(int)
    right, bottom = np.ceil(box[2:] + margin).astype(int)
    padded = np.zeros((bottom - top, right - left, 3), np.uint8)
    inner = image[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    y, x = max(-top, 0), max(-left, 0)
    padded[y : y + inner.shape[0], x : x + inner.shape[1]] = inner
    return padded


def _crop(data: bytes, number: int) -> Image:
    try:
        crop = load_image(data)
    except LineamentError as error:
        raise DataError(f"face {number}: expected an encoded photo ({error})") from error
    if crop.shape != (112, 112, 3):
        raise DataError(
            f"face {number}: expected 112x112 pixels, got {crop.shape[1]}x{crop.shape[0]}"
        )
    return crop
