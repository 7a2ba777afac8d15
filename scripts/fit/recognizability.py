"""Fit how much identity is left in a spoiled face, and what scores of such faces mean.

Photos of LFW's View 1 are spoiled in all the ways of ``benchmarks/accuracy/spoiling`` that are for
fitting, several times each with other strengths, colors and patterns, and embedded. Then, for each
recognizer:

1. t, the cosine that 5 % of the strangers reach whose photos were spoiled in the same way, is taken
   for each way; a network learns it from the embedding and the crop
   (``lineament.recognizability``). Clean photos have the t of clean ones;
2. for choosing limits, faces get the estimate of a network that saw neither their people nor
   their family of ways (clean faces: not their people);
3. the thresholds' rise goes by the t of both faces (``Rule``); its values are the ones that let the
   most genuine pairs and the fewest strangers of each family pass, while no more than ``MOST_COST``
   of View 1's genuine pairs of clean photos become undecided (``chosen_rule``);
4. ``lineament.fit.conditions`` fits likelihood ratios to pairs of two spoiled faces and of a
   spoiled and a clean one, all ways having equal weight; where no score passes, a score is no
   evidence;
5. the least recognizability of a single face is where more than a tenth of the genuine pairs of a
   spoiled and a clean photo are missed, as far as no more than ``MOST_CLEAN`` of clean photos lie
   below.

What was found is written into the model's folder: the estimate as ``recognizability*.npz``, the
rest into its calibration, which must be there (``scripts/fit/calibrations.py``).

Run:  python -m scripts.fit.recognizability ../shared/lfw NAME[:flip] ... --kept FOLDER [--every 2]

NAME[:flip] is a recognizer, flip "none" or "mean". ``--kept`` holds spoiled crops, by family, and
what each recognizer made of them, so that the next one takes less time. ``--every 2`` takes every
other way only. The preset "accurate" is fitted on embeddings of its int8 networks (``STAND_INS``).
Needs torch.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lineament import models
from lineament.align.alignment import align_faces
from lineament.datasets.lfw import LFW, read_lfw
from lineament.decide.calibration import Calibration, bundled_name
from lineament.decide.conditions import MOST_RISE, Conditions
from lineament.decide.thresholds import DEFAULT_FMR
from lineament.embed import Embedder, load_embedder
from lineament.evaluate.protocols.lfw import images_of
from lineament.finder import FaceFinder
from lineament.fit.conditions import fit_llr, histograms
from lineament.images import load_image
from lineament.models.runtime import Runtime
from lineament.recognizability import BASE, UNIT, Recognizability, crop_cues
from lineament.recognizability import bundled_name as estimate_name
from lineament.types import Face

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "accuracy"))
from spoiling import kinds

SEED = 3
INSTANCES, COVER_INSTANCES = 8, 10
MORE_INSTANCES, MORE_COVER_INSTANCES, PRINTED_INSTANCES = 5, 7, 3
"""Ways drawn from each family; covers have shapes, colors and patterns beside their strength, and
shapes of which there are ways already get some more in printed cloth. Families that came later are
many, and get fewer ways each."""

PEOPLE = 30
"""With two photos each, spoiled in one way, and as many strangers with one photo as a fifth."""

JITTER = 0.015
"""Of landmarks, in eye distances: a detector finds those of a spoiled face less well."""

STAND_INS = {"sface-mobilefacenet": "sface-mobilefacenet-int8"}
"""Recognizers whose networks are slow, and whose embeddings are taken in their place: both as int8,
MobileFaceNet with the mirror image alone (mean cosine 0.996)."""

HIDDEN = 64
EPOCHS = 8
BATCH = 256
CLEAN_TIMES = 3
"""Clean photos are so many times as heavy as their number."""

GROUPS = 4
CLEAN_KNOTS = (0.15, 0.07, 0.03, 0.01, 0.003)
"""Shares of clean photos whose recognizability lies below the first knots of the rise."""

RISES = (*np.round(np.arange(0, 0.06, 0.01), 2).tolist(), *(0.08, 0.1, 0.12, 0.14, 0.16, 0.18))
RISES = (*RISES, *(0.2, 0.23, 0.26, 0.3, 0.35, 0.4, MOST_RISE))
SHARE, GROWN = 0.7, 0.06
"""Two bad faces stand so far on the way from the better one's t to the worse one's: not at all
where the better one's is that of the first knot, the whole share where it is greater by ``GROWN``.
"""

GOAL, WEIGHT = 2e-4, 0.5
MOST_COST = 0.001
MOST_CLEAN = 0.001
MOST_MISSED, MOST_LOST = 0.1, 0.5
STEP = 1e-3
"""Between two knots where trust jumps."""


@dataclass(frozen=True, eq=False)
class Faces:
    """Spoiled faces, or clean ones (``way`` is -1 for all).

    ``crops`` (N, 112, 112, 3); ``photo`` (N,) numbers of LFW's images; ``way`` (N,) in which each
    was spoiled; ``family`` of each way.
    """

    crops: np.ndarray
    photo: np.ndarray
    way: np.ndarray
    family: np.ndarray


@dataclass(frozen=True, eq=False)
class Seen:
    """The same, embedded: unit vectors (N, D), norms (N,), the persons' numbers (N,)."""

    faces: Faces
    vectors: np.ndarray
    norms: np.ndarray
    person: np.ndarray


