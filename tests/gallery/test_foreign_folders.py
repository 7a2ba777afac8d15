"""A gallery's folder that came from somebody else, or that somebody else can write to.

Whatever stands in the place of its files: nothing outside the folder is read or changed, nothing
waits, no memory is eaten, and the answer is right or an error of ours.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from foreign_things import run
from gallery_builders import indexed_gallery

pytestmark = pytest.mark.skipif(
    not hasattr(os, "mkfifo") or not Path("/dev/zero").exists(), reason="needs pipes and devices"
)

USE = """
from gallery_builders import CONTRACT, embed, vectors
from lineament.gallery import Gallery

def right(gallery):
    (one,) = gallery.identify_embeddings([embed(vectors(5)[3])])
    assert one.name == "person 3", one

def read(folder):
    with Gallery.open(folder, read_only=True) as gallery:
        right(gallery)
        tried(gallery.check, lambda: gallery.export(folder.parent / "out.jsonl"))
        right(gallery)

def write(folder):
    with Gallery.open(folder, wait_s=0) as gallery:
        right(gallery)
        tried(
            gallery.check,
            lambda: gallery.enroll_embeddings("Ada", [embed(vectors(9)[8])], force=True),
            lambda: gallery.remove("Ada"),
            gallery.reindex,
            gallery.compact,
        )
        right(gallery)

def create(folder):
    Gallery.create(folder, CONTRACT).close()

def put_and_used(name, kind, uses):
    for use in uses:
        place = Path(sys.argv[1]) / f"{name.replace('/', ' ')} {kind} {use.__name__}"
        folder = place / "g"
        shutil.copytree(sys.argv[2], folder)
        own = outside(place)
        put(kind, folder / name, own)
        tried(lambda: use(folder))
        assert is_unchanged(own), (name, kind, use.__name__)
        if name.startswith("index") and use is not create:  # what is derived is made anew
            use(folder)
            assert is_unchanged(own), (name, kind, use.__name__)

names = sys.argv[3:]
if len(names) == 1:  # everything
    for kind in THINGS:
        put_and_used(names[0], kind, (read, write, create))
else:  # each name and each kind somewhere
    for i, name in enumerate(names):
        put_and_used(name, list(THINGS)[i % len(THINGS)], (write,))
"""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return indexed_gallery(tmp_path_factory.mktemp("sound") / "g")


NAMES = (
    *("gallery.sqlite", "gallery.sqlite-wal", "gallery.sqlite-shm", "gallery.sqlite-journal"),
    *("gallery.lock", "index", "index/index.json", "index/vectors", "index/slots", "index/wipe"),
    *("index/vectors-stray.f32", "index/wipe-stray.bin", "index/.lineament-1-2.tmp"),
)


def named(folder: Path, name: str) -> str:
    """The vectors, slots and so on have a number in their names."""
    if "/" not in name or "." in name:
        return name
    (found,) = folder.glob(f"{name}-*")
    return str(found.relative_to(folder))


def test_something_stands_in_the_place_of_each_file(sound: Path, tmp_path: Path) -> None:
    run(USE, tmp_path, sound, *(named(sound, name) for name in NAMES))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_anything_stands_in_the_place_of_a_file(sound: Path, tmp_path: Path, name: str) -> None:
    run(USE, tmp_path, sound, named(sound, name))
