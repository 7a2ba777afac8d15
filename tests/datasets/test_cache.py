"""The embedding cache: what comes back, what counts as another photo, broken files, bounds."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

import lineament
from lineament.datasets import cache as cache_module
from lineament.datasets.cache import MOST_FILES, EmbeddingCache, source_fingerprint
from lineament.errors import OptionError

WAY = {"contract": "x", "flip": False}


def unit(n: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{i}.jpg" for i in range(3)]
    for i, path in enumerate(paths):
        path.write_bytes(b"x" * (i + 1))
    return paths


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(WAY, 4, folder=tmp_path / "cache")


def test_nothing_is_known_at_first(cache: EmbeddingCache, photos: list[Path]) -> None:
    kept = cache.load(photos)
    assert kept.vectors.shape == (3, 4)
    assert not kept.known.any()
    assert not kept.found.any()
    assert not cache.path.parent.exists()


def test_what_was_saved_comes_back_in_any_order(cache: EmbeddingCache, photos: list[Path]) -> None:
    vectors = unit(3)
    cache.save(photos, vectors, [2.5, 0, 1])
    kept = cache.load(photos[::-1])
    assert kept.known.tolist() == [True, True, True]
    assert kept.found.tolist() == [True, False, True]
    assert np.array_equal(kept.vectors[0], vectors[2])
    assert np.array_equal(kept.vectors[2], vectors[0])
    assert not kept.vectors[1].any()


def test_a_second_save_adds_and_replaces(cache: EmbeddingCache, photos: list[Path]) -> None:
    first, second = unit(2), unit(2, seed=1)
    cache.save(photos[:2], first, [1, 2])
    cache.save(photos[1:], second, [1, 2])
    kept = cache.load(photos)
    assert kept.known.all()
    assert np.array_equal(kept.vectors, np.concatenate([first[:1], second]))


def test_a_changed_photo_is_not_known(cache: EmbeddingCache, photos: list[Path]) -> None:
    cache.save(photos, unit(3), [1.5] * 3)
    photos[0].write_bytes(b"other, and longer")
    status = photos[1].stat()
    os.utime(photos[1], ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))
    assert cache.load(photos).known.tolist() == [False, False, True]
    photos[2].unlink()
    assert not cache.load(photos).known.any()


def test_another_way_another_file(tmp_path: Path) -> None:
    def path(way: dict[str, object], dimension: int = 4) -> Path:
        return EmbeddingCache(way, dimension, folder=tmp_path).path

    assert path({"flip": False, "contract": "x"}) == path(WAY)
    assert len({path(WAY), path({**WAY, "flip": True}), path(WAY, 5)}) == 3


def test_a_change_of_the_source_code_is_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = EmbeddingCache(WAY, 4, folder=tmp_path).path
    assert len(source_fingerprint()) == 64
    monkeypatch.setattr(cache_module, "source_fingerprint", lambda: "other")
    assert EmbeddingCache(WAY, 4, folder=tmp_path).path != before


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "flipped", "other arrays", "lengths"])
def test_a_broken_file_is_ignored_and_written_anew(
    cache: EmbeddingCache, photos: list[Path], damage: str
) -> None:
    vectors = unit(3)
    cache.save(photos, vectors, [1.5] * 3)
    data = cache.path.read_bytes()
    if damage == "other arrays":
        np.savez(cache.path, a=np.zeros(3))
    elif damage == "lengths":
        with np.load(cache.path) as file:
            arrays = dict(file)
        np.savez(cache.path, **{**arrays, "vectors": arrays["vectors"] * 2})
    else:
        middle = len(data) // 2
        flipped = data[:middle] + bytes(255 - b for b in data[middle : middle + 80])
        broken = {"cut": data[:middle], "text": b"hello", "empty": b""}
        cache.path.write_bytes(broken.get(damage, flipped + data[middle + 80 :]))
    assert not cache.load(photos).known.any()
    cache.save(photos, vectors, [1.5] * 3)
    assert cache.load(photos).known.all()


def test_the_files_used_last_are_kept(tmp_path: Path, photos: list[Path]) -> None:
    folder = tmp_path / "cache"
    caches = [EmbeddingCache({"n": i}, 4, folder=folder) for i in range(MOST_FILES + 2)]
    for i, one in enumerate(caches):
        if i == MOST_FILES:
            assert caches[0].load(photos).known.all()  # it was used: number 1 is the oldest now
        one.save(photos, unit(3), [1.5] * 3)
        os.utime(one.path, (1000 + i, 1000 + i))
    assert len(list(folder.iterdir())) == MOST_FILES
    left = [one.path.exists() for one in caches]
    assert left == [True, False, False, *[True] * (MOST_FILES - 1)]


def test_the_default_folder_is_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINEAMENT_CACHE", str(tmp_path / "mine"))
    assert EmbeddingCache(WAY, 4).path.parent == tmp_path / "mine" / "embeddings"


def test_refusals(cache: EmbeddingCache, photos: list[Path], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"expected 3 vectors of length 4"):
        cache.save(photos, unit(2), [1.5] * 3)
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match="LINEAMENT_CACHE"):
        EmbeddingCache(WAY, 4, folder=tmp_path / "file" / "x").save(photos, unit(3), [1.5] * 3)


def test_the_fingerprint_covers_stages_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = source_fingerprint()
    monkeypatch.setattr(cache_module, "_STAGES", cache_module._STAGES[:-1])
    assert source_fingerprint() != whole
    for moved in ("no_such_stage.py", "data"):
        monkeypatch.setattr(cache_module, "_STAGES", (moved,))
        with pytest.raises((OSError, AssertionError)):
            source_fingerprint()


def test_the_fingerprint_covers_what_the_stages_calculate_with() -> None:
    package = Path(lineament.__file__).parent
    stages = [package / stage for stage in cache_module._STAGES]
    for file in (one for stage in stages[:4] for one in stage.rglob("*.py")):
        for name in re.findall(
            r"^from lineament\.(\w+) import", file.read_text("utf-8"), re.MULTILINE
        ):
            module = package / f"{name}.py"
            if (
                name != "results"
                and module.is_file()
                and "import numpy" in module.read_text("utf-8")
            ):
                assert module in stages, f"{file.name} calculates with {module.name}"
    for data in package.joinpath("data").glob("*.*"):  # numbers that were fitted
        if data.name not in ("covered.npz", "gender.npz"):  # of reasons in words; of looks
            assert data in stages, data.name
