"""GhostFaceNet, first form: half of each layer's channels are computed from the other half.

Alansari, Abdul Hay, Javed, Shoufan, Zweiri, Werghi, "GhostFaceNets: Lightweight Face Recognition
Model from Cheap Operations", IEEE Access 2023, on Han et al., "GhostNet", CVPR 2020,
arXiv:1911.11907, table 1: PReLU in place of ReLU, a first stride of one, and a global depthwise
convolution at the end. The factor of its widths is 1.3 in the published weights.

As in Keras, where it was written, a convolution of stride 2 is padded more at the right and at the
bottom, and the gate of squeeze and excitation is ``clip(0.2 x + 0.5, 0, 1)``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lineament.align.alignment import Alignment
from lineament.errors import OptionError
from lineament.train.backbones.backbone import Backbone, Scaling, check_dimension, check_size

_STAGES = (
    # kernel, expansion, channels, channels of the gate (0: none), stride: GhostNet, table 1
    ((3, 16, 16, 0, 1),),
    ((3, 48, 24, 0, 2), (3, 72, 24, 0, 1)),
    ((5, 72, 40, 18, 2), (5, 120, 40, 30, 1)),
    (
        *((3, 240, 80, 0, 2), (3, 200, 80, 0, 1), (3, 184, 80, 0, 1), (3, 184, 80, 0, 1)),
        *((3, 480, 112, 120, 1), (3, 672, 112, 168, 1)),
    ),
    (
        *((5, 672, 160, 168, 2), (5, 960, 160, 0, 1), (5, 960, 160, 240, 1)),
        *((5, 960, 160, 0, 1), (5, 512, 160, 128, 1)),
    ),
)
_TAIL = 512
_EPS = 1e-3  # Keras'


def ghostfacenet(*, dimension: int = 512, size_px: int = 112, width: float = 1.3) -> GhostFaceNet:
    """Build GhostFaceNetV1: 4.1 M parameters with the default options.

    Args:
        dimension: D, 512 in the paper.
        size_px: a multiple of 16, 112 in the paper.
        width: factor of all widths, above 0, to 4; they are rounded to multiples of four.

    Raises:
        OptionError: a value that it cannot have.
    """
    check_dimension("ghostfacenet", dimension)
    check_size("ghostfacenet", size_px, least=32, multiple_of=16)
    number = isinstance(width, (int, float)) and not isinstance(width, bool)
    if not number or not math.isfinite(width) or not 0 < width <= 4:
        raise OptionError(
            f"backbone ghostfacenet, width: expected a number above 0, to 4, got {width!r}"
        )
    return GhostFaceNet(dimension, size_px, float(width))


class GhostFaceNet(Backbone):
    """See ``ghostfacenet``."""

    def __init__(self, dimension: int, size_px: int, width: float) -> None:
        """Take the checked options of ``ghostfacenet``."""
        super().__init__()

        def wide(channels: int) -> int:
            return max(4, 4 * math.floor(channels * width / 4 + 0.5))

        self.dimension, self.size_px = dimension, size_px
        self.alignment = str(Alignment.square(size_px))
        self.scaling = Scaling(size_px, unit=128.0)
        ins = wide(16)
        self.stem = _Convolution(3, ins, 3, active=True)
        for number, units in enumerate(_STAGES, start=1):
            parts = []
            for kernel, expansion, channels, gate, stride in units:
                outs = wide(channels)
                gated = wide(gate) if gate else 0
                parts.append(_Bottleneck(ins, kernel, stride, wide(expansion), outs, gated))
                ins = outs
            self.add_module(f"stage{number}", nn.Sequential(*parts))
        tail = wide(_TAIL)
        self.output = nn.Sequential(
            _Convolution(ins, tail, 1, active=True),
            nn.Conv2d(tail, tail, size_px // 16, groups=tail, bias=False),
            nn.BatchNorm2d(tail, eps=_EPS),
            nn.Conv2d(tail, dimension, 1),
            nn.Flatten(),
            nn.BatchNorm1d(dimension, eps=_EPS),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", a=0.25)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) float, RGB, 0 to 255 -> (N, D), not of unit length."""
        x = self.scaling(crops)
        for _, (part,) in self.stages():
            x = part(x)  # (N, 20, S, S) twice, (N, 32, S/2), ..., (N, 208, S/16), (N, D)
        embeddings: Tensor = x
        return embeddings

    def stages(self) -> list[tuple[str, list[nn.Module]]]:
        """From the input on: "stem", "stage1" to "stage5", "output"."""
        return [(name, [part]) for name, part in self.named_children() if name != "scaling"]


class _Convolution(nn.Sequential):
    """Padding as Keras' "same", convolution, normalization, PReLU where it is active."""

    def __init__(
        self,
        ins: int,
        outs: int,
        kernel: int,
        *,
        stride: int = 1,
        depthwise: bool = False,
        active: bool = False,
    ) -> None:
        groups = ins if depthwise else 1
        lacking = kernel - stride  # of an even side, before and behind together
        convolution = nn.Conv2d(ins, outs, kernel, stride, groups=groups, bias=False)
        before = lacking // 2
        layers: list[nn.Module] = [
            nn.ZeroPad2d((before, lacking - before, before, lacking - before))
            if lacking
            else nn.Identity(),
            convolution,
            nn.BatchNorm2d(outs, eps=_EPS),
        ]
        if active:
            layers.append(nn.PReLU(outs))
        super().__init__(*layers)


class _Ghost(nn.Module):
    """Half of the channels by 1x1, the other half from them by 3x3 on each channel."""

    def __init__(self, ins: int, outs: int, *, active: bool) -> None:
        super().__init__()
        half = outs // 2
        self.first = _Convolution(ins, half, 1, active=active)
        self.second = _Convolution(half, half, 3, depthwise=True, active=active)

    def forward(self, x: Tensor) -> Tensor:
        """(N, ins, H, W) -> (N, outs, H, W)."""
        first = self.first(x)
        return torch.cat([first, self.second(first)], dim=1)


class _Gate(nn.Module):
    """Squeeze and excitation (Hu et al. 2018): each channel times a number from 0 to 1."""

    def __init__(self, channels: int, narrow: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, narrow, 1),
            nn.PReLU(narrow),
            nn.Conv2d(narrow, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        y: Tensor = x * (0.2 * self.weigh(x) + 0.5).clamp(0, 1)
        return y


class _Bottleneck(nn.Module):
    """Wider by a ghost module, a stride, a gate, narrower by another; and what was there before."""

    def __init__(
        self, ins: int, kernel: int, stride: int, expansion: int, outs: int, gate: int
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [_Ghost(ins, expansion, active=True)]
        if stride > 1:
            layers.append(_Convolution(expansion, expansion, kernel, stride=stride, depthwise=True))
        if gate:
            layers.append(_Gate(expansion, gate))
        self.path = nn.Sequential(*layers, _Ghost(expansion, outs, active=False))
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or ins != outs:
            self.shortcut = nn.Sequential(
                _Convolution(ins, ins, kernel, stride=stride, depthwise=True),
                _Convolution(ins, outs, 1),
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, ins, H, W) -> (N, outs, H / stride, W / stride)."""
        y: Tensor = self.path(x) + self.shortcut(x)
        return y
