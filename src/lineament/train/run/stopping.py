"""Ctrl-C and SIGTERM end a run between two steps, with its state on the disk."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """While this lasts SIGINT and SIGTERM only ask; the second SIGINT is a KeyboardInterrupt."""
    asked = False
    process = os.getpid()

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if os.getpid() != process:  # a worker of the loader: its parent tells it when to end
            return
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked = True

    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                stack.callback(signal.signal, number, signal.signal(number, ask))
        yield lambda: asked
