"""The tables of ``gallery.sqlite``, and how older ones become newer ones.

Whatever says who somebody is (names, metadata, consents, photos' names and hashes, boxes, vectors,
crops) stands in tables that only grow at their end, and is overwritten in place, by as many bytes,
when it is removed. SQLite zeroes what it deletes (``secure_delete``), but when it moves rows from
page to page, as it does where rows are inserted in the middle, deleted, or change their length, it
leaves copies behind; rows that never move have none. The other tables hold numbers, and keys that
are hashes with a secret of this gallery's. Overwritten rows are deleted by ``compact``, which
writes the whole file anew.

Checksums are such hashes, too. Those of a sample: ``identity`` over what a search rests on (its
number, the vector, how that was made, whose it is), ``details`` over everything else of it, and
whose it is; one of a person over the name and the metadata, and one over the consents and until
when the person is kept; one of the settings over them and the gallery's contract. They find what a
disk, a program or a careless edit changed. They prove nothing against somebody who forges: the
secret stands in the same file.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from lineament.errors import GalleryDamagedError
from lineament.types import Contract, Flip

APPLICATION_ID = 0x4C4E4D47  # "LNMG"
VERSION = 5
UNSEALED = 2
"""The last version without checksums: it can be read as it is."""
NO_CONSENTS = 3
"""The last version without consents, and without negative examples."""

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

# Texts are hashed as bytes: damaged ones are no UTF-8, which SQLite hands to no function as text.
_CONTRACT_TEXT = (
    "c.weights || '|' || c.weights_sha256 || '|' || c.alignment || '|' || c.color_order || '|' || "
    "c.flip || '|' || c.dimension"
)
IDENTITY = (
    f"checksum(CAST({_CONTRACT_TEXT} AS BLOB), o.sample, typeof(v.vector), "
    "CAST(v.vector AS BLOB), CAST(p.name_key AS BLOB))"
)
"""Of a sample, as SQL over ``IDENTITY_FROM``; ``identity_of`` computes the same."""

IDENTITY_FROM = (
    "owners o LEFT JOIN vectors v ON v.sample = o.sample LEFT JOIN contracts c ON c.id = "
    "o.contract LEFT JOIN people p ON p.id = o.person"
)
DETAILS = (
    "checksum(s.id, typeof(s.uid) || typeof(s.contract) || typeof(s.source) || typeof(s.sha256) || "
    "typeof(s.face) || typeof(s.metadata) || typeof(x.png), CAST(s.uid AS BLOB), "
    "CAST(s.contract AS BLOB), CASE typeof(s.added) WHEN 'real' THEN s.added ELSE "
    "CAST(s.added AS BLOB) END, CAST(s.source AS BLOB), CAST(s.sha256 AS BLOB), "
    "CAST(s.face AS BLOB), CAST(s.metadata AS BLOB), CAST(x.png AS BLOB), "
    "CAST(p.name_key AS BLOB))"
)
"""Of a sample, as SQL over ``IDENTITY_FROM`` and ``DETAILS_FROM``."""

DETAILS_FROM = "LEFT JOIN samples s ON s.id = o.sample LEFT JOIN crops x ON x.sample = o.sample"

PERSON = (
    "checksum(p.id, typeof(l.name) || typeof(l.metadata), CAST(p.name_key AS BLOB), "
    "CAST(l.name AS BLOB), CAST(l.metadata AS BLOB), CASE typeof(p.created) WHEN 'real' THEN "
    "p.created ELSE CAST(p.created AS BLOB) END)"
)
"""Of a person, as SQL over ``PERSON_FROM``."""

PERSON_FROM = "people p LEFT JOIN labels l ON l.id = p.label"

_VERSION_3 = f"""
CREATE TABLE checksums (
    sample INTEGER PRIMARY KEY, identity INTEGER NOT NULL, details INTEGER NOT NULL);
INSERT INTO checksums SELECT o.sample, {IDENTITY}, {DETAILS} FROM {IDENTITY_FROM} {DETAILS_FROM}
    ORDER BY o.sample;
