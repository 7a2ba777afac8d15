"""Galleries encrypted at rest: nothing readable in any file, keys, damage, swaps, rotation."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gallery_builders import CONTRACT, embed, make_gallery, vectors

from lineament.errors import (
    GalleryDamagedError,
    GalleryKeyError,
    GalleryReadOnlyError,
    MissingExtraError,
    OptionError,
)
from lineament.gallery import Consent, Gallery, Key, NewSample, Settings, _sealing, new_key_file
from lineament.gallery import _encryption as encryption
from lineament.search import SEALED, wipe_files

pytest.importorskip("cryptography")

KEY = Key.from_bytes(bytes(range(32)))
OTHER = Key.from_bytes(bytes(range(1, 33)))
CROP = np.random.default_rng(5).integers(0, 255, (112, 112, 3)).astype(np.uint8)
ZORA = vectors(1, seed=99)[0]


def sample(**more: Any) -> NewSample:
    known: dict[str, Any] = {
        "source": "/home/zora/holiday.jpg",
        "sha256": b"Q" * 32,
        "crop": CROP,
        "metadata": {"where": "Harlem"},
    }
    return NewSample(embed(ZORA), **(known | more))


def enroll_zora(gallery: Gallery) -> int:
    """Somebody with everything that there can be; the sample's number."""
    gallery.enroll_samples(
        [("Zora Hurston", sample())], metadata={"Zora Hurston": {"role": "anthropologist"}}
    )
    gallery.set_consent("Zora Hurston", Consent("form-4711", ("entry",), given=1.7e9))
    return gallery.person("Zora Hurston").samples[0].id


def secrets_of(gallery: Gallery) -> dict[str, bytes]:
    """Bytes that may stand in no file of an encrypted gallery."""
    number = gallery.person("Zora Hurston").samples[0].id
    png = gallery.crop(number)
    assert png is not None
    store = gallery._state.store
    return {
        "vector": embed(ZORA).vector.tobytes(),
        "half a vector": embed(ZORA).vector.tobytes()[40:80],
        "name": b"Zora Hurston",
        "part of the name": b"Hurston",
        "metadata": b"anthropologist",
        "metadata of the sample": b"Harlem",
        "source": b"holiday.jpg",
        "hash": b"Q" * 16,
        "crop": png[40:120],
        "any crop": b"IHDR",
        "consent": b"form-4711",
        "secret": store.secret,
        "secret in hex": store.secret.hex().encode(),
        "key": KEY.read(),
        "key in hex": KEY.read().hex().encode(),
        "norm": b'"norm"',
    }


