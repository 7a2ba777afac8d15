"""What each preset, recognizer and ensemble is worth, and what it takes.

    python benchmarks/accuracy/presets.py DIR [--quick | --only hard] [--json]

DIR is LFW's folder. Accuracy, precision, recall and F1 are View 2's, each fold at the threshold of
the other nine; precision, recall and F1 of all folds' decisions together. TAR is over all 87.5
million pairs. For ensembles, features of so many would take an hour: all genuine pairs are taken,
all impostor pairs that one of the members ranks among its 0.3 % most alike, and a random sample of
the others, each counting as often as it stands for. "fmr_error" is the standard error that the
sample leaves in each rate, as a share of it. All pairs hold the ones that fusions were fitted on, a
seventh; "tar_unseen" leaves out pairs of which View 1 has both photos. "fmr_obtained" is what
an ensemble's own thresholds, from View 1, give on all pairs.

Times are medians of rounds in which all take turns, in one run, so that ratios hold on a busy
machine: "ms_per_face" is the recognizers alone, on crops; "ms_end_to_end" is one photo at a
time from the file to the embedding. An ensemble also takes "ms_per_pair" for each comparison, a
cosine 0.001 or so. Ratios are to SFace without the mirror image, the default until recognizers were
joined.

"hard_misses" is what a preset misses of the hard pairs (``hard.py``) against the same recognizer;
"hard_fnmr" is the share itself, a mean over the parts. They need the sample of CFP and the AT&T
faces: ``--cfp`` and ``--att``, or the folders ``cfp_sample`` and ``att_faces`` beside DIR; null
without. ``--only hard`` measures nothing else.

"templates": people with six photos or more are enrolled with 1, 2, 3 or 5 of them, their unit
vectors averaged, plainly and by norm^4; all photos that are not enrolled are searched for.

``--quick`` takes the first two folds of View 2 only, no TAR, no templates, no hard pairs, and few
rounds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament import FaceFinder, Recognizer, models
from lineament.datasets.lfw import LFW, Pairs, read_lfw
from lineament.datasets.source import Embedded
from lineament.decide.fusion import Side, features_of
from lineament.embed.pooling import POOLING_POWER, pool_mean
from lineament.ensemble import Ensemble
from lineament.evaluate.metrics import kfold_accuracy, tar_at_fmr
from lineament.evaluate.pair_counts import all_pairs
from lineament.evaluate.protocols.lfw import images_of, pair_scores
from lineament.models import PRESETS

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "scripts" / "fit"))
sys.path.insert(0, str(Path(__file__).parent))
import hard
from fusions import judge, pair_set

from _harness import Parser, embed_all, report, table

KINDS = ("mean", "logistic", "boosted")
FMRS = (1e-3, 1e-4, 1e-5)
SAMPLE = 400_000
TEMPLATES = (1, 2, 3, 5)
ENROLLED = 5
DRAWS = 5

Way = tuple[str, bool]
"""A recognizer, and whether with the mirror image."""


COLUMNS = ("1e-3", "1e-4", "1e-5")
"""False match rates that are printed."""


def embed(recognizer: Recognizer, lfw: LFW, rows: npt.NDArray[np.int64]) -> Embedded:
    """(N, D) vectors in the order of ``lfw.images``, those of ``rows`` filled in."""
    made = embed_all(recognizer, [lfw.path(int(i)) for i in rows])
    n = len(lfw.images)
    vectors, norms = np.zeros((n, made.vectors.shape[1]), np.float32), np.zeros(n, np.float32)
    vectors[rows], norms[rows] = made.vectors, made.norms
    return Embedded(vectors, norms, norms > 0)


def view2(scores: npt.NDArray[Any], same: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Of (K, M) scores."""
    result = kfold_accuracy(scores, same)
    called = scores >= result.thresholds[:, None]
    hits, false = int((called & same).sum()), int((called & ~same).sum())
    precision, recall = hits / max(1, hits + false), hits / int(same.sum())
    return {
        "accuracy": result.mean,
        "accuracy_se": result.standard_error,
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / max(1e-12, precision + recall),
    }


