"""Bytes, texts and values made wrong on purpose."""

from __future__ import annotations

import copy
import math
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from doors.case import Case, Rng

Seeds = dict[str, bytes]
Damage = Callable[[bytes, Seeds, Rng], bytes]


# ---- bytes: each takes one file, all of them, and the generator ----------------------------------


def _span(data: bytes, rng: Rng) -> tuple[int, int]:
    start = int(rng.integers(len(data)))
    return start, min(len(data), start + int(rng.integers(1, 200)))


def flip_anywhere(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    mutable = bytearray(data)
    for at in rng.integers(len(data), size=rng.integers(1, 30)):
        mutable[at] ^= 1 << int(rng.integers(8))
    return bytes(mutable)


def flip_header(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    mutable = bytearray(data)
    for at in rng.integers(min(len(data), 400), size=rng.integers(1, 8)):
        mutable[at] = int(rng.integers(256))
    return bytes(mutable)


def extreme_numbers(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    mutable = bytearray(data)
    extremes = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
    for at in rng.integers(min(len(data), 600), size=rng.integers(1, 5)):
        value = extremes[int(rng.integers(len(extremes)))]
        code = ("<I", ">I")[int(rng.integers(2))] if value > 0xFFFF else ("<H", ">H")[at % 2]
        mutable[at : at + struct.calcsize(code)] = struct.pack(code, value)
    return bytes(mutable)


def truncate(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    return data[: int(rng.integers(len(data)))]


def truncate_and_pad(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    kept = truncate(data, seeds, rng)
    missing = len(data) - len(kept)
    return kept + (bytes(missing) if rng.integers(2) else rng.bytes(missing))


def remove_span(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def repeat_span(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    start, end = _span(data, rng)
    return data[:end] + data[start:end] * int(rng.integers(1, 50)) + data[end:]


def insert_noise(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    start, _ = _span(data, rng)
    return data[:start] + rng.bytes(int(rng.integers(1, 300))) + data[start:]


def _other(seeds: Seeds, rng: Rng) -> bytes:
    return list(seeds.values())[int(rng.integers(len(seeds)))]


def splice(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    other = _other(seeds, rng)
    return data[: int(rng.integers(len(data)))] + other[int(rng.integers(len(other))) :]


def wrong_header(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    size = int(rng.integers(2, 40))
    return _other(seeds, rng)[:size] + data[size:]


BYTES: tuple[Damage, ...] = (
    flip_anywhere,
    flip_header,
    extreme_numbers,
    truncate,
    truncate_and_pad,
    remove_span,
    repeat_span,
    insert_noise,
    splice,
    wrong_header,
)


def damaged(data: bytes, rng: Rng, others: Seeds | None = None) -> bytes:
    """One of these, drawn; of a file that may be empty."""
    if not data:
        return rng.bytes(int(rng.integers(200)))
    seeds = others if others else {"itself": data}
    return BYTES[int(rng.integers(len(BYTES)))](data, seeds, rng)


# ---- texts and values ----------------------------------------------------------------------------

CONTROLS = (
    "\x1b]0;owned\x07",
    "\x1b[2J",
    "\x1b[31mred",
    "\x9b2J",
    "\r overwritten",
    "\x08\x08\x08",
    "\u202egpj.exe",
    "\u2066hidden\u2069",
    "a\nb",
    "\u2028",
    "\x00",
    "\x7f",
    "\U000e0041\U000e0042",
    "\udce9",
    "\x1bP+q544e\x1b\\",
    "\x1b]8;;http://evil.example\x07link\x1b]8;;\x07",
)
"""What would act on a terminal, or hide."""

TEXTS = (
    "",
    " ",
    "\u200b",
    "\ufeff",
    "\u2060",
    "\u3164",
    "\u2800",
    "\uffff",
    "x" * 201,
    "x" * 100_000,
    "../../etc/passwd",
    "/dev/zero",
    "C:\\Windows",
    "[red]bold[/red]",
    "[/]",
    "'; DROP TABLE people; --",
    '"',
    "%s%s%n",
    "{0.__class__}",
    "${jndi:ldap://x}",
    "<script>alert(1)</script>",
    "Zoe\u0308",
    "\u05d0\u05d1\u05d2",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "-rf",
    "--help",
    "=1+1",
    "nan",
    *CONTROLS,
)
"""Texts that somebody could believe too much."""

NUMBERS = (
    0,
    -1,
    1,
    2**31,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    2**64,
    10**30,
    10**400,
    0.0,
    -0.0,
    0.1,
    1e15,
    253402300800.0,
    -62135596801.0,
    1e300,
    -1e300,
    5e-324,
    math.inf,
    -math.inf,
    math.nan,
)
"""Numbers that do not fit somewhere."""


def nested(depth: int) -> Any:
    """Lists in lists."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def anything(rng: Rng) -> Any:
    """A value of any kind."""
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: TEXTS[int(rng.integers(len(TEXTS)))],
        lambda: NUMBERS[int(rng.integers(len(NUMBERS)))],
        lambda: [None, True, False][int(rng.integers(3))],
        list,
        dict,
        lambda: [anything(rng) for _ in range(int(rng.integers(1, 4)))],
        lambda: {str(TEXTS[int(rng.integers(len(TEXTS)))]): anything(rng)},
        lambda: nested(int(rng.choice([10, 90]))),
        lambda: ["x"] * 3000,
    )
    return kinds[int(rng.integers(len(kinds)))]()


def changed(value: Any, rng: Rng, times: int = 1) -> Any:
    """A deep copy in which something is replaced, left out, doubled or added."""
    value = copy.deepcopy(value)
    for _ in range(times):
        places = list(_places(value))
        if not places:
            return anything(rng)
        holder, key = places[int(rng.integers(len(places)))]
        deed = int(rng.integers(8))
        if deed == 0:
            del holder[key]
        elif deed == 1 and isinstance(holder, dict):
            holder[str(anything(rng))[:300]] = holder[key]
        elif deed == 1:
            holder.append(holder[key])
        elif deed == 2 and isinstance(holder[key], (int, float)):
            holder[key] = NUMBERS[int(rng.integers(len(NUMBERS)))]
        elif deed == 3 and isinstance(holder[key], str):
            holder[key] = holder[key] + TEXTS[int(rng.integers(len(TEXTS)))]
        else:
            holder[key] = anything(rng)
    return value


def _places(value: Any) -> Any:
    keys: Any = ()
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = range(min(len(value), 50))
    for key in keys:
        yield value, key
        yield from _places(value[key])


def enormous(path: Path, size: int = 5 << 30) -> None:
    """A file of that many bytes that takes no room."""
    with path.open("wb") as file:
        file.truncate(size)


def special_file(
    case: Case,
    name: str,
    other: str,
    content: bytes | None = None,
    fourth: Callable[[Path], object] = enormous,
) -> Path:
    """In the place of a file: a pipe, a link to a device, a folder, or what ``fourth`` makes there.

    Or a name that acts: ``other`` with a text in the place of "{}", of a file that holds
    ``content``, if there is any.
    """
    path = case.folder / name
    kind = case.rng.integers(5)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.symlink_to("/dev/zero")
    elif kind == 2:
        path.mkdir()
    elif kind == 3:
        fourth(path)
    else:
        acting = other.format(case.pick(CONTROLS))
        path = case.folder / acting.replace("\0", "").replace("/", "")
        if content is not None:
            path.write_bytes(content)
    return path
