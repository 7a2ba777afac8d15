"""All commands of the command line, for tests that hold of every one."""

from __future__ import annotations

from collections.abc import Iterator

import click

from lineament.cli import app
from lineament.cli.command import Command, Group


def commands(
    group: Group = app, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Command]]:
    """Every command below a group, with the words that call it."""
    for name in group.entries:
        found = group.get_command(click.Context(group), name)
        if isinstance(found, Group):
            yield from commands(found, (*path, name))
        else:
            assert isinstance(found, Command), name
            yield (*path, name), found


COMMANDS = dict(commands())


FILES = {("gallery", "export-person"): "a.zip"}
"""What a command takes for its file, where it is no list of entries."""


def least_call(path: tuple[str, ...]) -> list[str]:
    """A call of the command with all that it needs."""
    words = list(path)
    for each in COMMANDS[path].params:
        kind = each.type
        value = kind.choices[0] if isinstance(kind, click.Choice) else "1"
        if each.required and isinstance(each, click.Option):
            words += [max(each.opts, key=len), value if each.name != "out" else "out.onnx"]
        elif each.required:
            words.append(value if each.name != "file" else FILES.get(path, "a.jsonl"))
    return words
