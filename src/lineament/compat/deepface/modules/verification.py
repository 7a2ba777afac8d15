"""Distances, thresholds and confidences, as deepface has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lineament.compat.deepface import _models as known
from lineament.compat.deepface.modules.exceptions import (
    DimensionMismatchError,
    InvalidEmbeddingsShapeError,
    UnimplementedError,
)
from lineament.errors import OptionError

Metric: TypeAlias = str | Callable[[Any, Any], float]

EPSILON = 1e-10
"""Added to lengths, so that a vector of zeros stays one."""

DIGITS = 6


def _both(alpha: npt.ArrayLike, beta: npt.ArrayLike) -> tuple[Any, Any, bool]:
    a, b = np.asarray(alpha, np.float64), np.asarray(beta, np.float64)
    if a.ndim != b.ndim or a.ndim not in (1, 2):
        raise InvalidEmbeddingsShapeError(
            f"Embeddings must be 1D or 2D, but received shapes: {a.shape}, {b.shape}"
        )
    if a.shape[-1] != b.shape[-1]:
        raise DimensionMismatchError(
            f"embeddings must have the same dimensions, got {a.shape[-1]} and {b.shape[-1]}"
        )
    return np.atleast_2d(a), np.atleast_2d(b), a.ndim == 1


def _shaped(values: npt.NDArray[np.float64], single: bool) -> Any:
    return np.float64(values[0, 0]) if single else values


def l2_normalize(x: npt.ArrayLike, axis: int | None = None, epsilon: float = EPSILON) -> Any:
    """Scale to length 1: one vector, or the rows of a matrix (``axis`` 1)."""
    values = np.asarray(x, np.float64)
    if axis is None and values.ndim == 2:
        axis = 1
    return values / (np.linalg.norm(values, axis=axis, keepdims=True) + epsilon)


def find_cosine_distance(
    source_representation: npt.ArrayLike, test_representation: npt.ArrayLike
) -> Any:
    """1 - cosine: of two vectors a number, of two matrices (M, N), rows for the second."""
    a, b, single = _both(source_representation, test_representation)
    return _shaped(1 - l2_normalize(b, 1) @ l2_normalize(a, 1).T, single)


def find_euclidean_distance(
    source_representation: npt.ArrayLike, test_representation: npt.ArrayLike
) -> Any:
    """The distance as the network has it. Shapes as ``find_cosine_distance``."""
    a, b, single = _both(source_representation, test_representation)
    squared = (b * b).sum(1)[:, None] + (a * a).sum(1)[None] - 2 * (b @ a.T)
    if single:
        squared = ((a - b) ** 2).sum(1)[:, None]
    return _shaped(np.sqrt(np.maximum(squared, 0)), single)


def find_angular_distance(
    source_representation: npt.ArrayLike, test_representation: npt.ArrayLike
) -> Any:
    """The angle over 180 degrees. Shapes as ``find_cosine_distance``."""
    a, b, single = _both(source_representation, test_representation)
    cosines = np.clip(l2_normalize(b, 1) @ l2_normalize(a, 1).T, -1, 1)
    return _shaped(np.arccos(cosines) / np.pi, single)


def find_distance(
    alpha_embedding: npt.ArrayLike,
    beta_embedding: npt.ArrayLike,
    distance_metric: Metric = "cosine",
) -> Any:
    """The distance by a metric, to six digits; a function in its place is called as it is.

    Raises:
        ValueError: no such metric, or lengths that differ.
    """
    if callable(distance_metric):
        return distance_metric(alpha_embedding, beta_embedding)
    known.checked_metric(distance_metric)
    if distance_metric == "cosine":
        distance = find_cosine_distance(alpha_embedding, beta_embedding)
    elif distance_metric == "angular":
        distance = find_angular_distance(alpha_embedding, beta_embedding)
    elif distance_metric == "euclidean":
        distance = find_euclidean_distance(alpha_embedding, beta_embedding)
    else:
        a, b = (l2_normalize(each) for each in (alpha_embedding, beta_embedding))
        distance = find_euclidean_distance(a, b)
    return np.round(distance, DIGITS)


def find_threshold(model_name: str, distance_metric: Metric = "cosine") -> float:
    """The distance up to which two faces are of one person, by the model's calibration.

    It lets one pair of strangers in ten thousand pass. 0.0 for a function in place of a metric.

    Raises:
        ValueError: no such model or metric.
    """
    if callable(distance_metric):
        return 0.0
    try:
        chosen = known.model(model_name)
    except UnimplementedError as error:
        raise OptionError(f"Model {model_name} is not supported. {error}") from error
    if distance_metric not in known.METRICS:
        raise OptionError(
            f"Distance metric {distance_metric} is not available for model {model_name}. "
        )
    return chosen.threshold(distance_metric)


def find_confidence(
    distance: float, model_name: str, verified: bool, distance_metric: Metric = "cosine"
) -> float:
    """The calibrated probability of one person in per cent, on the side that ``verified`` says.

    51 to 100 where it is verified, 0 to 49 where it is not, to two digits. Where no probability
    follows from the distance (a function, "euclidean", a model that is not here): 51 or 49.
    """
    cosine = None if callable(distance_metric) else known.cosine_of(distance, distance_metric)
    try:
        chances = None if cosine is None else known.model(model_name).probability(cosine)
    except UnimplementedError:
        chances = None
    return confidence(None if chances is None else chances[0], verified)


def confidence(probability: float | None, verified: bool) -> float:
    """A probability, 0 to 1, as a confidence that agrees with ``verified``."""
    if probability is None:
        return 51.0 if verified else 49.0
    percent = 100 * probability
    return round(float(np.clip(percent, 51, 100) if verified else np.clip(percent, 0, 49)), 2)
