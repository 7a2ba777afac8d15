"""Photos in the file system: one folder per person, or a list.

A list is a CSV file in UTF-8 with the columns ``path`` and ``person``, in any order; others are
ignored. Paths are relative to its folder::

    path,person
    ada/1.jpg,Ada Lovelace
    /photos/2.png,김구
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lineament.datasets.people_folder import plain, read_people
from lineament.datasets.text import opened_text
from lineament.errors import DataError
from lineament.images import describe_source
from lineament.train.data.face_set import read_photo
from lineament.types import Image, IntArray

COLUMNS = ("path", "person")


@dataclass(frozen=True, eq=False)
class Photos:
    """A ``FaceSet`` of files.

    Attributes:
        people: P names.
        labels: (N,) int64, 0 to P - 1.
        paths: N photos.
        notes: sentences on what was left out.
    """

    people: tuple[str, ...]
    labels: IntArray
    paths: tuple[Path, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of photos."""
        return len(self.paths)

    def name(self, index: int) -> str:
        """The path."""
        return describe_source(self.paths[index])

    def read(self, index: int) -> Image:
        """The pixels, upright."""
        return read_photo(self.paths[index], self.name(index))


def read_people_folder(folder: str | os.PathLike[str]) -> Photos:
    """List a folder with one folder per person; opens no photo.

    People are sorted by name, photos by path. Hidden files, and files that are no photos
    by their suffix, are passed over.

    Raises:
        DataError: no such folder, nobody in it, an empty person's folder, photos outside.
    """
    people = read_people(folder, min_people=1)
    return Photos(people.names, people.person, people.paths)


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
        with opened_text(source) as text:
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
