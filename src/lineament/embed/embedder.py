"""What an embedder is, and which kinds there are.

An embedder is any object with the members of ``Embedder``. What makes one of a card is registered
by name, and a card names it as its ``builder``; networks and ``members`` need none:

    @register_embedder("mine")
    def load_mine(card, *, flip, alignment, runtime, policy) -> Embedder: ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lineament.arguments import checked
from lineament.errors import OptionError
from lineament.models import Card, LicensePolicy
from lineament.models.registry import Entry, Registry
from lineament.models.runtime import Runtime
from lineament.types import Contract, Embedding, Flip, FloatArray, Image


class Embedder(Protocol):
    """Makes embeddings of aligned faces. Calls from several threads are safe."""

    @property
    def contract(self) -> Contract:
        """What its embeddings carry."""
        ...

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the crops it takes."""
        ...

    def embed(self, crops: Image, /) -> tuple[FloatArray, FloatArray]:
        """Embed aligned faces.

        Args:
            crops: (N, H, W, 3) uint8, RGB, of ``size_wh``; N may be 0.

        Returns:
            Unit vectors (N, D) float32, and their lengths (N,) float32 before they were scaled.
        """
        ...


EMBEDDERS: Registry[Callable[..., Embedder]] = Registry(
    "embedder",
    {
        "network": Entry("lineament.embed.network:load_network"),
        "joined": Entry("lineament.embed._joined:load_joined"),
    },
)

register_embedder = EMBEDDERS.register
"""Decorator of a function that takes a card and the options of ``load_embedder``."""


@checked
def load_embedder(
    weights: Card,
    *,
    flip: Flip,
    alignment: str | None = None,
    runtime: Runtime | None = None,
    policy: LicensePolicy | None = None,
) -> Embedder:
    """Load an embedder.

    Args:
        weights: a card whose task is "embedder".
        flip: average over the crop and its mirror image, or "concatenate" both; twice the time.
        alignment: how crops will be made; None takes what the card asks for.
        runtime: engine, device and threads.
        policy: which licenses may be used.

    Raises:
        OptionError: the card is of no embedder, or its builder does not exist.
        WeightsError: the file is missing, damaged, refused, or takes another input than it says.
    """
    if weights.task != "embedder":
        raise OptionError(f"{weights.name}: expected a recognizer, got a {weights.task} network")
    policy = LicensePolicy.active() if policy is None else policy
    policy.check(weights)
    kind = "joined" if weights.members else "network"
    build = EMBEDDERS.builder(kind if weights.builder is None else weights.builder)
    return build(weights, flip=flip, alignment=alignment, runtime=runtime, policy=policy)


def wrap(vectors: FloatArray, norms: FloatArray, contract: Contract) -> tuple[Embedding, ...]:
    """The rows of ``Embedder.embed`` as values that carry their contract."""
    return tuple(
        Embedding(vector, float(norm), contract)
        for vector, norm in zip(vectors, norms, strict=True)
    )
