"""The rows of ``register``, ``search`` and ``identify``: samples of a gallery, one a person.

deepface knows no people, only rows. So each row is somebody of its own here, named after its
photo; what it was made with stands in the metadata, and a search goes among those alone that were
made in the same way.
"""

from __future__ import annotations

import hashlib
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lineament.compat.deepface import _models as known
from lineament.compat.deepface._faces import Found
from lineament.compat.deepface._tables import confidences, distances_of
from lineament.compat.deepface.modules.exceptions import DuplicateEntryError, UnimplementedError
from lineament.errors import LineamentError, OptionError
from lineament.gallery import Gallery, NewSample
from lineament.text import printable
from lineament.types import Embedding

OURS = ("postgres", "sqlite")
OTHERS = (
    *("mongo", "weaviate", "neo4j", "pgvector", "pinecone", "milvus", "qdrant", "oracle"),
    *("mssql", "db2", "redis", "cassandra", "mysql"),
)
FOLDER = (".lineament", "deepface")
"""In the home folder: where rows are kept unless something else is said."""

LONGEST_NAME = 120
SAME = 1 - 1e-6
"""Cosine of embeddings of one face of one photo."""


@dataclass(frozen=True, eq=False, slots=True)
class Kind:
    """How rows are made.

    Attributes:
        model: that embeds.
        detector: that finds.
        aligned, l2_normalized: as the caller has them.
    """

    model: known.Known
    detector: str
    aligned: bool
    l2_normalized: bool

    @property
    def metadata(self) -> dict[str, Any]:
        """What stands with each row."""
        return {
            "model_name": self.model.name,
            "detector_backend": self.detector,
            "aligned": self.aligned,
            "l2_normalized": self.l2_normalized,
        }


@dataclass(frozen=True, eq=False, slots=True)
class Row:
    """One row: its number, its name, and the embedding."""

    id: int
    img_name: str
    embedding: Embedding


def name_of(source: Any) -> str:
    """A path that ends in .jpg, .jpeg or .png, or a random name."""
    if isinstance(source, str) and source.endswith((".jpg", ".jpeg", ".png")):
        return source
    return str(uuid.uuid4())


def rows_of(
    found: Sequence[Found], embeddings: Sequence[Embedding], name: str
) -> list[tuple[str, NewSample]]:
    """Names and samples of a photo's faces."""
    return [
        (
            name,
            NewSample(
                embedding,
                source=printable(name),
                sha256=hashlib.sha256(embedding.vector.tobytes()).digest(),
                face=one.face,
            ),
        )
        for one, embedding in zip(found, embeddings, strict=True)
    ]


@contextmanager
def opened(kind: Kind, database_type: str, details: Any, connection: Any) -> Iterator[Gallery]:
    """The gallery that is meant.

    Raises:
        UnimplementedError: another database of deepface's.
        ValueError: no database that there is.
    """
    if connection is not None:
        if not isinstance(connection, Gallery):
            raise OptionError(
                f"expected a lineament.Gallery, got {type(connection).__name__}",
                option="connection",
            )
        yield connection
        return
    if database_type in OTHERS:
        raise UnimplementedError(
            f"database_type {database_type!r} is not here",
            hint="rows are kept in a gallery, a folder of this machine: leave database_type out "
            'and give the folder as connection_details; a gallery\'s index may be "milvus:URI"',
        )
    if database_type not in OURS:
        raise OptionError(f"Unsupported database type: {database_type}")
    if isinstance(details, Mapping):
        details = details.get("path")
    if details is not None and not isinstance(details, (str, Path)):
        raise OptionError(
            f"expected the path of a folder, got {type(details).__name__}",
            option="connection_details",
        )
    if details is not None and "://" in str(details):
        raise UnimplementedError(
            "an address of a database is not here",
            hint="rows are kept in a gallery: give its folder as connection_details",
        )
    folder = Path.home().joinpath(*FOLDER) if details is None else Path(details)
    folder = folder / kind.model.name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Gallery.open_or_create(folder, recognizer=kind.model.recognizer) as gallery:
        yield gallery


