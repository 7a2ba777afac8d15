"""One folder per person: all pairs, references per person, and suspected mislabels."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lineament.datasets.people_folder import People
from lineament.datasets.source import Embedded, FaceSource
from lineament.decide.calibration import RULE_OF_30, supported
from lineament.embed.pooling import pool_mean, present
from lineament.errors import DataError
from lineament.evaluate.identification import search
from lineament.evaluate.metrics import eer, tar_at_fmr
from lineament.evaluate.pair_counts import PairCounts, all_pairs
from lineament.evaluate.result import PairShown, Part, Result, Scores, rate_text
from lineament.types import NO_FACE_SCORE, BoolArray, Float64Array, FloatArray, IntArray, Progress

FMRS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
REFERENCES = (1, 2, 3, 5, 10)
REFERENCES_FMR = 1e-3
REFERENCES_PEOPLE = 10
"""With fewer people one of them decides the figure: no curve is made."""

DRAWS = 10
"""So often are a person's references and probe drawn; each draw is seeded."""

WORST = 8
"""So many pairs of each kind are shown ..."""

_CANDIDATES = 4096
"""... out of so many, since each photo is shown in one of them only: one mislabeled
photo is in a wrong pair with each photo of the person whose name it bears."""

_BLOCK = 512

Extreme = tuple[float, int, int]
"""Score, row, row."""


def rates_at(counts: PairCounts, fmrs: Iterable[float] = FMRS) -> dict[str, Any]:
    """``tar_at_fmr`` and ``threshold_at_fmr`` as measures; None where too few pairs support it."""
    tars: dict[str, float | None] = {}
    thresholds: dict[str, float | None] = {}
    for fmr in fmrs:
        ok = counts.n_genuine > 0 and supported(fmr, counts.n_impostor)
        tars[rate_text(fmr)] = counts.tar_at_fmr(fmr) if ok else None
        thresholds[rate_text(fmr)] = counts.threshold_at_fmr(fmr) if ok else None
    return {"tar_at_fmr": tars, "threshold_at_fmr": thresholds}


def too_few_note(rates: dict[str, Any], trials: int, kind: str = "pairs of two people") -> str:
    """One sentence on the rates that were not measured, or "" when all were."""
    left_out = [key for key, value in rates.items() if value is None]
    if not left_out:
        return ""
    return (
        f"{trials:,} {kind} cannot support {', '.join(left_out)}: fewer than {RULE_OF_30} errors "
        "are expected there (rule of 30)"
    )


def run_folder(
    people: People, source: FaceSource, *, seed: int = 0, progress: Progress | None = None
) -> tuple[Result, Embedded]:
    """Embed all photos and compare each with every other one.

    Args:
        people: from ``read_people``.
        source: what embeds them.
        seed: for the draws of references.
        progress: called with (pairs done, all pairs).

    Raises:
        DataError: nobody has two photos.
    """
    if people.counts.max(initial=0) < 2:
        raise DataError(
            f"{people.folder}: expected two photos of at least one person, found one each; "
            "add photos"
        )
    embedded = source.photos(people.paths)
    counts = all_pairs(embedded.vectors, people.person, found=embedded.found, progress=progress)
    area, error_rate = auc_and_eer(counts)
    rates = rates_at(counts)
    known = [value for value in rates["threshold_at_fmr"].values() if value is not None]
    pairs = Part(
        "all_pairs",
        "all pairs",
        {
            "auc": area,
            "eer": error_rate,
            **rates,
            "n_people": len(people.names),
            "n_genuine_pairs": counts.n_genuine,
            "n_impostor_pairs": counts.n_impostor,
            "n_pairs_without_face": counts.n_without_face,
        },
        scores=counts,
        threshold=known[-1] if known else None,
        worst=worst_pairs(people, embedded.vectors, embedded.found),
    )
    notes = [too_few_note(rates["tar_at_fmr"], counts.n_impostor)]
    parts = [pairs]
    references = references_part(embedded.vectors, people.person, embedded.found, seed=seed)
    if isinstance(references, str):
        notes.append(references)
    else:
        parts.append(references)
        notes.append(references.measures["about"])
    result = Result(
        protocol="folder",
        title="one folder per person",
        data=str(people.folder),
        images=len(people.paths),
        faces_found=int(embedded.found.sum()),
        errors=len(embedded.unreadable),
        parts=tuple(parts),
        run={"seed": seed},
        notes=tuple(note for note in notes if note),
    )
    return result, embedded


