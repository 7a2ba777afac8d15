"""Memory of a process that analyzes photos of ever new sizes, with each engine.

    python benchmarks/robustness/memory.py [DIR] [--photos 2000] [--json]

DIR is a folder of photos, such as Labeled Faces in the Wild; without it the package's own are
taken. Each photo is scaled to a size that none before it had, so that an engine that keeps
something for every size shows it. Each engine has a process of its own. ``growth_mb`` is what the
resident memory is larger by at the end than after the first 50 photos.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PILImage

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import DEMO, Parser, at_least, report, table

ENGINES = ("openvino", "onnxruntime")
FIRST = 50
"""Photos until every buffer is there."""

SIDES_PX = (160, 720)
SEED = 4


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def sizes(n: int) -> list[tuple[int, int]]:
    """``n`` different sizes, upright and across."""
    rng = np.random.default_rng(SEED)
    found: dict[tuple[int, int], None] = {}
    while len(found) < n:
        width, height = (int(side) for side in rng.integers(*SIDES_PX, 2))
        found[width, height] = None
    return list(found)


def one_engine(folder: Path, photos: int, engine: Any, step: int) -> dict[str, Any]:
    """What a process of its own prints."""
    from lineament import Recognizer
    from lineament.models.runtime import Runtime

    paths = sorted(folder.rglob("*.jpg"))[: 10 * photos]
    if not paths:
        raise SystemExit(f"{folder}: expected JPEG files below it")
    recognizer = Recognizer(runtime=Runtime(engine))
    samples: dict[int, float] = {}
    started = time.perf_counter()
    for number, size_wh in enumerate(sizes(photos), 1):
        with PILImage.open(paths[number * 7919 % len(paths)]) as image:
            pixels = np.asarray(image.convert("RGB").resize(size_wh))
        recognizer.analyze(pixels)
        if number % step == 0 or number == min(FIRST, photos):
            samples[number] = round(resident_mb(), 1)
    first, last = samples[min(FIRST, photos)], resident_mb()
    return {
        "growth_mb": round(last - first, 1),
        "first_mb": first,
        "last_mb": round(last, 1),
        "seconds": round(time.perf_counter() - started, 1),
        "samples_mb": samples,
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    figures: dict[str, Any] = {"photos": options.photos}
    for engine in options.engines:
        command = [sys.executable, __file__, str(options.folder), "--photos", str(options.photos)]
        done = subprocess.run(
            [*command, "--child", engine], stdout=subprocess.PIPE, text=True, check=True
        )
        figures[engine] = json.loads(done.stdout)
    return figures


def show(figures: dict[str, Any]) -> None:
    rows = [
        (name, found["first_mb"], found["last_mb"], found["growth_mb"], found["seconds"])
        for name, found in figures.items()
        if isinstance(found, dict)
    ]
    columns = ("engine", f"MB after {FIRST}", "MB at the end", "growth", "seconds")
    table(columns, rows, title=f"{figures['photos']} photos, each of another size")


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=DEMO, metavar="DIR")
    parser.add_argument("--photos", type=at_least(1), default=2000)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--child", choices=ENGINES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        step = max(1, options.photos // 10)
        print(json.dumps(one_engine(options.folder, options.photos, options.child, step)))
        return
    report(options, lambda: measure(options), show)


if __name__ == "__main__":
    main()
