"""Overwriting in place: as many bytes of the same type, so that no row moves (see ``_schema``)."""

from __future__ import annotations

import sqlite3

BLANKED = {
    "labels": ("name", "metadata"),
    "samples": ("uid", "source", "sha256", "face", "metadata"),
    "vectors": ("vector",),
    "crops": ("png",),
    "consents": ("record",),
    "negatives": ("source", "sha256", "vector"),
}
"""By table, the columns that say who somebody is."""


def blank(connection: sqlite3.Connection, table: str, key: str, number: int) -> None:
    """Overwrite a row in its place: values of the same type and length, so that nothing moves."""
    columns = BLANKED[table]
    row = connection.execute(
        f"SELECT {', '.join(columns)} FROM {table} WHERE {key} = ?", (number,)
    ).fetchone()
    if row is None:
        return
    blanks = [_blank_of(value) for value in row]
    settings = ", ".join(f"{column} = ?" for column in columns)
    connection.execute(f"UPDATE {table} SET {settings} WHERE {key} = ?", (*blanks, number))


def _blank_of(value: object) -> object:
    """As many bytes that say nothing, of the same type."""
    if isinstance(value, str):
        return " " * len(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, bytes):
        return bytes(len(value))
    return None if value is None else 0  # a number, where damage put one
