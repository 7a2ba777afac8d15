"""Normalized softmax: only the directions of the centers count."""

from __future__ import annotations

from lineament.train.losses.head import Margin, check_number


class NormalizedSoftmax(Margin):
    """Cross-entropy of scaled cosines, without a margin.

        z_ij = s cos(x_i, w_j)          F. Wang et al., "NormFace", ACM MM 2017
        z_ij = |x_i| cos(x_i, w_j)      scale = None: "modified softmax" of W. Liu et al.,
                                        "SphereFace", CVPR 2017
        loss = mean over i of  -log( exp z_iy / sum over j of exp z_ij )

    Args:
        scale: s, more than 0; None takes the norm of each embedding.
    """

    def __init__(self, *, scale: float | None = 64.0) -> None:
        """Take the options above."""
        if scale is not None:
            check_number("loss normalized-softmax, scale", scale, 0, open_least=True)
        super().__init__(scale)
