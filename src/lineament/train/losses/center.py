"""Center loss: softmax, and each photo near the center of its person."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lineament.train.losses.head import check_batch, check_number, full_precision
from lineament.train.losses.loss import Loss, LossValue


class Center(Loss):
    """Softmax and center loss.

    Wen, Zhang, Li, Qiao, "A Discriminative Feature Learning Approach for Deep Face Recognition",
    ECCV 2016, equations 2 to 5. With x_i the embedding, y_i its person, c_j the centers, W and b
    the classifier::

        L = 1/N sum_i [ -log(exp(W_y_i x_i + b_y_i) / sum_j exp(W_j x_i + b_j))
                        + lambda/2 ||x_i - c_y_i||^2 ]

    (the paper writes sums over the batch, which the learning rate takes up). The centers are no
    parameters of the optimizer: after each step those of the people seen move by ::

        c_j <- c_j - alpha sum_i [y_i = j] (c_j - x_i) / (1 + sum_i [y_i = j])

    over all photos since the last step, so that several small batches whose gradients are
    added up move them as one large batch does. They begin at 0.

    Figures: ``softmax_loss`` and ``center_distance`` (mean squared, ||x_i - c_y_i||^2).
    """

    centers: Tensor
    _sums: Tensor
    _counts: Tensor

    def __init__(
        self, dimension: int, classes: int, *, center_weight: float = 0.003, alpha: float = 0.5
    ) -> None:
        """Make the classifier and the centers.

        Args:
            dimension: D.
            classes: C.
            center_weight: lambda, 0 upwards; 0.003 in the paper's experiments.
            alpha: how fast the centers move, above 0 to 1; 0.5 in the paper's experiments.

        Raises:
            OptionError: values outside these.
        """
        super().__init__(dimension, classes)
        check_number("loss center, center_weight", center_weight, 0)
        check_number("loss center, alpha", alpha, 0, 1, open_least=True)
        self.center_weight = float(center_weight)
        self.alpha = float(alpha)
        self.classifier = nn.Linear(dimension, classes)
        self.register_buffer("centers", torch.zeros(classes, dimension))
        # Empty whenever a checkpoint is written, hence not in it.
        self.register_buffer("_sums", torch.zeros(classes, dimension), persistent=False)
        self.register_buffer("_counts", torch.zeros(classes), persistent=False)
        self._pending = False

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """See ``Loss.forward``; remembers the embeddings for ``update`` while training."""
        check_batch(embeddings, labels, self.dimension, self.classes)
        if not len(labels):
            return LossValue(full_precision(embeddings).sum() * 0)
        # Autocast would compute the products in half, and the processes of a run would not agree.
        with torch.autocast(embeddings.device.type, enabled=False):
            x = full_precision(embeddings)  # (N, D)
            softmax = functional.cross_entropy(self.classifier(x), labels)
            squared = (x - self.centers[labels]).square().sum(1)  # (N,)
            loss = softmax + self.center_weight / 2 * squared.mean()
            if self.training and torch.is_grad_enabled():
                self._remember(x.detach(), labels)
        return LossValue(
            loss,
            {"softmax_loss": softmax.detach(), "center_distance": squared.detach().mean()},
        )

    def advance(self, step: int, steps: int) -> None:
        """Forget the photos of a step that was given up."""
        if self._pending:
            self._forget()

    def update(self, learning_rate: float, *, grad_scale: float = 1.0) -> None:
        """Move the centers of the people seen since the last time; the rate does not matter."""
        if not self._pending:
            return
        if grad_scale == 0:
            self._forget()
            return
        seen = self._counts.nonzero().squeeze(1)  # (U,)
        counts = self._counts[seen, None]  # (U, 1)
        towards = self._sums[seen] - counts * self.centers[seen]
        self.centers[seen] += self.alpha * towards / (1 + counts)
        self._sums[seen] = 0
        self._counts[seen] = 0
        self._pending = False

    def _forget(self) -> None:
        self._sums.zero_()
        self._counts.zero_()
        self._pending = False

    @torch.no_grad()
    def _remember(self, x: Tensor, labels: Tensor) -> None:
        people, place = torch.unique(labels, return_inverse=True)  # (U,), (N,)
        # A product, not a scatter, whose order of adding differs from one GPU to the next.
        member = functional.one_hot(place, len(people)).to(x.dtype)  # (N, U)
        self._sums[people] += member.T @ x  # (U, N) @ (N, D) -> (U, D)
        self._counts[people] += member.sum(0)
        self._pending = True
