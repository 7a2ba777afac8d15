"""What every loss is to the training loop: embeddings and labels in, one number and figures out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class LossValue:
    """What a loss says about one batch.

    Attributes:
        loss: scalar with a gradient, the mean over what the loss counts (photos, pairs or
            triplets); 0, still connected to the embeddings, where a batch has nothing to count.
        figures: more to log, detached: numbers of triplets, the mean angle to the own center, ...
    """

    loss: Tensor
    figures: Mapping[str, Tensor | float] = field(default_factory=dict)


class Loss(nn.Module, ABC):
    """A training loss; it may hold parameters (class centers) and state (annealing).

    The loop calls, in each step: ``advance``, ``forward``, backward, the optimizer, ``update``.
    With several processes each of them gets the embeddings and labels of the whole, global batch,
    computes the same loss, and leaves the gradient of that whole loss in the embeddings.

    Attributes:
        wants: "photos" where any batch will do, "people" where it needs several photos of
            each of several people.
        sharded: whether each process holds other parameters than the rest (class shards).
        is_similarity: whether its parameters compare two embeddings, so that they are exported with
            the network (``losses.siamese``).
        dimension: D, length of the embeddings.
        classes: C, number of people in the training set.
    """

    wants: ClassVar[Literal["photos", "people"]] = "photos"
    sharded: bool = False
    is_similarity: ClassVar[bool] = False

    def __init__(self, dimension: int, classes: int) -> None:
        """Remember D and C."""
        super().__init__()
        self.dimension = dimension
        self.classes = classes

    @abstractmethod
    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """The loss of a batch.

        Args:
            embeddings: (N, D) float, as the backbone returns them: not of unit length. Losses that
                are defined on unit vectors normalize by themselves. Half precision is computed with
                in float32.
            labels: (N,) int64, 0 to C - 1.
        """

    def advance(self, step: int, steps: int) -> None:
        """Prepare for a step: ``step`` are done of ``steps``. Most losses do nothing."""

    def gradient_norm(self) -> Tensor | None:
        """(): length of the gradient that waits for ``update``; None where there is none.

        It counts for the clipping. With several processes all of them must call it.
        """
        return None

    def update(self, learning_rate: float, *, grad_scale: float = 1.0) -> None:
        """Move parameters that the optimizer does not know, after its step. Most have none.

        Args:
            learning_rate: of this step.
            grad_scale: what gradients are to be multiplied by: that of clipping, over that of half
                precision. 0 where the step was given up: nothing moves, what waits is forgotten.
        """
