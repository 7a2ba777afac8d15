"""After somebody was erased no byte of them stands in any file, and a receipt says so."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gallery_builders import CONTRACT, embed, make_gallery, vectors

from lineament.errors import GalleryLockedError, ReceiptError, UnknownPersonError
from lineament.gallery import Consent, Gallery, NewSample, Receipt, _leftovers
from lineament.gallery._leftovers import Needles
from lineament.gallery._store import DATABASE
from lineament.signing import SigningKey, VerifyKey, make_key

CONSENT = Consent("form 17/2026", ("access",), 1e9, "Annabella Byron", "signed form")
SHA = bytes(range(32))
NAME = "Ada Lovelace"


def crops(number: int) -> list[np.ndarray]:
    drawn = np.random.default_rng(7)
    return [drawn.integers(0, 256, (112, 112, 3), np.uint8) for _ in range(number)]


def with_ada(folder: Path, *, people: int = 20) -> Gallery:
    """A gallery with somebody of whom there is everything that can be."""
    gallery = make_gallery(folder, people=people, keep_crops=True)
    for i, crop in enumerate(crops(3)):
        sample = NewSample(
            embed(vectors(3, seed=9)[i]),
            source=f"/photos/{NAME}/{i}.jpg",
            sha256=SHA[i:] + SHA[:i],
            crop=crop,
            metadata={"lens": f"Petzval {i}"},
        )
        gallery.enroll_samples(
            [(NAME, sample)],
            metadata={NAME: {"email": "ada@example.org"}},
            consents={NAME: CONSENT},
            force=True,
        )
    stranger = NewSample(embed(vectors(1, seed=5)[0]), f"/photos/not {NAME}.jpg", bytes([7]) * 32)
    gallery.reject(stranger, NAME)
    gallery.reindex()
    return gallery


def traces(folder: Path) -> Iterator[tuple[str, str]]:
    """What of Ada stands in which file, looked for here in another way than there."""
    texts = [NAME, "ada@example.org", "form 17/2026", "Annabella", "Petzval", f"/photos/{NAME}"]
    wanted = {text: text.encode() for text in texts}
    wanted |= {f"hash {i}": SHA[i:] + SHA[:i] for i in range(3)}
    for i, vector in enumerate(embed(row).vector for row in vectors(3, seed=9)):
        wanted[f"vector {i}"] = vector.tobytes()[:24]
        wanted[f"end of vector {i}"] = vector.tobytes()[-24:]
        wanted["rejected"] = embed(vectors(1, seed=5)[0]).vector.tobytes()[:24]
        wanted[f"half {i}"] = vector.astype("<f2").tobytes()[:16]
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            yield from ((path.name, what) for what, piece in wanted.items() if piece in data)
            png = data.find(b"IDAT")
            while png >= 0:  # of the crops of the others none are kept
                yield path.name, "crop"
                png = -1


def test_not_a_byte_is_left_and_the_receipt_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    with with_ada(folder) as gallery:
        assert {what for _, what in traces(folder)} >= {
            *(NAME, "vector 0", "rejected", "hash 1", "crop"),
        }
        pseudonym = gallery.pseudonym(NAME)
        receipt = gallery.erase("ada lovelace")
        assert list(traces(folder)) == []
        assert (receipt.clean, receipt.n_samples, receipt.reason) == (True, 3, "request")
        assert receipt.person == pseudonym
        assert receipt.searched["name"] == 1
        assert receipt.searched["vector"] == 4  # of a face that was said not to be hers, too
        assert receipt.searched["crop"] == 3
        assert receipt.n_files == sum(path.is_file() for path in folder.rglob("*"))
        assert gallery.check() == []
        found = gallery.identify_embeddings([embed(vectors(20)[4])])
        assert found[0].name == "person 4"
    assert list(traces(folder)) == []


def test_an_encrypted_gallery_too(tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="encryption needs cryptography")
    from lineament.gallery.keys import Key, new_key_file

    folder, secret = tmp_path / "g", tmp_path / "secret"
    new_key_file(secret)
    with with_ada(folder) as gallery:
        before = gallery.pseudonym(NAME)
        gallery.encrypt(Key.from_file(secret))
        assert gallery.pseudonym(NAME) == before  # audit logs are to be found by it
        gallery.rotate_key(Key.from_file(secret), reencrypt=True)
        assert gallery.pseudonym(NAME) == before
        with closing(sqlite3.connect(folder / DATABASE)) as connection:
            rows = connection.execute("SELECT name FROM labels").fetchall()
        receipt = gallery.erase(NAME)
        assert receipt.clean
        data = (folder / DATABASE).read_bytes()
        assert sum(row[0] in data for row in rows if isinstance(row[0], bytes)) == 20
        gallery.decrypt()
        assert gallery.pseudonym(NAME) == before
        assert gallery.check() == []


def test_what_was_not_erased_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the erasing switched off: the search is no ornament."""
    for module in ("_editing", "_terms", "_rejections"):
        monkeypatch.setattr(f"lineament.gallery.{module}.blank", lambda *_: None)
    monkeypatch.setattr("lineament.gallery._store.Store.vacuum", lambda _: None)
    with with_ada(tmp_path / "g") as gallery:
        receipt = gallery.erase(NAME)
        assert not receipt.clean
        found = " ".join(receipt.found)
        for kind in ("name", "vector", "crop", "metadata", "consent", "photo's name"):
            assert f"{DATABASE}: {kind}" in found, found


