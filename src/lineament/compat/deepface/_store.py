"""The faces of a folder, kept between calls of ``find``.

deepface writes a file into the folder itself. Here it lies in the cache folder, is written whole or
not at all, and is left in memory as long as the process lives: what a second call does is to look
whether files changed, and to compare.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.compat.deepface import _faces as faces
from lineament.compat.deepface import _models as known
from lineament.compat.deepface._photos import Loaded
from lineament.datasets.cache import cache_file, is_array, lengths_of, read_cache, write_cache
from lineament.datasets.source import way_of
from lineament.errors import DataError, LineamentError, OptionError
from lineament.forks import lock
from lineament.images import load_image
from lineament.types import FloatArray, IntArray

SUFFIXES = (".jpg", ".jpeg", ".png")
PREFIX = "deepface-"
SAVE_EVERY = 2000

SETTLED_NS = 2_000_000_000
"""What changed so lately may change again without another time: such a folder is listed again."""

State = tuple[int, int]
"""Size in bytes, and time of change in nanoseconds."""


@dataclass(frozen=True, eq=False, slots=True)
class Stored:
    """The M faces of a folder's photos.

    Attributes:
        paths: (M,) of the photos, from the folder on.
        boxes: (M, 4) int64: x, y, w, h.
        vectors: (M, D) float32 of length 1.
        norms: (M,) float32: lengths before.
    """

    paths: npt.NDArray[np.str_]
    boxes: IntArray
    vectors: FloatArray
    norms: FloatArray


class Store:
    """One folder, looked at by one model and detector."""

    def __init__(self, folder: str, model: known.Known, detector_backend: str) -> None:
        self.folder = os.path.abspath(folder)  # noqa: PTH100
        self._model, self._detector = model, detector_backend
        way = ["deepface", self.folder, way_of(model.recognizer), detector_backend]
        self.path = cache_file(way, prefix=PREFIX)
        self._lock = lock()
        self._tree = Tree(self.folder)
        self._photos: dict[str, tuple[State, Any]] | None = None
        self._stored: Stored | None = None

    def stored(self, *, refresh: bool) -> Stored:
        """All faces; ``refresh`` looks at files that are new or changed, and drops lost ones."""
        with self._lock:
            if self._photos is None:
                self._photos = self._read()
                self._stored = None
            if refresh:
                self._refresh()
            if self._stored is None:
                self._stored = self._together()
            return self._stored

    @property
    def is_empty(self) -> bool:
        """Whether no photo is known."""
        return not self._photos

    def _refresh(self) -> None:
        """Look at what is new or changed, and forget what is gone."""
        assert self._photos is not None
        photos = self._photos
        files, new = self._tree.files(), {}
        with self._tree.place() as (prefix, folder):
            for path in files:
                try:
                    status = os.stat(prefix + path if prefix else path, dir_fd=folder)
                except OSError:  # removed meanwhile, or a link to nowhere
                    continue
                known_as = photos.get(path)
                if (
                    known_as is None
                    or known_as[0][1] != status.st_mtime_ns
                    or known_as[0][0] != status.st_size
                ):
                    new[path] = status.st_size, status.st_mtime_ns
        lost = photos.keys() - set(files) if new or len(files) != len(photos) else set()
        if not lost and not new:
            return
        self._stored = None
        for path in lost:
            del photos[path]
        try:
            looked_at = self._looked_at([os.path.join(self.folder, path) for path in new])  # noqa: PTH118
            for done, (path, found) in enumerate(zip(new, looked_at, strict=True), 1):
                photos[path] = new[path], found
                if done % SAVE_EVERY == 0:
                    self._save()
        finally:
            self._save()

    def _looked_at(self, paths: Sequence[str]) -> Iterator[Any]:
        """For each photo: boxes (n, 4), vectors (n, D), norms (n,); none where it has no face."""
        dimension = self._model.dimension
        nothing = (
            np.zeros((0, 4), np.int64),
            np.zeros((0, dimension), np.float32),
            np.zeros(0, np.float32),
        )
        if self._detector == known.SKIP:
            for path in paths:
                try:
                    loaded = Loaded(load_image(path), path)
                except LineamentError:
                    yield nothing
                    continue
                yield self._row(faces.find(loaded, known.SKIP, enforce_detection=False))
            return
        for photo in self._model.recognizer.stream(iter(paths)):
            if photo.error is not None or not photo.faces:
                yield nothing
                continue
            assert photo.size_wh is not None
            areas = [faces.area(face, *photo.size_wh) for face in photo.faces]
            yield (
                np.array([[a["x"], a["y"], a["w"], a["h"]] for a in areas], np.int64),
                np.array([each.vector for each in photo.embeddings], np.float32),
                np.array([each.norm for each in photo.embeddings], np.float32),
            )

    def _row(self, found: Sequence[faces.Found]) -> Any:
        made = faces.embeddings_of(found, self._model)
        return (
            np.array([[f.area[key] for key in "xywh"] for f in found], np.int64),
            np.array([each.vector for each in made], np.float32),
            np.array([each.norm for each in made], np.float32),
        )

    def _together(self) -> Stored:
        assert self._photos is not None
        kept = [(path, found) for path, (_, found) in self._photos.items() if len(found[2])]
        dimension = self._model.dimension
        counts = [len(found[2]) for _, found in kept]
        return Stored(
            np.repeat(np.array([path for path, _ in kept], np.str_), counts),
            np.concatenate([np.zeros((0, 4), np.int64), *(f[0] for _, f in kept)]),
            np.concatenate([np.zeros((0, dimension), np.float32), *(f[1] for _, f in kept)]),
            np.concatenate([np.zeros(0, np.float32), *(f[2] for _, f in kept)]),
        )

    # --- the file ---------------------------------------------------------------------------------

    def _save(self) -> None:
        assert self._photos is not None
        stored = self._together()
        try:
            write_cache(
                self.path,
                paths=np.array(json.dumps(list(self._photos))),
                states=np.array([s for s, _ in self._photos.values()], np.int64).reshape(-1, 2),
                counts=np.array([len(f[2]) for _, f in self._photos.values()], np.int64),
                boxes=stored.boxes,
                vectors=stored.vectors,
                norms=stored.norms,
            )
        except OptionError:  # no result depends on it
            return

    def _read(self) -> dict[str, tuple[State, Any]]:
        try:
            paths, file = read_cache(self.path)
            counts, boxes = file["counts"], file["boxes"]
            vectors, norms = file["vectors"], file["norms"]
            if not is_array(counts, np.int64, (len(paths),)) or (counts < 0).any():
                return {}
            n = int(counts.sum())
            fits = (
                is_array(boxes, np.int64, (n, 4))
                and is_array(vectors, np.float32, (n, self._model.dimension))
                and is_array(norms, np.float32, (n,))
                and bool((np.abs(lengths_of(vectors) - 1) < 1e-3).all())
                and bool((np.isfinite(norms) & (norms > 0)).all())
            )
        except Exception:  # a broken archive raises a dozen kinds, and none matters here
            return {}
        if not fits:
            return {}
        ends = np.cumsum(counts).tolist()
        return {
            path: (
                (int(state[0]), int(state[1])),
                tuple(part[end - count : end] for part in (boxes, vectors, norms)),
            )
            for path, state, count, end in zip(
                paths, file["states"], counts.tolist(), ends, strict=True
            )
        }


class Tree:
    """The photos below a folder by their suffix; links to folders are passed by.

    A folder is listed again only when its time of change says that something came or went, which
    takes a third of the time of listing all. Names are looked up from the folder on (``dir_fd``),
    which saves the system the way there for each.
    """

    def __init__(self, folder: str) -> None:
        self._root = os.path.join(folder, "")  # noqa: PTH118
        self._known: dict[str, tuple[int, list[str], list[str]]] = {}
        self._all: tuple[list[str], list[int], list[str]] | None = None

    @contextmanager
    def place(self) -> Iterator[tuple[str, int | None]]:
        """What stands before a path from the folder on, and the folder's number for the system."""
        if os.stat not in os.supports_dir_fd:  # Windows
            yield self._root, None
            return
        try:
            opened = os.open(self._root, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        except OSError as error:
            raise _unlistable(self._root, error) from error
        try:
            yield "", opened
        finally:
            os.close(opened)

    def files(self) -> list[str]:
        """Their paths, from the folder on. DataError: a folder cannot be listed."""
        if self._all is not None and self._unchanged(*self._all[:2]):
            return self._all[2]
        return self._walked()

    def _unchanged(self, folders: list[str], times: list[int]) -> bool:
        """Whether all folders are as they were."""
        try:
            with self.place() as (prefix, folder):
                for path, time_ns in zip(folders, times, strict=True):
                    found = os.stat(prefix + path if prefix else path or ".", dir_fd=folder)
                    if found.st_mtime_ns != time_ns:
                        return False
        except (OSError, DataError):  # removed; the walk says so
            return False
        return True

    def _walked(self) -> list[str]:
        before, self._known, self._all = self._known, {}, None
        pending, files, folders, settled = [""], [], [], True
        while pending:
            here = pending.pop()
            try:
                changed = os.stat(self._root + here).st_mtime_ns  # noqa: PTH116
                found = before.get(here)
                if found is None or found[0] != changed:
                    found = (changed, *self._listed(here))
            except FileNotFoundError:  # removed since its parent was listed
                continue
            except OSError as error:
                raise _unlistable(self._root + here, error) from error
            if time.time_ns() - changed > SETTLED_NS:
                self._known[here] = found
                folders.append(here)
            else:
                settled = False
            files += found[1]
            pending += found[2]
        if settled:
            self._all = folders, [self._known[here][0] for here in folders], files
        return files

    def _listed(self, here: str) -> tuple[list[str], list[str]]:
        files, folders = [], []
        with os.scandir(self._root + here) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{here}{entry.name}{os.sep}")
                elif entry.name.lower().endswith(SUFFIXES) and entry.is_file():
                    files.append(here + entry.name)
        return files, folders


def _unlistable(folder: str, error: OSError) -> DataError:
    return DataError(f"{folder}: the folder cannot be listed ({error.strerror})")


def hash_of(path: str) -> str:
    """deepface's: SHA-1 of size, time of creation and time of change; "" where it is gone."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return ""
    text = f"{status.st_size}-{status.st_ctime}-{status.st_mtime}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


_stores: dict[tuple[str, str, str], Store] = {}
_stores_lock = lock()


def store_of(folder: str, model: known.Known, detector_backend: str) -> Store:
    """The one of a folder, model and detector; kept as long as the process lives."""
    detector = known.detector_of(detector_backend)
    key = (os.path.abspath(folder), model.name, detector)  # noqa: PTH100
    with _stores_lock:
        found = _stores.get(key)
        if found is None:
            found = _stores[key] = Store(folder, model, detector)
        return found
