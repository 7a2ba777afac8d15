"""Everything in a gallery's database read and compared with its checksums; ``Gallery.check``."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Any

from lineament.errors import GalleryDamagedError
from lineament.gallery import _once as once
from lineament.gallery import lookup
from lineament.gallery._damage import UNREADABLE, kept_vectors, pages, read_around, why_no_vector
from lineament.gallery._schema import (
    IDENTITY,
    IDENTITY_FROM,
    LONGEST_VECTOR,
    REJECTED,
    REJECTED_FROM,
)
from lineament.gallery._store import Store
from lineament.gallery._types import DamagedPart

UIDS = "SELECT s.uid, s.contract, s.id FROM samples s JOIN owners o ON o.sample = s.id"
"""What stands in the table of that name."""

_BLOCK = 256
"""Samples that are read at once, with their crops."""


def find_damage(store: Store) -> None:
    """Read all samples and people, and note in ``store.damage`` what is not what was written."""
    with store.reading() as connection:
        lookup.note_lost(store)
        for ids in pages(partial(_owned_or_sealed, connection)):
            note_samples(store, ids)
        for people in pages(partial(lookup.next_people, store)):
            lookup.people_of(store, people)
        for (number,) in connection.execute(
            "SELECT person FROM person_checksums WHERE person NOT IN (SELECT id FROM people)"
        ):
            store.damage.person(number, "the row in the table of people is missing")


def _owned_or_sealed(connection: sqlite3.Connection, after: int) -> list[int]:
    rows = connection.execute(
        "SELECT sample FROM owners WHERE sample > ?1 UNION SELECT sample FROM checksums "
        "WHERE sample > ?1 ORDER BY sample LIMIT ?2",
        (after, _BLOCK),
    )
    return [row[0] for row in rows]


def note_samples(store: Store, ids: Sequence[int]) -> set[int]:
    """Compare samples, ascending, with their checksums; those that are whole and sound."""
    connection = store.connection
    damage = store.damage

    def fetch(some: Sequence[int]) -> list[tuple[Any, ...]]:
        return connection.execute(
            f"SELECT o.sample, v.vector, k.identity, {IDENTITY}, p.id, c.dimension FROM "
            f"{IDENTITY_FROM} LEFT JOIN checksums k ON k.sample = o.sample WHERE o.sample IN "
            "(SELECT value FROM json_each(?))",
            (json.dumps(list(some)),),
        ).fetchall()

    rows = read_around(ids, fetch, lambda number: damage.sample(number, UNREADABLE))
    for number in set(ids).difference(row[0] for row in rows):
        damage.sample(number, "it belongs to nobody")
    whole = {info.id for info in lookup.samples_of(store, ids)}
    by_dimension: dict[int, list[tuple[int, Any, Any, Any]]] = {}
    for number, vector, written, found, person, dimension in rows:
        if person is None:
            damage.sample(number, "its person is missing")
        elif type(dimension) is not int or not 0 < dimension <= LONGEST_VECTOR:
            damage.sample(number, "how its embedding was made is missing")
        else:
            (opened,) = store.opened([(number, vector, written, found)])
            why = why_no_vector(opened[1], dimension) if written != found else None
            if written != found and written is not None and why is None and number in whole:
                # Whose it is is among what is sound.
                damage.sample(number, "its vector is not what was written")
            by_dimension.setdefault(dimension, []).append((number, vector, written, found))
    for dimension, some in by_dimension.items():
        kept_vectors(damage, store.opened(some), dimension)
    return whole.difference(damage.samples)


def parts(store: Store) -> tuple[DamagedPart, ...]:
    """What was found, by number, with the people's names as far as they can be read."""
    damage = store.damage
    with store.reading() as connection:
        numbers = sorted(damage.samples)
        names = dict(
            connection.execute(
                f"SELECT o.sample, {store.column('l.name')} FROM owners o JOIN people p ON "
                "p.id = o.person JOIN labels l ON l.id = p.label WHERE o.sample IN "
                "(SELECT value FROM json_each(?))",
                (json.dumps(numbers),),
            ).fetchall()
        )
        people = {one.id: one for one in lookup.people_of(store, sorted(damage.people))}
    found = [
        DamagedPart(
            sample=number,
            person=names[number] if isinstance(names.get(number), str) else None,
            problem=damage.samples[number],
            searched=number not in damage.unsearched,
        )
        for number in numbers
    ]
    found += [
        DamagedPart(
            sample=None,
            person=people[number].name if number in people else f"damaged person {number}",
            problem=why,
            searched=False,
        )
        for number, why in sorted(damage.people.items())
    ]
    return tuple(found)