CREATE TABLE person_checksums (person INTEGER PRIMARY KEY, checksum INTEGER NOT NULL);
INSERT INTO person_checksums SELECT p.id, {PERSON} FROM {PERSON_FROM} ORDER BY p.id;
"""

_END = "CASE typeof({0}) WHEN 'real' THEN {0} ELSE CAST({0} AS BLOB) END"
RECORDS = (
    "(SELECT json_group_array(json_array(id, hex(CAST(record AS BLOB)))) FROM (SELECT r.id, "
    "r.record FROM consented n JOIN consents r ON r.id = n.consent WHERE n.person = t.person "
    "ORDER BY r.id))"
)
"""The consents of the person of a row ``t`` of ``terms``, as JSON: [[number, bytes in hex], ...]"""

TERMS = (
    f"checksum(t.person, {_END.format('t.kept_until')}, {_END.format('t.expires')}, "
    "(SELECT group_concat(hex(CAST(record AS BLOB))) FROM (SELECT r.record FROM consented n JOIN "
    "consents r ON r.id = n.consent WHERE n.person = t.person ORDER BY r.id)))"
)
"""Of what holds for a person, as SQL over a row ``t`` of ``terms``."""

REJECTED = (
    f"checksum(n.id, r.person, CAST({_CONTRACT_TEXT} AS BLOB), {_END.format('n.added')}, "
    "typeof(n.source) || typeof(n.sha256) || typeof(n.vector), CAST(n.source AS BLOB), "
    "CAST(n.sha256 AS BLOB), CAST(n.vector AS BLOB))"
)
"""Of a negative example (``gallery._rejections``), as SQL over ``REJECTED_FROM``."""

REJECTED_FROM = (
    "rejected r JOIN negatives n ON n.id = r.negative LEFT JOIN contracts c ON c.id = n.contract"
)

_VERSION_4 = f"""
CREATE TABLE consents (id INTEGER PRIMARY KEY AUTOINCREMENT, record TEXT NOT NULL);
CREATE TABLE consented (
    consent INTEGER PRIMARY KEY REFERENCES consents (id),
    person INTEGER NOT NULL REFERENCES people (id));
CREATE INDEX consented_by_person ON consented (person);
CREATE TABLE terms (
    person INTEGER PRIMARY KEY, kept_until REAL, expires REAL, checksum INTEGER NOT NULL);
CREATE INDEX terms_by_end ON terms (expires);
CREATE INDEX people_by_age ON people (created);
CREATE TABLE negatives (
    id INTEGER PRIMARY KEY AUTOINCREMENT, contract INTEGER NOT NULL REFERENCES contracts (id),
    added REAL NOT NULL, source TEXT NOT NULL, sha256 BLOB, vector BLOB NOT NULL);
CREATE TABLE rejected (
    negative INTEGER PRIMARY KEY REFERENCES negatives (id),
    person INTEGER NOT NULL REFERENCES people (id), checksum INTEGER NOT NULL);
CREATE INDEX rejected_by_person ON rejected (person);
INSERT INTO terms SELECT t.person, NULL, NULL, {TERMS} FROM (SELECT id AS person, NULL AS
    kept_until, NULL AS expires FROM people) t ORDER BY t.person;
"""

REQUESTED = (
    f"checksum(q.id, typeof(q.token) || typeof(q.outcome), CAST(q.token AS BLOB), "
    f"{_END.format('q.made')}, CAST(q.first AS BLOB), CAST(q.last AS BLOB), "
    "CAST(q.person AS BLOB), CAST(q.outcome AS BLOB))"
)
"""Of what was made under a token (``gallery._once``), as SQL over a row ``q`` of ``requests``."""

_VERSION_5 = """
CREATE TABLE requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT, token BLOB NOT NULL UNIQUE, made REAL NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, person INTEGER, outcome TEXT NOT NULL,
    checksum INTEGER NOT NULL);
