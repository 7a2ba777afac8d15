"""Clients of a server: raw sockets that stay open, each with one request under way at a time.

Imported by ``benchmarks/server.py`` and run in a process of its own, so that what it costs can be
told from what the server costs. Only the standard library is used, and an answer's JSON is parsed
once for each of its forms: a client must not be the bottleneck.
"""

from __future__ import annotations

import asyncio
import json
import resource
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

BOUNDARY = "lineament-benchmark"


@dataclass(frozen=True)
class Plan:
    """What is asked of whom.

    Attributes:
        host, port: of the server.
        requests: whole HTTP/1.1 requests, sent in turns.
        expected: of each the answer's JSON; None: any answer with status 200 is right.
        clients: connections.
        seconds: for which requests are begun; those under way are answered still.
        warm_s: seconds before, of which nothing is counted.
        patience_s: a client that was refused waits as long as Retry-After says, and so long at
            most.
        timeout_s: of one answer; after it the request counts as an error.
    """

    host: str
    port: int
    requests: tuple[bytes, ...]
    expected: tuple[Any, ...] | None
    clients: int
    seconds: float
    warm_s: float = 0.0
    patience_s: float = 1.0
    timeout_s: float = 120.0


@dataclass
class Answers:
    """What came back.

    Attributes:
        done: good answers that came within the plan's seconds, whenever they were asked for.
        times_s: of answers with status 200, from the first byte sent to the last received.
        statuses: status -> answers.
        lost: requests without an answer: connections that were refused or broke, timeouts.
        wrong: answers with status 200 and another content than expected.
        bare: refusals (429, 503) without Retry-After.
        cpu_s: processor time of the clients within these seconds.
    """

    done: int = 0
    times_s: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    wrong: int = 0
    bare: int = 0
    cpu_s: float = 0.0

    @property
    def server_errors(self) -> int:
        """Answers with a status from 500 on."""
        return sum(count for status, count in self.statuses.items() if status >= 500)

    def percentile_ms(self, percent: float) -> float | None:
        """Time within which so many of the good answers came; None: there are none."""
        if not self.times_s:
            return None
        ordered = sorted(self.times_s)
        return 1e3 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def request(
    path: str, key: str, files: dict[str, bytes], fields: dict[str, str] | None = None
) -> bytes:
    """A POST with photos as multipart/form-data."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()
        for name, text in (fields or {}).items()
    ]
    for name, data in files.items():
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; '
            f'filename="{name}.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
        )
        parts += [head.encode(), data, b"\r\n"]
    body = b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])
    head = (
        f"POST {path} HTTP/1.1\r\nHost: benchmark\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n"
        "\r\n"
    )
    return head.encode() + body


def run(plan: Plan) -> Answers:
    """Ask, and count."""
    return asyncio.run(_run(plan))


async def _run(plan: Plan) -> Answers:
    answers = Answers()
    known: list[set[bytes]] = [set() for _ in plan.requests]
    begin_s = time.perf_counter() + plan.warm_s
    usage = [0.0, 0.0]

    async def marked() -> None:
        await asyncio.sleep(plan.warm_s)
        usage[0] = _cpu_s()
        await asyncio.sleep(plan.seconds)
        usage[1] = _cpu_s()

    clients = (_client(plan, number, begin_s, answers, known) for number in range(plan.clients))
    await asyncio.gather(marked(), *clients)
    answers.cpu_s = usage[1] - usage[0]
    return answers


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _client(
    plan: Plan, number: int, begin_s: float, answers: Answers, known: list[set[bytes]]
) -> None:
    end_s = begin_s + plan.seconds
    which = number * 7 % len(plan.requests)
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None
    while (start_s := time.perf_counter()) < end_s:
        counts = start_s >= begin_s
        try:
            async with asyncio.timeout(plan.timeout_s):
                if writer is None or reader is None:
                    reader, writer = await asyncio.open_connection(plan.host, plan.port)
                writer.write(plan.requests[which])
                status, headers, body = await _answer(reader)
        except (OSError, EOFError, TimeoutError, ValueError):
            answers.lost += counts
            reader, writer = None, _closed(writer)
            await asyncio.sleep(0.05)
            continue
        if headers.get(b"connection") == b"close":
            reader, writer = None, _closed(writer)
        if counts:
            answers.statuses[status] += 1
        if status == 200:
            now_s = time.perf_counter()
            answers.done += begin_s <= now_s < end_s
            if counts:
                answers.times_s.append(now_s - start_s)
            if body not in known[which]:
                if plan.expected is None or json.loads(body) == plan.expected[which]:
                    known[which].add(body)
                else:
                    answers.wrong += counts
            which = (which + plan.clients) % len(plan.requests)
        else:
            retry = headers.get(b"retry-after", b"")
            if status in (429, 503) and not retry.isdigit():
                answers.bare += counts
            wait_s = float(retry) if retry.isdigit() else plan.patience_s
            await asyncio.sleep(min(wait_s, plan.patience_s))
    _closed(writer)


def _closed(writer: asyncio.StreamWriter | None) -> None:
    if writer is not None:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[bytes, bytes], bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get(b"content-length", b"0")))
    return int(first.split(b" ", 2)[1]), headers, body
