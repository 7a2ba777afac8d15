"""The process that reads what libraries in C read; started by ``lineament.weights.apart``.

It gets a request on its standard input, works in the folder that it was started in, and leaves
``answer.json`` and its files there. Its memory and its time are limited before it opens anything.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from lineament.errors import LineamentError, MissingExtraError
from lineament.weights.apart import ANSWER
from lineament.weights.file import Refusal

ROOM_BYTES = 3 << 30
"""Of address space, beside what the file takes: OpenVINO alone maps one gigabyte."""

TIMES_THE_FILE = 8
CPU_S = 240

TASKS = {
    "convert": ("lineament.weights._front_ends", "convert"),
    "read_hdf5": ("lineament.weights._hdf5", "read_hdf5"),
}


def main() -> None:
    """Read the request, carry it out, write the answer."""
    request = json.loads(sys.stdin.buffer.read())
    _limit(int(request["bytes"]))
    answer: dict[str, Any]
    try:
        answer = _task(str(request.pop("task")))(**request)
    except MissingExtraError as missing:
        what = missing.message.partition(" needs packages")[0]
        answer = {"missing": what, "extra": missing.extra}
    except MemoryError:
        answer = {"refused": "one that takes too much memory to read"}
    except (LineamentError, Refusal) as error:
        answer = {"refused": str(error)}
    except Exception as error:  # whatever a library raises for a damaged file
        lines = str(error).strip().splitlines() or [type(error).__name__]
        answer = {"refused": f"one that cannot be read ({lines[-1][:300]})"}
    new = Path(f"{ANSWER}.new")
    new.write_text(json.dumps(answer), encoding="utf-8")
    new.replace(ANSWER)


def _task(name: str) -> Callable[..., dict[str, Any]]:
    """One of the readers, imported when it is asked for."""
    module, function = TASKS[name]
    task: Callable[..., dict[str, Any]] = getattr(import_module(module), function)
    return task


def _limit(size: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has none: the time on the clock is limited all the same
        return
    room = ROOM_BYTES + TIMES_THE_FILE * size
    for what, most in (
        (resource.RLIMIT_AS, room),
        (resource.RLIMIT_DATA, room),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, room),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, hard))