def test_what_others_put_into_the_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    with with_ada(folder) as gallery:
        gallery.export(folder / "all.jsonl")
        (folder / "notes").mkdir()
        (folder / "notes" / "a.txt").write_text(f"call {NAME}")
        receipt = gallery.erase(NAME)
        assert {words.partition(":")[0] for words in receipt.found} == {
            "all.jsonl",
            str(Path("notes") / "a.txt"),
        }
        (folder / "all.jsonl").unlink()
        (folder / "notes" / "a.txt").unlink()
        again = gallery.erase(NAME, absent=True)
        assert (again.clean, again.reason, again.n_samples) == (True, "absent", 0)


def test_what_somebody_else_has_too_is_no_trace(tmp_path: Path) -> None:
    """The same photo of two people, and a name within another name."""
    with with_ada(tmp_path / "g") as gallery:
        sample = NewSample(embed(vectors(3, seed=9)[0]), f"/photos/{NAME}/0.jpg", SHA)
        gallery.enroll_samples([(f"{NAME} II", sample)], force=True)
        gallery.reindex()
        assert gallery.erase(NAME).found == ()
        assert gallery.person(f"{NAME} II").samples[0].source == f"/photos/{NAME}/0.jpg"


def test_a_reader_of_an_older_state_is_waited_for(tmp_path: Path) -> None:
    with with_ada(tmp_path / "g") as gallery:
        gallery._state.store.wait_s = 0.1
        gallery._state.store.connection.execute("PRAGMA busy_timeout = 100")
        with closing(sqlite3.connect(tmp_path / "g" / DATABASE)) as connection:
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM labels").fetchone()
            with pytest.raises(GalleryLockedError, match="there is no receipt yet"):
                gallery.erase(NAME)
            assert NAME not in gallery
            connection.execute("COMMIT")
        receipt = gallery.erase(NAME, absent=True)
        assert receipt.clean
    assert list(traces(tmp_path / "g")) == []


