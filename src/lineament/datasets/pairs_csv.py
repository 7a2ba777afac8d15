"""Any pairs of photos, listed in a CSV: "file_a,file_b,same".

The columns may stand in any order, with others beside them. Two columns ``person_a`` and
``person_b`` say who is shown; without them the names of the folders are taken for the people's,
when every pair agrees with that.
"""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lineament.datasets.pair_lists import PairList, pair_list
from lineament.datasets.text import existing, opened_text
from lineament.errors import DataError
from lineament.types import IntArray

COLUMNS: Final = ("file_a", "file_b", "same")
PEOPLE: Final = ("person_a", "person_b")
ANSWERS: Final = {
    "1": True,
    "true": True,
    "same": True,
    "yes": True,
    "0": False,
    "false": False,
    "different": False,
    "no": False,
}


@dataclass(frozen=True, eq=False)
class PairsFile:
    """The pairs of a CSV.

    Attributes:
        file: where they were read from.
        pairs: in the order of the lines.
        people: (P, 2) int64: who is shown, by number; None when nothing says so.
    """

    file: Path
    pairs: PairList
    people: IntArray | None


def read_pairs(
    file: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None
) -> PairsFile:
    """Read the list; opens no photo.

    Args:
        file: the CSV, in UTF-8.
        root: the folder that the paths start from; None: the CSV's own.

    Raises:
        DataError: a column, an answer or a photo is missing or wrong; the message names the
            line.
    """
    path = Path(file)
    base = path.parent if root is None else Path(root)
    with opened_text(path) as stream:
        text = stream.read()
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    rows: list[tuple[Path, Path, bool]] = []
    named: list[tuple[str, str]] = []
    try:
        header = [name.strip().lower() for name in reader.fieldnames or ()]
        missing = [name for name in COLUMNS if name not in header]
        if missing:
            raise DataError(
                f"{path}, line 1: expected the columns {', '.join(COLUMNS)}, found no "
                f"{', '.join(missing)} in {', '.join(header)[:120]!r}"
            )
        reader.fieldnames = header
        people = all(name in header for name in PEOPLE)
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            values = {key: (value if isinstance(value, str) else "") for key, value in row.items()}
            rows.append(_row(values, base, where))
            if people:
                named.append(_named(values, rows[-1][2], where))
    except csv.Error as error:
        # The last line that was read well is counted.
        where = f"{path}, line {reader.line_num + 1}"
        raise DataError(f"{where}: expected a CSV, got: {error}") from error
    if not rows:
        raise DataError(f"{path}: expected pairs under the line of headings, found none")
    same = np.array([answer for _, _, answer in rows], bool)
    pairs = pair_list((a, b, answer, 0) for a, b, answer in rows)
    if not people:
        named = [(str(a.parent), str(b.parent)) for a, b, _ in rows]
        if not same.any() or any((a == b) != t for (a, b), t in zip(named, same, strict=True)):
            return PairsFile(path, pairs, None)
    numbers = np.unique(np.array(named), return_inverse=True)[1].reshape(-1, 2)
    return PairsFile(path, pairs, numbers.astype(np.int64))


def _row(values: dict[str, str], base: Path, where: str) -> tuple[Path, Path, bool]:
    answer = ANSWERS.get(values["same"].strip().lower())
    if answer is None:
        raise DataError(
            f"{where}: expected same to be 1 or 0, true or false, same or different, got "
            f"{values['same'][:40]!r}"
        )
    files = []
    for column in COLUMNS[:2]:
        name = values[column].strip()
        if not name:
            raise DataError(f"{where}: expected a path in {column}, got nothing")
        files.append(existing(base / name, where))
    if files[0] == files[1]:
        raise DataError(f"{where}: expected two photos, got {files[0]} twice")
    return files[0], files[1], answer


def _named(values: dict[str, str], same: bool, where: str) -> tuple[str, str]:
    a, b = (values[column].strip() for column in PEOPLE)
    if not a or not b:
        raise DataError(f"{where}: expected who is shown in {' and '.join(PEOPLE)}, got nothing")
    if (a == b) != same:
        raise DataError(
            f"{where}: expected same to agree with person_a and person_b, got {a[:40]!r}, "
            f"{b[:40]!r} and {'same' if same else 'different'}"
        )
    return a, b
