"""What each part of the benchmark of poses is given: options, recognizer, people of LFW."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from _harness import track
from lineament import LineamentError, Recognizer
from lineament.datasets.lfw import LFW, read_lfw
from lineament.evaluate.protocols.lfw import images_of
from lineament.types import Image, Photo

SEED = 14


@dataclass(frozen=True)
class Setting:
    """What all parts are given: the options, and the recognizer."""

    options: Any
    recognizer: Recognizer

    @cached_property
    def lfw(self) -> LFW:
        """LFW's lists."""
        return read_lfw(self.options.lfw)

    def people(self, default: int, photos: int = 1, *, spare: int = 1) -> list[list[Path]]:
        """Photos of people of View 1, drawn by the seed, ``photos`` of each.

        ``spare`` times as many people as are wanted, for those who choose among them.
        """
        lfw = self.lfw
        by_person: dict[int, list[int]] = defaultdict(list)
        for i in images_of(lfw, ("1",)):
            by_person[int(lfw.person[i])].append(int(i))
        everybody = sorted(p for p, own in by_person.items() if len(own) >= photos)
        drawn = np.random.default_rng(SEED).permutation(everybody)
        chosen = drawn if self.options.all else drawn[: spare * (self.options.people or default)]
        return [[lfw.path(i) for i in by_person[int(p)][:photos]] for p in chosen]

    def look(self, pictures: Iterable[Image], total: int, label: str) -> Iterator[Photo]:
        """Find and embed the face that each picture is of."""
        sources = (Photo.from_pixels(pixels, f"{i}") for i, pixels in enumerate(pictures))
        return iter(track(self.recognizer.stream_chosen(sources), label, total))

    def upright(self, paths: Sequence[Path]) -> list[Photo]:
        """Look at files, and keep their pixels."""
        return list(self.recognizer.stream_chosen(paths, keep_pixels=True))


def cosine(a: Photo, b: Photo) -> float:
    """Of the faces that two photos are of; -1 when one has none."""
    if a.embedding is None or b.embedding is None:
        return -1.0
    return float(a.embedding.vector @ b.embedding.vector)


def summary(name: str, by_angle: dict[str, float]) -> dict[str, Any]:
    """The shares by angle, with their mean and the least of them."""
    if not by_angle:
        raise LineamentError(f"{name}: expected more people (--people), none of these can be used")
    values = list(by_angle.values())
    return {name: by_angle, f"{name}_mean": float(np.mean(values)), f"{name}_least": min(values)}
