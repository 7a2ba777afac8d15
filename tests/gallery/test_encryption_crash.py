"""A process is killed while it encrypts a gallery, or gives it other keys."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gallery_builders import make_gallery

from lineament.gallery import Gallery, Key, new_key_file

pytest.importorskip("cryptography")

PEOPLE = 150
RUN = """
import sys
from lineament.gallery import Gallery, Key
folder, what, old, new = sys.argv[1:]
with Gallery.open(folder, key=Key.from_file(old) if what != "encrypt" else None) as gallery:
    print("open", flush=True)
    if what == "encrypt":
        gallery.encrypt(Key.from_file(old))
    elif what == "decrypt":
        gallery.decrypt()
    else:
        gallery.rotate_key(Key.from_file(new), reencrypt=what == "reencrypt")
"""
WORDS = [b"person 7", b"photo 9.jpg", b"building"]


def killed(folder: Path, what: str, old: Path, new: Path, after_s: float) -> bool:
    """Whether it was killed on the way."""
    command = [sys.executable, "-c", RUN, str(folder), what, str(old), str(new)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(after_s)
        process.send_signal(signal.SIGKILL)
        process.wait()
        return process.returncode == -signal.SIGKILL


def opens(folder: Path, key: Key | None) -> bool:
    from lineament.errors import GalleryKeyError

    try:
        with Gallery.open(folder, key=key) as gallery:
            assert gallery.check() == []
            assert gallery.n_people == PEOPLE
    except GalleryKeyError:
        return False
    return True


def readable(folder: Path) -> bool:
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return any(word in data for word in WORDS for data in files)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_killed_on_the_way(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    keys: dict[Path, Key] = {path: new_key_file(path) for path in (first, second)}
    folder = tmp_path / "g"
    with make_gallery(folder, people=PEOPLE) as gallery:
        gallery.reindex()
    kills = 0
    for after_s in (0.0, 0.02, 0.05, 0.1, 0.2, 0.4):
        kills += killed(folder, "encrypt", first, second, after_s)
        if opens(folder, None):  # nothing was done
            with Gallery.open(folder) as gallery:
                gallery.encrypt(keys[first])
        assert opens(folder, keys[first])  # which finishes what was interrupted
        assert not readable(folder)
        for what in ("rotate", "reencrypt"):
            kills += killed(folder, what, first, second, after_s)
            assert opens(folder, keys[first]) != opens(folder, keys[second])
            assert not readable(folder)
            if opens(folder, keys[second]):
                with Gallery.open(folder, key=keys[second]) as gallery:
                    gallery.rotate_key(keys[first])
        kills += killed(folder, "decrypt", first, second, after_s)
        if opens(folder, keys[first]):
            with Gallery.open(folder, key=keys[first]) as gallery:
                gallery.decrypt()
        assert opens(folder, None)
    assert kills >= 6
