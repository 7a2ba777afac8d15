"""Stage 5 for several recognizers at once: all that a pair's photos tell -> one score.

Several recognizers, each compared in several ways, tell more of a pair than one cosine does. A
``Fusion`` takes all of it, one row a pair, and returns one number. The columns ("features") are,
for each recognizer in turn: its score by each metric of ``lineament.decide.metrics``, turned so
that higher is more alike, then the lesser and the greater norm of its two embeddings: impostor
scores hardly depend on how good the photos are, genuine ones do, and norms tell (``quality``).

    MeanFusion       weighted mean of standardized scores: the sum rule of Kittler et al., "On
                     Combining Classifiers", PAMI 1998
    LogisticFusion   weighted sum and bias: natural log odds (Brummer et al., "Fusion of
                     heterogeneous speaker recognition systems", IEEE TASLP 2007)
    BoostedFusion    LightGBM: a sum of small trees (Ke et al., NIPS 2017)

All three rise, or stay, with each score; ``scripts/fit/fusions.py`` fits them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from lineament.decide._trees import checked
from lineament.decide.metrics import METRICS, score_rows
from lineament.errors import DataError, MissingExtraError, OptionError
from lineament.types import Float64Array, FloatArray

NORMS = ("norm_low", "norm_high")
BLOCK = 1 << 15
"""Pairs of which features are made at a time: 64 MiB a vector of 512."""


class Side(NamedTuple):
    """What one recognizer made of M photos: (M, D) unit vectors, and their (M,) norms."""

    vectors: FloatArray
    norms: FloatArray


class Fusion(Protocol):
    """Many features of a pair -> one score."""

    def fuse(self, features: Float64Array, /) -> Float64Array:
        """(M, K) features, columns as ``feature_names`` -> (M,); higher is more alike."""
        ...


def feature_names(recognizers: Sequence[str]) -> tuple[str, ...]:
    """The columns of ``pair_features``: "sface.cosine", ..., "sface.norm_low", ..."""
    return tuple(f"{name}.{what}" for name in recognizers for what in (*METRICS, *NORMS))


def rises(names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """(K,) bool: which features must not lower the fused score when they grow: all but norms."""
    return np.array([name.rpartition(".")[2] not in NORMS for name in names])


def pair_features(a: Sequence[Side], b: Sequence[Side]) -> Float64Array:
    """The features of M pairs.

    Args:
        a, b: of each recognizer, in the order of ``feature_names``, the M photos on one side
            and on the other.

    Returns:
        (M, K) float64.

    Raises:
        OptionError: the sides do not fit each other.
    """
    if len(a) != len(b) or not a or len({len(side.norms) for side in (*a, *b)}) != 1:
        raise OptionError("expected as many recognizers and photos on both sides")
    columns: list[npt.NDArray[Any]] = []
    for one, other in zip(a, b, strict=True):
        raw_one, raw_other = (side.vectors * side.norms[:, None] for side in (one, other))
        for metric in METRICS.values():
            scores = (
                score_rows(one.vectors, other.vectors, metric.name)
                if metric.unit
                else score_rows(raw_one, raw_other, metric.name)
            )
            columns.append(scores if metric.higher_is_more_alike else -scores)
        columns.append(np.minimum(one.norms, other.norms))
        columns.append(np.maximum(one.norms, other.norms))
    return np.stack(columns, axis=1).astype(np.float64)


def features_of(
    sides: Sequence[Side], left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]
) -> Float64Array:
    """The features of the pairs (left[m], right[m]) of rows of ``sides``: (M, K) float64."""
    n = len(left)
    made = np.empty((n, len(sides) * (len(METRICS) + len(NORMS))))
    for start in range(0, n, BLOCK):
        rows = slice(start, start + BLOCK)
        a, b = (
            [Side(side.vectors[places[rows]], side.norms[places[rows]]) for side in sides]
            for places in (left, right)
        )
        made[rows] = pair_features(a, b)
    return made


@dataclass(frozen=True, eq=False, slots=True)
class Linear:
    """A weighted sum of standardized features.

    Attributes:
        mean, sd: (K,) what is taken off a feature, and what it is then divided by, above 0.
        weights: (K,).
        bias: added.
    """

    mean: Float64Array
    sd: Float64Array
    weights: Float64Array
    bias: float

    def __post_init__(self) -> None:
        """DataError unless the numbers fit together."""
        arrays = (self.mean, self.sd, self.weights)
        if len({array.shape for array in arrays}) != 1 or self.mean.ndim != 1:
            raise DataError("fusion: expected mean, sd and weights of one length")
        if not all(np.isfinite(array).all() for array in (*arrays, self.bias)):
            raise DataError("fusion: expected finite numbers")
        if not (self.sd > 0).all():
            raise DataError("fusion: expected standard deviations above 0")

    def fuse(self, features: Float64Array, /) -> Float64Array:
        """As ``Fusion.fuse``."""
        _check_width(features, len(self.mean))
        fused: Float64Array = ((features - self.mean) / self.sd) @ self.weights + self.bias
        return fused


class MeanFusion(Linear):
    """The weighted mean of standardized scores: weights sum to 1, those of norms are 0."""

    __slots__ = ()


class LogisticFusion(Linear):
    """Natural log odds, at equal numbers of genuine and impostor pairs."""

    __slots__ = ()


class BoostedFusion:
    """LightGBM's trees; natural log odds, at equal numbers of genuine and impostor pairs."""

    def __init__(self, model: str, n_features: int) -> None:
        """Load the trees.

        Args:
            model: LightGBM's own text format: numbers, no code. They are checked before LightGBM
                reads them.
            n_features: K.

        Raises:
            MissingExtraError: LightGBM is not installed.
            DataError: it is no model, or one of other features.
        """
        self._booster = load_booster(checked(model, n_features))
        self.n_features = n_features
        if self._booster.num_feature() != n_features:
            raise DataError(
                f"fusion: expected trees of {n_features} features, got "
                f"{self._booster.num_feature()}"
            )

    def fuse(self, features: Float64Array, /) -> Float64Array:
        """As ``Fusion.fuse``."""
        _check_width(features, self.n_features)
        if not len(features):
            return np.zeros(0)
        raw = self._booster.predict(features, raw_score=True, num_threads=1)
        return np.asarray(raw, np.float64)


def load_booster(model: str) -> Any:
    """A ``lightgbm.Booster`` of LightGBM's text format; raises as ``BoostedFusion``."""
    lightgbm = load_lightgbm()
    try:
        return lightgbm.Booster(model_str=model)
    except lightgbm.basic.LightGBMError as error:
        raise DataError(f"fusion: expected a LightGBM text model, got: {error}") from error


def load_lightgbm() -> Any:
    """The module. MissingExtraError: it is not installed."""
    try:
        import lightgbm
    except ImportError as error:
        raise MissingExtraError("using a boosted ensemble", "ensemble") from error
    return lightgbm


def _check_width(features: Float64Array, expected: int) -> None:
    if features.ndim != 2 or features.shape[1] != expected:
        raise OptionError(
            f"expected shape (M, {expected}), got {features.shape}", option="features"
        )
