"""Files: atomic, durable, locked."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import filelock
import pytest
from foreign_things import run

from lineament import files
from lineament.errors import LineamentError, OptionError
from lineament.files import (
    NotAFileError,
    TooManyBytesError,
    locked,
    open_regular,
    read_regular,
    replace_file,
    replacing,
    sha256_of_file,
    write_atomically,
    write_private,
)


def busy(holder: str) -> LineamentError:
    return OptionError(f"held by {holder}")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


HOLD = """
import sys, time
from pathlib import Path
from lineament.errors import OptionError
from lineament.files import locked
with locked(Path(sys.argv[1]), busy=OptionError):
    print("held", flush=True)
    time.sleep(60)
"""


def holder_of(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_as_a_whole(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")
    with replacing(path, durable=durable) as file:
        file.write(b"ne")
        assert path.read_bytes() == b"old"
        assert Path(file.name).parent == tmp_path
        file.write(b"w")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["file"]
    assert sha256_of_file(path).hex().startswith("11507a0e")


def test_after_an_error_the_file_is_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old", durable=True)
    with pytest.raises(ZeroDivisionError), replacing(path) as file:
        file.write(bytes([1 // 0]))
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


posix = pytest.mark.skipif(os.name != "posix", reason="there are no such rights here")


@posix
@pytest.mark.parametrize("write", [write_private, partial(write_atomically, private=True)])
def test_nobody_else_reads_a_private_file_for_a_moment(
    tmp_path: Path, write: Callable[[Path, bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    before = os.umask(0)

    def seen(handle: int) -> None:
        modes.extend(path.stat().st_mode & 0o777 for path in tmp_path.iterdir())

    try:
        monkeypatch.setattr(os, "fsync", seen)
        with monkeypatch.context() as patched:
            patched.setattr(files, "sync_folder", lambda folder: seen(0))
            write(tmp_path / "file", b"secret")
        seen(0)
    finally:
        os.umask(before)
    assert modes
    assert set(modes) == {0o600}
    assert (tmp_path / "file").read_bytes() == b"secret"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("links", [True, False])
def test_a_private_file_takes_no_place(
    tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "file"
    write_private(path, b"first")
    with pytest.raises(FileExistsError):
        write_private(path, b"second")
    assert path.read_bytes() == b"first"
    assert path.stat().st_nlink == 1
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
        (tmp_path / "link").symlink_to(tmp_path / "nothing")
        with pytest.raises(FileExistsError):
            write_private(tmp_path / "link", b"second")
        (tmp_path / "link").unlink()
    with pytest.raises(FileNotFoundError):
        write_private(tmp_path / "nowhere" / "file", b"")
    assert names(tmp_path) == ["file"]


def no_links(*_: object) -> None:
    raise OSError(errno.EPERM, "no hard links here")


@pytest.mark.parametrize("links", [True, False])
def test_one_of_many_makes_a_private_file(
    tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", no_links)

    def make(number: int) -> bytes | None:
        try:
            write_private(tmp_path / "file", bytes([number]) * 32)
        except FileExistsError:
            return None
        return bytes([number]) * 32

    with ThreadPoolExecutor(8) as pool:
        made = [one for one in pool.map(make, range(32)) if one is not None]
    assert made == [(tmp_path / "file").read_bytes()]
    assert names(tmp_path) == ["file"]


def test_one_process_holds_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = holder_of(path)
    try:
        start = time.monotonic()
        with pytest.raises(OptionError, match=f"held by process {process.pid}$"):
            locked(path, busy=busy, wait_s=0.1)
        assert time.monotonic() - start >= 0.1
    finally:
        process.kill()
        process.communicate()
    with locked(path, busy=busy, wait_s=5.0) as lock:  # the system released it
        assert lock.works
        assert path.read_text() == f"process {os.getpid()}"


def test_two_locks_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        locked(path, busy=busy) as lock,
        pytest.raises(OptionError, match=f"process {os.getpid()}"),
    ):
        locked(path, busy=busy)
    lock.release()  # a second time: nothing
    locked(path, busy=busy).release()


def test_any_thread_releases(tmp_path: Path) -> None:
    lock = locked(tmp_path / "lock", busy=busy)
    thread = threading.Thread(target=lock.release)
    thread.start()
    thread.join()
    with locked(tmp_path / "lock", busy=busy):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_does_not_keep_a_lock(tmp_path: Path) -> None:
    code = f"""
import os, time
from pathlib import Path
from lineament.errors import OptionError
from lineament.files import locked
lock = locked(Path({str(tmp_path / "lock")!r}), busy=OptionError)
child = os.fork()
if not child:
    os.close(1)
    time.sleep(60)
    os._exit(0)
