"""What all benchmarks share: options, timing in turns, tables, ``--json``, and the machine.

A benchmark parses its options with ``Parser``, measures, and hands a function for each form of the
result to ``report``, which prints one JSON object (``--json``) or tables. Either says on which
processor, with which engine and under what load the figures were taken: the key ``machine``, or
the last line.

Scripts in the folders beside this file import it by its folder:

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from _harness import Parser, report
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track as _track
from rich.table import Table

import lineament
from lineament import LineamentError

Item = TypeVar("Item")

DEMO = Path(lineament.__file__).parent / "data" / "demo"
"""The photos that the package carries."""

WIDTH = 150
"""Columns of a table that is not printed on a terminal."""


# ---- options -------------------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    """Options of one benchmark: the module's docstring is the help, ``--json`` is there."""

    def __init__(self, doc: str | None) -> None:
        """Take the module's docstring."""
        super().__init__(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        self.add_argument("--json", action="store_true", help="print one JSON object")


def at_least(least: int) -> Callable[[str], int]:
    """Make the type of an option that is a whole number, ``least`` or more."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"expected {least} or more, got {text!r}")
        return value

    return parse


# ---- measuring -----------------------------------------------------------------------------------


def alternate(
    ways: Mapping[str, Callable[[], object]],
    repeats: int,
    *,
    block: int = 1,
    warm: int = 1,
    rest_s: float = 0.0,
) -> dict[str, list[float]]:
    """Time several ways in turns, so that other load on the machine slows all of them alike.

    Args:
        ways: what to call, by name.
        repeats: how many calls of each are timed.
        block: calls of one way in a row before it is the next one's turn.
        warm: calls of each that are not timed: before the first turn, or, with ``rest_s``, before
            every turn.
        rest_s: seconds of rest before every turn: the threads of an engine spin for a while after
            a call, and would slow the next way down.

    Returns:
        Seconds of each timed call, in order, by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for done in range(0, repeats, block):
        for name, call in ways.items():
            time.sleep(rest_s)
            for _ in range(warm if rest_s or not done else 0):
                call()
            for _ in range(min(block, repeats - done)):
                started = time.perf_counter()
                call()
                seconds[name].append(time.perf_counter() - started)
    return seconds


def median_ms(seconds: Iterable[float]) -> float:
    """Median, in milliseconds."""
    return 1e3 * statistics.median(seconds)


def track(items: Iterable[Item], label: str, total: float | None = None) -> Iterable[Item]:
    """Iterate with a bar of progress, on standard error, where that is a terminal."""
    console = Console(stderr=True)
    return _track(items, label, total, console=console, disable=not console.is_terminal)


def embed_all(recognizer: Any, paths: Sequence[Path]) -> Any:
    """Embed the one face that each photo is of, from the cache as far as it has them.

    Returns:
        ``lineament.datasets.source.Embedded``, in the order of ``paths``.

    Raises:
        ImageError: a photo cannot be read.
    """
    from lineament.datasets.source import RecognizerSource

    def bar(photos: Iterable[Any], total: int, what: str) -> Iterable[Any]:
        return track(photos, f"{recognizer.weights.name} {what}", total)

    made = RecognizerSource(recognizer, progress=bar).photos(list(paths))
    for error in made.unreadable.values():
        raise error
    return made


# ---- the machine ---------------------------------------------------------------------------------


def _processor() -> str:
    """Name of the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _load() -> float | None:
    """Processes that ran or waited for a processor, on average over the last minute."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _engine() -> str:
    """Inference engine that a network runs on unless a benchmark chooses another one."""
    from lineament.models.runtime import Runtime

    try:
        runtime = Runtime.from_environment().resolved()
    except LineamentError:
        return "none"
    return f"{runtime.engine} {_version(runtime.engine)} on {runtime.device}"


LOAD_BEFORE = _load()


def machine() -> dict[str, Any]:
    """Where the figures come from: processor, cores, engine, versions, and the load around them."""
    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": _cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "lineament": lineament.__version__,
        "engine": _engine(),
        "load_before": LOAD_BEFORE,
        "load_after": _load(),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        found["torch"] = f"{torch.__version__}, {torch.get_num_threads()} threads"
        if torch.cuda.is_available():
            found["gpu"] = torch.cuda.get_device_name(0)
    return found


def in_words(found: Mapping[str, Any]) -> str:
    """``machine`` in one line."""
    words = [f"{found['processor']}, {found['cores']} cores", found["engine"]]
    words += [f"PyTorch {found['torch']}"] if "torch" in found else []
    words += [found["gpu"]] if "gpu" in found else []
    words += [f"load {found['load_before']} before, {found['load_after']} after"]
    return "; ".join(words)


# ---- printing ------------------------------------------------------------------------------------


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None
) -> None:
    """Print a table: what a row is on the left, its figures on the right. None is a blank."""
    made = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left")
    for row in rows:
        made.add_row(*("" if cell is None else str(cell) for cell in row))
    console = Console()
    (console if console.is_terminal else Console(width=WIDTH)).print(made)


def report(
    options: argparse.Namespace,
    measure: Callable[[], dict[str, Any]],
    show: Callable[[dict[str, Any]], None],
) -> None:
    """Measure, and print the figures as one JSON object or by ``show``.

    An error of lineament ends the process with its message and exit code 1.
    """
    try:
        figures = measure()
    except LineamentError as error:
        raise SystemExit(str(error)) from error
    if options.json:
        print(json.dumps({**figures, "machine": machine()}))
    else:
        where = machine()
        show(figures)
        print(in_words(where))
