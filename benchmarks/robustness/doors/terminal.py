"""Commands at a pseudo-terminal, and what may come out there."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from doors.case import Case, WrongError

_OWN = re.compile(
    rb"\x1b\[[0-9;]*m"  # colors
    rb"|\x1b\[\?25[lh]"  # cursor, off and on
    rb"|\x1b\[[0-9]*[ABCDK]|\x1b\[2K|\x1b\[1A"  # lines of a progress bar
)
"""What rich writes by itself."""

_ISOLATED = re.compile("\u2068([^\u2066-\u2069\n]*)\u2069")
"""Writing from the right to the left in marks of its own, so that it turns nothing around it."""
RAW = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\u2028\u2029"
    "\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f\ud800-\udfff]"
)
"""What acts on a terminal, turns the direction of writing around, hides, or is no text."""
COLUMNS, LINES = 200, 50


def judged(case: Case, words: Sequence[str], code: int, output: bytes) -> bool:
    """Look at what a command printed and how it ended; whether it did what it was asked.

    Raises:
        WrongError: a traceback, or an exit code that no command has.
    """
    text = output.decode(errors="replace")
    case.say("$", *words, f"-> {code}\n{text}")
    plain = _OWN.sub(b"", output).decode(errors="surrogateescape")
    plain = _ISOLATED.sub(r"\1", plain)
    raw = sorted({f"U+{ord(c):04X}" for c in RAW.findall(plain)})
    if raw:
        at = RAW.search(plain)
        assert at is not None
        around = plain[max(0, at.start() - 60) : at.end() + 30]
        case.escapes.append(f"{' '.join(words)!r:.120} printed {', '.join(raw)}: {around!r}")
    if "Traceback (most recent call last)" in text or "bug in lineament" in text:
        raise WrongError(f"{' '.join(words)!r:.150} ended with: {text[-600:]}")
    if code not in (0, 1, 2, 130):
        raise WrongError(f"{' '.join(words)!r:.150} ended with {code}: {text[-300:]}")
    return code != 2


def command(case: Case, *words: str, limit_s: float = 60.0, stdin: bytes = b"") -> bool:
    """Run a command of lineament's in a forked process at a terminal of its own.

    Returns:
        Whether it did what it was asked (exit code 0 or 1, not 2).
    """
    code, output = run(case, words, limit_s, stdin)
    return judged(case, words, code, output)


def run(
    case: Case,
    words: Sequence[str],
    limit_s: float = 60.0,
    stdin: bytes = b"",
    *,
    closed: Sequence[int] = (),
    kill: tuple[float, int] | None = None,
) -> tuple[int, bytes]:
    """Exit code and output of a command, standard error among it.

    Args:
        case: for messages.
        words: of the command.
        limit_s: seconds on the clock until it is given up.
        stdin: what is typed.
        closed: descriptors that it starts without.
        kill: seconds after which it gets a signal, and which.
    """
    number, terminal = pty.fork()
    if not number:
        for one in closed:
            os.close(one)
        _become(words)
    started = time.monotonic()
    if stdin:
        os.write(terminal, stdin)
    parts, until = [], time.monotonic() + limit_s
    try:
        while time.monotonic() < until:
            if kill is not None and time.monotonic() - started > kill[0]:
                with suppress(OSError):
                    os.kill(number, kill[1])
                kill = None
            if not select.select([terminal], [], [], 0.1)[0]:
                continue
            try:
                part = os.read(terminal, 1 << 16)
            except OSError:  # Linux: the other side was closed
                break
            if not part:
                break
            parts.append(part)
        else:
            raise WrongError(f"{' '.join(words)!r:.150} gave no answer in {limit_s:g} s")
    finally:
        if time.monotonic() >= until:
            with suppress(OSError):
                os.kill(number, signal.SIGKILL)
        _, status = os.waitpid(number, 0)
        os.close(terminal)  # not before: it would hang up on a command that closed its side
    return os.waitstatus_to_exitcode(status), b"".join(parts).replace(b"\r\n", b"\n")


def _become(words: Sequence[str]) -> NoReturn:
    import sys

    try:
        os.environ.update(TERM="xterm-256color", COLUMNS=str(COLUMNS), LINES=str(LINES))
        sys.stdin, sys.stdout, sys.stderr = (
            _stream(0, "r"),
            _stream(1, "w", errors="strict"),
            _stream(2, "w", errors="backslashreplace"),
        )
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = ["lineament", *words]
        from lineament.cli import main

        main()
    except BaseException:
        import traceback

        with suppress(Exception):
            traceback.print_exc()
            sys.stderr.flush()
    os._exit(3)


def _stream(number: int, mode: str, errors: str = "strict") -> Any:
    """As Python makes them at its start: None where there is none."""
    try:
        return os.fdopen(number, mode, buffering=1, errors=errors, encoding="utf-8")
    except OSError:
        return None
