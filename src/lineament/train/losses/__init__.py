"""Losses by name: embeddings and labels in, one number out. One file a loss; see ``loss.Loss``.

Importing this loads no PyTorch; ``make_loss`` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lineament.errors import OptionError
from lineament.train._registry import looked_up

if TYPE_CHECKING:
    from lineament.train.losses.loss import Loss

LOSSES: dict[str, str] = {
    "softmax": "lineament.train.losses.softmax:Softmax",
    "normalized-softmax": "lineament.train.losses.normalized_softmax:NormalizedSoftmax",
    "contrastive": "lineament.train.losses.contrastive:Contrastive",
    "triplet": "lineament.train.losses.triplet:Triplet",
    "siamese": "lineament.train.losses.siamese:Siamese",
    "centre": "lineament.train.losses.center:Center",
    "a-softmax": "lineament.train.losses.a_softmax:ASoftmax",
    "cosface": "lineament.train.losses.cosface:CosFace",
    "arcface": "lineament.train.losses.arcface:ArcFace",
    "combined": "lineament.train.losses.combined:Combined",
    "curricularface": "lineament.train.losses.curricularface:CurricularFace",
    "magface": "lineament.train.losses.magface:MagFace",
    "adaface": "lineament.train.losses.adaface:AdaFace",
    "subcenter-arcface": "lineament.train.losses.subcenter_arcface:SubcenterArcFace",
    "partial-fc": "lineament.train.losses.partial_fc:PartialFC",
}
"""Name -> "module:Class", of a ``Loss``, which takes ``dimension``, ``classes`` and its options by
keyword, or of a ``Margin``, which takes its options and makes a ``MarginLoss``."""

_COMMON = ("self", "dimension", "classes")


def make_loss(name: str, dimension: int, classes: int, **options: Any) -> Loss:
    """Build a loss; its parameters are drawn from PyTorch's global generator.

    Args:
        name: one of ``LOSSES``.
        dimension: D, length of the embeddings, at least 1.
        classes: C, number of people in the training set, at least 1.
        options: of the loss, see its class.

    Raises:
        OptionError: no such loss or option, or a value that it cannot have.
        MissingExtraError: PyTorch is not installed.
    """
    kind: Any = looked_up("loss", LOSSES, name, options, _COMMON)
    for what, value in (("dimension", dimension), ("classes", classes)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise OptionError(
                f"loss {name}, {what}: expected a whole number, at least 1, got {value!r}"
            )
    from lineament.train.losses.head import Margin, MarginLoss

    if issubclass(kind, Margin):
        return MarginLoss(dimension, classes, kind(**options))
    loss: Loss = kind(dimension, classes, **options)
    return loss
