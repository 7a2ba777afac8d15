"""People and samples in SQL: added, changed, overwritten.

Functions that change something are one transaction each, or part of the caller's.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import cv2
import numpy as np

from lineament.errors import OptionError, PersonExistsError
from lineament.gallery import _once as once
from lineament.gallery._blanking import blank
from lineament.gallery._checking import UIDS, notes_damage, photographs
from lineament.gallery._rejections import drop_of_person, give
from lineament.gallery._schema import (
    ask_erasing,
    log_change,
    reseal_samples,
    seal_person,
    seal_sample,
    sound_samples,
)
from lineament.gallery._store import Store
from lineament.gallery._terms import add_terms, drop_terms, unite_terms
from lineament.gallery._types import NewSample
from lineament.gallery.lookup import (
    check_person,
    counted_totals,
    expired,
    find_person,
    is_there,
    name_changed,
    one_person,
    people_of,
    required_person,
    samples_of_person,
    unknown_sample,
)
from lineament.gallery.values import (
    EARLIEST,
    LATEST,
    checked_metadata,
    checked_name,
    read_metadata,
    written,
)
from lineament.text import storable
from lineament.types import Image


def add_person(
    store: Store,
    connection: sqlite3.Connection,
    name: str,
    metadata: str = "{}",
    created: float | None = None,
) -> int:
    """Add a person of checked values; the id. Somebody who had that name and expired is removed."""
    _free_name(store, connection, name)
    label = _add_label(store, connection, name, metadata)
    added = connection.execute(
        "INSERT INTO people (name_key, label, created) VALUES (?, ?, ?)",
        (
            store.key(name.encode()),
            label,
            float(store.clock() if created is None else created),
        ),
    ).lastrowid
    assert added is not None
    seal_person(connection, added)
    add_terms(store, connection, added)
    connection.execute("UPDATE totals SET value = value + 1 WHERE name = 'people'")
    name_changed(store, added, None, name)
    return added


def _free_name(store: Store, connection: sqlite3.Connection, name: str) -> None:
    """Remove somebody of that very name who expired, so that it can be given anew."""
    gone = expired(store)
    if not gone:
        return
    row = connection.execute(
        "SELECT id FROM people WHERE name_key = ?", (store.key(name.encode()),)
    ).fetchone()
    if row is not None and row[0] in gone:
        drop_person(store, connection, row[0])


def drop_person(store: Store, connection: sqlite3.Connection, number: int) -> list[int]:
    """Overwrite a person with all samples; the ids of those of the gallery's contract."""
    gone = samples_of_person(store, number)
    drop_samples(store, connection, samples_of_person(store, number, all_contracts=True))
    _drop_person(store, connection, number)
    return gone


# --- names and metadata ---------------------------------------------------------------------------


def set_label(
    store: Store, connection: sqlite3.Connection, number: int, name: str, metadata: str
) -> None:
    """Give a person another name or other metadata; the old ones are overwritten."""
    old, old_name, _ = _label_of(store, connection, number)
    key = store.key(name.encode())
    (old_key,) = connection.execute(
        "SELECT name_key FROM people WHERE id = ?", (number,)
    ).fetchone()
    sound = ([], []) if key == old_key else sound_samples(connection, number)
    label = _add_label(store, connection, name, metadata)
    connection.execute(
        "UPDATE people SET label = ?, name_key = ? WHERE id = ?",
        (label, key, number),
    )
    _blank_label(connection, old)
    seal_person(connection, number)
    store.damage.forget_person(number)
    reseal_samples(connection, sound)
    name_changed(store, number, old_name, name)
    log_change(connection, "person", number, number)
    ask_erasing(connection)


def _add_label(store: Store, connection: sqlite3.Connection, name: str, metadata: str) -> int:
    row = store.next_row(connection, "labels")
    connection.execute(
        "INSERT INTO labels (id, name, metadata) VALUES (?, ?, ?)",
        (
            row,
            store.seal("labels", "name", row, name),
            store.seal("labels", "metadata", row, metadata),
        ),
    )
    return row


