"""Fit a learned similarity (siamese head) for bundled recognizers, and say what it gains or loses.

A logistic unit over |u - v| of unit embeddings, or over their chi-square form, is fitted on pairs
of the people of View 1's training list and judged on those of its test list, who are others: no
person is in both. All pairs of one person count, the most alike pairs of two (``HARD`` of them,
which decide at low false match rates) and as many others, drawn, each for as many as it stands for.
Both kinds weigh the same. No weight may be above 0, so that faces that differ more are never more
alike; a ridge holds the weights together, and form and ridge are chosen by folds of the training
people. View 2 plays no part.

The thresholds of the metric go into the model's calibration: from all pairs of the test list's
photos, whose people the head has never seen. ``scripts.fit.calibrations`` comes before this.

Run:  python -m scripts.fit.siamese_heads ../shared/lfw [--most N] [--dry] [NAME ...]

``--most N``: only the first N photos, in a fixed order of chance, a third of them to judge by.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rich.progress import track
from scipy.optimize import minimize

from lineament import models
from lineament.datasets.lfw import LFW, read_lfw
from lineament.datasets.source import RecognizerSource
from lineament.decide.calibration import Calibration, bundled_name
from lineament.decide.metrics import get_metric
from lineament.decide.siamese import SiameseHead
from lineament.evaluate.metrics import accuracy, best_threshold, tar_at_fmr
from lineament.models import Card, HeadFile
from lineament.pipeline import Recognizer
from lineament.types import Contract
from scripts.fit.calibrations import RATES, flips_of, threshold

NAMES = ("sface-int8", "mobilefacenet-int8", "sface-mobilefacenet-int8")
KINDS = (("absolute", "unit"), ("chi-square", "non-negative"))
RIDGES = (1e-3, 1e-2, 1e-1, 1.0)
HARD = 15_000
DRAWN = 15_000
MOST_GENUINE = 12_000
FOLDS = 3
SEED = 0
FMRS = (1e-2, 1e-3, 1e-4)
DATA = "LFW View 1, training people"

Rows = npt.NDArray[np.int64]


class Pairs(NamedTuple):
    """(P, 2) rows, (P,) whether of one person, and (P,) how many pairs each stands for."""

    rows: Rows
    same: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float64]


def order_of(lfw: LFW) -> list[int]:
    """The photos of View 1 by people: one of the test list, two of the training list, and so on."""
    rng = np.random.default_rng(SEED)
    lists: list[list[list[int]]] = []
    for part in (lfw.view1_test, lfw.view1_train):
        rows = np.unique(part.indices)
        people = rng.permutation(np.unique(lfw.person[rows]))
        lists.append([rows[lfw.person[rows] == one].tolist() for one in people])
    first, others = lists
    found: list[int] = []
    for i in range(max(len(first), (len(others) + 1) // 2)):
        for mine in (*first[i : i + 1], *others[2 * i : 2 * i + 2]):
            found += mine
    return found


def pairs_of(unit: np.ndarray, person: Rows, rng: np.random.Generator) -> Pairs:
    """Pairs to fit on, the most alike of two people among them."""
    a, b = np.triu_indices(len(person), 1)
    same = person[a] == person[b]
    genuine, impostor = np.flatnonzero(same), np.flatnonzero(~same)
    if len(genuine) > MOST_GENUINE:
        genuine = rng.choice(genuine, MOST_GENUINE, replace=False)
    cosines = np.concatenate(
        [
            np.einsum("nd,nd->n", unit[a[part]], unit[b[part]])
            for part in np.array_split(impostor, 1 + len(impostor) // 100_000)
        ]
    )
    order = np.argsort(-cosines, kind="stable")
    hard, rest = impostor[order[:HARD]], impostor[order[HARD:]]
    drawn = rng.choice(rest, min(DRAWN, len(rest)), replace=False)
    places = np.concatenate([genuine, hard, drawn])
    # Half of the impostors' weight is that of the hard ones.
    weight = np.concatenate(
        [
            np.full(len(genuine), 1 / len(genuine)),
            np.full(len(hard), 0.5 / len(hard)),
            np.full(len(drawn), 0.5 / max(1, len(drawn))),
        ]
    )
    return Pairs(np.stack([a[places], b[places]], 1), same[places], weight)


def terms_of(head: SiameseHead, unit: np.ndarray, rows: Rows) -> np.ndarray:
    """(P, D): what the weights are multiplied with."""
    f, g = head.featured(unit[rows[:, 0]]), head.featured(unit[rows[:, 1]])
    apart = np.abs(f - g)
    if head.form == "absolute":
        return apart
    both = f + g
    return apart * np.divide(apart, both, out=np.zeros_like(both), where=both > 0)


def fit_weights(terms: np.ndarray, pairs: Pairs, ridge: float) -> tuple[np.ndarray, float]:
    """Weights of at most 0, and the offset: weighted logistic regression, L-BFGS-B."""
    scale = float(terms.mean()) * terms.shape[1]
    x = terms / np.float32(scale)  # rows sum to about 1
    sign = np.where(pairs.same, -1.0, 1.0)
    weight = pairs.weight / 2
    d = x.shape[1]

    def cost(values: np.ndarray) -> tuple[float, np.ndarray]:
        alpha, beta = values[:-1], values[-1]
        z = sign * (x @ alpha.astype(np.float32) + beta)
        slope = weight * sign * np.exp(-np.logaddexp(0, -z))
        off = alpha - alpha.mean()
        loss = float(weight @ np.logaddexp(0, z)) + ridge * float(off @ off) / (2 * d * 100)
        gradient = slope.astype(np.float32) @ x + ridge * off / (d * 100)
        return loss, np.append(gradient, slope.sum())

    start = np.append(np.full(d, -20.0), 15.0)
    bounds = [(None, 0.0)] * d + [(None, None)]
    found = minimize(
        cost, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 300}
    )
    return (found.x[:-1] / scale).astype(np.float32), float(found.x[-1])


def empty(contract: Contract, form: str, features: str) -> SiameseHead:
    alpha = np.zeros(contract.dimension, np.float32)
    return SiameseHead(contract, form, features, alpha, 0.0, DATA)  # type: ignore[arg-type]


def fitted(
    contract: Contract, kind: tuple[str, str], ridge: float, unit: np.ndarray, pairs: Pairs
) -> SiameseHead:
    head = empty(contract, *kind)
    alpha, beta = fit_weights(terms_of(head, unit, pairs.rows), pairs, ridge)
    return replace(head, alpha=np.round(alpha, 5), beta=round(beta, 4))


def all_scores(
    unit: np.ndarray, person: Rows, head: SiameseHead | None
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of all genuine and of all impostor pairs."""
    metric = get_metric("cosine") if head is None else head.metric
    genuine, impostor = [], []
    for start in range(0, len(unit), 128):
        scores = metric.matrix(unit[start : start + 128], unit[start:])
        same = person[start : start + 128, None] == person[None, start:]
        later = np.arange(scores.shape[1])[None] > np.arange(scores.shape[0])[:, None]
        genuine.append(scores[same & later])
        impostor.append(scores[~same & later])
    return np.concatenate(genuine), np.concatenate(impostor)


