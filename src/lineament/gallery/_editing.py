"""People and samples in SQL: added, changed, overwritten.

Functions that change something are one transaction each, or part of the caller's.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from lineament.errors import OptionError, PersonExistsError
from lineament.gallery._schema import (
    ask_erasing,
    log_change,
    reseal_samples,
    seal_person,
    seal_sample,
    sound_samples,
)
from lineament.gallery._store import Store
from lineament.gallery._types import NewSample
from lineament.gallery.lookup import (
    check_person,
    find_person,
    name_changed,
    owners_of,
    people_of,
    required_person,
    unknown_sample,
)
from lineament.gallery.values import (
    MOST_CROP_PX,
    check_seen,
    checked_metadata,
    checked_name,
    checked_source,
    checked_time,
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
    """Add a person of a checked name; the id."""
    label = connection.execute(
        "INSERT INTO labels (name, metadata) VALUES (?, ?)", (name, metadata)
    ).lastrowid
    added = connection.execute(
        "INSERT INTO people (name_key, label, created) VALUES (?, ?, ?)",
        (
            store.key(name.encode()),
            label,
            checked_time(time.time() if created is None else created),
        ),
    ).lastrowid
    assert added is not None
    seal_person(connection, added)
    connection.execute("UPDATE totals SET value = value + 1 WHERE name = 'people'")
    name_changed(store, added, None, name)
    return added


def set_label(
    store: Store, connection: sqlite3.Connection, number: int, name: str, metadata: str
) -> None:
    """Give a person another name or other metadata; the old ones are overwritten."""
    old, old_name, _ = _label_of(connection, number)
    sound = sound_samples(connection, number) if name != old_name else ([], [])
    label = connection.execute(
        "INSERT INTO labels (name, metadata) VALUES (?, ?)", (name, metadata)
    ).lastrowid
    connection.execute(
        "UPDATE people SET label = ?, name_key = ? WHERE id = ?",
        (label, store.key(name.encode()), number),
    )
    _blank(connection, "labels", "id", old)
    seal_person(connection, number)
    reseal_samples(connection, sound)
    name_changed(store, number, old_name, name)
    log_change(connection, "person", number, number)
    ask_erasing(connection)


def _label_of(
    connection: sqlite3.Connection, number: int
) -> tuple[int, str, dict[str, Any] | None]:
    """The row of a person's label, the name in it, and the metadata: None when damaged."""
    row = connection.execute(
        "SELECT l.id, l.name, l.metadata FROM people p JOIN labels l ON l.id = p.label WHERE "
        "p.id = ?",
        (number,),
    ).fetchone()
    return int(row[0]), str(row[1]), read_metadata(row[2])


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
    """Add a sample to a person; the id. Logging the change is for the caller.

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
    check_seen(new.embedding.norm, new.face, new.quality)
    if new.crop is not None and max(new.crop.shape) > MOST_CROP_PX:
        raise OptionError(
            f"expected a crop of at most {MOST_CROP_PX} pixels a side, got {new.crop.shape}",
            option="crop",
        )
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
    if new.quality is not None:
        seen["quality"] = new.quality.to_dict()
    identifier = connection.execute(
        "INSERT INTO samples (uid, contract, added, source, sha256, face, metadata) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            uid,
            contract,
            checked_time(time.time() if added is None else added),
            storable(checked_source(new.source)),
            new.sha256,
            json.dumps(seen),
            checked_metadata(new.metadata),
        ),
    ).lastrowid
    assert identifier is not None
    vector = new.embedding.vector.astype("<f4").tobytes()
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
        connection.execute("INSERT INTO crops VALUES (?, ?)", (identifier, png))
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
        if not replacing:
            check_person(store, number)
        old_name, old = _label_of(connection, number)[1:]
        united = ({} if replacing or old is None else old) | dict(metadata)
        united = {key: value for key, value in united.items() if value is not None}
        if united != old:
            set_label(store, connection, number, old_name, written(united))


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
        if _label_of(connection, number)[1] != wanted:
            (metadata,) = connection.execute(
                "SELECT l.metadata FROM people p JOIN labels l ON l.id = p.label WHERE p.id = ?",
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
        for found in people_of(store, given):
            check_person(store, found.id)
            metadata |= dict(found.metadata)
        check_person(store, number)
        for other in dict.fromkeys(given):
            moved = connection.execute(
                "SELECT sample FROM owners WHERE person = ?", (other,)
            ).fetchall()
            for (identifier,) in moved:
                log_change(connection, "moved", identifier, identifier)
            sound = sound_samples(connection, other)
            connection.execute("UPDATE owners SET person = ? WHERE person = ?", (number, other))
            reseal_samples(connection, sound)
            connection.execute(
                "UPDATE photographs SET person = ? WHERE person = ?", (number, other)
            )
            _drop_person(store, connection, other)
        (stays,) = people_of(store, [number])
        metadata |= dict(stays.metadata)
        if metadata != stays.metadata:
            set_label(store, connection, number, stays.name, written(metadata))
        ask_erasing(connection)


def remove(store: Store, what: str | int) -> tuple[list[str], list[int]]:
    """Overwrite a person (by name) or a sample (by number); names and ids of what went."""
    with store.writing() as connection:
        if isinstance(what, str):
            number = required_person(store, what)
            (found,) = people_of(store, [number])
            rows = connection.execute(
                "SELECT sample FROM owners WHERE person = ? ORDER BY sample", (number,)
            ).fetchall()
            gone = [int(row[0]) for row in rows]
            drop_samples(store, connection, gone)
            _drop_person(store, connection, number)
            return [found.name], gone
        if isinstance(what, bool) or not isinstance(what, (int, np.integer)):
            raise OptionError(
                f"expected a name or a sample's number, got {what!r:.60}", option="remove"
            )
        if not owners_of(store, [int(what)]):
            raise unknown_sample(int(what))
        drop_samples(store, connection, [int(what)])
        return [], [int(what)]


def drop_samples(store: Store, connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Overwrite samples that are there, inside ``writing``."""
    for number in numbers:
        uid, contract = connection.execute(
            "SELECT uid, contract FROM samples WHERE id = ?", (number,)
        ).fetchone()
        connection.execute("DELETE FROM uids WHERE uid = ? AND contract = ?", (uid, contract))
        (sha256,) = connection.execute(
            "SELECT sha256 FROM samples WHERE id = ?", (number,)
        ).fetchone()
        if isinstance(sha256, bytes):
            connection.execute(
                "DELETE FROM photographs WHERE photo_key = ? AND sample = ?",
                (store.photo_key(sha256), number),
            )
        elif sha256 is not None:  # no hash of ours: each row is looked at
            connection.execute("DELETE FROM photographs WHERE sample = ?", (number,))
        _blank(connection, "samples", "id", number)
        _blank(connection, "vectors", "sample", number)
        _blank(connection, "crops", "sample", number)
        connection.execute("DELETE FROM owners WHERE sample = ?", (number,))
        connection.execute("DELETE FROM checksums WHERE sample = ?", (number,))
        log_change(connection, "removed", number, number)
        if contract == store.contract_id:
            connection.execute("UPDATE totals SET value = value - 1 WHERE name = 'samples'")
        connection.execute("UPDATE totals SET value = value + 1 WHERE name = 'dead'")
    ask_erasing(connection)


