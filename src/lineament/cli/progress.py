"""How far a command is, and what stays when it is interrupted.

One style for all: a line on stderr with what is being done, a bar, how much of how much, and the
time that is left. It is drawn where stderr is a terminal, only when it takes long, not with
``--quiet``, and is gone when the work has ended.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from lineament.cli import terminal
from lineament.cli.terminal import VERBOSITY
from lineament.text import printable

T = TypeVar("T")


class Show(Protocol):
    """A ``StageProgress`` that takes more words, which stand behind the bar."""

    def __call__(self, what: str, done: int, total: int, more: str = "") -> None:
        """Draw how far it is."""


FEW = 4
"""From so many things on there is a bar at once; of fewer, after ``LONG_S`` seconds."""
LONG_S = 1.0
_STATUS_S = 0.5

_open: list[Show] = []
"""The bars that are drawn at the moment: work inside of other work adds to them."""


def with_progress(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """The same items, with a bar.

    Args:
        items: yielded one by one.
        total: how many.
        what: is being done: "embedding".
    """
    with stages() as show:
        for done, item in enumerate(items, 1):
            yield item
            show(what, done, total)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A callback ``(done, total)`` that draws a bar."""
    with stages() as show:
        yield lambda done, total: show(what, done, total)


@contextmanager
def stages() -> Iterator[Show]:
    """A callback ``(what, done, total)`` that draws a bar for each thing that is done."""
    if VERBOSITY.quiet or not terminal.is_terminal(sys.stderr):
        yield _nothing
        return
    if _open:
        yield _open[-1]
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    layout = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[more]}", markup=False),
    )
    # NNCF has bars of its own on a stdout that is turned away: rich must leave that alone.
    console = Console(file=terminal.unguarded(sys.stderr), markup=False)
    bars = Progress(*layout, console=console, transient=True, redirect_stdout=False)
    tasks: dict[str, TaskID] = {}
    begun = time.monotonic()

    def show(what: str, done: int, total: int, more: str = "") -> None:
        what, more = printable(what), printable(more)
        if total >= FEW or time.monotonic() - begun > LONG_S:
            bars.start()
            terminal.guard()  # the bars have put a stream of their own in the place of stderr
        if what not in tasks:
            for task in bars.tasks:  # what ended before its time is done as well
                bars.update(task.id, total=task.completed, visible=False)
            # What was done before the start, of a run that goes on, says nothing of the speed.
            tasks[what] = bars.add_task(what, total=total, completed=max(0, done - 1), more="")
        bars.update(tasks[what], completed=done, total=total, more=more)

    _open.append(show)
    try:
        yield show
    finally:
        _open.remove(show)
        with contextlib.suppress(OSError):  # the terminal is gone
            bars.stop()


def _nothing(what: str, done: int, total: int, more: str = "") -> None:
    pass


@contextmanager
def status_line() -> Iterator[Callable[[str | None], None]]:
    """A callback that shows a line on stderr in place of the one before; None takes it away.

    For what has no end: on a terminal only, twice a second at the most, not with ``--quiet``.
    """
    if VERBOSITY.quiet or not terminal.is_terminal(sys.stderr):
        yield lambda _: None
        return
    drawn = [0.0]

    def say(words: str | None) -> None:
        now = time.monotonic()
        if words is not None and now - drawn[0] < _STATUS_S:
            return
        drawn[0] = 0.0 if words is None else now
        stream = terminal.unguarded(sys.stderr)
        width = (terminal.width_of(stream) or terminal.LEAST_WIDTH) - 1
        with contextlib.suppress(OSError, ValueError):  # the terminal is gone
            stream.write(f"\r\x1b[2K{printable(words or '')[:width]}")
            stream.flush()

    try:
        yield say
    finally:
        say(None)


# --- Ctrl-C ---------------------------------------------------------------------------------------

KEPT = "lineament.kept"
"""Key of click's context: what stays when the command is interrupted."""

NOTHING = "nothing was written"
GO_ON = "run the same command again to go on"
CACHED = f"{NOTHING}; the embeddings made so far are kept, and the same command goes on with them"


def keeps(words: str | Callable[[], str]) -> None:
    """Say what stays should the command be interrupted from now on.

    Args:
        words: "3 of 5 photos are enrolled; run the same command again to go on", or what makes
            them then.
    """
    import click

    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[KEPT] = words


def interrupted(meta: dict[str, Any], done: Iterable[str] = ()) -> str:
    """One line for Ctrl-C: what stays.

    Args:
        meta: of click's context.
        done: what was said to be written already.
    """
    words = meta.get(KEPT)
    if words is None:
        words = "; ".join(done) or NOTHING
    return f"interrupted: {words if isinstance(words, str) else words()}"
