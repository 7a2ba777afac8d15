"""Triplet loss: nearer to every photo of one's own than to those of others, by a margin."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from lineament.errors import OptionError
from lineament.train.losses.distances import euclidean, same_person, unit_rows
from lineament.train.losses.head import check_batch, check_number, full_precision
from lineament.train.losses.loss import Loss, LossValue

Mining = Literal["batch-all", "batch-hard", "semi-hard"]


class Triplet(Loss):
    """Triplet loss on squared Euclidean distances of unit vectors, mined in the batch.

    Schroff, Kalenichenko, Philbin, "FaceNet: A Unified Embedding for Face Recognition and
    Clustering", CVPR 2015, equation 3. With d the squared distance of an anchor a to a positive p
    (another photo of the same person) or a negative n (of another person)::

        max(0, d(a, p) - d(a, n) + alpha)

    Three kinds make up all triplets of a batch:

    - easy: d(a, n) >= d(a, p) + alpha; the loss is 0
    - semi-hard: d(a, p) < d(a, n) < d(a, p) + alpha
    - hard: d(a, n) <= d(a, p)

    Which of them count:

    - "batch-all": all; the loss is the mean over those that are not easy (Hermans, Beyer, Leibe,
      "In Defense of the Triplet Loss for Person Re-Identification", 2017: with the easy ones in it,
      the mean would vanish).
    - "batch-hard": for each anchor its farthest positive and nearest negative (the same paper); the
      mean over anchors.
    - "semi-hard": for each pair (a, p) the nearest negative that is semi-hard, as in FaceNet; the
      mean over the pairs that have one.

    No triplet is ever written down: sorted distances give exact sums and counts over all N^3 of
    them in N^2 log N time and N^2 memory.

    Figures, over the whole batch whatever the mining: ``triplets`` (all), ``triplets_easy``,
    ``triplets_semi_hard``, ``triplets_hard``; and ``triplets_active``: those that the loss took and
    that are not easy.
    """

    wants: ClassVar[Literal["photos", "people"]] = "people"

    def __init__(
        self, dimension: int, classes: int, *, margin: float = 0.2, mining: Mining = "semi-hard"
    ) -> None:
        """Choose the margin and the mining.

        Args:
            dimension: D.
            classes: C; not needed, since the loss has no parameters.
            margin: alpha, 0.2 in FaceNet; above 0 and below 4, which is as far as the squared
                distance of unit vectors goes.
            mining: "batch-all", "batch-hard" or "semi-hard".

        Raises:
            OptionError: another margin or mining.
        """
        super().__init__(dimension, classes)
        what = "loss triplet, margin (squared distances of unit vectors are at most 4)"
        check_number(what, margin, 0, 4, open_least=True, open_most=True)
        if mining not in get_args(Mining):
            known = ", ".join(get_args(Mining))
            raise OptionError(f"loss triplet, mining: expected one of {known}, got {mining!r}")
        self.margin = float(margin)
        self.mining: Mining = mining

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """See ``Loss.forward``; 0 where the batch has no triplet that counts."""
        check_batch(embeddings, labels, self.dimension, self.classes)
        x = unit_rows(full_precision(embeddings))  # (N, D)
        if not len(x):
            return LossValue(x.sum() * 0)
        d = euclidean(x).square()  # (N, N)
        same = same_person(labels)
        negative = ~same
        positive = same ^ torch.eye(len(x), dtype=torch.bool, device=x.device)
        with torch.no_grad():
            fixed = d.detach()
            limit = fixed + self.margin  # a negative at or past it is easy
            far = torch.full_like(fixed, math.inf)
            # (N, N) the negatives of each anchor from near to far, then the rest; and who they are
            near, order = torch.where(negative, fixed, far).sort(dim=1, stable=True)
            # Of each pair (a, p): how many negatives are as near as p, and how many within alpha.
            hard = torch.searchsorted(near, fixed, right=True).where(positive, 0)
            not_easy = torch.searchsorted(near, limit).where(positive, 0)
            everything = (positive.sum(1) * negative.sum(1)).sum()
            n_hard, n_not_easy = hard.sum(), not_easy.sum()
        if self.mining == "batch-all":
            loss, active = self._all(d, positive, negative, limit, not_easy)
        elif self.mining == "batch-hard":
            loss, active = self._hard(d, positive, negative)
        else:
            loss, active = self._semi_hard(d, positive, order, hard, not_easy)
        return LossValue(
            loss,
            {
                "triplets": everything,
                "triplets_easy": everything - n_not_easy,
                "triplets_semi_hard": n_not_easy - n_hard,
                "triplets_hard": n_hard,
                "triplets_active": active,
            },
        )

    def _all(
        self, d: Tensor, positive: Tensor, negative: Tensor, limit: Tensor, not_easy: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The sum over all triplets that are not easy, as one over pairs.

        d(a, p) stands in it once for each negative within alpha, -d(a, n) once for each positive
        that it is within alpha of.
        """
        with torch.no_grad():
            limits = limit.masked_fill(~positive, -math.inf).sort(1).values  # (N, N)
            past = torch.searchsorted(limits, d.detach(), right=True)
            times = (d.shape[1] - past).where(negative, 0)  # (N, N) of each pair (a, n)
            active = not_easy.sum()
            count = active.clamp_min(1).to(d.dtype)
            weights = (not_easy - times).to(d.dtype)
        loss = (weights * d).sum() / count + self.margin * (active > 0).to(d.dtype)
        return loss, active

    def _hard(self, d: Tensor, positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
        anchors = positive.any(1) & negative.any(1)
        farthest = d.masked_fill(~positive, -math.inf)[anchors].amax(1)  # (anchors,)
        nearest = d.masked_fill(~negative, math.inf)[anchors].amin(1)
        return self._hinge(farthest, nearest)

    def _semi_hard(
        self, d: Tensor, positive: Tensor, order: Tensor, hard: Tensor, not_easy: Tensor
    ) -> tuple[Tensor, Tensor]:
        a, p = (positive & (not_easy > hard)).nonzero(as_tuple=True)
        # In a row of sorted negatives, the first past the hard ones is the nearest semi-hard one.
        n = order[a, hard[a, p]]
        return self._hinge(d[a, p], d[a, n])

    def _hinge(self, to_positive: Tensor, to_negative: Tensor) -> tuple[Tensor, Tensor]:
        terms = (to_positive + self.margin - to_negative).clamp_min(0)  # (triplets taken,)
        # The mean of no terms is not a number; their sum is 0, and keeps the way to the embeddings.
        loss = terms.mean() if len(terms) else terms.sum()
        return loss, (terms.detach() > 0).sum()
