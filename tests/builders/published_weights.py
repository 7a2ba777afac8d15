"""Made-up weights in the form of published files, the same wherever they are made."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

GOLDEN = Path(__file__).parents[1] / "golden" / "published.npz"


def made_up(name: str, shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """Weights that keep a signal of its size: drawn by the name of the value alone."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    drawn = random.standard_normal(tuple(shape), dtype=np.float32)
    value = name.rpartition("/")[2].rpartition(".")[2]
    if value in ("running_var", "moving_variance"):
        return 0.75 + 0.1 * np.abs(drawn)
    if value in ("running_mean", "moving_mean", "bias", "beta"):
        return 0.1 * drawn
    if len(shape) == 1 or value in ("gamma", "alpha"):
        return 1 + 0.1 * drawn if value != "alpha" else 0.25 + 0.05 * drawn
    return drawn * np.float32(1 / np.sqrt(np.prod(shape[1:])))


def crops(name: str, height: int, width: int, count: int = 2) -> npt.NDArray[np.uint8]:
    """(count, height, width, 3) uint8: blocks of random colors."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    few = random.integers(0, 256, (count, -(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    return few.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]


def golden(name: str) -> tuple[dict[str, tuple[int, ...]], npt.NDArray[Any]]:
    """Names and shapes of a published network's values, and the embeddings of its own code."""
    with np.load(GOLDEN) as stored:
        shapes = json.loads(str(stored[f"{name}/shapes"]))
        return {key: tuple(shape) for key, shape in shapes.items()}, stored[f"{name}/embeddings"]
