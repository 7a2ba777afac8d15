"""The SQLite file of a gallery: made, opened, changed in transactions, and erased for good.

Write-ahead log, ``synchronous=FULL``: what a transaction changed is on the disk when it ends.
``gallery.lock`` is locked by the process that writes, for as long as it has the gallery open: the
index files have one writer, and the system unlocks it however the process ends. A gallery in memory
has neither log nor lock.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from lineament import forms
from lineament.errors import (
    GalleryClosedError,
    GalleryDamagedError,
    GalleryError,
    GalleryExistsError,
    GalleryLockedError,
    GalleryNotFoundError,
    GalleryReadOnlyError,
    LineamentError,
    OptionError,
)
from lineament.files import Lock, NotAFileError, locked, remove_all, sync_folder
from lineament.gallery import _schema as schema
from lineament.gallery._connection import (
    check,
    connect,
    copy,
    fill,
    in_memory,
    translated,
    unlock,
    vacuum,
)
from lineament.gallery._damage import Damage, is_corrupt
from lineament.gallery._place import Place, check_files, check_length, stray
from lineament.gallery._schema import get, put, read_contract
from lineament.gallery._sealing import Encrypted, Open, Sealing, Value, opened_secret
from lineament.gallery._types import Settings
from lineament.gallery.keys import Key
from lineament.search import own_kind
from lineament.suggest import did_you_mean, similar_path
from lineament.text import reason_of
from lineament.types import Contract

DATABASE, INDEX, LOCK = "gallery.sqlite", "index", "gallery.lock"
PSEUDONYMS = "pseudonyms"
"""Row of the settings of a gallery whose secret was changed: the first one."""
MEMORY = ":memory:"
"""In place of a folder: the gallery is in memory, as SQLite calls it."""

_STEP_S = 0.02

_SHORT = {"l": ("labels", "id"), "s": ("samples", "id"), "x": ("crops", "sample")}
_SHORT["v"] = ("vectors", "sample")
"""What tables are called in queries, and the column of their rows' numbers."""


