"""The index of an encrypted gallery in its file: loaded, kept in step, refused when changed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gallery_builders import CONTRACT, embed, make_gallery, vectors

from lineament.gallery import Gallery, Key, NewSample, Settings, _index_folder, _index_sync
from lineament.gallery._index_sync import SyncedIndex
from lineament.sealed import CHUNK, HEAD, KEY_AT, TAG
from lineament.search import SEALED, turbo
from lineament.search.turbo import TurboIndex

pytest.importorskip("cryptography")

KEY = Key.from_bytes(bytes(range(32)))
OTHER = Key.from_bytes(bytes(range(1, 33)))
N = 12


@pytest.fixture(autouse=True)
def always_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small galleries are treated as large ones."""
    monkeypatch.setattr(_index_folder, "LEAST_BEHIND", 0)
    monkeypatch.setattr(_index_folder, "BEHIND_SHARE", 0.0)


@pytest.fixture
def rebuilt(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows whenever an index is built anew from the database."""
    calls: list[int] = []
    rebuild = SyncedIndex.rebuild
    monkeypatch.setattr(SyncedIndex, "rebuild", lambda self: (calls.append(1), rebuild(self))[1])
    return calls


@pytest.fixture(params=["exact", "auto"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """An encrypted gallery with its index, by either engine; the second compresses."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "auto":
            pytest.importorskip("turbovec")
            patch.setattr(turbo, "FEW", 0)
            init = TurboIndex.__init__
            patch.setattr(
                TurboIndex,
                "__init__",
                lambda self, *a, **k: init(self, *a, **k | {"codes_from": 1}),
            )
        settings = Settings(threshold=0.6, index=request.param)
        with Gallery.create(tmp_path / "g", CONTRACT, settings=settings, key=KEY) as gallery:
            enroll(gallery, range(N))
        yield tmp_path / "g"


def enroll(gallery: Gallery, numbers: range) -> None:
    drawn = vectors(200)
    gallery.enroll_samples(
        [(f"person {i}", NewSample(embed(drawn[i]))) for i in numbers], force=True
    )


def names(gallery: Gallery, numbers: range) -> list[str | None]:
    found = gallery.identify_embeddings([embed(vectors(200)[i]) for i in numbers])
    return [one.name for one in found]


def all_of(numbers: range) -> list[str]:
    return [f"person {i}" for i in numbers]


def sealed_file(folder: Path) -> Path:
    return folder / "index" / SEALED


def nothing_readable(folder: Path) -> bool:
    data = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    drawn = vectors(200)[:40].astype("<f4")
    return not any(vector.tobytes()[40:72] in data for vector in drawn)


@pytest.mark.parametrize("read_only", [False, True])
def test_it_is_loaded(folder: Path, rebuilt: list[int], read_only: bool) -> None:
    assert [path.name for path in (folder / "index").iterdir()] == [SEALED]
    assert nothing_readable(folder)
    before = sealed_file(folder).read_bytes()
    with Gallery.open(folder, key=KEY, read_only=read_only) as gallery:
        assert names(gallery, range(N)) == all_of(range(N))
        assert gallery.check() == []
    assert rebuilt == []
    assert sealed_file(folder).read_bytes() == before  # nothing changed


def test_what_came_later_is_taken_over(
    folder: Path, rebuilt: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_index_folder, "LEAST_BEHIND", 1000)
    before = sealed_file(folder).read_bytes()
    for start in (N, N + 3):
        with Gallery.open(folder, key=KEY) as gallery:
            enroll(gallery, range(start, start + 3))
        assert sealed_file(folder).read_bytes() == before  # so few are not worth writing it
    monkeypatch.setattr(_index_folder, "LEAST_BEHIND", 5)
    with Gallery.open(folder, key=KEY) as gallery:
        assert names(gallery, range(N + 6)) == all_of(range(N + 6))
        assert gallery.check() == []
        enroll(gallery, range(N + 6, N + 7))
    assert sealed_file(folder).read_bytes() != before  # 7 are more than 5
    assert rebuilt == []
    assert nothing_readable(folder)


def test_removed_people_are_in_no_file_that_can_be_read(folder: Path, rebuilt: list[int]) -> None:
    with sealed_file(folder).open("rb") as held, Gallery.open(folder, key=KEY) as gallery:
        assert gallery.remove("person 3").erased
        assert not sealed_file(folder).exists()
        held.seek(KEY_AT)
        assert not held.read(HEAD - KEY_AT).strip(b"\0")  # nobody can read the rest any more
        assert gallery.check() == []
        assert gallery.erase("person 4").clean
    assert sealed_file(folder).exists()
    with Gallery.open(folder, key=KEY) as gallery:
        assert len(gallery._state.index) == N - 2
        assert gallery.check() == []
        assert names(gallery, range(2, 6)) == ["person 2", None, None, "person 5"]
    assert rebuilt == []


def test_a_removal_writes_the_file_of_a_large_gallery_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_index_sync, "SAVE_EVERY", 8)
    with Gallery.open(folder, key=KEY) as gallery:
        gallery.remove("person 3")
        assert sealed_file(folder).exists()
        monkeypatch.setattr(_index_folder, "SHARE", 1e9)  # it takes too long to do it again
        gallery.remove("person 4")
        assert not sealed_file(folder).exists()
    assert sealed_file(folder).exists()


