"""API keys: made, listed, revoked; only keyed hashes of them are kept, in one SQLite file.

A key is ``lin_ID_SECRET``: the id finds its row, the secret has 256 random bits, of which BLAKE2b
with a key of this server's is stored (a random key of that length needs no slow hash). Comparison
takes the same time wherever two hashes differ. Who guesses is locked out: after
``MOST_FAILURES`` wrong keys from one address, each within ``LOCKED_S`` seconds of the one before,
that address gets no answer but 401 for as long, from whatever process (``guesses``).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lineament.errors import ConflictError, NotFoundError, OptionError, UnauthorizedError
from lineament.gallery.consent import checked_moment, in_words, read_moment
from lineament.gallery.values import ONCE_KEPT_S
from lineament.results import Outcome
from lineament.server.guesses import Guess, Guesses
from lineament.server.roles import ALL, Principal, Role, check_holder
from lineament.server.tables import Shared, add_columns, opened, own_secret
from lineament.text import in_short

MOST_FAILURES, LOCKED_S = 20, 60.0
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, hash BLOB NOT NULL, role TEXT NOT NULL, "
    "galleries TEXT NOT NULL, label TEXT NOT NULL, created REAL NOT NULL, revoked REAL, once BLOB, "
    "expires REAL)"
)
_LASTING, _SECONDS = re.compile(r"(\d{1,6})\s*([hdw])", re.IGNORECASE), {
    "h": 3600.0, "d": 86_400.0, "w": 604_800.0,
}  # fmt: skip
_FORM = re.compile(r"lin_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class KeyInfo(Outcome):
    """What is known of a key: not the key.

    Attributes:
        id: the part between the underscores.
        role: "verify", "enroll" or "admin".
        galleries: names, or ("*",).
        label: for people.
        created, revoked: seconds since 1970; ``revoked`` None while it holds.
        expires: seconds since 1970: from then on it is refused as a revoked one; None: never.
    """

    id: str
    role: Role
    galleries: tuple[str, ...]
    label: str
    created: float
    revoked: float | None
    expires: float | None = None


def read_expiry(given: float | str | None, now: float) -> float | None:
    """When a key is to expire, in seconds since 1970; None: never.

    Args:
        given: these seconds; a date or time as text (``read_moment``); or how long it holds: "12h",
            "90d", "4w".
        now: seconds since 1970.

    Raises:
        OptionError: it is none of these, or not to come.
    """
    if given is None:
        return None
    found = _LASTING.fullmatch(given.strip()) if isinstance(given, str) else None
    if found is not None:
        when = now + int(found[1]) * _SECONDS[found[2].lower()]
    elif isinstance(given, str):
        try:
            when = read_moment(given, "expires")
        except OptionError as error:
            raise OptionError(
                f"expected a date such as 2027-01-31, or how long such as 12h, 90d or 4w, got "
                f"{in_short(given)}",
                option="expires",
            ) from error
    else:
        when = given
    when = checked_moment(when, "expires")
    if when <= now:
        raise OptionError(f"expected a time to come, got {in_words(when)}", option="expires")
    return when


def _infos(path: Path, which: str, *values: str) -> list[KeyInfo]:
    with opened(path) as connection:
        rows = connection.execute(
            f"SELECT id, role, galleries, label, created, revoked, expires FROM keys {which}",
            values,
        ).fetchall()
    return [
        KeyInfo(number, role, tuple(json.loads(galleries)), *rest)
        for number, role, galleries, *rest in rows
    ]


class KeyStore:
    """The keys of one server; several processes may use the same file."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Open the store of a data folder; it is made if need be, readable by its owner alone.

        Args:
            folder: of the server's data; it exists.
            clock: seconds since 1970.
        """
        self.folder = folder
        self._path = folder / "keys.sqlite"
        self._clock = clock
        self._secret = own_secret(folder / "keys.secret")
        self._guesses = Guesses(folder, clock=clock)
        self._reader = Shared(self._path)
        with opened(self._path, _SCHEMA) as connection:
            add_columns(connection, "keys", once="BLOB", expires="REAL")

    def _hash(self, secret: str) -> bytes:
        return hashlib.blake2b(secret.encode(), key=self._secret, digest_size=32).digest()

    def add(
        self,
        role: Role,
        *,
        galleries: Sequence[str] = (ALL,),
        label: str = "",
        expires: float | str | None = None,
        once: bytes | None = None,
    ) -> str:
        """Make a key. It is shown once and kept nowhere.

        Args:
            role: of ``ROLES``.
            galleries: for which it holds; they need not exist yet.
            label: for people, 0 to 200 characters.
            expires: when it expires, or how long it holds (``read_expiry``); None: until it is
                revoked.
            once: the token of this request: for a day no other key is made under it.

        Raises:
            OptionError: another role, no gallery, no gallery's name, or no time to come.
            ConflictError: a key was made under that token; nobody can show it again.
        """
        check_holder(role, galleries)
        if len(label) > 200:
            raise OptionError(f"expected at most 200 characters, got {len(label)}", option="label")
        number, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        now = self._clock()
        end = read_expiry(expires, now)
        with opened(self._path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            row = connection.execute(
                "SELECT id FROM keys WHERE once = ? AND created >= ?", (once, now - ONCE_KEPT_S)
            ).fetchone()
            if row is not None:
                raise ConflictError(
                    f"a key was made by this request, when it came before: {row[0]}; its text is "
                    "kept nowhere",
                    option="Idempotency-Key",
                    hint="revoke it, if nobody has it, and make another one with a new "
                    "Idempotency-Key",
                )
            connection.execute(
                "INSERT INTO keys (id, hash, role, galleries, label, created, once, expires) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (number, self._hash(secret), role, json.dumps(list(galleries)), label, now, once,
                 end),
            )  # fmt: skip
            connection.execute("COMMIT")
        return f"lin_{number}_{secret}"

    def list(self) -> list[KeyInfo]:
        """All keys, the oldest first, revoked and expired ones too."""
        return _infos(self._path, "ORDER BY created, id")

    def info(self, number: str) -> KeyInfo:
        """What is known of one key. NotFoundError: there is none of that id."""
        found = _infos(self._path, "WHERE id = ?", number)
        if not found:
            raise NotFoundError(f"expected the id of a key, got {number!r:.80}")
        return found[0]

    def revoke(self, number: str) -> None:
        """From now on the key is refused. NotFoundError: there is none of that id."""
        with opened(self._path) as connection:
            done = connection.execute(
                "UPDATE keys SET revoked = coalesce(revoked, ?) WHERE id = ?",
                (self._clock(), number),
            )
            if done.rowcount == 0:
                raise NotFoundError(f"expected the id of a key, got {number!r}")

    def principal(self, key: str, *, host: str) -> Principal:
        """Who has that key.

        Args:
            key: as it was sent.
            host: the caller's address, of which wrong keys are counted.

        Raises:
            UnauthorizedError: it is none of these, it was revoked or has expired, or the address
                is locked out.
        """
        guess = Guess("key", host, MOST_FAILURES, LOCKED_S)
        if left_s := self._guesses.left_s(guess):
            raise UnauthorizedError(
                "too many wrong keys came from this address", hint=f"wait {left_s:.0f} seconds"
            )
        found = _FORM.fullmatch(key)
        row = self._row(found[1] if found else "")
        expected = bytes(32) if row is None else row[0]
        same = hmac.compare_digest(self._hash(found[2] if found else ""), expected)
        held = row is not None and row[3] is None and (row[4] is None or self._clock() < row[4])
        if found is None or row is None or not same or not held:
            with suppress(sqlite3.OperationalError):  # a full disk: it is refused all the same
                self._guesses.count(guess)
            raise UnauthorizedError("expected a key of this server, got a wrong or revoked one")
        return Principal(found[1], row[1], tuple(json.loads(row[2])))

    def _row(self, number: str) -> Any:
        """Hash, role, galleries, when it was revoked and expires; None: there is no such key.

        Every request asks: the connection stays open, which takes a tenth of the time. What another
        process wrote is seen at once.
        """
        with self._reader.held() as connection:
            rows = connection.execute(
                "SELECT hash, role, galleries, revoked, expires FROM keys WHERE id = ?", (number,)
            ).fetchall()
        return rows[0] if rows else None

    def close(self) -> None:
        """Close the files; they are opened again when they are needed."""
        self._guesses.close()
        self._reader.close()
