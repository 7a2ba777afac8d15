"""The files: durable, shared between processes, erased for good, refused when they are damaged."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from gallery_builders import CONTRACT, DIMENSION, embed, make_gallery, turned, vectors

from builders import make_contract
from lineament.errors import (
    GalleryDamagedError,
    GalleryError,
    GalleryExistsError,
    GalleryLockedError,
    GalleryNotFoundError,
    GalleryReadOnlyError,
    GalleryVersionError,
    OptionError,
)
from lineament.gallery import Gallery, NewSample, SampleInfo
from lineament.gallery import _schema as schema
from lineament.gallery._store import DATABASE, INDEX
from lineament.gallery.lookup import all_vectors
from lineament.types import Face

HERE = Path(__file__).parents[1] / "builders"

CHILD = """
import json, sys, time
from pathlib import Path
sys.path[:0] = {paths!r}
from gallery_builders import embed, make_gallery, turned, vectors
from lineament.errors import LineamentError
from lineament.gallery import Gallery, NewSample
folder = Path({folder!r})
def say(*words): print(json.dumps(words), flush=True)
def heard(): return json.loads(sys.stdin.readline())
"""


def child(folder: Path, code: str) -> subprocess.Popen[str]:
    start = CHILD.format(paths=[str(HERE), str(HERE.parent)], folder=str(folder))
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", start + code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def tell(process: subprocess.Popen[str], *words: object) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(words) + "\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> list[object]:
    assert process.stdout is not None
    heard = json.loads(process.stdout.readline())
    assert isinstance(heard, list)
    return heard


def end(process: subprocess.Popen[str]) -> None:
    with process:  # closes the pipes
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# --- made and opened ------------------------------------------------------------------------------


def test_created_once(tmp_path: Path) -> None:
    make_gallery(tmp_path / "g").close()
    with pytest.raises(GalleryExistsError, match="there is a gallery already"):
        make_gallery(tmp_path / "g")
    with pytest.raises(GalleryNotFoundError, match="create one"):
        Gallery.open(tmp_path / "nothing")
    (tmp_path / "file").write_text("")
    with pytest.raises(GalleryError, match="file"):
        make_gallery(tmp_path / "file")


def test_as_safe_as_sqlite_can(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g") as gallery:
        wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
        found = {
            name: gallery._state.store.connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in wanted
        }
        assert found == wanted


def test_closed_is_closed(tmp_path: Path) -> None:
    gallery = make_gallery(tmp_path / "g", people=1)
    gallery.close()
    gallery.close()
    for call in (gallery.people, lambda: gallery.identify_embeddings([embed(vectors(1)[0])])):
        with pytest.raises(GalleryReadOnlyError, match="closed"):
            call()


def test_damaged_foreign_and_newer_files(tmp_path: Path) -> None:
    make_gallery(tmp_path / "g", people=200).close()
    good = (tmp_path / "g" / DATABASE).read_bytes()

    def with_database(data: bytes) -> Path:
        folder = tmp_path / "broken"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / DATABASE).write_bytes(data)
        return folder

    for data in (b"", b"not a database" * 1000, good[: len(good) // 2], bytes(len(good))):
        folder = with_database(data)
        with pytest.raises(GalleryDamagedError, match=r"restore a backup|check the path"):
            Gallery.open(folder)
        assert (folder / DATABASE).read_bytes() == data  # nothing was "repaired"

    # Pages of rubbish in the middle.
    torn = bytearray(good)
    torn[5 * 4096 : 40 * 4096] = np.random.default_rng(0).bytes(35 * 4096)
    with pytest.raises(GalleryDamagedError, match="restore a backup"):
        Gallery.open(with_database(bytes(torn))).check()

    other = tmp_path / "other"
    other.mkdir()
    with closing(sqlite3.connect(other / DATABASE)) as connection:
        connection.execute("CREATE TABLE people (name TEXT)")
    with pytest.raises(GalleryDamagedError, match="another program's"):
        Gallery.open(other)

    folder = with_database(good)
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        connection.execute("PRAGMA user_version = 99")
    for read_only in (True, False):
        with pytest.raises(GalleryVersionError, match="update"):
            Gallery.open(folder, read_only=read_only)


def test_a_gallery_of_version_1_becomes_a_new_one(tmp_path: Path) -> None:
    digest = bytes(range(32))
    with make_gallery(tmp_path / "g", people=3) as gallery:
        gallery.enroll_embeddings("Ada", [NewSample(embed(vectors(9)[8]), "8.jpg", digest)])
        gallery.remove("person 0")
        before = [info.to_dict() for info in gallery.people()]
    with closing(sqlite3.connect(tmp_path / "g" / DATABASE)) as connection:
        for statement in (
            *("VIEW enrolled", "TABLE photographs", "TABLE totals"),
            *("TABLE checksums", "TABLE person_checksums", "INDEX people_by_age"),
            *(
                "TABLE consented",
                "TABLE consents",
                "TABLE terms",
                "TABLE rejected",
                "TABLE negatives",
                "TABLE requests",
            ),
        ):
            connection.execute(f"DROP {statement}")
        connection.execute("PRAGMA user_version = 1")
    with pytest.raises(GalleryVersionError, match="open it for writing once"):
        Gallery.open(tmp_path / "g", read_only=True)
    with Gallery.open(tmp_path / "g") as gallery:
        assert [info.to_dict() for info in gallery.people()] == before
        assert (gallery.n_people, gallery.n_samples) == (3, 3)
        again = NewSample(embed(turned(vectors(9)[8], 0.7)), "9.jpg", digest)
        (refusal,) = gallery.enroll_embeddings("Ada", [again]).refused
        assert refusal.reason == "duplicate"
        assert gallery.check() == []
    with closing(sqlite3.connect(tmp_path / "g" / DATABASE)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        assert connection.execute("SELECT count(*) FROM enrolled").fetchone() == (3,)


# --- several processes ----------------------------------------------------------------------------


def test_readers_see_what_a_writer_in_another_process_does(tmp_path: Path) -> None:
    folder, drawn = tmp_path / "g", vectors(6)
    with make_gallery(folder, people=3) as gallery:
        code = """
