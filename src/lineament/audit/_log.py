"""A log that is open for appending."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from lineament.audit._checking import AuditHead, head_of
from lineament.audit._entries import (
    LONGEST_ENTRY,
    START,
    AuditEntry,
    all_files,
    last_line,
    older_files,
    read_entries,
    read_entry,
    torn_end,
)
from lineament.errors import AuditError, KeyFileError, OptionError
from lineament.files import Lock, locked, open_regular, read_regular, sync_file, sync_folder
from lineament.signing import SigningKey, canonical
from lineament.text import in_short, reason_of

ROTATE_BYTES, SIGN_EVERY, WAIT_S = 64 << 20, 100, 10.0
MOST_DETAILS, LONGEST_TEXT = 32, 200
LEAST_KEY = 16
"""Bytes."""
REPAIRED = "log repaired"
"""The action of the entry that says that an unfinished line was cut off."""

_PSEUDONYM = re.compile("[0-9a-f]{32,128}")


@dataclass(slots=True)
class _Tail:
    """The end of the log as it was last seen."""

    size: int = -1
    inode: int = -1
    n: int = 0
    hash: str = START


class AuditLog:
    """An open log. Any number of processes and threads may append."""

    def __init__(
        self,
        path: Path,
        *,
        key: bytes | None,
        signing_key: SigningKey | None,
        rotate_bytes: int,
        sign_every: int,
        clock: Callable[[], float],
        wait_s: float,
    ) -> None:
        """Use ``open``."""
        self.path = path
        self._key = key
        self._signing_key = signing_key
        self._rotate_bytes, self._sign_every = rotate_bytes, sign_every
        self._clock, self._wait_s = clock, wait_s
        self._mutex = threading.Lock()
        self._tail = _Tail()

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        key: bytes | None = None,
        signing_key: SigningKey | None = None,
        rotate_bytes: int = ROTATE_BYTES,
        sign_every: int = SIGN_EVERY,
        clock: Callable[[], float] = time.time,
        wait_s: float = WAIT_S,
    ) -> Self:
        """Open a log, or begin one; what is in it is not read.

        Args:
            path: of the file being written; older ones lie beside it as PATH.000000000001 and so
                on, called by the number of their first entry.
            key: for the hashes, 16 bytes or more; always the same one for a log.
            signing_key: signs the head, into PATH.head, every ``sign_every`` entries and at
                ``close``.
            rotate_bytes: how large a file becomes before the next one is begun.
            sign_every: entries.
            clock: says how late it is, in seconds since 1970.
            wait_s: how long other processes that append are waited for, seconds.

        Raises:
            AuditError: the folder does not exist, or the file is no log.
        """
        file = Path(path)
        if key is not None and len(key) < LEAST_KEY:
            raise OptionError(f"expected {LEAST_KEY} bytes or more, got {len(key)}", option="key")
        if rotate_bytes < LONGEST_ENTRY or sign_every < 1:
            raise OptionError(
                f"expected rotate_bytes of {LONGEST_ENTRY:,} or more and sign_every of 1 or more, "
                f"got {rotate_bytes:,} and {sign_every:,}"
            )
        log = cls(
            file,
            key=key,
            signing_key=signing_key,
            rotate_bytes=rotate_bytes,
            sign_every=sign_every,
            clock=clock,
            wait_s=wait_s,
        )
        with log._locked():
            pass  # the folder is there and may be written to
        return log

    def close(self) -> None:
        """Sign the head, where there is a key for it."""
        if self._signing_key is not None and self._tail.n:
            self.sign_head()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close."""
        self.close()

    def append(
        self,
        action: str,
        actor: str,
        gallery: str | None = None,
        person_key: str | None = None,
        outcome: str = "done",
        **details: float | str | bool | None,
    ) -> AuditEntry:
        """Add an entry; it is on the disk when this returns.

        Args:
            action, actor, gallery, outcome: texts of at most 200 characters (``AuditEntry``).
            person_key: ``Gallery.pseudonym`` of whom it is about; never a name.
            details: numbers, truths and texts of at most 200 characters; no names of people.

        Raises:
            OptionError: one of them is too long, or of another kind.
            AuditError: the log cannot be written to, or its end is damaged.
        """
        for name, value in (("action", action), ("actor", actor), ("outcome", outcome)):
            _check_text(value, name)
        if gallery is not None:
            _check_text(gallery, "gallery")
        if person_key is not None and not _PSEUDONYM.fullmatch(person_key):
            raise OptionError(
                "expected a pseudonym, as Gallery.pseudonym gives it, got something else",
                option="person_key",
            )
        _check_details(details)
        with self._locked():
            return self._append(action, actor, gallery, person_key, outcome, details)

    def _append(
        self,
        action: str,
        actor: str,
        gallery: str | None,
        person: str | None,
        outcome: str,
        details: Mapping[str, Any],
    ) -> AuditEntry:
        torn = self._catch_up()
        if torn:
            about = {"torn_bytes": len(torn), "torn_sha256": hashlib.sha256(torn).hexdigest()}
            self._write(REPAIRED, "lineament", None, None, "done", about)
        entry = self._write(action, actor, gallery, person, outcome, details)
        if self._tail.size >= self._rotate_bytes:
            self._rotate()
        if self._signing_key is not None and entry.n % self._sign_every == 0:
            self._sign_head()
        return entry

    def _write(
        self,
        action: str,
        actor: str,
        gallery: str | None,
        person: str | None,
        outcome: str,
        details: Mapping[str, Any],
    ) -> AuditEntry:
        tail = self._tail
        entry = AuditEntry(
            tail.n + 1,
            round(self._clock(), 6),
            action,
            actor,
            gallery,
            person,
            outcome,
            dict(details),
            self._key is not None,
            tail.hash,
        )
        entry = replace(entry, hash=entry.hashed(self._key))
        line = canonical(asdict(entry)) + b"\n"
        if len(line) > LONGEST_ENTRY:
            raise OptionError(f"expected at most {LONGEST_ENTRY:,} bytes, got {len(line):,}")
        try:
            new = not self.path.exists()
            with self.path.open("ab", buffering=0) as file:
                file.write(line)
                sync_file(file)
                status = os.fstat(file.fileno())
            if new:
                sync_folder(self.path.parent)
        except OSError as error:
            self._tail = _Tail()
            raise self._unwritable(error) from error
        self._tail = _Tail(status.st_size, status.st_ino, entry.n, entry.hash)
        return entry

    def _catch_up(self) -> bytes:
        """Read the end anew if another process wrote; what was cut off of an unfinished line."""
        try:
            status = os.stat(self.path)  # noqa: PTH116  (at each entry)
        except FileNotFoundError:
            self._tail = self._end_of(older_files(self.path)[-1:])
            return b""
        except OSError as error:
            raise self._unwritable(error) from error
        if (status.st_size, status.st_ino) == (self._tail.size, self._tail.inode):
            return b""
        try:
            with open_regular(self.path, inside=True, writing=True) as file:
                torn = torn_end(file, self.path)
                if torn:
                    file.truncate(status.st_size - len(torn))
                    sync_file(file)
                size = os.fstat(file.fileno()).st_size
        except OSError as error:
            raise self._unwritable(error) from error
        files = [self.path] if size else older_files(self.path)[-1:]
        self._tail = self._end_of(files)
        self._tail.size, self._tail.inode = size, status.st_ino
        return torn

    def _end_of(self, files: list[Path]) -> _Tail:
        if not files:
            return _Tail()
        with open_regular(files[-1], inside=True) as file:
            line = last_line(file)
        try:
            entry = read_entry(line)
        except AuditError as error:
            raise AuditError(
                f"{files[-1]}: the last entry is damaged ({error}): nothing was appended",
                hint="`lineament audit verify` says where; move the file away to begin a new log",
            ) from error
        return _Tail(n=entry.n, hash=entry.hash)

    def _rotate(self) -> None:
        with open_regular(self.path, inside=True) as file:
            first = read_entry(file.readline(LONGEST_ENTRY)).n
        self.path.rename(self.path.with_name(f"{self.path.name}.{first:012d}"))
        sync_folder(self.path.parent)
        self._tail = _Tail(n=self._tail.n, hash=self._tail.hash)

    # --- heads ------------------------------------------------------------------------------------

    def sign_head(self) -> AuditHead:
        """Sign the end of the log as it is now, into PATH.head; keep a copy elsewhere.

        Raises:
            AuditError: the log is empty, or was opened without a key to sign with.
        """
        with self._locked():
            self._catch_up()
            return self._sign_head()

    def _sign_head(self) -> AuditHead:
        if self._signing_key is None or not self._tail.n:
            raise AuditError(
                f"{self.path}: expected entries, and a key to sign with, got none: open it with "
                "signing_key"
            )
        files = all_files(self.path)
        with open_regular(files[0], inside=True) as file:
            first = read_entry(file.readline(LONGEST_ENTRY)).hash
        head = AuditHead(first, self._tail.n, self._tail.hash, round(self._clock(), 6))
        head = replace(head, key=self._signing_key.public.fingerprint)
        head = replace(head, signature=self._signing_key.sign(head.signed_values()))
        head.save(head_of(self.path))
        return head

    # --- reading ----------------------------------------------------------------------------------

    def entries(self, **wanted: Any) -> Iterator[AuditEntry]:
        """The entries, the oldest first; arguments as ``read_entries``."""
        return read_entries(self.path, **wanted)

    def _locked(self) -> _Held:
        return _Held(self)

    def _unwritable(self, error: OSError) -> AuditError:
        return AuditError(
            f"{self.path}: the audit log cannot be written to ({reason_of(error)})",
            hint="check the folder, its rights, and the disk's room",
        )


