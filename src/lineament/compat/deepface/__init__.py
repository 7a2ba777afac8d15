"""What the package deepface 0.0.103 offers, by the same names.

    from lineament.compat.deepface import DeepFace       or: from lineament.compat import DeepFace

    DeepFace.verify("a.jpg", "b.jpg")["verified"]
    DeepFace.find("a.jpg", db_path="photos")             a DataFrame for each face

``modules.verification`` has the distances, thresholds and confidences, ``modules.exceptions`` what
is raised, ``modules.modeling`` ``build_model``, ``commons.image_utils`` reads and lists photos,
``config.threshold`` has the thresholds. Importing sets no environment variable, no filter
of warnings, makes no folder, and prints nothing. The page ``how-to/from-deepface`` of the docs
lists the differences.
"""

from __future__ import annotations

from lineament.compat.deepface import DeepFace

__version__ = "0.0.103"
"""Whose interface this is; lineament's own version is ``lineament.__version__``."""

__all__ = ["DeepFace"]
