"""Enrolling a folder, against embedding its photos alone.

    python benchmarks/speed/enroll.py DIR [--images 2000] [--blocks 8] [--json]

The same photos of LFW, spread over it, are embedded (decoded, detected, aligned, embedded, the
one face that each is of) and enrolled by what ``lineament enroll-folder --choose central`` calls,
into a new gallery each time: beside the same, quality is measured, duplicates and people who look
like somebody else are looked for, and each batch is written to the disk. Blocks of photos
alternate between the two, in changing order, so that whatever else the computer does meanwhile hits
both alike; ``ratio_to_embedding`` is the median of the blocks' ratios, ``ratio_of_processor_time``
that of the sums of the time that processors worked for this process: on a busy computer it is the
steadier one.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from lineament import LineamentError, Recognizer
from lineament.datasets.lfw import read_lfw
from lineament.gallery import Gallery
from lineament.gallery.folder import Listing, enroll_folder

Photos = list[tuple[str, Path]]
Times = npt.NDArray[np.float64]
"""(2,) seconds: by the clock, and of all processors together."""


def now() -> Times:
    return np.array([time.perf_counter(), time.process_time()])


def embed(recognizer: Recognizer, photos: Photos) -> Times:
    started = now()
    found = sum(
        chosen.embedding is not None
        for chosen in recognizer.stream_chosen(path for _, path in photos)
    )
    assert found
    return now() - started


def enroll(gallery: Gallery, photos: Photos, reasons: Counter[str]) -> tuple[Times, int]:
    started = now()
    outcome = enroll_folder(gallery, Listing("folders", tuple(photos)), choose=True)
    elapsed = now() - started
    reasons.update(outcome.by_reason)
    return elapsed, outcome.enrolled


def measure(recognizer: Recognizer, photos: Photos, blocks: int) -> dict[str, Any]:
    """Both, block by block."""
    size = -(-len(photos) // blocks)
    parts = [photos[i : i + size] for i in range(0, len(photos), size)]
    embedding = enrolling = np.zeros(2)
    enrolled = 0
    reasons: Counter[str] = Counter()
    ratios = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Gallery.create(Path(folder) / "gallery", recognizer=recognizer) as gallery,
    ):
        embed(recognizer, parts[0][:64])  # loads the networks, warms the threads
        for i, part in enumerate(parts):
            if i % 2:
                took, n = enroll(gallery, part, reasons)
                alone = embed(recognizer, part)
            else:
                alone = embed(recognizer, part)
                took, n = enroll(gallery, part, reasons)
            embedding, enrolling, enrolled = embedding + alone, enrolling + took, enrolled + n
            ratios.append(round(float((alone / took)[0]), 4))
        people = gallery.n_people
    return {
        "images": len(photos),
        "images_per_second": round(len(photos) / float(enrolling[0]), 2),
        "embedding_images_per_second": round(len(photos) / float(embedding[0]), 2),
        "ratio_to_embedding": round(float(np.median(ratios)), 4),
        "ratio_of_processor_time": round(float((embedding / enrolling)[1]), 4),
        "ratios": ratios,
        "enrolled": enrolled,
        "people": people,
        "refused_by_reason": dict(reasons.most_common()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="LFW: pairs.txt and images/")
    parser.add_argument("--images", type=int, default=2000, metavar="N", help="of LFW (2000)")
    parser.add_argument("--blocks", type=int, default=8, metavar="N", help="that alternate (8)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.images < 1 or not 1 <= options.blocks <= options.images:
        parser.error("expected --images of 1 or more, and as many --blocks at the most")
    try:
        lfw = read_lfw(options.folder)
        count = min(options.images, len(lfw.images))
        numbers = [i * len(lfw.images) // count for i in range(count)]
        photos = [(lfw.people[int(lfw.person[i])], lfw.path(i)) for i in numbers]
        figures = measure(Recognizer(choose="central"), photos, options.blocks)
    except LineamentError as error:
        raise SystemExit(str(error)) from error
    if options.json:
        print(json.dumps(figures))
        return
    table = Table(show_header=False)
    for key, value in figures.items():
        table.add_row(key.replace("_", " "), str(value))
    Console().print(table)


if __name__ == "__main__":
    main()
