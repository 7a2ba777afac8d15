"""The pages of ``--help``: as wide as the terminal up to 100 columns, wrapped at words alone."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable

import click

from lineament.cli.layout import cells, padded, wrap
from lineament.cli.terminal import width_of

LEAST, MOST = 50, 100


class HelpPage(click.HelpFormatter):
    """Click's page without its line breaks after hyphens and within words."""

    def __init__(
        self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None
    ) -> None:
        """Arguments of ``click.HelpFormatter``."""
        if width is None:
            most = MOST if max_width is None else max_width
            wide = width_of(sys.stdout)
            wide = shutil.get_terminal_size().columns if wide is None else wide
            width = max(min(wide, most) - 1, LEAST)
        super().__init__(indent_increment, width, max_width)

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """The line that begins with "Usage:"."""
        start = f"{'Usage:' if prefix is None else prefix.strip()} {prog} "
        self._lines(args, first=start, rest=" " * min(cells(start), 8))

    def write_text(self, text: str) -> None:
        """Paragraphs."""
        indent = " " * self.current_indent
        for k, paragraph in enumerate(text.split("\n\n")):
            if k:
                self.write("\n")
            self._lines(" ".join(paragraph.split()), first=indent, rest=indent)

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Names and what they mean, side by side; a long name stands above."""
        known = list(rows)
        column = min(max((cells(name) for name, _ in known), default=0), col_max)
        indent = " " * self.current_indent
        for name, meaning in known:
            rest = indent + " " * (column + col_spacing)
            first = indent + padded(name, column) + " " * col_spacing
            if cells(name) > column:
                self._lines(name, first=indent, rest=indent + "    ")
                first = rest
            self._lines(" ".join(meaning.split()), first=first, rest=rest)

    def _lines(self, text: str, *, first: str, rest: str) -> None:
        for line in wrap(text, self.width, first=first, rest=rest):
            self.write(line + "\n")


class Context(click.Context):
    """A context whose help is a ``HelpPage``."""

    formatter_class = HelpPage


def write_example(formatter: click.HelpFormatter, lines: str) -> None:
    """Commands as they are typed, long ones with a backslash at the end of a line.

    For any page: who walks the commands with click's own contexts has click's own pages.
    """
    indent = " " * formatter.current_indent
    for text in lines.splitlines():
        found = wrap(text, formatter.width, first=indent, rest=indent + "    ")
        if len(found) > 1:
            found = wrap(text, formatter.width - 2, first=indent, rest=indent + "    ")
        formatter.write(" \\\n".join(found) + "\n")
