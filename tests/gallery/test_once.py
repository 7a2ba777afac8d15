"""A request that is sent again under its token makes nothing twice, and nothing of it stays."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from gallery_builders import embed, make_gallery, vectors

import lineament
from lineament.errors import ConsentError, GalleryDamagedError, GalleryError, OptionError
from lineament.gallery import Consent, Gallery, NewSample, new_key_file
from lineament.gallery._schema import VERSION
from lineament.gallery._store import DATABASE
from lineament.gallery.keys import Key
from lineament.gallery.values import ONCE_KEPT_S

DEMO = Path(lineament.__file__).parent / "data" / "demo"
ROWS = vectors(12, seed=3)


def new(row: int, name: str = "photo") -> NewSample:
    return NewSample(embed(ROWS[row]), f"{name} {row}.jpg", bytes([row]) * 32)


def notes(folder: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        return connection.execute(
            "SELECT token, first, last, person, outcome FROM requests ORDER BY id"
        ).fetchall()


def test_force_adds_once(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", people=2) as gallery:
        first = gallery.enroll_embeddings("Ada", [new(0), new(1)], force=True, once="a token")
        again = gallery.enroll_embeddings("Ada", [new(0), new(1)], force=True, once=b"a token")
        assert (first.repeated, again.repeated) == (False, True)
        assert again.to_dict() == first.to_dict()
        assert gallery.person("Ada").n_samples == 2
        other = gallery.enroll_embeddings("Ada", [new(0), new(1)], force=True, once="another")
        assert (other.repeated, gallery.person("Ada").n_samples) == (False, 4)
        assert gallery.check() == []


def test_what_was_refused_is_refused_again(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", people=2) as gallery:
        photos = [new(0), new(0, "same"), new(5)]
        first = gallery.enroll_embeddings("Ada", photos, once="t")
        again = gallery.enroll_embeddings("Ada", photos, once="t")
        assert [one.reason for one in first.refused] == ["duplicate"]
        assert [(one.source, one.reason, one.person) for one in again.refused] == [
            (one.source, one.reason, one.person) for one in first.refused
        ]
        assert [one.id for one in again.enrolled] == [one.id for one in first.enrolled]
        assert again.created is True
        gallery.rename("Ada", "Ada Lovelace")
        renamed = gallery.enroll_embeddings("Ada", photos, once="t")
        assert renamed.person is not None
        assert renamed.person.name == "Ada Lovelace"
        assert "Ada" not in gallery


def test_nothing_is_noted_where_nothing_was_added(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", people=2) as gallery:
        gallery.enroll_embeddings("Ada", [new(0)])
        assert gallery.enroll_embeddings("Ada", [new(0)], once="t").refused
        assert notes(tmp_path / "g") == []
        gallery.remove("Ada")
        assert gallery.enroll_embeddings("Ada", [new(0)], once="t").enrolled


def test_photos(tmp_path: Path) -> None:
    blank = np.full((64, 64, 3), 128, np.uint8)
    with Gallery.create(tmp_path / "g") as gallery:
        some = [DEMO / "obama.jpg", blank]
        first = gallery.enroll("Barack", some, force=True, once="t")
        again = gallery.enroll("Barack", some, force=True, once="t")
        assert again.to_dict() == first.to_dict()
        assert [one.reason for one in again.refused] == ["no face"]
        gallery.configure(require_consent=True)  # it was not asked for the first time
        assert gallery.enroll("Barack", some, force=True, once="t").repeated
        with pytest.raises(ConsentError):
            gallery.enroll("Barack", some, force=True, once="another")


def test_many_people_at_once(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", people=2) as gallery:
        samples = [("Ada", new(0)), ("Bob", new(1)), ("Ada", new(0, "same")), ("Bob", new(2))]
        first = gallery.enroll_samples(samples, once="t", review="standard")
        again = gallery.enroll_samples(samples, once="t", review="standard")
        reasons = [getattr(one, "reason", None) for one in first]
        assert reasons == [getattr(one, "reason", None) for one in again]
        assert reasons.count(None) >= 2
        assert [getattr(one, "id", None) for one in first] == [
            getattr(one, "id", None) for one in again
        ]
        assert gallery.n_samples == 2 + reasons.count(None)


def test_another_request_under_the_token(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", people=2) as gallery:
        gallery.enroll_embeddings("Ada", [new(0)], once="t")
        with pytest.raises(GalleryError, match="the same request") as raised:
            gallery.enroll_embeddings("Ada", [new(0), new(1)], once="t")
        assert raised.value.option == "once"
        with pytest.raises(GalleryError, match="the same request"):
            gallery.set_consent("Ada", Consent("form", ("access",), 1e9), once="t")
        assert gallery.person("Ada").n_samples == 1


@pytest.mark.parametrize("token", ["", b"", "x" * 1025])
def test_what_is_no_token(tmp_path: Path, token: str | bytes) -> None:
    with make_gallery(tmp_path / "g") as gallery, pytest.raises(OptionError) as raised:
        gallery.enroll_embeddings("Ada", [new(0)], once=token)
    assert raised.value.option == "once"


def test_a_day_later_it_is_forgotten(tmp_path: Path) -> None:
    now = [1.7e9]
    folder = tmp_path / "g"
    make_gallery(folder, people=1).close()
    with Gallery.open(folder, clock=lambda: now[0]) as gallery:
        gallery.enroll_embeddings("Ada", [new(0)], once="t")
        now[0] += ONCE_KEPT_S + 1
        assert not gallery.enroll_embeddings("Ada", [new(1)], once="t").repeated
        assert len(notes(folder)) == 1


def test_it_goes_with_the_last_sample(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    with make_gallery(folder, people=1) as gallery:
        first, second = gallery.enroll_embeddings(
            "Ada", [new(0), new(1)], force=True, once="t"
        ).enrolled
        gallery.enroll_embeddings("Bob", [new(2)], once="of Bob")
        gallery.remove(first.id)
        assert len(notes(folder)) == 2
        with pytest.raises(GalleryError, match="1 of the 2 samples that it added are gone since"):
            gallery.enroll_embeddings("Ada", [new(0), new(1)], force=True, once="t")
        gallery.remove(second.id)
        assert len(notes(folder)) == 1
        gallery.remove("Bob")
        assert notes(folder) == []


def test_erasing_looks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "g"
    with make_gallery(folder, people=1) as gallery:
        gallery.enroll_embeddings("Ada", [new(0)], once="t")
        gallery.set_consent("Ada", Consent("form", ("access",), 1e9), once="of the consent")
        tokens = [row[0] for row in notes(folder)]
        assert all(
            any(t in p.read_bytes() for p in folder.iterdir() if p.is_file()) for t in tokens
        )
        receipt = gallery.erase("Ada")
        assert receipt.clean
        for path in folder.rglob("*"):
            if path.is_file():
                assert not any(token in path.read_bytes() for token in tokens), path
        gallery.enroll_embeddings("Bob", [new(2)], once="of Bob")
        monkeypatch.setattr("lineament.gallery._once.drop_of_samples", lambda *_: None)
        assert not gallery.erase("Bob").clean  # the search is no ornament


def test_merged_and_consents(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    consent = Consent("form 17", ("access",), 1e9)
    later = Consent("form 17", ("access",), 1e9 + 5)
    with make_gallery(folder, people=1) as gallery:
        gallery.enroll_embeddings("Ada", [new(0)], once="photo")
        assert len(gallery.set_consent("Ada", consent, add=True, once="c").consents) == 1
        assert len(gallery.set_consent("Ada", later, add=True, once="c").consents) == 1
        gallery.enroll_embeddings("Countess", [new(1)], once="other")
        gallery.merge("Countess", "Ada", force=True)
        assert gallery.check() == []
        assert gallery.set_consent("Ada", later, add=True, once="c").name == "Countess"
        again = gallery.enroll_embeddings("Ada", [new(0)], once="photo")
        assert again.person is not None
        assert again.person.name == "Countess"
        assert gallery.person("Countess").n_samples == 2


def test_other_keys_leave_it_as_it_is(tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="encryption needs cryptography")
    folder, secret = tmp_path / "g", tmp_path / "secret"
    new_key_file(secret)
    key = Key.from_file(secret)
    with make_gallery(folder, people=1) as gallery:
        first = gallery.enroll_embeddings("Ada", [new(0)], once="t")
        assert "repeated" not in first.to_dict()
        for change in (
            lambda: gallery.encrypt(key),
            lambda: gallery.rotate_key(key, reencrypt=True),
            gallery.decrypt,
        ):
            change()
            again = gallery.enroll_embeddings("Ada", [new(0)], once="t")
            assert again.to_dict() == first.to_dict()
            assert again.repeated
            assert gallery.check() == []


def test_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    with make_gallery(folder, people=1) as gallery:
        gallery.enroll_embeddings("Ada", [new(0)], once="t")
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        connection.execute("UPDATE requests SET last = 4000000000000")
        connection.commit()
    with Gallery.open(folder) as gallery:
        assert len(gallery.check()) == 1
        with pytest.raises(GalleryDamagedError, match="note 1"):
            gallery.enroll_embeddings("Ada", [new(0)], once="t")
        gallery.reindex()
        assert gallery.check() == []
        assert gallery.enroll_embeddings("Ada", [new(1)], force=True, once="t").enrolled


@pytest.mark.parametrize("index", ["exact", "turbo"])
def test_indexes_and_copies(tmp_path: Path, index: str) -> None:
    with make_gallery(tmp_path / "g", people=3) as gallery:
        gallery.reindex(index=index)
        gallery.enroll_embeddings("Ada", [new(0)], once="t")
        assert gallery.enroll_embeddings("Ada", [new(0)], once="t").repeated
        (found,) = gallery.identify_embeddings([embed(ROWS[0])])
        assert found.name == "Ada"
        gallery.save(tmp_path / "copy")
    with Gallery.open(tmp_path / "copy") as copy:
        assert copy.enroll_embeddings("Ada", [new(0)], force=True, once="t").repeated


def test_in_memory() -> None:
    with Gallery.in_memory() as gallery:
        row = vectors(1, dimension=gallery.contract.dimension)[0]
        sample = embed(row, gallery.contract)
        gallery.enroll_embeddings("Ada", [sample], force=True, once="t")
        assert gallery.enroll_embeddings("Ada", [sample], force=True, once="t").repeated
        assert gallery.n_samples == 1


def test_a_gallery_of_the_version_before(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    with make_gallery(folder, people=2) as gallery:
        gallery.set_consent("person 0", Consent("form", ("access",), 1e9))
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        connection.execute("DROP TABLE requests")
        connection.execute("PRAGMA user_version = 4")
    with Gallery.open(folder, read_only=True) as gallery:
        assert len(gallery.person("person 0").consents) == 1
        assert gallery.check() == []
    with Gallery.open(folder) as gallery:
        gallery.enroll_embeddings("Ada", [new(0)], once="t")
        assert gallery.enroll_embeddings("Ada", [new(0)], once="t").repeated
        assert len(gallery.person("person 0").consents) == 1
        assert gallery.check() == []
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)


KILLED = """
import os, signal, sys
import numpy as np
from gallery_builders import embed, vectors
from lineament.gallery import Gallery
from lineament.gallery import _once
from lineament.gallery._store import Store

when = sys.argv[2]
if when == "before":
    note = _once.note
    def killed(*arguments):
        note(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
    _once.note = killed
else:
    commit = Store._commit
    def killed(self, connection):
        changes = self._changes
        commit(self, connection)
        if changes:
            os.kill(os.getpid(), signal.SIGKILL)
    Store._commit = killed
with Gallery.open(sys.argv[1]) as gallery:
    gallery.enroll_embeddings("Ada", [embed(vectors(12, seed=3)[0])], force=True, once="t")
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_the_commit(tmp_path: Path, when: str) -> None:
    folder = tmp_path / "g"
    make_gallery(folder, people=1).close()
    here = [str(Path(__file__).parent), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), when],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(here)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    with Gallery.open(folder) as gallery:
        assert ("Ada" in gallery) is (when == "after")
        assert len(notes(folder)) == (when == "after")
        sample = np.array(ROWS[0])
        report = gallery.enroll_embeddings("Ada", [embed(sample)], force=True, once="t")
        assert report.repeated is (when == "after")
        assert gallery.person("Ada").n_samples == 1
        assert gallery.check() == []
