"""IR-50 and IR-SE-50: ArcFace's residual networks in the form of face.evoLVe.

Layers as in Zhao et al., face.evoLVe (Wang et al. 2021, arXiv:2107.08621), ``IR_50`` and
``IR_SE_50``. They differ from ``iresnet`` in that the unit has one normalization less, a shortcut
of equal width takes every second pixel without weights, and IR-SE weighs its channels (Hu et al.,
"Squeeze-and-Excitation Networks", CVPR 2018, arXiv:1709.01507):
``s = sigmoid(W2 relu(W1 mean(x)))``, ``y = s x``, with a reduction by 16.
"""

from __future__ import annotations

from torch import Tensor, nn

from lineament.align.alignment import Alignment
from lineament.train.backbones.backbone import Backbone
from lineament.train.backbones.options import check_dimension, check_fraction, check_size
from lineament.train.backbones.scaling import Scaling

_STAGES = ((64, 3), (128, 4), (256, 14), (512, 3))
"""Channels and units."""

_REDUCTION = 16


def ir50(*, dimension: int = 512, size_px: int = 112, dropout: float = 0.5) -> IR:
    """Build IR-50: 43.6 M parameters.

    Args:
        dimension: D, 512 there.
        size_px: a multiple of 16, 112 there.
        dropout: share of the last grid that is left out in training.

    Raises:
        OptionError: a value that it cannot have.
    """
    return _build("ir50", dimension, size_px, dropout, squeeze=False)


def ir_se50(*, dimension: int = 512, size_px: int = 112, dropout: float = 0.5) -> IR:
    """Build IR-SE-50: 43.8 M parameters. Arguments as ``ir50``."""
    return _build("ir-se50", dimension, size_px, dropout, squeeze=True)


def _build(name: str, dimension: int, size_px: int, dropout: float, *, squeeze: bool) -> IR:
    check_dimension(name, dimension)
    check_size(name, size_px, least=16, multiple_of=16)
    check_fraction(f"backbone {name}, dropout", dropout)
    return IR(dimension, size_px, dropout, squeeze=squeeze)


class IR(Backbone):
    """See ``ir50``; ``squeeze`` adds the weighing of channels."""

    def __init__(self, dimension: int, size_px: int, dropout: float, *, squeeze: bool) -> None:
        """Take the checked options of ``ir50``."""
        super().__init__()
        self.dimension, self.size_px = dimension, size_px
        self.alignment = str(Alignment.square(size_px))
        self.scaling = Scaling(size_px)
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64)
        )
        ins = 64
        for number, (channels, count) in enumerate(_STAGES, start=1):
            parts = []
            for i in range(count):
                parts.append(_Unit(ins, channels, 2 if i == 0 else 1, squeeze=squeeze))
                ins = channels
            self.add_module(f"stage{number}", nn.Sequential(*parts))
        self.output = nn.Sequential(
            nn.BatchNorm2d(ins),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(ins * (size_px // 16) ** 2, dimension),
            nn.BatchNorm1d(dimension),
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
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
        """The parts from the input on: "stem", "stage1" to "stage4", "output"."""
        return [(name, [part]) for name, part in self.named_children() if name != "scaling"]


class _Unit(nn.Module):
    """BN - 3x3 - PReLU - 3x3 (stride) - BN, weighed if asked for, plus the shortcut."""

    def __init__(self, ins: int, outs: int, stride: int, *, squeeze: bool) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.BatchNorm2d(ins),
            nn.Conv2d(ins, outs, 3, 1, 1, bias=False),
            nn.PReLU(outs),
            nn.Conv2d(outs, outs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outs),
        )
        if squeeze:
            self.path.append(_Squeeze(outs))
        self.shortcut: nn.Module
        if ins == outs:
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
