"""Light CNN: gray networks whose activation is the larger of two halves of the channels.

Wu, He, Sun, Tan, "A Light CNN for Deep Face Representation with Noisy Labels", TIFS 2018,
arXiv:1511.02683. "Max-feature-map" of a layer with 2 C outputs: ``y_c = max(x_c, x_{C + c})``.

- ``lightcnn9``: table 1, nine layers.
- ``lightcnn29``: table 2, with residual blocks of 1, 2, 3 and 4.
- ``lightcnn29v2``: the authors' second form: where the others take the maximum of 2x2 pixels it
  adds their mean, and its last layer is linear.

The input is one gray channel of 128 pixels, 0 to 1; the embedding has 256 numbers.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from lineament.align.alignment import Alignment
from lineament.train.backbones.backbone import (
    Backbone,
    Scaling,
    check_dimension,
    check_fraction,
    check_size,
)

Form = Literal["9", "29", "29v2"]

_GROUPS = ((48, 96), (96, 192), (192, 128), (128, 128))
_BLOCKS = (1, 2, 3, 4)


def lightcnn9(*, dimension: int = 256, size_px: int = 128, dropout: float = 0.5) -> LightCnn:
    """Build Light CNN-9: 5.5 M parameters. Arguments as ``lightcnn29``."""
    return _build("9", dimension, size_px, dropout)


def lightcnn29(*, dimension: int = 256, size_px: int = 128, dropout: float = 0.5) -> LightCnn:
    """Build Light CNN-29: 12.6 M parameters without the classes of its training.

    Args:
        dimension: D, 256 in the paper.
        size_px: a multiple of 16, 128 in the paper.
        dropout: share of the embedding that is left out in training.

    Raises:
        OptionError: a value that it cannot have.
    """
    return _build("29", dimension, size_px, dropout)


def lightcnn29v2(*, dimension: int = 256, size_px: int = 128, dropout: float = 0.5) -> LightCnn:
    """Build the second form of Light CNN-29: 10.5 M parameters. Arguments as ``lightcnn29``."""
    return _build("29v2", dimension, size_px, dropout)


def _build(form: Form, dimension: int, size_px: int, dropout: float) -> LightCnn:
    name = f"lightcnn{form}"
    check_dimension(name, dimension)
    check_size(name, size_px, least=16, multiple_of=16)
    check_fraction(f"backbone {name}, dropout", dropout)
    return LightCnn(form, dimension, size_px, dropout)


class LightCnn(Backbone):
    """See the top of this file for its forms."""

    def __init__(self, form: Form, dimension: int, size_px: int, dropout: float) -> None:
        """Take the checked options of ``lightcnn29``, and which form."""
        super().__init__()
        self.dimension, self.size_px = dimension, size_px
        self.alignment = str(Alignment.square(size_px))
        self.scaling = Scaling(size_px, middle=0.0, unit=255.0, gray=True)
        pool = _BothMeans if form == "29v2" else _Largest
        self.stem = nn.Sequential(MaxFeature(nn.Conv2d(1, 96, 5, 1, 2)), pool())
        for number, (ins, outs) in enumerate(_GROUPS, start=1):
            blocks = 0 if form == "9" else _BLOCKS[number - 1]
            layers: list[nn.Module] = [_Residual(ins) for _ in range(blocks)]
            layers.append(MaxFeature(nn.Conv2d(ins, 2 * ins, 1)))
            layers.append(MaxFeature(nn.Conv2d(ins, 2 * outs, 3, 1, 1)))
            if number != 3:
                layers.append(pool())
            self.add_module(f"stage{number}", nn.Sequential(*layers))
        grid = 128 * (size_px // 16) ** 2
        last: nn.Module = nn.Linear(grid, dimension)
        if form != "29v2":
            last = MaxFeature(nn.Linear(grid, 2 * dimension))
        self.output = nn.Sequential(nn.Flatten(), last, nn.Dropout(dropout))
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) float, RGB, 0 to 255 -> (N, D), not of unit length."""
        x = self.scaling(crops)  # (N, 1, S, S)
        for _, (part,) in self.stages():
            x = part(x)  # (N, 48, S/2, S/2), (N, 96, S/4), (N, 192, S/8), (N, 128) twice, (N, D)
        embeddings: Tensor = x
        return embeddings

    def stages(self) -> list[tuple[str, list[nn.Module]]]:
        """From the input on: "stem", "stage1" to "stage4", "output"."""
        return [(name, [part]) for name, part in self.named_children() if name != "scaling"]


class MaxFeature(nn.Module):
    """The larger of the two halves of a layer's outputs (equation 2)."""

    def __init__(self, layer: nn.Conv2d | nn.Linear) -> None:
        """``layer``: with twice as many outputs as are wanted."""
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """(N, ins, ...) -> (N, outs / 2, ...)."""
        first, second = self.layer(x).chunk(2, dim=1)
        return torch.maximum(first, second)


class _Residual(nn.Module):
    """x + two convolutions of 3x3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            *(MaxFeature(nn.Conv2d(channels, 2 * channels, 3, 1, 1)) for _ in range(2))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        y: Tensor = x + self.path(x)
        return y


class _Largest(nn.MaxPool2d):
    """The maximum of 2x2 pixels."""

    def __init__(self) -> None:
        super().__init__(2)


class _BothMeans(nn.Module):
    """The maximum of 2x2 pixels and their mean, added."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H / 2, W / 2)."""
        y: Tensor = functional.max_pool2d(x, 2) + functional.avg_pool2d(x, 2)
        return y
