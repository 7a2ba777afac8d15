"""Pairs of photos in folds: accuracy of the folds, and of all pairs AUC, EER and TAR.

Published lists (CALFW, CPLFW, AgeDB-30: ``run_pair_list``; CFP: ``run_cfp``; InsightFace's ``.bin``
files: ``run_bin``), and what the protocols of LFW, of videos and of pairs of one's own share.

A pair in which a face is missing scores -1 and is counted as all others: it is called different.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

import numpy as np

from lineament.datasets import cfp, pair_lists
from lineament.datasets.insightface_bin import BinSet
from lineament.datasets.pair_lists import FOLDS, PairList, folds_in_order
from lineament.datasets.source import Embedded, FaceSource
from lineament.datasets.text import read_bytes
from lineament.decide.metrics import Metric
from lineament.errors import DataError, LineamentError, OptionError
from lineament.evaluate.metrics import KFoldAccuracy, accuracy, auc, best_threshold, eer, tar_at_fmr
from lineament.evaluate.result import PairShown, Part, Result, Scores, rate_text
from lineament.images import load_image
from lineament.types import NO_FACE_SCORE, BoolArray, FloatArray, IntArray

FMRS: Final = (1e-1, 1e-2, 1e-3, 1e-4)
"""Rates for which the benchmarks of some thousand pairs are asked; see ``tar_by_rate``."""
WORST: Final = 8
"""So many pairs of each kind are shown."""

_NUMBERS = 1 << 25
"""In a block of pairs while they are scored: 128 MiB."""


def embed_pairs(pairs: PairList, source: FaceSource) -> Embedded:
    """Embed the photos of the pairs, in the order of ``pairs.photos``.

    Raises:
        DataError: an aligned photo cannot be read or has another size.
    """
    if not pairs.aligned:
        return source.photos(pairs.photos)
    return source.crops([read_bytes(path) for path in pairs.photos])


def pair_cosines(vectors: FloatArray, found: BoolArray, pairs: IntArray) -> FloatArray:
    """The cosine of each pair of rows; -1 where a face is missing.

    Args:
        vectors: (N, D) float32 of length 1.
        found: (N,) bool.
        pairs: (..., 2) int64: rows of ``vectors``.

    Returns:
        (...) float32.
    """
    left, right = pairs[..., 0], pairs[..., 1]
    seen = found[left] & found[right]
    scores = np.full(seen.shape, NO_FACE_SCORE, np.float32)
    scores[seen] = np.einsum("nd,nd->n", vectors[left[seen]], vectors[right[seen]])
    return scores


def scores_by(
    metric: Metric, vectors: FloatArray, norms: FloatArray, found: BoolArray, pairs: IntArray
) -> FloatArray:
    """Scores of pairs of rows, higher is more alike; less than all others without a face.

    Args:
        metric: from ``get_metric``.
        vectors: (N, D) float32 of length 1.
        norms: (N,) their lengths before scaling.
        found: (N,) bool.
        pairs: (P, 2) int64.

    Returns:
        (P,) float32.
    """
    sides = vectors if metric.unit else vectors * norms[:, None]
    seen: BoolArray = found[pairs[:, 0]] & found[pairs[:, 1]]
    scores = np.zeros(len(pairs), np.float32)
    places = np.flatnonzero(seen)
    step = max(1, _NUMBERS // vectors.shape[1])
    for start in range(0, len(places), step):
        rows = places[start : start + step]
        scores[rows] = metric.rows(sides[pairs[rows, 0]], sides[pairs[rows, 1]])
    if not metric.higher_is_more_alike:
        scores = -scores
    return without_faces(scores, seen)


def without_faces(scores: FloatArray, seen: BoolArray) -> FloatArray:
    """Scores in which pairs that were not seen, (P,) bool, are less alike than all others."""
    if not seen.all():
        scores[~seen] = (scores[seen].min() if seen.any() else np.float32(0)) - np.float32(1)
    return scores


def turned_note(metric: Metric) -> str:
    """What to say of scores that are no cosines."""
    turned = "" if metric.higher_is_more_alike else ", their sign turned so that higher is alike"
    return f"scores and thresholds are of the metric {metric.name}{turned}"


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
        "n_pairs": len(same),
        "n_genuine_pairs": int(same.sum()),
        "n_impostor_pairs": int((~same).sum()),
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
        fold_measures(found)
        | curve_measures(scores, same)
        | {"n_pairs_without_face": without_face},
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
        pair_cosines(embedded.vectors, embedded.found, pairs.pairs),
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


def run_pair_list(
    pairs: PairList, source: FaceSource, *, protocol: str, title: str, data: str
) -> tuple[Result, Embedded]:
    """Embed the photos of a list of 6,000 pairs, and measure.

    Raises:
        DataError: an aligned photo cannot be read, or there are pairs of one fold only.
    """
    embedded = embed_pairs(pairs, source)
    notes = size_note(title, len(pairs), pair_lists.PAIRS)
    if pairs.aligned:
        notes += ("the photos were aligned already: no detector was used",)
    result = Result(
        protocol=protocol,
        title=title,
        data=data,
        images=len(pairs.photos),
        faces_found=int(embedded.found.sum()),
        errors=len(embedded.unreadable),
        parts=(pairs_part("pairs", title, embedded, pairs),),
        notes=notes,
    )
    return result, embedded


def run_cfp(
    folder: str | os.PathLike[str],
    source: FaceSource,
    *,
    protocols: Collection[cfp.Protocol] = cfp.PROTOCOLS,
) -> tuple[Result, Embedded]:
    """Embed the photos, and measure; parts "ff" and "fp".

    Raises:
        DataError: as ``read_cfp``.
        OptionError: no protocol, or an unknown one.
    """
    if not protocols or not set(protocols) <= set(cfp.PROTOCOLS):
        raise OptionError(
            f"expected ff, fp or both, got {', '.join(protocols)!r}", option="protocols"
        )
    lists = {key: cfp.read_cfp(folder, key) for key in cfp.PROTOCOLS if key in protocols}
    photos = tuple(dict.fromkeys(path for pairs in lists.values() for path in pairs.photos))
    place = {path: i for i, path in enumerate(photos)}
    embedded = source.photos(photos)
    parts: list[Part] = []
    notes: list[str] = []
    for key, pairs in lists.items():
        rows = [place[path] for path in pairs.photos]
        mine = Embedded(embedded.vectors[rows], embedded.norms[rows], embedded.found[rows])
        parts.append(pairs_part(key, cfp.TITLES[key], mine, pairs))
        notes += size_note(f"CFP {cfp.TITLES[key]}", len(pairs), cfp.PAIRS)
    result = Result(
        protocol="cfp",
        title="Celebrities in Frontal-Profile",
        data=str(folder),
        images=len(photos),
        faces_found=int(embedded.found.sum()),
        errors=len(embedded.unreadable),
        parts=tuple(parts),
        notes=tuple(notes),
    )
    return result, embedded


def run_bin(data: BinSet, source: FaceSource) -> tuple[Result, Embedded]:
    """Embed the photos, and measure.

    Raises:
        DataError: a photo cannot be decoded or is not 112x112 pixels large.
        OptionError: the recognizer takes faces that are aligned in another way.
    """
    try:
        embedded = source.crops(data.photos)
    except DataError as error:
        raise _first_wrong(data) or error from error

    def show(place: int, same: bool, score: float) -> PairShown:
        a, b = data.numbers[place]
        pictures = [data.photos[i] for i in data.pairs[place]]
        return PairShown(f"photo {a}", f"photo {b}", same, score, *pictures)

    missing = ~embedded.found[data.pairs].all(axis=1)
    part = verification_part(
        "pairs",
        data.file.stem,
        pair_cosines(embedded.vectors, embedded.found, data.pairs),
        data.same,
        folds_in_order(len(data.same), min(FOLDS, len(data.same))),
        without_face=int(missing.sum()),
        show=show,
    )
    result = Result(
        protocol="bin",
        title=f"{data.file.name} (InsightFace's verification sets)",
        data=str(data.file),
        images=len(data.photos),
        faces_found=int(embedded.found.sum()),
        errors=0,
        parts=(part,),
        notes=("the faces were aligned by those who made the file: no detector was used",),
    )
    return result, embedded


def _first_wrong(data: BinSet) -> DataError | None:
    """The first photo that is none, by its number in the file."""
    for place, photo in enumerate(data.photos):
        try:
            shape = load_image(photo).shape
        except LineamentError as error:
            what = f"an encoded photo ({error})"
        else:
            if shape == (112, 112, 3):
                continue
            what = f"112x112 pixels, got {shape[1]}x{shape[0]}"
        number = int(data.numbers.ravel()[np.argmax(data.pairs.ravel() == place)])
        return DataError(f"{data.file}: photo {number}: expected {what}")
    return None
