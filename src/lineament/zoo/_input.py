"""How a published network is fed: its channels, its scaling, and what becomes of the mirror image.

All of it lies in the network, as everywhere in lineament: from outside it takes RGB of 0 to 255.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lineament.errors import OptionError
from lineament.train.backbones.backbone import LUMA, Backbone
from lineament.zoo._layout import Published


class PublishedInput(nn.Module):
    """RGB of 0 to 255 -> what the published weights were trained on."""

    mean: Tensor
    scale: Tensor
    luma: Tensor

    def __init__(self, published: Published) -> None:
        """Take channels, mean, scale, whitening and size from the entry."""
        super().__init__()
        self.size_wh, self.channels = published.input_wh, published.channels
        self.whitened = published.whitened
        for name, value in (("mean", published.mean), ("scale", published.scale)):
            values = value if isinstance(value, tuple) else (value,)
            constant = torch.tensor(values, dtype=torch.float32, device="cpu").reshape(-1, 1, 1)
            self.register_buffer(name, constant, persistent=False)
        luma = torch.tensor(LUMA, dtype=torch.float32, device="cpu").reshape(3, 1, 1)
        self.register_buffer("luma", luma, persistent=False)

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, H, W), RGB, 0 to 255 -> (N, 3 or 1, H, W)."""
        # While tracing, sizes are no plain numbers, and what is traced was checked before.
        if not torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            width, height = self.size_wh
            if crops.dim() != 4 or tuple(crops.shape[1:]) != (3, height, width):
                raise OptionError(
                    f"expected (N, 3, {height}, {width}), got {tuple(crops.shape)}: align or "
                    f"resize them to {width}x{height} pixels",
                    option="crops",
                )
        x = crops
        if self.channels == "bgr":
            x = x.flip(1)
        elif self.channels == "gray":
            x = (x * self.luma).sum(1, keepdim=True)  # (N, 1, H, W)
        if not self.whitened:
            return (x - self.mean) * self.scale
        x = x - x.mean((1, 2, 3), keepdim=True)
        least = (3 * self.size_wh[0] * self.size_wh[1]) ** -0.5
        return x / x.square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(least)


class Mirrored(Backbone):
    """A network that sees the crop and its mirror image."""

    def __init__(self, body: Backbone, *, adds: bool) -> None:
        """``adds``: the sum of both embeddings; else one behind the other."""
        super().__init__()
        self.body, self.adds = body, adds
        self.dimension = body.dimension if adds else 2 * body.dimension
        self.size_px, self.alignment = body.size_px, body.alignment
        self.width_px = body.width_px

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, H, W) float, RGB, 0 to 255 -> (N, D), not of unit length."""
        straight, mirrored = self.body(crops), self.body(crops.flip(3))
        if self.adds:
            return torch.add(straight, mirrored)
        return torch.cat([straight, mirrored], dim=1)

    def stages(self) -> list[tuple[str, list[nn.Module]]]:
        """Those of the network that sees one of them."""
        return self.body.stages()
