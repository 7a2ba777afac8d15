"""SQLite: its errors as ours, a new database, and an open one that is a gallery's."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from lineament.errors import (
    GalleryDamagedError,
    GalleryError,
    GalleryKeyError,
    GalleryLockedError,
    GalleryReadOnlyError,
    GalleryVersionError,
)
from lineament.gallery import _schema as schema
from lineament.gallery import _sealing as sealing
from lineament.gallery._schema import contract_number, get, put
from lineament.gallery._sealing import Sealing
from lineament.gallery._types import Settings
from lineament.gallery.keys import Key
from lineament.machine import raise_if_short
from lineament.types import Contract


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except UnicodeDecodeError as error:  # SQLite's own words for a schema that is rubbish
        raise GalleryDamagedError(
            f"{path}: the database is damaged: restore a backup, or create another gallery and "
            "import an export into it"
        ) from error
    except sqlite3.Error as error:
        raise_if_short(error, f"to use {path}")
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise GalleryLockedError(
                f"{path}: another process is writing to the gallery",
                hint="wait until it is done, or {wait}",
            ) from error
        if code == sqlite3.SQLITE_NOTADB:
            raise GalleryDamagedError(
                f"{path}: expected a gallery's database, got something else, or a damaged one: "
                "restore a backup, or create another gallery and import an export into it"
            ) from error
        if code == sqlite3.SQLITE_CORRUPT:
            raise GalleryDamagedError(
                f"{path}: the database is damaged ({error}): restore a backup; or export what can "
                "still be read (lineament gallery export), and import it into another gallery"
            ) from error
        if code == sqlite3.SQLITE_READONLY:
            raise GalleryReadOnlyError(
                f"{path}: the gallery cannot be written to: it was opened for reading, or its "
                "files may not be written"
            ) from error
        if code == sqlite3.SQLITE_CANTOPEN:
            raise GalleryError(
                f"{path}: the database, or what lies beside it, cannot be opened: check the rights "
                "of the folder and of its files; a gallery that was being written to, in a folder "
                "that you may not write to, has to be copied first"
            ) from error
        raise GalleryError(
            f"{path}: the database cannot be used ({error}): check the disk's room and the "
            "folder's rights"
        ) from error


def fill(path: Path, contract: Contract, settings: Settings, key: Key | None = None) -> None:
    """Make a database with the tables, the settings and the contract; encrypted with a key."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        _fill(connection, contract, settings, key)
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def in_memory(contract: Contract, settings: Settings) -> sqlite3.Connection:
    """The same in memory, open: it is gone when the connection is closed."""
    connection = sqlite3.connect(
        ":memory:", isolation_level=None, check_same_thread=False, cached_statements=256
    )
    _fill(connection, contract, settings, None)
    _prepare(connection)
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def copy(connection: sqlite3.Connection, path: Path, secret: bytes) -> None:
    """Write an open database to a new file, as another gallery with the same people.

    An encrypted one has the same keys.
    """
    target = sqlite3.connect(path, isolation_level=None)
    try:
        connection.backup(target)
        target.execute("PRAGMA synchronous = FULL")
        schema.register(target, secret)
        put(target, "gallery", secrets.token_hex(16))  # an index of the one does not fit the other
        target.execute("VACUUM")  # overwritten rows leave no gaps in the copy
        target.execute("PRAGMA journal_mode = WAL")
    finally:
        target.close()


def _fill(
    connection: sqlite3.Connection, contract: Contract, settings: Settings, key: Key | None
) -> None:
    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    secret = secrets.token_bytes(32)
    schema.register(connection, secret)
    connection.execute("BEGIN")
    schema.upgrade(connection, 0)
    put(connection, "gallery", secrets.token_hex(16))
    if key is None:
        put(connection, "secret", secret.hex())
    else:
        own = sealing.made()
        put(connection, sealing.ROW, sealing.wrapped(own, key.read()))
        put(connection, "secret", sealing.sealed_secret(own, secret))
    put(connection, "settings", json.dumps(settings.to_dict()))
    put(connection, "contract", str(contract_number(connection, contract)))
    connection.execute("COMMIT")


def _text(data: bytes) -> str:
    """Damaged text is read all the same, and found by its checksum."""
    return str(data, "utf-8", "surrogateescape")


def _prepare(connection: sqlite3.Connection) -> None:
    """What a connection that writes needs."""
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")


