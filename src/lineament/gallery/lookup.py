"""People and samples in SQL, read. ``changes`` is the other half."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.errors import GalleryDamagedError, OptionError, UnknownPersonError
from lineament.gallery import filters
from lineament.gallery._schema import read_contract
from lineament.gallery._store import Store
from lineament.gallery._types import PersonInfo, SampleInfo
from lineament.gallery.values import (
    LONGEST_NAME,
    Seen,
    checked_name,
    decode_seen,
    normal_name,
    read_metadata,
    read_time,
)
from lineament.suggest import MOST_NAMES, did_you_mean, folded, similar_names
from lineament.text import in_short, stored
from lineament.types import Contract, Embedding, FloatArray

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
        wanted = normal_name(name)
        key = store.key(wanted.encode())
    except (OptionError, UnicodeEncodeError):
        return None
    with store.reading() as connection:
        row = connection.execute("SELECT id FROM people WHERE name_key = ?", (key,)).fetchone()
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
            found.setdefault(_form(_text(name)), []).append(number)
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
            _text(row[0])
            for row in connection.execute(
                "SELECT l.name FROM people p JOIN labels l ON l.id = p.label ORDER BY p.id LIMIT ?",
                (MOST_NAMES,),
            )
        ]
    shown, near, same = in_short(name, 4 * LONGEST_NAME), [], []
    if isinstance(name, str) and len(name) <= 4 * LONGEST_NAME:  # as long as names can be
        near = [repr(each) for each in similar_names(name, names)]
        same = [each for each in names if folded(each) == folded(name)]
    if len(same) > 1:
        raise UnknownPersonError(
            f"{shown}: several people are called so, but for capitals: "
            f"{', '.join(map(repr, same))}",
            hint="write the name as it is there",
        )
    raise UnknownPersonError(
        f"{shown}: nobody of that name is in the gallery{did_you_mean(near)}", hint="{people}"
    )


def people(
    store: Store, *, where: Mapping[str, Any] | None, after: str | None, limit: int | None
) -> list[PersonInfo]:
    """The people by name, without samples; arguments as ``Gallery.people``."""
    fits = None if where is None else filters.predicate(where)
    if limit is not None and limit < 1:
        raise OptionError(f"expected 1 or more, got {limit}", option="limit")
    if after is None:
        condition, values = "1", []
    else:
        condition, values = "l.name > ?", [_sortable(after)]
    with store.reading() as connection:
        rows = connection.execute(
            f"SELECT {_PERSON}, (SELECT count(*) FROM owners o WHERE o.person = p.id AND "
            f"o.contract = ?) FROM people p JOIN labels l ON l.id = p.label WHERE {condition} "
            "ORDER BY l.name",
            (store.contract_id, *values),
        )
        found: Iterator[PersonInfo] = map(_person_info, rows)
        if fits is not None:
            found = (one for one in found if fits(one.metadata))
        return list(islice(found, limit))


def _sortable(name: str) -> str:
    """Text that names are compared with: it need not be a name, but like those it is in NFC."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise OptionError(
            f"expected text in Unicode, got {in_short(name)}", option="after"
        ) from None
    # Names are shorter, and NFC takes time with the square of the marks on one letter.
    return unicodedata.normalize("NFC", name[: 4 * LONGEST_NAME])


def _person_info(row: tuple[Any, ...]) -> PersonInfo:
    """Without samples; metadata that are damaged are {} in a list, ``check_person`` tells."""
    number, name, metadata, created, n_samples = row
    read = read_metadata(metadata)
    return PersonInfo(
        number, _text(name), {} if read is None else read, read_time(created), n_samples
    )


def _text(value: object) -> str:
    """A name as it stands in the database, where somebody may have put anything."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if isinstance(value, str) else str(value)


def check_person(store: Store, number: int) -> None:
    """GalleryDamagedError: the person's metadata cannot be read; the message says what helps."""
    with store.reading() as connection:
        name, metadata = connection.execute(
            "SELECT l.name, l.metadata FROM people p JOIN labels l ON l.id = p.label "
            "WHERE p.id = ?",
            (number,),
        ).fetchone()
    if read_metadata(metadata) is None:
        raise GalleryDamagedError(
            f"{_text(name)!r}: the metadata of this person are damaged",
            hint="restore a backup, replace them ({annotate}), or remove the person",
        )


def person(store: Store, name: str, *, even_damaged: bool = False) -> PersonInfo:
    """One person with all samples.

    Raises:
        UnknownPersonError: there is none of that name.
        GalleryDamagedError: the metadata cannot be read; with ``even_damaged`` they are {}.
    """
    with store.reading() as connection:
        number = required_person(store, name)
        if not even_damaged:
            check_person(store, number)
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
        return [_person_info(row) for row in rows]


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


