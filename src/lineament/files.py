"""Files: written at once or not at all, made durable, hashed; where the package's own lie."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from lineament.errors import OptionError

DATA = Path(__file__).parent / "data"
"""What travels inside the package."""


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that nobody ever sees half of it; one that exists is replaced.

    Args:
        path: of the file; its folder must exist.
        data: what it shall hold.

    Raises:
        OptionError: the folder does not exist or cannot be written to, the disk is full, or the
            path is a folder.
    """
    target = Path(path)
    try:
        replace_file(target, data)
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        raise OptionError(
            f"{target}: cannot be written ({_reason(target, error)}); name a file in a folder that "
            "exists and that you may write to"
        ) from error


def replace_file(target: Path, data: bytes | memoryview, *, durable: bool = False) -> None:
    """The same with the errors of the operating system; ``durable``: on the disk on return.

    Raises:
        OSError, ValueError: whatever went wrong; a file that was there is whole.
    """
    # Beside the target, since a rename is atomic within one file system only. "xb" honors the
    # umask, as files made by tempfile do not.
    beside = target.parent / f".lineament-{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        with beside.open("xb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    if durable:
        sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Put the folder's list of names on the disk; where that cannot be done, it need not."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    except OSError:  # nor do some network file systems know how
        pass
    finally:
        os.close(handle)


def _reason(target: Path, error: Exception) -> str:
    try:
        if target.is_dir():
            return "it is a folder"
        if not target.parent.is_dir():
            return f"there is no folder {target.parent}"
    except (OSError, ValueError):
        pass
    return getattr(error, "strerror", None) or str(error)


def sha256_of_file(path: str | os.PathLike[str]) -> bytes:
    """Return the 32 bytes; the file is not held in memory as a whole.

    Raises:
        OSError, ValueError: it cannot be read; the name holds a NUL character.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