def _by_text(rates: dict[float, Any]) -> dict[str, float]:
    return {f"{fmr:.0e}".replace("e-0", "e-"): float(rate) for fmr, rate in rates.items()}


def one_way(made: Embedded, lfw: LFW, folds: Pairs, whole: bool) -> dict[str, Any]:
    figures: dict[str, Any] = view2(pair_scores(folds, made.vectors, made.found), folds.same)
    figures["tar"] = None
    if whole:
        counts = all_pairs(made.vectors, lfw.person, found=made.found)
        figures["tar"] = _by_text({fmr: counts.tar_at_fmr(fmr) for fmr in FMRS})
    return figures


def ensembles(
    made: dict[Way, Embedded], lfw: LFW, folds: Pairs, whole: bool
) -> dict[str, dict[str, Any]]:
    loaded = {kind: Ensemble.load(kind) for kind in KINDS}
    members = [(member.name, True) for member in loaded[KINDS[0]].spec.members]
    sides = [Side(made[way].vectors, made[way].norms) for way in members]
    found = np.all([made[way].found for way in members], axis=0)
    left, right = folds.indices.reshape(-1, 2).T
    ok = found[left] & found[right]
    features = features_of(sides, left[ok], right[ok])
    everything = None
    if whole:
        rows = np.flatnonzero(found)
        seen = [Side(side.vectors[rows], side.norms[rows]) for side in sides]
        everything = pair_set(seen, lfw.person[rows], sample=SAMPLE)
        fitted = np.isin(rows, images_of(lfw, ("1",)))
    rows_of: dict[str, dict[str, Any]] = {}
    for kind, ensemble in loaded.items():
        fused = ensemble.spec.fusion.fuse(features)
        scores = np.full(len(left), fused.min() - 1)  # the least alike where a face is missing
        scores[ok] = fused
        figures: dict[str, Any] = view2(scores.reshape(folds.same.shape), folds.same)
        figures["tar"] = None
        if everything is not None:
            over = ensemble.spec.fusion.fuse(everything.features)
            figures["tar"] = _by_text(judge(everything, over, FMRS).tar)
            unseen = ~(fitted[everything.left] & fitted[everything.right])
            figures["tar_unseen"] = _by_text(judge(everything.only(unseen), over[unseen], FMRS).tar)
            other, weight = over[~everything.same], everything.weight[~everything.same]
            order = np.argsort(-other)
            passed = np.cumsum(weight[order])
            places = np.searchsorted(passed, np.multiply(FMRS, passed[-1]))
            variance = np.cumsum(np.where(weight > 1, weight**2, 0)[order])[places]
            figures["fmr_error"] = _by_text(
                dict(zip(FMRS, np.sqrt(variance) / passed[places], strict=True))
            )
            figures["fmr_obtained"] = _by_text(
                {
                    fmr: weight[other >= ensemble.threshold(fmr=fmr).value].sum() / weight.sum()
                    for fmr in FMRS
                }
            )
        rows_of[kind] = figures
    return rows_of


def templates(made: Embedded, lfw: LFW) -> dict[str, dict[str, Any]]:
    """TAR by the number of photos a person; means over ``DRAWS`` choices of them."""
    sizes = np.bincount(lfw.person[made.found], minlength=len(lfw.people))
    people = np.flatnonzero(sizes > ENROLLED)
    rows_of: dict[str, dict[str, Any]] = {}
    for how, power in (("mean", 0.0), ("norm^4", POOLING_POWER)):
        for count in TEMPLATES:
            tars = []
            for draw in range(DRAWS):
                random = np.random.default_rng(draw)
                group = np.full(len(lfw.person), -1)
                free = made.found.copy()
                for number, person in enumerate(people):
                    own = random.permutation(np.flatnonzero((lfw.person == person) & made.found))
                    group[own[:count]] = number
                    free[own[:ENROLLED]] = False  # the same probes for every count
                heavy = made.norms.astype(np.float64) ** power
                pooled = pool_mean(made.vectors, group, weights=heavy, count=len(people))
                probes = np.flatnonzero(free)
                scores = made.vectors[probes] @ pooled.T
                own = lfw.person[probes][:, None] == people[None]
                tars.append(tar_at_fmr(scores[own], scores[~own], (1e-3, 1e-4)))
            tar = np.mean(tars, axis=0)
            rows_of[f"{count}, {how}"] = {"tar": {"1e-3": float(tar[0]), "1e-4": float(tar[1])}}
    return rows_of


