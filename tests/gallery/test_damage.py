"""Damage of every kind: the rest of the gallery works, and what is damaged is named, and removable.

Each row of ``DAMAGES`` is done to sample 3 of 8 (of "person 1") by another program, behind the
gallery's back, as a disk, a bug or a careless edit would.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
from _pytest.mark.structures import ParameterSet
from gallery_builders import CONTRACT, DIMENSION, embed, turned, vectors

from lineament.errors import GalleryDamagedError, GalleryError
from lineament.gallery import Gallery, NewSample, Settings
from lineament.gallery._damage import pages
from lineament.gallery._store import DATABASE, INDEX
from lineament.types import Face

SETTINGS = Settings(threshold=0.6, keep_crops=True)
BAD = 3
"""The sample that is damaged; 2 i + 1 and 2 i + 2 are those of "person i"."""


def blob(vector: object) -> bytes:
    return np.asarray(vector, "<f4").tobytes()


Harm = Callable[[sqlite3.Connection], object]


def sql(statement: str, *values: object) -> Harm:
    return lambda connection: connection.execute(statement, values)


def several(*harms: Harm) -> Harm:
    return lambda connection: [harm(connection) for harm in harms]


def vector(value: object) -> Harm:
    return sql("UPDATE vectors SET vector = ? WHERE sample = 3", value)


NOT_SEARCHED: dict[str, Harm] = {
    "another vector of length 1": vector(blob(vectors(1, seed=7)[0])),
    "one bit": vector(blob(vectors(4)[1] * np.float32(1.0000002))),
    "vectors swapped between two people": several(
        sql("CREATE TEMP TABLE kept AS SELECT * FROM vectors WHERE sample IN (3, 5)"),
        sql("UPDATE vectors SET vector = (SELECT vector FROM kept WHERE sample = 5) "
            "WHERE sample = 3"),
        sql("UPDATE vectors SET vector = (SELECT vector FROM kept WHERE sample = 3) "
            "WHERE sample = 5"),
    ),
    "zeros": vector(blob(np.zeros(DIMENSION))),
    "NaN": vector(blob(np.full(DIMENSION, np.nan))),
    "infinity": vector(blob(np.full(DIMENSION, np.inf))),
    "another length": vector(blob(2 * vectors(1)[0])),
    "half of it": vector(blob(vectors(1)[0])[: 2 * DIMENSION]),
    "an odd number of bytes": vector(blob(vectors(1)[0])[:-3]),
    "too long": vector(blob(np.ones(1000)) * 100),
    "empty": vector(b""),
    "text": vector("no vector"),
    "text that is no UTF-8": sql(
        "UPDATE vectors SET vector = CAST(? AS TEXT) WHERE sample = 3", b"\xff\xfe\xff"
    ),
    "a number": vector(7),
    "no vector": sql("DELETE FROM vectors WHERE sample = 3"),
    "another owner": sql("UPDATE owners SET person = 4 WHERE sample = 3"),
    "an owner that is missing": sql("UPDATE owners SET person = 99 WHERE sample = 3"),
    "no checksum": sql("DELETE FROM checksums WHERE sample = 3"),
    "another checksum": sql("UPDATE checksums SET identity = 1 WHERE sample = 3"),
}  # fmt: skip
"""The vector, or whose it is: no search finds it."""

DETAILS: dict[str, Harm] = {
    "the face is no JSON": sql("UPDATE samples SET face = '{' WHERE id = 3"),
    "the face is a list": sql("UPDATE samples SET face = '[1]' WHERE id = 3"),
    "the face is text that is no UTF-8": sql(
        "UPDATE samples SET face = CAST(? AS TEXT) WHERE id = 3", b"\xff{"
    ),
    "another box": sql("UPDATE samples SET face = replace(face, '20.0', '21.0') WHERE id = 3"),
    "the face is bytes": sql("UPDATE samples SET face = x'00' WHERE id = 3"),
    "metadata are no JSON": sql("UPDATE samples SET metadata = '{' WHERE id = 3"),
    "metadata are a number": sql("UPDATE samples SET metadata = '3' WHERE id = 3"),
    "other metadata": sql("UPDATE samples SET metadata = '{\"year\": 1}' WHERE id = 3"),
    "another source": sql("UPDATE samples SET source = 'x.jpg' WHERE id = 3"),
    "source a number": sql("UPDATE samples SET source = 5 WHERE id = 3"),
    "source bytes": sql("UPDATE samples SET source = x'ff1b5b' WHERE id = 3"),
    "source that is no UTF-8": sql(
        "UPDATE samples SET source = CAST(? AS TEXT) WHERE id = 3", b"\xff\x1b[31m"
    ),
    "a short uid": sql("UPDATE samples SET uid = x'01' WHERE id = 3"),
    "the uid of another": sql("UPDATE samples SET uid = (SELECT uid FROM samples WHERE id = 1) "
                              "WHERE id = 3"),
    "a uid that is text": sql("UPDATE samples SET uid = 'x' WHERE id = 3"),
    "a uid that is a number": sql("UPDATE samples SET uid = 12 WHERE id = 3"),
    "another photo's hash": sql("UPDATE samples SET sha256 = zeroblob(32) WHERE id = 3"),
    "a hash that is text": sql("UPDATE samples SET sha256 = 'x' WHERE id = 3"),
    "a short hash": sql("UPDATE samples SET sha256 = x'00' WHERE id = 3"),
    "an endless time": sql("UPDATE samples SET added = 9e999 WHERE id = 3"),
    "a time that is text": sql("UPDATE samples SET added = 'x' WHERE id = 3"),
    "another contract of the sample": sql("UPDATE samples SET contract = 99 WHERE id = 3"),
    "a contract that is text": sql("UPDATE samples SET contract = 'x' WHERE id = 3"),
    "the crop is no picture": sql("UPDATE crops SET png = x'25215053' WHERE sample = 3"),
    "the crop of another": sql(
        "UPDATE crops SET png = (SELECT png FROM crops WHERE sample = 5) WHERE sample = 3"
    ),
    "the crop is text": sql("UPDATE crops SET png = 'x' WHERE sample = 3"),
    "the crop is missing": sql("DELETE FROM crops WHERE sample = 3"),
    "the row is missing": sql("DELETE FROM samples WHERE id = 3"),
    "another checksum of the details": sql("UPDATE checksums SET details = 1 WHERE sample = 3"),
}  # fmt: skip
"""What is noted of it: it is searched, and neither shown nor exported."""

NOWHERE: dict[str, Harm] = {
    "no owner": sql("DELETE FROM owners WHERE sample = 3"),
    "another contract": sql("UPDATE owners SET contract = 99 WHERE sample = 3"),
    "the contract of text": sql("UPDATE owners SET contract = 'x' WHERE sample = 3"),
}
"""It is not among the samples that are searched at all."""

DAMAGES = NOT_SEARCHED | DETAILS | NOWHERE


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 people with 2 samples each: the rows of ``vectors``, and like them by a cosine of 0.8."""
    folder = tmp_path_factory.mktemp("sound") / "g"
    face = Face(np.array([10, 20, 60, 90], np.float32), 0.9, None)
    with Gallery.create(folder, CONTRACT, settings=SETTINGS) as gallery:
        for i, row in enumerate(vectors(4)):
            for k, one in enumerate((row, turned(row, 0.8, seed=i))):
                crop = np.full((112, 112, 3), 20 * i + k, np.uint8)
                digest = bytes([2 * i + k]) * 32
                gallery.enroll_samples(
                    [(f"person {i}", NewSample(embed(one), f"{i} {k}.jpg", digest, face, crop=crop,
                                               metadata={"year": 2000}))],
                    metadata={f"person {i}": {"building": "AB"[i % 2]}},
                    force=True,
                )  # fmt: skip
        assert gallery.check() == []
        assert gallery.person("person 1").samples[0].id == BAD
    return folder


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "g"))