def _label_of(
    store: Store, connection: sqlite3.Connection, number: int
) -> tuple[int | None, str | None, dict[str, Any] | None]:
    """The row of a person's label, the name in it, and the metadata; None what is damaged."""
    row = connection.execute(
        f"SELECT l.id, {store.column('l.name')}, {store.column('l.metadata')} FROM people p JOIN "
        "labels l ON l.id = p.label WHERE p.id = ?",
        (number,),
    ).fetchone()
    if row is None:
        return None, None, None
    return int(row[0]), row[1] if isinstance(row[1], str) else None, read_metadata(row[2])


def add_sample(
    store: Store,
    connection: sqlite3.Connection,
    number: int,
    contract: int,
    new: NewSample,
    *,
    uid: bytes | None = None,
    added: float | None = None,
    png: bytes | None = None,
) -> int:
    """Add a sample of checked values to a person; the id. Logging the change is for the caller.

    Args:
        store: the gallery's.
        connection: inside ``writing``.
        number: of the person.
        contract: number of the contract.
        new: the sample; its crop is kept if the settings say so.
        uid: what tells it from all others, in other galleries too; None makes one.
        added: when; None is now.
        png: its crop, encoded already.
    """
    uid = secrets.token_bytes(16) if uid is None else uid
    seen: dict[str, Any] = {"norm": new.embedding.norm}
    if new.face is not None:
        face = new.face
        seen |= {
            "box_xyxy": [float(v) for v in face.box_xyxy],
            "score": face.score,
            "landmarks_xy": None if face.landmarks_xy is None else face.landmarks_xy.tolist(),
            "turned_deg": face.turned_deg,
        }
        if face.boxed is not None:
            seen["boxed"] = face.boxed
    if new.quality is not None:
        seen["quality"] = new.quality.to_dict()
    identifier = store.next_row(connection, "samples")
    about = json.dumps(dict(new.metadata), ensure_ascii=False, allow_nan=False)
    connection.execute(
        "INSERT INTO samples (id, uid, contract, added, source, sha256, face, metadata) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            identifier,
            uid,
            contract,
            float(time.time() if added is None else added),
            store.seal("samples", "source", identifier, storable(new.source)),
            store.seal("samples", "sha256", identifier, new.sha256),
            store.seal("samples", "face", identifier, json.dumps(seen)),
            store.seal("samples", "metadata", identifier, about),
        ),
    )
    vector = store.seal(
        "vectors", "vector", identifier, new.embedding.vector.astype("<f4").tobytes()
    )
    connection.execute("INSERT INTO vectors VALUES (?, ?)", (identifier, vector))
    connection.execute("INSERT INTO uids VALUES (?, ?, ?)", (uid, contract, identifier))
    connection.execute("INSERT INTO owners VALUES (?, ?, ?)", (identifier, number, contract))
    if new.sha256 is not None:
        connection.execute(
            "INSERT INTO photographs VALUES (?, ?, ?)",
            (store.photo_key(new.sha256), number, identifier),
        )
    if png is None and new.crop is not None and store.settings.keep_crops:
        png = encoded(new.crop)
    if png is not None:
        sealed = store.seal("crops", "png", identifier, png)
        connection.execute("INSERT INTO crops VALUES (?, ?)", (identifier, sealed))
    seal_sample(connection, identifier)
    if contract == store.contract_id:
        connection.execute("UPDATE totals SET value = value + 1 WHERE name = 'samples'")
    return identifier


def encoded(image: Image) -> bytes:
    """RGB uint8 (S, S, 3) as PNG."""
    return bytes(cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))[1].tobytes())


def annotate(
    store: Store, name: str, metadata: Mapping[str, Any], *, replacing: bool = False
) -> None:
    """Add to a person's metadata, or put others in their place; None removes a key."""
    checked_metadata(metadata)
    with store.writing() as connection:
        number = required_person(store, name)
        found = one_person(store, number)
        damaged = number in store.damage.people
        if damaged and not (replacing and _is_called(store, connection, number, found.name)):
            check_person(store, number)  # raises
        united = ({} if replacing else dict(found.metadata)) | dict(metadata)
        united = {key: value for key, value in united.items() if value is not None}
        if damaged:  # the time that cannot be read is lost
            connection.execute(
                "UPDATE people SET created = ? WHERE id = ? AND (typeof(created) <> 'real' OR "
                "created NOT BETWEEN ? AND ?)",
                (time.time(), number, EARLIEST, LATEST),
            )
        if json.dumps(united) != json.dumps(found.metadata) or damaged:  # True == 1
            set_label(store, connection, number, found.name, written(united))


