"""Processes of a server are killed during enrollment: is all there that it acknowledged?

    python benchmarks/robustness/crash_server.py [--kills 100] [--json]

Starts ``lineament serve --workers 2`` and four clients that enroll people over HTTP, each change
with an ``Idempotency-Key``, sent again with the same key while the answer is a broken connection or
a status that says "ask again" (429, 503 with Retry-After). At random moments one of the processes
that serve, a worker or the writer, gets SIGKILL; every second time it is the writer, at most 20 ms
after the gallery's log grew: between the change and the note of its answer. In the end the server
stops, and the gallery is opened and checked.

``lost``: people whose enrollment was acknowledged and who are not there, or not with the one sample
that was. ``twice``: people with a sample too many, though the client asked again with the same
key; all photos come by ``force``, so that none is refused as enrolled already. ``repeated``:
requests that were done before a kill that hit between the change and the note of its answer, and
that the gallery knew by their token when they came again: without it they would be there twice.
``not_retryable``: answers that were neither success nor one that may be asked again.
``unopenable``: what the gallery's own check finds. ``interrupted``: requests that were cut off or
refused on the way, so that the kills hit something.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from lineament.audit import read_entries
from lineament.gallery import Gallery
from lineament.server.keys import KeyStore

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import DEMO, Parser, at_least, report, table, track

CLIENTS = 4
RETRYABLE = (409, 429, 503)
"""409: the first try under this key is not over, or its end is not known yet."""
PATIENCE_S = 600.0
"""For one person: processes that are killed all the time take long to start on a busy machine."""


def serving(supervisor: int) -> list[int]:
    """Ids of the processes that serve: the writer and the workers."""
    try:
        text = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text(encoding="ascii")
    except OSError:  # it ended
        return []
    found = []
    for child in map(int, text.split()):
        if "spawn_main" in command_of(child):
            found.append(child)
    return sorted(found)


def after_a_change(gallery: Path, rng: random.Random) -> int | None:
    """Wait until the gallery's log grows; the id of the process that writes, or None."""
    log = gallery / "gallery.sqlite-wal"

    def size() -> tuple[int, int]:
        try:
            found = log.stat()
        except OSError:
            return 0, 0
        return found.st_size, found.st_mtime_ns

    before, due = size(), time.monotonic() + 60
    while size() == before and time.monotonic() < due:
        time.sleep(0.0005)
    time.sleep(rng.uniform(0, 0.02))
    holder = (gallery / "gallery.lock").read_text(encoding="ascii", errors="replace")
    found = re.search(r"process (\d+)", holder)
    if found is None or "spawn_main" not in command_of(int(found[1])):
        return None
    return int(found[1])


