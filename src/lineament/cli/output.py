"""What commands print and write: JSON, tables, messages."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.cli import layout, terminal
from lineament.cli.terminal import VERBOSITY, Style

if TYPE_CHECKING:
    import click

    from lineament.errors import OptionError
    from lineament.types import Photo

FAILED = "lineament.failed"
"""Key of click's context: what could not be written."""
PRINTED = "lineament.printed"
"""Key of click's context: whether the JSON object is printed."""


def failed(context: click.Context | None) -> list[tuple[str, OptionError]]:
    """What was said of the outputs that could not be written so far, and the errors."""
    if context is None:
        return []
    found: list[tuple[str, OptionError]] = context.meta.setdefault(FAILED, [])
    return found


def print_json(value: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
    """Print one JSON object or list on a line of its own; what is not finite becomes null.

    What the command could not write is added to an object as ``error``, ``code``, ``option`` and
    ``hint``.
    """
    import click

    context = click.get_current_context(silent=True)
    errors = failed(context)
    if context is not None:
        context.meta[PRINTED] = True
    if errors and isinstance(value, Mapping) and "error" not in value:
        known = errors[0][1]
        about = {"code": known.code, "option": known.option, "hint": known.hint}
        value = {**value, "error": "; ".join(words for words, _ in errors), **about}
    terminal.write_plain(json.dumps(_finite(value), allow_nan=False))


def print_verbatim(text: str) -> None:
    """Print a text that is meant for a file: nothing is wrapped or escaped."""
    terminal.write_plain(text)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def print_line(text: str = "", *, style: Style | None = None) -> None:
    """Print a line; on a terminal wrapped at words, and the verdict in its color."""
    terminal.write(layout.sentence(text, terminal.width_of(sys.stdout)), style=style)


def print_text(text: str) -> None:
    """Print a text of several lines, each as ``print_line`` does it."""
    for line in text.splitlines():
        print_line(line)


def print_rule() -> None:
    """Print a line across the terminal, at most 78 columns of it."""
    print_line("=" * min(78, terminal.width_of(sys.stdout) or 78))


def print_error(message: object, label: str = "error: ") -> None:
    """One line on stderr, wrapped at words where that is a terminal."""
    lines = layout.sentence(f"{label}{message}", terminal.width_of(sys.stderr))
    terminal.write_error(lines, style="red", label=len(label.rstrip()))


def print_note(message: object) -> None:
    """The same for what is no error; nothing with ``--quiet``."""
    if not VERBOSITY.quiet:
        terminal.write_error(layout.sentence(str(message), terminal.width_of(sys.stderr)))


def print_photo_error(photo: Photo) -> int:
    """Print the photo's error, if it has one, and count it."""
    if photo.error is None:
        return 0
    print_error(photo.error)
    return 1


def say_undrawn(texts: Iterable[str]) -> None:
    """Say which letters of a picture's words no font of this system has."""
    from lineament.pictures.fonts import note_on

    note = note_on(texts)
    if note is not None:
        print_note(f"note: {note}")


def exit_code(errors: int, found: bool) -> int:
    """2 after any error, else 0 when there is something and 1 when there is nothing."""
    if errors:
        return 2
    return 0 if found else 1


def near(path: str) -> str:
    """A path as it is called from here, when it is below the folder that one is in.

    Also of a message that begins with a path.
    """
    return path.removeprefix(str(Path.cwd() / "_")[:-1])


def print_pairs(rows: Iterable[tuple[str, str]]) -> None:
    """Print names and values in two columns; a value without a name goes on with the one above."""
    terminal.write(layout.records(rows, terminal.width_of(sys.stdout)))


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()
) -> None:
    """Print a table that fits the terminal; into a pipe one line for each row.

    Args:
        columns: the headings.
        rows: cells as text.
        right: headings of columns that are aligned to the right: figures, which never wrap.
    """
    terminal.write(layout.table(columns, rows, terminal.width_of(sys.stdout), right=right))
