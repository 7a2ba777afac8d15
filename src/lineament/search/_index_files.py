"""The files of an index: a header that names and vouches for the others.

A folder holds ``index.json`` and files with names of their own that are never used again, so that
replacing the header replaces everything at once, under the eyes of readers too:

- ``vectors-*.f32``: rows of D little-endian float32. Grows at its end; rows past the header's count
  are not valid yet. Each row has a checksum among the slots, compared whenever the row is used, so
  that opening need not read gigabytes.
- ``slots-*.bin``: ids (N,) int64, rows (N,) int64, checksums (N,) uint32.
- ``wipe-*.bin``: rows (W,) int64 of removed vectors, to be overwritten with zeros once the header
  that no longer knows them stands on the disk.
- whatever else the engine keeps: ``codes-*.bin``, ``projection-*.bin``.

An encrypted gallery has one file instead, ``sealed-index.bin`` (``_sealed_files``).

All but the vectors are compared with a CRC-32 in the header before anybody looks at them; the
header has a SHA-256 of itself. Checksums find accidents, not forgers: so that a folder which came
from somebody else harms nobody, no link is followed, nothing but a file is opened, and lengths are
compared before anything is read.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import zlib
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from lineament import forms
from lineament.errors import DataError, IndexFileError
from lineament.files import (
    is_real_folder,
    make_way,
    open_regular,
    read_regular,
    replace_file,
    sync_file,
)
from lineament.sealed import shred_at
from lineament.text import reason_of

HEADER = "index.json"
MAGIC = "lineament index"
VERSION = 1
ROLES = ("vectors", "slots", "wipe", "codes", "projection", "engine", "labels", "seal")
SEALED = "sealed-index.bin"
"""The encrypted index of an encrypted gallery, in place of all others (``_sealed_files``)."""
BLOCK_BYTES = 1 << 22
MOST_HEADER = 1 << 20
"""Bytes of ``index.json``; a real one has some 1,200."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file: its name, its length in bytes and the CRC-32 of it. The vectors have none: 0."""

    name: str
    size: int
    crc32: int


@dataclass(frozen=True, slots=True)
class Header:
    """What ``index.json`` says.

    Attributes:
        dimension: D.
        contract: of the embeddings.
        count: N, of the slots.
        rows: valid ones of the vectors' file, removed ones among them.
        state: the caller's.
        parts: by role.
        extra: numbers of the engine's.
    """

    dimension: int
    contract: str
    count: int
    rows: int
    state: str
    parts: dict[str, Part]
    extra: dict[str, int]


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def damaged(path: Path, what: str) -> IndexFileError:
    """The error that says so and what to do."""
    return IndexFileError(
        f"{path}: {what}. The index is derived from the gallery's database: rebuild it"
    )


