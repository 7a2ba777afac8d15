"""Any pairs of photos: accuracy by folds of people, and what a threshold decides."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, Final

import numpy as np

from lineament.datasets.pair_lists import FOLDS, PairList, folds_by_kind
from lineament.datasets.pairs_csv import PairsFile
from lineament.datasets.source import Embedded, FaceSource
from lineament.decide.metrics import Metric
from lineament.errors import OptionError
from lineament.evaluate.metrics import interval_of_rate
from lineament.evaluate.protocols.verification import (
    FMRS,
    curve_measures,
    fold_accuracy,
    fold_measures,
    pair_cosines,
    photo_pair,
    scores_by,
    turned_note,
    worst_of,
)
from lineament.evaluate.result import Part, Result, Scores
from lineament.text import per_cent
from lineament.types import BoolArray, FloatArray, IntArray, Threshold

RARE_FMRS: Final = (1e-5, 1e-6)
"""Asked for only where the impostor pairs are enough for them."""
ENOUGH: Final = 10
"""So many pairs of each kind are needed to choose a threshold with: one a fold."""


def run_pairs(
    data: PairsFile,
    source: FaceSource,
    *,
    threshold: Threshold | None = None,
    metric: Metric | None = None,
) -> tuple[Result, Embedded]:
    """Embed the photos, and measure.

    Args:
        data: from ``read_pairs``.
        source: what embeds.
        threshold: of the recognizer, in the metric's unit: there is a second part, "at_threshold",
            with what it decides. None: nothing is decided.
        metric: from ``decide.metrics.get_metric``; None: the cosine. Scores are turned so that
            higher is more alike.

    Raises:
        OptionError: the threshold is of another metric.
    """
    name = "cosine" if metric is None else metric.name
    if threshold is not None and threshold.metric != name:
        raise OptionError(
            f"expected one for {name}, got one for {threshold.metric}", option="threshold"
        )
    pairs = data.pairs
    embedded = source.photos(pairs.photos)
    if metric is None or name == "cosine":
        scores = pair_cosines(embedded.vectors, embedded.found, pairs.pairs)
    else:
        scores = scores_by(metric, embedded.vectors, embedded.norms, embedded.found, pairs.pairs)
        if threshold is not None and not metric.higher_is_more_alike:
            threshold = replace(threshold, value=-threshold.value, low=None, high=None)
    missing = int((~embedded.found[pairs.pairs].all(axis=1)).sum())
    n_impostor = int((~pairs.same).sum())
    rates = FMRS + tuple(rate for rate in RARE_FMRS if n_impostor * rate >= 1)
    measures, middle, note = _by_folds(scores, data)
    notes = [note]
    if metric is not None and name != "cosine":
        notes.append(turned_note(metric))
    measures |= curve_measures(scores, pairs.same, rates) | {"n_pairs_without_face": missing}
    if threshold is not None and middle is None:
        middle = threshold.value
    parts = [
        Part(
            "pairs",
            "pairs",
            measures,
            scores=Scores.of(scores, pairs.same),
            threshold=middle,
            worst=() if middle is None else worst_of(scores, pairs.same, middle, photo_pair(pairs)),
        )
    ]
    if threshold is not None:
        decided, said = _decided(scores, pairs, threshold)
        parts.append(decided)
        notes.append(said)
    unmeasurable = [rate for rate, tar in measures["tar_at_fmr"].items() if tar is None]
    if unmeasurable:
        notes.append(
            f"{n_impostor:,} impostor pairs cannot tell a false match rate of "
            f"{', '.join(unmeasurable)} from 0: it needs at least 1 / rate of them"
        )
    result = Result(
        protocol="pairs",
        title="Pairs of your own",
        data=str(data.file),
        images=len(pairs.photos),
        faces_found=int(embedded.found.sum()),
        errors=len(embedded.unreadable),
        parts=tuple(parts),
        run={} if metric is None else {"metric": name},
        notes=tuple(notes),
    )
    return result, embedded


def _by_folds(scores: FloatArray, data: PairsFile) -> tuple[dict[str, Any], float | None, str]:
    """Accuracy by folds, the mean threshold, and how the folds were made."""
    same = data.pairs.same
    if min(int(same.sum()), int((~same).sum())) < ENOUGH:
        return (
            {},
            None,
            f"no accuracy by folds: it needs at least {ENOUGH} pairs of each kind, got "
            f"{int(same.sum())} of one person and {int((~same).sum())} of two",
        )
    why = "nothing tells who is shown"
    if data.people is not None:
        folds, usable = person_folds(data.people)
        kinds = [(usable[k] & (same == kind)).sum() for k in range(len(usable)) for kind in (0, 1)]
        if len(usable) >= 2 and min(kinds) >= ENOUGH:
            found = fold_accuracy(scores, same, folds, usable=usable)
            note = (
                f"{len(usable)} folds: each is judged with the threshold of pairs that share no "
                "person with it"
            )
            return fold_measures(found), float(found.thresholds.mean()), note
        why = "the pairs share too many people"
    found = fold_accuracy(scores, same, folds_by_kind(same, FOLDS))
    note = f"{FOLDS} folds by pairs: one person may be in several folds, since {why}"
    return fold_measures(found), float(found.thresholds.mean()), note


def person_folds(people: IntArray, folds: int = FOLDS) -> tuple[IntArray, BoolArray]:
    """Folds by person: every pair goes to the fold of its first person.

    Args:
        people: (P, 2) int: who is in each pair.
        folds: at most so many.

    Returns:
        (P,) int64 the fold of each pair, and (K, P) bool: the pairs that share no person with the
        k-th fold, so that they may choose its threshold.
    """
    counts = Counter(people[:, 0].tolist())
    loads = [0] * min(folds, len(counts))
    fold_of: dict[int, int] = {}
    for person, pairs in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        lightest = int(np.argmin(loads))
        fold_of[person] = lightest
        loads[lightest] += pairs
    numbers = np.array([fold_of[int(person)] for person in people[:, 0]], np.int64)
    usable = np.stack(
        [~np.isin(people, people[numbers == fold]).any(axis=1) for fold in range(len(loads))]
    )
    return numbers, usable


def _decided(scores: FloatArray, pairs: PairList, threshold: Threshold) -> tuple[Part, str]:
    said, same = scores >= threshold.value, pairs.same
    hits, misses = int((said & same).sum()), int((~said & same).sum())
    false, rejected = int((said & ~same).sum()), int((~said & ~same).sum())
    right, total = hits + rejected, len(same)
    measures: dict[str, Any] = {
        "accuracy": right / total,
        "precision": hits / (hits + false) if hits + false else None,
        "recall": hits / (hits + misses) if hits + misses else None,
        "f1": 2 * hits / (2 * hits + false + misses) if 2 * hits + false + misses else None,
        "fmr": false / (false + rejected) if false + rejected else None,
        "fnmr": misses / (hits + misses) if hits + misses else None,
        "threshold_value": threshold.value,
        "threshold_origin": threshold.origin,
        "confusion": {
            "same_called_same": hits,
            "same_called_different": misses,
            "different_called_same": false,
            "different_called_different": rejected,
        },
        "intervals": {
            "accuracy": _interval(right, total),
            "fmr": _interval(false, false + rejected),
            "fnmr": _interval(misses, hits + misses),
        },
    }
    part = Part(
        "at_threshold",
        "at the threshold",
        measures,
        scores=Scores.of(scores, same),
        threshold=threshold.value,
    )
    words = [
        f"{count:,} of {of:,} pairs of {kind} called {called} ({_range(count, of)})"
        for count, of, kind, called in (
            (misses, hits + misses, "one person", "different"),
            (false, false + rejected, "two people", "the same"),
        )
        if of
    ]
    return part, f"at the threshold {threshold}: {'; '.join(words)}"


def _interval(count: int, of: int) -> list[float] | None:
    """95 %, Wilson; None of nothing."""
    return list(interval_of_rate(count, of)) if of else None


def _range(count: int, of: int) -> str:
    low, high = interval_of_rate(count, of)
    return (
        f"{per_cent(low, 2)} to {per_cent(high, 2)} with 95 % confidence, if pairs were independent"
    )
