"""Enrolling a folder, against embedding its photos alone.

    python benchmarks/speed/enroll.py DIR [--images 2000] [--blocks 8] [--json]

The same photos of LFW, spread over it, are embedded (decoded, detected, aligned, embedded, the one
face that each is of) and enrolled by what ``lineament gallery enroll-folder --choose central``
calls, into a new gallery each time: beside the same, quality is measured, duplicates and people who
look like somebody else are looked for, and each batch is written to the disk. Blocks of photos
alternate between the two, in changing order, so that whatever else the computer does meanwhile hits
both alike; ``ratio_to_embedding`` is the median of the blocks' ratios, ``ratio_of_processor_time``
that of the sums of the time that processors worked for this process: on a busy computer it is the
steadier one.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament import Recognizer
from lineament.datasets.lfw import read_lfw
from lineament.gallery import Gallery
from lineament.gallery.folder import Listing, enroll_folder

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, at_least, report, table

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


def run(options: Any) -> dict[str, Any]:
    lfw = read_lfw(options.folder)
    count = min(options.images, len(lfw.images))
    numbers = [i * len(lfw.images) // count for i in range(count)]
    photos = [(lfw.people[int(lfw.person[i])], lfw.path(i)) for i in numbers]
    return measure(Recognizer(choose="central"), photos, options.blocks)


def show(figures: dict[str, Any]) -> None:
    table(("figure", "value"), ((key.replace("_", " "), v) for key, v in figures.items()))


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="LFW: pairs.txt and images/")
    parser.add_argument(
        "--images", type=at_least(1), default=2000, metavar="N", help="of LFW (2000)"
    )
    parser.add_argument(
        "--blocks", type=at_least(1), default=8, metavar="N", help="that alternate (8)"
    )
    options = parser.parse_args()
    if options.blocks > options.images:
        parser.error("expected as many --images as --blocks, or more")
    report(options, lambda: run(options), show)


if __name__ == "__main__":
    main()
