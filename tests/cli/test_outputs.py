"""Outputs of commands: declared, probed before the work, never replaced unasked."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from command_tree import COMMANDS

from lineament.cli import app
from lineament.cli.command import command, option
from lineament.cli.output import print_json
from lineament.cli.targets import FOLDER, PAGE, PICTURE, Target, probe, writing
from lineament.errors import OptionError

NAMED = {"out", "save", "report", "copy_to", "link_to", "csv", "output"}
"""Names of parameters that say where something is written."""

WRITERS = {path: found.targets for path, found in COMMANDS.items() if found.targets}
every_command = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
every_writer = pytest.mark.parametrize("path", WRITERS, ids=" ".join)

Call = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs a command in a folder with a photo, folders, and files of several kinds."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people" / "Ada").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    for name in ("a.jpg", "b.jpg", "people/Ada/1.jpg"):
        (tmp_path / name).write_bytes(b"no photo")

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(each) for each in arguments])

    return run


def arguments_of(path: tuple[str, ...], target: str, place: str) -> list[str]:
    """A call of a command that has all it needs, and writes ``target`` to ``place``."""
    words = list(path)
    for each in COMMANDS[path].params:
        if each.name == target:
            words += (
                [place] if isinstance(each, click.Argument) else [max(each.opts, key=len), place]
            )
        elif isinstance(each, click.Argument):
            words += [] if not each.required else ["people" if each.nargs != -1 else "a.jpg"]
        elif each.required and isinstance(each, click.Option):
            words += [max(each.opts, key=len), "b" if each.name == "which" else "people"]
    return words


def file_of(target: Target) -> str:
    return "there" + (target.suffixes[0] if target.suffixes else ".bin")


# --- declared -------------------------------------------------------------------------------------


@every_command
def test_what_is_written_is_declared(path: tuple[str, ...]) -> None:
    found = COMMANDS[path]
    assert {p.name for p in found.params} & NAMED == set(found.targets) & NAMED
    for parameter in found.params:
        assert "replaces" not in (getattr(parameter, "help", "") or "")


@every_writer
def test_a_command_that_replaces_has_overwrite(path: tuple[str, ...]) -> None:
    replaces = any(not each.resumes or each.file for each in WRITERS[path].values())
    assert ("overwrite" in {p.name for p in COMMANDS[path].params}) == replaces


# --- what is there already ------------------------------------------------------------------------


@every_writer
def test_a_file_is_never_replaced_unasked(
    path: tuple[str, ...], call: Call, tmp_path: Path
) -> None:
    for name, target in WRITERS[path].items():
        place = tmp_path / file_of(target)
        if not target.file:
            place = tmp_path / "kept"
            if not (target.inside or target.empty):
                continue  # each file has its own name: see the command's test
            place.mkdir(exist_ok=True)
            kept = place / (target.inside[0] if target.inside else "a")
        else:
            kept = place
        kept.write_text("mine")
        words = arguments_of(path, name, str(place))
        done = call(*words)
        assert (done.exit_code, done.stdout) == (2, ""), done.output
        assert "add --overwrite" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert kept.read_text() == "mine"
        if "json" in {p.name for p in COMMANDS[path].params}:
            said = json.loads(call(*words, "--json").stdout)
            assert (said["code"], said["option"]) == ("option_invalid", name)
            assert "--overwrite" in said["hint"]
        after = call(*words, "--overwrite")  # it goes on, to what else is wrong
        assert "exists already" not in after.stderr
        assert "empty folder" not in after.stderr


@pytest.mark.parametrize(
    "path",
    [p for p, t in WRITERS.items() if any(each.default for each in t.values())],
    ids=" ".join,
)
def test_nor_is_the_default_name(path: tuple[str, ...], call: Call, tmp_path: Path) -> None:
    ((name, target),) = ((n, t) for n, t in WRITERS[path].items() if t.default is not None)
    words = arguments_of(path, "", "")
    assert target.default is not None
    place = target.default({"folder": Path("people"), "json": False})
    assert place is not None
    (tmp_path / place).write_text("mine")
    done = call(*words)
    assert done.exit_code == 2
    flag = next(max(p.opts, key=len) for p in COMMANDS[path].params if p.name == name)
    assert done.stderr.startswith(f"error: {flag}: {place} exists already")
    assert (tmp_path / place).read_text() == "mine"


# --- what cannot be written -----------------------------------------------------------------------


@every_writer
def test_what_cannot_be_written_is_said_before_the_work(path: tuple[str, ...], call: Call) -> None:
    for name, target in WRITERS[path].items():
        end = file_of(target) if target.file else "x"
        wrong = {
            f"a.jpg/{end}": "is a file",
            f"/proc/{end}": "cannot be written",
            "n" * 300 + end: "cannot be written",
        }
        if target.file:
            wrong |= {f"none/{end}": "there is no folder", "there.xyz": "that ends in"}
        if target.file and not target.folder:
            wrong |= {"people": "is a folder"}
        for place, said in wrong.items():
            done = call(*arguments_of(path, name, place))
            assert (done.exit_code, done.stdout) == (2, ""), (place, done.output)
            assert said in done.stderr, (place, done.stderr)
            assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("place", "target", "words"),
    [
        ("/dev/full", Target(), "is a device, a pipe or a socket"),
        ("/dev/null", Target(), "is a device, a pipe or a socket"),
        ("link.png", PICTURE, "exists already"),
        ("a\0b.png", PICTURE, "cannot be written"),
        ("", PICTURE, "is a folder"),
        ("file", FOLDER, "is a file"),
    ],
)
def test_odd_places(
    place: str, target: Target, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("link.png").symlink_to("nowhere")
    Path("file").write_text("")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OptionError, match=words):
        probe(Path(place), target, option="save")
    assert sorted(tmp_path.iterdir()) == before


def test_a_full_disk_is_found_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OptionError, match="the disk is full") as caught:
        probe(tmp_path / "a.png", PICTURE, option="save")
    assert "make room" in str(caught.value.hint)
    assert list(tmp_path.iterdir()) == []


def test_one_file_is_not_named_twice(call: Call) -> None:
    done = call("group", "people", "--out", "same.json", "--copy-to", "c", "--report", "x.html")
    assert "named twice" not in done.stderr


# --- what fails while it is written ---------------------------------------------------------------


@command("lineament x")
@option("--out", writes=PAGE)
@option("--overwrite", is_flag=True)
@option("--json", is_flag=True)
@click.pass_obj
def figures(work: Callable[[], Any], out: Path, overwrite: bool, json: bool) -> int:
    """Does some work, writes it, and prints a figure."""
    with writing(out, "out"):
        work()
    if json:
        print_json({"figure": 7})
    else:
        print("figure 7")
    return 0


def made(work: Callable[[], Any], path: Path, *more: str) -> int:
    return int(figures.main(["--out", str(path), *more], standalone_mode=False, obj=work))


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), OptionError("too late")]
)
def test_figures_are_printed_all_the_same(
    error: Exception, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise error

    assert made(fails, tmp_path / "a.html") == 2
    plain = capsys.readouterr()
    assert plain.out == "figure 7\n"
    assert plain.err.startswith("error: ")
    assert "wrote" not in plain.err
    assert made(fails, tmp_path / "a.html", "--json") == 2
    said = json.loads(capsys.readouterr().out)
    assert (said["figure"], said["code"]) == (7, "option_invalid")
    assert said["error"] == plain.err.removeprefix("error: ").strip()


def test_what_came_meanwhile_is_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.html"
    assert made(lambda: path.write_text("new"), path) == 0
    assert capsys.readouterr().err == f"wrote {path}\n"
    monkeypatch.setattr("lineament.cli.command.probe_all", lambda *_: None)  # it came after that
    assert made(lambda: path.write_text("newer"), path) == 2
    assert path.read_text() == "new"
    assert made(lambda: path.write_text("newer"), path, "--overwrite") == 0
    assert path.read_text() == "newer"


def test_a_device_is_never_replaced(tmp_path: Path) -> None:
    from lineament.files import write_atomically

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OptionError, match="device"):
        write_atomically(pipe, b"x")
    assert pipe.is_fifo()
