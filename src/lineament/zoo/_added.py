"""What is said of a model that is added, and what was added."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lineament.models.cards import NAME_CHARACTERS, ColorOrder, CommercialUse, PerChannel
from lineament.results import Outcome


@dataclass(frozen=True, slots=True)
class Added(Outcome):
    """A model that was added.

    Attributes:
        name: how it is asked for from now on.
        task: "embedder" or "detector".
        title: what it was recognized as; None: a network that is not known.
        path: of the file that was read.
        format: of that file, a key of ``lineament.weights.FORMATS``.
        source_sha256: of that file.
        file: where the model lies.
        sha256: of the model.
        bytes: its size.
        license: of the weights, as their publishers state it.
        commercial_use: "yes", "no" or "unknown".
        input_wh: width and height of the crops; None: any.
        dimension: length of the embedding; None of a detector.
        alignment: how the crops are made; None of a detector.
        difference: the largest difference between a coordinate of the model's output and of its
            source's, as far as one was converted; None: it is the source.
        notes: what was done in reading, and what one should know.
    """

    name: str
    task: str
    title: str | None
    path: str
    format: str
    source_sha256: str
    file: str
    sha256: str
    bytes: int
    license: str
    commercial_use: CommercialUse
    input_wh: tuple[int, int] | None
    dimension: int | None
    alignment: str | None
    difference: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Said:
    """What the user says of a network; None: nothing."""

    input_wh: tuple[int, int] | None = None
    color_order: ColorOrder | None = None
    mean: PerChannel | None = None
    scale: PerChannel | None = None
    alignment: str | None = None
    license: str | None = None
    commercial_use: CommercialUse | None = None

    def given(self) -> list[str]:
        """The names of what is said of the input."""
        names = ("input_wh", "color_order", "mean", "scale", "alignment")
        return [name for name in names if getattr(self, name) is not None]

    def missing(self) -> list[str]:
        """What has to be said of a network that is not known, and is not."""
        names = ("color_order", "mean", "scale", "alignment")
        return [name for name in names if getattr(self, name) is None]


def name_of_file(path: Path) -> str:
    """A name made of the file's."""
    made = "".join(c if c in NAME_CHARACTERS else "-" for c in path.stem.lower()).strip("._-")
    return made[:64] or "model"
