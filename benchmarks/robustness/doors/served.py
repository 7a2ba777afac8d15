"""A server of lineament in this process, things that no answer may say, and how it is asked."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

import numpy as np

from doors.case import Case
from doors.pictures import draw_face, encode

BODY_S, HEAD_S = 0.7, 0.7
"""In which a request's body and head have to come."""
ANSWER_S = 20.0
"""In which an answer has to come; the machine may be busy."""
SECRET, STRANGER = "zq8-canary", "Zq8 Canary Person"
"""A gallery that no key of the cases is for, and somebody in it."""
MOST_BYTES = 1 << 20
_LEAKS = (b"Traceback (most", b'File "/', b"sqlite3.", b"site-packages")


@dataclass
class Answer:
    """What came back.

    Attributes:
        status: of HTTP.
        headers: by lower-case name.
        body: all of it.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """Its values."""
        return json.loads(self.body)


@dataclass
class Target:
    """The server, and what is asked of it.

    Attributes:
        port: where it listens.
        keys: by role, for the gallery "own"; "admin" is for everything.
        paths: of all operations: (method, path).
        photo: a JPEG with a face.
        leaks: bytes that no answer may have.
    """

    port: int
    keys: dict[str, str]
    paths: list[tuple[str, str]]
    photo: bytes
    leaks: tuple[bytes, ...]

    def head(
        self,
        method: str,
        path: str,
        *lines: bytes,
        key: str | None = "enroll",
        length: int | None = None,
    ) -> bytes:
        """The head of a request."""
        found = [f"{method} {path} HTTP/1.1".encode(errors="surrogatepass"), b"Host: x"]
        if key is not None:
            found.append(b"Authorization: Bearer " + self.keys[key].encode())
        if length is not None:
            found.append(f"Content-Length: {length}".encode())
        return b"\r\n".join([*found, *lines, b"", b""])

    def line(self, case: Case) -> socket.socket:
        """A connection."""
        case.allowed.add(("127.0.0.1", self.port))
        made = socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_S)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def ask(
        self, case: Case, *pieces: bytes, pause_s: float = 0.0, silent: bool = False
    ) -> Answer | None:
        """Send a request piece by piece, and judge the answer; None: the server hung up.

        Args:
            case: says what is wrong.
            pieces: of the request.
            pause_s: between them.
            silent: whether hanging up without an answer is as good.
        """
        for _ in range(5):
            started = time.monotonic()
            with closing(self.line(case)) as line:
                for piece in pieces:
                    try:
                        line.sendall(piece)
                    except OSError:
                        break  # it hung up, and may have said why
                    if pause_s:
                        time.sleep(pause_s)
                slow = not pause_s and time.monotonic() - started > HEAD_S / 2
                answer = self.read(case, line)
            if answer is not None or not slow:  # else the machine was too busy to send in time
                break
        case.expect(answer is not None or silent, "it hung up without an answer")
        return answer

    def read(self, case: Case, line: socket.socket, method: str = "GET") -> Answer | None:
        """Read one answer, and judge it."""
        response = HTTPResponse(line, method=method)
        try:
            response.begin()
            headers = {name.lower(): value for name, value in response.getheaders()}
            found = Answer(response.status, headers, response.read())
        except TimeoutError as error:
            raise TimeoutError(f"no answer within {ANSWER_S:g} s") from error
        except (OSError, HTTPException):
            return None
        finally:
            response.close()
        self.judge(case, found)
        return found

    def judge(self, case: Case, answer: Answer) -> None:
        """See that an answer is one of ours, and says nothing that it must not."""
        case.say(answer.status, answer.body[:300])
        case.expect(answer.status < 500, f"status {answer.status}: {answer.body[:300]!r}")
        whole = answer.body + "\n".join(answer.headers.values()).encode(errors="replace")
        for leak in self.leaks:
            case.expect(leak not in whole, f"it says {leak!r}: {answer.body[:300]!r}")
        kind = answer.headers.get("content-type", "")
        if answer.status >= 400 and kind == "application/problem+json":
            values = answer.json()
            case.expect(values["status"] == answer.status, f"status of {values}")
            case.expect(isinstance(values["code"], str) and values["code"], f"code of {values}")
        if kind.endswith("json"):
            answer.json()

    def alive(self, case: Case) -> None:
        """See that it answers others."""
        answer = self.ask(case, self.head("GET", "/v1/health", b"Connection: close", key=None))
        case.expect(answer is not None and answer.status == 200, f"health: {answer}")

    def post(
        self, case: Case, path: str, values: Any, *, method: str = "POST", key: str = "enroll"
    ) -> Answer | None:
        """Send JSON."""
        body = values if isinstance(values, bytes) else json.dumps(values).encode()
        head = self.head(
            method, path, b"Content-Type: application/json", b"Connection: close",
            key=key, length=len(body),
        )  # fmt: skip
        return self.ask(case, head, body)


def form(parts: Iterable[tuple[bytes, bytes]], boundary: bytes = b"xyz") -> bytes:
    """A body of multipart/form-data of (headers, content)."""
    whole = b"".join(
        b"--" + boundary + b"\r\n" + headers + b"\r\n\r\n" + content + b"\r\n"
        for headers, content in parts
    )
    return whole + b"--" + boundary + b"--\r\n"


def part(name: str, file: str | None = None, *more: bytes) -> bytes:
    """The headers of a part."""
    line = f'Content-Disposition: form-data; name="{name}"'
    if file is not None:
        line += f'; filename="{file}"'
    return b"\r\n".join([line.encode(errors="surrogatepass"), *more])


def filled(path: str, values: Sequence[str]) -> str:
    """A path of the API with something in the places of its parameters."""
    left = iter(values)
    return re.sub(r"\{[^}]*\}", lambda _: next(left), path)


def start(home: Path, seed: int, *, private: bool = False) -> Target:
    """Start the server, for as long as the process lives.

    Args:
        home: its data folder is made within.
        seed: of the face that the photo shows.
        private: whether it may watch cameras of this machine.
    """
    from lineament.gallery import NewSample
    from lineament.server import create_app
    from lineament.server import keys as keys_of_server
    from lineament.server.connections import make_server
    from lineament.server.settings import ServerSettings
    from lineament.types import Embedding

    keys_of_server.MOST_FAILURES = 1 << 60  # a lock-out would keep all later cases away
    settings = ServerSettings(
        data=home / "user" / "data-of-the-server",
        port=0,
        threads=2,
        max_body_bytes=MOST_BYTES,
        max_pixels=4_000_000,
        body_timeout_s=BODY_S,
        header_timeout_s=HEAD_S,
        urls=True,
        stream_private=private,
        streams=40,
    )
    app = create_app(settings)
    server = make_server(app, settings, app.state.admission, port=0)

    async def serve() -> None:
        pool = ThreadPoolExecutor(4)
        list(pool.map(time.sleep, [0.2] * 4))  # all its threads are there before the first case
        asyncio.get_running_loop().set_default_executor(pool)
        await server.serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the server did not start")
        time.sleep(0.01)
    state = app.state.lineament  # type: ignore[attr-defined]
    list(state.work._pool.map(time.sleep, [0.2] * 2))
    photo = encode(draw_face(np.random.default_rng(seed)), "JPEG")
    for name, person in (("own", "Ada"), (SECRET, STRANGER)):
        gallery = state.galleries.create(name)
        dimension = gallery.contract.dimension
        vector = np.random.default_rng(seed).normal(size=dimension).astype(np.float32)
        sample = Embedding(vector / np.linalg.norm(vector), 20.0, gallery.contract)
        gallery.enroll_samples([(person, NewSample(sample, "canary.jpg"))])
    keys = {role: state.keys.add(role, galleries=("own",)) for role in ("verify", "enroll")}
    keys["admin"] = state.keys.add("admin")
    port = server.servers[0].sockets[0].getsockname()[1]
    paths = [
        (method.upper(), path)
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    ]
    data = str(settings.data).encode()
    leaks = (*_LEAKS, data, json.dumps(str(settings.data)).encode()[1:-1], STRANGER.encode())
    target = Target(port, keys, paths, photo, leaks)
    body = target.head("POST", "/v1/detect", b"Content-Type: image/jpeg", length=len(photo)) + photo
    with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port))) as line:
        line.sendall(body)  # networks are loaded before the first case
        HTTPResponse(line).begin()
    return target
