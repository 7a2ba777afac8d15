"""People and samples in SQL, read. ``changes`` is the other half."""

from __future__ import annotations

import hashlib
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
from lineament.suggest import MOST_NAMES, did_you_mean, folded, similar_names
from lineament.text import stored
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
    """The id of the person of that name; else of the only one whose name differs by case alone."""
    try:
        wanted = checked_name(name)
    except OptionError:
        return None
    with store.reading() as connection:
        row = connection.execute(
            "SELECT id FROM people WHERE name_key = ?", (store.key(wanted.encode()),)
        ).fetchone()
        if row is not None:
            return int(row[0])
        same = names_by_form(store).get(_form(wanted), ())
        return same[0] if len(same) == 1 else None


def as_enrolled(store: Store, name: str) -> str:
    """A checked name as it stands in the gallery, in capitals or not; itself when it is new."""
    number = find_person(store, name)
    return name if number is None else people_of(store, [number])[0].name


def one_spelling(store: Store, names: Iterable[str]) -> dict[str, str]:
    """Names -> checked ones, the same for those that differ by case alone.

    As they stand in the gallery; new ones as the first of them is written.
    """
    found: dict[str, str] = {}
    new: dict[str, str] = {}
    for name in dict.fromkeys(names):
        checked = checked_name(name)
        number = find_person(store, checked)
        if number is None:
            found[name] = new.setdefault(folded(checked), checked)
        else:
            found[name] = people_of(store, [number])[0].name
    return found


def names_by_form(store: Store) -> Mapping[int, Sequence[int]]:
    """Hash of a name without regard to case -> ids of people; inside ``reading``.

    Made when somebody is not found by the very name, and kept until another process changes
    something; ``name_changed`` keeps it in step with this one.
    """
    state = store.data_version()
    kept = store.kept_names
    if kept is None or kept[0] != state:
        found: dict[int, list[int]] = {}
        rows = store.connection.execute(
            "SELECT p.id, l.name FROM people p JOIN labels l ON l.id = p.label"
        )
        for number, name in rows:
            found.setdefault(_form(name), []).append(number)
        kept = store.kept_names = (state, found)
    return kept[1]


def name_changed(store: Store, number: int, old: str | None, new: str | None) -> None:
    """Take over that this process added, renamed or removed a person; inside ``writing``."""
    if store.kept_names is None:
        return
    found = store.kept_names[1]
    if old is not None:
        left = [each for each in found.pop(_form(old), []) if each != number]
        if left:
            found[_form(old)] = left
    if new is not None:
        found.setdefault(_form(new), []).append(number)


def _form(name: str) -> int:
    """Eight bytes of a hash: a million whole names would take four times the room."""
    digest = hashlib.blake2b(folded(name).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def required_person(store: Store, name: str) -> int:
    """``find_person``; UnknownPersonError, with names that are alike, when there is none."""
    found = find_person(store, name)
    if found is not None:
        return found
    with store.reading() as connection:
        names = [
            row[0]
            for row in connection.execute(
                "SELECT l.name FROM people p JOIN labels l ON l.id = p.label ORDER BY p.id LIMIT ?",
                (MOST_NAMES,),
            )
        ]
    near = [repr(each) for each in similar_names(str(name), names)]
    same = [each for each in names if folded(each) == folded(str(name))]
    if len(same) > 1:
        raise UnknownPersonError(
            f"{name!r}: several people are called so, but for capitals: "
            f"{', '.join(map(repr, same))}",
            hint="write the name as it is there",
        )
    raise UnknownPersonError(
        f"{name!r}: nobody of that name is in the gallery{did_you_mean(near)}", hint="{people}"
    )


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
        source=stored(source),
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


def seen(store: Store, number: int) -> Seen:
    """What was seen of a sample. UnknownPersonError: there is none of that number."""
    with store.reading() as connection:
        row = connection.execute(
            "SELECT s.face FROM samples s JOIN owners o ON o.sample = s.id WHERE s.id = ?",
            (int(number),),
        ).fetchone()
    if row is None:
        raise unknown_sample(number)
    return read_seen(row[0])


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
        rows = connection.execute(
            "SELECT s.id, s.source FROM samples s JOIN owners o ON o.sample = s.id WHERE s.id "
            "IN (SELECT value FROM json_each(?))",
            (json.dumps([int(n) for n in numbers]),),
        ).fetchall()
    return {number: stored(source) for number, source in rows}


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


def norms_of(store: Store, persons: Sequence[int]) -> dict[int, npt.NDArray[np.float64]]:
    """Person -> (N,) lengths of the embeddings before scaling, in the order of ``vectors_of``."""
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT o.person, s.face FROM owners o JOIN samples s ON s.id = o.sample WHERE "
            "o.person IN (SELECT value FROM json_each(?)) AND o.contract = ? ORDER BY o.sample",
            (json.dumps([int(p) for p in persons]), store.contract_id),
        ).fetchall()
    found: dict[int, list[float]] = {}
    for number, face in rows:
        found.setdefault(number, []).append(read_seen(face).norm)
    return {number: np.array(norms) for number, norms in found.items()}


def greatest_norms(store: Store, persons: Sequence[int]) -> dict[int, float]:
    """Person -> the greatest of them."""
    if not persons:
        return {}
    return {number: float(norms.max()) for number, norms in norms_of(store, persons).items()}


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


def metadata_keys(store: Store) -> dict[str, int]:
    """Keys of the people's metadata -> how many people have them; the most common first."""
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT e.key, count(*) FROM people p JOIN labels l ON l.id = p.label, "
            "json_each(l.metadata) e WHERE e.type <> 'null' GROUP BY e.key "
            "ORDER BY count(*) DESC, e.key"
        ).fetchall()
    return {str(name): int(number) for name, number in rows}


def metadata_values(store: Store, key: str, most: int) -> tuple[list[str], bool]:
    """The most common values of a key, as filters have them; whether there are more."""
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT CASE WHEN e.type IN ('true', 'false') THEN e.type ELSE e.value END "
            "FROM people p JOIN labels l ON l.id = p.label, json_each(l.metadata) e "
            "WHERE e.key = ? GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT ?",
            (key, most + 1),
        ).fetchall()
    values = [str(value) for (value,) in rows]
    return values[:most], len(values) > most


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
