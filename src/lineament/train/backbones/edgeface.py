"""EdgeFace: EdgeNeXt, convolutions and attention over channels, with linear layers of low rank.

George, Ecabert, Otroshi Shahreza, Kotwal, Marcel, "EdgeFace: Efficient Face Recognition Model for
Edge Devices", TBIOM 2024, arXiv:2307.01838, on Maaz et al., "EdgeNeXt", CADL 2022,
arXiv:2206.10589. A linear layer W of (out, in) becomes the product of two, ``W = B A``, with

    rank = max(2, floor(gamma min(in, out)))

"edgeface-xs" is its XS with gamma 0.6 (1.77 M parameters), "edgeface-s" its S with gamma 0.5
(3.65 M).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lineament.align.alignment import Alignment
from lineament.errors import OptionError
from lineament.train.backbones.backbone import Backbone, Scaling, check_dimension, check_size

_EPS = 1e-6  # of the layer norms, and the first value of the layer scales


@dataclass(frozen=True, slots=True)
class _Size:
    channels: tuple[int, int, int, int]
    heads: int


_X_SMALL = _Size((32, 64, 100, 192), 4)
_SMALL = _Size((48, 96, 160, 304), 8)

# EdgeNeXt, table 1; the last block of stages 2 to 4 is the one with attention.
_BLOCKS = (3, 3, 9, 3)
_KERNELS = (3, 5, 7, 9)
_SCALES = (0, 2, 3, 4)  # parts that the channels are split into, 0: no attention
_EXPANSION = 4


def edgeface_xs(*, dimension: int = 512, size_px: int = 112, gamma: float = 0.6) -> EdgeFace:
    """Build EdgeFace-XS: 1.77 M parameters with the default options.

    Args:
        dimension: D.
        size_px: a multiple of 16, at least 32.
        gamma: rank of the linear layers, as a share of the full one; above 0, to 1.

    Raises:
        OptionError: a value that it cannot have.
    """
    return _build("edgeface-xs", _X_SMALL, dimension, size_px, gamma)


def edgeface_s(*, dimension: int = 512, size_px: int = 112, gamma: float = 0.5) -> EdgeFace:
    """Build EdgeFace-S: 3.65 M parameters. Arguments as ``edgeface_xs``."""
    return _build("edgeface-s", _SMALL, dimension, size_px, gamma)


def _build(name: str, size: _Size, dimension: int, size_px: int, gamma: float) -> EdgeFace:
    check_dimension(name, dimension)
    check_size(name, size_px, least=32, multiple_of=16)
    if isinstance(gamma, bool) or not isinstance(gamma, (int, float)) or not 0 < gamma <= 1:
        raise OptionError(f"backbone {name}, gamma: expected a number above 0, to 1, got {gamma!r}")
    return EdgeFace(size, dimension, size_px, gamma)


class EdgeFace(Backbone):
    """See ``edgeface_xs``."""

    def __init__(self, size: _Size, dimension: int, size_px: int, gamma: float) -> None:
        """Take the checked options of ``edgeface_xs``, and the widths."""
        super().__init__()
        self.dimension, self.size_px = dimension, size_px
        self.alignment = str(Alignment.square(size_px))
        self.scaling = Scaling(size_px)
        ins, grid_px = size.channels[0], size_px // 4
        self.stem = nn.Sequential(nn.Conv2d(3, ins, 4, 4), _ChannelNorm(ins))
        for i, (channels, blocks) in enumerate(zip(size.channels, _BLOCKS, strict=True)):
            parts: list[nn.Module] = []
            if i > 0:
                parts += [_ChannelNorm(ins), nn.Conv2d(ins, channels, 2, 2)]
                grid_px //= 2
            local = blocks if _SCALES[i] == 0 else blocks - 1
            parts += [_Local(channels, _KERNELS[i], gamma) for _ in range(local)]
            if _SCALES[i]:
                # EdgeNeXt tells the attention where things are in its first place only.
                parts.append(
                    _Attention(channels, _SCALES[i], size.heads, gamma, grid_px, placed=i == 1)
                )
            self.add_module(f"stage{i + 1}", nn.Sequential(*parts))
            ins = channels
        self.output = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            _ChannelNorm(ins),
            nn.Flatten(),
            _LowRank(ins, dimension, gamma),
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) float, RGB, 0 to 255 -> (N, D), not of unit length."""
        x = self.scaling(crops)
        for _, (part,) in self.stages():
            x = part(
                x
            )  # (N, C1, S/4, S/4) twice, (N, C2, S/8), (N, C3, S/16), (N, C4, S/32), (N, D)
        embeddings: Tensor = x
        return embeddings

    def stages(self) -> list[tuple[str, list[nn.Module]]]:
        """The parts from the input on: "stem", "stage1" to "stage4", "output"."""
        return [(name, [part]) for name, part in self.named_children() if name != "scaling"]


class _LowRank(nn.Sequential):
    """A linear layer as the product of two (section 3.2, "LoRaLin")."""

    def __init__(self, ins: int, outs: int, gamma: float) -> None:
        rank = max(2, int(min(ins, outs) * gamma))
        super().__init__(nn.Linear(ins, rank, bias=False), nn.Linear(rank, outs))