print(child, flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, text=True
    )
    child = int(done.stdout)
    try:
        locked(tmp_path / "lock", busy=busy).release()
    finally:
        os.kill(child, 9)


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        locked(tmp_path / "none" / "lock", busy=busy)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes and devices")
def test_a_lock_is_a_file_of_its_folder_alone(tmp_path: Path) -> None:
    run(
        """
from lineament.files import NotAFileError, locked
for kind in THINGS:
    place = Path(sys.argv[1]) / kind
    place.mkdir()
    own = outside(place)
    put(kind, place / "lock", own)
    for required in (False, True):
        try:
            with locked(place / "lock", busy=LineamentError, required=required) as lock:
                assert lock.works
            assert kind.endswith("file") and not kind.startswith("link"), kind
        except NotAFileError as error:
            assert error.strerror.startswith("expected a file"), error
            assert not kind.endswith(" file") or kind.startswith("link"), kind
        assert is_unchanged(own), kind
""",
        tmp_path,
    )


def test_it_may_become_another_file_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.txt"
    own.write_bytes(b"words")
    acquire = filelock.FileLock._acquire  # type: ignore[attr-defined]

    def replaced(self: object) -> None:
        (tmp_path / "lock").unlink()
        (tmp_path / "lock").hardlink_to(own)
        acquire(self)

    monkeypatch.setattr(filelock.FileLock, "_acquire", replaced)
    with pytest.raises(NotAFileError, match="hard link"):
        locked(tmp_path / "lock", busy=busy)
    assert own.read_bytes() == b"words"
    monkeypatch.undo()
    (tmp_path / "lock").unlink()
    locked(tmp_path / "lock", busy=busy).release()


def test_where_there_are_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(self: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "_acquire", none)
    with locked(tmp_path / "lock", busy=busy) as lock:
        assert not lock.works
    with pytest.raises(OSError, match="No locks"):
        locked(tmp_path / "lock", busy=busy, required=True)


# ---- removed and replaced ------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes and devices")
def test_a_place_is_cleared_and_nothing_that_it_leads_to(tmp_path: Path) -> None:
    run(
        """
from lineament.files import make_way, open_new, remove_all, sha256_of_file
STAY = ("hard link", "sparse file", "empty file", "unreadable file")
for kind in THINGS:
    place = Path(sys.argv[1]) / kind
    place.mkdir()
    own = outside(place)
    path = place / "it"
    for clear in (remove_all, make_way, open_new, remove_all):
        put(kind, path, own)
        if kind in ("pipe", "socket", "link to a device"):
            try:
                sha256_of_file(path)
                raise AssertionError(kind)
            except OSError:
                pass
        if clear is open_new:
            if kind != "folder":
                open_new(path).close()
                assert path.read_bytes() == b"" and not path.is_symlink()
        else:
            clear(path)
            left = clear is make_way and kind in STAY
            assert path.exists() == left, (kind, clear)
        assert is_unchanged(own), (kind, clear)
    remove_all(place / "nothing")
""",
        tmp_path,
    )


# ---- opened with care ----------------------------------------------------------------------------


def test_a_file_is_read_and_written_in_place(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old one")
    with open_regular(path, inside=True, writing=True) as file:
        file.write(b"new")
    assert read_regular(path, inside=True) == b"new one"
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "missing", writing=True)


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("writing", [False, True])
@pytest.mark.parametrize("what", ["a folder", "a pipe", "a socket", "a device"])
def test_what_is_no_file_is_refused_at_once(
    tmp_path: Path, what: str, writing: bool, inside: bool
) -> None:
    path = tmp_path / "it"
    if what == "a folder":
        path.mkdir()
    elif what == "a pipe":
        os.mkfifo(path)
    elif what == "a device":
        path = Path("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
    with pytest.raises(NotAFileError, match=f"expected a file, got {what}"):
        open_regular(path, inside=inside, writing=writing)


@pytest.mark.parametrize("writing", [False, True])
def test_no_link_leads_out_of_a_folder(tmp_path: Path, writing: bool) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    symbolic, hard = tmp_path / "symbolic", tmp_path / "hard"
    symbolic.symlink_to(outside)
    assert read_regular(symbolic) == b"mine", "one's own links are followed"
    with pytest.raises(NotAFileError, match="got a link"):
        open_regular(symbolic, inside=True, writing=writing)
    hard.hardlink_to(outside)
    with pytest.raises(NotAFileError, match="got a hard link"):
        open_regular(hard, inside=True, writing=writing)


def test_a_file_that_is_too_big_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(1001))
    assert len(read_regular(path, at_most=1001)) == 1001
    with pytest.raises(TooManyBytesError, match="expected at most 1,000 bytes, got 1,001"):
        read_regular(path, at_most=1000)
