"""Galleries of drawn vectors for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from builders import make_contract
from lineament.gallery import Gallery, NewSample, Settings
from lineament.types import Contract, Embedding

DIMENSION = 32
CONTRACT = make_contract(dimension=DIMENSION)


def vectors(number: int, seed: int = 0, dimension: int = DIMENSION) -> np.ndarray:
    """(number, dimension) float32 of length 1."""
    drawn = np.random.default_rng(seed).standard_normal((number, dimension)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def embed(vector: Any, contract: Contract = CONTRACT) -> Embedding:
    array = np.asarray(vector, np.float64)
    return Embedding((array / np.linalg.norm(array)).astype(np.float32), 1.0, contract)


def turned(vector: np.ndarray, cosine: float, seed: int = 1) -> np.ndarray:
    """A vector of length 1 with that cosine to ``vector``."""
    other = np.random.default_rng(seed).standard_normal(len(vector))
    other -= (other @ vector) * vector
    other /= np.linalg.norm(other)
    return cosine * vector.astype(np.float64) + np.sqrt(1 - cosine**2) * other


def make_gallery(folder: Path, people: int = 0, **settings: Any) -> Gallery:
    """People "person 0", "person 1" ..., one sample each: the rows of ``vectors``."""
    chosen = Settings(**({"threshold": 0.6} | settings))
    gallery = Gallery.create(folder, CONTRACT, settings=chosen)
    for i, vector in enumerate(vectors(people) if people else []):
        gallery.enroll_samples(
            [(f"person {i}", NewSample(embed(vector), source=f"photo {i}.jpg"))],
            metadata={f"person {i}": {"building": "AB"[i % 2], "number": i}},
            force=True,
        )
    return gallery


def indexed_gallery(folder: Path) -> Path:
    """Five people, index files, and one vector among them that was removed."""
    with make_gallery(folder, people=6) as gallery:
        gallery.reindex()
        gallery.remove("person 5")
    return folder