def harm(folder: Path, how: Harm, *, index: bool = True) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as connection, connection:
        how(connection)
    if not index:
        shutil.rmtree(folder / INDEX)


def named(gallery: Gallery) -> list[str | None]:
    """Whom the photos of the four people are said to show."""
    return [one.name for one in gallery.identify_embeddings([embed(row) for row in vectors(4)])]


def works(gallery: Gallery, *, second: str | None = "person 1") -> None:
    """All that reads: the others are there, and nobody has a wrong name."""
    found = named(gallery)
    assert found[0] == "person 0"
    assert found[1] in {second, None}
    assert found[3] == "person 3"
    assert found[2] in {"person 2", None}
    assert {one.name for one in gallery.people()} >= {"person 0", "person 2", "person 3"}
    assert len(gallery.people(where={"building": "A"})) == 2
    for info in gallery.people():
        for sample in gallery.person(info.name).samples:
            gallery.crop(sample.id)
            json.dumps(sample.to_dict(), allow_nan=False)
    assert gallery.n_people == 4
    assert repr(gallery)


def cases(quick: Iterable[str], others: Iterable[str]) -> list[ParameterSet]:
    """With the index as it is, which knows nothing of the damage, and built anew."""
    return [
        pytest.param(what, index, marks=pytest.mark.slow if what in slow else [])
        for index, slow in ((True, [*others]), (False, [*others, *quick][::2]))
        for what in (*quick, *others)
    ]