def rates(unit: np.ndarray, person: Rows, head: SiameseHead | None) -> dict[str, float]:
    genuine, impostor = all_scores(unit, person, head)
    tars = tar_at_fmr(genuine, impostor, FMRS)
    return {f"{fmr:.0e}".replace("e-0", "e-"): float(t) for fmr, t in zip(FMRS, tars, strict=True)}


def chosen(
    contract: Contract, unit: np.ndarray, person: Rows
) -> tuple[tuple[str, str], float, dict[str, float]]:
    """The form and ridge with the highest TAR at 1e-3 on the fold that was left out."""
    rng = np.random.default_rng(SEED)
    people = np.unique(person)
    fold = dict(zip(people.tolist(), (rng.permutation(len(people)) % FOLDS).tolist(), strict=True))
    folds = np.array([fold[int(one)] for one in person])
    found: dict[tuple[tuple[str, str], float], list[float]] = {}
    for number in range(FOLDS):
        fit_rows, test_rows = np.flatnonzero(folds != number), np.flatnonzero(folds == number)
        pairs = pairs_of(unit[fit_rows], person[fit_rows], np.random.default_rng(SEED))
        for kind in KINDS:
            for ridge in RIDGES:
                head = fitted(contract, kind, ridge, unit[fit_rows], pairs)
                tar = rates(unit[test_rows], person[test_rows], head)["1e-3"]
                found.setdefault((kind, ridge), []).append(tar)
    means = {key: float(np.mean(values)) for key, values in found.items()}
    best = max(means, key=lambda key: means[key])
    told = {f"{kind[0]}, ridge {ridge:g}": round(tar, 4) for (kind, ridge), tar in means.items()}
    return (*best, told)


