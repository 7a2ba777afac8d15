"""People followed through films: how often a number or a name is wrong, and how fast that is.

    python benchmarks/video.py DIR [--att DIR] [--choose] [--people N] [--seed N] [--preset NAME]
        [--parts tracking,fps,latency,memory] [--quick] [--at-once] [--export FILE] [--json]

DIR is LFW's folder, ``--att`` that of AT&T's faces. Films are made of photographs of people who
move, come nearer, cross, are hidden, leave and return (``accuracy/filming/``), with noise, blur and
a camera that shakes and jumps; every return shows another photograph. Every second person is
enrolled in a gallery, with a photograph that no film shows.

The people are those of whom View 1 of LFW has no photo, and the second half of AT&T's; all choices
were made on the others: ``--choose`` takes those. Films are told from their end, as ``lineament
watch`` does it; ``--at-once``: frame by frame, as of a camera. ``--export`` writes what was said of
each frame, for another implementation of the figures.

idf1, hota     as in ``lineament.evaluate.tracking``; of a face of which less than half is visible
               neither a box nor its lack counts
switches_per_100_tracks   changes of a person's number, returns among them; a track is one visit
fps, latency_p95_ms, memory_growth_mb   of the whole loop: see ``speed/watching.py``
identity_accuracy   share of the visits whose last answer is right: the name of who is enrolled, no
               name for others; ``..._enrolled``, ``..._strangers``: of these alone
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentTypeError, Namespace
from pathlib import Path
from typing import Any

from lineament import Recognizer
from lineament.datasets.lfw import read_lfw
from lineament.models import DEFAULT_PRESET, PRESETS
from lineament.video.tracks import TrackOptions

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "accuracy"))
sys.path.insert(0, str(Path(__file__).parent / "speed"))
import watching
from filming import cast, measure

from _harness import Parser, at_least, report, table, track

VISITS = 2
PER_FILM = 4
PEOPLE, QUICK_PEOPLE = 120, 40
SEED = 7
PARTS = ("tracking", *watching.PARTS)
QUICK_PARTS = ("tracking", "fps", "latency")
SPEED = {"gallery": 100_000, "seconds": 20}
QUICK_SPEED = {"gallery": 1_000, "seconds": 4}
"""Arguments of ``speed/watching.py``."""


def run(options: Any) -> dict[str, Any]:
    named = options.parts or (QUICK_PARTS if options.quick else PARTS)
    figures: dict[str, Any] = {}
    speed = tuple(part for part in watching.PARTS if part in named)
    if speed:
        figures |= watching.measured(
            Namespace(
                threads=None,
                parts=speed,
                minutes=10,
                **(QUICK_SPEED if options.quick else SPEED),
            )
        )
    return figures | (tracking(options) if "tracking" in named else {})


def tracking(options: Any) -> dict[str, Any]:
    many = options.people or (QUICK_PEOPLE if options.quick else PEOPLE)
    parts = [
        cast.of_lfw(read_lfw(options.folder), inside_view_1=options.choose, visits=VISITS),
    ]
    if options.att is not None:
        parts.append(cast.of_att(options.att, first_half=options.choose, visits=VISITS))
    recognizer = Recognizer(options.preset)
    people = measure.load(cast.mixed(parts), many, recognizer.finder)
    gallery = measure.enrolled(people, recognizer)
    seen = measure.films(
        people,
        recognizer,
        gallery,
        per_film=PER_FILM,
        seed=options.seed,
        options=TrackOptions(revise=not options.at_once),
        progress=lambda numbers: track(numbers, "films", len(numbers)),
    )
    if options.export is not None:
        frames = [
            [
                [one.people.tolist(), one.tracks.tolist(), one.overlap.tolist()]
                for one in film.frames
            ]
            for film in seen
        ]
        options.export.write_text(json.dumps(frames), encoding="utf-8")
    return {
        "preset": options.preset,
        "at_once": options.at_once,
        "enrolled": gallery.n_people,
        **measure.figures(seen),
    }


def parts(text: str) -> tuple[str, ...]:
    """Names, with commas between them."""
    named = tuple(text.split(","))
    if not set(named) <= set(PARTS):
        raise ArgumentTypeError(f"expected some of {','.join(PARTS)}, got {text!r}")
    return named


def show(figures: dict[str, Any]) -> None:
    table(
        ["figure", "value"],
        [[key, f"{v:.4f}" if isinstance(v, float) else v] for key, v in figures.items()],
    )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="LFW's folder")
    parser.add_argument("--att", type=Path, metavar="DIR", help="the folder of AT&T's faces")
    parser.add_argument("--choose", action="store_true", help="the people that choices are made on")
    parser.add_argument("--people", type=at_least(PER_FILM), metavar="N")
    parser.add_argument("--seed", type=int, default=SEED, help="of the films")
    parser.add_argument("--preset", choices=PRESETS, default=DEFAULT_PRESET)
    parser.add_argument("--parts", type=parts, metavar="NAMES")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_PEOPLE} people")
    parser.add_argument("--at-once", action="store_true", help="frame by frame, as of a camera")
    parser.add_argument("--export", type=Path, metavar="FILE")
    options = parser.parse_args()
    report(options, lambda: run(options), show)


if __name__ == "__main__":
    main()
