"""Embeddings of a data set, kept on the disk: a second evaluation takes seconds.

A file holds the vectors of many photos that were made in one way; its name is a hash of that
way: contract, detector, options, engine, and the source code of the stages, since a change there
changes vectors too. A photo counts as known while its size and its time of change are what
they were.

The files lie in ``embeddings`` in the cache folder (``LINEAMENT_CACHE``). A photo takes 4 D
bytes and its path: SFace's vectors of all of LFW are 8 MB. ``MOST_FILES`` are kept, the ones that
were used last; thus some 100 MB. A file that cannot be read is no error: it is written anew.

The folder may be one that others can write to. So a file of another user's, a link, a pipe, and
what holds anything but the numbers that are expected, counts as one that cannot be read; and
nothing is written into a folder of another user's.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament import forms
from lineament.errors import OptionError
from lineament.files import (
    DATA,
    NotAFileError,
    is_own,
    is_real_folder,
    make_way,
    open_regular,
    write_atomically,
)
from lineament.models import cache_folder
from lineament.text import reason_of
from lineament.types import FloatArray

MOST_FILES = 8

_STAGES = (
    "images",
    "detect",
    "align",
    "embed",
    "geometry.py",
    "pose.py",
    "pyramid.py",
    "raster.py",
    "finder.py",
    "pipeline.py",
    "quality.py",
    "visible.py",
    "recognizability.py",
    "models/runtime.py",
    "types",
    "data/frontal.json",
    "data/profile_landmarks.npz",
)


@dataclass(frozen=True, eq=False, slots=True)
class Kept:
    """What is known of N photos.

    Attributes:
        vectors: (N, D) float32, of length 1; zeros where there is no face or nothing is known.
        norms: (N,) float32: lengths before scaling; zeros likewise.
        found: (N,) bool: a face was found.
        known: (N,) bool: the photo is in the cache, with or without a face.
    """

    vectors: FloatArray
    norms: FloatArray
    found: npt.NDArray[np.bool_]
    known: npt.NDArray[np.bool_]


class EmbeddingCache:
    """The vectors that were made in one way."""

    def __init__(
        self, way: Mapping[str, Any], dimension: int, *, folder: Path | None = None
    ) -> None:
        """Name the file; nothing is read yet.

        Args:
            way: all that the vectors depend on, as plain values for JSON.
            dimension: of the vectors.
            folder: where files are kept; None takes the user's cache folder.
        """
        self.dimension = dimension
        self.path = cache_file([way, dimension], folder)

    def load(
        self, paths: Sequence[str | os.PathLike[str]], *, marks: Sequence[str] | None = None
    ) -> Kept:
        """What is known of these photos, in their order. Never fails.

        Args:
            paths: N photos.
            marks: N texts that tell several faces of one photo apart, such as their boxes.
        """
        n = len(paths)
        vectors, norms = np.zeros((n, self.dimension), np.float32), np.zeros(n, np.float32)
        found, known = np.zeros(n, bool), np.zeros(n, bool)
        rows = self._read()
        for i, path in enumerate(paths):
            row = rows.get(_key(path, None if marks is None else marks[i]))
            if row is not None and row[0] == state_of(path):
                vectors[i], norms[i], found[i], known[i] = row[1], row[2], row[2] > 0, True
        return Kept(vectors, norms, found, known)

    def save(
        self,
        paths: Sequence[str | os.PathLike[str]],
        vectors: npt.ArrayLike,
        norms: npt.ArrayLike,
        *,
        marks: Sequence[str] | None = None,
    ) -> None:
        """Add photos, replacing what was known of them; others in the file stay.

        Args:
            paths: N photos.
            vectors: (N, D) of length 1; rows without a face may hold anything.
            norms: (N,): lengths before scaling; 0 where no face was found.
            marks: as for ``load``.

        Raises:
            OptionError: other shapes, or the cache folder cannot be written to.
        """
        new, lengths = np.asarray(vectors, np.float32), np.asarray(norms, np.float32)
        if new.shape != (len(paths), self.dimension) or lengths.shape != (len(paths),):
            raise OptionError(
                f"expected {len(paths)} vectors of length {self.dimension} and as many norms, got "
                f"{new.shape} and {lengths.shape}"
            )
        rows = self._read()
        for i, path in enumerate(paths):
            state = state_of(path)
            if state is not None:  # else it was removed meanwhile
                norm = float(lengths[i])
                key = _key(path, None if marks is None else marks[i])
                rows[key] = (state, new[i] * np.float32(norm > 0), norm)
        write_cache(
            self.path,
            paths=np.array(json.dumps(list(rows))),
            states=np.array([row[0] for row in rows.values()], np.int64).reshape(-1, 2),
            vectors=np.array([row[1] for row in rows.values()], np.float32).reshape(
                -1, self.dimension
            ),
            norms=np.array([row[2] for row in rows.values()], np.float32),
        )

    def _read(self) -> dict[str, tuple[tuple[int, int], FloatArray, float]]:
        try:
            paths, file = read_cache(self.path)
            n = len(paths)
            states, vectors, norms = file["states"], file["vectors"], file["norms"]
            fits = (
                is_array(vectors, np.float32, (n, self.dimension))
                and is_array(norms, np.float32, (n,))
                and bool((np.isfinite(norms) & (norms >= 0)).all())
                and bool((np.abs(lengths_of(vectors) - (norms > 0)) < 1e-3).all())
            )
        except Exception:  # a broken archive raises a dozen kinds, and none matters here
            return {}
        if not fits:
            return {}
        return {
            path: ((int(state[0]), int(state[1])), vector, float(norm))
            for path, state, vector, norm in zip(paths, states, vectors, norms, strict=True)
        }


def cache_file(way: Sequence[Any], folder: Path | None = None, *, prefix: str = "") -> Path:
    """Where what was made in one way is kept: named by a hash of the way and the source code.

    Args:
        way: plain values for JSON.
        folder: None takes the user's cache folder.
        prefix: the name begins with it.
    """
    text = json.dumps([*way, source_fingerprint()], sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:32]
    root = cache_folder() / "embeddings" if folder is None else folder
    return root / f"{prefix}{name}.npz"


def read_cache(path: Path) -> tuple[list[str], dict[str, npt.NDArray[Any]]]:
    """The N photos' keys, and the arrays, of which "states" is (N, 2) int64.

    Raises:
        OSError: there is no such file, or it is a link, a pipe, a device, or another user's.
        Exception: it is broken.
    """
    if not is_real_folder(path.parent):
        raise NotAFileError(errno.ENOTDIR, "expected a folder", str(path.parent))
    with open_regular(path, inside=True) as raw:
        status = os.fstat(raw.fileno())
        if not is_own(status):
            raise NotAFileError(errno.EPERM, "it is another user's", str(path))
        with zipfile.ZipFile(raw) as archive:
            # ``np.savez`` packs nothing, so no file can be bigger inside than outside.
            packed = any(each.compress_type != zipfile.ZIP_STORED for each in archive.infolist())
            room = sum(each.file_size for each in archive.infolist())
        if packed or room > status.st_size:
            raise NotAFileError(errno.EINVAL, "it is packed", str(path))
        raw.seek(0)
        with np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        if os.utime in os.supports_fd:
            os.utime(raw.fileno())  # it was used: it is not the oldest any more
    if arrays["paths"].shape != ():
        raise NotAFileError(errno.EINVAL, "its photos are no text", str(path))
    keys: list[str] = forms.read_json(str(arrays.pop("paths")), list[str])
    if not is_array(arrays["states"], np.int64, (len(keys), 2)):
        raise NotAFileError(errno.EINVAL, "its numbers do not fit together", str(path))
    return keys, arrays


def lengths_of(vectors: FloatArray) -> FloatArray:
    """(N, D) -> (N,), of what somebody else may have written: without warnings."""
    with np.errstate(all="ignore"):
        lengths: FloatArray = np.linalg.norm(vectors, axis=1)
    return lengths


def is_array(values: npt.NDArray[Any], kind: type[np.generic], shape: tuple[int, ...]) -> bool:
    """Whether an array that somebody else may have written has this type and this shape."""
    return values.dtype == kind and values.shape == shape


def write_cache(path: Path, **arrays: npt.NDArray[Any]) -> None:
    """Write the arrays, whole or not at all, and remove the files that were used longest ago.

    Raises:
        OptionError: the cache folder cannot be written to.
    """
    folder = path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        wrong = "" if is_real_folder(folder) else "is a link"
        if not wrong and not is_own(folder.stat()):
            wrong = "is another user's, who could read what is written there"
        if not wrong:
            make_way(path)
    except OSError as error:
        wrong = f"cannot be used ({reason_of(error)})"
    if wrong:
        raise OptionError(
            f"the cache folder {folder} {wrong}: set LINEAMENT_CACHE to another folder"
        )
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    write_atomically(path, file.getvalue())
    _remove_oldest(path.parent)


def _remove_oldest(folder: Path) -> None:
    """Keep the ``MOST_FILES`` files of embeddings that were used last."""
    try:
        files = sorted(folder.glob("*.npz"), key=lambda file: file.stat().st_mtime)
        for file in files[:-MOST_FILES]:
            file.unlink(missing_ok=True)
    except OSError:  # another process is at it
        return


def source_fingerprint() -> str:
    """SHA-256 of the source code that vectors depend on, and of the numbers that it reads."""
    package = DATA.parent
    digest = hashlib.sha256()
    for stage in _STAGES:
        path = package / stage
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        assert files, f"{stage}: no source code; name the stage's files in _STAGES"
        for file in files:
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _key(path: str | os.PathLike[str], mark: str | None) -> str:
    absolute = str(Path(path).absolute())
    return absolute if mark is None else f"{absolute}\0{mark}"


def state_of(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Size and time of change, or None when there is no such file."""
    try:
        status = os.stat(path)  # noqa: PTH116  (thousands of files: faster than by way of a Path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