def _is_called(store: Store, connection: sqlite3.Connection, number: int, name: str) -> bool:
    """Whether the name in a label is the one that the person is found by."""
    row = connection.execute("SELECT name_key FROM people WHERE id = ?", (number,)).fetchone()
    return row is not None and row[0] == store.key(name.encode("utf-8", "surrogatepass"))


def rename(store: Store, name: str, new_name: str) -> None:
    """Give a person another name. PersonExistsError: it is taken."""
    wanted = checked_name(new_name)
    with store.writing() as connection:
        number = required_person(store, name)
        taken = find_person(store, wanted)
        if taken not in (None, number):
            raise PersonExistsError(
                f"{wanted!r}: somebody of that name is in the gallery already: choose another "
                "name, or merge the two"
            )
        check_person(store, number)
        _free_name(store, connection, wanted)
        if _label_of(store, connection, number)[1] != wanted:
            (metadata,) = connection.execute(
                f"SELECT {store.column('l.metadata')} FROM people p JOIN labels l ON "
                "l.id = p.label WHERE p.id = ?",
                (number,),
            ).fetchone()
            set_label(store, connection, number, wanted, metadata)


def merge(store: Store, name: str, others: Sequence[str]) -> None:
    """Give ``others``' samples to ``name``, unite the metadata, and remove the others."""
    with store.writing() as connection:
        number = required_person(store, name)
        given = [required_person(store, other) for other in others]
        if number in given:
            raise OptionError(
                f"expected other people than {name!r} itself, got it too", option="merge"
            )
        metadata: dict[str, Any] = {}
        for other in given:
            metadata |= dict(check_person(store, other).metadata)
        check_person(store, number)
        for other in dict.fromkeys(given):
            for identifier in samples_of_person(store, other, all_contracts=True):
                log_change(connection, "moved", identifier, identifier)
            sound = sound_samples(connection, other)
            connection.execute("UPDATE owners SET person = ? WHERE person = ?", (number, other))
            reseal_samples(connection, sound)
            connection.execute(
                "UPDATE photographs SET person = ? WHERE person = ?", (number, other)
            )
            unite_terms(store, connection, number, other)
            give(connection, number, other)
            once.give_requests(connection, number, other)
            _drop_person(store, connection, other)
        stays = one_person(store, number)
        metadata |= dict(stays.metadata)
        if json.dumps(metadata) != json.dumps(stays.metadata):
            set_label(store, connection, number, stays.name, written(metadata))
        ask_erasing(connection)


def remove(store: Store, what: str | int) -> tuple[list[str], list[int]]:
    """Overwrite a person (by name) or a sample (by number); names and ids of what went."""
    with store.writing() as connection:
        if isinstance(what, str):
            number = required_person(store, what, even_expired=True)
            found = one_person(store, number)
            return [found.name], drop_person(store, connection, number)
        if isinstance(what, bool) or not isinstance(what, (int, np.integer)):
            raise OptionError(
                f"expected a name or a sample's number, got {what!r:.60}", option="remove"
            )
        if not is_there(store, int(what)):
            raise unknown_sample(int(what))
        drop_samples(store, connection, _with_twins(connection, [int(what)]))
        return [], [int(what)]


def _with_twins(connection: sqlite3.Connection, numbers: Iterable[int]) -> list[int]:
    """The samples and what a migration that was interrupted has made of them."""
    rows = connection.execute(
        "SELECT u.sample FROM samples s JOIN owners o ON o.sample = s.id JOIN uids u ON "
        "u.uid = s.uid AND u.contract <> o.contract JOIN owners t ON t.sample = u.sample AND "
        "t.person = o.person WHERE s.id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(numbers)),),
    )
    return sorted({*numbers, *(row[0] for row in rows if isinstance(row[0], int))})


def remove_damaged(store: Store) -> tuple[list[str], list[int]]:
    """Overwrite all samples and people that are noted as damaged; names and ids of what went."""
    damage = store.damage
    with store.writing() as connection:
        samples = {number for number in damage.samples if is_there(store, number)}
        people = sorted(damage.people)
        names = [one.name for one in people_of(store, people)]
        for number in people:
            samples |= set(samples_of_person(store, number, all_contracts=True))
        drop_samples(store, connection, _with_twins(connection, samples))
        for number in people:
            _drop_person(store, connection, number)
    return names, sorted(samples)


