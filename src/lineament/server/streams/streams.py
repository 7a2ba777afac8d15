"""The streams of a server: added, listed, ended, and there again after a restart.

What was asked for is in one SQLite file, ``streams.sqlite``, readable by its owner alone, since
addresses of cameras may hold passwords. Events are in memory only (``feed``).
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from threading import RLock
from typing import Any
from urllib.parse import urlsplit

from lineament import web
from lineament.errors import BusyError, GalleryNotFoundError, NotFoundError, OptionError
from lineament.gallery import Gallery
from lineament.gallery.consent import checked_purpose
from lineament.pipeline import Recognizer
from lineament.server.roles import Principal
from lineament.server.streams.watching import StreamSettings, WatchedStream
from lineament.server.tables import add_columns, opened

SCHEMES = ("rtsp", "rtsps", "http", "https")

LOOK_UP_S = 5.0
"""For so long an address is looked up before it is taken."""

MOST_ENDED = 100
"""Streams that have ended and are still listed."""

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS streams (id TEXT PRIMARY KEY, owner TEXT NOT NULL, "
    "created REAL NOT NULL, settings TEXT NOT NULL, ended TEXT, once BLOB)"
)
"""``ended``: NULL while it is to be watched, else the problem as JSON, or "null"."""


class Streams:
    """The streams of the process that writes."""

    def __init__(
        self,
        folder: Path,
        recognizer: Callable[[], Recognizer],
        gallery: Callable[[str], Gallery],
        *,
        most: int,
        private: bool,
    ) -> None:
        """Watch none yet.

        Args:
            folder: of the server's data.
            recognizer, gallery: as the server has them.
            most: streams at once.
            private: whether addresses of the server's own network may be named, by admins.
        """
        self._path = folder / "streams.sqlite"
        self._recognizer, self._gallery = recognizer, gallery
        self._most, self._private = most, private
        self._streams: dict[str, WatchedStream] = {}
        self._lock = RLock()
        self._started = False

    def start(self) -> None:
        """Watch again what was watched when the server ended, however that was.

        A second call does nothing.
        """
        with self._lock, self._open() as connection:
            if self._started:
                return
            self._started = True
            add_columns(connection, "streams", once="BLOB")
            rows = connection.execute(
                "SELECT id, owner, created, settings, ended FROM streams ORDER BY created, id"
            ).fetchall()
            for number, owner, created, settings, ended in rows:
                problem = None if ended is None else json.loads(ended)
                stream = self._made(
                    number, owner, created, StreamSettings(**json.loads(settings)), problem
                )
                self._streams[number] = stream
                if ended is None:
                    stream.start()
                else:
                    stream.mark_ended()

    def add(
        self, owner: Principal, settings: StreamSettings, once: bytes | None = None
    ) -> WatchedStream:
        """Watch another one.

        Args:
            owner: who asks; ``settings.private`` is set here.
            settings: as asked for.
            once: token of the request: the stream that was added under it is returned instead.

        Raises:
            OptionError: no address that may be watched.
            BusyError: too many at once.
            GalleryNotFoundError: there is no such gallery.
        """
        settings = self._checked(owner, settings)
        if settings.gallery is not None:
            self._gallery(settings.gallery)
        with self._lock:
            before = self._added(once)
            if before is not None:
                return before
            running = sum(stream.state != "ended" for stream in self._streams.values())
            if running >= self._most:
                raise BusyError(
                    f"expected at most {self._most} streams at once, got one more",
                    hint="end another one, or raise the server's setting streams",
                    retry_after_s=60,
                )
            stream = self._made(secrets.token_hex(8), owner.id, time.time(), settings, None)
            with self._open() as connection:
                connection.execute(
                    "INSERT INTO streams (id, owner, created, settings, once) "
                    "VALUES (?, ?, ?, ?, ?)",
                    (stream.id, stream.owner, stream.created, json.dumps(settings.to_dict()), once),
                )
            self._streams[stream.id] = stream
        self._drop_ended()
        stream.start()
        return stream

    def _added(self, once: bytes | None) -> WatchedStream | None:
        if once is None:
            return None
        with self._open() as connection:
            row = connection.execute("SELECT id FROM streams WHERE once = ?", (once,)).fetchone()
        return None if row is None else self._streams.get(row[0])

    def _checked(self, owner: Principal, settings: StreamSettings) -> StreamSettings:
        try:
            parts = urlsplit(settings.url)
            host, port = parts.hostname, parts.port
        except ValueError:
            parts, host, port = urlsplit(""), None, None
        if parts.scheme.lower() not in SCHEMES or not host:
            raise OptionError(
                f"expected an address of {', '.join(SCHEMES)}, got another text", option="url"
            )
        if any(ord(letter) <= 32 or ord(letter) == 127 for letter in settings.url):
            raise OptionError("expected an address without blanks", option="url")
        private = self._private and owner.may("admin")
        default = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}[parts.scheme.lower()]
        try:
            web.public_address(
                host, port or default, web.Deadline(LOOK_UP_S), allow_private=private
            )
        except web.PrivateAddressError as error:
            raise OptionError(
                "expected an address on the public internet, it leads to this machine or to a "
                "network of its own",
                option="url",
                hint="an admin's key may name one, if the server's setting stream_private allows",
            ) from error
        except OSError:  # the camera may come up later; it is judged each time that it is opened
            pass
        if settings.purpose is not None:
            checked_purpose(settings.purpose, "purpose")
            if settings.gallery is None:
                raise OptionError("expected a gallery with it, got none", option="purpose")
        values = settings.to_dict() | {"private": private}
        return StreamSettings(**values)

    def get(self, number: str) -> WatchedStream:
        """The stream of an id. NotFoundError: there is none."""
        with self._lock:
            stream = self._streams.get(number)
        if stream is None:
            raise NotFoundError(f"expected the id of a stream, got {number!r:.80}")
        return stream

    def list(self) -> list[WatchedStream]:
        """All, the oldest first."""
        with self._lock:
            return sorted(self._streams.values(), key=lambda each: (each.created, each.id))

    def remove(self, number: str) -> None:
        """End a stream, and forget it. NotFoundError: there is none."""
        stream = self.get(number)
        with self._lock, self._open() as connection:
            connection.execute("DELETE FROM streams WHERE id = ?", (number,))
            self._streams.pop(number, None)
        stream.stop()

    def forget(self, gallery: str) -> None:
        """Take names that a gallery does not have (any more) out of the events of its streams."""
        own = [stream for stream in self.list() if stream.settings.gallery == gallery]
        if not own:
            return
        try:
            found = self._gallery(gallery)
        except GalleryNotFoundError:
            found = None
        for stream in own:
            stream.forget(lambda name: found is not None and name in found)

    def close(self) -> None:
        """End all threads; what was watched is watched again by the next ``start``."""
        streams = self.list()
        for stream in streams:
            stream.stop(wait_s=0.0)
        for stream in streams:
            stream.stop()

    def _made(
        self,
        number: str,
        owner: str,
        created: float,
        settings: StreamSettings,
        problem: dict[str, Any] | None,
    ) -> WatchedStream:
        return WatchedStream(
            number, owner, created, settings,
            recognizer=self._recognizer, gallery=self._gallery, ended=self._note_end,
            problem=problem,
        )  # fmt: skip

    def _note_end(self, stream: WatchedStream) -> None:
        with self._lock, self._open() as connection:
            connection.execute(
                "UPDATE streams SET ended = ? WHERE id = ?",
                (json.dumps(stream.problem), stream.id),
            )

    def _drop_ended(self) -> None:
        ended = [stream for stream in self.list() if stream.state == "ended"]
        for stream in ended[: max(0, len(ended) - MOST_ENDED)]:
            self.remove(stream.id)

    def _open(self) -> AbstractContextManager[sqlite3.Connection]:
        return opened(self._path, _SCHEMA)
