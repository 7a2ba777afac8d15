"""Stage 7: who is this? People, their photos' embeddings, and searching among them.

    types       settings; what goes in and comes out: NewSample, Identification, Refusal ...
    gallery     Gallery: all of it in one object; read this file first
    state       the parts of an open gallery: database, index, recognizer, calibration
    folder      enroll_folder, list_folder: many people's photos, resumable
    enroll      checks before a face is let in; review: how closely a photo is looked at
    regions     names that photo libraries noted in photos, read and written
    find        the photos of a folder that show the person of a photo
    verification one face against one person
    nobody      a search among nobody is an error that says why
    portraits   enrolled faces as pictures
    rejections  faces that somebody said are not a person
    ranking     samples near a face -> people in order; the best pairing of faces and people
    thresholds  from which similarity on a face gets a name
    index_sync  the index beside the database, kept in step with it; index_folder: its files
    lookup      people and samples in SQL, read; editing: changed
    damage      what is not what was written is passed over; checking: all of it looked for
    consent     who allowed what, and until when a person is kept; terms: that in SQL
    once        what was made under a token is not made twice
    erasure     people erased for good, and receipts of it; leftovers: the search afterwards
    person_export  all about one person in one file
    filters     metadata filters, and as text
    exchange    JSON lines and parquet
    foreign/    stores of other packages, read without running their code
    migration   embedding everything anew with another recognizer
    keys        where the key of an encrypted gallery is; sealing: what it does
    encryption  a gallery that exists is encrypted, decrypted, given other keys
    store       the SQLite file: transactions, erasing
    schema      its tables; connection: opening it
    grouping/   faces -> people without names

A gallery is a folder: ``gallery.sqlite`` is the truth, ``index/`` is derived from it and may be
removed at any time, ``gallery.lock`` tells who writes.
"""

from __future__ import annotations

from lineament.gallery._gallery import Gallery
from lineament.gallery._types import (
    Candidate,
    DamagedPart,
    EnrollReport,
    Identification,
    IdentifiedPhoto,
    ImportReport,
    MigrationReport,
    NewSample,
    PersonInfo,
    Refusal,
    Rejection,
    RemovalReport,
    SampleInfo,
    Settings,
)
from lineament.gallery.consent import Consent
from lineament.gallery.find import FindResult, FoundPhoto, find
from lineament.gallery.folder import FolderReport, Listing, enroll_folder, list_folder
from lineament.gallery.keys import Key, new_key_file
from lineament.gallery.person_export import PersonExport
from lineament.gallery.receipts import Receipt

__all__ = [
    "Candidate",
    "Consent",
    "DamagedPart",
    "EnrollReport",
    "FindResult",
    "FolderReport",
    "FoundPhoto",
    "Gallery",
    "Identification",
    "IdentifiedPhoto",
    "ImportReport",
    "Key",
    "Listing",
    "MigrationReport",
    "NewSample",
    "PersonExport",
    "PersonInfo",
    "Receipt",
    "Refusal",
    "Rejection",
    "RemovalReport",
    "SampleInfo",
    "Settings",
    "enroll_folder",
    "find",
    "list_folder",
    "new_key_file",
]
