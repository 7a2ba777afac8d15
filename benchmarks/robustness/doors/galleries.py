"""Folders of galleries that somebody sent: opened, read, searched, written to."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np

from doors import people
from doors.case import Case, Door
from doors.damage import NUMBERS, changed, damaged
from doors.exports import CROPS
from doors.terminal import RAW
from lineament import Gallery, LineamentError
from lineament.gallery import NewSample


def _tried(case: Case, what: str, do: Callable[[], Any]) -> bool:
    """Whether it worked; our own errors are refusals, everything else passes through."""
    try:
        do()
    except LineamentError as error:
        case.say(f"{what}: {type(error).__name__}: {error}")
        words = str(error)
        if RAW.search(words):
            case.escapes.append(f"a raw message: {words[:300]!r}")
        return False
    case.say(f"{what}: done")
    return True


def opened(case: Case, folder: Path, *, known: bool = True) -> bool:
    """Open for reading and for writing, and do everything.

    Args:
        case: says what was done.
        folder: of the gallery.
        known: no vector, owner or name was changed in a way that its checksum hides: nobody may
            be taken for somebody else.

    Returns:
        Whether it could be opened for writing.
    """
    worked = False
    for read_only in (True, False):
        try:
            gallery = Gallery.open(folder, read_only=read_only, wait_s=0.2)
        except LineamentError as error:
            case.say(f"open(read_only={read_only}): {type(error).__name__}: {error}")
            if RAW.search(str(error)):
                case.escapes.append(f"a raw message: {str(error)[:300]!r}")
            continue
        with suppress(LineamentError), gallery:
            worked = worked or not read_only
            _use(case, gallery, known=known, read_only=read_only)
    return worked


def _use(case: Case, gallery: Gallery, *, known: bool, read_only: bool) -> None:
    listed: list[str] = []
    _tried(case, "people", lambda: listed.extend(person.name for person in gallery.people()))
    _tried(case, "check", gallery.check)
    _tried(case, "repr", lambda: (repr(gallery), gallery._repr_html_(), gallery.to_rows()))
    for name in listed[:5]:
        _tried(case, f"person {name!r}", lambda name=name: _samples(gallery, name))
    for number, name in enumerate(people.NAMES):
        found: list[Any] = []
        face = people.embedding(number)
        _tried(
            case,
            f"identify {name!r}",
            lambda found=found, face=face: found.extend(gallery.identify_embeddings([face])),
        )
        if found and known:
            wrong = found[0].name in people.NAMES and found[0].name != name
            case.expect(not wrong, f"{name!r} is taken for {found and found[0].name!r}")
    _tried(case, "where", lambda: gallery.people(where={"groups": {"has": "night"}, "number": 2}))
    _tried(case, "keys", gallery.metadata_keys)
    _tried(case, "export", lambda: gallery.export(case.folder / f"out-{read_only}.jsonl"))
    _tried(case, "parquet", lambda: gallery.export(case.folder / f"out-{read_only}.parquet"))
    if read_only:
        return
    new = NewSample(people.embedding(50), source="/photos/new.jpg")
    if _tried(case, "enroll", lambda: gallery.enroll_samples([("New", new)], force=True)):
        case.expect("New" in gallery, "who was acknowledged is not there")
    _tried(case, "annotate", lambda: gallery.annotate("New", {"a": 1}))
    _tried(case, "rename", lambda: gallery.rename("New", "Newer"))
    for name in listed[:1]:
        _tried(case, f"remove {name!r}", lambda name=name: gallery.remove(name))
    _tried(case, "reindex", gallery.reindex)
    _tried(case, "compact", gallery.compact)
    _tried(case, "save", lambda: gallery.save(case.folder / "saved"))
    _tried(case, "close", gallery.close)


def _samples(gallery: Gallery, name: str) -> None:
    for sample in gallery.person(name).samples:
        gallery.crop(sample.id)
        gallery.embedding(sample.id)


def _database(folder: Path) -> Path:
    return folder / "gallery.sqlite"


def _index_files(folder: Path) -> list[Path]:
    return sorted((folder / "index").iterdir())


# ---- damage --------------------------------------------------------------------------------------


def damaged_database(case: Case) -> bool:
    """Bytes of the database are others."""
    folder = people.copied(case, "full")
    path = _database(folder)
    data = path.read_bytes()
    page = 4096 * int(case.rng.integers(len(data) // 4096))
    if case.chance(0.5):
        data = data[:page] + damaged(data[page : page + 4096], case.rng) + data[page + 4096 :]
    else:
        data = damaged(data, case.rng)
    path.write_bytes(data)
    return opened(case, folder)


def damaged_index(case: Case) -> bool:
    """Bytes of a file of the index are others: the index is derived, all must work."""
    folder = people.copied(case, "full")
    path = case.pick(_index_files(folder))
    path.write_bytes(damaged(path.read_bytes(), case.rng))
    case.expect(opened(case, folder), "a damaged index closes the gallery")
    return True


def damaged_header(case: Case) -> bool:
    """An ``index.json`` with a right checksum and wrong content."""
    folder = people.copied(case, "full")
    path = folder / "index" / "index.json"
    content = json.loads(path.read_bytes())
    content.pop("sha256")
    part = case.pick(list(content["parts"]))
    kind = case.rng.integers(5)
    if kind == 0:
        content["parts"][part]["name"] = case.pick(
            [
                "../../outside/letter.txt",
                str(case.outside / "letter.txt"),
                "..",
                "",
                "a\0b",
                "/dev/zero",
            ]
        )
    elif kind == 1:
        content[case.pick(["count", "rows", "dimension"])] = case.pick(NUMBERS[:10])
    elif kind == 2:
        content["parts"][part]["size"] = case.pick([0, -1, 2**40, 10**30])
    else:
        content = changed(content, case.rng)
    if isinstance(content, dict):
        with suppress(ValueError, TypeError):
            text = json.dumps(content, sort_keys=True, separators=(",", ":"))
            content["sha256"] = hashlib.sha256(text.encode(errors="replace")).hexdigest()
    path.write_text(json.dumps(content), errors="replace")
    case.expect(opened(case, folder), "a damaged index closes the gallery")
    return True


def tampered_rows(case: Case) -> bool:
    """Values of other types and sizes anywhere in the database."""
    folder = people.copied(case, "full")
    with closing(sqlite3.connect(_database(folder))) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        tables = [
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not row[0].startswith("sqlite_")
        ]
        for _ in range(int(case.rng.integers(1, 4))):
            table = case.pick(tables)
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            column = case.pick(columns)
            value = case.pick(
                [
                    None,
                    "x",
                    b"x",
                    10**18,
                    -1,
                    0,
                    1.5,
                    float("inf"),
                    "{",
                    "[]",
                    "9" * 400,
                    b"\xff" * 16,
                    "\x1b[2J",
                    bytes(128),
                    np.float32([np.nan] * 32).tobytes(),
                    "x" * 100000,
                ]
            )
            one = "" if case.chance(0.3) else " WHERE rowid = 1" if case.chance(0.5) else ""
            case.say(table, column, repr(value)[:60], one)
            with suppress(sqlite3.Error):
                connection.execute(f"UPDATE {table} SET {column} = ?{one}", (value,))
        connection.commit()
    return opened(case, folder)


def tampered_settings(case: Case) -> bool:
    """The row of the settings, and the contract's."""
    folder = people.copied(case, "full")
    with closing(sqlite3.connect(_database(folder))) as connection:
        rows = dict(connection.execute("SELECT name, value FROM settings"))
        kind = case.rng.integers(4)
        if kind == 0:
            settings = changed(json.loads(rows["settings"]), case.rng)
            connection.execute(
                "UPDATE settings SET value = ? WHERE name = 'settings'",
                (json.dumps(settings).encode(errors="replace").decode(),),
            )
        elif kind == 1:
            index = case.pick(
                ["milvus:http://10.0.0.1:19530", f"milvus:{case.outside}/m.db", "turbo", "x", ""]
            )
            settings = {**json.loads(rows["settings"]), "index": index}
            connection.execute(
                "UPDATE settings SET value = ? WHERE name = 'settings'", (json.dumps(settings),)
            )
        elif kind == 2:
            column = case.pick(["dimension", "flip", "alignment", "weights"])
            connection.execute(
                f"UPDATE contracts SET {column} = ?",
                (case.pick([0, -1, 31, 33, 10**11, 10**18, "x", "9" * 30, b"x", 1.5, "\x1b[2J"]),),
            )
        else:
            name = case.pick(list(rows))
            connection.execute(
                "UPDATE settings SET value = ? WHERE name = ?",
                (case.pick(["", "{", "null", "1e999", "-1", "99", "x" * 99999, "\x1b[2J"]), name),
            )
        connection.commit()
    return opened(case, folder)