CREATE INDEX requests_by_time ON requests (made);
CREATE INDEX requests_by_sample ON requests (first);
CREATE INDEX requests_by_person ON requests (person);
"""

MIGRATIONS = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4, _VERSION_5)
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


def checksum(secret: bytes) -> Callable[..., int]:
    """A hash of any number of SQL values, of their types and lengths too: 63 bits; never fails."""
    empty = _keyed_hash(secret)

    def of(*values: bytes | str | float | None) -> int:
        parts = []
        for value in values:
            if type(value) is bytes:
                parts.append(b"%d:" % len(value))
                parts.append(value)
            else:
                parts.append(repr(value).encode("utf-8", "surrogatepass") + b";")
        state = empty.copy()
        state.update(b"".join(parts))
        return int.from_bytes(state.digest(), "big") >> 1

    return of


def identity_of(
    connection: sqlite3.Connection, secret: bytes, contract: int
) -> Callable[[int, object, object], int | None]:
    """What ``IDENTITY`` computes for the samples of one contract, in a third of the time.

    Returns:
        A function of a sample's number, its vector and the ``name_key`` of its person; None for
        what is neither sound nor worth the time.
    """
    row = connection.execute(
        f"SELECT CAST({_CONTRACT_TEXT} AS BLOB) FROM contracts c WHERE c.id = ?", (contract,)
    ).fetchone()
    start = _keyed_hash(secret)
    if row is not None and row[0] is not None:
        start.update(b"%d:%b" % (len(row[0]), row[0]))

    def of(sample: int, vector: object, key: object) -> int | None:
        if type(vector) is not bytes or type(key) is not bytes:
            return None
        state = start.copy()
        state.update(b"%d;'blob';%d:%b%d:%b" % (sample, len(vector), vector, len(key), key))
        return int.from_bytes(state.digest(), "big") >> 1

    return of


def _keyed_hash(secret: bytes) -> hashlib.blake2b:
    return hashlib.blake2b(key=secret, digest_size=8)


def register(connection: sqlite3.Connection, secret: bytes) -> None:
    """Give a connection the functions ``photo_key`` and ``checksum`` of this gallery's secret."""
    connection.create_function("photo_key", 1, photo_key(secret), deterministic=True)
    connection.create_function("checksum", -1, checksum(secret), deterministic=True)


def secret_of(value: object, path: Path) -> bytes:
    """The gallery's secret of the settings' row. GalleryDamagedError: it is no such."""
    if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value):
        return bytes.fromhex(value)
    raise GalleryDamagedError(f"{path}: the settings are damaged (secret): restore a backup")


def upgrade(connection: sqlite3.Connection, version: int) -> None:
    """Run what leads from ``version`` to ``VERSION``; inside the caller's transaction.

    ``executescript`` would commit that transaction, so statements run one by one.
    """
    for script in MIGRATIONS[version:]:
        for statement in script.split(";\n"):
            if statement.strip():
                connection.execute(statement)
    seal_settings(connection)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def pretend_newer(connection: sqlite3.Connection, secret: bytes, version: int) -> None:
    """Let an old database that may not be changed be read: views in place of the newer tables.

    People of versions without consents have none, and no end. Checksums have what the rows say
    now, so they find no damage.
    """
    register(connection, secret)
    connection.execute(
        "CREATE TEMP VIEW requests AS SELECT 0 AS id, x'' AS token, 0.0 AS made, 0 AS first, "
        "0 AS last, NULL AS person, '' AS outcome, 0 AS checksum WHERE 0"
    )
    if version > NO_CONSENTS:
        return
    connection.execute("CREATE TEMP VIEW consents AS SELECT 0 AS id, '' AS record WHERE 0")
    connection.execute("CREATE TEMP VIEW consented AS SELECT 0 AS consent, 0 AS person WHERE 0")
    connection.execute(
        f"CREATE TEMP VIEW terms AS SELECT t.person, t.kept_until, t.expires, {TERMS} AS checksum "
        "FROM (SELECT id AS person, NULL AS kept_until, NULL AS expires FROM people) t"
    )
    connection.execute(
        "CREATE TEMP VIEW negatives AS SELECT 0 AS id, 0 AS contract, 0.0 AS added, '' AS source, "
        "NULL AS sha256, x'' AS vector WHERE 0"
    )
    connection.execute(
        "CREATE TEMP VIEW rejected AS SELECT 0 AS negative, 0 AS person, 0 AS checksum WHERE 0"
    )
    if version > UNSEALED:
        return
    connection.execute(
        f"CREATE TEMP VIEW checksums AS SELECT o.sample, {IDENTITY} AS identity, {DETAILS} AS "
        f"details FROM {IDENTITY_FROM} {DETAILS_FROM}"
    )
    connection.execute(
        "CREATE TEMP VIEW person_checksums AS SELECT p.id AS person, "
        f"{PERSON} AS checksum FROM {PERSON_FROM}"
    )


