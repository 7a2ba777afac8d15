"""How many photographs of LFW a second: decode, detect, align, embed; nothing is cached.

    python benchmarks/lfw.py DIR [--images 2000] [--json]

Each recognizer, without and with averaging over the mirror image. ``lineament eval lfw`` measures
how right the embeddings are.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from lineament import LineamentError, Recognizer, weights
from lineament.evaluate.lfw import read_lfw
from lineament.pipeline import DEFAULT_FLIP, DEFAULT_RECOGNIZER


def measure(name: str, flip: bool, paths: list[Path], quiet: bool) -> dict[str, Any]:
    recognizer = Recognizer(name, flip=flip, choose="central")
    recognizer.embed(paths[0])  # loads the networks
    label = f"{name}, flip" if flip else name
    start = time.perf_counter()
    stream = recognizer.stream_chosen(paths)
    progress = track(stream, label, len(paths), console=Console(stderr=True), disable=quiet)
    found = sum(chosen.embedding is not None for chosen in progress)
    elapsed = time.perf_counter() - start
    return {
        "recognizer": name,
        "flip": flip,
        "images_per_second": round(len(paths) / elapsed, 1),
        "faces_found": found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--images", type=int, default=2000, metavar="N", help="spread over LFW")
    parser.add_argument("--default", action="store_true", help="the default combination only")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.images < 1:
        parser.error("--images: expected 1 or more")
    names = [entry.name for entry in weights.entries("recognizer") if entry.file is not None]
    ways = [(name, flip) for name in names for flip in (False, True)]
    if options.default:
        ways = [(DEFAULT_RECOGNIZER, DEFAULT_FLIP)]
    try:
        lfw = read_lfw(options.folder)
        count = min(options.images, len(lfw.images))
        paths = [lfw.path(i * len(lfw.images) // count) for i in range(count)]
        rows = [measure(name, flip, paths, options.json) for name, flip in ways]
    except LineamentError as error:
        raise SystemExit(str(error)) from error
    default = next(
        row
        for row in rows
        if (row["recognizer"], row["flip"]) == (DEFAULT_RECOGNIZER, DEFAULT_FLIP)
    )
    if options.json:
        figures = {"images": count, "images_per_second": default["images_per_second"], "runs": rows}
        print(json.dumps(figures))
        return
    table = Table("recognizer", "flip", "images a second", "faces found", title=f"{count} images")
    for row in rows:
        table.add_row(
            row["recognizer"],
            "yes" if row["flip"] else "no",
            f"{row['images_per_second']:.0f}",
            str(row["faces_found"]),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
