"""Signals that end a command: all do what Ctrl-C does.

What asks a process to end (SIGTERM: a service manager, ``timeout``; SIGHUP: a terminal that was
closed) raises KeyboardInterrupt in the main thread, so that what was looked at is written, nothing
is left half done, and one line says what stays.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType

TOGETHER_S = 1.0
"""Signals within that time are one: ``timeout`` sends two, and a terminal one to each process."""

EXIT_INTERRUPTED = 130

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


def interrupt_by_signals() -> None:
    """Have each of the three raise KeyboardInterrupt, once; the next one ends the process at once.

    For a process that is the command line's own. A signal that is ignored (``nohup``) stays
    ignored, and Windows has only some of them.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    process = os.getpid()
    first: float | None = None

    def interrupt(number: int, _: FrameType | None) -> None:
        nonlocal first
        if os.getpid() != process:  # a child that was forked: it ends as any other program
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        now = time.monotonic()
        if first is None:
            first = now
            raise KeyboardInterrupt
        if now - first > TOGETHER_S:
            os._exit(EXIT_INTERRUPTED)

    for number in _numbers():
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, interrupt)


def end_by_signals() -> None:
    """Have them end the process at once from now on: there is nothing left to be written."""
    if threading.current_thread() is threading.main_thread():
        for number in _numbers():
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)


def _numbers() -> list[signal.Signals]:
    return [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
