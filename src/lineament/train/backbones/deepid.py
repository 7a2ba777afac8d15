"""DeepID: four small convolutions, and an embedding that sees the last two of them.

Sun, Wang, Tang, "Deep Learning Face Representation from Predicting 10,000 Classes", CVPR 2014,
section 3 and figure 2, for a patch of 47 by 55 pixels in color: the form that libraries carry as
"DeepID" (the paper joins 60 such networks, for patches of 39 by 31 pixels as well).

    conv1 20x4x4   52x44, maximum 26x22
    conv2 40x3x3   24x20, maximum 12x10
    conv3 60x3x3   10x8,  maximum 5x4
    conv4 80x2x2   4x3
    160 numbers from conv3 and conv4, after ReLU (equation 2)

The paper's third and fourth convolution share their weights over regions only; here, as in all
copies that are in use, over the whole picture.
"""

from __future__ import annotations

from torch import Tensor, nn

from lineament.align.alignment import Alignment
from lineament.train.backbones.backbone import Backbone, Scaling, check_dimension, check_size


def deepid(*, dimension: int = 160, size_px: int = 55) -> DeepId:
    """Build DeepID: 0.40 M parameters.

    Its crops are squares, of which it sees the middle 47 of 55 columns.

    Args:
        dimension: D, 160 in the paper.
        size_px: height of the crops, at least 40.

    Raises:
        OptionError: a value that it cannot have.
    """
    check_dimension("deepid", dimension)
    check_size("deepid", size_px, least=40)
    return DeepId(dimension, size_px)


class DeepId(Backbone):
    """See ``deepid``."""

    def __init__(self, dimension: int, size_px: int) -> None:
        """Take the checked options of ``deepid``."""
        super().__init__()
        self.dimension, self.size_px = dimension, size_px
        self.width_px = size_px * 47 // 55
        self.alignment = str(Alignment.square(size_px))
        self.scaling = Scaling(size_px, middle=0.0, unit=255.0, width_px=self.width_px)
        self.conv1 = nn.Sequential(nn.Conv2d(3, 20, 4), nn.ReLU(), nn.MaxPool2d(2))
        self.conv2 = nn.Sequential(nn.Conv2d(20, 40, 3), nn.ReLU(), nn.MaxPool2d(2))
        self.conv3 = nn.Sequential(nn.Conv2d(40, 60, 3), nn.ReLU(), nn.MaxPool2d(2))
        self.conv4 = nn.Sequential(nn.Conv2d(60, 80, 2), nn.ReLU())
        places = 1
        below = 1
        for side in (size_px, self.width_px):
            left = (((side - 3) // 2 - 2) // 2 - 2) // 2
            places, below = places * left, below * (left - 1)
        self.output = _Joined(60 * places, 80 * below, dimension)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) float, RGB, 0 to 255 -> (N, D), never negative, not of unit length."""
        x = self.conv3(self.conv2(self.conv1(self.scaling(crops))))  # (N, 60, 5, 4)
        embeddings: Tensor = self.output(x, self.conv4(x))  # (N, D)
        return embeddings

    def stages(self) -> list[tuple[str, list[nn.Module]]]:
        """From the input on: "conv1" to "conv4", "output"."""
        return [(name, [part]) for name, part in self.named_children() if name != "scaling"]


class _Joined(nn.Module):
    """ReLU of the sum of two linear layers, one for each of two pictures."""

    def __init__(self, third: int, fourth: int, dimension: int) -> None:
        super().__init__()
        self.third = nn.Linear(third, dimension)
        self.fourth = nn.Linear(fourth, dimension)

    def forward(self, third: Tensor, fourth: Tensor) -> Tensor:
        """Two of (N, C, H, W) -> (N, D)."""
        joined: Tensor = self.third(third.flatten(1)) + self.fourth(fourth.flatten(1))
        return joined.relu()
