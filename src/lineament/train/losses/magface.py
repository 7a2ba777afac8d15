"""MagFace: the norm of the embedding says how good the photo is."""

from __future__ import annotations

import math

from torch import Tensor

from lineament.errors import OptionError
from lineament.train.losses.arcface import arc_margin
from lineament.train.losses.head import Margin, check_number, check_switch


class MagFace(Margin):
    """Magnitude-aware margin.

        a_i  = |x_i|, held between l_a and u_a
        m_i  = l_m + (u_m - l_m) / (u_a - l_a) (a_i - l_a)
        z_iy = s cos(theta + m_i), past pi - m_i as in ``arcface``,   z_ij = s cos(x_i, w_j)
        g_i  = 1 / a_i + a_i / u_a^2
        loss = mean over i of  -log( exp z_iy / sum over j of exp z_ij ) + lambda_g g_i

    Q. Meng et al., "MagFace", CVPR 2021, section 3; the defaults are its authors'. The
    gradient goes through m_i and g_i into the length of the embedding, but not outside l_a to u_a:
    a backbone whose embeddings are not of such lengths needs other limits.

    Args:
        least_norm: l_a, more than 0.
        most_norm: u_a, more than ``least_norm``.
        least_margin: l_m in radians.
        most_margin: u_m in radians, less than pi.
        penalty_weight: lambda_g, at least 0.
        scale: s, more than 0.
        easy_margin: see ``arcface``.
    """

    def __init__(
        self,
        *,
        least_norm: float = 10.0,
        most_norm: float = 110.0,
        least_margin: float = 0.45,
        most_margin: float = 0.8,
        penalty_weight: float = 35.0,
        scale: float = 64.0,
        easy_margin: bool = False,
    ) -> None:
        """Take the options above."""
        check_number("loss magface, least_norm", least_norm, 0, open_least=True)
        check_number("loss magface, most_norm", most_norm, 0, open_least=True)
        check_number("loss magface, least_margin (radians)", least_margin, 0)
        check_number("loss magface, most_margin (radians)", most_margin, 0, math.pi, open_most=True)
        check_number("loss magface, penalty_weight", penalty_weight, 0)
        check_number("loss magface, scale", scale, 0, open_least=True)
        check_switch("loss magface, easy_margin", easy_margin)
        if least_norm >= most_norm or least_margin > most_margin:
            raise OptionError(
                "loss magface: expected least_norm < most_norm and least_margin <= most_margin, "
                f"got {least_norm:g}, {most_norm:g} and {least_margin:g}, {most_margin:g}"
            )
        super().__init__(scale)
        self.least_norm = least_norm
        self.most_norm = most_norm
        self.least_margin = least_margin
        self.most_margin = most_margin
        self.penalty_weight = penalty_weight
        self.easy_margin = easy_margin

    def forward(self, cosine: Tensor, norm: Tensor) -> Tensor:
        """See ``Margin.forward``."""
        slope = (self.most_margin - self.least_margin) / (self.most_norm - self.least_norm)
        a = norm.clamp(self.least_norm, self.most_norm)
        margin = self.least_margin + slope * (a - self.least_norm)
        return arc_margin(cosine, margin, easy=self.easy_margin)

    def penalty(self, norm: Tensor) -> Tensor | None:
        """See ``Margin.penalty``."""
        a = norm.clamp(self.least_norm, self.most_norm)
        return self.penalty_weight * (1 / a + a / self.most_norm**2).mean()