@pytest.mark.parametrize(("what", "index"), cases(NOT_SEARCHED, DETAILS | NOWHERE))
def test_a_damaged_sample(copy: Path, tmp_path: Path, what: str, index: bool) -> None:
    harm(copy, DAMAGES[what], index=index)
    for read_only in (True, False):
        with Gallery.open(copy, read_only=read_only) as gallery:
            works(gallery)
            unsearched = [part.sample for part in gallery.damaged if not part.searched]
            if what not in DETAILS and not index:
                assert BAD in unsearched  # said at once
    with Gallery.open(copy) as gallery:
        new = vectors(3, seed=9)[2]
        assert gallery.enroll_embeddings("Zoë", [embed(new)], force=True).created
        assert gallery.remove("Zoë").erased

    out = tmp_path / "all.jsonl"
    with Gallery.open(copy, read_only=True) as gallery:
        n_written = gallery.export(out)
        left_out = {part.sample for part in gallery.damaged}
        assert BAD in left_out
        assert n_written == 8 - (2 if "swapped" in what else 1)
    with Gallery.create(tmp_path / "new", CONTRACT, settings=SETTINGS) as gallery:
        assert gallery.import_(out).new_samples == n_written
        assert gallery.check() == []
        assert named(gallery)[0] == "person 0"

    with Gallery.open(copy, read_only=True) as gallery:
        problems = gallery.check()
        assert any(line.startswith(f"sample {BAD} of ") for line in problems), problems
        assert any(f"remove --sample {BAD}" in line for line in problems)
        assert not any("\x1b" in line for line in problems)

    with Gallery.open(copy) as gallery:
        gallery.reindex()
        gallery.compact()
        works(gallery)
        assert any(line.startswith(f"sample {BAD} of ") for line in gallery.check())
        assert gallery.remove(BAD).samples == (BAD,)
        if "swapped" in what:
            gallery.remove(5)
        gallery.reindex()
        gallery.compact()
        assert gallery.check() == []
        works(gallery)
    with Gallery.open(copy) as gallery:
        assert gallery.check() == []
        assert named(gallery)[1] == "person 1" or "swapped" in what
        assert gallery.damaged == ()


# --- people ---------------------------------------------------------------------------------------

LABEL = "WHERE id = (SELECT label FROM people WHERE id = 2)"

