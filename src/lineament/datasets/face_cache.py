"""All faces of photos, kept on the disk, so that looking through a folder again takes seconds.

``EmbeddingCache`` has one vector for each photo; this has every face with its box, quality and
vector. Files lie beside those of it, are named in the same way, and go by the same rules: a photo
counts as known while its size and its time of change are what they were, and a file that cannot be
read is written anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from lineament.datasets.cache import (
    cache_file,
    is_array,
    lengths_of,
    read_cache,
    state_of,
    write_cache,
)
from lineament.errors import DataError
from lineament.types import Face, FloatArray, Quality

PREFIX = "faces-"
_QUALITY = tuple(each.name for each in fields(Quality))
_NEEDED = [_QUALITY.index(name) for name in ("size_px", "brightness", "contrast")]


@dataclass(frozen=True, eq=False, slots=True)
class KeptFace:
    """One face of a photo.

    Attributes:
        face: where it is; without landmarks.
        vector: (D,) float32 of length 1.
        norm: length before scaling.
        quality: of it; None where the recognizer has none.
    """

    face: Face
    vector: FloatArray
    norm: float
    quality: Quality | None


class FaceCache:
    """The faces that were found and embedded in one way."""

    def __init__(
        self, way: Mapping[str, Any], dimension: int, *, folder: Path | None = None
    ) -> None:
        """Name the file, and read it.

        Args:
            way: all that the faces depend on, as plain values for JSON.
            dimension: of the vectors.
            folder: where files are kept; None takes the user's cache folder.
        """
        self.dimension = dimension
        self.path = cache_file(["faces", way, dimension], folder, prefix=PREFIX)
        self._photos: dict[str, tuple[tuple[int, int], tuple[KeptFace, ...]]] = self._read()
        self._changed = False

    def get(self, path: str | os.PathLike[str]) -> tuple[KeptFace, ...] | None:
        """The faces of a photo; None when it is not known as it is now."""
        kept = self._photos.get(str(Path(path).absolute()))
        return None if kept is None or kept[0] != state_of(path) else kept[1]

    def put(self, path: str | os.PathLike[str], faces: Sequence[KeptFace]) -> None:
        """Take in a photo; ``save`` writes it."""
        state = state_of(path)
        if state is not None:  # else it was removed meanwhile
            self._photos[str(Path(path).absolute())] = state, tuple(faces)
            self._changed = True

    def save(self) -> None:
        """Write what was put in. OptionError: the cache folder cannot be written to."""
        if not self._changed:
            return
        faces = [face for _, faces in self._photos.values() for face in faces]
        qualities = [[getattr(f.quality, name, None) for name in _QUALITY] for f in faces]
        write_cache(
            self.path,
            paths=np.array(json.dumps(list(self._photos))),
            states=np.array([s for s, _ in self._photos.values()], np.int64).reshape(-1, 2),
            counts=np.array([len(f) for _, f in self._photos.values()], np.int64),
            boxes=np.array([f.face.box_xyxy for f in faces], np.float32).reshape(-1, 4),
            scores=np.array([f.face.score for f in faces], np.float64),
            turned=np.array([f.face.turned_deg for f in faces], np.int64),
            qualities=np.array(qualities, np.float64).reshape(-1, len(_QUALITY)),
            norms=np.array([f.norm for f in faces], np.float32),
            vectors=np.array([f.vector for f in faces], np.float32).reshape(-1, self.dimension),
        )
        self._changed = False

    def _read(self) -> dict[str, tuple[tuple[int, int], tuple[KeptFace, ...]]]:
        try:
            paths, file = read_cache(self.path)
            states, counts = file["states"], file["counts"]
            if not is_array(counts, np.int64, (len(paths),)) or (counts < 0).any():
                return {}
            n = sum(counts.tolist())
            shapes: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
                "boxes": (np.float32, (n, 4)),
                "scores": (np.float64, (n,)),
                "turned": (np.int64, (n,)),
                "qualities": (np.float64, (n, len(_QUALITY))),
                "norms": (np.float32, (n,)),
                "vectors": (np.float32, (n, self.dimension)),
            }
            if not all(is_array(file[name], *shape) for name, shape in shapes.items()):
                return {}
            vectors, norms = file["vectors"], file["norms"]
            unit = np.abs(lengths_of(vectors) - 1) < 1e-3
            if not (unit & np.isfinite(norms) & (norms > 0)).all():
                return {}
            faces = [
                KeptFace(Face(box, float(score), None, int(turn)), vector, float(norm), quality)
                for box, score, turn, quality, norm, vector in zip(
                    file["boxes"],
                    file["scores"],
                    file["turned"],
                    map(_quality, file["qualities"]),
                    norms,
                    vectors,
                    strict=True,
                )
            ]
        except Exception:  # a broken archive raises a dozen kinds, and none matters here
            return {}
        ends = np.cumsum(counts).tolist()
        return {
            path: ((int(state[0]), int(state[1])), tuple(faces[end - count : end]))
            for path, state, count, end in zip(paths, states, counts.tolist(), ends, strict=True)
        }


def _quality(row: FloatArray) -> Quality | None:
    if np.isnan(row[0]):
        return None
    if np.isinf(row).any() or np.isnan(row[_NEEDED]).any():
        raise DataError("expected the quality of a face")
    values = [None if np.isnan(value) else float(value) for value in row]
    return Quality(**dict(zip(_QUALITY, values, strict=True)))  # type: ignore[arg-type]
