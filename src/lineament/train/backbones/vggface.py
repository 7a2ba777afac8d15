"""VGG-Face: VGG-16 for faces, thirteen convolutions and three wide linear layers.

Parkhi, Vedaldi, Zisserman, "Deep Face Recognition", BMVC 2015, table 3, configuration D of Simonyan
and Zisserman, "Very Deep Convolutional Networks", ICLR 2015, arXiv:1409.1556. Its 2,622 numbers are
those before the softmax over the people of its training; most who use it today take the 4,096 of
the layer before, after ReLU.
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
    check_fraction,
    check_size,
)

Last = Literal["fc7", "fc8"]

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and convolutions; a maximum over 2x2 follows each stage."""

_WIDE = 4096
_MIDDLE = 114.5
"""Mean of the photos of its training over the three channels (129.2, 104.8 and 93.6), section 4."""


def vggface(
    *, dimension: int = 4096, size_px: int = 224, dropout: float = 0.5, last: Last = "fc7"
) -> VggFace:
    """Build VGG-Face: 134.3 M parameters; 145.0 M with ``last="fc8"`` and 2,622 numbers.

    Args:
        dimension: D; 4,096 with ``last="fc7"``, 2,622 with "fc8" in the paper.
        size_px: a multiple of 32, 224 in the paper.
        dropout: after each wide layer but the last, in training only.
        last: which layer the embedding is of: "fc7", never negative, or "fc8".

    Raises:
        OptionError: a value that it cannot have.
    """
    check_dimension("vggface", dimension)
    check_size("vggface", size_px, least=32, multiple_of=32)
    check_fraction("backbone vggface, dropout", dropout)
    check_choice("backbone vggface, last", last, ("fc7", "fc8"))
    return VggFace(dimension, size_px, dropout, last)


class VggFace(Backbone):
    """See ``vggface``."""

    def __init__(self, dimension: int, size_px: int, dropout: float, last: Last) -> None:
        """Take the checked options of ``vggface``."""
        super().__init__()
        self.dimension, self.size_px = dimension, size_px
        self.alignment = str(Alignment.square(size_px))
        # The deviation of the photos' pixels is about 64; the paper leaves 0 to 255 as it is, which
        # the initial values below would carry to the end.
        self.scaling = Scaling(size_px, middle=_MIDDLE, unit=64.0)
        ins = 3
        for number, (channels, count) in enumerate(STAGES, start=1):
            layers: list[nn.Module] = []
            for _ in range(count):
                layers += [nn.Conv2d(ins, channels, 3, 1, 1), nn.ReLU()]
                ins = channels
            self.add_module(f"stage{number}", nn.Sequential(*layers, nn.MaxPool2d(2)))
        width = _WIDE if last == "fc8" else dimension
        self.fc6 = nn.Sequential(
            nn.Flatten(), nn.Linear(ins * (size_px // 32) ** 2, _WIDE), nn.ReLU()
        )
        self.fc7 = nn.Sequential(nn.Dropout(dropout), nn.Linear(_WIDE, width), nn.ReLU())
        if last == "fc8":
            self.fc8 = nn.Sequential(nn.Dropout(dropout), nn.Linear(_WIDE, dimension))
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) float, RGB, 0 to 255 -> (N, D), not of unit length."""
        x = self.scaling(crops)
        for _, (part,) in self.stages():
            x = part(x)  # (N, 64, S/2, S/2), (N, 128, S/4), ..., (N, 512, S/32), (N, 4096), (N, D)
        embeddings: Tensor = x
        return embeddings

    def stages(self) -> list[tuple[str, list[nn.Module]]]:
        """From the input on: "stage1" to "stage5", "fc6", "fc7", and "fc8" where there is one."""
        return [(name, [part]) for name, part in self.named_children() if name != "scaling"]
