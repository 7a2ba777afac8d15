"""A gray residual network of 18 layers for ArcFace: R. H. Yang's "resnet_face18".

Deng et al., "ArcFace", CVPR 2019, arXiv:1801.07698, section 3.1, as github.com/ronghuaiyang/
arcface-pytorch builds it, whose weights ailia's ArcFace sample carries: one gray channel of 128
pixels, a maximum after the stem, units of BN - 3x3 - BN - PReLU - 3x3 (stride) - BN with one slope
for all channels, an activation after the sum, and BN - dropout - flatten - linear - BN at the end.
The sample puts the embedding of the mirrored crop behind that of the crop: 1,024 numbers.
"""

from __future__ import annotations

from torch import Tensor, nn

from lineament.align.alignment import Alignment
from lineament.train.backbones.backbone import (
    Backbone,
    Scaling,
    check_dimension,
    check_fraction,
    check_size,
)

_STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
"""Channels, and the stride of the first of two units."""


def resnet_face18(*, dimension: int = 512, size_px: int = 128, dropout: float = 0.5) -> ResNetFace:
    """Build the gray ResNet-18: 25.6 M parameters.

    Args:
        dimension: D, of one view; the sample joins two of 512.
        size_px: a multiple of 16, 128 in the sample.
        dropout: share of the last grid that is left out in training.

    Raises:
        OptionError: a value that it cannot have.
    """
    check_dimension("resnet-face18", dimension)
    check_size("resnet-face18", size_px, least=16, multiple_of=16)
    check_fraction("backbone resnet-face18, dropout", dropout)
    return ResNetFace(dimension, size_px, dropout)


class ResNetFace(Backbone):
    """See ``resnet_face18``."""

    def __init__(self, dimension: int, size_px: int, dropout: float) -> None:
        """Take the checked options of ``resnet_face18``."""
        super().__init__()
        self.dimension, self.size_px = dimension, size_px
        self.alignment = str(Alignment.square(size_px))
        self.scaling = Scaling(size_px, gray=True)
        self.stem = nn.Sequential(
            nn.Conv2d(1, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(), nn.MaxPool2d(2)
        )
        ins = 64
        for number, (channels, stride) in enumerate(_STAGES, start=1):
            first, second = _Unit(ins, channels, stride), _Unit(channels, channels, 1)
            self.add_module(f"stage{number}", nn.Sequential(first, second))
            ins = channels
        self.output = nn.Sequential(
            nn.BatchNorm2d(ins),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(ins * (size_px // 16) ** 2, dimension),
            nn.BatchNorm1d(dimension),
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) float, RGB, 0 to 255 -> (N, D), not of unit length."""
        x = self.scaling(crops)  # (N, 1, S, S)
        for _, (part,) in self.stages():
            x = part(x)  # (N, 64, S/2, S/2) twice, (N, 128, S/4), ..., (N, 512, S/16), (N, D)
        embeddings: Tensor = x
        return embeddings

    def stages(self) -> list[tuple[str, list[nn.Module]]]:
        """From the input on: "stem", "stage1" to "stage4", "output"."""
        return [(name, [part]) for name, part in self.named_children() if name != "scaling"]


class _Unit(nn.Module):
    """PReLU(shortcut + BN - 3x3 - BN - PReLU - 3x3 - BN); both activations are the same."""

    def __init__(self, ins: int, outs: int, stride: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.BatchNorm2d(ins),
            nn.Conv2d(ins, ins, 3, 1, 1, bias=False),
            nn.BatchNorm2d(ins),
            nn.PReLU(),
            nn.Conv2d(ins, outs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or ins != outs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(ins, outs, 1, stride, bias=False), nn.BatchNorm2d(outs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, ins, H, W) -> (N, outs, H / stride, W / stride)."""
        y: Tensor = self.path[3](self.path(x) + self.shortcut(x))
        return y
