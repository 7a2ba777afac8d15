"""The tree of commands: help, names, suggestions; light, and the same everywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lineament.cli import MOVED, app
from lineament.cli.command import ACTIONS as WORDS
from lineament.cli.command import Command, Group, Option
from lineament.errors import ACTIONS


def walk(group: Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Group]]:
    yield path, group
    for name in group.entries:
        found = command(group, name)
        if isinstance(found, Group):
            yield from walk(found, (*path, name))


def command(group: Group, name: str) -> click.Command:
    found = group.get_command(click.Context(group), name)
    assert found is not None, name
    return found


GROUPS = dict(walk(app))
LEAVES = {
    (*path, name): found
    for path, group in GROUPS.items()
    for name in group.entries
    if isinstance(found := command(group, name), Command)
}
every_command = pytest.mark.parametrize("path", LEAVES, ids=" ".join)


def test_there_are_all() -> None:
    groups = ("gallery", "cache", "models", "train", "eval", "plot", "keys", "audit", "receipt")
    assert set(GROUPS) == {(), *((name,) for name in groups)}
    assert len(LEAVES) == 16 + 28 + 3 + 8 + 6 + 14 + 10 + 4 + 2 + 2


@every_command
def test_the_table_says_what_the_command_says(path: tuple[str, ...]) -> None:
    entry = GROUPS[path[:-1]].entries[path[-1]]
    assert LEAVES[path].help is not None
    first = " ".join(LEAVES[path].help.split("\n\n")[0].split())
    assert entry.help == first
    assert len(entry.help) <= 64


@every_command
def test_help_fits_a_screen_and_shows_an_example(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(app, [*path, "--help"])
    assert shown.exit_code == 0
    lines = shown.output.splitlines()
    assert len(lines) <= 50
    assert max(map(len, lines)) <= 80 or LEAVES[path].example in shown.output
    example = LEAVES[path].example
    assert "lineament " + " ".join(path) in example
    assert f"  {example}" in lines


@every_command
def test_all_options_are_explained_somewhere(path: tuple[str, ...]) -> None:
    shared = [p for p in LEAVES[path].params if isinstance(p, Option) and p.family is not None]
    if not shared:
        return
    short, whole = (CliRunner().invoke(app, [*path, f]).output for f in ("--help", "--help-all"))
    for option in shared:
        assert option.help is not None
        assert option.flag in short
        assert option.help.split()[0] in whole
    assert len(whole.splitlines()) > len(short.splitlines())


@every_command
def test_examples_are_understood(path: tuple[str, ...]) -> None:
    """Options of the examples exist; nothing is run."""
    import shlex

    example = LEAVES[path].example.partition(" > ")[0].removeprefix('eval "$(').removesuffix(')"')
    words = shlex.split(example)
    assert words[: 1 + len(path)] == ["lineament", *path]
    LEAVES[path].make_context(path[-1], words[1 + len(path) :])


@pytest.mark.parametrize("path", GROUPS, ids=lambda path: " ".join(path) or "lineament")
def test_help_of_groups(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"])
    assert shown.exit_code == 0
    for name in GROUPS[path].entries:
        assert f"  {name} " in shown.output
    assert "Example:" in shown.output
    assert len(shown.output.splitlines()) <= 50
    alone = CliRunner().invoke(app, [*path])
    assert alone.exit_code == 2
    assert alone.stdout == shown.stdout
    assert alone.stderr == ""


def test_old_names_say_the_new_ones() -> None:
    for old, new in MOVED.items():
        done = CliRunner().invoke(app, [old, "--json"])
        assert done.exit_code == 2
        assert f"it is `lineament {new}` now" in json.loads(done.stdout)["error"]
        for name in new.split("` or `lineament "):
            assert tuple(name.split()) in LEAVES


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("detekt", "a.jpg"), "Did you mean 'detect'?"),
        (("gallery", "enrol", "a", "b.jpg"), "'enroll'"),
        (("verify", "a", "b", "--treshold", "1"), "'--threshold'"),
        (("eval", "lfv", "x"), "'lfw'"),
    ],
)
def test_what_is_alike_is_suggested(arguments: tuple[str, ...], words: str) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert words in done.stderr.splitlines()[-1]


def test_hints_have_words_for_the_terminal() -> None:
    assert set(WORDS) == set(ACTIONS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    script = CliRunner().invoke(app, ["completion", shell])
    assert script.exit_code == 0
    assert "_LINEAMENT_COMPLETE" in script.stdout
    done = subprocess.run(
        [sys.executable, "-m", "lineament"],
        env={
            **os.environ,
            "_LINEAMENT_COMPLETE": "bash_complete",
            "COMP_WORDS": "lineament gallery en",
            "COMP_CWORD": "2",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["plain,enroll", "plain,enroll-folder", "plain,encrypt"]


def test_help_imports_no_command() -> None:
    code = (
        "import sys\nfrom lineament.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "known = {'__init__', 'command', 'help', 'layout', 'output', 'progress', 'signals', "
        "'targets', 'terminal'}\n"
        "loaded = {n.split('.')[2] for n in sys.modules if n.startswith('lineament.cli.')}\n"
        "sys.exit(repr(loaded - known) if loaded - known else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("plot", "explain", "a", "b", "--fill", "red"),
            "--fill: expected blur or gray, got 'red'",
        ),
        (("eval", "lfw", "x", "--view", "3"), "--view: expected 1, 2 or all-pairs, got '3'"),
        (("eval", "ijb", "x", "--set", "q"), "--set: expected b or c, got 'q'"),
    ],
)
def test_a_wrong_choice_is_one_line(arguments: tuple[str, ...], message: str) -> None:
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", f"error: {message}\n")
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    option = arguments[-2].removeprefix("--")
    name = {"set": "which"}.get(option, option)
    assert found == {"error": message, "code": "option_invalid", "option": name, "hint": None}


def test_the_demo_answers_rightly_and_draws(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "pictures"), "--json"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["right"] is True
    assert [pair["verdict"] for pair in found["decisions"]] == ["same"] + 3 * ["different"]
    assert {photo["source"]: len(photo["faces"]) for photo in found["photos"]} == {
        "astronaut.jpg": 1,
        "biden.jpg": 1,
        "group.jpg": 8,
        "obama.jpg": 1,
        "obama2.jpg": 1,
    }
    assert (Path(found["out"]) / "detect.png").stat().st_size > 1000
    table = CliRunner().invoke(app, ["demo"])
    assert (table.exit_code, table.stderr) == (0, "")
    assert "astronaut.jpg  different" in table.stdout


def test_an_empty_gallery_is_made_once(tmp_path: Path) -> None:
    folder = str(tmp_path / "staff")
    made = ["gallery", "create", "--gallery", folder, "--preset", "fast", "--json"]
    found = json.loads(CliRunner().invoke(app, made).stdout)
    assert (found["gallery"], found["n_people"], found["n_samples"]) == (folder, 0, 0)
    again = CliRunner().invoke(app, made)
    assert again.exit_code == 2
    assert json.loads(again.stdout)["code"] == "gallery_exists"
    listed = CliRunner().invoke(app, ["gallery", "people", "--gallery", folder])
    assert (listed.exit_code, "0 people" in listed.stderr) == (1, True)


def test_a_model_is_shown() -> None:
    found = json.loads(CliRunner().invoke(app, ["models", "show", "sface", "--json"]).stdout)
    assert (found["name"], found["present"], found["refused"]) == ("sface", True, None)
    shown = CliRunner().invoke(app, ["models", "show", "sface"]).stdout
    assert found["sha256"] in shown
    wrong = CliRunner().invoke(app, ["models", "show", "sfase", "--json"])
    assert wrong.exit_code == 2
    assert json.loads(wrong.stdout)["code"] == "unknown_weights"
