"""LFW as it lies on the disk: its photos and lists of pairs, read without opening any."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lineament.datasets.text import read_text
from lineament.errors import DataError
from lineament.suggest import did_you_mean, similar_path
from lineament.types import BoolArray, IntArray

VIEW_1_FILES = ("pairsDevTrain.txt", "pairsDevTest.txt")
VIEW_2_FILE = "pairs.txt"

IMAGE_FOLDERS = (
    "images",
    "lfw",
    "lfw-deepfunneled",
    "lfw_funneled",
    "lfw-funneled",
    "lfw-deepfunneled/lfw-deepfunneled",
    "lfw-a",
    ".",
)
"""Where the people's folders may lie: as the archives are called, and as mirrors nest them."""

_SUFFIXES = (".jpg", ".jpeg", ".png")
_GET_IT = "LFW is described at vis-www.cs.umass.edu/lfw"


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of photos.

    Attributes:
        indices: (..., 2) int64: places in ``LFW.images``.
        same: (...) bool: whether both show one person.
    """

    indices: IntArray
    same: BoolArray

    def __len__(self) -> int:
        """The number of pairs, over all folds."""
        return int(self.same.size)


@dataclass(frozen=True, eq=False)
class LFW:
    """The data set as it lies on the disk.

    Attributes:
        folder: the folder that was read.
        images: N paths relative to ``folder``, with slashes, sorted by person and number.
        people: P names, sorted.
        person: (N,) int64: for each photo the place of its person in ``people``.
        view1_train: (1100 + 1100,) pairs in the order of ``pairsDevTrain.txt``.
        view1_test: (500 + 500,) pairs in the order of ``pairsDevTest.txt``.
        view2_folds: (10, 600) pairs in the order of ``pairs.txt``.
    """

    folder: Path
    images: tuple[str, ...]
    people: tuple[str, ...]
    person: IntArray
    view1_train: Pairs
    view1_test: Pairs
    view2_folds: Pairs

    @property
    def view1_pairs(self) -> Pairs:
        """Both files of View 1 together: (3200,) pairs."""
        return Pairs(
            np.concatenate([self.view1_train.indices, self.view1_test.indices]),
            np.concatenate([self.view1_train.same, self.view1_test.same]),
        )

    def path(self, index: int) -> Path:
        """Where photo ``index`` lies."""
        return self.folder / self.images[index]


def read_lfw(folder: str | os.PathLike[str]) -> LFW:
    """Read the lists of photos and pairs; opens no photo.

    Args:
        folder: holds ``pairs.txt``, ``pairsDevTrain.txt``, ``pairsDevTest.txt`` and the
            photos as ``NAME/NAME_0001.jpg`` in it or in one of ``IMAGE_FOLDERS``.

    Raises:
        DataError: when anything is missing, or a file is not laid out as its protocol says; the
            message names the file and the line.
    """
    root = Path(folder)
    if not root.is_dir():
        what = "a file" if root.exists() else "nothing"
        raise DataError(f"{root}: expected the folder of LFW, found {what}; {_GET_IT}")
    for name in (VIEW_2_FILE, *VIEW_1_FILES):
        if not (root / name).is_file():
            raise DataError(
                f"{root}: expected LFW's {name} in this folder, found none; "
                f"put {VIEW_2_FILE}, {VIEW_1_FILES[0]} and {VIEW_1_FILES[1]} beside the folder "
                f"of photos ({_GET_IT})"
            )
    photos = _photos(root)
    keys = sorted(photos)
    people = tuple(sorted({name for name, _ in keys}))
    place = {name: i for i, name in enumerate(people)}
    index = {(_plain(name), number): i for i, (name, number) in enumerate(keys)}
    train, test = (_view1(root / name, index) for name in VIEW_1_FILES)
    return LFW(
        folder=root,
        images=tuple(photos[key] for key in keys),
        people=people,
        person=np.array([place[name] for name, _ in keys], np.int64),
        view1_train=train,
        view1_test=test,
        view2_folds=_view2(root / VIEW_2_FILE, index),
    )


Key = tuple[str, int]


def _plain(name: str) -> str:
    # Some file systems take names apart into letters and accents: "é" as "e" and an accent.
    return unicodedata.normalize("NFC", name)


def _photos(root: Path) -> dict[Key, str]:
    for name in IMAGE_FOLDERS:
        if (root / name).is_dir():
            found = _scan(root, root / name)
            if found:
                return found
    raise DataError(
        f"{root}: expected photos as images/NAME/NAME_0001.jpg (or in one of "
        f"{', '.join(IMAGE_FOLDERS[1:-1])}, or NAME/NAME_0001.jpg right here), found none; "
        f"unpack the archive of photos there ({_GET_IT})"
    )


def _scan(root: Path, folder: Path) -> dict[Key, str]:
    prefix = "" if folder == root else folder.relative_to(root).as_posix() + "/"
    found: dict[Key, str] = {}
    stray: str | None = None
    for person in _entries(folder):
        if not person.is_dir():
            continue
        form = re.compile(re.escape(person.name) + r"_(\d{4,})\.(?:jpg|jpeg|png)", re.IGNORECASE)
        for file in _entries(person.path):
            if not file.name.lower().endswith(_SUFFIXES):
                continue
            relative = f"{prefix}{person.name}/{file.name}"
            match = form.fullmatch(file.name)
            if match is None:
                stray = relative if stray is None else stray
                continue
            key = (person.name, int(match[1]))
            if key in found:
                raise DataError(
                    f"{root}: expected one photo of {key[0]} with number {key[1]}, found "
                    f"{found[key]} and {relative}; remove one of them"
                )
            found[key] = relative
    if found and stray is not None:
        raise DataError(
            f"{root}: expected photos named NAME/NAME_0001.jpg, found {stray}; remove or "
            "rename it: LFW's protocols know no other names"
        )
    return found


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            # Hidden files are left by other systems: ".DS_Store", "._Name_0001.jpg".
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(
            f"{folder}: expected a folder that can be read, got: {error.strerror}"
            f"{did_you_mean(similar_path(folder, folders=True))}"
        ) from error


def _lines(file: Path) -> list[tuple[int, list[str]]]:
    """The file's lines that are not blank, split into columns, each with its number from 1."""
    lines = []
    for number, line in enumerate(read_text(file).split("\n"), 1):
        # Names may hold spaces where tabs separate the columns, as in the published files.
        columns = line.strip().split("\t") if "\t" in line else line.split()
        if line.strip():
            lines.append((number, [column.strip() for column in columns]))
    if not lines:
        raise DataError(f"{file}: expected lines of pairs, found an empty file; download it again")
    return lines


