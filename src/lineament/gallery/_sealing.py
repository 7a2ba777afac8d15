"""How values that say who somebody is stand in the database: as they are, or encrypted.

Every such value goes through ``seal`` before it is written and through ``unseal`` (or, in SQL,
through the expression that ``reads`` gives) when it is read. In an encrypted gallery it is 12
random bytes, the AES-256-GCM ciphertext (NIST SP 800-38D) of the value and of one byte for its
kind, and the 16 bytes of its tag. What is authenticated with it is the gallery, the table, the
column and the number of the row, so that a value that was moved cannot be decrypted in its new
place.

The key of the values, the data key, is 32 random bytes that stand in the settings, encrypted
("wrapped") with the key that the owner keeps: another key of theirs needs no more than another
wrapping. The gallery's secret, which names and photos are hashed with, is encrypted with the data
key.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from lineament.errors import GalleryDamagedError, GalleryKeyError
from lineament.gallery._damage import UNDECRYPTED
from lineament.sealed import KEY, NONCE, TAG, broken
from lineament.sealed import aead as cipher

Value = str | bytes | None
Rows = Sequence[tuple[int, Any, Any, Any]]
Opener = Callable[[int, object], object]

OVERHEAD = NONCE + 1 + TAG
"""Bytes by which a value gets longer."""

FIELDS = {
    "labels": ("id", ("name", "metadata")),
    "samples": ("id", ("source", "sha256", "face", "metadata")),
    "vectors": ("sample", ("vector",)),
    "crops": ("sample", ("png",)),
    "consents": ("id", ("record",)),
    "negatives": ("id", ("source", "sha256", "vector")),
}
"""What is encrypted: table -> the column of its rows' numbers, and the columns."""

_TEXT, _BYTES = b"t", b"b"


class Sealing(Protocol):
    """What ``Store.sealing`` does."""

    @property
    def encrypted(self) -> bool:
        """Whether values are encrypted."""
        ...

    @property
    def version(self) -> str:
        """Which data key it is; "" without encryption."""
        ...

    def seal(self, table: str, column: str, row: int, value: Value) -> Value:
        """A value as it is written into that row."""
        ...

    def unseal(self, table: str, column: str, row: int, value: object) -> object:
        """The way back; None for what cannot be decrypted."""
        ...

    def reads(self, table: str, column: str, row: str, value: str) -> str:
        """The way back as SQL, from the SQL of the row's number and of the column."""
        ...

    def vectors(self, rows: Rows) -> list[tuple[int, Any, Any, Any]]:
        """Rows of a sample's number, its vector, and two more values; the vector unsealed."""
        ...

    def opener(self, table: str, column: str) -> Opener:
        """``unseal`` for the values of one column, of a row's number and the value: for many."""
        ...

    def register(self, connection: sqlite3.Connection) -> None:
        """Give a connection what the SQL of ``reads`` calls."""
        ...


class Open:
    """Values stand in the database as they are."""

    encrypted = False
    version = ""

    def seal(self, table: str, column: str, row: int, value: Value) -> Value:
        """The value itself."""
        return value

    def unseal(self, table: str, column: str, row: int, value: object) -> object:
        """The value itself."""
        return value

    def reads(self, table: str, column: str, row: str, value: str) -> str:
        """The column itself."""
        return value

    def vectors(self, rows: Rows) -> list[tuple[int, Any, Any, Any]]:
        """The rows themselves."""
        return list(rows)

    def opener(self, table: str, column: str) -> Opener:
        """Gives the value itself."""
        return lambda row, value: value

    def register(self, connection: sqlite3.Connection) -> None:
        """Nothing is called."""


