"""Attributes of people or photos, for error rates by group.

A CSV file with a heading: a column ``person`` (the name of the person's folder) or ``file`` (the
photo's path below the folder, or as the list of pairs writes it), and a column for each attribute,
such as ``sex`` or ``age``. What is left blank is unknown.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from lineament.datasets.people_folder import plain
from lineament.datasets.text import opened_text
from lineament.errors import DataError

KEYS = ("person", "file")


@dataclass(frozen=True, eq=False, slots=True)
class Attributes:
    """What is known of people or photos.

    Attributes:
        file: where it was read from.
        key: "person" or "file": what the rows are about.
        columns: names of the attributes.
        rows: name of the person or photo -> values in the order of ``columns``, "" unknown.
    """

    file: Path
    key: str
    columns: tuple[str, ...]
    rows: dict[str, tuple[str, ...]]


def read_attributes(file: str | os.PathLike[str]) -> Attributes:
    """Read a table of attributes.

    Raises:
        DataError: it is not laid out as above; names the line.
    """
    path = Path(file)
    lines = _table(path)
    number, heading = lines[0]
    names = [cell.strip() for cell in heading]
    lowered = [name.lower() for name in names]
    keys = [key for key in KEYS if key in lowered]
    if len(keys) != 1 or len(names) < 2 or len(set(lowered)) < len(names) or "" in names:
        raise DataError(
            f'{path}, line {number}: expected a heading with either "person" or "file" and one '
            f"column an attribute, each with its own name, got {','.join(names)!r:.80}"
        )
    at = lowered.index(keys[0])
    rows: dict[str, tuple[str, ...]] = {}
    for number, cells in lines[1:]:
        where = f"{path}, line {number}"
        if len(cells) != len(names):
            raise DataError(
                f"{where}: expected {len(names)} columns as in the heading, got {len(cells)}"
            )
        name = plain(cells[at].strip()).replace("\\", "/").removeprefix("./")
        values = tuple(plain(cell.strip()) for i, cell in enumerate(cells) if i != at)
        if not name:
            raise DataError(f"{where}: expected the name of a {keys[0]}, got nothing")
        if rows.setdefault(name, values) != values:
            raise DataError(
                f"{where}: expected one row a {keys[0]}, got a second one of {name} with other "
                "values"
            )
    if not rows:
        raise DataError(f"{path}: expected rows below the heading, found none")
    return Attributes(path, keys[0], tuple(n for i, n in enumerate(names) if i != at), rows)


def _table(path: Path) -> list[tuple[int, list[str]]]:
    """The rows of a CSV file that are not blank, with the numbers of their (last) lines."""
    try:
        with opened_text(path) as file:
            reader = csv.reader(file, strict=True)
            rows = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise DataError(f"{path}: expected a table with commas (CSV), got: {error}") from error
    if not rows:
        raise DataError(f"{path}: expected a heading and rows, found an empty file")
    return rows
