"""fp32, bf16 or fp16 arithmetic of the backbone; weights, losses and gradients' sums are fp32.

fp16 has no numbers below 6e-8, where gradients lie, so the loss is scaled up before the backward
pass (Micikevicius et al., "Mixed Precision Training", ICLR 2018, section 3.2) and the gradients are
scaled down after it, in the same multiplication that clips them. The scale is halved when a
gradient is not finite, that step is skipped, and doubled after 2,000 good ones, as
``torch.amp.GradScaler`` does. That one decides in each process by itself; here the decision is
about the norm over all of them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

FIRST_SCALE, GROWTH_STEPS = 2.0**16, 2000

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


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
        """What the forward pass runs in."""
        if self._type is None:
            return nullcontext()
        return torch.autocast(self._device.type, self._type)

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss to go backward from."""
        return loss * self.scale if self._scales else loss

    def learn(self, finite: bool) -> None:
        """Be told whether a step's gradient was finite."""
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
        """Undo what happened since ``state``."""
        self.scale, self._good = float(state["scale"]), int(state["good"])
