"""Rows of found faces, as DataFrames or dicts."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from lineament.compat.deepface import _models as known
from lineament.compat.deepface._faces import Found
from lineament.compat.deepface._store import Stored, hash_of
from lineament.compat.deepface.modules.verification import DIGITS, Metric
from lineament.errors import MissingExtraError, OptionError
from lineament.types import Float64Array

FIND = (
    *("identity", "hash", "target_x", "target_y", "target_w", "target_h", "threshold"),
    *("source_x", "source_y", "source_w", "source_h", "distance", "confidence"),
)
SEARCH = (
    *("id", "img_name", "model_name", "detector_backend", "aligned", "l2_normalized"),
    *("search_method", "target_x", "target_y", "target_w", "target_h", "threshold"),
    *("distance_metric", "distance", "confidence"),
)

Columns = Mapping[str, Sequence[Any]]


def return_type(asked: str | None, older: Mapping[str, Any]) -> str:
    """ "pandas" or "dict".

    Args:
        asked: as the caller has it; None: pandas where it is installed.
        older: arguments of earlier versions.

    Raises:
        ValueError: another.
        ImportError: pandas is asked for, and not installed.
        TypeError: another argument.
    """
    for name, value in older.items():
        if name not in ("batched", "credentials", "prog_bar"):
            raise UnknownArgumentError(f"find() got an unexpected keyword argument {name!r}")
        warnings.warn(f"{name} of earlier versions has ended", DeprecationWarning, stacklevel=3)
        if name == "batched" and value and asked is None:
            asked = "dict"
    if asked not in (None, "pandas", "dict"):
        raise OptionError(f"Unsupported return_type: {asked}")
    there = find_spec("pandas") is not None
    if asked == "pandas" and not there:
        raise MissingExtraError("making DataFrames", "pandas", package="pandas")
    return asked or ("pandas" if there else "dict")


class UnknownArgumentError(OptionError, TypeError):
    """An argument that the function has not."""


def made(columns: Columns, kind: str) -> Any:
    """A DataFrame, or a list of dicts."""
    if kind == "pandas":
        import pandas

        return pandas.DataFrame(dict(columns), columns=list(columns))
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


@dataclass(frozen=True, slots=True)
class Search:
    """How a folder is searched.

    Attributes:
        folder: as the caller has it: results' paths begin with it.
        model: whose embeddings are compared.
        metric: name or function.
        threshold: greatest distance; None: by calibration.
        similarity_search: return every face.
        k: at most so many rows.
    """

    folder: str
    model: known.Known
    metric: Metric
    threshold: float | None
    similarity_search: bool
    k: int | None

    def rows(self, stored: Stored, found: Found, vector: Float64Array, *, seen: bool) -> Columns:
        """The columns of ``FIND`` for one face; without a face (``seen``) nobody is verified."""
        cosines = _cosines(stored, vector)
        distances = self._distances(stored, vector, cosines)
        threshold = self.threshold
        if threshold is None:
            assert isinstance(self.metric, str)
            threshold = self.model.search_threshold(self.metric, len(distances))
        near = distances <= threshold if seen else np.zeros(len(distances), bool)
        at = np.arange(len(distances)) if self.similarity_search else np.flatnonzero(near)
        at = at[np.argsort(distances[at], kind="stable")][: self.k]
        identities = [os.path.join(self.folder, path) for path in stored.paths[at].tolist()]  # noqa: PTH118
        x, y, w, h = stored.boxes[at].T
        area = found.area
        return {
            "identity": identities,
            "hash": [hash_of(path) for path in identities],
            "target_x": x,
            "target_y": y,
            "target_w": w,
            "target_h": h,
            "threshold": np.full(len(at), float(threshold)),
            **{f"source_{key}": np.full(len(at), area[key], np.int64) for key in "xywh"},
            "distance": distances[at],
            "confidence": confidences(self.model, cosines[at], near[at]),
        }

    def _distances(
        self, stored: Stored, vector: Float64Array, cosines: Float64Array
    ) -> Float64Array:
        if callable(self.metric):
            raw = stored.vectors.astype(np.float64) * stored.norms.astype(np.float64)[:, None]
            return np.array([float(self.metric(vector, other)) for other in raw], np.float64)
        return distances_of(cosines, stored.norms, float(np.linalg.norm(vector)), self.metric)


def _cosines(stored: Stored, vector: Float64Array) -> Float64Array:
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    cosines: Float64Array = (stored.vectors @ unit).astype(np.float64)
    return cosines


def distances_of(
    cosines: Float64Array, norms: Any, norm: float, metric: str, digits: int | None = DIGITS
) -> Float64Array:
    """Distances by a metric from cosines and the lengths of the vectors."""
    cosines = np.clip(cosines, -1, 1)
    if metric == "cosine":
        found = 1 - cosines
    elif metric == "angular":
        found = np.arccos(cosines) / np.pi
    elif metric == "euclidean_l2":
        found = np.sqrt(np.maximum(2 - 2 * cosines, 0))
    else:
        lengths = np.asarray(norms, np.float64)
        squares = lengths**2 + norm**2 - 2 * lengths * norm * cosines
        found = np.sqrt(np.maximum(squares, 0))
    distances = np.asarray(found, np.float64)
    return distances if digits is None else distances.round(digits)


def confidences(model: known.Known, cosines: Float64Array, verified: Any) -> Float64Array:
    """The calibrated probability in per cent, on the side that ``verified`` says."""
    chances = model.probabilities(cosines)
    if chances is None:
        return np.where(verified, 51.0, 49.0)
    least, most = np.where(verified, 51.0, 0.0), np.where(verified, 100.0, 49.0)
    clipped: Float64Array = np.clip(100 * chances, least, most)
    return clipped.round(2)
