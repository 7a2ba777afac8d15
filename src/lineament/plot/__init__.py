"""Pictures of what the recognizer sees, with matplotlib (the extra "plot").

Each function takes what is to be seen and returns a ``seam.Plot``: the figure, and the numbers
behind it. One file a picture.
"""

from __future__ import annotations

from lineament.plot.alignment import alignment
from lineament.plot.barcode import barcode
from lineament.plot.correlation import correlation
from lineament.plot.explain import explain
from lineament.plot.grid import grid
from lineament.plot.histogram import histogram
from lineament.plot.occlusion import occlusion
from lineament.plot.people import Faces, load_people
from lineament.plot.pose import pose
from lineament.plot.report import Report, report
from lineament.plot.seam import Plot, save
from lineament.plot.tsne import tsne

__all__ = [
    "Faces",
    "Plot",
    "Report",
    "alignment",
    "barcode",
    "correlation",
    "explain",
    "grid",
    "histogram",
    "load_people",
    "occlusion",
    "pose",
    "report",
    "save",
    "tsne",
]
