"""The cache folder, where somebody else can write to it: /tmp/cache, a network share.

Whatever stands in the place of its files: nothing outside of it is read, changed or removed,
nothing waits, and what is not there is made anew.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_things import run

from lineament.datasets.cache import EmbeddingCache
from lineament.datasets.face_cache import FaceCache, KeptFace
from lineament.datasets.kept import cache_entries, clear_cache, forget_photos
from lineament.errors import OptionError
from lineament.types import Face

USE = """
import numpy as np
from lineament.datasets.cache import EmbeddingCache
from lineament.datasets.face_cache import FaceCache, KeptFace
from lineament.datasets.kept import cache_entries, clear_cache, forget_photos
from lineament.types import Face

unit = np.eye(4, dtype=np.float32)[:1]
for kind in THINGS:
    for name in sys.argv[2:]:
        place = Path(sys.argv[1]) / f"{kind} {name.replace('/', ' ')}"
        root = place / "cache"
        (root / "embeddings").mkdir(parents=True)
        own = outside(place)
        photo = place / "photo.jpg"
        photo.write_bytes(b"photo")
        folder = root / "embeddings"
        kept, faces = EmbeddingCache({}, 4, folder=folder), FaceCache({}, 4, folder=folder)
        of = {"embeddings/vectors": kept.path, "embeddings/faces": faces.path}
        put(kind, of.get(name, root / name), own)
        assert not kept.load([photo]).known.any()
        assert FaceCache({}, 4, folder=folder).get(photo) is None
        tried(lambda: forget_photos([(str(photo), None)], root))
        tried(lambda: cache_entries(root))
        assert is_unchanged(own), (kind, name)
        tried(lambda: kept.save([photo], unit, np.ones(1)))
        faces.put(photo, [KeptFace(Face(np.float32([0, 0, 9, 9]), 0.5), unit[0], 1.0, None)])
        tried(faces.save)
        assert is_unchanged(own), (kind, name)
        there = folder.is_dir() and not folder.is_symlink()
        assert kept.load([photo]).known.all() == there, (kind, name)
        tried(lambda: clear_cache(folder=root))
        assert is_unchanged(own), (kind, name)
"""

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes and devices")


@needs_pipes
def test_whatever_stands_in_the_place_of_a_file(tmp_path: Path) -> None:
    run(USE, tmp_path, "embeddings", "embeddings/vectors", "embeddings/faces", "weights", "x.npz")


def filled(folder: Path) -> tuple[Path, EmbeddingCache, Path]:
    photo = folder / "photo.jpg"
    photo.write_bytes(b"photo")
    cache = EmbeddingCache({}, 4, folder=folder / "embeddings")
    cache.save([photo], np.eye(4)[:1], [1.0])
    faces = FaceCache({}, 4, folder=folder / "embeddings")
    box = np.array([0, 0, 9, 9], np.float32)
    faces.put(photo, [KeptFace(Face(box, 0.5), np.eye(4, dtype=np.float32)[0], 1.0, None)])
    faces.save()
    assert cache.load([photo]).known.all()
    assert FaceCache({}, 4, folder=folder / "embeddings").get(photo) is not None
    return photo, cache, faces.path


def rewritten(path: Path, **values: Any) -> None:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    data = io.BytesIO()
    np.savez(data, **{**arrays, **values})
    path.write_bytes(data.getvalue())


ODD: dict[str, list[Any]] = {
    "paths": [np.array("["), np.array("[1]"), np.array('["a", "b"]'), np.array("[" * 50_000)],
    "states": [np.zeros((1, 2)), np.full((1, 2), np.nan), np.zeros((2, 2), np.int64), np.array(1)],
    "norms": [np.array([v], np.float32) for v in (np.nan, np.inf, -1)] + [np.array(["x"])],
    "vectors": [np.array([[v, 0, 0, 0]], np.float32) for v in (np.nan, np.inf, 3e38, 0.5)]
    + [np.zeros((1, 3), np.float32), np.zeros((1, 0)), np.zeros((1, 4, 10**9, 0))],
    "counts": [np.array([v]) for v in (-1, 2, 1 << 62)] + [np.array([1.0]), np.array(["x"])],
    "boxes": [np.array([[v, 0, 9, 9]], np.float32) for v in (np.nan, np.inf, 10)],
    "scores": [np.array([v]) for v in (np.nan, 2.0, -1.0)] + [np.array(["x"])],
    "turned": [np.array([v]) for v in (360, -90, 1 << 62)] + [np.array([90.0])],
    "qualities": [np.array([[1.0, *[v] * 6]]) for v in (np.nan, np.inf)] + [np.zeros((1, 2))],
}


@pytest.mark.parametrize("name", ODD)
def test_numbers_that_make_no_sense(tmp_path: Path, name: str) -> None:
    for i, value in enumerate(ODD[name]):
        place = tmp_path / str(i)
        place.mkdir()
        photo, cache, faces = filled(place)
        for path in (cache.path, faces):
            with np.load(path) as file:
                has = name in file.files
            if has:
                rewritten(path, **{name: value})
                if path == cache.path:
                    assert not cache.load([photo]).known.any()
                else:
                    assert FaceCache({}, 4, folder=place / "embeddings").get(photo) is None
        assert len(cache_entries(place)) == 3
        forget_photos([(str(photo), None)], place)
        cache.save([photo], np.eye(4)[:1], [1.0])
        assert cache.load([photo]).known.all()


def _packed(path: Path) -> None:
    with np.load(path) as file:
        np.savez_compressed(path, **{name: file[name] for name in file.files})


def _overlapping(path: Path) -> None:
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo("vectors.npy").file_size
    start = data.rindex(b"vectors.npy") - 46 + 20  # the sizes in the directory at the end
    assert int.from_bytes(data[start : start + 4], "little") == size
    data[start : start + 8] = (1 << 30).to_bytes(4, "little") * 2
    path.write_bytes(data)


def _object(path: Path) -> None:
    rewritten(path, vectors=np.array([[{}] * 4], dtype=object))


@pytest.mark.parametrize("change", [_packed, _overlapping, _object])
def test_archives_that_only_others_write(tmp_path: Path, change: Callable[[Path], None]) -> None:
    photo, cache, _ = filled(tmp_path)
    change(cache.path)
    assert not cache.load([photo]).known.any()


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root makes files of others"
)
def test_files_and_folders_of_another_user_are_not_used(tmp_path: Path) -> None:
    photo, cache, _ = filled(tmp_path)
    os.chown(cache.path, 12345, 12345)
    assert not cache.load([photo]).known.any()
    cache.save([photo], np.eye(4)[:1], [1.0])  # replaced by one of our own
    assert cache.load([photo]).known.all()
    os.chown(cache.path.parent, 12345, 12345)
    with pytest.raises(OptionError, match=r"another user's.*LINEAMENT_CACHE"):
        cache.save([photo], np.eye(4)[:1], [1.0])


@needs_pipes
def test_a_link_in_the_cache_is_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "letter.npz").write_bytes(b"words")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "embeddings").symlink_to(tmp_path / "own")
    assert [entry.kind for entry in cache_entries(tmp_path / "cache")] == ["other"]
    clear_cache(folder=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    assert (tmp_path / "own" / "letter.npz").read_bytes() == b"words"
