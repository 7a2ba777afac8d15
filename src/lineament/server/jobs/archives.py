"""Photos and films out of a zip that somebody sent, with bounds on all that it may do.

Each member is judged by its name and kind before anything is read, and is read piece by piece into
a new file, counting what comes, not what the archive says. Refused as a whole: absolute names and
".." in names, links and devices, passwords, methods of packing that hardly anybody uses, names that
come twice, more members, bytes or packing than photos have. Passed over, and named: what is no
photo or film by its ending, archives in the archive among them: nothing is unpacked twice.
"""

from __future__ import annotations

import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from lineament.errors import DataError, LineamentError
from lineament.files import open_new
from lineament.images.find import IMAGE_SUFFIXES
from lineament.text import reason_of
from lineament.video.sources import FILM_SUFFIXES

PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """How much an archive may hold.

    Attributes:
        members: entries, of whatever kind.
        bytes: unpacked, in all.
        ratio: unpacked to packed, of a member of more than 1 MiB and of the whole: photos and films
            are packed already, and hardly get smaller.
        depth: folders in each other.
        name_bytes: of one folder's or file's name, as file systems take it.
    """

    members: int = 200_000
    bytes: int = 64 << 30
    ratio: float = 50.0
    depth: int = 8
    name_bytes: int = 200


DEFAULT_ARCHIVE_LIMITS = ArchiveLimits()

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_PASSED_OVER = 1000
"""So many are named."""


@dataclass(frozen=True, slots=True)
class Member:
    """A photo or film of an archive.

    Attributes:
        name: its path in the archive, with "/", in NFC, checked.
        info: as zipfile has it.
    """

    name: str
    info: zipfile.ZipInfo


def members_of(
    archive: zipfile.ZipFile, limits: ArchiveLimits = DEFAULT_ARCHIVE_LIMITS
) -> tuple[list[Member], list[str]]:
    """Judge all members by what the archive says of them.

    Returns:
        The photos and films, and what is passed over: "name: reason", the first 1000.

    Raises:
        DataError: one that makes the archive one that is not unpacked.
    """
    infos = archive.infolist()
    if len(infos) > limits.members:
        raise DataError(f"expected at most {limits.members:,} members, got {len(infos):,}")
    found: list[Member] = []
    passed_over: list[str] = []
    seen: set[str] = set()
    claimed = packed = 0
    for info in infos:
        name = _checked(info, limits)
        if name is None:
            continue
        suffix = PurePosixPath(name).suffix.lower()
        if suffix not in IMAGE_SUFFIXES | FILM_SUFFIXES:
            if len(passed_over) < _PASSED_OVER:
                passed_over.append(f"{name}: no photo or film")
            continue
        if name.casefold() in seen:
            raise DataError(f"{name}: expected each name once, it comes again")
        seen.add(name.casefold())
        claimed += info.file_size
        packed += info.compress_size
        if claimed > limits.bytes:
            raise DataError(f"expected at most {limits.bytes:,} bytes unpacked, got more")
        _check_ratio(name, info.file_size, info.compress_size, limits)
        found.append(Member(name, info))
    _check_ratio("the archive", claimed, packed, limits)
    return found, passed_over


def _checked(info: zipfile.ZipInfo, limits: ArchiveLimits) -> str | None:
    """A member's name; None: it is passed over without a word. DataError: it is refused."""
    raw = info.orig_filename
    shown = f"{raw!r:.100}"
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DataError(f"{shown}: expected files and folders, got a link or a device")
    if info.flag_bits & 0x1:
        raise DataError(f"{shown}: expected an archive without a password")
    if "\0" in raw or "\\" in raw or any(ord(letter) < 32 for letter in raw):
        raise DataError(f"{shown}: expected names without control characters and backslashes")
    parts = raw.rstrip("/").split("/")
    drive = len(parts[0]) >= 2 and parts[0][1] == ":"
    if raw.startswith("/") or drive or any(part in ("", ".", "..") for part in parts):
        raise DataError(f"{shown}: expected names within the archive, got a path that leads out")
    if len(parts) > limits.depth + 1:
        raise DataError(f"{shown}: expected at most {limits.depth} folders in each other")
    try:
        parts = [unicodedata.normalize("NFC", part) for part in parts]
        if any(len(part.encode()) > limits.name_bytes for part in parts):
            raise DataError(f"{shown}: expected names of at most {limits.name_bytes} bytes")
    except UnicodeEncodeError as error:
        raise DataError(f"{shown}: expected names in UTF-8") from error
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    if hidden or info.is_dir() or raw.endswith("/"):
        return None
    if info.compress_type not in _METHODS:
        raise DataError(f"{shown}: expected members that are stored or deflated")
    return "/".join(parts)


def _check_ratio(name: str, size: int, packed: int, limits: ArchiveLimits) -> None:
    if size > PIECE and size > limits.ratio * max(packed, 1):
        raise DataError(
            f"{name}: expected photos and films, it unpacks to {limits.ratio:g} times its size and "
            "more"
        )