def connect(path: Path, *, read_only: bool, wait_s: float) -> sqlite3.Connection:
    """Open a database that exists."""
    address = f"file:{quote(str(path.absolute()))}"
    if read_only:
        address += "?mode=ro"
        log = path.with_name(path.name + "-wal")
        if not os.access(path.parent, os.W_OK) and not log.exists():
            address += "&immutable=1"  # a medium that nobody writes to
    else:
        address += "?mode=rw"
    connection = sqlite3.connect(
        address,
        uri=True,
        timeout=wait_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.text_factory = _text
    try:
        _defend(connection)
        if not read_only:
            _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def vacuum(connection: sqlite3.Connection) -> None:
    """Write the whole file anew, with its temporary copy on the disk: names are not sorted here."""
    before = connection.execute("PRAGMA temp_store").fetchone()[0]
    connection.execute("PRAGMA temp_store = DEFAULT")
    try:
        connection.execute("VACUUM")
    finally:
        connection.execute(f"PRAGMA temp_store = {before}")


LONGEST_VALUE = 1 << 28
"""Bytes of a row of a gallery's file, which may come from somebody else."""


def _defend(connection: sqlite3.Connection) -> None:
    """What SQLite itself advises for files of others (sqlite.org/security.html)."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 1)  # one: VACUUM needs it
    connection.setlimit(sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 1)
    if sys.version_info >= (3, 12):
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_TRIGGER, False)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA mmap_size = 0")
    connection.execute("PRAGMA temp_store = MEMORY")  # decrypted names are sorted


def check(
    connection: sqlite3.Connection, path: Path, *, read_only: bool, key: Key | None = None
) -> None:
    """That it is a gallery's database, and of this version; older ones are brought up to date.

    Args:
        connection, path: of it.
        read_only: whether it was opened so.
        key: of an encrypted one; None looks into the environment.
    """
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != schema.APPLICATION_ID:
        raise GalleryDamagedError(
            f"{path}: expected a gallery's database, got another program's or an empty one: check "
            "the path; nothing was changed"
        )
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > schema.VERSION:
        raise GalleryVersionError(
            f"{path}: expected a gallery of version {schema.VERSION} or older, got {version}, "
            "written by a newer lineament: update this one"
        )
    foreign = schema.foreign_parts(connection, version) if version > 0 else ["no version"]
    if foreign:
        raise GalleryDamagedError(
            f"{path}: expected a gallery's tables and nothing else, got {', '.join(foreign[:5])}; "
            "nothing was changed",
            hint="what you made in it yourself has to go (DROP VIEW and the like) before it can be "
            "opened, and belongs into a database of its own; else restore a backup",
        )
    if not read_only and connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode = WAL")  # a copy that VACUUM INTO made
    if version == schema.VERSION:
        return
    if read_only and version >= schema.UNSEALED:
        schema.pretend_newer(connection, unlock(connection, path, key)[1], version)
        return
    if read_only:
        raise GalleryVersionError(
            f"{path}: a gallery of version {version} has to become one of {schema.VERSION} first: "
            "open it for writing once"
        )
    connection.execute("BEGIN IMMEDIATE")
    try:
        own, secret = unlock(connection, path, key)
        own.register(connection)
        schema.register(connection, secret)
        schema.upgrade(connection, version)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def unlock(
    connection: sqlite3.Connection, path: Path, key: Key | None, known: Sealing | None = None
) -> tuple[Sealing, bytes]:
    """How the values of a database are encrypted, and the gallery's secret.

    Args:
        connection, path: of the database.
        key: None looks into the environment where one is needed.
        known: what was returned before: a data key that is still the same needs no other key.

    Raises:
        GalleryKeyError: the key is missing, cannot be read, or is another one.
        GalleryDamagedError: the settings are.
        MissingExtraError: ``cryptography`` is not installed.
    """
    row, value = get(connection, sealing.ROW), get(connection, "secret")
    if row is None:
        if key is not None:
            raise GalleryKeyError(
                f"{path}: a key was given, and the gallery is not encrypted",
                hint="leave out the key, or encrypt the gallery first (lineament gallery encrypt)",
            )
        return sealing.Open(), schema.secret_of(value, path)
    envelope = sealing.read_envelope(row, str(path))
    if isinstance(known, sealing.Encrypted) and known.version == envelope.data:
        own = known
    else:
        found = Key.from_environment() if key is None else key
        if found is None:
            raise GalleryKeyError(
                f"{path}: the gallery is encrypted, and no key was given", hint="{key}"
            )
        own = sealing.unlocked(envelope, found.read(), str(path))
    secret = sealing.opened_secret(own, value)
    if secret is None:
        raise GalleryDamagedError(f"{path}: the settings are damaged (secret): restore a backup")
    return own, secret
