"""One loss, one training of the small network, on the crops: the same for every loss."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lineament.errors import DivergedError
from lineament.train.toy._result import ToyLoss, measured
from lineament.types import StageProgress

if TYPE_CHECKING:
    from lineament.train.losses.loss import Loss

WIDTH = 16
BATCH = 64
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-4
CLIP_NORM = 5.0
WARM_UP = 20
"""Steps until the learning rate is reached; from there it falls as a cosine."""

TURNED_RAD, ZOOMED, MOVED, CONTRAST, LIGHTER = 0.1, 0.06, 0.07, 0.2, 20.0
"""How far photos are changed at most; ``MOVED`` is in halves of a side, ``LIGHTER`` in gray
levels. Without changes the network knows 480 photos by heart, and any loss makes points of its
people."""

HEAD_FACTOR = 0.1
"""The classifier learns so much slower than the network. If it is as fast, the weights of two
people who begin mixed up run after their photos until they lie on each other, for good."""

GROWING = ("arcface", "cosface")
GROWN_AFTER = 0.5
"""The margins of these grow from 0 over this share of the training, as A-Softmax's does by itself:
with the whole margin from the start, two people who begin on the wrong sides may never change
places in two dimensions."""

OPTIONS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "normalized-softmax": {"scale": 16.0},
        "a-softmax": {"decay": 0.6, "least": 1.0},
        "cosface": {"scale": 16.0, "margin": 0.2},
        "arcface": {"scale": 16.0, "margin": 0.5},
        "triplet": {"margin": 0.3, "mining": "batch-all"},
    }
)
"""Options for two dimensions, where a loss needs others than its own.

Eight directions in the plane are 45 degrees apart, where thousands in 512 dimensions are 90 apart:
the cosine falls by 0.29 from one to the next, not by 1. A margin must be less than that: 0.5
radians (29 degrees) leave each person 8 degrees to either side, and so does a cosine of 0.2. With
the scale of 64 that thousands of people take, probabilities would be 0 or 1 while points are still
far from their centers; 16 keeps them in between. A-Softmax comes to its margin in a quarter of the
steps that its paper's code takes, since there are but 700.
"""


def made_loss(
    name: str, classes: int, options: Mapping[str, Mapping[str, Any]] | None, seed: int
) -> tuple[Loss, dict[str, Any]]:
    """A loss in the plane, its people evenly around the circle, and the options it was given.

    Raises:
        OptionError: an unknown loss or option.
    """
    import torch

    from lineament.train.losses import make_loss

    given = dict(OPTIONS.get(name, {})) | dict((options or {}).get(name, {}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        loss = make_loss(name, 2, classes, **given)
    weight = _weight(loss)
    if weight is not None:
        turn = 2 * math.pi * torch.arange(classes) / classes
        with torch.no_grad():
            weight.copy_(torch.stack([turn.cos(), turn.sin()], 1))
    return loss, given


def _weight(loss: Loss) -> Any:
    """(C, 2) the parameter that holds a direction for each person; None where there is none."""
    for parameter in loss.parameters():
        if parameter.shape == (loss.classes, 2):
            return parameter
    return None


def trained(
    name: str,
    loss: Any,
    given: Mapping[str, Any],
    pixels: Any,
    labels: npt.NDArray[np.int64],
    *,
    epochs: int,
    seed: int,
    progress: StageProgress | None,
) -> ToyLoss:
    """Train a new network with a loss, and measure what it makes of the crops.

    Args:
        name: of the loss.
        loss: from ``made_loss``.
        given: its options.
        pixels: (N, 3, S, S) float tensor, 0 to 255.
        labels: (N,) 0 to C - 1.
        epochs: how often each crop is seen.
        seed: of the weights, the order and the changes.
        progress: called after each epoch.

    Raises:
        DivergedError: the loss is not a number any more.
    """
    import torch

    from lineament.train.backbones import make_backbone

    began = time.perf_counter()
    n, batch = len(labels), min(BATCH, len(labels))
    target = torch.from_numpy(labels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = make_backbone("tiny", dimension=2, size_px=pixels.shape[-1], width=WIDTH)
    parameters = [*net.parameters(), *loss.parameters()]
    optimizer = torch.optim.AdamW(
        [
            {"params": list(net.parameters()), "factor": 1.0},
            {"params": list(loss.parameters()), "factor": HEAD_FACTOR},
        ],
        LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
    )
    draw = torch.Generator().manual_seed(seed)
    in_epoch = n // batch
    steps, step = epochs * in_epoch, 0
    margin = loss.margin.margin if name in GROWING else None
    net.train()
    loss.train()
    last = math.nan
    for epoch in range(epochs):
        order = torch.randperm(n, generator=draw)
        total = 0.0
        for k in range(in_epoch):
            chosen = order[k * batch : (k + 1) * batch]
            warm = min(1.0, (step + 1) / WARM_UP)
            rate = LEARNING_RATE * warm * (1 + math.cos(math.pi * step / steps)) / 2
            for group in optimizer.param_groups:
                group["lr"] = rate * group["factor"]
            loss.advance(step, steps)
            if margin is not None:
                loss.margin.margin = margin * min(1.0, step / (GROWN_AFTER * steps))
            value = loss(net(_changed(pixels[chosen], draw)), target[chosen]).loss
            if not torch.isfinite(value):
                raise DivergedError(
                    f"{name}: the loss is {value.item()} in step {step + 1:,}; its options "
                    f"({dict(given)}) may not suit two dimensions"
                )
            optimizer.zero_grad()
            value.backward()
            torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
            optimizer.step()
            loss.update(rate)
            total += value.item()
            step += 1
        last = total / in_epoch
        if progress is not None:
            progress(f"training with {name}", epoch + 1, epochs)
    net.eval()
    with torch.no_grad():
        embeddings = torch.cat([net(part) for part in pixels.split(256)]).double().numpy()
    weight = _weight(loss)
    centers = None if weight is None else weight.detach().double().numpy()
    biases = [p.detach().double().numpy() for p in loss.parameters() if p.shape == (loss.classes,)]
    return measured(
        name, given, embeddings, labels, loss.classes, centers,
        bias=biases[0] if biases else None, loss=last, seconds=time.perf_counter() - began,
    )  # fmt: skip


def _changed(x: Any, draw: Any) -> Any:
    """(N, 3, S, S) mirrored, turned, moved, scaled, lighter or darker: a little, each by itself."""
    import torch
    from torch.nn import functional

    n = len(x)

    def between(most: float) -> Any:
        return (2 * torch.rand(n, generator=draw) - 1) * most

    mirror = torch.where(torch.rand(n, generator=draw) < 0.5, -1.0, 1.0)
    turn, zoom = between(TURNED_RAD), 1 + between(ZOOMED)
    grid = torch.zeros(n, 2, 3)
    grid[:, 0, 0], grid[:, 0, 1] = mirror * zoom * turn.cos(), -zoom * turn.sin()
    grid[:, 1, 0], grid[:, 1, 1] = mirror * zoom * turn.sin(), zoom * turn.cos()
    grid[:, 0, 2], grid[:, 1, 2] = between(MOVED), between(MOVED)
    places = functional.affine_grid(grid, list(x.shape), align_corners=False)
    x = functional.grid_sample(x, places, align_corners=False, padding_mode="border")
    mean = x.mean((1, 2, 3), keepdim=True)
    contrast, light = 1 + between(CONTRAST), between(LIGHTER)
    x = mean + (x - mean) * contrast[:, None, None, None] + light[:, None, None, None]
    return x.clamp(0, 255)
