"""Verification while training: pairs of people that are not trained with; and that it is so.

View 1 of LFW is made for this: it chooses, View 2 reports. Accuracy is by folds, each with the
threshold that is best on the others; FMR and TAR are those of ``lineament.evaluate.metrics``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from lineament.datasets.people_folder import plain
from lineament.datasets.text import read_text
from lineament.errors import DataError, OptionError, TrainError
from lineament.evaluate.metrics import (
    accuracy,
    auc,
    best_threshold,
    kfold_accuracy,
    tar_at_fmr,
)
from lineament.train.data import FaceSet, Selection, open_faces
from lineament.train.data.augment import NOTHING
from lineament.train.data.crops import Crops
from lineament.train.data.leakage import evaluation_people, leakage
from lineament.types import NO_FACE_SCORE, BoolArray, IntArray

if TYPE_CHECKING:
    from lineament.train.backbones.backbone import Backbone
    from lineament.train.config import LeakageOptions, VerifyOptions

FOLDS = 10
FMRS = {"tar_at_fmr_1e-2": 1e-2, "tar_at_fmr_1e-3": 1e-3}
BATCH = 64
KEPT_BYTES = 1 << 30
"""Crops to verify with are read once and kept, up to this: 28,000 of 112 pixels."""

MOST_PAIRS = 6000
"""Of each kind that are drawn among held-out people; LFW's View 2 has 3,000."""

MOST_MISSING = 0.05
"""Share of a list's pairs without a crop, no face having been found, that is tolerated."""

Named = tuple[str, int]
"""A person, and the number of a photo."""


@dataclass(frozen=True)
class NamedPair:
    """One line of a list of pairs."""

    first: Named
    second: Named

    @property
    def same(self) -> bool:
        """Whether both show one person."""
        return self.first[0] == self.second[0]


class PairVerification:
    """Pairs to verify, and their crops.

    Attributes:
        pairs: (M, 2) int64, numbers of photos; -1 where there is no crop.
        same: (M,) bool.
        people: names of those in the photos.
        notes: sentences for the user.
    """

    def __init__(
        self, faces: FaceSet, pairs: IntArray, same: BoolArray, notes: Sequence[str] = ()
    ) -> None:
        """Take pairs of photos of ``faces``; DataError unless there are some of each kind."""
        if not same.any() or same.all():
            raise DataError(
                f"verification: expected pairs of one person and of two, got {int(same.sum())} and "
                f"{int((~same).sum())}"
            )
        self.pairs, self.same = pairs, same
        self.notes = tuple(notes)
        self._used = np.unique(pairs[pairs >= 0])
        self._faces = faces
        self.people = tuple(faces.people[i] for i in np.unique(faces.labels[self._used]))
        self._crops: Crops | None = None
        self._kept: dict[int, Tensor] = {}

    def measure(self, backbone: Backbone, device: torch.device) -> dict[str, float]:
        """Verify with a network in evaluation mode.

        Returns:
            "accuracy", "auc" and TAR at each of ``FMRS``, shares from 0 to 1.

        Raises:
            DataError: a crop cannot be read.
            TrainError: the network returned something that is no vector.
        """
        vectors = self._embedded(backbone, device)  # (photos, D)
        scores = np.einsum("md,md->m", vectors[self.pairs[:, 0]], vectors[self.pairs[:, 1]])
        scores[(self.pairs < 0).any(axis=1)] = NO_FACE_SCORE
        same = self.same
        tars = tar_at_fmr(scores[same], scores[~same], FMRS.values())
        return {
            "accuracy": accuracy_by_folds(scores, same),
            "auc": auc(scores, same),
            **dict(zip(FMRS, map(float, tars), strict=True)),
        }

    @torch.no_grad()
    def _embedded(self, backbone: Backbone, device: torch.device) -> npt.NDArray[np.float32]:
        if self._crops is None or self._crops.size_px != backbone.size_px:
            self._crops, self._kept = Crops(self._faces, backbone.size_px, NOTHING), {}
        table = np.zeros((len(self._faces), backbone.dimension), np.float32)
        for start in range(0, len(self._used), BATCH):
            places = self._used[start : start + BATCH]
            crops = torch.stack([self._crop(int(i)) for i in places]).to(device)
            vectors = functional.normalize(backbone(crops.float()).float())  # (n, D)
            table[places] = vectors.cpu().numpy()
        if not np.isfinite(table).all():
            raise TrainError("verification: the network returned numbers that are not finite")
        return table

    def _crop(self, index: int) -> Tensor:
        found = self._kept.get(index)
        if found is None:
            assert self._crops is not None
            found = self._crops.item(0, index, 0).plain
            if found.numel() * len(self._used) <= KEPT_BYTES:
                self._kept[index] = found
        return found