def _plain(path: Path) -> BinaryIO:
    return path.open("rb")


@contextmanager
def open_archive(
    path: Path,
    limits: ArchiveLimits = DEFAULT_ARCHIVE_LIMITS,
    opened: Callable[[Path], BinaryIO] = _plain,
) -> Iterator[zipfile.ZipFile]:
    """Open a zip, for a ``with`` block.

    Args:
        path: of the zip.
        limits: on what it may hold.
        opened: opens the file, which may be encrypted (``vault``).

    Raises:
        DataError: it is none, damaged, or its list of members alone is too long.
    """
    try:
        with ExitStack() as stack:
            file = stack.enter_context(opened(path))
            if _directory_bytes(file) > 400 * limits.members:  # zipfile reads all of it at once
                raise DataError(f"expected at most {limits.members:,} members, got more")
            file.seek(0)
            archive = stack.enter_context(zipfile.ZipFile(file))
            closing = stack.pop_all()
    except (
        zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error
    ) as error:  # fmt: skip
        if isinstance(error, LineamentError):
            raise
        raise DataError(f"expected a zip of photos or films ({reason_of(error)})") from error
    with closing:
        yield archive


def _directory_bytes(file: BinaryIO) -> int:
    """Length of the central directory, by the record at the end (APPNOTE 4.3.14 to 4.3.16)."""
    size = file.seek(0, 2)
    start = max(0, size - (1 << 16) - 22)
    file.seek(start)
    tail = file.read()
    last = tail[-22:]
    plain = last[:4] == b"PK\5\6" and last[-2:] == b"\0\0"
    at = len(tail) - 22 if plain else tail.rfind(b"PK\5\6")
    if at < 0:
        return 0  # zipfile says that it is none
    entries, length = struct.unpack_from("<10xHI", tail, at)
    if at + start < 20 or (entries != 0xFFFF and length != 0xFFFFFFFF):
        return int(length)
    file.seek(at + start - 20)
    locator = file.read(20)
    if locator[:4] != b"PK\6\7":
        return int(length)
    (place,) = struct.unpack_from("<8xQ", locator)
    file.seek(min(place, size))
    (longer,) = struct.unpack_from("<40xQ", file.read(56))
    return int(max(length if length != 0xFFFFFFFF else 0, longer))


def check_archive(
    path: Path,
    limits: ArchiveLimits = DEFAULT_ARCHIVE_LIMITS,
    opened: Callable[[Path], BinaryIO] = _plain,
) -> int:
    """How many photos and films a zip has. Arguments as ``open_archive``.

    Raises:
        DataError: see ``members_of``, or it has none.
    """
    with open_archive(path, limits, opened) as archive:
        found, _ = members_of(archive, limits)
    if not found:
        raise DataError("expected photos or films in the zip, got none")
    return len(found)


def unpacked_bytes(path: Path, opened: Callable[[Path], BinaryIO] = _plain) -> int:
    """Bytes of the photos and films of a zip, as it says; arguments and errors as above."""
    with open_archive(path, opened=opened) as archive:
        return sum(member.info.file_size for member in members_of(archive)[0])


def unpack(
    path: Path,
    folder: Path,
    *,
    limits: ArchiveLimits = DEFAULT_ARCHIVE_LIMITS,
    progress: Callable[[int, int], None] | None = None,
    opened: Callable[[Path], BinaryIO] = _plain,
) -> list[str]:
    """Write a zip's photos and films into a folder, which holds nothing else.

    Args:
        path: of the zip.
        folder: it exists, and is empty.
        limits: on what it may hold.
        progress: called with (members done, all) after each.
        opened: as for ``open_archive``.

    Returns:
        What was passed over, in words.

    Raises:
        DataError: it is not unpacked, or is damaged; some files may be there already.
    """
    total = 0
    size = path.stat().st_size
    with open_archive(path, limits, opened) as archive:
        found, passed_over = members_of(archive, limits)
        for number, member in enumerate(found, 1):
            with _new_file(folder, member.name) as file:
                for piece in _pieces(archive, member):
                    total += len(piece)
                    if total > limits.bytes or total > limits.ratio * size + PIECE:
                        raise DataError(
                            "expected photos and films, the archive unpacks to far more than it "
                            "is long"
                        )
                    file.write(piece)
            if progress is not None:
                progress(number, len(found))
    return passed_over


def _new_file(folder: Path, name: str) -> BinaryIO:
    target = folder.joinpath(*name.split("/"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return open_new(target)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise DataError(f"{name}: expected a file or a folder of that name, it is both") from error


def _pieces(archive: zipfile.ZipFile, member: Member) -> Iterator[bytes]:
    """A member's bytes, at most as many as it says. DataError: it is damaged."""
    left = member.info.file_size
    try:
        with archive.open(member.info) as file:
            while piece := file.read(min(PIECE, left + 1)):
                left -= len(piece)
                if left < 0:
                    raise DataError(f"{member.name}: it is longer than the archive says")
                yield piece
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{member.name}: it is damaged ({reason_of(error)})") from error
