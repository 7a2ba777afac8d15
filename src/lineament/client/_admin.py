"""For those who run a server: ``client.keys``, ``client.users`` and ``client.audit``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from lineament.arguments import checked
from lineament.audit import AuditEntry
from lineament.client import _admin_calls as calls
from lineament.client._admin_calls import (
    EVERY_GALLERY,
    AuditCheck,
    NewKey,
    Role,
    ServedKey,
    ServedSigningKey,
    ServedUser,
)
from lineament.client._connection import Connection
from lineament.client._values import read


class ServedKeys:
    """Keys of a server: ``client.keys.make("enroll", galleries=["staff"])``.

    It takes an admin's key; one that is for some galleries sees and makes keys of these alone.
    """

    def __init__(self, connection: Connection) -> None:
        """For ``Client.keys``."""
        self._connection = connection

    def all(self) -> list[ServedKey]:
        """The keys without their secrets, the oldest first, revoked and expired ones too."""
        entries = self._connection.entries(calls.keys)
        return [read(ServedKey, one) for one in entries]

    @checked
    def make(
        self,
        role: Role = "verify",
        *,
        galleries: Sequence[str] = EVERY_GALLERY,
        label: str = "",
        expires: float | str | None = None,
    ) -> NewKey:
        """Make a key. The server shows it in this answer and keeps it nowhere.

        Args:
            role: "verify", "enroll" or "admin".
            galleries: for which it holds; they need not exist yet.
            label: for people, at most 200 characters.
            expires: from when on it is refused: seconds since 1970, a date such as "2027-01-31" (as
                the server's clock has it), or how long it holds: "12h", "90d", "4w"; None: never.

        Raises:
            OptionError: another role, no gallery's name, or no time to come.
            ForbiddenError: galleries that one's own key is not for.
            ServiceError: the connection broke: that is not tried again, since nobody would have
                the key that may have been made. ``all`` shows it.
        """
        return self._connection.send(calls.make_key(role, galleries, label, expires))

    @checked
    def revoke(self, key: str) -> None:
        """From now on the key of this id is refused. NotFoundError: there is none."""
        self._connection.send(calls.revoke_key(key))


class ServedUsers:
    """Users of a server's page: ``client.users.add("anna", password=..., role="enroll")``.

    It takes an admin's key for all galleries.
    """

    def __init__(self, connection: Connection) -> None:
        """For ``Client.users``."""
        self._connection = connection

    def all(self) -> list[ServedUser]:
        """The users by name."""
        return self._connection.send(calls.users())

    @checked
    def add(
        self,
        name: str,
        password: str,
        *,
        role: Role = "verify",
        galleries: Sequence[str] = EVERY_GALLERY,
    ) -> ServedUser:
        """Make a user, with a password that they can change.

        Args:
            name: 1 to 64 of a-z, 0-9, ``.``, ``_``, ``@`` and ``-``.
            password: 12 to 256 characters.
            role: "verify", "enroll" or "admin".
            galleries: for which the role holds.

        Raises:
            ConflictError: there is a user of that name.
            OptionError: one of these is something else.
        """
        return self._connection.send(calls.add_user(name, password, role, galleries))

    @checked
    def change(
        self,
        name: str,
        *,
        password: str | None = None,
        role: Role | None = None,
        galleries: Sequence[str] | None = None,
    ) -> ServedUser:
        """Change a user; None leaves it as it is.

        Another role and other galleries hold from the next request on; a new password logs out.

        Raises:
            NotFoundError: there is none of that name.
            OptionError: a value is none of these.
        """
        return self._connection.send(calls.change_user(name, password, role, galleries))

    @checked
    def remove(self, name: str) -> None:
        """Remove a user; their sessions end at once. NotFoundError: there is none of that name."""
        self._connection.send(calls.remove_user(name))


class ServedAudit:
    """The audit log of a server: ``client.audit.entries(action="identify")``.

    It takes an admin's key for all galleries.
    """

    def __init__(self, connection: Connection) -> None:
        """For ``Client.audit``."""
        self._connection = connection

    @checked
    def entries(
        self,
        *,
        newest: bool = False,
        limit: int | None = None,
        action: str | None = None,
        actor: str | None = None,
        gallery: str | None = None,
        person: str | None = None,
        outcome: str | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> Iterator[AuditEntry]:
        """What was changed and searched, by whom: entries as they are asked for.

        Args:
            newest: the newest first, not the oldest.
            limit: at most so many.
            action, actor, gallery, outcome: only those of it.
            person: only about whom has this pseudonym.
            since, until: only of this time, in seconds since 1970.
        """
        wanted = {
            "newest": newest,
            "action": action,
            "actor": actor,
            "gallery": gallery,
            "person": person,
            "outcome": outcome,
            "since": since,
            "until": until,
        }
        for one in self._connection.entries(partial(calls.audit_entries, wanted), limit):
            yield read(AuditEntry, one)

    def verify(self) -> AuditCheck:
        """Whether the log is whole, every hash from the first entry on; and its end, signed."""
        return self._connection.send(calls.verify_audit())

    def signing_key(self) -> ServedSigningKey:
        """What checks receipts and heads of the log."""
        return self._connection.send(calls.signing_key())
