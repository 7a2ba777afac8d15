"""What the losses made of the photos: angles, their picture, and both as files."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lineament.files import write_atomically
from lineament.results import Outcome
from lineament.text import per_cent
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
class ToyLoss(Outcome):
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
        """Plain values, rounded, ready for JSON."""
        digits = {"accuracy": 4, "loss": 5, "seconds": 1}
        values: dict[str, Any] = {"name": self.name, "options": dict(self.options)}
        for name in ("within_deg", "median_deg", "least_between_deg", "weights_off_deg", *digits):
            value = getattr(self, name)
            values[name] = None if value is None else round(value, digits.get(name, 3))
        return values | {
            "has_weights": self.has_weights,
            "centers_xy": self.centers_xy.round(5).tolist(),
            "embeddings_xy": self.embeddings_xy.round(5).tolist(),
        }


@dataclass(frozen=True, eq=False, slots=True)
class ToyResult(Outcome):
    """What ``toy`` found.

    Attributes:
        people: C names, most photos first.
        labels: (N,) int64, 0 to C - 1: of the rows of each ``embeddings_xy``.
        losses: in the order they were asked for.
        epochs, seed: of the training.
        notes: sentences on photos that were left out.
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
            "n_photos_of_each": np.bincount(self.labels, minlength=len(self.people)).tolist(),
            "epochs": self.epochs,
            "seed": self.seed,
            "losses": [each.to_dict() for each in self.losses],
            "labels": self.labels.tolist(),
            "notes": list(self.notes),
        }

    def figure(self, *, title: str = "") -> Figure:
        """Draw it: softmax where its points lie and on the circle, the others on the circle.

        Raises:
            MissingExtraError: matplotlib is missing.
        """
        from lineament.pictures.charts import training as charts

        def panel(loss: ToyLoss, name: str, note: str, *, on_circle: bool = True) -> charts.Circle:
            return charts.Circle(
                name, loss.embeddings_xy, self.labels, loss.centers_xy, note, on_circle
            )

        panels = []
        for loss in self.losses:
            name = SHOWN_NAMES.get(loss.name, loss.name)
            note = (
                f"within a person {loss.within_deg:.1f}°, between at least "
                f"{loss.least_between_deg:.0f}°\naccuracy {per_cent(loss.accuracy)}, rays: "
                f"{'weights' if loss.has_weights else 'means'}"
            )
            if loss.name != "softmax":
                panels.append(panel(loss, name, note))
                continue
            # Its lengths tell people apart too, not only its directions.
            same = "the same points on the circle,\nas recognizers compare them"
            panels.append(panel(loss, f"{name}, as it lies in the plane", note, on_circle=False))
            panels.append(panel(loss, f"{name}, directions only", same))
        names = [name.replace("_", " ") for name in self.people]
        return charts.circles(panels, names, title=title if title else self._title())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture, and ``to_dict`` as JSON beside it, under the same name.

        Args:
            path: ends in .png, .svg or .pdf; its folder must exist.

        Raises:
            OptionError: another ending, or it cannot be written.
            MissingExtraError: matplotlib is missing.
        """
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


def measured(
    name: str,
    options: Mapping[str, Any],
    embeddings_xy: Float64Array,
    labels: npt.NDArray[np.int64],
    classes: int,
    weights_xy: Float64Array | None = None,
    *,
    bias: Float64Array | None = None,
    loss: float = math.nan,
    seconds: float = 0.0,
) -> ToyLoss:
    """Measure the angles of embeddings in the plane.

    Args:
        name: of the loss.
        options: of the loss.
        embeddings_xy: (N, 2).
        labels: (N,) 0 to C - 1; everybody has one at least.
        classes: C.
        weights_xy: (C, 2) of the classifier; None without one.
        bias: (C,) of the classifier; None where only directions count.
        loss: of the end of the training.
        seconds: that it took.
    """
    unit = _unit(embeddings_xy)  # (N, 2)
    means = _unit(np.stack([unit[labels == k].mean(0) for k in range(classes)]))  # (C, 2)
    own = _degrees(unit, means[labels])
    within = float(np.mean([own[labels == k].mean() for k in range(classes)]))
    pairs = [float(_degrees(means[a], means[b])) for a in range(classes) for b in range(a)]
    if weights_xy is None:
        scores = unit @ means.T  # (N, 2) @ (2, C) -> (N, C)
    elif bias is None:
        scores = unit @ _unit(weights_xy).T
    else:
        scores = embeddings_xy @ weights_xy.T + bias
    off = None if weights_xy is None else float(_degrees(_unit(weights_xy), means).mean())
    return ToyLoss(
        name=name,
        options=dict(options),
        embeddings_xy=embeddings_xy,
        centers_xy=means if weights_xy is None else weights_xy,
        has_weights=weights_xy is not None,
        within_deg=within,
        median_deg=float(np.median(own)),
        least_between_deg=min(pairs),
        weights_off_deg=off,
        accuracy=float((scores.argmax(1) == labels).mean()),
        loss=loss,
        seconds=seconds,
    )


def _unit(rows: Float64Array) -> Float64Array:
    scaled: Float64Array = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
    return scaled


def _degrees(a: Float64Array, b: Float64Array) -> Float64Array:
    """Angles between unit vectors of the plane, exact for small ones, where arccos is not."""
    across = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    along = (a * b).sum(-1)
    turned: Float64Array = np.degrees(np.abs(np.arctan2(across, along)))
    return turned
