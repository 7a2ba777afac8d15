"""Labeled Faces in the Wild: 13,233 photographs of 5,749 people, and its protocols.

Huang, Ramesh, Berg, Learned-Miller, "Labeled Faces in the Wild: A Database for Studying Face
Recognition in Unconstrained Environments", University of Massachusetts, technical report 07-49,
2007.

- View 1 (``pairsDevTrain.txt``, ``pairsDevTest.txt``) is for choosing models, options, thresholds.
- View 2 (``pairs.txt``) is for reporting: ten folds, the threshold of each from the other nine.
- All pairs compares every photograph with every other one: 87.5 million pairs, enough to measure
  false match rates of one in a million, which View 2's 3,000 impostor pairs cannot.

A photograph in which no face was found stays in: its pairs score -1, the least similarity there
is, so they are called different. Dropping them would reward a detector that gives up.

All rates and accuracies here are shares from 0 to 1 (99.45 % is 0.9945).
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from lineament.errors import DataError, OptionError
from lineament.evaluate.metrics import (
    NO_FACE_SCORE,
    BoolArray,
    Float64Array,
    IntArray,
    PairCounts,
    Progress,
    accuracy,
    all_pairs,
    auc,
    best_threshold,
    check_unit_rows,
    eer,
    kfold_accuracy,
    tar_at_fmr,
)
from lineament.evaluate.result import by_text

View = Literal["1", "2", "all-pairs"]

VIEW_2_FMRS = (1e-1, 1e-2, 1e-3, 1e-4)
"""View 2 has 3,000 impostor pairs: at 1e-4 none of them may match, so that TAR is a lower bound."""

ALL_PAIRS_FMRS = (1e-3, 1e-4, 1e-5, 1e-6)

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
    """Pairs of photographs.

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
        person: (N,) int64: for each photograph the place of its person in ``people``.
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
        """Where photograph ``index`` lies."""
        return self.folder / self.images[index]


def read_lfw(folder: str | os.PathLike[str]) -> LFW:
    """Read the lists of photographs and pairs; opens no photograph.

    Args:
        folder: holds ``pairs.txt``, ``pairsDevTrain.txt``, ``pairsDevTest.txt`` and the
            photographs as ``NAME/NAME_0001.jpg`` in it or in one of ``IMAGE_FOLDERS``.

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
                f"of photographs ({_GET_IT})"
            )
    photographs = _photographs(root)
    keys = sorted(photographs)
    people = tuple(sorted({name for name, _ in keys}))
    place = {name: i for i, name in enumerate(people)}
    index = {(_plain(name), number): i for i, (name, number) in enumerate(keys)}
    train, test = (_view1(root / name, index) for name in VIEW_1_FILES)
    return LFW(
        folder=root,
        images=tuple(photographs[key] for key in keys),
        people=people,
        person=np.array([place[name] for name, _ in keys], np.int64),
        view1_train=train,
        view1_test=test,
        view2_folds=_view2(root / VIEW_2_FILE, index),
    )


@dataclass(frozen=True)
class View1Report:
    """View 1: the threshold from its training pairs, judged on its test pairs; shares 0 to 1."""

    threshold: float
    accuracy_train: float
    accuracy_test: float
    auc_test: float
    pairs: int
    pairs_without_face: int

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        return dict(vars(self))


@dataclass(frozen=True, eq=False)
class View2Report:
    """View 2, shares 0 to 1; AUC, EER and TAR are those of the ten folds' pairs together.

    Attributes:
        accuracy_mean: the mean of ten folds.
        accuracy_se: the standard error of that mean.
        accuracies: (10,) float64, one a fold.
        thresholds: (10,) float64: what each fold was judged with.
        auc: area under the ROC curve.
        eer: equal error rate.
        tar_at_fmr: TAR for each false match rate.
        pairs: how many were compared.
        pairs_without_face: how many of them scored -1 because a face is missing.
    """

    accuracy_mean: float
    accuracy_se: float
    accuracies: Float64Array
    thresholds: Float64Array
    auc: float
    eer: float
    tar_at_fmr: Mapping[float, float]
    pairs: int
    pairs_without_face: int

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON; the keys of ``tar_at_fmr`` are like "1e-3"."""
        return vars(self) | {
            "accuracies": self.accuracies.tolist(),
            "thresholds": self.thresholds.tolist(),
            "tar_at_fmr": by_text(self.tar_at_fmr),
        }