def drop_samples(store: Store, connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Overwrite samples, whatever of them is there or damaged, inside ``writing``."""
    for number in numbers:
        row = connection.execute(
            f"SELECT s.uid, {store.column('s.sha256')}, s.sha256 IS NOT NULL FROM samples s WHERE "
            "s.id = ?",
            (number,),
        )
        uid, sha256, hashed = row.fetchone() or (None, None, False)
        owner = connection.execute("SELECT contract FROM owners WHERE sample = ?", (number,))
        contracts = owner.fetchone()
        _delete_notes(connection, "uids", "uid", uid, number)
        if isinstance(sha256, bytes):
            _delete_notes(connection, "photographs", "photo_key", store.photo_key(sha256), number)
        elif hashed:
            _delete_notes(connection, "photographs", "photo_key", None, number)
        blank(connection, "samples", "id", number)
        blank(connection, "vectors", "sample", number)
        blank(connection, "crops", "sample", number)
        connection.execute("DELETE FROM owners WHERE sample = ?", (number,))
        connection.execute("DELETE FROM checksums WHERE sample = ?", (number,))
        log_change(connection, "removed", number, number)
        if contracts is not None and contracts[0] == store.contract_id:
            connection.execute("UPDATE totals SET value = value - 1 WHERE name = 'samples'")
        connection.execute("UPDATE totals SET value = value + 1 WHERE name = 'dead'")
    once.drop_of_samples(connection, numbers)
    store.damage.forget_samples(numbers)
    ask_erasing(connection)


def _delete_notes(
    connection: sqlite3.Connection, table: str, column: str, value: object, sample: int
) -> None:
    """Delete a sample's row where it should be found; where it is not, wherever it is."""
    found = connection.execute(
        f"DELETE FROM {table} WHERE {column} = ? AND sample = ?", (value, sample)
    )
    if not found.rowcount:
        connection.execute(f"DELETE FROM {table} WHERE sample = ?", (sample,))


def _drop_person(store: Store, connection: sqlite3.Connection, number: int) -> None:
    label, name, _ = _label_of(store, connection, number)
    drop_terms(store, connection, number)
    drop_of_person(connection, number)
    once.drop_of_person(connection, number)
    there = connection.execute("DELETE FROM people WHERE id = ?", (number,)).rowcount
    connection.execute("DELETE FROM person_checksums WHERE person = ?", (number,))
    _blank_label(connection, label)
    store.damage.forget_person(number)
    name_changed(store, number, name, None)
    log_change(connection, "person", number, number)
    connection.execute("UPDATE totals SET value = value - ? WHERE name = 'people'", (there,))
    ask_erasing(connection)


def _blank_label(connection: sqlite3.Connection, label: int | None) -> None:
    """Overwrite the label that a person had, unless damage gave it to somebody else, too."""
    shared = connection.execute("SELECT 1 FROM people WHERE label = ?", (label,)).fetchone()
    if label is not None and shared is None:
        blank(connection, "labels", "id", label)


def mend_notes(store: Store) -> None:
    """Make anew what is counted or copied from other tables: totals, uids, photographs, indexes.

    Notes of requests that are damaged are deleted.
    """
    damaged = bool(store.check())
    with store.writing() as connection:
        if damaged:
            with suppress(sqlite3.Error):  # of tables that cannot be read
                connection.execute("REINDEX")
        if not notes_damage(store):
            return
        people, samples = counted_totals(store)
        dead = "(SELECT count(*) FROM samples) - (SELECT count(*) FROM owners)"
        for name, value in (("people", people), ("samples", samples)):
            connection.execute("INSERT OR REPLACE INTO totals VALUES (?, ?)", (name, value))
        connection.execute(f"INSERT OR REPLACE INTO totals SELECT 'dead', max(0, {dead})")
        once.drop_damaged(connection)
        connection.execute("DELETE FROM photographs")
        connection.execute(f"INSERT OR IGNORE INTO photographs {photographs(store)}")
        connection.execute("DELETE FROM uids")
        connection.execute(f"INSERT OR IGNORE INTO uids {UIDS}")
