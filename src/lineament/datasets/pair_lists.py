"""Pairs of photos in folds, and the lists of CALFW, CPLFW and of mirrors' aligned photos.

- Zheng, Deng, Hu, "Cross-Age LFW", arXiv 1708.08197, 2017; Zheng, Deng, "Cross-Pose LFW", Beijing
  University of Posts and Telecommunications, technical report 18-01, 2018.
- ``pairs_CALFW.txt``, ``pairs_CPLFW.txt``: two lines a pair, each "NAME_0001.jpg FOLD", where FOLD
  is 0 for two people, and the number of the fold (or 1) for one; 3,000 pairs of one person come
  first, then 3,000 of two. The pairs of two people have no fold there: as others do (FaceX-Zoo's
  ``pairs_parser.py``), 300 at a time go to the ten folds in order.
- ``calfw_ann.txt``, ``cplfw_ann.txt``, ``agedb_30_ann.txt``: one line a pair, "1 FILE FILE" for one
  person and "0 FILE FILE" for two, beside a folder ``calfw_112x112`` of photos aligned to
  112x112 pixels, as mirrors of the ``.bin`` files have them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from lineament.datasets.text import existing, folder_of, is_file, read_lines
from lineament.errors import DataError
from lineament.types import BoolArray, IntArray

FOLDS: Final = 10
Row = tuple[Path, Path, bool, int]
"""Two photos, whether they show one person, and the fold."""


@dataclass(frozen=True, eq=False)
class PairList:
    """Pairs of photos in folds.

    Attributes:
        photos: N paths, each once.
        pairs: (P, 2) int64: places in ``photos``.
        same: (P,) bool: both show one person.
        folds: (P,) int64: the fold of each pair.
        aligned: the photos are faces aligned to 112x112 pixels already.
    """

    photos: tuple[Path, ...]
    pairs: IntArray
    same: BoolArray
    folds: IntArray
    aligned: bool = False

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self.same)


def pair_list(rows: Iterable[Row], *, aligned: bool = False) -> PairList:
    """Put rows together; photos are numbered as they come."""
    places: dict[Path, int] = {}
    known = list(rows)
    pairs = [
        (places.setdefault(a, len(places)), places.setdefault(b, len(places)))
        for a, b, _, _ in known
    ]
    return PairList(
        photos=tuple(places),
        pairs=np.array(pairs, np.int64).reshape(-1, 2),
        same=np.array([same for _, _, same, _ in known], bool),
        folds=np.array([fold for _, _, _, fold in known], np.int64),
        aligned=aligned,
    )


def folds_in_order(count: int, folds: int = FOLDS) -> IntArray:
    """(count,) int64: as many runs of neighbors, whose lengths differ by one at the most.

    The first ones are longer, as ``sklearn.model_selection.KFold`` has it, which InsightFace uses.
    """
    sizes = np.full(folds, count // folds)
    sizes[: count % folds] += 1
    return np.repeat(np.arange(folds), sizes)


def folds_by_kind(same: npt.ArrayLike, folds: int = FOLDS) -> IntArray:
    """(P,) int64: pairs of each kind on their own, in order, so that every fold has both kinds."""
    truth = np.asarray(same, bool)
    numbers = np.zeros(len(truth), np.int64)
    for kind in (True, False):
        numbers[truth == kind] = folds_in_order(int((truth == kind).sum()), folds)
    return numbers


PAIRS: Final = 6000
"""So many pairs CALFW, CPLFW and AgeDB-30 have."""
TITLES: Final = {"calfw": "Cross-Age LFW", "cplfw": "Cross-Pose LFW"}
IMAGE_FOLDERS: Final = ("images", "aligned images", "images&landmarks/images", ".")
"""Where the photos may lie, as the archives are laid out. The photos as they were come
first: what "aligned images" holds was aligned by another method than the recognizer's."""


