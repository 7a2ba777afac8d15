"""Words within a chart, in letters of any script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lineament.pictures.charts.colors import INK
from lineament.pictures.charts.text import drawable
from lineament.pictures.plots.faces import Faces
from lineament.pictures.plots.sheet import SMALL_PT

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


def counted(number: int, one: str, several: str) -> str:
    """ "1 person", "1,200 people"."""
    return f"{number:,} {one if number == 1 else several}"


def what(faces: Faces) -> str:
    """ "48 photos of 10 people"."""
    photos = counted(len(faces), "photograph", "photographs")
    if not faces.named:
        return photos
    return f"{photos} of {counted(len(faces.names), 'person', 'people')}"
