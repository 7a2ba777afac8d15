"""What this process may use of the machine: processors, memory; and what to say when it is short.

processors()           as affinity and the quota of a container allow, not as the host has
memory_bytes()         of the machine, or the limit of the container or the process
free_bytes()           of it, what is not in use
memory_error(error)    what libraries raise for too little memory, as one error of ours
Budget                 lets threads hold only so many bytes at a time
Trimmer                gives memory back that the C library keeps for sizes that do not come again
"""

from __future__ import annotations

import errno
import math
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from threading import Condition

from lineament.errors import OutOfMemoryError

_GROUPS = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60
"""Limits from here on are none: version 1 of control groups writes a number near 2^63."""

_WORDS = (
    "bad_alloc",
    "bad alloc",
    "can't alloc",
    "cannot allocate",
    "can't allocate",
    "could not allocate",
    "failed to allocate",
    "unable to allocate",
    "not enough memory",
    "insufficient memory",
    "out of memory",
    "out_of_memory",
    "outofmemory",
    "resource temporarily unavailable",
    "can't start new thread",
    "std::length_error",
    "failed to map segment",
    "bfcarena",
    "thread constructor failed",
)
"""How NumPy, OpenCV, OpenVINO, oneDNN, ONNX Runtime, PyTorch and the C library put it."""

_SPEAKERS = ("cv2", "onnxruntime", "torch", "sqlite3", "pyarrow", "openvino", "lightgbm")
"""Packages with errors of their own kind."""


# --- processors -----------------------------------------------------------------------------------


def processors() -> int:
    """How many processors this process may use, at least 1.

    The least of its affinity (``taskset``, the cpuset of a container), of what Python was told
    (``-X cpu_count``, 3.13), and of the quota of its control group, rounded up.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    found = host_processors() if affinity is None else len(affinity(0))
    told = getattr(sys.flags, "cpu_count", -1)  # 3.13
    if isinstance(told, int) and told > 0:
        found = min(found, told)
    return max(1, math.ceil(min(found, _quota())))


def host_processors() -> int:
    """How many the machine has, whatever this process may use of them."""
    return os.cpu_count() or 1


@lru_cache(maxsize=1)
def _quota() -> float:
    """Processors that the control groups grant, inf without a limit."""
    least = math.inf
    for folder in _group_folders("cpu"):
        words = _text(folder / "cpu.max").split()  # version 2: "150000 100000", "max 100000"
        if not words:
            period = _text(folder / "cpu.cfs_period_us")
            words = [_text(folder / "cpu.cfs_quota_us"), period]
        with suppress(ValueError, IndexError, ZeroDivisionError):
            quota = float(words[0]) / float(words[1])
            if quota > 0:  # -1: none
                least = min(least, quota)
    return least


# --- memory ---------------------------------------------------------------------------------------


def memory_bytes() -> int:
    """Bytes that this process may use: the least of the machine's and all limits."""
    return min(_physical(), _group_limit(), _address_space())