def rotten_vectors(case: Case) -> bool:
    """A vector in the database is another: no wrong name, and the rest goes on."""
    folder = people.copied(case, "full")
    other = case.pick(
        [
            people.vector_of(1).tobytes(),
            bytes(128),
            np.full(32, np.nan, np.float32).tobytes(),
            people.vector_of(1).tobytes()[:-4],
            b"",
            people.vector_of(1).tobytes() * 100,
        ]
    )
    with closing(sqlite3.connect(_database(folder))) as connection:
        connection.execute("UPDATE vectors SET vector = ? WHERE sample IN (1, 2)", (other,))
        connection.commit()
    if case.chance(0.7):
        shutil.rmtree(folder / "index")
    try:
        _around_rot(case, folder)
    except LineamentError as error:
        case.expect(False, f"two rotten vectors close the gallery: {error}")
    return True


def _around_rot(case: Case, folder: Path) -> None:
    with Gallery.open(folder) as gallery:
        wrong = gallery.check()
        case.say(wrong)
        case.expect(wrong, "check finds all well")
        for number in range(1, 4):
            (found,) = gallery.identify_embeddings([people.embedding(number)])
            case.expect(
                found.name == people.NAMES[number],
                f"{people.NAMES[number]} is taken for {found.name!r}",
            )
        (found,) = gallery.identify_embeddings([people.embedding(0)])
        case.expect(found.name in (None, people.NAMES[0]), f"the first is {found.name!r}")
        gallery.export(case.folder / "rest.jsonl")
        gallery.remove(1)
        gallery.remove(2)
        left = gallery.check()
        case.expect(left == [], f"removed, but check says {left}")


