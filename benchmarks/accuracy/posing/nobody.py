"""Pictures without people, and photos whose face is painted over: is a face found?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from _harness import track
from lineament import DetectOptions, FaceFinder, Recognizer
from lineament.gallery import NewSample
from lineament.gallery.enroll import examine
from lineament.gallery.review import Rules
from lineament.types import Photo
from posing.pictures import PAINTS, painted_over
from posing.setting import SEED, Setting

PICTURES = 480
FACES = 240
"""Of ``--without``, and faces painted over, unless something else is asked for."""
ALL_PAINTED, PAINTED_EACH = 300, 5
"""Faces painted over with ``--all``, and for each of ``--people``."""
PAINTED = "painted over:"
TRACE_SCORE = 0.2
SUFFIXES = (".jpg", ".jpeg", ".png")


def of_nobody(setting: Setting) -> dict[str, Any]:
    options = setting.options
    files = [path for folder in options.without for path in _pictures_in(folder)]
    if not options.all:
        drawn = np.random.default_rng(SEED).permutation(len(files))[:PICTURES]
        files = [files[i] for i in sorted(drawn)]
    with_face: dict[str, list[bool]] = defaultdict(list)
    enrolled: dict[str, list[bool]] = defaultdict(list)

    def count(kind: str, seen: Photo) -> None:
        if seen.error is not None:
            raise seen.error
        with_face[kind].append(bool(seen.faces))
        enrolled[kind].append(passes(setting.recognizer, seen))

    stream = setting.recognizer.stream_chosen(files)
    for path, seen in zip(files, track(stream, "pictures", len(files)), strict=True):
        count(path.parent.name, seen)
    painted = ALL_PAINTED if options.all else FACES
    if options.people is not None:
        painted = PAINTED_EACH * options.people
    ones = _alone(setting, painted)
    rng = np.random.default_rng(SEED)
    made = (
        painted_over(p.needed_pixels(), p.faces[0].box_xyxy, PAINTS[i % len(PAINTS)], rng)
        for i, p in enumerate(ones)
    )
    for i, seen in enumerate(setting.look(made, len(ones), "painted over")):
        count(f"{PAINTED} {PAINTS[i % len(PAINTS)]}", seen)
    pictures = [kind for kind in with_face if not kind.startswith(PAINTED)]
    return {
        "pictures_of_nobody": sum(len(row) for row in with_face.values()),
        # Where there are no folders, the painted ones stand for them.
        "false_faces": _share(with_face, pictures or with_face),
        "false_faces_painted": _share(with_face, with_face.keys() - pictures),
        "false_enrolled": _share(enrolled, with_face),
        "false_faces_by": {
            kind: {
                "pictures": len(row),
                "share": float(np.mean(row)),
                "enrolled": float(np.mean(enrolled[kind])),
            }
            for kind, row in with_face.items()
        },
    }


def _share(by_kind: Mapping[str, list[bool]], kinds: Iterable[str]) -> float:
    return float(np.mean([one for kind in kinds for one in by_kind[kind]]))


def _pictures_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def _alone(setting: Setting, wanted: int) -> list[Photo]:
    """Photos of LFW with one face, and no trace of another one, be it cut by the border."""
    paths = [own[0] for own in setting.people(wanted, spare=3 * PAINTED_EACH)]
    traces = FaceFinder(options=DetectOptions(min_score=TRACE_SCORE), turning=False)
    ones: list[Photo] = []
    for photo in setting.recognizer.finder.stream(paths, keep_pixels=True):
        if len(photo.faces) == 1 and len(traces.find(photo.needed_pixels()).faces) == 1:
            ones.append(photo)
        if len(ones) == wanted:
            break
    return ones


RULES = Rules("standard", single=True, quality=True, compared=True)
"""Those of ``enroll`` unless it is told otherwise."""


def passes(recognizer: Recognizer, photo: Photo) -> bool:
    """Whether ``enroll`` would take a photo that was looked at: it may ask for one good face."""
    (examined,) = examine(recognizer, [photo], rules=RULES, metadata={}, stream=iter)
    return isinstance(examined, NewSample)
