"""Contrastive loss: photos of one person together, those of two at least a margin apart."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor

from lineament.train.losses.distances import euclidean, same_person, unit_rows
from lineament.train.losses.head import check_batch, check_number, check_switch, full_precision
from lineament.train.losses.loss import Loss, LossValue


class Contrastive(Loss):
    """Contrastive loss over all pairs of the batch.

    Hadsell, Chopra, LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006,
    equation 4. With the Euclidean distance d of a pair::

        1/2 d^2                 where both show one person
        1/2 max(0, m - d)^2     where they show two

    The loss is the mean over all N (N - 1) / 2 pairs; ``balanced`` takes the mean of either kind
    and then the mean of both, since a batch has many more pairs of two people. Where two people
    have exactly the same embedding no direction leads away from it, and the gradient is 0.

    Figures: ``positive_pairs``, ``negative_pairs``, ``active_pairs`` (those of two people nearer
    than the margin), ``positive_distance`` and ``negative_distance`` (means).
    """

    wants: ClassVar[Literal["photos", "people"]] = "people"

    def __init__(
        self,
        dimension: int,
        classes: int,
        *,
        margin: float = 1.0,
        normalize: bool = True,
        balanced: bool = False,
    ) -> None:
        """Choose the margin.

        Args:
            dimension: D.
            classes: C; not needed, since the loss has no parameters.
            margin: m, above 0, in the unit of the distance. Unit vectors are at most 2 apart.
            normalize: scale the embeddings to length 1 first. The paper does not; recognizers
                compare unit vectors.
            balanced: let both kinds of pairs weigh the same.

        Raises:
            OptionError: a margin that is not above 0, or is 2 or more on unit vectors.
        """
        super().__init__(dimension, classes)
        check_switch("loss contrastive, normalize", normalize)
        check_switch("loss contrastive, balanced", balanced)
        what, most = "loss contrastive, margin", math.inf
        if normalize:
            what, most = f"{what} (unit vectors are at most 2 apart)", 2.0
        check_number(what, margin, 0, most, open_least=True, open_most=normalize)
        self.margin = float(margin)
        self.normalize = normalize
        self.balanced = balanced

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """See ``Loss.forward``; 0 where the batch is one photo."""
        check_batch(embeddings, labels, self.dimension, self.classes)
        x = full_precision(embeddings)  # (N, D)
        if self.normalize:
            x = unit_rows(x)
        n = len(x)
        a, b = torch.triu_indices(n, n, offset=1, device=x.device)  # (N (N - 1) / 2,) each
        apart = euclidean(x)[a, b]
        same = same_person(labels)[a, b]
        positive, negative = apart[same], apart[~same]
        pull = positive.square() / 2
        push = (self.margin - negative).clamp_min(0).square() / 2
        if self.balanced and len(pull) and len(push):
            loss = (pull.mean() + push.mean()) / 2
        else:
            loss = (pull.sum() + push.sum()) / max(1, len(apart))
        nothing = x.new_zeros(())
        return LossValue(
            loss,
            {
                "positive_pairs": float(len(positive)),
                "negative_pairs": float(len(negative)),
                "active_pairs": (negative.detach() < self.margin).sum(),
                "positive_distance": positive.detach().mean() if len(positive) else nothing,
                "negative_distance": negative.detach().mean() if len(negative) else nothing,
            },
        )
