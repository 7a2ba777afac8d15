"""What programs use most of the package insightface 2.1, by the same names.

    from lineament.compat.insightface.app import FaceAnalysis

    app = FaceAnalysis()
    app.prepare(ctx_id=0, det_size=(640, 640))
    for face in app.get(image):                 pixels, BGR
        face.bbox, face.kps, face.det_score, face.normed_embedding

The networks are lineament's, under licenses that allow commercial use; those of insightface's packs
do not, and are not here. The page ``how-to/from-insightface`` of the docs lists the differences.
"""

from __future__ import annotations

from lineament.compat.insightface import app, data, model_zoo, utils
from lineament.compat.insightface.app import FaceAnalysis

__version__ = "2.1"
"""Whose interface this is; lineament's own version is ``lineament.__version__``."""

__all__ = ["FaceAnalysis", "app", "data", "model_zoo", "utils"]