def found_in(folder: Path, wanted: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Which of these bytes stand in which file."""
    hits = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            hits += [(path.name, name) for name, value in wanted.items() if value in data]
    return hits


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A gallery that is not encrypted, with index files, and somebody removed."""
    with make_gallery(tmp_path / "g", people=12, keep_crops=True) as gallery:
        enroll_zora(gallery)
        gallery.reindex()
        gallery.remove("person 11")
    return tmp_path / "g"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """An encrypted gallery."""
    settings = Settings(keep_crops=True, threshold=0.6)
    with Gallery.create(tmp_path / "e", CONTRACT, settings=settings, key=KEY) as gallery:
        for i, vector in enumerate(vectors(6)):
            new = NewSample(embed(vector), source=f"photo {i}.jpg")
            gallery.enroll_samples([(f"person {i}", new)], metadata={f"person {i}": {"n": i}})
        enroll_zora(gallery)
    return tmp_path / "e"


# --- nothing readable -----------------------------------------------------------------------------


def test_a_gallery_that_is_not_encrypted_can_be_read(plain: Path) -> None:
    """The search for bytes finds what is there."""
    with Gallery.open(plain) as gallery:
        wanted = secrets_of(gallery)
    named = {name for _, name in found_in(plain, wanted)}
    assert named == set(wanted) - {"secret", "key", "key in hex"}


def test_nothing_can_be_read_in_any_file(made: Path) -> None:
    with Gallery.open(made, key=KEY) as gallery:
        wanted = secrets_of(gallery)
        assert found_in(made, wanted) == []  # with the log
        gallery.reindex()
        assert gallery.identify_embeddings([embed(ZORA)])[0].name == "Zora Hurston"
        gallery.rename("Zora Hurston", "Nella Larsen")
        gallery.annotate("Nella Larsen", {"role": "novelist"})
        gallery.merge("person 1", "Nella Larsen", force=True)
        wanted |= {"new name": b"Larsen", "new metadata": b"novelist"}
        assert found_in(made, wanted) == []
        gallery.remove("person 1")
        assert found_in(made, wanted) == []
        gallery.compact()
        assert gallery.check() == []
    assert found_in(made, wanted) == []
    assert [path.name for path in (made / "index").iterdir()] == [SEALED]


def test_an_existing_gallery_is_encrypted(plain: Path) -> None:
    with Gallery.open(plain) as gallery:
        wanted = secrets_of(gallery)
        people = [(one.name, dict(one.metadata), one.consents) for one in gallery]
        crop = gallery.crop(13)
        seen: list[tuple[int, int]] = []
        assert gallery.encrypt(KEY, progress=lambda *at: seen.append(at))
        assert gallery.encrypted
        assert seen[-1][0] == seen[-1][1] > 0
        wanted |= {k: v for k, v in secrets_of(gallery).items() if k.startswith("secret")}
        assert found_in(plain, wanted | {"person": b"person 3"}) == []
        assert gallery.check() == []
        assert [(one.name, dict(one.metadata), one.consents) for one in gallery] == people
    with Gallery.open(plain, key=KEY) as gallery:
        assert gallery.crop(13) == crop
        assert gallery.identify_embeddings([embed(ZORA)])[0].name == "Zora Hurston"
        assert [one.name for one in gallery.people(where={"building": "A"}, limit=2)] == [
            "person 0",
            "person 10",
        ]
        assert [one.name for one in gallery.people(after="person 8")] == ["person 9"]
        np.testing.assert_array_equal(gallery.embedding(13).vector, embed(ZORA).vector)
        # The same photo for the same person is known by its hash.
        report = gallery.enroll_embeddings("Zora Hurston", [sample()])
        assert [refusal.reason for refusal in report.refused] == ["duplicate"]
        assert gallery.check() == []
    assert found_in(plain, wanted) == []


def test_there_and_back(plain: Path) -> None:
    with Gallery.open(plain) as gallery:
        before = [(one.name, dict(one.metadata), one.n_samples, one.consents) for one in gallery]
        gallery.encrypt(KEY)
        gallery.decrypt()
        assert not gallery.encrypted
    with Gallery.open(plain) as gallery:
        assert gallery.check() == []
        after = [(one.name, dict(one.metadata), one.n_samples, one.consents) for one in gallery]
        assert after == before
        assert gallery.sample(13).sha256 == b"Q" * 32
    assert (plain / "index" / "index.json").exists()


def test_names_of_files_that_are_no_text(tmp_path: Path) -> None:
    with Gallery.create(tmp_path / "g", CONTRACT, key=KEY) as gallery:
        gallery.enroll_embeddings("Ada", [sample(source="/photos/\udcff\udcfe.jpg", crop=None)])
        assert gallery.person("Ada").samples[0].source == "/photos/\udcff\udcfe.jpg"
        gallery.decrypt()
        assert gallery.person("Ada").samples[0].source == "/photos/\udcff\udcfe.jpg"
        gallery.encrypt(OTHER)
        assert gallery.person("Ada").samples[0].source == "/photos/\udcff\udcfe.jpg"


def test_a_copy_is_encrypted_with_the_same_key(made: Path, tmp_path: Path) -> None:
    with Gallery.open(made, key=KEY) as gallery:
        wanted = secrets_of(gallery)
        gallery.save(tmp_path / "copy")
    assert found_in(tmp_path / "copy", wanted) == []
    with Gallery.open(tmp_path / "copy", key=KEY) as gallery:
        assert gallery.check() == []
        assert "Zora Hurston" in gallery


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_exports_are_not_encrypted(made: Path, tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("pyarrow")
    file = tmp_path / f"people{suffix}"
    with Gallery.open(made, key=KEY) as gallery:
        assert gallery.export(file) == 7
        wanted = secrets_of(gallery)
    with Gallery.create(tmp_path / "second", CONTRACT, key=OTHER) as gallery:
        assert gallery.import_(file).new_samples == 7
        assert gallery.check() == []
    assert found_in(tmp_path / "second", wanted) == []
    if suffix == ".jsonl":
        assert b"Zora Hurston" in file.read_bytes()


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("read_only", [True, False])
def test_no_key_and_another_key(made: Path, read_only: bool) -> None:
    with pytest.raises(GalleryKeyError, match="no key was given") as caught:
        Gallery.open(made, read_only=read_only)
    assert caught.value.code == "gallery_key"
    assert "LINEAMENT_GALLERY_KEY_FILE" in str(caught.value)
    with pytest.raises(GalleryKeyError, match=f"expected the key {KEY.id}, got the key {OTHER.id}"):
        Gallery.open(made, read_only=read_only, key=OTHER)
    with Gallery.open(made, key=KEY), pytest.raises(GalleryKeyError):
        Gallery.open(made, key=OTHER)  # shared within this process, with the same question


def test_the_key_of_the_environment(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEAMENT_GALLERY_KEY", KEY.read().hex())
    with Gallery.open(made) as gallery:
        assert "Zora Hurston" in gallery


def test_a_key_for_a_gallery_that_is_not_encrypted(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been put in the place of an encrypted one."""
    with pytest.raises(GalleryKeyError, match="is not encrypted"):
        Gallery.open(plain, key=KEY)
    monkeypatch.setenv("LINEAMENT_GALLERY_KEY", KEY.read().hex())
    with Gallery.open(plain) as gallery:  # the environment is for all galleries
        assert not gallery.encrypted


def test_what_is_refused(tmp_path: Path, plain: Path, made: Path) -> None:
    with Gallery.open(made, key=KEY) as gallery, pytest.raises(GalleryKeyError, match="already"):
        gallery.encrypt(OTHER)
    with Gallery.open(plain) as gallery:
        for call in (gallery.decrypt, lambda: gallery.rotate_key(OTHER)):
            with pytest.raises(GalleryKeyError, match="is not encrypted"):
                call()
    with Gallery.open(plain, read_only=True) as gallery, pytest.raises(GalleryReadOnlyError):
        gallery.encrypt(KEY)
    with Gallery.in_memory() as gallery, pytest.raises(OptionError, match="in memory"):
        gallery.encrypt(KEY)
    with pytest.raises(OptionError, match="in memory"):
        Gallery.create(":memory:", CONTRACT, key=KEY)
    with pytest.raises(GalleryKeyError, match="cannot be read"):
        Gallery.create(tmp_path / "new", CONTRACT, key=Key.from_file(tmp_path / "nothing"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "kind", ["milvus:http://db:19530", "pgvector:postgresql://db/faces", "qdrant:http://db:6333"]
)
def test_indexes_on_servers_are_refused(
    tmp_path: Path, made: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINEAMENT_INDEX_SERVERS", kind.partition(":")[2])
    with pytest.raises(OptionError, match="as they are"):
        Gallery.create(tmp_path / "new", CONTRACT, settings=Settings(index=kind), key=KEY)
    with Gallery.open(made, key=KEY) as gallery, pytest.raises(OptionError, match="as they are"):
        gallery.configure(index=kind)


def test_without_the_package(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: bytes) -> None:
        raise MissingExtraError("encrypting galleries", "encrypt")

    monkeypatch.setattr(_sealing, "aead", missing)
    with pytest.raises(MissingExtraError, match="encrypting galleries"):
        Gallery.open(made, key=KEY)


# --- rotation -------------------------------------------------------------------------------------


def row_of(folder: Path, name: str) -> str:
    with closing(sqlite3.connect(folder / "gallery.sqlite")) as connection:
        query = "SELECT value FROM settings WHERE name = ?"
        return str(connection.execute(query, (name,)).fetchone()[0])


def test_another_key_while_somebody_reads(made: Path) -> None:
    old = row_of(made, "encryption")
    wrapped = {"wrapped": _sealing.read_envelope(old, "").wrapped.encode()}
    with Gallery.open(made, key=KEY, read_only=True) as reader:
        assert found_in(made, wrapped)
        with Gallery.open(made, key=KEY) as gallery:
            assert gallery.rotate_key(OTHER)
            assert found_in(made, wrapped) == []
            gallery.enroll_embeddings("Eve", [embed(vectors(1, seed=3)[0])])
        assert "Eve" in reader  # it goes on with the key that it has
        assert reader.identify_embeddings([embed(vectors(1, seed=3)[0])])[0].name == "Eve"
        assert reader.check() == []
    with pytest.raises(GalleryKeyError):
        Gallery.open(made, key=KEY)
    with Gallery.open(made, key=OTHER) as gallery:
        assert gallery.check() == []


def test_everything_is_encrypted_anew(made: Path, tmp_path: Path) -> None:
    file = new_key_file(tmp_path / "key")
    with Gallery.open(made, key=KEY) as gallery:
        gallery.rotate_key(file)
        wanted = secrets_of(gallery)
    with closing(sqlite3.connect(made / "gallery.sqlite")) as connection:
        (old,) = connection.execute("SELECT name FROM labels WHERE id = 1").fetchone()
    reader = Gallery.open(made, key=file, read_only=True)
    stale = Gallery.open(made, key=Key.from_bytes(file.read()), read_only=True)
    (tmp_path / "key").unlink()
    third = new_key_file(tmp_path / "key")
    with Gallery.open(made, key=stale._state.store._key) as gallery:
        assert gallery.rotate_key(third, reencrypt=True) is True
        assert found_in(made, wanted | {"old value": old}) == []
        assert gallery.check() == []
    assert "Zora Hurston" in reader  # its key's file has the new key
    assert reader.check() == []
    with pytest.raises(GalleryKeyError, match="got the key"), stale:
        stale.check()
    reader.close()


def test_who_reads_when_a_gallery_is_encrypted(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = new_key_file(tmp_path / "key")
    with Gallery.open(plain, read_only=True) as reader:
        assert reader.check() == []
        with Gallery.open(plain) as gallery:
            gallery.encrypt(file)
        for call in (reader.people, reader.check, lambda: reader.person("Zora Hurston")):
            with pytest.raises(GalleryKeyError, match="no key was given"):
                call()
        monkeypatch.setenv("LINEAMENT_GALLERY_KEY_FILE", str(tmp_path / "key"))
        assert reader.person("zora hurston").n_samples == 1
        assert reader.identify_embeddings([embed(ZORA)])[0].name == "Zora Hurston"
        assert reader.check() == []
        assert reader.encrypted


# --- damage ---------------------------------------------------------------------------------------


def change(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / "gallery.sqlite")) as connection, connection:
        connection.execute(statement, values)


@pytest.mark.parametrize(
    ("table", "column", "key"),
    [
        ("vectors", "vector", "sample"),
        ("crops", "png", "sample"),
        ("samples", "face", "id"),
        ("samples", "source", "id"),
        ("samples", "sha256", "id"),
        ("labels", "name", "id"),
        ("labels", "metadata", "id"),
        ("consents", "record", "id"),
    ],
)
def test_changed_bytes_are_found(made: Path, table: str, column: str, key: str) -> None:
    with closing(sqlite3.connect(made / "gallery.sqlite")) as connection, connection:
        query = f"SELECT {key}, {column} FROM {table} ORDER BY {key} DESC LIMIT 1"
        number, value = connection.execute(query).fetchone()
        changed = value[:20] + bytes([value[20] ^ 1]) + value[21:]
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (changed, number))
    with Gallery.open(made, key=KEY) as gallery:
        found = gallery.check()
        assert found
        assert len(gallery.damaged) >= 1
        for i, vector in enumerate(vectors(6)):  # the others are read
            assert gallery.identify_embeddings([embed(vector)])[0].name == f"person {i}"
            assert gallery.person(f"person {i}").metadata == {"n": i}
        if table == "vectors":
            with pytest.raises(GalleryDamagedError):
                gallery.embedding(number)
            assert gallery.identify_embeddings([embed(ZORA)])[0].name is None
        gallery.remove_damaged()
        assert gallery.check() == []
        assert gallery.n_people in (6, 7)


def test_values_cannot_change_places(made: Path) -> None:
    """Even by somebody who could write the checksums anew."""
    one, other = 1, 2
    with closing(sqlite3.connect(made / "gallery.sqlite")) as connection, connection:
        rows = dict(connection.execute("SELECT sample, vector FROM vectors WHERE sample < 3"))
        connection.execute("UPDATE vectors SET vector = ? WHERE sample = 1", (rows[other],))
        connection.execute("UPDATE vectors SET vector = ? WHERE sample = 2", (rows[one],))
    with Gallery.open(made, key=KEY) as gallery:
        store = gallery._state.store
        near = gallery.identify_embeddings([embed(vector) for vector in vectors(6)[:3]])
        assert [one.name for one in near] == [None, None, "person 2"]
        assert gallery.check()
        assert {part.sample for part in gallery.damaged} == {1, 2}
        assert (
            store.unseal("vectors", "vector", 1, rows[one]) == embed(vectors(6)[0]).vector.tobytes()
        )
        for table, column, row in (
            ("vectors", "vector", 2),
            ("vectors", "other", 1),
            ("crops", "vector", 1),
        ):
            assert store.unseal(table, column, row, rows[one]) is None
        (moved,) = store.opened([(2, rows[one], 5, 5)])
        assert moved[1] is not rows[one]
        assert not isinstance(moved[1], bytes)
    other_gallery = made.parent / "other"
    with Gallery.create(other_gallery, CONTRACT, key=KEY) as gallery:  # the same owner's key
        assert gallery._state.store.unseal("vectors", "vector", 1, rows[one]) is None


def test_the_settings_cannot_be_changed(made: Path) -> None:
    text = row_of(made, "settings").replace('"threshold": 0.6', '"threshold": 0.1')
    change(made, "UPDATE settings SET value = ? WHERE name = 'settings'", text)
    with pytest.raises(GalleryDamagedError, match="settings are damaged"):
        Gallery.open(made, key=KEY)


@pytest.mark.parametrize("name", ["encryption", "secret"])
@pytest.mark.parametrize("value", ["", "{}", "nonsense", "changed", "cut"])
def test_damaged_settings(made: Path, name: str, value: str) -> None:
    row = row_of(made, name)
    end = '"}' if row.endswith("}") else ""
    bare = row.removesuffix(end)
    if value == "changed":
        value = bare[:-1] + ("0" if bare[-1] != "0" else "1") + end
    elif value == "cut":
        value = bare[:-2] + end
    change(made, "UPDATE settings SET value = ? WHERE name = ?", value, name)
    with pytest.raises(GalleryDamagedError, match="settings are damaged"):
        Gallery.open(made, key=KEY)


def test_what_is_damaged_stays_so(plain: Path) -> None:
    """Encrypting gives nothing a checksum that it did not deserve."""
    change(plain, "UPDATE samples SET source = 'another.jpg' WHERE id = 3")
    change(plain, "UPDATE labels SET metadata = '{\"n\": 7}' WHERE id = 5")
    vector = embed(vectors(1, seed=8)[0]).vector.tobytes()
    change(plain, "UPDATE vectors SET vector = ? WHERE sample = 6", vector)
    with Gallery.open(plain) as gallery:
        gallery.check()
        before = {(part.sample, part.person) for part in gallery.damaged}
        assert len(before) == 3
        gallery.encrypt(KEY)
        gallery.check()
        assert {(part.sample, part.person) for part in gallery.damaged} == before
        gallery.rotate_key(OTHER, reencrypt=True)
        gallery.check()
        assert {(part.sample, part.person) for part in gallery.damaged} == before
        gallery.decrypt()
        gallery.check()
        assert {(part.sample, part.person) for part in gallery.damaged} == before


def test_an_error_on_the_way_changes_nothing(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("on the way")

    with Gallery.open(plain) as gallery:
        with monkeypatch.context() as patched:
            patched.setattr(encryption, "put_all", fail)
            with pytest.raises(RuntimeError):
                gallery.encrypt(KEY)
        assert not gallery.encrypted
        gallery.enroll_embeddings("Eve", [embed(vectors(1, seed=3)[0])])
        assert gallery.check() == []
    with Gallery.open(plain) as gallery:
        assert gallery.check() == []


def test_files_of_an_index_are_overwritten(plain: Path) -> None:
    held = next((plain / "index").glob("vectors-*")).open("rb")
    assert held.read(4000).strip(b"\0")
    held.seek(0)
    wipe_files(plain / "index")
    assert not held.read().strip(b"\0")
    assert list((plain / "index").iterdir()) == []
    held.close()
    wipe_files(plain / "nothing")
