"""Two-dimensional embeddings -> the angles within people and between them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.train.toy.result import ToyLoss
from lineament.types import Float64Array


def measured(
    name: str,
    options: Mapping[str, Any],
    embeddings_xy: Float64Array,
    labels: npt.NDArray[np.int64],
    classes: int,
    weights_xy: Float64Array | None = None,
    *,
    bias: Float64Array | None = None,
    loss: float = math.nan,
    seconds: float = 0.0,
) -> ToyLoss:
    """Measure the angles of embeddings in the plane.

    Args:
        name: of the loss.
        options: of the loss.
        embeddings_xy: (N, 2).
        labels: (N,) 0 to C - 1; everybody has one at least.
        classes: C.
        weights_xy: (C, 2) of the classifier; None without one.
        bias: (C,) of the classifier; None where only directions count.
        loss: of the end of the training.
        seconds: that it took.
    """
    unit = _unit(embeddings_xy)  # (N, 2)
    means = _unit(np.stack([unit[labels == k].mean(0) for k in range(classes)]))  # (C, 2)
    own = _degrees(unit, means[labels])
    within = float(np.mean([own[labels == k].mean() for k in range(classes)]))
    pairs = [float(_degrees(means[a], means[b])) for a in range(classes) for b in range(a)]
    if weights_xy is None:
        scores = unit @ means.T  # (N, 2) @ (2, C) -> (N, C)
    elif bias is None:
        scores = unit @ _unit(weights_xy).T
    else:
        scores = embeddings_xy @ weights_xy.T + bias
    off = None if weights_xy is None else float(_degrees(_unit(weights_xy), means).mean())
    return ToyLoss(
        name=name,
        options=dict(options),
        embeddings_xy=embeddings_xy,
        centers_xy=means if weights_xy is None else weights_xy,
        has_weights=weights_xy is not None,
        within_deg=within,
        median_deg=float(np.median(own)),
        least_between_deg=min(pairs),
        weights_off_deg=off,
        accuracy=float((scores.argmax(1) == labels).mean()),
        loss=loss,
        seconds=seconds,
    )


def _unit(rows: Float64Array) -> Float64Array:
    scaled: Float64Array = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
    return scaled


def _degrees(a: Float64Array, b: Float64Array) -> Float64Array:
    """Angles between unit vectors of the plane, exact for small ones, where arccos is not."""
    across = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    along = (a * b).sum(-1)
    turned: Float64Array = np.degrees(np.abs(np.arctan2(across, along)))
    return turned
