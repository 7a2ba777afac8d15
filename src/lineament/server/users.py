"""Users of the page: who logs in by name and password. Kept in one SQLite file, hashes alone.

A user has a role and galleries, as a key has. Passwords are hashed with argon2id, which takes some
tenths of a second and 64 MB: callers do that in the threads that compute, never in the event loop.
Who guesses is refused before anything is hashed, by ``Guesses``.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from lineament.errors import (
    BusyError,
    ConflictError,
    MissingExtraError,
    NotFoundError,
    OptionError,
    UnauthorizedError,
)
from lineament.results import Outcome
from lineament.server.guesses import Guess, Guesses
from lineament.server.roles import ALL, Role, check_holder
from lineament.server.tables import opened

if TYPE_CHECKING:
    from argon2 import PasswordHasher

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, hash TEXT NOT NULL, "
    "role TEXT NOT NULL, galleries TEXT NOT NULL, created REAL NOT NULL)",
    "DROP TABLE IF EXISTS guesses",  # where they were counted before
)
USER_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
LEAST_PASSWORD, MOST_PASSWORD = 12, 256
"""Characters of a password: long instead of full of signs (NIST SP 800-63B, 3.1.1.2)."""

AT_ONCE = 2
"""Hashes that are computed at the same time in a process; each takes 64 MB."""

GUESSES_ADDRESS, GUESSES_USER = 10, 50
"""Wrong passwords, each within ``LOCKED_S`` of the one before, after which an address, or a user's
name, is refused."""

LOCKED_S = 300.0


@dataclass(frozen=True, slots=True)
class UserInfo(Outcome):
    """A user of the page.

    Attributes:
        name: as they log in.
        role: "verify", "enroll" or "admin".
        galleries: names, or ("*",).
        created: seconds since 1970.
    """

    name: str
    role: Role
    galleries: tuple[str, ...]
    created: float


class UserStore:
    """The users of one server; several processes may use the same file."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Open the store of a data folder; it is made if need be, readable by its owner alone.

        Args:
            folder: of the server's data; it exists.
            clock: seconds since 1970.
        """
        self._path = folder / "users.sqlite"
        self._clock = clock
        self._guesses = Guesses(folder, clock=clock)
        self._hashing = BoundedSemaphore(AT_ONCE)
        with opened(self._path, *_SCHEMA):
            pass

    def add(
        self, name: str, password: str, role: Role, *, galleries: Sequence[str] = (ALL,)
    ) -> UserInfo:
        """Make a user.

        Args:
            name: 1 to 64 of a-z, 0-9, ``.``, ``_``, ``@`` and ``-``.
            password: 12 to 256 characters.
            role: of ``ROLES``.
            galleries: for which the role holds; they need not exist yet.

        Raises:
            OptionError: one of these is something else.
            ConflictError: there is a user of that name.
        """
        if not USER_NAME.fullmatch(name):
            raise OptionError(
                f"expected 1 to 64 of a-z, 0-9 and . _ @ -, got {name!r:.80}", option="name"
            )
        check_holder(role, galleries)
        coded = self._hash(password)
        user = UserInfo(name, role, tuple(galleries), self._clock())
        try:
            with opened(self._path) as connection:
                connection.execute(
                    "INSERT INTO users VALUES (?, ?, ?, ?, ?)",
                    (name, coded, role, json.dumps(list(galleries)), user.created),
                )
        except sqlite3.IntegrityError as error:
            raise ConflictError(f"there is a user {name!r} already", option="name") from error
        return user

    def change(
        self,
        name: str,
        *,
        password: str | None = None,
        role: Role | None = None,
        galleries: Sequence[str] | None = None,
    ) -> UserInfo:
        """Give a user another password, role or galleries.

        Raises:
            NotFoundError: there is none of that name.
            OptionError: a value is none of these.
        """
        user = self.get(name)
        new_role = user.role if role is None else role
        new_galleries = user.galleries if galleries is None else tuple(galleries)
        check_holder(new_role, new_galleries)
        coded = None if password is None else self._hash(password)
        with opened(self._path) as connection:
            connection.execute(
                "UPDATE users SET role = ?, galleries = ?, hash = coalesce(?, hash) WHERE name = ?",
                (new_role, json.dumps(list(new_galleries)), coded, name),
            )
        return self.get(name)

    def remove(self, name: str) -> None:
        """Delete a user; their sessions end. NotFoundError: there is none of that name."""
        with opened(self._path) as connection:
            if connection.execute("DELETE FROM users WHERE name = ?", (name,)).rowcount == 0:
                raise NotFoundError(f"expected the name of a user, got {name!r:.80}")

    def get(self, name: str) -> UserInfo:
        """One user. NotFoundError: there is none of that name."""
        with opened(self._path) as connection:
            row = connection.execute(
                "SELECT name, role, galleries, created FROM users WHERE name = ?", (name,)
            ).fetchone()
        if row is None:
            raise NotFoundError(f"expected the name of a user, got {name!r:.80}")
        return UserInfo(row[0], row[1], tuple(json.loads(row[2])), row[3])

    def list(self) -> list[UserInfo]:
        """All users by name."""
        with opened(self._path) as connection:
            rows = connection.execute(
                "SELECT name, role, galleries, created FROM users ORDER BY name"
            ).fetchall()
        return [UserInfo(row[0], row[1], tuple(json.loads(row[2])), row[3]) for row in rows]

    @property
    def has_admin(self) -> bool:
        """Whether there is a user with the role "admin"."""
        return any(user.role == "admin" for user in self.list())

    def check(self, name: str, password: str, *, host: str) -> UserInfo:
        """The user of that name, if the password is theirs. Takes some tenths of a second.

        Args:
            name: as it was typed.
            password: as it was typed.
            host: the caller's address, of which wrong passwords are counted.

        Raises:
            UnauthorizedError: no user of that name and password; it does not say which is wrong.
            BusyError: too many wrong ones came before, or too many passwords are checked now.
        """
        guesses = [Guess("address", host, GUESSES_ADDRESS, LOCKED_S)]
        if USER_NAME.fullmatch(name):
            guesses.append(Guess("user", name, GUESSES_USER, LOCKED_S))
        self._count(*guesses)  # before the check, so that guesses at the same time are counted
        with opened(self._path) as connection:
            row = connection.execute("SELECT hash FROM users WHERE name = ?", (name,)).fetchone()
        right = self._verified(_nobody() if row is None else row[0], password)
        if row is None or not right:
            raise UnauthorizedError("expected the name and password of a user, got others")
        self._guesses.forget(*guesses)
        return self.get(name)

    def count_guess(self, host: str) -> None:
        """Count a wrong one-time code of an address. BusyError: too many came before."""
        self._count(Guess("address", host, GUESSES_ADDRESS, LOCKED_S))

    def _count(self, *guesses: Guess) -> None:
        refused = self._guesses.count(*guesses)
        if refused is not None:
            guess, left_s = refused[0], max(1, round(refused[1]))
            raise BusyError(
                f"expected at most {guess.most} wrong passwords in {LOCKED_S / 60:.0f} minutes, "
                "got more",
                hint=f"wait {left_s} seconds",
                retry_after_s=left_s,
            )

    def close(self) -> None:
        """Close the file of guesses; it is opened again when it is needed."""
        self._guesses.close()

    def _hash(self, password: str) -> str:
        password = unicodedata.normalize("NFKC", password)
        if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
            raise OptionError(
                f"expected {LEAST_PASSWORD} to {MOST_PASSWORD} characters, got {len(password)}",
                option="password",
            )
        with _Turn(self._hashing):
            return str(hasher().hash(password))

    def _verified(self, coded: str, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        if len(password) > MOST_PASSWORD:
            return False
        with _Turn(self._hashing):
            try:
                return bool(hasher().verify(coded, unicodedata.normalize("NFKC", password)))
            except (VerificationError, InvalidHashError):
                return False


class _Turn:
    """One of the few hashes at once. BusyError: no turn came within a second."""

    def __init__(self, semaphore: BoundedSemaphore) -> None:
        self._semaphore = semaphore

    def __enter__(self) -> None:
        if not self._semaphore.acquire(timeout=1.0):
            raise BusyError("expected fewer logins at once", hint="try again", retry_after_s=2)

    def __exit__(self, *_: object) -> None:
        self._semaphore.release()


@cache
def hasher() -> PasswordHasher:
    """Argon2id with the parameters of argon2-cffi (RFC 9106, its second recommended option).

    Raises:
        MissingExtraError: argon2-cffi is not installed.
    """
    try:
        from argon2 import PasswordHasher
    except ImportError as error:
        raise MissingExtraError("logging in to the page", "server") from error
    return PasswordHasher()


@cache
def _nobody() -> str:
    """A hash that no password has, so that names that there are not take as long to refuse."""
    return str(hasher().hash(os.urandom(32)))
