"""Run benchmarks of bars.toml and compare what they print with the bars.

    python benchmarks/check.py NAME... [--shared ../shared]

Prints every figure beside its bar; exit code 1 if one is missed or a benchmark fails.
"""

from __future__ import annotations

import argparse
import json
import operator
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from lineament.detect import DEFAULT_DETECTOR

ROOT = Path(__file__).resolve().parents[1]
BARS = Path(__file__).with_name("bars.toml")
COMPARE = {">=": operator.ge, "<=": operator.le, "==": operator.eq}


def command_of(text: str, shared: Path) -> list[str]:
    """Words of a command, to be run by this Python."""
    words = shlex.split(text.format(shared=shared, detector=DEFAULT_DETECTOR))
    if words[0] == "lineament":
        return [sys.executable, "-m", *words]
    return [sys.executable, *words]


def value_of(figures: Any, path: str) -> float:
    """The figure at a path such as "att/magface/auc/mean"."""
    for key in path.split("/"):
        figures = figures[figures["default"] if key == "@default" else key]
    return float(figures)


def met(figures: Any, bar: str) -> bool:
    """Compare one figure with its bar, and print both."""
    path, sign, bound = bar.split()
    value = value_of(figures, path)
    good = COMPARE[sign](value, float(bound))
    print(f"    {path}: {value:g} {sign} {bound}: {'met' if good else 'MISSED'}", flush=True)
    return bool(good)


def check(name: str, shared: Path) -> bool:
    """Run one benchmark and compare it with all of its bars."""
    benchmark = tomllib.loads(BARS.read_text(encoding="utf-8"))[name]
    command = command_of(benchmark["command"], shared)
    environment = os.environ | benchmark.get("environment", {})
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        print(f"{done.stdout}    exit code {done.returncode}")
        return False
    figures = json.loads(done.stdout)
    results = [met(figures, bar) for bar in benchmark["bars"]]  # all of them are printed
    return all(results)


def main() -> None:
    names = tomllib.loads(BARS.read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="the data sets")
    options = parser.parse_args()
    passed = [check(name, options.shared) for name in options.names]
    raise SystemExit(not all(passed))


if __name__ == "__main__":
    main()
