"""What "not this person" costs the person, and what it stops, on LFW's View 1.

    python benchmarks/accuracy/rejecting.py DIR [--people 380] [--json]

Each photo of each person is in turn all that is enrolled of that person, and each photo of somebody
else whose similarity to it is at least ``least`` is in turn the person's negative example. Searched
for are the other photos of both people, at a threshold: ``named``: searches for the person that
name them without the example; ``lost``: those of them that do not with it; ``mistaken``: photos of
the other that are taken for the person without the example; ``stopped``: those of them that are not
with it. The thresholds are what a gallery of that many people takes by itself, and a lower one, at
which there are enough mistakes to count.

The rules: what makes a face no longer be named the person. ``lineament.gallery`` has "nearer": the
similarity to the example is at least that to the person's own photo.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from reviewing import FPIR, look

from lineament import Recognizer
from lineament.datasets.lfw import read_lfw
from lineament.evaluate.protocols.lfw import images_of

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, at_least, report, table

MOST_PHOTOS = 4
LEAST = (0.3, 0.35, 0.4)
LOWER = 0.35

Scores = npt.NDArray[np.float32]
Rule = Callable[[Scores, Scores], npt.NDArray[np.bool_]]
"""Of the similarities to the person's own photo and to the example: who is not named."""


def rules(same: float) -> dict[str, Rule]:
    """By name; ``same``: the threshold of 1:1 comparisons."""
    return {
        "nearer": lambda own, example: example >= own,
        "nearer, or less by 0.05": lambda own, example: example >= own - 0.05,
        "nearer, or less by 0.1": lambda own, example: example >= own - 0.1,
        "the same as the example": lambda own, example: example >= same,
        "both": lambda own, example: (example >= own) & (example >= same),
    }


def count(
    scores: Scores, person: npt.NDArray[np.int64], least: float, limit: float, same: float
) -> dict[str, Any]:
    """All people, all their look-alikes."""
    chosen = rules(same)
    total = {"examples": 0, "named": 0, "mistaken": 0}
    lost, stopped = dict.fromkeys(chosen, 0), dict.fromkeys(chosen, 0)
    names, counts = np.unique(person, return_counts=True)
    photos = {int(who): np.flatnonzero(person == who) for who in names}
    for who in names[counts > 1]:
        for own in photos[int(who)]:
            others = photos[int(who)][photos[int(who)] != own]
            near = np.flatnonzero((scores[own] >= least) & (person != who))
            for example in near:
                theirs = photos[int(person[example])]
                theirs = theirs[theirs != example]
                named = scores[others, own] >= limit
                mistaken = scores[theirs, own] >= limit
                total["examples"] += 1
                total["named"] += int(named.sum())
                total["mistaken"] += int(mistaken.sum())
                for name, rule in chosen.items():
                    gone = rule(scores[others, own], scores[others, example])
                    away = rule(scores[theirs, own], scores[theirs, example])
                    lost[name] += int((named & gone).sum())
                    stopped[name] += int((mistaken & away).sum())
    return {"least": least, "threshold": limit, **total, "lost": lost, "stopped": stopped}


def run(options: Any) -> dict[str, Any]:
    recognizer = Recognizer(choose="central")
    recognizer.load()
    lfw = read_lfw(options.folder)
    inside = np.asarray(images_of(lfw, ("1",)))
    names, counts = np.unique(lfw.person[inside], return_counts=True)
    random = np.random.default_rng(0)
    people = random.permutation(names[counts > 1])[: options.people]
    single = random.permutation(names[counts == 1])[: options.people]
    rows: list[int] = []
    for who in [*people, *single]:
        rows += random.permutation(inside[lfw.person[inside] == who])[:MOST_PHOTOS].tolist()
    seen = look(recognizer, [lfw.path(i) for i in rows], lfw.person[rows].tolist(), "View 1")
    calibration = recognizer.calibration
    assert calibration is not None
    limit = calibration.identification_threshold(len(people), 1, FPIR).value
    same = recognizer.threshold().value
    scores = seen.vectors @ seen.vectors.T
    cases = [
        count(scores, seen.person, least, threshold, same)
        for threshold in (limit, LOWER)
        for least in LEAST
    ]
    return {"photos": len(seen.photos), "people": len(people), "same": same, "cases": cases}


def show(figures: dict[str, Any]) -> None:
    for case in figures["cases"]:
        table(
            ("rule", "lost, %", "stopped"),
            (
                (
                    name,
                    f"{100 * case['lost'][name] / max(1, case['named']):.2f}",
                    f"{case['stopped'][name]} of {case['mistaken']}",
                )
                for name in case["lost"]
            ),
            title=f"examples from {case['least']} on ({case['examples']:,}), threshold "
            f"{case['threshold']:.3f}: {case['named']:,} searches named",
        )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="LFW: pairs.txt and images/")
    parser.add_argument("--people", type=at_least(10), default=380, metavar="N")
    options = parser.parse_args()
    report(options, lambda: run(options), show)


if __name__ == "__main__":
    main()
