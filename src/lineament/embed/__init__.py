"""Stage 4: aligned crops -> unit embeddings.

    load_embedder()     a weights entry -> an ``Embedder``
    embedder.py         ``Embedder``: what the pipeline needs, whatever is behind it
    network.py          one network
    joined.py           several networks as one
    pooling.py          several embeddings of one person as one

A recognizer is any weights entry of that task: the manifest's, one you add, or an ONNX file with a
description. What it wants (size, color order, scaling) stands in the entry, so nothing is guessed.
"""

from __future__ import annotations

from lineament.embed.embedder import Embedder, wrap
from lineament.embed.joined import load_joined
from lineament.embed.network import BATCH, load_network
from lineament.models import Card, LicensePolicy
from lineament.models.runtime import Runtime

__all__ = ["BATCH", "Embedder", "load_embedder", "wrap"]


def load_embedder(
    weights: Card,
    *,
    flip: bool,
    alignment: str | None = None,
    runtime: Runtime | None = None,
    policy: LicensePolicy | None = None,
) -> Embedder:
    """Load a recognizer.

    Args:
        weights: an entry whose task is "recognizer".
        flip: average over the crop and its mirror image; twice the time.
        alignment: how crops will be made; None takes what the entry asks for.
        runtime: engine, device and threads.
        policy: which licenses may be used.

    Raises:
        OptionError: the entry is no recognizer.
        WeightsError: the file is missing, damaged, refused, or takes another input than it says.
    """
    if weights.members:
        return load_joined(weights, flip=flip, alignment=alignment, runtime=runtime, policy=policy)
    return load_network(weights, flip=flip, alignment=alignment, runtime=runtime, policy=policy)
