"""How values that say who somebody is stand in the database: as they are, or encrypted.

Every such value goes through ``seal`` before it is written and through ``unseal`` (or, in SQL,
through the expression that ``reads`` gives) when it is read.
"""

from __future__ import annotations

from typing import Protocol

Value = str | bytes | None


class Sealing(Protocol):
    """What ``Store.sealing`` does."""

    @property
    def encrypted(self) -> bool:
        """Whether values are encrypted."""
        ...

    def seal(self, table: str, column: str, row: int, value: Value) -> Value:
        """A value as it is written into that row."""
        ...

    def unseal(self, table: str, column: str, row: int, value: object) -> object:
        """The way back; None for what cannot be decrypted."""
        ...

    def reads(self, table: str, column: str, row: str, value: str) -> str:
        """The way back as SQL, from the SQL of the row's number and of the column."""
        ...


class Open:
    """Values stand in the database as they are."""

    encrypted = False

    def seal(self, table: str, column: str, row: int, value: Value) -> Value:
        """The value itself."""
        return value

    def unseal(self, table: str, column: str, row: int, value: object) -> object:
        """The value itself."""
        return value

    def reads(self, table: str, column: str, row: str, value: str) -> str:
        """The column itself."""
        return value