with Gallery.open(folder, read_only=True) as gallery:
    for seed in iter(lambda: heard()[0], None):
        vector = embed(vectors(6)[seed])
        say(gallery.identify_embeddings([vector])[0].name, gallery.n_people)
"""
        readers = [child(folder, code) for _ in range(2)]

        def seen(seed: int) -> list[list[object]]:
            for reader in readers:
                tell(reader, seed)
            return [hear(reader) for reader in readers]

        assert seen(0) == [["person 0", 3]] * 2
        gallery.enroll_embeddings("Ada", [embed(drawn[4])])
        assert seen(4) == [["Ada", 4]] * 2
        gallery.rename("Ada", "Zoë")
        assert seen(4) == [["Zoë", 4]] * 2
        assert gallery.remove("person 0").erased
        assert seen(0) == [[None, 3]] * 2
        gallery.merge("Zoë", "person 1")
        assert seen(1) == [["Zoë", 2]] * 2
        gallery.reindex()  # the files are replaced under the readers
        gallery.compact()
        assert seen(4) == [["Zoë", 2]] * 2
        for reader in readers:
            tell(reader, None)
            end(reader)
            assert reader.returncode == 0


def test_a_second_writer_waits_or_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    make_gallery(folder).close()
    code = """
with Gallery.open(folder) as gallery:
    say("open")
    heard()
