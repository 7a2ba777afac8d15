"""The entries of a log, as they stand in its files."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from lineament.errors import AuditError
from lineament.files import open_regular
from lineament.results import Outcome
from lineament.signing import canonical
from lineament.text import in_short, reason_of

START = "0" * 64
"""In place of the hash before the first entry."""
LONGEST_ENTRY = 32 << 10
"""Bytes of a line."""


@dataclass(frozen=True, slots=True)
class AuditEntry(Outcome):
    """One entry.

    Attributes:
        n: its number, 1 for the first.
        time: when, in seconds since 1970, UTC.
        action: what was done: "enroll", "identify", "erase", ...
        actor: who did it: the id of a key or account; no name of an enrolled person.
        gallery: id of the gallery, or None.
        person: the pseudonym of whom it is about, or None.
        outcome: what came of it: "done", "refused", "found", an error's code.
        details: numbers, truths and short texts by name.
        keyed: whether ``hash`` is made with a key.
        previous: hash of the entry before.
        hash: of all other fields, 64 figures and letters.
    """

    n: int
    time: float
    action: str
    actor: str
    gallery: str | None
    person: str | None
    outcome: str
    details: dict[str, Any]
    keyed: bool
    previous: str
    hash: str = ""

    def hashed(self, key: bytes | None) -> str:
        """The hash that it should have."""
        values = asdict(self)
        del values["hash"]
        if self.keyed and key is not None:
            return hmac.new(key, canonical(values), hashlib.sha256).hexdigest()
        return hashlib.sha256(canonical(values)).hexdigest()

    def __str__(self) -> str:
        """In words, for people."""
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.time))
        about = f" {self.person[:12]}" if self.person else ""
        more = "".join(f", {name} {value}" for name, value in self.details.items())
        return f"{self.n} {when} {self.actor} {self.action}{about}: {self.outcome}{more}"


def read_entries(
    path: str | os.PathLike[str],
    *,
    action: str | None = None,
    actor: str | None = None,
    gallery: str | None = None,
    person_key: str | None = None,
    outcome: str | None = None,
    since: float | None = None,
    until: float | None = None,
) -> Iterator[AuditEntry]:
    """The entries of a log and its older files, the oldest first; the chain is not looked at.

    Args:
        path: of the file being written.
        action, actor, gallery, person_key, outcome: only entries with that very value.
        since, until: seconds since 1970; from the first on, before the second.

    Raises:
        AuditError: there is no log, or a line is no entry.
    """
    fields = {
        "action": action,
        "actor": actor,
        "gallery": gallery,
        "person": person_key,
        "outcome": outcome,
    }
    wanted = {name: value for name, value in fields.items() if value is not None}
    for file, number, line in all_lines(path):
        if not line.endswith(b"\n"):
            continue  # it was never finished
        try:
            entry = read_entry(line)
        except AuditError as error:
            raise AuditError(
                f"{file}: line {number} is no entry ({error})",
                hint="`lineament audit verify` says more",
            ) from error
        if any(getattr(entry, name) != value for name, value in wanted.items()):
            continue
        if (since is None or entry.time >= since) and (until is None or entry.time < until):
            yield entry


# --- lines ----------------------------------------------------------------------------------------

_ENTRY = msgspec.json.Decoder(AuditEntry)


def read_entry(line: bytes) -> AuditEntry:
    """An entry. AuditError: it is none; says why in short."""
    try:
        return _ENTRY.decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise AuditError(in_short(str(error), 120, quoted=False)) from error


def older_files(path: Path) -> list[Path]:
    """The files before the one that is written, the oldest first."""
    start = f"{path.name}."
    try:
        names = [entry.name for entry in os.scandir(path.parent)]
    except OSError:
        return []
    ends = sorted(name for name in names if re.fullmatch(re.escape(start) + "[0-9]{12}", name))
    return [path.with_name(name) for name in ends]


def all_files(path: Path) -> list[Path]:
    """All files of a log, the oldest first. AuditError: there are none."""
    found = [*older_files(path), *([path] if path.exists() else [])]
    if not found:
        raise AuditError(f"{path}: there is no audit log", hint="check the path")
    return found


def all_lines(path: str | os.PathLike[str]) -> Iterator[tuple[Path, int, bytes]]:
    for file in all_files(Path(path)):
        try:
            with open_regular(file) as opened:
                number = 0
                while line := opened.readline(LONGEST_ENTRY + 1):
                    number += 1
                    yield file, number, line
        except OSError as error:
            raise AuditError(f"{file}: cannot be read ({reason_of(error)})") from error


def torn_end(file: BinaryIO, path: Path) -> bytes:
    """What stands behind the last end of a line. AuditError: it is no entry's beginning."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - 2 * LONGEST_ENTRY)
    file.seek(start)
    data = file.read()
    if data.endswith(b"\n") or not data:
        return b""
    at = data.rfind(b"\n")
    if at < 0 and start:
        raise AuditError(
            f"{path}: its end is no entry: nothing was appended",
            hint="`lineament audit verify` says where; move the file away to begin a new log",
        )
    return data[at + 1 :]


def last_line(file: BinaryIO) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 2 * LONGEST_ENTRY))
    return (file.read().splitlines(keepends=True) or [b""])[-1]
