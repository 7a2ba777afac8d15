"""What every backbone is: crops in, embeddings out; the scaling of its input, checks of options."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection

import torch
from torch import Tensor, nn

from lineament.errors import OptionError

MOST_DIMENSIONS = 65536
MOST_PX = 1024
DARKEST = 1e-2
"""Least deviation that a crop is divided by, on the scale of -1 to 1: one without any contrast
stays one."""


LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in gray (ITU-R BT.601, as OpenCV and Pillow have it)."""


class Backbone(nn.Module, ABC):
    """A network that makes embeddings. It scales its input itself, so the exported file does too.

    Attributes:
        dimension: D, length of the embedding.
        size_px: side of the square crops it takes.
        width_px: of the part that a network for narrow crops looks at, the middle columns of the
            square; None: all of it.
        alignment: how the crops must be made, for example "arcface-112" (see ``lineament.align``).
    """

    dimension: int
    size_px: int
    width_px: int | None = None
    alignment: str

    @abstractmethod
    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) float, RGB, 0 to 255 -> (N, D), not of unit length."""

    def stages(self) -> list[tuple[str, list[nn.Module]]]:
        """Its stages from the input on, by the names that ``backbone.frozen`` of a run takes."""
        return [(name, [module]) for name, module in self.named_children()]

    def last_layer(self) -> nn.Linear | None:
        """The linear layer whose outputs are the embeddings; None where there is no such layer.

        ``backbone.whitened`` sets its weights from the training photos.
        """
        return None


class Scaling(nn.Module):
    """``(pixel - middle) / unit``; refuses crops of another size than the network was built for."""

    luma: Tensor

    def __init__(
        self,
        size_px: int,
        *,
        middle: float = 127.5,
        unit: float = 127.5,
        width_px: int | None = None,
        gray: bool = False,
    ) -> None:
        """``middle`` and ``unit`` of 127.5 bring 0 to 255 to -1 to 1.

        Args:
            size_px: S.
            middle, unit: see above.
            width_px: W, how many of the middle columns are kept; None: all S.
            gray: make one channel of three.
        """
        super().__init__()
        self.size_px, self.middle, self.unit = size_px, middle, unit
        self.width_px, self.gray = width_px, gray
        if gray:
            self.register_buffer("luma", torch.tensor(LUMA).reshape(3, 1, 1), persistent=False)

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S), 0 to 255 -> (N, 3 or 1, S, W), scaled."""
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
        if self.width_px is not None:
            left = (self.size_px - self.width_px) // 2
            crops = crops[..., left : left + self.width_px]
        if self.gray:
            crops = (crops * self.luma).sum(1, keepdim=True)
        return (crops - self.middle) / self.unit

    def extra_repr(self) -> str:
        """The numbers, for ``print(backbone)``."""
        return f"size_px={self.size_px}, middle={self.middle:g}, unit={self.unit:g}"


def standardized(scaled: Tensor) -> Tensor:
    """(N, 3, S, S) of -1 to 1 -> the same shape, each crop with mean 0 and deviation 1."""
    x = scaled - scaled.mean((1, 2, 3), keepdim=True)
    deviation = x.square().mean((1, 2, 3), keepdim=True).clamp_min(DARKEST**2).sqrt()
    return x / deviation


def check_whole(what: str, value: object, least: int, most: int, *, multiple_of: int = 1) -> None:
    """Raise OptionError unless ``value`` is a whole number from ``least`` to ``most``."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not least <= value <= most
        or value % multiple_of
    ):
        of = "" if multiple_of == 1 else f" and a multiple of {multiple_of}"
        raise OptionError(
            f"expected a whole number from {least} to {most}{of}, got {value!r}", option=what
        )


def check_dimension(name: str, dimension: object) -> None:
    """Raise OptionError unless it is a possible length of embeddings."""
    check_whole(f"backbone {name}, dimension", dimension, 1, MOST_DIMENSIONS)


def check_size(name: str, size_px: object, *, least: int, multiple_of: int = 1) -> None:
    """Raise OptionError unless the architecture can take crops of ``size_px``."""
    check_whole(f"backbone {name}, size_px", size_px, least, MOST_PX, multiple_of=multiple_of)


def check_fraction(what: str, value: object) -> None:
    """Raise OptionError unless ``value`` is a number, at least 0 and less than 1."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(float(value)) or not 0 <= float(value) < 1:  # type: ignore[arg-type]
        raise OptionError(f"expected a number from 0 to less than 1, got {value!r}", option=what)


def check_choice(what: str, value: object, choices: Collection[object]) -> None:
    """Raise OptionError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise OptionError(
            f"expected one of {', '.join(map(str, choices))}, got {value!r}", option=what
        )
