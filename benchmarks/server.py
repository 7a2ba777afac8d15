"""A server under load: how much HTTP costs, how long answers take, and what too many clients do.

    python benchmarks/server.py [DIR] [--seconds 60] [--quick] [--only NAME] [--json]

Starts ``lineament serve`` as a process, with the settings it has by default, and clients on raw
sockets in another one (``speed/serving/load.py``). DIR has photos of 250x250 pixels, as Labeled
Faces in the Wild has; without it the package's photographs are made that small.

``compare``: 32 clients compare two photos each, again and again, in turns with the same pipeline
called in-process by the best of its own ways (``Recognizer.verify`` of lists; two threads that each
verify one pair after the other). ``throughput_ratio`` is answers a second over comparisons a
second in-process, with the clients on the same processors as the server: what they took is under
``more``, and so is the ratio of processor time for each comparison, which another process's load
touches less. Each answer is compared with what the library says of the same photos.

``overload``: ten times as many clients as the server has threads and places in its line. Refused
clients (429) wait as Retry-After says, a second at most. ``wrong`` counts answers with status 200
and other content, ``server_errors`` those from 500 on and connections that broke, and
``memory_growth_mb`` how far the server's memory rose above where it was before.

``--quick``: 10 seconds each.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from lineament import Recognizer
from lineament.server.keys import KeyStore
from lineament.server.settings import ServerSettings

sys.path.insert(0, str(Path(__file__).parent))
from _harness import DEMO, Parser, at_least, report, table
from speed.serving.load import Answers, Plan, request
from speed.serving.load import run as load

CLIENTS = 32
PAIRS = 100
ROUNDS = 3


@dataclass(frozen=True)
class Served:
    """A server that runs as a process."""

    host: str
    port: int
    key: str
    pid: int

    def cpu_s(self) -> float:
        """Processor time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Resident memory."""
        text = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii")
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    key = KeyStore(folder).add("verify")
    command = [sys.executable, "-m", "lineament", "serve", "--port", "0", "--json"]
    environment = os.environ | {"LINEAMENT_SERVER_PAGE": "0"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--data", str(folder)], stdout=subprocess.PIPE, stderr=log, env=environment
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        address = json.loads(line)["address"]
        host, _, port = address.partition("://")[2].rpartition(":")
        try:
            yield Served(host, int(port), key, process.pid)
        finally:
            process.terminate()
            process.wait(60)
            process.stdout.close()


def pairs_of(folder: Path | None) -> list[tuple[bytes, bytes]]:
    """Pairs of JPEGs of 250x250 pixels."""
    if folder is None:
        small = []
        for path in sorted(DEMO.glob("*.jpg")):
            with Image.open(path) as photo, io.BytesIO() as file:
                photo.convert("RGB").resize((250, 250)).save(file, "JPEG", quality=90)
                small.append(file.getvalue())
        return [(a, b) for a in small for b in small][:PAIRS]
    paths = sorted(folder.rglob("*.jpg"))[: 2 * PAIRS]
    if len(paths) < 2 * PAIRS:
        raise SystemExit(f"expected {2 * PAIRS} photos in {folder}, got {len(paths)}")
    photos = [path.read_bytes() for path in paths]
    return list(zip(photos[:PAIRS], photos[PAIRS:], strict=True))


def plan_of(
    served: Served, pairs: list[tuple[bytes, bytes]], expected: list[Any], **options: Any
) -> Plan:
    requests = tuple(request("/v1/compare", served.key, {"a": a, "b": b}) for a, b in pairs)
    return Plan(served.host, served.port, requests, tuple(expected), **options)


def own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def timed(call: Callable[[], int], seconds: float) -> tuple[int, float, float]:
    """Comparisons, seconds, and processor time of calling it for so long."""
    begun_s, cpu_s, count = time.perf_counter(), own_cpu_s(), 0
    while time.perf_counter() - begun_s < seconds:
        count += call()
    return count, time.perf_counter() - begun_s, own_cpu_s() - cpu_s


def compare(
    served: Served, pairs: list[tuple[bytes, bytes]], seconds: float, pool: ProcessPoolExecutor
) -> tuple[dict[str, Any], list[Any]]:
    recognizer = Recognizer()
    expected = [recognizer.verify(a, b).to_dict() for a, b in pairs]
    firsts, seconds_ = [a for a, _ in pairs], [b for _, b in pairs]
    threads = ThreadPoolExecutor(2)

    def by_list() -> int:
        return len(recognizer.verify(firsts, seconds_))

    def by_threads() -> int:
        return len(list(threads.map(lambda pair: recognizer.verify(*pair), pairs)))

    expected = json.loads(json.dumps(expected))
    for way in (by_list, by_threads):
        way()
    plan = plan_of(
        served, pairs, expected, clients=CLIENTS, seconds=seconds / ROUNDS,
        warm_s=3.0 if seconds > 10 else 1.5,
    )  # fmt: skip
    ways = {"list": by_list, "threads": by_threads}
    counted: dict[str, list[float]] = {name: [0, 0.0, 0.0] for name in ways}
    total, server_cpu_s = Answers(), 0.0
    for _ in range(ROUNDS):
        for name, way in ways.items():
            for place, value in enumerate(timed(way, seconds / ROUNDS / 2)):
                counted[name][place] += value
        under_way = pool.submit(load, plan)
        time.sleep(plan.warm_s)
        before_s = served.cpu_s()
        time.sleep(plan.seconds)
        server_cpu_s += served.cpu_s() - before_s
        answers = under_way.result()
        total.done += answers.done
        total.times_s += answers.times_s
        total.statuses += answers.statuses
        total.lost += answers.lost
        total.wrong += answers.wrong
        total.cpu_s += answers.cpu_s
    threads.shutdown()
    rates = {name: count / took_s for name, (count, took_s, _) in counted.items()}
    best = max(rates, key=rates.__getitem__)
    count, _, cpu_s = counted[best]
    rate = total.done / seconds
    p50_ms, p99_ms = total.percentile_ms(50), total.percentile_ms(99)
    figures = {
        "throughput_ratio": round(rate / rates[best], 3),
        "requests_per_second": round(rate, 1),
        "errors": sum(total.statuses.values()) - total.statuses[200] + total.lost + total.wrong,
        "p50_ms": None if p50_ms is None else round(p50_ms),
        "p99_ms": None if p99_ms is None else round(p99_ms),
        "more": {
            "in_process_per_second": {name: round(value, 1) for name, value in rates.items()},
            "in_process_cpu_ms": round(1e3 * cpu_s / count, 1),
            "server_cpu_ms": round(1e3 * server_cpu_s / total.done, 1),
            "cpu_ratio": round(cpu_s / count * total.done / server_cpu_s, 3),
            "clients_cpu_ms": round(1e3 * total.cpu_s / total.done, 2),
            "answers": total.statuses[200],
        },
    }
    return figures, expected


def overload(
    served: Served,
    pairs: list[tuple[bytes, bytes]],
    expected: list[Any],
    seconds: float,
    pool: ProcessPoolExecutor,
) -> dict[str, Any]:
    settings = ServerSettings(data=Path(os.devnull))
    clients = 10 * (settings.threads + settings.queue)
    plan = plan_of(served, pairs, expected, clients=clients, seconds=seconds)
    before_mb = highest_mb = served.memory_mb()
    ended = threading.Event()

    def watch() -> None:
        nonlocal highest_mb
        while not ended.wait(0.25):
            highest_mb = max(highest_mb, served.memory_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    answers = pool.submit(load, plan).result()
    ended.set()
    watcher.join()
    return {
        "wrong": answers.wrong,
        "server_errors": answers.server_errors + answers.lost,
        "memory_growth_mb": round(highest_mb - before_mb, 1),
        "clients": clients,
        "answered": answers.statuses[200],
        "refused": answers.statuses[429],
        "others": sum(answers.statuses.values()) - answers.statuses[200] - answers.statuses[429],
        "without_retry_after": answers.bare,
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    seconds = 10 if options.quick else options.seconds
    pairs = pairs_of(options.photos)
    figures: dict[str, Any] = {}
    expected: list[Any] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder)) as served,
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool,
    ):
        if options.only != "overload":
            figures, expected = compare(served, pairs, seconds, pool)
        else:
            recognizer = Recognizer()
            expected = [recognizer.verify(a, b).to_dict() for a, b in pairs]
            expected = json.loads(json.dumps(expected))
            plan = plan_of(served, pairs, expected, clients=CLIENTS, seconds=5)
            pool.submit(load, plan).result()
        if options.only != "compare":
            figures["overload"] = overload(served, pairs, expected, seconds, pool)
    return figures


def show(figures: dict[str, Any]) -> None:
    more = figures.pop("more", {})
    over = figures.pop("overload", {})
    table(("compare", "value"), [*figures.items(), *more.items()])
    if over:
        table(("overload", "value"), over.items())


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("photos", nargs="?", type=Path, metavar="DIR")
    parser.add_argument("--seconds", type=at_least(6), default=60, metavar="N")
    parser.add_argument("--quick", action="store_true", help="10 seconds each")
    parser.add_argument("--only", choices=("compare", "overload"))
    options = parser.parse_args()
    report(options, lambda: measure(options), show)


if __name__ == "__main__":
    main()
