"""The residual networks of ArcFace, in three forms.

``iresnet18`` to ``iresnet100``: the unit, BN - 3x3 - BN - PReLU - 3x3 (stride) - BN, without an
activation after the sum, and the output, BN - dropout - flatten - linear - BN, are those of Deng et
al., "ArcFace", CVPR 2019, arXiv:1801.07698, section 3.1 (settings E and "improved residual unit"),
after Han et al. 2017. The name and the idea of a residual stream that no activation interrupts:
Duta et al., "Improved Residual Networks for Image and Video Recognition", ICPR 2020,
arXiv:2004.04989. InsightFace's networks of this name have the same layers.

``ir50`` and ``ir-se50``: layers as in Zhao et al., face.evoLVe (Wang et al. 2021,
arXiv:2107.08621), ``IR_50`` and ``IR_SE_50``. The unit has one normalization less, a shortcut of
equal width takes every second pixel without weights, and IR-SE weighs its channels (Hu et al.,
"Squeeze-and-Excitation Networks", CVPR 2018, arXiv:1709.01507):
``s = sigmoid(W2 relu(W1 mean(x)))``, ``y = s x``, with a reduction by 16.

``adaface-ir18`` to ``adaface-ir101``: the networks of Kim et al., "AdaFace", CVPR 2022,
arXiv:2204.00964: the unit of the first form with the shortcuts of the second, and a last
normalization without factors and shifts.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from lineament.align.alignment import Alignment
from lineament.train.backbones.backbone import (
    Backbone,
    Scaling,
    check_dimension,
    check_fraction,
    check_size,
)

Form = Literal["insightface", "evolve", "evolve-squeeze", "adaface"]
Units = tuple[int, int, int, int]

_CHANNELS = (64, 128, 256, 512)
_REDUCTION = 16


def iresnet18(*, dimension: int = 512, size_px: int = 112, dropout: float = 0.0) -> IResNet:
    """Build R18: 2, 2, 2 and 2 units, 24.0 M parameters. Arguments as ``iresnet100``."""
    return _build("iresnet18", (2, 2, 2, 2), dimension, size_px, dropout)


def iresnet34(*, dimension: int = 512, size_px: int = 112, dropout: float = 0.0) -> IResNet:
    """Build R34: 3, 4, 6 and 3 units, 34.1 M parameters. Arguments as ``iresnet100``."""
    return _build("iresnet34", (3, 4, 6, 3), dimension, size_px, dropout)


def iresnet50(*, dimension: int = 512, size_px: int = 112, dropout: float = 0.0) -> IResNet:
    """Build R50: 3, 4, 14 and 3 units, 43.6 M parameters. Arguments as ``iresnet100``."""
    return _build("iresnet50", (3, 4, 14, 3), dimension, size_px, dropout)


def iresnet100(*, dimension: int = 512, size_px: int = 112, dropout: float = 0.0) -> IResNet:
    """Build R100: 3, 13, 30 and 3 units, 65.2 M parameters.

    Args:
        dimension: D, 512 in the paper.
        size_px: a multiple of 16, 112 in the paper.
        dropout: share of the last grid that is left out in training, 0.4 in the paper; InsightFace
            trains without on its large sets.

    Raises:
        OptionError: a value that it cannot have.
    """
    return _build("iresnet100", (3, 13, 30, 3), dimension, size_px, dropout)


def ir50(*, dimension: int = 512, size_px: int = 112, dropout: float = 0.5) -> IResNet:
    """Build IR-50: 43.6 M parameters. Arguments as ``iresnet100``."""
    return _build("ir50", (3, 4, 14, 3), dimension, size_px, dropout, form="evolve")


def ir_se50(*, dimension: int = 512, size_px: int = 112, dropout: float = 0.5) -> IResNet:
    """Build IR-SE-50: 43.8 M parameters. Arguments as ``iresnet100``."""
    return _build("ir-se50", (3, 4, 14, 3), dimension, size_px, dropout, form="evolve-squeeze")


def adaface_ir18(*, dimension: int = 512, size_px: int = 112, dropout: float = 0.4) -> IResNet:
    """Build AdaFace's IR-18: 24.0 M parameters. Arguments as ``iresnet100``."""
    return _build("adaface-ir18", (2, 2, 2, 2), dimension, size_px, dropout, form="adaface")


