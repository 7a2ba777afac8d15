"""A gallery's database that somebody else made, changed, removed or replaced."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from gallery_builders import CONTRACT, embed, indexed_gallery, make_gallery, vectors

from lineament.errors import (
    GalleryDamagedError,
    GalleryError,
    GalleryExistsError,
    GalleryNotFoundError,
    LineamentError,
    OptionError,
)
from lineament.gallery import Gallery
from lineament.gallery import _schema as schema


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return indexed_gallery(tmp_path_factory.mktemp("sound") / "g")


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "g"))


def changed(folder: Path, *statements: str, values: tuple[Any, ...] = ()) -> None:
    """Run SQL as another program, with what this version of SQLite lets it do; seal it again."""
    with closing(sqlite3.connect(folder / "gallery.sqlite", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement, values)
        value = schema.settings_checksum(connection)
        if value is not None:
            connection.execute("UPDATE settings SET value = ? WHERE name = 'checksum'", (value,))


def used(folder: Path) -> None:
    """Do what one does with a gallery."""
    for read_only in (True, False):
        with Gallery.open(folder, read_only=read_only) as gallery:
            gallery.identify_embeddings([embed(vectors(5)[3])])
            gallery.people()
            gallery.check()
            for name in ("person 1", "person 3"):
                if name in gallery:
                    gallery.person(name)
            if not read_only:
                gallery.enroll_embeddings("Ada", [embed(vectors(9)[8])], force=True)
                gallery.reindex()


# --- the tables -----------------------------------------------------------------------------------

FOREIGN = {
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON people BEGIN DELETE FROM owners; END",
    "a view": "CREATE VIEW v AS SELECT load_extension('x')",
    "a view in place of a table": "DROP TABLE totals; CREATE VIEW totals AS SELECT 1 name, 2 value",
    "a virtual table": "CREATE VIRTUAL TABLE f USING fts5(a)",
    "a virtual table in place of a table": (
        "DROP TABLE totals; CREATE VIRTUAL TABLE totals USING fts5(name, value)"
    ),
    "a computed column": "ALTER TABLE people ADD COLUMN c AS (abs(created))",
    "another table": "CREATE TABLE mine (a)",
    "an index": "CREATE INDEX i ON people (created)",
    "an index of an expression": "CREATE INDEX i ON people (abs(created))",
    "statistics": "ANALYZE",
    "a column less": "ALTER TABLE samples DROP COLUMN metadata",
    "a table less": "DROP TABLE photographs",
    "another view of that name": "DROP VIEW enrolled; CREATE VIEW enrolled AS SELECT 1",
    "a table without its constraint": (
        "DROP TABLE totals; CREATE TABLE totals (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID"
    ),
    "no version": "PRAGMA user_version = 0",
    "a version below 0": "PRAGMA user_version = -1",
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("read_only", [True, False])
def test_other_tables_than_ours_are_refused(folder: Path, kind: str, read_only: bool) -> None:
    with closing(sqlite3.connect(folder / "gallery.sqlite", isolation_level=None)) as connection:
        try:
            for statement in FOREIGN[kind].split("; CREATE"):
                begin = "CREATE " if statement.startswith(" ") else ""
                connection.execute(begin + statement.strip())
        except sqlite3.OperationalError as error:
            pytest.skip(f"this SQLite cannot make it ({error})")
    before = (folder / "gallery.sqlite").read_bytes()
    with pytest.raises(GalleryDamagedError, match=r"tables and nothing else.*nothing was"):
        Gallery.open(folder, read_only=read_only)
    assert (folder / "gallery.sqlite").read_bytes() == before


@pytest.mark.parametrize("read_only", [True, False])
def test_a_schema_whose_words_are_no_text(folder: Path, read_only: bool) -> None:
    """SQLite quotes it in the message of its error, which Python then cannot read."""
    path = folder / "gallery.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    data = path.read_bytes()
    assert data.count(b"CREATE TABLE totals (") == 1
    path.write_bytes(data.replace(b"CREATE TABLE totals (", b"CREATE TABLE t\x81tals \xff"))
    with pytest.raises(GalleryDamagedError):
        Gallery.open(folder, read_only=read_only)


def test_all_versions_of_our_own_tables_are_ours(tmp_path: Path) -> None:
    for version in range(1, schema.VERSION + 1):
        with closing(sqlite3.connect(tmp_path / f"{version}.sqlite")) as connection:
            schema.register(connection, bytes(32))
            for script in schema.MIGRATIONS[:version]:
                for statement in filter(str.strip, script.split(";\n")):
                    connection.execute(statement.replace("\n", "\n  "))
            assert schema.foreign_parts(connection, version) == []
            assert (schema.foreign_parts(connection, version + 1) == []) == (
                version == schema.VERSION
            )


def test_a_copy_by_vacuum_is_a_gallery(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    with closing(sqlite3.connect(folder / "gallery.sqlite")) as connection:
        connection.execute("VACUUM INTO ?", (str(tmp_path / "copy" / "gallery.sqlite"),))
    used(tmp_path / "copy")


# --- values that are read when it is opened -------------------------------------------------------

SETTINGS: dict[str, list[Any]] = {
    "gallery": ["", "../../x", "x" * 32, b"\xff" * 16, 5, "a" * 31],
    "secret": ["", "ab", "x" * 64, "ab" * 33, "ab" * 100, b"\xff" * 32, 7],
    "settings": [
        *("", "{", "[]", "null", '{"prior": 1e999}', '{"prior": 7}', '{"mean_of": 0}', "[" * 5000),
        *('{"index": "milvus:file:///etc/passwd"}', '{"threshold": "x"}', b"\xff\xfe", 3),
        '{"keep_crops": [1]}',
    ],
    "contract": ["", "x", "-1", "999", "1e3", "9" * 50, "0x1", b"\xff", 1.5],
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_make_no_sense(folder: Path, name: str) -> None:
    for value in SETTINGS[name]:
        changed(folder, f"UPDATE settings SET value = ? WHERE name = '{name}'", values=(value,))
        for read_only in (True, False):
            with pytest.raises(GalleryDamagedError, match="restore a backup"):
                Gallery.open(folder, read_only=read_only)
    changed(folder, f"DELETE FROM settings WHERE name = '{name}'")
    with pytest.raises(GalleryDamagedError, match="restore a backup"):
        Gallery.open(folder)


def test_a_gallery_of_others_names_no_server(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = "http://127.0.0.1:9"
    for uri in (server, str(tmp_path / "vectors.db")):
        text = json.dumps({"index": f"milvus:{uri}", "threshold": 0.6})
        changed(folder, "UPDATE settings SET value = ? WHERE name = 'settings'", values=(text,))
        monkeypatch.delenv("LINEAMENT_MILVUS_SERVERS", raising=False)
        for read_only in (True, False):
            with pytest.raises(OptionError, match=r"does not name: nothing was sent there.*none"):
                Gallery.open(folder, read_only=read_only)
        monkeypatch.setenv("LINEAMENT_MILVUS_SERVERS", "none")
        used(folder)
    assert not list(tmp_path.glob("vectors.db*"))
    with Gallery.open(folder) as gallery:
        gallery.configure(index="exact")
        monkeypatch.delenv("LINEAMENT_MILVUS_SERVERS")
        with pytest.raises(OptionError, match="nothing was sent there"):
            gallery.configure(index="milvus:http://y:1")
        assert gallery.settings.index == "exact"
    with pytest.raises(OptionError, match="nothing was sent there"):
        make_gallery(tmp_path / "new", index="milvus:http://y:1")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("dimension", value) for value in ("x", 10**11, -1, 0, 1.5, b"12", 1 << 62)),
        *(("flip", value) for value in (3, -1, "x", 0.5, b"\0")),
        *(("weights", value) for value in (b"\xff", b"sface")),
        *(("alignment", value) for value in (b"\xff", b"x")),
        *(("color_order", value) for value in (b"rgb", b"")),
    ],
)
def test_a_contract_that_makes_no_sense(folder: Path, column: str, value: Any) -> None:
    changed(folder, f"UPDATE contracts SET {column} = ?", values=(value,))
    for read_only in (True, False):
        with pytest.raises(GalleryDamagedError, match="restore a backup"):
            Gallery.open(folder, read_only=read_only)


ODD = (b"\xff\xfe", "x", "{", -1, 1 << 62, -(1 << 62), 1e300, "9" * 400, "")


@pytest.mark.parametrize(
    "place",
    [
        "changes.mark",
        "changes.kind",
        "changes.first",
        "changes.last",
        "totals.value",
        "owners.person",
    ],
)
def test_numbers_that_make_no_sense(folder: Path, tmp_path: Path, place: str) -> None:
    table, column = place.split(".")
    for i, value in enumerate(ODD):
        for others in ("1", "name = 'dead'" if table == "totals" else "rowid % 2"):
            copy = Path(shutil.copytree(folder, tmp_path / f"{i} {others[:3]}"))
            changed(copy, f"UPDATE {table} SET {column} = ? WHERE {others}", values=(value,))
            with suppress(LineamentError):
                used(copy)


def test_the_last_change_there_can_be(folder: Path) -> None:
    changed(folder, "UPDATE changes SET number = 9223372036854775807 WHERE number = 7")
    with suppress(LineamentError):
        used(folder)


@pytest.mark.parametrize(
    "state",
    [
        *("", "[]", "{}", "[" * 50_000, '{"gallery": 1, "change": 1, "mark": 1}'),
        *(
            f'{{"gallery": "UID", "change": {number}, "mark": 1}}'
            for number in ("1e999", "NaN", "-1", str(1 << 80), '"x"', "[]", "null", "1.5")
        ),
    ],
)
def test_an_index_that_says_nonsense_of_itself(folder: Path, state: str) -> None:
    from lineament.search import _index_files as files

    header = files.read_header(folder / "index")
    uid = json.loads(header.state)["gallery"]
    values = {name: getattr(header, name) for name in header.__dataclass_fields__}
    files.write_header(
        folder / "index", files.Header(**values | {"state": state.replace("UID", uid)})
    )
    used(folder)


@pytest.mark.parametrize(
    "values",
    [
        *({name: number} for name in ("count", "rows") for number in (-1, 0, 10**6, 1 << 70)),
        *({"count": number, "rows": number} for number in (-1, 4, 10**9, 1 << 70)),
        *({"dimension": number} for number in (0, -1, 1 << 70)),
        {"extra": {"fitted": 1 << 70}},
    ],
    ids=str,
)
def test_an_index_with_numbers_that_make_no_sense(folder: Path, values: dict[str, Any]) -> None:
    from lineament.search import _index_files as files

    header = files.read_header(folder / "index")
    given = {name: getattr(header, name) for name in header.__dataclass_fields__} | values
    files.write_header(folder / "index", files.Header(**given))
    used(folder)
    with Gallery.open(folder, read_only=True) as gallery:
        (found,) = gallery.identify_embeddings([embed(vectors(5)[3])])
        assert found.name == "person 3"


# --- journals -------------------------------------------------------------------------------------


def journal(other: Path) -> bytes:
    """A rollback journal with one page, of a transaction over several files: ``other`` is deleted.

    https://www.sqlite.org/fileformat2.html#the_rollback_journal
    """
    magic = bytes.fromhex("d9d505f920a163d7")
    name = str(other).encode()
    head = magic + struct.pack(">iIIII", 0, 7, 1, 512, 4096)
    end = struct.pack(">i", 0x40000000 // 4096 + 1) + name
    end += struct.pack(">iI", len(name), sum(struct.unpack(f"{len(name)}b", name)) & 0xFFFFFFFF)
    return head.ljust(512, b"\0") + end + magic


def test_a_journal_deletes_nobody_elses_file(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    for data in (journal(own), b"x", bytes(600)):
        own.write_bytes(b"words")
        (folder / "gallery.sqlite-journal").write_bytes(data)
        before = (folder / "gallery.sqlite").read_bytes()
        for read_only in (True, False):
            with pytest.raises(GalleryDamagedError, match="no rollback journal"):
                Gallery.open(folder, read_only=read_only)
        assert own.read_bytes() == b"words"
        assert (folder / "gallery.sqlite").read_bytes() == before
    (folder / "gallery.sqlite-journal").write_bytes(b"")
    used(folder)


# --- removed, moved and replaced while it is open -------------------------------------------------


def _replaced(folder: Path) -> None:
    other = folder.with_name("other")
    shutil.copytree(folder, other)
    (other / "gallery.sqlite").replace(folder / "gallery.sqlite")


def _made_anew(folder: Path) -> None:
    shutil.rmtree(folder)
    Gallery.create(folder, CONTRACT).close()


GONE: dict[str, Callable[[Path], object]] = {
    "the database unlinked": lambda folder: (folder / "gallery.sqlite").unlink(),
    "the database replaced": _replaced,
    "the lock unlinked": lambda folder: (folder / "gallery.lock").unlink(),
    "the log unlinked": lambda folder: (folder / "gallery.sqlite-wal").unlink(),
    "the folder removed": shutil.rmtree,
    "the folder moved": lambda folder: folder.rename(folder.with_name("elsewhere")),
    "the folder made anew": _made_anew,
}


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no open files")
@pytest.mark.parametrize("kind", GONE)
def test_nothing_is_acknowledged_that_nobody_will_find(
    folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    gallery = Gallery.open(folder.name)  # a relative path, and the process goes elsewhere
    monkeypatch.chdir("/")
    gallery.enroll_embeddings("Ada", [embed(vectors(9)[8])], force=True)
    GONE[kind](folder)
    names = set(folder.parent.rglob("*"))
    for change in (
        lambda: gallery.enroll_embeddings("Eve", [embed(vectors(9)[7])], force=True),
        lambda: gallery.remove("person 1"),
        lambda: gallery.rename("person 2", "Bob"),
        lambda: gallery.annotate("person 2", {"a": 1}),
        lambda: gallery.configure(prior=0.2),
        gallery.reindex,
    ):
        with pytest.raises(GalleryError, match=r"removed, moved or replaced while it was open"):
            change()
    (found,) = gallery.identify_embeddings([embed(vectors(5)[3])])
    assert found.name == "person 3"  # what was read stays readable
    gallery.close()
    new = {path for path in set(folder.parent.rglob("*")) - names if "elsewhere" not in str(path)}
    assert new == set()
    if kind == "the folder moved":
        with Gallery.open(folder.with_name("elsewhere")) as moved:
            assert "Ada" in moved
            assert "Eve" not in moved
    if kind == "the folder made anew":
        assert Gallery.open(folder).n_people == 0


@pytest.mark.parametrize("kind", ["symlink_to", "hardlink_to"])
def test_a_link_to_ones_own_open_gallery_is_not_that_gallery(
    folder: Path, tmp_path: Path, kind: str
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / "link").symlink_to(folder)
    with Gallery.open(folder) as own:
        with Gallery.open(tmp_path / "link") as same:  # a link to a folder is the user's own choice
            same.rename("person 1", "Bob")
        getattr(other / "gallery.sqlite", kind)(folder / "gallery.sqlite")
        for read_only in (True, False):
            with pytest.raises(GalleryDamagedError, match="link"):
                Gallery.open(other, read_only=read_only)
        assert "Bob" in own
    assert Gallery.exists(other)


def test_an_empty_gallery_in_the_place_of_another_stays(tmp_path: Path) -> None:
    gallery = make_gallery(tmp_path / "g")
    shutil.rmtree(tmp_path / "g")
    make_gallery(tmp_path / "g", people=2).close()
    assert not gallery.discard_if_empty(keep_folder=False)
    assert Gallery.open(tmp_path / "g").n_people == 2


def test_replaced_between_the_change_and_its_acknowledgement(folder: Path) -> None:
    with Gallery.open(folder) as gallery:
        store = gallery._state.store
        store.connection.set_trace_callback(
            lambda text: (folder / "gallery.sqlite").unlink() if text == "COMMIT" else None
        )
        with pytest.raises(GalleryError, match="nothing of this change can be relied on"):
            gallery.rename("person 2", "Bob")
        store.connection.set_trace_callback(None)


# --- rights and paths -----------------------------------------------------------------------------


def test_what_cannot_be_opened_says_why(folder: Path, tmp_path: Path) -> None:
    deep = tmp_path / "/".join(["x" * 100] * 6)
    with pytest.raises(GalleryError, match="path is too long"):
        Gallery.create(deep, CONTRACT)
    deep.mkdir(parents=True, exist_ok=True)
    shutil.copytree(folder, deep / "g")
    with pytest.raises(GalleryError, match="path is too long"):
        Gallery.open(deep / "g")
    with pytest.raises(GalleryError, match="file name too long"):
        Gallery.open(tmp_path / ("x" * 300))
    for odd in ("a\0b", "gallery.sqlite/x"):
        with pytest.raises(GalleryNotFoundError):
            Gallery.open(folder / odd)
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(GalleryNotFoundError):
        Gallery.open(tmp_path / "file")
    with pytest.raises(GalleryError, match="cannot be made there"):
        Gallery.create(tmp_path / "file", CONTRACT)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to root"
)
def test_who_may_not_write_is_told_so(folder: Path, tmp_path: Path) -> None:
    folder.chmod(0o500)
    try:
        with pytest.raises(GalleryExistsError, match="there is a gallery already"):
            Gallery.create(folder, CONTRACT)
        with Gallery.open(folder, read_only=True) as gallery:
            assert gallery.n_people == 5
        folder.chmod(0)
        with pytest.raises(GalleryError, match="permission denied"):
            Gallery.open(folder)
        assert not Gallery.exists(folder)
    finally:
        folder.chmod(0o700)
    (folder / "gallery.sqlite").chmod(0)
    with pytest.raises(GalleryError, match=r"cannot be read \(permission denied"):
        Gallery.open(folder, read_only=True)
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(GalleryError, match=r"cannot be made there \(permission denied"):
        Gallery.create(tmp_path / "closed" / "g", CONTRACT)
    with pytest.raises(GalleryError, match=r"cannot be made there \(permission denied"):
        Gallery.create(tmp_path / "closed", CONTRACT)