PEOPLE: dict[str, Harm] = {
    "metadata are no JSON": sql(f"UPDATE labels SET metadata = '{{' {LABEL}"),
    "metadata are empty": sql(f"UPDATE labels SET metadata = '' {LABEL}"),
    "metadata are a list": sql(f"UPDATE labels SET metadata = '[1]' {LABEL}"),
    "metadata are bytes": sql(f"UPDATE labels SET metadata = x'ff00' {LABEL}"),
    "metadata nest deeply": sql(f"UPDATE labels SET metadata = ? {LABEL}", "[" * 100_000),
    "other metadata": sql(f'UPDATE labels SET metadata = \'{{"building": "A"}}\' {LABEL}'),
    "another name": sql(f"UPDATE labels SET name = 'Eve' {LABEL}"),
    "the name of another": sql(f"UPDATE labels SET name = 'person 0' {LABEL}"),
    "no name": sql(f"UPDATE labels SET name = '' {LABEL}"),
    "the name a number": sql(f"UPDATE labels SET name = 5 {LABEL}"),
    "the name bytes": sql(f"UPDATE labels SET name = x'ff1b' {LABEL}"),
    "the name no UTF-8": sql(f"UPDATE labels SET name = CAST(? AS TEXT) {LABEL}", b"\xff\x1b[31m"),
    "the label of another": sql("UPDATE people SET label = 1 WHERE id = 2"),
    "a label that is missing": sql("UPDATE people SET label = 99 WHERE id = 2"),
    "the label's row is missing": sql(f"DELETE FROM labels {LABEL}"),
    "another key": sql("UPDATE people SET name_key = zeroblob(16) WHERE id = 2"),
    "a key that is text": sql("UPDATE people SET name_key = 'x' WHERE id = 2"),
    "an endless time": sql("UPDATE people SET created = 9e999 WHERE id = 2"),
    "a far time": sql("UPDATE people SET created = 1e15 WHERE id = 2"),
    "a time that is text": sql("UPDATE people SET created = 'x' WHERE id = 2"),
    "no checksum": sql("DELETE FROM person_checksums WHERE person = 2"),
}
"""What is done to "person 1", whose number is 2."""


@pytest.mark.parametrize(
    ("what", "index"), cases([*PEOPLE][::3], [w for w in PEOPLE if w not in [*PEOPLE][::3]])
)
def test_a_damaged_person(copy: Path, tmp_path: Path, what: str, index: bool) -> None:
    harm(copy, PEOPLE[what], index=index)
    for read_only in (True, False):
        with Gallery.open(copy, read_only=read_only) as gallery:
            assert named(gallery) == ["person 0", None, "person 2", "person 3"]
            assert len(gallery.people()) == 4
            json.dumps(gallery.to_dict(), allow_nan=False)
            assert gallery.metadata_keys()["building"] >= 3
            assert gallery.damaged
            assert gallery.person("person 3").n_samples == 2
            with pytest.raises(GalleryError):
                gallery.person("nobody")
    out = tmp_path / "all.jsonl"
    with Gallery.open(copy, read_only=True) as gallery:
        assert gallery.export(out) == 6
        assert [part for part in gallery.damaged if part.sample is None]
    with Gallery.create(tmp_path / "new", CONTRACT, settings=SETTINGS) as gallery:
        assert gallery.import_(out).new_people == 3
        assert gallery.check() == []
    with Gallery.open(copy) as gallery:
        gallery.reindex()
        problems = gallery.check()
        assert any("remove --damaged" in line for line in problems), problems
        assert not any("\x1b" in line for line in problems)
        report = gallery.remove_damaged()
        assert report.erased
        assert len(report.samples) == 2
        gallery.compact()
        assert gallery.check() == []
        assert [one.name for one in gallery.people()] == ["person 0", "person 2", "person 3"]
        assert named(gallery) == ["person 0", None, "person 2", "person 3"]


