"""Pictures of what the recognizer sees, with matplotlib (the extra "plot").

Each function takes what is to be seen and returns a ``Plot``: the figure, and the numbers
behind it. One file a picture.
"""

from __future__ import annotations

from lineament.pictures.plots.alignment import alignment
from lineament.pictures.plots.barcode import barcode
from lineament.pictures.plots.correlation import correlation
from lineament.pictures.plots.explain import explain
from lineament.pictures.plots.grid import grid
from lineament.pictures.plots.histogram import histogram
from lineament.pictures.plots.occlusion import occlusion
from lineament.pictures.plots.plot import Plot, save
from lineament.pictures.plots.pose import pose
from lineament.pictures.plots.tsne import tsne

__all__ = [
    "Plot",
    "alignment",
    "barcode",
    "correlation",
    "explain",
    "grid",
    "histogram",
    "occlusion",
    "pose",
    "save",
    "tsne",
]
