"""Sessions of the page: a cookie says who calls; and one-time codes, by which an admin gets in.

The cookie has 256 random bits, of which BLAKE2b with a key of this server's is stored. A session
ends after ``IDLE_S`` without a request, and after ``WHOLE_S`` in any case. What changes something
wants the header ``X-CSRF-Token`` besides, which pages of other sites cannot send; its value is
made from the cookie. Role and galleries are those that the user has now, not those of the login.

A one-time code is in the link that ``lineament serve`` prints while there is no admin, and that
``lineament keys login`` makes: for who can read the server's data folder, whoever that is.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lineament.errors import ForbiddenError, NotFoundError, UnauthorizedError
from lineament.server.roles import Principal
from lineament.server.tables import opened, own_secret
from lineament.server.users import UserInfo, UserStore

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS sessions (hash BLOB PRIMARY KEY, user TEXT, began REAL NOT NULL, "
    "seen REAL NOT NULL)",
    "CREATE TABLE IF NOT EXISTS codes (hash BLOB PRIMARY KEY, ends REAL NOT NULL)",
)
COOKIE, CSRF_HEADER = "lineament", "x-csrf-token"
IDLE_S, WHOLE_S = 30 * 60.0, 12 * 3600.0
CODE_S = 15 * 60.0
_TOUCH_S = 30.0
"""Not every request is written down as the last one: that would be a write for each."""

_SAFE = ("GET", "HEAD", "OPTIONS")
LINK = "login-link"
"""In place of a user's name: who came by a one-time code."""


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session that holds.

    Attributes:
        principal: who it is of, and what they may.
        user: None after a login by a one-time code.
        csrf: value of the header that changes want.
        ends: seconds since 1970, at the latest.
    """

    principal: Principal
    user: UserInfo | None
    csrf: str
    ends: float


class Sessions:
    """The sessions of one server; several processes may use the same file."""

    def __init__(
        self, folder: Path, users: UserStore, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Open the store of a data folder; it is made if need be.

        Args:
            folder: of the server's data; it exists.
            users: who may log in.
            clock: seconds since 1970.
        """
        self.users = users
        self._path = folder / "sessions.sqlite"
        self._clock = clock
        self._secret = own_secret(folder / "sessions.secret")
        with opened(self._path, *_SCHEMA):
            pass

    def _hash(self, purpose: bytes, text: str) -> bytes:
        return hashlib.blake2b(
            text.encode(), key=self._secret, digest_size=32, person=purpose
        ).digest()

    def _csrf(self, cookie: str) -> str:
        return self._hash(b"csrf", cookie).hex()

    # --- one-time codes ---------------------------------------------------------------------------

    def make_code(self) -> str:
        """A code that logs in as admin, once, within 15 minutes; earlier ones hold no more."""
        code = secrets.token_urlsafe(32)
        with opened(self._path) as connection:
            connection.execute("DELETE FROM codes")
            connection.execute(
                "INSERT INTO codes VALUES (?, ?)",
                (self._hash(b"code", code), self._clock() + CODE_S),
            )
        return code

    def use_code(self, code: str, *, host: str) -> str:
        """Begin a session of an admin with a one-time code.

        Args:
            code: as it was sent.
            host: the caller's address, of which wrong codes are counted.

        Returns:
            The cookie.

        Raises:
            UnauthorizedError: it is wrong, was used, or is too old.
            BusyError: too many wrong ones came from that address.
        """
        with opened(self._path) as connection:
            row = connection.execute(
                "DELETE FROM codes WHERE hash = ? RETURNING ends", (self._hash(b"code", code),)
            ).fetchone()
        if row is None or row[0] <= self._clock():
            self.users.count_guess(host)
            raise UnauthorizedError(
                "expected a one-time code that was not used, got another",
                hint="`lineament keys login` makes one, which holds for 15 minutes",
            )
        return self.begin(None)

    # --- sessions ---------------------------------------------------------------------------------

    def begin(self, user: str | None) -> str:
        """Begin a session and return its cookie.

        Args:
            user: name; None for an admin who came by a one-time code.
        """
        cookie, now = secrets.token_urlsafe(32), self._clock()
        with opened(self._path) as connection:
            connection.execute(
                "DELETE FROM sessions WHERE seen <= ? OR began <= ?", (now - IDLE_S, now - WHOLE_S)
            )
            connection.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?)",
                (self._hash(b"cookie", cookie), user, now, now),
            )
        return cookie

    def find(self, cookie: str) -> SessionInfo | None:
        """The session of a cookie, or None where there is none that holds."""
        now, number = self._clock(), self._hash(b"cookie", cookie)
        with opened(self._path) as connection:
            row = connection.execute(
                "SELECT user, began, seen FROM sessions WHERE hash = ?", (number,)
            ).fetchone()
            if row is None or row[2] <= now - IDLE_S or row[1] <= now - WHOLE_S:
                return None
            if row[2] < now - _TOUCH_S:
                connection.execute("UPDATE sessions SET seen = ? WHERE hash = ?", (now, number))
        csrf, ends = self._csrf(cookie), row[1] + WHOLE_S
        if row[0] is None:
            return SessionInfo(Principal(LINK, "admin"), None, csrf, ends)
        try:
            user = self.users.get(row[0])
        except NotFoundError:
            return None
        return SessionInfo(
            Principal(f"user:{user.name}", user.role, user.galleries), user, csrf, ends
        )

    def end(self, cookie: str) -> None:
        """End one session; nothing happens where there is none."""
        with opened(self._path) as connection:
            connection.execute(
                "DELETE FROM sessions WHERE hash = ?", (self._hash(b"cookie", cookie),)
            )

    def end_all(self, user: str | None) -> None:
        """End all sessions of a user, as after a new password; None: those of one-time codes."""
        with opened(self._path) as connection:
            connection.execute("DELETE FROM sessions WHERE user IS ?", (user,))

    def principal(self, request: HTTPConnection) -> Principal | None:
        """Who calls by the cookie of a request or a WebSocket; None where there is none.

        Raises:
            UnauthorizedError: the session has ended.
            ForbiddenError: a page of another site asks, or the header of changes is missing.
        """
        cookie = request.cookies.get(COOKIE)
        if cookie is None:
            return None
        found = self.find(cookie)
        if found is None:
            raise UnauthorizedError("expected a session, got one that has ended", hint="log in")
        check_origin(request)
        if request.scope["type"] == "http" and request.scope["method"] not in _SAFE:
            given = request.headers.get(CSRF_HEADER, "")
            if not hmac.compare_digest(given.encode("utf-8"), found.csrf.encode()):
                raise ForbiddenError(
                    f"expected the header {CSRF_HEADER} of this session",
                    hint="GET /v1/session says its value",
                )
        return found.principal


def check_origin(request: HTTPConnection) -> None:
    """ForbiddenError: a page of another site asks. Browsers name the page's site in ``Origin``."""
    origin = request.headers.get("origin")
    if origin is None:
        return
    host = origin.partition("://")[2]
    if host.lower() != request.headers.get("host", "").lower():
        raise ForbiddenError(f"expected a request of this server's page, got one of {origin:.200}")


def login_code(folder: Path, *, always: bool = False) -> str | None:
    """A one-time code for a server's data folder.

    Args:
        folder: it exists.
        always: make one even if there is an admin who can log in by password.

    Returns:
        The code, or None where there is an admin already.
    """
    users = UserStore(folder)
    if users.has_admin and not always:
        return None
    return Sessions(folder, users).make_code()
