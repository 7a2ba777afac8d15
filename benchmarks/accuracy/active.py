"""The active liveness check against rendered attacks, and with rendered people.

    python benchmarks/accuracy/active.py DIR [--attacks 200] [--living 100] [--obedient N]
        [--lids N] [--glasses N] [--view1] [--part K/N] [--json]

Photos of LFW become heads that do what they are asked for, and sheets of paper, screens and films
that try to (``living``). Thresholds were chosen on people of View 1 (``--view1``); reported are all
others. ``--obedient`` adds flat faces, some bent, that do all that is asked for, lids and jaw
included, so that nothing but the depth of a turn speaks against them. Of the ways to bend a sheet
cones and domes were held out; the others were looked at when the least swing was set. Printed are
``attacks``, ``attacks_passed`` and ``live_passed``, a share. ``--lids`` counts apart of how many
people and of how many tilted photos shut eyes are seen, ``--glasses`` in how many photos of LFW
people seem to wear dark glasses.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, at_least, report, table, track


def _part(text: str) -> tuple[int, int]:
    first, _, count = text.partition("/")
    if not (first.isdigit() and count.isdigit() and int(first) < int(count)):
        raise argparse.ArgumentTypeError(f"expected K/N with K from 0 to N - 1, got {text!r}")
    return int(first), int(count)


def show(figures: dict[str, Any]) -> None:
    table(
        ("attack", "attempts", "passed", "said to be attacks"),
        (
            (kind, sum(row.values()) - row["passed"], row["passed"], row.get("attack", 0))
            for kind, row in figures["by_kind"].items()
        ),
    )
    print(f"{figures['attacks_passed']} of {figures['attacks']} attacks passed")
    share = figures["live_passed"]
    if share is not None:
        print(f"{share:.1%} of {figures['live_sessions']} sessions of people passed")
        table(
            ("asked for", "times", "done"),
            (
                (name.replace("_", " "), row["asked"], row["done"])
                for name, row in figures["live_by_challenge"].items()
            ),
        )
    for reason, count in figures["live_failures"].items():
        print(f"  {count}: {reason}")
    lids = figures["lids"]
    if lids["people"]:
        print(
            f"of {lids['people']} people {lids['seen']} are seen to shut their eyes, "
            f"{lids['dark_glasses']} are asked to take off dark glasses; "
            f"{lids['sheets_seen']} of their photos, tilted, seem to shut them"
        )
    glasses = figures["glasses"]
    if glasses["photos"]:
        print(f"{glasses['dark_glasses']} of {glasses['photos']} photos show dark glasses")
    flat = figures["obedient"]
    if flat["attempts"]:
        print(
            f"{flat['passed']} of {flat['attempts']} flat faces that do all that is asked for "
            f"passed; of {flat['depth_was_asked']} the depth of a turn was asked, "
            f"{flat.get('attack', 0)} were said to be attacks"
        )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("lfw", type=Path, metavar="DIR", help="folder of LFW")
    parser.add_argument("--attacks", type=at_least(0), default=200, help="how many (default 200)")
    parser.add_argument("--living", type=at_least(0), default=100, help="how many (default 100)")
    parser.add_argument("--obedient", type=at_least(0), default=0, help="how many (default 0)")
    parser.add_argument("--lids", type=at_least(0), default=0, help="how many (default 0)")
    parser.add_argument("--glasses", type=at_least(0), default=0, help="how many (default 0)")
    parser.add_argument("--view1", action="store_true", help="people of View 1 instead of others")
    parser.add_argument("--part", type=_part, default=(0, 1), help="K/N: every N-th attempt only")
    options = parser.parse_args()

    def measured() -> dict[str, Any]:
        sys.path.insert(0, str(Path(__file__).parent))
        from living.lids import count_dark_glasses, measure_lids
        from living.measure import measure

        figures = measure(
            options.lfw,
            n_attacks=options.attacks,
            n_living=options.living,
            n_obedient=options.obedient,
            view1=options.view1,
            part=options.part,
            track=track,
        )
        figures["lids"] = measure_lids(
            options.lfw, count=options.lids, view1=options.view1, track=track
        )
        figures["glasses"] = count_dark_glasses(
            options.lfw, count=options.glasses, view1=options.view1, track=track
        )
        return figures

    report(options, measured, show)


if __name__ == "__main__":
    main()
