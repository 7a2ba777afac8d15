"""Oriented edges, pooled, and one linear layer, of our own: for a few hundred photos.

    pixels -> each crop to mean 0, deviation 1 -> edges in K directions -> pooled over cells
           -> square root, unit length -> linear

It begins as a histogram of oriented gradients (Dalal and Triggs, CVPR 2005) compared by its square
root (Arandjelovic and Zisserman, CVPR 2012): the first layer holds derivatives of a Gaussian, the
second one is a Gaussian over each cell and its neighbors. Both are learned further, unless frozen.
With ``backbone.whitened`` the linear layer begins as what the training photos say is best
(``lineament.train.model.last_layer``); it is drawn at random otherwise.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own way to write it)
from torch import Tensor, nn

from lineament.align.alignment import Alignment
from lineament.train.backbones.backbone import (
    Backbone,
    Scaling,
    check_dimension,
    check_size,
    check_whole,
    standardized,
)

DEVIATION_PX = 1.5
"""Of the Gaussian whose derivatives the first layer begins with."""

LUMINANCE = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in it (ITU-R BT.601)."""

FAINTEST = 1e-4
"""Added before the square root, whose slope at 0 has no end."""


def oriented(
    *, dimension: int = 200, size_px: int = 48, directions: int = 8, cell_px: int = 6
) -> Oriented:
    """Build the network: 0.11 M parameters with the default options.

    Args:
        dimension: D.
        size_px: a multiple of ``cell_px``, from 16 on.
        directions: K, of edges, evenly over the full circle; 2 to 64.
        cell_px: side of the cells that edges are pooled over, 2 to 32; even.

    Raises:
        OptionError: a value that it cannot have.
    """
    check_dimension("oriented", dimension)
    check_whole("backbone oriented, directions", directions, 2, 64)
    check_whole("backbone oriented, cell_px", cell_px, 2, 32, multiple_of=2)
    check_size("oriented", size_px, least=16, multiple_of=cell_px)
    return Oriented(dimension, size_px, directions, cell_px)


class Oriented(Backbone):
    """See ``oriented``."""

    def __init__(self, dimension: int, size_px: int, directions: int, cell_px: int) -> None:
        """Take the checked options of ``oriented``."""
        super().__init__()
        self.dimension, self.size_px = dimension, size_px
        self.alignment = str(Alignment.square(size_px))
        self.scaling = Scaling(size_px)
        edges = _edges(directions)  # (K, side, side)
        self.stage1 = nn.Conv2d(
            3, directions, edges.shape[-1], padding="same", padding_mode="replicate", bias=False
        )
        self.stage2 = nn.Conv2d(
            directions, directions, 3 * cell_px, cell_px, cell_px, groups=directions, bias=False
        )
        self.output = nn.Linear(directions * (size_px // cell_px) ** 2, dimension)
        with torch.no_grad():
            self.stage1.weight.copy_(edges[:, None] * torch.tensor(LUMINANCE)[:, None, None])
            self.stage2.weight.copy_(_cell(cell_px).expand_as(self.stage2.weight))

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) float, RGB, 0 to 255 -> (N, D), not of unit length."""
        x = standardized(self.scaling(crops))
        x = self.stage1(x).relu()  # (N, K, S, S)
        x = self.stage2(x).relu()  # (N, K, S / cell, S / cell)
        x = F.normalize((x + FAINTEST).sqrt().flatten(1))
        embeddings: Tensor = self.output(x)  # (N, D)
        return embeddings

    def stages(self) -> list[tuple[str, list[nn.Module]]]:
        """The parts from the input on: "stage1", "stage2", "output"."""
        return [(name, [part]) for name, part in self.named_children() if name != "scaling"]

    def last_layer(self) -> nn.Linear:
        """See ``Backbone.last_layer``."""
        return self.output


def _edges(directions: int) -> Tensor:
    """(K, side, side): derivatives of a Gaussian, the K-th part of a turn apart."""
    reach = math.ceil(3 * DEVIATION_PX)
    axis = torch.arange(-reach, reach + 1, dtype=torch.float64)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    gaussian = torch.exp(-(x * x + y * y) / (2 * DEVIATION_PX**2))
    gaussian /= gaussian.sum()
    turn = 2 * math.pi * torch.arange(directions, dtype=torch.float64) / directions
    along = x * turn.cos()[:, None, None] + y * turn.sin()[:, None, None]
    return (along / DEVIATION_PX**2 * gaussian).float()


def _cell(cell_px: int) -> Tensor:
    """(3 cell, 3 cell): a Gaussian around the middle cell, of sum 1."""
    axis = torch.arange(3 * cell_px, dtype=torch.float64) - (3 * cell_px - 1) / 2
    line = torch.exp(-axis.square() / (2 * (cell_px / 2) ** 2))
    line /= line.sum()
    return (line[:, None] * line).float()
