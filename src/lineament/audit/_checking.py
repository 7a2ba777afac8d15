"""Whether a log is whole: the chain from its first entry on, and heads that were kept."""

from __future__ import annotations

import hmac
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from lineament.audit._entries import START, all_lines, read_entry
from lineament.errors import AuditError
from lineament.files import open_regular, write_atomically
from lineament.results import Outcome
from lineament.signing import VerifyKey, canonical
from lineament.text import reason_of


@dataclass(frozen=True, slots=True)
class AuditHead(Outcome):
    """The end of a log at some time, signed, to be kept elsewhere.

    Attributes:
        first: hash of the log's first entry, which says which log it is.
        n, hash: of the last entry.
        time: when it was signed.
        key: fingerprint of the key.
        signature: by that key.
    """

    first: str
    n: int
    hash: str
    time: float
    key: str = ""
    signature: str = ""

    def signed_values(self) -> dict[str, Any]:
        """What the signature is over."""
        return {"lineament": "audit head", **asdict(replace(self, signature=""))}

    def is_signed_by(self, key: VerifyKey) -> bool:
        """Whether the key signed this very head."""
        return key.verifies(self.signed_values(), self.signature)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> AuditHead:
        """Read one. AuditError: it is none."""
        try:
            with open_regular(path) as file:
                values = json.loads(file.read(4096))
            if values.pop("lineament") != "audit head":
                raise AuditError("it is something else")
            head: AuditHead = msgspec.convert(values, cls)
        except (OSError, ValueError, AttributeError, KeyError, msgspec.ValidationError) as error:
            raise AuditError(
                f"{path}: expected the head of an audit log, got none ({reason_of(error)})"
            ) from error
        return head

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it. OptionError: that cannot be done."""
        values = self.signed_values() | {"signature": self.signature}
        write_atomically(path, json.dumps(values, indent=2).encode() + b"\n", durable=True)


@dataclass(frozen=True, slots=True)
class AuditReport(Outcome):
    """What ``verify`` found.

    Attributes:
        whole: whether nothing is wrong.
        n_entries: how many entries were read, up to the first that is wrong.
        problem: what is wrong first, and where, in words; None when nothing is.
        first_broken: the number of the first entry that is wrong or missing; None when none is.
        keyed: whether the hashes were recomputed with the key; False: without one, the chain's
            links alone were compared where entries were made with a key.
        head: number of the entry that a head vouched for, or None.
        torn_bytes: of a line that was never finished, at the end; the next entry cuts it off.
        last_hash: of the last entry.
    """

    whole: bool
    n_entries: int
    problem: str | None
    first_broken: int | None
    keyed: bool
    head: int | None
    torn_bytes: int
    last_hash: str


def head_of(path: str | os.PathLike[str]) -> Path:
    """Where the head of a log is written."""
    return Path(f"{os.fspath(path)}.head")


def verify(
    path: str | os.PathLike[str],
    *,
    key: bytes | None = None,
    head: AuditHead | None = None,
    public_key: VerifyKey | None = None,
) -> AuditReport:
    """Read a log and its older files, and follow the chain from the first entry on.

    Args:
        path: of the file being written.
        key: the one that the log was made with; None compares the links alone of keyed entries.
        head: a head of this log that was kept; entries cut off before it are found by it.
        public_key: checks the head's signature; None does not look at it.

    Raises:
        AuditError: there is no log.
    """
    previous, n, torn = START, 0, 0
    first = ""
    keyed = key is not None
    vouched: int | None = None

    def report(problem: str | None, broken: int | None) -> AuditReport:
        return AuditReport(
            problem is None, n, problem, broken, keyed, vouched, torn, previous if n else START
        )

    signed = head is None or public_key is None or head.is_signed_by(public_key)
    if not signed:
        return report("the head was not signed by this key, or it was changed", None)
    for file, number, line in all_lines(path):
        where = f"{file.name}, line {number}"
        if not line.endswith(b"\n"):
            if file == Path(path):
                torn = len(line)
                break
            return report(f"{where}: the line is cut short", n + 1)
        try:
            entry = read_entry(line)
        except AuditError as error:
            return report(f"{where}: it is no entry ({error})", n + 1)
        if entry.n != n + 1:
            return report(f"{where}: expected entry {n + 1:,}, got {entry.n:,}", n + 1)
        if entry.previous != previous:
            return report(f"{where}: entry {entry.n:,} does not follow the one before it", n + 1)
        checkable = key is not None or not entry.keyed
        if key is not None and not entry.keyed:
            return report(f"{where}: entry {entry.n:,} was made without the key", n + 1)
        if checkable and not hmac.compare_digest(entry.hash, entry.hashed(key)):
            return report(f"{where}: entry {entry.n:,} is not what was written", n + 1)
        if line != canonical(asdict(entry)) + b"\n":
            return report(f"{where}: entry {entry.n:,} is written in another way", n + 1)
        n, previous = entry.n, entry.hash
        first = first or entry.hash
        if head is not None and entry.n == head.n:
            if entry.hash != head.hash or first != head.first:
                return report(f"{where}: entry {entry.n:,} is not the one of the head", n)
            vouched = entry.n
    if head is not None and vouched is None:
        return report(
            f"the log ends at entry {n:,}, and the head is of entry {head.n:,}: entries were cut "
            "off",
            n + 1,
        )
    return report(None, None)
