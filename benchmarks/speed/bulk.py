"""How processes compare with threads when many photos are embedded: two ratios.

    python benchmarks/speed/bulk.py DIR [--images 1200] [--workers 2] [--rounds 3] [--json]

DIR is a folder of photos; the first ``--images`` by name are taken. Threads are
``Recognizer.stream``, processes ``stream_in_processes`` with ``--workers``; both take turns, each
in a fresh interpreter. "steady" is photos a second after the first ``WARM``, "start_to_end"
the same for the whole run of the interpreter, imports and networks included. A ratio is processes
over threads, the median of the rounds' ("ratios", which tell how far to trust it): above 1,
processes are faster.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from lineament import LineamentError, Recognizer
from lineament.bulk import stream_in_processes
from lineament.errors import DataError, OptionError
from lineament.images import find_images

WARM = 64
"""Photos until all threads and processes are at work."""
WAYS = ("threads", "processes")


def chosen(folder: Path, count: int) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder of photos, found none of that name")
    paths = find_images([folder])[:count]
    if len(paths) <= WARM:
        raise DataError(f"{folder}: expected more than {WARM} photos, found {len(paths)}")
    return paths


def steady(paths: list[Path], workers: int) -> float:
    """Photos a second after the first ``WARM``; 0 workers are threads."""
    recognizer = Recognizer()
    if workers:
        photos = stream_in_processes(paths, recognizer, workers)
    else:
        photos = recognizer.stream(paths)
    started = 0.0
    for number, photo in enumerate(photos, 1):
        if photo.error is not None:
            raise photo.error
        if number == WARM:
            started = time.perf_counter()
    return (len(paths) - WARM) / (time.perf_counter() - started)


def alone(folder: Path, images: int, workers: int) -> dict[str, float]:
    """One run in an interpreter of its own."""
    command = [sys.executable, __file__, str(folder), "--images", str(images)]
    started = time.perf_counter()
    done = subprocess.run(
        [*command, "--one", str(workers)], capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise OptionError(done.stderr.strip().splitlines()[-1] if done.stderr else "a run failed")
    return {"steady": float(done.stdout), "start_to_end": images / seconds}


def run(folder: Path, images: int, workers: int, rounds: int, quiet: bool) -> dict[str, Any]:
    images = len(chosen(folder, images))
    console = Console(stderr=True)
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for turn in track(range(rounds), "rounds", console=console, disable=quiet):
        for way in WAYS if turn % 2 == 0 else WAYS[::-1]:
            runs[way].append(alone(folder, images, workers if way == "processes" else 0))
    figures: dict[str, Any] = {"images": images, "workers": workers, "rounds": rounds}
    for key in ("steady", "start_to_end"):
        threads, processes = ([one[key] for one in runs[way]] for way in WAYS)
        # Within a round, as what else the machine does changes from round to round.
        ratios = [p / t for p, t in zip(processes, threads, strict=True)]
        figures[key] = {
            "ratio": statistics.median(ratios),
            "ratios": ratios,
            "threads_per_s": statistics.median(threads),
            "processes_per_s": statistics.median(processes),
        }
    return figures


def show(figures: dict[str, Any]) -> None:
    title = (
        f"{figures['images']:,} photos, {figures['workers']} processes over threads, "
        f"{figures['rounds']} rounds"
    )
    table = Table("", "ratio", "of each round", title=title)
    for key in ("steady", "start_to_end"):
        each = ", ".join(f"{ratio:.2f}" for ratio in figures[key]["ratios"])
        table.add_row(key.replace("_", " "), f"{figures[key]['ratio']:.2f}", each)
    Console().print(table)


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="DIR", help="photographs")
    parser.add_argument("--images", type=positive, default=1200, metavar="N")
    parser.add_argument("--workers", type=positive, default=2, metavar="N", help="processes")
    parser.add_argument("--rounds", type=positive, default=3, metavar="N")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--one", type=int, metavar="N", help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        if options.one is not None:
            print(steady(chosen(options.folder, options.images), options.one))
            return
        figures = run(options.folder, options.images, options.workers, options.rounds, options.json)
    except LineamentError as error:
        raise SystemExit(str(error)) from error
    if options.json:
        print(json.dumps(figures))
    else:
        show(figures)


if __name__ == "__main__":
    main()
