"""A server that does what it likes, and an internet of its own: names, addresses, routes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

Behavior = Callable[[socket.socket, "Server"], None]

PUBLIC = "93.184.216.34"
"""An address of somebody's on the public internet; every connection to it ends here."""


class Server:
    """Listens on the loopback address; each connection is one call of its behavior.

    Attributes:
        port: where.
        asked: how many connections came.
        over: set when the case is over: whoever drips looks at it.
    """

    def __init__(self, behavior: Behavior) -> None:
        """Listen."""
        self._behavior = behavior
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self.port: int = self._socket.getsockname()[1]
        self.asked = 0
        self.over = threading.Event()
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()

    def _listen(self) -> None:
        while not self.over.is_set():
            try:
                line, _ = self._socket.accept()
            except OSError:
                continue
            self.asked += 1
            thread = threading.Thread(target=self._serve, args=(line,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, line: socket.socket) -> None:
        with line, suppress(OSError, ValueError):
            line.settimeout(5)
            self._behavior(line, self)

    def close(self) -> None:
        """Hang up, and wait until all is over."""
        self.over.set()
        for thread in self._threads:
            thread.join()
        self._socket.close()


def heard(line: socket.socket) -> bytes:
    """The head of a question."""
    data = b""
    while b"\r\n\r\n" not in data and (part := line.recv(4096)):
        data += part
    return data


def dripping(data: bytes, seconds: float = 0.05) -> Behavior:
    """Byte after byte, and again from the start."""

    def behave(line: socket.socket, server: Server) -> None:
        heard(line)
        while not server.over.is_set():
            for at in range(len(data)):
                line.sendall(data[at : at + 1])
                if server.over.wait(seconds):
                    return

    return behave


def saying(data: bytes, *, then: bytes = b"") -> Behavior:
    """An answer; ``then`` again and again."""

    def behave(line: socket.socket, server: Server) -> None:
        heard(line)
        line.sendall(data)
        while then and not server.over.is_set():
            line.sendall(then)

    return behave


@contextmanager
def serving(behavior: Behavior) -> Iterator[Server]:
    """A server for the time of a block."""
    server = Server(behavior)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def internet(
    names: dict[str, list[list[str]]], routes: dict[tuple[str, int], int]
) -> Iterator[None]:
    """Names and addresses for the time of a block.

    Args:
        names: host -> what it resolves to: the first time, the second time, ...; the last stays.
        routes: (address, port) -> the port here where connections to it end.
    """
    real_lookup, real_connect = socket.getaddrinfo, socket.socket.connect
    left = {name: list(answers) for name, answers in names.items()}

    def lookup(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        key = host.decode() if isinstance(host, bytes) else str(host)
        key = key.rstrip(".").lower()
        if key not in left:
            return real_lookup(host, port, *args, **options)
        flags = options.get("flags", args[3] if len(args) > 3 else 0)
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not a number")
        answers = left[key]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        kind = socket.SOCK_STREAM
        return [
            (socket.AF_INET6, kind, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, kind, 6, "", (address, port))
            for address in found
        ]

    def connect(self: socket.socket, address: Any) -> None:
        routed = routes.get(tuple(address[:2])) if isinstance(address, tuple) else None
        real_connect(self, address if routed is None else ("127.0.0.1", routed))

    socket.getaddrinfo = lookup
    socket.socket.connect = connect  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        socket.getaddrinfo = real_lookup
        socket.socket.connect = real_connect  # type: ignore[method-assign]