"""
    writer = child(folder, code)
    assert hear(writer) == ["open"]
    with pytest.raises(GalleryLockedError, match=f"process {writer.pid}.*read-only"):
        Gallery.open(folder, wait_s=0.1)
    Gallery.open(folder, read_only=True).close()

    waiting = child(
        folder, "gallery = Gallery.open(folder, wait_s=20)\nsay('mine')\ngallery.close()"
    )
    tell(writer, "close")
    end(writer)
    assert hear(waiting) == ["mine"]
    end(waiting)

    writer = child(folder, code)
    assert hear(writer) == ["open"]
    writer.send_signal(signal.SIGKILL)
    end(writer)
    with Gallery.open(folder, wait_s=0.1) as gallery:  # the lock went with the process
        assert gallery.n_people == 0


def test_another_program_that_holds_the_database(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g") as gallery:
        gallery.close()
        gallery = Gallery.open(tmp_path / "g", wait_s=0.1)
        with closing(sqlite3.connect(tmp_path / "g" / DATABASE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(GalleryLockedError, match="wait"):
                gallery.enroll_embeddings("Ada", [embed(vectors(1)[0])])
            other.execute("ROLLBACK")
        assert gallery.enroll_embeddings("Ada", [embed(vectors(1)[0])]).created
        assert gallery.identify_embeddings([embed(vectors(1)[0])])[0].name == "Ada"
        gallery.close()


def test_readers_change_nothing(tmp_path: Path) -> None:
    make_gallery(tmp_path / "g", people=2).close()
    before = bytes_of(tmp_path / "g")
    with Gallery.open(tmp_path / "g", read_only=True) as gallery:
        for call in (
            lambda: gallery.enroll_embeddings("Ada", [embed(vectors(3)[2])]),
            lambda: gallery.remove("person 0"),
            lambda: gallery.rename("person 0", "Ada"),
            gallery.compact,
        ):
            with pytest.raises(GalleryReadOnlyError):
                call()
        assert gallery.n_people == 2
    after = bytes_of(tmp_path / "g")
    assert {k: v for k, v in after.items() if "-shm" not in k and "-wal" not in k} == before


def test_killed_while_it_writes(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    make_gallery(folder).close()
    code = """
gallery = Gallery.open(folder)
for i, vector in enumerate(vectors(5000)):
    gallery.enroll_samples([(f"person {i}", NewSample(embed(vector)))], force=True)
    if i % 3 == 2:
        gallery.remove(f"person {i - 1}")
    say(i)
