"""A running mean of a network's weights (EMA): what is verified and exported where it is asked for.

Polyak, Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J. Control and
Optimization, 1992; with an exponential window as Tarvainen, Valpola, "Mean teachers", NeurIPS 2017.
"""

from __future__ import annotations

import copy
from typing import Any

import torch

from lineament.train.backbones.backbone import Backbone


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
        """Undo what happened since ``state``."""
        self.module.load_state_dict(state["weights"])
        self._steps = int(state["steps"])
