"""Stage 4: aligned crops -> unit embeddings.

    load_embedder()     a card -> an ``Embedder``
    embedder.py         ``Embedder``: what the pipeline needs, whatever is behind it; the registry
    network.py          one network
    joined.py           several networks as one
    _turned.py          faces that are turned far to a side, embedded twice
    pooling.py          several embeddings of one person as one

Whatever has a card of that task can be loaded: the package's own, one of a manifest or a plugin, or
an ONNX file with a description. What it takes (size, color order, scaling) stands in the card.
"""

from __future__ import annotations

from lineament.embed._batches import embed_photos
from lineament.embed._joined import check_flip
from lineament.embed._turned import embed_faces
from lineament.embed.embedder import Embedder, load_embedder, register_embedder, wrap
from lineament.embed.network import BATCH

__all__ = [
    "BATCH",
    "Embedder",
    "check_flip",
    "embed_faces",
    "embed_photos",
    "load_embedder",
    "register_embedder",
    "wrap",
]
