"""Fit the package's own calibrations on LFW View 1, and write each into its model's folder.

For each bundled embedder, with and without the mirror image: all pairs of the 4,992 photos that
View 1 names. View 2 plays no part. One fit holds all thresholds: those of the cosine with their
intervals, from which those of euclidean_l2 and angular follow, and those of the other metrics, from
the scores of the same pairs. Rates below 1e-5 are not fitted for these: fewer than 30 false matches
would stand behind them (the rule of 30, Doddington et al. 2000). Equal input gives equal files.

Run:  python -m scripts.fit.calibrations ../shared/lfw [NAME ...]
"""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import numpy as np
from rich.progress import track

from lineament import models
from lineament.datasets.lfw import read_lfw
from lineament.decide.calibration import bundled_name
from lineament.decide.metrics import DEFAULT_METRIC, METRICS, Metric
from lineament.embed import load_embedder
from lineament.evaluate.protocols.lfw import images_of
from lineament.fit.calibrate import fit
from lineament.models import Card
from lineament.pipeline import Recognizer
from lineament.types import Contract

DATA = "LFW View 1"
SEED = 1
RATES = (1e-2, 1e-3, 1e-4, 1e-5)
NORM_LIMITS = {"sface": 10.0, "mobilefacenet": 2.58}
"""Of recognizers without an estimate of recognizability: below it, with View 1's photos made worse,
more than a tenth of the genuine pairs were missed, or strangers matched."""
DIGITS = 5


def impostor_scores(vectors: np.ndarray, person: np.ndarray, metric: Metric) -> np.ndarray:
    """Scores of all pairs of two people, each pair once."""
    parts = []
    for start in range(0, len(vectors), 256):
        rows = metric.matrix(vectors[start : start + 256], vectors[start:])
        other = person[start : start + 256, None] != person[None, start:]
        later = np.arange(rows.shape[1])[None] > np.arange(rows.shape[0])[:, None]
        parts.append(rows[other & later])
    return np.concatenate(parts)


def threshold(scores: np.ndarray, rate: float, metric: Metric) -> float:
    """The loosest threshold, rounded to the strict side, that lets no more than ``rate`` in."""
    allowed = math.floor(rate * len(scores))
    sign = 1 if metric.higher_is_more_alike else -1
    # The first score that must stay out; anything past it will do.
    limit = sign * float(np.partition(-sign * scores, allowed)[allowed] * -1)
    scale = 10**DIGITS
    strict = math.floor(limit * scale) + 1 if sign > 0 else math.ceil(limit * scale) - 1
    return strict / scale


def flips_of(card: Card) -> tuple[bool, ...]:
    """What the card can be asked for: a joined one may be of one kind only."""
    if card.mirrored:
        return (True,)
    return (False,) if card.norm_term is not None else (False, True)


def write(
    card: Card, contract: Contract, unit: np.ndarray, norms: np.ndarray, person: np.ndarray
) -> None:
    """Fit and write one calibration.

    Args:
        card: whose folder it belongs to.
        contract: of the embeddings.
        unit, norms: (N, D) and (N,) of View 1's photos.
        person: (N,) who is who.
    """
    made = fit(
        unit, person, contract=contract, data=DATA, metric=DEFAULT_METRIC, seed=SEED
    ).calibration
    metrics = {}
    for name in ("euclidean", "chi_square"):
        metric = METRICS[name]
        scores = impostor_scores(unit if metric.unit else unit * norms[:, None], person, metric)
        metrics[name] = tuple((rate, threshold(scores, rate, metric)) for rate in RATES)
    target = card.folder / bundled_name(contract.flip)
    norm = NORM_LIMITS.get(card.name)
    replace(made, metrics=metrics, quality={} if norm is None else {"least_norm": norm}).save(
        target
    )
    print(
        f"{card.name}/{target.name}: {made.method}, Cllr {made.cllr:.4f} "
        f"(least {made.min_cllr:.4f}), ECE {made.ece:.2%}, {len(made.score)} knots, "
        f"{target.stat().st_size:,} bytes"
    )


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    cards = [models.get(name) for name in sys.argv[2:]] or models.entries("embedder")
    lfw = read_lfw(sys.argv[1])
    rows = images_of(lfw, ("1",))
    person = lfw.person[rows]
    for card in cards:
        crops = []
        chosen = Recognizer(card, choose="central").stream_chosen(lfw.path(int(i)) for i in rows)
        for item in track(chosen, f"{card.name}: detect and align", total=len(rows)):
            if item.error is not None:
                raise item.error
            crops.append(item.crop)
        for flip in flips_of(card):
            embedder = load_embedder(card, flip=flip)
            parts = [
                embedder.embed(np.stack(crops[start : start + 256]))
                for start in track(range(0, len(crops), 256), f"{card.name} flip={flip}")
            ]
            unit = np.concatenate([vectors for vectors, _ in parts])
            norms = np.concatenate([norms for _, norms in parts])
            write(card, embedder.contract, unit, norms, person)


if __name__ == "__main__":
    main()
