"""One request to a server and how its answer is read: what both clients share.

A ``Call`` says what is sent and what is made of the answer; ``Client`` and ``AsyncClient`` differ
in nothing but how they wait for it.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from lineament.client._errors import error_of
from lineament.client._uploads import Upload
from lineament.errors import LineamentError, ServiceError
from lineament.text import in_short

T = TypeVar("T")

PREFIX = "/v1"
RETRIED = (429, 502, 503, 504)
"""Statuses after which the same request may be sent again."""
LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: of HTTP.
        headers: by lower-case name.
        body: all of it.
        names: what the server calls the photos that were sent -> what they are called here.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    names: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """The body's values, photos called as they are here. ServiceError: it is no JSON."""
        try:
            values = json.loads(self.body)
        except ValueError as error:
            raise ServiceError(
                f"expected JSON of a lineament server, got {in_short(self.body[:60])}",
                hint="is the address that of a lineament server?",
            ) from error
        return renamed(values, self.names) if self.names else values


def nothing(answer: Answer) -> None:
    """What is made of an answer in which nothing is said."""


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and what is made of its answer.

    Attributes:
        method, path: of HTTP; the path without "/v1".
        read: makes the result.
        query: parameters of the address; None are left out.
        values: fields beside the photos, or of the JSON body; None are left out.
        uploads: (field, photo).
        listed: whether the photos' field takes several.
        changes: whether the server keeps something of it: then it has an Idempotency-Key, and is
            done once however often it is sent.
        repeatable: whether it may be sent again after the connection broke, when nobody knows
            whether the server has done it.
        nulls: fields of the JSON body that are null.
    """

    method: str
    path: str
    read: Callable[[Answer], T]
    query: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    uploads: tuple[tuple[str, Upload], ...] = ()
    listed: bool = False
    changes: bool = False
    repeatable: bool = True
    nulls: tuple[str, ...] = ()
    key: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def names(self) -> dict[str, str]:
        """What the server calls the photos -> what they are called here."""
        if self.listed:
            return {f"photo {n}": up.name for n, (_, up) in enumerate(self.uploads, 1)}
        return {up.server_name: up.name for _, up in self.uploads if up.data is not None}

    def options(self) -> dict[str, Any]:
        """Arguments of ``httpx.Client.build_request``."""
        found: dict[str, Any] = {"method": self.method, "url": PREFIX + self.path}
        query = {
            name: v if isinstance(v, list) else _text(v)
            for name, v in self.query.items()
            if v is not None
        }
        if query:
            found["params"] = query
        if self.changes and self.method == "POST":
            found["headers"] = {"Idempotency-Key": self.key}
        values = {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in self.values.items()
            if value is not None
        } | dict.fromkeys(self.nulls)
        nested = any(isinstance(value, (Mapping, list, tuple)) for value in values.values())
        if self.uploads and not nested and all(up.url is None for _, up in self.uploads):
            found["files"] = [
                (name, (up.file_name, up.data, up.media_type)) for name, up in self.uploads
            ]
            found["data"] = {name: _text(value) for name, value in values.items()}
        elif self.uploads or self.method in ("POST", "PUT", "PATCH"):
            found["json"] = values | self._coded()
        return found

    def _coded(self) -> dict[str, Any]:
        coded: dict[str, Any] = {}
        for name, upload in self.uploads:
            if upload.data is None:
                value: Any = {"url": upload.url}
            else:
                value = base64.b64encode(upload.data).decode("ascii")
            if self.listed:
                coded.setdefault(name, []).append(value)
            else:
                coded[name] = value
        return coded

    def result(self, answer: Answer) -> T:
        """Read an answer. LineamentError: it says what went wrong."""
        if not 200 <= answer.status < 300:
            raise problem_of(answer)
        return self.read(answer)

    def pause_s(self, attempt: int, answer: Answer | None) -> float | None:
        """Seconds before it is sent again, after so many attempts; None: it is not.

        Args:
            attempt: how many there were, 1 or more.
            answer: None: there was no connection, or it broke.
        """
        pause_s = min(0.25 * 2.0 ** (attempt - 1), LONGEST_PAUSE_S) * (
            0.75 + secrets.randbelow(512) / 1024
        )
        if answer is None:
            return pause_s
        under_way = attempt > 1 and answer.status == 409 and b"under way" in answer.body
        if answer.status not in RETRIED and not under_way:
            return None
        after_s = retry_after_s(answer)
        return pause_s if after_s is None else min(float(after_s), LONGEST_PAUSE_S)


def _text(value: Any) -> str:
    """A field of a form, or a parameter."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, (dict, list, tuple)) else str(value)


def segment(text: object) -> str:
    """One part of a path: a name with slashes or dots stays one."""
    coded = quote(str(text), safe="")
    return coded.replace(".", "%2E") if set(coded) == {"."} else coded


def retry_after_s(answer: Answer) -> int | None:
    """What the server says of asking again; None when it says nothing."""
    text = answer.headers.get("retry-after", "")
    return int(text) if text.isdecimal() and len(text) < 8 else None


def problem_of(answer: Answer) -> LineamentError:
    """The error that an answer stands for."""
    try:
        values = answer.json()
    except ServiceError:
        values = None
    if not isinstance(values, Mapping):
        values = {
            "detail": f"expected an answer of a lineament server, got status {answer.status}",
            "hint": "check the address, and what stands between, such as a proxy",
        }
    return error_of(values, answer.status, retry_after_s=retry_after_s(answer))


_TEXTS = {"error", "message", "detail", "explanation", "hint", "reasons", "notes"}


def renamed(values: Any, names: Mapping[str, str], key: str = "") -> Any:
    """The same with the names of photos that they have here: the server only has their bytes."""
    if isinstance(values, Mapping):
        return {name: renamed(value, names, name) for name, value in values.items()}
    if isinstance(values, list):
        return [renamed(value, names, key) for value in values]
    if isinstance(values, str):
        if key == "source":
            return names.get(values, values)
        if key in _TEXTS:
            for theirs, ours in names.items():
                if values.startswith(f"{theirs}:"):
                    return ours + values[len(theirs) :]
    return values
