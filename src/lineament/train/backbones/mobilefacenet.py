"""MobileFaceNet: inverted residuals and a global depthwise convolution, about a million parameters.

Chen, Liu, Gao, Han, "MobileFaceNets: Efficient CNNs for Accurate Real-Time Face Verification on
Mobile Devices", CCBR 2018, arXiv:1804.07573, table 1.
"""

from __future__ import annotations

from torch import Tensor, nn

from lineament.align.alignment import Alignment
from lineament.train.backbones.backbone import Backbone, Scaling, check_dimension, check_size

_STAGES = (
    # expansion t, channels c, blocks n, stride s of the first: table 1
    (2, 64, 5, 2),
    (4, 128, 1, 2),
    (2, 128, 6, 1),
    (4, 128, 1, 2),
    (2, 128, 2, 1),
)


def mobilefacenet(*, dimension: int = 128, size_px: int = 112) -> MobileFaceNet:
    """Build MobileFaceNet: 128-D from 112 pixels in the paper.

    1.00 M parameters; 0.99 M, the paper's figure, once the normalizations are folded away.

    Args:
        dimension: D.
        size_px: a multiple of 16; the global depthwise convolution covers the last grid.

    Raises:
        OptionError: a value that it cannot have.
    """
    check_dimension("mobilefacenet", dimension)
    check_size("mobilefacenet", size_px, least=32, multiple_of=16)
    return MobileFaceNet(dimension, size_px)


class MobileFaceNet(Backbone):
    """See ``mobilefacenet``. PReLU after every convolution but the linear ones, as in the paper."""

    def __init__(self, dimension: int, size_px: int) -> None:
        """Take the checked options of ``mobilefacenet``."""
        super().__init__()
        self.dimension, self.size_px = dimension, size_px
        self.alignment = str(Alignment.square(size_px))
        self.scaling = Scaling(size_px, unit=128.0)  # section 4.1: (pixel - 127.5) / 128
        self.stem = nn.Sequential(
            *_convolution(3, 64, 3, stride=2, padding=1),
            *_convolution(64, 64, 3, padding=1, groups=64),
        )
        ins = 64
        for number, (expansion, channels, blocks, stride) in enumerate(_STAGES, start=1):
            parts = []
            for i in range(blocks):
                parts.append(_Bottleneck(ins, channels, expansion, stride if i == 0 else 1))
                ins = channels
            self.add_module(f"stage{number}", nn.Sequential(*parts))
        self.output = nn.Sequential(
            *_convolution(ins, 512, 1),
            *_convolution(512, 512, size_px // 16, groups=512, linear=True),  # GDConv
            nn.Flatten(),
            nn.Linear(512, dimension, bias=False),  # the linear 1x1 convolution of one place
            nn.BatchNorm1d(dimension),
        )
        for module in self.modules():
            # The paper does not say; He et al. 2015, eq. 15, for PReLU with its first slope of 1/4.
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=0.25, mode="fan_in")
            elif isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight)

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) float, RGB, 0 to 255 -> (N, D), not of unit length."""
        x = self.scaling(crops)
        for _, (part,) in self.stages():
            x = part(x)  # (N, 64, S/2), (N, 64, S/4), (N, 128, S/8), ..., (N, 128, S/16), (N, D)
        embeddings: Tensor = x
        return embeddings

    def stages(self) -> list[tuple[str, list[nn.Module]]]:
        """The parts from the input on: "stem", "stage1" to "stage5", "output"."""
        return [(name, [part]) for name, part in self.named_children() if name != "scaling"]


class _Bottleneck(nn.Module):
    """Inverted residual (Sandler et al. 2018): wider by 1x1, 3x3 on each channel, narrower."""

    def __init__(self, ins: int, outs: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = ins * expansion
        self.path = nn.Sequential(
            *_convolution(ins, wide, 1),
            *_convolution(wide, wide, 3, stride=stride, padding=1, groups=wide),
            *_convolution(wide, outs, 1, linear=True),
        )
        self.adds = stride == 1 and ins == outs

    def forward(self, x: Tensor) -> Tensor:
        """(N, ins, H, W) -> (N, outs, H / stride, W / stride)."""
        y: Tensor = self.path(x)
        return x + y if self.adds else y


def _convolution(
    ins: int,
    outs: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
    linear: bool = False,
) -> list[nn.Module]:
    layers: list[nn.Module] = [
        nn.Conv2d(ins, outs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outs),
    ]
    return layers if linear else [*layers, nn.PReLU(outs)]
