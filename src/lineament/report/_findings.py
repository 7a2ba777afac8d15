"""All that is seen of a folder: what the page's words and pictures are made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.datasets.people_folder import People
from lineament.evaluate.result import PairShown
from lineament.fit.clean import Cleaning
from lineament.fit.examine import Examined
from lineament.pipeline import Recognizer
from lineament.report._comparison import Confusable, Hardest
from lineament.types import Threshold


@dataclass(eq=False)
class Findings:
    """All that is seen of the folder."""

    recognizer: Recognizer
    people: People
    examined: Examined
    cleaning: Cleaning
    threshold: Threshold
    seed: int
    problems: dict[int, tuple[str, ...]] = field(default_factory=dict)
    confusable: list[Confusable] = field(default_factory=list)
    hardest: Hardest = field(default_factory=lambda: Hardest(None, None))
    sampled: list[str] = field(default_factory=list)
    pictures: dict[str, Any] = field(default_factory=dict)

    @property
    def found(self) -> npt.NDArray[np.bool_]:
        """(N,) which photos show a face."""
        return self.examined.embedded.found

    @property
    def without(self) -> list[int]:
        """Photos that were read and show no face."""
        unreadable = self.examined.embedded.unreadable
        return [i for i in np.flatnonzero(~self.found).tolist() if i not in unreadable]

    def name(self, photo: int) -> str:
        """Of the file, below the folder."""
        return self.people.relative(photo)

    def person(self, photo: int) -> str:
        """Whose it is."""
        return self.people.names[int(self.people.person[photo])]

    def pair(self, a: int, b: int) -> PairShown:
        """Two photos with their similarity."""
        vectors = self.examined.embedded.vectors
        same = bool(self.people.person[a] == self.people.person[b])
        paths = self.people.paths
        return PairShown(str(paths[a]), str(paths[b]), same, float(vectors[a] @ vectors[b]))
