"""The machines for 10^7, 10^8 and 10^9 people, on paper, from what the other benchmarks measured.

    python benchmarks/speed/search.py --n 1000000 --dimension 128 --engines turbo --json > s.json
    python benchmarks/speed/enroll.py LFW --json > e.json
    python benchmarks/speed/scale.py s.json e.json [--cores 2] [--json]

The arithmetic, for N vectors:

- embedding takes N times the processor time of one photo, which is cores / (photos a
  second); it divides by machines without loss, since photos do not depend on each other;
- a search scans all codes, so it takes N / n times as long as the one measured among n, on as many
  cores; shards divide that, and each shard answers at once;
- memory and disk are those measured, times N / n.

A machine has 16 cores and 64 GiB, of which three quarters are for the index. A search shall take
``ANSWER_S`` at most. Nothing is said of networks, replicas or load: add replicas for more searches.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, at_least, report, table

SIZES = (10**7, 10**8, 10**9)
MACHINE_CORES, MACHINE_BYTES, USED = 16, 64 << 30, 0.75
ANSWER_S = 0.1
DAY_S = 86_400


def plan(n: int, search: dict[str, Any], enroll: dict[str, Any], cores: int) -> dict[str, Any]:
    times = n / search["n"]
    core_s = n * cores / enroll["embedding_images_per_second"]
    memory = search["memory_mb"] * 1e6 * times
    disk = search["mapped_mb"] * 1e6 * times
    # The time of one search on one machine with all cores at work.
    scan_s = search["p50_ms"] / 1e3 * times * cores / MACHINE_CORES
    by_memory = math.ceil(memory / (MACHINE_BYTES * USED))
    by_time = math.ceil(scan_s / ANSWER_S)
    machines = max(by_memory, by_time)
    return {
        "people": n,
        "embedding_core_hours": round(core_s / 3600, 1),
        "embedding_machine_days": round(core_s / MACHINE_CORES / DAY_S, 2),
        "memory_gb": round(memory / 1e9, 1),
        "disk_gb": round(disk / 1e9, 1),
        "machines_by_memory": by_memory,
        "machines_by_time": by_time,
        "machines": machines,
        "search_ms": round(1e3 * scan_s / machines, 1),
    }


def read(path: Path, *keys: str) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
        missing = [key for key in keys if not isinstance(values.get(key), int | float)]
    except (OSError, ValueError, AttributeError) as error:
        raise SystemExit(f"{path}: expected what the other benchmark printed: {error}") from error
    if missing:
        raise SystemExit(f"{path}: expected numbers for {', '.join(missing)}")
    found: dict[str, Any] = values
    return found


def run(options: Any) -> dict[str, Any]:
    search = read(options.search, "n", "p50_ms", "memory_mb", "mapped_mb")
    enroll = read(options.enroll, "embedding_images_per_second")
    rows = [plan(n, search, enroll, options.cores) for n in SIZES]
    return {"measured": {"search": search, "enroll": enroll}, "plans": rows}


def show(figures: dict[str, Any]) -> None:
    rows = figures["plans"]
    columns = [name.replace("_", " ") for name in rows[0]]
    table(columns, ([f"{value:,}" for value in row.values()] for row in rows))


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("search", type=Path, help="what search.py --json printed")
    parser.add_argument("enroll", type=Path, help="what enroll.py --json printed")
    parser.add_argument(
        "--cores", type=at_least(1), default=2, help="of the machine that measured (2)"
    )
    options = parser.parse_args()
    report(options, lambda: run(options), show)


if __name__ == "__main__":
    main()
