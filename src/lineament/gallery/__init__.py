"""Stage 7: who is this? People, their photos' embeddings, and searching among them.

    types       what is returned: Identification, Candidate, EnrollReport, Refusal, PersonInfo ...
    gallery     Gallery: all of it in one object; read this file first
    opened      an open gallery and its parts
    settings    how a gallery works
    enrollment   checks before a face is let in
    ranking     samples near a face -> people in order; two faces of a photo, two people
    thresholds  from which similarity on a face gets a name
    assignment  the best pairing of faces and people (Hungarian method)
    derived     the index beside the database, kept in step with it
    records     people and samples in SQL, read
    changes     the same, written; naming: what names and metadata may be
    filters     metadata filters
    exchange    JSON lines and parquet
    migration   embedding everything anew with another recognizer
    store       the SQLite file: transactions, erasing
    schema      its tables; connection: opening it; lock: who writes

A gallery is a folder: ``gallery.sqlite`` is the truth, ``index/`` is derived from it and may be
removed at any time, ``gallery.lock`` tells who writes.
"""

from __future__ import annotations

from lineament.gallery.gallery import Gallery
from lineament.gallery.settings import Settings
from lineament.gallery.types import (
    Candidate,
    EnrollReport,
    Identification,
    IdentifiedPhoto,
    ImportReport,
    MigrationReport,
    NewSample,
    PersonInfo,
    Refusal,
    RemovalReport,
    SampleInfo,
)

__all__ = [
    "Candidate",
    "EnrollReport",
    "Gallery",
    "Identification",
    "IdentifiedPhoto",
    "ImportReport",
    "MigrationReport",
    "NewSample",
    "PersonInfo",
    "Refusal",
    "RemovalReport",
    "SampleInfo",
    "Settings",
]
