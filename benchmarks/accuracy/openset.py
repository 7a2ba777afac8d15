"""Open-set identification on LFW: who is found, and which strangers are taken for somebody?

    python benchmarks/accuracy/openset.py DIR [--preset NAME] [--draws 10] [--rules] [--json]

Enrolled is one photo, drawn at random, of everybody in LFW with two or more. Searched for are
all their other photos, and as strangers everybody with a single photo. ``rank1`` is the
share of the former whose best match is right; ``dir_at_fpir_1pct`` the share whose best match is
right at a threshold that 1 % of the strangers reach. ``own_threshold`` is what a gallery of that
size takes by itself, from the calibration fitted on LFW View 1, and what it obtains here. All are
means over the draws. A photo without a face finds nobody, and nobody finds it.

``--rules`` compares, on View 1 alone, ways to make one score of a person's k enrolled photos:
``lineament.gallery`` takes the one that ``docs/how-to/gallery.md`` chooses by it. Enrolled is
everybody with more than k photos in View 1, searched for are the others of theirs, and
everybody else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament import Recognizer
from lineament.datasets.lfw import LFW, read_lfw
from lineament.datasets.source import Embedded
from lineament.decide.calibration import Calibration
from lineament.embed.pooling import pooling_weights
from lineament.evaluate.identification import Searches, search, searches_of
from lineament.evaluate.protocols.lfw import images_of
from lineament.models import DEFAULT_PRESET, PRESETS

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, at_least, embed_all, report, table

FPIR = 0.01
OWN = ("own_fpir", "own_dir")
ENROLLED = (2, 3, 5)
"""Photos a person for ``--rules``."""

Scores = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


def drawn(person: Rows, rows: Rows, k: int, random: np.random.Generator) -> Rows:
    """(P, k) photos, drawn among ``rows``, of everybody who has more than k there."""
    order = random.permutation(rows)
    order = order[np.argsort(person[order], kind="stable")]
    whose, first, count = np.unique(person[order], return_index=True, return_counts=True)
    starts = first[count > k]
    assert len(starts) <= len(whose)
    return order[starts[:, None] + np.arange(k)]


def open_set(
    made: Embedded, lfw: LFW, calibration: Calibration | None, draws: int
) -> dict[str, Any]:
    """The mean of several draws."""
    person = lfw.person
    count = np.bincount(person)
    everybody = np.arange(len(person))
    strangers = everybody[count[person] == 1]
    random = np.random.default_rng(0)
    rows = []
    for _ in range(draws):
        enrolled = drawn(person, everybody, 1, random)[:, 0]
        others = np.setdiff1d(everybody[count[person] > 1], enrolled)
        probes = np.concatenate([others, strangers])
        found = search(
            made.vectors[probes],
            made.vectors[enrolled],
            person[probes],
            person[enrolled],
            probes_found=made.found[probes],
            gallery_found=made.found[enrolled],
        )
        row = rates(found)
        if calibration is not None and calibration.identification is not None:
            own = calibration.identification_threshold(len(enrolled), 1, FPIR).value
            row |= {"own": own, "own_fpir": found.fpir_at(own), "own_dir": found.tpir_at(own)}
        rows.append(row)
    mean = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    spread = {key: float(np.std([row[key] for row in rows], ddof=1)) for key in rows[0]}
    own_threshold = None
    if "own" in mean:
        own_threshold = {
            "threshold": round(mean["own"], 5),
            "wanted_fpir": FPIR,
            "fpir": round(mean["own_fpir"], 5),
            "dir": round(mean["own_dir"], 5),
        }
    return {
        "dir_at_fpir_1pct": round(mean["dir"], 5),
        "rank1": round(mean["rank1"], 5),
        "deviation": {
            "dir_at_fpir_1pct": round(spread["dir"], 5),
            "rank1": round(spread["rank1"], 5),
        },
        "threshold_at_fpir_1pct": round(mean["threshold"], 5),
        "own_threshold": own_threshold,
        "people_enrolled": len(enrolled),
        "searches_for_enrolled": len(others),
        "searches_for_strangers": len(strangers),
        "draws": draws,
    }


def rates(found: Searches) -> dict[str, float]:
    """At the threshold that 1 % of the strangers reach."""
    threshold = found.threshold_at_fpir(FPIR)
    return {"dir": found.tpir_at(threshold), "rank1": found.rank_k(1), "threshold": threshold}


# --- several photos of a person --------------------------------------------------------------


def best_of(n: int) -> Callable[[Scores, Embedded, Rows, Rows], Scores]:
    """The mean of the n best of a person's similarities."""

    def score(each: Scores, made: Embedded, probes: Rows, enrolled: Rows) -> Scores:
        return np.sort(each, axis=2)[:, :, -n:].mean(axis=2)

    return score


def centroid(power: float) -> Callable[[Scores, Embedded, Rows, Rows], Scores]:
    """The similarity to the mean direction, photos weighted by their norms to that power."""

    def score(each: Scores, made: Embedded, probes: Rows, enrolled: Rows) -> Scores:
        means = np.stack(
            [pooling_weights(made.norms[row], power=power) @ made.vectors[row] for row in enrolled]
        )
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        return made.vectors[probes] @ means.T

    return score