class Encrypted:
    """Values are encrypted with a data key."""

    encrypted = True

    def __init__(self, data_key: bytes, gallery: bytes, version: str) -> None:
        """For ``made`` and ``unlocked``.

        Args:
            data_key: 32 bytes.
            gallery: what tells this gallery's values from those of others, 16 bytes.
            version: which of the gallery's data keys it is.
        """
        self.version = version
        self.data_key = data_key
        self.gallery = gallery
        self._aead = aead(data_key)
        self._broken = broken()
        self._places: dict[tuple[str, str], bytes] = {}

    def _place(self, table: str, column: str, row: int) -> bytes:
        start = self._places.get((table, column))
        if start is None:
            start = self._places[table, column] = b"%b%b.%b\0" % (
                self.gallery,
                table.encode(),
                column.encode(),
            )
        return start + row.to_bytes(8, "big", signed=True)

    def seal(self, table: str, column: str, row: int, value: Value) -> Value:
        """As ``Sealing.seal``."""
        if value is None:
            return None
        if isinstance(value, str):
            data = value.encode("utf-8", "surrogateescape") + _TEXT  # damaged text, as it is read
        else:
            data = value + _BYTES
        nonce = os.urandom(NONCE)
        sealed: bytes = self._aead.encrypt(nonce, data, self._place(table, column, row))
        return nonce + sealed

    def unseal(self, table: str, column: str, row: int, value: object) -> object:
        """As ``Sealing.unseal``."""
        if type(value) is not bytes:
            return None
        found = self._decrypted(value, self._place(table, column, row))
        if found is None:
            return None
        return str(found[:-1], "utf-8", "surrogateescape") if found[-1:] == _TEXT else found[:-1]

    def _decrypted(self, value: bytes, place: bytes) -> bytes | None:
        try:
            found: bytes = self._aead.decrypt(value[:NONCE], value[NONCE:], place)
        except self._broken:
            return None
        return found

    def reads(self, table: str, column: str, row: str, value: str) -> str:
        """As ``Sealing.reads``."""
        return f"unsealed('{table}', '{column}', {row}, {value})"

    def vectors(self, rows: Rows) -> list[tuple[int, Any, Any, Any]]:
        """As ``Sealing.vectors``; ``UNDECRYPTED`` in place of what cannot be decrypted."""
        start = self._place("vectors", "vector", 0)[:-8]
        decrypted = self._decrypted
        found: list[tuple[int, Any, Any, Any]] = []
        for number, vector, *rest in rows:
            if type(vector) is bytes:
                data = decrypted(vector, start + number.to_bytes(8, "big", signed=True))
                found.append((number, UNDECRYPTED if data is None else data[:-1], *rest))
            else:
                found.append((number, vector, *rest))
        return found

    def opener(self, table: str, column: str) -> Opener:
        """As ``Sealing.opener``."""
        start, decrypt, broken_ = (
            self._place(table, column, 0)[:-8],
            self._aead.decrypt,
            self._broken,
        )

        def opened(row: int, value: object) -> object:
            if type(value) is not bytes:
                return None
            try:
                found = decrypt(
                    value[:NONCE], value[NONCE:], start + row.to_bytes(8, "big", signed=True)
                )
            except broken_:
                return None
            data = found[:-1]
            return str(data, "utf-8", "surrogateescape") if found[-1:] == _TEXT else data

        return opened

    def register(self, connection: sqlite3.Connection) -> None:
        """As ``Sealing.register``."""

        openers: dict[tuple[str, str], Opener] = {}

        def unsealed(table: str, column: str, row: Any, value: Any) -> Any:
            """As ``unseal``, in few calls: searches do it for each candidate."""
            opener = openers.get((table, column))
            if opener is None:
                opener = openers[table, column] = self.opener(table, column)
            return opener(row, value) if type(row) is int else None

        connection.create_function("unsealed", 4, unsealed)


def aead(key: bytes) -> Any:
    """AES-256-GCM. MissingExtraError: ``cryptography`` is not installed."""
    return cipher(key, "encrypting galleries")


# --- the data key in the settings -----------------------------------------------------------------


