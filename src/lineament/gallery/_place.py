"""The database's files as they lie in the folder: no others', and still the ones that were opened.

SQLite opens by name what lies beside a database, follows links, and writes what it finds there back
into the database. A rollback journal even names a file that is deleted with it ("super-journal",
sqlite.org/fileformat.html). So all names are looked at before SQLite is called. A gallery has a
write-ahead log and never a journal.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from lineament.errors import GalleryDamagedError, GalleryError
from lineament.files import NotAFileError, check_regular, open_regular
from lineament.text import reason_of

LONGEST_PATH = 500
"""Bytes of the database's path: SQLite takes 512, for the journal's."""


def stray(name: str, number: str) -> str:
    """What a new database is called until it has its name."""
    return f".{name}-{number}.tmp"


def check_files(path: Path) -> None:
    """See that the database and what SQLite opens beside it are files of this folder alone.

    Raises:
        GalleryDamagedError: one is a link, a pipe, a device, has a second name, or is a journal.
        GalleryError: the database may not be read, or its path is too long.
    """
    check_length(path)
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
        if not os.path.samestat(status, os.lstat(path)):
            raise NotAFileError(0, "expected a file, got a link", str(path))
        check_regular(_less_strays(status, path), path, inside=True)
    except NotAFileError as error:
        raise _foreign(path, error) from error
    except OSError as error:
        raise GalleryError(
            f"{path}: the gallery cannot be read ({reason_of(error)})", hint="check its rights"
        ) from error
    for suffix in ("-wal", "-shm", "-journal"):
        beside = path.with_name(path.name + suffix)
        try:
            status = os.lstat(beside)
            check_regular(status, beside, inside=True)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _foreign(beside, error) from error
        if suffix == "-journal" and status.st_size > 0:
            raise GalleryDamagedError(
                f"{beside}: expected no rollback journal beside a gallery, got one: another "
                "program left it, or it came with somebody else's files; nothing was changed",
                hint="move that file elsewhere, then see by verify whether the gallery is sound",
            )


def check_length(path: Path) -> None:
    """GalleryError: SQLite takes no path that is so long, and does not say so."""
    length = len(os.fsencode(os.path.realpath(path)))
    if length > LONGEST_PATH:
        raise GalleryError(
            f"{path}: the path is too long: expected at most {LONGEST_PATH} bytes, got {length}",
            hint="choose another folder",
        )


def _foreign(path: Path, error: OSError) -> GalleryDamagedError:
    return GalleryDamagedError(
        f"{path}: {reason_of(error)}; what is in a gallery's folder has to be there itself, and "
        "nothing was changed",
        hint="put a copy of the file in its place if you trust it, or restore a backup",
    )


def _less_strays(status: os.stat_result, path: Path) -> os.stat_result:
    """The status without the names that a creation which a crash interrupted left behind."""
    if status.st_nlink < 2:
        return status
    links = status.st_nlink
    start, _, end = stray(path.name, "\0").partition("\0")
    with os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.name.startswith(start) and entry.name.endswith(end):
                links -= os.path.samestat(entry.stat(follow_symlinks=False), status)
    fields = list(status)
    fields[stat.ST_NLINK] = links
    return os.stat_result(fields)


class Place:
    """Which files an open database has; to be asked whether their names still stand for them."""

    def __init__(self, path: Path, lock: Path) -> None:
        """Look at database and lock, which are there; at the log when it is first asked for."""
        self._path = path.absolute()  # wherever the process goes
        self._all = (self._path, self._path.with_name(path.name + "-wal"), lock.absolute())
        self._known: dict[Path, tuple[int, int]] = {}
        self.is_same()

    def is_same(self) -> bool:
        """Whether all of them are the files that they were at the first look."""
        return all(map(self._stays, self._all))

    def _stays(self, path: Path) -> bool:
        known = self._known.get(path)
        try:
            status = os.stat(path)  # noqa: PTH116  (at each change: faster than by way of a Path)
        except OSError:
            return known is None
        found = (status.st_dev, status.st_ino)
        # Some network file systems have no numbers for files: then there is nothing to compare.
        return self._known.setdefault(path, found) == found or 0 in (found[1], known and known[1])

    def check(self) -> None:
        """GalleryError: they are not."""
        if not self.is_same():
            raise GalleryError(
                f"{self._path}: the gallery's files were removed, moved or replaced while it was "
                "open: nothing of this change can be relied on",
                hint="open the gallery again, and see what is in it",
            )
