"""What all requests of one process share."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, RLock
from typing import TYPE_CHECKING

from lineament.batching import Batcher
from lineament.finder import FaceFinder
from lineament.images import ImageLimits
from lineament.pipeline import Recognizer
from lineament.server.auditing import Audit
from lineament.server.feed import Stops
from lineament.server.galleries import Galleries
from lineament.server.jobs import Jobs
from lineament.server.jobs.vault import Vault
from lineament.server.keys import KeyStore
from lineament.server.liveness import LivenessChecks
from lineament.server.metrics import Counted, Metrics
from lineament.server.repeats import RepeatStore
from lineament.server.sessions import Sessions
from lineament.server.settings import ServerSettings, make_data
from lineament.server.streams import Streams
from lineament.server.tickets import Tickets
from lineament.server.users import UserStore
from lineament.server.work import Work

if TYPE_CHECKING:
    from fastapi import Request

    from lineament.server.roles import Principal

Session = Callable[["Request"], "Principal | None"]
"""Finds out who calls by something else than a key, such as a cookie."""


class ServerState:
    """Recognizer, galleries, keys and threads of one process.

    Attributes:
        settings: as given.
        limits: on photos.
        work: the threads.
        metrics: what is counted of them.
        keys: who may call.
        repeats: answers for requests that are sent again.
        audit: what was changed and searched, by whom.
        galleries: by name.
        logins: users and sessions of the page.
        sessions: other ways than keys to know who calls, asked in their order.
        tickets: for WebSockets of browsers.
        liveness: sessions of active liveness.
        streams, jobs: what is watched and worked at; in the process that writes.
        stopping: set once the server ends, so that answers without an end come to theirs.
    """

    def __init__(self, settings: ServerSettings, *, writes: bool = True) -> None:
        """Open what is on disk; networks are loaded by ``load``."""
        make_data(settings.data)
        self.settings, self._writes = settings, writes
        self.limits = ImageLimits(
            max_bytes=min(settings.max_body_bytes, ImageLimits().max_bytes),
            max_pixels=settings.max_pixels,
        )
        self.work = Work(settings.threads, settings.queue, timeout_s=settings.request_timeout_s)
        self.metrics = Metrics()
        self.work.observers.append(self.metrics.observe)
        self.keys = KeyStore(settings.data)
        self.repeats = RepeatStore(settings.data, writes=writes)
        self.audit = Audit(settings.data)
        self.galleries = Galleries(
            settings.data / "galleries", lambda: self.recognizer, writes=writes
        )
        self.logins = Sessions(settings.data, UserStore(settings.data))
        self.sessions: list[Session] = [self.logins.principal]
        self.tickets = Tickets()
        self.liveness = LivenessChecks(
            lambda: self.recognizer, self.galleries.get, most=settings.liveness_sessions
        )
        self.streams = Streams(
            settings.data, lambda: self.recognizer, self.galleries.get,
            most=settings.streams, private=settings.stream_private,
        )  # fmt: skip
        self.jobs = Jobs(
            settings.data, lambda: self.recognizer, self.galleries.get,
            keep_h=settings.jobs_keep_h, audit=self.audit,
            vault=Vault.of_environment(settings.data),
        )  # fmt: skip
        self.stopping: Stops = Event()
        self._lock = RLock()
        self._recognizer: Recognizer | None = None
        self._batcher: Batcher | None = None
        self._covering: FaceFinder | None = None

    @property
    def recognizer(self) -> Recognizer:
        """Finder, embedder and judge; calls of several threads share a batch of the embedder."""
        with self._lock:
            if self._recognizer is None:
                chosen, detector = self.settings.recognizer, self.settings.detector
                plain = Recognizer(chosen, detector=detector, limits=self.limits)
                plain.load()
                self._batcher = Batcher(Counted(plain.embedder, self.metrics), wait_ms=1.0)
                self._recognizer = Recognizer(chosen, finder=plain.finder, embedder=self._batcher)
                _ = self._recognizer.judge
            return self._recognizer

    def forget(self, gallery: str) -> None:
        """Somebody was removed from a gallery: nothing that names them stays in what is kept."""
        self.repeats.forget(gallery)
        self.jobs.forget(gallery)
        self.streams.forget(gallery)

    @property
    def covering_finder(self) -> FaceFinder:
        """Finds faces that are to be covered: rather too many; within the server's limits."""
        with self._lock:
            if self._covering is None:
                from lineament.anonymize.finding import thorough_finder

                made = thorough_finder()
                self._covering = FaceFinder(
                    made.detector, landmarker="mesh", options=made.options, limits=self.limits
                )
            return self._covering

    def load(self) -> None:
        """Load the networks, so that the first request does not wait."""
        _ = self.recognizer
        if self._writes:
            self.streams.start()
            self.jobs.start()

    def close(self) -> None:
        """End the threads, and close what is open."""
        self.streams.close()
        self.jobs.close()
        self.work.close()
        self.galleries.close()
        self.audit.close()
        self.keys.close()
        self.logins.users.close()
        if self._batcher is not None:
            self._batcher.close()