class _Weighted(NamedTuple):
    scores: Float64Array  # ascending, distinct
    impostor: Float64Array  # how many of each
    genuine: Float64Array


def auc_and_eer(counts: PairCounts) -> tuple[float, float]:
    """AUC and EER of all pairs: shares from 0 to 1.

    Exact when all impostor scores were kept; else those below the tail stand at the middle of
    their bin of the histogram (a bin is 3.1e-5 wide).

    Raises:
        OptionError: there are no pairs of one kind.
    """
    tail = counts.impostor_tail.astype(np.float64)
    scores, weights = tail, np.ones(len(tail))
    if len(tail) < counts.n_impostor:
        bins = len(counts.impostor_histogram)
        # In float32, as the histogram was counted: the tail's scores must leave their own bins.
        places = (counts.impostor_tail + np.float32(1)) * np.float32(bins / 2)
        in_tail = np.clip(places, 0, bins - 1).astype(np.int64)
        left = counts.impostor_histogram - np.bincount(in_tail, minlength=bins)
        used = np.flatnonzero(left > 0)
        scores = np.concatenate([scores, -1 + (2 * used + 1) / bins])
        weights = np.concatenate([weights, left[used].astype(np.float64)])
    counts.fnmr_at(0.0)  # refuses when there are no genuine pairs
    counts.fmr_at(0.0)
    genuine = counts.genuine.astype(np.float64)
    points, place = np.unique(np.concatenate([scores, genuine]), return_inverse=True)
    impostors = np.bincount(place[: len(scores)], weights=weights, minlength=len(points))
    genuines = np.bincount(place[len(scores) :], minlength=len(points)).astype(np.float64)
    # From the highest threshold down, as metrics.roc.
    fmr = np.append(0.0, np.cumsum(impostors[::-1])) / impostors.sum()
    tar = np.append(0.0, np.cumsum(genuines[::-1])) / genuines.sum()
    area = float(np.sum(np.diff(fmr) * (tar[1:] + tar[:-1])) / 2)
    gap = fmr + tar - 1
    right = int(np.argmax(gap >= 0))
    share = -gap[right - 1] / (gap[right] - gap[right - 1])
    return area, float(fmr[right - 1] + share * (fmr[right] - fmr[right - 1]))


def worst_pairs(
    people: People, vectors: FloatArray, found: BoolArray, count: int = WORST
) -> tuple[PairShown, ...]:
    """The least alike pairs of one person, then the most alike of two: suspected mislabels.

    Pairs without a face are left out here: there is nothing to see in them. Each photo is in
    at most one pair of a kind.
    """
    genuine, impostor = extreme_pairs(vectors, people.person, found, max(count, _CANDIDATES))
    return tuple(
        PairShown(str(people.paths[i]), str(people.paths[j]), same, score)
        for same, rows in ((True, genuine), (False, impostor))
        for score, i, j in _each_once(rows, count)
    )


def _each_once(rows: Iterable[Extreme], count: int) -> list[Extreme]:
    used: set[int] = set()
    kept: list[Extreme] = []
    for score, i, j in rows:
        if len(kept) < count and not used & {i, j}:
            used |= {i, j}
            kept.append((score, i, j))
    return kept


def extreme_pairs(
    vectors: FloatArray, person: IntArray, found: BoolArray, count: int
) -> tuple[list[Extreme], list[Extreme]]:
    """The ``count`` lowest genuine and highest impostor pairs: (score, row, row), worst first."""
    rows = np.flatnonzero(found)
    vectors, person = vectors[rows], person[rows]
    low: list[Extreme] = []  # heaps whose top is the least extreme one kept
    high: list[Extreme] = []
    for start in range(0, len(rows), _BLOCK):
        stop = min(start + _BLOCK, len(rows))
        scores = vectors[start:stop] @ vectors[start:].T
        later = np.arange(start, len(rows)) > np.arange(start, stop)[:, None]
        same = person[start:stop, None] == person[start:]
        for heap, kind, sign in ((low, later & same, -1), (high, later & ~same, 1)):
            cut = heap[0][0] if len(heap) == count else -np.inf
            i, j = np.nonzero(kind & (sign * scores > cut))
            values = sign * scores[i, j]
            best = np.argsort(-values, kind="stable")[:count]
            for k in best.tolist():
                item = (float(values[k]), int(rows[start + i[k]]), int(rows[start + j[k]]))
                if len(heap) < count:
                    heapq.heappush(heap, item)
                else:
                    heapq.heappushpop(heap, item)
    return (
        [(-score, i, j) for score, i, j in sorted(low, reverse=True)],
        sorted(high, reverse=True),
    )


