"""CosFace: a margin on the cosine."""

from __future__ import annotations

from torch import Tensor

from lineament.train.losses.head import Margin, check_number


class CosFace(Margin):
    """Large margin cosine loss.

        z_iy = s (cos(x_i, w_y) - m),   z_ij = s cos(x_i, w_j)
        loss = mean over i of  -log( exp z_iy / sum over j of exp z_ij )

    H. Wang et al., "CosFace", CVPR 2018, equation 4; m = 0.35 and s = 64 are the paper's. The same
    as the additive margin softmax of F. Wang et al., 2018.

    Args:
        margin: m, 0 to 2.
        scale: s, more than 0.
    """

    def __init__(self, *, margin: float = 0.35, scale: float = 64.0) -> None:
        """Take the options above."""
        check_number("loss cosface, margin", margin, 0, 2)
        check_number("loss cosface, scale", scale, 0, open_least=True)
        super().__init__(scale)
        self.margin = margin

    def forward(self, cosine: Tensor, norm: Tensor) -> Tensor:
        """See ``Margin.forward``."""
        del norm
        return cosine - self.margin
