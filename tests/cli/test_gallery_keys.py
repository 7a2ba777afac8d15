"""``lineament gallery new-key``, ``encrypt``, ``rotate-key``, ``decrypt``; others with a key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from gallery_builders import make_gallery

from lineament.cli import app
from lineament.gallery import Gallery, Key

pytest.importorskip("cryptography")

FILE = "LINEAMENT_GALLERY_KEY_FILE"


def call(*words: str) -> Result:
    return CliRunner().invoke(app, [*words])


def answer(*words: str, code: int = 0) -> dict[str, Any]:
    done = call(*words, "--json")
    assert done.exit_code == code, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the gallery "gallery" and the key "first", which no variable names yet."""
    monkeypatch.chdir(tmp_path)
    with make_gallery(tmp_path / "gallery", people=5):
        pass
    answer("gallery", "new-key", "first")
    return tmp_path


def test_a_key_is_made(root: Path) -> None:
    made = answer("gallery", "new-key", "second")
    assert made == {"out": "second", "key_id": Key.from_file("second").id}
    again = call("gallery", "new-key", "second")
    assert again.exit_code == 2
    assert "never overwritten" in again.stderr
    shown = call("gallery", "new-key", "third")
    assert shown.exit_code == 0
    assert f"{FILE}={root / 'third'}" in "".join(shown.stderr.split("\n"))
    key = Path("third").read_text("ascii").strip()
    assert key not in shown.output


def test_all_commands_work_with_the_key(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = call("gallery", "encrypt")
    assert refused.exit_code == 2
    assert FILE in "".join(refused.stderr.split("\n"))
    monkeypatch.setenv(FILE, "first")
    done = answer("gallery", "encrypt")
    assert (done["encrypted"], done["erased"], done["n_people"]) == (True, True, 5)
    data = b"".join(path.read_bytes() for path in (root / "gallery").rglob("*") if path.is_file())
    assert b"person 3" not in data
    assert answer("gallery", "people")["n_found"] == 5
    assert answer("gallery", "people", "--where", "building=A")["n_found"] == 3
    assert answer("gallery", "check")["problems"] == []
    assert answer("gallery", "rename", "person 1", "Ada")["person"]["name"] == "Ada"
    assert answer("gallery", "annotate", "Ada", "floor=3")["person"]["metadata"]["floor"] == 3
    assert answer("gallery", "export", "staff.jsonl")["n_exported"] == 5
    assert answer("gallery", "reindex", "--check")["problems"] == []
    assert answer("gallery", "remove", "Ada", "--yes")["removed"]["people"] == ["Ada"]
    monkeypatch.delenv(FILE)
    for words in (("people",), ("check",), ("remove", "person 2", "--yes")):
        failed = answer("gallery", *words, code=2)
        assert failed["code"] == "gallery_key"
    monkeypatch.setenv("LINEAMENT_GALLERY_KEY_COMMAND", "cat first")
    assert answer("gallery", "people")["n_found"] == 4


def test_another_key(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FILE, "first")
    answer("gallery", "encrypt")
    answer("gallery", "new-key", "second")
    none = call("gallery", "rotate-key")
    assert none.exit_code == 2
    assert "--new-key-file" in none.stderr
    done = answer("gallery", "rotate-key", "--new-key-file", "second")
    assert (done["erased"], done["reencrypted"]) == (True, False)
    assert answer("gallery", "people", code=2)["code"] == "gallery_key"
    monkeypatch.setenv(FILE, "second")
    assert answer("gallery", "people")["n_found"] == 5
    command = ("--new-key-command", "cat first")
    assert answer("gallery", "rotate-key", *command, "--reencrypt")["reencrypted"]
    with Gallery.open("gallery", key=Key.from_file("first")) as gallery:
        assert gallery.check() == []


def test_decrypted_on_request_only(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FILE, "first")
    call("gallery", "encrypt")
    asked = call("gallery", "decrypt")
    assert asked.exit_code == 2
    assert "--yes" in asked.stderr
    assert answer("gallery", "decrypt", "--yes")["encrypted"] is False
    monkeypatch.delenv(FILE)
    assert answer("gallery", "people")["n_found"] == 5


def test_a_new_gallery_is_encrypted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("gallery", "create", "--preset", "fast", "--gallery", "new")
    assert answer(*words, "--encrypt", code=2)["code"] == "gallery_key"
    assert not Path("new").exists()
    monkeypatch.setenv(FILE, "first")
    answer(*words, "--encrypt")
    with Gallery.open("new") as gallery:
        assert gallery.encrypted


def test_a_new_gallery_that_is_not_encrypted_is_said(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer("gallery", "export", "staff.jsonl")
    monkeypatch.setenv(FILE, "first")
    done = call("gallery", "import", "staff.jsonl", "--gallery", "second")
    assert done.exit_code == 0
    assert "is not encrypted" in " ".join(done.stderr.split())
    again = call("gallery", "import", "staff.jsonl", "--gallery", "second")
    assert "is not encrypted" not in " ".join(again.stderr.split())
