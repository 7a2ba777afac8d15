"""A file that one process at a time has locked; the system unlocks it however the process ends."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import IO, Any

from lineament.errors import GalleryLockedError, GalleryReadOnlyError

_STEP_S = 0.02


def locked(path: Path, wait_s: float) -> IO[bytes]:
    """The lock file, locked for this process alone; the system unlocks it when it is closed."""
    try:
        file = path.open("a+b")
    except OSError as error:
        raise GalleryReadOnlyError(
            f"{path}: the gallery cannot be written to ({error.strerror}): open it read-only, or "
            "check the folder's rights"
        ) from error
    deadline = time.monotonic() + wait_s
    while not _try_lock(file):
        if time.monotonic() > deadline:
            file.seek(0)
            holder = file.read(40).decode("ascii", "replace").strip()
            file.close()
            raise GalleryLockedError(
                f"{path.parent}: another process{f' ({holder})' if holder else ''} has the gallery "
                f"open for writing; waited {wait_s:g} s",
                hint="close it there, {wait_or_read}",
            )
        time.sleep(_STEP_S)
    file.truncate(0)
    file.write(f"process {os.getpid()}".encode())
    file.flush()
    return file


def _try_lock(file: IO[bytes]) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        return _try_lock_windows(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _try_lock_windows(file: IO[bytes]) -> bool:
    import importlib

    msvcrt: Any = importlib.import_module("msvcrt")
    file.seek(1 << 20)  # past what is written, so that others can read who holds it
    try:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    file.seek(0)
    return True
