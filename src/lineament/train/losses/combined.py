"""Combined margins: a factor and an offset of the angle, and an offset of the cosine."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lineament.train.losses.head import Margin, angle, check_number


class Combined(Margin):
    """SphereFace's, ArcFace's and CosFace's margins in one.

        phi  = m1 theta + m2,   theta = angle between x_i and w_y,   k = floor(phi / pi)
        z_iy = s ((-1)^k cos phi - 2 k - m3),   z_ij = s cos(x_i, w_j)
        loss = mean over i of  -log( exp z_iy / sum over j of exp z_ij )

    J. Deng et al., "ArcFace", CVPR 2019, equation 4, is the case k = 0: cos(m1 theta + m2) - m3.
    That rises again past phi = pi. Here it is continued as SphereFace continues its cosine (see
    ``a_softmax``), which is smooth, and falls for all m1 and m2. So m1 = 1, m3 = 0 is ``arcface``
    up to theta = pi - m2, and continues otherwise past it; m2 = 0 and m1 = 1 is ``cosface``. The
    defaults (1, 0.3, 0.2) are of the paper; it also tries (0.9, 0.4, 0.15).

    Args:
        m1: factor of the angle, more than 0.
        m2: radians, 0 to less than pi.
        m3: 0 to 2.
        scale: s, more than 0.
    """

    def __init__(
        self, *, m1: float = 1.0, m2: float = 0.3, m3: float = 0.2, scale: float = 64.0
    ) -> None:
        """Take the options above."""
        check_number("loss combined, m1", m1, 0, open_least=True)
        check_number("loss combined, m2 (radians)", m2, 0, math.pi, open_most=True)
        check_number("loss combined, m3", m3, 0, 2)
        check_number("loss combined, scale", scale, 0, open_least=True)
        super().__init__(scale)
        self.m1 = m1
        self.m2 = m2
        self.m3 = m3

    def forward(self, cosine: Tensor, norm: Tensor) -> Tensor:
        """See ``Margin.forward``."""
        del norm
        phi = self.m1 * angle(cosine) + self.m2
        k = (phi.detach() / math.pi).floor()
        moved = torch.cos(phi)
        return torch.where(k % 2 == 0, moved, -moved) - 2 * k - self.m3