def insert(
    gallery: Gallery, kind: Kind, new: Sequence[tuple[str, NewSample]], *, single: bool
) -> int:
    """Keep rows; returns how many. DuplicateEntryError: one of several is there already."""
    there = [_is_there(gallery, kind, sample) for _, sample in new]
    if any(there):
        if not single:
            raise DuplicateEntryError("a face of these photos is registered already")
        warnings.warn("the photo is registered already", UserWarning, stacklevel=3)
        new = [row for row, known_already in zip(new, there, strict=True) if not known_already]
    samples: list[tuple[str, NewSample]] = []
    metadata: dict[str, dict[str, Any]] = {}
    for img_name, sample in new:
        person = _free_name(gallery, img_name, metadata)
        metadata[person] = {**kind.metadata, "img_name": img_name}
        samples.append((person, sample))
    if not samples:
        return 0
    done = gallery.enroll_samples(samples, metadata=metadata, force=True)
    for one in done:
        if not hasattr(one, "id"):
            raise OptionError(str(one))
    return len(done)


def _is_there(gallery: Gallery, kind: Kind, sample: NewSample) -> bool:
    if not gallery.n_samples:
        return False
    (found,) = gallery.identify_embeddings(
        [sample.embedding], top=1, threshold=1.0, where=kind.metadata
    )
    return any(candidate.similarity >= SAME for candidate in found.candidates)


def _free_name(gallery: Gallery, img_name: str, taken: Mapping[str, Any]) -> str:
    """A name of a person for a row: the photo's, with a number where it is taken."""
    base = printable(img_name)[-LONGEST_NAME:].strip() or "photo"
    name, number = base, 1
    while name in taken or name in gallery:
        number += 1
        name = f"{base} #{number}"
    return name


def check_some(gallery: Gallery, kind: Kind) -> None:
    """ValueError: nothing is registered in this way."""
    try:
        gallery.check_search(kind.metadata)
    except LineamentError as error:
        wanted = ", ".join(f"{key}={value}" for key, value in kind.metadata.items())
        raise OptionError(
            f"No embeddings found in the database for the criteria {wanted}"
        ) from error


def search(
    gallery: Gallery,
    kind: Kind,
    found: Found,
    embedding: Embedding,
    metric: str,
    *,
    search_method: str,
    everything: bool,
    k: int | None,
) -> dict[str, Any]:
    """The columns of ``_tables.SEARCH`` for one face."""
    check_some(gallery, kind)
    n_rows = gallery.n_samples
    wide = n_rows if k is None or metric == "euclidean" else min(k, n_rows)
    (answer,) = gallery.identify_embeddings(
        [embedding], top=wide, threshold=1.0, where=kind.metadata
    )
    candidates = answer.candidates
    cosines = np.array([one.similarity for one in candidates], np.float64)
    norms = (
        [gallery.embedding(one.sample).norm for one in candidates] if metric == "euclidean" else []
    )
    distances = distances_of(cosines, norms, embedding.norm, metric, None)
    threshold = kind.model.search_threshold(metric, answer.n_searched)
    near = distances <= threshold
    at = np.arange(len(candidates)) if everything else np.flatnonzero(near)
    at = at[np.argsort(distances[at], kind="stable")][:k]
    n = len(at)
    area = found.area
    return {
        "id": np.array([candidates[i].sample for i in at], np.int64),
        "img_name": [candidates[i].metadata["img_name"] for i in at],
        **{key: [value] * n for key, value in kind.metadata.items()},
        "search_method": [search_method] * n,
        **{f"target_{key}": np.full(n, area[key], np.int64) for key in "xywh"},
        "threshold": np.full(n, threshold),
        "distance_metric": [metric] * n,
        "distance": distances[at],
        "confidence": confidences(kind.model, cosines[at], near[at]),
    }


def row(gallery: Gallery, kind: Kind, identity_id: str | int) -> Row:
    """One row. ValueError: there is none, or it was made in another way."""
    missing = f"No embedding found in the database for identity_id={identity_id}"
    try:
        number = int(identity_id)
        sample = gallery.sample(number)
        person = gallery.person(sample.person)
    except (ValueError, LineamentError) as error:
        raise OptionError(missing) from error
    for key, value in kind.metadata.items():
        there = person.metadata.get(key)
        if there == value:
            continue
        if key in ("detector_backend", "aligned"):
            warnings.warn(
                f"the row has {key} {there}, the photo {value}", UserWarning, stacklevel=3
            )
            continue
        raise OptionError(f"{missing}: its {key} is {there}, asked for is {value}")
    name = str(person.metadata.get("img_name", sample.source))
    return Row(number, name, gallery.embedding(number))
