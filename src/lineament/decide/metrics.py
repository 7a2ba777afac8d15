"""Stage 5: two embeddings -> a score -> a decision.

Ways to compare embeddings a and b (u and v when scaled to length 1, c their cosine):

| name | value | range | more alike |
|---|---|---|---|
| cosine | u . v | -1 to 1 | higher |
| euclidean | distance of a and b as the network gave them | 0 to |a| + |b| | lower |
| euclidean_l2 | distance of u and v, sqrt(2 - 2c) | 0 to 2 | lower |
| angular | angle between u and v over 180 degrees, acos(c) / pi | 0 to 1 | lower |
| chi_square | sum over k of (u_k - v_k)^2 / (|u_k| + |v_k|) | 0 to 2 sqrt(D) | lower |
| siamese | log-odds of the model's learned similarity (``decide.siamese``) | any | higher |

Cosine, euclidean_l2 and angular order all pairs alike, so they make the same decisions. Chi-square
is that of DeepFace (Taigman et al., CVPR 2014, section 4.1), whose features were never negative;
with signed ones the magnitudes stand in the denominator, or it could vanish. Siamese belongs to a
model that has such a head; the others to all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

from lineament.errors import OptionError
from lineament.types import FloatArray

MetricName = Literal["cosine", "euclidean", "euclidean_l2", "angular", "chi_square", "siamese"]

DEFAULT_METRIC: MetricName = "cosine"
SIAMESE: Final = "siamese"
"""The metric that is learned, and needs the head of a model."""

BLOCK_BYTES = 64 << 20
"""How large an intermediate result of a score matrix may be."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A way to compare embeddings.

    Attributes:
        name: as in the table above.
        least, greatest: the range; ``greatest`` is None when it depends on the embeddings.
        higher_is_more_alike: the direction.
        unit: whether it takes vectors of length 1 (else as long as the network made them).
        matrix: (N, D) and (M, D) -> (N, M).
        rows: (N, D) and (N, D) -> (N,).
    """

    name: MetricName
    least: float
    greatest: float | None
    higher_is_more_alike: bool
    unit: bool
    matrix: Callable[[FloatArray, FloatArray], FloatArray]
    rows: Callable[[FloatArray, FloatArray], FloatArray]


class Head(Protocol):
    """A learned similarity, which belongs to a model: ``decide.siamese.SiameseHead``."""

    @property
    def metric(self) -> Metric:
        """The way to compare embeddings by it."""
        ...


def _cosines(a: FloatArray, b: FloatArray) -> FloatArray:
    cosines: FloatArray = np.clip(a @ b.T, -1, 1)
    return cosines


def _cosine_rows(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.clip(np.einsum("nd,nd->n", a, b), -1, 1)  # type: ignore[no-any-return]


def _distances(a: FloatArray, b: FloatArray) -> FloatArray:
    # |a - b|^2 = |a|^2 + |b|^2 - 2 a.b, in float64: the difference of near equals loses digits
    a, b = a.astype(np.float64), b.astype(np.float64)
    squared = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * (a @ b.T)
    return np.sqrt(np.maximum(squared, 0)).astype(np.float32)  # type: ignore[no-any-return]


def _distance_rows(a: FloatArray, b: FloatArray) -> FloatArray:
    lengths: FloatArray = np.linalg.norm(a - b, axis=1)
    return lengths


def _angles(cosines: FloatArray) -> FloatArray:
    return (np.arccos(cosines) / np.pi).astype(np.float32)


def _chi_square_rows(a: FloatArray, b: FloatArray) -> FloatArray:
    total = np.abs(a) + np.abs(b)
    # Where both are zero the difference is too: such a term is 0.
    terms = np.divide((a - b) ** 2, total, out=np.zeros_like(total), where=total > 0)
    return terms.sum(axis=-1)  # type: ignore[no-any-return]


def _chi_square(a: FloatArray, b: FloatArray) -> FloatArray:
    scores = np.empty((len(a), len(b)), np.float32)
    pairs = max(1, BLOCK_BYTES // max(1, b.itemsize * b.shape[1]))  # of one block
    columns = max(1, min(len(b), pairs))
    rows = pairs // columns
    for top in range(0, len(a), rows):
        for left in range(0, len(b), columns):
            block = np.s_[top : top + rows], np.s_[left : left + columns]
            scores[block] = _chi_square_rows(a[block[0], None], b[None, block[1]])
    return scores


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("cosine", -1, 1, True, True, _cosines, _cosine_rows),
        Metric("euclidean", 0, None, False, False, _distances, _distance_rows),
        Metric("euclidean_l2", 0, 2, False, True, _distances, _distance_rows),
        Metric(
            "angular",
            0,
            1,
            False,
            True,
            lambda a, b: _angles(_cosines(a, b)),
            lambda a, b: _angles(_cosine_rows(a, b)),
        ),
        Metric("chi_square", 0, None, False, True, _chi_square, _chi_square_rows),
    )
}


def _without_head(a: FloatArray, b: FloatArray) -> FloatArray:
    raise OptionError(
        f"expected the head of a model with the metric {SIAMESE!r}, got none",
        option="head",
        hint="lineament.decide.siamese.require_head(embedding.contract) has it",
    )


_UNBOUND = Metric(SIAMESE, -np.inf, None, True, True, _without_head, _without_head)
"""What is the same for all heads."""

METRIC_NAMES: tuple[str, ...] = (*METRICS, SIAMESE)
"""All that can be asked for; the learned one of models that have it."""


def get_metric(name: str, head: Head | None = None) -> Metric:
    """The metric of that name; OptionError names the others.

    Args:
        name: one of ``METRIC_NAMES``.
        head: of the model, for "siamese"; without it there is the direction and no score.
    """
    if head is not None and not isinstance(getattr(head, "metric", None), Metric):
        raise OptionError(f"expected the head of a model, got {type(head).__name__}", option="head")
    if name == SIAMESE:
        return _UNBOUND if head is None else head.metric
    if not isinstance(name, str) or name not in METRICS:
        raise OptionError(
            f"expected one of {', '.join(METRIC_NAMES)}, got {name!r}", option="metric"
        )
    return METRICS[name]


def score_matrix(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    metric: str = DEFAULT_METRIC,
    *,
    head: Head | None = None,
) -> FloatArray:
    """Every vector of ``a`` (N, D) against every one of ``b`` (M, D): (N, M) float32.

    Metrics on unit vectors scale their input themselves.

    Args:
        a, b: vectors; those of "euclidean", and of some heads, as long as the network made them.
        metric: one of ``METRIC_NAMES``.
        head: of the model, for "siamese".

    Raises:
        OptionError: unknown metric, "siamese" without a head, shapes that do not fit, or a vector
            of length zero.
    """
    chosen = get_metric(metric, head)
    return chosen.matrix(_prepared(a, chosen), _prepared(b, chosen, like=a))


def score_rows(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    metric: str = DEFAULT_METRIC,
    *,
    head: Head | None = None,
) -> FloatArray:
    """Row by row: ``a`` (N, D) against ``b`` (N, D): (N,) float32. The rest as ``score_matrix``."""
    chosen = get_metric(metric, head)
    first, second = _prepared(a, chosen), _prepared(b, chosen, like=a)
    if len(first) != len(second):
        raise OptionError(
            f"expected as many vectors on both sides, got {len(first)} and {len(second)}"
        )
    return chosen.rows(first, second)


def _prepared(
    values: npt.ArrayLike, metric: Metric, like: npt.ArrayLike | None = None
) -> FloatArray:
    try:
        with np.errstate(over="ignore"):  # what overflows is refused below, as infinite
            vectors = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise OptionError(f"expected vectors of shape (N, D): {error}") from error
    if vectors.ndim != 2:
        raise OptionError(f"expected vectors of shape (N, D), got {vectors.shape}")
    if like is not None and np.shape(like)[-1] != vectors.shape[1]:
        raise OptionError(
            f"expected vectors of one length, got {np.shape(like)[-1]} and {vectors.shape[1]}"
        )
    if not np.isfinite(vectors).all():
        raise OptionError("expected finite numbers, got NaN or infinity")
    if not metric.unit:
        return vectors
    # Squares in float64: in float32 those of 1e20 overflow and those of 1e-25 vanish.
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))[:, None]
    if not (lengths > 0).all():
        raise OptionError("expected vectors with a direction, got one of length zero")
    unit: FloatArray = np.divide(vectors, lengths, out=np.empty_like(vectors), casting="same_kind")
    return unit
