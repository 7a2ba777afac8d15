"""Faces that somebody said are not a person: negative examples, which searches respect.

A face is not named a person to one of whose negative examples it is at least as alike as to any of
the person's own samples. On people of LFW's View 1, with look-alikes as negative examples, that
keeps all other photos of the look-alike from being named, and costs at most 1 in 10,000 of the
person's own searches; to forget whoever is like the example at the threshold of 1:1 comparisons
would cost 1 to 17 in 100 (``benchmarks/accuracy/rejecting.py``).

Negative examples stand in two tables, as samples do: ``negatives`` only grows, and is overwritten
in place; ``rejected`` says whose they are, with a checksum. What is damaged is passed over.
"""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lineament.errors import OptionError, UnknownPersonError
from lineament.gallery import lookup
from lineament.gallery._blanking import blank
from lineament.gallery._damage import why_no_vector
from lineament.gallery._schema import REJECTED, REJECTED_FROM, ask_erasing, seal_rejected
from lineament.gallery._store import Store
from lineament.gallery._types import NewSample, PersonInfo, Rejection
from lineament.gallery._unlike import DUPLICATE
from lineament.gallery.values import MOST_REJECTIONS, checked_source, read_time
from lineament.text import printable, storable, stored
from lineament.types import FloatArray


def reject(store: Store, name: str, new: NewSample) -> int:
    """Add a negative example of a person; its number. See ``Gallery.reject``."""
    store.contract.check(new.embedding.contract)
    checked_source(new.source)
    with store.writing() as connection:
        number = lookup.required_person(store, name)
        lookup.check_person(store, number)
        own = lookup.vectors_of(store, [number]).get(number)
        if own is not None:
            scores = own[1] @ new.embedding.vector
            at = int(np.argmax(scores))
            if scores[at] >= DUPLICATE:
                raise OptionError(
                    f"expected a face that is not {name}'s, got nearly the same photo as sample "
                    f"{own[0][at]} of {name}: remove that sample, if it shows somebody else",
                    option="what",
                )
        return add(store, connection, number, new)


def add(
    store: Store,
    connection: sqlite3.Connection,
    number: int,
    new: NewSample,
    *,
    added: float | None = None,
) -> int:
    """Add a checked negative example to a person, inside ``writing``; its number.

    The same one again is not added.
    """
    there = _vectors(store, [number]).get(number)
    if there is not None:
        at = int(np.argmax(there[1] @ new.embedding.vector))
        if float(there[1][at] @ new.embedding.vector) >= DUPLICATE:
            return int(there[0][at])
        if len(there[0]) >= MOST_REJECTIONS:
            raise OptionError(
                f"expected at most {MOST_REJECTIONS} negative examples of one person, got another "
                "one: remove others first",
                option="what",
            )
    row = store.next_row(connection, "negatives")
    vector = new.embedding.vector.astype("<f4").tobytes()
    connection.execute(
        "INSERT INTO negatives VALUES (?, ?, ?, ?, ?, ?)",
        (
            row,
            store.contract_id,
            float(store.clock() if added is None else added),
            store.seal("negatives", "source", row, storable(new.source)),
            store.seal("negatives", "sha256", row, new.sha256),
            store.seal("negatives", "vector", row, vector),
        ),
    )
    connection.execute("INSERT INTO rejected VALUES (?, ?, 0)", (row, number))
    seal_rejected(connection, [row])
    return row


def remove(store: Store, number: int) -> Rejection:
    """Overwrite a negative example; what it was. UnknownPersonError: there is none."""
    with store.writing() as connection:
        found = [one for one in rejections(store, None) if one.id == number]
        if not found:
            raise UnknownPersonError(
                f"{number}: there is no negative example of that number in the gallery",
                hint="{rejections}",
            )
        _drop(connection, [number])
    return found[0]


def drop_of_person(connection: sqlite3.Connection, number: int) -> None:
    """Overwrite all negative examples of a person, inside ``writing``."""
    rows = connection.execute("SELECT negative FROM rejected WHERE person = ?", (number,))
    _drop(connection, [row[0] for row in rows.fetchall()])