class Envelope(msgspec.Struct, frozen=True):
    """The settings' row "encryption": the data key, wrapped. Always of the same length.

    Attributes:
        version: of this layout.
        cipher: of the values and of the wrapping.
        gallery: what tells this gallery's values from those of others, 16 bytes in hex.
        data: which data key it is, 8 bytes in hex.
        key: which key unwraps it, 4 bytes of a hash in hex (``Key.id``).
        wrapped: nonce, ciphertext and tag in hex.
    """

    version: int
    cipher: str
    gallery: str
    data: str
    key: str
    wrapped: str


VERSION, CIPHER = 1, "AES-256-GCM"
ROW = "encryption"
"""Of the settings."""


def key_id(key: bytes) -> str:
    """What tells one key from another in messages: 4 bytes of a hash, in hex."""
    return hashlib.blake2b(key, digest_size=4, person=b"lineament key").hexdigest()


def made(gallery: bytes | None = None) -> Encrypted:
    """A new data key: of a new gallery, or of one that has a number already."""
    return Encrypted(
        secrets.token_bytes(KEY),
        secrets.token_bytes(16) if gallery is None else gallery,
        secrets.token_hex(8),
    )


def wrapped(sealing: Encrypted, key: bytes) -> str:
    """The settings' row: the data key for who has this key of 32 bytes."""
    nonce = os.urandom(NONCE)
    sealed = aead(key).encrypt(nonce, sealing.data_key, _about(sealing.gallery, sealing.version))
    envelope = Envelope(
        VERSION,
        CIPHER,
        sealing.gallery.hex(),
        sealing.version,
        key_id(key),
        (nonce + sealed).hex(),
    )
    return msgspec.json.encode(envelope).decode()


def _about(gallery: bytes, version: str) -> bytes:
    return b"lineament data key %d\0%b%b" % (VERSION, gallery, version.encode())


def read_envelope(row: str, where: str) -> Envelope:
    """Read the settings' row.

    Raises:
        GalleryDamagedError: it is none, or of another version.
    """
    try:
        found = msgspec.json.decode(row, type=Envelope)
        sizes = (found.gallery, 16), (found.data, 8), (found.wrapped, NONCE + KEY + TAG)
        fits = all(len(bytes.fromhex(text)) == size for text, size in sizes)
    except (msgspec.DecodeError, ValueError) as error:
        raise GalleryDamagedError(
            f"{where}: the settings are damaged (encryption): restore a backup"
        ) from error
    if not fits or found.version != VERSION or found.cipher != CIPHER:
        raise GalleryDamagedError(
            f"{where}: the settings are damaged (encryption), or a newer lineament wrote them: "
            "restore a backup, or update this one"
        )
    return found


def unlocked(envelope: Envelope, key: bytes, where: str) -> Encrypted:
    """The data key. GalleryKeyError: it is another key's."""
    gallery, sealed = bytes.fromhex(envelope.gallery), bytes.fromhex(envelope.wrapped)
    own = aead(key)
    try:
        data = own.decrypt(sealed[:NONCE], sealed[NONCE:], _about(gallery, envelope.data))
    except broken() as error:
        found = key_id(key)
        if found == envelope.key:
            raise GalleryDamagedError(
                f"{where}: the settings are damaged (encryption): restore a backup"
            ) from error
        raise GalleryKeyError(
            f"{where}: expected the key {envelope.key}, got the key {found}", hint="{key}"
        ) from error
    return Encrypted(data, gallery, envelope.data)


_SECRET_TABLE, _SECRET = "settings", "secret"


def sealed_secret(sealing: Encrypted, secret: bytes) -> str:
    """The gallery's secret as it stands in the settings of an encrypted gallery."""
    sealed = sealing.seal(_SECRET_TABLE, _SECRET, 0, secret)
    assert isinstance(sealed, bytes)
    return sealed.hex()


def opened_secret(sealing: Encrypted, value: str | None) -> bytes | None:
    """The way back; None for what is none."""
    try:
        sealed = bytes.fromhex("" if value is None else value)
    except ValueError:
        return None
    found = sealing.unseal(_SECRET_TABLE, _SECRET, 0, sealed)
    return found if isinstance(found, bytes) and len(found) == KEY else None
