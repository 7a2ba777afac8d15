"""``lineament plot pose, occlusion, explain, alignment, report`` from the command line."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("matplotlib", reason='pictures need the extra "plot"')

from lineament.cli import app

RUN = CliRunner()


def test_explain_writes_the_picture_and_says_why(
    astronaut_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("lineament.explain.occlusion_map")
    monkeypatch.setattr(module, "STEPS", 4)  # times 4 places that are covered
    out = tmp_path / "e.svg"
    done = RUN.invoke(
        app, ["plot", "explain", str(astronaut_path), str(astronaut_path), "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    assert "the same person" in done.output
    assert out.read_bytes().startswith(b"<?xml")


def test_json_alone_writes_no_picture(
    astronaut_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (["alignment"], ["occlusion", "--kind", "darkness"]):
        done = RUN.invoke(app, ["plot", *command, str(astronaut_path), "--json"])
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["source"].endswith("astronaut.jpg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["explain", "PHOTO", "PHOTO", "--fill", "red"], "--fill: expected blur or gray"),
        (["occlusion", "PHOTO", "--kind", "hat", "--json"], "--kind: expected some of mask"),
        (["alignment", "PHOTO", "--out", "x.html"], "ends in .png, .jpg"),
        (["alignment", "PHOTO", "--out", "nowhere/x.png"], "there is no folder nowhere"),
        (["pose", "PHOTO", "--json"], "two photos or more"),
        (["report", "nowhere", "--json"], "nowhere"),
        (["report", "nowhere", "--out", "x.png"], "ends in .html"),
    ],
)
def test_mistakes_are_said_and_end_with_2(
    arguments: list[str], said: str, astronaut_path: Path
) -> None:
    given = [str(astronaut_path) if each == "PHOTO" else each for each in arguments]
    done = RUN.invoke(app, ["plot", *given])
    assert done.exit_code == 2
    assert said in done.output


def test_a_photo_is_never_replaced(astronaut_path: Path, tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    photo.write_bytes(astronaut_path.read_bytes())
    done = RUN.invoke(app, ["plot", "alignment", str(photo), "--out", str(photo)])
    assert done.exit_code == 2
    assert "is one of the files that are read" in done.output
    assert photo.read_bytes() == astronaut_path.read_bytes()
