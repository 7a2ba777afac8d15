"""Figures of a running server for Prometheus, of all its processes together.

Names of galleries are labels; names of people, keys and addresses are not. With several processes
each writes its figures into files of a folder (PROMETHEUS_MULTIPROC_DIR; the supervisor sets it),
and whichever is asked adds them up.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import prometheus_client as prometheus
from prometheus_client import multiprocess
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lineament.embed import Embedder
from lineament.errors import LineamentError
from lineament.server.logs import log_request
from lineament.server.table import Operation, find
from lineament.types import Contract, FloatArray, Image

CONTENT_TYPE: Final = prometheus.CONTENT_TYPE_LATEST
EVERY_S = 1.0
"""How often gauges of a process are taken."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The figures of one process."""

    def __init__(self) -> None:
        """All at zero."""
        self._several = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        self._registry = prometheus.CollectorRegistry()
        own: Any = {"registry": None if self._several else self._registry}
        self.requests = prometheus.Counter(
            "lineament_requests", "Answers, by route and status.",
            ["method", "route", "status"], **own,
        )  # fmt: skip
        self.seconds = prometheus.Histogram(
            "lineament_request_seconds", "From the header of a request to the end of its answer.",
            ["route"], buckets=_SECONDS, **own,
        )  # fmt: skip
        self.waited = prometheus.Histogram(
            "lineament_wait_seconds", "That calls of the library waited for a thread.",
            buckets=_SECONDS, **own,
        )  # fmt: skip
        self.ran = prometheus.Histogram(
            "lineament_work_seconds", "That calls of the library ran.", buckets=_SECONDS, **own
        )
        self.batches = prometheus.Histogram(
            "lineament_batch_faces", "Faces that the recognizer embedded at once.",
            buckets=(1, 2, 4, 8, 16, 32), **own,
        )  # fmt: skip
        summed = own | {"multiprocess_mode": "livesum"}
        self.running = prometheus.Gauge("lineament_running", "Calls that a thread has.", **summed)
        self.waiting = prometheus.Gauge("lineament_waiting", "Calls in the line.", **summed)
        self.memory = prometheus.Gauge(
            "lineament_memory_bytes", "Resident memory of all processes that answer.", **summed
        )

    def observe(self, waited_s: float, took_s: float) -> None:
        """Count a call of the library: an observer of ``Work``."""
        self.waited.observe(waited_s)
        self.ran.observe(took_s)

    async def take(self, work: Any) -> None:
        """Take the gauges again and again, until it is cancelled."""
        while True:
            self.running.set(work.running)
            self.waiting.set(work.waiting)
            self.memory.set(resident_bytes())
            await asyncio.sleep(EVERY_S)

    def text(self, galleries: dict[str, tuple[int, int]], jobs: dict[str, int]) -> bytes:
        """All figures as Prometheus reads them.

        Args:
            galleries: of each by its name people and samples.
            jobs: state -> how many.
        """
        registry = prometheus.CollectorRegistry() if self._several else self._registry
        if self._several:
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        now = prometheus.CollectorRegistry()
        people = prometheus.Gauge(
            "lineament_gallery_people", "People of a gallery.", ["gallery"], registry=now
        )
        samples = prometheus.Gauge(
            "lineament_gallery_samples", "Samples of a gallery.", ["gallery"], registry=now
        )
        for name, (n_people, n_samples) in galleries.items():
            people.labels(name).set(n_people)
            samples.labels(name).set(n_samples)
        counted = prometheus.Gauge("lineament_jobs", "Jobs by state.", ["state"], registry=now)
        for state, n_jobs in jobs.items():
            counted.labels(state).set(n_jobs)
        return prometheus.generate_latest(registry) + prometheus.generate_latest(now)


class Counted:
    """An embedder that counts the faces of each of its batches."""

    def __init__(self, embedder: Embedder, metrics: Metrics) -> None:
        """Wrap an embedder."""
        self._embedder, self._metrics = embedder, metrics

    @property
    def contract(self) -> Contract:
        """The embedder's."""
        return self._embedder.contract

    @property
    def size_wh(self) -> tuple[int, int]:
        """The embedder's."""
        return self._embedder.size_wh

    def embed(self, crops: Image, /) -> tuple[FloatArray, FloatArray]:
        """As the embedder does."""
        self._metrics.batches.observe(len(crops))
        return self._embedder.embed(crops)


class Observed:
    """ASGI middleware, the outermost: counts and logs each answer."""

    def __init__(
        self, app: ASGIApp, *, metrics: Metrics, table: Sequence[Operation], prefix: str
    ) -> None:
        """Wrap an application.

        Args:
            app: what answers.
            metrics: where answers are counted.
            table: all operations, whose paths stand for the requests'.
            prefix: of their paths.
        """
        self._app, self._metrics, self._table, self._prefix = app, metrics, table, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun_s = time.perf_counter()
        status = 499  # the client went away before there was an answer

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            took_s = time.perf_counter() - begun_s
            method, route = self._named(scope)
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(took_s)
            state = scope.get("state", {})
            principal = state.get("principal")
            length = dict(scope["headers"]).get(b"content-length", b"")
            log_request(
                request=state.get("request_id", "-"),
                method=method,
                route=route,
                status=status,
                ms=1e3 * took_s,
                key=getattr(principal, "id", None) or state.get("principal_id"),
                size=int(length) if length.isdigit() and len(length) < 16 else 0,
            )

    def _named(self, scope: Scope) -> tuple[str, str]:
        """Method and template of the path; what there is not is one name, whatever was asked."""
        method, path = scope["method"], scope["path"]
        if path.startswith(f"{self._prefix}/"):
            found = find(self._table, method, path.removeprefix(self._prefix))
            if found is not None:
                return method, self._prefix + found[0].path
        if method == "GET" and path in ("/metrics", f"{self._prefix}/openapi.json"):
            return method, path
        return method if method in _METHODS else "other", "other"


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def sizes(galleries: Any) -> dict[str, tuple[int, int]]:
    """People and samples of each gallery that can be opened."""
    found = {}
    for name in galleries.names():
        with suppress(LineamentError):
            gallery = galleries.get(name)
            found[name] = (gallery.n_people, gallery.n_samples)
    return found


def resident_bytes() -> int:
    """Memory of this process that is in use; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def forget(folder: Path, pid: int) -> None:
    """Leave a process that has ended out of the sums of what is now."""
    multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
