"""Files: opened with care, replaced atomically, made durable, locked between processes, hashed."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, cast

from lineament.errors import LineamentError, OptionError

if TYPE_CHECKING:
    from filelock import BaseFileLock

DATA = Path(__file__).parent / "data"
"""What travels inside the package."""

_POLL_S = 0.02
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
"""What ``flock`` answers on file systems without locks (some network ones)."""


class NotAFileError(OSError):
    """A name stands for something else than the file that was expected; ``strerror`` says what."""


class TooManyBytesError(OSError):
    """A file is bigger than its reader takes; ``strerror`` says so."""


_KINDS = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_NO_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)


def check_regular(status: os.stat_result, path: str | os.PathLike[str], *, inside: bool) -> None:
    """Refuse what is no regular file, and with ``inside`` what has another name besides.

    Args:
        status: of ``os.fstat`` (or ``os.lstat``).
        path: for the error.
        inside: the file belongs to a folder of ours, see ``open_regular``.

    Raises:
        NotAFileError: says what it is.
    """
    code = errno.EINVAL
    if not stat.S_ISREG(status.st_mode):
        kinds = (kind for is_one, kind in _KINDS if is_one(status.st_mode))
        if stat.S_ISDIR(status.st_mode):
            code = errno.EISDIR
        raise NotAFileError(code, f"expected a file, got {next(kinds, 'no file')}", os.fspath(path))
    if inside and status.st_nlink > 1:
        raise NotAFileError(code, "expected a file of one name, got a hard link", os.fspath(path))


def open_regular(
    path: str | os.PathLike[str], *, inside: bool = False, writing: bool = False
) -> BinaryIO:
    """Open a file that exists: neither a pipe, for which one would wait, nor a device.

    Args:
        path: of the file.
        inside: the file belongs to a folder of ours (a gallery, an index, a job, a cache) that may
            have come from somebody else. No link is followed then, and a file with a second name
            (a hard link) is refused, so that nothing outside the folder is read or changed.
        writing: for reading and writing; its content stays.

    Returns:
        The open binary file, for a ``with`` block.

    Raises:
        NotAFileError: an OSError; there is something else of that name.
        OSError: there is no such file, or it cannot be opened.
        ValueError: a NUL character in the path.
    """
    flags = (os.O_RDWR if writing else os.O_RDONLY) | _NO_WAITING | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags | (_NO_LINKS if inside else 0))
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK) and inside:
            text = "expected a file, got a link"
            raise NotAFileError(errno.EINVAL, text, os.fspath(path)) from error
        if error.errno in (errno.ENXIO, errno.EISDIR):  # a socket; a folder to be written
            check_regular(os.stat(path), path, inside=inside)  # noqa: PTH116
        raise
    try:
        check_regular(os.fstat(handle), path, inside=inside)
        return os.fdopen(handle, "r+b" if writing else "rb")
    except BaseException:
        os.close(handle)
        raise


def read_regular(
    path: str | os.PathLike[str], *, inside: bool = False, at_most: int | None = None
) -> bytes:
    """The bytes of a file, as ``open_regular`` opens it.

    Args:
        path: of the file.
        inside: see ``open_regular``.
        at_most: bytes; a bigger file is not read. None reads any.

    Raises:
        NotAFileError, TooManyBytesError: OSErrors.
        OSError, ValueError: as ``open_regular``.
    """
    with open_regular(path, inside=inside) as file:
        size = os.fstat(file.fileno()).st_size
        if at_most is None:
            return file.read()
        data = b"" if size > at_most else file.read(at_most + 1)  # it may grow meanwhile
        if max(size, len(data)) > at_most:
            text = f"expected at most {at_most:,} bytes, got {max(size, len(data)):,}"
            raise TooManyBytesError(errno.EFBIG, text, os.fspath(path))
        return data


def is_own(status: os.stat_result) -> bool:
    """Whether a file or folder is this user's, or the administrator's; on Windows: always."""
    return not hasattr(os, "geteuid") or status.st_uid in (os.geteuid(), 0)


def is_real_folder(path: str | os.PathLike[str]) -> bool:
    """Whether it is a folder itself, and no link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def remove_all(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; of a link the link alone.

    Nothing is opened that is no folder, and nothing happens where there is nothing.

    Raises:
        OSError: it cannot be removed, or not all of it.
    """
    if is_real_folder(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def make_way(path: Path) -> None:
    """Remove what stands in the place of a file of ours and is none: a link, a pipe, a folder.

    Raises:
        OSError: it cannot be removed.
    """
    try:
        if stat.S_ISREG(os.lstat(path).st_mode):
            return
    except FileNotFoundError:
        return
    remove_all(path)


def open_new(path: Path) -> BinaryIO:
    """Open an empty file of that name to write to, in the place of the file or link that is there.

    Raises:
        OSError: a folder has that name, or it cannot be made.
    """
    path.unlink(missing_ok=True)
    return path.open("xb")


def write_atomically(
    path: str | os.PathLike[str],
    data: bytes | memoryview,
    *,
    durable: bool = False,
    private: bool = False,
) -> None:
    """Write a file so that nobody ever sees half of it; one that exists is replaced.

    Args:
        path: of the file; its folder must exist.
        data: its content.
        durable: return only when the file is on the disk.
        private: nobody but its owner may read it, from the first moment on.

    Raises:
        OptionError: the folder does not exist or cannot be written to, the disk is full, or the
            path is a folder.
    """
    target = Path(path)
    try:
        replace_file(target, data, durable=durable, private=private)
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        raise OptionError(
            f"{target}: cannot be written ({_reason(target, error)}); name a file in a folder that "
            "exists and that you may write to"
        ) from error


def replace_file(
    target: Path, data: bytes | memoryview, *, durable: bool = False, private: bool = False
) -> None:
    """As ``write_atomically``, with the errors of the operating system.

    Raises:
        OSError, ValueError: the file was not written; one that existed is unchanged.
    """
    with replacing(target, durable=durable, private=private) as file:
        file.write(data)


def write_private(target: Path, data: bytes) -> None:
    """Write a new file that nobody but its owner may read (mode 0600), from the first moment on.

    It gets its name with all of its content, and is on the disk then. Nothing is ever replaced.

    Args:
        target: path of the file; its folder must exist.
        data: its content.

    Raises:
        FileExistsError: something has that name, if only a link that leads nowhere.
        OSError, ValueError: it cannot be written; there is nothing of it then.
    """
    new = _free_name(target)
    try:
        with _new_file(new, private=True) as file:
            file.write(data)
            sync_file(file)
        try:
            os.link(new, target)  # unlike a rename it takes no other file's place
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links: take the name first
            _new_file(target, private=True).close()
            new.replace(target)
    finally:
        new.unlink(missing_ok=True)
    sync_folder(target.parent)


def _new_file(path: Path, *, private: bool) -> BinaryIO:
    """Make a file and open it; the umask is honored, as files made by tempfile do not."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, 0o600 if private else 0o666)

    return open(path, "x+b", opener=opener)


def _free_name(target: Path) -> Path:
    import secrets  # not needed at every start

    return target.parent / f".lineament-{os.getpid()}-{secrets.token_hex(4)}.tmp"


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """A free name beside the target; what is made there gets the target's name in the end.

    After an exception it is removed, and a target that existed is unchanged.

    Raises:
        OSError, ValueError: it cannot be renamed.
    """
    new = _free_name(target)
    try:
        yield new
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def replacing(target: Path, *, durable: bool = False, private: bool = False) -> Iterator[BinaryIO]:
    """Open a file to be written piece by piece; it gets its name when the block ends normally.

    Until then it is a file beside the target, ``.lineament-*.tmp`` (its path is the ``name`` of
    what is yielded); after an exception it is removed, and a target that existed is unchanged.

    Args:
        target: path of the file; its folder must exist.
        durable: the file and its name are on the disk when the block has ended.
        private: nobody but its owner may read it, from the first moment on.

    Raises:
        OSError, ValueError: it cannot be made, written or renamed.
        OptionError: the target is a device, a pipe or a socket, whose place no file must take.
    """
    if target.exists() and not (target.is_file() or target.is_dir()):
        raise OptionError(f"expected a file, {target} is a device, a pipe or a socket")
    # Beside the target, since a rename is atomic within one file system only.
    with beside(target) as new, _new_file(new, private=private) as file:
        yield file
        if durable:
            sync_file(file)
    if durable:
        sync_folder(target.parent)


def sync_file(file: BinaryIO) -> None:
    """Put what was written to an open file on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Put the names of a folder's files on the disk, where the system has a call for that."""
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


def sha256_of_file(path: str | os.PathLike[str], *, inside: bool = False) -> bytes:
    """Return the 32 bytes; the file is not held in memory as a whole.

    Args:
        path: of the file.
        inside: see ``open_regular``.

    Raises:
        OSError, ValueError: as ``open_regular``.
    """
    import hashlib  # not needed at every start
    import io

    with open_regular(path, inside=inside) as file:
        return hashlib.file_digest(cast(io.BufferedReader, file), "sha256").digest()


class Lock:
    """A lock file that this process holds until ``release`` or the end of a ``with`` block.

    The operating system releases it however the process ends; a forked child does not hold it.

    Attributes:
        works: False where the file system has no locks: nothing is held, and nobody is kept out.
    """

    def __init__(self, lock: BaseFileLock, *, works: bool) -> None:
        """Use ``locked``."""
        self._lock = lock
        self.works = works

    def release(self) -> None:
        """Let others have it; a second call does nothing. Any thread may."""
        self._lock.release()

    def __enter__(self) -> Lock:
        """Hold it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release it."""
        self.release()


def locked(
    path: Path,
    *,
    busy: Callable[[str], LineamentError],
    wait_s: float = 0.0,
    required: bool = False,
) -> Lock:
    """Lock a file for one writer, among threads and processes; it is made and stays.

    The lock is advisory and exclusive (``flock``; on Windows the first byte is locked). The file
    holds "process 123" of the last holder, for messages.

    Args:
        path: of the lock file; its folder must exist.
        busy: makes the error for a lock that another one holds, from the holder's name ("process
            123", or "another process" where that cannot be read).
        wait_s: how long to wait for it, seconds.
        required: raise where the file system has no locks.

    Returns:
        The lock, for a ``with`` block or ``release``.

    Raises:
        NotAFileError: an OSError; there is something else of that name, or a hard link.
        OSError: the file cannot be made or written to; with ``required`` also where the file
            system has no locks.
        LineamentError: the result of ``busy``.
    """
    from filelock import FileLock, Timeout

    try:
        path.open("xb").close()  # filelock would make the folder, too
    except FileExistsError:
        open_regular(path, inside=True, writing=True).close()
    lock = FileLock(
        path,
        timeout=wait_s,
        poll_interval=_POLL_S,
        thread_local=False,
        fallback_to_soft=False,
        on_acquired=lambda handle: _sign(handle, path),
    )
    try:
        lock.acquire()
    except Timeout as error:
        raise busy(_holder(path)) from error
    except NotAFileError:
        raise
    except OSError as error:
        if required or error.errno not in _NO_LOCKS:
            raise
        return Lock(lock, works=False)
    return Lock(lock, works=True)


def _sign(handle: int, path: Path) -> None:
    check_regular(os.fstat(handle), path, inside=True)  # it may be another file by now
    os.ftruncate(handle, 0)
    os.write(handle, f"process {os.getpid()}".encode())


def _holder(path: Path) -> str:
    try:
        with open_regular(path, inside=True) as file:
            text = file.read(40).decode("ascii", "replace").strip()
    except OSError:  # Windows: what is locked cannot be read
        text = ""
    return text or "another process"
