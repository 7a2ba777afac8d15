"""Stage 3: a photo and its faces -> crops of one size, each face in the same place.

alignment      how crops are made, as a value; crops by five points, the eyes, or the box
landmarker     many points of a face: the protocol and the registry
landmarks68    68 points of a face, and its hull
mesh           478 points of a face, with irises and depth
mesh_points    which of them is what
mesh_pose      how the head is held, by them
frontal        turned to the front, by 68 points and a generic face
"""

from __future__ import annotations

from lineament.align.alignment import Alignment, AlignMethod, align_faces, register_template
from lineament.align.landmarker import Landmarker, load_landmarker, register_landmarker

__all__ = [
    "AlignMethod",
    "Alignment",
    "Landmarker",
    "align_faces",
    "load_landmarker",
    "register_landmarker",
    "register_template",
]