class _Held:
    """The log's lock among threads and processes."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._lock: Lock | None = None

    def __enter__(self) -> None:
        log = self._log
        log._mutex.acquire()
        try:
            self._lock = locked(
                log.path.with_name(f"{log.path.name}.lock"),
                busy=lambda holder: AuditError(
                    f"{log.path}: {holder} is appending; waited {log._wait_s:g} s"
                ),
                wait_s=log._wait_s,
                required=True,
            )
        except OSError as error:
            log._mutex.release()
            raise log._unwritable(error) from error
        except BaseException:
            log._mutex.release()
            raise

    def __exit__(self, *error: object) -> None:
        if self._lock is not None:
            self._lock.release()
        self._log._mutex.release()


def _check_text(value: object, option: str) -> None:
    if not isinstance(value, str) or not value or len(value) > LONGEST_TEXT:
        raise OptionError(
            f"expected text of 1 to {LONGEST_TEXT} characters, got {in_short(value)}",
            option=option,
        )


def _check_details(details: Mapping[str, Any]) -> None:
    if len(details) > MOST_DETAILS:
        raise OptionError(f"expected at most {MOST_DETAILS}, got {len(details)}", option="details")
    for name, value in details.items():
        if value is None or (isinstance(value, int) and abs(value) < 1 << 63):
            continue
        if isinstance(value, str) and len(value) <= LONGEST_TEXT:
            continue
        if isinstance(value, float) and value == value and abs(value) != float("inf"):
            continue
        raise OptionError(
            f"{name}: expected a number, true, false or text of at most {LONGEST_TEXT} "
            f"characters, got {in_short(value)}",
            option="details",
        )


def read_hash_key(path: str | os.PathLike[str]) -> bytes:
    """The key of a log from a file: 32 figures and letters of hexadecimal, or more.

    Raises:
        KeyFileError: the file cannot be read, or has something else.
    """
    try:
        data = read_regular(path, at_most=4096)
        found = bytes.fromhex(data.decode("ascii").strip())
    except (OSError, ValueError) as error:
        raise KeyFileError(
            f"{path}: expected a key of hexadecimal figures, got none ({reason_of(error)})"
        ) from error
    if len(found) < LEAST_KEY:
        raise KeyFileError(f"{path}: expected {LEAST_KEY} bytes or more, got {len(found)}")
    return found