def test_nobody_is_not_erased(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", people=2) as gallery:
        with pytest.raises(UnknownPersonError, match="nobody of that name"):
            gallery.erase("nobody")
        assert gallery.n_people == 2
    with Gallery.create(":memory:", CONTRACT) as gallery:
        gallery.enroll_embeddings("Ada", [embed(vectors(1)[0])], force=True)
        receipt = gallery.erase("Ada")
        assert (receipt.clean, receipt.n_files, gallery.n_people) == (True, 0, 0)


# --- receipts -------------------------------------------------------------------------------------


def test_a_receipt_is_checked_by_others_and_notices_changes(tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="signing needs cryptography")
    private, public, _ = make_key(tmp_path / "k")
    with make_gallery(tmp_path / "g", people=2) as gallery:
        receipt = gallery.erase("person 1", signing_key=SigningKey.load(private))
    receipt.save(tmp_path / "r.json")
    text = (tmp_path / "r.json").read_text("utf-8")
    assert "person 1" not in text
    read, key = Receipt.load(tmp_path / "r.json"), VerifyKey.load(public)
    assert read == receipt
    assert read.verify(key)
    values = json.loads(text)
    for name, value in values.items():
        if name in ("receipt", "version"):
            continue
        other = {int: 7, float: 1.5, bool: True, str: "absent", list: ["x"], dict: {"name": 9}}
        changed = {**values, name: other[type(value)]}
        (tmp_path / "changed.json").write_text(json.dumps(changed), "utf-8")
        assert not Receipt.load(tmp_path / "changed.json").verify(key), name
    assert not replace(receipt, signature="").verify(key)
    assert not receipt.verify(VerifyKey.load(make_key(tmp_path / "other")[1]))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"receipt": "erasure"}', '{"receipt": "erasure", "version": 2}'],
)
def test_what_is_no_receipt_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(ReceiptError, match="expected a receipt"):
        Receipt.load(tmp_path / "r.json")
    with pytest.raises(ReceiptError, match="expected a receipt"):
        Receipt.load(tmp_path / "missing.json")


# --- the search -----------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [64, 100, 1 << 20])
def test_pieces_are_counted_wherever_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    """Against ``bytes.count``, with pieces across the borders of blocks, overlapping, and none."""
    monkeypatch.setattr(_leftovers, "BLOCK", block)
    drawn = np.random.default_rng(block)
    data = drawn.integers(0, 3, 5000, np.uint8).tobytes()
    needles = Needles()
    pieces = [
        data[at : at + size] for at, size in ((0, 3), (10, 9), (61, 20), (90, 40), (4960, 40))
    ]
    for piece in [*pieces, b"\3" * 9, b"xyz"]:
        needles.kinds[piece] = "name"
    (tmp_path / "file").write_bytes(data)
    (tmp_path / "empty").write_bytes(b"")
    found = _leftovers.search(tmp_path, needles)
    assert (found.n_files, found.n_bytes) == (2, 5000)
    expected = {
        piece: sum(data.startswith(piece, at) for at in range(len(data))) for piece in pieces
    }
    assert dict(found.found["file"]) == expected
    assert "empty" not in found.found


# --- crashes --------------------------------------------------------------------------------------

ERASER = """
import sys
sys.path[:0] = sys.argv[2:]
from lineament.gallery import Gallery
with Gallery.open(sys.argv[1]) as gallery:
    print("ready", flush=True)
    gallery.erase("Ada Lovelace")
    print("erased", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nothing is killed like that here")
def test_killed_while_erasing(tmp_path: Path) -> None:
    """Whenever that is: all of her is there, or nothing is after the gallery was opened again."""
    gone = 0
    for kill in range(8):
        folder = tmp_path / str(kill)
        with_ada(folder, people=8).close()
        command = [sys.executable, "-c", ERASER, str(folder)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        timer = threading.Timer(0.004 * kill**2, child.kill)
        timer.start()
        acknowledged = child.stdout.read() == "erased\n"
        child.stdout.close()
        child.wait(60)
        timer.cancel()
        with Gallery.open(folder) as gallery:
            there = NAME in gallery
            assert not (there and acknowledged)
            assert gallery.check() == []
            if there:
                assert len(gallery.person(NAME).samples) == 3
                continue
            gone += 1
            assert gallery.erase(NAME, absent=True).clean
        assert list(traces(folder)) == []
    assert gone  # the last ones had time
