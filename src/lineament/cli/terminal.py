"""Where lines go: standard output and standard error, as wide and as colorful as they are.

``NO_COLOR`` turns colors off, ``FORCE_COLOR`` and ``CLICOLOR_FORCE`` on also into a pipe,
``CLICOLOR=0`` and ``TERM=dumb`` off; otherwise a terminal has them. Lines are as wide as
``COLUMNS`` says, or else as the terminal is. Into a pipe or a file they are as long as they are.

What is printed passes ``text.printable`` here, whoever wrote it: escape sequences in the name of a
file do nothing. While a command runs, both streams are ``Guarded``: what libraries, warnings, logs
and tracebacks write there, passes it, too. Only ``write``, ``write_error`` and the bars of progress
have a way past it, for colors and for moving the cursor.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TextIO

from lineament.cli.layout import Line, isolated
from lineament.text import printable

Style = Literal["bold", "red", "green", "yellow"]

LEAST_WIDTH = 40
"""A narrower terminal wraps the lines itself."""

_CODES = {"bold": "1", "red": "31", "green": "32", "yellow": "33"}


class Verbosity:
    """How much is said besides the results: -1 nothing, 0 notes and progress, 1 more."""

    level = 0

    @property
    def quiet(self) -> bool:
        """Whether notes and progress are left out."""
        return self.level < 0

    @property
    def verbose(self) -> bool:
        """Whether there is more to say, such as times."""
        return self.level > 0


VERBOSITY = Verbosity()
"""What ``--quiet`` and ``--verbose`` ask for; the command line sets it anew each time."""


def width_of(stream: TextIO | None) -> int | None:
    """Columns of the terminal behind a stream, at least ``LEAST_WIDTH``; None: it is none."""
    if not is_terminal(stream):
        return None
    assert stream is not None
    columns = os.environ.get("COLUMNS", "")
    wide = int(columns) if columns.isascii() and columns.isdigit() else 0
    if not wide:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            wide = os.get_terminal_size(stream.fileno()).columns
    return max(wide if wide else 80, LEAST_WIDTH)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person looks at it."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # it is closed
        return False


def has_color(stream: TextIO | None) -> bool:
    """Whether colors are wanted there."""
    said = {
        name: os.environ.get(name, "")
        for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "TERM")
    }
    if said["NO_COLOR"]:
        return False
    if said["FORCE_COLOR"] not in ("", "0") or said["CLICOLOR_FORCE"] not in ("", "0"):
        return True
    if said["CLICOLOR"] == "0" or said["TERM"] == "dumb" or said["FORCE_COLOR"] == "0":
        return False
    return is_terminal(stream)


def write(lines: Iterable[str | Line], *, style: Style | None = None, label: int = 0) -> None:
    """Write lines to standard output.

    Args:
        lines: of text that is not styled; headings become bold.
        style: of all of it.
        label: only so many characters of the first line have the style; 0: all.

    Raises:
        OSError: it cannot be written, or is closed.
    """
    _write(sys.stdout, lines, style, label)


def write_error(lines: Iterable[str | Line], *, style: Style | None = None, label: int = 0) -> None:
    """The same to standard error; where that is closed or full, there is nobody to be told."""
    with contextlib.suppress(OSError, ValueError):
        _write(sys.stderr, lines, style, label)
        sys.stderr.flush()


class Guarded(io.TextIOBase):
    """A stream on which nothing acts: control characters are shown, whoever writes them.

    Attributes:
        unguarded: the stream itself.
    """

    def __init__(self, unguarded: TextIO) -> None:
        """Guard a stream."""
        self.unguarded = unguarded

    def write(self, text: str) -> int:
        """Write lines of plain text."""
        self.unguarded.write("\n".join(map(_shown, text.split("\n"))))
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        self.unguarded.flush()

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self.unguarded.isatty()

    def fileno(self) -> int:
        """The stream's."""
        return self.unguarded.fileno()

    def writable(self) -> bool:
        """It is."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's; where there is none, click would go past this to its buffer."""
        return self.unguarded.encoding or "utf-8"

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """The stream's."""
        return self.unguarded.errors

    def __getattr__(self, name: str) -> Any:
        """What else the stream has: its encoding, its buffer."""
        return getattr(self.unguarded, name)


def _shown(line: str) -> str:
    return "\t".join(map(printable, line.split("\t")))


def unguarded(stream: TextIO) -> TextIO:
    """The stream itself, for those who take care of what they write."""
    return stream.unguarded if isinstance(stream, Guarded) else stream


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Have both streams ``Guarded``."""
    before = sys.stdout, sys.stderr
    guard()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def guard() -> None:
    """Have both streams ``Guarded`` from now on; once is enough."""
    if not isinstance(sys.stdout, Guarded):
        sys.stdout = Guarded(sys.stdout)
    if not isinstance(sys.stderr, Guarded):
        sys.stderr = Guarded(sys.stderr)


def _write(stream: TextIO, lines: Iterable[str | Line], style: Style | None, label: int) -> None:
    stream = unguarded(stream)
    colored, turned = has_color(stream), is_terminal(stream) and os.environ.get("TERM") != "dumb"
    for line in lines:
        text, heading = line if isinstance(line, Line) else (line, False)
        text = printable(text)
        wanted: Style | None = "bold" if heading else style
        if turned:
            text = isolated(text)
        if colored and wanted is not None and text:
            end = label if label else len(text)
            text = f"\x1b[{_CODES[wanted]}m{text[:end]}\x1b[0m{text[end:]}"
            if label:
                style = None
        stream.write(text + "\n")


def write_plain(text: str) -> None:
    """Write a text of several lines to standard output, for JSON and for files.

    As it is, except for what would act on a terminal.

    Raises:
        OSError: it cannot be written, or is closed.
    """
    stream = sys.stdout if is_terminal(sys.stdout) else unguarded(sys.stdout)
    stream.write(text if text.endswith("\n") else text + "\n")


def open_streams() -> None:
    """Keep the numbers of closed standard streams from files that are opened later.

    The first file that a process without standard output opens would get its number, and whatever
    prints there, would write into it. And names of files may hold what a terminal cannot show.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # the least number that is free
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:  # nobody is there to be told
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


class _Closed(io.TextIOBase):
    """Standard output that was closed before the process began."""

    def write(self, _: str) -> int:
        """Raise OSError."""
        raise _closed()


def _closed() -> OSError:
    """What the system would say, in words."""
    return OSError(errno.EBADF, "standard output is closed")