def command_of(process: int) -> str:
    """What a process was started with; "" of one that has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


class Client(threading.Thread):
    """Enrolls people until it is told to stop."""

    def __init__(self, number: int, address: str, key: str, photos: list[bytes]) -> None:
        """Take what it sends, and where."""
        super().__init__(daemon=True)
        self.number, self.address, self.key, self.photos = number, address, key, photos
        self.acknowledged: list[str] = []
        self.interrupted: Counter[str] = Counter()
        self.bad: list[str] = []
        self.stop = threading.Event()

    def run(self) -> None:
        """Enroll one after the other."""
        for count in itertools.count():
            if self.stop.is_set():
                return
            self.enroll(f"client {self.number} person {count}", self.photos[count % 3])

    def enroll(self, name: str, photo: bytes) -> None:
        """Enroll one, asking again as long as that may help."""
        headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": name.replace(" ", "-")}
        url = f"{self.address}/v1/galleries/staff/people/-/samples"
        due = time.monotonic() + PATIENCE_S
        while time.monotonic() < due:
            try:
                answer = httpx.post(
                    url, headers=headers, data={"name": name, "force": "true"},
                    files={"images": photo}, timeout=60,
                )  # fmt: skip
            except httpx.TransportError as error:
                self.interrupted[type(error).__name__] += 1
                time.sleep(0.05)
                continue
            photos = answer.json().get("photos", []) if answer.status_code == 200 else []
            if [photo["sample"] is not None for photo in photos] == [True]:
                self.acknowledged.append(name)
                return
            if answer.status_code not in RETRYABLE:
                self.bad.append(f"{answer.status_code} {answer.text[:200]}")
                return
            self.interrupted[str(answer.status_code)] += 1
            time.sleep(0.1)
        self.bad.append(f"{name}: no success within {PATIENCE_S:g} seconds")


def run(folder: Path, kills: int, seed: int) -> dict[str, Any]:
    rng = random.Random(seed)
    data = folder / "data"
    data.mkdir(mode=0o700)
    key = KeyStore(data).add("admin")
    command = [sys.executable, "-m", "lineament", "serve", "--port", "0", "--json", "--workers",
               "2", "--threads", "1", "--data", str(data)]  # fmt: skip
    photos = [(DEMO / f"{name}.jpg").read_bytes() for name in ("obama", "obama2", "biden")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
    assert process.stdout is not None
    address = json.loads(process.stdout.readline())["address"]
    killed = 0
    clients = [Client(number, address, key, photos) for number in range(CLIENTS)]
    started = time.perf_counter()
    try:
        ready(address)
        headers = {"Authorization": f"Bearer {key}"}
        httpx.post(
            f"{address}/v1/galleries", json={"name": "staff"}, headers=headers
        ).raise_for_status()
        for client in clients:
            client.start()
        for number in track(range(kills), "kills"):
            done = sum(len(client.acknowledged) for client in clients)
            due = time.monotonic() + 60
            # Somebody is enrolled between two kills, so that all of them hit a server at work.
            while sum(len(c.acknowledged) for c in clients) == done and time.monotonic() < due:
                time.sleep(0.01)
            if number % 2 and (writer := after_a_change(data / "galleries" / "staff", rng)):
                os.kill(writer, signal.SIGKILL)
                killed += 1
                continue
            time.sleep(rng.uniform(0, 0.5))
            due = time.monotonic() + 60
            while not (there := serving(process.pid)):
                if process.poll() is not None or time.monotonic() > due:
                    raise SystemExit(
                        f"no process serves any more: {(folder / 'log').read_text()[-2000:]}"
                    )
                time.sleep(0.01)
            os.kill(rng.choice(there), signal.SIGKILL)
            killed += 1
        for client in clients:
            client.stop.set()
        for client in clients:
            client.join(PATIENCE_S + 60)
    finally:
        process.terminate()
        code = process.wait(90)
        process.stdout.close()
    seconds = time.perf_counter() - started
    acknowledged = [name for client in clients for name in client.acknowledged]
    with Gallery.open(data / "galleries" / "staff", read_only=True) as gallery:
        people = {person.name: person.n_samples for person in gallery.people()}
        wrong = gallery.check()
    entries = read_entries(data / "audit" / "audit.jsonl", action="enroll")
    repeated = sum(bool(entry.details.get("repeated")) for entry in entries)
    bad = [text for client in clients for text in client.bad]
    interrupted: Counter[str] = sum((client.interrupted for client in clients), Counter())
    return {
        "kills": killed,
        "acknowledged": len(acknowledged),
        "lost": sum(people.get(name, 0) < 1 for name in acknowledged),
        "twice": sum(people.get(name, 0) > 1 for name in acknowledged),
        "repeated": repeated,
        "not_retryable": len(bad),
        "unopenable": len(wrong),
        "interrupted": sum(interrupted.values()),
        "exit_code": code,
        "seconds": round(seconds, 1),
        "by_kind": dict(interrupted),
        "details": [*bad[:10], *map(str, wrong[:10])],
    }


def ready(address: str) -> None:
    due = time.monotonic() + 120
    while time.monotonic() < due:
        try:
            if httpx.get(f"{address}/v1/ready", timeout=30).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise SystemExit("the server did not get ready")


def show(figures: dict[str, Any]) -> None:
    table(("figure", "value"), figures.items())


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--kills", type=at_least(1), default=100, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report(options, lambda: run(Path(folder), options.kills, options.seed), show)


if __name__ == "__main__":
    main()
