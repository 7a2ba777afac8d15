"""Face recognition that says how sure it is.

    1 images      load_image: a photo in any shape -> RGB uint8 (H, W, 3)
    2 detect      load_detector: a photo -> faces
    3 align       align_faces: a photo and its faces -> crops
    4 embed       load_embedder: crops -> unit embeddings
    5 compare     compare: two embeddings -> a Decision
      pipeline    Recognizer: all of it, on one photo or many; verify: in one line

    weights       what networks there are, their licenses and where they come from
    runtime       the engines that run them
    evaluate      metrics and the standard benchmarks
    train         models of your own, from photos to a name the pipeline takes
    errors, types what is raised and what is returned

>>> import lineament
>>> decision = lineament.verify("a.jpg", "b.jpg")  # doctest: +SKIP
>>> print(decision)  # doctest: +SKIP

Importing this loads nothing: names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lineament.align.alignment import align_faces
    from lineament.decide.metrics import compare, score_matrix, score_rows
    from lineament.detect import DetectOptions, load_detector
    from lineament.embed import load_embedder
    from lineament.errors import LineamentError
    from lineament.images import load_image
    from lineament.models.runtime import Runtime
    from lineament.pipeline import Recognizer
    from lineament.types import Analysis, Contract, Decision, Embedding, Face, Threshold

_HOMES = {
    "align_faces": "align.alignment",
    "compare": "decide.metrics",
    "score_matrix": "decide.metrics",
    "score_rows": "decide.metrics",
    "DetectOptions": "detect",
    "load_detector": "detect",
    "load_embedder": "embed",
    "LineamentError": "errors",
    "load_image": "images",
    "Recognizer": "pipeline",
    "Runtime": "models.runtime",
    "Analysis": "types",
    "Contract": "types",
    "Decision": "types",
    "Embedding": "types",
    "Face": "types",
    "Threshold": "types",
}

__all__ = [
    "Analysis",
    "Contract",
    "Decision",
    "DetectOptions",
    "Embedding",
    "Face",
    "LineamentError",
    "Recognizer",
    "Runtime",
    "Threshold",
    "align_faces",
    "compare",
    "load_detector",
    "load_embedder",
    "load_image",
    "score_matrix",
    "score_rows",
    "verify",
]

_default: Any = None


def verify(a: Any, b: Any, **options: Any) -> Decision:
    """Are two photos of the same person? With the default recognizer, kept for the next call.

    Args:
        a, b: whatever ``lineament.images.load_image`` reads.
        options: as ``Recognizer.verify`` takes them.

    Returns:
        A ``Decision``; ``print`` it to see it in words.

    Raises:
        LineamentError: a photo could not be read, or has no face.
    """
    global _default  # noqa: PLW0603
    if _default is None:
        from lineament.pipeline import Recognizer

        _default = Recognizer()
    decision: Decision = _default.verify(a, b, **options)
    return decision


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"lineament.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'lineament' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