def timed(
    ways: list[Way], paths: list[Path], rounds: int
) -> tuple[dict[Way, float], dict[Way, float], dict[str, float], float]:
    """Medians in ms: a face by way, a photo by way, a pair by ensemble; an ensemble's look."""
    parts = {way: Recognizer(way[0], flip=way[1], choose="central") for way in ways}
    crops = {}
    for way, recognizer in parts.items():
        photos = list(recognizer.stream_chosen(paths))
        for photo in photos:
            if photo.error is not None:
                raise photo.error
        crops[way] = np.stack([photo.crop for photo in photos if photo.crop is not None])
    loaded = {kind: Ensemble.load(kind, finder=FaceFinder(choose="central")) for kind in KINDS}
    looked = loaded[KINDS[0]]
    seen = [looked.look(path) for path in paths[:2]]
    faces: dict[Way, list[float]] = {way: [] for way in ways}
    whole: dict[Way, list[float]] = {way: [] for way in ways}
    pair: dict[str, list[float]] = {kind: [] for kind in KINDS}
    looks: list[float] = []
    for _ in range(rounds):
        for way in ways:
            embedder = parts[way].embedder
            faces[way].append(_ms(lambda e=embedder, c=crops[way]: e.embed(c), len(paths)))
            one = parts[way]
            whole[way].append(_ms(lambda r=one: [r.embed(path) for path in paths], len(paths)))
        looks.append(_ms(lambda: [looked.look(path) for path in paths], len(paths)))
        for kind, ensemble in loaded.items():
            pair[kind].append(
                _ms(lambda e=ensemble: [e.score(seen[0], seen[1]) for _ in range(20)], 20)
            )
    return (
        {way: float(np.median(values)) for way, values in faces.items()},
        {way: float(np.median(values)) for way, values in whole.items()},
        {kind: float(np.median(values)) for kind, values in pair.items()},
        float(np.median(looks)),
    )


def _ms(call: Callable[[], Any], count: int) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000 / count


def name_of(way: Way) -> str:
    return f"{way[0]}, flip" if way[1] else way[0]


def hard_figures(folder: Path, cfp: Path | None, att: Path | None) -> dict[str, dict[str, Any]]:
    """``hard_misses`` and ``hard_fnmr`` by preset; None where CFP or AT&T are missing."""
    cfp = folder.parent / "cfp_sample" if cfp is None else cfp
    att = folder.parent / "att_faces" if att is None else att
    if not (cfp.is_dir() and att.is_dir()):
        return {name: {"hard_misses": None, "hard_fnmr": None} for name in PRESETS}
    rows = hard.run(folder, cfp, att, list(PRESETS))["recognizers"]
    return {
        name: {"hard_misses": rows[name]["ratio"], "hard_fnmr": rows[name]["misses"]}
        for name in PRESETS
    }


