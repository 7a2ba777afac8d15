"""DeepFace of 2014: three convolutions, three locally connected layers, one wide linear layer.

Taigman, Yang, Ranzato, Wolf, "DeepFace: Closing the Gap to Human-Level Performance in Face
Verification", CVPR 2014, section 3 and figure 2. At 152 pixels:

    C1 32x11x11x3    142x142x32     convolution
    M2 32x3x3, /2     71x71x32      the only maximum: more of them would lose where things are
    C3 16x9x9x32      63x63x16      convolution
    L4 16x9x9x16      55x55x16      locally connected
    L5 16x7x7x16, /2  25x25x16      locally connected
    L6 16x5x5x16      21x21x16      locally connected
    F7 4096                         the embedding, after ReLU: sparse and never negative

F8, the classes, belongs to the loss. With its 4,030 classes the network has 119 M parameters (the
paper: "more than 120 million"), nearly all of them in the local and linear layers.

The paper turns faces to the front by a model in three dimensions first. The network takes any crops
of its size; its ``alignment`` is that of crops cut out by five landmarks, and is to be set to
another one if it is trained on others. The paper also divides each component by its largest value
over the training set; here it is not, the pipeline brings the length to one.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from lineament.align.alignment import Alignment
from lineament.train.backbones.backbone import (
    Backbone,
    Scaling,
    check_choice,
    check_dimension,
    check_fraction,
    check_size,
)

Initial = Literal["paper", "he"]


def deepface(
    *,
    dimension: int = 4096,
    size_px: int = 152,
    dropout: float = 0.5,
    initial: Initial = "paper",
) -> DeepFace:
    """Build DeepFace: 102.4 M parameters with the default options.

    Args:
        dimension: D, the width of F7.
        size_px: at least 72. Local layers have weights for each place: the number of parameters
            goes with the square of it.
        dropout: of F7, in training only.
        initial: "paper": weights of deviation 0.01, biases 0.5 (section 3.2). At first the
            embeddings of two faces then differ by less than a thousandth of their length. "he":
            deviation sqrt(2 / inputs), biases 0 (He et al. 2015), which came a year later; they
            differ by a quarter.

    Raises:
        OptionError: a value that it cannot have.
    """
    check_dimension("deepface", dimension)
    check_size("deepface", size_px, least=72)
    check_fraction("backbone deepface, dropout", dropout)
    check_choice("backbone deepface, initial", initial, ("paper", "he"))
    return DeepFace(dimension, size_px, dropout, initial)


class DeepFace(Backbone):
    """See ``deepface``."""

    def __init__(self, dimension: int, size_px: int, dropout: float, initial: Initial) -> None:
        """Take the checked options of ``deepface``."""
        super().__init__()
        self.dimension, self.size_px = dimension, size_px
        self.alignment = str(Alignment.square(size_px))
        self.scaling = Scaling(size_px, middle=0.0, unit=255.0)
        # The paper's 142 pixels become 71: the last window reaches one pixel over the edge.
        after_m2 = -((size_px - 10 - 3) // -2) + 1
        after_c3 = after_m2 - 8
        self.c1 = nn.Sequential(nn.Conv2d(3, 32, 11), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True))
        self.c3 = nn.Sequential(nn.Conv2d(32, 16, 9), nn.ReLU())
        l4 = LocallyConnected2d(16, 16, 9, size_px=after_c3)
        l5 = LocallyConnected2d(16, 16, 7, size_px=l4.out_px, stride=2)
        l6 = LocallyConnected2d(16, 16, 5, size_px=l5.out_px)
        self.l4 = nn.Sequential(l4, nn.ReLU())
        self.l5 = nn.Sequential(l5, nn.ReLU())
        self.l6 = nn.Sequential(l6, nn.ReLU())
        self.f7 = nn.Sequential(
            nn.Flatten(), nn.Linear(16 * l6.out_px**2, dimension), nn.ReLU(), nn.Dropout(dropout)
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear, LocallyConnected2d)):
                local = isinstance(module, LocallyConnected2d)
                inputs = module.weight.shape[1] if local else module.weight[0].numel()
                deviation = 0.01 if initial == "paper" else math.sqrt(2 / inputs)
                nn.init.normal_(module.weight, 0.0, deviation)
                nn.init.constant_(module.bias, 0.5 if initial == "paper" else 0.0)  # type: ignore[arg-type]

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) float, RGB, 0 to 255 -> (N, D), not of unit length."""
        x = self.c3(self.c1(self.scaling(crops)))  # (N, 16, 63, 63)
        x = self.l6(self.l5(self.l4(x)))  # (N, 16, 21, 21)
        embeddings: Tensor = self.f7(x)  # (N, D)
        return embeddings

    def stages(self) -> list[tuple[str, list[nn.Module]]]:
        """The parts from the input on: "c1", "c3", "l4", "l5", "l6", "f7"."""
        return [(name, [part]) for name, part in self.named_children() if name != "scaling"]


class LocallyConnected2d(nn.Module):
    """A convolution whose weights differ from place to place; no padding.

        y[n, o, i, j] = bias[i, j, o]
                        + sum_{c, u, v} weight[i, j, c, u, v, o] x[n, c, s i + u, s j + v]

    The weights are kept as (out_px out_px, ins kernel kernel, outs): one matrix a place.
    """

    def __init__(self, ins: int, outs: int, kernel: int, *, size_px: int, stride: int = 1) -> None:
        """Make it for ``ins`` channels of ``size_px`` a side; ``kernel``: side of the window."""
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.out_px = (size_px - kernel) // stride + 1
        places, inputs = self.out_px**2, ins * kernel**2
        self.weight = nn.Parameter(torch.empty(places, inputs, outs))
        self.bias = nn.Parameter(torch.zeros(places, 1, outs))
        bound = math.sqrt(1 / inputs)
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """(N, ins, size_px, size_px) -> (N, outs, out_px, out_px)."""
        windows = functional.unfold(x, self.kernel, stride=self.stride)  # (N, ins k k, places)
        windows = windows.permute(2, 0, 1)  # (places, N, ins k k)
        # (places, N, ins k k) @ (places, ins k k, outs) -> (places, N, outs)
        y = torch.matmul(windows, self.weight) + self.bias
        return torch.unflatten(y.permute(1, 2, 0), 2, (self.out_px, self.out_px))
