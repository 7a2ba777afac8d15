"""Text in columns of a terminal: how wide it is, wrapped at words, as a table or as records.

Pure functions from text to lines, in which what came from outside is escaped (``printable``).
Widths are in cells: a letter of East Asia and most emoji take two, a combining mark none. ``width``
None is a pipe or a file: one line per record, as long as it gets. Nothing is ever cut: what is
wider than the line stands on a line of its own, a path is broken after a separator, and a table
that does not fit becomes a list of records.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from lineament.text import printable

GAP = "  "
"""Between two columns."""

LEAST_VALUE = 24
"""Cells that the value of a record has beside its name; with fewer it stands below it."""

MOST_LINES = 6
"""A table with higher rows is easier to read as records."""

_ZERO = frozenset({"Mn", "Me", "Cf"})
_VISIBLE_FORMATS = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u08e2")
_ZWJ, _AS_EMOJI = "\u200d", "\ufe0f"
_SKIN = range(0x1F3FB, 0x1F400)
_JAMO = range(0x1160, 0x1200)

# Patterns are compiled when they are needed first (``re`` keeps them), not at every start.
# A figure and its unit stay together: "99.9 %", "> 99.9 %", "172 x 229 px", "0.3 s".
_GLUED = (
    r"(?<=\d) (?=(?:%|px|MB|GB|KB|ms|s|bits|degrees)(?![\w%]))|"
    r"(?<=[\s(][<>]) (?=\d)|(?<=^[<>]) (?=\d)|"
    r"(?<=\d) (?=x \d)|(?<=\d x) (?=\d)|(?<=\[default:) "
)
_HELD = "\x00"
_PIECES = r"[^/\\|]*[/\\|]+|[^/\\|]+"

_LABEL = r"[A-Za-z][a-z ]{0,12}: "
"""How a note begins under whose text the next lines stand: "error: ", "refused: "."""


class Line(NamedTuple):
    """A line, and whether it is a heading."""

    text: str
    heading: bool = False


def cells(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    total = last = 0
    joined = False
    for letter in text:
        wide = _cells_of(letter)
        if joined or (last == 2 and ord(letter) in _SKIN):
            wide = 0
        elif letter == _AS_EMOJI and last == 1:
            wide, last = 1, 2
        elif wide:
            last = wide
        joined = letter == _ZWJ and last == 2
        total += wide
    return total


def _cells_of(letter: str) -> int:
    if letter.isascii():
        return 1
    if unicodedata.east_asian_width(letter) in "WF":
        return 2
    if ord(letter) in _JAMO:
        return 0
    hidden = unicodedata.category(letter) in _ZERO and letter not in _VISIBLE_FORMATS
    return 0 if hidden else 1


def padded(text: str, width: int, *, right: bool = False) -> str:
    """The text with blanks to that many cells."""
    blanks = " " * max(width - cells(text), 0)
    return blanks + text if right else text + blanks


# --- lines ----------------------------------------------------------------------------------------


def wrap(text: str, width: int | None, *, first: str = "", rest: str = "") -> list[str]:
    """Lines of at most ``width`` cells, broken at blanks.

    A word that is wider than a line is broken after ``/``, ``\\`` or ``|``, or between two letters
    that are two cells wide; what is wider even so stands on a line of its own.

    Args:
        text: one line.
        width: None leaves it as it is.
        first: what the first line begins with.
        rest: what the others begin with.
    """
    if width is None or cells(first) + cells(text) <= width:
        return [(first + text).rstrip()]
    lines: list[str] = []
    line, empty = first, True
    space = max(width - cells(rest), 1)
    gap = ""
    for part in re.split("( +)", re.sub(_GLUED, _HELD, text)):
        if not part:
            continue
        if part[0] == " ":
            gap = part
            continue
        word = part.replace(_HELD, " ")
        if not empty and cells(line) + len(gap) + cells(word) > width and cells(word) <= space:
            lines.append(line.rstrip())
            line, empty, gap = rest, True, ""
        pieces = [word] if cells(line) + len(gap) + cells(word) <= width else _pieces(word)
        for piece in pieces:
            if not empty and cells(line) + len(gap) + cells(piece) > width:
                lines.append(line.rstrip())
                line, gap = rest, ""
            line += gap + piece
            empty, gap = False, ""
    lines.append(line.rstrip())
    return lines


def _pieces(word: str) -> list[str]:
    """Where a word may be broken that is too long for a line; figures such as ".90/.86" never."""
    found = []
    for piece in re.findall(_PIECES, word) if any(map(str.isalpha, word)) else [word]:
        start = 0
        for at in range(1, len(piece)):
            if _cells_of(piece[at - 1]) == 2 == _cells_of(piece[at]):
                found.append(piece[start:at])
                start = at
        found.append(piece[start:])
    return found


def sentence(text: str, width: int | None) -> list[str]:
    """A line of its own: the next ones stand under its text, after "note: " or the like."""
    text = printable(text)
    indent = len(text) - len(text.lstrip(" "))
    label = re.match(_LABEL, text[indent:])
    rest = indent + (label.end() if label else 2)
    return wrap(text[indent:], width, first=" " * indent, rest=" " * rest)


# --- records --------------------------------------------------------------------------------------


def records(rows: Iterable[tuple[str, str]], width: int | None) -> list[str]:
    """Names and values in two columns; a value without a name goes on with the one above.

    Args:
        rows: name, value.
        width: of the terminal. Where too little is left beside the names, values stand below them.
    """
    known = [(printable(name), printable(value)) for name, value in rows]
    if not known:
        return []
    column = max(cells(name) for name, _ in known)
    start = 2 + column + len(GAP)
    lines: list[str] = []
    if width is not None and width - start < LEAST_VALUE:
        for name, value in known:
            if name:
                lines += wrap(name.strip(), width, first="  ", rest="  ")
            lines += wrap(value, width, first="    ", rest="    ")
        return lines
    for name, value in known:
        first = f"  {padded(name, column)}{GAP}"
        if width is not None and start + _least(value, True, False) > width:  # a long hash
            lines += [first.rstrip(), *wrap(value, width, first="    ", rest="    ")]
        else:
            lines += wrap(value, width, first=first, rest=" " * start)
    return lines


# --- tables ---------------------------------------------------------------------------------------


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    width: int | None,
    *,
    right: Collection[str] = (),
) -> list[Line]:
    """Columns as wide as what is in them; words wrap where the terminal is too narrow for that.

    Figures, which are the columns aligned to the right, never wrap. Where even the longest words
    do not fit side by side, paths are broken after separators, and after that each row becomes a
    record with a line for each column.

    Args:
        columns: the headings; blanks before the first one indent the table.
        rows: cells as text.
        width: of the terminal, in cells.
        right: headings of columns that are aligned to the right.
    """
    known = [[printable(str(cell)) for cell in row] for row in rows]
    grid = [[heading.rstrip() for heading in columns], *known]
    to_right = [heading in right for heading in columns]
    natural = [max(cells(row[k]) for row in grid) for k in range(len(columns))]
    widths: list[int] | None = natural
    if width is not None and sum(natural) + len(GAP) * (len(columns) - 1) > width:
        widths = _fitted(grid, natural, to_right, width)
    if widths is not None:
        placed = [_row(row, widths, to_right, wraps=width is not None) for row in grid]
        if width is None or max(map(len, placed[1:]), default=1) <= MOST_LINES:
            head, *body = placed
            return [Line(text, True) for text in head] + [Line(t) for row in body for t in row]
    lines: list[Line] = []
    for row in known:
        if lines:
            lines.append(Line(""))
        for heading, cell in zip(columns, row, strict=True):
            indent = " " * (len(columns[0]) - len(columns[0].lstrip(" ")))
            label = f"{indent}{heading.strip()}: "
            text = cell.strip() if cell.strip() else "-"
            found = wrap(text, width, first=label, rest=indent + "    ")
            lines += [Line(text) for text in found]
    return lines


def _fitted(
    grid: Sequence[Sequence[str]], natural: Sequence[int], to_right: Sequence[bool], width: int
) -> list[int] | None:
    """Widths of the columns that fit; None where the longest words do not."""
    space = width - len(GAP) * (len(natural) - 1)
    for broken in (False, True):
        least = [
            max(_least(row[k], broken, figure and at > 0) for at, row in enumerate(grid))
            for k, figure in enumerate(to_right)
        ]
        if sum(least) <= space:
            low, high = 0, max(natural)
            while low < high:  # the widest level up to which all columns may grow
                level = (low + high + 1) // 2
                taken = sum(max(min(level, n), a) for n, a in zip(natural, least, strict=True))
                low, high = (level, high) if taken <= space else (low, level - 1)
            return [max(min(low, n), a) for n, a in zip(natural, least, strict=True)]
    return None


def _least(text: str, broken: bool, whole: bool) -> int:
    """Cells of the longest part that is not to be broken, and of what it is indented by."""
    if whole:
        return cells(text)
    indent = len(text) - len(text.lstrip(" "))
    words = re.sub(_GLUED, _HELD, text).split(" ")
    parts = [piece for word in words for piece in _pieces(word)] if broken else words
    return indent + max(map(cells, parts), default=0)


def _row(
    row: Sequence[str], widths: Sequence[int], to_right: Sequence[bool], *, wraps: bool
) -> list[str]:
    """The lines of a row."""
    columns = []
    for cell, width in zip(row, widths, strict=True):
        indent = " " * (len(cell) - len(cell.lstrip(" ")))
        columns.append(
            wrap(cell[len(indent) :], width if wraps else None, first=indent, rest=indent)
        )
    lines = []
    for at in range(max(map(len, columns), default=0)):
        parts = [
            padded(column[at] if at < len(column) else "", width, right=right)
            for column, width, right in zip(columns, widths, to_right, strict=True)
        ]
        lines.append(GAP.join(parts).rstrip())
    return lines


# --- writing from right to left -------------------------------------------------------------------


def isolated(line: str) -> str:
    """The line with isolates around what is written from right to left.

    So a name in Arabic or Hebrew does not pull what stands beside it to its other side, in
    terminals that turn such text around.
    """
    if line.isascii():
        return line
    return re.sub(_TO_LEFT, "\u2068\\g<0>\u2069", line)


_RTL = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff"
_TO_LEFT = f"[{_RTL}](?:(?:[{_RTL}]|[\\W\\d_](?<!  ))*[{_RTL}\\u0300-\\u036f])?"
