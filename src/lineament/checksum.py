"""The SHA-256 of a file: how weights, downloads and photographs are told apart."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def sha256_of_file(path: str | os.PathLike[str]) -> bytes:
    """Return the 32 bytes; the file is not held in memory as a whole.

    Raises:
        OSError, ValueError: it cannot be read; the name holds a NUL character.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