def _drop_person(store: Store, connection: sqlite3.Connection, number: int) -> None:
    label, name, _ = _label_of(connection, number)
    connection.execute("DELETE FROM people WHERE id = ?", (number,))
    connection.execute("DELETE FROM person_checksums WHERE person = ?", (number,))
    _blank(connection, "labels", "id", label)
    name_changed(store, number, name, None)
    log_change(connection, "person", number, number)
    connection.execute("UPDATE totals SET value = value - 1 WHERE name = 'people'")
    ask_erasing(connection)


_BLANKED = {
    "labels": ("name", "metadata"),
    "samples": ("uid", "source", "sha256", "face", "metadata"),
    "vectors": ("vector",),
    "crops": ("png",),
}


def _blank_of(value: object) -> object:
    if isinstance(value, str):
        return " " * len(value.encode())
    return bytes(len(value)) if isinstance(value, bytes) else value and 0


def _blank(connection: sqlite3.Connection, table: str, key: str, number: int) -> None:
    """Overwrite a row in its place: values of the same type and length, so that nothing moves."""
    columns = _BLANKED[table]
    row = connection.execute(
        f"SELECT {', '.join(columns)} FROM {table} WHERE {key} = ?", (number,)
    ).fetchone()
    if row is None:
        return
    blanks = [_blank_of(value) for value in row]
    settings = ", ".join(f"{column} = ?" for column in columns)
    connection.execute(f"UPDATE {table} SET {settings} WHERE {key} = ?", (*blanks, number))
