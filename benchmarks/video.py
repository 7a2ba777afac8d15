"""People followed through films: who is who, and how often a number or a name is wrong.

    python benchmarks/video.py DIR [--att DIR] [--choose] [--people N] [--seed N] [--preset NAME]
        [--quick] [--export FILE] [--json]

DIR is LFW's folder, ``--att`` that of AT&T's faces. Films are made of photographs of people who
move, come nearer, cross, are hidden, leave and return (``accuracy/filming/``), with noise, blur and
a camera that shakes and jumps; every return shows another photograph. Every second person is
enrolled in a gallery, with a photograph that no film shows.

The people are those of whom View 1 of LFW has no photo, and the second half of AT&T's; all choices
were made on the others: ``--choose`` takes those. ``--export`` writes what was said of each frame,
for another implementation of the figures.

idf1, hota     as in ``lineament.evaluate.tracking``; of a face of which less than half is visible
               neither a box nor its lack counts
switches_per_100_tracks   changes of a person's number, returns among them; a track is one visit
identity_accuracy   share of the visits whose last answer is right: the name of who is enrolled, no
               name for others; ``..._enrolled``, ``..._strangers``: of these alone
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lineament import Recognizer
from lineament.datasets.lfw import read_lfw
from lineament.models import DEFAULT_PRESET, PRESETS
from lineament.video.people import TrackOptions

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "accuracy"))
from filming import cast, measure

from _harness import Parser, at_least, report, table, track

VISITS = 2
PER_FILM = 4
PEOPLE, QUICK_PEOPLE = 120, 40
SEED = 7


def run(options: Any) -> dict[str, Any]:
    many = options.people or (QUICK_PEOPLE if options.quick else PEOPLE)
    parts = [
        cast.of_lfw(read_lfw(options.folder), inside_view_1=options.choose, visits=VISITS),
    ]
    if options.att is not None:
        parts.append(cast.of_att(options.att, first_half=options.choose, visits=VISITS))
    recognizer = Recognizer(options.preset)
    people = measure.load(list(track(cast.mixed(parts, many), "photos", many)), recognizer.finder)
    gallery = measure.enrolled(people, recognizer)
    seen = measure.films(
        people,
        recognizer,
        gallery,
        per_film=PER_FILM,
        seed=options.seed,
        options=TrackOptions(),
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
        "enrolled": gallery.n_people,
        **measure.figures(seen),
    }


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
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_PEOPLE} people")
    parser.add_argument("--export", type=Path, metavar="FILE")
    options = parser.parse_args()
    report(options, lambda: run(options), show)


if __name__ == "__main__":
    main()
