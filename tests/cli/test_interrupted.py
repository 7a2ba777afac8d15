"""Ctrl-C: what stays is said, stdout is one JSON object, the exit code is 130; and the bars."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from command_tree import COMMANDS, least_call
from raw_server import DRIPPING, serving

import lineament
from lineament.cli import app, progress
from lineament.cli.command import command, option

DEMO = Path(lineament.__file__).parent / "data" / "demo"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_says_that_it_was_interrupted(
    path: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(COMMANDS[path], "callback", interrupt)
    done = CliRunner().invoke(app, least_call(path))
    assert (done.exit_code, done.stdout) == (130, ""), done.output
    assert done.stderr == "interrupted: nothing was written\n"
    if "json" in {each.name for each in COMMANDS[path].params}:
        done = CliRunner().invoke(app, [*least_call(path), "--json"])
        assert done.exit_code == 130
        assert json.loads(done.stdout) == {
            "error": "interrupted: nothing was written",
            "code": "interrupted",
            "option": None,
            "hint": None,
        }
    assert list(tmp_path.iterdir()) == []


SLOW = pytest.mark.slow  # a process each; every command is interrupted in this one above


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("detect", "0.jpg", "URL", "--save", "drawn"), "0 of 2 photos are drawn and stay"),
        pytest.param(("detect", "0.jpg", "URL"), "nothing was written", marks=SLOW),
        pytest.param(
            ("gallery", "enroll", "Ada", "0.jpg", "URL"), "nothing was enrolled of Ada", marks=SLOW
        ),
        pytest.param(
            ("embed", "0.jpg", "URL", "--out", "x.npz"), "nothing was written", marks=SLOW
        ),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another matter there")
def test_a_real_signal(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_bytes((DEMO / "obama.jpg").read_bytes())
    with serving(late=DRIPPING["silence"]) as server:  # a photo that does not come
        given = [server.url("late") if each == "URL" else each for each in arguments]
        done = subprocess.Popen(
            [sys.executable, "-m", "lineament", *given, "--allow-private", "--json"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "no_proxy": "*"},
        )
        while done.poll() is None and not server.asked:
            time.sleep(0.02)
        done.send_signal(signal.SIGINT)
        stdout, stderr = done.communicate(timeout=60)
    assert done.returncode == 130, stderr
    said = json.loads(stdout)
    assert re.fullmatch(f"interrupted: {words.replace('0 of', '[0-9] of')}", said["error"])
    assert stderr.splitlines()[-1] == said["error"]
    assert not (tmp_path / "x.npz").exists()


def test_a_json_object_is_printed_once(tmp_path: Path) -> None:
    from lineament.cli.output import print_json

    @command("lineament x")
    @option("--json", is_flag=True)
    def late(json: bool) -> None:
        """Prints, and is interrupted then."""
        print_json({"figure": 7})
        raise KeyboardInterrupt

    done = CliRunner().invoke(late, ["--json"])
    assert json.loads(done.stdout) == {"figure": 7}
    assert done.exit_code == 130


# --- bars -----------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal_of(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal()
    monkeypatch.setattr(sys, "stderr", made)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return made


def drawn(work: Any) -> None:
    with progress.stages() as show:
        for done in range(1, 11):
            show("looking at [things]", done, 10, "3 a second")
        work()


def test_bars_are_drawn_and_vanish(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    drawn(lambda: None)
    text = terminal.getvalue()
    assert "looking at [things]" in text
    assert "10/10" in text
    assert text.endswith("\x1b[2K")  # the line is empty again


def test_bars_inside_of_others_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    drawn(lambda: list(progress.with_progress(range(9), 9, "inner")))
    assert "9/9" in terminal.getvalue()
    assert progress._open == []


def test_no_bar_for_a_few_nor_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    list(progress.with_progress(range(2), 2, "two"))
    assert terminal.getvalue() == ""
    monkeypatch.setattr(progress.VERBOSITY, "level", -1)
    drawn(lambda: None)
    assert terminal.getvalue() == ""
    monkeypatch.setattr(progress.VERBOSITY, "level", 0)
    monkeypatch.setattr(sys, "stderr", plain := io.StringIO())
    drawn(lambda: None)
    assert plain.getvalue() == ""


def test_bars_have_one_home() -> None:
    """No command draws a bar of its own."""
    folder = Path(progress.__file__).parent
    for file in folder.glob("*.py"):
        if file.name != "progress.py":
            text = file.read_text()
            assert "rich.progress" not in text, file
            assert "\\r" not in text, file
