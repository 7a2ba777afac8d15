"""People and samples in SQL, read. ``changes`` is the other half."""

from __future__ import annotations

import json
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from lineament.errors import GalleryDamagedError, OptionError, UnknownPersonError
from lineament.gallery import filters
from lineament.gallery._schema import read_contract
from lineament.gallery._store import Store
from lineament.gallery._types import PersonInfo, SampleInfo
from lineament.types import Contract, Embedding, Face, FloatArray, Quality

LONGEST_NAME = 200
"""Characters, after NFC."""
MOST_METADATA = 64 << 10
"""Bytes of JSON."""

_CHUNK = 16384
_PERSON = "p.id, l.name, l.metadata, p.created"
_SAMPLE = (
    "s.id, l.name, s.source, s.sha256, s.face, s.contract, s.added, s.metadata, "
    "EXISTS (SELECT 1 FROM crops c WHERE c.sample = s.id)"
)
_JOINED = (
    "samples s JOIN owners o ON o.sample = s.id JOIN people p ON p.id = o.person "
    "JOIN labels l ON l.id = p.label"
)


def totals(store: Store) -> tuple[int, int]:
    """How many people, and how many samples of the gallery's contract."""
    with store.reading() as connection:
        found = dict(connection.execute("SELECT name, value FROM totals"))
    return int(found["people"]), int(found["samples"])


def find_person(store: Store, name: str) -> int | None:
    """The id of the person of that name."""
    try:
        wanted = checked_name(name)
    except OptionError:
        return None
    with store.reading() as connection:
        row = connection.execute(
            "SELECT id FROM people WHERE name_key = ?", (store.key(wanted.encode()),)
        ).fetchone()
    return None if row is None else int(row[0])


def required_person(store: Store, name: str) -> int:
    """The same; UnknownPersonError when there is none."""
    found = find_person(store, name)
    if found is None:
        raise UnknownPersonError(
            f"{name!r}: nobody of that name is in the gallery", hint="{people}"
        )
    return found


def people(
    store: Store, *, where: Mapping[str, Any] | None, after: str | None, limit: int | None
) -> list[PersonInfo]:
    """The people by name, without samples; arguments as ``Gallery.people``."""
    condition, values = filters.condition({} if where is None else where, "l.metadata")
    if after is not None:
        condition, values = f"{condition} AND l.name > ?", [*values, after]
    if limit is not None and limit < 1:
        raise OptionError(f"expected 1 or more, got {limit}", option="limit")
    with store.reading() as connection:
        rows = connection.execute(
            f"SELECT {_PERSON}, (SELECT count(*) FROM owners o WHERE o.person = p.id AND "
            f"o.contract = ?) FROM people p JOIN labels l ON l.id = p.label WHERE {condition} "
            "ORDER BY l.name LIMIT ?",
            (store.contract_id, *values, -1 if limit is None else limit),
        )
        return [PersonInfo(i, name, json.loads(m), at, n) for i, name, m, at, n in rows]


def person(store: Store, name: str) -> PersonInfo:
    """One person with all samples. UnknownPersonError: there is none of that name."""
    with store.reading() as connection:
        number = required_person(store, name)
        (found,) = people_of(store, [number])
        rows = connection.execute(
            f"SELECT {_SAMPLE} FROM {_JOINED} WHERE o.person = ? ORDER BY s.id", (number,)
        )
        contracts = contract_names(connection)
        samples = tuple(_sample_info(contracts, row) for row in rows.fetchall())
    return PersonInfo(found.id, found.name, found.metadata, found.created, found.n_samples, samples)


def people_of(store: Store, numbers: Sequence[int]) -> list[PersonInfo]:
    """People by id, without samples, in no order."""
    with store.reading() as connection:
        rows = connection.execute(
            f"SELECT {_PERSON}, (SELECT count(*) FROM owners o WHERE o.person = p.id AND "
            "o.contract = ?) FROM people p JOIN labels l ON l.id = p.label WHERE p.id IN "
            "(SELECT value FROM json_each(?))",
            (store.contract_id, json.dumps(list(numbers))),
        )
        return [PersonInfo(i, name, json.loads(m), at, n) for i, name, m, at, n in rows]


def sample(store: Store, number: int) -> SampleInfo:
    """One sample. UnknownPersonError: there is none of that number."""
    found = samples_of(store, [number])
    if not found:
        raise unknown_sample(number)
    return found[0]


def unknown_sample(number: int) -> UnknownPersonError:
    """The error for a sample that is not there."""
    return UnknownPersonError(
        f"sample {number}: there is none of that number in the gallery", hint="{person}"
    )


