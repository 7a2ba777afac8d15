"""What a face expresses: probabilities of seven names, or "undecided".

    ExpressionReader    aligned squares of faces -> probabilities
    joined()            the same with the smile that the mesh sees

The network is FaceExpressionNet of face-api.js (the model "expression"), sixteen small
convolutions. It sees the same square as the one of the ages, and its mirror image. The mesh's
blendshapes "mouthSmile" are a second opinion on "happy"; the mean of both is taken.

"Sad", "angry", "fearful", "disgusted" and "surprised" are names of what its training photos were
called; see ``lineament.attributes.limits`` for how often somebody who looked agreed.
"""

from __future__ import annotations

from typing import get_args

import numpy as np

from lineament.align.blendshapes import BLENDSHAPES
from lineament.attributes.results import Expression, ExpressionName
from lineament.models.runtime import Model
from lineament.types import Float64Array, FloatArray, Image

MODEL = "expression"

EXPRESSIONS = tuple(name for name in get_args(ExpressionName) if name != "undecided")
"""(7,) names, in the network's order."""

LEAST_PROBABILITY = 0.6
"""Of the most probable one; below it the verdict is "undecided"."""

BATCH = 64

_HAPPY = EXPRESSIONS.index("happy")
_SMILE = [BLENDSHAPES.index("mouthSmileLeft"), BLENDSHAPES.index("mouthSmileRight")]


class ExpressionReader:
    """Reads expressions by a loaded network. Calls from several threads are safe."""

    def __init__(self, model: Model) -> None:
        """``model``: "expression"."""
        self._model = model

    def read_shown(self, shown: Image) -> FloatArray:
        """Look at pictures cut as ``AgeEstimator.shown`` cuts them, and at their mirror images.

        Args:
            shown: (N, 112, 112, 3) uint8, RGB.

        Returns:
            (N, 7) float32, 0 to 1, in the order of ``EXPRESSIONS``.
        """
        shares = np.zeros((len(shown), len(EXPRESSIONS)), np.float32)
        for start in range(0, len(shown), BATCH):
            part = shown[start : start + BATCH].transpose(0, 3, 1, 2)
            for side in (part, part[..., ::-1]):
                (found,) = self._model(np.ascontiguousarray(side, dtype=np.float32))
                shares[start : start + BATCH] += found / np.float32(2)
        return shares


def joined(shares: FloatArray, blendshapes: FloatArray) -> Float64Array:
    """Average "happy" with the smile of the mesh; the others keep their proportions.

    Args:
        shares: (N, 7), as the network says.
        blendshapes: (N, 52), of the same faces.

    Returns:
        (N, 7) float64, 0 to 1; each row sums to 1.
    """
    values = shares.astype(np.float64)
    happy = (values[:, _HAPPY] + blendshapes[:, _SMILE].astype(np.float64).mean(axis=1)) / 2
    values[:, _HAPPY] = 0
    rest = np.maximum(values.sum(axis=1, keepdims=True), 1e-9)
    values *= (1 - happy)[:, None] / rest
    values[:, _HAPPY] = 1 - values.sum(axis=1)
    return np.clip(values, 0, 1)


def expression_of(probabilities: Float64Array) -> Expression:
    """Name the expression of one face, (7,)."""
    best = int(np.argmax(probabilities))
    sure = probabilities[best] >= LEAST_PROBABILITY
    verdict: ExpressionName = EXPRESSIONS[best] if sure else "undecided"
    return Expression(verdict, dict(zip(EXPRESSIONS, probabilities.tolist(), strict=True)))
