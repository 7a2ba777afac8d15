"""Peak memory on one processor of a host with many, as a container has it.

    python benchmarks/robustness/cpus.py [--photos 48] [--host 64] [--json]

A child process may use one processor only (its affinity), while ``os.cpu_count`` says 64 as it
does in such a container. It streams photos of 12 megapixels from files. ``peak_mb`` is the largest
resident memory that the system saw, ``workers`` the threads that were chosen.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image as PILImage

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import DEMO, Parser, at_least, report, table

SIZE_WH = (4000, 3000)


def one_processor(folder: Path, host: int) -> dict[str, Any]:
    """What the child prints."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.cpu_count = lambda: host
    from lineament import Recognizer

    recognizer = Recognizer()
    started = time.perf_counter()
    photos = list(recognizer.stream(sorted(folder.glob("*.jpg"))))
    seconds = time.perf_counter() - started
    return {
        "photos": len(photos),
        "faces": sum(len(photo.faces) for photo in photos),
        "errors": sum(photo.error is not None for photo in photos),
        "workers": recognizer.finder.workers,
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, 1),
        "seconds": round(seconds, 1),
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="lineament-cpus-") as folder:
        kinds = sorted(DEMO.glob("*.jpg"))
        for kind in kinds:
            with PILImage.open(kind) as image:
                image.convert("RGB").resize(SIZE_WH).save(Path(folder) / kind.name, quality=85)
        for number in range(options.photos):
            source = Path(folder) / kinds[number % len(kinds)].name
            (Path(folder) / f"{number:03}.jpg").hardlink_to(source)
        for kind in kinds:
            (Path(folder) / kind.name).unlink()
        done = subprocess.run(
            [sys.executable, __file__, "--child", folder, "--host", str(options.host)],
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def show(figures: dict[str, Any]) -> None:
    table(("of the run", "figure"), list(figures.items()), title="One processor of a large host")


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--photos", type=at_least(1), default=48)
    parser.add_argument("--host", type=at_least(1), default=64, help="what os.cpu_count says")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(one_processor(options.child, options.host)))
        return
    report(options, lambda: measure(options), show)


if __name__ == "__main__":
    main()
