"""The last linear layer in closed form: directions in which photos of one person agree.

    features x (F) -> principal axes P (F, D) of all photos
                   -> W such that  Wᵀ Pᵀ S P W = 1
    embedding = Wᵀ Pᵀ (x - mean)

with S the covariance within people. A. Hatch et al., "Within-class covariance normalization for
SVM-based speaker recognition", Interspeech 2006; with D as small as the number of people it is
Fisherfaces (Belhumeur et al., PAMI 1997). All D axes are kept, also those in which the training
people do not differ: others may. Where there are few people, that tells strangers apart better than
what a loss makes of a random layer.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lineament.errors import DataError, OptionError
from lineament.train.backbones.backbone import Backbone
from lineament.train.data.crops import Crops

Matrix = npt.NDArray[np.float64]

SHRINKAGE = 0.1
"""Share of the mean variance in S: it is estimated from few photos."""

MOST_FEATURES = 8192
"""F x F numbers are kept, and taken apart."""

BATCH = 64


class Scatter:
    """Mean and covariances of features, photo after photo."""

    def __init__(self, features: int, people: int) -> None:
        """Begin with none: ``features`` F, ``people`` C."""
        self.counts = np.zeros(people, np.int64)
        self.sums: Matrix = np.zeros((people, features))
        self.products: Matrix = np.zeros((features, features))

    def add(self, features: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]) -> None:
        """Take (N, F) features of people (N,) in."""
        rows = features.astype(np.float64)
        np.add.at(self.counts, labels, 1)
        np.add.at(self.sums, labels, rows)
        self.products += rows.T @ rows

    def whitening(self, dimension: int) -> tuple[Matrix, Matrix]:
        """Weights (D, F) and bias (D,) of the layer at the top of this file.

        Raises:
            DataError: everybody has one photo only, or D axes cannot be told apart.
        """
        n, features = int(self.counts.sum()), self.sums.shape[1]
        seen = self.counts > 0
        if n == int(seen.sum()):
            raise DataError(
                "backbone.whitened: expected people with several photos, got one of each: "
                "nothing says how a person's photos differ; leave it out"
            )
        if dimension > min(features, n - 1):
            raise OptionError(
                f"expected at most {min(features, n - 1)} dimensions with "
                f"{features} features of {n} pictures, got {dimension}; set backbone.dimension",
                option="backbone.whitened",
            )
        mean = self.sums.sum(0) / n
        total = self.products / n - np.outer(mean, mean)
        means = self.sums[seen] / self.counts[seen, None]
        within = (self.products - means.T @ self.sums[seen]) / n
        axes = np.linalg.eigh(total)[1][:, ::-1][:, :dimension]  # (F, D)
        inside = axes.T @ within @ axes  # (D, D)
        level = np.trace(inside) / dimension
        if not level > 0:
            raise DataError(
                "backbone.whitened: each person's photos give the same features; are they "
                "copies of one another?"
            )
        inside = (1 - SHRINKAGE) * inside + SHRINKAGE * level * np.eye(dimension)
        variances, turn = np.linalg.eigh(inside)
        weight = (axes @ (turn / np.sqrt(variances))).T  # (D, F)
        return weight, -(weight @ mean)


@torch.no_grad()
def whiten(backbone: Backbone, crops: Crops, epochs: int) -> None:
    """Set the last layer of ``backbone`` from the photos, augmented ``epochs`` times.

    Args:
        backbone: with a ``last_layer`` that has a bias.
        crops: the training photos.
        epochs: how often each is seen, at least 1.

    Raises:
        OptionError: the backbone has no such layer, or too long a one.
        DataError: a photo cannot be read, or see ``Scatter.whitening``.
    """
    layer = backbone.last_layer()
    if layer is None or layer.bias is None or layer.in_features > MOST_FEATURES:
        raise OptionError(
            "expected a backbone that ends in a linear layer with a bias and "
            f"at most {MOST_FEATURES} features (oriented), got {type(backbone).__name__}",
            option="backbone.whitened",
        )
    features: list[Tensor] = []

    def remember(_layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        features.append(inputs[0])

    scatter = Scatter(layer.in_features, len(crops.faces.people))
    device = layer.weight.device
    training = backbone.training
    hook = layer.register_forward_pre_hook(remember)
    backbone.eval()
    try:
        for epoch in range(epochs):
            for start in range(0, len(crops), BATCH):
                places = range(start, min(start + BATCH, len(crops)))
                items = [crops.item(epoch, i, 0) for i in places]
                backbone(torch.stack([item.augmented for item in items]).to(device).float())
                labels = np.array([item.label for item in items], np.int64)
                scatter.add(features.pop().cpu().numpy(), labels)
    finally:
        hook.remove()
        backbone.train(training)
    weight, bias = scatter.whitening(layer.out_features)
    layer.weight.copy_(torch.from_numpy(weight))
    layer.bias.copy_(torch.from_numpy(bias))
