"""What an int8 recognizer costs, and what it gains: accuracy and speed beside the original's."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lineament.embed.network import BATCH, NetworkEmbedder
from lineament.errors import ExportError, WeightsError
from lineament.evaluate.metrics import auc, tar_at_fmr
from lineament.text import per_cent
from lineament.types import FloatArray, Image, StageProgress

LEAST_SAME, LEAST_DIFFERENT = 1000, 3000
"""Pairs needed to judge by verification: ``MOST_LOSS`` of 1,000 is ten pairs, not one or two."""

FMRS = (1e-4, 1e-3, 1e-2)
"""The lowest of them is taken at which at least thirty of the pairs of two people match."""


@dataclass(frozen=True, slots=True)
class VerificationChange:
    """What both networks make of the same pairs; rates are shares, 0 to 1.

    Attributes:
        fmr: the false match rate at which ``tar_...`` holds, each network with its own threshold.
        same_pairs, different_pairs: pairs of one person, and of two.
        tar_before, tar_after: true accept rate.
        auc_before, auc_after: area under the ROC curve.
    """

    fmr: float
    same_pairs: int
    different_pairs: int
    tar_before: float
    tar_after: float
    auc_before: float
    auc_after: float

    @property
    def loss(self) -> float:
        """TAR lost; below 0 where the int8 network does better."""
        return self.tar_before - self.tar_after


@dataclass(frozen=True, slots=True)
class Agreement:
    """How much the int8 embeddings differ from those of the network it was made from.

    Attributes:
        crops: how many were compared, none of which was calibrated on.
        mean_cosine, least_cosine: between the two embeddings of a crop.
        verification: None without names, or with too few pairs.
    """

    crops: int
    mean_cosine: float
    least_cosine: float
    verification: VerificationChange | None


@dataclass(frozen=True, slots=True)
class Speed:
    """From crops to embeddings, both networks in turn, call by call.

    Attributes:
        batch: crops in one call.
        before_ms, after_ms: milliseconds a crop, medians.
        speedup: the ratio of the medians.
        low, high: the 10th and 90th percentile of the ratios of neighboring calls.
    """

    batch: int
    before_ms: float
    after_ms: float
    speedup: float
    low: float
    high: float


def agreement_of(
    before: NetworkEmbedder,
    after: NetworkEmbedder,
    crops: Image,
    people: Sequence[Hashable] | None,
    progress: StageProgress | None,
) -> Agreement:
    """Compare the embeddings of both on ``crops`` (N, S, S, 3); ``people``: N names, if known.

    Raises:
        ExportError: the int8 network makes vectors of no length, or that are no numbers.
    """
    dimension = before.contract.dimension
    vectors = np.zeros((2, len(crops), dimension), np.float32)
    for start in range(0, len(crops), BATCH):
        rows = slice(start, start + BATCH)
        for which, embedder in enumerate((before, after)):
            try:
                vectors[which, rows] = embedder.embed(crops[rows])[0]
            except WeightsError as error:
                raise ExportError(
                    f"{before.weights.name}: embeddings in int8 are of no use ({error}); "
                    "nothing was written"
                ) from error
        if progress is not None:
            progress("checking", min(start + BATCH, len(crops)), len(crops))
    cosines = np.einsum("nd,nd->n", vectors[0], vectors[1], dtype=np.float64)
    return Agreement(
        crops=len(crops),
        mean_cosine=float(cosines.mean()),
        least_cosine=float(cosines.min()),
        verification=None if people is None else verification_of(vectors, people),
    )


def verification_of(vectors: FloatArray, people: Sequence[Hashable]) -> VerificationChange | None:
    """Of all pairs; ``vectors`` (2, N, D): before and after. None where they are too few."""
    numbers = {whom: number for number, whom in enumerate(dict.fromkeys(people))}
    person = np.array([numbers[whom] for whom in people])
    a, b = np.triu_indices(len(person), 1)
    same: npt.NDArray[np.bool_] = person[a] == person[b]
    genuine = int(same.sum())
    impostor = len(same) - genuine
    if genuine < LEAST_SAME or impostor < LEAST_DIFFERENT:
        return None
    fmr = next(fmr for fmr in FMRS if fmr * impostor >= 30)
    scores = [(rows @ rows.T)[a, b] for rows in vectors]  # (N, D) @ (D, N) -> pairs
    tars = [float(tar_at_fmr(row[same], row[~same], (fmr,))[0]) for row in scores]
    areas = [auc(row, same) for row in scores]
    return VerificationChange(fmr, genuine, impostor, *tars, *areas)


def refuse_loss(name: str, agreement: Agreement, max_loss: float, min_cosine: float) -> None:
    """Raise ExportError where too much is lost: by verification if there is one, else by cosine."""
    verification = agreement.verification
    remedy = "nothing was written. Calibrate on more photos, of the kind that it will see"
    if verification is not None:
        if verification.loss > max_loss:
            raise ExportError(
                f"{name}: expected int8 to lose at most {100 * max_loss:g} points of TAR at FMR "
                f"{verification.fmr:g}, got {100 * verification.loss:.2f} "
                f"({per_cent(verification.tar_before, 2)} before, "
                f"{per_cent(verification.tar_after, 2)} after, {verification.same_pairs:,} pairs "
                f"of one person); {remedy}"
            )
    elif not agreement.mean_cosine >= min_cosine:
        raise ExportError(
            f"{name}: expected int8 embeddings with a mean cosine of at least {min_cosine:g} to "
            f"the original's, got {agreement.mean_cosine:.4f} on {agreement.crops:,} crops; "
            f"{remedy}"
        )


def speed_of(
    before: NetworkEmbedder,
    after: NetworkEmbedder,
    crops: Image,
    batch: int,
    progress: StageProgress | None,
    *,
    rounds: int = 60,
    seconds: float = 4.0,
) -> Speed:
    """Time both in turn, so that whatever else the machine does slows both."""
    some = crops[np.arange(batch) % len(crops)]
    for embedder in (before, after):
        for _ in range(3):
            embedder.embed(some)
    taken: list[tuple[float, float]] = []
    started = time.perf_counter()
    while len(taken) < rounds and (len(taken) < 5 or time.perf_counter() - started < seconds):
        first = time.perf_counter()
        before.embed(some)
        middle = time.perf_counter()
        after.embed(some)
        taken.append((middle - first, time.perf_counter() - middle))
        if progress is not None:
            progress(f"timing, {batch} at once", len(taken), rounds)
    times = np.array(taken)  # (rounds, 2) seconds
    medians = np.median(times, axis=0)
    low, high = np.quantile(times[:, 0] / times[:, 1], [0.1, 0.9])
    return Speed(
        batch=batch,
        before_ms=float(1000 * medians[0] / batch),
        after_ms=float(1000 * medians[1] / batch),
        speedup=float(medians[0] / medians[1]),
        low=float(low),
        high=float(high),
    )
