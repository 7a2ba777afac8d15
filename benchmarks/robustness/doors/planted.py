"""Cases that do wrong on purpose, one of each kind: are they counted?"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from typing import Any

from doors.case import Case, Door, Kind

_HOARD: list[Any] = []


def well(case: Case) -> bool:
    """Nothing is wrong with it."""
    case.file("mine.txt", b"mine").unlink()
    return True


def refuses(case: Case) -> bool:
    """A refusal is no fault."""
    from lineament import LineamentError

    raise LineamentError("expected something else")


def raises(case: Case) -> bool:
    """An exception of Python's."""
    return bool(1 // 0)


def answers_wrong(case: Case) -> bool:
    """A wrong answer."""
    case.expect(1 + 1 == 3, "1 + 1 is not 3")
    return True


def dies(case: Case) -> bool:
    """The process ends."""
    os.abort()


def sleeps(case: Case) -> bool:
    """No answer, and no work either."""
    time.sleep(3600)
    return True


def spins(case: Case) -> bool:
    """No answer for all its work."""
    while True:
        pass


def leaves_a_thread(case: Case) -> bool:
    """A thread that goes on."""
    threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
    return True


def leaves_a_process(case: Case) -> bool:
    """A process that goes on."""
    number = os.fork()
    if not number:
        time.sleep(20)
        os._exit(0)
    return True


def leaves_a_socket(case: Case) -> bool:
    """A socket that stays open."""
    _HOARD.append(socket.socket())
    return True


def takes_memory(case: Case) -> bool:
    """More than was promised, given back in the end."""
    return len(b"x" * (300 << 20)) > 0


def hoards(case: Case) -> bool:
    """A little that is never given back."""
    _HOARD.append(b"x" * (20 << 20))
    return True


def overwrites(case: Case) -> bool:
    """A file outside, through a link."""
    link = case.folder / "mine.txt"
    link.symlink_to(case.outside / "letter.txt")
    link.write_text("changed")
    return True


def overwrites_unheard(case: Case) -> bool:
    """A file outside, by C code."""
    import sqlite3

    with sqlite3.connect(case.outside / "empty") as connection:
        connection.execute("CREATE TABLE a (b)")
    connection.close()
    return True


def removes(case: Case) -> bool:
    """A file outside."""
    (case.outside / "private.key").unlink()
    return True


def reads(case: Case) -> bool:
    """A file outside, where that is no one's business."""
    case.may_read_outside = False
    return bool((case.outside / "private.key").read_bytes())


def starts_a_program(case: Case) -> bool:
    """By Python."""
    subprocess.run(["gs", "-q"], check=False)
    return True


def starts_a_program_unheard(case: Case) -> bool:
    """By C code."""
    import ctypes

    ctypes.CDLL(None).system(b"gs -q")
    return True


def imports_from_there(case: Case) -> bool:
    """A module that lies in the working folder."""
    import sys

    sys.path.insert(0, "")
    sys.modules.pop("gs", None)
    try:
        import gs  # type: ignore[import-not-found]  # noqa: F401
    finally:
        del sys.path[0]
    return True


def connects(case: Case) -> bool:
    """To a private address."""
    from contextlib import suppress

    with socket.socket() as one, suppress(OSError):
        one.connect(("10.0.0.1", 80))
    return True


def says_it_raw(case: Case) -> bool:
    """A message that would act on a terminal."""
    from lineament import LineamentError

    error = LineamentError("plain")
    error.message = "\x1b[2J"
    raise error


def prints_raw(case: Case) -> bool:
    """A command that prints what would act on a terminal."""
    from doors.terminal import judged

    return judged(case, ["printf"], 0, b"\x1b]0;owned\x07")


def prints_a_traceback(case: Case) -> bool:
    """A command that ends with one."""
    from doors.terminal import judged

    return judged(case, ["x"], 1, b"Traceback (most recent call last):\n  x\nValueError: y\n")


KINDS: dict[Kind, str] = {
    well: "",
    refuses: "",
    raises: "crashes",
    answers_wrong: "crashes",
    dies: "crashes",
    sleeps: "hangs",
    spins: "hangs",
    leaves_a_thread: "hangs",
    leaves_a_process: "hangs",
    leaves_a_socket: "hangs",
    takes_memory: "leaks",
    overwrites: "escapes",
    overwrites_unheard: "escapes",
    removes: "escapes",
    reads: "escapes",
    starts_a_program: "escapes",
    starts_a_program_unheard: "escapes",
    imports_from_there: "escapes",
    connects: "escapes",
    says_it_raw: "escapes",
    prints_raw: "escapes",
    prints_a_traceback: "crashes",
    hoards: "",  # seen in the end: resident memory has grown
}
"""What each has to be counted as."""

DOOR = Door("planted", tuple(KINDS), cases=len(KINDS), bound_mb=200.0, growth_mb=15.0)
