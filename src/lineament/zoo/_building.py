"""A layout's backbone, and what its weights were published with: the part that needs PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from lineament.train.backbones import make_backbone
from lineament.train.backbones.backbone import Backbone
from lineament.zoo._input import Mirrored, PublishedInput
from lineament.zoo._layout import Layout, Shape

COUNTER = "num_batches_tracked"


def fresh(layout: Layout) -> Backbone:
    """The backbone as the file was trained, with numbers of its own; no random state changes."""
    options: dict[str, Any] = dict(layout.options)
    with torch.random.fork_rng(devices=[]):
        backbone = make_backbone(layout.published.backbone, **options)
    if layout.norm_eps is not None:
        for module in backbone.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                module.eps = layout.norm_eps
    return backbone


def shapes_of(layout: Layout) -> dict[str, Shape]:
    """Key -> shape of all values but counters."""
    return dict(_shapes(layout.published.backbone, tuple(layout.options.items())))


@cache
def _shapes(name: str, options: tuple[tuple[str, Any], ...]) -> tuple[tuple[str, Shape], ...]:
    with torch.device("meta"):
        backbone = make_backbone(name, **dict(options))
    return tuple(
        (key, tuple(value.shape))
        for key, value in backbone.state_dict().items()
        if not key.endswith(COUNTER)
    )


def finished(layout: Layout, state: Mapping[str, Tensor]) -> Backbone:
    """The network with its numbers, fed as it was trained, in evaluation mode."""
    published = layout.published
    backbone = fresh(layout)
    counters = {
        key: torch.zeros((), dtype=torch.long)
        for key in backbone.state_dict()
        if key.endswith(COUNTER)
    }
    backbone.load_state_dict({**state, **counters})
    backbone.scaling = PublishedInput(published)
    width, height = published.input_wh
    backbone.size_px = height
    backbone.width_px = None if width == height else width
    backbone.alignment = published.alignment
    whole = backbone
    if published.flip != "none":
        whole = Mirrored(backbone, adds=published.flip == "sum")
    return whole.eval()
