"""The chain of an audit log: what breaks it is found, and nothing that was appended is lost."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from lineament.audit import AuditHead, AuditLog, head_of, read_entries, read_hash_key, verify
from lineament.errors import AuditError, KeyFileError, OptionError
from lineament.signing import SigningKey, VerifyKey, make_key

KEY = bytes(range(32))
PERSON = "ab" * 32


def filled(path: Path, number: int = 5, **options: Any) -> Path:
    with AuditLog.open(path, **options) as log:
        for i in range(number):
            log.append(
                "identify", f"key-{i % 2}", "gallery", PERSON if i % 2 else None, "done", i=i
            )
    return path


def test_the_hashes_are_those_of_the_page(tmp_path: Path) -> None:
    """Computed here in another way than there: HMAC over the line without its hash."""
    previous = "0" * 64
    for line in filled(tmp_path / "a.jsonl", key=KEY).read_bytes().splitlines():
        values = json.loads(line)
        written = values.pop("hash")
        assert values["previous"] == previous
        text = json.dumps(values, sort_keys=True, separators=(",", ":")).encode()
        assert hmac.new(KEY, text, hashlib.sha256).hexdigest() == written
        previous = written
    found = verify(tmp_path / "a.jsonl", key=KEY)
    assert (found.whole, found.n_entries, found.last_hash) == (True, 5, previous)


@pytest.mark.parametrize("key", [None, KEY], ids=["without a key", "with a key"])
def test_what_was_changed_is_found_where_it_is(tmp_path: Path, key: bytes | None) -> None:
    path = filled(tmp_path / "a.jsonl", key=key)
    lines = path.read_bytes().splitlines(keepends=True)
    changes = {
        "another outcome": [*lines[:2], lines[2].replace(b'"done"', b'"gone"'), *lines[3:]],
        "one removed": [*lines[:2], *lines[3:]],
        "two swapped": [*lines[:2], lines[3], lines[2], lines[4]],
        "one twice": [*lines[:3], *lines[2:]],
        "rubbish": [*lines[:2], b"rubbish\n", *lines[3:]],
        "another form": [*lines[:2], lines[2].replace(b'":', b'": '), *lines[3:]],
        "the first removed": lines[1:],
    }
    for name, changed in changes.items():
        path.write_bytes(b"".join(changed))
        found = verify(path, key=key)
        assert not found.whole, name
        expected = {"one twice": 4, "the first removed": 1}.get(name, 3)
        assert found.first_broken == expected, (name, found)
    path.write_bytes(b"".join(lines))
    assert verify(path, key=key).whole


def test_a_chain_made_anew_is_found_by_the_key(tmp_path: Path) -> None:
    path = filled(tmp_path / "a.jsonl", key=KEY)
    path.unlink()
    filled(path, key=b"another key of 32 bytes long....")
    assert verify(path).whole  # the links alone
    assert not verify(path).keyed
    assert verify(path, key=KEY).first_broken == 1
    path.unlink()
    filled(path)
    assert "without the key" in str(verify(path, key=KEY).problem)


def test_a_cut_off_end_is_found_by_a_head(tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="signing needs cryptography")
    private, public, _ = make_key(tmp_path / "k")
    path = filled(tmp_path / "a.jsonl", 7, signing_key=SigningKey.load(private), sign_every=3)
    head, key = AuditHead.load(head_of(path)), VerifyKey.load(public)
    assert head.n == 7
    assert verify(path, head=head, public_key=key).head == 7
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:5]))
    assert verify(path).whole  # nothing in the log itself says so
    found = verify(path, head=head, public_key=key)
    assert (found.whole, found.first_broken) == (False, 6)
    forged = AuditHead(**{**asdict(head), "n": 5, "hash": json.loads(lines[4])["hash"]})
    assert "not signed" in str(verify(path, head=forged, public_key=key).problem)
    filled(tmp_path / "b.jsonl", 7)
    assert "not the one of the head" in str(verify(tmp_path / "b.jsonl", head=head).problem)


def test_files_are_rotated_without_breaking_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with AuditLog.open(path, key=KEY, rotate_bytes=32 << 10) as log:
        for i in range(260):
            log.append("identify", "key", i=i)
    older = sorted(tmp_path.glob("a.jsonl.0*"))
    assert len(older) >= 2
    assert all(file.stat().st_size < (32 << 10) + 400 for file in older)
    assert verify(path, key=KEY).n_entries == 260
    assert [entry.details["i"] for entry in read_entries(path)] == list(range(260))
    if path.exists():
        path.unlink()  # as a crash between renaming and writing leaves it
    with AuditLog.open(path, key=KEY) as log:
        entry = log.append("identify", "key")
    assert entry.n == len(list(read_entries(path)))
    assert verify(path, key=KEY).whole
    older[0].unlink()
    assert verify(path, key=KEY).first_broken == 1


def test_a_torn_line_is_cut_off_and_said(tmp_path: Path) -> None:
    path = filled(tmp_path / "a.jsonl", 3)
    whole = path.read_bytes()
    last = len(whole.splitlines(keepends=True)[-1])
    for length in (1, 20, last - 1):
        path.write_bytes(whole + whole[-last:][:length])
        found = verify(path)
        assert (found.whole, found.n_entries, found.torn_bytes) == (True, 3, length)
        with AuditLog.open(path) as log:
            assert log.append("identify", "key").n == 5
        repaired, entry = list(read_entries(path))[3:]
        assert repaired.action == "log repaired"
        assert repaired.details["torn_bytes"] == length
        assert entry.action == "identify"
        assert verify(path).whole


WRITER = """
import sys
from lineament.audit import AuditLog
log = AuditLog.open(sys.argv[1], rotate_bytes=32 << 10)
for i in range(int(sys.argv[3])):
    log.append("identify", sys.argv[2], i=i)
    print(i, flush=True)