class Store:
    """An open database. All access goes through ``reading`` and ``writing``."""

    def __init__(
        self,
        folder: Path | None,
        connection: sqlite3.Connection,
        lock: Lock | None,
        wait_s: float,
        key: Key | None = None,
    ) -> None:
        """For ``open`` and ``in_memory``, whose folder is None."""
        self.on_disk = folder is not None
        self.folder = Path(MEMORY) if folder is None else folder
        self.path = self.folder if folder is None else folder / DATABASE
        self.read_only = lock is None and self.on_disk
        self.wait_s = wait_s
        self._connection: sqlite3.Connection | None = connection
        self._lock = lock
        self._mutex = threading.RLock()
        self._depth = 0
        self._changes = False  # the transaction that is open may change something
        self._place = (
            None if folder is None or self.read_only else Place(self.path, self.folder / LOCK)
        )
        self.kept_names: tuple[int, dict[int, list[int]]] | None = None
        """Of ``lookup.names_by_form``: the state of the database, and what was read of it."""
        self.kept_expired: tuple[tuple[int, Settings], float, float, frozenset[int]] | None = None
        """Of ``lookup.expired``: the state, from when to when it holds, and who expired."""
        self.kept_gone: tuple[tuple[int, int, int], frozenset[int], int] | None = None
        """Of ``lookup.totals``: the state, who expired, and how many samples they have."""
        self.clock: Callable[[], float] = time.time
        """What says how late it is, in seconds since 1970."""
        self.kept_texts: dict[int, tuple[object, object]] = {}
        """Of ``lookup``: number of a label -> its metadata as encrypted, and decrypted."""
        self.kept_purposes: dict[int, tuple[object, frozenset[str]]] = {}
        """Of ``lookup``: number of a consent -> its record as it stands there, and its purposes."""
        self.damage = Damage()
        self.secret = b""
        self.sealing: Sealing = Open()
        self._keys: tuple[int, list[Any]] | None = None
        self._key = key
        self._read_state()

    # --- making and opening -----------------------------------------------------------------------

    @classmethod
    def create(
        cls, folder: Path, contract: Contract, settings: Settings, key: Key | None = None
    ) -> None:
        """Make the database, as a whole or not at all; raises as ``Gallery.create``."""
        own_kind(settings.index)
        if key is not None:
            refuse_server(settings.index)
            key.read()  # an error here leaves no folder behind
        cls._make(folder, lambda beside: fill(beside, contract, settings, key))

    @classmethod
    def in_memory(cls, contract: Contract, settings: Settings) -> Store:
        """Make an empty database in memory, and open it."""
        return cls(None, in_memory(contract, settings), None, 0.0)

    def copy(self, folder: Path) -> None:
        """Write what is in it into another folder; raises as ``create``."""
        with self._mutex:
            self._make(folder, lambda beside: copy(self.connection, beside, self.secret))

    @classmethod
    def _make(cls, folder: Path, write: Callable[[Path], None]) -> None:
        target = folder / DATABASE
        beside = folder / stray(DATABASE, secrets.token_hex(6))
        try:
            check_length(beside)
            folder.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(target):  # before anything is tried that one may not be allowed
                raise _exists(folder)
            try:
                beside.open("xb").close()  # SQLite does not say why it cannot
                with translated(target):
                    write(beside)
                made = _put_in_place(beside, target)
            finally:
                beside.unlink(missing_ok=True)
            sync_folder(folder)
        except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
            if isinstance(error, LineamentError):
                raise
            raise GalleryError(
                f"{folder}: a gallery cannot be made there ({reason_of(error)}): choose a folder "
                "that you may write to"
            ) from error
        if not made:
            raise _exists(folder)

    @classmethod
    def open(cls, folder: Path, *, read_only: bool, wait_s: float, key: Key | None = None) -> Store:
        """Open the database; raises as ``Gallery.open``."""
        path = folder / DATABASE
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:
            raise GalleryNotFoundError(
                f"{folder}: there is no gallery",
                hint=f"check the path{did_you_mean(similar_path(folder))}, or create one",
            ) from error
        except OSError as error:
            raise GalleryError(
                f"{folder}: the gallery cannot be read ({reason_of(error)})",
                hint="check the folder's rights",
            ) from error
        lock = None if read_only else _lock(folder, wait_s)
        connection = None
        try:
            check_files(path)
            with translated(path):
                connection = connect(path, read_only=read_only, wait_s=wait_s)
                check(connection, path, read_only=read_only, key=key)
                return cls(folder, connection, lock, wait_s, key)
        except BaseException:
            if connection is not None:
                connection.close()
            if lock is not None:
                lock.release()
            raise

    def close(self) -> None:
        """Close; twice does nothing."""
        with self._mutex:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    def closed(self) -> GalleryClosedError:
        """The error for who uses it afterwards."""
        return closed(self.folder)

    # --- transactions -----------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One state of the database for all that is read inside."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All that is changed inside, on the disk when it ends without an error, or nothing."""
        if self.read_only:
            raise GalleryReadOnlyError(
                f"{self.folder}: the gallery was opened for reading only: open it for writing"
            )
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._mutex, translated(self.path):
            connection = self.connection
            if self._depth == 0:
                connection.execute(begin)
                self._changes = False
            self._depth += 1
            self._changes |= begin != "BEGIN"
            try:
                if self._depth == 1 and self.read_only:
                    self._follow_keys(connection)
                yield connection
            except BaseException:
                if self._depth == 1 and connection.in_transaction:
                    connection.execute("ROLLBACK")
                    self.kept_names = self.kept_expired = None  # they may hold what was taken back
                raise
            else:
                if self._depth == 1:
                    try:
                        self._check_place()
                        self._commit(connection)
                        self._check_place()
                    except BaseException:
                        if connection.in_transaction:
                            connection.execute("ROLLBACK")
                        self.kept_names = self.kept_expired = None
                        raise
            finally:
                self._depth -= 1

    def _commit(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            # Of a state that was only read it says that a page was damaged, which is known.
            if self._changes or not is_corrupt(error):
                raise
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _check_place(self) -> None:
        """What goes into files that nobody will find must not be taken for written."""
        if self._changes and self._place is not None:
            self._place.check()

    @property
    def is_in_place(self) -> bool:
        """Whether the folder still holds the database that was opened."""
        return self._place is None or self._place.is_same()

    @property
    def connection(self) -> sqlite3.Connection:
        """For what is no transaction; hold ``mutex``."""
        if self._connection is None:
            raise self.closed()
        return self._connection

    @property
    def mutex(self) -> threading.RLock:
        """Held by whoever uses the connection."""
        return self._mutex

    def data_version(self) -> int:
        """A number that is another one after another process changed something; microseconds."""
        with self._mutex, translated(self.path):
            return int(self.connection.execute("PRAGMA data_version").fetchone()[0])

    # --- settings and contract --------------------------------------------------------------------

    def _read_state(self) -> None:
        columns = "weights, weights_sha256, alignment, color_order, flip, dimension"
        with self.reading() as connection:
            try:
                self.uid = self._setting("gallery", "[0-9a-f]{32}")
                self.contract_id = int(self._setting("contract", "[0-9]{1,18}"))
                self.settings: Settings = forms.read_json(self._setting("settings", ".+"), Settings)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise self._unsettled(reason_of(error)) from error
            sealing, secret = unlock(connection, self.path, self._key, self.sealing)
            if secret != self.secret or sealing is not self.sealing:
                schema.register(connection, secret)
                sealing.register(connection)
                self.secret, self.sealing = secret, sealing
                self.kept_names = None
                self.kept_texts.clear()
                self.kept_purposes.clear()
            sealed = get(connection, "checksum") == schema.settings_checksum(connection)
            if not sealed and _version(connection) > schema.UNSEALED:
                raise self._unsettled("they are not what was written")
            version = connection.execute("PRAGMA data_version").fetchone()[0]
            self._keys = version, self._key_rows(connection)
            self.contract = read_contract(
                connection.execute(
                    f"SELECT {columns} FROM contracts WHERE id = ?", (self.contract_id,)
                ).fetchone()
            )
        self.key = schema.keyed(secret)
        self.photo_key = schema.photo_key(secret)

    def _follow_keys(self, connection: sqlite3.Connection) -> None:
        """Read the state anew if another process encrypted the gallery, or gave it other keys."""
        if self._keys is None:
            return
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._keys[0] and self._key_rows(connection) != self._keys[1]:
            self._read_state()

    def _key_rows(self, connection: sqlite3.Connection) -> list[Any]:
        return connection.execute(
            "SELECT name, value FROM settings WHERE name IN ('encryption', 'secret') ORDER BY name"
        ).fetchall()

    def _setting(self, name: str, pattern: str) -> str:
        value = get(self.connection, name)
        if value is None or not re.fullmatch(pattern, value, re.DOTALL):
            raise self._unsettled(f"{name} is {value!r:.80}")
        return value

    def _unsettled(self, why: str) -> GalleryDamagedError:
        return GalleryDamagedError(
            f"{self.path}: the settings are damaged ({why}): restore a backup"
        )

    def retention_days(self) -> float | None:
        """The setting as it is now, which a writer elsewhere may have changed a moment ago."""
        if self.read_only:
            with self.reading() as connection, suppress(msgspec.DecodeError, TypeError):
                found: Settings = forms.read_json(get(connection, "settings") or "", Settings)
                return found.retention_days
        return self.settings.retention_days

    def refresh(self) -> None:
        """Read settings and contract again, after another process changed something."""
        self._read_state()

    def save_settings(self, settings: Settings) -> None:
        """Put other settings in place. OptionError: an index on a server that is not the user's."""
        own_kind(settings.index)
        if self.sealing.encrypted:
            refuse_server(settings.index)
        with self.writing() as connection:
            put(connection, "settings", json.dumps(settings.to_dict()))
        self.settings = settings

    # --- encryption -------------------------------------------------------------------------------

    def check_key(self, key: Key | None) -> None:
        """That this key opens the gallery; raises as ``Gallery.open``."""
        with self._mutex, translated(self.path):
            unlock(self.connection, self.path, key)

    def take(self, key: Key | None, sealing: Sealing, secret: bytes) -> None:
        """Go on with what this process has just written the database with."""
        with self._mutex:
            self._key, self.sealing, self.secret = key, sealing, secret
            self.kept_names = None
            self.kept_texts.clear()
            self.kept_purposes.clear()
            self.refresh()

    def seal(self, table: str, column: str, row: int, value: Value) -> Value:
        """A value that says who somebody is, as it has to be written into that row.

        It is the value itself, or in an encrypted gallery bytes that can be read in this place
        alone. A row that is inserted needs its number before: ``next_row``. None stays None.
        """
        return self.sealing.seal(table, column, row, value)

    def unseal(self, table: str, column: str, row: int, value: object) -> object:
        """The way back; None for what was changed and cannot be decrypted."""
        return self.sealing.unseal(table, column, row, value)

    def reads(self, table: str, column: str, row: str, value: str) -> str:
        """``unseal`` as an expression of SQL, for SELECT, WHERE and ORDER BY.

        Args:
            table, column: where the value stands.
            row, value: SQL for the row's number and for the column, such as "l.id" and "l.name".

        Examples:
            >>> store.reads("labels", "name", "l.id", "l.name")
            'l.name'
        """
        return self.sealing.reads(table, column, row, value)

    def column(self, name: str) -> str:
        """``reads`` of a column by the short name of its table: "l.name", "s.face", "x.png"."""
        short, _, column = name.partition(".")
        table, row = _SHORT[short]
        return self.sealing.reads(table, column, f"{short}.{row}", name)

    def opened(self, rows: Sequence[tuple[int, Any, Any, Any]]) -> list[tuple[int, Any, Any, Any]]:
        """Rows for ``kept_vectors``, whose second value is the vector: as it is without encryption.

        What cannot be decrypted is ``UNDECRYPTED``.
        """
        return self.sealing.vectors(rows)

    def next_row(self, connection: sqlite3.Connection, table: str, key: str = "id") -> int:
        """The number that the next row of a table has to be inserted with; inside ``writing``.

        Args:
            connection: the one of ``writing``.
            table: with an INTEGER PRIMARY KEY AUTOINCREMENT, as no number is given twice.
            key: name of that column.
        """
        (largest,) = connection.execute(f"SELECT max({key}) FROM {table}").fetchone()
        row = connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)
        ).fetchone()
        given = row[0] if row is not None and isinstance(row[0], int) else 0
        return max(given, 0 if largest is None else int(largest)) + 1

    def pseudonym_key(self) -> bytes:
        """What people's pseudonyms are made with: it stays when the gallery is encrypted anew."""
        with self.reading() as connection:
            value = get(connection, PSEUDONYMS)
        if value is None:  # it was never encrypted
            return self.secret
        if isinstance(self.sealing, Encrypted):
            found = opened_secret(self.sealing, value)
        else:
            found = bytes.fromhex(value) if re.fullmatch("[0-9a-f]{64}", value) else None
        if found is None:
            raise self._unsettled(PSEUDONYMS)
        return found

    # --- erasing ----------------------------------------------------------------------------------

    def empty_log(self) -> bool:
        """Move all of the write-ahead log into the database, and cut it to nothing.

        False when that cannot be done now, since another process reads an older state.
        """
        if not self.on_disk:
            return True
        with self._mutex, translated(self.path):
            deadline = time.monotonic() + self.wait_s
            while True:
                busy = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                if not busy:
                    return True
                if time.monotonic() > deadline:
                    return False
                time.sleep(_STEP_S)

    def vacuum(self) -> None:
        """Delete what was overwritten and write the file anew."""
        with self._mutex, translated(self.path):
            with self.writing() as connection:
                put(connection, "erasing", "vacuum")
                self.delete_overwritten(connection)
            # Deleting rows moves others, which leaves copies behind: only now they are gone.
            vacuum(self.connection)

    def delete_overwritten(self, connection: sqlite3.Connection) -> None:
        """Delete the rows of what was removed, inside ``writing``; a vacuum has to follow."""
        for table, column in (("vectors", "sample"), ("crops", "sample"), ("samples", "id")):
            connection.execute(
                f"DELETE FROM {table} WHERE {column} NOT IN (SELECT sample FROM owners) "
                f"AND {column} NOT IN (SELECT sample FROM checksums)"
            )
        connection.execute("DELETE FROM labels WHERE id NOT IN (SELECT label FROM people)")
        connection.execute("DELETE FROM consents WHERE id NOT IN (SELECT consent FROM consented)")
        connection.execute("DELETE FROM negatives WHERE id NOT IN (SELECT negative FROM rejected)")
        connection.execute("UPDATE totals SET value = 0 WHERE name = 'dead'")

    def check(self) -> list[str]:
        """What is wrong with the database, in words."""
        found: list[str] = []
        with self._mutex, translated(self.path):
            try:
                for (text,) in self.connection.execute("PRAGMA integrity_check(20)"):
                    if text != "ok":
                        found.append(f"{self.path}: {text}")
                for row in self.connection.execute("PRAGMA foreign_key_check"):
                    found.append(f"{self.path}: {row[0]} {row[1]} refers to a missing {row[2]}")
            except sqlite3.Error as error:
                if not is_corrupt(error):
                    raise
                found.append(f"{self.path}: {error}")
        return found


