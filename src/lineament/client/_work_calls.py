"""Requests about long work and watched streams; events and pictures that come one by one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lineament.client._calls import Answer, Call, nothing, segment
from lineament.client._errors import error_of
from lineament.client._photo_calls import reading, reading_all
from lineament.client._uploads import Upload
from lineament.client._values import read
from lineament.errors import LineamentError, OptionError, ServiceError
from lineament.results import Outcome
from lineament.text import in_short, reason_of
from lineament.video.events import Event

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
StreamState = Literal["connecting", "live", "lost", "ended"]
EVENT_KINDS = ("appeared", "identified", "changed", "left")


@dataclass(frozen=True, slots=True)
class Progress(Outcome):
    """How far a job is.

    Attributes:
        done, total: how much is done, and how much there is; 0 of 0 before that is known.
        what: what is being done, in words.
    """

    done: int
    total: int
    what: str


@dataclass(frozen=True, slots=True)
class ServedJob(Outcome):
    """Long work of a server.

    Attributes:
        id: of the job.
        kind: what is done: "enroll", "group", "tune", "anonymize", "reindex" or "expire".
        gallery: to which, or None.
        state: "queued", "running", "done", "failed" or "cancelled".
        progress: how far it is.
        result: what the library says, as JSON; None before.
        file: name of the file that can be fetched; None: there is none.
        problem: why it failed, as ``LineamentError.to_dict`` has it.
        attempts: how often it was begun.
        created, started, ended: seconds since 1970, or None.
        expires: when it is forgotten; None while it is not over.
    """

    id: str
    kind: str
    gallery: str | None
    state: JobState
    progress: Progress
    result: dict[str, Any] | None
    file: str | None
    problem: dict[str, Any] | None
    attempts: int
    created: float
    started: float | None
    ended: float | None
    expires: float | None

    @property
    def over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in ("done", "failed", "cancelled")

    @property
    def error(self) -> LineamentError | None:
        """Why it failed, as the library's own error; None unless it did."""
        if self.problem is None:
            return None
        values = {**self.problem, "detail": self.problem.get("message")}
        option = values.get("option")
        if isinstance(option, str) and str(values["detail"]).startswith(f"{option}: "):
            values["detail"] = str(values["detail"])[len(option) + 2 :]
        return error_of(values | {"hint": None}, 500)


@dataclass(frozen=True, slots=True)
class ServedStream(Outcome):
    """A stream that a server watches.

    Attributes:
        id: of the stream.
        source: its address, without user, password and query.
        label: for people.
        gallery: whose people have names, or None.
        purpose: only people who consented to it have names; None: all.
        n_left_out: how many people have none for want of such a consent; None without a purpose,
            and before it is watched.
        liveness: "off" or "passive".
        give_up_s: seconds without a picture until it is ended.
        state: "connecting", "live", "lost" or "ended".
        since: since when, in seconds since 1970.
        created: when it was added.
        size_wh: of its pictures, or None.
        frames: how many were looked at.
        last_event: number of the newest event.
        note: what its source said last, or None.
        problem: why it ended, or None.
    """

    id: str
    source: str
    label: str
    gallery: str | None
    purpose: str | None
    n_left_out: int | None
    liveness: str
    give_up_s: float
    state: StreamState
    since: float
    created: float
    size_wh: tuple[int, int] | None
    frames: int
    last_event: int
    note: str | None
    problem: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class ServedEvent(Outcome):
    """Something that happened to a job or a stream.

    Attributes:
        id: grows; ``events(..., after=id)`` goes on behind it.
        kind: of a stream "appeared", "identified", "changed", "left", "state" or "gap" (some are
            not kept any more); of a job "state" or "progress".
        data: plain values.
    """

    id: int
    kind: str
    data: dict[str, Any]

    @property
    def event(self) -> Event | None:
        """As ``lineament.watch`` gives it, of the first four kinds; None of the others."""
        return read(Event, self.data) if self.kind in EVENT_KINDS else None


# --- jobs -----------------------------------------------------------------------------------------


def create_job(
    kind: str,
    photos: list[Upload],
    archive: str | os.PathLike[str] | None,
    gallery: str | None,
    options: Mapping[str, Any],
) -> Call[ServedJob]:
    uploads = [("files", photo) for photo in photos]
    if any(photo.data is None for photo in photos):
        raise OptionError("expected photos that can be sent, got an address", option="photos")
    if archive is not None:
        if photos:
            raise OptionError("expected photos or an archive, got both", option="archive")
        path = Path(archive)
        try:
            uploads = [("archive", Upload(path.name, path.read_bytes()))]
        except OSError as error:
            raise OptionError(
                f"{path}: cannot be read ({reason_of(error)})", option="archive"
            ) from error
    values = {"kind": kind, "gallery": gallery, **options}
    if uploads:  # a form, whose fields are texts; lists of names stand there as JSON
        values = {
            name: json.dumps(value) if isinstance(value, (list, tuple)) else value
            for name, value in values.items()
        }
    return Call(
        "POST", "/jobs", reading(ServedJob), values=values, uploads=tuple(uploads), changes=True
    )


