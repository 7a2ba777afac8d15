"""Long work and watched streams of a server: ``client.jobs`` and ``client.streams``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from lineament.arguments import checked
from lineament.client import _work_calls as calls
from lineament.client._connection import Connection
from lineament.client._uploads import upload_of
from lineament.client._work_calls import ServedEvent, ServedJob, ServedStream
from lineament.files import write_atomically
from lineament.images import expand
from lineament.liveness.passive import LivenessMode


class ServedJobs:
    """Long work: ``client.jobs.create("enroll", photos=..., gallery="staff", person="Ada")``."""

    def __init__(self, connection: Connection) -> None:
        """For ``Client.jobs``."""
        self._connection = connection

    @checked
    def create(
        self,
        kind: str,
        *,
        photos: Any = None,
        archive: str | os.PathLike[str] | None = None,
        gallery: str | None = None,
        **options: Any,
    ) -> ServedJob:
        """Send a job; it is worked on after those before it, over restarts of the server.

        Args:
            kind: "enroll", "group", "tune", "anonymize", "reindex" or "expire".
            photos: one photo, or many; None where the kind takes none.
            archive: a zip of them instead, in folders named by people where that matters.
            gallery: which it is about.
            options: of the kind, as the OpenAPI description has them.

        Raises:
            OptionError: something is wrong; BusyError: too many jobs are waiting.
        """
        sent = [] if photos is None else [upload_of(photo) for photo in expand(photos)]
        return self._connection.send(calls.create_job(kind, sent, archive, gallery, options))

    def all(self) -> list[ServedJob]:
        """One's own, the oldest first; with an admin's key those of its galleries."""
        return self._connection.send(calls.jobs())

    @checked
    def get(self, job: str) -> ServedJob:
        """How far a job is. NotFoundError: there is none of that id."""
        return self._connection.send(calls.job(job))

    @checked
    def end(self, job: str) -> None:
        """Cancel a job, or forget one that is over."""
        self._connection.send(calls.end_job(job))

    @checked
    def save_result(self, job: str, path: str | os.PathLike[str]) -> None:
        """Write the file that came out of it.

        Args:
            job: its id.
            path: a file that exists is replaced.

        Raises:
            NotFoundError: there is no file, or none yet.
        """
        write_atomically(path, self._connection.send(calls.job_result(job)))

    @checked
    def events(self, job: str, *, after: int | None = None) -> Iterator[ServedEvent]:
        """What happens to a job, from its beginning, until it is over; reconnects by itself.

        Args:
            job: its id.
            after: number of the event that was seen last.
        """
        return self._connection.events(lambda last: calls.job_events(job, last), after)

    @checked
    def wait(self, job: str) -> ServedJob:
        """Wait until a job is over. LineamentError: it failed, and why."""
        for _ in self.events(job):
            pass
        done = self.get(job)
        if done.error is not None:
            raise done.error
        return done


class ServedStreams:
    """Cameras and streams that a server watches: ``client.streams.add("rtsp://...")``."""

    def __init__(self, connection: Connection) -> None:
        """For ``Client.streams``."""
        self._connection = connection

    @checked
    def add(
        self,
        url: str,
        *,
        gallery: str | None = None,
        purpose: str | None = None,
        liveness: LivenessMode = "off",
        give_up_s: float = 3600,
        label: str = "",
    ) -> ServedStream:
        """Watch a stream until ``end`` is called, over restarts of the server.

        Args:
            url: rtsp, rtsps, http or https.
            gallery: whose people have names.
            purpose: only people have names of whom every consent names it.
            liveness: "passive" checks whether faces are alive.
            give_up_s: seconds without a picture until it is ended.
            label: for people.
        """
        values = {
            "url": url,
            "gallery": gallery,
            "purpose": purpose,
            "liveness": liveness,
            "give_up_s": give_up_s,
            "label": label,
        }
        return self._connection.send(calls.add_stream(values))

    def all(self) -> list[ServedStream]:
        """The streams that the key may see, the oldest first."""
        return self._connection.send(calls.streams())

    @checked
    def get(self, stream: str) -> ServedStream:
        """One stream and its state. NotFoundError: there is none of that id."""
        return self._connection.send(calls.stream(stream))

    @checked
    def end(self, stream: str) -> None:
        """End a stream; its events are gone, too."""
        self._connection.send(calls.end_stream(stream))

    @checked
    def snapshot(self, stream: str) -> bytes:
        """The newest picture with people marked, as JPEG. NotFoundError: there is none."""
        return self._connection.send(calls.snapshot(stream))

    @checked
    def preview(self, stream: str) -> Iterator[bytes]:
        """Moving pictures with people marked: JPEGs, at most ten a second, until the stream ends.

        Args:
            stream: its id.

        Raises:
            BusyError: four look already.
            NotFoundError: there is none of that id.
        """
        return self._connection.pictures(calls.preview(stream))

    @checked
    def events(self, stream: str, *, after: int | None = None) -> Iterator[ServedEvent]:
        """What happens before a camera, as it happens, until the stream ends; reconnects.

        Args:
            stream: its id.
            after: number of the event that was seen last; 0: all that are kept; None: from now on.
        """
        return self._connection.events(lambda last: calls.stream_events(stream, last), after)
