"""Hard pairs: spoilt, covered, turned and other photos, for choosing among recognizers.

    python benchmarks/accuracy/hard.py --lfw DIR --cfp DIR --att DIR [--recognizer NAME]... [--json]

LFW's View 1 is so easy that choices by it hang on four of its 3,192 genuine pairs. Here are lists
of pairs (``hard_pairs/pairs.py``) that are the same in every run, of people of View 1, a sample of
CFP and the AT&T faces; nothing of LFW's View 2 is in them. The parts:

small, compressed, blurred, dark, covered, aged, misaligned, mixed
                   350 pairs each of View 1's people, one photo or both spoilt in this way, mildly
                   to moderately; "aged" is heavy augmentation, a stand-in for years
apart              two photos of one person that are three or more apart by their file numbers,
                   spoilt in one of these ways each
frontal-frontal    CFP's frontal photos, spoilt in one of these ways each
frontal-profile, profile-profile
                   CFP's profiles, as they are
att                the AT&T faces, spoilt in one of these ways each

"misses" is the mean over the parts of the share of genuine pairs that are missed at a false match
rate of 1e-3, each part at its own threshold; "one_threshold" the same where all parts share one;
"ratio" is to the recognizer ``sface`` without the mirror image. "view1" is TAR on all pairs of View
1's photos as they are. ``--recognizer`` takes names of presets and models, with ",flip" for the
mirror image; presets and ``sface`` without it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament import models
from lineament.embed import Embedder, embed_faces, load_embedder
from lineament.evaluate.pair_counts import all_pairs
from lineament.models import PRESETS

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
from hard_pairs.faces import Faces, find, list_att, list_cfp, list_lfw
from hard_pairs.judging import Prepared, judge, prepare
from hard_pairs.pairs import digest_of, parts_of

from _harness import Parser, report, table, track

BASE = "sface"
"""Without the mirror image: the default until recognizers were joined."""
FMRS = {"1e-3": 1e-3, "1e-4": 1e-4, "1e-5": 1e-5}
_BLOCK = 256


def faces_of(lfw: Path, cfp: Path, att: Path) -> list[Faces]:
    """All faces that pairs are made of.

    Raises:
        DataError, ImageError: a folder or photo is missing or cannot be read.
    """
    listed = (list_lfw(lfw), list_cfp(cfp), list_att(att))  # all, before the long part
    return [find(one, "central" if one.set_name == "lfw" else "largest") for one in listed]


def embedder_of(way: str) -> Embedder:
    """The embedder of a preset's or model's name, with ",flip" for the mirror image."""
    name, _, flip = way.partition(",")
    preset = PRESETS.get(name)
    card = models.get(name if preset is None else preset.recognizer)
    mirrored = card.mirrored or flip.strip() == "flip" or (preset is not None and preset.flip)
    return load_embedder(card, flip=mirrored)


def embed(
    embedder: Embedder, crops: npt.NDArray[np.uint8], landmarks_xy: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """As the pipeline does it: turned faces twice. (N, ...) -> (N, D)."""
    starts = track(range(0, len(crops), _BLOCK), embedder.contract.weights)
    return np.concatenate(
        [
            embed_faces(
                embedder, crops[start : start + _BLOCK], list(landmarks_xy[start : start + _BLOCK])
            )[0]
            for start in starts
        ]
    )


def hard_misses(prepared: Prepared, embedder: Embedder) -> dict[str, Any]:
    """The row of one recognizer, but for its ratio."""
    misses = judge(prepared, embed(embedder, prepared.crops, prepared.landmarks_xy))
    return {
        "misses": misses.mean,
        "one_threshold": misses.one_threshold,
        "by_part": misses.by_part,
    }


def on_view1(faces: Faces, embedder: Embedder) -> dict[str, float]:
    """TAR on all pairs."""
    counts = all_pairs(
        embed(embedder, faces.crops, faces.landmarks_xy),
        np.unique(faces.listed.people, return_inverse=True)[1],
        found=faces.found,
    )
    return {name: float(counts.tar_at_fmr(fmr)) for name, fmr in FMRS.items()}


def run(lfw: Path, cfp: Path, att: Path, ways: Sequence[str]) -> dict[str, Any]:
    loaded = {way: embedder_of(way) for way in dict.fromkeys((BASE, *ways))}
    sets = faces_of(lfw, cfp, att)
    parts = parts_of(sets)
    prepared = prepare(parts, sets)
    rows = {
        way: {**hard_misses(prepared, embedder), "view1": on_view1(sets[0], embedder)}
        for way, embedder in loaded.items()
    }
    for row in rows.values():
        row["ratio"] = row["misses"] / rows[BASE]["misses"]
    sizes = {part.name: [int(mask.sum()) for mask in part.masks()] for part in parts}
    return {
        "lists_sha256": digest_of(parts, sets),
        "parts": {name: {"genuine": g, "impostor": i} for name, (g, i) in sizes.items()},
        "recognizers": rows,
    }


def show(figures: dict[str, Any]) -> None:
    rows = figures["recognizers"]
    table(
        ("misses at FMR 1e-3, %", "pairs", *rows),
        [
            *(
                (name, part["genuine"], *(f"{100 * r['by_part'][name]:.1f}" for r in rows.values()))
                for name, part in figures["parts"].items()
            ),
            ("mean: misses", "", *(f"{100 * r['misses']:.2f}" for r in rows.values())),
            ("ratio", "", *(f"{r['ratio']:.3f}" for r in rows.values())),
            ("one threshold", "", *(f"{100 * r['one_threshold']:.2f}" for r in rows.values())),
            *(
                (f"View 1, TAR at {k}", "", *(f"{100 * r['view1'][k]:.2f}" for r in rows.values()))
                for k in FMRS
            ),
        ],
        title=f"lists {figures['lists_sha256'][:16]}",
    )


def main() -> None:
    parser = Parser(__doc__)
    for name, what in (("lfw", "LFW"), ("cfp", "a sample of CFP"), ("att", "the AT&T faces")):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="DIR", help=what)
    parser.add_argument(
        "--recognizer",
        action="append",
        metavar="NAME",
        help='a preset or model, with ",flip" for the mirror image; repeatable',
    )
    options = parser.parse_args()
    ways = options.recognizer or list(PRESETS)
    report(options, lambda: run(options.lfw, options.cfp, options.att, ways), show)


if __name__ == "__main__":
    main()
