"""Requests that are sent again: under one ``Idempotency-Key`` a change is made once.

A client that does not know whether its request arrived sends it again with the same key, and gets
the answer of the first time (``Idempotency-Replayed: true``). Answers are kept for ``KEPT_S``
seconds, only of requests that changed something (2xx): what failed changed nothing and may be sent
again as it is. Another request under a known key is refused (409), and so is the same one
while the first is under way. A key belongs to the caller's API key.

A process that is killed after a change and before the note of its answer leaves the request begun:
it is taken on again when it is sent again. What would be there twice then is made under a token,
which stands in the same transaction as what it made (``once``): samples and consents in the
gallery, jobs, streams and keys in their tables. So the request runs again, makes nothing, and
answers with what there is. All else does nothing twice by itself: a name is taken, a person has
gone already, a value is set to what it is.

Answers name people, so they are encrypted (AES-256-GCM): with a key made of a secret of the
server and the client's own, which is kept nowhere; and they go when somebody of their gallery is
removed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lineament.errors import ConflictError, LineamentError, OptionError
from lineament.gallery.values import ONCE_KEPT_S
from lineament.sealed import aead
from lineament.server.access import principal_of
from lineament.server.problems import problem_of
from lineament.server.receiving import replayed, whole
from lineament.server.roles import check
from lineament.server.table import Operation, find
from lineament.server.tables import opened, own_secret

KEPT_S = ONCE_KEPT_S
LONGEST_KEY, LONGEST_ANSWER = 255, 4 << 20
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS answers (id BLOB PRIMARY KEY, request BLOB NOT NULL, gallery TEXT, "
    "made REAL NOT NULL, answer BLOB)"
)
_KEY = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_KEY}}}")
_BOUNDARY = re.compile(rb'boundary="?([^";,\s]+)')


class RepeatStore:
    """Answers by caller and key, in one SQLite file of its owner alone."""

    def __init__(
        self, folder: Path, *, writes: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        """Open the store of a data folder; it is made if need be.

        Args:
            folder: of the server's data; it exists.
            writes: whether this process answers such requests: those that a process before it did
                not finish may then be sent again, as they were.
            clock: seconds since 1970.
        """
        self._path = folder / "requests.sqlite"
        self._clock = clock
        self._secret = own_secret(folder / "requests.secret")
        with opened(self._path, _SCHEMA) as connection:
            if writes:
                connection.execute("UPDATE answers SET answer = x'' WHERE answer IS NULL")

    def _hash(self, what: bytes, caller: str, key: str) -> bytes:
        data = json.dumps([caller, key]).encode()
        return hashlib.blake2b(data, key=self._secret, person=what, digest_size=32).digest()

    def token(self, caller: str, key: str, request: bytes) -> bytes:
        """What a request is known by where it changes something: a hash that says nothing.

        Args:
            caller: id of the caller's key.
            key: as the client sent it.
            request: hash of the request; b"" where its body is not read before.
        """
        return self._hash(b"once", caller, key + request.hex())

    def token_of(self, request: Request, body: bytes = b"") -> bytes | None:
        """The token of a request whose answer is not kept (``once`` has that of the others).

        Args:
            request: its caller is known.
            body: of the request; b"" where it is not read before: then requests differ by their
                keys alone.

        Raises:
            OptionError: it has no such key.
        """
        key = key_of(request)
        if key is None:
            return None
        digest = digest_of(request.scope, body) if body else b""
        return self.token(principal_of(request).id, key, digest)

    def begin(
        self, caller: str, key: str, request: bytes, gallery: str | None
    ) -> dict[str, Any] | None:
        """Take a request on, unless it was answered: then its answer.

        Args:
            caller: id of the caller's key.
            key: as the client sent it.
            request: hash of the request.
            gallery: which it is about.

        Raises:
            ConflictError: another request came under this key, or this one is under way.
        """
        number, now = self._hash(b"row", caller, key), self._clock()
        with opened(self._path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("DELETE FROM answers WHERE made < ?", (now - KEPT_S,))
            row = connection.execute(
                "SELECT request, answer FROM answers WHERE id = ?", (number,)
            ).fetchone()
            again = row is not None and row[0] == request and row[1] == b""
            if again:  # a process that was killed had begun it
                connection.execute(
                    "UPDATE answers SET answer = NULL, made = ? WHERE id = ?", (now, number)
                )
            if row is None:
                connection.execute(
                    "INSERT INTO answers VALUES (?, ?, ?, ?, NULL)", (number, request, gallery, now)
                )
            connection.execute("COMMIT")
        if row is None or again:
            return None
        if row[0] != request:
            raise ConflictError(
                "expected the same request as before under this key, got another one",
                option="Idempotency-Key",
                hint="send a new key with each new request",
            )
        if row[1] is None:
            raise ConflictError(
                "the request of this key is under way", option="Idempotency-Key",
                hint="wait for its answer",
            )  # fmt: skip
        plain = _cipher(self._hash(b"answer", caller, key)).decrypt(row[1][:12], row[1][12:], None)
        found: dict[str, Any] = json.loads(plain)
        return found

    def finish(self, caller: str, key: str, answer: dict[str, Any] | None) -> None:
        """Keep the answer; None: forget the request, since it changed nothing."""
        number = self._hash(b"row", caller, key)
        with opened(self._path) as connection:
            if answer is None:
                connection.execute("DELETE FROM answers WHERE id = ?", (number,))
                return
            nonce = secrets.token_bytes(12)
            cipher = _cipher(self._hash(b"answer", caller, key))
            sealed = nonce + cipher.encrypt(nonce, json.dumps(answer).encode(), None)
            connection.execute("UPDATE answers SET answer = ? WHERE id = ?", (sealed, number))

    def forget(self, gallery: str) -> None:
        """Remove the answers about a gallery: somebody was removed from it."""
        with opened(self._path) as connection:
            connection.execute(
                "DELETE FROM answers WHERE gallery = ? AND length(answer) > 0", (gallery,)
            )


def _cipher(key: bytes) -> Any:
    return aead(key, "keeping answers of a server", "server")


class Repeats:
    """ASGI middleware: answers requests with an ``Idempotency-Key`` once."""

    def __init__(
        self, app: ASGIApp, *, table: Sequence[Operation], prefix: str, store: RepeatStore
    ) -> None:
        """Wrap an application.

        Args:
            app: what answers.
            table: its operations; only those that change something are answered once.
            prefix: of their paths.
            store: where answers are.
        """
        self._app, self._table, self._prefix, self._store = app, table, prefix, store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not any(k == b"idempotency-key" for k, _ in scope["headers"]):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        found = find(self._table, scope["method"], scope["path"].removeprefix(self._prefix))
        if found is None or not found[0].writes or found[0].secret:
            await self._app(scope, receive, send)
            return
        operation, values = found
        gallery = values.get("gallery")
        try:
            principal = principal_of(request)
            if operation.role is not None:
                named = gallery if operation.gallery else None
                check(principal, operation.role, named, everywhere=operation.everywhere)
            key = key_of(request) or ""
            body = await whole(receive)
            digest = digest_of(scope, body)
            known = await asyncio.to_thread(self._store.begin, principal.id, key, digest, gallery)
            scope["state"]["once"] = self._store.token(principal.id, key, digest)
        except LineamentError as error:
            await problem_of(error, scope["state"].get("request_id"))(scope, receive, send)
            return
        if known is not None:
            await _send(known, send)
            return

        async def finish(answer: dict[str, Any] | None) -> None:
            await asyncio.to_thread(self._store.finish, principal.id, key, answer)

        recorder = _Recorder(send, finish)
        try:
            await self._app(scope, replayed(body, receive), recorder)
        finally:
            if not recorder.finished:
                await asyncio.shield(finish(None))


class _Recorder:
    """Passes an answer on, once it is kept if it says that something was done.

    Attributes:
        finished: whether the whole answer came.
    """

    def __init__(
        self, send: Send, finish: Callable[[dict[str, Any] | None], Awaitable[None]]
    ) -> None:
        self.finished = False
        self._send, self._finish = send, finish
        self._start: Message | None = None
        self._parts: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            if sum(map(len, self._parts)) <= LONGEST_ANSWER:
                self._parts.append(message.get("body", b""))
            if not message.get("more_body", False):  # who has the answer may send it again
                await self._finish(self._answer())
                self.finished = True
        await self._send(message)

    def _answer(self) -> dict[str, Any] | None:
        """The answer, if it is one of success and short enough."""
        body = b"".join(self._parts)
        if (
            self._start is None
            or not 200 <= self._start["status"] < 300
            or len(body) > LONGEST_ANSWER
        ):
            return None
        kind = next((v for k, v in self._start["headers"] if k.lower() == b"content-type"), b"")
        return {
            "status": self._start["status"],
            "type": kind.decode("latin-1"),
            "body": body.decode("latin-1"),
        }


async def _send(answer: dict[str, Any], send: Send) -> None:
    body = answer["body"].encode("latin-1")
    headers = [(b"idempotency-replayed", b"true")]
    if answer["status"] != 204:
        headers += [
            (b"content-type", answer["type"].encode("latin-1")),
            (b"content-length", str(len(body)).encode()),
        ]
    await send({"type": "http.response.start", "status": answer["status"], "headers": headers})
    await send({"type": "http.response.body", "body": body})


def key_of(request: Request) -> str | None:
    """The header of that name; None: it has none. OptionError: it is no such key."""
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise OptionError(
            f"expected 1 to {LONGEST_KEY} letters, figures and signs, got {key!r:.80}",
            option="Idempotency-Key",
        )
    return key


def once(request: Request) -> bytes | None:
    """The token under which this request makes something once; None: it came without a key.

    It is written down in the transaction that makes it, so it is known there even if the process
    was killed before it could note the answer.
    """
    token: bytes | None = getattr(request.state, "once", None)
    return token


def replayed_header(repeated: bool) -> dict[str, str]:
    """Headers of an answer: that nothing was done, since it was done before."""
    return {"Idempotency-Replayed": "true"} if repeated else {}


def digest_of(scope: Scope, body: bytes) -> bytes:
    """What makes two requests the same: not the boundary that a client draws for each form."""
    kind = next((v for k, v in scope["headers"] if k == b"content-type"), b"")
    boundary = _BOUNDARY.search(kind)
    if boundary is not None:
        body = body.replace(boundary[1], b"")
        kind = kind.replace(boundary[1], b"")
    digest = hashlib.sha256()
    for part in (scope["method"].encode(), scope["raw_path"], scope["query_string"], kind, body):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()