def swapped_owners(case: Case) -> bool:
    """A sample is said to be somebody else's."""
    folder = people.copied(case, "full")
    with closing(sqlite3.connect(_database(folder))) as connection:
        statement = case.pick(
            [
                "UPDATE owners SET person = 2 WHERE sample = 1",
                "UPDATE owners SET person = 3 - person WHERE person IN (1, 2)",
                "UPDATE vectors SET vector = (SELECT vector FROM vectors WHERE sample = 3) "
                "WHERE sample = 1",
                "DELETE FROM vectors WHERE sample = 1",
                "DELETE FROM owners WHERE sample = 1",
                "DELETE FROM samples WHERE id = 1",
                "DELETE FROM labels WHERE id = 1",
                "UPDATE people SET label = 2 WHERE id = 1",
                "DELETE FROM uids",
                "DELETE FROM totals",
                "DELETE FROM changes",
            ]
        )
        case.say(statement)
        connection.execute("PRAGMA foreign_keys = OFF")
        with suppress(sqlite3.Error):
            connection.execute(statement)
        connection.commit()
    if case.chance(0.6):
        shutil.rmtree(folder / "index")
    return opened(case, folder)


# ---- what a database may bring -------------------------------------------------------------------

TRAPS = (
    "CREATE TRIGGER t AFTER INSERT ON labels BEGIN DELETE FROM people; END",
    "CREATE TRIGGER t AFTER INSERT ON owners BEGIN UPDATE owners SET person = 1; END",
    "CREATE TRIGGER t AFTER INSERT ON samples BEGIN INSERT INTO changes (mark, kind, first, last) "
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
    "SELECT x, 'a', 1, 1 FROM n; END",
    "CREATE TRIGGER t BEFORE UPDATE ON settings BEGIN SELECT RAISE(IGNORE); END",
    "CREATE TRIGGER t BEFORE INSERT ON vectors BEGIN SELECT RAISE(IGNORE); END",
)
VIEWS = (
    ("labels", "SELECT id, name, metadata FROM old UNION ALL SELECT 99, zeroblob(900000000), '{}'"),
    (
        "people",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
        "SELECT x AS id, randomblob(16) AS name_key, 1 AS label, 1.0 AS created FROM n",
    ),
    ("changes", "SELECT 1 AS number, 1 AS mark, 'all' AS kind, 1 AS first, 1 AS last"),
    ("totals", "SELECT 'people' AS name, 7 AS value"),
    ("vectors", "SELECT sample, randomblob(128) AS vector FROM old"),
)


