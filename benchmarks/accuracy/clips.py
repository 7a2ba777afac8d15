"""The numbers that people get in clips of one room, remembered from clip to clip.

    python benchmarks/accuracy/clips.py DIR [--preset NAME] [--at-once] [--json]

DIR holds the twelve clips of signing people of intel-iot-devkit/sample-videos (CC BY 4.0), which
are not part of this repository. Who is in which was found out by looking at them. One memory goes
from clip to clip, as ``--remember`` does it. Each clip is told from its end, as ``lineament watch``
does it, or with ``--at-once`` frame by frame.

ids            by clip the number of the person who is seen in most frames
right          clips whose number is that of the person's first clip, and nobody else's
people         how many numbers the main people have, of ``true_people``
others         numbers of people who were seen beside them
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

from lineament import LineamentError, Recognizer
from lineament.models import DEFAULT_PRESET, PRESETS
from lineament.video import open_source
from lineament.video.memory import Memory
from lineament.video.people import PeopleTracker
from lineament.video.tracks import TrackOptions

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, report, table

WHO = {
    "again": "A",
    "book": "B",
    "eat": "C",
    "help": "A",
    "learn": "B",
    "night": "C",
    "no": "A",
    "school": "B",
    "sorry": "D",
    "student": "A",
    "walk": "B",
    "yes": "A",
}
"""Clip -> person."""


def run(options: Any) -> dict[str, Any]:
    recognizer, memory = Recognizer(options.preset), Memory()
    ids: dict[str, int | None] = {}
    others: set[int] = set()
    for clip in WHO:
        path = options.folder / f"{clip}.mkv"
        if not path.is_file():
            raise LineamentError(f"{path}: expected a clip, found none")
        tracking = TrackOptions(revise=not options.at_once)
        tracker, seen = PeopleTracker(recognizer, memory=memory, options=tracking), Counter[int]()
        with open_source(path) as source:
            told = [(frame, tracker.step(frame).tracks) for frame in source]
        tracker.finish()
        if tracking.revise:
            revision = tracker.revision()
            told = [(frame, revision.step(frame).tracks) for frame, _ in told]
        for _, tracks in told:
            seen.update(track.id for track in tracks if track.seen and track.id > 0)
        ids[clip] = seen.most_common(1)[0][0] if seen else None
        others |= set(seen)
    first: dict[str, int | None] = {}
    for clip, person in WHO.items():
        first.setdefault(person, ids[clip])
    owners = {number: person for person, number in first.items()}
    right = sum(
        ids[clip] is not None and ids[clip] == first[person] and owners[ids[clip]] == person
        for clip, person in WHO.items()
    )
    main = set(ids.values()) - {None}
    return {
        "preset": options.preset,
        "ids": ids,
        "right": right,
        "clips": len(WHO),
        "people": len(main),
        "true_people": len(set(WHO.values())),
        "others": len(others - main),
    }


def show(figures: dict[str, Any]) -> None:
    table(["clip", "person", "number"], [(c, p, figures["ids"][c]) for c, p in WHO.items()])
    print(f"{figures['right']} of {figures['clips']} clips right; {figures['people']} numbers for ")
    print(f"{figures['true_people']} people; {figures['others']} others")


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--preset", choices=PRESETS, default=DEFAULT_PRESET)
    parser.add_argument("--at-once", action="store_true", help="frame by frame, as of a camera")
    options = parser.parse_args()
    report(options, lambda: run(options), show)


if __name__ == "__main__":
    main()
