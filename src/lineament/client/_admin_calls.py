"""Requests for those who run a server: keys, users of the page, the audit log, tickets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lineament.audit import AuditHead
from lineament.client._calls import Call, nothing, segment
from lineament.client._pages import Page, page
from lineament.client._photo_calls import reading, reading_all
from lineament.results import Outcome

Role = Literal["verify", "enroll", "admin"]
EVERY_GALLERY = ("*",)


@dataclass(frozen=True, slots=True)
class ServedKey(Outcome):
    """What a server knows of a key: not the key.

    Attributes:
        id: the part between the underscores.
        role: "verify", "enroll" or "admin".
        galleries: names, or ("*",) for all.
        label: for people.
        created: seconds since 1970.
        revoked: since when it is refused; None while it holds.
        expires: from when on it is refused; None: never.
    """

    id: str
    role: Role
    galleries: tuple[str, ...]
    label: str
    created: float
    revoked: float | None
    expires: float | None


@dataclass(frozen=True, slots=True)
class NewKey(Outcome):
    """A key that was just made; the server does not have it any more.

    Attributes:
        key: what a ``Client`` is given; it is not shown when this is printed.
        id: of the key, for ``revoke``.
        role: what it may.
        galleries: names, or ("*",) for all.
        expires: from when on it is refused, in seconds since 1970; None: never.
    """

    key: str = field(repr=False)
    id: str
    role: Role
    galleries: tuple[str, ...]
    expires: float | None


@dataclass(frozen=True, slots=True)
class ServedUser(Outcome):
    """A user of a server's page.

    Attributes:
        name: with which they log in.
        role: "verify", "enroll" or "admin".
        galleries: names, or ("*",) for all.
        created: seconds since 1970.
    """

    name: str
    role: Role
    galleries: tuple[str, ...]
    created: float


@dataclass(frozen=True, slots=True)
class AuditCheck(Outcome):
    """Whether a server's audit log is whole.

    Attributes:
        whole: nothing is wrong.
        n_entries: how many were read, up to the first that is wrong.
        problem: what is wrong first, in words; None when nothing is.
        first_broken: number of the first entry that is wrong or missing, or None.
        torn_bytes: of a line at the end that was never finished.
        last_hash: of the last entry.
        head: the log's end, signed just now: kept elsewhere (``AuditHead.save``), it finds out
            whether entries are cut off later. None of an empty or broken log.
    """

    whole: bool
    n_entries: int
    problem: str | None
    first_broken: int | None
    torn_bytes: int
    last_hash: str
    head: AuditHead | None


@dataclass(frozen=True, slots=True)
class ServedSigningKey(Outcome):
    """What checks a server's receipts and heads of its audit log.

    Attributes:
        public_key: as PEM; written to a file it is what ``lineament.signing.VerifyKey`` loads.
        fingerprint: of it, as receipts and heads name it.
    """

    public_key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Ticket(Outcome):
    """What opens one WebSocket once, without a key: for a browser.

    Attributes:
        ticket: to be sent as ``?ticket=``.
        path: of the WebSocket.
        expires_s: seconds for which it holds.
    """

    ticket: str = field(repr=False)
    path: str
    expires_s: float


# --- keys -----------------------------------------------------------------------------------------


def keys(after: str | None, limit: int) -> Call[Page]:
    return page("keys", "/keys", after, limit)


def make_key(
    role: Role, galleries: Sequence[str], label: str, expires: float | str | None
) -> Call[NewKey]:
    values = {"role": role, "galleries": list(galleries), "label": label, "expires": expires}
    return Call("POST", "/keys", reading(NewKey), values=values, repeatable=False)


def revoke_key(number: str) -> Call[None]:
    return Call("DELETE", f"/keys/{segment(number)}", nothing, changes=True)


# --- users ----------------------------------------------------------------------------------------


def users() -> Call[list[ServedUser]]:
    return Call("GET", "/users", reading_all(ServedUser, "users"))


def add_user(name: str, password: str, role: Role, galleries: Sequence[str]) -> Call[ServedUser]:
    values = {"name": name, "password": password, "role": role, "galleries": list(galleries)}
    return Call("POST", "/users", reading(ServedUser), values=values, repeatable=False)


def change_user(
    name: str, password: str | None, role: Role | None, galleries: Sequence[str] | None
) -> Call[ServedUser]:
    values = {
        "password": password,
        "role": role,
        "galleries": None if galleries is None else list(galleries),
    }
    return Call("PATCH", f"/users/{segment(name)}", reading(ServedUser), values=values)


def remove_user(name: str) -> Call[None]:
    return Call("DELETE", f"/users/{segment(name)}", nothing)


# --- the audit log --------------------------------------------------------------------------------


def audit_entries(wanted: Mapping[str, Any], after: str | None, limit: int) -> Call[Page]:
    return page("entries", "/audit", after, limit, wanted)


def verify_audit() -> Call[AuditCheck]:
    return Call("GET", "/audit/verify", reading(AuditCheck))


def signing_key() -> Call[ServedSigningKey]:
    return Call("GET", "/signing-key", reading(ServedSigningKey))


# --- tickets --------------------------------------------------------------------------------------


def ticket(path: str) -> Call[Ticket]:
    return Call("POST", "/tickets", reading(Ticket), values={"path": path})
