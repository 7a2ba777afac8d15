"""What is said of bad photos: false matches, undecided pairs and probabilities by kind of spoiling.

    python benchmarks/conditions.py DIR [--preset NAME] [--people N] [--kind NAME]... [--quick]
        [--faces FOLDER] [--plot FILE] [--json]

DIR is LFW's folder. Photos of people of whom View 1 has none, so that nothing was fitted on them,
are spoilt (``accuracy/spoiling/kinds.py``) and then go through the whole pipeline: detection,
alignment, embedding, and the verdict of ``Recognizer.judge`` at the threshold for a false match
rate of 1e-4. ``--people``: so many, up to 100 of them with a second photo. ``--faces`` keeps the
faces that were found, their crops and each preset's embeddings: presets differ in what they make of
faces, not in what they find, and after another fit only verdicts are new.

kinds          by name: ``found``, share of the photos in which a face is found; of the impostor
               pairs the share whose verdict is "same", ``clean_vs_spoilt`` with one photo as it
               is, ``spoilt_vs_spoilt`` with both spoilt; of the genuine pairs of both sorts
               ``genuine_same``, ``genuine_different`` and ``undecided``; ``ece``, expected
               calibration error at prior one half, each sort of pairs weighing a quarter, and its
               parts: ``ece_too_low`` where one person is more probable than claimed,
               ``ece_too_high`` where less;
               ``flagged``, faces beyond a limit of quality; ``recognizability``, its median;
               ``..._before``, without recognizability. ``differ``: of ``checked`` pairs, those of
               which ``Judge.assess`` says something else than was computed for all at once.
worst_...      the largest of kinds that no family of the fit draws: ``unseen`` of both spoilt,
               ``unseen_vs_clean`` of one, ``covered`` of both with a part of the face hidden,
               ``named`` of those that false matches were reported of; ``..._kind``: its name.
               Kinds of fewer than 2,000 pairs (faces not found) are left out of it.
above          the kinds, whether a family draws them or not, with more than 5e-4 of both spoilt.
ece_...        of all kinds together, its parts, and of the worst; ``claims``: all kinds' pairs by
               what was claimed, with the share that was true.
mild           of slightly spoilt photos, genuine pairs that are "same".
clean_...      of the genuine pairs of View 2 (``--quick``: of its first fold), as they are.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lineament import LineamentError, Recognizer
from lineament.datasets.lfw import LFW, read_lfw
from lineament.models import DEFAULT_PRESET, PRESETS

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "accuracy"))
from judging import faces
from judging.faces import Faces, People
from judging.measures import GOAL, Claims, Pairs, of_kind, worst
from judging.verdicts import SAME, UNDECIDED, Verdicts, without_recognizability
from spoiling.kinds import MILD, NAMED, UNSEEN, Kind

from _harness import Parser, at_least, report, table, track

FMR = 1e-4
MOST_TWICE = 100
QUICK_PEOPLE = 80
QUICK = (
    *("mosaic 12", "JPEG 1", "skin mask", "eyes under a bar", "negative"),
    *("nearest 12", "16 px, sharpened", "JPEG 2000, 1:150", "low light", "error diffusion"),
    *("newspaper", "VHS", "glass blocks", "pleated mask", "aviators", "beak mask and aviators"),
    *("patterned hijab", "niqab", "palm"),
)
"""Kinds of a run of two minutes: named ones, and unseen ones of each sort."""


def kinds_of(options: Any) -> dict[str, Kind]:
    everything = NAMED | UNSEEN
    names = options.kind or (QUICK if options.quick else everything)
    unknown = [name for name in names if name not in everything]
    if unknown:
        raise LineamentError(f"expected kinds among {', '.join(everything)}, got {unknown[0]!r}")
    return {name: everything[name] for name in names}


def run(options: Any) -> dict[str, Any]:
    lfw, kinds = read_lfw(options.folder), kinds_of(options)
    many = options.people or (QUICK_PEOPLE if options.quick else 400)
    people = People.outside_view_1(lfw, many, min(many, MOST_TWICE))
    recognizer = Recognizer(options.preset)
    threshold = recognizer.threshold(fmr=FMR)
    rules = Verdicts(recognizer.judge, threshold)
    before = Verdicts(without_recognizability(recognizer.judge), threshold)
    seen = recognizer.stream_chosen(people.paths, keep_pixels=True)
    photos = [
        replace(photo, pixels=photo.needed_pixels())  # decoded once
        for photo in track(seen, "photos as they are", len(people.paths))
    ]
    clean = Faces(photos)
    figures: dict[str, dict[str, Any]] = {}
    together = Claims()
    for name, kind in track((kinds | MILD).items(), "kinds", len(kinds) + len(MILD)):
        bad = Faces(faces.look(recognizer, faces.spoilt(photos, kind), kept_of(options, name)))
        figures[name], claims = of_kind(rules, before, people, clean, bad)
        figures[name] |= {"seen_family": kind.seen_family, "covers": kind.covers}
        if name not in MILD:
            together += claims
    mild = {name: figures.pop(name) for name in MILD}
    return {
        "preset": options.preset,
        "people": many,
        "two_photos": people.twice,
        "threshold": threshold.value,
        "conditions": rules.calibration.conditions is not None,
        "kinds": figures,
        **summary(figures),
        "ece_all": together.ece,
        "ece_all_too_low": together.too_low,
        "ece_all_too_high": together.too_high,
        "claims": together.rows(),
        "mild": {
            name: {key: of[key] for key in ("genuine_same", "genuine_same_before")}
            for name, of in mild.items()
        },
        "mild_same": mean(of["genuine_same"] for of in mild.values()),
        "mild_same_before": mean(of["genuine_same_before"] for of in mild.values()),
        "clean": of_kind(rules, before, people, clean, clean)[0],
        **of_view_2(lfw, recognizer, rules, before, 1 if options.quick else 10),
    }


def kept_of(options: Any, name: str) -> Path | None:
    """Where the faces of a kind are kept."""
    if options.faces is None:
        return None
    return options.faces / f"{re.sub('[^a-z0-9]+', '-', name.lower())}.npz"


def mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def summary(kinds: dict[str, dict[str, Any]]) -> dict[str, Any]:
    covered = [name for name, kind in UNSEEN.items() if kind.covers]
    made: dict[str, Any] = {}
    for label, names, key in (
        ("worst_unseen", list(UNSEEN), "spoilt_vs_spoilt"),
        ("worst_unseen_vs_clean", list(UNSEEN), "clean_vs_spoilt"),
        ("worst_covered", covered, "spoilt_vs_spoilt"),
        ("worst_named", list(NAMED), "spoilt_vs_spoilt"),
        ("ece_worst", list(kinds), "ece"),
    ):
        made[f"{label}_kind"], made[label] = worst(kinds, names, key)
        if f"{key}_before" in next(iter(kinds.values())):
            made[f"{label}_before"] = worst(kinds, names, f"{key}_before")[1]
    made["above"] = [name for name, of in kinds.items() if (of["spoilt_vs_spoilt"] or 0) > GOAL]
    made["differ"] = sum(of["differ"] for of in kinds.values())
    return made


def of_view_2(
    lfw: LFW, recognizer: Recognizer, rules: Verdicts, before: Verdicts, folds: int
) -> dict[str, Any]:
    """What is said of the genuine pairs of View 2, as they are."""
    view = lfw.view2_folds
    indices = view.indices[:folds][view.same[:folds]]
    images, place = np.unique(indices, return_inverse=True)
    paths = [lfw.path(int(i)) for i in images]
    photos = list(track(recognizer.stream_chosen(paths), "View 2", len(paths)))
    first, second = place.reshape(indices.shape).T
    seen = Faces(photos)
    new, old = (Pairs.of(which, seen, seen, first, second).said for which in (rules, before))
    return {
        "clean_undecided": new.share(UNDECIDED),
        "clean_undecided_before": old.share(UNDECIDED),
        "clean_same": new.share(SAME),
        "clean_same_before": old.share(SAME),
        "clean_pairs": len(new.verdict),
    }


# ---- printing ------------------------------------------------------------------------------------


def rate(value: float | None) -> str:
    """A small share."""
    if value is None:
        return "-"
    return "0" if value == 0 else f"{value:.1e}"


def share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def groups(kinds: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """Names under a title each."""
    new = [name for name in kinds if name not in NAMED]
    return {
        "kinds that false matches were reported of": [name for name in kinds if name in NAMED],
        "kinds that no family of the fit draws": [n for n in new if not kinds[n]["covers"]],
        "a part of the face hidden": [n for n in new if kinds[n]["covers"]],
    }


def show(figures: dict[str, Any]) -> None:
    kinds = figures["kinds"]
    for title, names in groups(kinds).items():
        if not names:
            continue
        rows = (
            (
                name + (" *" if name in figures["above"] else ""),
                share(of["found"]),
                rate(of["clean_vs_spoilt"]),
                rate(of["spoilt_vs_spoilt_before"]),
                rate(of["spoilt_vs_spoilt"]),
                share(of["genuine_same_before"]),
                share(of["genuine_same"]),
                share(of["undecided"]),
                share(of["genuine_different"]),
                share(of["ece"]),
                share(of["ece_too_low"]),
            )
            for name, of in [("as they are", figures["clean"]), *((n, kinds[n]) for n in names)]
        )
        columns = ("kind", "found", "one: same", "both, before", "both: same")
        genuine = ("genuine, before", "same", "undecided", "different", "ECE", "too low")
        table((*columns, *genuine), rows, title=title)
    print(f"* more than {GOAL:g} of the impostor pairs, both spoilt, are called the same person\n")
    rows = [
        (f"{label} ({figures[f'{label}_kind']})", rate(figures[label]))
        for label in ("worst_unseen", "worst_unseen_vs_clean", "worst_covered", "worst_named")
    ]
    rows += [
        ("ECE, all kinds", share(figures["ece_all"])),
        ("of it, claimed too improbable", share(figures["ece_all_too_low"])),
        (f"ECE, worst ({figures['ece_worst_kind']})", share(figures["ece_worst"])),
        ("mild: genuine pairs same, before", share(figures["mild_same_before"])),
        ("mild: genuine pairs same", share(figures["mild_same"])),
        ("View 2: genuine pairs undecided, before", f"{figures['clean_undecided_before']:.2%}"),
        ("View 2: genuine pairs undecided", f"{figures['clean_undecided']:.2%}"),
    ]
    table((f"{figures['preset']}, {figures['people']} people", "value"), rows)


def plot(figures: dict[str, Any], path: Path) -> None:
    """Bars of both spoilt, before and now, on a logarithmic scale."""
    from matplotlib.figure import Figure

    kinds, least = figures["kinds"], 1e-5
    names = sorted(kinds, key=lambda name: kinds[name]["spoilt_vs_spoilt_before"] or 0)
    figure = Figure(figsize=(8, 1.5 + 0.16 * len(names)), layout="constrained")
    axes = figure.subplots()
    for key, color, label in (
        ("spoilt_vs_spoilt_before", "#c8c8c8", "without recognizability"),
        ("spoilt_vs_spoilt", "#1f6f8b", "now"),
    ):
        values = [max(kinds[name][key] or 0, least) for name in names]
        height = 0.8 if color == "#c8c8c8" else 0.4
        axes.barh(range(len(names)), values, height, color=color, label=label)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.axvline(FMR, color="black", linewidth=0.8)
    axes.axvline(GOAL, color="#c23b22", linewidth=0.8)
    axes.set(xscale="log", xlim=(least, 1), ylim=(-1, len(names)))
    axes.set_xlabel('impostor pairs, both photos spoilt, that "same" is said of')
    axes.legend(loc="lower right")
    figure.savefig(path)


def measure(options: Any) -> dict[str, Any]:
    figures = run(options)
    if options.plot is not None:
        plot(figures, options.plot)
    return figures


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--preset", choices=PRESETS, default=DEFAULT_PRESET)
    parser.add_argument("--people", type=at_least(20), metavar="N", help="400 without it")
    parser.add_argument("--kind", action="append", metavar="NAME", help="only this; repeatable")
    parser.add_argument("--quick", action="store_true", help="some people and kinds: two minutes")
    parser.add_argument(
        "--faces",
        type=Path,
        metavar="FOLDER",
        help="keep faces and embeddings for the next run; of the same people and kinds",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="a picture: .svg, .png, .pdf")
    options = parser.parse_args()
    report(options, lambda: measure(options), show)


if __name__ == "__main__":
    main()