def test_a_replaced_file_cannot_be_read_any_more(folder: Path) -> None:
    with sealed_file(folder).open("rb") as held:
        with Gallery.open(folder, key=KEY) as gallery:
            enroll(gallery, range(N, N + 1))
        assert os.fstat(held.fileno()).st_nlink == 0
        held.seek(KEY_AT)
        assert not held.read(HEAD - KEY_AT).strip(b"\0")


@pytest.mark.parametrize(
    "case",
    ["gone", "empty", "head", "cut", "changed", "end", "longer", "link", "folder", "foreign"],
)
@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_not_right_is_not_used(
    folder: Path, rebuilt: list[int], tmp_path: Path, case: str, read_only: bool
) -> None:
    path = sealed_file(folder)
    data = path.read_bytes()
    assert len(data) < HEAD + CHUNK + TAG
    path.unlink()
    if case == "link":
        (tmp_path / "real").write_bytes(data)
        path.symlink_to(tmp_path / "real")
    elif case == "folder":
        path.mkdir()
    elif case == "foreign":
        with Gallery.create(tmp_path / "o", CONTRACT, key=KEY) as other:
            enroll(other, range(N, 2 * N))
        shutil.copy(sealed_file(tmp_path / "o"), path)
    elif case != "gone":
        middle = len(data) // 2
        path.write_bytes(
            {
                "empty": b"",
                "head": data[:HEAD],
                "cut": data[:-9],
                "changed": data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :],
                "end": data[:-1] + bytes([data[-1] ^ 4]),
                "longer": data + b"x",
            }[case]
        )
    rebuilt.clear()
    with Gallery.open(folder, key=KEY, read_only=read_only) as gallery:
        assert names(gallery, range(N)) == all_of(range(N))
        assert gallery.check() == []
    assert len(rebuilt) == 1
    if not read_only:
        with Gallery.open(folder, key=KEY) as gallery:  # it was written again
            assert names(gallery, range(N)) == all_of(range(N))
        assert len(rebuilt) == 1
        assert not path.is_symlink()


def test_an_old_file_is_brought_up_to_date(folder: Path, tmp_path: Path) -> None:
    shutil.copy(sealed_file(folder), tmp_path / "old")
    with Gallery.open(folder, key=KEY) as gallery:
        gallery.remove("person 3")
        enroll(gallery, range(N, N + 2))
    shutil.copy(tmp_path / "old", sealed_file(folder))
    with Gallery.open(folder, key=KEY) as gallery:
        assert names(gallery, range(N + 2)) == [
            name if name != "person 3" else None for name in all_of(range(N + 2))
        ]
        assert gallery.check() == []
    assert (tmp_path / "old").read_bytes() != sealed_file(folder).read_bytes()


def test_the_file_of_a_backup_of_another_history(folder: Path, rebuilt: list[int]) -> None:
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    for place, numbers in ((folder, range(N, N + 2)), (copy, range(N + 2, N + 4))):
        with Gallery.open(place, key=KEY) as gallery:
            enroll(gallery, numbers)
    shutil.copy(sealed_file(copy), sealed_file(folder))
    assert rebuilt == []
    with Gallery.open(folder, key=KEY) as gallery:
        assert names(gallery, range(N, N + 4)) == ["person 12", "person 13", None, None]
    assert rebuilt == [1]