def _identifier(number: int) -> int:
    """A sample's number as SQLite takes it; no sample has one that is 0."""
    return int(number) if 0 < number < 1 << 63 else 0


def samples_of(store: Store, numbers: Sequence[int]) -> list[SampleInfo]:
    """Samples by id, ascending; those that are not there are passed over."""
    with store.reading() as connection:
        rows = connection.execute(
            f"SELECT {_SAMPLE} FROM {_JOINED} WHERE s.id IN (SELECT value FROM json_each(?)) "
            "ORDER BY s.id",
            (json.dumps([_identifier(n) for n in numbers]),),
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
    seen, about = seen_or_nothing(face), read_metadata(metadata)
    return SampleInfo(
        id=number,
        person=_text(name),
        source=stored(source) if isinstance(source, (str, bytes)) else str(source),
        sha256=sha256 if isinstance(sha256, bytes) else None,
        box_xyxy=seen.box_xyxy,
        detector_score=seen.score,
        quality=seen.quality,
        norm=seen.norm,
        contract=contracts.get(contract, "unknown"),
        added=read_time(added),
        has_crop=bool(has_crop),
        metadata={} if about is None else about,
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


def read_seen(text: str) -> Seen:
    """Read the column "face". GalleryDamagedError: it is no such JSON."""
    try:
        return decode_seen(text)
    except OptionError as error:
        raise GalleryDamagedError(
            f"what was seen of a sample is damaged ({error})", hint="restore a backup"
        ) from error


def seen_or_nothing(text: str) -> Seen:
    """The same for lists: nothing was seen, of norm 0, where it is damaged."""
    try:
        return decode_seen(text)
    except OptionError:
        return Seen(0.0)


def crop(store: Store, number: int) -> bytes | None:
    """The kept aligned face of a sample as PNG; None when there is none."""
    with store.reading() as connection:
        row = connection.execute(
            "SELECT png FROM crops JOIN owners USING (sample) WHERE sample = ?",
            (_identifier(number),),
        ).fetchone()
    return None if row is None else bytes(row[0])


def embedding(store: Store, number: int) -> Embedding:
    """The embedding of a sample. UnknownPersonError: there is none of that number."""
    with store.reading() as connection:
        row = connection.execute(
            "SELECT v.vector, s.face, s.contract FROM vectors v JOIN samples s ON s.id = v.sample "
            "JOIN owners o ON o.sample = s.id WHERE s.id = ?",
            (_identifier(number),),
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
            (_identifier(number),),
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
                (json.dumps([_identifier(n) for n in numbers]),),
            ).fetchall()
        )


def sources_of(store: Store, numbers: Sequence[int]) -> dict[int, str]:
    """Sample -> name of its photo, for those samples that are there."""
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT s.id, s.source FROM samples s JOIN owners o ON o.sample = s.id WHERE s.id "
            "IN (SELECT value FROM json_each(?))",
            (json.dumps([_identifier(n) for n in numbers]),),
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
        found.setdefault(number, []).append(seen_or_nothing(face).norm)
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
    fits = filters.predicate(where)
    with store.reading() as connection:
        people = {number for number, metadata in _metadata_of_all(connection) if fits(metadata)}
        rows = connection.execute(
            "SELECT sample, person FROM owners WHERE contract = ?", (store.contract_id,)
        )
        found = [(sample, person) for sample, person in rows if person in people]
    numbers = np.array(found, np.int64).reshape(-1, 2)
    return np.sort(numbers[:, 0]), len(np.unique(numbers[:, 1]))


def _metadata_of_all(connection: sqlite3.Connection) -> Iterator[tuple[int, dict[str, Any]]]:
    """Ids of people and their metadata; {} where they are damaged."""
    rows = connection.execute(
        "SELECT p.id, l.metadata FROM people p JOIN labels l ON l.id = p.label"
    )
    for number, text in rows:
        metadata = read_metadata(text)
        yield number, {} if metadata is None else metadata


def metadata_keys(store: Store) -> dict[str, int]:
    """Keys of the people's metadata -> how many people have them; the most common first."""
    found: Counter[str] = Counter()
    with store.reading() as connection:
        for _, metadata in _metadata_of_all(connection):
            found.update(key for key, value in metadata.items() if value is not None)
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))


def metadata_values(store: Store, key: str, most: int) -> tuple[list[str], bool]:
    """The most common values of a key, as filters have them; whether there are more."""
    found: Counter[str] = Counter()
    wanted = filters.normal(key)
    with store.reading() as connection:
        for _, metadata in _metadata_of_all(connection):
            for name, value in metadata.items():
                if filters.normal(name) == wanted:
                    found[value if isinstance(value, str) else json.dumps(value)] += 1
    values = sorted(found, key=lambda one: (-found[one], one))
    return values[:most], len(values) > most
