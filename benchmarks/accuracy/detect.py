"""The detectors on WIDER FACE: average precision (easy, medium, hard) and time.

    python benchmarks/accuracy/detect.py DIR [--only NAME]... [--lfw DIR] [--no-times] [--json]

DIR holds ``annotations.csv`` and ``images/`` as ``lineament.datasets.wider.read_wider_csv``
describes. For the average precision detectors report down to a score of 0.02 and photos are
not turned; ``ms`` is the median time a photo of the detector as users have it (its own least
score, turning on), decoding not included. ``--lfw`` adds in how many photos of LFW a detector
finds a face.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from lineament import DetectOptions, Recognizer, load_detector, load_image
from lineament.datasets.lfw import read_lfw
from lineament.datasets.wider import SUBSETS, AnnotatedImage, read_wider_csv
from lineament.detect import DEFAULT_DETECTOR, DETECTORS
from lineament.evaluate.detection import average_precision, boxes_and_scores

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, median_ms, report, table, track

LEAST_SCORE = 0.02


def measure(name: str, images: tuple[AnnotatedImage, ...], *, timed: bool) -> dict[str, Any]:
    thorough, usual = load_detector(name, turning=False), load_detector(name)
    low, plain = DetectOptions(min_score=LEAST_SCORE), DetectOptions()
    detections, times = [], []
    if timed:
        usual.detect(load_image(images[0].path), plain)
    for item in track(images, name):
        image = load_image(item.path)
        detections.append(boxes_and_scores(thorough.detect(image, low)))
        if timed:
            start = time.perf_counter()
            usual.detect(image, plain)
            times.append(time.perf_counter() - start)
    judged = average_precision(images, detections)
    return {
        **{f"ap_{subset}": round(judged[subset].ap, 4) for subset in SUBSETS},
        **{f"recall_{subset}": round(judged[subset].recall, 4) for subset in SUBSETS},
        **({"ms": round(median_ms(times), 2)} if timed else {}),
    }


def found_on_lfw(name: str, folder: Path, every: int) -> dict[str, int]:
    lfw = read_lfw(folder)
    paths = [lfw.path(i) for i in range(0, len(lfw.images), every)]
    stream = Recognizer(detector=name).stream(paths, embed=False)
    progress = track(stream, f"{name} on LFW", len(paths))
    return {"lfw_found": sum(bool(photo.faces) for photo in progress), "lfw_images": len(paths)}


def run(options: Any) -> dict[str, Any]:
    images = read_wider_csv(options.folder)[: options.images]
    figures: dict[str, Any] = {"default": DEFAULT_DETECTOR, "images": len(images)}
    for name in options.only or DETECTORS:
        figures[name] = measure(name, images, timed=not options.no_times)
        if options.lfw is not None:
            figures[name] |= found_on_lfw(name, options.lfw, options.lfw_every)
    return figures


def show(figures: dict[str, Any]) -> None:
    table(
        ("detector", *(f"AP {subset}" for subset in SUBSETS), "ms", "LFW found"),
        (
            (
                f"{name} (default)" if name == DEFAULT_DETECTOR else name,
                *(f"{row[f'ap_{subset}']:.3f}" for subset in SUBSETS),
                f"{row['ms']:.1f}" if "ms" in row else "",
                f"{row['lfw_found']} of {row['lfw_images']}" if "lfw_found" in row else "",
            )
            for name, row in figures.items()
            if name in DETECTORS
        ),
    )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--only", action="append", metavar="NAME", help="a detector; repeatable")
    parser.add_argument("--lfw", type=Path, metavar="DIR", help="count faces found on LFW too")
    parser.add_argument("--lfw-every", type=int, default=1, metavar="N", help="every N-th of LFW")
    parser.add_argument("--no-times", action="store_true", help="average precision alone")
    parser.add_argument("--images", type=int, metavar="N", help="only the first N photos")
    options = parser.parse_args()
    for name in options.only or ():
        if name not in DETECTORS:
            parser.error(f"--only: expected one of {', '.join(DETECTORS)}, got {name!r}")
    report(options, lambda: run(options), show)


if __name__ == "__main__":
    main()