# --- checksums ------------------------------------------------------------------------------------

_SEALED = ("contract", "gallery", "secret", "settings")


def settings_checksum(connection: sqlite3.Connection) -> str | None:
    """Of the settings and the contract that is searched; None when one of them is missing.

    In an encrypted gallery it is a hash with the gallery's secret, which nobody has who has not the
    key; the connection needs the functions of ``register`` then.
    """
    found = dict(connection.execute("SELECT name, value FROM settings"))
    if not all(isinstance(found.get(name), str) for name in _SEALED):
        return None
    contract = connection.execute(
        "SELECT weights, weights_sha256, alignment, color_order, flip, dimension FROM contracts "
        "WHERE id = ?",
        (found["contract"],),
    ).fetchone()
    if contract is None:
        return None
    values = [found[name] for name in _SEALED] + list(contract)
    encryption = found.get("encryption")
    if encryption is not None:
        text = repr([*values, encryption]).encode("utf-8", "surrogatepass")
        return str(connection.execute("SELECT checksum(?)", (text,)).fetchone()[0])
    text = repr(values).encode("utf-8", "surrogatepass")  # the secret is one of them
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def seal_settings(connection: sqlite3.Connection) -> None:
    """Write the settings' checksum anew."""
    value = settings_checksum(connection)
    if value is not None:  # else it is being made
        _put(connection, "checksum", value)


def seal_person(connection: sqlite3.Connection, number: int) -> None:
    """Write the checksum of a person anew, who was just changed."""
    connection.execute(
        f"INSERT OR REPLACE INTO person_checksums SELECT p.id, {PERSON} FROM {PERSON_FROM} "
        "WHERE p.id = ?",
        (number,),
    )


def seal_terms(connection: sqlite3.Connection, number: int) -> None:
    """Write the checksum of what holds for a person anew, which was just changed."""
    connection.execute(
        f"UPDATE terms SET checksum = (SELECT {TERMS} FROM terms t WHERE t.person = terms.person) "
        "WHERE person = ?",
        (number,),
    )


