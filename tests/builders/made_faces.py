"""Made-up people for runs of seconds: each a coarse pattern of colors, each photo noisy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PILImage

from lineament.train.config import TrainConfig, load_config
from lineament.types import Image

SIZE_PX = 32


class MadeFaces:
    """A set of photos in memory, P people with K photos each."""

    def __init__(self, people: int = 12, photos: int = 8, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.people = tuple(f"person{i:02}" for i in range(people))
        self.labels = np.repeat(np.arange(people), photos)
        patterns = random.integers(0, 256, (people, 4, 4, 3))
        blocks = np.ones((SIZE_PX // 4, SIZE_PX // 4, 1))
        self.images = [
            np.clip(
                np.kron(patterns[label], blocks) + random.normal(0, 60, (SIZE_PX, SIZE_PX, 3)),
                0,
                255,
            ).astype(np.uint8)
            for label in self.labels
        ]

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, index: int) -> str:
        number = int((self.labels[:index] == self.labels[index]).sum()) + 1
        person = self.people[self.labels[index]]
        return f"{person}/{person}_{number:04}.png"

    def read(self, index: int) -> Image:
        return self.images[index]

    def write(self, folder: Path) -> Path:
        """The same as a folder a person."""
        for index, image in enumerate(self.images):
            path = folder / self.name(index)
            path.parent.mkdir(parents=True, exist_ok=True)
            PILImage.fromarray(image).save(path)
        return folder


def made_config(out: Path, *overrides: str, **tables: Any) -> TrainConfig:
    """A run of a few steps on ``MadeFaces``."""
    first = [
        f'run.out="{out}"',
        "run.device=cpu",
        "run.epochs=2",
        "run.threads=1",
        "sampler.batch=24",
        "sampler.people=6",
        "sampler.photos=4",
        "backbone.name=tiny",
        "backbone.dimension=16",
        "backbone.options.width=8",
        f"data.size_px={SIZE_PX}",
        "loss.options.scale=16",
        "optimizer.lr=0.05",
        "log.every=1",
        "log.curves=false",
    ]
    return load_config(None, [*first, *overrides]).changed(**tables)
