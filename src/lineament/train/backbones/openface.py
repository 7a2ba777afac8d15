"""OpenFace's nn4.small2: a small Inception network, for 128 numbers.

Amos, Ludwiczuk, Satyanarayanan, "OpenFace: A general-purpose face recognition library with mobile
applications", CMU-CS-16-118, 2016: a smaller NN4 of Schroff et al., "FaceNet", CVPR 2015,
arXiv:1503.03832, table 6. An Inception block puts four branches side by side (3x3, 5x5, a pooled
one, 1x1), each normalized by the batch; zeros are put around a branch that ends up smaller. The
pooled branch takes the maximum or the length (root of the sum of squares) of 3x3 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    check_whole,
)

_DARKEST = 1e-14
"""Least sum of squares whose root is taken: the root has no slope at 0."""


@dataclass(frozen=True, slots=True)
class _Block:
    three: tuple[int, int]  # channels before and after the convolution of 3x3
    five: tuple[int, int] | None
    pool: Literal["max", "length"]
    pooled: int | None  # channels of the pooled branch; None: as they come
    one: int | None
    stride: int = 1


_BLOCKS = {
    "inception3a": _Block((96, 128), (16, 32), "max", 32, 64),
    "inception3b": _Block((96, 128), (32, 64), "length", 64, 64),
    "inception3c": _Block((128, 256), (32, 64), "max", None, None, stride=2),
    "inception4a": _Block((96, 192), (32, 64), "length", 128, 256),
    "inception4e": _Block((160, 256), (64, 128), "max", None, None, stride=2),
    "inception5a": _Block((96, 384), None, "length", 96, 256),
    "inception5b": _Block((96, 384), None, "max", 96, 256),
}


def openface(
    *, dimension: int = 128, size_px: int = 96, window: int = 5, alpha: float = 1e-4
) -> OpenFace:
    """Build nn4.small2: 3.73 M parameters.

    Args:
        dimension: D, 128 in OpenFace.
        size_px: a multiple of 32, 96 in OpenFace.
        window: channels that local response normalization looks at, 5 in OpenFace.
        alpha: its factor, 1e-4 in OpenFace, from 0 to less than 1.

    Raises:
        OptionError: a value that it cannot have.
    """
    check_dimension("openface", dimension)
    check_size("openface", size_px, least=96, multiple_of=32)
    check_whole("backbone openface, window", window, 1, 63)
    check_fraction("backbone openface, alpha", alpha)
    return OpenFace(dimension, size_px, window, alpha)


class OpenFace(Backbone):
    """See ``openface``."""

    def __init__(self, dimension: int, size_px: int, window: int, alpha: float) -> None:
        """Take the checked options of ``openface``."""
        super().__init__()
        self.dimension, self.size_px = dimension, size_px
        self.alignment = str(Alignment.square(size_px))
        self.scaling = Scaling(size_px, middle=0.0, unit=255.0)
        self.stem = nn.Sequential(
            *_convolution(3, 64, 7, stride=2),
            nn.MaxPool2d(3, 2, 1),
            nn.LocalResponseNorm(window, alpha),
            *_convolution(64, 64, 1),
            *_convolution(64, 192, 3),
            nn.LocalResponseNorm(window, alpha),
            nn.MaxPool2d(3, 2, 1),
        )
        ins = 192
        for name, block in _BLOCKS.items():
            inception = _Inception(ins, block)
            self.add_module(name, inception)
            ins = inception.outs
        self.output = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(ins, dimension)
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) float, RGB, 0 to 255 -> (N, D), not of unit length."""
        x = self.scaling(crops)
        for _, (part,) in self.stages():
            x = part(x)  # (N, 192, S/8), (N, 256), (N, 320), (N, 640, S/16), ..., (N, D)
        embeddings: Tensor = x
        return embeddings

    def stages(self) -> list[tuple[str, list[nn.Module]]]:
        """From the input on: "stem", "inception3a" to "inception5b", "output"."""
        return [(name, [part]) for name, part in self.named_children() if name != "scaling"]


class _Inception(nn.Module):
    """Up to four branches, their channels one after the other."""

    def __init__(self, ins: int, block: _Block) -> None:
        super().__init__()
        branches = [
            nn.Sequential(
                *_convolution(ins, before, 1),
                *_convolution(before, after, kernel, stride=block.stride),
            )
            for kernel, way in ((3, block.three), (5, block.five))
            if way is not None
            for before, after in (way,)
        ]
        outs = block.three[1] + (block.five[1] if block.five is not None else 0)
        pool = nn.MaxPool2d(3, 2) if block.pool == "max" else _Length(3)
        pooled = [] if block.pooled is None else _convolution(ins, block.pooled, 1)
        branches.append(nn.Sequential(pool, *pooled))
        outs += ins if block.pooled is None else block.pooled
        if block.one is not None:
            branches.append(nn.Sequential(*_convolution(ins, block.one, 1)))
            outs += block.one
        self.branches = nn.ModuleList(branches)
        self.outs = outs

    def forward(self, x: Tensor) -> Tensor:
        """(N, ins, H, W) -> (N, outs, H / stride, W / stride)."""
        made = [branch(x) for branch in self.branches]
        side = int(made[0].shape[-1])
        return torch.cat([_surrounded(y, side) for y in made], dim=1)


class _Length(nn.Module):
    """The root of the sum of the squares of 3x3 pixels."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H // kernel, W // kernel)."""
        squares = functional.avg_pool2d(x * x, self.kernel) * self.kernel**2
        return squares.clamp_min(_DARKEST).sqrt()


def _surrounded(x: Tensor, side: int) -> Tensor:
    """Put zeros around the picture, one more at the right and bottom where their number is odd."""
    lacking = side - int(x.shape[-1])
    if not lacking:
        return x
    before = lacking // 2
    return functional.pad(x, (before, lacking - before, before, lacking - before))


def _convolution(ins: int, outs: int, kernel: int, *, stride: int = 1) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(ins, outs, kernel, stride, kernel // 2),
        nn.BatchNorm2d(outs),
        nn.ReLU(),
    )
