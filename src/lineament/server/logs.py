"""The log: one line a request and one for what goes wrong, as text or JSON, on standard error.

A line says when, how bad, which request, which route, how it ended, how long it took and whose key
it was (its id). It never says a path with names in it, a query, a name, a key, an address of a
photo, an image or an embedding: only the route's template, such as
``/v1/galleries/{gallery}/people/{person}``.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, Literal

FIELDS = ("request", "method", "route", "status", "ms", "key", "bytes")
"""Of a line about a request, after time, level, process and message."""

access = logging.getLogger("lineament.server.access")


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, process: str) -> None:
        """Name the process."""
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        found: dict[str, Any] = {
            "time": _when(record.created),
            "level": record.levelname.lower(),
            "process": self._process,
            "message": record.getMessage(),
        }
        found |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            found["trace"] = _trace(record.exc_info)
        return json.dumps(found, ensure_ascii=True)


class TextLines(logging.Formatter):
    """One line for people."""

    def __init__(self, process: str) -> None:
        """Name the process."""
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        words = [_when(record.created), record.levelname.lower(), self._process]
        words.append(record.getMessage())
        words += [f"{name}={getattr(record, name)}" for name in FIELDS if hasattr(record, name)]
        line = " ".join(words).replace("\n", " ")
        return f"{line} {_trace(record.exc_info)}" if record.exc_info else line


def set_up(form: Literal["text", "json"], process: str = "server") -> None:
    """Write the log of this process to standard error.

    Args:
        form: "text" or "json".
        process: what its lines call it.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(process) if form == "json" else TextLines(process))
    for name, level in (("lineament", logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False


def log_request(
    *, request: str, method: str, route: str, status: int, ms: float, key: str | None, size: int
) -> None:
    """Write the line of one request.

    Args:
        request: its id.
        method: of HTTP.
        route: template of its path.
        status: of the answer.
        ms: milliseconds until the answer was sent.
        key: id of the caller's key; None: nobody was recognized.
        size: bytes of the request's body, as announced.
    """
    if access.isEnabledFor(logging.INFO):
        values = (request, method, route, status, round(ms, 1), key or "-", size)
        access.info("answered", extra=dict(zip(FIELDS, values, strict=True)))


def _when(seconds: float) -> str:
    part = f"{seconds % 1:.3f}"[1:] if seconds % 1 < 0.9995 else ".999"
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + part + "Z"


def _trace(info: Any) -> list[str]:
    """Where an error arose: files and lines, and its class; not its message, which may name."""
    import traceback

    kind, _, trace = info
    frames = traceback.extract_tb(trace)[-12:]
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames]
    return [*places, getattr(kind, "__name__", str(kind))]