def samples_of(store: Store, numbers: Sequence[int]) -> list[SampleInfo]:
    """Samples by id, ascending; those that are not there are passed over."""
    with store.reading() as connection:
        rows = connection.execute(
            f"SELECT {_SAMPLE} FROM {_JOINED} WHERE s.id IN (SELECT value FROM json_each(?)) "
            "ORDER BY s.id",
            (json.dumps([int(n) for n in numbers]),),
        ).fetchall()
        contracts = contract_names(connection)
        return [_sample_info(contracts, row) for row in rows]


def first_sample(store: Store, person: int) -> SampleInfo | None:
    """The first sample of a person, of the gallery's contract if there is one; None without any."""
    with store.reading() as connection:
        row = connection.execute(
            "SELECT sample FROM owners WHERE person = ? ORDER BY contract <> ?, sample LIMIT 1",
            (person, store.contract_id),
        ).fetchone()
        return None if row is None else samples_of(store, [row[0]])[0]


def _sample_info(contracts: Mapping[int, str], row: tuple[Any, ...]) -> SampleInfo:
    number, name, source, sha256, face, contract, added, metadata, has_crop = row
    seen = read_seen(face)
    return SampleInfo(
        id=number,
        person=name,
        source=source,
        sha256=sha256,
        box_xyxy=seen.box_xyxy,
        detector_score=seen.score,
        quality=seen.quality,
        norm=seen.norm,
        contract=contracts[contract],
        added=added,
        has_crop=bool(has_crop),
        metadata=json.loads(metadata),
    )


def contract_names(connection: sqlite3.Connection) -> dict[int, str]:
    """Number of its row -> id of a contract; there are few."""
    rows = connection.execute("SELECT id FROM contracts").fetchall()
    return {number: contract_of(connection, number).id for (number,) in rows}


def contract_of(connection: sqlite3.Connection, number: int) -> Contract:
    """A contract by the number of its row."""
    row = connection.execute(
        "SELECT weights, weights_sha256, alignment, color_order, flip, dimension FROM contracts "
        "WHERE id = ?",
        (number,),
    ).fetchone()
    return read_contract(row)


def crop(store: Store, number: int) -> bytes | None:
    """The kept aligned face of a sample as PNG; None when there is none."""
    with store.reading() as connection:
        row = connection.execute(
            "SELECT png FROM crops JOIN owners USING (sample) WHERE sample = ?", (int(number),)
        ).fetchone()
    return None if row is None else bytes(row[0])


def embedding(store: Store, number: int) -> Embedding:
    """The embedding of a sample. UnknownPersonError: there is none of that number."""
    with store.reading() as connection:
        row = connection.execute(
            "SELECT v.vector, s.face, s.contract FROM vectors v JOIN samples s ON s.id = v.sample "
            "JOIN owners o ON o.sample = s.id WHERE s.id = ?",
            (int(number),),
        ).fetchone()
        if row is None:
            raise unknown_sample(number)
        contract = contract_of(connection, row[2])
    return Embedding(np.frombuffer(row[0], "<f4"), read_seen(row[1]).norm, contract)


def owners_of(store: Store, numbers: Iterable[int]) -> dict[int, int]:
    """Sample -> person, for those samples that are there."""
    with store.reading() as connection:
        return dict(
            connection.execute(
                "SELECT sample, person FROM owners WHERE sample IN "
                "(SELECT value FROM json_each(?))",
                (json.dumps([int(n) for n in numbers]),),
            ).fetchall()
        )


def sources_of(store: Store, numbers: Sequence[int]) -> dict[int, str]:
    """Sample -> name of its photo, for those samples that are there."""
    with store.reading() as connection:
        return dict(
            connection.execute(
                "SELECT s.id, s.source FROM samples s JOIN owners o ON o.sample = s.id WHERE s.id "
                "IN (SELECT value FROM json_each(?))",
                (json.dumps([int(n) for n in numbers]),),
            ).fetchall()
        )


def vectors_of(
    store: Store, persons: Sequence[int]
) -> dict[int, tuple[npt.NDArray[np.int64], FloatArray]]:
    """Person -> ids (N,) and vectors (N, D) of the samples of the gallery's contract."""
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT o.person, o.sample, v.vector FROM owners o JOIN vectors v USING (sample) WHERE "
            "o.person IN (SELECT value FROM json_each(?)) AND o.contract = ? ORDER BY o.sample",
            (json.dumps([int(p) for p in persons]), store.contract_id),
        ).fetchall()
    found: dict[int, tuple[list[int], list[bytes]]] = {}
    for number, identifier, vector in rows:
        ids, vectors = found.setdefault(number, ([], []))
        ids.append(identifier)
        vectors.append(vector)
    dimension = store.contract.dimension
    return {
        number: (
            np.array(ids, np.int64),
            np.frombuffer(b"".join(vectors), "<f4").reshape(-1, dimension).astype(np.float32),
        )
        for number, (ids, vectors) in found.items()
    }


