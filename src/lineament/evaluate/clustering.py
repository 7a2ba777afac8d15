"""How well faces were grouped, against who they are: pairwise and BCubed rates. NumPy only.

- Pairwise: over all pairs of items. Precision is the share of the pairs that were put together
  that belong together, recall the share of those that belong together that were put together. A
  person with 500 photos has 125,000 pairs, and so most of the say.
- BCubed (Bagga and Baldwin, 1998): precision of an item is the share of its cluster that shows its
  person, recall the share of its person's items that are in its cluster, both with the item itself;
  the mean over the items. Every photo counts the same.

F1 is the harmonic mean of the two. Both are in Amigo et al., "A comparison of extrinsic clustering
evaluation metrics", 2009.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from lineament.errors import OptionError
from lineament.results import Outcome


@dataclass(frozen=True, slots=True)
class ClusteringReport(Outcome):
    """Rates, shares of 0 to 1.

    Attributes:
        items, people, clusters: how many.
        pairwise_precision: 1 when nothing was put together.
        pairwise_recall: 1 when nothing belongs together.
        pairwise_f1: their harmonic mean.
        bcubed_precision, bcubed_recall, bcubed_f1: the same by items.
    """

    items: int
    people: int
    clusters: int
    pairwise_precision: float
    pairwise_recall: float
    pairwise_f1: float
    bcubed_precision: float
    bcubed_recall: float
    bcubed_f1: float

    def to_dict(self) -> dict[str, float]:
        """Plain numbers, ready for JSON."""
        return asdict(self)


def clustering_report(people: npt.ArrayLike, clusters: npt.ArrayLike) -> ClusteringReport:
    """Compare clusters with the truth.

    Args:
        people: (N,) who each item shows: whole numbers or text.
        clusters: (N,) which cluster it was put into.

    Raises:
        OptionError: no items, or not one of each.
    """
    truth, found = np.asarray(people), np.asarray(clusters)
    if truth.ndim != 1 or truth.shape != found.shape or len(truth) == 0:
        raise OptionError(
            "expected a person and a cluster for each of at least one item, got shapes "
            f"{truth.shape} and {found.shape}"
        )
    _, person, of_person = np.unique(truth, return_inverse=True, return_counts=True)
    _, cluster, of_cluster = np.unique(found, return_inverse=True, return_counts=True)
    both = person.astype(np.int64) * len(of_cluster) + cluster
    _, shared, of_both = np.unique(both, return_inverse=True, return_counts=True)
    together, right, belong = (_pairs(c) for c in (of_cluster, of_both, of_person))
    precision = right / together if together else 1.0
    recall = right / belong if belong else 1.0
    by_item = of_both[shared]
    item_precision = float(np.mean(by_item / of_cluster[cluster]))
    item_recall = float(np.mean(by_item / of_person[person]))
    return ClusteringReport(
        items=len(truth),
        people=len(of_person),
        clusters=len(of_cluster),
        pairwise_precision=precision,
        pairwise_recall=recall,
        pairwise_f1=_harmonic(precision, recall),
        bcubed_precision=item_precision,
        bcubed_recall=item_recall,
        bcubed_f1=_harmonic(item_precision, item_recall),
    )


def _pairs(counts: npt.NDArray[np.int64]) -> int:
    sizes = counts.astype(np.int64)
    return int((sizes * (sizes - 1) // 2).sum())


def _harmonic(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b > 0 else 0.0
