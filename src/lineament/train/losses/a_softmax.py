"""A-Softmax (SphereFace): the own angle times m."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lineament.train.losses.head import Margin, check_number, check_whole


class ASoftmax(Margin):
    """Angular softmax.

        theta = angle between x_i and w_y,   k = floor(m theta / pi), at most m - 1
        psi   = (-1)^k cos(m theta) - 2 k                              (falls from 1 to 1 - 2 m)
        z_iy  = |x_i| (lambda cos theta + psi) / (1 + lambda),   z_ij = |x_i| cos(x_i, w_j)
        loss  = mean over i of  -log( exp z_iy / sum over j of exp z_ij )

    W. Liu et al., "SphereFace", CVPR 2017, section 3; lambda is of its authors' code: large
    at first, where the loss is the modified softmax, and

        lambda = max(least, start (1 + decay step)^-power)

    with the values of that code (5, 1000, 0.12, 1) as the defaults: the least is reached after 1658
    steps. Give a larger ``decay`` for a shorter run. ``advance`` sets lambda; it is saved in
    ``state_dict``.

    Args:
        margin: m, a whole number, at least 1.
        start: lambda at step 0; 0, with ``least`` 0, is psi alone.
        decay: see above.
        power: see above.
        least: what lambda does not fall below.
    """

    blend: Tensor

    def __init__(
        self,
        *,
        margin: int = 4,
        start: float = 1000.0,
        decay: float = 0.12,
        power: float = 1.0,
        least: float = 5.0,
    ) -> None:
        """Take the options above."""
        check_whole("loss a-softmax, margin", margin, 1)
        check_number("loss a-softmax, start", start, 0)
        check_number("loss a-softmax, decay", decay, 0)
        check_number("loss a-softmax, power", power, 0)
        check_number("loss a-softmax, least", least, 0)
        super().__init__(None)
        self.margin = margin
        self.start = start
        self.decay = decay
        self.power = power
        self.least = least
        self.register_buffer("blend", torch.tensor(max(start, least), dtype=torch.float64))

    def forward(self, cosine: Tensor, norm: Tensor) -> Tensor:
        """See ``Margin.forward``."""
        del norm
        theta = cosine.detach().clamp(-1, 1).acos()
        k = (theta * (self.margin / math.pi)).floor().clamp_max(self.margin - 1)
        # cos(m theta) as the Chebyshev polynomial of cos theta: its slope is exact at +-1.
        before, multiple = torch.ones_like(cosine), cosine
        for _ in range(self.margin - 1):
            before, multiple = multiple, 2 * cosine * multiple - before
        psi = torch.where(k % 2 == 0, multiple, -multiple) - 2 * k
        return (self.blend * cosine + psi) / (1 + self.blend)

    def advance(self, step: int, steps: int) -> None:
        """See ``Loss.advance``."""
        del steps
        value = self.start * (1 + self.decay * step) ** -self.power
        self.blend.fill_(max(value, self.least))

    def figures(self) -> dict[str, Tensor | float]:
        """See ``Margin.figures``."""
        return {"lambda": self.blend.clone()}