def judged(
    lfw: LFW, rows: Rows, unit: np.ndarray, person: Rows, head: SiameseHead | None, test: Rows
) -> dict[str, float]:
    """On the test list: accuracy of its pairs that are there, TAR over all pairs of its photos."""
    place = {int(row): i for i, row in enumerate(rows)}

    def pair_scores(pairs: Rows, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        there = np.array([int(a) in place and int(b) in place for a, b in pairs])
        at = np.array([[place[int(a)], place[int(b)]] for a, b in pairs[there]]).reshape(-1, 2)
        metric = get_metric("cosine") if head is None else head.metric
        return metric.rows(unit[at[:, 0]], unit[at[:, 1]]), same[there]

    train, tested = (
        pair_scores(part.indices, part.same) for part in (lfw.view1_train, lfw.view1_test)
    )
    found = {"accuracy": accuracy(*tested, best_threshold(*train)), "n_pairs": len(tested[1])}
    return found | rates(unit[test], person[test], head)


def write(card: Card, head: SiameseHead, unit: np.ndarray, person: Rows) -> None:
    """The head beside the model, its name in the card, its thresholds in the calibration."""
    file = "siamese.npz"
    head.save(card.folder / file)
    values = card.replace(siamese=HeadFile(file, head.sha256)).to_dict()
    text = json.dumps(values, indent=1, ensure_ascii=False) + "\n"
    (card.folder / "card.json").write_text(text, encoding="utf-8")
    path = card.folder / bundled_name(head.contract.flip)
    known = Calibration.load(path)
    _, impostor = all_scores(unit, person, head)
    own = tuple(
        (rate, threshold(impostor, rate, head.metric))
        for rate in RATES
        if rate * len(impostor) >= 30
    )
    metrics = {**known.metrics, "siamese": own}
    replace(known, metrics=metrics, head_sha256=head.sha256).save(path)


def run(
    lfw: LFW, name: str, rows: Rows, source: RecognizerSource, *, dry: bool
) -> dict[str, object]:
    """One model."""
    embedded = source.photos([lfw.path(int(row)) for row in rows])
    rows, unit = rows[embedded.found], embedded.vectors[embedded.found]
    person = lfw.person[rows]
    in_test = np.isin(rows, np.unique(lfw.view1_test.indices))
    train, test = np.flatnonzero(~in_test), np.flatnonzero(in_test)
    assert not set(person[train]) & set(person[test]), "people are in one list only"
    contract = source.recognizer.embedder.contract
    kind, ridge, tried = chosen(contract, unit[train], person[train])
    pairs = pairs_of(unit[train], person[train], np.random.default_rng(SEED))
    head = fitted(contract, kind, ridge, unit[train], pairs)
    card = models.get(name)
    if not dry:
        write(card, head, unit[test], person[test])
    return {
        "model": name,
        "form": kind[0],
        "ridge": ridge,
        "n_photos_fitted": len(train),
        "n_photos_judged": len(test),
        "bytes": len(head.to_bytes()),
        "weights_at_0": float((head.alpha == 0).mean()),
        "tried": tried,
        "cosine": judged(lfw, rows, unit, person, None, test),
        "siamese": judged(lfw, rows, unit, person, head, test),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lfw")
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--most", type=int)
    parser.add_argument("--dry", action="store_true", help="write nothing")
    given = parser.parse_args(arguments)
    lfw = read_lfw(given.lfw)
    rows = np.array(order_of(lfw)[: given.most], np.int64)
    for name in given.names or NAMES:
        flip = flips_of(models.get(name))[0]
        recognizer = Recognizer(name, choose="central", flip=flip)
        source = RecognizerSource(
            recognizer, progress=lambda items, total, what: track(items, what, total=total)
        )
        print(json.dumps(run(lfw, name, rows, source, dry=given.dry)))


if __name__ == "__main__":
    main()
