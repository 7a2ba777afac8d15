"""What every backbone is: crops in, embeddings out, with what it wants to be fed."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Backbone(nn.Module, ABC):
    """A network that makes embeddings. It scales its input itself, so the exported file does too.

    Attributes:
        dimension: D, length of the embedding.
        size_px: side of the square crops it takes.
        alignment: how the crops must be made, for example "arcface-112" (see ``lineament.align``).
    """

    dimension: int
    size_px: int
    alignment: str

    @abstractmethod
    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) float, RGB, 0 to 255 -> (N, D), not of unit length."""

    def stages(self) -> list[tuple[str, list[nn.Module]]]:
        """The parts from the input on, by name: what ``frozen`` in a run's configuration names."""
        return [(name, [module]) for name, module in self.named_children()]

    def last_layer(self) -> nn.Linear | None:
        """The linear layer whose outputs are the embeddings; None where there is no such layer.

        ``backbone.whitened`` sets its weights from the training photos.
        """
        return None