def run(folder: Path, quick: bool) -> dict[str, Any]:
    lfw = read_lfw(folder)
    rows = images_of(lfw, ("all-pairs",))
    folds = lfw.view2_folds
    if quick:
        folds = Pairs(folds.indices[:2], folds.same[:2])
        rows = np.unique(folds.indices)
    singles = [w.name for w in models.entries("embedder") if not w.members]
    single_ways: list[Way] = [(name, flip) for name in singles for flip in (False, True)]
    preset_ways: dict[str, Way] = {k: (p.recognizer, p.flip) for k, p in PRESETS.items()}
    ways = list(dict.fromkeys([*single_ways, *preset_ways.values()]))
    made = {}
    for name, flip in ways:
        recognizer = Recognizer(name, flip=flip, choose="central")
        made[name, flip] = embed(recognizer, lfw, rows)
    figures = {way: one_way(made[way], lfw, folds, not quick) for way in ways}
    together = ensembles(made, lfw, folds, not quick)
    some = [lfw.path(int(rows[i * len(rows) // 8])) for i in range(8)]
    faces, whole, pair, look = timed(ways, some, 2 if quick else 15)
    base: Way = (hard.BASE, False)
    for way in ways:
        figures[way] |= _times(faces[way], whole[way], faces[base], whole[base])
    members = [(m.name, True) for m in Ensemble.load("mean").spec.members]
    for kind in KINDS:
        ms = sum(faces[way] for way in members)
        together[kind] |= _times(ms, look, faces[base], whole[base])
        together[kind]["ms_per_pair"] = pair[kind]
    result: dict[str, Any] = {
        "images": len(rows),
        "pairs": len(folds),
        "presets": {name: figures[way] for name, way in preset_ways.items()},
        "models": {name_of(way): figures[way] for way in single_ways},
        "ensembles": together,
        "templates": {},
    }
    if not quick:
        result["templates"] = {
            name: templates(made[preset_ways[name]], lfw) for name in ("balanced", "accurate")
        }
    return result


def _times(ms: float, end_to_end: float, base_ms: float, base_whole: float) -> dict[str, float]:
    return {
        "ms_per_face": ms,
        "time_ratio": ms / base_ms,
        "ms_end_to_end": end_to_end,
        "end_to_end_ratio": end_to_end / base_whole,
    }


def show(figures: dict[str, Any]) -> None:
    columns = ("", "accuracy", "precision", "recall", "F1", "TAR at 1e-3", "1e-4", "1e-5")
    rows = []
    for group in ("presets", "models", "ensembles"):
        for name, row in figures[group].items():
            tar = row["tar"]
            rows.append(
                (
                    name,
                    f"{100 * row['accuracy']:.2f} ± {100 * row['accuracy_se']:.2f}",
                    *(f"{100 * row[key]:.2f}" for key in ("precision", "recall", "f1")),
                    *("-" if tar is None else f"{100 * tar[k]:.2f}" for k in COLUMNS),
                    f"{row['ms_per_face']:.1f}",
                    f"{row['time_ratio']:.2f}",
                    f"{row['ms_end_to_end']:.1f}",
                    f"{row['end_to_end_ratio']:.2f}",
                )
            )
    table(
        (*columns, "ms a face", "ratio", "end to end", "ratio"),
        rows,
        title=f"{figures['images']:,} photos; View 2: {figures['pairs']:,} pairs",
    )
    for name, found in figures["templates"].items():
        table(
            ("photos", "TAR at 1e-3", "1e-4"),
            (
                (label, *(f"{100 * v:.2f}" for v in row["tar"].values()))
                for label, row in found.items()
            ),
            title=f"templates, {name}",
        )


def show_hard(figures: dict[str, Any]) -> None:
    rows = ((name, row["hard_misses"], row["hard_fnmr"]) for name, row in figures.items())
    table(
        ("hard pairs", f"misses against {hard.BASE}'s", "share, %"),
        (
            (name, None, None) if ratio is None else (name, f"{ratio:.3f}", f"{100 * fnmr:.2f}")
            for name, ratio, fnmr in rows
        ),
    )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--cfp", type=Path, metavar="DIR", help="a sample of CFP")
    parser.add_argument("--att", type=Path, metavar="DIR", help="the AT&T faces")
    less = parser.add_mutually_exclusive_group()
    less.add_argument("--quick", action="store_true", help="two folds of View 2, no TAR")
    less.add_argument("--only", choices=["hard"], help="nothing but the hard pairs")
    options = parser.parse_args()

    def measure() -> dict[str, Any]:
        made: dict[str, Any] = {"presets": {name: {} for name in PRESETS}}
        if options.only is None:
            made = run(options.folder, options.quick)
        hard_of = {name: {"hard_misses": None, "hard_fnmr": None} for name in PRESETS}
        if not options.quick:
            hard_of = hard_figures(options.folder, options.cfp, options.att)
        for name, row in hard_of.items():
            made["presets"][name] |= row
        return made

    def print_tables(figures: dict[str, Any]) -> None:
        if options.only is None:
            show(figures)
        show_hard(figures["presets"])

    report(options, measure, print_tables)


if __name__ == "__main__":
    main()