def read_two_line_pairs(folder: str | os.PathLike[str], name: str) -> PairList:
    """Read CALFW ("calfw") or CPLFW ("cplfw") from its folder; opens no photo.

    Raises:
        DataError: the list or a photo is missing, or the list is not laid out as published;
            the message names the file and the line.
    """
    root = folder_of(folder, name.upper())
    aligned = aligned_list(root, name)
    file = root / f"pairs_{name.upper()}.txt"
    if not file.is_file() and aligned is not None:
        return read_aligned_pairs(root, aligned)
    if not file.is_file():
        raise DataError(
            f"{root}: expected {file.name} beside the folder of photos, or {name}_ann.txt "
            f"beside {name}_112x112, found neither"
        )
    images = _image_folder(root, file)
    lines = read_lines(file)
    if len(lines) % 2:
        raise DataError(
            f"{file}, line {lines[-1][0]}: expected two lines for each pair, found {len(lines)} "
            "lines; the file is cut short, download it again"
        )
    sides = [_side(file, number, line) for number, line in lines]
    places: list[tuple[Path, Path]] = []
    tokens: list[int] = []
    for (number, _), (a, first), (b, second) in zip(lines[1::2], sides[::2], sides[1::2]):  # noqa: B905
        where = f"{file}, line {number}"
        if first != second:
            raise DataError(
                f"{where}: expected the same fold as in the line above, {first}, got {second}: a "
                "line is missing"
            )
        if a == b:
            raise DataError(f"{where}: expected two photos, got {a} twice")
        places.append((existing(images / a, where), existing(images / b, where)))
        tokens.append(first)
    folds = _folds(np.array(tokens, np.int64), file)
    rows = zip(places, tokens, folds.tolist(), strict=True)
    return pair_list((a, b, token != 0, fold) for (a, b), token, fold in rows)


def aligned_list(root: Path, name: str) -> Path | None:
    """The list of aligned photos, NAME_ann.txt, when there is one."""
    file = root / f"{name}_ann.txt"
    return file if file.is_file() else None


def read_aligned_pairs(root: Path, file: Path) -> PairList:
    """Read a list whose lines are "1 FILE FILE" or "0 FILE FILE".

    Raises:
        DataError: as ``read_two_line_pairs``.
    """
    name = file.stem.removesuffix("_ann")
    parts: list[tuple[Path, Path, bool]] = []
    for number, line in read_lines(file):
        where = f"{file}, line {number}"
        columns = line.split()
        if len(columns) != 3 or columns[0] not in ("0", "1"):
            raise DataError(
                f'{where}: expected "1 FILE FILE" for one person or "0 FILE FILE" for two, got '
                f"{line[:80]!r}"
            )
        a, b = (_aligned(root, name, column, where) for column in columns[1:])
        parts.append((a, b, columns[0] == "1"))
    folds = folds_by_kind([same for _, _, same in parts], FOLDS)
    rows = zip(parts, folds.tolist(), strict=True)
    return pair_list(((a, b, same, fold) for (a, b, same), fold in rows), aligned=True)


def _image_folder(root: Path, file: Path) -> Path:
    """The folder that has the list's first photo."""
    number, line = read_lines(file)[0]
    name, _ = _side(file, number, line)
    for folder in IMAGE_FOLDERS:
        if is_file(root / folder / name):
            return root / folder
    raise DataError(
        f"{file}, line {number}: expected the photo {name} in one of "
        f"{', '.join(IMAGE_FOLDERS[:-1])}, or beside the list, found it in none; unpack the "
        "photos there"
    )


def _side(file: Path, number: int, line: str) -> tuple[str, int]:
    name, token = (["", *line.rsplit(None, 1)])[-2:]
    if not (name and token.isascii() and token.isdigit() and len(token) <= 4):
        raise DataError(
            f'{file}, line {number}: expected "NAME_0001.jpg FOLD" with FOLD 0 for two people, got '
            f"{line[:80]!r}"
        )
    return name, int(token)


def _folds(tokens: IntArray, file: Path) -> IntArray:
    same = tokens > 0
    named = np.unique(tokens[same])
    if not same.any() or same.all():
        kind = "one person" if same.any() else "two people"
        raise DataError(f"{file}: expected pairs of one person and of two, got only {kind}")
    if len(named) == 1:  # CPLFW's list only tells the kinds apart
        return folds_by_kind(same, FOLDS)
    folds = np.zeros(len(tokens), np.int64)
    folds[same] = np.searchsorted(named, tokens[same])
    folds[~same] = folds_in_order(int((~same).sum()), len(named))
    return folds


def _aligned(root: Path, name: str, reference: str, where: str) -> Path:
    # Some lists name the folder as well, others the file alone.
    inside = root / f"{name}_112x112" / reference
    return inside if is_file(inside) else existing(root / reference, where)
