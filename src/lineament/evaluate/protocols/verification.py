"""What all protocols that compare pairs of photos in folds have in common.

A pair in which a face is missing scores -1 and is counted as all others: it is called different.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lineament.datasets.source import Embedded, FaceSource
from lineament.errors import DataError
from lineament.evaluate.metrics import (
    NO_FACE_SCORE,
    KFoldAccuracy,
    accuracy,
    auc,
    best_threshold,
    eer,
    tar_at_fmr,
)
from lineament.evaluate.result import PairShown, Part, Scores, rate_text
from lineament.types import BoolArray, FloatArray, IntArray

FMRS: Final = (1e-1, 1e-2, 1e-3, 1e-4)
"""Rates for which the benchmarks of some thousand pairs are asked; see ``tar_by_rate``."""

FOLDS: Final = 10

WORST: Final = 8
"""So many pairs of each kind are shown."""

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


def embed_pairs(pairs: PairList, source: FaceSource) -> Embedded:
    """Embed the photos of the pairs, in the order of ``pairs.photos``.

    Raises:
        DataError: an aligned photo cannot be read or has another size.
    """
    if not pairs.aligned:
        return source.photos(pairs.photos)
    return source.crops([read_bytes(path) for path in pairs.photos])


def read_bytes(path: Path) -> bytes:
    """The file's bytes; DataError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: expected a readable file, got: {error.strerror}") from error


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text file that are not blank, stripped, each with its number from 1.

    Raises:
        DataError: it cannot be read, is no text, or has no lines.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: expected text in UTF-8, got byte {error.object[error.start]:#04x} at "
            f"{error.start}; use the file that the data set publishes"
        ) from error
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    lines = [(number, line) for number, line in lines if line]
    if not lines:
        raise DataError(f"{path}: expected lines, found an empty file; download it again")
    return lines


def existing(path: Path, where: str) -> Path:
    """The path itself; DataError that starts with ``where`` when there is no such file."""
    if not path.is_file():
        raise DataError(
            f"{where}: expected the photo {path}, found none; unpack all of the data set's "
            "photos, or use the list that belongs to them"
        )
    return path


def folder_of(folder: str | os.PathLike[str], what: str) -> Path:
    """The folder of a data set; DataError unless it is one."""
    root = Path(folder)
    if not root.is_dir():
        found = "a file" if root.exists() else "nothing"
        raise DataError(f"{root}: expected the folder of {what}, found {found}")
    return root


def pair_cosines(embedded: Embedded, pairs: IntArray) -> FloatArray:
    """(P,) float32: the cosine of each pair of rows; -1 where a face is missing."""
    left, right = pairs[:, 0], pairs[:, 1]
    seen = embedded.found[left] & embedded.found[right]
    scores = np.full(len(pairs), NO_FACE_SCORE, np.float32)
    scores[seen] = np.einsum(
        "nd,nd->n", embedded.vectors[left[seen]], embedded.vectors[right[seen]]
    )
    return scores


def fold_accuracy(
    scores: FloatArray, same: BoolArray, folds: IntArray, *, usable: BoolArray | None = None
) -> KFoldAccuracy:
    """``metrics.kfold_accuracy`` for folds of different lengths.

    Args:
        scores: (P,) similarities.
        same: (P,) bool.
        folds: (P,) int: at least two numbers.
        usable: (K, P) bool: which pairs may choose the threshold of the k-th fold, in ascending
            order of the numbers; None: all of the other folds.

    Raises:
        OptionError: there are no pairs to choose a threshold with.
    """
    numbers = np.unique(folds)
    shares, thresholds = [], []
    for place, number in enumerate(numbers):
        mine = folds == number
        others = ~mine if usable is None else usable[place] & ~mine
        threshold = best_threshold(scores[others], same[others])
        thresholds.append(threshold)
        shares.append(accuracy(scores[mine], same[mine], threshold))
    values = np.array(shares)
    return KFoldAccuracy(
        mean=float(values.mean()),
        standard_error=float(values.std(ddof=1) / np.sqrt(len(values))),
        accuracies=values,
        thresholds=np.array(thresholds),
    )


