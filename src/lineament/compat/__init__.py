"""The interfaces that other packages made known, with lineament behind them.

    from lineament.compat import DeepFace                            for deepface's
    import lineament.compat.face_recognition as face_recognition     for that package
    from lineament.compat.insightface.app import FaceAnalysis        for insightface's

Names of arguments, their order and defaults, keys and types of results, and what is raised are
those of the originals, so that a program needs no more than another import. Where the original
does something that nobody would want (a photo without a face that is verified, a filter that
silences all warnings of the process), the shape stays and the meaning is right; the page of each in
the docs lists every difference. Nothing here imports the originals, and nothing else in lineament
imports this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lineament.compat.deepface import DeepFace as DeepFace


def __getattr__(name: str) -> Any:
    """``DeepFace``: a module, imported when it is asked for."""
    if name == "DeepFace":
        from lineament.compat.deepface import DeepFace

        return DeepFace
    raise AttributeError(f"module 'lineament.compat' has no attribute {name!r}")