def refuse_server(kind: str) -> None:
    """OptionError: it is an index on a server, which has the vectors as they are."""
    if ":" in kind:
        raise OptionError(
            f"{kind.partition(':')[0]} would hold the vectors of an encrypted gallery as they are: "
            f"expected an index in this process, got {kind!r:.100}",
            option="index",
            hint="choose auto, exact, turbo or another engine without a server",
        )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _put_in_place(beside: Path, target: Path) -> bool:
    """Give a file its name, unless another one has it."""
    try:
        os.link(beside, target)  # unlike a rename, it fails if another process was quicker
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        if target.exists():
            return False
        beside.rename(target)
    return True


def _exists(folder: Path) -> GalleryExistsError:
    return GalleryExistsError(
        f"{folder}: there is a gallery already",
        hint="{open_or_create}, or choose another folder",
    )


def closed(folder: Path) -> GalleryClosedError:
    """The error for who uses a gallery that was closed."""
    if str(folder) == MEMORY:
        return GalleryClosedError(
            f"{folder}: this gallery was closed, and what was in it is gone",
            hint="save(folder) before it is closed keeps it",
        )
    return GalleryClosedError(f"{folder}: this gallery was closed", hint="open it again")


def _lock(folder: Path, wait_s: float) -> Lock:
    """Be the one who writes."""

    def busy(holder: str) -> GalleryLockedError:
        who = f"another process ({holder})" if holder.startswith("process ") else holder
        if holder == f"process {os.getpid()}":
            return GalleryLockedError(
                f"{folder}: this process ({holder}) has the gallery open for writing already",
                hint="use the one that is open, or close it first",
            )
        return GalleryLockedError(
            f"{folder}: {who} has the gallery open for writing; waited {wait_s:g} s",
            hint="close it there, {wait_or_read}",
        )

    try:
        return locked(folder / LOCK, busy=busy, wait_s=wait_s, required=True)
    except NotAFileError as error:
        raise GalleryError(
            f"{folder / LOCK}: {reason_of(error)}; nothing was changed",
            hint="remove it while nobody has the gallery open: a new one is made",
        ) from error
    except OSError as error:
        raise GalleryReadOnlyError(
            f"{folder / LOCK}: the gallery cannot be written to ({reason_of(error)})",
            hint="{read_only}check the folder's rights",
        ) from error


def discard(folder: Path, *, keep_folder: bool) -> None:
    """Remove a closed gallery's files, and the folder if nothing else is in it.

    Args:
        folder: of the gallery.
        keep_folder: leave the folder, since it was there before the gallery was.
    """
    with suppress(OSError):
        remove_all(folder / INDEX)
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", LOCK):
        (folder / name).unlink(missing_ok=True)
    if not keep_folder:
        with suppress(OSError):  # something else is in it
            folder.rmdir()