def tar_by_rate(
    scores: FloatArray, same: BoolArray, fmrs: Iterable[float] = FMRS
) -> dict[str, float | None]:
    """TAR for each false match rate, by its text; None where there are too few impostor pairs.

    With M impostor pairs no rate below 1 / M can be told from 0: fewer than one may match.
    """
    genuine, impostor = scores[same], scores[~same]
    found: dict[str, float | None] = {}
    for fmr in fmrs:
        enough = len(genuine) and len(impostor) * fmr >= 1 - 1e-9
        found[rate_text(fmr)] = float(tar_at_fmr(genuine, impostor, (fmr,))[0]) if enough else None
    return found


def curve_measures(
    scores: FloatArray, same: BoolArray, fmrs: Iterable[float] = FMRS
) -> dict[str, Any]:
    """AUC, EER, TAR and counts; None for what pairs of one kind cannot tell."""
    both = bool(same.any() and not same.all())
    return {
        "auc": auc(scores, same) if both else None,
        "eer": eer(scores, same) if both else None,
        "tar_at_fmr": tar_by_rate(scores, same, fmrs),
        "pairs": len(same),
        "genuine_pairs": int(same.sum()),
        "impostor_pairs": int((~same).sum()),
    }


def fold_measures(found: KFoldAccuracy) -> dict[str, Any]:
    """Accuracy by folds, ready for a ``Part``."""
    return {
        "accuracy_mean": found.mean,
        "accuracy_se": found.standard_error,
        "accuracies": found.accuracies.tolist(),
        "thresholds": found.thresholds.tolist(),
    }


Show = Callable[[int, bool, float], PairShown]
"""Makes what is shown of (number of the pair, same, score)."""


def verification_part(
    key: str,
    title: str,
    scores: FloatArray,
    same: BoolArray,
    folds: IntArray,
    *,
    without_face: int,
    show: Show,
) -> Part:
    """The figures of pairs in folds: accuracy of the folds, and of all pairs AUC, EER and TAR.

    Raises:
        DataError: there are fewer than two folds.
    """
    if len(np.unique(folds)) < 2:
        raise DataError(f"{title}: expected pairs in at least 2 folds, got {len(same)} pairs in 1")
    found = fold_accuracy(scores, same, folds)
    threshold = float(found.thresholds.mean())
    return Part(
        key,
        title,
        fold_measures(found) | curve_measures(scores, same) | {"pairs_without_face": without_face},
        scores=Scores.of(scores, same),
        threshold=threshold,
        worst=worst_of(scores, same, threshold, show),
    )


def worst_of(
    scores: FloatArray, same: BoolArray, threshold: float, show: Show
) -> tuple[PairShown, ...]:
    """The pairs on the wrong side of the threshold, the farthest from it first."""
    beyond = np.where(same, threshold - scores, scores - threshold)
    wrong = (scores >= threshold) != same
    shown: list[PairShown] = []
    for kind in (True, False):
        places = np.flatnonzero((same == kind) & wrong)
        for place in places[np.argsort(-beyond[places], kind="stable")][:WORST]:
            shown.append(show(int(place), kind, float(scores[place])))
    return tuple(shown)


def photo_pair(pairs: PairList) -> Show:
    """Shows the photos' paths."""

    def show(place: int, same: bool, score: float) -> PairShown:
        a, b = (str(pairs.photos[i]) for i in pairs.pairs[place])
        return PairShown(a, b, same, score)

    return show


def pairs_part(key: str, title: str, embedded: Embedded, pairs: PairList) -> Part:
    """``verification_part`` of photos."""
    missing = ~embedded.found[pairs.pairs].all(axis=1)
    return verification_part(
        key,
        title,
        pair_cosines(embedded, pairs.pairs),
        pairs.same,
        pairs.folds,
        without_face=int(missing.sum()),
        show=photo_pair(pairs),
    )


def size_note(name: str, pairs: int, published: int) -> tuple[str, ...]:
    """What to say when there are not as many pairs as were published."""
    if pairs == published:
        return ()
    return (
        f"{name} has {published:,} pairs and {pairs:,} were found: the list is cut short or "
        "another one, and the figures cannot be set beside published ones",
    )
