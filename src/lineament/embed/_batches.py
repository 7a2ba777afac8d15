"""Faces of many photos, embedded in batches that reach across photos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from lineament.embed._turned import embed_faces
from lineament.embed.embedder import Embedder, wrap
from lineament.embed.network import BATCH
from lineament.types import Photo


def embed_photos(
    photos: Iterable[Photo],
    embedder: Embedder,
    is_enough: Callable[[Sequence[Photo]], bool],
) -> Iterator[Photo]:
    """Embed the selected faces of photos as they come; in their order.

    Args:
        photos: with ``crops`` of the faces in ``selected``; those that have embeddings already, an
            error, or no crops pass through.
        embedder: takes these crops.
        is_enough: asked with the photos that wait for a batch to be full (``BATCH`` crops):
            whether to embed what there is.
    """
    waiting: list[Photo] = []
    n_crops = 0
    for photo in photos:
        waiting.append(photo)
        n_crops += _n_crops(photo)
        if n_crops >= BATCH or is_enough(waiting):
            yield from _embedded(waiting, embedder)
            waiting, n_crops = [], 0
    yield from _embedded(waiting, embedder)


def _n_crops(photo: Photo) -> int:
    return 0 if photo.embeddings or photo.crops is None else len(photo.crops)


def _embedded(photos: Sequence[Photo], embedder: Embedder) -> Iterator[Photo]:
    crops = [photo.crops for photo in photos if photo.crops is not None and _n_crops(photo)]
    if not crops:
        yield from photos
        return
    landmarks = [
        photo.faces[i].landmarks_xy for photo in photos if _n_crops(photo) for i in photo.selected
    ]
    vectors, norms = embed_faces(embedder, np.concatenate(crops), landmarks)
    first = 0
    for photo in photos:
        n = _n_crops(photo)
        if n:
            rows = slice(first, first + n)
            first += n
            photo = replace(photo, embeddings=wrap(vectors[rows], norms[rows], embedder.contract))
        yield photo
