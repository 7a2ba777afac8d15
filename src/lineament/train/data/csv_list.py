"""A list of photos: a CSV file with the columns ``path`` and ``person``.

    path,person
    ada/1.jpg,Ada Lovelace
    /photos/2.png,김구

The first line names the columns, in any order; others are passed over. Paths are relative to the
list's folder. The text is UTF-8.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np

from lineament.datasets.people_folder import plain
from lineament.datasets.text import reading
from lineament.errors import DataError
from lineament.images import describe_source
from lineament.train.data.folders import Photos

COLUMNS = ("path", "person")


def read_csv(file: str | os.PathLike[str]) -> Photos:
    """Read a list; opens no photo.

    People are sorted by name, photos stay in their order.

    Raises:
        DataError: no such file, other columns, a line without a path or person, a photo under
            two names, an empty list; the message has the line's number. Or the first photo is
            not there: then paths are likely relative to another folder.
    """
    source = Path(file)
    shown = describe_source(source)
    paths: list[Path] = []
    persons: list[str] = []
    first_line: dict[str, tuple[int, str]] = {}
    try:
        with reading(source), source.open(encoding="utf-8-sig", newline="") as text:
            rows = csv.reader(text, strict=True)
            header = [column.strip().casefold() for column in next(rows, [])]
            missing = [column for column in COLUMNS if header.count(column) != 1]
            if missing:
                raise DataError(
                    f"{shown}, line 1: expected the columns {' and '.join(COLUMNS)}, each once, "
                    f"separated by commas, got {', '.join(header)[:200] or 'nothing'}; write them "
                    "into the first line"
                )
            at = [header.index(column) for column in COLUMNS]
            for row in rows:
                if not row:
                    continue
                line = rows.line_num
                path, person = (row[i].strip() if i < len(row) else "" for i in at)
                if not path or not person:
                    raise DataError(
                        f"{shown}, line {line}: expected a path and a person, got "
                        f"{','.join(row)[:200]!r}"
                    )
                person = plain(person)
                before = first_line.setdefault(path, (line, person))
                if before[1] != person:
                    raise DataError(
                        f"{shown}, line {line}: expected one person for {path}, got {person}, and "
                        f"{before[1]} in line {before[0]}; remove one of the lines"
                    )
                paths.append(source.parent / path)
                persons.append(person)
    except csv.Error as error:
        raise DataError(f"{shown}, line {rows.line_num}: expected CSV, got: {error}") from error
    if not paths:
        raise DataError(f"{shown}: expected photos, found a list without lines; fill it")
    try:
        there = paths[0].is_file()
    except (OSError, ValueError):
        there = False
    if not there:
        raise DataError(
            f"{shown}, line 2: expected a photo at {describe_source(paths[0])}, found none; "
            "paths are relative to the folder of the list"
        )
    names, labels = np.unique(np.array(persons, dtype=object), return_inverse=True)
    return Photos(tuple(str(name) for name in names), labels.astype(np.int64), tuple(paths))
