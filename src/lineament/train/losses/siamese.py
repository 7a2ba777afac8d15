"""Siamese binary head: a logistic unit on how two embeddings differ says whether they are one."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from lineament.decide.siamese import Features, Form, SiameseHead
from lineament.errors import OptionError
from lineament.train.losses.distances import same_person, unit_rows
from lineament.train.losses.head import check_batch, check_whole, full_precision
from lineament.train.losses.loss import Loss, LossValue
from lineament.types import Contract

_FIRST_SUM = {
    ("absolute", "raw"): 1.13,
    ("absolute", "unit"): 1.13,
    ("absolute", "sigmoid"): 0.44,
    ("absolute", "non-negative"): 0.80,
    ("chi-square", "sigmoid"): 0.17,
    ("chi-square", "non-negative"): 0.70,
}
"""The sum of the differences of two random unit vectors, over the square root of D."""
_FIRST_LOGIT = 4.0


class Siamese(Loss):
    """Logistic regression on the differences of two embeddings, feature by feature.

    Taigman, Yang, Ranzato, Wolf, "DeepFace: Closing the Gap to Human-Level Performance in Face
    Verification", CVPR 2014, sections 3.2, 4.1 and 4.2; Koch, Zemel, Salakhutdinov, "Siamese Neural
    Networks for One-shot Image Recognition", ICML workshop on deep learning, 2015. Of a pair (a, b)
    with features f(a), f(b) and D + 1 learned numbers alpha_k, beta::

        z = sum_k alpha_k |f_k(a) - f_k(b)| + beta                              "absolute"
        z = sum_k alpha_k (f_k(a) - f_k(b))^2 / (f_k(a) + f_k(b)) + beta        "chi-square"
        p = sigmoid(z), the probability that both show one person

    A term of "chi-square" whose features are both 0 is 0. What the features are:

    - "raw": the embedding as it is.
    - "unit": scaled to length 1, as recognizers compare embeddings.
    - "sigmoid": 1 / (1 + exp(-x)) of each number, as the units of Koch's last layer; then length 1.
    - "non-negative": max(0, x), then length 1. DeepFace's last layer ends in max(0, x) too; it
      divides each feature by its largest value in the training set, so that it lies in [0, 1], and
      scales to length 1. What a feature is divided by is left to alpha_k here, which is learned.

    "chi-square" takes the last two only, since it needs features that are not negative.

    The loss is the binary cross entropy, the mean over the pairs of one person and the mean over
    those of two, halved: both kinds weigh the same, whatever their numbers. All pairs of one person
    count; of those of two, in the order (0, 1), (0, 2), ..., (1, 2), ..., at most
    ``negatives`` times as many, taken at even steps. Nothing is drawn by chance. A batch that lacks
    either kind has a loss of 0, since it would only move beta.

    Figures: ``positive_pairs``, ``negative_pairs`` (as used) and ``pair_accuracy`` (mean of the two
    kinds' shares on the right side of p = 1/2).
    """

    wants: ClassVar[Literal["photos", "people"]] = "people"
    is_similarity: ClassVar[bool] = True

    def __init__(
        self,
        dimension: int,
        classes: int,
        *,
        form: Form = "absolute",
        features: Features | None = None,
        negatives: int = 8,
    ) -> None:
        """Choose the form; the weights begin so that equal unit vectors have z = 4, random ones -4.

        Args:
            dimension: D.
            classes: C; not needed.
            form: "absolute" or "chi-square".
            features: see above; None is "unit" for "absolute", "non-negative" for "chi-square".
            negatives: pairs of two people for each pair of one, at least 1.

        Raises:
            OptionError: another value, or features that may be negative for "chi-square".
        """
        super().__init__(dimension, classes)
        if form not in get_args(Form):
            raise OptionError(
                f"loss siamese, form: expected one of {', '.join(get_args(Form))}, got {form!r}"
            )
        if features is None:
            features = "unit" if form == "absolute" else "non-negative"
        if (form, features) not in _FIRST_SUM:
            known = ", ".join(kind for name, kind in _FIRST_SUM if name == form)
            raise OptionError(
                f'loss siamese, features: expected one of {known} for "{form}", got {features!r}'
            )
        check_whole("loss siamese, negatives (for each positive pair)", negatives, 1)
        self.form: Form = form
        self.features: Features = features
        self.negatives = negatives
        first = -2 * _FIRST_LOGIT / (_FIRST_SUM[form, features] * dimension**0.5)
        self.alpha = nn.Parameter(torch.full((dimension,), first))
        self.beta = nn.Parameter(torch.tensor(_FIRST_LOGIT))

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """See ``Loss.forward``; 0 where the batch lacks pairs of one person or of two."""
        check_batch(embeddings, labels, self.dimension, self.classes)
        f = self._featured(embeddings)  # (N, D)
        a, b = torch.triu_indices(len(f), len(f), offset=1, device=f.device)
        same = same_person(labels)[a, b]
        positive = same.nonzero().squeeze(1)  # (P,)
        negative = (~same).nonzero().squeeze(1)
        n, most = len(negative), self.negatives * len(positive)
        if n > most > 0:
            # The middle of each of ``most`` stretches of equal length.
            steps = torch.arange(most, device=f.device)
            negative = negative[((2 * steps + 1) * n) // (2 * most)]
        if not (len(positive) and n):
            figures = {"positive_pairs": float(len(positive)), "negative_pairs": float(n)}
            return LossValue(f.sum() * 0 + (self.alpha.sum() + self.beta) * 0, figures)
        z_same = self._logit(f[a[positive]], f[b[positive]])  # (P,)
        z_different = self._logit(f[a[negative]], f[b[negative]])
        loss = (functional.softplus(-z_same).mean() + functional.softplus(z_different).mean()) / 2
        right = (z_same.detach() > 0).float().mean() + (z_different.detach() <= 0).float().mean()
        return LossValue(
            loss,
            {
                "positive_pairs": float(len(positive)),
                "negative_pairs": float(len(negative)),
                "pair_accuracy": right / 2,
            },
        )

    def log_odds(self, a: Tensor, b: Tensor) -> Tensor:
        """The z of ``score``: (..., D) and (..., D) -> (...), any number."""
        return self._logit(self._featured(a), self._featured(b))

    def score(self, a: Tensor, b: Tensor) -> Tensor:
        """How probable it is that two embeddings are of one person, as learned.

        The pairs of training are half of one person and half of two; where you verify others, the
        probability is another.

        Args:
            a: (..., D) embeddings as the backbone returns them.
            b: (..., D); shapes are broadcast.

        Returns:
            (...) 0 to 1, differentiable.
        """
        return self.log_odds(a, b).sigmoid()

    def head(self, contract: Contract, data: str) -> SiameseHead:
        """What was learned, as the metric "siamese" of embeddings of this contract.

        Args:
            contract: of the exported network's embeddings.
            data: what it was trained on, in words.
        """
        alpha = self.alpha.detach().cpu().float().numpy()
        beta = float(self.beta.detach())
        return SiameseHead(contract, self.form, self.features, alpha, beta, data)

    def _featured(self, embeddings: Tensor) -> Tensor:
        x = full_precision(embeddings)
        if self.features == "raw":
            return x
        if self.features == "sigmoid":
            x = x.sigmoid()
        elif self.features == "non-negative":
            x = x.clamp_min(0)
        return unit_rows(x)

    def _logit(self, a: Tensor, b: Tensor) -> Tensor:
        """(..., D) features of either side -> (...)."""
        apart = a - b
        if self.form == "absolute":
            terms = apart.abs()
        else:
            both = a + b
            # Divided first: the square of a small difference would be 0.
            terms = apart * (apart / both.masked_fill(both == 0, 1.0))
        # Not a product of matrices, which mixed precision would compute in half.
        return (terms * self.alpha).sum(-1) + self.beta