def jobs() -> Call[list[ServedJob]]:
    return Call("GET", "/jobs", reading_all(ServedJob, "jobs"))


def job(number: str) -> Call[ServedJob]:
    return Call("GET", f"/jobs/{segment(number)}", reading(ServedJob))


def end_job(number: str) -> Call[None]:
    return Call("DELETE", f"/jobs/{segment(number)}", nothing, changes=True)


def job_result(number: str) -> Call[bytes]:
    return Call("GET", f"/jobs/{segment(number)}/result", _bytes)


def job_events(number: str, after: int | None) -> Call[ServedEvent]:
    return Call("GET", f"/jobs/{segment(number)}/events", _no_answer, query={"after": after})


# --- streams --------------------------------------------------------------------------------------


def add_stream(values: Mapping[str, Any]) -> Call[ServedStream]:
    return Call("POST", "/streams", reading(ServedStream), values=values, changes=True)


def streams() -> Call[list[ServedStream]]:
    return Call("GET", "/streams", reading_all(ServedStream, "streams"))


def stream(number: str) -> Call[ServedStream]:
    return Call("GET", f"/streams/{segment(number)}", reading(ServedStream))


def end_stream(number: str) -> Call[None]:
    return Call("DELETE", f"/streams/{segment(number)}", nothing, changes=True)


def snapshot(number: str) -> Call[bytes]:
    return Call("GET", f"/streams/{segment(number)}/snapshot", _bytes)


def preview(number: str) -> Call[bytes]:
    return Call("GET", f"/streams/{segment(number)}/preview.mjpeg", _no_picture)


def stream_events(number: str, after: int | None) -> Call[ServedEvent]:
    return Call("GET", f"/streams/{segment(number)}/events", _no_answer, query={"after": after})


def _bytes(answer: Answer) -> bytes:
    return answer.body


def _no_answer(answer: Answer) -> ServedEvent:
    raise ServiceError(
        f"expected events, got status {answer.status}", hint="is the server of the same version?"
    )


def _no_picture(answer: Answer) -> bytes:
    raise ServiceError(
        f"expected moving pictures, got status {answer.status}",
        hint="is the server of the same version?",
    )


MOST_PICTURE = 16 << 20
"""Bytes of one picture of a preview."""


class PictureReader:
    """Bytes of multipart/x-mixed-replace -> the JPEGs in it."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._data = b""
        self._length: int | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take some bytes; gives the whole pictures. ServiceError: it is something else."""
        self._data += data
        while True:
            if self._length is None:
                head, end, rest = self._data.partition(b"\r\n\r\n")
                if not end:
                    self._check(len(head) <= 4096, head)
                    return
                self._length, self._data = self._length_of(head), rest
            if len(self._data) < self._length:
                return
            picture, self._data = self._data[: self._length], self._data[self._length :]
            self._length = None
            yield picture

    def _length_of(self, head: bytes) -> int:
        for line in head.lower().split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name == b"content-length" and value.strip().isdigit():
                length = int(value[:20])
                self._check(length <= MOST_PICTURE, head)
                return length
        self._check(False, head)
        return 0

    def _check(self, fine: bool, head: bytes) -> None:
        if not fine:
            raise ServiceError(
                f"expected pictures of a lineament server, got {in_short(head[:60])}"
            )


class EventReader:
    """Lines of server-sent events -> events.

    Attributes:
        last: number of the newest one; None before the first.
    """

    def __init__(self, after: int | None = None) -> None:
        """``after``: the number that was seen last."""
        self.last = after
        self._fields: dict[str, str] = {}

    def feed(self, line: str) -> Iterator[ServedEvent]:
        """Take one line; gives an event where that is its end."""
        if not line:
            fields, self._fields = self._fields, {}
            if "data" in fields:
                yield self._made(fields)
            return
        name, _, value = line.partition(":")
        if name in ("id", "event", "data"):
            value = value.removeprefix(" ")
            before = self._fields.get(name)
            joined = name == "data" and before is not None
            self._fields[name] = f"{before}\n{value}" if joined else value

    def _made(self, fields: Mapping[str, str]) -> ServedEvent:
        try:
            event = ServedEvent(
                int(fields.get("id", "0")),
                fields.get("event", "message"),
                dict(json.loads(fields["data"])),
            )
        except (ValueError, TypeError) as error:
            raise ServiceError(
                f"expected an event of a lineament server, got {in_short(fields['data'])}"
            ) from error
        self.last = event.id
        return event
