"""What ``compare_models`` compares: photos, pairs in folds, and many pairs for rare errors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

import numpy as np

from lineament.datasets.lfw import VIEW_2_FILE, read_lfw
from lineament.datasets.people_folder import read_people
from lineament.errors import DataError, OptionError
from lineament.types import BoolArray, IntArray

View = Literal["1", "2"]

FOLDS: Final = 5
"""Of a folder's people; LFW brings its own."""

MOST_PAIRS: Final = 20_000
"""Of one person, for the accuracy; as many of two."""
MOST_IMPOSTORS: Final = 200_000
"""Pairs of two people for the true accept rate: 200 false matches are allowed at 1e-3."""


class PairsOf(NamedTuple):
    """What is compared.

    Attributes:
        data: in words.
        photos: N paths.
        person: (N,) int64: who is in each.
        pairs: (P, 2) int64: rows of ``photos`` for the accuracy; ``same``: (P,) bool.
        folds: (P,) int64: of each pair.
        tested: the folds that are judged, each with the threshold of all others.
        many: (M, 2) int64: pairs for the true accept rate; ``many_same``: (M,) bool.
        central: whether a photo is of the face in its middle, as LFW has it; else of the largest.
        notes: for the reader.
    """

    data: str
    photos: tuple[Path, ...]
    person: IntArray
    pairs: IntArray
    same: BoolArray
    folds: IntArray
    tested: tuple[int, ...]
    many: IntArray
    many_same: BoolArray
    central: bool = False
    notes: tuple[str, ...] = ()


def read_pairs_of(
    folder: str | os.PathLike[str], *, view: View = "1", most: int | None = None, seed: int = 0
) -> PairsOf:
    """Read LFW, where ``pairs.txt`` lies in the folder, else one folder per person.

    Args:
        folder: of the photos.
        view: of LFW: "1" for choosing, "2" for reporting.
        most: of one folder per person: photos at most, drawn by whole people; None: all.
        seed: of what is drawn.

    Raises:
        DataError: the folder does not hold what is needed.
        OptionError: a value out of range.
    """
    if view not in get_args(View):
        raise OptionError(f"expected 1 or 2, got {view!r}", option="view")
    if most is not None and most < 2:
        raise OptionError(f"expected 2 or more, got {most}", option="most")
    if (Path(folder) / VIEW_2_FILE).is_file():
        return _of_lfw(folder, view, seed)
    return _of_people(folder, most, seed)


def _of_lfw(folder: str | os.PathLike[str], view: View, seed: int) -> PairsOf:
    lfw = read_lfw(folder)
    if view == "1":
        parts = [lfw.view1_train, lfw.view1_test]
        indices = np.concatenate([part.indices for part in parts])
        same = np.concatenate([part.same for part in parts])
        folds = np.repeat([0, 1], [len(part) for part in parts])
        tested: tuple[int, ...] = (1,)
    else:
        indices, same = lfw.view2_folds.indices.reshape(-1, 2), lfw.view2_folds.same.ravel()
        n_folds, size = lfw.view2_folds.same.shape
        folds, tested = np.repeat(np.arange(n_folds), size), tuple(range(n_folds))
    rows, places = np.unique(indices, return_inverse=True)
    pairs = places.reshape(-1, 2).astype(np.int64)
    person = lfw.person[rows]
    judged = np.unique(pairs[np.isin(folds, tested)])
    many, many_same = _many_pairs(person, judged, seed)
    notes = (
        "heads and the ensemble of the package were fitted on photos of View 1, the ensemble on "
        "these ones, too",
    )
    return PairsOf(
        f"LFW, View {view}",
        tuple(lfw.path(int(row)) for row in rows),
        np.unique(person, return_inverse=True)[1].astype(np.int64),
        pairs,
        same,
        folds.astype(np.int64),
        tested,
        many,
        many_same,
        central=True,
        notes=notes if view == "1" else (),
    )


