"""Keys, users and the audit log of a server, awaited; ``_admin`` says what the methods do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
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
from lineament.client._connection import AsyncConnection
from lineament.client._values import read


class AsyncServedKeys:
    """``ServedKeys``, awaited."""

    def __init__(self, connection: AsyncConnection) -> None:
        """For ``AsyncClient.keys``."""
        self._connection = connection

    async def all(self) -> list[ServedKey]:
        """As ``ServedKeys.all``."""
        entries = self._connection.entries(calls.keys)
        return [read(ServedKey, one) async for one in entries]

    @checked
    async def make(
        self,
        role: Role = "verify",
        *,
        galleries: Sequence[str] = EVERY_GALLERY,
        label: str = "",
        expires: float | str | None = None,
    ) -> NewKey:
        """As ``ServedKeys.make``."""
        return await self._connection.send(calls.make_key(role, galleries, label, expires))

    @checked
    async def revoke(self, key: str) -> None:
        """As ``ServedKeys.revoke``."""
        await self._connection.send(calls.revoke_key(key))


class AsyncServedUsers:
    """``ServedUsers``, awaited."""

    def __init__(self, connection: AsyncConnection) -> None:
        """For ``AsyncClient.users``."""
        self._connection = connection

    async def all(self) -> list[ServedUser]:
        """As ``ServedUsers.all``."""
        return await self._connection.send(calls.users())

    @checked
    async def add(
        self,
        name: str,
        password: str,
        *,
        role: Role = "verify",
        galleries: Sequence[str] = EVERY_GALLERY,
    ) -> ServedUser:
        """As ``ServedUsers.add``."""
        return await self._connection.send(calls.add_user(name, password, role, galleries))

    @checked
    async def change(
        self,
        name: str,
        *,
        password: str | None = None,
        role: Role | None = None,
        galleries: Sequence[str] | None = None,
    ) -> ServedUser:
        """As ``ServedUsers.change``."""
        return await self._connection.send(calls.change_user(name, password, role, galleries))

    @checked
    async def remove(self, name: str) -> None:
        """As ``ServedUsers.remove``."""
        await self._connection.send(calls.remove_user(name))


class AsyncServedAudit:
    """``ServedAudit``, awaited."""

    def __init__(self, connection: AsyncConnection) -> None:
        """For ``AsyncClient.audit``."""
        self._connection = connection

    @checked
    async def entries(
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
    ) -> AsyncIterator[AuditEntry]:
        """As ``ServedAudit.entries``."""
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
        async for one in self._connection.entries(partial(calls.audit_entries, wanted), limit):
            yield read(AuditEntry, one)

    async def verify(self) -> AuditCheck:
        """As ``ServedAudit.verify``."""
        return await self._connection.send(calls.verify_audit())

    async def signing_key(self) -> ServedSigningKey:
        """As ``ServedAudit.signing_key``."""
        return await self._connection.send(calls.signing_key())
