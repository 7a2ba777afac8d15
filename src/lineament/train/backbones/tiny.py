"""A very small residual network of our own, for tests, small data sets and two-dimensional toys.

    pixels -> 3x3, stride 2 -> four residual blocks -> one value a channel -> linear

Its parts are those of the large ones: residual blocks with PReLU, and MobileFaceNet's global
depthwise convolution, as in aligned faces every place means something else; or their average.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from lineament.align.alignment import Alignment
from lineament.train.backbones.backbone import (
    Backbone,
    Scaling,
    check_choice,
    check_dimension,
    check_size,
    check_whole,
)

Norm = Literal["batch", "group"]
Pool = Literal["depthwise", "average"]

_CHANNELS_A_GROUP = 8


def tiny(
    *,
    dimension: int = 128,
    size_px: int = 112,
    width: int = 24,
    norm: Norm = "batch",
    pool: Pool = "depthwise",
) -> Tiny:
    """Build the small network: 0.30 M parameters with the default options.

    Args:
        dimension: D.
        size_px: a multiple of 16.
        width: channels of the first stage, a multiple of 8, to 256; the others have 2, 3 and 4
            times as many. The number of parameters goes with its square.
        norm: "batch", or "group" (groups of 8 channels), which does not depend on the batch: for
            very small batches.
        pool: what makes one value a channel of the last grid: "depthwise", a weight for each place,
            or "average".

    Raises:
        OptionError: a value that it cannot have.
    """
    check_dimension("tiny", dimension)
    check_size("tiny", size_px, least=16, multiple_of=16)
    check_whole("backbone tiny, width", width, 8, 256, multiple_of=_CHANNELS_A_GROUP)
    check_choice("backbone tiny, norm", norm, ("batch", "group"))
    check_choice("backbone tiny, pool", pool, ("depthwise", "average"))
    return Tiny(dimension, size_px, width, norm, pool)


class Tiny(Backbone):
    """See ``tiny``."""

    def __init__(self, dimension: int, size_px: int, width: int, norm: Norm, pool: Pool) -> None:
        """Take the checked options of ``tiny``."""
        super().__init__()
        self.dimension, self.size_px = dimension, size_px
        self.alignment = str(Alignment.square(size_px))
        last = 4 * width
        self.scaling = Scaling(size_px)
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, 2, 1, bias=False), _norm(norm, width), nn.PReLU(width)
        )
        self.stage1 = _Block(width, width, 2, norm)
        self.stage2 = _Block(width, 2 * width, 2, norm)
        self.stage3 = _Block(2 * width, 3 * width, 2, norm)
        self.stage4 = _Block(3 * width, last, 1, norm)
        self.output = nn.Sequential(
            nn.AdaptiveAvgPool2d(1)
            if pool == "average"
            else nn.Conv2d(last, last, size_px // 16, groups=last, bias=False),
            _norm(norm, last),
            nn.Flatten(),
            nn.Linear(last, dimension),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # He et al. 2015, eq. 15, for PReLU with its first slope of 1/4.
                nn.init.kaiming_normal_(module.weight, a=0.25, mode="fan_in")
            elif isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) float, RGB, 0 to 255 -> (N, D), not of unit length."""
        x = self.stem(self.scaling(crops))  # (N, width, S/2, S/2)
        x = self.stage2(self.stage1(x))  # (N, 2 width, S/8, S/8)
        x = self.stage4(self.stage3(x))  # (N, 4 width, S/16, S/16)
        embeddings: Tensor = self.output(x)  # (N, D)
        return embeddings

    def stages(self) -> list[tuple[str, list[nn.Module]]]:
        """The parts from the input on: "stem", "stage1" to "stage4", "output"."""
        return [(name, [part]) for name, part in self.named_children() if name != "scaling"]


class _Block(nn.Module):
    """3x3, norm, PReLU, 3x3, norm; plus the input, brought to the same shape; PReLU."""

    def __init__(self, ins: int, outs: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(ins, outs, 3, stride, 1, bias=False),
            _norm(norm, outs),
            nn.PReLU(outs),
            nn.Conv2d(outs, outs, 3, 1, 1, bias=False),
            _norm(norm, outs),
        )
        # An average before the 1x1 convolution, so that no pixel is left out (He et al. 2019,
        # "Bag of tricks", ResNet-D).
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(stride) if stride > 1 else nn.Identity(),
            nn.Conv2d(ins, outs, 1, bias=False),
            _norm(norm, outs),
        )
        self.activation = nn.PReLU(outs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, ins, H, W) -> (N, outs, H / stride, W / stride)."""
        y: Tensor = self.activation(self.path(x) + self.shortcut(x))
        return y


def _norm(norm: Norm, channels: int) -> nn.Module:
    if norm == "group":
        return nn.GroupNorm(channels // _CHANNELS_A_GROUP, channels)
    return nn.BatchNorm2d(channels)