RULES = {
    "best": best_of(1),
    "mean of best 2": best_of(2),
    "mean of best 3": best_of(3),
    "mean of all": best_of(max(ENROLLED)),
    "centroid": centroid(0),
    "centroid, norm^1": centroid(1),
    "centroid, norm^3": centroid(3),
}


def compare_rules(
    made: Embedded, lfw: LFW, calibration: Calibration | None, draws: int
) -> list[dict[str, Any]]:
    """Every rule on the same draws of View 1."""
    known = calibration is not None and calibration.identification is not None
    inside = images_of(lfw, ("1",))
    inside = np.asarray(inside)[made.found[inside]]
    person = lfw.person
    result = []
    for k in ENROLLED:
        random = np.random.default_rng(0)
        rows: dict[str, list[dict[str, float]]] = {name: [] for name in RULES}
        for _ in range(draws):
            enrolled = drawn(person, inside, k, random)
            probes = np.setdiff1d(inside, enrolled)
            # The enrolled one by one, so that memory stays small: (Q, P, k)
            flat = made.vectors[probes] @ made.vectors[enrolled.ravel()].T
            each = flat.reshape(len(probes), len(enrolled), k).astype(np.float64)
            for name, rule in RULES.items():
                scores = rule(each, made, probes, enrolled)
                found = searches_of(scores, person[probes], person[enrolled[:, 0]])
                row = rates(found)
                if known:
                    # As the gallery asks for it: k references for the best of them, else one.
                    assert calibration is not None
                    own = calibration.identification_threshold(
                        len(enrolled), k if name == "best" else 1, FPIR
                    ).value
                    row |= {"own_fpir": found.fpir_at(own), "own_dir": found.tpir_at(own)}
                rows[name].append(row)
        best = rows["best"]
        for name, values in rows.items():
            more = np.array([v["dir"] - b["dir"] for v, b in zip(values, best, strict=True)])
            result.append(
                {
                    "enrolled": k,
                    "rule": name,
                    "dir_at_fpir_1pct": round(float(np.mean([v["dir"] for v in values])), 5),
                    "rank1": round(float(np.mean([v["rank1"] for v in values])), 5),
                    "dir_above_best": round(float(more.mean()), 5),
                    "dir_above_best_sd": round(float(more.std(ddof=1)), 5),
                    "threshold": round(float(np.mean([v["threshold"] for v in values])), 5),
                    "own_fpir": _mean(values, "own_fpir"),
                    "own_dir": _mean(values, "own_dir"),
                    "people": len(enrolled),
                    "searches": len(probes),
                }
            )
    return result


def _mean(rows: list[dict[str, float]], key: str) -> float | None:
    return round(float(np.mean([row[key] for row in rows])), 5) if key in rows[0] else None


def run(options: Any) -> dict[str, Any]:
    presets = [DEFAULT_PRESET] if options.preset is None else options.preset
    results: dict[str, Any] = {}
    rules: dict[str, Any] = {}
    lfw = read_lfw(options.folder)
    for preset in presets:
        recognizer = Recognizer(preset, choose="central")
        made = embed_all(recognizer, [lfw.path(i) for i in range(len(lfw.images))])
        results[preset] = open_set(made, lfw, recognizer.calibration, options.draws)
        if options.rules:
            rules[preset] = compare_rules(made, lfw, recognizer.calibration, options.draws)
    first = results[presets[0]]
    return {"preset": presets[0], **first, "presets": results, "rules": rules}


def show(figures: dict[str, Any]) -> None:
    rows = []
    for preset, row in figures["presets"].items():
        own, cells = row["own_threshold"], ["-", "-", "-"]
        if own is not None:
            cells = [
                f"{own['threshold']:.4f}",
                f"{100 * own['fpir']:.2f}",
                f"{100 * own['dir']:.2f}",
            ]
        shares = (f"{100 * row[key]:.2f}" for key in ("rank1", "dir_at_fpir_1pct"))
        rows.append((preset, *shares, *cells))
    table(
        ("preset", "rank 1, %", "DIR at FPIR 1 %, %", "own threshold", "FPIR, %", "DIR, %"),
        rows,
        title="one photo of each person enrolled",
    )
    columns = ("rule", "enrolled", "rank 1, %", "DIR at FPIR 1 %, %", "above best")
    for preset, compared in figures["rules"].items():
        table(
            (*columns, "own threshold: FPIR, %", "DIR, %", "people"),
            (
                (
                    row["rule"],
                    row["enrolled"],
                    f"{100 * row['rank1']:.2f}",
                    f"{100 * row['dir_at_fpir_1pct']:.2f}",
                    f"{100 * row['dir_above_best']:+.2f} ± {100 * row['dir_above_best_sd']:.2f}",
                    *("-" if row[key] is None else f"{100 * row[key]:.2f}" for key in OWN),
                    row["people"],
                )
                for row in compared
            ),
            title=f"several photos of each person, View 1, {preset}",
        )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="LFW: pairs.txt and images/")
    parser.add_argument(
        "--preset", action="append", metavar="NAME", help=f"{', '.join(PRESETS)}; may be repeated"
    )
    parser.add_argument(
        "--draws", type=at_least(2), default=10, metavar="N", help="at least 2 (10)"
    )
    parser.add_argument("--rules", action="store_true", help="compare ways to score a person")
    options = parser.parse_args()
    report(options, lambda: run(options), show)


if __name__ == "__main__":
    main()