class _ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each place."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        y: Tensor = super().forward(x.permute(0, 2, 3, 1))
        return y.permute(0, 3, 1, 2)


class _Widened(nn.Sequential):
    """Norm, four times as wide, GELU, and back; at each place, the channels last."""

    def __init__(self, channels: int, gamma: float) -> None:
        super().__init__(
            nn.LayerNorm(channels, eps=_EPS),
            _LowRank(channels, _EXPANSION * channels, gamma),
            nn.GELU(),
            _LowRank(_EXPANSION * channels, channels, gamma),
        )


class _Local(nn.Module):
    """ConvNeXt's block: a wide depthwise convolution, then ``_Widened``."""

    def __init__(self, channels: int, kernel: int, gamma: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, kernel, padding="same", groups=channels)
        self.widened = _Widened(channels, gamma)
        self.scale = nn.Parameter(torch.full((channels,), _EPS))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        y: Tensor = self.depthwise(x).permute(0, 2, 3, 1)  # (N, H, W, C)
        y = self.scale * self.widened(y)
        return x + y.permute(0, 3, 1, 2)


class _Attention(nn.Module):
    """Split depthwise transpose attention (EdgeNeXt, section 3.2).

    The channels are split; all parts but the last are convolved, each with the result of the one
    before added to it. Then attention between channels, and ``_Widened``.
    """

    def __init__(
        self,
        channels: int,
        parts: int,
        heads: int,
        gamma: float,
        grid_px: int,
        *,
        placed: bool,
    ) -> None:
        super().__init__()
        width = math.ceil(channels / parts)
        self.split = [width] * (parts - 1) + [channels - width * (parts - 1)]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1, groups=width) for _ in range(parts - 1)
        )
        self.grid = (grid_px, grid_px)
        self.places = _Places(channels, grid_px) if placed else None
        self.norm = nn.LayerNorm(channels, eps=_EPS)
        self.attention = _BetweenChannels(channels, heads, gamma)
        self.attention_scale = nn.Parameter(torch.full((channels,), _EPS))
        self.widened = _Widened(channels, gamma)
        self.scale = nn.Parameter(torch.full((channels,), _EPS))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        *first, last = torch.split(x, self.split, dim=1)
        done: list[Tensor] = []
        for part, convolution in zip(first, self.convolutions, strict=True):
            done.append(convolution(part + done[-1] if done else part))
        y: Tensor = torch.cat([*done, last], dim=1)  # (N, C, H, W)
        if self.places is not None:
            y = y + self.places()  # (N, C, H, W) + (1, C, H, W)
        y = y.flatten(2).transpose(1, 2)  # (N, H W, C)
        y = y + self.attention_scale * self.attention(self.norm(y))
        y = self.scale * self.widened(y)
        return x + torch.unflatten(y.transpose(1, 2), 2, self.grid)


class _BetweenChannels(nn.Module):
    """Cross-covariance attention (El-Nouby et al., "XCiT", NeurIPS 2021, arXiv:2106.09681, eq. 3).

        softmax(temperature q^ k^T) v, with q^ and k^ of unit length over the places

    for each head: a matrix of C / heads squared, whatever the number of places.
    """

    def __init__(self, channels: int, heads: int, gamma: float) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = _LowRank(channels, 3 * channels, gamma)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.mix = _LowRank(channels, channels, gamma)

    def forward(self, x: Tensor) -> Tensor:
        """(N, places, C) -> the same shape."""
        parts = torch.unflatten(self.qkv(x), 2, (3, self.heads, x.shape[2] // self.heads))
        q, k, v = torch.unbind(parts.permute(2, 0, 3, 4, 1))  # (N, heads, C / heads, places)
        q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
        weights = (q @ k.transpose(-2, -1) * self.temperature).softmax(dim=-1)
        y = weights @ v  # (N, heads, C / heads, C / heads) @ (N, heads, C / heads, places)
        mixed: Tensor = self.mix(y.flatten(1, 2).transpose(1, 2))  # (N, places, C)
        return mixed


class _Places(nn.Module):
    """Where a place is, by sines and cosines of row and column, brought to C channels."""

    _WAVES = 32
    _LONGEST = 10000.0

    def __init__(self, channels: int, grid_px: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(2 * self._WAVES, channels, 1)
        position = torch.arange(1, grid_px + 1) / (grid_px + _EPS) * 2 * math.pi
        power = torch.arange(self._WAVES) // 2 * 2 / self._WAVES
        angle = position[:, None] / self._LONGEST**power  # (grid, waves)
        even = torch.arange(self._WAVES) % 2 == 0
        wave = torch.where(even, angle.sin(), angle.cos()).T  # (waves, grid)
        rows = wave[:, :, None].expand(-1, -1, grid_px)
        columns = wave[:, None, :].expand(-1, grid_px, -1)
        self.register_buffer("waves", torch.cat([rows, columns])[None], persistent=False)

    def forward(self) -> Tensor:
        """-> (1, C, grid, grid)."""
        y: Tensor = self.project(self.waves)
        return y
