"""Softmax: the plain classifier."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own way to write it)
from torch import Tensor, nn

from lineament.train.losses.head import check_batch, check_switch, full_precision
from lineament.train.losses.loss import Loss, LossValue


class Softmax(Loss):
    """Cross-entropy of a linear classifier.

        z_ij = w_j . x_i + b_j
        loss = mean over i of  -log( exp z_iy / sum over j of exp z_ij )

    Y. Taigman et al., "DeepFace", CVPR 2014, trains with it; so does Y. Wen et al.,
    ECCV 2016 (equation 1), who show in two dimensions why margins are wanted.

    Args:
        dimension: D.
        classes: C.
        bias: whether there are b_j.
    """

    def __init__(self, dimension: int, classes: int, *, bias: bool = True) -> None:
        """Take the arguments above."""
        super().__init__(dimension, classes)
        check_switch("loss softmax, bias", bias)
        self.weight = nn.Parameter(torch.empty(classes, dimension))
        self.bias = nn.Parameter(torch.zeros(classes)) if bias else None
        nn.init.normal_(self.weight, std=0.01)

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """See ``Loss.forward``."""
        check_batch(embeddings, labels, self.dimension, self.classes)
        x = full_precision(embeddings)  # (N, D)
        if len(labels) == 0:
            return LossValue(x.sum() * 0)
        with torch.autocast(x.device.type, enabled=False):
            bias = None if self.bias is None else self.bias.to(x.dtype)
            logits = F.linear(x, self.weight.to(x.dtype), bias)  # (N, D) @ (D, C) -> (N, C)
            loss = F.cross_entropy(logits, labels)
        right = (logits.detach().argmax(dim=1) == labels).to(x.dtype).mean()
        return LossValue(loss, {"right": right, "norm": x.detach().norm(dim=1).mean()})
