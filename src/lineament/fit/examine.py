"""Photos -> embeddings, and what else is worth knowing of each before anything is fitted.

How many faces a photo has, which of them was taken, how good it is, and the hash of its file.
What detection says is kept on the disk as embeddings are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.datasets.cache import EmbeddingCache
from lineament.datasets.source import Embedded, RecognizerSource, way_of
from lineament.detect import DETECTORS
from lineament.errors import OptionError
from lineament.files import sha256_of_file
from lineament.images import source_name
from lineament.pipeline import Recognizer
from lineament.quality import quality_of
from lineament.recognizability import bundled_sha256
from lineament.types import FloatArray, IntArray, Photo, ProgressBar, Quality

_MEASURES = tuple(each.name for each in fields(Quality))
_FIELDS = 1 + 1 + 4 + len(_MEASURES) + len(_MEASURES)
# one, so that no row is zero; faces; box in thousands of pixels; measures; which of them are there


@dataclass(frozen=True, eq=False, slots=True)
class Examined:
    """What is known of N photos.

    Attributes:
        embedded: their embeddings.
        faces: (N,) int64: how many faces each has; 0 also where it could not be read.
        box_xyxy: (N, 4) pixels of the face that was taken; NaN where there is none.
        quality: N, of that face; None where there is none, or where it is not measured.
        digests: N hashes (SHA-256) of the files; None where it could not be read.
    """

    embedded: Embedded
    faces: IntArray
    box_xyxy: FloatArray
    quality: tuple[Quality | None, ...]
    digests: tuple[bytes | None, ...]


def examine(
    recognizer: Recognizer,
    paths: Sequence[Path],
    *,
    use_cache: bool = True,
    progress: ProgressBar[Any] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> tuple[Examined, RecognizerSource]:
    """Embed all photos and look at what else there is to know of them.

    Args:
        recognizer: what embeds; its ``choose`` decides whom a photo is of.
        paths: N photos.
        use_cache: keep what was found on the disk, and use what is there.
        progress: shows how far it is.
        on_note: called with what the user should know although the result does not depend on it.

    Returns:
        What was found, and the source of the embeddings, which knows how fast it was.
    """
    known: dict[str, FloatArray] = {}
    source = RecognizerSource(
        recognizer, use_cache=use_cache, progress=_Tap(known, progress), on_note=on_note
    )
    embedded = source.photos(paths)
    names = [source_name(path) for path in paths]
    if len(set(names)) < len(set(map(str, paths))):
        known.clear()  # shortened to the same name: look again, one by one
    facts = np.zeros((len(paths), _FIELDS), np.float64)
    have = np.zeros(len(paths), bool)
    cache: EmbeddingCache | None = None
    if use_cache and recognizer.finder.detector_name in DETECTORS:
        estimate = bundled_sha256(recognizer.embedder.contract)
        way = {"facts": 3, "recognizability": estimate, **way_of(recognizer)}
        cache = EmbeddingCache(way, _FIELDS)
        kept = cache.load(paths)
        facts[kept.found] = kept.vectors[kept.found] * kept.norms[kept.found, None]
        have = kept.found.copy()
    new = np.zeros(len(paths), bool)
    for i, name in enumerate(names):
        if name in known:
            facts[i], have[i], new[i] = known[name], True, True
    unreadable = np.isin(np.arange(len(paths)), list(embedded.unreadable))
    missing = np.flatnonzero(~have & ~unreadable).tolist()
    if missing:
        photos: Iterable[Photo] = recognizer.stream_chosen(iter([paths[i] for i in missing]))
        if progress is not None:
            photos = progress(photos, len(missing), "looking at faces")
        for i, photo in zip(missing, photos, strict=True):
            if _was_read(photo):
                facts[i], new[i] = _facts(photo), True
    if cache is not None and new.any():
        rows = np.flatnonzero(new)
        norms = np.linalg.norm(facts[rows], axis=1)
        # The result does not depend on it, and the embeddings' own cache says what is wrong.
        with contextlib.suppress(OptionError):
            cache.save([paths[i] for i in rows.tolist()], facts[rows] / norms[:, None], norms)
    digests = [None if unreadable[i] else _digest(path) for i, path in enumerate(paths)]
    box = np.where(facts[:, 1:2] > 0, facts[:, 2:6] * 1000, np.nan).astype(np.float32)
    examined = Examined(
        embedded=embedded,
        faces=np.rint(facts[:, 1]).astype(np.int64),
        box_xyxy=box,
        quality=tuple(_quality(row) for row in facts),
        digests=tuple(digests),
    )
    return examined, source


class _Tap:
    """Looks at the photos as they come past the progress bar."""

    def __init__(self, known: dict[str, FloatArray], progress: ProgressBar[Any] | None) -> None:
        self.known, self.progress = known, progress

    def __call__(self, items: Iterable[Any], total: int, what: str) -> Iterator[Any]:
        shown = items if self.progress is None else self.progress(items, total, what)
        for photo in shown:
            if _was_read(photo):
                self.known[photo.source] = _facts(photo)
            yield photo


def _was_read(photo: Photo) -> bool:
    return photo.error is None


def _facts(photo: Photo) -> Any:
    row = np.zeros(_FIELDS)
    row[0], row[1] = 1, len(photo.faces)
    if photo.index is None or photo.embedding is None or photo.crop is None:
        return row
    face = photo.faces[photo.index]
    row[2:6] = np.asarray(face.box_xyxy) / 1000
    quality = quality_of(face, photo.crop, photo.embedding, photo.size_wh)
    if quality is not None:
        for k, name in enumerate(_MEASURES):
            value = getattr(quality, name)
            if value is not None:
                row[6 + k], row[6 + len(_MEASURES) + k] = value, 1
    return row


def _quality(row: npt.NDArray[np.float64]) -> Quality | None:
    values, there = row[6 : 6 + len(_MEASURES)], row[6 + len(_MEASURES) :] > 0.5
    if not there.any():
        return None
    return Quality(
        **{
            name: float(values[k]) if there[k] else None  # type: ignore[arg-type]
            for k, name in enumerate(_MEASURES)
        }
    )


def _digest(path: Path) -> bytes | None:
    try:
        return sha256_of_file(path)
    except OSError:
        return None
