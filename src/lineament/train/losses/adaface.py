"""AdaFace: a margin that depends on how good the photo seems among the others."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lineament.train.losses.head import Margin, angle, check_number

_LEAST_NORM = 0.001
_MOST_NORM = 100.0
_LEAST_DEVIATION = 0.001
"""Of the authors' code (github.com/mk-minchul/AdaFace): limits of the norms that count, and what is
added to their standard deviation."""


class AdaFace(Margin):
    """Quality-adaptive margin.

        q_i  = (|x_i| - mu) / (sigma / h), held between -1 and 1
        z_iy = s (cos(theta + g_angle) - g_add),   g_angle = -m q_i,   g_add = m q_i + m
        z_ij = s cos(x_i, w_j)
        loss = mean over i of  -log( exp z_iy / sum over j of exp z_ij )
        mu, sigma <- (1 - momentum) (mean, deviation of the batch's norms) + momentum (mu, sigma)

    M. Kim et al., "AdaFace", CVPR 2022, section 3; the defaults are its authors'. A bad
    photo (q = -1) gets ArcFace's margin, a middling one CosFace's, a good one a negative angle
    and twice the cosine margin. theta + g_angle is held between 0 and pi. No gradient goes through
    q. mu and sigma start at 20 and 100, move in training only, before each batch's use, are kept as
    they were by a batch of one, and are saved in ``state_dict``. A new batch counts for 0.01 of
    them, as in the authors' training scripts.

    Args:
        margin: m, 0 to pi / 2.
        concentration: h, more than 0.
        momentum: 0 to 1.
        scale: s, more than 0.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        *,
        margin: float = 0.4,
        concentration: float = 0.333,
        momentum: float = 0.99,
        scale: float = 64.0,
    ) -> None:
        """Take the options above."""
        check_number("loss adaface, margin", margin, 0, math.pi / 2)
        check_number("loss adaface, concentration", concentration, 0, open_least=True)
        check_number("loss adaface, momentum", momentum, 0, 1)
        check_number("loss adaface, scale", scale, 0, open_least=True)
        super().__init__(scale)
        self.margin = margin
        self.concentration = concentration
        self.momentum = momentum
        # The starting values of the authors' code.
        self.register_buffer("mean", torch.tensor(20.0))
        self.register_buffer("deviation", torch.tensor(100.0))

    def observe(self, cosine: Tensor, norm: Tensor) -> None:
        """See ``Margin.observe``."""
        del cosine
        if len(norm) < 2:  # One photo has no deviation.
            return
        norm = norm.clamp(_LEAST_NORM, _MOST_NORM)
        self.mean.lerp_(norm.mean().to(self.mean.dtype), 1 - self.momentum)
        self.deviation.lerp_(norm.std().to(self.mean.dtype), 1 - self.momentum)

    def forward(self, cosine: Tensor, norm: Tensor) -> Tensor:
        """See ``Margin.forward``."""
        norm = norm.detach().clamp(_LEAST_NORM, _MOST_NORM)
        quality = (norm - self.mean) / (self.deviation + _LEAST_DEVIATION) * self.concentration
        shift = self.margin * quality.clamp(-1, 1)
        theta = (angle(cosine) - shift).clamp(0, math.pi)
        return torch.cos(theta) - (shift + self.margin)

    def figures(self) -> dict[str, Tensor | float]:
        """See ``Margin.figures``."""
        return {"norm_mean": self.mean.clone(), "norm_deviation": self.deviation.clone()}
