"""Galleries of many sizes: is the wanted share of false alarms what one gets?

    python benchmarks/accuracy/fpir.py DIR [--preset NAME] [--flip] [--fpir 0.01] [--json]

Thresholds come from a calibration fitted on LFW View 1 (the package's own, or one that is fitted
here first when it has none). Then random galleries of people are enrolled, one photo each, and
everybody who is not enrolled is searched for. ``obtained`` is the share of those searches that find
somebody, each person counting once; ``tpir`` the share of searches for enrolled people, by another
photo of theirs, whose best match is the right person at or above the threshold.

No pair of photos that is compared here was seen by the fit:

- every photo that is searched for is outside View 1;
- so are enrolled ones, except for people all of whose photos are in View 1: galleries of more
  people than there are outside need them. The output counts them (``enrolled_from_view1``).

People do appear on both sides: 740 have photos in View 1 and outside. ``obtained_new_people``
counts only searches for people of whom View 1 shows nothing.

The interval is a bootstrap over the people that are searched for; it holds the galleries' chance
too. A few people of LFW have two folders, and a few photos lie in the wrong one: they raise
alarms that are none, and are left in.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament import LineamentError, Recognizer
from lineament.datasets.lfw import LFW, read_lfw
from lineament.decide.calibration import Calibration, bundled
from lineament.decide.metrics import DEFAULT_METRIC
from lineament.evaluate.protocols.lfw import images_of
from lineament.fit.calibrate import fit
from lineament.models import DEFAULT_PRESET, PRESETS

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, embed_all, report, table

SIZES = (10, 100, 1000, 4000)
WITH_REFERENCES = ((100, 3),)
"""(people, photos a person): does the threshold follow the references, too?"""

SEARCHES = 300_000
"""About so many searches a size; at least ``LEAST_GALLERIES`` galleries."""
LEAST_GALLERIES = 60
MOST_GALLERIES = 2000
N_BOOTSTRAP = 1000

Vectors = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


def pick(order: npt.NDArray[np.int64], person: npt.NDArray[np.int64], k: int) -> Any:
    """The first ``k`` rows of each person in ``order``: (rows, whose)."""
    whose = person[order]
    by_person = np.argsort(whose, kind="stable")
    sorted_whose = whose[by_person]
    first = np.searchsorted(sorted_whose, sorted_whose, side="left")
    taken = by_person[np.arange(len(whose)) - first < k]
    return order[taken], whose[taken]


def measure(
    calibration: Calibration,
    vectors: Vectors,
    found: Flags,
    lfw: LFW,
    size: int,
    references: int,
    fpir: float,
    random: np.random.Generator,
) -> dict[str, Any]:
    """Enroll and search, again and again."""
    threshold = calibration.identification_threshold(size, references, fpir)
    person, n_people = lfw.person, len(lfw.people)
    fitted = np.zeros(len(person), bool)
    fitted[images_of(lfw, ("1",))] = True
    outside = np.flatnonzero(~fitted & found)
    n_outside = np.bincount(person[outside], minlength=n_people)
    in_view1 = np.bincount(person[fitted], minlength=n_people) > 0
    can_enroll = np.flatnonzero(n_outside >= references)
    needs_view1 = len(can_enroll) < size
    if needs_view1:
        every = np.bincount(person[found], minlength=n_people)
        can_enroll = np.flatnonzero(every >= references)
        if len(can_enroll) < size:
            raise LineamentError(
                f"a gallery of {size:,} people with {references} photos each needs more "
                f"than LFW's {len(can_enroll):,}"
            )
    wrong, searched = np.zeros(n_people), np.zeros(n_people)
    named = mated = from_view1 = galleries = 0
    while galleries < LEAST_GALLERIES or (searched.sum() < SEARCHES and galleries < MOST_GALLERIES):
        enrolled = np.zeros(n_people, bool)
        enrolled[random.choice(can_enroll, size, replace=False)] = True
        # Photos outside View 1 first, in random order
        pool = np.flatnonzero(enrolled[person] & found & (~fitted | needs_view1))
        order = pool[np.argsort(fitted[pool] + random.random(len(pool)))]
        rows, whose = pick(order, person, references)
        from_view1 += int(fitted[rows].sum())
        probes = outside[~enrolled[person[outside]]]
        best = (vectors[probes] @ vectors[rows].T).max(axis=1)
        # Each person counts once, whatever the number of photos
        share = 1 / n_outside[person[probes]]
        searched += np.bincount(person[probes], weights=share, minlength=n_people)
        wrong += np.bincount(
            person[probes], weights=share * (best >= threshold.value), minlength=n_people
        )
        if galleries < LEAST_GALLERIES:
            mates = np.setdiff1d(outside[enrolled[person[outside]]], rows)
            mates = pick(random.permutation(mates), person, 1)[0]
            scores = vectors[mates] @ vectors[rows].T
            right = whose[scores.argmax(axis=1)] == person[mates]
            named += int((right & (scores.max(axis=1) >= threshold.value)).sum())
            mated += len(mates)
        galleries += 1
    there = np.flatnonzero(searched)
    drawn = random.integers(0, len(there), (N_BOOTSTRAP, len(there)))
    replicas = wrong[there][drawn].sum(axis=1) / searched[there][drawn].sum(axis=1)
    low, high = np.quantile(replicas, (0.025, 0.975))
    new = there[~in_view1[there]]
    return {
        "people": size,
        "references": references,
        "wanted": fpir,
        "threshold": round(threshold.value, 5),
        "extrapolated": threshold.extrapolated,
        "obtained": round(float(wrong.sum() / searched.sum()), 5),
        "low": round(float(low), 5),
        "high": round(float(high), 5),
        "obtained_new_people": round(float(wrong[new].sum() / searched[new].sum()), 5),
        "tpir": round(named / mated, 5) if mated else None,
        "galleries": galleries,
        "people_searched_for": len(there),
        "searches_for_enrolled": mated,
        "enrolled_from_view1": round(from_view1 / galleries, 1),
    }


def run(options: Any) -> dict[str, Any]:
    lfw = read_lfw(options.folder)
    recognizer = Recognizer(options.preset, flip=options.flip, choose="central")
    made = embed_all(recognizer, [lfw.path(i) for i in range(len(lfw.images))])
    vectors, found = made.vectors, made.found
    contract = recognizer.embedder.contract
    calibration = bundled(contract, DEFAULT_METRIC)
    if calibration is None:
        rows = images_of(lfw, ("1",))
        calibration = fit(
            vectors[rows],
            lfw.person[rows],
            found=found[rows],
            contract=contract,
            data="LFW View 1",
        ).calibration
    random = np.random.default_rng(0)
    cases = [(size, 1) for size in SIZES] + list(WITH_REFERENCES)
    results = [
        measure(calibration, vectors, found, lfw, size, k, options.fpir, random)
        for size, k in cases
    ]
    return {
        "preset": options.preset,
        "flip": recognizer.flip,
        "data": calibration.data,
        "wanted": options.fpir,
        "obtained": {
            str(row["people"]): row["obtained"] for row in results if row["references"] == 1
        },
        "rows": results,
    }


def show(figures: dict[str, Any]) -> None:
    columns = ("people", "photos each", "threshold", "obtained, %", "95 % interval")
    table(
        (*columns, "new people, %", "TPIR, %", "galleries", "searched for", "from View 1"),
        (
            (
                f"{row['people']:,}",
                row["references"],
                f"{row['threshold']:.4f}{'*' if row['extrapolated'] else ''}",
                f"{100 * row['obtained']:.2f}",
                f"{100 * row['low']:.2f} to {100 * row['high']:.2f}",
                f"{100 * row['obtained_new_people']:.2f}",
                "-" if row["tpir"] is None else f"{100 * row['tpir']:.2f}",
                row["galleries"],
                f"{row['people_searched_for']:,}",
                f"{row['enrolled_from_view1']:.0f}",
            )
            for row in figures["rows"]
        ),
        title=f"asked for: {figures['wanted']:.2%} (fitted on {figures['data']})",
    )
    if any(row["extrapolated"] for row in figures["rows"]):
        print("* beyond the galleries that the calibration's data could show")


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="LFW: pairs.txt and images/")
    parser.add_argument(
        "--preset", default=DEFAULT_PRESET, metavar="NAME", help=f"{', '.join(PRESETS)}, or weights"
    )
    parser.add_argument("--flip", action="store_true", default=None)
    parser.add_argument("--fpir", type=float, default=0.01, help="the share asked for (0.01)")
    options = parser.parse_args()
    report(options, lambda: run(options), show)


if __name__ == "__main__":
    main()
