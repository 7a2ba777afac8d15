"""Identification among distractors, in the manner of MegaFace.

Kemelmacher-Shlizerman, Seitz, Miller, Brossard, "The MegaFace Benchmark: 1 Million Faces for
Recognition at Scale", CVPR 2016, section 3: each photo of a person in the probe set is in turn
put among n distractors and searched for with each of the person's other photos; it is
identified at rank 1 when it scores higher than every distractor. Distractors of all sizes are
nested: the first n of one random order. For verification the impostor pairs are those of a probe
and a distractor.

A distractor must not show anybody of the probe set. That cannot be told from files alone; those
that repeat a photo of the probe set, byte for byte, are left out and counted, and so are
those that repeat another distractor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lineament.datasets.people_folder import People
from lineament.datasets.source import Embedded, FaceSource
from lineament.errors import DataError, OptionError
from lineament.evaluate.pair_counts import HISTOGRAM_BINS, PairCounts
from lineament.evaluate.protocols.folder import rates_at, too_few_note
from lineament.evaluate.result import PairShown, Part, Result
from lineament.files import sha256_of_file
from lineament.images import describe_source
from lineament.text import counted
from lineament.types import NO_FACE_SCORE, FloatArray, Progress

FMRS = (1e-3, 1e-4, 1e-5, 1e-6)
WORST = 8
KEEP = 1 << 20
"""So many of the highest impostor scores are kept one by one; the others are counted in bins."""

_BLOCK_SCORES = 1 << 24
"""So many scores are held at a time: 64 MiB."""


class Distractors(NamedTuple):
    """The distractors that are used, and how many were left out."""

    paths: tuple[Path, ...]
    repeat_probes: int
    repeat_each_other: int


def choose_distractors(people: People, files: Sequence[Path]) -> Distractors:
    """Leave out what repeats a photo of the probe set, or another distractor, byte for byte.

    Raises:
        DataError: nothing is left, or a file cannot be read.
    """
    # Equal files have equal sizes, so that only few have to be read.
    probe_sizes: dict[int, list[Path]] = {}
    for path in people.paths:
        probe_sizes.setdefault(_size(path), []).append(path)
    sizes = [_size(path) for path in files]
    several = {size for size, n in zip(*np.unique(sizes, return_counts=True), strict=True) if n > 1}
    probes: dict[int, set[bytes]] = {}
    kept: list[Path] = []
    seen: set[bytes] = set()
    repeat_probes = repeat_each_other = 0
    for path, size in zip(files, sizes, strict=True):
        if size in probe_sizes or size in several:
            mark = _hash(path)
            if size in probe_sizes and size not in probes:
                probes[size] = {_hash(probe) for probe in probe_sizes[size]}
            if mark in probes.get(size, ()):
                repeat_probes += 1
                continue
            if mark in seen:
                repeat_each_other += 1
                continue
            seen.add(mark)
        kept.append(path)
    if not kept:
        raise DataError(
            f"expected distractors, found {len(files)} files that all repeat photos of the "
            "probe set; name a folder with photos of other people"
        )
    return Distractors(tuple(kept), repeat_probes, repeat_each_other)


def sizes_of(wanted: Iterable[int] | None, available: int) -> tuple[int, ...]:
    """The numbers of distractors: 10, 100, 1,000 ... and all of them, or those wanted.

    Raises:
        OptionError: a number below 1 or above what there is.
    """
    if wanted is None:
        tens = [10**k for k in range(1, 10) if 10**k < available]
        return (*tens, available)
    sizes = tuple(sorted(set(wanted)))
    if not sizes or sizes[0] < 1 or sizes[-1] > available:
        raise OptionError(
            f"expected numbers from 1 to {available}, the distractors there are, got "
            f"{', '.join(map(str, sizes)) or 'none'}",
            option="sizes",
        )
    return sizes


def run_distractors(
    people: People,
    distractors: Distractors,
    source: FaceSource,
    *,
    sizes: Iterable[int] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Result, Embedded]:
    """Embed both sets and compare each probe with all distractors.

    Args:
        people: the probe set, from ``read_people``.
        distractors: from ``choose_distractors``.
        source: what embeds them.
        sizes: see ``sizes_of``.
        seed: of the order in which distractors are added.
        progress: called with (probes done, all probes).

    Returns:
        The result, and the embeddings of both sets, the probe set's first.

    Raises:
        DataError: nobody of the probe set has two photos.
        OptionError: as ``sizes_of``.
    """
    if people.counts.max(initial=0) < 2:
        raise DataError(
            f"{people.folder}: expected two photos of at least one person, found one each; "
            "add photos"
        )
    wanted = sizes_of(sizes, len(distractors.paths))
    order = np.random.default_rng(seed).permutation(len(distractors.paths))
    paths = [distractors.paths[i] for i in order]
    embedded = source.photos([*people.paths, *paths])
    n = len(people.paths)
    vectors, found = embedded.vectors, embedded.found
    genuine = _genuine(people, vectors[:n], found[:n])
    counts, tops, worst = _against(vectors, found, n, wanted, progress)
    left, right, scores = genuine
    # Each pair is searched in both directions; a tie with a distractor counts against the system.
    hits = {
        size: float(np.mean([(scores > tops[k][side]).mean() for side in (left, right)]))
        for k, size in enumerate(wanted)
    }
    every = np.sort(scores)
    counts = replace(counts, genuine=every)
    rates = rates_at(counts, FMRS)
    curve = {str(size): share for size, share in hits.items()}
    known = [value for value in rates["threshold_at_fmr"].values() if value is not None]
    missing = ~found[:n]
    part = Part(
        "distractors",
        "among distractors",
        {
            "rank1_at_distractors": curve,
            **rates,
            "n_people": int((people.counts >= 2).sum()),
            "n_probes": int(np.isin(people.person, np.flatnonzero(people.counts >= 2)).sum()),
            "n_gallery": len(paths),
            "n_genuine_pairs": counts.n_genuine,
            "n_impostor_pairs": counts.n_impostor,
            "n_pairs_without_face": counts.n_without_face
            + int((missing[left] | missing[right]).sum()),
            "n_distractors_repeating_probes": distractors.repeat_probes,
            "distractors_repeating_each_other": distractors.repeat_each_other,
            "distractors_without_face": int((~found[n:]).sum()),
        },
        scores=counts,
        threshold=known[-1] if known else None,
        worst=tuple(
            PairShown(str(people.paths[i]), str(paths[j]), False, score) for score, i, j in worst
        ),
        curves={"distractors": curve},
    )
    notes = [
        "identified: the mate scores higher than every distractor; that no distractor shows a "
        "person of the probe set is taken on trust"
    ]
    if distractors.repeat_probes or distractors.repeat_each_other:
        notes.append(
            f"left out: {counted(distractors.repeat_probes, 'distractor', 'distractors')} "
            f"repeating a photo of the probe set, {distractors.repeat_each_other:,} repeating "
            "another distractor"
        )
    notes.append(
        too_few_note(rates["tar_at_fmr"], counts.n_impostor, "pairs of a probe and a distractor")
    )
    result = Result(
        protocol="distractors",
        title="identification among distractors",
        data=str(people.folder),
        images=len(embedded.found),
        faces_found=int(found.sum()),
        errors=len(embedded.unreadable),
        parts=(part,),
        run={"seed": seed},
        notes=tuple(note for note in notes if note),
    )
    return result, embedded


def _genuine(people: People, vectors: FloatArray, found: Any) -> tuple[Any, Any, FloatArray]:
    """All pairs of one person: (rows, rows, scores)."""
    left: list[np.ndarray[Any, Any]] = []
    right: list[np.ndarray[Any, Any]] = []
    for person in np.flatnonzero(people.counts >= 2):
        rows = people.of(int(person))
        i, j = np.triu_indices(len(rows), 1)
        left.append(rows[i])
        right.append(rows[j])
    a, b = np.concatenate(left), np.concatenate(right)
    scores = np.full(len(a), NO_FACE_SCORE, np.float32)
    for start in range(0, len(a), 1 << 14):
        part = slice(start, start + (1 << 14))
        scores[part] = np.einsum("nd,nd->n", vectors[a[part]], vectors[b[part]])
    scores[~(found[a] & found[b])] = NO_FACE_SCORE
    return a, b, scores


def _against(
    vectors: FloatArray, found: Any, n: int, sizes: tuple[int, ...], progress: Progress | None
) -> tuple[PairCounts, FloatArray, list[tuple[float, int, int]]]:
    """Compare the first n rows with all others.

    Returns the impostor side of the counts, (S, n) float32 the highest score among the first
    ``sizes[k]`` distractors, and the worst pairs.
    """
    others = vectors[n:].T
    m = others.shape[1]
    tops = np.empty((len(sizes), n), np.float32)
    histogram = np.zeros(HISTOGRAM_BINS, np.int64)
    tail = np.zeros(0, np.float32)
    keep = min(n * m, KEEP)
    worst: list[tuple[float, int, int]] = []
    block = max(1, _BLOCK_SCORES // m)
    for start in range(0, n, block):
        rows = slice(start, min(start + block, n))
        scores = vectors[rows] @ others  # (B, D) @ (D, M) -> (B, M)
        scores[~found[rows]] = NO_FACE_SCORE
        scores[:, ~found[n:]] = NO_FACE_SCORE
        edges = (0, *sizes)
        for k in range(len(sizes)):
            tops[k, rows] = scores[:, edges[k] : edges[k + 1]].max(axis=1)
        flat = scores.ravel()
        histogram += np.bincount(
            np.clip(
                (flat + np.float32(1)) * np.float32(HISTOGRAM_BINS / 2), 0, HISTOGRAM_BINS - 1
            ).astype(np.int64),
            minlength=HISTOGRAM_BINS,
        )
        tail = np.concatenate([tail, flat if len(tail) < keep else flat[flat > tail.min()]])
        if len(tail) > keep:
            tail = np.partition(tail, len(tail) - keep)[len(tail) - keep :]
        top = np.argpartition(-flat, min(WORST, len(flat)) - 1)[:WORST]
        for place in top.tolist():
            i, j = divmod(place, m)
            if flat[place] > NO_FACE_SCORE:
                worst.append((float(flat[place]), start + i, j))
        worst = sorted(worst, reverse=True)[:WORST]
        if progress is not None:
            progress(rows.stop, n)
    counts = PairCounts(
        genuine=np.zeros(0, np.float32),
        impostor_tail=np.sort(tail)[::-1].copy(),
        n_impostor=n * m,
        impostor_histogram=histogram,
        n_without_face=n * m - int(found[:n].sum()) * int(found[n:].sum()),
    )
    return counts, np.maximum.accumulate(tops, axis=0), worst


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise DataError(_unreadable(path, error)) from error


def _hash(path: Path) -> bytes:
    try:
        return sha256_of_file(path)
    except OSError as error:
        raise DataError(_unreadable(path, error)) from error


def _unreadable(path: Path, error: OSError) -> str:
    return f"{describe_source(path)}: expected a file that can be read, got: {error.strerror}"
