"""Engines of others inside this process: FAISS, USearch, NMSLIB, Annoy.

Each chooses candidates; the vectors themselves stay in files of ours, and scores are exact cosines
computed from them (``engine.EngineIndex``). ``BUILDERS`` has them by the names that users write.

    faiss          FAISS (MIT): flat, HNSW or IVF by size; "faiss-flat", "faiss-hnsw", "faiss-ivf"
    usearch        USearch (Apache-2.0): HNSW
    nmslib         NMSLIB (Apache-2.0): HNSW; an index cannot be changed, so it is built anew
    annoy          Annoy (Apache-2.0): trees of random planes; likewise
"""

from __future__ import annotations

from lineament.search.engines import annoy, faiss, nmslib, usearch
from lineament.search.engines.engine import Builder

BUILDERS: dict[str, Builder] = {
    "faiss": faiss.build,
    "faiss-flat": faiss.build_flat,
    "faiss-hnsw": faiss.build_hnsw,
    "faiss-ivf": faiss.build_ivf,
    "usearch": usearch.build,
    "nmslib": nmslib.build,
    "annoy": annoy.build,
}

PACKAGES = {
    "faiss": ("faiss", "FAISS"),
    "usearch": ("usearch", "USearch"),
    "nmslib": ("nmslib", "NMSLIB"),
    "annoy": ("annoy", "Annoy"),
}
"""What is imported, and its name for people."""
