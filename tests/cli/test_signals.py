"""SIGTERM and SIGHUP do what Ctrl-C does, in the process of the command line alone."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_tree import COMMANDS, least_call
from raw_server import DRIPPING, serving

import lineament
from lineament import Recognizer
from lineament.gallery import Gallery

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are another matter there")

DEMO = Path(lineament.__file__).parent / "data" / "demo"
SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"]
ONE_FAST = ["SIGTERM", *(pytest.param(n, marks=pytest.mark.slow) for n in ("SIGINT", "SIGHUP"))]
"""For what takes seconds: that all three are heard is told by ``test_each_signal_interrupts``."""

BLOCKED = """
import importlib, sys, time
from lineament.cli import main
from lineament.cli.command import Command
import lineament.cli.command as module

def say(word):
    print(word, file=sys.stderr, flush=True)

def ready(*_, **__):
    {body}

sys.argv = ["lineament", *{arguments!r}]
from lineament.cli import app
import click
group = app
for word in {path!r}:
    group = group.get_command(click.Context(app), word)
group.callback = ready
main()
"""
"""A command that does something else in place of its work, once it has said that it is ready."""


def started(
    path: tuple[str, ...], *more: str, body: str = "say('ready'); time.sleep(30)", before: str = ""
) -> subprocess.Popen[str]:
    code = before + BLOCKED.format(path=path, arguments=[*path, *more], body=body)
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line == "ready\n", line + process.stderr.read()
    return process


@pytest.mark.parametrize("name", SIGNALS)
def test_each_signal_interrupts(name: str) -> None:
    process = started(("detect",), "a.jpg", "--json")
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert json.loads(out)["code"] == "interrupted"
    assert err == "interrupted: nothing was written\n"


@pytest.mark.parametrize("name", ONE_FAST)
def test_two_at_once_are_one_and_a_late_one_ends_the_process(name: str) -> None:
    body = "try: say('ready'); time.sleep(30)\n    finally: say('cleaning'); {after}"
    quick = started(("detect",), "a.jpg", body=body.format(after="time.sleep(0.5)"))
    for _ in range(3):  # as `timeout` and terminals send them
        quick.send_signal(getattr(signal, name))
    _, err = quick.communicate(timeout=30)
    assert quick.returncode == 130
    assert err == "cleaning\ninterrupted: nothing was written\n"
    long = started(("detect",), "a.jpg", body=body.format(after="time.sleep(30)"))
    assert long.stderr is not None
    long.send_signal(getattr(signal, name))
    assert long.stderr.readline() == "cleaning\n"
    time.sleep(1.1)
    long.send_signal(signal.SIGTERM)
    assert long.communicate(timeout=10)[1] == ""
    assert long.returncode == 130


def test_what_is_ignored_stays_ignored() -> None:
    before = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    process = started(("detect",), "a.jpg", body="say('ready'); time.sleep(0.5)", before=before)
    process.send_signal(signal.SIGHUP)  # as under nohup
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0


def test_a_forked_child_ends_as_any_other_program() -> None:
    body = (
        "import os, signal; child = os.fork()\n"
        "    if not child: say('ready'); time.sleep(30)\n"
        "    time.sleep(0.2); os.kill(child, signal.SIGTERM)\n"
        "    print(os.waitpid(child, 0)[1])"
    )
    process = started(("detect",), "a.jpg", body=body)
    assert process.communicate(timeout=30)[0] == f"{int(signal.SIGTERM)}\n"


def test_a_library_leaves_signals_alone() -> None:
    code = (
        "import signal, lineament, lineament.cli\n"
        "lineament.FaceFinder(); from click.testing import CliRunner\n"
        "assert CliRunner().invoke(lineament.cli.app, ['models', 'list']).exit_code == 0\n"
        "print([signal.getsignal(n) == signal.SIG_DFL for n in (signal.SIGTERM, signal.SIGHUP)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    assert done.stdout == "[True, True]\n"


@pytest.mark.slow
@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_ends_so(
    path: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = least_call(path)[len(path) :]
    monkeypatch.chdir(tmp_path)
    process = started(path, *call)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "interrupted: nothing was written\n")


@pytest.mark.parametrize("name", ONE_FAST)
def test_what_was_looked_at_is_enrolled(name: str, tmp_path: Path) -> None:
    """A folder that takes long: two people, and then the same photo again and again."""
    for who in ("Ada", "Bo"):
        (tmp_path / "people" / who).mkdir(parents=True)
    shutil.copy(DEMO / "astronaut.jpg", tmp_path / "people" / "Ada")
    for number in range(150):
        (tmp_path / "people" / "Bo" / f"{number}.jpg").write_bytes(
            (DEMO / "obama.jpg").read_bytes() + number.to_bytes(4, "big")
        )
    Gallery.create(tmp_path / "g", recognizer=Recognizer("fast")).close()
    process = subprocess.Popen(
        [sys.executable, "-m", "lineament", "gallery", "enroll-folder", "people",
         "--gallery", "g", "--force", "--json"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    while process.poll() is None and not any(tmp_path.glob("g/*-wal")):
        time.sleep(0.02)
    time.sleep(1)
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert json.loads(out)["code"] == "interrupted"
    assert [p.name for p in tmp_path.rglob("*.tmp")] == []
    with Gallery.open(tmp_path / "g", read_only=True) as gallery:
        assert {person.name for person in gallery.people()} <= {"Ada", "Bo"}
        assert gallery.check() == []
        count = sum(person.n_samples for person in gallery.people())
    early = count == 0 and "interrupted: nothing was written" in err
    assert early or f"interrupted: {count} of 151 photos are enrolled" in err


def test_a_terminal_that_is_closed(tmp_path: Path) -> None:
    """Its programs get SIGHUP, and can write nothing there any more."""
    shutil.copy(DEMO / "obama.jpg", tmp_path / "0.jpg")
    with serving(late=DRIPPING["silence"]) as server:
        call = [sys.executable, "-m", "lineament", "detect", "0.jpg", server.url("late"),
                "--allow-private", "--save", "drawn"]  # fmt: skip
        pid, master = pty.fork()
        if pid == 0:
            os.chdir(tmp_path)
            path = os.pathsep.join(sys.path)
            os.execve(call[0], call, {**os.environ, "PYTHONPATH": path, "no_proxy": "*"})
        until = time.monotonic() + 60
        while not server.asked and time.monotonic() < until:
            time.sleep(0.02)
        assert server.asked
        os.close(master)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130


def test_ray_does_not_take_sigterm() -> None:
    from lineament.bulk import on_ray

    before = signal.getsignal(signal.SIGTERM)
    with on_ray._sigterm_kept():
        signal.signal(signal.SIGTERM, lambda *_: None)  # as ray.init does it
    assert signal.getsignal(signal.SIGTERM) == before
