"""What a person sees: the command line under a pseudo-terminal of so many columns.

``shown`` runs a command in this process with both outputs on a terminal and gives back the lines
that stand there at the end, when progress bars are gone. ``piped`` runs it into a pipe.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import re
import struct
import sys
import termios
import threading
from collections.abc import Iterator, Sequence

import pytest

from lineament.cli import app


@contextlib.contextmanager
def listening(wait_s: float) -> Iterator[tuple[int, int, bytearray]]:
    """A pseudo-terminal: its two ends, and what it has received when the block has ended.

    The block closes the second end, and waiting for what is on the way takes ``wait_s`` at most.
    """
    master, slave = pty.openpty()
    received = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while some := os.read(master, 65536):
                received.extend(some)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield master, slave, received
    finally:
        reader.join(wait_s)
        os.close(master)


def shown(arguments: Sequence[str], columns: int) -> str:
    """The screen after the command, with its exit code in the last line."""
    with listening(30) as (_, slave, received):
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        with os.fdopen(slave, "w", buffering=1, encoding="utf-8") as terminal:
            code = _run(arguments, terminal, terminal)
    lines = _final_lines(received.decode())
    return "\n".join([*lines, f"[exit code {code}]"]) + "\n"


def piped(arguments: Sequence[str]) -> str:
    """What it writes into pipes, results before messages."""
    out, err = io.StringIO(), io.StringIO()
    _run(arguments, out, err)
    return out.getvalue() + err.getvalue()


def _run(arguments: Sequence[str], out: io.TextIOBase, err: io.TextIOBase) -> int:
    with _streams(out, err), pytest.raises(SystemExit) as end:
        app(list(arguments))
    assert isinstance(end.value.code, int), end.value.code
    return end.value.code


@contextlib.contextmanager
def _streams(out: io.TextIOBase, err: io.TextIOBase) -> Iterator[None]:
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = out, err  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


_CODE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|(\r|\n)|([^\x1b\r\n]+)")


def _final_lines(text: str) -> list[str]:
    """The lines of a terminal that is high enough."""
    lines, row, column = [""], 0, 0
    for code in _CODE.finditer(text):
        number, letter, control, words = code.groups()
        if words:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + words + line[column + len(words) :]
            column += len(words)
        elif control == "\r":
            column = 0
        elif control == "\n":
            row, column = row + 1, 0
            if row == len(lines):
                lines.append("")
        elif letter == "A":
            row = max(row - int(number or 1), 0)
        elif letter == "K":
            lines[row] = "" if number == "2" else lines[row][:column]
    while lines and not lines[-1]:
        lines.pop()
    return lines
