"""Nobody is enrolled as somebody else from the command line, and nothing is left of a failure."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import lineament
from lineament.cli import app
from lineament.gallery import Gallery

DEMO = Path(lineament.__file__).parent / "data" / "demo"


def run(*arguments: object) -> tuple[int, dict[str, Any], str]:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.exit_code, json.loads(done.stdout), done.stderr


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LINEAMENT_GALLERY", "g")


def demo(name: str) -> Path:
    return DEMO / f"{name}.jpg"


def test_a_stranger_needs_force(tmp_path: Path) -> None:
    code, found, _ = run("gallery", "enroll", "Obama", demo("obama"), demo("obama2"))
    assert (code, len(found["enrolled"])) == (0, 2)
    code, found, _ = run("gallery", "enroll", "Obama", demo("biden"))
    assert (code, found["n_samples"]) == (1, 2)
    (refusal,) = found["refused"]
    assert refusal["reason"] == "unlike the others"
    assert 0 < refusal["probability"] < 0.12
    done = CliRunner().invoke(app, ["gallery", "enroll", "Obama", str(demo("astronaut"))])
    assert done.exit_code == 1
    assert "unlike those of Obama that are enrolled" in done.stderr
    assert "add --force" in " ".join(done.stderr.split())

    code, found, _ = run("gallery", "enroll", "Joe", demo("biden"))
    assert code == 0
    code, found, _ = run("gallery", "merge", "Obama", "Joe")
    assert (code, found["code"] if "code" in found else found["error"]["code"]) == (
        2,
        "unlike_people",
    )
    code, found, _ = run("gallery", "merge", "Obama", "Joe", "--force")
    assert (code, found["person"]["n_samples"]) == (0, 3)

    assert run("gallery", "export", "all.jsonl")[0] == 0
    code, found, _ = run("gallery", "import", "all.jsonl", "--gallery", "new")
    (one,) = found["imported"]["unlike"]
    assert (one["person"], Path(one["source"]).name) == ("Obama", "biden.jpg")
    done = CliRunner().invoke(app, ["gallery", "import", "all.jsonl", "--gallery", "third"])
    assert "unlike the others of Obama: sample" in " ".join(done.stderr.split())


def test_a_stranger_in_a_folder_stays_out() -> None:
    Path("staff/Obama").mkdir(parents=True)
    for name in ("astronaut", "obama", "obama2"):
        shutil.copy(demo(name), "staff/Obama")
    code, found, _ = run("gallery", "enroll-folder", "staff")
    assert (code, found["n_enrolled"]) == (1, 2)
    assert found["n_refused_by_reason"] == {"unlike the others": 1}
    assert Path(found["refused"][0]["source"]).name == "astronaut.jpg"


def test_nothing_is_left_of_what_failed() -> None:
    code, found, told = run("gallery", "enroll", "X", demo("obama"), demo("biden"))
    assert (code, found["enrolled"]) == (1, [])
    assert "no gallery was made" in told
    Path("staff/X").mkdir(parents=True)
    shutil.copy(demo("group"), "staff/X")
    assert run("gallery", "enroll-folder", "staff")[0] == 1
    assert not Path("g").exists()

    assert run("gallery", "enroll", "Joe", demo("biden"), "--gallery", "joe")[0] == 0
    assert run("gallery", "export", "joe.jsonl", "--gallery", "joe")[0] == 0
    text = Path("joe.jsonl").read_text()
    Path("cut.jsonl").write_text(text[:-20])
    Path("there").mkdir()
    for target in ("new", "there"):
        assert run("gallery", "import", "cut.jsonl", "--gallery", target)[0] == 2
    assert not Path("new").exists()
    assert list(Path("there").iterdir()) == []
    with Gallery.open("joe", read_only=True) as opened:
        assert opened.n_people == 1