"""


@pytest.mark.slow
def test_several_processes_and_threads_append(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    command = [sys.executable, "-c", WRITER, str(path)]
    with AuditLog.open(path, rotate_bytes=32 << 10) as log:
        children = [
            subprocess.Popen([*command, f"p{n}", "40"], stdout=subprocess.DEVNULL) for n in range(3)
        ]
        threads = [
            threading.Thread(target=lambda: [log.append("enroll", "t") for _ in range(20)])
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [child.wait(120) for child in children] == [0, 0, 0]
    assert verify(path).n_entries == 3 * 40 + 2 * 20
    for n in range(3):
        theirs = [entry.details["i"] for entry in read_entries(path, actor=f"p{n}")]
        assert theirs == list(range(40))


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_killed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for kill in range(5):
        command = [sys.executable, "-c", WRITER, str(path), f"p{kill}", "100000"]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for _ in range(7 + kill):
            child.stdout.readline()
        child.kill()
        rest = child.stdout.read().split()
        child.stdout.close()
        child.wait(60)
        acknowledged = 7 + kill + len(rest)
        assert verify(path).whole
        assert len(list(read_entries(path, actor=f"p{kill}"))) >= acknowledged
    with AuditLog.open(path) as log:
        log.append("identify", "last")
    found = verify(path)
    assert (found.whole, found.torn_bytes) == (True, 0)


def test_entries_are_found(tmp_path: Path) -> None:
    now = iter([100.0, 200.0, 300.0, 400.0])
    path = tmp_path / "a.jsonl"
    with AuditLog.open(path, clock=lambda: next(now)) as log:
        log.append("enroll", "a", "g", PERSON)
        log.append("identify", "b", "g", None, "unknown")
        log.append("erase", "a", "h", PERSON)
    wanted: list[tuple[dict[str, Any], list[int]]] = [
        ({"action": "enroll"}, [1]),
        ({"actor": "a"}, [1, 3]),
        ({"gallery": "h"}, [3]),
        ({"person_key": PERSON}, [1, 3]),
        ({"outcome": "unknown"}, [2]),
        ({"since": 200.0}, [2, 3]),
        ({"until": 200.0}, [1]),
        ({"person_key": PERSON, "actor": "b"}, []),
    ]
    for filters, numbers in wanted:
        assert [entry.n for entry in read_entries(path, **filters)] == numbers, filters


def test_names_and_long_texts_are_refused(tmp_path: Path) -> None:
    log = AuditLog.open(tmp_path / "a.jsonl")
    for wrong in (
        {"person_key": "Ada Lovelace"},
        {"person_key": "ab"},
        {"outcome": ""},
        {"gallery": "g" * 201},
        {"photo": "p" * 201},
        {"share": float("nan")},
        {"many": [1]},
        {"huge": 1 << 70},
    ):
        with pytest.raises(OptionError):
            log.append("enroll", "key", **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "a.jsonl").exists()
    with pytest.raises(OptionError, match="16 bytes"):
        AuditLog.open(tmp_path / "a.jsonl", key=b"short")


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="there is no audit log"):
        verify(tmp_path / "missing.jsonl")
    with pytest.raises(AuditError, match="cannot be written"):
        AuditLog.open(tmp_path / "nowhere" / "a.jsonl")
    path = tmp_path / "a.jsonl"
    path.write_text("something else\n")
    with pytest.raises(AuditError, match="the last entry is damaged"):
        AuditLog.open(path).append("enroll", "key")
    assert path.read_text() == "something else\n"
    with pytest.raises(AuditError, match="line 1 is no entry"):
        list(read_entries(path))
    with pytest.raises(AuditError, match="expected the head"):
        AuditHead.load(path)
    for text in ("no key", "abcd"):
        (tmp_path / "key").write_text(text)
        with pytest.raises(KeyFileError):
            read_hash_key(tmp_path / "key")
    (tmp_path / "key").write_text(KEY.hex() + "\n")
    assert read_hash_key(tmp_path / "key") == KEY