def problems(store: Store) -> list[str]:
    """What is wrong with the database, in words, and what to do about it."""
    found = store.check()
    try:
        find_damage(store)
        found += [str(part) for part in parts(store)]
        found += [f"{store.path}: {words}" for words in notes_damage(store)]
        found += [f"{store.path}: {words}" for words in _orphans(store)]
    except GalleryDamagedError as error:
        if not found:
            raise
        found.append(str(error))
    return found


def photographs(store: Store) -> str:
    """What has to stand in the table of that name, as SQL."""
    sha256 = store.column("s.sha256")
    return (
        f"SELECT photo_key({sha256}), o.person, s.id FROM samples s JOIN owners o ON "
        f"o.sample = s.id WHERE typeof({sha256}) = 'blob'"
    )


def notes_damage(store: Store) -> list[str]:
    """What is wrong with what is counted or copied from other tables: ``reindex`` mends it."""
    found = []
    with store.reading() as connection:
        noted = dict(connection.execute("SELECT name, value FROM totals"))
        people, samples = lookup.counted_totals(store)
        for name, number in (("people", people), ("samples", samples)):
            if noted.get(name) != number:
                found.append(
                    f"the number of {name} that is noted is wrong ({number:,} are there): run "
                    "reindex()"
                )
        if not isinstance(noted.get("dead"), int):
            found.append("the number of removed samples that is noted is none: run reindex()")
        notes = once.damaged_notes(connection)
        if notes:
            found.append(
                f"{len(notes):,} notes of requests are not what was written: run reindex()"
            )
        for table, columns, right in (
            ("photographs", "photo_key, person, sample", photographs(store)),
            ("uids", "uid, contract, sample", UIDS),
        ):
            if _differ(connection, f"SELECT {columns} FROM {table}", right):
                found.append(f"the table {table} does not fit the samples: run reindex()")
    return found


def _differ(connection: sqlite3.Connection, one: str, other: str) -> bool:
    (count,) = connection.execute(
        f"SELECT (SELECT count(*) FROM (SELECT * FROM ({one}) EXCEPT SELECT * FROM ({other}))) + "
        f"(SELECT count(*) FROM (SELECT * FROM ({other}) EXCEPT SELECT * FROM ({one})))"
    ).fetchone()
    return bool(count)


def _orphans(store: Store) -> list[str]:
    """Rows that belong to nobody and were not overwritten, as removed ones are."""
    found = []
    with store.reading() as connection:
        for table, key, column in (
            ("samples", "id", "uid"),
            ("vectors", "sample", "vector"),
            ("crops", "sample", "png"),
        ):
            (count,) = connection.execute(
                f"SELECT count(*) FROM {table} WHERE {key} NOT IN (SELECT sample FROM owners) AND "
                f"{key} NOT IN (SELECT sample FROM checksums) AND CAST({column} AS BLOB) <> "
                f"zeroblob(length(CAST({column} AS BLOB)))"
            ).fetchone()
            if count:
                found.append(
                    f"{count:,} rows of the table {table} belong to no sample: run compact()"
                )
        (count,) = connection.execute(
            "SELECT count(*) FROM labels WHERE id NOT IN (SELECT label FROM people) AND "
            "trim(name) <> '' AND CAST(name AS BLOB) <> zeroblob(length(CAST(name AS BLOB)))"
        ).fetchone()
        if count:
            found.append(f"{count:,} names belong to nobody: run compact()")
        (count,) = connection.execute(
            "SELECT count(*) FROM consents WHERE id NOT IN (SELECT consent FROM consented) AND "
            "trim(record) <> '' AND CAST(record AS BLOB) <> "
            "zeroblob(length(CAST(record AS BLOB)))"
        ).fetchone()
        if count:
            found.append(f"{count:,} consents belong to nobody: run compact()")
        (count,) = connection.execute(
            "SELECT count(*) FROM negatives WHERE id NOT IN (SELECT negative FROM rejected) AND "
            "CAST(vector AS BLOB) <> zeroblob(length(CAST(vector AS BLOB)))"
        ).fetchone()
        if count:
            found.append(f"{count:,} negative examples belong to nobody: run compact()")
        rows = connection.execute(
            f"SELECT r.negative FROM rejected r WHERE r.negative NOT IN (SELECT r.negative FROM "
            f"{REJECTED_FROM} WHERE r.checksum = {REJECTED}) ORDER BY r.negative"
        )
        found += [
            f"negative example {number}: it is not what was written: not searched; remove it"
            for (number,) in rows.fetchall()
        ]
    return found
