"""How many photos of LFW a second, and over all of them how right: nothing is cached.

    python benchmarks/accuracy/lfw.py DIR [--images 2000 | --all] [--json]

Decode, detect, align, embed, with each recognizer, without and with averaging over the mirror
image. ``--all`` takes the 13,233 photos and adds the accuracy of View 2 and TAR over all
pairs, as ``lineament eval lfw`` prints them.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from lineament import Recognizer, models
from lineament.datasets.lfw import LFW, read_lfw
from lineament.evaluate.protocols.lfw import lfw_report
from lineament.pipeline import DEFAULT_FLIP, DEFAULT_RECOGNIZER

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, at_least, report, table, track


def measure(name: str, flip: bool, paths: list[Path], lfw: LFW | None) -> dict[str, Any]:
    recognizer = Recognizer(name, flip=flip, choose="central")
    recognizer.embed(paths[0])  # loads the networks
    label = f"{name}, flip" if flip else name
    start = time.perf_counter()
    stream = recognizer.stream_chosen(paths)
    progress = track(stream, label, len(paths))
    embeddings = [chosen.embedding for chosen in progress]
    elapsed = time.perf_counter() - start
    found = np.array([embedding is not None for embedding in embeddings])
    figures = {
        "recognizer": name,
        "flip": flip,
        "images_per_second": round(len(paths) / elapsed, 1),
        "faces_found": int(found.sum()),
    }
    if lfw is not None:
        nothing = np.zeros(recognizer.embedder.contract.dimension, np.float32)
        vectors = np.stack([nothing if e is None else e.vector for e in embeddings])
        report = lfw_report(lfw, vectors, found).to_dict()
        figures["view2_accuracy"] = report["view2"]["accuracy_mean"]
        figures["view2_se"] = report["view2"]["accuracy_se"]
        figures["tar_at_fmr"] = report["all_pairs"]["tar_at_fmr"]
    return figures


def run(options: Any) -> dict[str, Any]:
    names = [entry.name for entry in models.entries("embedder") if entry.file is not None]
    ways = [(name, flip) for name in names for flip in (False, True)]
    if options.default:
        ways = [(DEFAULT_RECOGNIZER, DEFAULT_FLIP)]
    lfw = read_lfw(options.folder)
    count = len(lfw.images) if options.all else min(options.images, len(lfw.images))
    paths = [lfw.path(i * len(lfw.images) // count) for i in range(count)]
    whole = lfw if options.all else None
    rows = [measure(name, flip, paths, whole) for name, flip in ways]
    default = next(
        row
        for row in rows
        if (row["recognizer"], row["flip"]) == (DEFAULT_RECOGNIZER, DEFAULT_FLIP)
    )
    return {"images": count, "images_per_second": default["images_per_second"], "runs": rows}


def show(figures: dict[str, Any]) -> None:
    columns = ["recognizer", "flip", "images a second", "faces found"]
    cells = []
    for row in figures["runs"]:
        rates = row.get("tar_at_fmr", {})
        shares = [row["view2_accuracy"]] if "view2_accuracy" in row else []
        shares += [rates[rate] for rate in ("1e-3", "1e-4", "1e-5") if rate in rates]
        cells.append(
            (
                row["recognizer"],
                "yes" if row["flip"] else "no",
                f"{row['images_per_second']:.0f}",
                row["faces_found"],
                *(f"{100 * share:.2f}" for share in shares),
            )
        )
    if "view2_accuracy" in figures["runs"][0]:
        columns += ["View 2, %", "TAR at 1e-3, %", "at 1e-4, %", "at 1e-5, %"]
    table(columns, cells, title=f"{figures['images']} images")


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument(
        "--images", type=at_least(1), default=2000, metavar="N", help="spread over LFW"
    )
    parser.add_argument("--all", action="store_true", help="all images, and the accuracy too")
    parser.add_argument("--default", action="store_true", help="the default combination only")
    options = parser.parse_args()
    report(options, lambda: run(options), show)


if __name__ == "__main__":
    main()
