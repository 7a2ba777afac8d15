"""Bytes from any place of a large file, from any number of threads and processes."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from lineament.errors import DataError
from lineament.files import check_regular
from lineament.images import describe_source


class RandomFile:
    """A file that is read in pieces, opened once in each process.

    ``os.pread`` has no place in the file that readers could move for each other, so threads and
    forked processes share it without a lock.

    Attributes:
        path: of the file.
        size: bytes in it when it was opened.
    """

    def __init__(self, path: str | os.PathLike[str], *, keep_open: bool = True) -> None:
        """Look at the file.

        Args:
            path: of the file.
            keep_open: False opens it for each piece, where there are too many files.

        Raises:
            DataError: there is none, or it cannot be read.
        """
        self.path = Path(path)
        self.keep_open = keep_open
        self._descriptor: int | None = None
        try:
            descriptor = os.open(self.path, _FLAGS)
            try:
                check_regular(os.fstat(descriptor), self.path, inside=False)
                self.size = os.fstat(descriptor).st_size
                _pread(descriptor, 1, 0)  # a folder can be opened, not read
            finally:
                os.close(descriptor)
        except (OSError, ValueError) as error:
            raise self._error(error) from error

    def __str__(self) -> str:
        """The path, as messages show it."""
        return describe_source(self.path)

    def read(self, offset: int, length: int, what: str) -> bytes:
        """Read a piece.

        Args:
            offset: of its first byte.
            length: bytes.
            what: it is called so in messages.

        Raises:
            DataError: the file does not have it, or cannot be read any more. Nothing is allocated
                for bytes that are not there.
        """
        if offset < 0 or length < 0 or offset + length > self.size:
            raise DataError(
                f"{self}: expected {what} with {length:,} bytes at {offset:,}, but the file has "
                f"{self.size:,}; it is cut short or damaged, copy it anew"
            )
        try:
            descriptor = self._open()
            try:
                data = self._whole(descriptor, offset, length)
            finally:
                if not self.keep_open:
                    os.close(descriptor)
        except OSError as error:
            raise self._error(error) from error
        if len(data) != length:
            raise DataError(
                f"{self}: expected {what} with {length:,} bytes at {offset:,}, got {len(data):,}; "
                "the file has become shorter, copy it anew"
            )
        return data

    def close(self) -> None:
        """Close it in this process; it is opened again when it is read again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        """Close it."""
        if getattr(self, "_descriptor", None) is not None:
            self.close()

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs: not the descriptor, which is this one's."""
        return {**self.__dict__, "_descriptor": None}

    def _open(self) -> int:
        if not self.keep_open:
            return os.open(self.path, _FLAGS)
        if self._descriptor is None:
            opened = os.open(self.path, _FLAGS)
            if self._descriptor is not None:  # another thread was faster
                os.close(opened)
            else:
                self._descriptor = opened
        return self._descriptor

    @staticmethod
    def _whole(descriptor: int, offset: int, length: int) -> bytes:
        data = _pread(descriptor, length, offset)
        while len(data) < length:  # one call gives 2 GiB at most
            more = _pread(descriptor, length - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def _error(self, error: Exception) -> DataError:
        reason = getattr(error, "strerror", None)
        return DataError(
            f"{self}: expected a file that can be read, got: {error if reason is None else reason}"
        )


def _pread(descriptor: int, length: int, offset: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, length, offset)
    with _ONE_AT_A_TIME:  # Windows, where nothing forks
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, length)


_ONE_AT_A_TIME = threading.Lock()
_FLAGS = os.O_RDONLY
for _name in ("O_BINARY", "O_CLOEXEC", "O_NONBLOCK"):  # the last: no waiting for a pipe
    _FLAGS |= getattr(os, _name, 0)