def traps(case: Case) -> bool:
    """Triggers and views in the place of tables: they are not a gallery's."""
    folder = people.copied(case, "full")
    with closing(sqlite3.connect(_database(folder))) as connection:
        kind = case.rng.integers(3)
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA legacy_alter_table = ON")
        if kind == 0:
            connection.execute(case.pick(TRAPS))
        elif kind == 1:
            table, select = case.pick(VIEWS)
            case.say(table, select)
            connection.execute(f"ALTER TABLE {table} RENAME TO old")
            connection.execute(f"CREATE VIEW {table} AS {select}")
        else:
            connection.execute("DROP VIEW IF EXISTS enrolled")
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute(
                "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE name = ?",
                case.pick(
                    [
                        ("vector BLOB NOT NULL", "vector BLOB AS (zeroblob(100))", "vectors"),
                        ("name TEXT NOT NULL", "name TEXT COLLATE NOCASE", "labels"),
                        ("name TEXT NOT NULL", "name TEXT CHECK (length(name) < 3)", "labels"),
                        ("metadata TEXT NOT NULL", "metadata TEXT CHECK (0)", "labels"),
                    ]
                ),
            )
        connection.commit()
    return opened(case, folder)


def foreign(case: Case) -> bool:
    """Databases of other programs, other versions, and nothing of the kind."""
    folder = people.copied(case, "full")
    path = _database(folder)
    kind = case.rng.integers(7)
    if kind == 0:
        path.unlink()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE a (b)")
    elif kind == 1:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version = {case.pick([0, -1, 1, 2, 99, 2**31 - 1])}")
    elif kind == 2:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA application_id = 7")
    elif kind == 3:
        with closing(sqlite3.connect(path)) as connection:
            table = case.pick(["samples", "owners", "settings", "labels", "changes", "contracts"])
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute(f"DROP TABLE {table}")
    elif kind == 4:
        path.write_bytes(
            case.pick([b"", b"x", bytes(5000), b"SQLite format 3\0", case.rng.bytes(9000)])
        )
    elif kind == 5:
        with closing(sqlite3.connect(path)) as connection:
            mode = case.pick(["DELETE", "TRUNCATE", "PERSIST", "MEMORY", "OFF"])
            connection.execute(f"PRAGMA journal_mode = {mode}")
            connection.execute(f"PRAGMA encoding = '{case.pick(['UTF-16', 'UTF-8'])}'")
            connection.execute(f"PRAGMA page_size = {case.pick([512, 65536])}")
            connection.execute("VACUUM")
    else:
        name = case.pick(["gallery.sqlite-wal", "gallery.sqlite-journal", "gallery.sqlite-shm"])
        (folder / name).write_bytes(case.rng.bytes(int(case.rng.integers(9000))))
    return opened(case, folder)


# ---- links, pipes and folders --------------------------------------------------------------------


def _names(folder: Path) -> list[Path]:
    index = folder / "index"
    return [
        folder / "gallery.lock",
        *_index_files(folder),
        index / "vectors-0123456789abcdef.f32",
        index / "slots-0123456789abcdef.bin",
        index / "wipe-0123456789abcdef.bin",
        index / "codes-0123456789abcdef.bin",
        index / ".lineament-1-00000000.tmp",
        folder / ".gallery.sqlite-0123.tmp",
        folder / "gallery.sqlite-wal",
        folder / "gallery.sqlite-shm",
        folder / "gallery.sqlite-journal",
    ]


