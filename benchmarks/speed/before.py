"""This code against another version of it: processor time a photo, in turns.

    python benchmarks/speed/before.py SRC [--lfw DIR] [--repeats 7] [--recognizer sface] [--json]

SRC is the folder ``src`` of the other version (``git worktree add --detach before COMMIT``). Each
version has a process of its own; they take turns on the photos of ``benchmarks/photo.py`` (640x480,
12 and 48 megapixels), and on 20 photos of LFW as a stream if its folder is given. Times are
processor time on one thread, medians, with the recognizer and without it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, at_least, report, table

AT_ONCE = {"640x480": 6}
"""So many photos in one turn, where one takes too little time by itself."""

LFW_PHOTOS = 20


def worker(recognizer: str) -> None:
    """Analyze the photos of each line, a list of paths; print ms a photo, whole and without."""
    from lineament import Recognizer
    from lineament.models.runtime import Runtime

    loaded = Recognizer(recognizer, runtime=Runtime(threads=1))
    embedder = loaded.embedder
    spent = 0.0

    class Timed:
        contract = embedder.contract
        size_wh = embedder.size_wh

        def embed(self, crops: Any) -> Any:
            nonlocal spent
            started = time.thread_time()
            found = embedder.embed(crops)
            spent += time.thread_time() - started
            return found

    timed = Recognizer(recognizer, finder=loaded.finder, embedder=Timed())
    for line in sys.stdin:
        paths, spent = json.loads(line), 0.0
        started = time.process_time()
        if len(set(paths)) > 1:
            count = sum(1 for _ in timed.stream(paths))
        else:
            count = len([timed.analyze(path, keep_pixels=False) for path in paths])
        took = time.process_time() - started
        print(json.dumps([1e3 * took / count, 1e3 * (took - spent) / count]), flush=True)


class Version:
    """A process that analyzes photos with the code of one folder."""

    def __init__(self, src: Path, recognizer: str) -> None:
        """Start it."""
        command = [sys.executable, __file__, str(src), "--worker", "--recognizer", recognizer]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(src)},
        )

    def ask(self, paths: list[str]) -> list[float]:
        """Milliseconds a photo, whole and without the recognizer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(paths), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a version ended early; its message is above")
        found: list[float] = json.loads(line)
        return found

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    import lineament
    from photo import PHOTOS, photo

    now = Path(lineament.__file__).parents[1]
    figures: dict[str, Any] = {"recognizer": options.recognizer, "repeats": options.repeats}
    with tempfile.TemporaryDirectory(prefix="lineament-before-") as folder:
        lists: dict[str, list[str]] = {}
        for name, (width, height, people) in PHOTOS.items():
            path = Path(folder) / f"{name}.jpg"
            path.write_bytes(photo(width, height, people))
            lists[name] = [str(path)] * AT_ONCE.get(name, 1)
        if options.lfw is not None:
            paths = sorted(options.lfw.rglob("*.jpg"))
            lists["lfw"] = [str(path) for path in paths[:: max(1, len(paths) // LFW_PHOTOS)]]
        versions = {
            "before": Version(options.src.resolve(), options.recognizer),
            "now": Version(now, options.recognizer),
        }
        times: dict[str, dict[str, list[list[float]]]] = {}
        for turn in range(options.repeats + 1):
            for name, listed in lists.items():
                for which, version in versions.items():
                    took = version.ask(listed)
                    if turn:  # the first sets everything up
                        times.setdefault(name, {}).setdefault(which, []).append(took)
        for version in versions.values():
            version.close()
    for name, by_version in times.items():
        medians = {
            which: [statistics.median(took[i] for took in turns) for i in (0, 1)]
            for which, turns in by_version.items()
        }
        before, after = medians["before"], medians["now"]
        figures[name] = {
            "before_ms": round(before[0], 1),
            "ms": round(after[0], 1),
            "share": round(after[0] / before[0], 3),
            "share_without_recognizer": round(after[1] / before[1], 3),
        }
    return figures


def show(figures: dict[str, Any]) -> None:
    table(
        ("", "ms before", "ms", "of the time before", "without the recognizer"),
        [
            (name, row["before_ms"], row["ms"], row["share"], row["share_without_recognizer"])
            for name, row in figures.items()
            if isinstance(row, dict) and "share" in row
        ],
    )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("src", type=Path, metavar="SRC")
    parser.add_argument("--lfw", type=Path, help="folder of Labeled Faces in the Wild")
    parser.add_argument("--repeats", type=at_least(1), default=7)
    parser.add_argument("--recognizer", default="sface", help="a preset or a model of both")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.recognizer)
    else:
        report(options, lambda: measure(options), show)


if __name__ == "__main__":
    main()
