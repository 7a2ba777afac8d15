"""AgeDB-30: 6,000 pairs with 30 years between the photos of a pair.

Moschoglou, Papaioannou, Sagonas, Deng, Kotsia, Zafeiriou, "AgeDB: the first manually collected,
in-the-wild age database", CVPRW 2017. Read is, in this order:

- ``AgeDB_FINAL_protocol/04_FINAL_protocol_30_years.mat`` (or the same file beside the photos)
  as published: ``splits``, a cell for each of ten folds, which holds a struct of two fields: a 2 x
  600 cell of structs whose first field is a photo's name without ".jpg", and 600 answers, 1 or
  -1 (read so by InsightFace's ``agedb2pack.py`` and FaceX-Zoo's ``pairs_parser.py``);
- ``agedb_30_ann.txt`` beside ``agedb_30_112x112``, aligned: see ``pair_lists``;
- ``agedb_30_pairs.txt``: a line a pair, "FILE FILE 1" or "FILE FILE 0", and, if there is one, a
  fourth column with the fold.

Photos such as ``0_MariaCallas_35_f.jpg`` lie in ``03_Protocol_Images``, ``AgeDB`` or the
folder itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import numpy as np

from lineament.datasets.matlab import read_mat
from lineament.datasets.pair_lists import (
    PairList,
    Row,
    aligned_list,
    folds_by_kind,
    pair_list,
    read_aligned_pairs,
)
from lineament.datasets.text import existing, folder_of, is_file, read_bytes, read_lines
from lineament.errors import DataError

MATLAB: Final = "04_FINAL_protocol_30_years.mat"
TEXT: Final = "agedb_30_pairs.txt"
IMAGE_FOLDERS: Final = ("03_Protocol_Images", "AgeDB", "images", ".")


def read_agedb(folder: str | os.PathLike[str]) -> PairList:
    """Read the pairs; opens no photo.

    Raises:
        DataError: no list or photo, or a list that is not laid out as it should be; the
            message names the file and the line, or the fold and the pair.
    """
    root = folder_of(folder, "AgeDB-30")
    for file in (root / "AgeDB_FINAL_protocol" / MATLAB, root / MATLAB):
        if file.is_file():
            return pair_list(_matlab_rows(root, file))
    aligned = aligned_list(root, "agedb_30")
    if aligned is not None:
        return read_aligned_pairs(root, aligned)
    if (root / TEXT).is_file():
        return pair_list(_text_rows(root, root / TEXT))
    raise DataError(
        f"{root}: expected AgeDB-30's pairs, {MATLAB}, {TEXT} or agedb_30_ann.txt, found none of "
        "them; InsightFace's agedb_30.bin is read by `lineament eval bin`"
    )


def _matlab_rows(root: Path, file: Path) -> list[Row]:
    splits = read_mat(read_bytes(file), str(file)).get("splits")
    if not isinstance(splits, np.ndarray) or splits.dtype != object or splits.size < 2:
        raise DataError(f"{file}: expected the variable splits, a cell for each fold, found none")
    rows: list[Row] = []
    for fold, content in enumerate(splits.ravel(order="F")):
        where = f"{file}, fold {fold + 1}"
        cells, answers = _fold(content, where)
        for place, answer in enumerate(answers):
            at = f"{where}, pair {place + 1}"
            if answer not in (1, 0, -1):
                raise DataError(f"{at}: expected 1 or -1, got {answer}")
            a, b = (_photo(root, _name(cell, at), at) for cell in cells[:, place])
            rows.append((a, b, bool(answer == 1), fold))
    return rows


def _fold(content: Any, where: str) -> tuple[Any, list[float]]:
    """The 2 x P cell of photos and the P answers of a fold."""
    if isinstance(content, np.ndarray) and content.dtype == object and content.size == 1:
        content = content.ravel()[0]
    values = list(content.values()) if isinstance(content, dict) else []
    if len(values) >= 2:
        cells, answers = values[:2]
        if (
            isinstance(cells, np.ndarray)
            and isinstance(answers, np.ndarray)
            and cells.dtype == object
            and answers.dtype != object
            and cells.ndim == 2
            and len(cells) == 2
            and cells.shape[1] == answers.size
        ):
            return cells, [float(value) for value in answers.ravel(order="F")]
    raise DataError(f"{where}: expected a struct of a 2 x P cell of photos and P answers")


def _name(cell: Any, where: str) -> str:
    if isinstance(cell, np.ndarray) and cell.dtype == object and cell.size == 1:
        cell = cell.ravel()[0]
    name = next(iter(cell.values()), None) if isinstance(cell, dict) else cell
    if isinstance(name, np.ndarray) and name.dtype == object and name.size == 1:
        name = name.ravel()[0]
    if not isinstance(name, str) or not name:
        raise DataError(f"{where}: expected the name of a photo, got {type(name).__name__}")
    return name if name.lower().endswith(".jpg") else f"{name}.jpg"


def _text_rows(root: Path, file: Path) -> list[Row]:
    read: list[tuple[Path, Path, bool]] = []
    folds: list[int] = []
    for number, line in read_lines(file):
        where = f"{file}, line {number}"
        columns = line.replace(",", " ").split()
        if len(columns) not in (3, 4) or columns[2] not in ("0", "1", "-1"):
            raise DataError(
                f'{where}: expected "FILE FILE 1" or "FILE FILE 0", and perhaps the fold, got '
                f"{line[:80]!r}"
            )
        if len(columns) == 4:
            if not (columns[3].isascii() and columns[3].isdigit() and len(columns[3]) < 5):
                raise DataError(f"{where}: expected the number of a fold, got {columns[3]!r}")
            folds.append(int(columns[3]))
        a, b = (_photo(root, column, where) for column in columns[:2])
        if a == b:
            raise DataError(f"{where}: expected two photos, got {a} twice")
        read.append((a, b, columns[2] == "1"))
    if folds and len(folds) != len(read):
        raise DataError(f"{file}: expected the fold in all lines or in none")
    numbers = folds if folds else folds_by_kind([same for _, _, same in read]).tolist()
    return [(a, b, same, fold) for (a, b, same), fold in zip(read, numbers, strict=True)]


def _photo(root: Path, name: str, where: str) -> Path:
    for folder in IMAGE_FOLDERS:
        path = root / folder / name
        if is_file(path):
            return path
    return existing(root / IMAGE_FOLDERS[0] / name, where)
