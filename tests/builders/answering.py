"""A server that answers what a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def answering(answers: Callable[[int], tuple[int, dict[str, str], bytes] | None]) -> Iterator[Any]:
    """A server whose n-th answer is ``answers(n)``; None hangs up. Yields address and requests."""
    seen: list[tuple[str, str, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen.append((self.command, self.path, dict(self.headers.items())))
            answer = answers(len(seen))
            if answer is None:
                self.close_connection = True
                return
            status, headers, body = answer[0], dict(answer[1]), answer[2]
            cut = 0 if headers.pop("X-Cut", None) is None else 10  # more is promised than comes
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body) + cut)}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = bool(cut)

        do_GET = answer  # noqa: N815
        do_POST = answer  # noqa: N815

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