def _of_people(folder: str | os.PathLike[str], most: int | None, seed: int) -> PairsOf:
    people = read_people(folder)
    rng = np.random.default_rng(seed)
    person, paths = people.person, list(people.paths)
    if most is not None and len(paths) > most:
        order = rng.permutation(len(people.names))
        several = people.counts[order] > 1
        order = np.concatenate([order[several], order[~several]])
        fits = np.cumsum(people.counts[order]) <= most
        kept = np.flatnonzero(np.isin(person, order[fits]))
        paths, person = [paths[int(i)] for i in kept], person[kept]
    person = np.unique(person, return_inverse=True)[1].astype(np.int64)
    sizes = np.bincount(person)
    if (sizes > 1).sum() < 2 or len(sizes) < 4:
        raise DataError(
            f"{folder}: expected photos of at least four people, two of them with two photos, got "
            f"{len(sizes)} people, {int((sizes > 1).sum())} of them with two: add people",
        )
    fold = _person_folds(sizes, rng)
    pairs, same = _balanced(person, fold, rng)
    many, many_same = _many_pairs(person, np.arange(len(person)), seed)
    folds = fold[person[pairs[:, 0]]]
    return PairsOf(
        f"{Path(folder).absolute().name}, {len(paths):,} photos of {len(sizes):,} people",
        tuple(paths),
        person,
        pairs,
        same,
        folds,
        tuple(np.unique(folds).tolist()),
        many,
        many_same,
    )


def _person_folds(sizes: IntArray, rng: np.random.Generator) -> IntArray:
    """(P,) the fold of each person, those with several photos dealt first and evenly."""
    n_folds = min(FOLDS, int((sizes > 1).sum()), len(sizes) // 2)
    order = rng.permutation(len(sizes))
    order = order[np.argsort(-(sizes[order] > 1).astype(int), kind="stable")]
    fold = np.empty(len(sizes), np.int64)
    fold[order] = np.arange(len(sizes)) % n_folds
    return fold


def _balanced(
    person: IntArray, fold: IntArray, rng: np.random.Generator
) -> tuple[IntArray, BoolArray]:
    """Pairs within folds: those of one person, and as many of two, as far as there are any."""
    genuine, impostor = [], []
    for number in range(int(fold.max()) + 1):
        rows = np.flatnonzero(fold[person] == number)
        mine = _genuine(person, rows)
        mine = _drawn(mine, MOST_PAIRS // (int(fold.max()) + 1), rng)
        genuine.append(mine)
        impostor.append(_impostor(person, rows, len(mine), rng))
    both = np.concatenate([*genuine, *impostor])
    same = np.arange(len(both)) < sum(map(len, genuine))
    return both, same


def _many_pairs(person: IntArray, rows: IntArray, seed: int) -> tuple[IntArray, BoolArray]:
    """Pairs among ``rows``: all of one person, and of two at most ``MOST_IMPOSTORS``."""
    rng = np.random.default_rng([seed, 1])
    genuine = _drawn(_genuine(person, rows), 10 * MOST_PAIRS, rng)
    impostor = _impostor(person, rows, MOST_IMPOSTORS, rng)
    both = np.concatenate([genuine, impostor])
    return both, np.arange(len(both)) < len(genuine)


def _genuine(person: IntArray, rows: IntArray) -> IntArray:
    """(G, 2): all pairs of rows of one person."""
    order = rows[np.argsort(person[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(person[order], prepend=-1))
    parts = [np.zeros((0, 2), np.int64)]
    for mine in np.split(order, starts[1:]):
        a, b = np.triu_indices(len(mine), 1)
        parts.append(np.stack([mine[a], mine[b]], axis=1))
    return np.concatenate(parts)


def _impostor(person: IntArray, rows: IntArray, most: int, rng: np.random.Generator) -> IntArray:
    """(M, 2): different pairs of rows of two people, all or ``most`` drawn."""
    n = len(rows)
    if n * (n - 1) // 2 <= 4 * most:
        a, b = np.triu_indices(n, 1)
    else:
        codes = np.unique(rng.integers(0, n * n, 3 * most))
        a, b = np.divmod(rng.permutation(codes), n)
        a, b = a[a < b], b[a < b]
    other = person[rows[a]] != person[rows[b]]
    return _drawn(np.stack([rows[a[other]], rows[b[other]]], axis=1), most, rng)


def _drawn(pairs: IntArray, most: int, rng: np.random.Generator) -> IntArray:
    if len(pairs) <= most:
        return pairs
    return pairs[np.sort(rng.choice(len(pairs), most, replace=False))]