"""
    writer = child(folder, code)
    assert hear(writer) == [0]
    time.sleep(0.3)
    os.kill(writer.pid, signal.SIGKILL)
    assert writer.stdout is not None
    lines = [line for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    end(writer)
    last = json.loads(lines[-1])[0] if lines else 0
    there = {f"person {i}" for i in range(last + 1)}
    gone = {f"person {i - 1}" for i in range(2, last + 1, 3)}
    with Gallery.open(folder) as gallery:
        names = {info.name for info in gallery.people()}
        unsure = {f"person {last + 1}", f"person {last}"}
        assert names - unsure == there - gone - unsure
        assert gallery.check() == []


# --- the index is derived -------------------------------------------------------------------------


@pytest.mark.parametrize("harm", ["removed", "torn", "of another gallery", "of another history"])
def test_an_index_that_is_gone_or_wrong_is_made_anew(tmp_path: Path, harm: str) -> None:
    folder, drawn = tmp_path / "g", vectors(6)
    make_gallery(folder, people=5).close()
    index = folder / INDEX
    if harm == "removed":
        shutil.rmtree(index)
    elif harm == "torn":
        for path in index.iterdir():
            path.write_bytes(path.read_bytes()[:-7])
    elif harm == "of another gallery":
        with make_gallery(tmp_path / "other", people=2):
            pass
        shutil.rmtree(index)
        shutil.copytree(tmp_path / "other" / INDEX, index)
    else:
        backup = (folder / DATABASE).read_bytes()
        with Gallery.open(folder) as gallery:
            gallery.enroll_embeddings("Eve", [embed(drawn[5])])
        (folder / DATABASE).write_bytes(backup)
        with closing(sqlite3.connect(folder / DATABASE)) as connection:
            connection.execute("SELECT 1")
    for read_only in (True, False):
        with Gallery.open(folder, read_only=read_only) as gallery:
            answers = gallery.identify_embeddings([embed(v) for v in drawn])
            assert [a.name for a in answers] == [*(f"person {i}" for i in range(5)), None]
            assert gallery.check() == []


def test_what_changed_since_the_index_was_saved_is_taken_over(tmp_path: Path) -> None:
    folder, drawn = tmp_path / "g", vectors(5)
    make_gallery(folder, people=3).close()
    kept = tmp_path / "kept"
    shutil.copytree(folder / INDEX, kept)
    with Gallery.open(folder) as gallery:
        gallery.enroll_embeddings("Ada", [embed(drawn[3])])
        gallery.remove("person 1")
    shutil.rmtree(folder / INDEX)
    shutil.copytree(kept, folder / INDEX)
    with Gallery.open(folder) as gallery:
        answers = gallery.identify_embeddings([embed(v) for v in drawn])
        assert [a.name for a in answers] == ["person 0", None, "person 2", "Ada", None]
        with gallery._state.store.reading():
            ids = np.concatenate([ids for ids, _ in all_vectors(gallery._state.store)])
        assert ids.tolist() == [1, 3, 4]


# --- erased ---------------------------------------------------------------------------------------


def test_no_byte_of_what_was_removed_is_left(tmp_path: Path) -> None:
    """Names, metadata, paths, hashes, vectors, crops: in all files, while the gallery is open."""
    folder = tmp_path / "g"
    rng = np.random.default_rng(7)
    secrets: dict[str, list[bytes]] = {}
    drawn = vectors(220)
    with make_gallery(folder, keep_crops=True, threshold=0.95) as gallery:
        batch = []
        for vector in drawn:
            name, path, note = (rng.bytes(12).hex() for _ in range(3))
            digest = rng.bytes(32)
            crop = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            face = Face(np.sort(rng.uniform(0, 900, 4)), 0.9)
            sample = NewSample(embed(vector), path, digest, face, None, crop, {"note": note})
            batch.append((name, sample))
            secrets[name] = [
                *(text.encode() for text in (name, path, note)),
                digest,
                embed(vector).vector.tobytes()[:16],
                embed(vector).vector.tobytes()[-16:],
                json.dumps([float(v) for v in face.box_xyxy])[1:-1].encode(),
            ]
        metadata = {name: {"n": sample.metadata["note"]} for name, sample in batch}
        infos = gallery.enroll_samples(batch[:200], metadata=metadata, force=True)
        gallery.reindex()  # some stand in the index's files, some do not
        for one in batch[200:]:
            infos += gallery.enroll_samples([one], metadata=metadata, force=True)
        for (name, _), info in zip(batch, infos, strict=True):
            assert isinstance(info, SampleInfo)
            png = gallery.crop(info.id)
            assert png is not None
            secrets[name] += [png[60:100], png[-120:-80]]
        names = list(secrets)
        everything = b"".join(bytes_of(folder).values())
        assert all(piece in everything for name in names for piece in secrets[name])

        gone = [names[i] for i in rng.permutation(220)[:50]]
        for name in gone[:-20]:
            assert gallery.remove(name).erased
        for name in gone[-20:-10]:
            gallery.rename(name, f"new {rng.bytes(4).hex()}")
            secrets[name] = secrets[name][:1]
        for name in gone[-10:]:
            gallery.annotate(name, {}, replace=True)
            gallery.remove(gallery.person(name).samples[0].id)
            secrets[name] = secrets[name][1:]
        files = bytes_of(folder)
        assert any(name.startswith(INDEX) for name in files)
        left = [
            (file, piece)
            for name in gone
            for piece in secrets[name]
            for file, data in files.items()
            if piece in data
        ]
        assert left == []
        everything = b"".join(files.values())
        kept = [name for name in names if name not in gone]
        assert all(piece in everything for name in kept for piece in secrets[name])
        size = (folder / DATABASE).stat().st_size
        gallery.compact()
        assert (folder / DATABASE).stat().st_size < size
        assert gallery.check() == []
        answers = gallery.identify_embeddings([embed(v) for v in drawn])
        wanted = [name if name in kept else None for name in names]
        renamed = gone[-20:-10]
        assert [a.name for a, n in zip(answers, names, strict=True) if n not in renamed] == [
            w for w, n in zip(wanted, names, strict=True) if n not in renamed
        ]
        files = bytes_of(folder)
        assert not any(
            piece in data for name in gone for piece in secrets[name] for data in files.values()
        )


def test_erasing_is_finished_after_a_reader_was_in_the_way(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    secret = "Adelaide Ubermensch"
    make_gallery(folder).close()
    with Gallery.open(folder, wait_s=0.1) as gallery:
        gallery.enroll_embeddings(secret, [embed(vectors(1)[0])])
        with closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM labels").fetchall()
            assert not gallery.remove(secret).erased
            assert any(secret.encode() in data for data in bytes_of(folder).values())
            reader.execute("ROLLBACK")
    with Gallery.open(folder) as gallery:
        assert not any(secret.encode() in data for data in bytes_of(folder).values())
        assert gallery.n_people == 0


def test_erasing_is_finished_after_a_crash_in_the_middle(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    secret = "Adelaide Ubermensch"
    with make_gallery(folder, people=2) as gallery:
        gallery.enroll_embeddings(secret, [NewSample(embed(vectors(3)[2]))])
    vector = embed(vectors(3)[2]).vector.tobytes()
    code = f"""
