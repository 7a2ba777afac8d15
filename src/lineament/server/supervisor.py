"""Several processes serve one address: workers that answer, one writer, and one that watches.

All workers take connections from one listening socket. They open galleries for reading; what
changes something they pass on to the writer (``forwarding``), which listens on a Unix socket in the
data folder. A process that ends is started again, whatever ended it; both sockets are held here, so
that connections that were not taken yet wait for the next process. Nothing that was acknowledged is
lost: it is in the databases before the answer is sent.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection
from pathlib import Path
from typing import Any

from lineament.errors import LineamentError, ServiceError
from lineament.server.settings import ServerSettings, make_data

logger = logging.getLogger("lineament.server")

MOST_FAILURES = 3
"""A process that fails so many times in a row before it is ready will not succeed: all end."""

PAUSE_S = 0.5
"""Before a process that failed is started again."""

LONGEST_PATH = 100
"""Of a Unix socket; systems allow 104 to 108 bytes."""


def supervise(settings: ServerSettings, listening: socket.socket) -> None:
    """Run the processes until this one is told to end (SIGTERM, SIGINT).

    Args:
        settings: of the server; ``workers`` of them answer.
        listening: where clients connect.

    Raises:
        ServiceError: a process cannot be started; the message says why.
    """
    with _writer_socket(settings.data) as (path, internal):
        Supervisor(settings, listening, internal, path).run()


@contextmanager
def _writer_socket(data: Path) -> Iterator[tuple[Path, socket.socket]]:
    make_data(data)
    path = data.absolute() / "writer.sock"
    spare = None
    if len(os.fsencode(path)) > LONGEST_PATH:
        spare = tempfile.TemporaryDirectory(prefix="lineament-")  # of its owner alone
        path = Path(spare.name) / "writer.sock"
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX)
    try:
        before = os.umask(0o177)
        try:
            made.bind(str(path))
        finally:
            os.umask(before)
        made.listen(1024)
        yield path, made
    finally:
        made.close()
        path.unlink(missing_ok=True)
        if spare is not None:
            spare.cleanup()


class Supervisor:
    """Starts the processes, and starts again what ends."""

    def __init__(
        self,
        settings: ServerSettings,
        listening: socket.socket,
        internal: socket.socket,
        path: Path,
    ) -> None:
        """Start none yet.

        Args:
            settings: of the server.
            listening: where clients connect.
            internal: where workers connect to the writer; it listens at ``path``.
        """
        from lineament.server.forwarding import Writer

        self._settings, self._listening, self._internal = settings, listening, internal
        self._writer = Writer(path, secrets.token_hex(32))
        self._context = multiprocessing.get_context("spawn")
        self._running: dict[str, tuple[Any, connection.Connection]] = {}
        self._failures: dict[str, int] = {}
        self._stopping = False
        self._metrics = tempfile.TemporaryDirectory(prefix="lineament-metrics-")

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        wake, waker = os.pipe()
        before = {
            number: signal.signal(number, lambda *_: self._stop(waker))
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            for name in ["writer", *(f"worker-{n + 1}" for n in range(self._settings.workers))]:
                self._start(name)
            while not self._stopping:
                sentinels = {p.sentinel: name for name, (p, _) in self._running.items()}
                for ended in connection.wait([*sentinels, wake]):
                    if not self._stopping and ended in sentinels:
                        self._ended(sentinels[ended])
        finally:
            self._stopping = True
            self._end_all()
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(wake)
            os.close(waker)
            self._metrics.cleanup()

    def _stop(self, waker: int) -> None:
        self._stopping = True
        os.write(waker, b".")

    def _start(self, name: str) -> None:
        ours, theirs = self._context.Pipe(duplex=False)
        listening = self._internal if name == "writer" else self._listening
        process = self._context.Process(
            target=_serve,
            args=(name, self._settings, listening, self._writer, theirs, self._metrics.name),
            name=f"lineament-{name}",
        )
        process.start()
        theirs.close()
        self._running[name] = (process, ours)

    def _ended(self, name: str) -> None:
        process, pipe = self._running.pop(name)
        process.join()
        heard = _heard(pipe)
        if heard == "ready":
            self._failures[name] = 0
        elif process.exitcode is not None and process.exitcode < 0:
            time.sleep(PAUSE_S)  # somebody killed it as it started: that is not its own failure
        else:
            self._failures[name] = self._failures.get(name, 0) + 1
            if self._failures[name] >= MOST_FAILURES:
                reason = heard or f"it ended with {process.exitcode}"
                raise ServiceError(f"the {name.partition('-')[0]} cannot be started: {reason}")
            time.sleep(PAUSE_S)
        logger.warning("%s ended with %s and is started again", name, process.exitcode)
        with suppress(ImportError):
            from lineament.server.metrics import forget

            forget(Path(self._metrics.name), process.pid)
        self._start(name)

    def _end_all(self) -> None:
        """Workers first: they need the writer for what is under way."""
        writer = self._running.pop("writer", None)
        workers = [process for process, _ in self._running.values()]
        for group in (workers, [] if writer is None else [writer[0]]):
            for process in group:
                process.terminate()
            due_s = time.monotonic() + self._settings.drain_s + 5
            for process in group:
                process.join(max(0.0, due_s - time.monotonic()))
                if process.is_alive():
                    process.kill()
                    process.join()


def _heard(pipe: connection.Connection) -> str | None:
    """What a process said last."""
    heard = None
    with pipe, suppress(EOFError, OSError):
        while pipe.poll():
            heard = pipe.recv()
    return heard


def _serve(
    name: str,
    settings: ServerSettings,
    listening: socket.socket,
    writer: Any,
    pipe: connection.Connection,
    metrics: str,
) -> None:
    """One of the processes, from its start to its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of them; the first one tells
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics  # before prometheus_client is imported
    from lineament.server.logs import set_up

    set_up(settings.log, name)
    try:
        from lineament.server.app import create_app
        from lineament.server.connections import make_server
        from lineament.server.forwarding import FromWorkers

        is_writer = name == "writer"
        app = create_app(
            settings, writes=is_writer, writer=None if is_writer else writer, inner=is_writer
        )
        own = {"ssl_certfile": None, "ssl_keyfile": None, "loop": "asyncio"} if is_writer else {}
        app.state.lineament.load()  # an error here is said by the process that watches
        outermost = FromWorkers(app, writer.secret) if is_writer else app
        server = make_server(outermost, settings, app.state.admission, **own)
        server.on_started = lambda: pipe.send("ready")
    except LineamentError as error:
        pipe.send(str(error))
        sys.exit(2)
    server.run(sockets=[listening])


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