def accuracy_by_folds(scores: npt.NDArray[np.float32], same: BoolArray) -> float:
    """The mean accuracy, 0 to 1, over ten folds, each with the best threshold of the other nine.

    Every tenth genuine and every tenth impostor pair make a fold; a few are left out so that folds
    are equal. With fewer than ten pairs of a kind: the best threshold on all of them.
    """
    folds = []
    for kind in (same, ~same):
        each = int(kind.sum()) // FOLDS
        folds.append(np.flatnonzero(kind)[: each * FOLDS].reshape(each, FOLDS).T)  # (10, each)
    if min(part.shape[1] for part in folds) == 0:
        return accuracy(scores, same, best_threshold(scores, same))
    places = np.concatenate(folds, axis=1)  # (10, M / 10)
    return float(kfold_accuracy(scores[places], same[places]).mean)


def open_verification(options: VerifyOptions) -> PairVerification | None:
    """The pairs that a configuration names, or None.

    Raises:
        DataError: the list or the crops cannot be read, or do not belong together.
    """
    if options.pairs == "":
        return None
    faces = open_faces(options.images)
    named = read_pairs(options.pairs)
    index = photo_numbers(faces)
    table = np.array([[index.get(p.first, -1), index.get(p.second, -1)] for p in named], np.int64)
    missing = (table < 0).any(axis=1)
    if missing.mean() > MOST_MISSING:
        first = next(
            name
            for pair, places in zip(named, table, strict=True)
            for name, place in zip((pair.first, pair.second), places, strict=True)
            if place < 0
        )
        raise DataError(
            f"verify.pairs: {options.images} has no crop for {int(missing.sum()):,} of "
            f"{len(named):,} pairs of {options.pairs}: the first is photo {first[1]} of "
            f"{first[0]}; expected as PERSON/PERSON_0001.jpg or PERSON/1.jpg"
        )
    notes = []
    if missing.any():
        notes.append(
            f"verification: {int(missing.sum()):,} of {len(named):,} pairs have no crop and are "
            "called different"
        )
    return PairVerification(faces, table, np.array([pair.same for pair in named], bool), notes)


def read_pairs(path: str | Path) -> list[NamedPair]:
    """Read a list of pairs as LFW has them.

    Lines are "name n m", two photos of one person, or "name1 n name2 m", with tabs or spaces
    between. A first line of one or two numbers, and empty lines, are passed over.

    Raises:
        DataError: it cannot be read, or a line is laid out otherwise; the message names it.
    """
    lines = read_text(Path(path)).splitlines()
    pairs: list[NamedPair] = []
    for number, line in enumerate(lines, 1):
        parts = [part.strip() for part in (line.split("\t") if "\t" in line else line.split())]
        if parts in ([], [""]) or (number == 1 and len(parts) <= 2 and all(map(_whole, parts))):
            continue
        if len(parts) == 3 and _whole(parts[1]) and _whole(parts[2]):
            one = plain(parts[0])
            pairs.append(NamedPair((one, int(parts[1])), (one, int(parts[2]))))
        elif len(parts) == 4 and _whole(parts[1]) and _whole(parts[3]):
            first, second = (plain(parts[0]), int(parts[1])), (plain(parts[2]), int(parts[3]))
            pairs.append(NamedPair(first, second))
        else:
            raise DataError(
                f"{path}, line {number}: expected 'name n m' or 'name1 n name2 m', got {line!r}"
            )
    if not pairs:
        raise DataError(f"{path}: expected a list of pairs, found none in it")
    return pairs


def photo_numbers(faces: FaceSet) -> dict[Named, int]:
    """Photos by person and number: Ann/Ann_0003.jpg and Ann/3.jpg are both Ann's third."""
    found: dict[Named, int] = {}
    for i, label in enumerate(faces.labels.tolist()):
        person = plain(faces.people[label])
        rest = plain(Path(faces.name(i)).stem).removeprefix(person)
        digits = re.search(r"\d+", rest)
        if digits is not None:
            found.setdefault((person, int(digits.group())), i)
    return found