def adaface_ir50(*, dimension: int = 512, size_px: int = 112, dropout: float = 0.4) -> IResNet:
    """Build AdaFace's IR-50: 43.6 M parameters. Arguments as ``iresnet100``."""
    return _build("adaface-ir50", (3, 4, 14, 3), dimension, size_px, dropout, form="adaface")


def adaface_ir101(*, dimension: int = 512, size_px: int = 112, dropout: float = 0.4) -> IResNet:
    """Build AdaFace's IR-101: 65.1 M parameters. Arguments as ``iresnet100``."""
    return _build("adaface-ir101", (3, 13, 30, 3), dimension, size_px, dropout, form="adaface")


def _build(
    name: str,
    units: Units,
    dimension: int,
    size_px: int,
    dropout: float,
    form: Form = "insightface",
) -> IResNet:
    check_dimension(name, dimension)
    check_size(name, size_px, least=16, multiple_of=16)
    check_fraction(f"backbone {name}, dropout", dropout)
    return IResNet(units, dimension, size_px, dropout, form)


class IResNet(Backbone):
    """See the top of this file for its forms."""

    def __init__(
        self, units: Units, dimension: int, size_px: int, dropout: float, form: Form
    ) -> None:
        """Take the checked options of ``iresnet100``, and the units of each stage."""
        super().__init__()
        self.dimension, self.size_px = dimension, size_px
        self.alignment = str(Alignment.square(size_px))
        self.scaling = Scaling(size_px)
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64)
        )
        ins = 64
        for number, (channels, count) in enumerate(zip(_CHANNELS, units, strict=True), start=1):
            parts = []
            for i in range(count):
                parts.append(_Unit(ins, channels, 2 if i == 0 else 1, form))
                ins = channels
            self.add_module(f"stage{number}", nn.Sequential(*parts))
        last = nn.BatchNorm1d(dimension, affine=form != "adaface")
        if form == "insightface":
            # The embedding is compared by its angle: a factor for each component would only
            # stretch the axes. InsightFace fixes it to one, too.
            last.weight.requires_grad_(False)
        self.output = nn.Sequential(
            nn.BatchNorm2d(ins),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(ins * (size_px // 16) ** 2, dimension),
            last,
        )
        for module in self.modules():
            if form == "insightface":
                if isinstance(module, nn.Conv2d):
                    nn.init.normal_(module.weight, 0.0, 0.1)
            elif isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) float, RGB, 0 to 255 -> (N, D), not of unit length."""
        x = self.scaling(crops)
        for _, (part,) in self.stages():
            x = part(x)  # (N, 64, S, S), (N, 64, S/2), (N, 128, S/4), ..., (N, 512, S/16), (N, D)
        embeddings: Tensor = x
        return embeddings

    def stages(self) -> list[tuple[str, list[nn.Module]]]:
        """From the input on: "stem", "stage1" to "stage4", "output"."""
        return [(name, [part]) for name, part in self.named_children() if name != "scaling"]


class _Unit(nn.Module):
    """The improved residual unit, and a shortcut where the shape changes."""

    def __init__(self, ins: int, outs: int, stride: int, form: Form) -> None:
        super().__init__()
        path: list[nn.Module] = [nn.BatchNorm2d(ins), nn.Conv2d(ins, outs, 3, 1, 1, bias=False)]
        if form in ("insightface", "adaface"):
            path.append(nn.BatchNorm2d(outs))
        path.append(nn.PReLU(outs))
        path.append(nn.Conv2d(outs, outs, 3, stride, 1, bias=False))
        path.append(nn.BatchNorm2d(outs))
        if form == "evolve-squeeze":
            path.append(_Squeeze(outs))
        self.path = nn.Sequential(*path)
        self.shortcut: nn.Module
        if ins == outs and (form != "insightface" or stride == 1):
            self.shortcut = nn.MaxPool2d(1, stride) if stride > 1 else nn.Identity()
        else:
            self.shortcut = nn.Sequential(
                nn.Conv2d(ins, outs, 1, stride, bias=False), nn.BatchNorm2d(outs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, ins, H, W) -> (N, outs, H / stride, W / stride)."""
        y: Tensor = self.path(x) + self.shortcut(x)
        return y


class _Squeeze(nn.Module):
    """Squeeze and excitation: each channel times a number between 0 and 1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, channels // _REDUCTION, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(channels // _REDUCTION, channels, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        y: Tensor = x * self.weigh(x)  # (N, C, H, W) * (N, C, 1, 1)
        return y
