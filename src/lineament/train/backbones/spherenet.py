"""SphereNet-20: the network of SphereFace, twenty layers without any normalization.

Liu et al., "SphereFace: Deep Hypersphere Embedding for Face Recognition", CVPR 2017,
arXiv:1704.08063, table 2, "20-layer CNN". Initial values as in the authors' Caffe files.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from lineament.align.alignment import Alignment
from lineament.train.backbones.backbone import (
    Backbone,
    Scaling,
    check_choice,
    check_dimension,
    check_size,
)

_STAGES = ((64, 1), (128, 2), (256, 4), (512, 1))
"""Channels and residual units, table 2: one convolution of stride 2 before each."""


def spherenet20(
    *, dimension: int = 512, size_px: int = 112, narrow: bool = False, bias: bool = False
) -> SphereNet:
    """Build SphereNet-20: 24.5 M parameters with the default options.

    The paper's crops are 112 pixels high and 96 wide: its last grid is 7x6, and its last layer has
    11.0 M weights. lineament's crops are squares; at 112 pixels the grid is 7x7 and the layer has
    12.8 M weights. With ``narrow`` it sees the middle 96 columns, as in the paper: 22.7 M.

    Args:
        dimension: D.
        size_px: a multiple of 16; of 112 with ``narrow``.
        narrow: whether it sees 6 of 7 columns.
        bias: whether the convolutions of the residual units add a number. In the paper they do
            not; in many published weights they do.

    Raises:
        OptionError: a value that it cannot have.
    """
    check_dimension("spherenet20", dimension)
    check_choice("backbone spherenet20, narrow", narrow, (False, True))
    check_choice("backbone spherenet20, bias", bias, (False, True))
    check_size("spherenet20", size_px, least=16, multiple_of=112 if narrow else 16)
    return SphereNet(dimension, size_px, narrow=bool(narrow), bias=bool(bias))


class SphereNet(Backbone):
    """See ``spherenet20``."""

    def __init__(self, dimension: int, size_px: int, *, narrow: bool, bias: bool) -> None:
        """Take the checked options of ``spherenet20``."""
        super().__init__()
        self.dimension, self.size_px = dimension, size_px
        self.width_px = size_px * 6 // 7 if narrow else None
        self.alignment = str(Alignment.square(size_px))
        self.scaling = Scaling(size_px, unit=128.0, width_px=self.width_px)
        ins = 3
        for number, (channels, units) in enumerate(_STAGES, start=1):
            down = nn.Conv2d(ins, channels, 3, 2, 1)
            _caffe_xavier(down)
            self.add_module(
                f"stage{number}",
                nn.Sequential(
                    down, nn.PReLU(channels), *(_Unit(channels, bias=bias) for _ in range(units))
                ),
            )
            ins = channels
        columns = (size_px if self.width_px is None else self.width_px) // 16
        last = nn.Linear(ins * (size_px // 16) * columns, dimension)
        _caffe_xavier(last)
        self.output = nn.Sequential(nn.Flatten(), last)

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) float, RGB, 0 to 255 -> (N, D), not of unit length."""
        x = self.scaling(crops)
        for _, (part,) in self.stages():
            x = part(x)  # (N, 64, S/2, S/2), (N, 128, S/4), (N, 256, S/8), (N, 512, S/16), (N, D)
        embeddings: Tensor = x
        return embeddings

    def stages(self) -> list[tuple[str, list[nn.Module]]]:
        """The parts from the input on: "stage1" to "stage4", "output"."""
        return [(name, [part]) for name, part in self.named_children() if name != "scaling"]


class _Unit(nn.Module):
    """x + PReLU(3x3(PReLU(3x3(x)))), nearly the identity at first: weights of deviation 0.01."""

    def __init__(self, channels: int, *, bias: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            convolution = nn.Conv2d(channels, channels, 3, 1, 1, bias=bias)
            nn.init.normal_(convolution.weight, 0.0, 0.01)
            if convolution.bias is not None:
                nn.init.zeros_(convolution.bias)
            layers += [convolution, nn.PReLU(channels)]
        self.path = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        y: Tensor = x + self.path(x)
        return y


def _caffe_xavier(layer: nn.Conv2d | nn.Linear) -> None:
    # Caffe's "xavier" counts the inputs only: uniform within sqrt(3 / fan-in).
    bound = math.sqrt(3 / layer.weight[0].numel())
    nn.init.uniform_(layer.weight, -bound, bound)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
