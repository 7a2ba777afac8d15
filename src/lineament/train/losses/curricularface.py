"""CurricularFace: easy negatives first, hard ones later."""

from __future__ import annotations

import torch
from torch import Tensor

from lineament.train.losses.arcface import ArcFace
from lineament.train.losses.head import check_number


class CurricularFace(ArcFace):
    """Adaptive curriculum learning loss.

        z_iy = s T,   T = the own cosine with ArcFace's margin (see ``arcface``)
        z_ij = s c              where c = cos(x_i, w_j) <= T     (easy)
             = s c (t + c)      elsewhere                        (hard)
        t   <- (1 - momentum) mean over i of cos(x_i, w_y) + momentum t,   before each batch's use
        loss = mean over i of  -log( exp z_iy / sum over j of exp z_ij )

    Y. Huang et al., "CurricularFace", CVPR 2020, section 3. t starts at 0, where
    hard negatives weigh less than they would, and grows as the photos find their centers. Its
    gradient is not taken. t moves in training only, is saved in ``state_dict``, and a new batch
    counts for 0.01 of it, as in the authors' code. Needs the (N, C) cosines twice in memory.

    Args:
        margin: m in radians, 0 to less than pi.
        scale: s, more than 0.
        momentum: 0 to 1.
    """

    t: Tensor

    def __init__(self, *, margin: float = 0.5, scale: float = 64.0, momentum: float = 0.99) -> None:
        """Take the options above."""
        super().__init__(margin=margin, scale=scale)
        check_number("loss curricularface, momentum", momentum, 0, 1)
        self.momentum = momentum
        self.register_buffer("t", torch.zeros(()))

    def observe(self, cosine: Tensor, norm: Tensor) -> None:
        """See ``Margin.observe``."""
        del norm
        self.t.lerp_(cosine.mean().to(self.t.dtype), 1 - self.momentum)

    def easing(self) -> Tensor | None:
        """See ``Margin.easing``."""
        return self.t

    def figures(self) -> dict[str, Tensor | float]:
        """See ``Margin.figures``."""
        return {"t": self.t.clone()}