def test_damage_is_never_blessed(copy: Path) -> None:
    """What changes a damaged person or their samples refuses, or leaves them damaged."""
    harm(copy, several(PEOPLE["other metadata"], NOT_SEARCHED["another vector of length 1"]))
    with Gallery.open(copy) as gallery:
        for change in (
            lambda: gallery.rename("person 1", "Ada"),
            lambda: gallery.annotate("person 1", {"x": 1}),
            lambda: gallery.merge("person 1", "person 2", force=True),
            lambda: gallery.merge("person 2", "person 1", force=True),
        ):
            with pytest.raises(GalleryDamagedError, match="is damaged"):
                change()
        gallery.annotate("person 1", {"building": "B"}, replace=True)
        assert not [part for part in gallery.damaged if part.sample is None]
        gallery.rename("person 1", "Ada")
        gallery.merge("person 2", "Ada", force=True)
        assert [line.partition(":")[0] for line in gallery.check()] == ["sample 3 of person 2"]
        assert gallery.remove(3).erased
        assert gallery.check() == []


# --- what is noted twice, and the settings --------------------------------------------------------

NOTES: dict[str, Harm] = {
    "the number of people": sql("UPDATE totals SET value = 9 WHERE name = 'people'"),
    "the number of samples": sql("UPDATE totals SET value = 'x' WHERE name = 'samples'"),
    "the number of removed ones": sql("UPDATE totals SET value = 'x' WHERE name = 'dead'"),
    "no numbers": sql("DELETE FROM totals"),
    "no photographs": sql("DELETE FROM photographs"),
    "a photograph of another": sql("UPDATE photographs SET person = 1 WHERE sample = 3"),
    "no uids": sql("DELETE FROM uids"),
    "a uid of another": sql("UPDATE uids SET sample = 1 WHERE sample = 3"),
}


@pytest.mark.parametrize("what", NOTES)
def test_what_is_noted_twice_is_mended(copy: Path, what: str) -> None:
    harm(copy, NOTES[what])
    with Gallery.open(copy) as gallery:
        assert (len(named(gallery)), len(gallery.people())) == (4, 4)
        assert any("run reindex()" in line for line in gallery.check())
        gallery.enroll_embeddings("Zoë", [embed(vectors(3, seed=9)[2])], force=True)
        gallery.remove("Zoë")
        gallery.reindex()
        assert gallery.check() == []
        assert (gallery.n_people, gallery.n_samples) == (4, 8)


@pytest.mark.parametrize(
    "how",
    [
        sql("UPDATE settings SET value = substr(value, 3) || '5a' WHERE name = 'secret'"),
        sql("UPDATE settings SET value = replace(value, '0.6', '0.1') WHERE name = 'settings'"),
        sql("UPDATE contracts SET alignment = 'five-96'"),
        sql("UPDATE contracts SET dimension = 'x'"),
        sql("UPDATE contracts SET dimension = 1e11"),
        sql("DELETE FROM contracts"),
        sql("DELETE FROM settings WHERE name = 'checksum'"),
        sql("DELETE FROM settings"),
    ],
)
def test_settings_that_are_not_what_was_written(copy: Path, how: Harm) -> None:
    harm(copy, how)
    for read_only in (True, False):
        with pytest.raises(GalleryDamagedError, match="restore a backup"):
            Gallery.open(copy, read_only=read_only)


def test_rows_of_nobody_are_named_and_deleted(copy: Path) -> None:
    harm(
        copy,
        several(
            sql("INSERT INTO crops VALUES (77, x'89504e47')"),
            sql("INSERT INTO labels (name, metadata) VALUES ('Eve', '{}')"),
        ),
    )
    with Gallery.open(copy) as gallery:
        assert len([line for line in gallery.check() if "run compact()" in line]) == 2
        gallery.compact()
        assert gallery.check() == []


def test_an_index_that_differs_from_the_database(copy: Path) -> None:
    with Gallery.open(copy) as gallery:
        gallery._state.index._index.add([BAD], vectors(1, seed=3))
        assert any("reindex()" in line for line in gallery.check())
        gallery.reindex()
        assert gallery.check() == []


# --- places of the file that SQLite cannot read ---------------------------------------------------


