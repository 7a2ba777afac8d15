"""Face recognition that says how sure it is.

    1 images      load_image: a photo in any shape -> RGB uint8 (H, W, 3)
    2 detect      load_detector: a photo -> faces
      finder      FaceFinder: both, on one photo or many: a Photo with its pixels and faces
    3 align       align_faces: a photo and its faces -> crops
    4 embed       load_embedder: crops -> unit embeddings; Batcher shares one among threads
    5 decide      compare: two embeddings -> a Decision
      pipeline    Recognizer: all of it, on one photo or many; verify: in one line

    models        what networks there are, their licenses and where they come from
    evaluate      metrics and the standard benchmarks
    train         models of your own, from photos to a name the pipeline takes
    errors, types what is raised and what is returned

>>> import lineament
>>> decision = lineament.verify("a.jpg", "b.jpg")  # doctest: +SKIP
>>> print(decision)  # doctest: +SKIP

Importing this loads nothing: names are imported when they are first used. They are listed once, in
``__init__.pyi``, where type checkers look for them too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

__version__ = "0.1.0"


_HOMES: dict[str, str] = {}


def _homes() -> dict[str, str]:
    """Public name -> module, from the stub's lines ``from MODULE import NAME as NAME``."""
    if not _HOMES:
        lines = Path(__file__).with_suffix(".pyi").read_text("utf-8").splitlines()
        _HOMES.update((w[-1], w[1]) for w in map(str.split, lines) if w[:1] == ["from"])
    return _HOMES


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return sorted(_homes())
    if name in _homes():
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'lineament' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_homes()})
