"""Sees what a case does beyond its own folder: files, programs, sockets, and what stays behind.

Python's audit hooks see every file that Python opens, renames or removes, every program that it
starts and every socket that it connects. What C code does they do not see: for that there are
files outside of the case's folder that are compared after each case, and stand-ins for programs on
the PATH that leave a mark when they are started. A forked child is watched as well.
"""

from __future__ import annotations

import gc
import hashlib
import os
import shutil
import stat
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from doors.case import Case

PROGRAMS = ("gs", "convert", "magick", "sh", "bash", "xdg-open", "curl", "wget", "ffmpeg", "less")
"""Stand-ins on the PATH."""

CANARIES = {
    "letter.txt": b"Dear Ada, this file belongs to the user.\n" * 200,
    "photo.jpg": bytes(range(256)) * 36,
    "private.key": b"-----BEGIN PRIVATE KEY-----\n" + b"A" * 900,
    "weights.bin": b"\1\2\3\4" * 3000,
    "empty": b"",
}
"""Files that nothing may touch."""

GRACE_S = 3.0
"""How long threads, processes and descriptors may take to go."""

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_FOLDERS: dict[str, tuple[tuple[int, int], ...]] = {
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.truncate": ((0, -1),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.utime": ((0, 3),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
}
"""Where in an event's arguments a path stands that is changed, and the folder it starts from."""
_PROGRAM = {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.spawn"}
_EVENTS = {"open", "socket.connect", "ctypes.dlopen", *_FOLDERS, *_PROGRAM}
_APART = "from lineament.weights._child import main"
_DEVICES = ("/dev/null", "/dev/tty", "/dev/pts/", "/dev/ptmx", "/proc/", "/dev/shm/")


class Watch:
    """One worker's home and what is seen there.

    The home holds ``cases`` (a folder each), ``outside``, ``cwd``, ``tmp``, ``cache``, ``user``
    (HOME) and ``bin``.
    """

    def __init__(self, home: Path) -> None:
        """Make the folders and set the environment; nothing is watched yet."""
        self.home = home.resolve()
        for name in ("cases", "outside", "cwd", "tmp", "cache", "user", "bin"):
            (self.home / name).mkdir(parents=True)
        self.outside, self.cwd = self.home / "outside", self.home / "cwd"
        self.marks = self.home / "marks"
        self.marks.mkdir()
        for name in PROGRAMS:
            program = self.home / "bin" / name
            program.write_text(f'#!/bin/sh\necho "$0 $*" >> "{self.marks}/{name}"\n')
            program.chmod(0o755)
        for name in ("gs", "torch", "onnx", "pillow_heif", "pyarrow", "sitecustomize"):
            (self.cwd / f"{name}.py").write_text(
                f"open({str(self.marks / 'imported')!r}, 'a').write({name!r})\n"
            )
        sys.dont_write_bytecode = True  # or what is imported late would be taken for an escape
        os.environ.update(
            PYTHONDONTWRITEBYTECODE="1",
            HOME=str(self.home / "user"),
            TMPDIR=str(self.home / "tmp"),
            LINEAMENT_CACHE=str(self.home / "cache"),
            PATH=f"{self.home / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        )
        for name in ("LINEAMENT_MANIFEST", "LINEAMENT_GALLERY", "http_proxy", "https_proxy"):
            os.environ.pop(name, None)
        os.chdir(self.cwd)
        self._may_write = tuple(
            f"{self.home / name}{os.sep}" for name in ("cases", "tmp", "cache", "user")
        )
        self._journal = os.open(self.home / "journal", os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._read = 0
        self._active = False
        self._inside = threading.local()
        self._case: Case | None = None
        self._plant()
        sys.addaudithook(self._hook)

    # --- what is compared -------------------------------------------------------------------------

    def _plant(self) -> None:
        shutil.rmtree(self.outside, ignore_errors=True)
        self.outside.mkdir(exist_ok=True)
        for name, data in CANARIES.items():
            (self.outside / name).write_bytes(data)
        self._outside = self._state(self.outside)
        self._in_cwd = self._state(self.cwd)

    @staticmethod
    def _state(folder: Path) -> dict[str, tuple[int, int, bytes]]:
        found = {}
        for entry in os.scandir(folder):
            status = entry.stat(follow_symlinks=False)
            digest = b""
            if stat.S_ISREG(status.st_mode):
                digest = hashlib.blake2b(Path(entry.path).read_bytes()).digest()
            found[entry.name] = (status.st_mode, status.st_mtime_ns, digest)
        return found

    def _compared(self) -> list[str]:
        found = []
        for what, folder, before in (
            ("outside", self.outside, self._outside),
            ("the working folder", self.cwd, self._in_cwd),
        ):
            try:
                now = self._state(folder)
            except OSError as error:
                found.append(f"{what} is gone: {error}")
                continue
            changed = [n for n in before.keys() | now.keys() if before.get(n) != now.get(n)]
            found += [f"{what}: {name} was changed" for name in sorted(changed)]
        for mark in self.marks.iterdir():
            found.append(f"started {mark.name}: {mark.read_text(errors='replace')[:200]}")
            mark.unlink()
        if found:
            for name in self._state(self.cwd).keys() - self._in_cwd.keys():
                path = self.cwd / name
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            self._plant()
        return found

    # --- what is heard ----------------------------------------------------------------------------

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._active or event not in _EVENTS or getattr(self._inside, "busy", False):
            return
        self._inside.busy = True
        try:
            said = self._judged(event, arguments)
        except Exception as error:
            said = f"{event}{arguments!r:.200} could not be judged: {error!r}"
        finally:
            self._inside.busy = False
        if said is not None:
            os.write(self._journal, f"{said.splitlines()[0][:400]}\n".encode(errors="replace"))
        if event == "socket.connect" and not self._is_here(arguments[1]):
            raise ConnectionRefusedError("there is no network here")

    @staticmethod
    def _is_here(address: Any) -> bool:
        return isinstance(address, tuple) and str(address[0]).startswith(("127.", "::1"))

    def _judged(self, event: str, arguments: tuple[Any, ...]) -> str | None:
        case = self._case
        assert case is not None
        if event == "open":
            path, mode, flags = arguments
            if isinstance(path, int) or path is None:
                return None
            writes = bool((flags or 0) & _WRITING) or any(c in (mode or "") for c in "wax+")
            full = self._full(path, follow=not (flags or 0) & (os.O_NOFOLLOW | os.O_EXCL))
            if writes and not self._is_ours(full):
                return f"opened for writing: {full}"
            if not case.may_read_outside and full.startswith(f"{self.outside}{os.sep}"):
                return f"opened for reading: {full}"
            return None
        if event in _FOLDERS:
            for at, folder_at in _FOLDERS[event]:
                path = arguments[at]
                if isinstance(path, int):
                    continue
                folder = arguments[folder_at] if 0 <= folder_at < len(arguments) else -1
                name = os.fsdecode(path)
                if isinstance(folder, int) and folder >= 0:
                    name = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), name)
                full = self._full(name, follow=False)
                if not self._is_ours(full):
                    return f"{event}: {full}"
            return None
        if event == "socket.connect":
            address = arguments[1]
            where = tuple(address[:2]) if isinstance(address, tuple) else address
            return None if where in case.allowed else f"connected to {where}"
        if event == "subprocess.Popen" and os.path.basename(str(arguments[0])) == "fc-list":
            return None  # which fonts the system has; its words are fixed
        if event == "subprocess.Popen" and case.may_read_apart:
            words = [str(each) for each in arguments[1]]
            if arguments[0] == sys.executable and _APART in words[-1]:
                return None  # its limits are part of what is tried
        if event == "ctypes.dlopen":
            full = os.path.realpath(os.fsdecode(arguments[0] or "/"))
            return f"loaded {full}" if full.startswith(f"{self.home}{os.sep}") else None
        return f"{event}: {arguments[0]!r:.120} {arguments[1:2]!r:.120}"

    @staticmethod
    def _full(path: Any, *, follow: bool) -> str:
        """A path without links; the last part of it may be one unless it is followed."""
        text = os.path.abspath(os.fsdecode(path))
        if follow:
            return os.path.realpath(text)
        parent, last = os.path.split(text)
        return os.path.join(os.path.realpath(parent), last)

    def _is_ours(self, full: str) -> bool:
        return full.startswith(self._may_write) or full.startswith(_DEVICES)

    # --- around a case ----------------------------------------------------------------------------

    def begin(self, case: Case) -> None:
        """Watch from now on."""
        self._case = case
        self._left = (
            set(threading.enumerate()),
            children(),
            len(os.listdir("/proc/self/fd")),
        )
        self._active = True

    def end(self) -> tuple[list[str], list[str]]:
        """What escaped, and what was left behind."""
        self._active = False
        size = os.fstat(self._journal).st_size
        heard = os.pread(self._journal, size - self._read, self._read).decode(errors="replace")
        self._read = size
        os.chdir(self.cwd)
        escapes = [*dict.fromkeys(heard.splitlines()), *self._compared()]
        return escapes, self._behind()

    def _behind(self) -> list[str]:
        threads, processes, files = self._left
        until = time.monotonic() + GRACE_S
        while True:
            found = [f"thread {thread.name}" for thread in set(threading.enumerate()) - threads] + [
                f"process {number}" for number in children() - processes
            ]
            more = len(os.listdir("/proc/self/fd")) - files
            if more > 0:
                found.append(f"{more} open files or sockets")
            if not found or time.monotonic() > until:
                return found
            gc.collect()
            time.sleep(0.02)


def children() -> set[int]:
    """Numbers of this process's children; those that are dead are buried before."""
    found: set[int] = set()
    for task in os.listdir("/proc/self/task"):
        with suppress(OSError):
            text = Path(f"/proc/self/task/{task}/children").read_text()
            found.update(int(word) for word in text.split())
    return found
