"""Models of ``compare_models``: loaded, photos embedded by all of them at once, and timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from lineament import models as registry
from lineament.align.alignment import AlignMethod, alignment_of
from lineament.embed import BATCH, Embedder, check_flip, embed_faces, load_embedder
from lineament.ensemble import Ensemble
from lineament.errors import OptionError, WeightsError
from lineament.finder import FaceFinder
from lineament.models import PRESETS, Card, LicensePolicy
from lineament.models.runtime import Runtime
from lineament.types import BoolArray, Contract, Flip, FloatArray, Image, Photo, StageProgress

TIMED_CROPS: Final = 8
TIMED_ROUNDS: Final = 7


@dataclass(frozen=True, eq=False)
class Way:
    """A model with an alignment, loaded."""

    card: Card
    embedder: Embedder
    own: bool

    @property
    def contract(self) -> Contract:
        return self.embedder.contract


def _flip_of(card: Card) -> Flip:
    """As the presets have it: the mirror image where the model was made with it."""
    if card.members:
        return card.mirrored
    return any(preset == (card.name, True) for preset in PRESETS.values())


def loaded(
    names: Sequence[str] | None,
    alignments: Sequence[AlignMethod],
    runtime: Runtime | None,
    policy: LicensePolicy,
    notes: list[str],
) -> list[Way]:
    """Every model with every alignment; what cannot be used is noted, unless it was named."""
    ways: list[Way] = []
    cards = registry.entries("embedder") if names is None else [registry.get(n) for n in names]
    for card in cards:
        if card.task != "embedder":
            raise OptionError(
                f"expected recognizers, got {card.name}, a {card.task} network", option="models"
            )
        try:
            if names is None and not registry.is_present(card):
                notes.append(f"{card.name} was left out: its file is not on this machine")
                continue
            policy.check(card)
            flip = _flip_of(card)
            check_flip(card, flip)
            size_wh = card.input.size_wh
            own = str(alignment_of(card.alignment, size_wh))
            for method in alignments:
                name = str(alignment_of(card.alignment, size_wh, method))
                if any(w.card is card and w.contract.alignment == name for w in ways):
                    continue
                embedder = load_embedder(
                    card, flip=flip, alignment=name, runtime=runtime, policy=policy
                )
                ways.append(Way(card, embedder, name == own))
        except WeightsError as error:
            if names is not None:
                raise
            ways = [way for way in ways if way.card is not card]
            notes.append(f"{card.name} was left out: {error}")
    return ways


def ensemble_of(
    finder: FaceFinder, policy: LicensePolicy, *, asked: bool, notes: list[str]
) -> Ensemble | None:
    try:
        ensemble = Ensemble.load(finder=finder, policy=policy)
        _ = ensemble.embedders
    except WeightsError as error:
        if asked:
            raise
        notes.append(f"the ensemble was left out: {error}")
        return None
    return ensemble


# --- photos -> embeddings -------------------------------------------------------------------------


class Embeddings(NamedTuple):
    """(N, D) unit vectors and (N,) norms of one contract."""

    vectors: FloatArray
    norms: FloatArray


def embedded_by(
    finder: FaceFinder,
    photos: Sequence[Path],
    embedders: Mapping[str, Embedder],
    progress: StageProgress,
) -> tuple[dict[str, Embeddings], BoolArray, dict[str, Image], int]:
    """Every photo's face by every embedder.

    Returns:
        The embeddings by id of contract; (N,) where a face was found; some crops by alignment, for
        the clock; how many photos could not be read.
    """
    n = len(photos)
    made = {
        key: Embeddings(np.zeros((n, e.contract.dimension), np.float32), np.zeros(n, np.float32))
        for key, e in embedders.items()
    }
    found = np.zeros(n, bool)
    samples: dict[str, list[Image]] = {}
    ready: list[tuple[int, Photo]] = []
    unreadable = 0

    def embed() -> None:
        if not ready:
            return
        rows = [row for row, _ in ready]
        landmarks = [photo.faces[photo.chosen[0]].landmarks_xy for _, photo in ready]
        cut: dict[str, Image] = {}
        for key, embedder in embedders.items():
            name = embedder.contract.alignment
            if name not in cut:
                cut[name] = np.concatenate(
                    [finder.crops(photo, photo.chosen, alignment=name) for _, photo in ready]
                )
                kept = samples.setdefault(name, [])
                kept += list(cut[name][: TIMED_CROPS - len(kept)])
            vectors, norms = embed_faces(embedder, cut[name], landmarks)
            made[key].vectors[rows], made[key].norms[rows] = vectors, norms
        found[rows] = True
        ready.clear()

    with closing(finder.stream(iter(photos), keep_pixels=True)) as stream:
        for row, photo in enumerate(stream):
            if photo.problem is None:
                ready.append((row, photo))
            unreadable += photo.error is not None
            if len(ready) >= BATCH or finder.is_enough([each for _, each in ready]):
                embed()
            progress("finding and embedding", row + 1, n)
    embed()
    return made, found, {name: np.stack(kept) for name, kept in samples.items()}, unreadable


def _timed(
    callers: Mapping[str, Callable[[], object]], n_crops: Mapping[str, int], progress: StageProgress
) -> dict[str, float]:
    """Median milliseconds of processor time a face, all in turn in each round."""
    spent: dict[str, list[float]] = {key: [] for key in callers}
    for number in range(TIMED_ROUNDS):
        for key, call in callers.items():
            started = time.process_time()
            call()
            spent[key].append(1000 * (time.process_time() - started) / n_crops[key])
        progress("timing", number + 1, TIMED_ROUNDS)
    return {key: float(np.median(values[1:])) for key, values in spent.items()}


def times_of(
    ways: Sequence[Way],
    members: Sequence[Embedder],
    crops: Mapping[str, Image],
    progress: StageProgress,
) -> dict[str, float]:
    """Milliseconds a face: of models by their names, of the ensemble's members by "member N"."""
    callers: dict[str, Callable[[], object]] = {}
    counts: dict[str, int] = {}
    timed = [(way.card.name, way.embedder) for way in sorted(ways, key=lambda w: not w.own)]
    timed += [(f"member {i}", embedder) for i, embedder in enumerate(members)]
    for name, embedder in timed:
        if name not in callers:
            some = crops[embedder.contract.alignment]
            callers[name], counts[name] = _caller(embedder, some), len(some)
    return _timed(callers, counts, progress)


def _caller(embedder: Embedder, crops: Image) -> Callable[[], object]:
    return lambda: embedder.embed(crops)
