"""Tickets: who calls, for a WebSocket of a browser, which can send no key by a header.

    POST /v1/tickets {"path": "/v1/streams/4f.../live"}  ->  {"ticket": "...", "expires_s": 30}
    wss://host/v1/streams/4f.../live?ticket=...

A ticket is good for one path, once, for some seconds, and has 256 random bits: what stands of it in
a log or a history of addresses opens nothing. Only a hash is kept, in the memory of the process.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from lineament.errors import BusyError, UnauthorizedError
from lineament.results import Outcome
from lineament.server.roles import Principal

LASTING_S = 30.0
MOST_TICKETS = 10_000
"""Of all callers together, unused and not expired."""

MOST_OF_ONE = 100
"""Of one caller."""


@dataclass(frozen=True, slots=True)
class Ticket(Outcome):
    """What the caller gets.

    Attributes:
        ticket: to be sent as ``?ticket=``, once.
        path: what it is for.
        expires_s: seconds for which it holds.
    """

    ticket: str
    path: str
    expires_s: float


class Tickets:
    """The tickets of one process."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """None yet. ``clock``: seconds that grow."""
        self._clock = clock
        self._given: OrderedDict[bytes, tuple[Principal, str, float]] = OrderedDict()
        self._lock = Lock()

    def issue(self, principal: Principal, path: str, *, lasting_s: float = LASTING_S) -> Ticket:
        """Make one.

        Args:
            principal: whom it stands for.
            path: of the WebSocket, as the address has it.
            lasting_s: seconds for which it holds.

        Raises:
            BusyError: too many were asked for and not used.
        """
        text = secrets.token_urlsafe(32)
        with self._lock:
            self._drop_old()
            own = sum(one.id == principal.id for one, _, _ in self._given.values())
            if own >= MOST_OF_ONE or len(self._given) >= MOST_TICKETS:
                raise BusyError(
                    f"expected at most {MOST_OF_ONE} tickets that are not used",
                    hint="use one ticket for each connection",
                    retry_after_s=round(LASTING_S),
                )
            self._given[_key(text)] = (principal, path, self._clock() + lasting_s)
        return Ticket(text, path, lasting_s)

    def redeem(self, text: str, path: str) -> Principal:
        """Whom a ticket stands for; from now on it is used.

        Raises:
            UnauthorizedError: it is none, was used, has expired, or is for something else.
        """
        with self._lock:
            self._drop_old()
            found = self._given.pop(_key(text), None)
        if found is None or found[1] != path:
            raise UnauthorizedError(
                "expected a ticket that was not used, got another text",
                hint="POST /v1/tickets gives one; it holds for some seconds, and once",
            )
        return found[0]

    def _drop_old(self) -> None:
        now = self._clock()
        for key in [key for key, (_, _, due) in self._given.items() if due <= now]:
            del self._given[key]


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