import os
from lineament.gallery._index_sync import SyncedIndex
gallery = Gallery.open(folder)
SyncedIndex.finish_erasing = lambda self: os._exit(9)  # removed in the database only
gallery.remove({secret!r})
"""
    crashed = child(folder, code)
    end(crashed)
    assert crashed.returncode == 9
    before = bytes_of(folder)
    assert any(vector in data for name, data in before.items() if name.startswith(INDEX))
    with Gallery.open(folder, read_only=True) as gallery:
        assert secret not in gallery
        assert gallery.identify_embeddings([embed(vectors(3)[2])])[0].name is None
    with Gallery.open(folder) as gallery:
        after = bytes_of(folder).values()
        assert not any(vector in data or secret.encode() in data for data in after)
        assert gallery.check() == []


def test_a_change_that_is_interrupted_before_the_index_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with make_gallery(tmp_path / "g", people=2) as gallery:
        with monkeypatch.context() as patched:
            patched.setattr(gallery._state.index, "added", stop)
            with pytest.raises(KeyboardInterrupt):
                gallery.enroll_embeddings("Ada", [embed(vectors(3)[2])])
        assert gallery.identify_embeddings([embed(vectors(3)[2])])[0].name == "Ada"
        assert gallery.check() == []


def test_an_index_that_cannot_be_saved_costs_nothing_but_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "g"
    gallery = make_gallery(folder, people=3)
    gallery.reindex()

    def full(*_: object) -> None:
        raise OptionError("the disk is full")

    monkeypatch.setattr(gallery._state.index._index, "save", full)
    assert gallery.remove("person 1").erased  # the files are removed instead
    assert not (folder / INDEX).exists()
    gallery.close()
    with Gallery.open(folder) as gallery:
        answers = gallery.identify_embeddings([embed(v) for v in vectors(3)])
        assert [a.name for a in answers] == ["person 0", None, "person 2"]


def test_a_reader_follows_a_migration(tmp_path: Path) -> None:
    """By what ``migrate`` writes: another contract, and another sample for each."""
    from lineament.gallery import _editing as editing
    from lineament.gallery import _migration as migration

    folder, other = tmp_path / "g", make_contract(dimension=DIMENSION, flip=True)
    with make_gallery(folder, people=2) as gallery, Gallery.open(folder, read_only=True) as reader:
        assert reader.identify_embeddings([embed(vectors(2)[1])])[0].name == "person 1"
        store = gallery._state.store
        with store.writing() as connection:
            number = schema.contract_number(connection, other)
            new = vectors(2, seed=5)
            rows = connection.execute(
                "SELECT s.id, s.uid, o.person FROM samples s JOIN owners o "
                "ON o.sample = s.id ORDER BY s.id"
            ).fetchall()
            for (_, uid, person), vector in zip(rows, new, strict=True):
                sample = NewSample(embed(vector, other))
                editing.add_sample(store, connection, person, number, sample, uid=uid)
        assert reader.identify_embeddings([embed(vectors(2)[1])])[0].name == "person 1"
        migration._switch(store, number, other)
        assert reader.n_samples == 2
        reader.identify_embeddings([])
        assert reader.contract == other
        assert reader.identify_embeddings([embed(new[1], other)])[0].name == "person 1"


def test_no_gallery_was_left_half_made(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    make_gallery(folder).close()
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == [
        "gallery.lock",
        DATABASE,
    ]
    with Gallery.open(folder) as gallery:
        assert gallery.contract == CONTRACT
