"""Files that only who has a key can read: AES-256-GCM (NIST SP 800-38D), in chunks.

A file has a key of its own, 32 random bytes, which stands at its beginning, encrypted ("wrapped")
with the caller's. So overwriting ``KEY_BYTES`` bytes makes all of it unreadable, however long it is
(``shred``), and no nonce comes twice under one key.

    16 bytes  MAGIC
     1 byte   VERSION
    60 bytes  nonce, the file's key encrypted, tag
    then chunks of CHUNK bytes, each encrypted, with a tag of 16 bytes; the last one is shorter

With each chunk its number, whether it is the last, the version and ``about``, what the caller says
the file is, are authenticated: a file that was cut, put together of others, or brought from another
place is refused. Only whole chunks that fit are given to the reader, from any place on, so what was
read is right; an end that is missing shows when the last chunk is read.
"""

from __future__ import annotations

import errno
import io
import os
import secrets
from pathlib import Path
from typing import Any, BinaryIO

from lineament.errors import DataError, MissingExtraError
from lineament.files import open_regular, sync_file

MAGIC, VERSION = b"lineament sealed", 1
NONCE, TAG, KEY = 12, 16, 32
"""Bytes: the lengths that SP 800-38D advises, and of AES-256's key."""
KEY_AT = len(MAGIC) + 1
KEY_BYTES = NONCE + KEY + TAG
HEAD = KEY_AT + KEY_BYTES
CHUNK = 1 << 20


def aead(key: bytes, what: str = "encrypting", extra: str = "encrypt") -> Any:
    """AES-256-GCM. MissingExtraError: ``cryptography`` is not installed."""
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise MissingExtraError(what, extra) from error
    return AESGCM(key)


def broken() -> tuple[type[Exception], ...]:
    """What decrypting raises for what was changed, or is too short."""
    from cryptography.exceptions import InvalidTag

    return InvalidTag, ValueError


def _head(about: bytes) -> bytes:
    return MAGIC + bytes([VERSION]) + about


def _nonce(number: int) -> bytes:
    return number.to_bytes(NONCE, "big")


def _place(about: bytes, number: int, *, last: bool) -> bytes:
    return _head(about) + number.to_bytes(8, "big") + bytes([last])