def all_vectors(
    store: Store, *, after: int = 0, last: int | None = None
) -> Iterator[tuple[npt.NDArray[np.int64], FloatArray]]:
    """Ids and vectors of the gallery's contract, ascending, in blocks; inside ``reading``."""
    cursor = store.connection.execute(
        "SELECT v.sample, v.vector FROM vectors v JOIN owners o ON o.sample = v.sample WHERE "
        "v.sample > ? AND v.sample <= ? AND o.contract = ? ORDER BY v.sample",
        (after, (1 << 62) if last is None else last, store.contract_id),
    )
    dimension = store.contract.dimension
    while rows := cursor.fetchmany(_CHUNK):
        vectors = np.frombuffer(b"".join([row[1] for row in rows]), "<f4").astype(np.float32)
        yield np.array([row[0] for row in rows], np.int64), vectors.reshape(-1, dimension)


def samples_where(store: Store, where: Mapping[str, Any]) -> tuple[npt.NDArray[np.int64], int]:
    """Ids of the samples of people with such metadata, ascending, and how many people that is."""
    condition, values = filters.condition(where, "l.metadata")
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT o.sample, o.person FROM people p JOIN labels l ON l.id = p.label JOIN owners o "
            f"ON o.person = p.id WHERE o.contract = ? AND {condition}",
            (store.contract_id, *values),
        ).fetchall()
    found = np.array(rows, np.int64).reshape(-1, 2)
    return np.sort(found[:, 0]), len(np.unique(found[:, 1]))


# --- the column "face" ----------------------------------------------------------------------------


class Seen(msgspec.Struct, frozen=True):
    """What was seen of a face when it was enrolled, as it stands in ``samples.face`` in JSON.

    Attributes:
        norm: length of the embedding before scaling.
        box_xyxy, score, landmarks_xy, turned_deg: of the ``Face``; the first two are None when
            only an embedding was enrolled.
        quality: of it, where it was measured.
    """

    norm: float
    box_xyxy: tuple[float, float, float, float] | None = None
    score: float | None = None
    landmarks_xy: list[list[float]] | None = None
    turned_deg: int = 0
    quality: Quality | None = None

    @property
    def face(self) -> Face | None:
        """Where it was in the photo."""
        if self.box_xyxy is None or self.score is None:
            return None
        landmarks = None if self.landmarks_xy is None else np.array(self.landmarks_xy, np.float32)
        return Face(np.array(self.box_xyxy, np.float32), self.score, landmarks, self.turned_deg)


_SEEN = msgspec.json.Decoder(Seen)


def read_seen(text: str) -> Seen:
    """Read the column. GalleryDamagedError: it is no such JSON."""
    try:
        return _SEEN.decode(text)
    except msgspec.DecodeError as error:
        raise GalleryDamagedError(
            f"what was seen of a sample is damaged ({error})", hint="restore a backup"
        ) from error


# --- names and metadata ---------------------------------------------------------------------------


def checked_name(name: str) -> str:
    """A name in normal form NFC, without white space at its ends; OptionError if it is none."""
    if not isinstance(name, str):
        raise OptionError(f"expected text, got {type(name).__name__}", option="name")
    normal = unicodedata.normalize("NFC", name).strip()
    if not normal:
        raise OptionError(
            "expected at least one character that is no white space, got none", option="name"
        )
    if len(normal) > LONGEST_NAME:
        raise OptionError(
            f"expected at most {LONGEST_NAME} characters, got {len(normal)}: shorten it",
            option="name",
        )
    # Cc control, Cs lone surrogates, Zl and Zp line and paragraph separators. Cf stays: joiners
    # are letters' business in Persian and in many Indian scripts; what only turns the writing
    # direction around is refused.
    bad = [
        c
        for c in normal
        if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(c)
        in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    ]
    if bad:
        raise OptionError(
            f"expected no control characters, got {', '.join(f'U+{ord(c):04X}' for c in bad)}",
            option="name",
        )
    return normal


def checked_metadata(metadata: Mapping[str, Any]) -> str:
    """Metadata as JSON; OptionError when they are no plain values by name, or too many."""
    if not isinstance(metadata, Mapping) or not all(isinstance(k, str) for k in metadata):
        raise OptionError(
            f"expected a mapping of names to values, got {metadata!r:.80}", option="metadata"
        )
    try:
        text = json.dumps(dict(metadata), ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionError(f"expected plain values for JSON: {error}", option="metadata") from error
    if size > MOST_METADATA:
        raise OptionError(
            f"expected at most {MOST_METADATA:,} bytes, got {size:,}", option="metadata"
        )
    return text
