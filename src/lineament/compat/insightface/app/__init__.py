"""``FaceAnalysis`` and ``Face``, where insightface has them."""

from __future__ import annotations

from lineament.compat.insightface.app.common import Face
from lineament.compat.insightface.app.face_analysis import FaceAnalysis

__all__ = ["Face", "FaceAnalysis"]
