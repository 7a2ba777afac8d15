"""Commands in a process of their own at a real pseudo-terminal, and what of it acts on one.

One process runs all commands one after the other, since most of a command's time is its start.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from terminal_screen import listening

from lineament.text import printable

DRIVER = """
import json, os, sys
from lineament.cli import app
from lineament.cli.terminal import guard, open_streams
open_streams()
guard()
def one(arguments, settings, patch):
    kept = dict(os.environ)
    os.environ.update(settings)
    try:
        if patch:
            exec(patch, {"__name__": "patch"})
        app(arguments)
    except SystemExit as end:
        code = end.code
    finally:
        os.environ.clear()
        os.environ.update(kept)
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(1, f"\\n<<<{code}>>>\\n".encode())
for call in json.load(open(sys.argv[1])):
    one(*call)
"""

OURS = re.compile(
    "\x1b\\[[0-9;]*m"  # colors
    "|\x1b\\[\\?25[lh]|\x1b\\[[0-9]*[AK]|\r(?=\x1b\\[|\n|$)"  # bars of progress
    "|[\u2068\u2069]"  # what keeps a name of another direction to itself
)
"""What the command line itself sends to a terminal besides plain text."""


class Call:
    """A command with settings of the environment, and Python that is run before it."""

    def __init__(
        self, *arguments: object, settings: Mapping[str, str] | None = None, patch: str = ""
    ) -> None:
        self.arguments = [str(each) for each in arguments]
        self.settings = dict(settings or {})
        self.patch = patch


def at_terminal(calls: Sequence[Call], folder: Path, typed: bytes = b"") -> list[tuple[str, str]]:
    """Exit code and everything that reached the terminal, of each call.

    Args:
        calls: run in this order.
        folder: where they run; a file for the driver is written into it.
        typed: what is typed from the start.
    """
    plan = folder / "calls.json"
    plan.write_text(json.dumps([[c.arguments, c.settings, c.patch] for c in calls]))
    with listening(10) as (master, slave, received):
        os.write(master, typed)
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(plan)],
            cwd=folder, stdin=slave, stdout=slave, stderr=slave,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm",
                 "COLUMNS": "100", "LINEAMENT_CACHE": str(folder / "cache")},
        )  # fmt: skip
        os.close(slave)
        process.wait(300)
    text = received.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    *found, rest = re.split(r"\n<<<(.*)>>>\n", text)
    assert process.returncode == 0, rest
    return list(zip(found[1::2], found[::2], strict=True))


def acting(text: str) -> list[str]:
    """The lines of what reached a terminal that hold anything but plain text and our own codes."""
    plain = OURS.sub("", text)
    return [line for line in plain.split("\n") if printable(line) != line]
