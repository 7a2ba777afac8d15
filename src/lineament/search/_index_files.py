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

All but the vectors are compared with a CRC-32 in the header before anybody looks at them; the
header has a SHA-256 of itself. Checksums find accidents, not forgers.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lineament import forms
from lineament.errors import DataError, IndexFileError
from lineament.files import replace_file, sync_file

HEADER = "index.json"
MAGIC = "lineament index"
VERSION = 1
ROLES = ("vectors", "slots", "wipe", "codes", "projection")
BLOCK_BYTES = 1 << 22


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
    try:
        content = json.loads(path.read_bytes())
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
        return forms.convert(content, Header, what="header")
    except DataError as error:
        raise damaged(path, f"is damaged ({error})") from error


def write_header(folder: Path, header: Header) -> None:
    """Put ``index.json`` in place, on the disk when this returns."""
    content = {"magic": MAGIC, "version": VERSION, **asdict(header)}
    content["sha256"] = _digest(content)
    replace_file(
        folder / HEADER, json.dumps(content, indent=1, sort_keys=True).encode(), durable=True
    )


def new_name(role: str) -> str:
    """A file name that nothing had before."""
    return f"{role}-{secrets.token_hex(8)}.{'f32' if role == 'vectors' else 'bin'}"


def crc_of(path: Path) -> int:
    """CRC-32 of a file, read in blocks."""
    crc = 0
    with path.open("rb") as file:
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
    return Part(path.name, path.stat().st_size, crc_of(path))


def checked_path(folder: Path, header: Header, role: str, *, crc: bool = True) -> Path:
    """The path of a part whose length (and checksum) are as the header says; else IndexFileError.

    A part's length may exceed what the header says for the vectors alone, which grow.
    """
    part = header.parts.get(role)
    if part is None:
        raise damaged(folder / HEADER, f"names no file of {role}")
    path = folder / part.name
    if Path(part.name).name != part.name:
        raise damaged(folder / HEADER, f"names a file outside its folder, {part.name!r}")
    try:
        size = path.stat().st_size
        if size < part.size or (crc and size != part.size):
            raise damaged(path, f"expected {part.size} bytes, got {size}")
        if crc and crc_of(path) != part.crc32:
            raise damaged(path, "is damaged: its checksum differs")
    except OSError as error:
        raise damaged(path, f"cannot be read ({error.strerror})") from error
    return path


def clear(folder: Path, keep: set[str], *, wipe: bool) -> None:
    """Remove the files that no header names any more, overwritten with zeros before if ``wipe``.

    Only names that this module gives are touched. A file that another process holds open stays
    where the operating system wants it so, and goes the next time.
    """
    for path in folder.iterdir():
        ours = path.name.startswith(tuple(f"{role}-" for role in ROLES))
        stray = path.name.startswith((".lineament-", f".{HEADER}-")) and path.suffix == ".tmp"
        if not (ours or stray) or path.name in keep:
            continue
        try:
            if wipe:
                _overwrite(path)
            path.unlink(missing_ok=True)
        except OSError:
            continue


def _overwrite(path: Path) -> None:
    left = path.stat().st_size
    with path.open("r+b") as file:
        while left > 0:
            left -= file.write(bytes(min(left, BLOCK_BYTES)))
        sync_file(file)