def clean_faces(lfw: LFW) -> tuple[Faces, dict[int, np.ndarray]]:
    """View 1's faces, and the landmarks of each photo."""
    finder = FaceFinder(choose="central")
    rows = images_of(lfw, ("1",))
    crops, photos, points = [], [], {}

    def cut(photo: Any) -> Any:
        if photo.index is None:
            return photo
        return replace(photo, selected=(photo.index,), crops=finder.crops(photo, [photo.index]))

    for row, photo in zip(
        rows, finder.stream([lfw.path(int(i)) for i in rows], then=cut), strict=True
    ):
        if photo.crops is None or photo.face is None:
            continue
        crops.append(photo.crops[0])
        photos.append(int(row))
        points[int(row)] = photo.face
    none = np.full(len(photos), -1)
    return Faces(np.stack(crops), np.array(photos), none, np.array([])), points


def shape_of(family: str) -> str:
    """The family's name, that of the same covers in printed cloth being the same."""
    return family.replace("printed ", "")


def is_more(family: str) -> bool:
    """Whether it is one of ``spoiling.more``, or old covers in the printed cloth of these."""
    name = family.removeprefix(kinds.COVER)
    return name in kinds.more.PIXELS or name in kinds.more.HEADS or name.startswith("printed ")


def plan(family: str) -> int:
    """How many ways to draw from a family."""
    if family.startswith(f"{kinds.COVER}printed"):
        return PRINTED_INSTANCES
    if family.startswith(kinds.COVER):
        return MORE_COVER_INSTANCES if is_more(family) else COVER_INSTANCES
    return MORE_INSTANCES if is_more(family) else INSTANCES


