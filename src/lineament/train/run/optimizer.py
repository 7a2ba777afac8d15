"""How the weights are moved: groups of parameters, learning rate, precision, running mean.

Half precision. fp16 has no numbers below 6e-8, where gradients lie, so the loss is scaled up before
the backward pass (Micikevicius et al., "Mixed Precision Training", ICLR 2018, section 3.2) and the
gradients are scaled down after it, in the same multiplication that clips them. The scale is halved
when a gradient is not finite, that step is skipped, and doubled after 2,000 good ones, as
``torch.amp.GradScaler`` does. That one decides in each process by itself; here the decision is
about the norm over all of them.

Running mean (EMA). Polyak, Juditsky, "Acceleration of stochastic approximation by averaging", SIAM
J. Control and Optimization, 1992; with an exponential window as in Tarvainen, Valpola, "Mean
teachers", NeurIPS 2017.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from lineament.train.backbones.backbone import Backbone
from lineament.train.config import OptimizerOptions, ScheduleOptions

FIRST_SCALE, GROWTH_STEPS = 2.0**16, 2000

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def parameter_groups(
    backbone: nn.Module, others: Iterable[nn.Module], options: OptimizerOptions
) -> list[dict[str, Any]]:
    """Parameters for the optimizer, each group with its ``factor`` of the learning rate.

    Vectors and scalars (norms, biases, slopes of PReLU) have no weight decay: pulling them to 0
    means something else than for a weight (He et al. 2019, "Bag of tricks", section 3.1).
    """
    groups: list[dict[str, Any]] = []
    for module, factor in [(backbone, 1.0), *((one, options.head_lr_factor) for one in others)]:
        trained = [p for p in module.parameters() if p.requires_grad]
        for decay, chosen in (
            (options.weight_decay, [p for p in trained if p.ndim > 1]),
            (0.0, [p for p in trained if p.ndim <= 1]),
        ):
            if chosen:
                groups.append({"params": chosen, "weight_decay": decay, "factor": factor})
    return groups


def learning_rate_factor(
    options: ScheduleOptions, step: int, steps: int, steps_per_epoch: int
) -> float:
    """The factor of the highest learning rate for a step, 0 to 1; a pure function of the step.

    With t the share, 0 to 1, of what follows the warm-up::

        warm-up       (step + 1) / warm-up steps
        polynomial    end + (1 - end) (1 - t)^power
        cosine        end + (1 - end) (1 + cos(pi t)) / 2     Loshchilov, Hutter, "SGDR", ICLR 2017
        step          factor^(number of milestones that were passed)
        constant      1

    Args:
        options: of the run.
        step: how many steps were done before this one, 0 to steps - 1.
        steps: of the whole run.
        steps_per_epoch: for options in epochs.
    """
    warmup = max(options.warmup_steps, round(options.warmup_epochs * steps_per_epoch))
    if step < warmup:
        return (step + 1) / warmup
    at = step if options.by == "steps" else step // steps_per_epoch * steps_per_epoch
    t = min(max((at - warmup) / max(steps - warmup, 1), 0.0), 1.0)
    if options.kind == "polynomial":
        left: float = (1 - t) ** options.power
        return options.end + (1 - options.end) * left
    if options.kind == "cosine":
        return options.end + (1 - options.end) * (1 + math.cos(math.pi * t)) / 2
    if options.kind == "step":
        passed = sum(at >= epoch * steps_per_epoch for epoch in options.milestones)
        return float(options.factor**passed)
    return 1.0


class Precision:
    """How the backbone computes.

    Attributes:
        scale: of the loss; 1 but for fp16.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        """Choose "fp32", "bf16" or "fp16", on a device."""
        self._type = _TYPES.get(name)
        self._device = device
        self._scales = name == "fp16"
        self.scale = FIRST_SCALE if self._scales else 1.0
        self._good = 0

    def autocast(self) -> AbstractContextManager[None]:
        """The context that the forward pass runs in."""
        if self._type is None:
            return nullcontext()
        return torch.autocast(self._device.type, self._type)

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss to go backward from."""
        return loss * self.scale if self._scales else loss

    def adjust(self, finite: bool) -> None:
        """Adjust the scale after a step, by whether its gradient was finite."""
        if not self._scales:
            return
        self._good = self._good + 1 if finite else 0
        if not finite:
            self.scale /= 2
        elif self._good == GROWTH_STEPS:
            self.scale, self._good = self.scale * 2, 0

    def state(self) -> dict[str, float]:
        """Plain values."""
        return {"scale": self.scale, "good": self._good}

    def load(self, state: dict[str, float]) -> None:
        """Restore what ``state`` returned."""
        self.scale, self._good = float(state["scale"]), int(state["good"])


class Average:
    """mean = d mean + (1 - d) weights after every step, with d = min(decay, (1 + t) / (10 + t)).

    d is smaller for the first steps t, so that the weights that the run began with are forgotten.
    Statistics of batch norms are averaged as weights are.

    Attributes:
        module: the network with the mean weights.
    """

    def __init__(self, backbone: Backbone, decay: float) -> None:
        """Begin with a network's weights; ``decay`` is d's highest value, 0 to less than 1."""
        self.module = copy.deepcopy(backbone).eval().requires_grad_(False)
        self._decay = decay
        self._steps = 0

    @torch.no_grad()
    def update(self, backbone: Backbone) -> None:
        """Take in the weights after a step."""
        keep = min(self._decay, (1 + self._steps) / (10 + self._steps))
        self._steps += 1
        new = backbone.state_dict()
        for name, mean in self.module.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(new[name], 1 - keep)
            else:  # counts
                mean.copy_(new[name])

    def state(self) -> dict[str, Any]:
        """Plain values and tensors."""
        return {"weights": self.module.state_dict(), "steps": self._steps}

    def load(self, state: dict[str, Any]) -> None:
        """Restore what ``state`` returned."""
        self.module.load_state_dict(state["weights"])
        self._steps = int(state["steps"])