def free_bytes() -> int:
    """Bytes of ``memory_bytes`` that nobody uses; caches of files count as free."""
    free = [_physical()]
    for line in _text(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            free.append(int(line.split()[1]) << 10)
    for folder in _group_folders("memory"):
        limit, used = _limit_and_use(folder)
        if limit is not None:
            free.append(max(0, limit - used))
    free.append(address_space_left())
    return min(free)


def address_space_left() -> int:
    """Bytes that may still be mapped under ``ulimit -v``; very many without that limit."""
    limit = _address_space()
    if limit >= _UNLIMITED:
        return limit
    pages = _text(Path("/proc/self/statm")).split()
    return max(0, limit - int(pages[0]) * _page_bytes()) if pages else limit


@lru_cache(maxsize=1)
def _physical() -> int:
    with suppress(AttributeError, ValueError, OSError):
        pages = os.sysconf("SC_PHYS_PAGES")
        if pages > 0:
            return pages * _page_bytes()
    return _UNLIMITED


def _page_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE")


def _address_space() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return _UNLIMITED
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return _UNLIMITED if soft in (resource.RLIM_INFINITY, -1) else min(soft, _UNLIMITED)


def _group_limit() -> int:
    limits = [_limit_and_use(folder)[0] for folder in _group_folders("memory")]
    return min((limit for limit in limits if limit is not None), default=_UNLIMITED)


def _limit_and_use(folder: Path) -> tuple[int | None, int]:
    """A control group's limit, None when it has none, and what it uses apart from cached files."""
    for limit, use in (
        ("memory.max", "memory.current"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        text = _text(folder / limit)
        if not text.isdecimal() or int(text) >= _UNLIMITED:
            continue
        used = int(_text(folder / use) or 0)
        for line in _text(folder / "memory.stat").splitlines():
            name, _, value = line.partition(" ")
            if name in ("inactive_file", "total_inactive_file") and value.isdecimal():
                used = max(0, used - int(value))
                break
        return int(text), used
    return None, 0


# --- control groups -------------------------------------------------------------------------------


def _group_folders(controller: str) -> list[Path]:
    """Folders of this process's control group and those around it, of both versions."""
    found: list[Path] = []
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if not names:
            roots = [_GROUPS, _GROUPS / "unified"]
        elif controller in names.split(","):
            roots = [_GROUPS / controller, _GROUPS / names]
        else:
            continue
        for root in roots:
            folder = root / path.lstrip("/")
            if ".." in folder.parts:  # of another namespace: what is mounted is our own
                folder = root
            found += [folder, *(up for up in folder.parents if up.is_relative_to(root))]
    return list(dict.fromkeys(found))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


# --- too little of it -----------------------------------------------------------------------------


def memory_error(error: BaseException, doing: str = "") -> OutOfMemoryError | None:
    """What a library says of too little memory, as ``OutOfMemoryError``; None: it is another error.

    Args:
        error: anything that was raised.
        doing: what needed the memory, for the message.
    """
    if isinstance(error, OutOfMemoryError):
        return error
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return out_of_memory(doing, error)
    package = type(error).__module__.partition(".")[0]
    speaks = isinstance(error, (RuntimeError, ImportError, SystemError)) or package in _SPEAKERS
    return out_of_memory(doing, error) if speaks and _says_so(error) else None


def raise_if_short(error: BaseException, doing: str = "") -> None:
    """Raise ``memory_error(error, doing)`` if there is one: first in a block that catches all."""
    short = memory_error(error, doing)
    if short is not None:
        raise short from error


def _says_so(error: BaseException) -> bool:
    text = str(error).lower()
    return any(words in text for words in _WORDS)


def out_of_memory(doing: str = "", error: BaseException | None = None) -> OutOfMemoryError:
    """The error, with what can be done."""
    reason = "" if error is None else (str(error).strip().splitlines() or [""])[-1].strip()
    message = f"not enough memory {doing}".rstrip()
    if reason and len(reason) < 120:
        message += f" ({reason})"
    made = OutOfMemoryError(
        message,
        hint="close other programs or allow this one more, make the photos smaller, or use fewer "
        "threads (one: LINEAMENT_THREADS=1)",
    )
    if error is not None:
        made.__cause__ = error
    return made


# --- bytes at a time ------------------------------------------------------------------------------


class Budget:
    """Lets threads hold only so many bytes at a time; who holds none waits, one is always let in.

    Attributes:
        limit_bytes: of all holders together.
    """

    def __init__(self, limit_bytes: int) -> None:
        """Set the limit."""
        self.limit_bytes = limit_bytes
        self._changed = Condition()
        self._held = 0

    def take(self, n_bytes: int) -> None:
        """Wait until so many bytes fit beside those that others hold, or nobody holds any."""
        with self._changed:
            self._changed.wait_for(
                lambda: not self._held or self._held + n_bytes <= self.limit_bytes
            )
            self._held += n_bytes

    def give(self, n_bytes: int) -> None:
        """Give back what was taken."""
        with self._changed:
            self._held -= n_bytes
            self._changed.notify_all()


class Trimmer:
    """Gives memory back to the system from time to time, where the C library keeps what was freed.

    glibc keeps freed blocks for the next call; blocks for inputs of ever new sizes do not fit each
    other, so that a process grows by what it has used at its fullest. A call costs milliseconds,
    therefore only every ``EVERY`` sizes that were not seen lately.
    """

    EVERY = 8
    RECENT = 64
    """So many sizes are remembered: a camera has one, a folder of photos a few."""

    def __init__(self) -> None:
        """Nothing has been seen yet."""
        self._recent: dict[tuple[int, ...], None] = {}
        self._new = 0

    def seen(self, shape: tuple[int, ...]) -> None:
        """Note the size of an input; may trim. Calls from several threads are safe."""
        recent = self._recent
        if shape in recent:
            return
        recent[shape] = None
        if len(recent) > self.RECENT:
            self._recent = {}
        self._new += 1
        if self._new >= self.EVERY:
            self._new = 0
            trim()


def trim() -> bool:
    """Give freed memory back to the system; False where the C library has no such call."""
    call = _malloc_trim()
    return call is not None and bool(call(0))


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    import ctypes

    try:
        call: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library, such as musl
        return None
    return call
