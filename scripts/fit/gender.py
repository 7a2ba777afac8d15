"""Fit the logistic unit of ``lineament.attributes.gender`` on LFW View 1.

Two photos at most of each person of View 1 whose first name says whether it is a woman or a man
(``benchmarks/accuracy/looking/names.py``); both sides of each face; women and men weigh the same.
The penalty is the one of ``PENALTIES`` whose log loss on held-out people (five parts) is least;
scale and offset of the log odds are fitted on the held-out scores, so that the probabilities hold
for people whom the unit has not seen, and the offset is then set so that as many women as men are
mistaken. Printed: held-out accuracy, and what "undecided" would leave out.

Run:  python -m scripts.fit.gender ../shared/lfw      (writes data/gender.npz)
"""

from __future__ import annotations

import argparse
import sys
import zlib
from pathlib import Path

import numpy as np

from lineament import models
from lineament.attributes.age import load_age_estimator
from lineament.attributes.gender import ALIGNMENT, FILE, MODEL, GenderUnit, log_odds
from lineament.embed import load_embedder
from lineament.finder import FaceFinder

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "accuracy"))
from looking.names import labeled, people_of_view1

MOST_PHOTOS = 2
PENALTIES = (1.0, 3.0, 10.0, 30.0)
SCALE = 8.0
"""Of the embeddings, so that their spread is about that of the log odds."""

FOLDS = 5


def logistic(
    x: np.ndarray, man: np.ndarray, penalty: float, *, steps: int = 8
) -> tuple[np.ndarray, float]:
    """Weights and offset by Newton's method; both classes weigh the same."""
    share = man.mean()
    weight = np.where(man, 0.5 / share, 0.5 / (1 - share))
    rows = np.c_[x, np.ones(len(x))]
    ridge = np.eye(rows.shape[1]) * penalty
    ridge[-1, -1] = 0
    theta = np.zeros(rows.shape[1])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(rows @ theta, -30, 30)))
        gradient = rows.T @ (weight * (p - man)) + ridge @ theta
        hessian = (rows * (weight * p * (1 - p))[:, None]).T @ rows + ridge
        theta -= np.linalg.solve(hessian, gradient)
    return theta[:-1], float(theta[-1])


def held_out(x: np.ndarray, man: np.ndarray, fold: np.ndarray, penalty: float) -> np.ndarray:
    """Scores (N,) of the means of both sides, by units that have not seen the person."""
    scores = np.zeros(len(man))
    for k in range(FOLDS):
        rest = fold != k
        sides = np.concatenate([x[rest, 0], x[rest, 1]])
        weights, offset = logistic(sides, np.tile(man[rest], 2), penalty)
        scores[~rest] = x[~rest].mean(axis=1) @ weights + offset
    return scores


def log_loss(scores: np.ndarray, man: np.ndarray) -> float:
    """Mean over both classes."""
    losses = np.log1p(np.exp(-np.where(man, scores, -scores)))
    return float(losses[man].mean() + losses[~man].mean()) / 2


def balanced(scores: np.ndarray, man: np.ndarray) -> float:
    """The threshold at which as many women as men are mistaken."""
    tried = np.quantile(scores, np.linspace(0.02, 0.98, 961))
    gaps = [abs((scores[man] > t).mean() - (scores[~man] <= t).mean()) for t in tried]
    return float(tried[int(np.argmin(gaps))])


def fit(odds: np.ndarray, vectors: np.ndarray, man: np.ndarray, people: list[str]) -> GenderUnit:
    """Fit the unit.

    Args:
        odds: (N, 2), the network's log odds of both sides.
        vectors: (N, 2, 512), embeddings of both sides.
        man: (N,) bool.
        people: (N,) names.
    """
    x = np.concatenate([odds[..., None], vectors * SCALE], axis=2)
    fold = np.array([zlib.crc32(name.encode()) % FOLDS for name in people])
    losses = {p: log_loss(held_out(x, man, fold, p), man) for p in PENALTIES}
    penalty = min(losses, key=lambda p: losses[p])
    scores = held_out(x, man, fold, penalty)
    (slope,), _ = logistic(scores[:, None], man, 1e-3)
    middle = balanced(scores, man)
    report(scores - middle, slope, man)
    sides = np.concatenate([x[:, 0], x[:, 1]])
    weights, offset = logistic(sides, np.tile(man, 2), penalty)
    print(f"penalty {penalty:g}, slope {slope:.3f}, middle {middle:.3f}")
    return GenderUnit(
        weights[1:] * SCALE * slope, float(weights[0] * slope), float((offset - middle) * slope)
    )


def report(scores: np.ndarray, slope: float, man: np.ndarray) -> None:
    """Say how good it is on people held out."""
    right = (scores > 0) == man
    print(f"held out: {right.mean():.4f}, men {right[man].mean():.4f}, ", end="")
    print(f"women {right[~man].mean():.4f}")
    certain = 1 / (1 + np.exp(-np.abs(scores * slope)))
    for least in (0.6, 0.7, 0.8, 0.9, 0.95):
        said = certain >= least
        print(
            f"  from {least}: undecided men {1 - said[man].mean():.3f}, women "
            f"{1 - said[~man].mean():.3f}; wrong of the rest: men "
            f"{1 - right[said & man].mean():.4f}, women {1 - right[said & ~man].mean():.4f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    view1 = people_of_view1(options.folder)
    man_of = labeled(sorted(view1))
    paths = [
        path
        for person in man_of
        for path in sorted((options.folder / "images" / person).glob("*.jpg"))[:MOST_PHOTOS]
    ]
    finder, ages = FaceFinder(choose="central"), load_age_estimator()
    embedder = load_embedder(models.get(MODEL), flip=False, alignment=ALIGNMENT)
    odds, vectors, man, people = [], [], [], []
    for path, photo in zip(paths, finder.stream(paths, keep_pixels=True), strict=True):
        if photo.face is None or photo.index is None:
            continue
        crop = finder.crops(photo, [photo.index], alignment=ALIGNMENT)
        both = np.concatenate([crop, crop[:, :, ::-1]])
        seen = ages.read_crops(both)
        odds.append(log_odds(seen.male))
        vectors.append(embedder.embed(both)[0])
        people.append(path.parent.name)
        man.append(man_of[path.parent.name])
    print(f"{len(people)} photos of {len(set(people))} people, {sum(man)} of men")
    fit(np.stack(odds), np.stack(vectors), np.array(man), people).save(FILE)


if __name__ == "__main__":
    main()
