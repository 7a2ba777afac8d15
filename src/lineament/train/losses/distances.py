"""What the losses on pairs share: unit vectors, Euclidean distances, both safe to differentiate."""

from __future__ import annotations

import torch
from torch import Tensor

from lineament.train.losses.head import SHORTEST


def unit_rows(rows: Tensor) -> Tensor:
    """Scale each row of (N, D) to length 1; a zero vector stays zero.

    The gradient at a zero vector is bounded, unlike that of a division by a small epsilon.
    """
    lengths: Tensor = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)  # (N, 1)
    return rows / lengths.masked_fill(lengths <= SHORTEST, 1.0)


def euclidean(rows: Tensor) -> Tensor:
    """(N, D) -> (N, N) Euclidean distances; the gradient between equal rows is 0.

    Differences are summed one by one: through a product of matrices, small distances would lose
    their digits, and mixed precision would compute them in half.
    """
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")


def same_person(labels: Tensor) -> Tensor:
    """(N,) -> (N, N) bool: whether two photos show one person; true on the diagonal."""
    return labels[:, None] == labels[None, :]
