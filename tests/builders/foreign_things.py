"""What somebody else may have put in the place of a file: links, pipes, sockets, sparse files."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

SECRET = b"somebody's own words, which nobody may change\n" * 200


def outside(folder: Path) -> dict[str, Path]:
    """Files and a folder of the user's beside the folder that came from somebody else."""
    own = folder / "own"
    own.mkdir()
    (own / "file.txt").write_bytes(SECRET)
    (own / "folder").mkdir()
    for name in ("letter.txt", "vectors-1.f32", "index.json", "part-000000.npz", "x.npz"):
        (own / "folder" / name).write_bytes(SECRET)
    return {"file": own / "file.txt", "folder": own / "folder", "missing": own / "missing.txt"}


def is_unchanged(places: dict[str, Path]) -> bool:
    """Whether nothing of the user's was changed, removed or made."""
    own = places["file"].parent
    files = {str(path.relative_to(own)) for path in own.rglob("*")}
    expected = {
        *("file.txt", "folder", "folder/letter.txt", "folder/vectors-1.f32"),
        *("folder/index.json", "folder/part-000000.npz", "folder/x.npz"),
    }
    contents = {path.read_bytes() for path in own.rglob("*") if path.is_file()}
    return files == expected and contents == {SECRET}


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path may have 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def _unreadable(path: Path) -> None:
    path.write_bytes(SECRET)
    path.chmod(0)


THINGS: dict[str, Callable[[Path, dict[str, Path]], object]] = {
    "link to a file": lambda path, own: path.symlink_to(own["file"]),
    "link to nothing": lambda path, own: path.symlink_to(own["missing"]),
    "link to a folder": lambda path, own: path.symlink_to(own["folder"]),
    "link to a device": lambda path, own: path.symlink_to("/dev/zero"),
    "hard link": lambda path, own: path.hardlink_to(own["file"]),
    "pipe": lambda path, own: os.mkfifo(path),
    "socket": lambda path, own: _socket(path),
    "folder": lambda path, own: path.mkdir(),
    "sparse file": lambda path, own: _sparse(path),
    "empty file": lambda path, own: path.write_bytes(b""),
    "unreadable file": lambda path, own: _unreadable(path),
}
"""Kind -> puts one in the place of a file, which is removed before; with ``outside``."""


def put(kind: str, path: Path, own: dict[str, Path]) -> None:
    """Put a thing of that kind in the place of whatever is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    THINGS[kind](path, own)


PRELUDE = f"""
import faulthandler, resource, shutil, sys
from pathlib import Path
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parents[1])!r}]
faulthandler.dump_traceback_later(60, exit=True)
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, resource.RLIM_INFINITY))
from foreign_things import THINGS, is_unchanged, outside, put
from lineament.errors import LineamentError

def tried(*calls):
    for call in calls:
        try:
            call()
        except LineamentError as error:
            assert str(error)
"""


def run(code: str, *arguments: object) -> None:
    """Run code in a process that may neither wait for ever nor eat the memory."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PRELUDE + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
