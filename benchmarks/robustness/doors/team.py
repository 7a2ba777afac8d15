"""Worker processes: each answers cases of one door, is watched, and is ended when it hangs."""

from __future__ import annotations

import ctypes
import gc
import json
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from doors import load
from doors.case import AbsentError, Case, WrongError, rng_of
from doors.terminal import RAW
from doors.watch import Watch

START_S = 180.0
KILLED = 3.0
"""A case that used so many times its limit is ended; what makes its files counts, too."""
IDLE = 3.0
"""A case that waits uses no processor: after so many times the limit on the clock, of which it has
used less than a quarter, it counts as hanging."""
WALL = 36.0
"""After so many times the limit it does, however busy the machine is: beside seven other jobs on
two processors the making of a case, an 8000x8000 HEIC, took 12 times the limit on the clock."""
MOST_DATA = 4 << 30
"""Bytes that a worker may have: beyond that a leak gets a MemoryError, not the machine's memory."""


# ---- in a worker ---------------------------------------------------------------------------------


def resident_mb() -> float:
    """Resident set after free memory was given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return _status("VmRSS")


def _status(key: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024
    return 0.0


def _used_s() -> float:
    """Processor seconds of this process and of its children that ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def serve(pipe: Connection, home: str, name: str, seed: int, verbose: bool) -> None:
    """Answer case numbers with what became of them, until None comes."""
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_DATA, MOST_DATA))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    watch = Watch(Path(home))
    said: list[str] = []

    def note(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
        said.append(f"{category.__name__}: {message}")

    warnings.showwarning = note
    warnings.simplefilter("always")
    noise = os.open(f"{home}/stderr", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    if not verbose:
        os.dup2(noise, 2)
        os.dup2(noise, 1)  # JSON goes to the parent's
    door = load(name)
    shared = door.prepare(watch.home, seed)
    pipe.send("ready")
    while (message := pipe.recv()) is not None:
        if message == "memory":
            pipe.send(resident_mb())
            continue
        said.clear()
        quiet = os.fstat(noise).st_size
        folder = watch.home / "cases" / str(message)
        folder.mkdir()
        case = Case(
            message,
            rng_of(seed, name, message),
            folder,
            watch.outside,
            shared,
            door.bound_mb,
            door.limit_s,
            verbose=verbose,
        )
        answer = _outcome(case, door.kind(message), watch)
        shutil.rmtree(folder, ignore_errors=True)
        answer["noisy"] = bool(said) or os.fstat(noise).st_size > quiet
        pipe.send(answer)


def _outcome(case: Case, kind: Any, watch: Watch) -> dict[str, Any]:
    from lineament.errors import LineamentError

    outcome, crashes = "accepted", []
    before = started = used = 0.0

    def start() -> None:
        nonlocal before, started, used
        _forget_peak()
        before = _status("VmRSS")
        started, used = time.perf_counter(), _used_s()

    case.start = start
    start()
    watch.begin(case)
    try:
        outcome = "refused" if kind(case) is False else "accepted"
    except LineamentError as error:
        outcome = "refused"
        words = str(error)
        case.say(f"{type(error).__name__}: {words}")
        if not 0 < len(words) < 2000:
            crashes = [f"an unfit message: {words[:200]!r} ..."]
        elif RAW.search(words):
            case.escapes.append(f"a raw message: {words[:300]!r}")
    except AbsentError as error:
        outcome = "absent"
        case.say(f"passed over: {error}")
    except WrongError as error:
        crashes = [f"wrong: {error}"]
    except BaseException:
        crashes = [traceback.format_exc(limit=-4)]
    seconds, took = time.perf_counter() - started, _used_s() - used
    peak = max(_status("VmHWM") - before, 0.0)
    escapes, behind = watch.end()
    leaks = []
    if peak > case.bound_mb:
        leaks = [f"{peak:.0f} MB more than before; promised: {case.bound_mb:.0f} MB"]
    hangs = [f"left behind: {', '.join(behind)}"] if behind else []
    if took > case.limit_s:
        hangs.append(f"{took:.0f} processor seconds; promised: {case.limit_s:.0f}")
    return {
        "outcome": outcome,
        "crashes": crashes,
        "hangs": hangs,
        "leaks": leaks,
        "escapes": [*case.escapes, *escapes],
        "seconds": seconds,
        "used_s": took,
        "peak_mb": peak,
    }


# ---- in front of the workers ---------------------------------------------------------------------


@dataclass
class Worker:
    """A process and the case that it works on."""

    door: str
    todo: list[int]
    seed: int
    verbose: bool = False
    number: int | None = None
    done: int = 0
    since: float = 0.0
    used_before: float = 0.0
    warm_mb: float | None = None
    growth_mb: float = 0.0
    process: Any = field(init=False)
    pipe: Connection = field(init=False)

    def __post_init__(self) -> None:
        """Start the process."""
        self.warm_at = len(self.todo) // 3
        self.todo = self.todo[::-1]
        self.start()

    def start(self) -> None:
        """Start, or start anew after a crash; memory is then measured anew too."""
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.home = tempfile.mkdtemp(prefix="hostile-")
        home = f"{self.home}/home"
        arguments = (theirs, home, self.door, self.seed, self.verbose)
        self.process = context.Process(target=serve, args=arguments)
        self.process.start()
        theirs.close()
        self.warm_mb = None
        try:
            started = self.pipe.poll(START_S) and self.pipe.recv() == "ready"
        except (EOFError, OSError):
            started = False
        if not started:
            words = Path(home, "stderr")
            text = words.read_text(errors="replace") if words.exists() else ""
            self.end(kill=True)
            raise SystemExit(f"a worker of {self.door} did not start: {text[-2000:]}")

    def next(self) -> bool:
        """Hand out the next case; False when there is none."""
        if self.warm_mb is None and self.done >= self.warm_at:
            self.warm_mb = self.memory()
        self.number = self.todo.pop() if self.todo else None
        if self.number is not None:
            self.since, self.used_before = time.monotonic(), self.used()
            self.pipe.send(self.number)
        return self.number is not None

    def used(self) -> float:
        """Processor seconds of the process and of its dead children."""
        try:
            words = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return sum(int(word) for word in words[11:15]) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Resident set in MB."""
        self.pipe.send("memory")
        return float(self.pipe.recv())

    def end(self, *, kill: bool = False) -> None:
        """Measure the growth and end the process, or kill it with its children."""
        if not kill:
            if self.warm_mb is not None:
                self.growth_mb = self.memory() - self.warm_mb
            self.pipe.send(None)
            self.process.join(20)
        if self.process.is_alive():
            for number in _below(self.process.pid):
                try:
                    os.kill(number, 9)
                except OSError:
                    continue
            self.process.kill()
        self.process.join()
        self.pipe.close()
        shutil.rmtree(self.home, ignore_errors=True)


def _below(number: int) -> list[int]:
    """Numbers of the processes below one, the youngest first."""
    found: list[int] = []
    for task in Path(f"/proc/{number}/task").glob("*/children"):
        try:
            direct = [int(word) for word in task.read_text().split()]
        except OSError:
            continue
        found += [each for child in direct for each in (*_below(child), child)]
    return found


@dataclass
class Count:
    """Figures of one kind of cases."""

    cases: int = 0
    refused: int = 0
    accepted: int = 0
    absent: int = 0
    crashes: int = 0
    hangs: int = 0
    leaks: int = 0
    escapes: int = 0
    slowest_s: float = 0.0
    peak_mb: float = 0.0

    def add(self, answer: dict[str, Any]) -> None:
        """Count one more."""
        if answer["outcome"] == "absent":
            self.absent += 1
            return
        self.cases += 1
        if answer["outcome"] in ("refused", "accepted") and not answer["crashes"]:
            setattr(self, answer["outcome"], getattr(self, answer["outcome"]) + 1)
        for what in ("crashes", "hangs", "leaks", "escapes"):
            setattr(self, what, getattr(self, what) + bool(answer[what]))
        self.slowest_s = max(self.slowest_s, round(answer["used_s"], 2))
        self.peak_mb = max(self.peak_mb, round(answer["peak_mb"]))


@dataclass
class Found:
    """Something that went wrong."""

    door: str
    number: int
    kind: str
    what: str
    detail: str

    def __str__(self) -> str:
        """One line or several, to begin with what ``--case`` takes."""
        return f"{self.door}:{self.number} {self.kind}: {self.what}: {self.detail}"


def run(
    plan: dict[str, Sequence[int]], seed: int, workers: int, limit_s: float | None = None
) -> tuple[dict[str, dict[str, Count]], list[Found], dict[str, Any]]:
    """Go through the cases.

    Args:
        plan: numbers of cases by door.
        seed: of all.
        workers: at a time.
        limit_s: processor seconds for a case, in place of the door's.

    Returns:
        Counts by door and kind, what went wrong, and figures of the whole.
    """
    counts: dict[str, dict[str, Count]] = {}
    found: list[Found] = []
    noisy, growth = 0, 0.0
    doors = {name: load(name) for name in plan}
    queue = [(name, list(plan[name][i::workers])) for name in plan for i in range(workers)]
    queue = [(name, numbers) for name, numbers in queue if numbers]
    busy: list[Worker] = []
    console = Console(stderr=True)
    started = time.perf_counter()
    with Progress(console=console, disable=not console.is_terminal) as progress:
        total = sum(len(numbers) for numbers in plan.values())
        task = progress.add_task("hostile cases", total=total)
        while queue or busy:
            while queue and len(busy) < workers:
                name, numbers = queue.pop(0)
                worker = Worker(name, numbers, seed)
                worker.next()
                busy.append(worker)
            ready = wait([worker.pipe for worker in busy], timeout=0.2)
            for worker in list(busy):
                assert worker.number is not None
                door = doors[worker.door]
                limit = door.limit_s if limit_s is None else limit_s
                elapsed = time.monotonic() - worker.since
                used = worker.used() - worker.used_before
                if worker.pipe in ready:
                    try:
                        answer = worker.pipe.recv()
                    except (EOFError, OSError):
                        worker.process.join()
                        answer = _died(worker.process.exitcode, elapsed)
                        worker.end(kill=True)
                        worker.start()
                elif (
                    used > KILLED * limit
                    or (elapsed > IDLE * limit and used < limit / 4)
                    or elapsed > WALL * limit
                ):
                    worker.end(kill=True)
                    answer = _hung(used, elapsed)
                    worker.start()
                else:
                    continue
                kind = door.kind(worker.number).__name__
                counts.setdefault(worker.door, {}).setdefault(kind, Count()).add(answer)
                noisy += bool(answer.get("noisy"))
                for what in ("crashes", "hangs", "leaks", "escapes"):
                    if answer[what]:
                        detail = "; ".join(answer[what])
                        found.append(Found(worker.door, worker.number, kind, what, detail))
                        print(found[-1], file=sys.stderr, flush=True)
                worker.done += 1
                progress.update(task, advance=1, description=worker.door)
                if worker.next():
                    continue
                busy.remove(worker)
                worker.end()
                growth = max(growth, worker.growth_mb)
                if worker.growth_mb > door.growth_mb:
                    detail = f"{worker.growth_mb:.0f} MB over {worker.done * 2 // 3} cases"
                    kinds = counts[worker.door].setdefault("(all)", Count())
                    kinds.leaks += 1
                    found.append(Found(worker.door, -1, "(all)", "leaks", detail))
                    print(found[-1], file=sys.stderr, flush=True)
    figures = {
        "growth_mb": round(growth, 1),
        "noisy": noisy,
        "seconds": round(time.perf_counter() - started, 1),
    }
    return counts, found, figures


def _failed(what: str, detail: str, seconds: float) -> dict[str, Any]:
    answer: dict[str, Any] = {key: [] for key in ("crashes", "hangs", "leaks", "escapes")}
    answer[what] = [detail]
    return {**answer, "outcome": "none", "seconds": seconds, "used_s": seconds, "peak_mb": 0.0}


def _died(code: int | None, seconds: float) -> dict[str, Any]:
    return _failed("crashes", f"the process died: exit code {code}", seconds)


def _hung(used: float, seconds: float) -> dict[str, Any]:
    detail = f"no answer after {used:.0f} s of a processor and {seconds:.0f} s on the clock"
    return _failed("hangs", detail, seconds)


def again(name: str, number: int, seed: int) -> dict[str, Any]:
    """One case once more, saying what it does."""
    worker = Worker(name, [number], seed, verbose=True)
    worker.next()
    door = load(name)
    if not worker.pipe.poll(WALL * door.limit_s):
        worker.end(kill=True)
        return _hung(0.0, WALL * door.limit_s)
    try:
        answer: dict[str, Any] = worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join()
        answer = _died(worker.process.exitcode, 0.0)
        worker.end(kill=True)
        return answer
    worker.end()
    return answer


def as_text(answer: dict[str, Any]) -> str:
    """An answer, for people."""
    return json.dumps(answer, indent=1)
