"""What a recognizer sees, measured: why a decision falls so, and what recognition bears.

    explain             which regions of two faces carry the decision, and what would change it
    degrade             a photo made worse in steps: masks, blur, darkness, ...
    compare_poses       a person's photos by the turn of the head, or by what is seen of the face
    alignment_stages    how a face is aligned, stage by stage
    load_people         photos of people -> ``Faces``: names, embeddings and crops to be drawn

Each takes a recognizer and photos and returns values; ``lineament.pictures.plots`` draws them.
"""

from __future__ import annotations

from lineament.explain.degrade import KINDS, Degraded, degrade
from lineament.explain.faces import Faces, load_people
from lineament.explain.occlusion_map import Explanation, OcclusionMap, explain, occlusion_map
from lineament.explain.pose import Poses, compare_poses
from lineament.explain.stages import AlignmentStages, alignment_stages

__all__ = [
    "KINDS",
    "AlignmentStages",
    "Degraded",
    "Explanation",
    "Faces",
    "OcclusionMap",
    "Poses",
    "alignment_stages",
    "compare_poses",
    "degrade",
    "explain",
    "load_people",
    "occlusion_map",
]