def read_header(folder: Path) -> Header:
    """Read and check ``index.json``; IndexFileError says what is wrong with it."""
    path = folder / HEADER
    if os.path.lexists(folder) and not is_real_folder(folder):
        raise damaged(folder, "is no folder, or a link to one")
    try:
        content = json.loads(read_regular(path, inside=True, at_most=MOST_HEADER))
    except OSError as error:
        raise damaged(path, f"cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise damaged(path, "is damaged") from error
    if not isinstance(content, dict) or content.get("magic") != MAGIC:
        raise damaged(path, "is not the header of an index")
    if content.get("version") != VERSION:
        raise damaged(
            path, f"expected an index of version {VERSION}, got {content.get('version')!r}"
        )
    check = content.pop("sha256", None)
    if _digest(content) != check:
        raise damaged(path, "is damaged: its checksum differs")
    try:
        header = forms.convert(content, Header, what="header")
    except DataError as error:
        raise damaged(path, f"is damaged ({error})") from error
    if not (0 <= header.count <= header.rows and header.dimension > 0):
        raise damaged(path, "its counts contradict each other")
    return header


def write_header(folder: Path, header: Header) -> None:
    """Put ``index.json`` in place, on the disk when this returns."""
    content = {"magic": MAGIC, "version": VERSION, **asdict(header)}
    content["sha256"] = _digest(content)
    make_way(folder / HEADER)
    replace_file(
        folder / HEADER, json.dumps(content, indent=1, sort_keys=True).encode(), durable=True
    )


def new_name(role: str) -> str:
    """A file name that nothing had before."""
    return f"{role}-{secrets.token_hex(8)}.{'f32' if role == 'vectors' else 'bin'}"


def crc_of(file: BinaryIO) -> int:
    """CRC-32 of an open file from where it is, read in blocks."""
    crc = 0
    while block := file.read(BLOCK_BYTES):
        crc = zlib.crc32(block, crc)
    return crc


def write_part(folder: Path, role: str, data: bytes) -> Part:
    """Write a new file of that role, on the disk when this returns."""
    path = folder / new_name(role)
    with path.open("xb") as file:
        file.write(data)
        sync_file(file)
    return Part(path.name, len(data), zlib.crc32(data))


def write_part_with(folder: Path, role: str, write: Callable[[Path], None]) -> Part:
    """As ``write_part``, by a function that writes a file itself and sees to its being on disk."""
    path = folder / new_name(role)
    write(path)
    with open_regular(path, inside=True) as file:
        return Part(path.name, os.fstat(file.fileno()).st_size, crc_of(file))


def open_part(
    folder: Path,
    header: Header,
    role: str,
    *,
    size: int | None = None,
    at_most: int | None = None,
    crc: bool = True,
) -> BinaryIO:
    """Open a part whose length (and checksum) are as the header says, for a ``with`` block.

    Args:
        folder: of the index.
        header: of it.
        role: of the part.
        size: bytes that it has to have, compared before anything is read; None: any number.
        at_most: bytes that it may have; likewise.
        crc: whether to compare all of it. The vectors alone grow, and may be longer than the
            header says: they are not compared here.

    Raises:
        IndexFileError: there is none, it is another one, or no file of this folder alone.
    """
    part = header.parts.get(role)
    if part is None:
        raise damaged(folder / HEADER, f"names no file of {role}")
    if Path(part.name).name != part.name or not part.name.startswith(f"{role}-"):
        raise damaged(folder / HEADER, f"names a file that is not the index's, {part.name!r:.80}")
    path = folder / part.name
    if size is not None and part.size != size:
        raise damaged(path, f"expected {size} bytes, the header says {part.size}")
    if at_most is not None and part.size > at_most:
        raise damaged(path, f"expected at most {at_most} bytes, the header says {part.size}")
    try:
        file = open_regular(path, inside=True)
    except (OSError, ValueError) as error:
        raise damaged(path, f"cannot be read ({reason_of(error)})") from error
    try:
        there = os.fstat(file.fileno()).st_size
        if there < part.size or (crc and there != part.size):
            raise damaged(path, f"expected {part.size} bytes, got {there}")
        if crc and crc_of(file) != part.crc32:
            raise damaged(path, "is damaged: its checksum differs")
        file.seek(0)
    except OSError as error:
        file.close()
        raise damaged(path, f"cannot be read ({reason_of(error)})") from error
    except BaseException:
        file.close()
        raise
    return file


def read_part(folder: Path, header: Header, role: str, size: int) -> bytes:
    """The bytes of a part, ``size`` of them; errors as ``open_part``."""
    with open_part(folder, header, role, size=size) as file:
        return file.read(size)


def clear(folder: Path, keep: set[str], *, wipe: bool) -> None:
    """Remove the files that no header names any more, overwritten with zeros before if ``wipe``.

    Only names that this module gives are touched. A file that another process holds open stays
    where the operating system wants it so, and goes the next time.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            ours = path.name.startswith(tuple(f"{role}-" for role in ROLES))
            ours |= path.name == SEALED
            stray = path.name.startswith((".lineament-", f".{HEADER}-")) and path.suffix == ".tmp"
            if not (ours or stray) or path.name in keep:
                continue
            if wipe:
                with suppress(OSError):  # a link, a pipe, or another name of somebody's file
                    (shred_at if path.name == SEALED else _overwrite)(path)
            with suppress(OSError):
                path.unlink(missing_ok=True)


def wipe_files(folder: Path, keep: Collection[str] = ()) -> None:
    """Overwrite an index's files with zeros and remove them, as far as that can be done.

    Of an encrypted one its key is overwritten, which nothing can be read without.

    Args:
        folder: of the index.
        keep: names of files that stay.
    """
    if is_real_folder(folder):
        with suppress(OSError):
            (folder / HEADER).unlink(missing_ok=True)
            clear(folder, set(keep), wipe=True)


def _overwrite(path: Path) -> None:
    with open_regular(path, inside=True, writing=True) as file:
        handle = file.fileno()
        end = os.fstat(handle).st_size
        at = _next_data(handle, 0, end)
        while at < end:
            os.lseek(handle, at, os.SEEK_SET)
            at += os.write(handle, bytes(min(end - at, BLOCK_BYTES)))
            at = _next_data(handle, at, end)
        sync_file(file)


def _next_data(handle: int, at: int, end: int) -> int:
    """From where on there is something in it: holes are zeros already, and may be terabytes."""
    if not hasattr(os, "SEEK_DATA"):  # Windows
        return at
    try:
        return os.lseek(handle, at, os.SEEK_DATA)
    except OSError as error:
        return end if error.errno == errno.ENXIO else at  # ENXIO: nothing but a hole
