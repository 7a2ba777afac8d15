"""ArcFace: a margin on the angle."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lineament.train.losses.head import Margin, angle, check_number, check_switch


def arc_margin(cosine: Tensor, margin: Tensor | float, *, easy: bool) -> Tensor:
    """cos(theta + m), made to fall over all angles; see ``ArcFace``.

    Args:
        cosine: (N,).
        margin: m in radians, a number or (N,).
        easy: add the margin only where the angle is less than 90 degrees.
    """
    m = torch.as_tensor(margin, dtype=cosine.dtype, device=cosine.device)
    theta = angle(cosine)
    moved = torch.cos(theta + m)
    if easy:
        return torch.where(cosine > 0, moved, cosine)
    return torch.where(theta <= math.pi - m, moved, cosine - m * torch.sin(m))


class ArcFace(Margin):
    """Additive angular margin loss.

        theta = angle between x_i and w_y
        z_iy  = s cos(theta + m)              where theta <= pi - m
              = s (cos theta - m sin m)       past it
        z_ij  = s cos(x_i, w_j)
        loss  = mean over i of  -log( exp z_iy / sum over j of exp z_ij )

    J. Deng et al., "ArcFace", CVPR 2019, equation 3; m = 0.5 and s = 64 are the paper's. Past
    pi - m, cos(theta + m) would rise again and push the worst photos away from their center.
    The second line, a tangent-like CosFace margin, is what the authors' code does, and what others
    (pytorch-metric-learning) took over; it keeps z_iy falling in theta, with a step down at pi - m.
    With ``easy_margin`` there is a margin only where theta < pi / 2, and s cos theta beyond: of the
    authors' code too, for training that does not start to converge.

    Args:
        margin: m in radians, 0 to less than pi.
        scale: s, more than 0.
        easy_margin: see above.
    """

    def __init__(
        self, *, margin: float = 0.5, scale: float = 64.0, easy_margin: bool = False
    ) -> None:
        """Take the options above."""
        check_number("loss arcface, margin (radians)", margin, 0, math.pi, open_most=True)
        check_number("loss arcface, scale", scale, 0, open_least=True)
        check_switch("loss arcface, easy_margin", easy_margin)
        super().__init__(scale)
        self.margin = margin
        self.easy_margin = easy_margin

    def forward(self, cosine: Tensor, norm: Tensor) -> Tensor:
        """See ``Margin.forward``."""
        del norm
        return arc_margin(cosine, self.margin, easy=self.easy_margin)