@dataclass(frozen=True, eq=False)
class AllPairsReport:
    """All pairs, shares 0 to 1.

    Attributes:
        tar_at_fmr: TAR for each false match rate.
        threshold_at_fmr: the similarity needed for each false match rate.
        genuine_pairs: how many show one person.
        impostor_pairs: how many show two.
        pairs_without_face: how many of both scored -1 because a face is missing.
    """

    tar_at_fmr: Mapping[float, float]
    threshold_at_fmr: Mapping[float, float]
    genuine_pairs: int
    impostor_pairs: int
    pairs_without_face: int

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON; the keys of the maps are like "1e-3"."""
        return vars(self) | {
            "tar_at_fmr": by_text(self.tar_at_fmr),
            "threshold_at_fmr": by_text(self.threshold_at_fmr),
        }


@dataclass(frozen=True, eq=False)
class LFWReport:
    """What LFW says of one set of embeddings.

    Attributes:
        images: how many photographs the views that were asked for compare.
        faces_found: in how many of those a face was found.
        view1: None unless asked for.
        view2: None unless asked for.
        all_pairs: None unless asked for.
        counts: what ``all_pairs`` was computed from; no part of ``to_dict``.
    """

    images: int
    faces_found: int
    view1: View1Report | None
    view2: View2Report | None
    all_pairs: AllPairsReport | None
    counts: PairCounts | None = None

    def to_dict(self) -> dict[str, Any]:
        """Nested plain numbers, ready for JSON, without the views that were not asked for."""
        views = {"view1": self.view1, "view2": self.view2, "all_pairs": self.all_pairs}
        return {"images": self.images, "faces_found": self.faces_found} | {
            name: view.to_dict() for name, view in views.items() if view is not None
        }


def lfw_report(
    lfw: LFW,
    embeddings: npt.ArrayLike,
    found: npt.ArrayLike | None = None,
    *,
    views: Collection[View] = ("1", "2", "all-pairs"),
    view2_fmrs: Iterable[float] = VIEW_2_FMRS,
    all_pairs_fmrs: Iterable[float] = ALL_PAIRS_FMRS,
    progress: Progress | None = None,
) -> LFWReport:
    """Measure embeddings by LFW's protocols.

    Args:
        lfw: from ``read_lfw``.
        embeddings: (N, D) float32 unit vectors in the order of ``lfw.images``. Only the rows of
            ``images_of(lfw, views)`` are looked at; the others, and those without a face, may hold
            anything.
        found: (N,) bool, False where no face was found; None: all were found.
        views: which protocols to follow.
        view2_fmrs: false match rates for View 2's TAR.
        all_pairs_fmrs: false match rates for the TAR of all pairs.
        progress: called with (pairs done, all pairs) while all pairs are compared.

    Raises:
        OptionError: for other shapes, vectors not of length 1, or an unknown view.
    """
    rows = images_of(lfw, views)
    vectors, seen = _checked(lfw, embeddings, found, rows)
    counts = (
        all_pairs(vectors, lfw.person, found=seen, progress=progress)
        if "all-pairs" in views
        else None
    )
    return LFWReport(
        images=len(rows),
        faces_found=int(seen[rows].sum()),
        view1=_report_view1(lfw, vectors, seen) if "1" in views else None,
        view2=_report_view2(lfw, vectors, seen, tuple(view2_fmrs)) if "2" in views else None,
        all_pairs=None if counts is None else _report_all_pairs(counts, tuple(all_pairs_fmrs)),
        counts=counts,
    )


@dataclass(frozen=True, eq=False)
class View1Fit:
    """Thresholds measured on View 1; rates are shares 0 to 1.

    Attributes:
        threshold_at_fmr: for each false match rate wanted, the lowest similarity that keeps it
            over all impostor pairs of View 1's photographs.
        tar_at_fmr: the TAR of the genuine pairs among them at that threshold.
        best_threshold: the threshold of the highest accuracy over the protocol's own pairs.
        best_accuracy: that accuracy; fitted on the same pairs, hence optimistic.
        images: how many photographs View 1's pairs name.
        pairs: how many pairs the protocol lists (train and test).
        genuine_pairs: pairs of one person among all pairs of those photographs.
        impostor_pairs: pairs of two people among them.
    """

    threshold_at_fmr: Mapping[float, float]
    tar_at_fmr: Mapping[float, float]
    best_threshold: float
    best_accuracy: float
    images: int
    pairs: int
    genuine_pairs: int
    impostor_pairs: int


def fit_threshold_view1(
    lfw: LFW,
    embeddings: npt.ArrayLike,
    found: npt.ArrayLike | None = None,
    *,
    fmrs: Iterable[float] = ALL_PAIRS_FMRS,
    progress: Progress | None = None,
) -> View1Fit:
    """Fit thresholds on View 1, which the protocol sets aside for that.

    The false match rates are measured over all impostor pairs of the photographs that View 1
    names, millions where its own lists have 1,600; the most accurate threshold over its own lists.

    Args:
        lfw: from ``read_lfw``.
        embeddings: (N, D) float32 unit vectors in the order of ``lfw.images``; only the rows of
            ``images_of(lfw, ["1"])`` are looked at, the others may hold anything.
        found: (N,) bool, False where no face was found (those pairs score -1); None: all were.
        fmrs: the false match rates wanted.
        progress: called with (pairs done, all pairs).

    Raises:
        OptionError: for other shapes, vectors not of length 1, or a rate outside [0, 1).
    """
    rows = images_of(lfw, ["1"])
    vectors, seen = _checked(lfw, embeddings, found, rows)
    counts = all_pairs(vectors[rows], lfw.person[rows], found=seen[rows], progress=progress)
    pairs = lfw.view1_pairs
    scores = pair_scores(pairs, vectors, seen)
    threshold = best_threshold(scores, pairs.same)
    wanted = tuple(fmrs)
    return View1Fit(
        threshold_at_fmr={fmr: counts.threshold_at_fmr(fmr) for fmr in wanted},
        tar_at_fmr={fmr: counts.tar_at_fmr(fmr) for fmr in wanted},
        best_threshold=threshold,
        best_accuracy=accuracy(scores, pairs.same, threshold),
        images=len(rows),
        pairs=len(pairs),
        genuine_pairs=counts.n_genuine,
        impostor_pairs=counts.n_impostor,
    )


def images_of(lfw: LFW, views: Collection[View]) -> IntArray:
    """Return (V,) int64, ascending: the photographs, by place, that these views compare.

    Raises:
        OptionError: for no view or an unknown one.
    """
    if isinstance(views, str) or not views or set(views) - set(get_args(View)):
        raise OptionError(f"views: expected some of {', '.join(get_args(View))}, got {views!r}")
    if "all-pairs" in views:
        return np.arange(len(lfw.images))
    pairs = {"1": lfw.view1_pairs, "2": lfw.view2_folds}
    return np.unique(np.concatenate([pairs[view].indices.ravel() for view in views]))


def _report_view1(lfw: LFW, vectors: npt.NDArray[np.float32], seen: BoolArray) -> View1Report:
    train, test = lfw.view1_train, lfw.view1_test
    train_scores, test_scores = (pair_scores(p, vectors, seen) for p in (train, test))
    threshold = best_threshold(train_scores, train.same)
    return View1Report(
        threshold=threshold,
        accuracy_train=accuracy(train_scores, train.same, threshold),
        accuracy_test=accuracy(test_scores, test.same, threshold),
        auc_test=auc(test_scores, test.same),
        pairs=len(train) + len(test),
        pairs_without_face=_without_face(train, seen) + _without_face(test, seen),
    )


def _report_view2(
    lfw: LFW, vectors: npt.NDArray[np.float32], seen: BoolArray, fmrs: tuple[float, ...]
) -> View2Report:
    folds = lfw.view2_folds
    scores = pair_scores(folds, vectors, seen)  # (K, M)
    result = kfold_accuracy(scores, folds.same)
    flat, same = scores.ravel(), folds.same.ravel()
    return View2Report(
        accuracy_mean=result.mean,
        accuracy_se=result.standard_error,
        accuracies=result.accuracies,
        thresholds=result.thresholds,
        auc=auc(flat, same),
        eer=eer(flat, same),
        tar_at_fmr=dict(zip(fmrs, tar_at_fmr(flat[same], flat[~same], fmrs).tolist(), strict=True)),
        pairs=len(folds),
        pairs_without_face=_without_face(folds, seen),
    )


def _report_all_pairs(counts: PairCounts, fmrs: tuple[float, ...]) -> AllPairsReport:
    return AllPairsReport(
        tar_at_fmr={fmr: counts.tar_at_fmr(fmr) for fmr in fmrs},
        threshold_at_fmr={fmr: counts.threshold_at_fmr(fmr) for fmr in fmrs},
        genuine_pairs=counts.n_genuine,
        impostor_pairs=counts.n_impostor,
        pairs_without_face=counts.n_without_face,
    )


def _checked(
    lfw: LFW, embeddings: npt.ArrayLike, found: npt.ArrayLike | None, rows: IntArray
) -> tuple[npt.NDArray[np.float32], BoolArray]:
    vectors = np.asarray(embeddings, dtype=np.float32)
    n = len(lfw.images)
    if vectors.ndim != 2 or len(vectors) != n:
        raise OptionError(
            f"embeddings: expected ({n}, D), one row for each of LFW's photographs in order, "
            f"got {vectors.shape}"
        )
    seen = np.ones(n, bool) if found is None else np.asarray(found)
    if seen.shape != (n,) or seen.dtype != np.bool_:
        raise OptionError(f"found: expected ({n},) bool, got {seen.shape} {seen.dtype}")
    needed = np.zeros(n, bool)
    needed[rows] = True
    check_unit_rows(vectors, needed & seen)
    return vectors, seen


def pair_scores(
    pairs: Pairs, vectors: npt.NDArray[np.float32], seen: BoolArray
) -> npt.NDArray[np.float32]:
    """The cosine of each pair, in the shape of ``pairs.same``; -1 where a face is missing."""
    left, right = pairs.indices[..., 0], pairs.indices[..., 1]
    ok = seen[left] & seen[right]
    scores = np.full(pairs.same.shape, NO_FACE_SCORE, np.float32)
    scores[ok] = np.einsum("nd,nd->n", vectors[left[ok]], vectors[right[ok]])
    return scores


def _without_face(pairs: Pairs, seen: BoolArray) -> int:
    return int((~seen[pairs.indices].all(axis=-1)).sum())


Key = tuple[str, int]


def _plain(name: str) -> str:
    # Some file systems take names apart into letters and accents: "é" as "e" and an accent.
    return unicodedata.normalize("NFC", name)


def _photographs(root: Path) -> dict[Key, str]:
    for name in IMAGE_FOLDERS:
        if (root / name).is_dir():
            found = _scan(root, root / name)
            if found:
                return found
    raise DataError(
        f"{root}: expected photographs as images/NAME/NAME_0001.jpg (or in one of "
        f"{', '.join(IMAGE_FOLDERS[1:-1])}, or NAME/NAME_0001.jpg right here), found none; "
        f"unpack the archive of photographs there ({_GET_IT})"
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
                    f"{root}: expected one photograph of {key[0]} with number {key[1]}, found "
                    f"{found[key]} and {relative}; remove one of them"
                )
            found[key] = relative
    if found and stray is not None:
        raise DataError(
            f"{root}: expected photographs named NAME/NAME_0001.jpg, found {stray}; remove or "
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
        ) from error


def _lines(file: Path) -> list[tuple[int, list[str]]]:
    """The file's lines that are not blank, split into columns, each with its number from 1."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{file}: expected a readable file, got: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file}: expected text in UTF-8, got byte {error.object[error.start]:#04x} at "
            f"{error.start}; save it as UTF-8"
        ) from error
    lines = []
    for number, line in enumerate(text.split("\n"), 1):
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
        raise DataError(f"{file}, line {line}: expected two photographs, got the same one twice")
    if not same and _plain(columns[0]) == _plain(columns[2]):
        raise DataError(
            f"{file}, line {line}: expected two people, got {columns[0]} twice; "
            "a pair of one person has three columns"
        )
    return a, b, same


def _find(file: Path, line: int, name: str, text: str, index: Mapping[Key, int]) -> int:
    number = _number(file, line, text, f"the number of a photograph of {name}")
    place = index.get((_plain(name), number))
    if place is None:
        raise DataError(
            f"{file}, line {line}: expected the photograph {name}/{name}_{number:04d}.jpg, found "
            "none; unpack all of LFW's photographs, or use the pair files that belong to them"
        )
    return place


def _number(file: Path, line: int, text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise DataError(f"{file}, line {line}: expected {what}, got {text!r}")
    return int(text)
