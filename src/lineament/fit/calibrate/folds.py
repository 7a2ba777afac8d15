"""Cross-validation, its folds of people: a test pair has both of its people in one fold."""

from __future__ import annotations

import numpy as np

from lineament.decide.calibration import RULE_OF_3, Method
from lineament.evaluate.scoring import cllr
from lineament.fit.calibrate.likelihood import fit_curve
from lineament.fit.calibrate.pairs import BINS, Counts
from lineament.types import Float64Array, IntArray


def drawn_folds(sizes: IntArray, folds: int, random: np.random.Generator) -> IntArray:
    """(P,) which fold each person is in; those with several photos are spread evenly."""
    fold = np.empty(len(sizes), np.int64)
    order = random.permutation(len(sizes))
    order = order[np.argsort(-(sizes[order] > 1).astype(int), kind="stable")]
    fold[order] = np.arange(len(sizes)) % folds
    return fold


def unseen_shares(people_with_pairs: int, people: int) -> tuple[float, float]:
    """Shares that the rule of three allows for what was not seen: of genuine, impostor pairs.

    In units of people, and of pairs of people: several photos of one person are no new
    evidence of what strangers look like.
    """
    pairs = people * (people - 1) / 2
    return min(0.5, RULE_OF_3 / people_with_pairs), min(0.5, RULE_OF_3 / pairs)


def cross_validated(
    counts: Counts, fold: IntArray, folds: int, sizes: IntArray
) -> tuple[dict[Method, float], dict[Method, tuple[Float64Array, Float64Array, Float64Array]]]:
    """Cllr by method; and, over all test folds, LLRs with the pairs that got them."""
    of_pair = fold[counts.genuine_person]
    bins = counts.bin_of(counts.genuine_score)
    genuine = np.bincount(of_pair * BINS + bins, minlength=folds * BINS).reshape(folds, BINS)
    names: tuple[Method, Method] = ("logistic", "isotonic")
    llrs: dict[Method, list[Float64Array]] = {name: [] for name in names}
    test_impostor = []
    for k in range(folds):
        rest = np.arange(folds) != k
        unseen = unseen_shares(int((sizes[fold != k] > 1).sum()), int((fold != k).sum()))
        train = (
            genuine[rest].sum(0).astype(np.float64),
            counts.impostor[np.ix_(rest, rest)].sum((0, 1)),
        )
        test_impostor.append(counts.impostor[k, k])
        for name in names:
            llrs[name].append(fit_curve(name, counts.alike, *train, unseen)(counts.alike))
    g, i = genuine.ravel().astype(np.float64), np.concatenate(test_impostor)
    tested = {name: (np.concatenate(parts), g, i) for name, parts in llrs.items()}
    costs = {
        name: cllr(llr, llr, genuine_weights=g, impostor_weights=i)
        for name, (llr, _, _) in tested.items()
    }
    return costs, tested