def test_keys(folder: Path, rebuilt: list[int]) -> None:
    with Gallery.open(folder, key=KEY) as gallery:
        gallery.rotate_key(OTHER)
    before = sealed_file(folder).read_bytes()
    with Gallery.open(folder, key=OTHER) as gallery:
        assert names(gallery, range(N)) == all_of(range(N))
    assert (rebuilt, sealed_file(folder).read_bytes()) == ([], before)
    with sealed_file(folder).open("rb") as held, Gallery.open(folder, key=OTHER) as gallery:
        gallery.rotate_key(KEY, reencrypt=True)
        held.seek(KEY_AT)
        assert not held.read(HEAD - KEY_AT).strip(b"\0")
    rebuilt.clear()
    with Gallery.open(folder, key=KEY) as gallery:
        assert names(gallery, range(N)) == all_of(range(N))
        assert rebuilt == []
        gallery.decrypt()
        assert not sealed_file(folder).exists()
    assert (folder / "index" / "index.json").exists()
    assert not sealed_file(folder).exists()
    with Gallery.open(folder) as gallery:
        gallery.encrypt(KEY)
        assert nothing_readable(folder)
    assert [path.name for path in (folder / "index").iterdir()] == [SEALED]
    assert nothing_readable(folder)


def test_what_a_crash_left_unencrypted_is_overwritten(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "p", people=9) as gallery:
        gallery.reindex()
    shutil.copytree(tmp_path / "p" / "index", tmp_path / "index")
    with Gallery.open(tmp_path / "p") as gallery:
        gallery.encrypt(KEY)
    for path in (tmp_path / "index").iterdir():
        shutil.copy(path, tmp_path / "p" / "index" / path.name)
    assert not nothing_readable(tmp_path / "p")
    with Gallery.open(tmp_path / "p", key=KEY) as gallery:
        assert nothing_readable(tmp_path / "p")
        assert gallery.check() == []


def test_an_engine_of_others(tmp_path: Path, rebuilt: list[int]) -> None:
    pytest.importorskip("faiss")
    settings = Settings(threshold=0.6, index="faiss")
    with Gallery.create(tmp_path / "g", CONTRACT, settings=settings, key=KEY) as gallery:
        enroll(gallery, range(40))
        gallery.reindex()
    assert [path.name for path in (tmp_path / "g" / "index").iterdir()] == [SEALED]
    rebuilt.clear()
    with Gallery.open(tmp_path / "g", key=KEY) as gallery:
        assert names(gallery, range(40)) == all_of(range(40))
    assert rebuilt == []


RUN = """
import sys
from lineament.gallery import Gallery, Key, NewSample, _index_folder, _index_sync
_index_folder.SHARE = 0.0
_index_sync.SAVE_EVERY = 1
sys.path[:0] = sys.argv[3:]
from gallery_builders import embed, vectors
drawn = vectors(200)
with Gallery.open(sys.argv[1], key=Key.from_bytes(bytes(range(32)))) as gallery:
    print("open", flush=True)
    for i in range(int(sys.argv[2]), 200):
        gallery.enroll_samples([(f"person {i}", NewSample(embed(drawn[i])))], force=True)
        print(i, flush=True)
        gallery._state.index.save()
        if i % 3 == 0:
            gallery.remove(f"person {i}")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_killed_while_it_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    settings = Settings(threshold=0.6)
    with Gallery.create(folder, CONTRACT, settings=settings, key=KEY) as gallery:
        enroll(gallery, range(3))
    start = 3
    for after_s in (0.0, 0.01, 0.03, 0.07, 0.12, 0.2):
        command = [sys.executable, "-c", RUN, str(folder), str(start), *sys.path]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(after_s)
            process.send_signal(signal.SIGKILL)
            done = [int(line) for line in process.stdout.read().split() if line.isdigit()]
        with Gallery.open(folder, key=KEY, read_only=True) as gallery:  # beside what was left
            there = {one.name for one in gallery}
        with Gallery.open(folder, key=KEY) as gallery:
            assert gallery.check() == []
            assert {f"person {i}" for i in done if i % 3} <= there
            found = names(gallery, range(200))
            assert {name for name in found if name is not None} == there
            start = max([start - 1, *(int(name.split()[1]) for name in there)]) + 1
        assert nothing_readable(folder)
        left = {path.name for path in (folder / "index").iterdir()}
        assert left <= {SEALED}
    assert np.isfinite(start)
