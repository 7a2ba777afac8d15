"""Stage 3: a photo and its faces -> crops of one size, each face in the same place.

alignment      five points, the eyes' turn, or the box alone -> crops
landmarks68    68 points of a face, and its hull
frontal        turned to the front, by 68 points and a generic face
"""

from __future__ import annotations

from lineament.align.alignment import (
    ALIGNMENT_NAMES,
    AlignMethod,
    Template,
    align_faces,
    alignment_name,
    parse_alignment_name,
)

__all__ = [
    "ALIGNMENT_NAMES",
    "AlignMethod",
    "Template",
    "align_faces",
    "alignment_name",
    "parse_alignment_name",
]