def _drop(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    for number in numbers:
        connection.execute("DELETE FROM rejected WHERE negative = ?", (number,))
        blank(connection, "negatives", "id", number)
    if numbers:
        ask_erasing(connection)


def give(connection: sqlite3.Connection, number: int, other: int) -> None:
    """Give a person the negative examples of another one, who is the same."""
    sound = sound_negatives(connection, other)
    connection.execute("UPDATE rejected SET person = ? WHERE person = ?", (number, other))
    seal_rejected(connection, sound)


def sound_negatives(connection: sqlite3.Connection, person: int | None = None) -> list[int]:
    """Numbers of those that are what was written: of a person, or all."""
    rows = connection.execute(
        f"SELECT r.negative FROM {REJECTED_FROM} WHERE (?1 IS NULL OR r.person = ?1) AND "
        f"r.checksum = {REJECTED}",
        (person,),
    )
    return [row[0] for row in rows.fetchall()]


# --- read -----------------------------------------------------------------------------------------


def rejections(store: Store, name: str | None) -> list[Rejection]:
    """The negative examples of a person, or of all; damaged ones are among them."""
    with store.reading() as connection:
        number = None if name is None else lookup.required_person(store, name)
        rows = connection.execute(
            "SELECT n.id, r.person, n.contract, n.added, n.source, n.sha256, "
            f"r.checksum IS {REJECTED} FROM {REJECTED_FROM} WHERE ?1 IS NULL OR r.person = ?1 "
            "ORDER BY r.person, n.id",
            (number,),
        ).fetchall()
        gone = lookup.expired(store)
        people = {
            one.id: one.name for one in lookup.people_of(store, sorted({row[1] for row in rows}))
        }
    found = []
    for row, person, contract, added, source, sha256, sound in rows:
        if person not in people or person in gone:
            continue
        plain = store.unseal("negatives", "source", row, source)
        digest = store.unseal("negatives", "sha256", row, sha256)
        found.append(
            Rejection(
                id=row,
                person=people[person],
                source=stored(plain) if isinstance(plain, (str, bytes)) else "",
                sha256=digest if isinstance(digest, bytes) and len(digest) == 32 else None,
                added=read_time(added),
                searched=bool(sound) and contract == store.contract_id,
            )
        )
    return found


def any_there(store: Store) -> bool:
    """Whether there is a negative example of anybody."""
    with store.reading() as connection:
        row = connection.execute("SELECT EXISTS (SELECT 1 FROM rejected)").fetchone()
    return bool(row[0])


def _vectors(store: Store, people: Sequence[int]) -> dict[int, tuple[list[int], FloatArray]]:
    """Person -> numbers and vectors (M, D) of the sound examples of the gallery's contract."""
    with store.reading() as connection:
        rows = connection.execute(
            f"SELECT n.id, r.person, n.vector FROM {REJECTED_FROM} WHERE r.person IN "
            f"(SELECT value FROM json_each(?)) AND n.contract = ? AND r.checksum = {REJECTED} "
            "ORDER BY n.id",
            (json.dumps([int(one) for one in people]), store.contract_id),
        ).fetchall()
    found: dict[int, tuple[list[int], list[Any]]] = {}
    for number, person, sealed in rows:
        vector = store.unseal("negatives", "vector", number, sealed)
        if why_no_vector(vector, store.contract.dimension) is None:
            numbers, vectors = found.setdefault(person, ([], []))
            numbers.append(number)
            assert isinstance(vector, bytes)
            vectors.append(np.frombuffer(vector, "<f4"))
    return {person: (numbers, np.stack(vectors)) for person, (numbers, vectors) in found.items()}


def exported(store: Store, person: PersonInfo) -> list[dict[str, Any]]:
    """The examples of a person that are searched, as values for JSON, the vectors in base64."""
    vectors = _vectors(store, [person.id]).get(person.id)
    if vectors is None:
        return []
    about = {one.id: one for one in rejections(store, person.name)}
    found = []
    for number, vector in zip(*vectors, strict=True):
        one = about[number]
        found.append(
            {
                "source": printable(one.source),
                "sha256": None if one.sha256 is None else one.sha256.hex(),
                "added": one.added,
                "vector": base64.b64encode(vector.astype("<f4").tobytes()).decode(),
            }
        )
    return found


# --- the rule -------------------------------------------------------------------------------------


def rejected_by(
    store: Store, queries: FloatArray, people: Sequence[Sequence[int]]
) -> list[Mapping[int, tuple[int, float]]]:
    """Who must not be named, of the people who may be.

    Args:
        store: of the gallery.
        queries: (Q, D) unit vectors.
        people: for each of them the numbers of the people who may be named.

    Returns:
        For each query: number of a person -> number of the negative example, and the similarity to
        it, which is at least that to the person's own samples.
    """
    if not any_there(store):
        return [{}] * len(queries)
    numbers = sorted({number for row in people for number in row})
    against = _vectors(store, numbers)
    own = lookup.vectors_of(store, sorted(against)) if against else {}
    found: list[Mapping[int, tuple[int, float]]] = []
    for query, row in zip(queries, people, strict=True):
        each: dict[int, tuple[int, float]] = {}
        for number in set(row) & set(against):
            scores = against[number][1] @ query
            at = int(np.argmax(scores))
            best = float((own[number][1] @ query).max()) if number in own else -1.0
            if scores[at] >= best:
                each[number] = against[number][0][at], float(scores[at])
        found.append(each)
    return found
