"""Two convolutions and one linear layer, of our own: for a few hundred photos.

    pixels -> each crop to mean 0, deviation 1 -> 5x5, stride 2 -> 3x3, stride 2 -> linear, norm

With 30 people a deep network learns those people. What is left of a face after two convolutions is
about what linear discriminant analysis sees (Fisherfaces: Belhumeur et al., PAMI 1997),
with changes of place and light trained away. ``benchmarks/training/train.py`` compares it with
``tiny``.
"""

from __future__ import annotations

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


def shallow(*, dimension: int = 128, size_px: int = 48, width: int = 32) -> Shallow:
    """Build the network: 0.60 M parameters with the default options.

    Args:
        dimension: D.
        size_px: a multiple of 4, from 16 on.
        width: channels, 1 to 256.

    Raises:
        OptionError: a value that it cannot have.
    """
    check_dimension("shallow", dimension)
    check_size("shallow", size_px, least=16, multiple_of=4)
    check_whole("backbone shallow, width", width, 1, 256)
    return Shallow(dimension, size_px, width)


class Shallow(Backbone):
    """See ``shallow``."""

    def __init__(self, dimension: int, size_px: int, width: int) -> None:
        """Take the checked options of ``shallow``."""
        super().__init__()
        self.dimension, self.size_px = dimension, size_px
        self.alignment = str(Alignment.square(size_px))
        self.scaling = Scaling(size_px)
        self.stage1 = nn.Sequential(
            nn.Conv2d(3, width, 5, 2, 2, bias=False), nn.BatchNorm2d(width), nn.PReLU(width)
        )
        self.stage2 = nn.Sequential(
            nn.Conv2d(width, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width)
        )
        self.output = nn.Sequential(
            nn.Flatten(),
            nn.Linear(width * (size_px // 4) ** 2, dimension, bias=False),
            nn.BatchNorm1d(dimension),
        )

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) float, RGB, 0 to 255 -> (N, D), not of unit length."""
        x = standardized(self.scaling(crops))
        x = self.stage2(self.stage1(x))  # (N, width, S/4, S/4)
        embeddings: Tensor = self.output(x)  # (N, D)
        return embeddings

    def stages(self) -> list[tuple[str, list[nn.Module]]]:
        """The parts from the input on: "stage1", "stage2", "output"."""
        return [(name, [part]) for name, part in self.named_children() if name != "scaling"]
