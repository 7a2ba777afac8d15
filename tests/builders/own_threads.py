"""Threads of this package that a test left, not those of a server that other tests keep running."""

from __future__ import annotations

import threading

_known: set[threading.Thread] = set()


def note_threads() -> None:
    """Those that there are now are no test's."""
    _known.clear()
    _known.update(threading.enumerate())


def threads_left() -> list[threading.Thread]:
    """Of this package, begun since ``note_threads``."""
    return [
        each
        for each in threading.enumerate()
        if each.name.startswith("lineament") and each not in _known
    ]
