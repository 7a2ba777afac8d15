"""Words of a plot: in letters of any script, counts, thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lineament.errors import OptionError
from lineament.explain.faces import Faces
from lineament.pictures.charts.colors import INK
from lineament.pictures.charts.text import drawable
from lineament.pictures.plots._sheet import SMALL_PT
from lineament.text import counted
from lineament.types import Threshold

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def put(
    axes: Axes,
    x: float,
    y: float,
    words: str,
    *,
    size_pt: float = SMALL_PT,
    bold: bool = False,
    color: str = INK,
    **look: Any,
) -> Any:
    """Set words at a place of the chart's own axes; what no font has is shown as a square."""
    shown, families = drawable(words)
    return axes.text(
        x, y, shown, fontsize=size_pt, fontweight="bold" if bold else "normal", color=color,
        fontfamily=list(families), parse_math=False, **look,
    )  # fmt: skip


def sentence(note: str) -> str:
    """A note with a capital and a full stop."""
    return f"{note[:1].upper()}{note[1:]}."


def what(faces: Faces) -> str:
    """ "48 photos of 10 people"."""
    photos = counted(len(faces), "photo", "photos")
    if not faces.named:
        return photos
    return f"{photos} of {counted(len(faces.names), 'person', 'people')}"


def value_of(threshold: Threshold | float | None) -> float | None:
    """The number; OptionError when it is a threshold for something else than cosines."""
    if isinstance(threshold, Threshold):
        if threshold.metric != "cosine":
            raise OptionError(
                f"expected one for the metric cosine, got one for {threshold.metric}",
                option="threshold",
            )
        return threshold.value
    return None if threshold is None else float(threshold)


def threshold_words(threshold: Threshold | float) -> str:
    """ "threshold 0.412 (false match rate 0.0001)"."""
    value = value_of(threshold)
    if isinstance(threshold, Threshold) and threshold.fmr is not None:
        return f"threshold {value:.3f} (false match rate {threshold.fmr:g})"
    return f"threshold {value:.3f}"


def threshold_numbers(threshold: Threshold | float | None) -> dict[str, Any] | None:
    """The threshold for JSON."""
    if threshold is None:
        return None
    if isinstance(threshold, Threshold):
        return threshold.to_dict()
    return Threshold(float(threshold), "cosine", None, "set by hand", None).to_dict()
