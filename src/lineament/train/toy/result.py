"""What the losses made of the photos: the numbers, the picture of them, and both as files."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lineament.types import Float64Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure


SHOWN_NAMES = MappingProxyType(
    {
        "softmax": "Softmax",
        "normalized-softmax": "Normalized softmax",
        "contrastive": "Contrastive",
        "triplet": "Triplet",
        "siamese": "Siamese",
        "centre": "Center loss",
        "a-softmax": "A-Softmax (SphereFace)",
        "cosface": "CosFace",
        "arcface": "ArcFace",
        "combined": "Combined margins",
        "curricularface": "CurricularFace",
        "magface": "MagFace",
        "adaface": "AdaFace",
        "subcenter-arcface": "Sub-center ArcFace",
    }
)
"""How the losses are called in the picture."""


@dataclass(frozen=True, eq=False, slots=True)
class ToyLoss:
    """What one loss made of the photos.

    Attributes:
        name: of the loss.
        options: that it was given.
        embeddings_xy: (N, 2), as the network returns them.
        centers_xy: (C, 2) the classifier's weights; the people's mean directions where it has none.
        has_weights: which of both.
        within_deg: mean angle between an embedding and its person's mean direction, the mean over
            people ("Intra" in the paper), 0 to 180. A photo on a wrong side weighs much.
        median_deg: half of the photos lie nearer to their person's mean direction than this.
        least_between_deg: least angle between the mean directions of two people, 0 to 180.
        weights_off_deg: mean angle between a classifier's weight and its person's mean direction
            ("W-EC"); None without weights.
        accuracy: share of the photos, 0 to 1, that the classifier, or the nearest mean
            direction, assigns to their person. Of training.
        loss: mean over the last epoch.
        seconds: that it took.
    """

    name: str
    options: Mapping[str, Any]
    embeddings_xy: Float64Array
    centers_xy: Float64Array
    has_weights: bool
    within_deg: float
    median_deg: float
    least_between_deg: float
    weights_off_deg: float | None
    accuracy: float
    loss: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        off = self.weights_off_deg
        return {
            "name": self.name,
            "options": dict(self.options),
            "within_deg": round(self.within_deg, 3),
            "median_deg": round(self.median_deg, 3),
            "least_between_deg": round(self.least_between_deg, 3),
            "weights_off_deg": None if off is None else round(off, 3),
            "accuracy": round(self.accuracy, 4),
            "loss": round(self.loss, 5),
            "seconds": round(self.seconds, 1),
            "has_weights": self.has_weights,
            "centers_xy": self.centers_xy.round(5).tolist(),
            "embeddings_xy": self.embeddings_xy.round(5).tolist(),
        }


@dataclass(frozen=True, eq=False, slots=True)
class ToyResult:
    """What ``toy`` found.

    Attributes:
        people: C names, most photos first.
        labels: (N,) int64, 0 to C - 1: of the rows of each ``embeddings_xy``.
        losses: in the order they were asked for.
        epochs, seed: of the training.
        notes: what is worth telling about the photos.
    """

    people: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    losses: tuple[ToyLoss, ...]
    epochs: int
    seed: int
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON: the table, and the points of the picture."""
        return {
            "people": list(self.people),
            "photos": np.bincount(self.labels, minlength=len(self.people)).tolist(),
            "epochs": self.epochs,
            "seed": self.seed,
            "losses": [each.to_dict() for each in self.losses],
            "labels": self.labels.tolist(),
            "notes": list(self.notes),
        }

    def figure(self, *, title: str = "") -> Figure:
        """Draw it: softmax where its points lie, the others on the circle.

        Raises:
            MissingExtraError: matplotlib is missing.
        """
        from lineament.pictures.charts import training as figures

        panels = []
        for each in self.losses:
            # Softmax has lengths to tell: people differ in them too, not in direction only.
            in_plane = each.name == "softmax"
            rays = "weights" if each.has_weights else "means"
            head = SHOWN_NAMES.get(each.name, each.name)
            panels.append(
                figures.Circle(
                    name=f"{head}, as it lies in the plane" if in_plane else head,
                    points_xy=each.embeddings_xy,
                    labels=self.labels,
                    centers_xy=each.centers_xy,
                    note=(
                        f"within a person {each.within_deg:.1f}°, between at least "
                        f"{each.least_between_deg:.0f}°\n"
                        f"accuracy {each.accuracy:.1%}, rays: {rays}"
                    ),
                    on_circle=not in_plane,
                )
            )
            if in_plane:
                panels.append(
                    figures.Circle(
                        name=f"{head}, directions only",
                        points_xy=each.embeddings_xy,
                        labels=self.labels,
                        centers_xy=each.centers_xy,
                        note="the same points on the circle,\nas recognizers compare them",
                    )
                )
        names = [name.replace("_", " ") for name in self.people]
        return figures.circles(panels, names, title=title if title else self._title())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture, and ``to_dict`` as JSON beside it, under the same name.

        Args:
            path: ends in .png, .svg or .pdf; its folder must exist.

        Raises:
            OptionError: another ending, or it cannot be written.
            MissingExtraError: matplotlib is missing.
        """
        import json
        from pathlib import Path

        from lineament.files import write_atomically
        from lineament.pictures.charts.files import save

        save(self.figure(), path)
        text = json.dumps(self.to_dict(), ensure_ascii=False) + "\n"
        write_atomically(Path(path).with_suffix(".json"), text.encode())

    def _title(self) -> str:
        """What is seen; the claim only where it holds."""
        within = {each.name: each.within_deg for each in self.losses}
        people = f"{len(self.people)} people in two dimensions"
        if within.get("arcface", math.inf) < within.get("softmax", -math.inf):
            return (
                f"{people}: a photo lies {within['softmax']:.1f}° from its person's center "
                f"with softmax, {within['arcface']:.1f}° with ArcFace"
            )
        return f"{people}, photos of training"
