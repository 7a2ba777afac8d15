"""Run a command where nothing can be written but one folder and /tmp, by nobody in particular.

    unshare --mount --propagation private python read_only.py FOLDER KEPT... -- COMMAND...

What a container with a read-only root is to the server, without a container: in a mount namespace
of its own every file system but /proc is made read-only, /tmp is an empty one in memory, and FOLDER
alone can still be written to; KEPT are folders that are still there if they lie in /tmp. COMMAND
has no rights: it runs in a user namespace as user 10001.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

USER = "10001"
WRITES = "WANTS TO WRITE"
"""Before each path in the log that the command wanted to write to, where it may not."""

_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _READ_ONLY = 442, -100, 0x8000, 1

AUDIT = f'''
import os, sys

ALLOWED = (os.environ["LINEAMENT_TEST_MAY_WRITE"] + os.sep, "/tmp/", "/dev/", "/proc/")


def watch(event, arguments):
    if event == "open":
        path, _, flags = arguments
        if not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
    elif event in ("os.mkdir", "os.rename", "os.symlink", "os.link"):
        path = arguments[0]
    elif event == "sqlite3.connect":
        path = arguments[0]
    else:
        return
    if isinstance(path, (str, bytes)) and path != ":memory:":
        path = os.path.abspath(os.fsdecode(path).removeprefix("file:").partition("?")[0])
        if not (path + os.sep).startswith(ALLOWED):
            print("{WRITES}", event, path, file=sys.stderr, flush=True)


sys.addaudithook(watch)
'''
"""`sitecustomize` of the command: what is tried and passed over in silence is seen, too."""


def possible() -> str | None:
    """Why it cannot be done here; None: it can."""
    tool = shutil.which("unshare")
    if tool is None or sys.platform != "linux":
        return "there is no unshare"
    tried = subprocess.run(
        [*UNSHARE, sys.executable, "-c", "import runpy, sys; runpy.run_path(sys.argv[1])['seal']()",
         __file__], capture_output=True, text=True, check=False,
    )  # fmt: skip
    return None if tried.returncode == 0 else f"no namespaces here: {tried.stderr[-300:].strip()}"


UNSHARE = ("unshare", "--mount", "--propagation", "private")
if hasattr(os, "geteuid") and os.geteuid() != 0:
    UNSHARE = ("unshare", "--user", "--map-root-user", *UNSHARE[1:])


def seal(folder: Path | None = None, kept: tuple[Path, ...] = ()) -> None:
    """Make everything read-only but ``folder`` and /tmp."""
    folders = [path for path in (folder, *kept) if path is not None]
    held = [os.open(path, os.O_PATH | os.O_DIRECTORY) for path in folders]
    _set("/", _READ_ONLY, 0, recursive=True)
    _set("/proc", 0, _READ_ONLY)  # the next namespace is set up in it
    _mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/tmp")
    for path, number in zip(folders, held, strict=True):
        if path.is_relative_to("/tmp"):
            path.mkdir(parents=True, exist_ok=True)
        elif path != folder:
            continue
        _mount("--bind", f"/proc/{os.getpid()}/fd/{number}", str(path))
        _set(str(path), 0 if path == folder else _READ_ONLY, _READ_ONLY if path == folder else 0)
    for number in held:
        os.close(number)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def _set(path: str, wanted: int, unwanted: int, *, recursive: bool = False) -> None:
    """Set and clear attributes of a mount: mount_setattr of Linux 5.12."""
    values = (ctypes.c_uint64 * 4)(wanted, unwanted, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    flags = _AT_RECURSIVE if recursive else 0
    done = libc.syscall(
        _MOUNT_SETATTR, _AT_FDCWD, path.encode(), flags, ctypes.byref(values), ctypes.sizeof(values)
    )
    if done != 0:
        raise OSError(ctypes.get_errno(), f"mount_setattr {path}")


def main() -> None:
    at = sys.argv.index("--")
    folder, *kept = map(Path, sys.argv[1:at])
    seal(folder, tuple(kept))
    hooks = Path("/tmp/hooks")
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(AUDIT, encoding="utf-8")
    paths = [str(hooks), os.environ.get("PYTHONPATH", "")]
    os.environ |= {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LINEAMENT_TEST_MAY_WRITE": str(folder),
        "HOME": "/",
        "TMPDIR": "/tmp",
    }
    words = ["unshare", "--user", f"--map-user={USER}", f"--map-group={USER}", *sys.argv[at + 1 :]]
    os.chdir("/")
    os.execvp(words[0], words)


if __name__ == "__main__":
    main()
