"""How long until lineament answers: ``import lineament``, and ``lineament verify`` from cold.

    python benchmarks/speed/startup.py [--repeats 7] [--json]

``import_s`` is the import statement inside a new process; ``verify_cold_s`` the wall time of a
whole process, ``python -m lineament verify A B``, interpreter included. Medians, one
process at a time.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import DEMO, Parser, at_least, report, table

IMPORT = "import time; t = time.perf_counter(); import lineament; print(time.perf_counter() - t)"


def run(arguments: list[str], expected: int = 0) -> tuple[float, str]:
    """Wall time of a new interpreter, and what it printed."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - start
    if done.returncode != expected:
        raise SystemExit(
            f"{arguments}: exit code {done.returncode}, expected {expected}: {done.stderr}"
        )
    return elapsed, done.stdout


def measure(repeats: int) -> dict[str, Any]:
    pair = [str(DEMO / "obama.jpg"), str(DEMO / "obama2.jpg")]
    verify = ["-m", "lineament", "verify", *pair]
    run(verify)  # the files are in memory from here on
    imports = [float(run(["-c", IMPORT])[1]) for _ in range(repeats)]
    bare = [run(["-c", "pass"])[0] for _ in range(repeats)]
    cold = [run(verify)[0] for _ in range(repeats)]
    return {
        "import_s": round(statistics.median(imports), 4),
        "verify_cold_s": round(statistics.median(cold), 3),
        "interpreter_s": round(statistics.median(bare), 4),
        "repeats": repeats,
    }


def show(figures: dict[str, Any]) -> None:
    table(
        ("measure", "seconds (median)"),
        (
            ("import lineament", f"{figures['import_s']:.3f}"),
            ("lineament verify A B, cold", f"{figures['verify_cold_s']:.2f}"),
            ("a bare interpreter", f"{figures['interpreter_s']:.3f}"),
        ),
    )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--repeats", type=at_least(1), default=7)
    options = parser.parse_args()
    report(options, lambda: measure(options.repeats), show)


if __name__ == "__main__":
    main()
