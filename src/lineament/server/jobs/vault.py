"""What was sent for jobs and what came out, encrypted where the server has a key of galleries.

The key is made of the one that encrypts galleries (``Key.from_environment``). With it each file is
encrypted (``lineament.sealed``) as it comes, names of files among them, and so are the columns of
``jobs.sqlite`` that name people. The library works on plain files: while a job runs, its files lie
in a folder in memory (``/dev/shm``) where there is one with room; else in the job's own folder, and
are removed when it is over, or when it begins again after a crash.

Without a key everything lies in the folder of the server's data as it is, readable by its owner.
"""

from __future__ import annotations

import hashlib
import io
import json
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from lineament.errors import DataError, GalleryKeyError
from lineament.files import is_own, is_real_folder, open_new, open_regular, remove_all
from lineament.gallery import Key
from lineament.sealed import CHUNK, NONCE, SealedReader, SealedWriter, aead, broken

MEMORY = Path("/dev/shm")
"""A folder in memory, on Linux."""

MOST_IN_MEMORY = 1 << 30
"""Bytes of a job's files up to which they are put there."""

WORK = "work"
"""Folder of a running job, on the disk."""

_NAMES = "names"
"""Of a folder of files that are encrypted: how they were called, as JSON."""


class Vault:
    """Files and values of jobs; encrypted, if there is a key.

    Attributes:
        encrypted: whether there is.
    """

    def __init__(self, folder: Path, key: bytes | None = None) -> None:
        """Use ``of_environment``.

        Args:
            folder: of the server's data.
            key: 32 bytes, of which the key of the jobs is made; None: nothing is encrypted.
        """
        self.encrypted = key is not None
        self._key = b""
        if key is not None:
            self._key = hashlib.blake2b(key=key, person=b"lineament jobs", digest_size=32).digest()
        name = hashlib.blake2b(bytes(folder.absolute()), digest_size=8).hexdigest()
        self._prefix = f"lineament-jobs-{name}-"

    @classmethod
    def of_environment(cls, folder: Path) -> Vault:
        """With the key that the environment names, if it does. GalleryKeyError: it is none."""
        key = Key.from_environment()
        return cls(folder, None if key is None else key.read())

    # --- files ------------------------------------------------------------------------------------

    def create(self, path: Path) -> BinaryIO:
        """A new file, to be written to and closed."""
        file = open_new(path)
        return cast(BinaryIO, _Sealing(file, self._key, path.name)) if self.encrypted else file

    def open(self, path: Path) -> BinaryIO:
        """A file that ``create`` made, to be read from any place.

        Raises:
            OSError: there is none.
            GalleryKeyError: it was encrypted with another key, or changed.
        """
        file = open_regular(path, inside=True)
        if not self.encrypted:
            return file
        try:
            reader = SealedReader(file, self._key, _about(path.name), path.name)
        except DataError as error:
            file.close()
            raise _another() from error
        return io.BufferedReader(reader, CHUNK)

    def keep(self, plain: Path, path: Path) -> None:
        """Encrypt a file that is finished, and remove it."""
        with plain.open("rb") as file, self.create(path) as target:
            shutil.copyfileobj(file, target, CHUNK)
        plain.unlink()

    # --- what was sent ----------------------------------------------------------------------------

    def put_names(self, folder: Path, names: list[str]) -> None:
        """Note how the files "1", "2", ... of a folder were called."""
        with self.create(folder / _NAMES) as file:
            file.write(json.dumps(names).encode())

    def take_out(self, folder: Path, target: Path) -> None:
        """Write the files of a folder into another one, by their names; raises as ``open``.

        Args:
            folder: it need not be there.
            target: likewise; it is made where there are files.
        """
        if not folder.exists():
            return
        if not (folder / _NAMES).exists():  # sent when the server had no key
            shutil.copytree(folder, target)
            return
        with self.open(folder / _NAMES) as file:
            names = json.loads(file.read())
        for number, name in enumerate(names, 1):
            path = target.joinpath(*name.split("/"))
            path.parent.mkdir(parents=True, exist_ok=True)
            with self.open(folder / str(number)) as file, open_new(path) as plain:
                shutil.copyfileobj(file, plain, CHUNK)

    # --- where a job works ------------------------------------------------------------------------

    @contextmanager
    def working(self, folder: Path, room: int) -> Iterator[Path]:
        """A folder for the plain files of a job while it runs; removed afterwards.

        Args:
            folder: of the job.
            room: bytes that come to lie there, about.
        """
        remove_all(folder / WORK)  # of an attempt that did not end
        path = self._in_memory(room)
        if path is None:
            path = folder / WORK
            path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def _in_memory(self, room: int) -> Path | None:
        if not self.encrypted or room > MOST_IN_MEMORY or not is_real_folder(MEMORY):
            return None
        with suppress(OSError):
            if shutil.disk_usage(MEMORY).free >= 2 * room:
                return Path(tempfile.mkdtemp(prefix=self._prefix, dir=MEMORY))
        return None

    def clear_strays(self) -> None:
        """Remove what a process that ended left in memory."""
        with suppress(OSError):
            for path in MEMORY.glob(f"{self._prefix}*"):
                if is_real_folder(path) and is_own(path.lstat()):
                    shutil.rmtree(path, ignore_errors=True)

    # --- values -----------------------------------------------------------------------------------

    def seal(self, number: str, column: str, value: str) -> str | bytes:
        """A value as it stands in a column of a job's row."""
        if not self.encrypted:
            return value
        nonce = secrets.token_bytes(NONCE)
        sealed: bytes = aead(self._key).encrypt(nonce, value.encode(), _place(number, column))
        return nonce + sealed

    def unseal(self, number: str, column: str, value: str | bytes) -> str:
        """The way back. GalleryKeyError: it was encrypted with another key, or changed."""
        if isinstance(value, str):
            return value
        if not self.encrypted:
            raise _another()
        try:
            found: bytes = aead(self._key).decrypt(
                value[:NONCE], value[NONCE:], _place(number, column)
            )
        except broken() as error:
            raise _another() from error
        return found.decode()


class _Sealing:
    """An encrypted file that is being written; what is left unfinished cannot be read."""

    def __init__(self, file: BinaryIO, key: bytes, name: str) -> None:
        self._file, self._writer = file, SealedWriter(file, key, _about(name))

    def write(self, data: Any) -> int:
        return self._writer.write(data)

    def close(self) -> None:
        if not self._file.closed:
            try:
                self._writer.close()
            finally:
                self._file.close()

    def __enter__(self) -> _Sealing:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _about(name: str) -> bytes:
    return b"lineament job\0" + name.encode()


def _place(number: str, column: str) -> bytes:
    return f"lineament job\0{number}\0{column}".encode()


def _another() -> GalleryKeyError:
    return GalleryKeyError(
        "what was sent for the job, or came out, cannot be read with the server's present key",
        hint="send it again",
    )
