"""How algorithms for grouping compare, and what the constants of lineament's own rest on: LFW.

    python benchmarks/accuracy/grouping_algorithms.py DIR [--json]

"algorithms": the parameter of each is chosen on View 1 by the sum of pairwise and BCubed F1, from
the values in the code, and then taken to the people with 5 photos and more and to all of LFW.
Default recognizer, the central face of each photo; photos without a face are left out.
DBSCAN and HDBSCAN are scikit-learn's, complete linkage is SciPy's (not for all of LFW: it compares
every pair of groups). Chinese whispers (Biemann 2006) and connected components are below; these two
and DBSCAN see every pair above the threshold. DBSCAN with fewer neighbors than 2 besides the face
itself is connected components.

"edges": the graph's edges a face, with the threshold that ``lineament group`` takes.

"factors": the threshold is where one person is as probable as two, given that a face matches so
many others. Mean over five recognizers and over all of View 1's people, a quarter and a twentieth
(one, two and six draws). "fmr": the false match rate whose threshold is best on View 1, by
recognizer: it is another for each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import DBSCAN, HDBSCAN
from sklearn.neighbors import sort_graph_by_row_values

from lineament import Recognizer
from lineament.datasets.lfw import LFW, read_lfw
from lineament.datasets.source import RecognizerSource
from lineament.decide.calibration import Calibration
from lineament.errors import OptionError
from lineament.evaluate.clustering import clustering_report
from lineament.evaluate.protocols.lfw import images_of
from lineament.gallery.grouping import grouping_threshold, link
from lineament.pipeline import DEFAULT_RECOGNIZER

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, report, table, track

LEAST = 0.4
"""The least similarity of an edge; no threshold below is tried."""
WAYS = (
    ("sface", False),
    ("sface", True),
    ("mobilefacenet", False),
    ("mobilefacenet", True),
    ("dlib-resnet", False),
)
DRAWS = ((1.0, 1), (0.25, 2), (0.05, 6))
FACTORS = (0.25, 0.5, 1, 2, 4, 8, 16, 32)
FMRS = (3e-4, 1e-4, 5e-5, 2e-5, 1e-5, 5e-6)
EDGES = (8, 16, 32, 64)
WHISPERS = 20
COMPLETE_UP_TO = 6000

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Faces:
    """What is grouped: (N, D) unit vectors, who they show, and all pairs that are alike."""

    vectors: Floats
    person: Ints
    edges: csr_matrix

    @classmethod
    def of(cls, vectors: Floats, person: Ints) -> Faces:
        """Compare all with all, a block at a time."""
        rows, columns, scores = [], [], []
        for start in range(0, len(vectors), 1000):
            block = vectors[start : start + 1000] @ vectors.T
            block[np.arange(len(block)), start + np.arange(len(block))] = -1
            a, b = np.nonzero(block >= LEAST)
            rows.append(a + start)
            columns.append(b)
            scores.append(block[a, b])
        n = len(vectors)
        parts = (np.concatenate(rows), np.concatenate(columns))
        return cls(vectors, person, csr_matrix((np.concatenate(scores), parts), shape=(n, n)))

    def above(self, threshold: float) -> csr_matrix:
        """The edges from a threshold on."""
        kept = self.edges.copy()
        kept.data[kept.data < threshold] = 0
        kept.eliminate_zeros()
        return kept


def average(faces: Faces, threshold: float, start: Ints | None = None) -> Ints:
    places = np.arange(len(faces.vectors))
    return link(faces.vectors, places, threshold, start=start).first


def components(faces: Faces, threshold: float) -> Ints:
    return connected_components(faces.above(threshold), directed=False)[1].astype(np.int64)


def whispers(faces: Faces, threshold: float) -> Ints:
    """Each face takes the label that its neighbors together favor, in random order, in turns."""
    graph = faces.above(threshold)
    labels = list(range(len(faces.vectors)))
    random = np.random.default_rng(0)
    edges = [
        list(zip(graph.indices[a:b].tolist(), graph.data[a:b].tolist(), strict=True))
        for a, b in zip(graph.indptr[:-1], graph.indptr[1:], strict=True)
    ]
    for _ in range(WHISPERS):
        changed = False
        for i in random.permutation(len(labels)).tolist():
            if not edges[i]:
                continue
            votes: dict[int, float] = {}
            for other, score in edges[i]:
                votes[labels[other]] = votes.get(labels[other], 0.0) + score
            best = max(votes, key=lambda label: (votes[label], -label))
            changed = changed or best != labels[i]
            labels[i] = best
        if not changed:
            break
    return np.array(labels, np.int64)


def both(faces: Faces, fine: float, threshold: float) -> Ints:
    labels = whispers(faces, fine)
    _, first, group = np.unique(labels, return_index=True, return_inverse=True)
    return average(faces, threshold, start=first[group])


def alone(labels: npt.NDArray[Any]) -> Ints:
    """Faces that an algorithm calls noise are groups of one."""
    own = np.array(labels, np.int64)
    noise = own < 0
    own[noise] = own.max(initial=-1) + 1 + np.arange(noise.sum())
    return own


def dbscan(faces: Faces, threshold: float) -> Ints:
    near = faces.above(threshold)
    near.data = np.maximum(1 - near.data, 0)
    nearest_first = sort_graph_by_row_values(near, warn_when_not_sorted=False)
    made = DBSCAN(eps=1 - threshold, min_samples=3, metric="precomputed")
    return alone(made.fit_predict(nearest_first))


def hdbscan(faces: Faces, least: int, method: str) -> Ints:
    made = HDBSCAN(
        min_cluster_size=2,
        min_samples=least,
        cluster_selection_method=method,
        metric="euclidean",  # of unit vectors; better on View 1 than 1 - cosine
        copy=True,
    )
    return alone(made.fit_predict(faces.vectors.astype(np.float64)))


def complete(faces: Faces) -> Callable[[float], Ints]:
    scores = (faces.vectors @ faces.vectors.T)[np.triu_indices(len(faces.vectors), 1)]
    tree = linkage(np.maximum(1 - scores, 0).astype(np.float64), "complete")
    return lambda threshold: fcluster(tree, 1 - threshold, "distance").astype(np.int64)


def f1(person: Ints, groups: Ints) -> tuple[float, float]:
    report = clustering_report(person, groups)
    return report.pairwise_f1, report.bcubed_f1


def grid(low: float, high: float) -> list[tuple[Any, ...]]:
    return [(round(value, 2),) for value in np.arange(low, high + 0.005, 0.01).tolist()]


def algorithms(sets: dict[str, Faces]) -> dict[str, dict[str, Any]]:
    fine = (0.52, 0.54, 0.56, 0.58, 0.6)
    tried: dict[str, tuple[Callable[..., Ints], list[tuple[Any, ...]]]] = {
        "average linkage": (average, grid(0.44, 0.54)),
        "Chinese whispers, then average linkage": (
            both,
            [(a, b) for a in fine for b in (0.46, 0.48, 0.5)],
        ),
        "Chinese whispers": (whispers, grid(0.46, 0.58)),
        "connected components": (components, grid(0.46, 0.6)),
        "DBSCAN, 2 neighbours": (dbscan, grid(0.44, 0.58)),
        "complete linkage": (complete, grid(0.4, 0.52)),
        "HDBSCAN, least group 2": (hdbscan, [(n, m) for n in (1, 2) for m in ("eom", "leaf")]),
    }
    rows: dict[str, dict[str, Any]] = {}
    view1 = sets["view1"]
    for name, (algorithm, values) in track(tried.items(), "algorithms", len(tried)):

        def on(faces: Faces, how: Callable[..., Ints] = algorithm) -> Callable[..., Ints]:
            if how is complete:
                return complete(faces)
            return lambda *parameters: how(faces, *parameters)

        group = on(view1)
        scores = {value: f1(view1.person, group(*value)) for value in values}
        best = max(scores, key=lambda value: sum(scores[value]))
        rows[name] = {"parameter": list(best), "view1": scores[best]}
        for where, faces in sets.items():
            if where == "view1":
                continue
            large = algorithm is complete and len(faces.vectors) > COMPLETE_UP_TO
            rows[name][where] = None if large else f1(faces.person, on(faces)(*best))
    return rows


def edges(sets: dict[str, Faces], calibration: Calibration) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for where in ("view1", "5 and more"):
        faces = sets[where]
        threshold = grouping_threshold(calibration, len(faces.vectors)).value
        places = np.arange(len(faces.vectors))
        rows[where] = {
            str(count): f1(
                faces.person, link(faces.vectors, places, threshold, neighbors=count).first
            )
            for count in EDGES
        }
    return rows


def rule(lfw: LFW) -> dict[str, Any]:
    places = images_of(lfw, ("1",))
    sums: dict[float, list[tuple[float, float]]] = {factor: [] for factor in FACTORS}
    best: dict[str, float] = {}
    for name, flip in track(WAYS, "factors"):
        recognizer, vectors, person = embed(lfw, places, name, flip)
        calibration = calibration_of(recognizer)
        everybody = np.unique(person)
        by_fmr = {}
        for fmr in FMRS:
            threshold = calibration.threshold(fmr).plain.value
            made = link(vectors, np.arange(len(vectors)), threshold)
            by_fmr[fmr] = sum(f1(person, made.first))
        best[f"{name}, flip" if flip else name] = max(by_fmr, key=lambda fmr: by_fmr[fmr])
        for share, draws in DRAWS:
            for factor in FACTORS:
                rates = []
                for draw in range(draws):
                    some = np.random.default_rng(draw).permutation(everybody)
                    rows = np.flatnonzero(np.isin(person, some[: int(len(some) * share)]))
                    prior = min(0.5, factor / len(rows))
                    threshold = calibration.score_where(0.5, prior)
                    groups = link(vectors[rows], np.arange(len(rows)), threshold).first
                    rates.append(f1(person[rows], groups))
                sums[factor].append(tuple(np.mean(rates, axis=0).tolist()))
    means = {str(factor): np.mean(rates, axis=0).tolist() for factor, rates in sums.items()}
    return {"factors": means, "fmr": best}


def calibration_of(recognizer: Recognizer) -> Calibration:
    if recognizer.calibration is None:
        raise OptionError(f"{recognizer.weights.name} has no calibration to take a threshold from")
    return recognizer.calibration


def embed(lfw: LFW, places: Ints, name: str, flip: bool) -> tuple[Recognizer, Floats, Ints]:
    recognizer = Recognizer(name, flip=flip, choose="central")
    made = RecognizerSource(recognizer).photos([lfw.path(i) for i in places.tolist()])
    return recognizer, made.vectors[made.found], lfw.person[places[made.found]]


def run(folder: Path) -> dict[str, Any]:
    lfw = read_lfw(folder)
    counts = np.bincount(lfw.person)
    wanted = {
        "view1": images_of(lfw, ("1",)),
        "5 and more": np.flatnonzero(counts[lfw.person] >= 5),
        "all": np.arange(len(lfw.images)),
    }
    sets, sizes = {}, {}
    for where, places in reversed(wanted.items()):  # the longest first: it holds the others
        recognizer, vectors, person = embed(lfw, places, DEFAULT_RECOGNIZER, False)
        sets[where] = Faces.of(vectors, person)
        sizes[where] = {"faces": len(person), "people": len(np.unique(person))}
    return {
        "sets": {where: sizes[where] for where in wanted},
        "algorithms": algorithms({where: sets[where] for where in wanted}),
        "edges": edges(sets, calibration_of(recognizer)),
        **rule(lfw),
    }


def show(figures: dict[str, Any]) -> None:
    def pair(rates: Any) -> str:
        return "" if rates is None else f"{rates[0]:.3f} / {rates[1]:.3f}"

    sets = figures["sets"]
    table(
        ("", "parameter", *(f"{where}: {size['faces']:,}" for where, size in sets.items())),
        (
            (name, ", ".join(map(str, row["parameter"])), *(pair(row[where]) for where in sets))
            for name, row in figures["algorithms"].items()
        ),
        title="F1, pairwise / BCubed",
    )
    table(
        ("edges a face", *map(str, EDGES)),
        (
            (where, *(f"{a:.4f} / {b:.4f}" for a, b in row.values()))
            for where, row in figures["edges"].items()
        ),
    )
    table(
        ("matches", "F1"),
        ((factor, pair(rates)) for factor, rates in figures["factors"].items()),
        title="how many others a face is taken to match",
    )
    best = ", ".join(f"{name} {fmr:.0e}" for name, fmr in figures["fmr"].items())
    print(f"best false match rate on View 1: {best}")


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="LFW")
    options = parser.parse_args()
    report(options, lambda: run(options.folder), show)


if __name__ == "__main__":
    main()