def hold_out(faces: FaceSet, share: float, seed: int) -> tuple[FaceSet, PairVerification]:
    """Split people in two: those to train with, and pairs of the others.

    Args:
        faces: the training set.
        share: of the people to hold out, at least two, and of those with two photos or more.
        seed: chooses them, and the impostor pairs.

    Raises:
        DataError: fewer than two people can be held out, or are left.
    """
    random = np.random.default_rng([7, seed])
    counts = np.bincount(faces.labels, minlength=len(faces.people))
    able = np.flatnonzero(counts >= 2)
    wanted = max(2, round(share * len(faces.people)))
    if len(able) < wanted or len(faces.people) - wanted < 2:
        raise DataError(
            f"verify.people: expected {wanted} people with two photos or more to hold out, "
            f"and two others to train with, found {len(able)} of {len(faces.people)}"
        )
    held = np.sort(random.permutation(able)[:wanted])
    out = np.isin(faces.labels, held)
    others = Selection(faces, np.flatnonzero(out))
    genuine = np.array(
        [
            (int(a), int(b))
            for person in range(len(others.people))
            for photos in [np.flatnonzero(others.labels == person)]
            for i, a in enumerate(photos[:-1])
            for b in photos[i + 1 :]
        ],
        np.int64,
    )
    if len(genuine) > MOST_PAIRS:
        genuine = genuine[np.sort(random.permutation(len(genuine))[:MOST_PAIRS])]
    impostor = _impostors(others.labels, random)
    pairs = np.concatenate([genuine, impostor])
    same = np.arange(len(pairs)) < len(genuine)
    note = (
        f"verification: {len(held)} of {len(faces.people)} people are held out, with "
        f"{len(genuine):,} genuine and {len(impostor):,} impostor pairs"
    )
    return Selection(faces, np.flatnonzero(~out)), PairVerification(others, pairs, same, [note])


def _impostors(labels: IntArray, random: np.random.Generator) -> IntArray:
    """All pairs of two people, or ``MOST_PAIRS`` of them by chance, each once; (M, 2)."""
    count = len(labels)
    if count * (count - 1) // 2 <= 1 << 20:
        a, b = np.triu_indices(count, 1)
        pairs = np.stack([a, b], axis=1)[labels[a] != labels[b]]
        if len(pairs) > MOST_PAIRS:
            pairs = pairs[np.sort(random.permutation(len(pairs))[:MOST_PAIRS])]
        small: IntArray = pairs.astype(np.int64)
        return small
    drawn = np.sort(random.integers(0, count, (8 * MOST_PAIRS, 2)), axis=1)
    drawn = np.unique(drawn[labels[drawn[:, 0]] != labels[drawn[:, 1]]], axis=0)
    chosen: IntArray = drawn[np.sort(random.permutation(len(drawn))[:MOST_PAIRS])]
    return chosen


def without_leaks(
    faces: FaceSet,
    options: LeakageOptions,
    verification: PairVerification | None,
    note: Callable[[str], None],
) -> tuple[FaceSet, dict[str, Any]]:
    """Look for people of evaluation sets in the training set, and do what ``options`` say.

    Returns:
        The training set, smaller where people are dropped; and what was found, for the run's
        report.

    Raises:
        DataError: there are some and the action is "refuse", or nobody is left.
    """
    sets: dict[str, Iterable[str]] = {}
    if verification is not None:
        sets["verify"] = verification.people
    for path in options.against:
        if not Path(path).exists():
            raise OptionError(f"there is no file or folder {path}", option="leakage.against")
        sets[path] = evaluation_people(path)
    found: dict[str, Any] = {}
    leaking: set[str] = set()
    for name, people in sets.items():
        leak = leakage(faces.people, tuple(people))
        if leak.numbered and not leak.found:
            note(f"leakage, {name}: {leak.message}")
        shared = list(dict.fromkeys(trained for trained, _ in leak.shared))
        found[name] = shared
        leaking.update(shared)
        if shared:
            few = ", ".join(shared[:5]) + (", ..." if len(shared) > 5 else "")
            text = (
                f"leakage: {len(shared)} people of {name} are in the training set: {few}; figures "
                "measured there are too good"
            )
            if options.action == "refuse":
                raise DataError(f"{text}; leave them out with leakage.action = drop")
            note(text if options.action == "warn" else f"{text}; they are left out of training")
    if not leaking or options.action != "drop":
        return faces, found
    keep = np.array([name not in leaking for name in faces.people], bool)[faces.labels]
    if not keep.any():
        raise DataError("leakage: everybody in the training set is in an evaluation set")
    return Selection(faces, np.flatnonzero(keep)), found


def _whole(text: str) -> bool:
    return text.isascii() and text.isdigit()