def spoiled_faces(lfw: LFW, points: dict[int, Any], name: str) -> Faces:
    """Faces spoiled in the ways of one family; what is drawn depends on its name alone."""
    rng = np.random.default_rng([SEED, zlib.crc32(name.encode())])
    by_person: dict[int, list[int]] = {}
    for row in points:
        by_person.setdefault(int(lfw.person[row]), []).append(row)
    several = [p for p, rows in by_person.items() if len(rows) > 1]
    everybody = list(by_person)
    crops, photo, way = [], [], []
    many = plan(name)
    for number in range(many):
        spoil = kinds.drawn(name, rng)
        chosen = rng.permutation(several)[:PEOPLE].tolist()
        rows = [r for p in chosen for r in rng.permutation(by_person[p])[:2].tolist()]
        strangers = [p for p in rng.permutation(everybody).tolist() if p not in chosen]
        rows += [by_person[p][0] for p in strangers[: PEOPLE // 5]]
        for row in rows:
            face = points[row]
            five = np.asarray(face.landmarks_xy, np.float64)
            picture = spoil(load_image(lfw.path(row)), five)
            eyes = float(np.linalg.norm(five[1] - five[0]))
            moved = five + rng.normal(0, JITTER * eyes, five.shape)
            there = replace(face, landmarks_xy=moved.astype(np.float32))
            crops.append(align_faces(picture, [there])[0])
            photo.append(row)
            way.append(number)
    return Faces(np.stack(crops), np.array(photo), np.array(way), np.full(many, name))


def made(lfw: LFW, kept: Path) -> tuple[Faces, dict[str, Faces]]:
    """Clean faces, and the spoiled ones of each family, from the folder where they are there."""
    (kept / "crops").mkdir(parents=True, exist_ok=True)
    start, points = kept / "clean.npz", {}
    if not start.is_file():
        clean, points = clean_faces(lfw)
        five = np.stack([points[int(row)].landmarks_xy for row in clean.photo])
        write_faces(start, clean, five=five)
    clean, others = read_faces(start)
    if not points:
        found = zip(clean.photo.tolist(), others["five"], strict=True)
        points = {
            row: Face(np.float32((*five.min(0), *five.max(0))), 1, five) for row, five in found
        }
    spoiled = {}
    for name in kinds.FAMILIES:
        file = kept / "crops" / f"{file_name(name)}.npz"
        if not file.is_file():
            write_faces(file, spoiled_faces(lfw, points, name))
            print(f"{name}: spoiled", flush=True)
        spoiled[name] = read_faces(file)[0]
    return clean, spoiled


KEYS = ("crops", "photo", "way", "family")


def file_name(family: str) -> str:
    return re.sub("[^a-z0-9]+", "-", family.lower())


def write_faces(file: Path, faces: Faces, **others: np.ndarray) -> None:
    """Whole or not at all: another process may make the others of the folder."""
    half = file.with_name(f"{os.getpid()}-{file.name}")
    np.savez(half, **{key: getattr(faces, key) for key in KEYS}, **others)
    half.replace(file)


def read_faces(file: Path) -> tuple[Faces, dict[str, np.ndarray]]:
    with np.load(file) as there:
        others = {key: there[key] for key in there.files if key not in KEYS}
        return Faces(*(there[key] for key in KEYS)), others


Embedded = tuple[np.ndarray, np.ndarray]
"""Unit vectors (N, D), norms (N,)."""


def embedded(crops: np.ndarray, name: str, flip: bool, kept: Path, what: str) -> Embedded:
    """Embeddings of crops, from the folder where they are there."""
    if name in STAND_INS:
        return standing_in(models.get(name), *embedded(crops, STAND_INS[name], False, kept, what))
    card = models.get(name)
    file = kept / f"{name}-{card.sha256[:8]}-{'flip' if flip else 'plain'}" / f"{what}.npz"
    if not file.is_file():
        embedder = embedder_of(name, flip)
        parts = [embedder.embed(crops[i : i + 512]) for i in range(0, len(crops), 512)]
        file.parent.mkdir(parents=True, exist_ok=True)
        vectors, norms = (np.concatenate(each) for each in zip(*parts, strict=True))
        half = file.with_name(f"{os.getpid()}-{file.name}")
        np.savez(half, v=vectors, n=norms)
        half.replace(file)
    with np.load(file) as there:
        return there["v"], there["n"]


def standing_in(card: models.Card, vectors: np.ndarray, norms: np.ndarray) -> Embedded:
    """What the int8 networks made, with the norm's coordinate of the recognizer for which it is."""
    term = card.norm_term
    if term is not None:
        deviation = np.clip((norms - term.mean) / term.sd, term.least, term.most)
        vectors = np.column_stack([vectors, term.offset - term.slope * deviation])
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), norms


@lru_cache
def embedder_of(name: str, flip: bool) -> Embedder:
    return load_embedder(
        models.get(name), flip=flip, alignment="arcface-112", runtime=Runtime(threads=1)
    )


def seen_by(
    name: str, flip: bool, lfw: LFW, clean: Faces, spoiled: dict[str, Faces], kept: Path, every: int
) -> tuple[Seen, Seen]:
    """Clean and spoiled faces, embedded."""
    vectors, norms = embedded(clean.crops, name, flip, kept, "clean")
    parts, found = [], []
    for number, (family, faces) in enumerate(spoiled.items(), 1):
        part = some(faces, every)
        found.append(embedded(part.crops, name, flip, kept, f"{file_name(family)}-{every}"))
        parts.append(part)
        if number % 10 == 0:
            print(f"{name}: {number} of {len(spoiled)} families", flush=True)
    whole = together(parts)
    return (
        Seen(clean, vectors, norms, lfw.person[clean.photo]),
        Seen(
            whole,
            np.concatenate([v for v, _ in found]),
            np.concatenate([n for _, n in found]),
            lfw.person[whole.photo],
        ),
    )


# --- the estimate ---------------------------------------------------------------------------------


def target(alike: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(alike - BASE, 0.03) / UNIT)


def alike_by_way(seen: Seen) -> np.ndarray:
    """(W,) t of each way: the mean over its faces of the cosine that 5 % of the strangers reach."""
    found = []
    for way in range(len(seen.faces.family)):
        rows = np.flatnonzero(seen.faces.way == way)
        found.append(_alike(seen.vectors[rows], seen.person[rows]))
    return np.array(found)


def _alike(vectors: np.ndarray, person: np.ndarray) -> float:
    scores = vectors @ vectors.T
    scores[person[:, None] == person[None]] = np.nan
    return float(np.nanquantile(scores, 0.95, axis=1).mean())


def network(inputs: np.ndarray, targets: np.ndarray, seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    x, y = torch.from_numpy(inputs), torch.from_numpy(targets.astype(np.float32))[:, None]
    net = nn.Sequential(
        nn.Linear(x.shape[1], HIDDEN),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(HIDDEN, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, 1),
    )
    optimizer = torch.optim.AdamW(net.parameters(), 1.5e-3, weight_decay=1e-2)
    steps = len(x) // BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * steps)
    net.train()
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for step in range(steps):
            some = order[step * BATCH : (step + 1) * BATCH]
            noisy = x[some] + 0.3 * torch.randn(len(some), x.shape[1])
            loss = ((net(noisy) - y[some]) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def layers_of(net: nn.Sequential) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    return tuple(
        (part.weight.detach().numpy().T.copy(), part.bias.detach().numpy().copy())
        for part in net
        if isinstance(part, nn.Linear)
    )


def estimates(
    clean: Seen, spoiled: Seen, start: Recognizability
) -> tuple[Recognizability, np.ndarray, np.ndarray]:
    """The estimate for use; what others, that saw neither people nor family, say of the faces."""
    t = alike_by_way(spoiled)
    inputs = [start.inputs(s.vectors, s.norms, s.faces.crops) for s in (clean, spoiled)]
    y = [np.full(len(clean.person), target(np.array(start.clean))), target(t)[spoiled.faces.way]]
    rng = np.random.default_rng(SEED)
    families = [shape_of(name) for name in spoiled.faces.family.tolist()]
    names = sorted(set(families))
    group = {name: i % GROUPS for i, name in enumerate(rng.permutation(names).tolist())}
    of_way = np.array([group[name] for name in families])[spoiled.faces.way]
    people = np.unique(np.concatenate([clean.person, spoiled.person]))
    fold = dict(zip(people.tolist(), rng.integers(0, GROUPS, len(people)).tolist(), strict=True))
    folds = [np.array([fold[p] for p in s.person.tolist()]) for s in (clean, spoiled)]

    def trained(c: np.ndarray, s: np.ndarray, seed: int) -> Recognizability:
        x = np.concatenate([inputs[1][s], *[inputs[0][c]] * CLEAN_TIMES])
        targets = np.concatenate([y[1][s], *[y[0][c]] * CLEAN_TIMES])
        return replace(start, layers=layers_of(network(x, targets, seed)))

    left = [np.empty(len(clean.person)), np.empty(len(spoiled.person))]
    for k in range(GROUPS):
        held = trained(
            np.flatnonzero(folds[0] != k), np.flatnonzero((of_way != k) & (folds[1] != k)), k
        )
        for i, mine in enumerate((folds[0] == k, of_way == k)):
            left[i][mine] = held.of_inputs(inputs[i][mine])
        print(f"group {k + 1} of {GROUPS}", flush=True)
    whole = trained(np.arange(len(clean.person)), np.arange(len(spoiled.person)), SEED)
    return whole, left[0], left[1]


# --- what follows ---------------------------------------------------------------------------------


def genuine_pairs(seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    first, second = [], []
    for person in np.unique(seen.person):
        rows = np.flatnonzero(seen.person == person)
        a, b = np.triu_indices(len(rows), 1)
        first.append(rows[a])
        second.append(rows[b])
    return np.concatenate(first), np.concatenate(second)


@dataclass(frozen=True, eq=False)
class Rule:
    """How far a threshold rises for two faces.

    ``knots`` (K,) t, ascending; ``values`` (K,) rises, from 0 to ``MOST_RISE``, with straight lines
    between; from the first knot with ``MOST_RISE`` on none passes.
    """

    knots: np.ndarray
    values: np.ndarray
    share: float = SHARE
    grown: float = GROWN

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Of pairs of faces with these t."""
        better, worse = np.minimum(a, b), np.maximum(a, b)
        bad = np.clip((better - self.knots[0]) / max(self.grown, 1e-6), 0, 1)
        at = better + self.share * bad * (worse - better)
        end = int(np.argmax(np.append(self.values, MOST_RISE) >= MOST_RISE))
        limit = self.knots[end] if end < len(self.knots) else np.inf
        found = np.interp(at, self.knots[:end], self.values[:end]) if end else np.zeros(len(at))
        return np.where(at >= limit, MOST_RISE, found)


def ways(seen: Seen, left: np.ndarray) -> Iterable[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Of each way: family, scores, whether genuine, and the recognizability of both."""
    for way, family in enumerate(seen.faces.family.tolist()):
        rows = np.flatnonzero(seen.faces.way == way)
        a, b = np.triu_indices(len(rows), 1)
        scores = (seen.vectors[rows] @ seen.vectors[rows].T)[a, b]
        same = seen.person[rows][a] == seen.person[rows][b]
        yield family, scores, same, np.stack([left[rows][a], left[rows][b]])


def chosen_rule(
    clean: Seen, spoiled: Seen, lefts: tuple[np.ndarray, np.ndarray], t: float, threshold: float
) -> Rule:
    """The rule that leaves the most genuine pairs of spoiled photos and the fewest strangers.

    What is sought is the mean over families of the share of genuine pairs that pass, less
    ``WEIGHT`` for each decade that the mean family's rate of strangers lies above ``GOAL``, while
    no more than ``MOST_COST`` of the genuine pairs of clean photos fail. One knot after the other
    takes the best of ``RISES``.
    """
    a, b = genuine_pairs(clean)
    scores = cosines(clean.vectors, a, b)
    passed = scores >= threshold
    certain, many = (scores[passed], t / lefts[0][a][passed], t / lefts[0][b][passed]), len(scores)
    strangers: dict[str, list[np.ndarray]] = {}
    own: dict[str, list[np.ndarray]] = {}
    n_strangers: dict[str, int] = {}
    n_own: dict[str, int] = {}
    for family, s, same, both in ways(spoiled, lefts[1]):
        rows, past = np.stack([s, *(t / both)]), s >= threshold
        strangers.setdefault(family, []).append(rows[:, past & ~same])
        own.setdefault(family, []).append(rows[:, past & same])
        n_strangers[family] = n_strangers.get(family, 0) + int((~same).sum())
        n_own[family] = n_own.get(family, 0) + int(same.sum())
    names = list(strangers)

    def shares(
        parts: dict[str, list[np.ndarray]], totals: dict[str, int]
    ) -> Callable[[Rule], np.ndarray]:
        rows = [np.concatenate(parts[name], axis=1) for name in names]
        s, x, y = np.concatenate(rows, axis=1)
        place = np.repeat(np.arange(len(names)), [r.shape[1] for r in rows])
        total = np.array([totals[name] for name in names])
        return lambda rule: (
            np.bincount(place[s >= threshold + rule(x, y)], minlength=len(names)) / total
        )

    rate_of, kept_of = shares(strangers, n_strangers), shares(own, n_own)

    def worth(rule: Rule) -> float:
        lost = float((certain[0] < threshold + rule(*certain[1:])).sum() / many)
        above = np.log10((rate_of(rule) + GOAL / 10) / GOAL)
        over = max(0.0, lost - MOST_COST)
        return float(kept_of(rule).mean() - WEIGHT * np.maximum(0, above).mean() - 100 * over)

    low = t / np.quantile(lefts[0], CLEAN_KNOTS)
    high = max(float(np.quantile(t / lefts[1], 0.9)), low[-1] + 0.05)
    knots = np.unique([*low, *np.linspace(low[-1], high, 10)[1:]])
    rule = Rule(knots, np.where(np.arange(len(knots)) < len(knots) - 3, 0.0, MOST_RISE))
    best, moved = worth(rule), True
    while moved:
        moved = False
        for number in range(len(knots)):
            for value in RISES:
                values = rule.values.copy()
                values[number] = value
                values[number:] = np.maximum(values[number:], value)
                values[:number] = np.minimum(values[:number], value)
                other = worth(replace(rule, values=values))
                if other > best + 1e-6:
                    rule, best, moved = replace(rule, values=values), other, True
    rate, kept = rate_of(rule), kept_of(rule)
    worst = ", ".join(f"{names[i]} {rate[i]:.1e}" for i in np.argsort(-rate)[:6])
    print(
        f"knots of t {knots.round(3).tolist()}, rises {rule.values.tolist()}: genuine pairs "
        f"that pass {kept.mean():.3f} of {kept_of(replace(rule, values=0 * knots)).mean():.3f}, "
        f"families above 5e-4: {int((rate > 5e-4).sum())} of {len(names)} ({worst})",
        flush=True,
    )
    return rule


def conditions_of(
    whole: Recognizability,
    clean: Seen,
    spoiled: Seen,
    lefts: tuple[np.ndarray, np.ndarray],
    calibration: Calibration,
    threshold: float,
) -> tuple[Conditions, dict[str, float]]:
    t = whole.clean
    rule = chosen_rule(clean, spoiled, lefts, t, threshold)
    missed = missed_pairs(clean, spoiled, lefts, threshold)
    limit, nothing = least(missed, lefts[0]), below(missed, MOST_LOST)
    used = rule.knots[: int(np.argmax(np.append(rule.values, MOST_RISE) >= MOST_RISE)) + 1]
    beyond = np.linspace(t / used[-1], 0.2, 5)[1:]
    knots = np.unique(np.round([*(t / used), *beyond, nothing - STEP, nothing, limit, 1.0], 4))
    both_t = np.broadcast_arrays(t / knots[:, None], t / knots[None])
    own = rule(both_t[0].ravel(), both_t[1].ravel()).reshape(both_t[0].shape)
    genuine = np.zeros((len(knots), len(knots), 400))
    impostor, n_genuine = genuine.copy(), np.zeros((len(knots), len(knots)))

    def add(scores: np.ndarray, same: np.ndarray, both: np.ndarray) -> None:
        nonlocal genuine, impostor, n_genuine
        if not same.any() or same.all():
            return
        mine = histograms(knots, scores[same], *both[:, same])
        others = histograms(knots, scores[~same], *both[:, ~same])
        genuine = genuine + mine / mine.sum()
        impostor = impostor + others / others.sum()
        n_genuine = n_genuine + mine.sum(axis=2)

    for _, scores, same, both in ways(spoiled, lefts[1]):
        add(scores, same, both)
    for scores, same, both in against_clean(clean, spoiled, lefts):
        add(scores, same, both)
    a, b = genuine_pairs(clean)
    rng = np.random.default_rng(SEED)
    x, y = rng.integers(0, len(clean.person), (2, 2_000_000))
    other = clean.person[x] != clean.person[y]
    x, y = x[other], y[other]
    scores = np.concatenate([cosines(clean.vectors, i, j) for i, j in ((a, b), (x, y))])
    both = np.concatenate(
        [np.stack([lefts[0][i], lefts[0][j]]) for i, j in ((a, b), (x, y))], axis=1
    )
    for _ in range(4):  # clean pairs are what most people compare
        add(scores, np.arange(len(scores)) < len(a), both)
    rise, trust = fit_llr(genuine, impostor, n_genuine, calibration.llr_of)
    # Two clean faces: the calibration's own curve. Where no score passes, or most genuine pairs
    # with a clean photo are missed, ways differ so much that a score is no evidence of a new one.
    rise[-1, -1], trust[-1, -1] = 0.0, 1.0
    worse = np.minimum(knots[:, None], knots[None])
    trust[(own >= MOST_RISE) | (worse < nothing)] = 0.0
    made_ = Conditions(
        knots=knots,
        threshold_rise=np.round(own, 4),
        llr_rise=rise,
        trust=trust,
        data=f"{calibration.data}, spoiled in {len(spoiled.faces.family)} ways",
    )
    return made_, {"least_recognizability": limit}


def cosines(vectors: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of pairs of rows, some at a time."""
    starts = range(0, len(first), 50_000)
    parts = [
        (vectors[first[i : i + 50_000]] * vectors[second[i : i + 50_000]]).sum(1) for i in starts
    ]
    return np.concatenate(parts)


def against_clean(
    clean: Seen, spoiled: Seen, lefts: tuple[np.ndarray, np.ndarray]
) -> Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each way, spoiled faces against clean ones of other photos: as ``ways``."""
    of_clean = {int(p): i for i, p in enumerate(clean.faces.photo)}
    for way in range(len(spoiled.faces.family)):
        rows = np.flatnonzero(spoiled.faces.way == way)
        them = np.array([of_clean[int(p)] for p in spoiled.faces.photo[rows]])
        use = spoiled.faces.photo[rows][:, None] != clean.faces.photo[them][None]
        scores = spoiled.vectors[rows] @ clean.vectors[them].T
        same = spoiled.person[rows][:, None] == clean.person[them][None]
        both = np.stack(np.broadcast_arrays(lefts[1][rows][:, None], lefts[0][them][None]))
        yield scores[use], same[use], both[:, use]


def missed_pairs(
    clean: Seen, spoiled: Seen, lefts: tuple[np.ndarray, np.ndarray], threshold: float
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each way: the recognizability of the spoiled face of each genuine pair, whether missed."""
    return [
        (both[0][same], scores[same] < threshold)
        for scores, same, both in against_clean(clean, spoiled, lefts)
    ]


def least(missed: list[tuple[np.ndarray, np.ndarray]], clean: np.ndarray) -> float:
    """Below it more than a tenth is missed, and few clean photos lie."""
    limit, most = below(missed, MOST_MISSED), float(np.quantile(clean, MOST_CLEAN))
    print(f"least recognizability: {limit:.3f} by misses, {most:.3f} by clean photos", flush=True)
    return round(min(limit, most), 3)


def below(missed: list[tuple[np.ndarray, np.ndarray]], share: float) -> float:
    """The recognizability below which more than that share is missed: where the excess is greatest.

    ``missed``: from ``missed_pairs``.
    """
    left = np.concatenate([m[0] for m in missed])
    weight = np.concatenate([np.full(len(m[0]), 1 / max(1, len(m[0]))) for m in missed])
    lost = np.concatenate([m[1] for m in missed])
    order = np.argsort(left)
    excess = np.cumsum((lost[order] - share) * weight[order])
    return float(left[order][int(np.argmax(excess))])


def some(spoiled: Faces, every: int) -> Faces:
    """Of one family every so many-th way only."""
    use = spoiled.way % every == 0
    return Faces(
        spoiled.crops[use], spoiled.photo[use], spoiled.way[use] // every, spoiled.family[::every]
    )


def together(parts: list[Faces]) -> Faces:
    """Ways numbered through."""
    before = np.cumsum([0, *(len(part.family) for part in parts)])
    ways_ = [part.way + start for part, start in zip(parts, before.tolist(), strict=False)]
    crops, photo, family = (
        np.concatenate([getattr(part, key) for part in parts])
        for key in ("crops", "photo", "family")
    )
    return Faces(crops, photo, np.concatenate(ways_), family)


def fit(name: str, flip: bool, lfw: LFW, kept: Path, every: int) -> None:
    card = models.get(name)
    folder = card.folder
    file = folder / bundled_name(flip)
    calibration = Calibration.load(file)
    clean, spoiled = seen_by(name, flip, lfw, *made(lfw, kept), kept, every)
    cues = crop_cues(clean.faces.crops)
    start = Recognizability(
        calibration.contract,
        float(np.log(clean.norms).mean()),
        cues.mean(0),
        cues.std(0) + 1e-6,
        (),
        _alike(clean.vectors, clean.person),
    )
    whole, *lefts = estimates(clean, spoiled, start)
    threshold = calibration.threshold(DEFAULT_FMR).plain.value
    conditions, quality = conditions_of(
        whole, clean, spoiled, (lefts[0], lefts[1]), calibration, threshold
    )
    whole.save(folder / estimate_name(flip))
    replace(calibration, conditions=conditions, quality=quality).save(file)
    print(
        f"{name}: {file.name}, {(folder / estimate_name(flip)).stat().st_size:,} bytes", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--kept", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lfw = read_lfw(options.folder)
    for each in options.names:
        name, _, flip = each.partition(":")
        fit(name, flip == "mean", lfw, options.kept, options.every)


if __name__ == "__main__":
    main()