def seal_rejected(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Write the checksums of negative examples anew, which were just added or given away."""
    for number in numbers:
        connection.execute(
            f"UPDATE rejected SET checksum = (SELECT {REJECTED} FROM {REJECTED_FROM} WHERE "
            "r.negative = ?1) WHERE negative = ?1",
            (number,),
        )


def seal_requests(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Write the checksums of notes of requests anew, which were just made or changed."""
    connection.execute(
        f"UPDATE requests SET checksum = (SELECT {REQUESTED} FROM requests q WHERE "
        "q.id = requests.id) WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(numbers)),),
    )


def seal_sample(connection: sqlite3.Connection, number: int) -> None:
    """Write the checksums of a sample that was just added."""
    connection.execute(
        f"INSERT INTO checksums SELECT o.sample, {IDENTITY}, {DETAILS} FROM {IDENTITY_FROM} "
        f"{DETAILS_FROM} WHERE o.sample = ?",
        (number,),
    )


def sound_samples(connection: sqlite3.Connection, person: int) -> tuple[list[int], list[int]]:
    """Ids of a person's samples whose identity is as it was written, and whose details are."""
    rows = connection.execute(
        f"SELECT o.sample, k.identity IS {IDENTITY}, k.details IS {DETAILS} FROM {IDENTITY_FROM} "
        f"{DETAILS_FROM} JOIN checksums k ON k.sample = o.sample WHERE o.person = ?",
        (person,),
    ).fetchall()
    return [row[0] for row in rows if row[1]], [row[0] for row in rows if row[2]]


def reseal_samples(connection: sqlite3.Connection, sound: tuple[list[int], list[int]]) -> None:
    """Write the checksums anew of those that were sound before their person was changed.

    What was damaged before stays so.
    """
    for column, value, joined, ids in (
        ("identity", IDENTITY, "", sound[0]),
        ("details", DETAILS, DETAILS_FROM, sound[1]),
    ):
        connection.execute(
            f"UPDATE checksums SET {column} = (SELECT {value} FROM {IDENTITY_FROM} {joined} WHERE "
            "o.sample = checksums.sample) WHERE sample IN (SELECT value FROM json_each(?))",
            (json.dumps(ids),),
        )


def foreign_parts(connection: sqlite3.Connection, version: int) -> list[str]:
    """What there is in a database besides a gallery's tables of that version, or in their place.

    Triggers, views, virtual tables and computed columns run SQL of whoever made them.

    Returns:
        In words, such as 'the trigger "x"'; [] when the tables are a gallery's.
    """
    expected, found = _tables(version), _parts(connection)
    wrong = [part for part in found if found[part] != expected.get(part)]
    missing = [part for part in expected if part not in found]
    return [f"the {kind} {name!r}" for kind, name in wrong] + [
        f"no {kind} {name!r}" for kind, name in missing
    ]


@cache
def _tables(version: int) -> dict[tuple[str, str], tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        for script in MIGRATIONS[:version]:
            for statement in script.split(";\n"):
                if statement.split(maxsplit=1)[:1] in (["CREATE"], ["ALTER"], ["DROP"]):
                    connection.execute(statement)
        return _parts(connection)


def _parts(connection: sqlite3.Connection) -> dict[tuple[str, str], tuple[str, str]]:
    """Kind and name -> the table that it belongs to, and its SQL without regard to white space."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema")
    return {
        (str(kind), str(name)): (str(table), " ".join(str(sql).split()))
        for kind, name, table, sql in rows
    }


# --- single rows ----------------------------------------------------------------------------------


def put(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Set one row of the settings."""
    _put(connection, name, value)
    if name in _SEALED or name == "encryption":
        seal_settings(connection)


def put_all(connection: sqlite3.Connection, values: Mapping[str, str]) -> None:
    """Set several, of which one alone would not fit the others."""
    for name, value in values.items():
        _put(connection, name, value)
    seal_settings(connection)


def _put(connection: sqlite3.Connection, name: str, value: str) -> None:
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

LONGEST_VECTOR = 1 << 16
"""Numbers of an embedding that a gallery may say it has; real ones have 128 to 2048."""


def read_contract(row: tuple[Any, ...] | None) -> Contract:
    """Of the columns weights, weights_sha256, alignment, color_order, flip, dimension.

    Raises:
        GalleryDamagedError: there is no such row, or it makes no sense.
    """
    if row is not None:
        weights, sha256, alignment, color_order, flip, dimension = row
        sane = (
            all(isinstance(text, str) for text in row[:4])
            and type(flip) is type(dimension) is int
            and 0 <= flip < len(_FLIPS)
            and 1 <= dimension <= LONGEST_VECTOR
        )
        if sane:
            return Contract(weights, sha256, alignment, color_order, _FLIPS[flip], dimension)
    raise GalleryDamagedError(
        f"expected the contract of the embeddings, got {row!r:.200}: restore a backup"
    )


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