def _view1(file: Path, index: Mapping[Key, int]) -> Pairs:
    lines = _lines(file)
    number, first = lines[0]
    wanted: int | None = None
    if len(first) == 1:
        wanted = _number(file, number, first[0], "the count of pairs of each kind")
        lines = lines[1:]
    pairs = [_pair(file, n, columns, index) for n, columns in lines]
    same = np.array([kind for _, _, kind in pairs], bool)
    n_same, n_different = int(same.sum()), int((~same).sum())
    if wanted is None:
        wanted = max(n_same, n_different)
    if wanted == 0 or (n_same, n_different) != (wanted, wanted):
        raise DataError(
            f"{file}: expected {wanted} pairs of one person and {wanted} of two, found {n_same} "
            f"and {n_different}; the file is cut short or changed, download it again"
        )
    return Pairs(np.array([(a, b) for a, b, _ in pairs], np.int64), same)


def _view2(file: Path, index: Mapping[Key, int]) -> Pairs:
    lines = _lines(file)
    number, first = lines[0]
    if len(first) != 2:
        raise DataError(
            f"{file}, line {number}: expected the number of folds and of pairs of each kind, like "
            f'"10<tab>300", got {" ".join(first)!r}; use the pairs.txt that LFW publishes'
        )
    folds = _number(file, number, first[0], "the number of folds")
    size = _number(file, number, first[1], "the count of pairs of each kind in a fold")
    if folds < 2 or size < 1:
        raise DataError(
            f"{file}, line {number}: expected at least 2 folds and 1 pair of each kind, got "
            f"{folds} and {size}; use the pairs.txt that LFW publishes"
        )
    expected = folds * 2 * size
    if len(lines) - 1 != expected:
        raise DataError(
            f"{file}: expected {expected} pairs ({folds} folds of {size} pairs of one person and "
            f"{size} of two), found {len(lines) - 1}; the file is cut short or changed, "
            "download it again"
        )
    pairs = []
    for place, (n, columns) in enumerate(lines[1:]):
        a, b, same = _pair(file, n, columns, index)
        wanted = place % (2 * size) < size
        if same != wanted:
            kinds = ("two people", "one person")
            raise DataError(
                f"{file}, line {n}: expected a pair of {kinds[wanted]} (each fold lists {size} of "
                f"one person, then {size} of two), got one of {kinds[same]}; "
                "use the pairs.txt that LFW publishes"
            )
        pairs.append((a, b, same))
    return Pairs(
        np.array([(a, b) for a, b, _ in pairs], np.int64).reshape(folds, 2 * size, 2),
        np.array([same for _, _, same in pairs], bool).reshape(folds, 2 * size),
    )


def _pair(
    file: Path, line: int, columns: list[str], index: Mapping[Key, int]
) -> tuple[int, int, bool]:
    if len(columns) == 3:
        sides = ((columns[0], columns[1]), (columns[0], columns[2]))
    elif len(columns) == 4:
        sides = ((columns[0], columns[1]), (columns[2], columns[3]))
    else:
        raise DataError(
            f"{file}, line {line}: expected NAME, number, number (one person) or NAME, number, "
            f"NAME, number (two), separated by tabs, got {len(columns)} columns: "
            f"{' '.join(columns)!r}"
        )
    a, b = (_find(file, line, name, number, index) for name, number in sides)
    same = len(columns) == 3
    if a == b:
        raise DataError(f"{file}, line {line}: expected two photos, got the same one twice")
    if not same and _plain(columns[0]) == _plain(columns[2]):
        raise DataError(
            f"{file}, line {line}: expected two people, got {columns[0]} twice; "
            "a pair of one person has three columns"
        )
    return a, b, same


def _find(file: Path, line: int, name: str, text: str, index: Mapping[Key, int]) -> int:
    number = _number(file, line, text, f"the number of a photo of {name}")
    place = index.get((_plain(name), number))
    if place is None:
        raise DataError(
            f"{file}, line {line}: expected the photo {name}/{name}_{number:04d}.jpg, found "
            "none; unpack all of LFW's photos, or use the pair files that belong to them"
        )
    return place


def _number(file: Path, line: int, text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise DataError(f"{file}, line {line}: expected {what}, got {text!r}")
    return int(text)
