"""Inception-ResNet-v1: the usual network of FaceNet, for 128 or 512 outputs.

Szegedy, Ioffe, Vanhoucke, Alemi, "Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning", AAAI 2017, arXiv:1602.07261: figures 10 to 14 and table 1 (k = 192,
l = 192, m = 256, n = 384). The embedding in place of the classes: Schroff, Kalenichenko, Philbin,
"FaceNet", CVPR 2015, arXiv:1503.03832, whose own network was an older Inception. The widths of the
last blocks (192) and one more block without activation at the end are those of the networks that
are known as FaceNet today (D. Sandberg's), as is the input of 160 pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lineament.align.alignment import Alignment
from lineament.train.backbones.backbone import (
    Backbone,
    Scaling,
    check_dimension,
    check_fraction,
    check_size,
)


def inception_resnet_v1(
    *, dimension: int = 128, size_px: int = 160, dropout: float = 0.2
) -> InceptionResNet:
    """Build Inception-ResNet-v1: 22.8 M parameters for 128 outputs, 23.5 M for 512.

    Args:
        dimension: D, 128 or 512 as a rule.
        size_px: at least 80; what is left of the grid is averaged, so the parameters are the same.
        dropout: before the last layer; the paper keeps 0.8.

    Raises:
        OptionError: a value that it cannot have.
    """
    check_dimension("inception-resnet-v1", dimension)
    check_size("inception-resnet-v1", size_px, least=80)
    check_fraction("backbone inception-resnet-v1, dropout", dropout)
    return InceptionResNet(dimension, size_px, dropout)


class InceptionResNet(Backbone):
    """See ``inception_resnet_v1``."""

    def __init__(self, dimension: int, size_px: int, dropout: float) -> None:
        """Take the checked options of ``inception_resnet_v1``."""
        super().__init__()
        self.dimension, self.size_px = dimension, size_px
        self.alignment = str(Alignment.square(size_px))
        self.scaling = Scaling(size_px, unit=128.0)
        self.stem = nn.Sequential(  # figure 14; comments: at 160 pixels
            *_convolution(3, 32, 3, stride=2),  # 79x79
            *_convolution(32, 32, 3),  # 77x77
            *_convolution(32, 64, 3, padding=1),
            nn.MaxPool2d(3, 2),  # 38x38
            *_convolution(64, 80, 1),
            *_convolution(80, 192, 3),  # 36x36
            *_convolution(192, 256, 3, stride=2),  # 17x17
        )
        self.blocks_a = nn.Sequential(*(_block_a() for _ in range(5)))
        self.reduction_a = _Branches(  # figure 7: 8x8
            nn.Sequential(*_convolution(256, 384, 3, stride=2)),
            nn.Sequential(
                *_convolution(256, 192, 1),
                *_convolution(192, 192, 3, padding=1),
                *_convolution(192, 256, 3, stride=2),
            ),
            nn.MaxPool2d(3, 2),
        )
        self.blocks_b = nn.Sequential(*(_block_b() for _ in range(10)))
        self.reduction_b = _Branches(  # figure 12: 3x3
            nn.Sequential(*_convolution(896, 256, 1), *_convolution(256, 384, 3, stride=2)),
            nn.Sequential(*_convolution(896, 256, 1), *_convolution(256, 256, 3, stride=2)),
            nn.Sequential(
                *_convolution(896, 256, 1),
                *_convolution(256, 256, 3, padding=1),
                *_convolution(256, 256, 3, stride=2),
            ),
            nn.MaxPool2d(3, 2),
        )
        self.blocks_c = nn.Sequential(
            *(_block_c(0.2) for _ in range(5)), _block_c(1.0, activated=False)
        )
        self.output = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(1792, dimension, bias=False),
            nn.BatchNorm1d(dimension, eps=1e-3),
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                # The paper does not say; TF-Slim, in which it was written, begins with Glorot's.
                nn.init.xavier_uniform_(module.weight)

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) float, RGB, 0 to 255 -> (N, D), not of unit length."""
        x = self.stem(self.scaling(crops))  # (N, 256, 17, 17)
        x = self.reduction_a(self.blocks_a(x))  # (N, 896, 8, 8)
        x = self.reduction_b(self.blocks_b(x))  # (N, 1792, 3, 3)
        embeddings: Tensor = self.output(self.blocks_c(x))  # (N, D)
        return embeddings

    def stages(self) -> list[tuple[str, list[nn.Module]]]:
        """The parts from the input on: "stem", "blocks_a", "reduction_a", ..., "output"."""
        return [(name, [part]) for name, part in self.named_children() if name != "scaling"]


class _Branches(nn.ModuleList):
    """Several paths from one input, their channels one after the other."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__(branches)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, sum of the branches' channels, H', W')."""
        return torch.cat([branch(x) for branch in self], dim=1)


class _Residual(nn.Module):
    """relu(x + scale * 1x1(branches(x))): section 3.3 tells why the scale."""

    def __init__(
        self,
        branches: _Branches,
        joined: int,
        channels: int,
        scale: float,
        *,
        activated: bool = True,
    ) -> None:
        super().__init__()
        self.branches = branches
        self.linear = nn.Conv2d(joined, channels, 1)
        nn.init.zeros_(self.linear.bias)  # type: ignore[arg-type]
        self.scale = scale
        self.activation: nn.Module = nn.ReLU() if activated else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        y: Tensor = self.activation(x + self.scale * self.linear(self.branches(x)))
        return y


def _block_a() -> _Residual:
    """Figure 10, on the largest grid."""
    branches = _Branches(
        nn.Sequential(*_convolution(256, 32, 1)),
        nn.Sequential(*_convolution(256, 32, 1), *_convolution(32, 32, 3, padding=1)),
        nn.Sequential(
            *_convolution(256, 32, 1),
            *_convolution(32, 32, 3, padding=1),
            *_convolution(32, 32, 3, padding=1),
        ),
    )
    return _Residual(branches, 96, 256, 0.17)


def _block_b() -> _Residual:
    """Figure 11."""
    branches = _Branches(
        nn.Sequential(*_convolution(896, 128, 1)),
        nn.Sequential(
            *_convolution(896, 128, 1),
            *_convolution(128, 128, (1, 7), padding=(0, 3)),
            *_convolution(128, 128, (7, 1), padding=(3, 0)),
        ),
    )
    return _Residual(branches, 256, 896, 0.1)


def _block_c(scale: float, *, activated: bool = True) -> _Residual:
    """Figure 13."""
    branches = _Branches(
        nn.Sequential(*_convolution(1792, 192, 1)),
        nn.Sequential(
            *_convolution(1792, 192, 1),
            *_convolution(192, 192, (1, 3), padding=(0, 1)),
            *_convolution(192, 192, (3, 1), padding=(1, 0)),
        ),
    )
    return _Residual(branches, 384, 1792, scale, activated=activated)


def _convolution(
    ins: int,
    outs: int,
    kernel: int | tuple[int, int],
    *,
    stride: int = 1,
    padding: int | tuple[int, int] = 0,
) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(ins, outs, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(outs, eps=1e-3),
        nn.ReLU(),
    )