def pages_of(path: Path, needle: bytes) -> list[int]:
    """Numbers of the pages of 4,096 bytes that hold some bytes."""
    data = path.read_bytes()
    return sorted({at // 4096 for at in range(len(data)) if data.startswith(needle, at)})


@pytest.mark.parametrize("what", ["vectors", "samples"])
def test_a_page_of_rubbish_is_read_around(tmp_path: Path, what: str) -> None:
    """Two pages' rows are lost; the others are searched, exported and imported elsewhere."""
    folder, rows = tmp_path / "g", vectors(400)
    digests = [i.to_bytes(32, "big") for i in range(400)]
    with Gallery.create(folder, CONTRACT, settings=Settings(threshold=0.6)) as gallery:
        gallery.enroll_samples(
            [
                (f"person {i // 4}", NewSample(embed(row), f"{i}.jpg", digests[i]))
                for i, row in enumerate(rows)
            ],
            force=True,
        )
    shutil.rmtree(folder / INDEX)
    path = folder / DATABASE
    needle = blob(embed(rows[200]).vector) if what == "vectors" else digests[200]
    (page,) = pages_of(path, needle)
    data = bytearray(path.read_bytes())
    data[page * 4096 : (page + 1) * 4096] = np.random.default_rng(0).bytes(4096)
    path.write_bytes(bytes(data))
    out = tmp_path / "rest.jsonl"
    with Gallery.open(folder, read_only=True) as gallery:
        found = gallery.identify_embeddings([embed(rows[0]), embed(rows[399])])
        assert [one.name for one in found] == ["person 0", "person 99"]
        assert gallery.check()
        n_written = gallery.export(out)
        lost = {part.sample for part in gallery.damaged}
        assert 201 in lost
        assert n_written == 400 - len(lost) >= 340
        with pytest.raises(GalleryDamagedError, match="export"):
            gallery.save(tmp_path / "copy")
        assert not (tmp_path / "copy" / DATABASE).exists()
    with Gallery.create(tmp_path / "new", CONTRACT, settings=SETTINGS) as gallery:
        assert gallery.import_(out).new_samples == n_written
        assert gallery.check() == []


def test_a_copy_keeps_the_checksums(copy: Path, tmp_path: Path) -> None:
    harm(copy, DAMAGES["zeros"])
    with Gallery.open(copy) as gallery:
        gallery.save(tmp_path / "copy")
    with Gallery.open(tmp_path / "copy") as gallery:
        assert [line.partition(":")[0] for line in gallery.check()] == ["sample 3 of person 1"]
        gallery.remove(3)
        assert gallery.check() == []


def test_numbers_out_of_their_order_are_not_asked_for_again() -> None:
    def fetch(after: int) -> list[int]:  # what lies above 3 leads back
        return [5, 4, 2] if after < 5 else [3, 1]

    assert list(pages(fetch)) == [[2, 4, 5]]
    assert list(pages(lambda after: [n for n in range(7) if n > after][:3])) == [
        [0, 1, 2],
        [3, 4, 5],
        [6],
    ]


@pytest.mark.parametrize("table", ["people", "owners", "checksums"])
def test_rows_out_of_their_order(tmp_path: Path, table: str) -> None:
    """Of a damaged page: whatever is read of it, reading ends."""
    folder = tmp_path / "g"
    with Gallery.create(folder, CONTRACT, settings=Settings(threshold=0.6)) as gallery:
        for number, row in enumerate(vectors(12)):
            gallery.enroll_samples([(f"person {number}", NewSample(embed(row)))], force=True)
    path = folder / DATABASE
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)
        ).fetchone()
    data = bytearray(path.read_bytes())
    at = (root - 1) * 4096
    assert data[at] == 0x0D  # a leaf: its cells' places, two bytes each, stand behind 8 bytes
    cells = np.frombuffer(data[at + 8 : at + 32], ">u2")
    data[at + 8 : at + 32] = np.concatenate([cells[:6][::-1], cells[6:][::-1]]).tobytes()
    path.write_bytes(bytes(data))
    with suppress(GalleryDamagedError), Gallery.open(folder, read_only=True) as gallery:
        assert gallery.check()
        gallery.export(tmp_path / "rest.jsonl")
