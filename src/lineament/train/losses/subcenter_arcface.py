"""Sub-center ArcFace: several centers a class, so that wrong photos get one of their own."""

from __future__ import annotations

from lineament.train.losses.arcface import ArcFace
from lineament.train.losses.head import check_whole


class SubcenterArcFace(ArcFace):
    """ArcFace over the nearest of K centers.

        cos_ij = max over k of cos(x_i, w_jk)
        z_iy   = s times the own cosine with ArcFace's margin (see ``arcface``)
        z_ij   = s cos_ij
        loss   = mean over i of  -log( exp z_iy / sum over j of exp z_ij )

    J. Deng et al., "Sub-center ArcFace", ECCV 2020, K = 3. Rows K j to
    K j + K - 1 of ``weight`` are the centers of class j.

    Args:
        centers: K, at least 1.
        margin: m in radians, 0 to less than pi.
        scale: s, more than 0.
        easy_margin: see ``arcface``.
    """

    def __init__(
        self,
        *,
        centers: int = 3,
        margin: float = 0.5,
        scale: float = 64.0,
        easy_margin: bool = False,
    ) -> None:
        """Take the options above."""
        check_whole("loss subcenter-arcface, centers", centers, 1)
        super().__init__(margin=margin, scale=scale, easy_margin=easy_margin)
        self.centers = centers
