"""The tables of ``gallery.sqlite``, and how older ones become newer ones.

Whatever says who somebody is (names, metadata, photos' names and hashes, boxes, vectors,
crops) stands in tables that only grow at their end, and is overwritten in place, by as many bytes,
when it is removed. SQLite zeroes what it deletes (``secure_delete``), but when it moves rows from
page to page, as it does where rows are inserted in the middle, deleted, or change their length, it
leaves copies behind; rows that never move have none. The other tables hold numbers, and keys that
are hashes with a secret of this gallery's. Overwritten rows are deleted by ``compact``, which
writes the whole file anew.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from lineament.types import Contract, Flip

APPLICATION_ID = 0x4C4E4D47  # "LNMG"
VERSION = 2

_VERSION_1 = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE contracts (
    id INTEGER PRIMARY KEY, weights TEXT NOT NULL, weights_sha256 TEXT NOT NULL,
    alignment TEXT NOT NULL, color_order TEXT NOT NULL, flip INTEGER NOT NULL,
    dimension INTEGER NOT NULL);
CREATE TABLE labels (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, metadata TEXT NOT NULL);
CREATE TABLE people (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name_key BLOB NOT NULL UNIQUE,
    label INTEGER NOT NULL REFERENCES labels (id), created REAL NOT NULL);
CREATE TABLE samples (
    id INTEGER PRIMARY KEY AUTOINCREMENT, uid BLOB NOT NULL,
    contract INTEGER NOT NULL REFERENCES contracts (id), added REAL NOT NULL, source TEXT NOT NULL,
    sha256 BLOB, face TEXT NOT NULL, metadata TEXT NOT NULL);
CREATE TABLE uids (
    uid BLOB, contract INTEGER, sample INTEGER NOT NULL, PRIMARY KEY (uid, contract)
    ) WITHOUT ROWID;
CREATE TABLE vectors (
    sample INTEGER PRIMARY KEY REFERENCES samples (id), vector BLOB NOT NULL);
CREATE TABLE crops (sample INTEGER PRIMARY KEY REFERENCES samples (id), png BLOB NOT NULL);
CREATE TABLE owners (
    sample INTEGER PRIMARY KEY REFERENCES samples (id),
    person INTEGER NOT NULL REFERENCES people (id), contract INTEGER NOT NULL);
CREATE INDEX owners_by_person ON owners (person, contract);
CREATE TABLE changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, mark INTEGER NOT NULL, kind TEXT NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL);
"""

_VERSION_2 = """
CREATE TABLE photographs (
    photo_key INTEGER, person INTEGER, sample INTEGER REFERENCES samples (id),
    PRIMARY KEY (photo_key, person, sample)) WITHOUT ROWID;
INSERT INTO photographs
    SELECT photo_key(s.sha256), o.person, s.id FROM samples s JOIN owners o ON o.sample = s.id
    WHERE s.sha256 IS NOT NULL;
CREATE TABLE totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO totals SELECT 'people', count(*) FROM people;
INSERT INTO totals SELECT 'samples', count(*) FROM owners WHERE contract =
    (SELECT CAST(value AS INTEGER) FROM settings WHERE name = 'contract');
INSERT INTO totals SELECT 'dead', (SELECT count(*) FROM samples) - (SELECT count(*) FROM owners);
CREATE VIEW enrolled AS
    SELECT l.name, o.sample, s.source, datetime(s.added, 'unixepoch') AS added, l.metadata
    FROM owners o JOIN people p ON p.id = o.person JOIN labels l ON l.id = p.label
    JOIN samples s ON s.id = o.sample;
"""

MIGRATIONS = (_VERSION_1, _VERSION_2)
"""Number i makes version i + 1 of version i. They run in one transaction."""

CHANGES_KEPT = 10_000
"""Entries of the change log: who is further behind reads everything anew."""


def keyed(secret: bytes) -> Callable[[bytes], bytes]:
    """A hash of names and photos that says nothing to who has not the gallery's secret."""

    def key(data: bytes) -> bytes:
        return hashlib.blake2b(data, key=secret, digest_size=16).digest()

    return key


def photo_key(secret: bytes) -> Callable[[bytes], int]:
    """The same as a whole number of 63 bits, which takes less room."""
    key = keyed(secret)
    return lambda data: int.from_bytes(key(data)[:8], "big") >> 1


def upgrade(connection: sqlite3.Connection, version: int) -> None:
    """Run what leads from ``version`` to ``VERSION``; inside the caller's transaction.

    ``executescript`` would commit that transaction, so statements run one by one.
    """
    for script in MIGRATIONS[version:]:
        for statement in script.split(";\n"):
            if statement.strip():
                connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")


# --- single rows ----------------------------------------------------------------------------------


def put(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Set one row of the settings."""
    connection.execute(
        "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET "
        "value = excluded.value",
        (name, value),
    )


def ask_erasing(connection: sqlite3.Connection) -> None:
    """Note that overwritten bytes may still stand in the log or the index; a vacuum does more."""
    connection.execute("INSERT OR IGNORE INTO settings VALUES ('erasing', 'log')")


def get(connection: sqlite3.Connection, name: str) -> str | None:
    """One row of the settings."""
    row = connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


_FLIPS: tuple[Flip, ...] = (False, True, "concatenate")
"""By their numbers in the column ``flip``."""


def read_contract(row: tuple[Any, ...]) -> Contract:
    """Of the columns weights, weights_sha256, alignment, color_order, flip, dimension."""
    weights, sha256, alignment, color_order, flip, dimension = row
    return Contract(weights, sha256, alignment, color_order, _FLIPS[min(flip, 2)], dimension)


def contract_number(connection: sqlite3.Connection, contract: Contract) -> int:
    """The id of a contract's row; it is added if need be."""
    values: dict[str, Any] = asdict(contract)
    values["flip"] = _FLIPS.index(contract.flip)
    keys = [key for key in values if key != "weights"]
    condition = " AND ".join(f"{key} = :{key}" for key in keys)
    row = connection.execute(f"SELECT id FROM contracts WHERE {condition}", values).fetchone()
    if row is not None:
        return int(row[0])
    named = ", ".join(f":{key}" for key in values)
    added = connection.execute(
        f"INSERT INTO contracts ({', '.join(values)}) VALUES ({named})", values
    )
    assert added.lastrowid is not None
    return added.lastrowid


def log_change(connection: sqlite3.Connection, kind: str, first: int = 0, last: int = 0) -> int:
    """Add to the change log; the change's number."""
    added = connection.execute(
        "INSERT INTO changes (mark, kind, first, last) VALUES (?, ?, ?, ?)",
        (secrets.randbits(62), kind, first, last),
    )
    assert added.lastrowid is not None
    if added.lastrowid % 1000 == 0:
        oldest = added.lastrowid - CHANGES_KEPT
        connection.execute("DELETE FROM changes WHERE number < ?", (oldest,))
    return added.lastrowid
