"""Pictures, galleries, exports, models and addresses from others: does anything give way?

    python benchmarks/robustness/hostile.py [--door NAME]... [--cases N] [--today] [--json]
    python benchmarks/robustness/hostile.py --case DOOR:NUMBER

Each case hands something hostile to lineament through one of its doors, as a user would, and is a
function of the seed and its number. It runs in a worker process that is watched. Counted are

    crashes   an exception outside the LineamentError tree, a process that died, at the command line
              a traceback, and wrong answers: accepted what must not be, or answered what is not so
    hangs     no answer within the limit (processor seconds, so that a busy machine does not count),
              and threads, processes, files or sockets that are left behind
    leaks     more memory than is promised for such a case, or resident memory that grows and grows
    escapes   files touched outside of the case's folder, programs started, sockets to addresses
              that were not asked for, control characters that reach a terminal

All must be 0. ``--today`` takes a tenth of the cases, another one each day. ``--case`` runs one
again and says what it does.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
from doors import NAMES, load
from doors.team import Count, Found, again, as_text, run

from _harness import Parser, at_least, report, table

BAD = ("crashes", "hangs", "leaks", "escapes")
WORKERS = 2


def planned(names: Sequence[str], cases: int | None, day: int | None) -> dict[str, list[int]]:
    """Numbers of the cases by door.

    Args:
        names: of the doors.
        cases: about how many in all, each door with its share; None takes all there are.
        day: takes a tenth of them, drawn by it; None takes the first ones.
    """
    total = sum(load(name).cases for name in names)
    share = 1.0 if cases is None else cases / total
    plan = {}
    for name in names:
        there = load(name).cases
        wanted = max(1, round(there * share / (1 if day is None else 10)))
        if day is None:
            plan[name] = list(range(wanted))
        else:
            drawn = np.random.default_rng([day, there]).permutation(there)[:wanted]
            plan[name] = sorted(int(number) for number in drawn)
    return plan


def day_of(text: str) -> int:
    """A day as a number, from its date."""
    try:
        return datetime.date.fromisoformat(text).toordinal()
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a date such as 2026-12-24: {error}") from error


def case_of(text: str) -> tuple[str, int]:
    """A door and a number, from DOOR:NUMBER."""
    name, _, number = text.partition(":")
    if name not in (*NAMES, "planted") or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"expected DOOR:NUMBER with one of {', '.join(NAMES)}")
    return name, int(number)


def figures_of(
    counts: dict[str, dict[str, Count]], found: list[Found], whole: dict[str, Any]
) -> dict[str, Any]:
    """What is printed."""
    every = [count for kinds in counts.values() for count in kinds.values()]
    figures: dict[str, Any] = {
        key: sum(getattr(count, key) for count in every)
        for key in ("cases", *BAD, "refused", "accepted", "absent")
    }
    doors = {name: {k: asdict(c) for k, c in kinds.items()} for name, kinds in counts.items()}
    return {**figures, **whole, "doors": doors, "found": [asdict(one) for one in found]}


def show(figures: dict[str, Any]) -> None:
    rows = [
        (f"{door}: {kind.replace('_', ' ')}", *(count[key] for key in COLUMNS))
        for door, kinds in figures["doors"].items()
        for kind, count in sorted(kinds.items())
    ]
    table(("door: kind", *(key.replace("_", " ") for key in COLUMNS)), rows)
    table(
        ("figure", "value"),
        [(key, value) for key, value in figures.items() if key not in ("doors", "found")],
    )


COLUMNS = ("cases", "refused", "accepted", *BAD, "slowest_s", "peak_mb")


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument(
        "--door", action="append", choices=(*NAMES, "planted"), metavar="NAME", help="only these"
    )
    parser.add_argument("--cases", type=at_least(1), metavar="N", help="about how many")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    day = parser.add_mutually_exclusive_group()
    day.add_argument("--today", action="store_true", help="a tenth, drawn by today's date")
    day.add_argument("--day", type=day_of, metavar="DATE", help="a tenth, drawn by this date")
    parser.add_argument("--case", type=case_of, metavar="DOOR:NUMBER", help="run one again")
    parser.add_argument("--workers", type=at_least(1), default=WORKERS, metavar="N")
    parser.add_argument("--limit-s", type=float, metavar="S", help="in place of each door's limit")
    options = parser.parse_args()
    if options.case is not None:
        answer = again(*options.case, options.seed)
        print(as_text(answer))
        raise SystemExit(int(any(answer[what] for what in BAD)))
    chosen = datetime.date.today().toordinal() if options.today else options.day
    plan = planned(options.door or NAMES, options.cases, chosen)
    counts, found, whole = run(plan, options.seed, options.workers, options.limit_s)
    whole = {**whole, "seed": options.seed}
    if chosen is not None:
        whole["day"] = datetime.date.fromordinal(chosen).isoformat()
    report(options, lambda: figures_of(counts, found, whole), show)
    raise SystemExit(int(bool(found)))


if __name__ == "__main__":
    main()
