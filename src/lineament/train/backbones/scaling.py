"""The first layer of every backbone: pixels of 0 to 255 to the numbers that it works with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lineament.errors import OptionError


class Scaling(nn.Module):
    """``(pixel - middle) / unit``; refuses crops of another size than the network was built for."""

    def __init__(self, size_px: int, *, middle: float = 127.5, unit: float = 127.5) -> None:
        """``size_px``: S; ``middle`` and ``unit`` of 127.5 bring 0 to 255 to -1 to 1."""
        super().__init__()
        self.size_px, self.middle, self.unit = size_px, middle, unit

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S), 0 to 255 -> the same shape, scaled."""
        # While tracing, sizes are no plain numbers, and what is traced was checked before.
        if not torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            expected = (3, self.size_px, self.size_px)
            if crops.dim() != 4 or tuple(crops.shape[1:]) != expected:
                raise OptionError(
                    f"expected (N, {', '.join(map(str, expected))}), got "
                    f"{tuple(crops.shape)}: align or resize them to {self.size_px} pixels, or "
                    "build the backbone with another size_px",
                    option="crops",
                )
        return (crops - self.middle) / self.unit

    def extra_repr(self) -> str:
        """The numbers, for ``print(backbone)``."""
        return f"size_px={self.size_px}, middle={self.middle:g}, unit={self.unit:g}"


DARKEST = 1e-2
"""Least deviation that a crop is divided by, on the scale of -1 to 1: one without any contrast
stays one."""


def standardized(scaled: Tensor) -> Tensor:
    """(N, 3, S, S) of -1 to 1 -> the same shape, each crop with mean 0 and deviation 1."""
    x = scaled - scaled.mean((1, 2, 3), keepdim=True)
    deviation = x.square().mean((1, 2, 3), keepdim=True).clamp_min(DARKEST**2).sqrt()
    return x / deviation
