"""A server that may say anything: each path is a function that writes to the socket."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

Answer = Callable[["RawServer", socket.socket], None]


class RawServer:
    """Listens on an address of this machine, until ``stop``.

    Attributes:
        port, asked: the heads of all requests as they came.
        connections: how many there were.
        hung_up: whether the last client closed the connection before the answer ended.
        tls: talk TLS from the first byte on.
    """

    def __init__(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.connections = 0
        self.hung_up = threading.Event()
        self.stopped = threading.Event()
        self.tls = tls
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.bind((host, 0))
        self._listener.listen()
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http{'s' if self.tls else ''}://{host}:{self.port}/{path}"

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        connection: socket.socket = plain
        try:
            if self.tls is not None:
                connection = self.tls.wrap_socket(plain, server_side=True)
            connection.settimeout(20)
            head = b""
            while b"\r\n\r\n" not in head and (part := connection.recv(65536)):
                head += part
            self.asked.append(head.decode("latin-1"))
            path = head.decode("latin-1").split(" ")[1] if head else ""
            for name, answer in list(self.answers.items()):  # a test may add one meanwhile
                if path.endswith("/" + name):
                    answer(self, connection)
        except OSError:
            self.hung_up.set()
        finally:
            with contextlib.suppress(OSError):
                connection.close()

    def stop(self) -> None:
        self.stopped.set()
        with contextlib.suppress(OSError):  # an accept that waits is woken on Linux alone
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@contextlib.contextmanager
def serving(**answers: Answer) -> Iterator[RawServer]:
    """A server with these paths."""
    server = RawServer()
    server.answers.update(answers)
    try:
        yield server
    finally:
        server.stop()


def says(*parts: bytes) -> Answer:
    """Sends this and hangs up."""

    def answer(_: RawServer, connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)

    return answer


def found(body: bytes, *headers: str) -> Answer:
    """An ordinary answer."""
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    return says("\r\n".join([*lines, "", ""]).encode("latin-1"), body)


def moved(target: str, status: int = 302) -> Answer:
    """A redirect."""
    return says(f"HTTP/1.1 {status} Moved\r\nLocation: {target}\r\n\r\n".encode("latin-1"))


def drips(before: bytes, drop: bytes, every_s: float = 0.02) -> Answer:
    """Sends something at once, and then a little for ever."""

    def answer(server: RawServer, connection: socket.socket) -> None:
        connection.sendall(before)
        while not server.stopped.is_set():
            connection.sendall(drop)
            time.sleep(every_s)

    return answer


HEAD = b"HTTP/1.1 200 OK\r\n"
DRIPPING: dict[str, Answer] = {
    "silence": drips(b"", b""),
    "status": drips(b"HTTP/1.1 200 ", b"O"),
    "headers": drips(HEAD, b"X-A: b\r\n"),
    "header": drips(HEAD + b"X-A: ", b"b"),
    "continues": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": drips(HEAD + b"Content-Length: 700001\r\n\r\n", b"b"),
    "chunks": drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nb\r\n"),
    "chunk": drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "trailers": drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: b\r\n"),
}
"""Every place where a server can keep its client waiting without being silent."""
