"""Forks of a process with threads: what a child needs to go on without them.

A child of ``os.fork`` has one thread. What the parent's other threads held, it holds for ever; an
engine whose threads were at work waits for them. So a fork waits for the calls of networks that are
under way, which are short, and locks are made anew in the child.

    lock = rlock()                    as threading.RLock, free in a child
    with calls.running(): ...         a fork waits for the end
    calls.interrupted                 a child of a fork that could not wait any longer
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

WAIT_S = 30.0
"""How long a fork waits for calls that are under way."""

_locks: weakref.WeakSet[Any] = weakref.WeakSet()


def lock() -> threading.Lock:
    """As ``threading.Lock``; free in the child of a fork."""
    made = threading.Lock()
    _locks.add(made)
    return made


def rlock() -> threading.RLock:
    """As ``threading.RLock``; free in the child of a fork."""
    made = threading.RLock()
    _locks.add(made)
    return made


class Calls:
    """Counts calls that no fork may interrupt.

    Attributes:
        interrupted: this process is the child of a fork that did.
        generation: grows in each child, so that what belongs to a process can be told.
    """

    def __init__(self) -> None:
        """Nothing is under way."""
        self.interrupted = False
        self.generation = 0
        self._changed = threading.Condition()
        self._running = 0
        self._forking = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Within, a fork in another thread waits. Not to be nested."""
        with self._changed:
            self._changed.wait_for(lambda: not self._forking)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def before_fork(self) -> None:
        """Wait for the calls that are under way; new ones wait until the fork is over."""
        self._changed.acquire()
        self._forking = True
        self._changed.wait_for(lambda: not self._running, WAIT_S)

    def after_in_parent(self) -> None:
        """Go on."""
        self._forking = False
        self._changed.notify_all()
        self._changed.release()

    def after_in_child(self) -> None:
        """Go on without the other threads."""
        self.interrupted = self.interrupted or self._running > 0
        self.generation += 1
        self._changed = threading.Condition()
        self._running = 0
        self._forking = False
        for each in _locks:
            each._at_fork_reinit()


calls = Calls()
"""Those of networks, in this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=calls.before_fork,
        after_in_parent=calls.after_in_parent,
        after_in_child=calls.after_in_child,
    )
