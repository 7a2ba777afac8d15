"""An index as one encrypted file, for a caller who has a key; nothing else of it is on the disk.

The file is read and decrypted as a whole, into memory (``lineament.sealed``), and written anew as a
whole, beside the one that is there and then in its place. What is inside:

    4 bytes, big-endian: the length of what follows
    JSON: ``Content``
    ids (N,) little-endian int64, checksums (N,) uint32, vectors (N, D) float32
    what the engine keeps besides, as ``Content.parts`` says

It lies in the folder of an index's other files and in their place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from lineament.errors import DataError, IndexFileError, OptionError
from lineament.files import is_real_folder, make_way, open_regular, replacing
from lineament.sealed import SealedReader, SealedWriter, shred
from lineament.search._index_files import SEALED, damaged, wipe_files
from lineament.search.exact import Content, ExactIndex
from lineament.search.index import Index
from lineament.text import reason_of


def save_sealed(index: Index, folder: Path, state: str, key: bytes, about: bytes) -> None:
    """As ``Index.save``, encrypted.

    The file that was there is made unreadable, and files that are not encrypted are overwritten
    and removed.

    Args:
        index: in this process.
        folder: made if need be.
        state: ``load_sealed`` returns it.
        key: 32 bytes.
        about: whose index it is.

    Raises:
        OptionError: the folder cannot be written to.
    """
    path = folder / SEALED
    try:
        folder.mkdir(exist_ok=True)  # but not what it is in: that may have been removed
        make_way(path)
        with _held(path) as old:
            with replacing(path, durable=True) as file:
                out = SealedWriter(file, key, about)
                _own(index).dump(out.write, state)
                out.close()
            if old is not None:
                shred(old)
        wipe_files(folder, keep={SEALED})
    except OSError as error:
        raise OptionError(
            f"{folder}: the index cannot be written ({reason_of(error)}); name a folder that "
            "you may write to, on a disk with room"
        ) from error


def load_sealed(
    index: Index, folder: Path, key: bytes, about: bytes, *, most: int | None = None
) -> str:
    """As ``Index.load`` of what ``save_sealed`` wrote; the state.

    Raises:
        IndexFileError: there is none, or it is another one's, or was changed or cut.
    """
    path = folder / SEALED
    if not is_real_folder(folder):
        raise damaged(folder, "is no folder, or a link to one")
    try:
        with SealedReader(open_regular(path, inside=True), key, about, path) as reader:
            length = int.from_bytes(reader.read_bytes(4), "big")
            content = msgspec.json.decode(reader.read_bytes(length), type=Content)
            _own(index).restore(content, reader, most=most)
            if reader.tell() != reader.size:
                raise damaged(path, "is longer than it says")
    except (OSError, ValueError, DataError, msgspec.DecodeError) as error:
        raise damaged(path, f"cannot be read ({reason_of(error)})") from error
    return content.state


def _own(index: Index) -> ExactIndex:
    if not isinstance(index, ExactIndex):
        raise IndexFileError("expected an index in this process, got one on a server")
    return index


@contextmanager
def _held(path: Path) -> Iterator[BinaryIO | None]:
    """The file that is about to be replaced, open for writing; None: there is none."""
    file: BinaryIO | None = None
    if os.path.lexists(path):
        with suppress(OSError, ValueError):
            file = open_regular(path, inside=True, writing=True)
    try:
        yield file
    finally:
        if file is not None:
            file.close()
