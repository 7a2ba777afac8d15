"""What the pipeline needs of a recognizer."""

from __future__ import annotations

from typing import Protocol

from lineament.types import Contract, Embedding, FloatArray, Image


class Embedder(Protocol):
    """A recognizer, ready to run."""

    @property
    def contract(self) -> Contract:
        """What its embeddings carry."""
        ...

    @property
    def size_px(self) -> int:
        """Side of the crops it takes."""
        ...

    def embed(self, crops: Image, /) -> tuple[FloatArray, FloatArray]:
        """Embed aligned faces.

        Args:
            crops: (N, S, S, 3) uint8, RGB, S being ``size_px``; N may be 0.

        Returns:
            Unit vectors (N, D) float32, and their lengths (N,) float32 before they were scaled.
        """
        ...


def wrap(vectors: FloatArray, norms: FloatArray, contract: Contract) -> tuple[Embedding, ...]:
    """The rows of ``Embedder.embed`` as values that carry their contract."""
    return tuple(
        Embedding(vector, float(norm), contract)
        for vector, norm in zip(vectors, norms, strict=True)
    )
