"""Write docs/reference/command-line.md from the commands themselves.

python -m scripts.build.command_line            rewrite the page
python -m scripts.build.command_line --check    change nothing; exit 1 if it would change
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import click

from lineament.cli import app
from scripts.packages import ROOT

PAGE = ROOT / "docs" / "reference" / "command-line.md"

INTRODUCTION = """\
# The command line

<!-- Written by `python -m scripts.build.command_line`; edit the commands instead. -->

Exit codes are those of grep: 0 yes (the same person, a face was found, somebody was identified),
1 no, 2 an error, 130 after Ctrl-C, 141 when nobody reads stdout any more (`| head`). Results go to
stdout, messages and bars of progress to stderr. With `--json` stdout is exactly one JSON object,
also when something fails: `error`, `code`, `option` and `hint`. A stdout that is closed (`>&-`) or
full is an error, once there is something to print; a closed stderr is none.

On a terminal, lines wrap at words as wide as it is (or as `COLUMNS` says), and a table that does
not fit becomes a list of records. Into a pipe or a file there is one line per record, whatever its
length. Verdicts and errors have a color on a terminal; `NO_COLOR`, `FORCE_COLOR`, `CLICOLOR`,
`CLICOLOR_FORCE` and `TERM=dumb` are heeded. Control characters in names are shown escaped. Every
command takes `-q`/`--quiet` (no notes, no progress) and `-v`/`--verbose` (what each network did,
and how long it took), before or after its name.

What is written is probed before the work begins: that the name ends as it should, the folder is
there and can be written to, the disk is not full, and the file is none of those that are read. A
file that exists is never replaced without `--overwrite`; folders that grow (`embed --out FOLDER`,
`train run --out`, `align --people --resume`) go on with what is in them. Files appear whole or not
at all. Should writing fail in the end all the same, the results are printed, and the exit code is
2. In Python, functions that write a file replace one that exists.

A bar on stderr shows how far a long command is, where that is a terminal; it is gone when the work
has ended. After Ctrl-C workers end, no file stays half written, what was looked at is kept where a
command can go on from there, and one line says what stays ("120 of 300 photos are enrolled; run the
same command again to go on"); with `--json` the object has the code `interrupted`. SIGTERM and
SIGHUP do the same, unless they are ignored (`nohup`). A second signal, from a second on, ends the
command at once.

`embed --out FILE.csv`, and `--csv FILE.csv` of `detect`, `identify` and `gallery people`, write
tables as CSV (RFC 4180, UTF-8; names of files as they are on the disk).

Options that many commands share are explained [at the end](#shared-options).
"""


def rows(options: list[click.Option]) -> Iterator[str]:
    """A table of options."""
    yield "| option | |"
    yield "|---|---|"
    for option in options:
        context = click.Context(click.Command("lineament"), max_content_width=1000)
        record = option.get_help_record(context)
        if record is not None:
            names, words = (part.replace("|", "\\|").replace("\n", " ") for part in record)
            yield f"| `{names}` | {' '.join(words.split())} |"


def described(command: click.Command) -> str:
    """Its help, unwrapped."""
    text = (command.help or "").replace("\b\n", "")
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def of_command(name: str, command: click.Command) -> Iterator[str]:
    """One command."""
    yield f"### {name}"
    yield described(command)
    context = click.Context(command, info_name=name, max_content_width=1000)
    usage = " ".join(command.get_usage(context).split()).removeprefix("Usage: ")
    yield f"```text\n{usage}\n```"
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    own = [option for option in options if getattr(option, "family", None) is None]
    if own:
        yield "\n".join(rows(own))
    families = dict.fromkeys(str(o.family) for o in options if getattr(o, "family", None))
    if families:
        links = (f"[{family}](#{family.lower().replace(' ', '-')})" for family in families)
        yield "And the options of " + ", ".join(links) + "."
    example = getattr(command, "example", "")
    if example:
        prompts = "\n".join(f"$ {line}" for line in example.splitlines())
        yield f"```console\n{prompts}\n```"


def walk(name: str, group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """Every command with its whole name."""
    context = click.Context(group, info_name=name)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        assert command is not None
        if isinstance(command, click.Group):
            yield from walk(f"{name} {word}", command)
        else:
            yield f"{name} {word}", command


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION.rstrip()]
    commands = list(walk("lineament", app))
    shared: dict[str, dict[str, click.Option]] = {}
    section = ""
    for name, command in commands:
        words = name.split()
        heading = f"lineament {words[1]}" if len(words) > 2 else app.entries[words[1]].section
        if heading != section:
            parts.append(f"## {heading}")
            section = heading
        parts += of_command(name, command)
        for option in command.params:
            family = getattr(option, "family", None)
            if isinstance(option, click.Option) and family is not None:
                shared.setdefault(str(family), {}).setdefault(option.opts[0], option)
    parts.append("## Shared options")
    for family, options in shared.items():
        parts.append(f"### {family}")
        parts.append("\n".join(rows(list(options.values()))))
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true")
    made = page()
    if parser.parse_args().check:
        if PAGE.read_text(encoding="utf-8") != made:
            sys.exit(f"{PAGE.name}: out of date; run  python -m scripts.build.command_line")
        return
    PAGE.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