def references_part(
    vectors: FloatArray, person: IntArray, found: BoolArray, *, seed: int = 0
) -> Part | str:
    """How much several references per person help, or a sentence on why it cannot be measured.

    The same people, those with enough photos for the largest number, and the same probes are
    used for each number k, so that only k differs: one photo of each is the probe, the mean of
    k others the template; ``DRAWS`` times.
    """
    sizes = np.bincount(person)
    usable = [k for k in REFERENCES if (sizes > k).sum() >= REFERENCES_PEOPLE]
    if not usable:
        return (
            f"references a person: fewer than {REFERENCES_PEOPLE} people have two photos, so "
            "what several references bring is not measured"
        )
    chosen = np.flatnonzero(sizes > usable[-1])
    places = [np.flatnonzero(person == p) for p in chosen]
    rng = np.random.default_rng(seed)
    genuine: dict[int, list[npt.NDArray[np.float32]]] = {k: [] for k in usable}
    impostor: dict[int, list[npt.NDArray[np.float32]]] = {k: [] for k in usable}
    first: dict[int, list[float]] = {k: [] for k in usable}
    same = np.eye(len(chosen), dtype=bool)
    for _ in range(DRAWS):
        drawn = np.array([rng.permutation(p)[: usable[-1] + 1] for p in places])  # (P, K + 1)
        probes = drawn[:, -1]
        for k in usable:
            rows = drawn[:, :k].ravel()
            groups = np.where(found[rows], np.repeat(np.arange(len(chosen)), k), -1)
            templates = pool_mean(vectors[rows], groups, count=len(chosen))
            enrolled = present(templates)
            scores = vectors[probes] @ templates.T  # (P, D) @ (D, P) -> (P, P)
            scores[~found[probes]] = NO_FACE_SCORE
            scores[:, ~enrolled] = NO_FACE_SCORE
            genuine[k].append(scores[same])
            impostor[k].append(scores[~same])
            searches = search(
                vectors[probes],
                templates,
                chosen,
                chosen,
                probes_found=found[probes],
                gallery_found=enrolled,
            )
            first[k].append(searches.rank_k(1))
    pools = {k: (np.concatenate(genuine[k]), np.concatenate(impostor[k])) for k in usable}
    n_impostor = len(pools[usable[0]][1])
    at_fmr = supported(REFERENCES_FMR, n_impostor)
    what = f"TAR at FMR {rate_text(REFERENCES_FMR)}" if at_fmr else "1 - EER"
    curve: dict[str, float] = {}
    for k, (mine, others) in pools.items():
        if at_fmr:
            curve[str(k)] = float(tar_at_fmr(mine, others, [REFERENCES_FMR])[0])
        else:
            labels = np.repeat([True, False], [len(mine), len(others)])
            curve[str(k)] = 1 - eer(np.concatenate([mine, others]), labels)
    rank_1 = {str(k): float(np.mean(shares)) for k, shares in first.items()}
    about = (
        f"references a person: {what}, and rank 1, of the {len(chosen):,} people with more than "
        f"{usable[-1]} photos; the template is the mean of the references; {DRAWS} draws"
    )
    largest = usable[-1]
    return Part(
        "references",
        f"references a person ({what})",
        {
            "accuracy_at_references": curve,
            "rank1_at_references": rank_1,
            "references_measure": what,
            "n_people": len(chosen),
            "draws": DRAWS,
            "about": about,
        },
        scores=Scores(*pools[largest]),
        curves={"references": curve, "references_rank1": rank_1},
    )
