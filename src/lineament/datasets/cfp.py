"""CFP, Celebrities in Frontal-Profile: 500 people, ten frontal photos and four profiles each.

Sengupta, Chen, Castillo, Patel, Chellappa, Jacobs, "Frontal to Profile Face Verification in the
Wild", WACV 2016 (cfpw.io). The folder as published:

- ``Data/Images/001/frontal/01.jpg`` ... ``10.jpg`` and ``Data/Images/001/profile/01.jpg`` ...
  ``04.jpg``;
- ``Protocol/Pair_list_F.txt`` and ``Pair_list_P.txt``: "1 ../Data/Images/001/frontal/01.jpg", a
  number and a path from ``Protocol``;
- ``Protocol/Split/FF/01`` ... ``10`` and ``Protocol/Split/FP/01`` ... ``10``, each with
  ``same.txt`` and ``diff.txt``: "1,2", two numbers of Pair_list_F (FF), or one of Pair_list_F and
  one of Pair_list_P (FP); 350 lines each.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal

from lineament.datasets.pair_lists import PairList, Row, pair_list
from lineament.datasets.text import existing, folder_of, read_lines
from lineament.errors import DataError

Protocol = Literal["ff", "fp"]
PROTOCOLS: Final[tuple[Protocol, ...]] = ("ff", "fp")
TITLES: Final = {"ff": "frontal-frontal", "fp": "frontal-profile"}
PAIRS: Final = 7000


def read_cfp(folder: str | os.PathLike[str], protocol: Protocol) -> PairList:
    """Read the pairs of one protocol; opens no photo.

    Raises:
        DataError: a file is missing or not laid out as published; the message names file and line.
    """
    root = folder_of(folder, "CFP")
    lists = root / "Protocol"
    for name in ("Pair_list_F.txt", "Pair_list_P.txt"):
        if not (lists / name).is_file():
            raise DataError(
                f"{root}: expected CFP's Protocol/{name}, found none; unpack cfp-dataset.zip and "
                "name the folder that holds Data and Protocol"
            )
    frontal = _photos(lists / "Pair_list_F.txt")
    other = frontal if protocol == "ff" else _photos(lists / "Pair_list_P.txt")
    splits = lists / "Split" / protocol.upper()
    folds = sorted(path for path in splits.glob("*") if path.is_dir()) if splits.is_dir() else []
    if len(folds) < 2:
        raise DataError(
            f"{splits}: expected the folders 01 to 10 of the ten folds, found {len(folds)}"
        )
    rows: list[Row] = []
    for number, fold in enumerate(folds):
        for name, same in (("same.txt", True), ("diff.txt", False)):
            rows += _pairs(fold / name, frontal, other, same, number)
    return pair_list(rows)


def _photos(file: Path) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for line_number, line in read_lines(file):
        where = f"{file}, line {line_number}"
        number, _, path = line.partition(" ")
        if not (number.isascii() and number.isdigit() and len(number) < 7 and path.strip()):
            raise DataError(
                f'{where}: expected a number and a path such as "1 ../Data/Images/001/frontal/'
                f'01.jpg", got {line[:80]!r}'
            )
        if int(number) in found:
            raise DataError(f"{where}: expected each number once, got {number} again")
        relative = path.strip().replace("\\", "/")
        found[int(number)] = Path(os.path.normpath(file.parent / relative))
    return found


def _pairs(
    file: Path, first: dict[int, Path], second: dict[int, Path], same: bool, fold: int
) -> list[Row]:
    if not file.is_file():
        raise DataError(f"{file}: expected the pairs of a fold, found no such file")
    rows: list[Row] = []
    for line_number, line in read_lines(file):
        where = f"{file}, line {line_number}"
        numbers = [column.strip() for column in line.split(",")]
        if len(numbers) != 2 or not all(
            n.isascii() and n.isdigit() and len(n) < 7 for n in numbers
        ):
            raise DataError(f'{where}: expected two numbers such as "1,2", got {line[:80]!r}')
        paths = []
        for number, photos in zip(numbers, (first, second), strict=True):
            path = photos.get(int(number))
            if path is None:
                raise DataError(
                    f"{where}: expected the number of a photo, 1 to {max(photos)}, got {number}"
                )
            paths.append(existing(path, where))
        if paths[0] == paths[1]:
            raise DataError(f"{where}: expected two photos, got {paths[0]} twice")
        rows.append((paths[0], paths[1], same, fold))
    return rows