def links(case: Case) -> bool:
    """Names in the folder lead to files outside."""
    folder = people.copied(case, "full")
    case.may_read_outside = False
    for _ in range(int(case.rng.integers(1, 4))):
        path = case.pick(_names(folder))
        target = case.outside / case.pick(["letter.txt", "photo.jpg", "weights.bin", "new"])
        path.unlink(missing_ok=True)
        case.say(path.name, "->", target.name)
        if case.chance(0.5) or not target.exists():
            path.symlink_to(target)
        else:
            os.link(target, path)
    opened(case, folder)
    return True


def linked_folders(case: Case) -> bool:
    """The index, or the database itself, is somewhere else."""
    folder = people.copied(case, "full")
    elsewhere = case.folder / "elsewhere"
    kind = case.rng.integers(4)
    if kind == 0:
        shutil.rmtree(folder / "index")
        (folder / "index").symlink_to(case.outside)
    elif kind == 1:
        shutil.rmtree(folder / "index")
        (folder / "index").symlink_to(case.outside / "absent")
    elif kind == 2:
        _database(folder).unlink()
        _database(folder).symlink_to(case.outside / case.pick(["empty", "letter.txt", "absent"]))
    else:
        _database(folder).unlink()
        os.link(case.outside / case.pick(["empty", "letter.txt"]), _database(folder))
    case.say(kind, elsewhere)
    opened(case, folder)
    return True


def pipes(case: Case) -> bool:
    """In the place of a file stands a pipe, a socket, a folder or a device."""
    folder = people.copied(case, "full")
    path = case.pick([*_names(folder), _database(folder), folder / "index"])
    kind = case.pick(["pipe", "socket", "folder", "device"])
    case.say(path.name, kind)
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        here = Path.cwd()
        os.chdir(path.parent)  # the address of a socket is short
        with closing(socket.socket(socket.AF_UNIX)) as server:
            server.bind(path.name)
        os.chdir(here)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    opened(case, folder)
    return True


def gone_while_open(case: Case) -> bool:
    """The folder or the database is removed, or another takes its place, while it is open."""
    folder = people.copied(case, "full")
    gallery = Gallery.open(folder)
    kind = case.rng.integers(4)
    gallery.enroll_samples([("Before", people.new_sample(60, 0))], force=True)
    case.say(kind)
    if kind == 0:
        shutil.rmtree(folder)
    elif kind == 1:
        _database(folder).unlink()
    elif kind == 2:
        other = case.folder / "other"
        shutil.copytree(case.shared / "empty", other)
        (other / "gallery.sqlite").replace(_database(folder))
    else:
        folder.rename(case.folder / "moved")
    acknowledged = _tried(
        case,
        "enroll",
        lambda: gallery.enroll_samples([("After", people.new_sample(61, 0))], force=True),
    )
    _tried(case, "close", gallery.close)
    if kind in (0, 3):
        case.expect(not folder.exists(), f"came back: {list(folder.rglob('*'))[:4]}")
    if acknowledged:
        there = case.folder / "moved" if kind == 3 else folder
        case.expect(Gallery.exists(there), "acknowledged, and there is no gallery")
        with Gallery.open(there) as again:
            case.expect("After" in again, "acknowledged, and not there")
    return True


def crops(case: Case) -> bool:
    """Kept faces that are none: shown, exported."""
    folder = people.copied(case, "full")
    with closing(sqlite3.connect(_database(folder))) as connection:
        data = case.pick(CROPS)(case.rng)
        connection.execute("UPDATE crops SET png = ? WHERE sample = 1", (data,))
        connection.commit()
    return opened(case, folder)


DOOR = Door(
    "galleries",
    (
        damaged_database,
        damaged_index,
        tampered_rows,
        links,
        pipes,
        damaged_database,
        damaged_header,
        tampered_settings,
        rotten_vectors,
        swapped_owners,
        tampered_rows,
        links,
        linked_folders,
        foreign,
        gone_while_open,
        crops,
        traps,
    ),
    cases=900,
    bound_mb=400.0,
    prepare=people.prepare,
)
