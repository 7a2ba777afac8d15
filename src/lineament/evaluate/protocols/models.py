"""Every model x metric x alignment on the same photos: which one is best for them.

    compare_models()   a folder of people, or LFW -> ``ModelComparison``: a row for each way

A face is found once, cut out once for each alignment, and embedded once for each model and
alignment; the metrics are then arithmetic. The package's ensemble stands below the models.

- ``accuracy``: pairs are judged with the threshold of other people's pairs (LFW: of the other folds
  or of View 1's training pairs), as many pairs of one person as of two;
- ``tar_at_fmr``: the true accept rate where one in a thousand pairs of two people is let in, over
  all pairs among the photos (at most 200,000, drawn). Its interval is a bootstrap over
  people, with the threshold drawn anew; None with fewer than 30,000 such pairs (the rule of 30);
- ``ms``: milliseconds of processor time to embed one face, the models in turn on the same crops;
  finding the face comes before it and is the same for all.

A photo without a face stays in: its pairs are less alike than all others. All rates are shares.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from lineament import models as registry
from lineament.align.alignment import METHODS
from lineament.arguments import checked
from lineament.decide.calibration import RULE_OF_30, supported
from lineament.decide.fusion import Fusion, Side, features_of
from lineament.decide.metrics import METRIC_NAMES, SIAMESE, Metric, get_metric
from lineament.decide.siamese import find_head
from lineament.detect import DEFAULT_DETECTOR
from lineament.ensemble import Ensemble
from lineament.errors import ContractError, DataError, OptionError
from lineament.evaluate.metrics import (
    accuracy,
    allowed_matches,
    best_threshold,
    interval_of_rate,
    threshold_at_fmr,
)
from lineament.evaluate.protocols._model_embeddings import (
    Embeddings,
    Way,
    embedded_by,
    ensemble_of,
    loaded,
    times_of,
)
from lineament.evaluate.protocols._model_pairs import PairsOf, read_pairs_of
from lineament.evaluate.protocols.verification import scores_by, without_faces
from lineament.finder import FaceFinder
from lineament.models import Card, LicensePolicy
from lineament.models.runtime import Runtime
from lineament.results import Outcome
from lineament.types import BoolArray, Contract, Flip, FloatArray, IntArray, StageProgress

FMR: Final = 1e-3

DRAWS: Final = 200
"""Of the bootstrap over people."""


@dataclass(frozen=True, slots=True)
class ModelRow(Outcome):
    """One way to compare faces, and what it is worth; shares 0 to 1.

    Attributes:
        model: name of the model, or of the ensemble.
        metric: how embeddings are compared.
        alignment: how faces are cut out, as contracts name it: "arcface-112".
        flip: whether the mirror image is embedded, too.
        accuracy: of pairs judged with a threshold of other people.
        accuracy_interval: 95 %, Wilson, as if pairs were independent.
        tar: true accept rate at a false match rate of 1e-3; None: too few pairs.
        tar_interval: 95 %, over people; None with ``tar``.
        ms: milliseconds of processor time to embed a face.
        megabytes: of the model's files, 10^6 bytes.
        license: SPDX identifier of the weights.
        commercial_use: whether it allows that: "yes", "no" or "unknown".
    """

    model: str
    metric: str
    alignment: str
    flip: Flip
    accuracy: float
    accuracy_interval: tuple[float, float]
    tar: float | None
    tar_interval: tuple[float, float] | None
    ms: float
    megabytes: float
    license: str
    commercial_use: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "model": self.model,
            "metric": self.metric,
            "alignment": self.alignment,
            "flip": self.flip,
            "accuracy": round(self.accuracy, 6),
            "accuracy_interval": [round(end, 6) for end in self.accuracy_interval],
            "tar_at_fmr_1e-3": None if self.tar is None else round(self.tar, 6),
            "tar_interval": (
                None if self.tar_interval is None else [round(end, 6) for end in self.tar_interval]
            ),
            "ms": round(self.ms, 3),
            "megabytes": round(self.megabytes, 3),
            "license": self.license,
            "commercial_use": self.commercial_use,
        }


@dataclass(frozen=True, eq=False, slots=True)
class ModelComparison(Outcome):
    """All rows, the most accurate first, the ensemble last.

    Attributes:
        rows: one for each model, alignment and metric.
        data: what they were measured on, in words.
        n_photos, n_faces_found: how many photos, and in how many a face was found.
        n_people: who is in them.
        n_pairs: judged for the accuracy.
        n_genuine_pairs, n_impostor_pairs: behind the true accept rate.
        notes: what the reader must know: what was left out and why, among other things.
    """

    rows: tuple[ModelRow, ...]
    data: str
    n_photos: int
    n_faces_found: int
    n_people: int
    n_pairs: int
    n_genuine_pairs: int
    n_impostor_pairs: int
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """How many rows."""
        return len(self.rows)

    def __iter__(self) -> Iterator[ModelRow]:
        """The rows in their order."""
        return iter(self.rows)

    def __repr__(self) -> str:
        """In short."""
        best = f", best {self.rows[0].model}" if self.rows else ""
        return f"ModelComparison({len(self.rows)} ways on {self.data}{best})"

    def to_rows(self) -> list[dict[str, Any]]:
        """The rows as plain values: what ``lineament models compare --json`` prints."""
        return [row.to_dict() for row in self.rows]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "data": self.data,
            "n_photos": self.n_photos,
            "n_faces_found": self.n_faces_found,
            "n_people": self.n_people,
            "n_pairs": self.n_pairs,
            "n_genuine_pairs": self.n_genuine_pairs,
            "n_impostor_pairs": self.n_impostor_pairs,
            "rows": self.to_rows(),
            "notes": list(self.notes),
        }


# --- scores -> figures ----------------------------------------------------------------------------


def held_out_accuracy(scores: FloatArray, of: PairsOf) -> tuple[int, int]:
    """Pairs judged rightly, and judged at all, each fold by the threshold of the others."""
    right = total = 0
    for fold in of.tested:
        mine = of.folds == fold
        at = best_threshold(scores[~mine], of.same[~mine])
        right += round(accuracy(scores[mine], of.same[mine], at) * int(mine.sum()))
        total += int(mine.sum())
    return right, total


def tar_with_interval(
    scores: FloatArray, same: BoolArray, people: IntArray, *, seed: int = 0
) -> tuple[float, tuple[float, float]] | None:
    """The true accept rate at ``FMR`` with its 95 % interval; None: too few pairs.

    Args:
        scores: (M,) higher is more alike.
        same: (M,) bool.
        people: (M, 2) who is in each pair, 0 to P - 1.
        seed: of the bootstrap: people are drawn anew, a pair counts as often as both of its people
            together (Poh, Martin, Bengio, 2007, the subset bootstrap, in both people here).
    """
    genuine, impostor = scores[same], scores[~same]
    if not len(genuine) or not supported(FMR, len(impostor)):
        return None
    value = float((genuine >= threshold_at_fmr(impostor, FMR)).mean())
    rng = np.random.default_rng(seed)
    n = int(people.max()) + 1
    allowed = allowed_matches(FMR, len(impostor))
    # The highest impostor pairs, enough for replicas that draw more of them.
    top = np.argsort(-impostor, kind="stable")[: min(len(impostor), 4 * allowed + 100)]
    high, pairs, owner = impostor[top], people[~same], people[same][:, 0]
    shares = []
    for _ in range(DRAWS):
        times = np.bincount(rng.integers(0, n, n), minlength=n)
        weights = times[pairs[:, 0]] * times[pairs[:, 1]]
        over = np.cumsum(weights[top]) > FMR * weights.sum()
        limit = high[int(np.argmax(over))] if over.any() else high[-1]
        mine = times[owner]
        if mine.sum():
            shares.append(float(mine[genuine > limit].sum() / mine.sum()))
    low, high_end = np.quantile(shares, [0.025, 0.975])
    return value, (min(value, float(low)), max(value, float(high_end)))


# --- the whole ------------------------------------------------------------------------------------


@checked
def compare_models(
    folder: str | os.PathLike[str],
    *,
    models: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    alignments: Sequence[str] | None = None,
    view: str = "1",
    most: int | None = None,
    ensemble: bool = True,
    detector: str = DEFAULT_DETECTOR,
    seed: int = 0,
    runtime: Runtime | None = None,
    policy: LicensePolicy | None = None,
    progress: StageProgress | None = None,
) -> ModelComparison:
    """Compare every available model with every metric and alignment on the same photos.

    Args:
        folder: one folder per person, or LFW (with ``pairs.txt`` and the lists of View 1).
        models: names; None: all that are on this machine and that the policy allows, those of
            manifests and plugins among them.
        metrics: names, see ``decide.metrics``; None: all. "siamese" where a model has it.
        alignments: "five-points", "eyes", "crop", "frontal"; None: the first three.
        view: of LFW: "1" for choosing, "2" for reporting what was chosen.
        most: of one folder per person: photos at most.
        ensemble: whether the package's ensemble is measured, too.
        detector: that finds the faces.
        seed: of what is drawn.
        runtime, policy: as ``Recognizer`` takes them.
        progress: called with what is being done, how much of it, and all.

    Raises:
        DataError: the folder does not hold what is needed, or no face was found.
        OptionError: an unknown model, metric or alignment, or nothing is left to compare.
        WeightsError: a model that was named cannot be used.
    """
    tell: StageProgress = _silent if progress is None else progress
    wanted = _checked_names(metrics, METRIC_NAMES, "metrics")
    methods = _checked_names(alignments, (*METHODS, "frontal"), "alignments", METHODS)
    policy = LicensePolicy.active() if policy is None else policy
    of = read_pairs_of(folder, view=view, most=most, seed=seed)  # type: ignore[arg-type]
    notes = list(of.notes)
    finder = FaceFinder(
        detector, choose="central" if of.central else "largest", runtime=runtime, policy=policy
    )
    ways = loaded(models, methods, runtime, policy, notes)  # type: ignore[arg-type]
    fused = (
        ensemble_of(finder, policy, asked=False, notes=notes)
        if ensemble and models is None
        else None
    )
    if not ways:
        raise OptionError("expected a model to compare, got none", option="models")
    compared = {way.contract.id: [(m, _metric(way, m, wanted)) for m in wanted] for way in ways}
    if metrics is not None and not any(m for found in compared.values() for _, m in found):
        names = ", ".join(dict.fromkeys(way.card.name for way in ways))
        raise OptionError(
            f"expected a metric that a model has, got {', '.join(wanted)}: none of {names} has a "
            "learned similarity",
            option="metrics",
        )
    embedders = {way.contract.id: way.embedder for way in ways}
    members = [] if fused is None else list(fused.embedders)
    embedders |= {member.contract.id: member for member in members}
    made, found, crops, unreadable = embedded_by(finder, of.photos, embedders, tell)
    if not found.any():
        raise DataError(f"{folder}: expected photos with faces, found none in {len(found):,}")
    if unreadable:
        notes.append(f"{unreadable:,} photos could not be read: their pairs are called different")
    ms = times_of(ways, members, crops, tell)
    rows: list[ModelRow] = []
    total = len(ways) + (fused is not None)
    for number, way in enumerate(ways):
        rows += _rows_of(way, compared[way.contract.id], made, found, of, ms, seed)
        tell("comparing", number + 1, total)
    rows.sort(key=lambda row: (-row.accuracy, -(row.tar or 0), row.ms))
    if fused is not None:
        rows.append(_fused_row(fused, made, found, of, ms, seed))
        tell("comparing", total, total)
    n_impostor = int((~of.many_same).sum())
    if not supported(FMR, n_impostor):
        notes.append(
            f"too few pairs for a false match rate of 1e-3: {n_impostor:,} of two people, and it "
            f"takes {round(RULE_OF_30 / FMR):,} (rule of 30)"
        )
    return ModelComparison(
        rows=tuple(rows),
        data=of.data,
        n_photos=len(of.photos),
        n_faces_found=int(found.sum()),
        n_people=int(of.person.max()) + 1,
        n_pairs=int(np.isin(of.folds, of.tested).sum()),
        n_genuine_pairs=int(of.many_same.sum()),
        n_impostor_pairs=n_impostor,
        notes=tuple(notes),
    )


def _silent(what: str, done: int, total: int) -> None:
    """Nobody wants to know."""


def _checked_names(
    given: Sequence[str] | None,
    known: Iterable[str],
    option: str,
    default: Sequence[str] | None = None,
) -> list[str]:
    known = list(known)
    if given is None:
        return list(known if default is None else default)
    wrong = [name for name in given if name not in known]
    if wrong or not given:
        got = repr(wrong[0]) if wrong else "none"
        raise OptionError(f"expected some of {', '.join(known)}, got {got}", option=option)
    return list(dict.fromkeys(given))


def _metric(way: Way, name: str, wanted: Sequence[str]) -> Metric | None:
    """The metric for a model; None: it has none of that name."""
    if name != SIAMESE:
        return get_metric(name)
    try:
        head = find_head(way.contract, way.card)
    except ContractError:  # it is for the model's own alignment
        return None
    return None if head is None else head.metric


def _rows_of(
    way: Way,
    compared: Sequence[tuple[str, Metric | None]],
    made: Mapping[str, Embeddings],
    found: BoolArray,
    of: PairsOf,
    ms: Mapping[str, float],
    seed: int,
) -> Iterator[ModelRow]:
    own = made[way.contract.id]
    tars: dict[str, Any] = {}
    for name, metric in compared:
        if metric is None:
            continue
        scores = scores_by(metric, *own, found, of.pairs)
        # These three order all pairs alike.
        kind = "cosine" if name in ("euclidean_l2", "angular") else name
        if kind not in tars:
            like = get_metric("cosine") if kind == "cosine" else metric
            many = scores_by(like, *own, found, of.many)
            tars[kind] = tar_with_interval(many, of.many_same, of.person[of.many], seed=seed)
        yield _row(
            way.card.name,
            name,
            way.contract,
            held_out_accuracy(scores, of),
            tars[kind],
            ms[way.card.name],
            [way.card],
        )


def _fused_row(
    fused: Ensemble,
    made: Mapping[str, Embeddings],
    found: BoolArray,
    of: PairsOf,
    ms: Mapping[str, float],
    seed: int,
) -> ModelRow:
    sides = [Side(*made[member.contract.id]) for member in fused.embedders]
    scores, many = (
        _fused_scores(fused.spec.fusion, sides, found, pairs) for pairs in (of.pairs, of.many)
    )
    return _row(
        fused.name,
        fused.spec.kind,
        fused.contract,
        held_out_accuracy(scores, of),
        tar_with_interval(many, of.many_same, of.person[of.many], seed=seed),
        sum(value for key, value in ms.items() if key.startswith("member ")),
        [registry.get(member.name) for member in fused.spec.members],
    )


def _fused_scores(
    fusion: Fusion, sides: Sequence[Side], found: BoolArray, pairs: IntArray
) -> FloatArray:
    seen: BoolArray = found[pairs[:, 0]] & found[pairs[:, 1]]
    scores = np.zeros(len(pairs), np.float32)
    if seen.any():
        left, right = pairs[seen].T
        scores[seen] = fusion.fuse(features_of(sides, left, right))
    return without_faces(scores, seen)


def _row(
    model: str,
    metric: str,
    contract: Contract,
    judged: tuple[int, int],
    tar: tuple[float, tuple[float, float]] | None,
    ms: float,
    cards: Sequence[Card],
) -> ModelRow:
    right, total = judged
    uses = [card.commercial_use for card in cards]
    return ModelRow(
        model=model,
        metric=metric,
        alignment=contract.alignment,
        flip=contract.flip,
        accuracy=right / total,
        accuracy_interval=interval_of_rate(right, total),
        tar=None if tar is None else tar[0],
        tar_interval=None if tar is None else tar[1],
        ms=ms,
        megabytes=sum(card.bytes for card in cards) / 1e6,
        license=" and ".join(dict.fromkeys(card.license_weights for card in cards)),
        commercial_use=next((u for u in ("no", "unknown") if u in uses), "yes"),
    )