class SealedWriter:
    """Encrypts what is written to it into a file. ``close`` ends it; without, it cannot be read."""

    def __init__(self, file: BinaryIO, key: bytes, about: bytes) -> None:
        """Begin.

        Args:
            file: open for writing, at the beginning of what is to be written.
            key: 32 bytes.
            about: what the file is; whoever reads it has to say the same.

        Raises:
            MissingExtraError: ``cryptography`` is not installed.
        """
        own = secrets.token_bytes(KEY)
        nonce = os.urandom(NONCE)
        file.write(MAGIC + bytes([VERSION]) + nonce + aead(key).encrypt(nonce, own, _head(about)))
        self._file, self._about, self._aead = file, about, aead(own)
        self._number = 0
        self._rest = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Take some more; how many bytes that is."""
        view = memoryview(data).cast("B")
        at = 0
        if self._rest:
            at = min(CHUNK - len(self._rest), len(view))
            self._rest += view[:at]
            if len(self._rest) < CHUNK:
                return len(view)
            self._put(self._rest, last=False)
            self._rest = bytearray()
        while len(view) - at >= CHUNK:
            self._put(view[at : at + CHUNK], last=False)
            at += CHUNK
        self._rest += view[at:]
        return len(view)

    def close(self) -> None:
        """Write the last chunk; the file stays open."""
        self._put(self._rest, last=True)
        self._rest = bytearray()

    def _put(self, data: bytearray | memoryview, *, last: bool) -> None:
        place = _place(self._about, self._number, last=last)
        self._file.write(self._aead.encrypt(_nonce(self._number), data, place))
        self._number += 1


class SealedReader(io.RawIOBase):
    """Decrypts what a ``SealedWriter`` wrote, from wherever one seeks to.

    Attributes:
        size: bytes that are in it.
    """

    def __init__(self, file: BinaryIO, key: bytes, about: bytes, name: object) -> None:
        """Begin.

        Args:
            file: open for reading; the encrypted file is all of it. It is closed with the reader.
            key: 32 bytes.
            about: as it was given to the writer.
            name: of the file, for errors.

        Raises:
            DataError: no such file, or one of another key, version or ``about``.
            MissingExtraError: ``cryptography`` is not installed.
        """
        super().__init__()
        self._file, self._about, self._name = file, about, name
        length = file.seek(0, os.SEEK_END) - HEAD
        file.seek(0)
        head = file.read(HEAD)
        self._full, rest = divmod(length, CHUNK + TAG)
        if length < TAG or rest < TAG or head[:KEY_AT] != MAGIC + bytes([VERSION]):
            raise self._unreadable("it was cut, or is no encrypted file of this version")
        sealed = head[KEY_AT:]
        try:
            own = aead(key).decrypt(sealed[:NONCE], sealed[NONCE:], _head(about))
        except broken() as error:
            raise self._unreadable("it is of another key or place, or was changed") from error
        self.size = self._full * CHUNK + rest - TAG
        self._aead = aead(own)
        self._broken = broken()
        self._at = 0
        self._number, self._chunk = -1, memoryview(b"")

    def _unreadable(self, why: str) -> DataError:
        return DataError(f"{self._name}: cannot be decrypted: {why}")

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; where that is. OSError: before the beginning."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise _negative()
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        """Where it is."""
        return self._at

    def readinto(self, target: Any) -> int:
        """Read the next bytes, up to the end of a chunk; how many. 0: there are none.

        Raises:
            DataError: it was changed or cut.
        """
        view = memoryview(target).cast("B")
        number, start = divmod(self._at, CHUNK)
        if self._at >= self.size or not len(view):
            return 0
        if number != self._number:
            self._chunk = memoryview(self._decrypted(number))
            self._number = number
        piece = self._chunk[start : start + len(view)]
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _decrypted(self, number: int) -> bytes:
        self._file.seek(HEAD + number * (CHUNK + TAG))
        sealed = self._file.read(CHUNK + TAG)
        place = _place(self._about, number, last=number == self._full)
        try:
            found: bytes = self._aead.decrypt(_nonce(number), sealed, place)
        except self._broken as error:
            raise self._unreadable("it was changed or cut") from error
        return found

    def read_into(self, target: memoryview) -> None:
        """Fill all of it with the next bytes. DataError: it was changed or cut, or there are less.

        Args:
            target: of bytes.
        """
        at = 0
        while at < len(target):
            n = self.readinto(target[at:])
            if n == 0:
                raise self._unreadable("it ends too early")
            at += n

    def read_bytes(self, size: int) -> bytes:
        """The next ``size`` bytes; errors as ``read_into``."""
        if not 0 <= size <= self.size:
            raise self._unreadable("it ends too early")
        found = bytearray(size)
        self.read_into(memoryview(found))
        return bytes(found)

    def close(self) -> None:
        """Close the file, too."""
        if not self.closed:
            self._file.close()
        super().close()


def _negative() -> OSError:
    """What files raise, and zipfile expects."""
    return OSError(errno.EINVAL, "expected a place of 0 or more")


def shred(file: BinaryIO) -> None:
    """Overwrite the key of an open file, which may have lost its name, on the disk when it returns.

    Raises:
        OSError: it cannot be written to.
    """
    file.seek(KEY_AT)
    file.write(bytes(KEY_BYTES))
    sync_file(file)


def shred_at(path: Path) -> None:
    """``shred`` of a file by its path. OSError: there is none, or no file of one name."""
    with open_regular(path, inside=True, writing=True) as file:
        shred(file)
