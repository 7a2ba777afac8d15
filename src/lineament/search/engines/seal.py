"""Marks on files that only this user on this machine could have made.

A keyed BLAKE2b (RFC 7693) over a file and what is said of it. The key is 32 random bytes in the
cache folder (``LINEAMENT_CACHE``), readable by its owner alone; whoever copies a folder to another
machine copies no key, and the file is made anew there.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from pathlib import Path

from lineament.errors import WeightsError
from lineament.files import open_regular, read_regular, write_private
from lineament.models import cache_folder

BYTES = 32
_NAME = "index.key"


def mark(path: Path, about: bytes, *, make: bool = True) -> bytes | None:
    """The mark (32 bytes) of the file ``path`` and of ``about``.

    Args:
        path: of the file.
        about: what else is marked.
        make: whether a key is made where there is none.

    Returns:
        None when there is no key and none can be, or may be, made.
    """
    key = _key(make=make)
    if key is None:
        return None
    digest = hashlib.blake2b(about, key=key, digest_size=BYTES)
    with open_regular(path, inside=True) as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.digest()


def _key(*, make: bool) -> bytes | None:
    try:
        path = cache_folder() / _NAME
        if make and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):  # another process was faster
                write_private(path, secrets.token_bytes(BYTES))
        key = read_regular(path, at_most=BYTES)
    except (OSError, ValueError, WeightsError):
        return None
    return key if len(key) == BYTES else None
