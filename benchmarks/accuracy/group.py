"""How well faces are grouped by person without names: LFW, people with 5 photos and more.

    python benchmarks/accuracy/group.py DIR [--preset NAME] [--min-photos 5] [--json]

The groups are those of ``lineament group``, of one face a photo: the central one, which is
whom LFW's photos are of. The threshold comes from the calibration, which was fitted on LFW
View 1; the constants of the grouping were chosen there, too. ``--min-photos 1`` takes all of LFW. A
photo without a face is a group by itself. ``seconds`` is the grouping alone; embeddings are
kept from run to run.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from lineament import Recognizer
from lineament.datasets.lfw import read_lfw
from lineament.datasets.source import RecognizerSource
from lineament.errors import OptionError
from lineament.evaluate.clustering import clustering_report
from lineament.gallery.grouping import grouping_threshold, link
from lineament.models import DEFAULT_PRESET, PRESETS

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, report, table


def measure(folder: Path, preset: str, min_photos: int) -> dict[str, Any]:
    lfw = read_lfw(folder)
    people = np.array([lfw.path(i).parent.name for i in range(len(lfw.images))])
    _, person, counts = np.unique(people, return_inverse=True, return_counts=True)
    chosen = np.flatnonzero(counts[person] >= min_photos)
    if len(chosen) == 0:
        raise OptionError(f"--min-photos: nobody in {folder} has {min_photos}")
    recognizer = Recognizer(preset, choose="central")
    calibration = recognizer.calibration
    if calibration is None:
        raise OptionError(f"the preset {preset} has no calibration to take a threshold from")
    embedded = RecognizerSource(recognizer).photos([lfw.path(i) for i in chosen.tolist()])
    start = time.perf_counter()
    seen = np.flatnonzero(embedded.found)
    threshold = grouping_threshold(calibration, len(seen))
    linked = link(embedded.vectors[seen], np.arange(len(seen)), threshold.value)
    seconds = time.perf_counter() - start
    clusters = np.arange(len(chosen))
    clusters[seen] = seen[linked.first]
    report = clustering_report(person[chosen], clusters).to_dict()
    figures: dict[str, Any] = {"photos": len(chosen), "people": report["people"]}
    figures |= {"groups": report["clusters"], "without_face": len(chosen) - len(seen)}
    figures |= {key: round(v, 5) for key, v in report.items() if key[:3] in ("pai", "bcu")}
    return figures | {
        "threshold": round(threshold.value, 4),
        "seconds": round(seconds, 2),
        "preset": preset,
        "min_photos": min_photos,
    }


def show(figures: dict[str, Any]) -> None:
    rates = ("precision", "recall", "f1")
    table(
        ("", "precision", "recall", "F1"),
        (
            (name, *(f"{figures[f'{name}_{rate}']:.4f}" for rate in rates))
            for name in ("pairwise", "bcubed")
        ),
        title=f"{figures['photos']:,} photos of {figures['people']:,} people: "
        f"{figures['groups']:,} groups in {figures['seconds']} s",
    )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="LFW")
    parser.add_argument("--preset", choices=list(PRESETS), default=DEFAULT_PRESET)
    parser.add_argument("--min-photos", type=int, default=5, metavar="N", help="a person")
    options = parser.parse_args()
    report(options, lambda: measure(options.folder, options.preset, options.min_photos), show)


if __name__ == "__main__":
    main()
